"""What runs say of what serves, and that it is true: trials, repeats, rollbacks, approvals, two runs at once."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import CrossliftError, UserError
from pipeline.folders import Home, read_json
from pipeline.registry import lookup, tracking
from pipeline.registry import promote as registry
from pipeline.registry.retire import Retired, retire
from pipeline.registry.rollback import Rollback, rollback
from pipeline.results import PROMOTE, REJUDGED
from pipeline.runs.approve import approve
from pipeline.runs.recipes import recipe_of
from pipeline.runs.run import Run
from pipeline.runs.summary import summarise
from pipeline.serving.package import ServedModel
from pipeline.steps import promote as step
from pipeline.steps.promote import promote

# MLflow itself uses what SQLAlchemy will remove.
pytestmark = [
    pytest.mark.slow,
    pytest.mark.usefixtures("trusted"),
    pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning"),
]
Nights = Callable[..., Any]  # the class `Night` of conftest.py


def named(home: Home, name: str) -> dict[str, int]:
    return registry.aliases(tracking.connect(home), f"crosslift.{name}")


def tags(home: Home, name: str, version: int) -> dict[str, str]:
    found = lookup.show_model(home, f"crosslift.{name}").versions
    return dict(next(one.tags for one in found if one.version == version))


def told(run: Run) -> tuple[str, str]:
    """Give outcome and reason of a promoted run, after a look that all places say the same."""
    summary = summarise(run)
    word, reason = summary["outcome"], summary["outcome_reason"]
    facts = run.result(PROMOTE).facts
    assert (facts.outcome, facts.reason, facts.verdict) == (word, reason, summary["verdict"])
    client = tracking.connect(run.home)
    experiment = client.get_experiment_by_name(f"crosslift/{run.scenario.name}").experiment_id
    found = client.search_runs([experiment], f"tags.`crosslift.run_id` = '{run.run_id}'")
    assert [one.info.run_id for one in found] == ([] if facts.repeats else [facts.logged])
    logged = client.get_run(facts.logged)
    assert logged.data.tags["verdict"] == summary["verdict"]
    if not (run.result(PROMOTE).reused or facts.repeats):  # else it keeps what it said when something happened
        assert (logged.data.tags["outcome"], logged.data.tags["outcome_reason"]) == (word, reason)
    assert (f" All is as it was at the end of run {facts.repeats}, of which MLflow" in reason) == bool(facts.repeats)
    page = Path(summary["report"])
    for text in (page.read_text(encoding="utf-8"), page.with_suffix(".md").read_text(encoding="utf-8")):
        assert f"Outcome: {word} (" in text
        assert f"Verdict: {summary['verdict']} (" in text
    champion = named(run.home, run.scenario.name).get("champion")
    assert summary["serving"] == champion
    assert summary["serves"] == (summary["version"] == champion) == (word in ("promoted", "serves already"))
    for version in lookup.show_model(run.home, summary["model"]).versions:
        assert (version.tags.get("outcome") == "promoted") == (version.version == champion), version
        described = client.get_model_version(summary["model"], str(version.version)).description
        assert f"Outcome: {version.tags['outcome']}. {version.tags['outcome_reason']}" in described
        assert described.startswith(f"Verdict: {version.tags['verdict']}. ")
    return word, reason


def test_a_trial_does_not_take_over(home: Home, night: Nights, deciding: Callable[..., Any]) -> None:
    """Other options than the scenario's: registered as challenger also where nothing serves, promoted on request."""
    tried = night(home, "trial-1", name="tried").run(seed=9)
    promote(tried)
    assert told(tried) == (
        "not promoted",
        "Version 1 (item_knn) comes from a trial (seed 9 instead of 0) and serves only where that is asked for, by "
        "--promote or in the form; nothing served.",
    )
    assert named(home, "tried") == {"challenger": 1}
    assert tags(home, "tried", 1)["trial"] == "seed 9 instead of 0"
    plain = night(home, "trial-2", name="tried").run(seed=0, strategies=("target_only",), promote=False)
    promote(plain)  # the scenario's own values are no trial
    assert told(plain) == ("promoted", "Version 2 (item_knn) became the first champion.")
    with deciding("passed", "item_knn"):
        again = night(home, "trial-3", name="tried").run(seed=9)
        promote(again)
        assert told(again)[0] == "not promoted"
        assert "version 2 (item_knn) stayed in service" in told(again)[1]
        asked = night(home, "trial-4", name="tried").run(seed=9, promote=True)
        promote(asked)
    assert told(asked) == (
        "promoted",
        "Version 1 (item_knn) took the place of version 2 (item_knn). It comes from a trial (seed 9 instead of 0), "
        "whose promotion was asked for.",
    )
    assert named(home, "tried") == {"champion": 1, "challenger": 1, "previous": 2}
    repeat = night(home, "trial-5", name="tried").run()
    promote(repeat)
    word, reason = told(repeat)
    assert (word, repeat.result(PROMOTE).facts.verdict) == ("not promoted", "passed")
    assert reason.startswith(
        "Version 2 (item_knn) served before, and no run brings the same package back; version 1 (item_knn) stayed in "
        "service. Replaced by version 1 on 20"
    )
    assert named(home, "tried") == {"champion": 1, "challenger": 2, "previous": 2}


def test_a_trial_says_nothing_new_of_what_a_night_registered(home: Home, night: Nights) -> None:
    """The same package tried again keeps the tags of the night that it comes from."""
    promote(night(home, "same-1", name="same").run("rejected", None))
    before = tags(home, "same", 1)
    tried = night(home, "same-2", name="same").run("rejected", None)
    promote(Run(tried.home, tried.run_id, tried.scenario, trial="epochs 1 instead of 20"))
    assert tags(home, "same", 1) == before
    promote(night(home, "same-3", name="same", seed=5).run("passed", "item_knn", seed=4))
    assert tags(home, "same", 2)["trial"] == "seed 4 instead of 0"


def test_a_stand_in_of_a_trial_is_not_even_registered(home: Home, night: Nights) -> None:
    """Where nothing serves the gate chooses a safe lane; a trial leaves that to the night."""
    tried = night(home, "safe-1", name="safe").run("undecided", "popularity", seed=3)
    promote(tried)
    assert told(tried)[0] == "not promoted"
    assert named(home, "safe") == {"challenger": 1}
    promote(plain := night(home, "safe-2", name="safe").run("undecided", "popularity"))
    assert told(plain)[0] == "promoted"
    assert [tags(home, "safe", version)["verdict"] for version in (2, 3)] == ["undecided", "fallback"]
    assert tags(home, "safe", 2)["outcome_reason"] == "The gate chose version 3 (popularity) in its place."


def two_nights(home: Home, night: Nights, name: str) -> Run:
    """Promote version 1, then version 2 in its place; gives the second night."""
    promote(night(home, f"{name}-1", name=name, seed=1).run())
    return in_its_place(night(home, f"{name}-2", name=name, seed=2).run())


def in_its_place(run: Run) -> Run:
    """Promote what was judged as if nothing served, as if it had been judged against what serves."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(step, "judge_again", lambda run, judged: judged)
        promote(run)
    return run


def test_a_repeat_after_a_rollback_says_so(home: Home, night: Nights) -> None:
    """What was rolled back is named as the reason; what serves again serves already."""
    second = two_nights(home, night, "back")
    assert told(second)[0] == "promoted"
    assert tags(home, "back", 1)["outcome"] == "replaced"
    rollback(home, "crosslift.back")
    again = night(home, "back-3", name="back", seed=2).run()
    promote(again)
    word, reason = told(again)
    assert (word, again.result(PROMOTE).facts.verdict) == ("not promoted", "passed")
    assert reason.startswith(
        "Version 2 (item_knn) was taken out of service, and no run brings the same package back; version 1 (item_knn) "
        "stayed in service. Rolled back on 20"
    )
    promote(older := night(home, "back-4", name="back", seed=1).run())
    word, reason = told(older)
    assert word == "serves already"
    assert "Champion again since 20" in reason
    assert "when version 2 was rolled back. All is as it was at the end of run back-1, of which MLflow tells." in reason


def test_what_was_retired_serves_no_more(home: Home, night: Nights) -> None:
    """Nothing serves until a night promotes another package, judged as a first one; the same does not come back."""
    with pytest.raises(UserError, match=r"no model is called 'crosslift\.gone'"):
        retire(home, "crosslift.gone")
    promote(night(home, "gone-1", name="gone", seed=1).run())
    assert retire(home, "crosslift.gone") == Retired("crosslift.gone", 1)
    assert "champion" not in named(home, "gone")
    assert tags(home, "gone", 1)["outcome"] == "retired"
    with pytest.raises(UserError, match=r"crosslift\.gone: no version serves"):
        retire(home, "crosslift.gone")
    promote(same := night(home, "gone-2", name="gone", seed=1).run())
    word, reason = told(same)
    assert word == "not promoted"
    assert reason.startswith(
        "Version 1 (item_knn) was taken out of service, and no run brings the same package back; n"
    )
    promote(other := night(home, "gone-3", name="gone", seed=2).run())
    assert told(other)[0] == "promoted"
    assert named(home, "gone")["champion"] == 2


def test_after_a_retirement_the_one_before_can_serve_again(home: Home, night: Nights) -> None:
    """A rollback brings it back where nothing serves; each version says how it ended, whoever comes after it."""
    two_nights(home, night, "left")
    retire(home, "crosslift.left")
    promote(third := night(home, "left-3", name="left", seed=3).run())
    assert told(third)[0] == "promoted"
    assert tags(home, "left", 1)["outcome_reason"].startswith("Replaced by version 2 on ")
    assert tags(home, "left", 2)["outcome"] == "retired"
    retire(home, "crosslift.left")
    assert rollback(home, "crosslift.left") == Rollback("crosslift.left", 1, None)
    assert named(home, "left") == {"champion": 1, "challenger": 3}
    assert tags(home, "left", 1)["outcome_reason"].endswith(", when nothing served.")
    with pytest.raises(UserError, match="nothing to roll back to; champion: 1, previous: none"):
        rollback(home, "crosslift.left")


def test_a_crash_behind_the_alias_is_completed(home: Home, night: Nights) -> None:
    """The alias has moved and nothing was said yet: the repeat says of both versions what became of them."""
    promote(night(home, "cut-1", name="cut", seed=1).run())
    second = night(home, "cut-2", name="cut", seed=2).run()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(registry, "tell_version", lambda *_: pytest.fail("as if killed"))
        with pytest.raises(pytest.fail.Exception):
            in_its_place(second)
    assert (named(home, "cut")["champion"], tags(home, "cut", 1)["outcome"]) == (2, "promoted")
    in_its_place(second)
    assert [tags(home, "cut", version)["outcome"] for version in (1, 2)] == ["replaced", "promoted"]


def test_what_a_person_let_serve_by_hand_says_what_replaced_it(home: Home, night: Nights) -> None:
    """An alias that was moved in MLflow's own page: the version had been replaced before, and is once more."""
    two_nights(home, night, "hand")
    tracking.connect(home).set_registered_model_alias("crosslift.hand", "champion", "1")
    in_its_place(night(home, "hand-3", name="hand", seed=3).run())
    assert named(home, "hand") == {"champion": 3, "challenger": 3, "previous": 1}
    assert tags(home, "hand", 1)["outcome_reason"].startswith("Replaced by version 3 on ")


def test_a_repeat_after_an_approval_says_so(home: Home, night: Nights, deciding: Callable[..., Any]) -> None:
    """A candidate waits for a person, whatever somebody tries meanwhile; afterwards it serves already."""
    waits = {"name": "waits", "approvable": True}
    promote(plain := night(home, "waits-1", **waits).run("undecided", None))
    word, reason = told(plain)
    assert word == "waits for approval"
    assert "`crosslift models approve crosslift.waits 1`; nothing served." in reason
    promote(tried := night(home, "waits-2", **waits).run("undecided", None, seed=7))
    assert told(tried)[0] == "not promoted"
    assert named(home, "waits") == {"challenger": 1}
    with pytest.raises(UserError, match="version 2: does not wait for an approval; challenger: 1"):
        approve(home, "crosslift.waits", 2)
    approve(home, "crosslift.waits", 1)
    champion = lookup.find_champion(home, "crosslift.waits")
    assert (champion.recipe, champion.creep) == (recipe_of(tried.scenario, "item_knn"), 0.0)
    promote(again := night(home, "waits-3", **waits).run("undecided", None))
    word, reason = told(again)
    assert word == "serves already"
    assert "approved by " in reason
    asked = night(home, "waits-4", **waits).run("undecided", None, seed=7, promote=True)
    with deciding("undecided", None, approvable=True):  # it was judged while nothing served
        promote(asked)
    assert told(asked)[0] == "waits for approval"
    assert named(home, "waits") == {"champion": 1, "challenger": 2}


def test_a_rejected_verdict_names_the_champion_that_stayed(home: Home, night: Nights) -> None:
    """The gate's word is the reason, in words that stay true when another one serves."""
    promote(night(home, "stays-1", name="stays").run())
    promote(second := night(home, "stays-2", name="stays", seed=1).run("rejected", None))
    assert told(second) == (
        "not promoted",
        "The gate chose nothing, its word about version 2 (item_knn) is rejected; version 1 (item_knn) stayed in "
        "service.",
    )
    assert tags(home, "stays", 2)["judged_against"] == "version 1"


@pytest.mark.parametrize(
    ("verdict", "lane", "outcome"), [("passed", "item_knn", "promoted"), ("rejected", None, "not promoted")]
)
def test_the_second_of_two_is_judged_against_the_first(
    home: Home, night: Nights, deciding: Callable[..., Any], verdict: str, lane: str | None, outcome: str
) -> None:
    """Both passed while nothing served. The second gets a verdict against the first, which decides."""
    name = f"two_{verdict}"
    first, second = (night(home, f"{name}-{seed}", name=name, seed=seed).run() for seed in (1, 2))
    promote(first)
    with deciding(verdict, lane):
        promote(second)
    assert told(second)[0] == outcome
    assert summarise(second)["judged_against"] == 1
    judged = read_json(second.path(second.result(REJUDGED)) / "verdict.json")
    identity = registry.find_version(tracking.connect(home), f"crosslift.{name}", first.result(PROMOTE).manifest)
    assert identity is not None
    against = judged["champion"]
    assert (against["version"], against["package"]) == (int(identity.version), first.result(PROMOTE).manifest)
    assert against["new_rows"] > 0  # of other tables; the first run is still at hand
    assert [one["role"] for one in judged["comparisons"]][-1] == "champion"
    assert tags(home, name, 2)["judged_against"] == "version 1"
    assert tags(home, name, 2)["verdict"] == verdict
    with pytest.MonkeyPatch.context() as patch:  # the same candidate and champion: the verdict is kept
        patch.setattr("pipeline.evaluation.gate.decide", lambda *_: pytest.fail("asked again"))
        promote(second)
    assert told(second)[0] == ("serves already" if lane else "not promoted")


def test_who_cannot_be_judged_again_stays_challenger(
    home: Home, night: Nights, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A champion that cannot be scored on tonight's rows is not replaced by what was never held against it."""
    first, second = (night(home, f"lost-{seed}", name="lost", seed=seed).run() for seed in (1, 2))
    promote(first)

    read = ServedModel.read

    def broken(folder: Path) -> ServedModel:
        if home.mlflow in folder.parents:
            raise CrossliftError("a score that is NaN.")
        return read(folder)

    monkeypatch.setattr(ServedModel, "read", broken)
    promote(second)
    assert told(second) == (
        "not promoted",
        "The verdict was made when nothing served; by now version 1 (item_knn) serves, and the candidate could not be "
        "judged against that: a score that is NaN. Version 2 (item_knn) is registered only; version 1 (item_knn) "
        "stayed in service.",
    )
    assert named(home, "lost") == {"champion": 1, "challenger": 2}


def test_the_alias_moves_only_if_it_is_where_it_was(home: Home, night: Nights, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody without our lock moves the alias while the model is proved: nothing is overwritten."""
    promote(night(home, "cas-1", name="cas").run("rejected", "popularity"))
    assert named(home, "cas") == {"champion": 2, "challenger": 1}
    second = night(home, "cas-2", name="cas", seed=1).run()
    client = tracking.connect(home)
    monkeypatch.setattr(
        registry, "check_serves", lambda *_: client.set_registered_model_alias("crosslift.cas", "champion", "1")
    )
    promote(second)
    facts = second.result(PROMOTE).facts
    assert (facts.outcome, facts.serving) == ("not promoted", 1)
    assert "was judged against version 2 (popularity), but the champion was another one" in str(facts.reason)
    assert named(home, "cas") == {"champion": 1, "challenger": 3}


def test_a_promotion_that_a_crash_cut_short_is_completed(
    home: Home, night: Nights, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The alias has moved and nothing was told: the next try says that the run promoted it, a later one does not."""
    promote(night(home, "crash-1", name="crash").run())
    second = night(home, "crash-2", name="crash", seed=1).run()
    with monkeypatch.context() as patch:
        patch.setattr(step, "publish_report", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            promote(second)
    assert named(home, "crash") == {"champion": 2, "challenger": 2, "previous": 1}
    assert promote(second).facts.outcome == "promoted"
    assert told(second)[0] == "promoted"
    assert named(home, "crash") == {"champion": 2, "challenger": 2, "previous": 1}
    assert promote(second).facts.outcome == "serves already"


DRIVER = """
import json, sys
from pathlib import Path
from pipeline.folders import Home
from pipeline.steps.promote import promote
from pipeline.runs.recipes import recipe_of
from pipeline.runs.run import Run
from pipeline.runs.summary import summarise
run = Run.load(Home(Path(sys.argv[1])), sys.argv[2])
promote(run)
print(json.dumps(summarise(run)))
"""


def test_two_processes_at_once(home: Home, night: Nights) -> None:
    """Judged while nothing served, promoted at the same time: one is the first, and the other is held against it."""
    runs = [night(home, f"both-{seed}", name="both", seed=seed).run() for seed in (1, 2)]
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", DRIVER, str(home.root), run.run_id],
            env=dict(os.environ),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for run in runs
    ]
    ended = [process.communicate() for process in processes]
    assert [process.returncode for process in processes] == [0, 0], ended
    first, second = sorted((json.loads(out.splitlines()[-1]) for out, _ in ended), key=lambda one: one["version"])
    assert (first["judged_against"], second["judged_against"]) == (None, 1)
    assert (first["outcome"], first["version"]) == ("promoted", 1)
    assert second["outcome"] == ("promoted" if second["verdict"] == "passed" else "not promoted")
    assert named(home, "both")["champion"] == (2 if second["verdict"] == "passed" else 1)
