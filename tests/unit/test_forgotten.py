"""A person who is to be forgotten: hashed in a list, and in no later snapshot."""

from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest

from pipeline.config import Options, Scenario
from pipeline.data.forgotten import Forgotten, forget
from pipeline.data.pseudonyms import pseudonym
from pipeline.errors import ConfigError, StorageError, UserError
from pipeline.folders import Home, hidden, vanish, write_json, written_whole
from pipeline.registry.forget import BegunVersion, HeldVersion
from pipeline.results import INGEST
from pipeline.runs.forget import Held, find_held, ids_of, remove_held
from pipeline.runs.run import Run
from pipeline.steps.ingest import ingest

KEY = "a key of sixteen characters"
ROWS = [(f"u{user}", f"i{item}", shop) for shop in ("films", "books") for user in range(4) for item in range(3)]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """A home, with tables beside it."""
    (tmp_path / "data").mkdir()
    rows = pd.DataFrame(ROWS, columns=["user_id", "item_id", "domain"])
    rows = rows[(rows["user_id"] != "u3") | (rows["domain"] == "books")]
    rows.to_csv(tmp_path / "data" / "rows.csv", index=False)
    monkeypatch.setenv("CROSSLIFT_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("CROSSLIFT_KEY", KEY)
    return Home(tmp_path / "home")


def begun(home: Home, name: str, scenario: str = "s", **changes: object) -> Run:
    """A run that has read nothing."""
    value = {
        "name": scenario, "title": "S", "sources": ["films"], "target": "books", "bridges": ["users"],
        "tables": {"interactions": [{"path": "rows.csv"}]}, "split": {"kind": "hash"},
        "strategies": [{"tune": {"kind": "scratch"}}], "baselines": [{"kind": "popularity"}],
    }  # fmt: skip
    return Run.start(home, name, Scenario.model_validate(value | changes), Options())


def night(home: Home, name: str, scenario: str = "s", **changes: object) -> Run:
    """A run up to its snapshot."""
    run = begun(home, name, scenario, **changes)
    ingest(run)
    return run


def users(run: Run, domain: str = "books") -> set[str]:
    """Who stands in the snapshot."""
    return set(pd.read_parquet(run.path(run.result(INGEST, domain)) / "interactions.parquet")["user_id"])


def test_the_next_snapshot_leaves_the_rows_out(home: Home) -> None:
    """By the pseudonym; the others stay, and a domain without the person has the same bytes as before."""
    first = night(home, "first")
    assert users(first) == {pseudonym(f"u{user}", KEY.encode()) for user in range(4)}
    forget(home, ids_of(home, "u3", None), None)
    second = night(home, "second")
    assert users(second) == {pseudonym(f"u{user}", KEY.encode()) for user in range(3)}
    manifests = {name: [run.result(INGEST, name).manifest for run in (first, second)] for name in ("films", "books")}
    assert manifests["films"][0] == manifests["films"][1]
    assert manifests["books"][0] != manifests["books"][1]
    assert second.result(INGEST, "books").facts.rows == 9


def test_the_list_names_nobody(home: Home) -> None:
    """Neither the id nor its pseudonym stands there, and two homes hash alike ids differently."""
    night(home, "first")
    forget(home, ids_of(home, "u3", None), None)
    text = (home.root / "forgotten.json").read_text()
    assert "u3" not in text
    assert pseudonym("u3", KEY.encode()) not in text
    other = Home(home.root / "other")
    forget(other, ids_of(home, "u3", None), None)
    hashes = [Forgotten.read(one, "s", ("user_id",)).hashes for one in (home, other)]
    assert all(hashes)
    assert not hashes[0] & hashes[1]


def test_forgotten_in_one_scenario_only(home: Home) -> None:
    """The same id may be another person elsewhere; without a name nobody has it anywhere."""
    forget(home, ("u1",), "s")
    plain = {"pseudonymous": True}
    assert users(night(home, "one", "s", **plain)) == {"u0", "u2", "u3"}
    assert users(night(home, "two", "t", **plain)) == {"u0", "u1", "u2", "u3"}
    forget(home, ("u0",), None)
    assert users(night(home, "three", "s", **plain)) == {"u2", "u3"}
    assert users(night(home, "four", "t", **plain)) == {"u1", "u2", "u3"}


def test_personal_columns_of_examples_are_looked_at() -> None:
    """A group is a person there."""
    rows = pa.table({"person": ["a", "b", None], "income": [1.0, 2.0, 3.0]})
    home = Forgotten("00", frozenset({_hash("b")}), ("person", "user_id"))
    assert home.left_out_of({"examples": rows})["examples"]["person"].to_pylist() == ["a", None]


def _hash(one: str) -> str:
    import hashlib
    import hmac

    return hmac.new(b"\0", one.encode(), hashlib.sha256).hexdigest()


def test_another_key_finds_nobody_and_says_so(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a person would seem to be forgotten who is not."""
    night(home, "first")
    monkeypatch.setenv("CROSSLIFT_KEY", "another key of sixteen characters")
    with pytest.raises(ConfigError, match="no table here has pseudonyms of this key"):
        ids_of(home, "u3", None)


def test_where_the_key_is_set_no_first_run_reads_the_rows(home: Home) -> None:
    """Nothing tells yet that ids become pseudonyms, and a list without them would keep nobody out."""
    forget(home, ids_of(home, "u3", None), None)
    assert users(night(home, "first")) == {pseudonym(f"u{user}", KEY.encode()) for user in range(3)}


def test_tables_of_another_key_are_told(
    home: Home, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Of several keys one is in the environment; what the others hide cannot be found."""
    night(home, "first")
    monkeypatch.setenv("CROSSLIFT_KEY", "another key of sixteen characters")
    night(home, "second")
    assert find_held(home, ids_of(home, "u3", None), None).runs == (home.run("second"),)
    assert "another key than that in CROSSLIFT_KEY" in caplog.text
    monkeypatch.setenv("CROSSLIFT_KEY", "a third key of sixteen characters")
    with pytest.raises(ConfigError, match="no table here has pseudonyms of this key"):
        ids_of(home, "u3", None)


def test_an_id_is_forgotten_in_any_spelling_that_counts(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where spellings are treated alike, the published id is made of another text than the one in the tables."""
    alike = {"interactions": [{"path": "rows.csv", "columns": {"user_id": {"alike": ["case"]}}}]}
    first = night(home, "first", tables=alike)
    monkeypatch.setattr("pipeline.runs.forget.load_scenario", lambda _: first.scenario)
    ids = ids_of(home, "U3", "s")
    assert find_held(home, ids, "s").runs == (home.run("first"),)
    forget(home, ids, "s")
    assert len(users(first)) == 4
    assert len(users(night(home, "second", tables=alike))) == 3


def test_in_one_scenario_personal_columns_stand_as_they_were_brought(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only users become pseudonyms; the person of a row of examples is another column."""
    rows = [f"{shop},{place},p{place % 3},{place % 2}" for shop in ("films", "books") for place in range(12)]
    path = home.root.parent / "data" / "visits.csv"
    path.write_text("domain,value,person,bought\n" + "\n".join(rows))
    task = {"kind": "binary", "label": "bought", "features": {"value": "number"}, "groups": ["person"]}
    examples = {"task": task, "tables": {"examples": [{"path": "visits.csv"}]}, "personal": ["person"], "bridges": [],
                "baselines": [{"kind": "constant"}]}  # fmt: skip
    first = night(home, "first", **examples)
    monkeypatch.setattr("pipeline.runs.forget.load_scenario", lambda _: first.scenario)
    ids = ids_of(home, "p1", "s")
    assert find_held(home, ids, "s").runs == (home.run("first"),)
    forget(home, ids, "s")
    second = night(home, "second", **examples)
    left = pd.read_parquet(second.path(second.result(INGEST, "books")) / "examples.parquet")
    assert set(left["person"]) == {"p0", "p2"}


def test_users_are_looked_at_also_where_they_are_not_personal(home: Home) -> None:
    """What a scenario hides in its pages is another matter."""
    forget(home, ("u1",), None)
    assert users(night(home, "one", pseudonymous=True, personal=[])) == {"u0", "u2", "u3"}


def test_a_damaged_table_may_hold_anybody(home: Home) -> None:
    """It is neither passed over nor taken for an error of the program."""
    run = night(home, "first")
    folder = run.place(run.result(INGEST, "books"))
    aside = folder.with_name(f"{folder.name}.damaged")
    folder.rename(aside)
    (aside / "interactions.parquet").write_bytes(b"PAR1")
    with pytest.raises(StorageError, match=r"nobody knows whom it holds; remove .*\.damaged and repeat"):
        find_held(home, ("u3",), None)


def test_what_a_crash_left_is_found_by_a_repeat(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wherever it stops, what was made of the rows goes in the end, though nothing of it names the person."""
    ids, stop = ids_of(home, "u3", None), 0
    while True:
        run = night(home, "first", pseudonymous=True)
        ingested = run.result(INGEST, "books")
        made = home.step("adapt", "f" * 32)
        made.mkdir(parents=True)
        for name in ("weights.bin", "manifest.json"):
            (made / name).write_text("{}")
        record = ingested.model_copy(update={"step": "adapt", "name": "l", "folder": f"steps/adapt/{made.name}"})
        run.record(record)
        count = 0

        def crash(path: Path, limit: int = stop) -> None:
            nonlocal count
            count += 1
            if count > limit:
                path.rename(hidden(path))
                (hidden(path) / "manifest.json").unlink(missing_ok=True)  # files go one after the other
                raise KeyboardInterrupt
            vanish(path)

        monkeypatch.setattr("pipeline.runs.forget.vanish", crash)
        try:
            remove_held(home, find_held(home, ids, None))
        except KeyboardInterrupt:
            monkeypatch.setattr("pipeline.runs.forget.vanish", vanish)
            remove_held(home, find_held(home, ids, None))
        else:
            assert stop == 3  # the folder that was made, the run, and the snapshot's
            return
        assert not made.exists()
        assert not hidden(made).exists()
        assert find_held(home, ids, None).folders == ()
        assert list((home.root / "steps").rglob(".*.old")) == []
        stop += 1


def test_a_damaged_list_stops_the_snapshot(home: Home) -> None:
    """Nobody knows whose rows must not be read."""
    forget(home, ("u1",), None)
    (home.root / "forgotten.json").write_text("[]")
    with pytest.raises(StorageError, match=r"forgotten\.json: expected the list"):
        night(home, "first")


def test_what_holds_the_person_is_found(home: Home) -> None:
    """The run and the folder of the domain that has the rows; not the other domain's, nor another scenario's."""
    first, other = night(home, "first"), night(home, "other", "t", sources=["books"], target="films")
    ids = ids_of(home, "u3", None)
    held = find_held(home, ids, None)
    books = {run.place(run.result(INGEST, "books")) for run in (first, other)}
    assert set(held.folders) == books
    assert set(held.runs) == {home.run("first"), home.run("other")}
    assert find_held(home, ids, "t").runs == (home.run("other"),)
    assert len(books) == 1  # both scenarios have it, and one that is forgotten in the other keeps its own
    assert find_held(home, ids, "t").folders == ()
    assert find_held(home, ids, "s").folders == ()
    assert find_held(home, ids_of(home, "nobody", None), None).runs == ()
    elsewhere = find_held(home, ids, "u")
    assert (elsewhere.runs, elsewhere.folders) == ((), ())


def test_what_began_with_a_model_made_of_the_rows_goes_too(home: Home) -> None:
    """Also where that is a model which began with another; runs of other models, or of rows alone, stay."""
    first, others = night(home, "first"), [begun(home, name, name) for name in ("second", "third", "other", "rows")]
    write_json(first.folder / "results" / "package.direct.json", {"folder": "steps/package/a", "manifest": "a"})
    for run, began, made in zip(others, ("a", "b", "c", ""), ("b", "d", "e", "f"), strict=True):
        record = {"folder": f"steps/pretrain_source/{made}", "facts": {"taught_by": "x version 1", "package": began}}
        write_json(run.folder / "results" / "pretrain_source.json", record)
        write_json(
            run.folder / "results" / "package.direct.json", {"folder": f"steps/package/{made}", "manifest": made}
        )
        (home.root / "steps" / "pretrain_source" / made).mkdir(parents=True)
    held = find_held(home, ids_of(home, "u3", None), None)
    assert [run.name for run in held.runs] == ["third", "second", "first"]  # the last goes first
    assert [folder.name for folder in held.made] == ["b", "d"]


def test_only_lanes_that_began_with_the_model_are_made_of_the_rows(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """Their versions go, also of a run that was cleaned away; a lane that learnt from rows alone may serve on."""
    first, others = night(home, "first", "theirs"), [begun(home, name, "ours") for name in ("second", "third")]
    write_json(first.folder / "results" / "package.direct.json", {"folder": "steps/package/a", "manifest": "a"})
    for run, package, lanes in zip(others, ("a", "own"), ({"begun": True, "own": False}, {}), strict=True):
        record = {"folder": "steps/pretrain_source/b", "facts": {"taught_by": "handed", "package": package}}
        write_json(run.folder / "results" / "pretrain_source.json", record)
        (folder := home.root / "steps" / "prepare" / run.run_id).mkdir(parents=True)
        write_json(folder / "meta.json", {"name": "books"})  # its own shop has the same name
        write_json(run.folder / "results" / "prepare.books.json", {"folder": f"steps/prepare/{run.run_id}"})
        for lane, by_it in lanes.items():
            told = {"folder": f"steps/package/{lane}", "manifest": lane, "facts": {"lane": lane, "begun": by_it}}
            write_json(run.folder / "results" / f"package.{lane}.json", told)
    theirs, ours, later, apart = (HeldVersion(f"crosslift.{name}", 1, serves=False) for name in ("a", "b", "c", "d"))
    registered = [BegunVersion(later, "crosslift.b version 1", "cleaned"), BegunVersion(ours, "handed", "second"),
                  BegunVersion(apart, "handed", "third")]  # fmt: skip
    monkeypatch.setattr("pipeline.runs.forget.held_versions", lambda *_: iter([theirs]))
    monkeypatch.setattr("pipeline.runs.forget.begun_versions", lambda _: registered)
    for scenario in (None, "theirs"):  # what was made of its models is made of its rows
        held = find_held(home, ids_of(home, "u3", None), scenario)
        assert held.versions == (theirs, ours, later)
        assert [run.name for run in held.runs] == ["second", "first"]
        assert not [folder for folder in held.folders if folder.parent.name == "prepare"]


def test_what_others_began_with_goes_last(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """A crash half-way leaves what the rest is found by."""
    gone: list[str] = []
    monkeypatch.setattr("pipeline.runs.forget.delete_version", lambda home, version: gone.append(version.name))
    versions = tuple(HeldVersion(name, 1, serves=False) for name in ("crosslift.a", "crosslift.b", "crosslift.c"))
    remove_held(home, Held((), (), (), (), versions))
    assert gone == ["crosslift.c", "crosslift.b", "crosslift.a"]


def test_rows_that_were_prepared_without_ids_go_too(home: Home) -> None:
    """Titles, labels and names of photos of the person; those of a domain that does not hold it stay."""
    run = night(home, "first")
    for domain in ("films", "books"):
        with written_whole(folder := home.root / "steps" / "prepare" / domain, {"name": domain}) as half:
            pd.DataFrame({"row_id": ["7"], "title": ["hers"]}).to_parquet(half / "rows.parquet")
        told = {"folder": folder.relative_to(home.root).as_posix()}
        write_json(run.folder / "results" / f"prepare.{domain}.json", told)
    held = find_held(home, ids_of(home, "u3", None), None)
    assert [folder.name for folder in held.folders if folder.parent.name == "prepare"] == ["books"]


def test_an_id_of_another_spelling_is_the_one_that_is_published(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """U3 is u3 where case is no matter; elsewhere it may be somebody else, so that the scenario must be named."""
    alike = {"interactions": [{"path": "rows.csv", "columns": {"user_id": {"alike": ["case"]}}}]}
    night(home, "exact", "t")
    run = night(home, "first", tables=alike)
    with pytest.raises(
        UserError, match=r"scenario s treats ids alike \(case\), so that this one is 'u3' there.*--scenario s"
    ):
        ids_of(home, "U3", None)
    monkeypatch.setattr("pipeline.runs.forget.load_scenario", lambda _: run.scenario)
    assert ids_of(home, "U3", "s")[-1] == pseudonym("u3", KEY.encode())
    forget(home, ids_of(home, "U3", "s"), "s")
    assert users(night(home, "second", tables=alike)) == {pseudonym(f"u{user}", KEY.encode()) for user in range(3)}
    assert ids_of(home, "u3", None) == ("u3", pseudonym("u3", KEY.encode()))


def test_what_serves_is_named_by_its_scenario(home):
    """A model of a share is no scenario of that name; and a gate that promotes nothing is no dead end."""
    serving = tuple(HeldVersion(f"crosslift.s{share}", 2, serves=True) for share in ("", ".share_30", ".share_2_5"))
    told = r"again \(s, s with 30 % of the target's rows, s with 2\.5 % .*\).*retire NAME. lets nothing serve: crossl"
    with pytest.raises(UserError, match=told):
        remove_held(home, Held((), (), (), (), serving))
