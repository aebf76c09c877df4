"""How what serves came to serve, and two versions side by side."""

import json
import re
import sys
from collections.abc import Callable
from typing import Any

import pytest

from pipeline import cli
from pipeline.errors import UserError
from pipeline.folders import Home, read_json
from pipeline.registry import promote as registry
from pipeline.registry.chain import chain_of
from pipeline.registry.rollback import rollback
from pipeline.results import VERDICT
from pipeline.runs.comparing import compare_versions
from pipeline.runs.history import last_runs, last_shown
from pipeline.runs.run import Run
from pipeline.steps.promote import promote

# MLflow itself uses what SQLAlchemy will remove.
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning")]
Nights = Callable[..., Any]  # the class `Night` of conftest.py
NAME = "crosslift.why"


Crosslift = Callable[..., str]


@pytest.fixture(scope="module")
def nights(tmp_path_factory: pytest.TempPathFactory, night: Nights) -> dict[str, Run]:
    """Promote two versions on the same rows and one on others, and roll the last one back."""
    home = Home(tmp_path_factory.mktemp("home"))
    runs: dict[str, Run] = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(registry, "check_serves", lambda *_: None)
        patch.setattr("pipeline.registry.rollback.check_serves", lambda *_: None)
        for run_id, seed, options in (("one", 0, {}), ("two", 0, {"seed": 1, "promote": True}), ("three", 5, {})):
            runs[run_id] = night(home, run_id, seed=seed, name="why").run(**options)
            promote(runs[run_id])
        chain = chain_of(home, NAME)
        rollback(home, NAME)
    assert [(one.version, one.judged_against) for one in chain.links] == [(3, 2), (2, 1), (1, None)]
    assert [one.outcome for one in chain.links] == ["promoted", "replaced", "replaced"]
    assert [one.run_id for one in chain.links] == ["three", "two", "one"]
    assert all(one.reason == "item_knn is passed." and one.since for one in chain.links)
    return runs


@pytest.fixture
def home(nights: dict[str, Run], monkeypatch: pytest.MonkeyPatch) -> Home:
    """Name the home of these nights to commands as well."""
    found = nights["one"].home
    monkeypatch.setenv("CROSSLIFT_HOME", str(found.root))
    return found


@pytest.fixture
def crosslift(home: Home, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Crosslift:
    """Give a function that runs a command in that home and returns what it printed."""

    def call(*arguments: str) -> str:
        monkeypatch.setattr(sys, "argv", ["crosslift", *arguments])
        assert cli.main() == 0
        return capsys.readouterr().out

    return call


def test_why(home: Home, crosslift: Crosslift) -> None:
    """The chain goes from what serves back to the first; what a person took out of service stands behind it."""
    chain = chain_of(home, NAME)
    assert [one.version for one in chain.links] == [2, 1]
    assert [(one.version, bool(one.rolled_back)) for one in chain.rolled_back] == [(3, True)]
    told = crosslift("models", "why", NAME)
    assert f"{NAME}: version 2 (item_knn) serves." in told
    assert "verdict  passed, judged against version 1. item_knn is passed." in told
    assert "when version 3 was rolled back." in told
    assert told.index("Version 2 (") < told.index("Version 1 (") < told.index("Version 3 (")
    assert [one["version"] for one in json.loads(crosslift("models", "why", NAME, "--json"))["links"]] == [2, 1]


def test_the_same_rows(home: Home, nights: dict[str, Run], crosslift: Crosslift) -> None:
    """The paired difference is what the gate found when it held the second against the first, which it asked anew."""
    found = compare_versions(home, f"{NAME}@champion", f"models:/{NAME}/1")
    assert found.same_rows
    assert found.settings["seed"] == (1, 0)
    assert found.data == "books, films the same"
    assert found.paired is not None
    two = nights["two"]
    verdict = read_json(two.path(two.result(VERDICT)) / "verdict.json")
    [expected] = [one["difference"] for one in verdict["comparisons"] if one["role"] == "champion"]
    assert expected["low"] < expected["high"]
    assert found.paired.value == pytest.approx(-expected["value"], abs=1e-9)
    assert found.paired.low == pytest.approx(-expected["high"], abs=1e-9)
    assert found.paired.high == pytest.approx(-expected["low"], abs=1e-9)
    assert "Both were judged on the same test rows." in crosslift("models", "compare", f"{NAME}@champion", f"{NAME}/1")
    told = json.loads(crosslift("models", "compare", f"{NAME}/2", f"{NAME}/1", "--json"))
    assert (told["first"]["version"], told["second"]["lane"]) == (2, "item_knn")
    assert told["paired"]["value"] == found.paired.value


def test_other_rows_and_lost_runs(home: Home) -> None:
    """Metrics on other rows must not be compared; of a run that is gone the tags are left."""
    apart = compare_versions(home, f"{NAME}/1", f"{NAME}/3")
    assert (apart.same_rows, apart.paired) == (False, None)
    assert "must not be compared" in apart.rows
    plan = home.run("one") / "plan.json"
    plan.rename(plan.with_suffix(".away"))
    try:
        gone = compare_versions(home, f"{NAME}/1", f"{NAME}/2")
    finally:
        plan.with_suffix(".away").rename(plan)
    assert (gone.same_rows, gone.paired, gone.first.test, gone.first.seed) == (None, None, "", "")
    assert "no paired comparison is possible" in gone.difference
    assert "there is no run 'one'" in gone.difference


@pytest.mark.parametrize(
    ("spelt", "problem"),
    [
        (f"{NAME}/9", "there is no such version .* 1, 2, 3, @challenger, @champion, @previous"),
        (f"{NAME}@champoin", "Did you mean 'champion'"),
        (NAME, "expected NAME/VERSION or NAME@ALIAS"),
        ("crosslift.wy/1", f"Did you mean '{NAME}'"),
    ],
)
def test_a_version_that_is_not_there(home: Home, spelt: str, problem: str) -> None:
    """What there is, and what was meant."""
    with pytest.raises(UserError, match=problem):
        compare_versions(home, spelt, f"{NAME}/1")


def test_status(home: Home, crosslift: Crosslift) -> None:
    """What serves since when by which verdict, and the last run."""
    told = json.loads(crosslift("status", "--json"))
    assert (told["home"], told["runs"], told["airflow"]) == (str(home.root), False, None)
    [model] = told["models"]
    assert (model["model"], model["serving"]["version"], model["serving"]["verdict"]) == (NAME, 2, "passed")
    assert [one["scenario"] for one in told["last_runs"]] == ["why"]
    [last] = last_runs(home)
    assert (last.scenario, last.outcome) == ("why", "promoted")
    judged, shows = last_shown(home, "why")
    assert judged == last.run_id
    assert re.fullmatch(r"[\d,]+ users, on whom a difference below \d+\.\d\d points cannot be seen; .*", shows)
    assert last_shown(home, "demo") == ("", "")
    text = crosslift("status")
    assert f"{NAME}  version 2  item_knn" in text
    assert "Airflow and MLflow do not run; `make up` starts them." in text
