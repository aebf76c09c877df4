"""Files and queries become canonical tables, or an error says where and what to do."""

import bz2
import gzip
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet

from pipeline.config import FileTable
from pipeline.data.mapping import Mapper
from pipeline.data.readers.files import LocalFile, data_format, find_files
from pipeline.data.readers.reading import read_file
from pipeline.data.tables import KINDS
from pipeline.errors import ConfigError, DataError

CSV = "user_id,item_id,domain,value\n007,NA,shop,1.5\n12345678901234567890,i😀,shop,nan\n"
ROWS = [
    {"user_id": "007", "item_id": "NA", "domain": "shop", "value": "1.5"},
    {"user_id": "12345678901234567890", "item_id": "i😀", "domain": "shop", "value": "nan"},
]


@pytest.fixture
def root(tmp_path):
    """An empty data folder."""
    folder = (tmp_path / "data").resolve()
    folder.mkdir()
    return folder


def write(root, name, content):
    """A file of texts, bytes or a table."""
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, dict):
        parquet.write_table(pa.table(content), path)
    else:
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def read(root, name, content=None, kind="interactions", personal=("user_id",), **spec):
    """What read_file makes of a file."""
    path = root / name if content is None else write(root, name, content)
    table = FileTable(path=name, **spec)
    with tempfile.TemporaryDirectory() as scratch:
        return read_file(LocalFile(path, root), table, Mapper(KINDS[kind], table, frozenset(personal)), Path(scratch))


def column(values, name, **more):
    """A Parquet file with three required columns, of which one holds the values."""
    rows = len(values)
    table = {"user_id": pa.array(["u"] * rows), "item_id": pa.array(["i"] * rows), "domain": pa.array(["d"] * rows)}
    return {**table, name: values, **more}


def one(root, values, name):
    """The canonical values of one column of a Parquet file."""
    return read(root, "a.parquet", column(values, name))[name].to_pylist()


# --- ids ------------------------------------------------------------------------------------------------------------


def test_csv_ids_stay_as_they_are_written(root):
    """Leading zeros, twenty digits, emoji and the text NA survive."""
    table = read(root, "a.csv", CSV)
    assert table["user_id"].to_pylist() == ["007", "12345678901234567890"]
    assert table["item_id"].to_pylist() == ["NA", "i😀"]


def test_json_ids_keep_their_digits_and_dates_in_ids_stay_texts(root):
    """A number beyond 64 bits is not rounded, and an id that looks like a date is no date."""
    lines = '{"user_id": 123456789012345678901, "item_id": "2024-01-01", "domain": "d"}\n'
    table = read(root, "a.jsonl", lines)
    assert table["user_id"].to_pylist() == ["123456789012345678901"]
    assert table["item_id"].to_pylist() == ["2024-01-01"]


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_times_become_utc(root, ending):
    """Mixed offsets are converted, a time without a zone is UTC, nanoseconds are cut, years of any century stay."""
    texts = ["2024-01-01T10:00:00+02:00", "2024-01-01", "2024-01-01 10:00:00.123456789Z", "1500-01-01", "9999-12-31"]
    content = {
        "csv": "user_id,item_id,domain,timestamp\n" + "".join(f"u,i,d,{text}\n" for text in texts),
        "jsonl": "".join(f'{{"user_id":"u","item_id":"i","domain":"d","timestamp":"{text}"}}\n' for text in texts),
        "parquet": column(pa.array(texts), "timestamp"),
    }[ending]
    assert read(root, f"a.{ending}", content)["timestamp"].to_pylist() == [
        datetime(2024, 1, 1, 8, tzinfo=UTC),
        datetime(2024, 1, 1, tzinfo=UTC),
        datetime(2024, 1, 1, 10, 0, 0, 123456, tzinfo=UTC),
        datetime(1500, 1, 1, tzinfo=UTC),
        datetime(9999, 12, 31, tzinfo=UTC),
    ]


# --- mapping --------------------------------------------------------------------------------------------------------


def test_columns_are_mapped_and_constants_filled_in(root):
    """Other columns are left out; a constant has its column's type."""
    content = "uid,asin,stars,colour\n1,2,3,red\n4,5,6,blue\n"
    names = {"user_id": "uid", "item_id": "asin", "value": "stars"}
    table = read(root, "a.csv", content, columns=names, constants={"domain": "shop", "position": "9"})
    assert table.to_pydict() == {
        "user_id": ["1", "4"],
        "item_id": ["2", "5"],
        "domain": ["shop", "shop"],
        "position": [9, 9],
        "value": [3.0, 6.0],
    }


def test_a_missing_column_is_refused_with_the_near_miss(root):
    """The message names the columns that are there."""
    with pytest.raises(
        DataError, match=r"column 'item_id'.*is missing\. Did you mean 'Item_Id'\? The table has: user_id, It"
    ):
        read(root, "a.csv", "user_id,Item_Id,domain\n1,2,3\n")


def test_a_mapped_column_must_be_there(root):
    """Also one that is not required."""
    with pytest.raises(DataError, match=r"column 'ratng', needed for value, is missing\. Did you mean 'rating'"):
        read(root, "a.csv", "user_id,item_id,domain,rating\n1,2,3,4\n", columns={"value": "ratng"})


def test_a_column_that_stands_twice_is_refused(root):
    """Nobody can say which of the two is meant."""
    with pytest.raises(DataError, match=r"column 'user_id' stands there 2 times"):
        read(root, "a.csv", "user_id,user_id,item_id,domain\n1,2,3,4\n")


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (
            {"columns": {"usr_id": "x"}},
            r"interactions\.columns: 'usr_id' is no canonical column\. Did you mean 'user_id'",
        ),
        ({"constants": {"shop": "x"}}, r"interactions\.constants: 'shop' is no canonical column\."),
        ({"columns": {"domain": "x"}, "constants": {"domain": "y"}}, r"domain stands in columns and in constants"),
    ],
)
def test_an_impossible_mapping_is_refused(root, spec, message):
    """Before anything is read."""
    with pytest.raises(ConfigError, match=message):
        read(root, "a.csv", CSV, **spec)


# --- damaged files --------------------------------------------------------------------------------------------------


def parquet_bytes(root):
    """A whole Parquet file as bytes."""
    return write(root, "whole.parquet", column(pa.array(["u"] * 99), "user_id")).read_bytes()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", "", "the file is empty"),
        ("a.csv.gz", gzip.compress(b""), "the file is empty"),
        ("a.csv", "user_id,item_id,domain\n", "the table has no rows"),
        ("a.csv", "user_id,item_id,domain", "the table has no rows"),
        ("a.csv", "user_id,item_id,domain\n1,2,3\n1,2\n", r"line 3: expected 3 fields like the header, got 2"),
        (
            "a.csv",
            b"user_id,item_id,domain\n1,2,3\n\xff,2,3\n",
            r"line 3: column 'user_id': expected UTF-8, got .*`encoding`",
        ),
        ("a.csv", b"user\xff_id,item_id,domain\n1,2,3\n", r"line 1: expected names of columns in UTF-8.*`encoding`"),
        (
            "a.csv",
            'user_id,"' + "x" * 200_000,
            r"line 1: expected the columns' names with ',' between them; is a quote open",
        ),
        ("a.csv.gz", gzip.compress(CSV.encode())[:-9], r"cannot be read \(Compressed file ended"),
        ("a.csv.bz2", bz2.compress(CSV.encode())[:-9], r"cannot be read \(Compressed file ended"),
        ("a.jsonl", '{"user_id": 1}\n\n{"user_id": }\n', r"line 3: expected one JSON object on each line"),
        (
            "a.jsonl",
            b'{"user_id": "\xff", "item_id": 1, "domain": "d"}\n',
            r"line 1: .*expected UTF-8.*; state the file's `encoding`",
        ),
        ("a.jsonl", '[{"user_id": 1}]\n', r"line 1: expected one JSON object"),
        ("a.jsonl", "\n\n", r"column 'user_id', needed for user_id, is missing"),
        ("a.parquet", "no parquet at all", r"expected a whole Parquet file"),
    ],
)
def test_a_damaged_file_is_refused(root, name, content, message):
    """The message names the file and what is wrong with it."""
    with pytest.raises(DataError, match=rf"^{name}: .*{message}"):
        read(root, name, content)


@pytest.mark.parametrize("left", [0.1, 0.5, 0.99])
def test_a_truncated_parquet_file_is_refused(root, left):
    """Wherever it was cut."""
    whole = parquet_bytes(root)
    with pytest.raises(DataError, match=r"^cut\.parquet: expected a whole Parquet file"):
        read(root, "cut.parquet", whole[: int(len(whole) * left)])


def test_a_parquet_file_without_rows_is_refused(root):
    """A schema alone is no table."""
    with pytest.raises(DataError, match=r"^a\.parquet: the table has no rows"):
        read(root, "a.parquet", column(pa.array([], pa.string()), "user_id"))


@pytest.mark.parametrize("ending", ["", ".gz", ".bz2", ".zst"])
@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_compressed_files_read_like_plain_ones(root, kind, ending):
    """The two formats mean the same table, however packed."""
    lines = "".join(str(row).replace("'", '"') + "\n" for row in ROWS)
    plain = (CSV if kind == "csv" else lines).encode()
    packed = {"": bytes, ".gz": gzip.compress, ".bz2": bz2.compress, ".zst": lambda b: pa.compress(b, "zstd", True)}
    read_back = read(root, f"a.{kind}{ending}", packed[ending](plain))
    assert str(read_back.to_pylist()) == str(read(root, "plain.csv", CSV).to_pylist())


# --- paths ----------------------------------------------------------------------------------------------------------


def test_a_glob_gives_its_files_in_order(root):
    """Folders are passed over; a name with brackets that exists is no glob."""
    for name in ("b/2.csv", "a/1.csv", "a[1].csv"):
        write(root, name, CSV)
    assert find_files(root, "*/*.csv") == (root / "a/1.csv", root / "b/2.csv")
    assert find_files(root, "**/*.csv") == (root / "a/1.csv", root / "a[1].csv", root / "b/2.csv")
    assert find_files(root, "a[1].csv") == (root / "a[1].csv",)


@pytest.mark.parametrize(
    "path", ["../secret.csv", "x/../../secret.csv", "/etc/hosts", "../*.csv", "/etc/host?", "link", "l*"]
)
def test_a_path_that_leaves_the_data_folder_is_refused(root, path):
    """By dots, as an absolute path, by a link, and where a glob finds a link."""
    write(root.parent, "secret.csv", CSV)
    (root / "link").symlink_to(root.parent / "secret.csv")
    with pytest.raises(DataError, match="leads out of the data folder"):
        find_files(root, path)


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("no.csv", "there is no such file"),
        ("no*.csv", "no file .* matches this glob"),
        ("folder", r"expected a folder with files, got an empty one"),
    ],
)
def test_a_path_to_no_file_is_refused(root, path, message):
    """Missing files, globs without a match, folders."""
    (root / "folder").mkdir()
    with pytest.raises(DataError, match=message):
        find_files(root, path)


def test_the_format_is_found_by_the_ending_or_stated():
    """Also before the ending of a compression; an unknown ending is refused."""
    assert data_format("x.CSV.gz", None) == "csv"
    assert data_format("x.2024.parquet", None) == "parquet"
    assert data_format("x.txt", "jsonl") == "jsonl"
    assert data_format("u.data", None) == data_format("x.tsv.zip", None) == "csv"
    assert data_format("x.xlsx", None) == "excel"
    with pytest.raises(DataError, match=r"x\.item: expected a file ending in \.csv.*set `format: csv`"):
        data_format("x.item", None)
