"""The gate over nights: recipes, the budget against creep, and the age of the champion."""

import re
from dataclasses import replace

import numpy as np
import pytest

from pipeline.config import Baseline, Gate, Scenario
from pipeline.evaluation.gate import Verdict, decide
from pipeline.evaluation.hearing import ChampionScores, Lane
from pipeline.evaluation.statistics import Scores
from pipeline.evaluation.terms import Terms
from pipeline.labels.items import ITEMS
from pipeline.labels.statistic import Means
from pipeline.runs.recipes import recipe_of
from pipeline.scenarios import load_scenario

TERMS = Terms(Gate(resamples=1000), "ndcg@10", ITEMS, seed=1)
TARGET_ONLY = Lane("target_only", "strategy", 0.2, recipe="target_only 1")
EASE = Lane("ease", "baseline", 0.1, recipe="ease 1")
JOINT = Lane("joint", "strategy", 0.3, transfer=True, recipe="joint 1")
DANN = Lane("dann", "strategy", 0.29, transfer=True, recipe="dann 1")
LANES = (TARGET_ONLY, EASE, JOINT, DANN)
TRUE = {"target_only": 0.2, "ease": 0.2, "joint": 0.25, "dann": 0.25, "chance": 0.0}


def scores(n: int = 4000, noise: float = 0.01, **means: float) -> Scores:
    """Make a metric of each user with exactly these means and, between two lanes, about this spread."""
    rng, lanes = np.random.default_rng(0), {}
    for name, mean in {**TRUE, **means}.items():
        spread = rng.normal(0, noise if mean else 0.0, n)
        lanes[name] = Means((mean + spread - spread.mean())[:, None])
    return Scores(("ndcg@10",), lanes, rows=n)


def judge(recipe: str, champion: float, creep: float = 0.0, age: float = 1.0, **means: float) -> Verdict:
    """Judge on a night on which something with this recipe and this quality serves."""
    found = scores(champion=champion, **means)
    return decide(TERMS, LANES, found, ChampionScores(4, "four", age, found, recipe, creep))


def test_the_own_recipe_replaces_the_champion_where_it_is_not_worse():
    """A little below the champion in point, the refit of its recipe is promoted all the same, and the sum keeps it."""
    verdict = judge("joint 1", champion=0.252)
    assert (verdict.verdict, verdict.lane) == ("passed", "joint")
    assert [(c.role, c.demand) for c in verdict.comparisons][-1] == ("champion", "not worse")
    beside = verdict.comparisons[-1]
    assert verdict.creep == pytest.approx(beside.with_margin.low - beside.margin)  # what may have been lost
    assert -0.0025 < verdict.creep < -0.002 == pytest.approx(beside.difference.value)


def test_another_recipe_has_to_be_better():
    """The same figures from another recipe: not worse is not enough, and the champion stays."""
    verdict = judge("gone 1", champion=0.252)
    assert (verdict.verdict, verdict.lane) == ("rejected", None)
    assert [(c.role, c.demand) for c in verdict.comparisons][-1] == ("champion", "better")
    better = judge("gone 1", champion=0.24)
    assert (better.verdict, better.lane, better.creep) == ("passed", "joint", 0.0)


def test_another_recipe_has_to_be_better_than_the_refit_as_well():
    """Better than a champion that has grown stale says nothing of the recipe: its refit is renewed instead."""
    verdict = judge("dann 1", champion=0.24, dann=0.252)
    assert [(c.role, c.reference, c.demand, c.outcome) for c in verdict.comparisons][2:] == [
        ("refit", "dann", "better", "failed"),
        ("champion", "version 4", "better", "passed"),
    ]
    assert (verdict.verdict, verdict.lane, verdict.creep) == ("rejected", "dann", 0.0)
    assert [(c.role, c.demand) for c in verdict.renewal][-1] == ("champion", "not worse")
    assert "it had to be better than the champion's own recipe, dann fitted anew and is not" in verdict.reason
    assert "The gate chose the champion's own recipe, dann fitted anew: it is not worse (+1.20 points" in verdict.reason
    both = judge("dann 1", champion=0.24, dann=0.24)
    assert (both.verdict, both.lane, both.renewal) == ("passed", "joint", ())


def test_a_refit_that_is_worse_is_no_renewal():
    """Neither the candidate nor the refit passes, and both reasons are told."""
    verdict = judge("dann 1", champion=0.3, dann=0.25)
    assert (verdict.verdict, verdict.lane, verdict.creep) == ("rejected", None, 0.0)
    assert "Nor does the champion's own recipe, dann fitted anew, pass" in verdict.reason


def test_the_refit_that_is_a_reference_is_held_against_once():
    """The champion's recipe is the best baseline: the candidate must be better than it, in one comparison."""
    verdict = judge("ease 1", champion=0.2)
    assert [(c.role, c.demand) for c in verdict.comparisons] == [
        ("target-only", "better"), ("best baseline", "better"), ("champion", "better"),
    ]  # fmt: skip
    assert (verdict.verdict, verdict.lane) == ("passed", "joint")


def test_small_losses_do_not_add_up():
    """A little worse each night is not worse, but what may have been lost in all stays within the margin."""
    once = judge("joint 1", champion=0.252)
    passed = judge("joint 1", champion=0.252, creep=-0.010)
    assert (passed.lane, passed.creep) == ("joint", pytest.approx(once.creep - 0.010))
    verdict = judge("joint 1", champion=0.252, creep=-0.011)
    assert (verdict.verdict, verdict.lane, verdict.creep) == ("undecided", None, 0.0)
    assert all(c.outcome == "passed" for c in verdict.comparisons)
    assert "would add up to -1.34 points, and the margin is 1.26" in verdict.reason
    gain = judge("joint 1", champion=0.249, creep=-0.0124)
    assert (gain.lane, gain.creep) == ("joint", 0.0)  # better, so the sum begins anew


def test_the_sum_counts_what_the_rows_cannot_exclude():
    """The same difference in point costs more where the interval is wider."""
    sure = judge("joint 1", champion=0.25)
    wide = scores(n=1000, noise=0.05, champion=0.25)
    unsure = decide(TERMS, LANES, wide, ChampionScores(4, "four", 1.0, wide, "joint 1", 0.0))
    assert (sure.verdict, unsure.verdict) == ("passed", "passed")
    assert unsure.creep < 5 * sure.creep < 0


def test_an_old_champion_gives_way_to_another_recipe_that_is_not_worse():
    """Above the age limit the candidate need not be better than the champion or than its refit, and the sum ends."""
    young = judge("dann 1", champion=0.25, age=30)
    assert (young.verdict, young.lane) == ("rejected", "dann")  # the refit is renewed
    old = judge("dann 1", champion=0.25, age=31)
    assert (old.verdict, old.lane) == ("passed", "joint")
    assert "the champion is 31 days old, more than the 30" in old.reason
    assert judge("dann 1", champion=0.27, dann=0.27, age=31).lane == "dann"  # joint is worse
    spent = {"champion": 0.252, "creep": -0.0124}
    assert judge("joint 1", age=30, **spent).lane is None
    anew = judge("joint 1", age=31, **spent)
    assert (anew.lane, anew.creep) == ("joint", judge("joint 1", champion=0.252).creep)


@pytest.mark.parametrize("age", [1.0, 31.0])
def test_weak_evidence_does_not_replace_what_serves(age):
    """Where the rows show little, what is better in point alone waits, whatever its recipe and the champion's age."""
    few = scores(n=300, noise=0.2, target_only=0.1, ease=0.245, joint=0.25, champion=0.24)
    for recipe in ("joint 1", "gone 1"):
        verdict = decide(TERMS, LANES, few, ChampionScores(4, "four", age, few, recipe, 0.0))
        assert (verdict.verdict, verdict.weak, verdict.lane) == ("undecided", False, None)
        assert re.search("cannot tell whether it is .* than the champion, version 4", verdict.reason)
    first = decide(TERMS, LANES, few, None)
    assert (first.verdict, first.weak, first.lane, first.creep) == ("passed", True, "joint", 0.0)


def test_weak_evidence_stands_in_against_a_baseline_while_something_serves():
    """Proved not to be worse than the champion, a refit is held up by no baseline that the rows cannot tell from it."""
    few = scores(n=300, noise=0.2, target_only=0.1, ease=0.245, joint=0.25)
    lanes = {**few.lanes, "champion": Means(few.lanes["joint"].values - 0.001)}
    beside = Scores(few.metrics, lanes, rows=300)
    verdict = decide(TERMS, LANES, few, ChampionScores(4, "four", 1.0, beside, "joint 1", 0.0))
    assert [c.outcome for c in verdict.comparisons] == ["passed", "undecided", "passed"]
    assert (verdict.verdict, verdict.weak, verdict.lane) == ("passed", True, "joint")


def test_a_champion_of_an_unknown_recipe_has_no_refit():
    """Lanes without a recipe are not the recipe of a champion without one."""
    lanes = [replace(lane, recipe="") for lane in LANES]
    found = scores(champion=0.252)
    verdict = decide(TERMS, lanes, found, ChampionScores(4, "four", 1.0, found))
    assert [c.role for c in verdict.comparisons] == ["target-only", "best baseline", "champion"]
    assert verdict.comparisons[-1].demand == "better"


def test_a_recipe_is_a_lane_with_its_settings():
    """Other settings are another recipe; another seed, share or schedule are not, nor what other lanes are set to."""
    scenario: Scenario = load_scenario("demo")
    own = recipe_of(scenario, "fine_tune")
    assert own.startswith("fine_tune ")
    same = {"seed": 5, "target_share": 0.3, "schedule": "0 1 * * *", "baselines": scenario.baselines[:1]}
    assert recipe_of(scenario.model_copy(update=same), "fine_tune") == own
    training = scenario.training.model_copy(update={"epochs": 99})
    other = scenario.model_copy(update={"training": training})
    assert recipe_of(other, "fine_tune") != own
    baseline: Baseline = scenario.baselines[0]
    assert recipe_of(other, baseline.name) == recipe_of(scenario, baseline.name)
    assert len({recipe_of(scenario, lane.name) for lane in (*scenario.strategies, *scenario.baselines)}) == len(
        (*scenario.strategies, *scenario.baselines)
    )
