"""What programs lose or add before a table comes here is seen: rounded ids, headers in the middle, other marks."""

import json
import logging
import random
import re
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from pipeline.data.values.spelling import one_spelling
from pipeline.errors import ConfigError, DataError
from tests.reading import read, workbook

NAMES = ["user_id", "item_id", "event"]
ROWS = {"user_id": ["u", "v"], "item_id": ["a", "b"], "event": ["x", "y"]}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Give a data folder."""
    return tmp_path.resolve()


def csv(*rows: str, header: str = "user_id,item_id,event", end: str = "\n") -> str:
    """Give lines of a text."""
    return end.join((header, *rows, ""))


def test_a_rounded_number_is_no_id(root: Path) -> None:
    """A workbook saved as CSV shows 9780123456789 as 9.78012E+12, and another book so too; an id like 1e5 stays."""
    found = read(root, "a.csv", csv("u,9.78012E+12,x", "v,1e5,y", "w,12E34,z", "x,-1.5e+20,z", "y,1.5,z"))
    assert found["item_id"] == [None, "1e5", "12E34", None, "1.5"]
    assert found["unread_value"] == ["'9.78012E+12'", None, None, "'-1.5e+20'", None]
    with pytest.raises(DataError, match=r"row 1: expected an id with all its digits"):
        read(root, "b.csv", csv("u,9.78012E+12,x"))


def test_a_number_that_is_too_long_for_a_workbook_is_no_id(root: Path) -> None:
    """Above 2^53 two of them are one; below it all have their digits, without a point."""
    ids = [2**53 - 1, 1234567890123456, 2**53 + 2, 1234567890123456789]
    found = read(root, "a.xlsx", workbook(s=[NAMES, *(["u", one, "x"] for one in ids)]))
    assert found["item_id"] == ["9007199254740991", "1234567890123456", None, None]
    assert found["unread_row"] == [None, None, 3, 4]


def test_a_header_in_the_middle_is_no_row(root: Path) -> None:
    """As where several files were put after one another; a row that only looks a little like it stays."""
    found = read(root, "a.csv", csv("u,a,x", "user_id,item_id,event", "user_id,b,y"))
    assert found["user_id"] == ["u", None, "user_id"]
    assert found["unread_row"] == [None, 2, None]
    assert found["unread_expected"][1] == "a row, and not the columns' names again"
    first = read(root, "b.csv", csv("u,a,x"), header=False, names=NAMES)
    assert (first["user_id"], first["unread_row"]) == ([None, "u"], [1, None])
    assert "unread" not in read(root, "c.csv", csv("user_id,a,x"))


@pytest.mark.parametrize("name", ["Event", "event ", "EVENT"])
def test_a_column_that_is_nearly_called_so_is_told(root: Path, caplog: pytest.LogCaptureFixture, name: str) -> None:
    """It is not read, because names are exact; once the scenario says it, nothing is told."""
    text = csv("u,a,x", header=f"user_id,item_id,{name}")
    with caplog.at_level(logging.WARNING, "pipeline"):
        assert "event" not in read(root, "a.csv", text)
    assert f"a.csv: column {name!r} is not read; if it is event, say so" in caplog.text
    caplog.clear()
    assert read(root, "a.csv", text, columns={"event": name})["event"] == ["x"]
    assert read(root, "a.csv", csv("u,a,x"))["event"] == ["x"]
    assert not caplog.text


def test_a_mark_of_another_encoding_is_refused(root: Path) -> None:
    """Else the first name, or the first id, begins with three letters that nobody wrote."""
    text = "\ufeff" + csv("u,a,x", "v,b,y")
    with pytest.raises(ConfigError, match=r"a\.csv: encoding: the file begins with the mark of utf-8, got cp1252"):
        read(root, "a.csv", text, encoding="cp1252", header=False, names=NAMES)
    assert read(root, "a.csv", text, encoding="utf-8") == ROWS
    for encoding in ("utf-16", "utf-16-le", "utf-32"):
        assert read(root, "a.csv", text.encode(encoding), encoding=encoding) == ROWS


def test_lines_of_an_old_macintosh_can_be_skipped(root: Path) -> None:
    """They end in a carriage return alone."""
    assert read(root, "a.csv", "made by x\r\r" + csv("u,a,x", "v,b,y", end="\r"), skip=2) == ROWS


@pytest.mark.parametrize(("names", "fits"), [(NAMES, True), (NAMES[:2], False), ([*NAMES, "value"], False)])
def test_names_for_a_sheet_are_as_many_as_its_columns(root: Path, names: list[str], fits: bool) -> None:
    """One that was left out would move all behind it, as in CSV."""
    sheet = workbook(s=[["u", "a", "x"], ["v", "b", "y"]])
    if fits:
        assert read(root, "a.xlsx", sheet, header=False, names=names) == ROWS
        return
    with pytest.raises(DataError, match=rf"a\.xlsx: expected {len(names)} columns like the `names`, got 3"):
        read(root, "a.xlsx", sheet, header=False, names=names)


@pytest.mark.parametrize(
    ("number", "form"),
    [(2024013112, "%Y%m%d%H"), (202401311259, "%Y%m%d%H%M"), (20240131125959, "%Y%m%d%H%M%S"), (202401, "%Y%m")],
)
@pytest.mark.parametrize("kind", [pa.int64(), pa.float64(), pa.string()])
def test_a_number_that_is_a_date_is_asked_for(root: Path, number: int, form: str, kind: pa.DataType) -> None:
    """As seconds or milliseconds these are times too: of 2034 and of 1976."""
    table: dict[str, Any] = {
        "user_id": ["u", "v"],
        "item_id": ["a", "b"],
        "timestamp": pa.array([number, None]).cast(kind),
    }
    with pytest.raises(DataError, match=rf'{number} may be the .* format: "{form}"'):
        read(root, "a.parquet", table)
    told = {"columns": {"timestamp": {"format": form}}}
    wanted = datetime.strptime(str(number), form).replace(tzinfo=UTC)
    assert read(root, "a.parquet", table, **told)["timestamp"] == [wanted, None]


@pytest.mark.parametrize("number", [1700000000, 1700000000000, 1700000000000000, 1600000000000000000])
def test_numbers_since_1970_are_not_asked_for(root: Path, number: int) -> None:
    """Whole or decimal, as databases give them."""
    wanted = datetime.fromtimestamp(int(str(number)[:10]), UTC)
    for values in ([number], [Decimal(number)]):
        table = {"user_id": ["u"], "item_id": ["a"], "timestamp": values}
        assert read(root, "a.parquet", table)["timestamp"] == [wanted]


def test_blanks_that_nobody_sees_are_blanks() -> None:
    """A mark in the middle of files put after one another, blanks of the web, blanks of no width."""
    ids = pa.array(["\ufeffa b", "a\u00a0b", "a\u200b b", "a\u2060\u3000b"])
    assert one_spelling(ids, ["blanks"]).to_pylist() == ["ab"] * 4


@pytest.mark.parametrize("other", ["order_id", "event"])
def test_a_personal_column_has_no_second_name(root: Path, other: str) -> None:
    """The pseudonym would stand beside what it hides."""
    with pytest.raises(DataError, match=rf"column 'user_id' is user_id, which is personal, and {other} too") as caught:
        read(root, "a.csv", csv("ann@example.com,a,x"), columns={other: "user_id"})
    assert "ann@" not in str(caught.value)
    assert read(root, "a.csv", csv("u,a,x"), columns={other: "event"})[other] == ["x"]


@pytest.mark.parametrize("copy", ["{}", "{}-1", "of {}", "{:.1f}"])
def test_a_personal_value_stands_in_no_other_column(root: Path, copy: str) -> None:
    """Alone, within a longer value, as a number of another type; half of the rows may be by chance."""
    ids = [4711, 52043, 690017, 81115]
    rows = [f"{one},a{n},{copy.format(one)}" for n, one in enumerate(ids)]
    with pytest.raises(
        DataError, match=r"column 'user_id' is user_id, which is personal, and stands in column 'event', event, too"
    ) as caught:
        read(root, "a.csv", csv(*rows))
    assert "4711" not in str(caught.value)
    mixed = [*rows[:2], "690017,a2,", "81115,a3,81", "7,a4,x"]
    assert read(root, "a.csv", csv(*mixed))["user_id"] == ["4711", "52043", "690017", "81115", "7"]


@pytest.mark.parametrize("words", [("true", "false"), ("True", "FALSE"), ("yes", "no")])
def test_flags_that_agree_are_no_copies(root: Path, words: tuple[str, str]) -> None:
    """Two rare things are both no in most rows."""
    flags = [words[1]] * 30 + [words[0]] * 3
    rows = [f"u{n},{one},{other}" for n, (one, other) in enumerate(zip(flags, flags[::-1], strict=True))]
    table = csv(*rows, header="who,user_id,event")
    assert read(root, "a.csv", table, columns={"item_id": "who"})["event"] == flags[::-1]


def test_a_copy_is_told_before_a_value_is(root: Path) -> None:
    """Where it is no number, the message about it would quote it; short ids meet by chance, but ten do not."""
    rows = [f"{name}@x.example,i,e,{name}@x.example" for name in ("ann", "bob")]
    text = "user_id,item_id,event,value\n" + "\n".join(rows)
    with pytest.raises(DataError, match="stands in column 'value'") as caught:
        read(root, "a.csv", text)
    assert "@x" not in str(caught.value)
    few = [f"{n},{n},x" for n in range(9)]
    assert read(root, "a.csv", csv(*few))["item_id"] == [str(n) for n in range(9)]
    with pytest.raises(DataError, match="stands in column 'item_id'"):
        read(root, "a.csv", csv(*few, "9,9,x"))


def test_a_long_number_with_a_point_is_no_id(root: Path) -> None:
    """In JSON, and as programs write a column with holes; whole numbers keep their digits, times their instants."""
    ids = ["9007199254740993.0", "1.5e22", "1e300", "123456789012345678901", "12345678.0", "9007199254740991.0"]
    rows = "\n".join(f'{{"user_id": "u", "item_id": {one}, "timestamp": 1.7e18, "value": {one}}}' for one in ids)
    found = read(root, "a.jsonl", rows)
    assert found["item_id"] == [None, None, None, "123456789012345678901", "12345678", "9007199254740991"]
    assert found["timestamp"] == [datetime.fromtimestamp(1_700_000_000, UTC)] * len(ids)
    assert found["value"] == [float(one) for one in ids]
    lost = read(root, "a.csv", csv("u,12345678901234567.0,x", "v,1234567890123456.0,y", "w,12345678901234567,z"))
    assert lost["item_id"] == [None, "1234567890123456.0", "12345678901234567"]


def test_no_folder_names_a_person(root: Path) -> None:
    """The names of files stand in messages, in quarantine and on its page."""
    with pytest.raises(DataError, match=r"the name of a folder says 'buyer', which is personal") as caught:
        read(root, "day=1/buyer=ann/a.csv", csv("u,a,x"), columns={"user_id": "buyer"}, path="day=*/*/*.csv")
    assert "ann" not in str(caught.value)
    assert read(root, "event=x/a.csv", "user_id,item_id\nu,a\n")["event"] == ["x"]


@pytest.mark.parametrize("text", ["user_id,item_id\nu\r,a\n", "user_id,item_id\nu,a\rv,b\n"])
def test_a_carriage_return_alone_is_told(root: Path, text: str) -> None:
    """DuckDB speaks of a state machine; in quotes it is a part of the field."""
    with pytest.raises(DataError, match=r"got a carriage return alone among other ends"):
        read(root, "a.csv", text)
    assert read(root, "a.csv", 'user_id,item_id\nu,"a\rb"\n')["item_id"] == ["a\rb"]


@pytest.mark.parametrize("whole", [False, True])
def test_half_an_emoji_in_json_costs_nothing_else(root: Path, caplog: pytest.LogCaptureFixture, whole: bool) -> None:
    """Python, who joins pairs of escapes and keeps halves, says which characters are halves; backslashes stay."""
    draw = random.Random(0)
    parts = [r"\ud83d", r"\uDE00", r"\\", r"\"", r"\n", r"\u00e9", "x", "\N{WINKING FACE}", "ud83d", "de00"]
    written = ["".join(draw.choices(parts, k=draw.randint(1, 9))) for _ in range(300)]
    rows = [f'{{"user_id": {n}, "item_id": 1, "event": "_{one}", "x": "{one}"}}' for n, one in enumerate(written)]
    halves = [len(re.findall("[\ud800-\udfff]", json.loads(one)["event"])) for one in rows]
    assert 100 < sum(map(bool, halves)) < 250
    found = read(root, "a.json", f"[{', '.join(rows)}]" if whole else "\n".join(rows))
    assert found["event"] == [re.sub("[\ud800-\udfff]", "\ufffd", json.loads(one)["event"]) for one in rows]
    first = 1 if whole else next(at for at, count in enumerate(halves, start=1) if count)
    assert f"a.json: {2 * sum(halves)} times a text holds half a character" in caplog.text
    assert f"first in line {first};" in caplog.text


def test_half_an_emoji_beside_bytes_that_are_no_text(root: Path) -> None:
    """Both copies are made; what is broken for another reason is told by its own line."""
    latin = b'{"user_id": 1, "item_id": 2, "event": "\\ud83d", "x": "caf\xe9"}\n'
    assert read(root, "a.jsonl", latin)["event"] == ["\ufffd"]
    with pytest.raises(DataError, match=r"line 1: column 'x': expected UTF-8"):
        read(root, "a.jsonl", latin, columns={"event": "x"})
    for wrong in ('{"user_id": 1, "event": "\\ud83d"', '{"user_id": "\\ud8zz"}'):
        with pytest.raises(DataError, match=r"line 2: expected one JSON object on each line"):
            read(root, "a.jsonl", latin + wrong.encode())
