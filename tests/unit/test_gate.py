"""The gate's rules, one after the other."""

import json
from dataclasses import replace

import numpy as np
import pytest

from pipeline.config import Ease, Gate
from pipeline.evaluation.gate import Incumbent, Verdict, decide
from pipeline.evaluation.hearing import ChampionScores, Lane
from pipeline.evaluation.reasons import no_skill, shown, stood_in
from pipeline.evaluation.statistics import Scores
from pipeline.evaluation.terms import Terms
from pipeline.labels.items import ITEMS
from pipeline.labels.statistic import Means

GATE = Gate(delta=0.05, resamples=1000)
TARGET_ONLY = Lane("target_only", "strategy", 0.20)
POPULARITY = Lane("popularity", "baseline", 0.10)
EASE = Lane("ease", "baseline", 0.19)
JOINT = Lane("joint", "strategy", 0.30, transfer=True)
LANES = (TARGET_ONLY, POPULARITY, EASE, JOINT)


def users(n: int = 4000, noise: float = 0.01, seed: int = 0, few: int | None = None, **means: float) -> Scores:
    """Make a metric of each user with exactly these means and, between two lanes, about this spread.

    `few`: only the first of the users are judged.
    """
    rng = np.random.default_rng(seed)
    lanes = {}
    for name, mean in {"chance": 0.0, **means}.items():
        spread = rng.normal(0, noise if mean else 0.0, n)
        lanes[name] = Means((mean + spread - spread.mean())[:few, None])
    return Scores(("ndcg@10",), lanes, rows=n)


def judge(test: Scores, lanes=LANES, champion=None, gate=GATE) -> Verdict:
    return decide(Terms(gate, "ndcg@10", ITEMS, seed=1), lanes, test, champion)


def serving(age: float = 1.0, **kwargs: float) -> ChampionScores:
    return ChampionScores(version=4, package="four", age_days=age, scores=users(**kwargs))


BASE = {"target_only": 0.20, "popularity": 0.10, "ease": 0.21}


def test_validation_picks_and_a_clear_gain_is_promoted():
    """The lane with the best validation metric is the candidate, and better than target-only it is promoted."""
    verdict = judge(users(joint=0.25, **BASE))
    assert (verdict.verdict, verdict.lane, verdict.candidate) == ("passed", "joint", "joint")
    assert [(c.role, c.reference, c.demand) for c in verdict.comparisons] == [
        ("target-only", "target_only", "better"),
        ("best baseline", "ease", "not worse"),
    ]
    assert verdict.comparisons[0].difference.value == pytest.approx(0.05)
    assert "holds against target_only (+5.00 points [" in verdict.reason


def test_a_counterpart_that_failed_is_told():
    """Target-only is easier to beat, so that nobody may take this for what the source brought."""
    with_source = Ease(kind="ease", domains="all")
    told = stood_in([Ease(kind="ease"), with_source], ["ease"], "ease+source")
    assert told == " ease failed, so target_only stood in for it: what the source brought is not shown."
    assert stood_in([with_source], ["ease"], "ease") == ""
    assert stood_in([with_source], ["joint"], "ease+source") == ""
    assert stood_in([with_source], ["ease"], None) == ""


BOTH = Lane("target_only_with_ease", "blend", 0.24)
JOINT_BLEND = Lane("joint_with_ease+source", "blend", 0.6, transfer=True, counterpart="target_only_with_ease")
BLEND = Lane("joint_with_ease+source", "blend", 0.31, transfer=True, counterpart="target_only_with_ease")


@pytest.mark.parametrize(("brings", "word"), [(0.0, "rejected"), (0.02, "passed")])
def test_what_blending_alone_brings_is_no_transfer(brings, word):
    """A blend is far better than target-only, and passes where it is better than the same one without a source."""
    verdict = judge(users(both=0.3, **BASE, **{BOTH.name: 0.3, BLEND.name: 0.3 + brings}), (*LANES[:3], BOTH, BLEND))
    assert (verdict.candidate, verdict.verdict) == (BLEND.name, word)
    demands = {one.reference: (one.role, one.demand) for one in verdict.comparisons}
    assert demands[BOTH.name] == ("counterpart", "better")
    assert demands["target_only"] == ("target-only", "not worse")
    told = "it had to be better than target_only_with_ease without the source and is not" in verdict.reason
    assert told == (word == "rejected")


def test_test_rows_do_not_pick():
    """A lane that is best on test rows alone is no candidate."""
    verdict = judge(users(joint=0.25, target_only=0.2, popularity=0.9, ease=0.21))
    assert verdict.candidate == "joint"


def test_the_best_baseline_is_that_of_validation():
    """Popularity is best on the test rows, but ease is the reference."""
    verdict = judge(users(joint=0.25, target_only=0.2, popularity=0.9, ease=0.21))
    assert verdict.comparisons[1].reference == "ease"
    assert verdict.verdict == "passed"


def test_a_strategy_that_only_equals_target_only_is_rejected():
    """A narrow interval around zero shows that there is no gain; the best safe lane serves instead."""
    verdict = judge(users(joint=0.2, **BASE))
    assert (verdict.verdict, verdict.lane) == ("rejected", "target_only")
    assert "it had to be better than target_only and is not" in verdict.reason
    assert verdict.reason.endswith(
        "so the gate chose target_only, on validation rows the best of the lanes that learnt from the target alone."
    )


def test_negative_transfer_is_rejected_even_where_the_interval_is_wide():
    """An upper bound below zero answers the question, whatever the width."""
    verdict = judge(users(n=200, noise=0.2, joint=0.10, **BASE))
    assert verdict.comparisons[0].difference.high < 0
    assert verdict.comparisons[0].powerless
    assert verdict.verdict == "rejected"


def test_a_wide_interval_is_undecided_and_target_only_is_promoted():
    """Where nothing serves yet, a candidate that cannot be told from target-only gives way to it."""
    verdict = judge(users(n=200, noise=0.2, joint=0.205, **BASE))
    assert (verdict.verdict, verdict.lane) == ("undecided", "target_only")
    assert "the test rows cannot tell whether it is better than target_only" in verdict.reason


def test_a_wide_interval_above_zero_is_a_proof():
    """The lower bound above zero settles it: a large gain on few rows is promoted."""
    verdict = judge(users(n=200, noise=0.2, joint=0.9, **BASE))
    assert verdict.comparisons[0].powerless
    assert (verdict.verdict, verdict.weak) == ("passed", False)


def test_not_worse_is_shown_by_the_lower_bound_with_the_margin():
    """A candidate a little below the baseline passes on many rows, and fails where it is below by more than that."""
    base = {"target_only": 0.1, "popularity": 0.1, "ease": 0.21}
    near = judge(users(joint=0.208, **base))
    assert near.comparisons[1].difference.low < 0 < near.comparisons[1].with_margin.low
    assert (near.verdict, near.weak) == ("passed", False)
    far = judge(users(joint=0.198, **base))
    assert far.comparisons[1].with_margin.high < 0
    assert far.verdict == "rejected"


def test_the_margin_is_one_share_of_the_skill_of_the_best_reference():
    """All references get 5 % of what the best one is above chance, also those that are worse."""
    verdict = judge(users(joint=0.25, target_only=0.1, popularity=0.05, ease=0.21, chance=0.01))
    assert [c.margin for c in verdict.comparisons] == pytest.approx([0.05 * 0.2] * 2)


def test_the_contrast_is_resampled_as_a_whole():
    """Its interval is that of candidate - .95 reference - .05 chance on the same draws, by NumPy alone."""
    scores = users(n=500, noise=0.1, joint=0.25, chance=0.02, **BASE)
    compared = judge(scores).comparisons[1]
    joint, ease, chance = (scores.lanes[name].values[:, 0] for name in ("joint", "ease", "chance"))
    rng = np.random.default_rng(1)
    drawn = np.concatenate([rng.integers(0, 500, (size, 500)) for size in (*[64] * 15, 40)])
    contrast = (joint - 0.95 * ease - 0.05 * chance)[drawn].mean(axis=1)
    assert (compared.with_margin.low, compared.with_margin.high) == pytest.approx(
        tuple(np.quantile(contrast, [0.025, 0.975]))
    )
    assert compared.with_margin.value == pytest.approx(0.25 - 0.95 * 0.21 - 0.05 * 0.02)


def test_the_floor_is_the_least_margin():
    """Where the share of the skill is less than what the scenario calls too little to act on, that counts."""
    near = {"joint": 0.205, "target_only": 0.1, "popularity": 0.1, "ease": 0.21}
    floor = Gate(delta=0.01, floor=0.02, resamples=1000)
    assert judge(users(**near), gate=Gate(delta=0.01, resamples=1000)).verdict == "rejected"
    assert judge(users(**near), gate=floor).verdict == "passed"
    assert [c.margin for c in judge(users(**near), gate=floor).comparisons] == [0.02, 0.02]
    useless = {"joint": 0.1, "target_only": 0.05, "popularity": 0.05, "ease": 0.05, "chance": 0.06}
    assert [c.margin for c in judge(users(**useless)).comparisons] == [0.0005] * 2  # no skill: the default


def test_weak_evidence_has_a_name():
    """Where the rows cannot show the margin, better than target-only and in point above all references will do."""
    low = {"target_only": 0.1, "popularity": 0.1, "ease": 0.21}
    verdict = judge(users(n=400, noise=0.2, joint=0.22, **low))
    assert [c.outcome for c in verdict.comparisons] == ["passed", "undecided"]
    assert verdict.comparisons[1].powerless
    assert (verdict.verdict, verdict.weak, verdict.lane) == ("passed", True, "joint")
    assert "This is weak evidence: a difference below 2." in verdict.reason
    below = judge(users(n=400, noise=0.2, joint=0.209, **low))
    assert (below.verdict, below.weak, below.lane) == ("undecided", False, "target_only")
    unsure = judge(users(n=400, noise=0.2, joint=0.215, target_only=0.21, popularity=0.1, ease=0.21))
    assert (unsure.verdict, unsure.lane) == ("undecided", "target_only")


def test_rows_that_can_show_the_margin_give_no_weak_evidence():
    """The power is that of target-only against the best baseline, whatever the candidate's own interval is."""
    n = 1600
    scores = users(n=n, noise=0.01, target_only=0.1, popularity=0.1, ease=0.21)
    noisy = users(n=n, noise=0.4, seed=1, joint=0.215).lanes["joint"]
    verdict = judge(Scores(scores.metrics, {**scores.lanes, "joint": noisy}, rows=n))
    assert [c.outcome for c in verdict.comparisons] == ["passed", "undecided"]
    assert not verdict.comparisons[1].powerless
    assert (verdict.verdict, verdict.weak) == ("undecided", False)


def test_power_is_known_without_the_candidate():
    """What the rows can show is half the interval of target-only against the best baseline but the candidate."""
    scores = users(n=500, noise=0.1, joint=0.25, **BASE)
    other = Scores(scores.metrics, {**scores.lanes, "joint": users(n=500, joint=0.9).lanes["joint"]}, rows=500)
    first, second = judge(scores).comparisons[0], judge(other).comparisons[0]
    assert first.visible == second.visible > 0
    own = judge(scores, (TARGET_ONLY, EASE)).comparisons[0]  # target-only against the best baseline itself
    assert own.reference == "ease"
    lanes = (TARGET_ONLY, POPULARITY, Lane("ease", "baseline", 0.5))
    against = judge(scores, lanes).comparisons[0]  # the best baseline against target-only: popularity stands in
    alone = judge(Scores(scores.metrics, {**scores.lanes, "ease": other.lanes["joint"]}, rows=500), lanes)
    assert against.visible == alone.comparisons[0].visible
    half = (own.difference.high - own.difference.low) / 2
    assert first.visible == pytest.approx(half)


def test_what_the_rows_can_show_is_said_in_the_units_of_the_metric():
    """So that a person knows before a night what it cannot tell; nothing is said where they tell nothing."""
    found = judge(users(n=500, noise=0.1, joint=0.25, **BASE)).comparisons
    least, margin = 100 * found[0].visible, 100 * found[0].margin
    said = f"500 users, on whom a difference below {least:.2f} points cannot be seen; 'not worse' allows {margin:.2f}"
    assert shown(ITEMS, found) == f"{said} points"
    assert shown(ITEMS, []) == shown(ITEMS, judge(users(n=1, joint=0.3, **BASE)).comparisons) == ""


@pytest.mark.parametrize(("units", "positives"), [(99, None), (99, 99), (400, 29)])
def test_too_few_rows_promote_no_transfer(units, positives):
    """Below 100 units or 30 positives what learnt from a source is not promoted, however good it seems."""
    scores = users(n=units, noise=0.01, joint=0.9, **BASE)
    few = Scores(scores.metrics, scores.lanes, rows=units, positives=positives)
    verdict = judge(few)
    assert [c.outcome for c in verdict.comparisons] == ["passed", "passed"]
    assert (verdict.verdict, verdict.lane, verdict.positives) == ("undecided", "target_only", positives)
    assert "with fewer than 100 users or 30 positives in the test nothing that learnt from a source" in verdict.reason
    lanes = (TARGET_ONLY, Lane("ease+source", "baseline", 0.5, transfer=True), EASE)
    both = Scores(scores.metrics, {**scores.lanes, "ease+source": scores.lanes["joint"]}, units, positives)
    assert judge(both, lanes).lane == "target_only"  # the best baseline learnt from a source, and ease is behind
    lanes = (TARGET_ONLY, Lane("ease", "baseline", 0.5))
    assert judge(few, lanes).verdict == "passed"  # it did not
    enough = Scores(scores.metrics, users(n=100, joint=0.9, **BASE).lanes, rows=100, positives=30)
    assert judge(enough).verdict == "passed"


def test_worse_than_the_best_baseline_by_more_than_delta_is_rejected():
    """All references must hold, not only target-only."""
    verdict = judge(users(joint=0.22, target_only=0.2, popularity=0.1, ease=0.3))
    assert [c.outcome for c in verdict.comparisons] == ["passed", "failed"]
    assert verdict.verdict == "rejected"
    assert "it had to be not worse by 1.50 points than the best baseline ease and is not" in verdict.reason


def test_a_baseline_need_not_beat_target_only():
    """A baseline picked by validation must only be not worse, and is not compared with itself."""
    lanes = (TARGET_ONLY, POPULARITY, Lane("ease", "baseline", 0.5))
    verdict = judge(users(target_only=0.2, popularity=0.1, ease=0.2), lanes)
    assert [(c.reference, c.demand) for c in verdict.comparisons] == [("target_only", "not worse")]
    assert (verdict.verdict, verdict.lane) == ("passed", "ease")


def test_a_baseline_that_uses_a_source_has_to_beat_the_same_method_without_it():
    """As good as without the source is not enough, however far both lie above target-only."""
    lanes = (TARGET_ONLY, EASE, Lane("ease+source", "baseline", 0.5, transfer=True, counterpart="ease"))
    equal = judge(users(target_only=0.2, ease=0.3, **{"ease+source": 0.3}), lanes)
    told = [(c.role, c.reference, c.demand, c.outcome) for c in equal.comparisons]
    assert told == [("target-only", "target_only", "not worse", "passed"), ("counterpart", "ease", "better", "failed")]
    assert (equal.verdict, equal.lane) == ("rejected", "target_only")  # ease is behind on validation
    assert "it had to be better than ease without the source and is not" in equal.reason
    helps = judge(users(target_only=0.2, ease=0.3, **{"ease+source": 0.36}), lanes)
    assert [c.outcome for c in helps.comparisons] == ["passed", "passed"]
    assert (helps.verdict, helps.lane) == ("passed", "ease+source")
    below = judge(users(target_only=0.4, ease=0.3, **{"ease+source": 0.36}), lanes)
    assert (below.verdict, below.lane) == ("rejected", "target_only")  # better than ease, worse than target-only


def test_a_baseline_whose_method_did_not_run_alone_has_to_beat_target_only():
    """Without a counterpart target-only is what the source has to add to."""
    lanes = (TARGET_ONLY, Lane("source_ials", "baseline", 0.5, transfer=True))
    verdict = judge(users(target_only=0.2, source_ials=0.2), lanes)
    assert [(c.role, c.demand) for c in verdict.comparisons] == [("target-only", "better")]
    assert (verdict.verdict, verdict.lane) == ("rejected", "target_only")


def test_what_uses_a_source_is_no_safe_choice():
    """Where the candidate does not pass and nothing served, the best baseline of the target alone is chosen."""
    lanes = (
        TARGET_ONLY,
        Lane("ease", "baseline", 0.3),
        Lane("ease+source", "baseline", 0.5, transfer=True, counterpart="ease"),
    )
    verdict = judge(users(n=200, noise=0.2, target_only=0.2, ease=0.2, **{"ease+source": 0.2}), lanes)
    assert (verdict.verdict, verdict.lane) == ("undecided", "ease")


HELPED = Lane("ease+source", "baseline", 0.25, transfer=True, counterpart="ease")


@pytest.mark.parametrize(
    ("helped", "chosen", "told"),
    [
        (
            0.26,
            "ease+source",
            "e best baseline, ease+source, holds at half the error against target_only (+6.00 points [+5.",
        ),
        (
            0.21,
            "target_only",
            "ease+source, pass at half the error: it had to be better than ease with",
        ),
        (
            0.19,
            "target_only",
            "ease+source, pass at half the error: it had to be not worse by",
        ),
    ],
)
def test_the_best_baseline_is_heard_where_nothing_served(helped, chosen, told):
    """A candidate loses to a baseline that learnt from a source: that one serves where it passes itself."""
    lanes = (*LANES, HELPED)
    means = {**BASE, "target_only": 0.20, "joint": 0.17, "ease+source": helped}
    verdict = judge(users(**means), lanes)
    assert (verdict.candidate, verdict.verdict, verdict.lane) == ("joint", "rejected", chosen)
    assert told in verdict.reason
    safest = ", on validation rows the best of the lanes that learnt from the target alone"
    why = "" if chosen == "ease+source" else safest
    assert verdict.reason.endswith(f"Nothing served yet, so the gate chose {chosen}{why}.")
    assert {c.reference for c in verdict.renewal} == {"target_only", "ease"}


@pytest.mark.parametrize(
    ("helped", "serves", "chosen", "renewal", "told"),
    [
        (0.26, 0.20, "ease+source", "champion better", " The best baseline, ease+source, holds at half the error agai"),
        (0.20, 0.20, "target_only", "champion not worse", " The gate chose the champion's own recipe, target_only fi"),
        (0.26, 0.30, None, "champion not worse", " Nor does the champion's own recipe, target_only fitted anew, pas"),
    ],
)
def test_the_best_baseline_is_heard_beside_a_champion(helped, serves, chosen, renewal, told):
    """Before the refit of what serves, which need not be better than that: this one has to be, or is not chosen."""
    own = Lane("target_only", "strategy", 0.20, recipe="scratch")
    means = {**BASE, "target_only": 0.20, "joint": 0.17, "ease+source": helped}
    champion = replace(serving(champion=serves, **means), recipe="scratch")
    verdict = judge(users(**means), (own, *LANES[1:], HELPED), champion)
    assert (verdict.candidate, verdict.verdict, verdict.lane) == ("joint", "rejected", chosen)
    assert renewal in [f"{c.role} {c.demand}" for c in verdict.renewal]
    assert told in verdict.reason
    assert "Nothing served yet" not in verdict.reason


def test_without_a_refit_the_best_baseline_is_told_as_such():
    """A champion whose recipe is no longer among the lanes; and of a target without labels it is not heard."""
    means = {**BASE, "target_only": 0.20, "joint": 0.17, "ease+source": 0.26}
    verdict = judge(users(**means), (*LANES, HELPED), serving(champion=0.30, **means))
    assert (verdict.lane, [c.demand for c in verdict.renewal if c.role == "champion"]) == (None, ["better"])
    assert " Nor does the best baseline, ease+source, pass at half the error: it had to be better than the champi" in (
        verdict.reason
    )
    chance = Lane("chance", "chance", 0.0)
    blind = judge(users(**means), (chance, *LANES[1:], HELPED), serving(champion=0.10, **means))
    assert blind.renewal == ()


@pytest.mark.parametrize(
    ("helped", "joint", "alone", "chosen", "told"),
    [
        (0.17, 0.26, 0.21, "joint", " The best strategy, joint, holds at half the error against target_only (+6.00 po"),
        (0.17, 0.20, 0.21, "target_only", " Nor does the best strategy, joint, pass at half the error: it had to be b"),
        (0.28, 0.25, 0.29, "target_only", "joint, pass at half the error: it had to be not worse by"),
    ],
)
def test_the_best_strategy_is_heard_where_a_baseline_is_the_candidate(helped, joint, alone, chosen, told):
    """A baseline with the source leads validation and fails; the best strategy serves where it passes itself.

    In the last case the candidate fails beside its method without the source, and so does the strategy: it has to be
    not worse than the best baseline, which is the candidate.
    """
    source = Lane("ease+source", "baseline", 0.35, transfer=True, counterpart="ease")
    means = {"target_only": 0.20, "popularity": 0.10, "ease": alone, "joint": joint, "ease+source": helped}
    verdict = judge(users(**means), (*LANES, source))
    assert (verdict.candidate, verdict.verdict, verdict.lane) == ("ease+source", "rejected", chosen)
    assert told in verdict.reason
    assert (verdict.second, {c.reference for c in verdict.renewal}) == ("joint", {"target_only", "ease+source"})


def test_no_strategy_is_heard_without_a_source():
    """Target-only is the best strategy: behind a baseline that fails it is a safe choice and nothing else."""
    source = Lane("ease+source", "baseline", 0.35, transfer=True, counterpart="ease")
    means = {**BASE, "joint": 0.26, "ease+source": 0.17}
    verdict = judge(users(**means), (replace(TARGET_ONLY, valid=0.32), *LANES[1:], source))
    assert (verdict.candidate, verdict.lane, verdict.second) == ("ease+source", "target_only", None)


def test_beside_a_champion_the_best_strategy_has_to_be_better_than_it():
    """As every other recipe; the champion's own is renewed where it is not."""
    own = Lane("target_only", "strategy", 0.20, recipe="scratch")
    source = Lane("ease+source", "baseline", 0.35, transfer=True, counterpart="ease")
    means = {**BASE, "joint": 0.26, "ease+source": 0.17}
    found = {}
    for serves in (0.20, 0.30):
        champion = replace(serving(champion=serves, **means), recipe="scratch")
        verdict = judge(users(**means), (own, *LANES[1:], source), champion)
        found[serves] = (verdict.candidate, verdict.lane, verdict.second)
    assert found == {0.20: ("ease+source", "joint", "joint"), 0.30: ("ease+source", None, "target_only")}


def test_the_best_baseline_is_heard_at_half_the_error():
    """Its intervals are those of 97.5 %, for it is a second way to be promoted; the candidate's stay as they are."""
    test = users(n=400, noise=0.01, target_only=0.20, popularity=0.10, ease=0.21, joint=0.20, **{"ease+source": 0.211})
    verdict = judge(test, (*LANES, HELPED))
    strict = judge(test, (*LANES[:3], HELPED), gate=GATE.model_copy(update={"alpha": 0.025}))
    assert (strict.candidate, verdict.renewal) == ("ease+source", strict.comparisons)
    assert [verdict.level, strict.level] == [0.95, 0.975]


def test_a_blend_of_the_target_alone_is_a_safe_choice():
    """The best on validation of what learnt from the target alone serves, also where it is made of two lanes."""
    lanes = (TARGET_ONLY, Lane("ease", "baseline", 0.3), Lane("target_only_with_ease", "blend", 0.4), JOINT_BLEND)
    values = {"target_only": 0.2, "ease": 0.2, "target_only_with_ease": 0.2, JOINT_BLEND.name: 0.2}
    verdict = judge(users(n=200, noise=0.2, **values), lanes)
    assert (verdict.verdict, verdict.lane) == ("undecided", "target_only_with_ease")
    worse = (TARGET_ONLY, Lane("ease", "baseline", 0.3), Lane("target_only_with_ease", "blend", 0.25), JOINT_BLEND)
    assert judge(users(n=200, noise=0.2, **values), worse).lane == "ease"


def test_target_only_is_not_compared_with_itself():
    """Target-only picked by validation is held against the best baseline alone."""
    verdict = judge(users(target_only=0.2, popularity=0.1, ease=0.2), (TARGET_ONLY, POPULARITY, EASE))
    assert [c.reference for c in verdict.comparisons] == ["ease"]
    assert (verdict.verdict, verdict.lane) == ("passed", "target_only")


def test_an_undecided_baseline_is_itself_a_safe_choice():
    """Undecided against target-only, the best baseline still serves where nothing did; rejected, it does not."""
    lanes = (TARGET_ONLY, Lane("ease", "baseline", 0.5))
    undecided = judge(users(n=200, noise=0.2, target_only=0.2, ease=0.2), lanes)
    assert (undecided.verdict, undecided.lane) == ("undecided", "ease")
    rejected = judge(users(target_only=0.2, ease=0.1), lanes)
    assert (rejected.verdict, rejected.lane) == ("rejected", "target_only")


def test_target_only_alone_is_promoted():
    """With nothing to hold it against, the only lane serves."""
    verdict = judge(users(target_only=0.2), (TARGET_ONLY,))
    assert (verdict.verdict, verdict.lane, verdict.comparisons) == ("passed", "target_only", ())
    assert "there is nothing to hold it against" in verdict.reason


def test_the_champion_is_a_reference_on_its_own_rows():
    """The champion's comparison uses the rows that it was allowed to be judged on."""
    champion = serving(n=1000, joint=0.25, champion=0.24, **BASE)
    verdict = judge(users(joint=0.25, **BASE), champion=champion)
    assert (verdict.comparisons[2].role, verdict.comparisons[2].reference) == ("champion", "version 4")
    assert verdict.champion is not None
    scored = verdict.champion.scored
    assert verdict.champion == Incumbent(version=4, package="four", new_rows=None, scored=scored)
    assert scored is not None
    assert scored.value == pytest.approx(verdict.comparisons[2].reference_metric)
    assert scored.low < scored.value < scored.high
    assert judge(users(joint=0.25, **BASE)).champion is None
    assert verdict.comparisons[2].units == 1000
    assert (verdict.verdict, verdict.lane) == ("passed", "joint")


def test_a_better_champion_stays():
    """A candidate that beats target-only but is worse than the champion does not replace it."""
    champion = serving(joint=0.25, champion=0.40, **BASE)
    verdict = judge(users(joint=0.25, **BASE), champion=champion)
    assert (verdict.verdict, verdict.lane) == ("rejected", None)
    assert "it had to be better than the champion, version 4 and is not" in verdict.reason


def test_undecided_keeps_the_champion():
    """With a champion there is no need of a safe lane."""
    champion = serving(n=200, noise=0.2, joint=0.25, champion=0.26, **BASE)
    verdict = judge(users(joint=0.25, **BASE), champion=champion)
    assert (verdict.verdict, verdict.lane) == ("undecided", None)
    assert "whether it is better than the champion, version 4" in verdict.reason


def test_an_old_champion_gives_way_to_a_candidate_that_is_not_worse():
    """Above the age limit "not worse" than what serves is enough; what the source brings has to be seen as ever."""
    others = {"popularity": 0.1, "ease": 0.2}
    test = users(joint=0.25, target_only=0.2, **others)
    metrics = {"joint": 0.25, "champion": 0.25, "target_only": 0.2, **others}
    assert judge(test, champion=serving(age=30, **metrics)).lane is None
    verdict = judge(test, champion=serving(age=31, **metrics))
    assert (verdict.verdict, verdict.lane) == ("passed", "joint")
    assert "the champion is 31 days old, more than the 30" in verdict.reason
    equal = {"joint": 0.2, "target_only": 0.2, **others}
    verdict = judge(users(**equal), champion=serving(age=31, champion=0.2, **equal))
    assert (verdict.verdict, verdict.lane) == ("rejected", None)


def test_an_old_champion_stays_before_a_worse_candidate():
    """Age is no reason to serve something worse."""
    champion = serving(age=400, joint=0.25, champion=0.4, **BASE)
    assert judge(users(joint=0.25, **BASE), champion=champion).lane is None


def test_no_test_row_decides_nothing():
    """Where every test row carries a mark, the verdict is undecided and says why."""
    verdict = judge(users(few=0, joint=0.25, **BASE))
    assert (verdict.verdict, verdict.lane, verdict.units) == ("undecided", "target_only", 0)
    assert "there are not enough test rows to compare it with target_only" in verdict.reason


def test_the_verdict_can_be_kept_as_json():
    """A verdict that was written and read again is the same."""
    verdict = judge(users(joint=0.25, **BASE))
    assert Verdict.model_validate(json.loads(verdict.model_dump_json())) == verdict


CHANCE = Lane("chance", "chance", 0.0)
DIRECT = Lane("direct", "strategy", 0.3)
SOURCE = Lane("source_ials", "baseline", 0.2)
WITHOUT_LABELS = (DIRECT, SOURCE, CHANCE)


def test_without_labels_the_candidate_must_beat_chance():
    """Chance takes the place of target-only, for strategies and baselines alike; a baseline stays a reference."""
    verdict = judge(users(direct=0.25, source_ials=0.2, chance=0.01), WITHOUT_LABELS)
    assert (verdict.verdict, verdict.lane, verdict.approvable) == ("passed", "direct", False)
    assert [(c.role, c.demand) for c in verdict.comparisons] == [("chance", "better"), ("best baseline", "not worse")]
    alone = judge(users(source_ials=0.2, chance=0.01), (SOURCE, CHANCE))
    assert [(c.role, c.demand, c.outcome) for c in alone.comparisons] == [("chance", "better", "passed")]


def test_without_labels_what_is_not_better_than_chance_serves_nobody():
    """Nothing is safe then: a rejected candidate is not replaced, and a person cannot approve it."""
    verdict = judge(users(direct=0.01, source_ials=0.005, chance=0.01), WITHOUT_LABELS)
    assert (verdict.verdict, verdict.lane, verdict.approvable) == ("rejected", None, False)


def test_without_labels_no_baseline_is_heard_in_its_place():
    """Sources name it, whose rows may not be like the target's: what does not pass is for a person."""
    lanes = (DIRECT, replace(SOURCE, transfer=True), CHANCE)
    verdict = judge(users(direct=0.05, source_ials=0.2, chance=0.01), lanes)
    assert (verdict.verdict, verdict.lane, verdict.renewal) == ("rejected", None, ())


@pytest.mark.parametrize("few", [0, 1, 30])
def test_without_labels_too_few_test_rows_are_for_a_person(few):
    """Undecided, also with no row at all, waits for an approval."""
    scores = users(n=200, noise=0.2, few=few, direct=0.02, source_ials=0.01, chance=0.01)
    verdict = judge(scores, WITHOUT_LABELS)
    assert (verdict.verdict, verdict.lane, verdict.approvable) == ("undecided", None, True)


def test_without_labels_a_champion_serves_on():
    """The next candidate has to stand beside what a person approved; where rows are missing, that stays."""
    lanes = (DIRECT, CHANCE)
    worse = serving(direct=0.2, champion=0.3)
    verdict = judge(users(direct=0.2, chance=0.01), lanes, worse)
    assert (verdict.verdict, verdict.lane) == ("rejected", None)
    nothing = ChampionScores(version=1, package="one", age_days=1, scores=users(few=0, direct=0.2, champion=0.2))
    assert judge(users(few=0, direct=0.2, chance=0.01), lanes, nothing).approvable


def test_an_old_champion_does_not_give_way_to_chance():
    """The age of the champion spares a candidate the proof against it, not the one that it is better than chance."""
    champion = serving(age=31, direct=0.01, champion=0.01)
    verdict = judge(users(direct=0.01, chance=0.01), (DIRECT, CHANCE), champion)
    assert [c.not_worse for c in verdict.comparisons] == [True, True]
    assert (verdict.verdict, verdict.lane) == ("rejected", None)


def test_with_labels_nobody_approves():
    """Undecided or not, where the target has labels the gate decides."""
    verdict = judge(users(n=200, noise=0.2, joint=0.205, **BASE))
    assert (verdict.verdict, verdict.approvable) == ("undecided", False)


def told_of_skill(whole: float, left: float, few: int = 400) -> str:
    """What is said of a lane with these means on all rows and on the others than some marked ones."""
    terms = Terms(GATE, "ndcg@10", ITEMS, seed=1)
    return no_skill(terms, "ease", None, users(4000, 0.3, ease=whole), users(4000 - few, 0.3, ease=left))


def test_a_lane_that_knows_nothing_but_marked_rows_is_told():
    """By words, wherever the gain over chance is on marked rows alone, or is not there at all."""
    told = told_of_skill(0.1, 0.0001)
    assert "Nothing is left without the 400 marked test rows: ease has 10.00 % on all rows and 0.01 % on" in told
    assert "no transfer beyond it is claimed" in told
    for told in (told_of_skill(0.0001, 0.0001), told_of_skill(0.1, 0.0001, few=0)):
        assert "on test rows without marks it is not shown to be better than a scorer" in told.lower()
    assert told_of_skill(0.1, 0.06) == told_of_skill(0.0001, 0.05) == told_of_skill(0.1, 0.04, few=0) == ""
    assert told_of_skill(0.1, 0.04) == (
        " Most of it is what the 400 marked test rows give away: ease has 10.00 % on all rows and 4.00 % on the "
        "others, where a scorer that says the same for all items has 0.00 %."
    )
    assert told_of_skill(0.1, 0.0001, few=3999) == ""  # one unit says nothing


def test_a_lane_that_serves_and_knows_nothing_else_is_told_too():
    """Of what the gate chose in place of the candidate, on rows without marks, whatever the candidate knows there."""
    terms = Terms(GATE, "ndcg@10", ITEMS, seed=1)
    every = users(4000, 0.3, ease=0.1, target_only=0.1)
    for known, skilled in ((0.0001, False), (0.05, True)):
        unmarked = users(3600, 0.3, ease=0.06, target_only=known)
        told = no_skill(terms, "ease", "target_only", every, unmarked)
        assert ("target_only, which the gate chose, is not shown to be better than a scorer" in told) is not skilled
        assert told == "" or told.startswith(" target_only")
    assert no_skill(terms, "ease", "ease", every, users(3600, 0.3, ease=0.06, target_only=0.0001)) == ""
