"""Files that were made to do harm, or that nobody thought of: each is read or refused, and costs little."""

import gzip
import io
import zipfile
from pathlib import Path

import pytest

from pipeline.data.readers import unpacking
from pipeline.data.readers.files import find_files
from pipeline.errors import DataError
from tests.reading import read, workbook, write, zipped

ROWS = "user_id,item_id\n" + "1,2\n" * 500_000


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Give an empty data folder."""
    (folder := tmp_path / "data").mkdir()
    return folder.resolve()


@pytest.fixture
def little(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a packed file unpack to a megabyte at most."""
    monkeypatch.setattr(unpacking, "ALWAYS", 1 << 20)
    monkeypatch.setattr(unpacking, "MOST_TIMES", 3)


def lying() -> bytes:
    """Give a zip whose directory says that its file is small."""
    packed = bytearray(zipped(a__csv=ROWS))
    place = packed.rindex(b"PK\x01\x02") + 24
    packed[place : place + 4] = (100).to_bytes(4, "little")
    return bytes(packed)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv.gz", gzip.compress(ROWS.encode())),
        ("a.csv.gz", gzip.compress(gzip.compress(ROWS.encode()))),
        ("a.zip", zipped(a__csv=ROWS)),
        ("a.xlsx", workbook(one=[["user_id", "item_id"], *([["1", "2"]] * 30_000)])),
    ],
)
def test_a_bomb_is_refused(root: Path, little: None, name: str, content: bytes) -> None:
    """At the limit, not after it has filled the disk."""
    with pytest.raises(DataError, match=rf"^{name}: unpacks to more than 1,048,576 bytes"):
        read(root, name, content)


@pytest.mark.parametrize(("name", "content"), [("a.zip", lying())])
def test_a_size_that_lies_is_refused(root: Path, name: str, content: bytes) -> None:
    """By its checksum."""
    with pytest.raises(DataError, match=rf"^{name}: cannot be read"):
        read(root, name, content)


def test_a_file_that_unpacks_for_ever_is_refused(root: Path) -> None:
    """There are files that unpack to themselves."""
    packed = ROWS.encode()
    for _ in range(6):
        packed = gzip.compress(packed)
    with pytest.raises(DataError, match=r"expected at most 3 packings in each other"):
        read(root, "a.csv.gz", packed)


def test_an_encrypted_zip_is_refused(root: Path) -> None:
    """In words."""
    packed = bytearray(zipped(a__csv=ROWS))
    for mark, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        packed[packed.rindex(mark) + place] |= 1
    with pytest.raises(DataError, match=r"^a\.zip: cannot be read \(it is encrypted\)"):
        read(root, "a.zip", bytes(packed))


def test_names_in_a_zip_lead_nowhere(root: Path) -> None:
    """Its file is read as a stream; nothing is written under its name."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("../../a.csv", "user_id,item_id\n1,2\n")
    assert read(root, "a.zip", packed.getvalue()) == {"user_id": ["1"], "item_id": ["2"]}
    assert not (root.parent.parent / "a.csv").exists()


def test_ten_thousand_columns(root: Path) -> None:
    """Two are read; a message does not list them all."""
    names = ",".join(["user_id", *(f"c{number}" for number in range(10_000)), "item_id"])
    values = ",".join(["1"] * 10_002)
    assert read(root, "a.csv", f"{names}\n{values}\n") == {"user_id": ["1"], "item_id": ["1"]}
    with pytest.raises(DataError, match=r"column 'item', needed for item_id, is missing") as caught:
        read(root, "a.csv", f"{names}\n{values}\n", columns={"item_id": "item"})
    assert len(str(caught.value)) < 1500


def test_a_cell_of_a_megabyte(root: Path) -> None:
    """Is read; one of 20 megabytes is refused with its line."""
    assert len(read(root, "a.csv", f"user_id,item_id,event\n1,2,{'x' * 10**6}\n")["event"][0]) == 10**6
    with pytest.raises(DataError, match=r"line 2: expected a row of at most 16,777,216 bytes"):
        read(root, "a.csv", f"user_id,item_id,event\n1,2,{'x' * 20_000_000}\n")


@pytest.mark.parametrize(
    "content", ["user_id,item_id,value\n1,2,\n", "user_id,item_id,value\n1,2,", "\ufeffuser_id,item_id,value\n1,2,\n"]
)
def test_one_row_with_an_empty_column(root: Path, content: str) -> None:
    """With or without an end of its line."""
    assert read(root, "a.csv", content) == {"user_id": ["1"], "item_id": ["2"], "value": [None]}


def test_a_folder_is_all_its_files(root: Path) -> None:
    """But for marks and hidden ones; a link out of the data folder is refused."""
    for name in ("days/b.csv", "days/a/c.csv", "days/_SUCCESS", "days/.a.crc", "days/_temporary/d.csv"):
        write(root, name, "x")
    assert find_files(root, "days") == (root / "days/a/c.csv", root / "days/b.csv")
    (root / "days/link.csv").symlink_to(write(root.parent, "secret.csv", "x"))
    with pytest.raises(DataError, match="leads out of the data folder"):
        find_files(root, "days")
    (root / "out").symlink_to(root.parent)
    with pytest.raises(DataError, match="leads out of the data folder"):
        find_files(root, "out")
