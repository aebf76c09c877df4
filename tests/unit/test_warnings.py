"""Nothing wrong in silence: what is refused, and what a person is told before any number."""

import json
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from pipeline.config import AuditSettings, CheckSettings, Options, Scenario
from pipeline.folders import Home
from pipeline.results import PREPARE, Finding
from pipeline.rows.findings import findings
from pipeline.rows.interactions.prepared import DomainData, Domains
from pipeline.rows.kind import CleanTables
from pipeline.runs.account import ignored
from pipeline.runs.run import Run
from pipeline.scenarios import load_scenario
from pipeline.steps.audit import _began
from pipeline.tasks.crossings import check_crossings
from tests.publishing import nothing, publish


def scenario(**changes):
    value = {
        "name": "s", "title": "S", "sources": ["films"], "target": "books", "bridges": ["users"], "embedded": {},
        "split": {"kind": "leave_last_out"}, "strategies": [{"tune": {"kind": "scratch"}}],
        "baselines": [{"kind": "popularity"}],
    }  # fmt: skip
    return Scenario.model_validate(value | changes)


def examples_scenario():
    features = {"income": "number", "job": "category"}
    return scenario(
        task={"kind": "binary", "label": "late", "features": features, "groups": ["person"]}, split={"kind": "hash"},
        bridges=["features"], embedded=None, tables={"examples": [{"path": "a.csv"}]}, baselines=[{"kind": "constant"}],
    )  # fmt: skip


def failed(what, tables, ordered=()):
    """Rule -> (severity, name of the figure, value) of the checks that fail, held against their bounds here."""
    domains = {name: CleanTables(frames, 0.0) for name, frames in tables.items()}
    asked = CheckSettings.of(what, as_of=None, ordered=ordered, reference_content="", reference_rows={})
    figures, checks = check_crossings(asked, domains)
    found = {}
    for check in checks:
        name = check.arguments["column"]
        value = float(figures[name].iloc[0])
        if not check.arguments.get("min_value", -np.inf) <= value <= check.arguments.get("max_value", np.inf):
            found[check.rule] = (check.severity, name, value)
    return found


def shop(users, item="i", times=True):
    """Two rows of each user, with titles for all items."""
    rows = pd.DataFrame({"user_id": np.repeat(users, 2)})
    rows["item_id"] = [f"{item}{place % 97}" for place in range(len(rows))]
    if times:
        rows["timestamp"] = pd.date_range("2026-01-01", periods=len(rows), freq="h", tz="UTC")
    items = pd.DataFrame({"item_id": rows["item_id"].unique()})
    return {"interactions": rows, "items": items.assign(title="Title " + items["item_id"])}


def people(count, first=0):
    return [f"u{number}" for number in range(first, first + count)]


@pytest.mark.parametrize(
    ("common", "of", "told"),
    [
        (1, 3000, {"bridge_users": "critical"}),  # passed before: at least one
        (29, 3000, {"bridge_users": "critical"}),
        (30, 3000, {"thin_bridge_users": "warning"}),
        (299, 3000, {"thin_bridge_users": "warning"}),
        (300, 3000, {}),
        (99, 20_000, {"bridge_users": "critical"}),
        (100, 20_000, {"thin_bridge_users": "warning"}),  # so many can be told apart by a metric
        (1, 5, {}),
    ],
)
def test_a_bridge_is_judged_by_its_share(common, of, told):
    """Under one in a hundred, or 100 where that is fewer, nothing is bridged; under one in ten it is thin."""
    found = failed(scenario(), {"films": shop(people(of, of - common), "f"), "books": shop(people(of), "b")})
    assert {rule: severity for rule, (severity, *_) in found.items()} == told
    for rule in told:
        assert found[rule][1:] == (f"share of the {of:,} users of books who are in a source", common / of)


def test_an_items_table_of_another_spelling_is_refused():
    """It would double the catalogue; one that describes some items is warned of, as long as it is of these items."""
    films, books = shop(people(200), "f"), shop(people(200), "b")
    assert failed(scenario(), {"films": films, "books": books}) == {}
    spelt = books["items"].assign(item_id="0" + books["items"]["item_id"])
    name = "share of the 97 items with rows of books that are in its items table"
    strange = failed(scenario(), {"films": films, "books": {**books, "items": spelt}})
    assert strange == {"items_described": ("critical", name, 0.0)}
    both = pd.concat([spelt, books["items"].head(10)])  # a tenth of the rows' items, and of the table's too few
    assert (
        failed(scenario(), {"films": films, "books": {**books, "items": both}})["items_partly_described"][0]
        == "warning"
    )
    few = {**books, "items": books["items"].head(5)}  # 5 of 97, and all of the table
    assert failed(scenario(), {"films": films, "books": few}) == {"items_partly_described": ("warning", name, 5 / 97)}


def test_the_shares_are_told_both_ways():
    """Of the target in the sources, of the sources in the target, of rows and items table; in validate's facts."""
    domains = {
        "films": CleanTables(shop(people(400), "f"), 0.0),
        "books": CleanTables(shop(people(100, 350), "b"), 0.0),
    }
    figures, _ = check_crossings(
        CheckSettings.of(scenario(), as_of=None, ordered=(), reference_content="", reference_rows={}), domains
    )
    told = {name: figures[name].iloc[0] for name in figures if name.startswith("share of ")}
    assert told == {
        "share of the 100 users of books who are in a source": 0.5,
        "share of the 400 users of the sources that are in books": 0.125,
        "share of the 97 items with rows of films that are in its items table": 1.0,
        "share of the 97 items of the items table of films that have rows": 1.0,
        "share of the 97 items with rows of books that are in its items table": 1.0,
        "share of the 97 items of the items table of books that have rows": 1.0,
    }


@pytest.mark.parametrize(("films", "books", "wrong"), [(True, True, False), (True, False, True), (False, False, True)])
def test_what_reads_an_order_is_refused_before_it_is_trained(films, books, wrong):
    """Where the domains do not all say which row came first; who reads none does not ask."""
    tables = {"films": shop(people(200), "f", times=films), "books": shop(people(200), "b", times=books)}
    found = failed(scenario(), tables, ("model sequence", "baseline markov"))
    assert found.get("order") == (
        ("critical", "columns that say in all domains which row came first", 0) if wrong else None
    )
    assert "order" not in failed(scenario(), tables)


def test_one_id_that_stands_for_many():
    """A guest with 40 rows beside people with two is told; the heaviest of people, and a handful of rows, are not."""
    films, books = shop(people(200), "f"), shop(people(200), "b")
    guest = books["interactions"].head(40).assign(user_id="guest")
    rows = pd.concat([books["interactions"].iloc[80:], guest])
    found = failed(scenario(), {"films": films, "books": {**books, "interactions": rows}})
    name = "times that one user_id of books has the rows of the next (40 of 360 rows)"
    assert found == {"one_id_in_many_rows": ("warning", name, 20.0)}
    heavy = rows[(rows["user_id"] != "guest") | (rows.groupby("user_id").cumcount() < 10)]
    assert failed(scenario(), {"films": films, "books": {**books, "interactions": heavy}}) == {}


def test_a_used_column_of_one_value():
    """Of rows and items, and of declared features; a column that nothing reads may be what it likes."""
    films, books = shop(people(200), "f"), shop(people(200), "b")
    same = {**books, "items": books["items"].assign(title="Book", brand="none")}
    name = "used columns of books with one value or none: title"
    assert failed(scenario(), {"films": films, "books": same}) == {"one_value": ("warning", name, 1.0)}
    read = scenario(task={"kind": "ranking", "described_by": ["title", "brand"]})
    assert failed(read, {"films": films, "books": same}) == {"one_value": ("warning", f"{name}, brand", 2.0)}


def test_examples_are_looked_at_too():
    """Features without values are no bridge, categories that are spelt otherwise are told, and so is a heavy group."""
    rows = pd.DataFrame(
        {"income": np.arange(400.0), "job": ["cook", "baker"] * 200, "late": ["yes", "no", "no", "yes"] * 100}
    )
    rows["person"] = [f"p{number // 2}" for number in range(400)]
    cards = {"examples": rows}
    assert failed(examples_scenario(), {"films": cards, "books": cards}) == {}
    spelt = rows.assign(job=rows["job"].str.upper(), income=1.0, person=["0"] * 100 + [*rows["person"][100:]])
    found = failed(examples_scenario(), {"films": cards, "books": {"examples": spelt}})
    assert {rule: told[1:] for rule, told in found.items()} == {
        "values_in_common": ("share of the 400 rows of books whose job a source has", 0.0),
        "one_value": ("used columns of books with one value or none: income", 1.0),
        "one_id_in_many_rows": ("times that one person of books has the rows of the next (100 of 400 rows)", 50.0),
    }
    bare = rows.assign(income=np.nan, job=[None] * 399 + ["cook"])  # one row of 400 passed before
    assert (
        failed(examples_scenario(), {"films": cards, "books": {"examples": bare}})["bridge_features"][0] == "critical"
    )


def test_classes_that_no_source_has_are_told():
    """With their names; rows without a label say nothing, and of a target without labels nothing is known."""
    rows = pd.DataFrame({"income": np.arange(400.0), "late": ["a", "b", "c", "d"] * 100})
    fewer = rows.assign(late=["a", "b", None, "d"] * 100)
    task = {"kind": "multiclass", "label": "late", "features": {"income": "number"}}
    asking = Scenario.model_validate({**examples_scenario().model_dump(), "task": task})
    both = {"films": {"examples": fewer}, "books": {"examples": rows}}
    name = "share of the 400 labelled rows of books whose late a source has"
    assert failed(asking, both) == {"classes_in_common": ("warning", name, 0.75)}
    assert failed(asking, {"films": both["books"], "books": both["films"]}) == {}
    domains = {domain: CleanTables(tables, 0.0) for domain, tables in both.items()}
    settings = CheckSettings.of(asking, as_of=None, ordered=(), reference_content="", reference_rows={})
    [check] = [one for one in check_crossings(settings, domains)[1] if one.rule == "classes_in_common"]
    assert "no source has c:" in str(check)
    hidden = check_crossings(settings.model_copy(update={"personal": ("late",)}), domains)[1]
    assert "no source has some of its classes:" in str([one for one in hidden if one.rule == "classes_in_common"])
    unlabelled = asking.model_copy(update={"target_labels": False})
    assert "classes_in_common" not in failed(unlabelled, both)


def test_texts_in_another_language_are_told():
    """No word of the target stands in the source; numbers alone would be a few."""
    rows = pd.DataFrame({"late": ["yes", "no", "no", "yes"] * 100})
    said = {name: {"examples": rows.assign(said=[text.format(row) for row in range(400)])} for name, text in (
        ("films", "I need {} cars"), ("books", "ich brauche das auto n{}"),
    )}  # fmt: skip
    task = {"kind": "binary", "label": "late", "features": {"said": "text"}}
    asking = Scenario.model_validate({**examples_scenario().model_dump(), "task": task})
    assert failed(asking, {**said, "books": said["films"]}) == {}
    words = "share of the 3,600 words of said of books that a source has"
    assert failed(asking, said) == {"words_in_common": ("warning", words, 0.0)}


def domain(name, users, times, parts):
    rows = pd.DataFrame({"user_id": users, "item_id": [f"i{place % 7}" for place in range(len(users))], "part": parts})
    return DomainData.build(name, rows.assign(timestamp=pd.DatetimeIndex(times, tz="UTC").as_unit("us")), None, 1.0)


def asked(**changes):
    value = {"cold_start": False, "by_time": False, "began": None, "ignored": {}, "spellings": ()}
    return AuditSettings.of(scenario(), **(value | changes))


def told_of(target, **changes):
    source = domain("films", people(150), pd.date_range("2020-01-01", periods=150), [0] * 150)
    return {one.rule: (one.where, one.what) for one in findings(Domains((source,), target), asked(**changes))}


def test_small_parts_and_domains_are_told():
    """By their users, not their rows."""
    users = people(120) * 2
    parts = [0] * 120 + [1] * 99 + [2] * 21
    found = told_of(domain("books", users, ["2020-01-01"] * 240, parts))
    assert found == {"small_part": ("books", "21 users in test, and over fewer than 100 a metric is mostly chance")}
    few = domain("books", users, ["2020-01-01"] * 240, [0] * 120 + [2] * 99 + [1] * 21)
    chosen, judged = [one for one in findings(Domains((few,), few), asked()) if one.rule == "small_part"]
    assert chosen.remedy.endswith("what is chosen there may be another lane tomorrow")
    assert judged.remedy.endswith("nothing that learnt from the source can be proved to help")
    found = told_of(domain("books", people(99) * 2, ["2020-01-01"] * 198, [0] * 99 + [2] * 99), target_labels=False)
    assert set(found) == {"small_domain", "small_part"}


def test_a_test_that_has_not_happened_yet_is_told():
    """Held against when the run began; and a test that comes after all, where the split is not by time."""
    users, days = people(120) * 3, ["2020-01-01"] * 120 + ["2020-01-02"] * 120
    target = domain(
        "books", users, [*days, *["2077-05-05"] * 61, *["2020-01-01"] * 59], [0] * 120 + [1] * 120 + [2] * 120
    )
    found = told_of(target, began="2026-11-27T00:00:00+00:00")
    assert found["test_in_the_future"][1].startswith("61 of 120 test rows, up to 2077-05-05,")
    assert found["test_after_training"][1].startswith("61 of 120 test rows are later than all others")
    assert set(told_of(target, by_time=True)) == set()
    half = domain(
        "books", users, [*days, *["2077-05-05"] * 60, *["2020-01-01"] * 60], [0] * 120 + [1] * 120 + [2] * 120
    )
    assert set(told_of(half)) == set()


def test_a_run_keeps_when_it_began(tmp_path):
    """Whoever goes on with it judges as it did; another plan begins anew."""
    home, demo = Home(tmp_path), load_scenario("demo")
    first = Run.start(home, "r", demo, Options())
    assert timedelta(0) <= datetime.now(UTC) - datetime.fromisoformat(first.began) < timedelta(minutes=5)
    plan = home.run("r") / "plan.json"
    plan.write_text(json.dumps(json.loads(plan.read_text()) | {"began": "2020-01-01T00:00:00+00:00"}))
    assert Run.load(home, "r").began == "2020-01-01T00:00:00+00:00"
    assert Run.start(home, "r", demo, Options()).began == "2020-01-01T00:00:00+00:00"
    assert Run.start(home, "r", demo, Options(seed=3)).began >= first.began


def test_only_a_row_after_its_beginning_ties_the_audit_to_a_run(tmp_path):
    """Else a night on which nothing changed would be audited again."""
    run = Run.start(Home(tmp_path), "r", load_scenario("demo"), Options())
    for latest, began in (("2077-01-01T00:00:00+00:00", run.began), ("2020-01-01T00:00:00+00:00", None), (None, None)):
        publish(run, PREPARE, nothing, {"latest": latest}, key=latest, name=run.scenario.target)
        assert _began(run) == began


def test_rows_of_other_domains_are_told_by_name():
    """With the near miss, where a domain is only spelt otherwise."""
    found = [*ignored({"interactions": {"Books ": 7, "shoes": 2}, "items": {"shoes": 3}, "x": {}}, ["films", "books"])]
    ignores = "rows of domains that the scenario does not name are ignored"
    assert [str(one) for one in found] == [
        f"interactions: {ignores}: 7 of 'Books ' (perhaps 'books' is meant), 2 of 'shoes'. To do: map them: `domains: "
        "{books: ...}`, or leave those rows out.",
        f"items: {ignores}: 3 of 'shoes'. To do: name the domains in the scenario, or leave those rows out.",
    ]
    assert Finding.model_validate(found[0].model_dump()) == found[0]
