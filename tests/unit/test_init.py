"""Crosslift init: a scenario from files alone, which passes the check and says what it could not know."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pipeline import columns as c
from pipeline.cli.app import app
from pipeline.config import Scenario
from pipeline.data.looking.starting import Start, start
from pipeline.errors import ConfigError, DataError
from pipeline.scenarios import check_file


def written(folder: Path, **files: str) -> Path:
    """Write files, whose names have an underscore for the point."""
    folder.mkdir(exist_ok=True)
    for name, content in files.items():
        (folder / name.replace("_", ".")).write_text(content)
    return folder.resolve()


def scenario_of(begun: Start, folder: Path, name: str = "shops") -> Scenario:
    """Read what was written as a scenario."""
    (folder.parent / f"{name}.yaml").write_text(begun.text)
    return check_file(folder.parent / f"{name}.yaml")


def log(users: range, items: str, header: str, separator: str = ",", rows: int = 30) -> str:
    """Some rows of users and items with a time."""
    lines = [
        separator.join((f"u{users[row % len(users)]}", f"{items}{row % 7}", str(1_700_000_000 + row * 1000)))
        for row in range(rows)
    ]
    return "\n".join([header.replace(",", separator), *lines]) + "\n"


def test_two_shops_without_a_word(tmp_path):
    """Odd names and another separator: the poorer shop is the target, users are in common, time parts the rows."""
    films = log(range(10), "f", "userid,productId,ts", ";")
    folder = written(
        tmp_path / "in", films_csv=films, books_csv=log(range(5, 12), "b", "customer,isbn,ordered_at", rows=20)
    )
    begun = start(folder, ".", "shops")
    found = scenario_of(begun, folder)
    assert (found.sources, found.target, found.bridges) == (("films",), "books", ("users",))
    assert found.split.kind == "time"
    by_path = {table.path: table for table in found.tables.interactions}
    assert by_path["films.csv"].separator == ";"
    assert {name: how.column for name, how in by_path["films.csv"].columns.items()} == {
        c.USER: "userid", c.ITEM: "productId", c.TIMESTAMP: "ts",
    }  # fmt: skip
    assert by_path["books.csv"].constants == {c.DOMAIN: "books"}
    assert any("source" in one and "target" in one for one in begun.open_questions)
    assert "# NOT KNOWN: which is the source" in begun.text
    assert "# seen: 5 of 7 users of the target are in a source" in begun.text
    guesses = [line for line in begun.text.splitlines() if line.startswith("        ")]
    assert all("# guessed" in line for line in guesses)


def test_events_and_ratings_are_asked_for(tmp_path):
    """Nothing in a file says what an event counts, so the settings are named; a log without them is not asked."""
    films = log(range(10), "f", "user_id,item_id,ts").splitlines()
    films = [f"{line},{('view', 'purchase')[row % 2] if row else 'action'}" for row, line in enumerate(films)]
    books = log(range(5, 12), "b", "user_id,item_id,ts", rows=20).splitlines()
    books = [f"{line},{row % 5 + 1 if row else 'rating'}" for row, line in enumerate(books)]
    folder = written(tmp_path / "in", films_csv="\n".join(films), books_csv="\n".join(books))
    asked = [one for one in start(folder, ".", "shops").open_questions if one.startswith("what the rows of")]
    assert len(asked) == 2
    assert any("films.csv count by 'action'" in one and "relevant: {event: [...]}" in one for one in asked)
    assert any("books.csv count by 'rating'" in one and "relevant: {rating: {at_least: ...}}" in one for one in asked)
    plain = written(tmp_path / "plain", films_csv=log(range(10), "f", "user_id,item_id,ts"),
                    books_csv=log(range(5, 12), "b", "user_id,item_id,ts", rows=20))  # fmt: skip
    assert not [one for one in start(plain, ".", "shops").open_questions if one.startswith("what the rows of")]


def test_one_file_with_a_column_of_markets(tmp_path):
    """The values of that column are the domains, by names that a scenario takes."""
    rows = "".join(
        f"U{row % 10},P{row % 5},2024-01-{row % 28 + 1:02},{'DE 1' if row % 3 else 'FR'}\n" for row in range(30)
    )
    folder = written(tmp_path / "in", all_csv=f"user_id,item_id,timestamp,country\n{rows}")
    found = scenario_of(start(folder, ".", "shops"), folder)
    assert (found.sources, found.target) == (("de_1",), "fr")
    [table] = found.tables.interactions
    assert table.columns[c.DOMAIN].column == "country"
    assert table.domains == {"de_1": "DE 1", "fr": "FR"}
    assert found.bridges == ("users", "items")


def test_spellings_that_hide_what_is_in_common(tmp_path):
    """Ids of one table that went through a floating-point number: said to be alike, and asked."""
    one = "user_id,item_id,ts\n" + "".join(f"{row % 9 + 100},f{row % 4},{1_700_000_000 + row}\n" for row in range(30))
    two = "user_id,item_id,ts\n" + "".join(f"{row % 6 + 100}.0,b{row % 4},{1_700_000_000 + row}\n" for row in range(20))
    folder = written(tmp_path / "in", a_csv=one, b_csv=two)
    begun = start(folder, ".", "shops")
    found = scenario_of(begun, folder)
    assert found.bridges == ("users",)
    assert all(table.columns[c.USER].alike == ("decimals",) for table in found.tables.interactions)
    assert any("6 instead of 0 ids" in question for question in begun.open_questions)


def test_catalogues_and_what_has_no_time(tmp_path):
    """Each shop's own titles are a bridge; without a time users whom the source knows test."""
    rows = [f"u{row % 9},{{}}{row % 4}\n" for row in range(30)]
    folder = written(
        tmp_path / "in",
        films_csv="user_id,item_id\n" + "".join(rows).replace("{}", "f"),
        books_csv="user_id,item_id\n" + "".join(rows[:20]).replace("{}", "b"),
        filmtitles_csv="item_id,title\n" + "".join(f"f{item},Film {item}\n" for item in range(4)),
        booktitles_csv="item_id,title\n" + "".join(f"b{item},Book {item}\n" for item in range(4)),
        notes_txt="nothing of use here\n",
    )
    begun = start(folder, ".", "shops")
    found = scenario_of(begun, folder)
    assert found.split.kind == "cold_users"
    assert found.bridges == ("users", "item_features")
    assert {table.path: table.constants[c.DOMAIN] for table in found.tables.items} == {
        "filmtitles.csv": "films", "booktitles.csv": "books",
    }  # fmt: skip
    assert set(begun.unused) == {"notes.txt"}


def test_a_label(tmp_path):
    """Columns of both files become features; ids, people and the label itself do not."""
    header = "contract,e-mail,income,number,job,said,kind,blank,late,paid\n"
    rows = [
        f"c{row},p{row}@mail.org,{1000 + row // 2 * 7},{row},{'abc'[row % 3]},I need {row} cars,new,,"
        f"{'yes' if row % 4 else 'no'},{row % 2}\n"
        for row in range(60)
    ]
    few = "".join(row[: row.rindex(",")] + "\n" for row in [header, *rows[:30]])
    folder = written(tmp_path / "in", cards_csv=header + "".join(rows), cars_csv=few)
    begun = start(folder, ".", "loans")
    found = scenario_of(begun, folder, "loans")
    assert (found.task.kind, found.task.label, found.target) == ("binary", "late", "cars")
    assert found.task.features == {"income": "number", "job": "category", "said": "text"}
    for name, why in {
        "contract": "another value in nearly every row", "number": "another value in nearly every row",
        "e-mail": "seems to name a person", "kind": "the same in all rows", "paid": "not in cars.csv",
        "blank": "holds nothing",
    }.items():  # fmt: skip
        assert f"    # left out: {name}, {why}\n" in begun.text
    assert begun.text.count("# left out") == 6
    assert any("only known afterwards" in question for question in begun.open_questions)


@pytest.mark.parametrize(
    ("files", "match"),
    [
        ({"a_csv": "x,z\n1,2\n3,4\n"}, r"no scenario can be guessed.*\n.*a\.csv: x, z"),
        ({"a_csv": log(range(5), "i", "user_id,item_id,ts")}, r"a\.csv: holds rows of one domain only"),
        (
            {"a_csv": "user_id,item_id\nu1,i1\nu2,i2\n", "b_csv": "user_id,item_id\nx1,j1\nx2,j2\n"},
            "no way to part rows for training and test",
        ),
        (
            {"a_csv": "user_id,item_id,date\nu1,i1,12/13/10\n", "b_csv": "user_id,item_id,date\nx1,j1,2/3/11\n"},
            r"no way to part rows.* a\.csv: column 'date', row 1: .*two digits.* b\.csv: column 'date', row 1",
        ),
    ],
)
def test_what_cannot_be_guessed_is_not_written(tmp_path, files, match):
    """With what was seen, and what to do."""
    with pytest.raises(DataError, match=match):
        start(written(tmp_path / "in", **files), ".", "shops")


def test_the_command_never_overwrites(tmp_path, monkeypatch):
    """It writes once, below CROSSLIFT_SCENARIOS; paths are those below CROSSLIFT_DATA where the folder lies there."""
    data = written(tmp_path / "data", other_csv="x\n1\n")
    written(
        data / "in", a_csv=log(range(9), "f", "user_id,sku,ts"), b_csv=log(range(9), "b", "user_id,sku,ts", rows=20)
    )
    monkeypatch.setenv("CROSSLIFT_DATA", str(data))
    monkeypatch.setenv("CROSSLIFT_SCENARIOS", str(tmp_path / "scenarios"))
    told = CliRunner().invoke(app, ["init", str(data / "in"), "--name", "mine", "--json"])
    assert told.exit_code == 0, told.output
    path = tmp_path / "scenarios" / "mine.yaml"
    assert json.loads(told.stdout)["path"] == str(path)
    assert [table.path for table in check_file(path).tables.interactions] == ["in/a.csv", "in/b.csv"]
    path.write_text("mine")
    again = CliRunner().invoke(app, ["init", str(data / "in"), "--name", "mine"])
    assert isinstance(again.exception, ConfigError)
    assert path.read_text() == "mine"
