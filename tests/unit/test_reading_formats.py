"""Files as their publishers ship them: separators, encodings, headers, packings, JSON, Excel, nested Parquet."""

import bz2
import gzip
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet

from pipeline.errors import ConfigError, DataError
from tests.reading import read, workbook, write, zipped

TWO = {"user_id": ["1", "3"], "item_id": ["2", "4"]}
NAMES = {"header": False, "names": ["user_id", "item_id"]}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Give an empty data folder."""
    (folder := tmp_path / "data").mkdir()
    return folder.resolve()


@pytest.mark.parametrize(
    ("name", "content", "spec"),
    [
        ("a.csv", "user_id;item_id\n1;2\n3;4\n", {"separator": ";"}),
        ("a.dat", "1::2\n3::4\n", {"separator": "::", **NAMES}),
        ("a.tsv", "user_id\titem_id\n1\t2\n3\t4\n", {}),
        ("u.data", "1\t2\n3\t4\n", {"separator": "\\t", **NAMES}),
        ("a.txt", "1|2\n3|4", {"separator": "|", **NAMES}),
        ("a.csv", "of \"May\n\nuser_id,item_id\n1,2\n3,4\n", {"skip": 2}),
        ("a.csv", "user_id,item_id\n'1','2'\n'3',4\n", {"quote": "'"}),
        ("a.csv", "\ufeff\"user_id\",item_id\n1,2\n3,4\n", {}),
        ("a.csv", '"user\nid",item_id\n1,2\n3,4\n', {"columns": {"user_id": "user\nid"}}),
        ("a.csv", b"user_id,item_id\r\n1,2\n3,4\r\n", {}),
        ("a.csv", b"user_id,item_id\r1,2\r3,4\r", {}),
        ("a.csv", "user_id,item_id\n\n1,2\n\n3,4\n\n", {}),
        ("a.csv", "user_id,item_id\n1,2\n3,4\n".encode("utf-16"), {}),
        ("a.csv", "user_id,item_id\n1,2\n3,4\n".encode("utf-16-be"), {"encoding": "utf-16-be"}),
        ("a.csv", "user_id,item_id,same,same,\n1,2,x,y,z\n3,4,x,y,z\n", {}),
        ("a.csv", gzip.compress(b"user_id,item_id\n1,2\n3,4\n"), {}),  # whatever its name says
        ("a.csv.gz", gzip.compress(b"user_id,item_id\n1,2\n") + gzip.compress(b"3,4\n"), {}),
        ("a.csv.bz2", bz2.compress(b"user_id,item_id\n1,2\n3,4\n"), {}),
        ("a.csv.zst", pa.compress(b"user_id,item_id\n1,2\n3,4\n", "zstd", asbytes=True), {}),
        ("a.zip", zipped(a__csv="user_id,item_id\n1,2\n3,4\n"), {}),
        ("a.zip", zipped(README="?", a__csv="user_id,item_id\n1,2\n3,4\n"), {"member": "*.csv"}),
        ("a.zip", zipped(a__csv__gz=gzip.compress(b"user_id,item_id\n1,2\n3,4\n")), {}),
        ("it's [1]*.csv", "user_id,item_id\n1,2\n3,4\n", {}),
        ("a.json", '[{"user_id": 1, "item_id": 2.0}, {"item_id": "4", "user_id": 3}]', {}),
        ("a.json", '\n{"user_id": 1, "item_id": 2}\n{"user_id": 3, "item_id": 4}', {}),
        ("a.json", b'\xef\xbb\xbf[{"user_id": 1, "item_id": 2}, {"user_id": 3, "item_id": 4}]', {}),
        ("a.jsonl", '{"user_id": 1, "a.b": 2, "a": {"b": 5}}\n{"user_id": 3, "a.b": 4}',
         {"columns": {"item_id": "a.b"}}),
        ("a.jsonl", '{"user_id": 1, "a": {"b c": {"d": 2}}, "x": [{}, 1]}\n{"user_id": 3, "a": {"b c": {"d": 4}}}',
         {"columns": {"item_id": "a.b c.d"}}),
        ("a.xlsx", workbook(one=[["user_id", "item_id"], [1, "2"], [None, None], [3.0, 4]], empty=[]), {}),
        ("a.xlsx", workbook(one=[["x"]], two=[["of May"], ["1", 2], ["3", 4]]), {"sheet": "two", "skip": 1, **NAMES}),
    ],
)  # fmt: skip
def test_the_same_rows_however_they_are_shipped(root: Path, name: str, content: Any, spec: dict[str, Any]) -> None:
    """Two rows, in their order."""
    assert read(root, name, content, **spec) == TWO


@pytest.mark.parametrize("encoding", ["cp1252", "latin-1", "gb18030", "shift_jis", "utf-8", "cp1251"])
def test_a_text_in_another_encoding(root: Path, encoding: str) -> None:
    """Names of columns and values."""
    word = {"gb18030": "用户", "shift_jis": "ユーザ", "cp1251": "имя"}.get(encoding, "zoë")
    content = f"{word},item_id\n{word} 1,2\n".encode(encoding)
    found = read(root, "a.csv", content, encoding=encoding, columns={"user_id": word})
    assert found == {"user_id": [f"{word} 1"], "item_id": ["2"]}


def test_numbers_with_a_comma(root: Path) -> None:
    """A point in one is refused, because nobody knows whether it stands for thousands."""
    content = "user_id;item_id;value\n1,5;2;3,5\n1;2;-4\n"
    found = read(root, "a.csv", content, separator=";", decimal=",")
    assert found == {"user_id": ["1,5", "1"], "item_id": ["2", "2"], "value": [3.5, -4.0]}
    with pytest.raises(DataError, match=r"column 'value', row 1: expected a number .*got '1\.234,5 \(beside `decimal"):
        read(root, "a.csv", "user_id;item_id;value\n1;2;1.234,5\n", separator=";", decimal=",")


def test_texts_that_say_nothing(root: Path) -> None:
    """As stated, beside the empty one; also in Excel."""
    expected = {"user_id": ["1"] * 3, "item_id": ["2"] * 3, "value": [None, None, 5.0]}
    content = "user_id,item_id,value\n1,2,\\N\n1,2,\n1,2,5\n"
    assert read(root, "a.csv", content, null=["\\N", "NA"]) == expected
    rows = [["user_id", "item_id", "value"], [1, 2, "NA"], [1, 2, None], [1, 2, 5]]
    assert read(root, "a.xlsx", workbook(one=rows), null=["NA"]) == expected


def test_cells_of_a_workbook(root: Path) -> None:
    """Whole numbers have no point, times are times, a code of letters stays beside one of digits."""
    rows = [["user_id", "item_id", "timestamp", "value"], [17850.0, "85123A", (40513.35,), 2.55], [1, 71053, None, 3]]
    assert read(root, "a.xlsx", workbook(one=rows)) == {
        "user_id": ["17850", "1"], "item_id": ["85123A", "71053"],
        "timestamp": [datetime(2010, 12, 1, 8, 24, tzinfo=UTC), None], "value": [2.55, 3.0],
    }  # fmt: skip


def test_times_of_a_workbook(root: Path) -> None:
    """Cells of times are times, since 1904 too; numbers are days only where the scenario says so."""
    rows = [["user_id", "item_id", "timestamp"], [1, 2, (45292.5,)], [1, 3, (45293,)]]
    days = [datetime(2024, 1, 1, 12, tzinfo=UTC), datetime(2024, 1, 2, tzinfo=UTC)]
    assert read(root, "a.xlsx", workbook(one=rows))["timestamp"] == days
    since = [rows[0], [1, 2, (43830.5,)], [1, 3, (43831,)]]
    assert read(root, "a.xlsx", workbook(since_1904=True, one=since))["timestamp"] == days
    mixed = workbook(one=[*rows[:2], [1, 3, 45293]])
    assert read(root, "a.xlsx", mixed, columns={"timestamp": {"unit": "excel"}})["timestamp"] == days
    numbers = workbook(one=[rows[0], [1, 2, 45292.5], [1, 3, 45293]])
    with pytest.raises(DataError, match=r"days in Excel \(2024-01-01 12:00:00\) or .*begin in 1904"):
        read(root, "a.xlsx", numbers)


def test_json_keeps_digits(root: Path) -> None:
    """Beyond 64 bits, beyond what a floating-point number holds, and a text that looks like a date."""
    content = '{"user_id": 123456789012345678901, "item_id": "2024-01-01", "event": true, "value": 2.50}\n'
    assert read(root, "a.jsonl", content) == {
        "user_id": ["123456789012345678901"], "item_id": ["2024-01-01"], "event": ["true"], "value": [2.5],
    }  # fmt: skip


def test_lists_and_fields(root: Path) -> None:
    """A list is joined by blanks, a field of a struct has a dotted name; in JSON and in Parquet."""
    spec = {"columns": {"event": "tags", "item_id": "details.code", "value": "details.size.cm"}}
    expected = {"user_id": ["1", "2"], "item_id": ["x", None], "event": ["red big", None], "value": [2.5, None]}
    rows = [
        {"user_id": 1, "tags": ["red", "big"], "details": {"code": "x", "size": {"cm": 2.5}}},
        {"user_id": 2, "tags": None, "details": None},
    ]
    assert read(root, "a.parquet", pa.Table.from_pylist(rows), **spec) == expected
    lines = '{"user_id":1,"tags":["red","big"],"details":{"code":"x","size":{"cm":2.5}}}\n{"user_id":2,"tags":null}\n'
    assert read(root, "a.jsonl", lines, **spec) == expected


@pytest.mark.parametrize("ending", ["parquet", "jsonl"])
def test_a_struct_is_no_value(root: Path, ending: str) -> None:
    """The message names a field of it."""
    rows = [{"user_id": 1, "item_id": {"code": 7}}]
    content = pa.Table.from_pylist(rows) if ending == "parquet" else '{"user_id": 1, "item_id": {"code": 7}}\n'
    with pytest.raises(DataError, match=r"column 'item_id': expected plain values, got .*such as item_id\.code"):
        read(root, f"a.{ending}", content)


def test_what_is_not_used_refuses_nothing(root: Path) -> None:
    """Types that no column can have, names that stand there twice, bytes that are no text."""
    odd = {
        "user_id": ["1"], "item_id": ["2"], "map": pa.array([[("a", 1)]], pa.map_(pa.string(), pa.int64())),
        "long": pa.array([Decimal(1)], pa.decimal256(76, 0)), "bytes": [b"\xff"], "null": pa.nulls(1),
        "time": pa.array([1], pa.duration("ns")), "deep": [[[{"x": [None]}]]],
    }  # fmt: skip
    table = pa.table(odd)
    table = pa.Table.from_arrays([*table.columns, table["map"], table["map"]], [*table.column_names, "twice", "twice"])
    one = {"user_id": ["1"], "item_id": ["2"]}
    assert read(root, "a.parquet", table) == one
    assert read(root, "a.csv", b"user_id,item_id,x,x\n1,2,\xff,\0\n") == one
    latin = b'{"user_id": 1, "item_id": 2, "x": "caf\xe9", "y": {"z": ["\xff\xfe"]}}'
    assert read(root, "a.jsonl", latin) == one
    assert read(root, "a.json", b"[%b]" % latin) == one
    for column, told in {"x": "column 'x'", "y.z": "column 'y.z'"}.items():
        with pytest.raises(DataError, match=rf"line 1: {told}: expected UTF-8, got bytes that are none"):
            read(root, "a.jsonl", latin, columns={"event": column})
    assert read(root, "a.jsonl", latin, columns={"event": "x"}, encoding="latin-1")["event"] == ["café"]
    assert read(root, "a.jsonl", '{"user_id": 1, "item_id": 2, "x": {"x": 1}}\n{"x": 1}\n{"x": [1]}\n')["item_id"] == [
        "2", None, None,
    ]  # fmt: skip


def test_times_and_types_of_parquet(root: Path) -> None:
    """Dictionaries, decimals, times with a zone, and the 96 bits of older writers."""
    moment = datetime(2024, 1, 1, 12, tzinfo=UTC)
    content = {
        "user_id": pa.array(["1"]).dictionary_encode(), "item_id": pa.array([Decimal("7.00")]),
        "value": pa.array([Decimal("2.50")]), "timestamp": pa.array([moment], pa.timestamp("ns", "Europe/Berlin")),
    }  # fmt: skip
    expected = {"user_id": ["1"], "item_id": ["7"], "value": [2.5], "timestamp": [moment]}
    assert read(root, "a.parquet", content) == expected
    parquet.write_table(pa.table(content), root / "b.parquet", use_deprecated_int96_timestamps=True)
    assert read(root, "b.parquet", (root / "b.parquet").read_bytes()) == expected


def test_folders_that_say_something_of_their_rows(root: Path) -> None:
    """Of each file its own; a mark that no folder has is no value."""
    write(root, "country=de/day=__HIVE_DEFAULT_PARTITION__/a.csv", "")
    name = "country=de%20at/day=__HIVE_DEFAULT_PARTITION__/a.csv"
    spec = {"columns": {"domain": "country", "event": "day"}, "constants": {}}
    assert read(root, name, "user_id,item_id\n1,2\n", **spec) == {
        "user_id": ["1"], "item_id": ["2"], "domain": ["de at"], "event": [None],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "content", "spec", "told"),
    [
        ("a.csv", "user_id;item_id\n1;2\n", {}, r'is one field with .* holds .;.; state `separator: ";"'),
        ("a.csv", "user_id\titem_id\n1\t2\n", {}, r'state `separator: "\\t"`'),
        ("a.csv", "1,2\n3,4\n", {}, r"first line has none of the columns .*`header: false`.*`skip`.*`separator`"),
        ("a.csv", "用户,商品\n1,2\n".encode("gb18030"), {}, r"line 1: expected names .*`encoding`, .*gb18030"),
        ("a.csv", "user_id,item_id\n1,é\n".encode("cp1252"), {}, r"line 2: column 'item_id': expected UTF-8"),
        ("a.csv", b"user_id,item_id\n1,\x81\n", {"encoding": "cp1252"}, r"line 2: column 'item_id': expected cp1252"),
        ("a.csv", "user_id,item_id\n1,2\n".encode("utf-16-le"), {}, r"got bytes that are none.*`encoding: utf-16-le`"),
        ("a.csv", "\nuser_id,item_id\n1,2\n", {}, r"line 1: expected the columns' names, got an empty line; `skip`"),
        ("a.csv", 'user_id,item_id\n1,"a\\"b"\n', {}, r"line 2: a quote opens .*`escape: '\\'`"),
        ("a.csv", 'user_id,item_id\n1,"a\n\nb"\n1\n', {}, r"line 5: expected 2 fields like the header, got 1"),
        ("a.csv", "1,2\n", {**NAMES, "names": ["user_id", "item_id", "x"]}, r"3 fields like the `names`"),
        ("a.csv", workbook(one=[["user_id"]]), {}, r"expected csv, got an Excel file: state `format: excel`"),
        ("a.csv", b"PAR1....", {}, r"expected csv, got a Parquet file: state `format: parquet`"),
        ("a.csv", b"SQLite format 3\0", {}, r"expected csv, got a SQLite file: state its `url`"),
        ("a.csv", b"7z\xbc\xaf\x27\x1c\0", {}, r"got a 7z archive: unpack it"),
        ("a.zip", zipped(a__csv="x", b__csv="y"), {}, r"got 2; name it with `member:`\. It holds: 'a\.csv', 'b"),
        ("a.zip", zipped(a__csv="x"), {"member": "b*"}, r"one file is meant, got 0"),
        ("a.zip", b"PK\x03\x04 and no more", {}, r"cannot be read \(File is not a zip file\)"),
        ("a.json", '[{"user_id": 1}, {"user', {}, r"expected one array of JSON objects \(at byte"),
        ("a.jsonl", "{'user_id': 1}\n", {}, r"line 1: expected one JSON object on each line"),
        ("a.xlsx", b"no workbook", {}, r"expected a workbook of Excel"),
        ("a.xlsx", workbook(one=[["a"]], two=[["b"]]), {}, r"expected one sheet with cells, got 2; .*'one', 'two'"),
        ("a.xlsx", workbook(one=[["a"]]), {"sheet": "two"}, r"there is no sheet 'two'\. There are: 'one'"),
        ("a.xlsx", workbook(one=[[]]), {}, r"expected one sheet with cells, got 0"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_told(root: Path, name: str, content: Any, spec: dict[str, Any], told: str) -> None:
    """File, line, what was expected and what to do, in letters that a terminal shows."""
    with pytest.raises(DataError, match=rf"^{name}: .*{told}") as caught:
        read(root, name, content, **spec)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    ("name", "content", "spec"),
    [("a", b"PAR1", {"format": "parquet"}), ("a.zip", zipped(a__jsonl="{}"), {}), ("a.zip", zipped(a__parquet=""), {})],
)
def test_a_key_that_would_do_nothing_is_refused(root: Path, name: str, content: Any, spec: dict[str, Any]) -> None:
    """Also where only the archive tells the format."""
    with pytest.raises(
        (ConfigError, ValueError, DataError), match=r"separator: means something for csv alone|is empty"
    ):
        read(root, name, content, separator=";", **spec)
