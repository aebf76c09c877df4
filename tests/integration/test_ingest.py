"""ingest: tables of any format become one immutable snapshot a domain, or nothing at all."""

import errno
import gzip
import os
import sqlite3
import subprocess
import sys

import pandas as pd
import pyarrow as pa
import pytest
from pyarrow import parquet

from pipeline.config import Embedded, Options, Scenario
from pipeline.data import snapshot
from pipeline.data.pseudonyms import key_id, pseudonym
from pipeline.errors import ConfigError, DataError, MissingResultError, StorageError
from pipeline.folders import Home
from pipeline.results import INGEST, IngestFacts
from pipeline.runs.run import Run
from pipeline.scenarios import load_scenario
from pipeline.steps.ingest import ingest

pytestmark = pytest.mark.slow

KEY = "a secret of more than sixteen characters"
ROWS = pd.DataFrame(
    {
        "user_id": ["007", "ann", "ann", "007", "Zoë😀", "ann", "ann"],
        "item_id": ["1", "2", "2", "9", "1", "5", "5"],
        "domain": ["books", "books", "books", "films", "films", "games", "films"],
        "timestamp": ["2024-01-01", "2024-01-02", "2024-01-02", "2024-01-03", "2024-01-04", "2024-01-05", "2024-01-06"],
        "value": ["1.5", "nan", "-0", "inf", "1", "", "0"],
    }
)


@pytest.fixture
def data(tmp_path, monkeypatch):
    """An empty data folder, and no key in the environment."""
    folder = tmp_path / "data"
    folder.mkdir()
    monkeypatch.setenv("CROSSLIFT_DATA", str(folder))
    monkeypatch.delenv("CROSSLIFT_KEY", raising=False)
    return folder


def scenario(*tables, **more):
    """From books to films; `tables` are those of interactions."""
    return Scenario.model_validate(
        {
            "name": "toy",
            "title": "Toy",
            "sources": ["books"],
            "target": "films",
            "bridges": ["users"],
            "tables": {"interactions": tables, "items": more.pop("items", [])} if tables else None,
            "pseudonymous": True,
            "split": {"kind": "time"},
            "strategies": [{"tune": {"kind": "scratch"}}],
            "baselines": [{"kind": "popularity"}],
            **more,
        }
    )


@pytest.fixture
def start(tmp_path):
    """Ingest a scenario in a run."""

    def start(chosen, run_id="one", home="home"):
        run = Run.start(Home((tmp_path / home).resolve()), run_id, chosen, Options())
        return run, ingest(run)

    return start


def manifests(results):
    """Identity of each domain's content."""
    return {domain: result.manifest for domain, result in results.items()}


def table_of(run, result, kind="interactions"):
    """What a step published."""
    return parquet.read_table(run.path(result) / f"{kind}.parquet")


def test_a_snapshot_holds_the_domain_sorted_and_typed(data, start):
    """Strings as strings, times in UTC, NaN and infinity kept, rows sorted, rows of other domains counted."""
    ROWS.to_csv(data / "rows.csv", index=False)
    run, results = start(scenario({"path": "rows.csv", "columns": {"value": "value"}}))
    books = table_of(run, results["books"])
    assert books.drop(["timestamp", "value"]).to_pydict() == {
        "user_id": ["007", "ann", "ann"],
        "item_id": ["1", "2", "2"],
        "domain": ["books"] * 3,
    }
    assert str(books["value"].to_pylist()) == "[1.5, 0.0, nan]"
    assert books.schema.field("timestamp").type == pa.timestamp("us", tz="UTC")
    assert results["books"].facts == IngestFacts(
        rows=3, counted={"users": 2, "items": 2}, ignored_rows={"interactions": {"games": 1}}
    )
    assert run.result(INGEST, "books") == results["books"]


def write_all_formats(data):
    """The same rows, each time in another order, in every format; name -> table of a scenario."""
    numbered = [ROWS.sample(frac=1, random_state=seed) for seed in range(5)]
    numbered[0].to_csv(data / "a.csv", index=False)
    numbered[1].to_parquet(data / "a.parquet")
    (data / "a.jsonl.gz").write_bytes(gzip.compress(numbered[2].to_json(orient="records", lines=True).encode()))
    numbered[3][:3].to_csv(data / "part-1.csv.bz2", index=False)
    numbered[3][3:].to_csv(data / "part-2.csv.bz2", index=False)
    with sqlite3.connect(data / "a.db") as connection:
        numbered[4].to_sql("sales", connection)
    connection.close()
    query = {"url": "sqlite:///a.db", "query": "SELECT * FROM sales"}
    paths = {name: {"path": name} for name in ("a.csv", "a.parquet", "a.jsonl.gz", "part-*.csv.bz2")}
    return {**paths, "sql": query}


def test_equal_content_gives_equal_bytes_in_every_format(data, start):
    """CSV, Parquet, JSON lines, a glob and SQL, each in another order of rows, end in the same manifests."""
    found = {
        name: manifests(start(scenario(table), run_id="run", home=f"home-{name}")[1])
        for name, table in write_all_formats(data).items()
    }
    assert len(found) == 5
    assert all(one == found["a.csv"] for one in found.values()), found


def test_items_are_split_by_domain_and_hold_canonical_columns_only(data, start):
    """Texts with markup or formulas are data like any other."""
    ROWS.to_csv(data / "rows.csv", index=False)
    titles = ["<script>alert(1)</script>", "=1+1", "plain"]
    items = pd.DataFrame({"item_id": ["1", "9", "2"], "domain": ["books", "films", "books"], "name": titles, "x": 1})
    items.to_parquet(data / "items.parquet")
    run, results = start(
        scenario({"path": "rows.csv"}, items=[{"path": "items.parquet", "columns": {"title": "name"}}])
    )
    books = table_of(run, results["books"], "items")
    assert books.to_pydict() == {"item_id": ["1", "2"], "domain": ["books"] * 2, "title": [titles[0], "plain"]}
    assert results["films"].facts.counted["item_rows"] == 1


def test_unchanged_files_are_not_read(data, start, monkeypatch):
    """A second run finds both folders by the files' bytes alone."""
    ROWS.to_csv(data / "rows.csv", index=False)
    _, first = start(scenario({"path": "rows.csv"}))
    monkeypatch.setattr("pipeline.data.readers.reading.read_file", None)
    _, second = start(scenario({"path": "rows.csv"}), run_id="two")
    assert all(result.reused for result in second.values())
    assert [result.facts for result in second.values()] == [result.facts for result in first.values()]
    assert manifests(second) == manifests(first)


def test_looking_up_loads_nothing_heavy():
    """In a fresh interpreter."""
    code = "import sys, pipeline.steps.ingest; print({'pyarrow', 'pandas', 'numpy', 'sqlalchemy'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_rows_of_other_domains_leave_a_snapshot_alone(data, start):
    """A new row of the target, or of a domain that the scenario does not name, keeps the source's bytes."""
    path = data / "rows.csv"
    ROWS.to_csv(path, index=False)
    _, before = start(scenario({"path": "rows.csv"}))
    with path.open("a") as file:
        file.write("ann,3,films,2024-02-01,1\nann,3,games,2024-02-01,1\n")
    _, after = start(scenario({"path": "rows.csv"}), run_id="two")
    assert after["books"].manifest == before["books"].manifest
    assert after["films"].manifest != before["films"].manifest
    assert after["books"].facts.ignored_rows == {"interactions": {"games": 2}}


def test_a_changed_query_result_is_noticed(data, start):
    """And one that only came in another order is not."""
    table = write_all_formats(data)["sql"]
    _, first = start(scenario(table))
    _, second = start(scenario({**table, "query": "SELECT * FROM sales ORDER BY item_id DESC"}), run_id="two")
    assert all(result.reused for result in second.values())
    with sqlite3.connect(data / "a.db") as connection:
        connection.execute("DELETE FROM sales WHERE item_id = '9'")
    connection.close()
    _, third = start(scenario(table), run_id="three")
    assert third["films"].manifest != first["films"].manifest


def test_user_ids_are_pseudonymised_before_anything_is_written(data, start, tmp_path, monkeypatch):
    """The same person is the same string in both domains; neither ids nor the key are found in any file."""
    monkeypatch.setenv("CROSSLIFT_KEY", KEY)
    people = ROWS.assign(user_id=ROWS["user_id"].replace("ann", "ann@example.com"))
    people.to_csv(data / "rows.csv", index=False)
    run, results = start(scenario({"path": "rows.csv"}, pseudonymous=False))
    assert {result.facts.key for result in results.values()} == {key_id(KEY.encode())}
    for domain in ("books", "films"):
        expected = {pseudonym(name, KEY.encode()) for name in people.loc[people["domain"] == domain, "user_id"]}
        assert set(table_of(run, results[domain])["user_id"].to_pylist()) == expected
    written = [path.read_bytes() for path in (tmp_path / "home").rglob("*") if path.is_file()]
    assert len(written) > 4
    assert not [content for content in written if b"ann@example.com" in content or KEY.encode() in content]


def test_another_key_is_another_snapshot(data, start, monkeypatch):
    """The key's id is part of the fingerprint."""
    ROWS.to_csv(data / "rows.csv", index=False)
    chosen = scenario({"path": "rows.csv"}, pseudonymous=False)
    monkeypatch.setenv("CROSSLIFT_KEY", KEY)
    _, first = start(chosen)
    monkeypatch.setenv("CROSSLIFT_KEY", KEY[::-1])
    _, second = start(chosen, run_id="two")
    assert not second["books"].reused
    assert first["books"].manifest != second["books"].manifest


def test_without_a_key_nothing_is_read(data, start):
    """Unless the ids are pseudonyms already."""
    with pytest.raises(ConfigError, match="CROSSLIFT_KEY: is not set"):
        start(scenario({"path": "missing.csv"}, pseudonymous=False))


def test_a_missing_domain_is_refused_and_earlier_snapshots_stay(data, start, tmp_path):
    """Nothing is published for the domain that is there, and the run has no result of an earlier try."""
    ROWS.to_csv(data / "rows.csv", index=False)
    run, before = start(scenario({"path": "rows.csv"}))
    folders = sorted((tmp_path / "home/steps/ingest").iterdir())
    ROWS[ROWS["domain"] != "films"].to_csv(data / "rows.csv", index=False)
    with pytest.raises(
        DataError, match=r"no row has the domain 'films' of the scenario. The tables have: 'books', 'games'"
    ):
        start(scenario({"path": "rows.csv"}))
    assert sorted((tmp_path / "home/steps/ingest").iterdir()) == folders
    assert table_of(run, before["films"]).num_rows == 3
    with pytest.raises(MissingResultError):
        run.result(INGEST, "films")


def test_a_full_disk_publishes_nothing(data, start, tmp_path, monkeypatch):
    """The message says that the disk is full."""
    ROWS.to_csv(data / "rows.csv", index=False)

    def full(*args, **kwargs):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(snapshot.parquet, "write_table", full)
    with pytest.raises(StorageError, match="disk is full"):
        start(scenario({"path": "rows.csv"}))
    assert list((tmp_path / "home/steps/ingest").iterdir()) == []


def test_generated_tables_take_the_same_way(start, monkeypatch):
    """They need neither a data folder nor a key, and are made once."""
    monkeypatch.delenv("CROSSLIFT_DATA", raising=False)
    monkeypatch.delenv("CROSSLIFT_KEY", raising=False)
    chosen = scenario(embedded=Embedded(users=30, items=30), pseudonymous=False)
    run, results = start(chosen)
    made = pd.read_parquet(next((run.home.root / "generated").glob("*/interactions.parquet")))
    films = table_of(run, results["films"])
    assert set(films["user_id"].to_pylist()) == set(made.loc[made["domain"] == "films", "user_id"])
    assert films.num_rows == (made["domain"] == "films").sum()
    monkeypatch.setattr("pipeline.data.generator.generate", None)
    _, again = start(chosen, run_id="two")
    assert all(result.reused for result in again.values())


def test_a_generator_that_fails_leaves_nothing(start, tmp_path, monkeypatch):
    """Half a folder would look like data."""

    def fail(config, source, target, folder):
        (folder / "interactions.parquet").write_text("half")
        raise RuntimeError("stopped")

    monkeypatch.setattr("pipeline.data.generator.generate", fail)
    with pytest.raises(RuntimeError, match="stopped"):
        start(scenario(embedded=Embedded(users=30, items=30)))
    assert list((tmp_path / "home/generated").iterdir()) == []


@pytest.mark.data
@pytest.mark.skipif("CROSSLIFT_DATA" not in os.environ, reason="CROSSLIFT_DATA is not set")
@pytest.mark.parametrize(
    ("name", "users", "target_items"), [("cross_category", 15_761, 51_865), ("cross_category_phones", 3_325, 18_462)]
)
def test_real_tables_shuffled_are_the_same_snapshot(start, tmp_path, monkeypatch, name, users, target_items):
    """All users of the published pairs are in both domains under the same id."""
    chosen = load_scenario(name)
    assert chosen.tables is not None
    path = chosen.tables.interactions[0].path
    rows = pd.read_parquet(f"{os.environ['CROSSLIFT_DATA']}/{path}")
    run, first = start(chosen)
    source, target = (table_of(run, first[domain]) for domain in chosen.domains)
    assert set(source["user_id"].to_pylist()) == set(target["user_id"].to_pylist()) == set(map(str, range(users)))
    assert first[chosen.target].facts.counted["items"] == target_items
    assert source.num_rows + target.num_rows == len(rows)
    copy = tmp_path / "copy" / path
    copy.parent.mkdir(parents=True)
    rows.sample(frac=1, random_state=1).to_parquet(copy)
    monkeypatch.setenv("CROSSLIFT_DATA", str(tmp_path / "copy"))
    _, second = start(chosen, run_id="two")
    assert not any(result.reused for result in second.values())
    assert manifests(second) == manifests(first)
