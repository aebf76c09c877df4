"""Pictures at the border: what a value stands for, how it is seen, what cannot be read, and what a snapshot holds."""

import base64
import os
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from pipeline import columns as c
from pipeline import config as cfg
from pipeline.data import pictures as module
from pipeline.data.pictures import FILE, Pictures, UnreadError, name_of, read_pictures, seen, write_pictures
from pipeline.data.readers.duck import connection
from pipeline.data.readers.inputs import Input, inputs_of
from pipeline.data.snapshot import write_domain
from pipeline.data.values.casting import Place, cast, read
from pipeline.errors import DataError
from pipeline.rows.examples.contents import Contents
from pipeline.tasks.tables import tables_of
from pipeline.views import Features
from tests.drawing import BLUE, RED, encoded, halves, noise

TASK = cfg.BinaryTask(kind="binary", label="sold", features={"photo": "image"})
FINE = encoded(halves())


def frames() -> bytes:
    first, second = halves("P", left=0, right=1), Image.new("P", (40, 20), 3)
    for one in (first, second):
        one.putpalette([*RED, *BLUE, 0, 0, 0, 9, 9, 9])
    return encoded(first, "GIF", save_all=True, append_images=[second])


def turned() -> bytes:
    """Stored on its side, as a phone does it, with an EXIF that says so."""
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees
    return encoded(halves().transpose(Image.Transpose.ROTATE_90), "PNG", exif=exif)


def see_through() -> bytes:
    """The right half is not there, whatever its colour is."""
    return encoded(halves("RGBA", left=(*RED, 255), right=(*BLUE, 0)))


def of_a_palette() -> bytes:
    image = halves("P", left=0, right=1)
    image.putpalette([*RED, *BLUE])
    return encoded(image, transparency=1)


def of_16_bits() -> bytes:
    shades = np.full((20, 40), 200 * 256, dtype=np.uint16)
    shades[:, :20] = 7 * 256 + 99
    return encoded(Image.fromarray(shades))


WHITE = (255, 255, 255)
SEEN: dict[str, tuple[bytes, tuple[int, ...], tuple[int, ...]]] = {
    "as it is": (FINE, RED, BLUE),
    "transparent": (see_through(), RED, WHITE),
    "palette, one colour transparent": (of_a_palette(), RED, WHITE),
    "grey": (encoded(halves("L", left=7, right=200)), (7, 7, 7), (200, 200, 200)),
    "grey, half transparent": (encoded(halves("LA", left=(7, 255), right=(0, 0))), (7, 7, 7), WHITE),
    "of 16 bits": (of_16_bits(), (7, 7, 7), (200, 200, 200)),
    "of one bit": (encoded(halves("1", left=0, right=1)), (0, 0, 0), WHITE),
    "CMYK": (encoded(halves("CMYK", left=(255, 0, 0, 0), right=(0, 0, 0, 0)), "TIFF"), (0, 255, 255), WHITE),
    "of several frames": (frames(), RED, BLUE),
    "turned": (turned(), RED, BLUE),
}


@pytest.mark.parametrize("kind", SEEN)
def test_a_picture_is_seen_as_a_person_sees_it(kind: str) -> None:
    """Upright, in red, green and blue, on white, the first frame."""
    content, left, right = SEEN[kind]
    shades = np.asarray(seen(content))
    assert shades.shape == (20, 40, 3)
    np.testing.assert_allclose(shades[:, :20], np.broadcast_to(left, (20, 20, 3)), atol=1)
    np.testing.assert_allclose(shades[:, 20:], np.broadcast_to(right, (20, 20, 3)), atol=1)


def huge() -> bytes:
    """A small file that says it has four thousand million pixels."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    head = struct.pack(">IIBBBBB", 65_000, 65_000, 8, 2, 0, 0, 0)
    rows = chunk(b"IDAT", zlib.compress(b"\0" * 1000))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + rows + chunk(b"IEND", b"")


UNREAD = {
    "a page of HTML": (b"<html>not found</html>", "it is none of JPEG, PNG, WEBP, GIF, BMP, TIFF"),
    "a JPEG that ends too early": (encoded(noise(0), "JPEG")[:900], "it is damaged (image file is truncated"),
    "a PNG that ends too early": (encoded(noise(0))[:900], "it is damaged ("),
    "a bomb": (huge(), "it has more than 64,000,000 pixels"),
    "more pixels than are read": (encoded(Image.new("1", (9000, 8000))), "it has 72,000,000 pixels, more than"),
    "a drawing that is a program": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\nshowpage\n", "it is none of"),
    "numbers that are no shades": (encoded(Image.new("F", (4, 4), 0.5), "TIFF"), "its numbers are no shades"),
}


@pytest.mark.parametrize("kind", UNREAD)
def test_what_cannot_be_read_says_why(kind: str) -> None:
    """Whatever the decoder does with it."""
    content, message = UNREAD[kind]
    with pytest.raises(UnreadError) as error:
        seen(content)
    assert str(error.value).startswith(message)


def as_pictures(values: Any, pictures: Pictures) -> Any:
    return read(pa.chunked_array([values]), "picture", Place("goods.csv", "photo", null=("-",), pictures=pictures))


def test_paths_lead_to_contents(tmp_path: Path) -> None:
    """Two files of one content have one name; what is missing has none; a broken one is told with its reason."""
    for name, content in {"a.png": FINE, "b.png": FINE, "c.png": encoded(noise(1)), "bad.png": b"no"}.items():
        (tmp_path / name).write_bytes(content)
    given = Pictures.below(tmp_path)
    found = as_pictures(pa.array(["a.png", "c.png", "", None, "-", "b.png", "bad.png", "gone.png"]), given)
    names = found.values.to_pylist()
    assert names == [name_of(FINE), name_of(encoded(noise(1))), None, None, None, name_of(FINE), None, None]
    assert given.kept == {name_of(FINE): FINE, names[1]: encoded(noise(1))}
    told = {int(np.flatnonzero(mask)[0]): expected for mask, expected in found.faults}
    assert told[6].endswith("but it is none of JPEG, PNG, WEBP, GIF, BMP, TIFF")
    assert told[7].startswith("a picture (JPEG, PNG, WEBP, GIF, BMP, TIFF), but there is no such file below ")


def test_bytes_stand_for_themselves() -> None:
    """Also as Hugging Face holds them; no bytes are no picture."""
    given = Pictures.of_requests()
    assert as_pictures(pa.array([FINE, b"", None]), given).values.to_pylist() == [name_of(FINE), None, None]
    held = pa.array([{"bytes": FINE, "path": "a.png"}, None])
    assert as_pictures(held, given).values.to_pylist() == [name_of(FINE), None]
    with pytest.raises(DataError, match="expected the bytes of pictures, or their paths, got int64"):
        as_pictures(pa.array([1]), given)


def test_a_request_may_hold_base64() -> None:
    """A text that is none is told."""
    given = Pictures.of_requests()
    assert as_pictures(pa.array([base64.b64encode(FINE).decode(), None]), given).values[0].as_py() == name_of(FINE)
    with pytest.raises(DataError, match=r"column 'photo', row 1: expected a picture .*, but it is no base64"):
        as_pictures(pa.array(["photos/a.png"]), given)


@pytest.mark.parametrize("text", ["größe.png", "abc", "%"])
def test_a_text_that_is_no_base64_is_told(text: str) -> None:
    """Whichever error the decoder has for it; lines that a tool broke are no mistake."""
    with pytest.raises(UnreadError, match="it is no base64"):
        Pictures.of_requests().name(text)
    broken = base64.encodebytes(FINE).decode()
    assert "\n" in broken.strip()
    assert Pictures.of_requests().name(broken) == name_of(FINE)


@pytest.mark.parametrize("path", ["a long title " * 30, "loop.png", "a.png/b.png", "."])
def test_a_path_that_no_file_can_have_costs_its_row(tmp_path: Path, path: str) -> None:
    """As one does that leads nowhere."""
    (tmp_path / "a.png").write_bytes(FINE)
    (tmp_path / "loop.png").symlink_to("loop.png")
    found = as_pictures(pa.array(["a.png", path]), Pictures.below(tmp_path.resolve()))
    assert found.values.to_pylist() == [name_of(FINE), None]
    assert [mask.to_pylist() for mask, _ in found.faults] == [[False, True]]


@pytest.mark.parametrize("path", ["users/anna.png", "../anna.png", "anna\0.png", "anna" * 100])
def test_a_path_that_is_personal_stands_in_no_message(tmp_path: Path, path: str) -> None:
    """Neither in one that stops, nor in what quarantine says; and all that are not there have one reason."""
    (tmp_path / "a.png").write_bytes(FINE)
    place = Place("goods.csv", "photo", hidden=True, pictures=Pictures.below(tmp_path.resolve()))
    try:
        told = [text for _, text in read(pa.chunked_array([["a.png", path, f"{path}2"]]), "picture", place).faults]
    except DataError as error:
        told = [str(error)]
        assert "column 'photo', row 2: expected the path of a picture" in told[0]
    assert len(told) == 1
    assert "anna" not in told[0]


@pytest.mark.parametrize(
    "path", ["../secret.png", "/etc/hostname", "link.png", "https://shop.example/a.png", "a\0.png"]
)
def test_a_path_that_leads_out_is_refused(tmp_path: Path, path: str) -> None:
    """As one of a table is; nothing is quietly left out."""
    (root := tmp_path / "data").mkdir()
    (tmp_path / "secret.png").write_bytes(FINE)
    (root / "link.png").symlink_to(tmp_path / "secret.png")
    with pytest.raises(DataError, match=r"goods.csv: column 'photo', row 2: .*(leads out of the data folder|below)"):
        as_pictures(pa.array([None, path]), Pictures.below(root.resolve()))


def test_a_large_file_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor are such bytes."""
    monkeypatch.setattr(module, "LARGEST", 10)
    (tmp_path / "a.png").write_bytes(FINE)
    for given, value in ((Pictures.below(tmp_path), "a.png"), (Pictures.of_requests(), FINE)):
        with pytest.raises(UnreadError, match=rf"it has {len(FINE):,} bytes, more than 10"):
            given.name(value)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two shops' goods with their photos, one of which is broken."""
    (folder := tmp_path / "data").mkdir()
    for seed in range(3):
        (folder / f"{seed}.png").write_bytes(encoded(noise(seed)))
    (folder / "bad.png").write_bytes(b"no picture")
    rows = ["shop,sold,photo", "near,yes,0.png", "near,no,1.png", "near,no,bad.png", "far,yes,2.png", "far,no,"]
    (folder / "goods.csv").write_text("\n".join(rows))
    return folder.resolve()


def input_of(root: Path) -> Input:
    tables = cfg.Tables.model_validate({"examples": [{"path": "goods.csv", "columns": {"domain": "shop"}}]})
    [found] = inputs_of(tables, lambda kind: tables_of(TASK)[kind], root, (), pictured=True)
    return found


def test_all_rows_may_have_one_picture(root: Path) -> None:
    """A constant is a path as others are."""
    table = {"path": "goods.csv", "columns": {"domain": "shop"}, "constants": {"photo": "0.png"}}
    tables = cfg.Tables.model_validate({"examples": [table]})
    [found] = inputs_of(tables, lambda kind: tables_of(TASK)[kind], root, (), pictured=True)
    assert found.read()[0]["photo"].to_pylist() == [name_of(encoded(noise(0)))] * 5


def test_large_pictures_are_written_few_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """256 photos of 10 MB, as cameras make them, are no page of Parquet."""
    monkeypatch.setattr(module, "_GROUP", 10)
    pictures = {name: name.encode() * size for name, size in {"a": 4, "b": 6, "c": 1, "d": 30, "e": 2}.items()}
    write_pictures(pictures, [*pictures, "a"], path := tmp_path / FILE)
    file = pq.ParquetFile(path)
    groups = [file.read_row_group(place)["name"].to_pylist() for place in range(file.num_row_groups)]
    assert groups == [["a", "b"], ["c"], ["d"], ["e"]]
    assert read_pictures(path, list(pictures)) == pictures


def test_a_column_of_bytes_may_have_more_than_2_gigabytes(tmp_path: Path) -> None:
    """DuckDB gives it in a type that holds them, and ids that are bytes, texts and headers are read from it as ever."""
    with connection(tmp_path) as opened:
        assert opened.sql("SELECT 'a'::BLOB AS photo").to_arrow_table().schema.types == [pa.large_binary()]
    place = Place("a.parquet", "id")
    assert cast(pa.chunked_array([pa.array([b" 07 ", b"NULL"], pa.large_binary())]), "id", place)[0].as_py() == "07"


def test_another_picture_is_another_snapshot(root: Path) -> None:
    """By what it shows; when it was written is no matter."""
    before = input_of(root).fingerprint
    os.utime(root / "1.png")
    assert input_of(root).fingerprint == before
    (root / "1.png").write_bytes(encoded(noise(7)))
    assert input_of(root).fingerprint != before


def test_a_snapshot_holds_its_own_pictures(root: Path, tmp_path: Path) -> None:
    """Each once, by name; the broken one's row stands apart, with file, row, column and reason, and no picture."""
    found = input_of(root)
    [table] = found.read()
    facts = {}
    for domain in ("near", "far"):
        (tmp_path / domain).mkdir()
        facts[domain] = write_domain({"examples": table}, tables_of(TASK), domain, tmp_path / domain, found.pictures)
    names = [name_of(encoded(noise(seed))) for seed in range(3)]
    near = tmp_path / "near" / FILE
    assert pq.read_table(near)["name"].to_pylist() == sorted(names[:2])
    assert read_pictures(near, [names[1], names[2]]) == {names[1]: encoded(noise(1))}
    assert pq.read_table(tmp_path / "far" / FILE)["name"].to_pylist() == [names[2]]
    assert (facts["near"].rows, facts["near"].unreadable) == (2, {"examples": 1})
    [unread] = pq.read_table(tmp_path / "near" / "unreadable.parquet").to_pylist()
    assert (unread[c.UNREAD_FILE], unread[c.UNREAD_ROW], unread[c.UNREAD_COLUMN]) == ("goods.csv", 3, "photo")
    assert unread[c.UNREAD_EXPECTED].endswith("but it is none of JPEG, PNG, WEBP, GIF, BMP, TIFF")
    assert unread[c.UNREAD_VALUE] == "'bad.png'"
    assert read_pictures(tmp_path / "none.parquet", names) == {}


def test_equal_pictures_are_copies() -> None:
    """Also where there is nothing but the picture: none is taken twice by chance."""
    import pandas as pd

    table = pd.DataFrame({"photo": pd.Series([name_of(FINE), name_of(b"other"), name_of(FINE), None], dtype=object)})
    for contents in (Contents.exact, Contents.near):
        found = contents(Features(table, {"photo": "image"}), pd.Series([1, 0, 1, 0]))
        assert found.row[0] == found.row[2] != found.row[1]
        assert found.told_apart.tolist() == [True, True, True, False]


def test_what_would_see_nothing_is_refused() -> None:
    """A model or baseline without an encoder of pictures, where there are pictures alone."""
    told = {"photo": "image"}
    for kind in ("linear", "boosting", "linear_transfer"):
        one = {"linear": cfg.Linear, "boosting": cfg.Boosting, "linear_transfer": cfg.LinearTransfer}[kind](kind=kind)
        assert one.unfit(told).startswith("looks at no image, and there are no other features than photo; ")  # type: ignore[arg-type]
    assert cfg.TabularModel(kind="tabular").unfit(told).endswith("name an `image_encoder`, which reads pictures")  # type: ignore[arg-type]
    assert cfg.TabularModel(kind="tabular", image_encoder="efficientnet").unfit(told) == ""  # type: ignore[arg-type]
    assert cfg.Linear(kind="linear", image_encoder="efficientnet", domains="all").name == "linear_efficientnet+source"
    assert TASK.lacks("text", ["examples"]) == "features of the type text or title, and the task names none"
    with pytest.raises(ValueError, match="slices: photo is made of words or a picture"):
        cfg.BinaryTask(kind="binary", label="sold", features={"photo": "image"}, slices=("photo",))
