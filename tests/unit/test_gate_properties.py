"""What holds for the gate whatever the numbers are, and for metrics that are no means."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import rankdata

from pipeline.config import Gate
from pipeline.evaluation.gate import decide
from pipeline.evaluation.hearing import Lane
from pipeline.evaluation.statistics import Scores, draws
from pipeline.evaluation.terms import Terms
from pipeline.labels.classes import auroc
from pipeline.labels.items import ITEMS
from pipeline.labels.statistic import Means, Recomputed
from pipeline.labels.words import Words

CLASSES = Words({"auroc": "AUROC"}, frozenset(), "rows", False, 3, "a coin", "")
LANES = (
    Lane("target_only", "strategy", 0.2),
    Lane("ease", "baseline", 0.1),
    Lane("joint", "strategy", 0.3, transfer=True),
)
TERMS = Terms(Gate(resamples=1000), "ndcg@10", ITEMS, seed=1)
SEEDS, SIZES, LEVELS = st.integers(0, 100_000), st.integers(2, 400), st.floats(0, 1)


def scores(seed: int, units: int, means: dict[str, float]) -> Scores:
    """Draw values between 0 and 1 that the lanes of a unit share in part."""
    rng = np.random.default_rng(seed)
    common = rng.random(units)
    lanes = {name: Means(np.where(rng.random(units) < mean, common, 0.0)[:, None]) for name, mean in means.items()}
    return Scores(("ndcg@10",), lanes, rows=units)


def put(found: Scores, **others: str) -> Scores:
    """Let some lanes be others."""
    lanes = {**found.lanes, **{name: found.lanes[other] for name, other in others.items()}}
    return Scores(found.metrics, lanes, found.rows)


@given(seed=SEEDS, units=SIZES, own=LEVELS, ease=LEVELS, chance=LEVELS)
@settings(max_examples=40, deadline=None)
def test_what_equals_the_reference_is_never_better(seed, units, own, ease, chance):
    """A strategy that gives the very answers of target-only does not pass, on few rows and on many."""
    means = {"target_only": own, "ease": ease, "chance": chance}
    verdict = decide(TERMS, LANES, put(scores(seed, units, means), joint="target_only"), None)
    assert verdict.comparisons[0].outcome != "passed"
    assert not verdict.comparisons[0].better
    assert verdict.verdict != "passed"


@given(seed=SEEDS, units=SIZES, own=LEVELS, ease=LEVELS, chance=st.floats(0, 0.2))
@settings(max_examples=40, deadline=None)
def test_a_transfer_that_knows_nothing_is_not_promoted_over_skill(seed, units, own, ease, chance):
    """A strategy that answers like chance passes only where target-only is below chance beyond doubt."""
    found = put(scores(seed, units, {"target_only": own, "ease": ease, "chance": chance}), joint="chance")
    verdict = decide(TERMS, LANES, found, None)
    if verdict.verdict == "passed":
        assert verdict.comparisons[0].reference_metric < verdict.comparisons[0].candidate_metric


@given(seed=SEEDS, units=SIZES, joint=LEVELS, own=LEVELS, ease=LEVELS, chance=LEVELS)
@settings(max_examples=40, deadline=None)
def test_of_less_that_is_better_the_verdict_is_the_same(seed, units, joint, own, ease, chance):
    """Every value taken from one, and less of it better: the same word, the same differences."""
    more = scores(seed, units, {"joint": joint, "target_only": own, "ease": ease, "chance": chance})
    less = Scores(more.metrics, {name: Means(1 - lane.values) for name, lane in more.lanes.items()}, units)
    words = replace(ITEMS, less=frozenset({"ndcg"}))
    turned = [replace(lane, valid=-lane.valid) for lane in LANES]
    first = decide(TERMS, LANES, more, None)
    second = decide(replace(TERMS, words=words), turned, less, None)
    assert (first.verdict, first.weak, first.lane) == (second.verdict, second.weak, second.lane)
    for one, other in zip(first.comparisons, second.comparisons, strict=True):
        assert other.difference.value == pytest.approx(one.difference.value, abs=1e-9)
        assert other.candidate_metric == pytest.approx(1 - one.candidate_metric)
        assert other.margin == pytest.approx(one.margin, abs=1e-9)


def mann_whitney(label, score):
    """Compute AUROC from ranks."""
    positives = label.sum()
    return (rankdata(score)[label].sum() - positives * (positives + 1) / 2) / (positives * (~label).sum())


def test_a_metric_that_is_no_mean_is_gated_by_the_same_rule():
    """AUROC: the contrast is recomputed on each resample with a positive, here by ranks of repeated rows."""
    rng = np.random.default_rng(0)
    label = np.arange(300) < 4  # some resamples hold no positive
    lifts = {"joint": 2, "target_only": 1, "ease": 1, "chance": 0}
    told = {name: np.round(lift * (label + rng.normal(0, 1, 300)), 1) for name, lift in lifts.items()}
    lanes = {name: Recomputed((partial(auroc, positive_N=label, score_N=score),), np.arange(300), 300)
             for name, score in told.items()}  # fmt: skip
    found = Scores(("auroc",), lanes, rows=300, positives=4)
    verdict = decide(Terms(Gate(resamples=1000), "auroc", CLASSES, 3), LANES, found, None)
    own, compared = verdict.comparisons
    best = "ease" if compared.reference_metric >= own.reference_metric else "target_only"
    contrasts = []
    for count in np.concatenate(list(draws(300, 1000, 3))).astype(int):
        rows = np.repeat(np.arange(300), count)
        if label[rows].any():
            reached = {name: mann_whitney(label[rows], score[rows]) for name, score in told.items()}
            contrasts.append(reached["joint"] - reached["ease"] + 0.05 * (reached[best] - 0.5))
    assert compared.undefined == 1000 - len(contrasts) > 0
    wanted = tuple(np.quantile(contrasts, [0.025, 0.975]))
    assert (compared.with_margin.low, compared.with_margin.high) == pytest.approx(wanted)
    assert (verdict.verdict, verdict.positives) == ("undecided", 4)
    assert "fewer than 100 rows or 30 positives" in verdict.reason
