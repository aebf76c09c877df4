"""A quote that nobody meant must not make one row of many, and a text of several lines must stay one."""

from itertools import cycle
from pathlib import Path

import pytest

from pipeline.errors import DataError
from tests.reading import read


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Give an empty data folder."""
    return tmp_path.resolve()


def lines(count: int = 800, place: int = 3) -> list[list[str]]:
    """Give a header and rows, one a line, with a text at one place."""
    rows = [[f"u{number}", f"i{number}", str(number)] for number in range(1, count)]
    names = ["user_id", "item_id", "value"]
    return [[*row[:place], text, *row[place:]] for row, text in zip(
        [names, *rows], ["event", *(f"plain text {number}" for number in range(1, count))], strict=True)]  # fmt: skip


def csv(rows: list[list[str]], end: str = "\n") -> str:
    """Write rows as they are, without a quote of its own."""
    return "".join(",".join(row) + end for row in rows)


@pytest.mark.parametrize(
    ("place", "first", "last", "end"),
    [(3, 100, 600, "\n"), (1, 100, 600, "\r\n"), (0, 100, 101, "\n"), (3, 2, 800, "\n"), (1, 2, 3, "\n")],
)
def test_a_quote_that_swallows_rows_is_refused(root: Path, place: int, first: int, last: int, end: str) -> None:
    """The message names the lines in which the field begins and ends; as characters like any other the rows are 799."""
    rows = lines(place=place)
    rows[first - 1][place], rows[last - 1][place] = '"5 inch nails', 'Inch 5"'
    with pytest.raises(DataError, match=rf"column 'event': a quote .* line {first} that closes in line {last}.*: none"):
        read(root, "a.csv", csv(rows, end))
    found = read(root, "a.csv", csv(rows, end), quote="none")
    assert len(found["event"]) == 799
    assert [found["event"][first - 2], found["event"][last - 2]] == ['"5 inch nails', 'Inch 5"']


def test_it_is_found_behind_texts_of_several_lines(root: Path) -> None:
    """And behind empty lines, with the right lines."""
    rows = lines()
    rows[9][3] = '"a text,\n\nwith lines"'  # lines 10 to 12
    rows[99][3], rows[599][3] = '"5 inch nails', 'Inch 5"'
    text = csv(rows).replace("u50,", "\n\nu50,")
    assert text.splitlines()[103].endswith('"5 inch nails')
    with pytest.raises(DataError, match=r"line 104 that closes in line 604"):
        read(root, "a.csv", text)


def test_a_quote_that_nothing_closes_is_refused(root: Path) -> None:
    """With its line."""
    rows = lines()
    rows[99][3] = '"5 inch nails'
    with pytest.raises(DataError, match=r"line 100: a quote opens a field and no quote .*`quote: none`"):
        read(root, "a.csv", csv(rows))


REVIEWS = (
    "Great.\nWorks well, really.",
    "One\n\nTwo, three\n",
    "\n\n\n",
    "Bought 2, sent back 1,\n5 stars, though",
    "a,b,c\nd,e,f\ng,h,i",
    "x\n" * 500,
)


@pytest.mark.parametrize("place", [0, 1, 3])
def test_texts_of_several_lines_are_read(root: Path, place: int) -> None:
    """Of people: with commas, with empty lines, in any column."""
    rows = lines(place=place)
    for row, review in zip(rows[1::3], cycle(REVIEWS), strict=False):
        row[place] = f'"{review}"'
    found = read(root, "a.csv", csv(rows))["event"]
    assert found == [row[place].strip('"') for row in rows[1:]]


def test_who_states_the_quote_is_believed(root: Path) -> None:
    """The refusal names this way out."""
    rows = lines(3)
    rows[1][3], rows[2][3] = '"a', 'b"'
    assert read(root, "a.csv", csv(rows), quote='"')["event"] == ["a\nu2,i2,2,b"]
