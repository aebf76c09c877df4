"""Values as tables bring them: what cannot be read costs its row and is told, and ids of several spellings are told."""

import logging

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.config import Options, Scenario
from pipeline.data.pseudonyms import pseudonym
from pipeline.errors import DataError, RefusedError
from pipeline.folders import Home
from pipeline.results import CLEAN, INGEST
from pipeline.runs.account import accounts
from pipeline.runs.run import Run
from pipeline.steps.ingest import ingest
from pipeline.steps.prepare import prepare
from pipeline.steps.validate import validate

pytestmark = pytest.mark.slow

KEY = "a secret of more than sixteen characters"
ROWS = 60


@pytest.fixture
def data(tmp_path, monkeypatch):
    """An empty data folder, and a key."""
    folder = tmp_path / "data"
    folder.mkdir()
    monkeypatch.setenv("CROSSLIFT_DATA", str(folder))
    monkeypatch.setenv("CROSSLIFT_KEY", KEY)
    return folder


def table(domain, **columns):
    """Sound rows of a domain, as texts; `columns` replaces values by (column, row)."""
    frame = pd.DataFrame(
        {
            "user_id": [f"u{row % 12}" for row in range(ROWS)],
            "item_id": [f"{domain[0]}{row % 10}" for row in range(ROWS)],
            "domain": domain,
            "timestamp": [f"2024-01-{1 + row % 28:02} 12:{row:02}:00" for row in range(ROWS)],
        }
    )
    for name, values in columns.items():
        frame[name] = frame.get(name, "")
        for row, value in values.items():
            frame.loc[row, name] = value
    return frame


def scenario(interactions, items=(), **more):
    """From books to films, by time."""
    return Scenario.model_validate(
        {
            "name": "toy",
            "title": "Toy",
            "sources": ["books"],
            "target": "films",
            "bridges": ["users"],
            "tables": {"interactions": interactions, "items": items},
            "split": {"kind": "time"},
            "strategies": [{"tune": {"kind": "scratch"}}],
            "baselines": [{"kind": "popularity"}],
            **more,
        }
    )


def start(tmp_path, chosen, run_id="one"):
    """A run of a scenario."""
    return Run.start(Home((tmp_path / "home").resolve()), run_id, chosen, Options())


@pytest.mark.parametrize("value", ["0000-00-00", "None", "2024-02-30", "soon"])
def test_one_broken_time_costs_its_row(data, tmp_path, value):
    """It lies in quarantine with its place, every row is accounted for, and nothing else is lost."""
    table("books").to_csv(data / "books.csv", index=False)
    table("films", timestamp={6: value}).to_csv(data / "films.csv", index=False)
    run = start(tmp_path, scenario([{"path": "*.csv"}]))
    ingested = ingest(run)
    assert ingested["films"].facts.rows == ROWS - 1
    assert ingested["films"].facts.unreadable == {"interactions": 1}
    assert ingested["books"].facts.unreadable == {}
    checked = validate(run)
    assert checked.facts.quarantined == 1
    folder = run.path(run.result(CLEAN, "films"))
    [row] = pq.read_table(folder / "quarantine.parquet").to_pylist()
    assert (row["rule"], row["table"], row["unread_file"]) == ("unreadable_timestamp", "interactions", "films.csv")
    assert (row["unread_row"], row["unread_column"], row["unread_value"]) == (7, "timestamp", repr(value))
    assert (row["user_id"], row["item_id"]) == (pseudonym("u6", KEY.encode()), "f6")
    page = (run.path(checked) / checked.facts.data_docs).read_text()
    assert "films.csv, row 7, column &#39;timestamp&#39;: expected a date and time" in page
    prepare(run)
    films = accounts(run)[1]
    assert (films.read, films.quarantined) == (ROWS, {"unreadable_timestamp": 1})  # Account itself checks the sum
    clean = pq.read_table(folder / "interactions.parquet")
    assert clean.num_rows == ROWS - 1
    assert "unread" not in clean.column_names


def test_more_than_the_limit_stops_the_run_with_the_worst_reason(data, tmp_path):
    """The message has rule, counts, place, what was expected and the value; a higher limit lets the rows pass."""
    table("books").to_csv(data / "books.csv", index=False)
    table("films", timestamp=dict.fromkeys(range(6), "None")).to_csv(data / "films.csv", index=False)
    run = start(tmp_path, scenario([{"path": "*.csv"}], quarantine_limit=0.05))
    ingest(run)
    with pytest.raises(
        RefusedError,
        match=r"at most 5% of the rows in quarantine, got 0\.1\. To do: most of interactions left by "
        r"unreadable_timestamp, 6 of 60 rows, such as films\.csv, row \d, column 'timestamp': expected a date and time "
        r".*, got 'None'.*quarantine_limit",
    ):
        validate(run)
    again = start(tmp_path, scenario([{"path": "*.csv"}], quarantine_limit=0.1), "two")
    assert all(result.reused for result in ingest(again).values())
    assert validate(again).facts.quarantined == 6


def test_a_personal_value_is_nowhere(data, tmp_path):
    """Neither in quarantine nor in a page, also where it could not be read, or is no id at all."""
    table("books").to_csv(data / "books.csv", index=False)
    table("films", user_id={3: "ann@example.com\0", 4: "ann@\nexample.com", 5: "ann@example" * 30}).to_parquet(
        data / "films.parquet"
    )
    chosen = scenario([{"path": "books.csv"}, {"path": "films.parquet"}], personal=[])
    run = start(tmp_path, chosen)
    ingest(run)
    validate(run)
    rows = pq.read_table(run.path(run.result(CLEAN, "films")) / "quarantine.parquet").to_pylist()
    assert {(row["rule"], row["unread_value"]) for row in rows} == {("unreadable_user_id", None)}
    told = {row["unread_row"]: row["unread_expected"] for row in rows}
    assert told == {4: "an id without NUL characters", 5: "no control characters", 6: "1 to 256 characters"}
    written = [path.read_bytes() for path in (tmp_path / "home").rglob("*") if path.is_file()]
    assert not [content for content in written if b"ann@example" in content]


def test_a_column_that_nothing_reads_costs_no_row(data, tmp_path, caplog):
    """Its value is left empty and told; where the scenario names the column, its row leaves."""
    pd.concat([table("books"), table("films")]).to_csv(data / "rows.csv", index=False)
    names = [(f"{domain[0]}{place}", domain) for domain in ("books", "films") for place in range(10)]
    items = pd.DataFrame(names, columns=["item_id", "domain"]).assign(price="14.99", title="a film")
    items.loc[11, "price"], items.loc[12, "price"] = "from 14.99", "-1"
    items.to_csv(data / "items.csv", index=False)
    run = start(tmp_path, scenario([{"path": "rows.csv"}], [{"path": "items.csv"}]))
    with caplog.at_level(logging.WARNING, "pipeline"):
        assert ingest(run)["films"].facts.unreadable == {}
    assert "items.csv: column 'price', row 12: expected a number" in caplog.text
    assert "got 'from 14.99'; left empty, 2 in all" in caplog.text
    assert pq.read_table(run.path(run.result(INGEST, "films")) / "items.parquet")["price"].null_count == 2
    named = start(
        tmp_path, scenario([{"path": "rows.csv"}], [{"path": "items.csv", "columns": {"price": "price"}}]), "2"
    )
    assert ingest(named)["films"].facts.unreadable == {"items": 1}


def test_a_column_of_another_kind_stops_the_run(data, tmp_path):
    """Where no value of a column can be read, the mapping is wrong and not the rows."""
    table("books").to_csv(data / "books.csv", index=False)
    table("films").to_csv(data / "films.csv", index=False)
    run = start(tmp_path, scenario([{"path": "*.csv", "columns": {"timestamp": "item_id"}}]))
    with pytest.raises(
        DataError, match=r"books\.csv: column 'item_id', row 1: expected a date and time .*, got 'b0'\.$"
    ):
        ingest(run)


def padded(data):
    """Interactions by number, items by the same number with zeros in front."""
    rows = pd.concat([table("books"), table("films")])
    rows["item_id"] = rows["item_id"].str[1:].astype(int)
    rows.to_parquet(data / "rows.parquet")
    items = pd.DataFrame({"item_id": [f"{place:04}" for place in range(10)], "domain": "films", "title": "a film"})
    both = pd.concat([items, items.assign(domain="books")])
    both.to_csv(data / "items.csv", index=False)


def test_ids_of_several_spellings_are_told_and_made_one(data, tmp_path, caplog):
    """A number here, the same with zeros there: told each night; said once under `alike` it is one id in all tables."""
    padded(data)
    run = start(tmp_path, scenario([{"path": "rows.parquet"}], [{"path": "items.csv"}]))
    with caplog.at_level(logging.WARNING, "pipeline"):
        first = ingest(run)["films"].facts.spellings
    assert len(first) == 2
    assert first[1].startswith(
        "item_id: 10 ids in films seem to be spelt in several ways, such as '0' and '0000', and count as different ones"
    )
    assert "`item_id: {alike: [zeros]}`" in caplog.text
    caplog.clear()
    again = ingest(start(tmp_path, scenario([{"path": "rows.parquet"}], [{"path": "items.csv"}]), "two"))
    assert (again["films"].reused, again["films"].facts.spellings) == (True, first)
    assert "alike" in caplog.text
    alike = [{"path": "rows.parquet", "columns": {"item_id": {"alike": ["zeros"]}}}]
    joined = start(tmp_path, scenario(alike, [{"path": "items.csv"}]), "three")
    result = ingest(joined)["films"]
    assert result.facts.spellings == ()
    folder = joined.path(result)
    ids = [set(pq.read_table(folder / f"{name}.parquet")["item_id"].to_pylist()) for name in ("interactions", "items")]
    assert ids[0] == ids[1] == {str(place) for place in range(10)}


def test_personal_ids_of_several_spellings_show_their_shape_alone(data, tmp_path):
    """Across domains, because users are the bridge; no digit of a user is told."""
    books, films = table("books"), table("films")
    books["user_id"] = [f"00{77 + row % 12}" for row in range(ROWS)]
    films["user_id"] = [f"{77 + row % 12}.0" for row in range(ROWS)]
    books.to_csv(data / "books.csv", index=False)
    films.to_csv(data / "films.csv", index=False)
    tables = [{"path": "books.csv"}, {"path": "films.csv", "columns": {"user_id": {"alike": ["decimals"]}}}]
    [told] = ingest(start(tmp_path, scenario(tables)))["films"].facts.spellings
    assert told.startswith(
        "user_id: 12 ids, the domains taken together, seem to be spelt in several ways, such as '0099'"
    )
    assert "77" not in told
    assert not ingest(start(tmp_path, scenario(tables, bridges=[]), "two"))["films"].facts.spellings


def test_numbers_of_any_type_are_one_id(data, tmp_path):
    """7 in one file, 7.0 in a column with a hole in another, a decimal and a text in others: one item."""
    kinds = {"int64": [7, 8], "float64": [7.0, float("nan")], "float32": [7.0, 8.0], "str": ["7", " 8 "]}
    for kind, ids in kinds.items():
        frame = pd.DataFrame({"user_id": ["a", "b"], "item_id": pd.Series(ids, dtype=kind), "timestamp": "2024-01-01"})
        pq.write_table(
            pa.Table.from_pandas(frame.assign(domain="books"), preserve_index=False), data / f"{kind}.parquet"
        )
    table("films").to_csv(data / "films.csv", index=False)
    run = start(tmp_path, scenario([{"path": "*.parquet"}, {"path": "films.csv"}]))
    books = pq.read_table(run.path(ingest(run)["books"]) / "interactions.parquet")["item_id"]
    assert {one["values"]: one["counts"] for one in books.value_counts().to_pylist()} == {"7": 4, "8": 3, None: 1}


def test_a_row_without_a_readable_domain_is_of_none(data, tmp_path):
    """It is counted with the rows of other domains, and told."""
    films = table("films")
    films.loc[5, "domain"] = "None"
    pd.concat([table("books"), films]).to_csv(data / "rows.csv", index=False)
    run = start(tmp_path, scenario([{"path": "rows.csv"}]))
    results = ingest(run)
    assert results["films"].facts.rows == ROWS - 1
    assert results["films"].facts.ignored_rows == {"interactions": {"(none)": 1}}
