"""The one reason that is given where a version does not become the champion."""

from pathlib import Path

import pytest

from pipeline.folders import Home
from pipeline.registry.promote import Serving
from pipeline.runs.outcome import Place, held_back, moved
from pipeline.runs.run import Run
from pipeline.scenarios import load_scenario

SERVING = Serving(version=2, lane="ease", package="two")
SERVED = {"crosslift.promoted": "true", "outcome_reason": "Replaced by version 2 on Monday."}
BACK = {**SERVED, "crosslift.rolled_back": "Monday", "outcome_reason": "Rolled back on Monday; version 2 served again."}
WAITS = {"approval": "needed"}


def run(trial: str = "", *, promote: bool = False) -> Run:
    return Run(Home(Path("/nowhere")), "r", load_scenario("demo"), trial=trial, promote=promote)


def place(tags: dict[str, str], serving: Serving | None = SERVING, version: int = 3) -> Place:
    return Place("crosslift.demo", version, "joint", tags, True, serving)


@pytest.mark.parametrize(
    ("tags", "chosen", "trial", "unjudged", "word", "told"),
    [
        ({}, True, "", "", None, ""),
        (
            BACK,
            True,
            "",
            "",
            "not promoted",
            "was taken out of service, and no run brings the same package back; vers",
        ),
        (BACK, False, "seed 1", "Why.", "not promoted", "Rolled back on Monday; version 2 served again."),
        (SERVED, True, "seed 1", "", "not promoted", "served before, and no run brings the same package back; vers"),
        (SERVED, True, "", "", "not promoted", "Replaced by version 2 on Monday."),
        ({}, True, "", "It could not be judged.", "not promoted", "It could not be judged. Version 3 (joint) is regi"),
        (WAITS, False, "", "", "waits for approval", "`crosslift models approve crosslift.demo 3`"),
        ({}, False, "seed 1", "", "not promoted", "its word about version 3 (joint) is rejected; version 2 (ease) s"),
        ({}, True, "seed 1", "", "not promoted", "comes from a trial (seed 1) and serves only where that is asked f"),
    ],
)
def test_the_first_reason_that_applies_is_given(
    tags: dict[str, str], chosen: bool, trial: str, unjudged: str, word: str | None, told: str
) -> None:
    """A rollback outweighs the rest, then a service that ended, then the gate, and last that it was only tried."""
    found = held_back(run(trial), place(tags), chosen, "rejected", unjudged)
    assert (found and found[0]) == word
    assert told in (found or ("", ""))[1]


@pytest.mark.parametrize("chosen", [True, False])
@pytest.mark.parametrize("trial", ["", "seed 1"])
def test_what_serves_serves_already(chosen: bool, trial: str) -> None:
    """Whatever the gate said, and whoever tries."""
    tags = {"crosslift.promoted": "true", "outcome_reason": "Champion since Monday, by run q."}
    found = held_back(run(trial), place(tags, version=2), chosen, "undecided", "")
    assert found is not None
    assert found[0] == "serves already"
    assert found[1].endswith("Champion since Monday, by run q.")


def test_a_promotion_that_was_cut_short_is_completed_by_whom_it_is_allowed() -> None:
    """Without the tag that ends a promotion the run that may promote completes it; a trial leaves it alone."""
    halfway = place({}, version=2)
    assert held_back(run(), halfway, True, "passed", "") is None
    assert (held_back(run("seed 1"), halfway, True, "passed", "") or "")[0] == "serves already"
    assert moved(run(), halfway) == "Version 2 (joint) became the champion in an earlier try."


def test_a_promotion_says_what_it_replaced_and_that_it_was_asked_for() -> None:
    """In words that stay true when another one serves."""
    assert moved(run(), place({}, serving=None)) == "Version 3 (joint) became the first champion."
    told = moved(run("seed 1", promote=True), place({}))
    assert told.startswith("Version 3 (joint) took the place of version 2 (ease). It comes from a trial (seed 1)")
    assert held_back(run("seed 1", promote=True), place({}), True, "passed", "") is None
