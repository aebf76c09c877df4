"""Blends of two lanes: the sum, how shares are chosen, what each is held against, and what is refused."""

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError
from scipy import sparse

from pipeline.config import Gate, JudgeSettings, LaneBlend, Scenario, alone_of, domains_of
from pipeline.evaluation.blending import PRIOR, TRIED, mix
from pipeline.evaluation.choosing import Chooser
from pipeline.evaluation.comparison import Validated, describe_lanes
from pipeline.evaluation.terms import Terms
from pipeline.labels.item_words import ITEMS
from pipeline.models.blends import ItemBlends, LaneBlendRanker
from pipeline.models.neighbours import PopularityRanker
from pipeline.models.scales import standardised
from pipeline.past import BANDS, Past
from pipeline.results import Mixture
from pipeline.runs.graph import graph_of
from pipeline.runs.recipes import recipe_of
from pipeline.scenarios import load_scenario
from pipeline.steps.judging import candidate_lanes
from pipeline.tasks.blends import BLENDERS
from pipeline.views import PAST, View

# --- the sum


class Told(PopularityRanker):
    """Says the same scores for everyone, and counts the users that it is asked about."""

    asked = 0

    def scores(self, histories: Any) -> Any:
        found = super().scores(histories)
        self.asked += len(found)
        return found


def taken(lengths: Sequence[int], items: int) -> sparse.csr_matrix:
    """Each user took so many items, the first ones."""
    dense = np.arange(items)[None, :] < np.array(lengths)[:, None]
    return sparse.csr_matrix(dense.astype(np.float32))


def test_standard_scores_are_over_what_can_be_shown() -> None:
    """What a user took moves neither the mean nor the deviation, and a constant row says nothing."""
    rng = np.random.default_rng(0)
    scores = rng.normal(3, 2, (40, 12)).astype(np.float32)
    scores[5] = 7.0
    own = taken(np.arange(40) % 4, 12)
    expected = np.zeros_like(scores)
    for row in range(40):
        shown = scores[row, own[row].toarray()[0] == 0]
        if shown.std() > 0:
            expected[row] = (scores[row] - shown.mean()) / shown.std()
    np.testing.assert_allclose(standardised(scores.copy(), own), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("value", [7.3, 0.1, 123456.7])
def test_equal_scores_say_nothing_however_they_are_rounded(value: float) -> None:
    """The mean of many equal scores is another number in single precision; that is no deviation."""
    scores = np.full((3, 1000), value, dtype=np.float32)
    np.testing.assert_array_equal(standardised(scores.copy(), taken([0, 1, 40], 1000)), 0)
    scores[:, 500] += np.float32(value) / 100
    assert (standardised(scores, taken([0, 1, 40], 1000)).argmax(axis=1) == 500).all()


def test_a_blend_is_the_weighted_sum_of_standard_scores() -> None:
    """Each user's share is that of the band of the target's history; whoever has none is in the first band."""
    rng = np.random.default_rng(1)
    one, other = (rng.random(150).astype(np.float32) for _ in range(2))
    lengths, shares = [0, 1, 2, 3, 4, 5, 9, 10, 19, 20, 99, 100, 149], [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7]
    bands = [0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6]
    own = taken(lengths, 150)
    past = Past({"far": taken([3] * 13, 5), "near": own})
    said = LaneBlendRanker(PopularityRanker(one), PopularityRanker(other), "near", shares).scores(past)
    for row, band in enumerate(bands):
        shown = np.arange(150) >= lengths[row]
        z = [np.zeros(150) if not part[shown].std() else (part - part[shown].mean()) / part[shown].std()
             for part in (one, other)]  # fmt: skip
        np.testing.assert_allclose(
            said[row][shown], (shares[band] * z[0] + (1 - shares[band]) * z[1])[shown], rtol=1e-3, atol=1e-4
        )
    stranger = LaneBlendRanker(PopularityRanker(one), PopularityRanker(other), "near", shares).scores(
        past.only(["far"])
    )
    np.testing.assert_allclose(stranger[0], said[0], rtol=1e-6)


def test_whose_share_is_nothing_is_not_asked() -> None:
    """Users who are served without a lane do not pay for it, and get exactly what the other one says."""
    first, second = Told(np.arange(9, dtype=np.float32)), Told(np.arange(9, dtype=np.float32)[::-1].copy())
    blend = LaneBlendRanker(first, second, "near", [0.0, 1.0, 0.5, 0.5, 0.5, 0.5, 0.5])
    said = blend.scores(Past({"near": taken([0, 0, 1, 3], 9)}))
    assert (first.asked, second.asked) == (2, 3)
    assert said[0].argmax() == 0
    assert said[2].argmax() == 8


# --- how shares are chosen


class Label:
    """A label whose metric of a unit is a number that its predictor says; more is better."""

    words, gated = ITEMS, "ndcg@10"

    def predict(self, predictor: Any, view: View) -> Any:
        return predictor[: len(view)]

    def values(self, judged: Any) -> dict[str, float]:
        return {"ndcg@10": float(np.concatenate([said for _, said in judged]).mean())}


def chooser(rows: int) -> Chooser:
    """One row a unit."""
    view = View("near", pd.DataFrame({"row": np.arange(rows), "unit": np.arange(rows)}), {}, ())
    return Chooser(Label(), SimpleNamespace(name="near"), view)  # type: ignore[arg-type]


def mixed(bands: Any, value: Any, prefer: int = 1) -> tuple[float, ...]:
    """`value(share, band)` is the metric of a unit of that band: an array over units."""
    found = mix(chooser(len(bands)), lambda shares: value(shares[0], bands), bands, int(bands.max()) + 1, prefer)  # type: ignore[arg-type,return-value]
    return found.shares


def test_each_group_takes_what_helps_it() -> None:
    """Units with little history gain by the first lane, those with much lose by it, and are served without it."""
    bands = np.repeat([0, 1], 5000)
    assert mixed(bands, lambda share, band: np.where(band == 0, share, 1 - share)) == (1.0, 0.0)


def test_a_few_units_choose_nothing() -> None:
    """Thirty units who say the opposite go with all; as many as there are others beside them do not."""
    few = np.repeat([0, 1], [5000, 30])
    assert mixed(few, lambda share, band: np.where(band == 0, 0.02 * share, 0.2 * (1 - share))) == (1.0, 1.0)
    many = np.repeat([0, 1], [5000, 10 * PRIOR])
    assert mixed(many, lambda share, band: np.where(band == 0, 0.02 * share, 0.2 * (1 - share)))[1] == 0.0


def test_the_weight_of_all_is_that_of_so_many_units() -> None:
    """The share of a group is the best of (n m + PRIOR M) / (n + PRIOR), by hand."""
    bands = np.repeat([0, 1], [900, 100])
    own = {0: -np.abs(np.array(TRIED) - 0.8), 1: -np.abs(np.array(TRIED) - 0.2)}
    every = 0.9 * own[0] + 0.1 * own[1]
    expected = tuple(
        TRIED[np.argmax((n * own[group] + PRIOR * every) / (n + PRIOR))] for group, n in ((0, 900), (1, 100))
    )
    assert mixed(bands, lambda share, band: -np.abs(share - np.where(band == 0, 0.8, 0.2))) == expected


@pytest.mark.parametrize(("prefer", "share"), [(0, 1.0), (1, 0.0)])
def test_where_nothing_differs_the_lane_without_a_source_serves(prefer: int, share: float) -> None:
    """Equal metrics take the preferred lane alone, in a group without units too."""
    bands = np.array([0, 2] * 50)
    assert mixed(bands, lambda share, band: np.zeros(len(band)), prefer) == (share,) * 3


def test_a_blend_is_judged_by_shares_that_others_chose() -> None:
    """Of pure noise the best share looks good on the units that chose it, and not on others."""
    rng = np.random.default_rng(3)
    noise = {share: rng.normal(0, 1, 400) for share in TRIED}
    bands = np.zeros(400, dtype=np.int64)
    found = mix(chooser(400), lambda shares: noise[shares[0]], bands, 1, 1)  # type: ignore[arg-type,return-value]
    best = max(noise.values(), key=np.mean).mean()
    assert noise[found.shares[0]].mean() == best
    assert not np.isclose(found.metrics["ndcg@10"], best)
    folds = []
    for fold in range(5):
        others = np.arange(400) % 5 != fold
        chosen = max(noise.values(), key=lambda one: one[others].mean())
        folds.append(chosen[~others].sum())
    assert found.metrics["ndcg@10"] == pytest.approx(sum(folds) / 400)


def test_bands_are_those_of_the_slices() -> None:
    """The group of a row is the length of its user's history in the target, as the report divides test rows."""
    rows = pd.DataFrame({"row": [0, 1, 2], "unit": [2, 0, 1]})
    past = Past({"near": taken([0, 4, 100], 120), "far": taken([9, 9, 9], 20)})
    found = ItemBlends().band_of(View("near", rows, {PAST: past}, ()))
    assert [BANDS[place] for place in found] == ["100 or more", "0", "3 to 4"]


# --- scenarios

TERMS = Terms(Gate(), "ndcg@10", ITEMS, seed=0)


def told(**changes: Any) -> dict[str, Any]:
    return {**load_scenario("demo").model_dump(mode="json"), **changes}


PROVED = [["joint", "ease+source"], ["target_only", "ease"], ["joint", "target_only"], ["ease+source", "ease"]]


def with_blends(*pairs: Sequence[str], **changes: Any) -> Scenario:
    return Scenario.model_validate(told(blends=[{"of": list(pair)} for pair in pairs], **changes))


def test_what_a_blend_is_held_against() -> None:
    """The blend of what both would be without the source, or the one lane that both would be; else itself."""
    scenario = with_blends(*PROVED, ["ials", "ease"])
    alone, domains = alone_of(scenario), domains_of(scenario)
    assert {name: alone[name] for name in domains if "_with_" in name} == {
        "joint_with_ease+source": "target_only_with_ease",
        "target_only_with_ease": "target_only_with_ease",
        "joint_with_target_only": "target_only",
        "ease+source_with_ease": "ease",
        "ials_with_ease": "ials_with_ease",
    }
    assert (domains["ials_with_ease"], domains["joint_with_target_only"]) == ("target", "all")
    assert alone_of(with_blends(["ease", "target_only"], ["joint", "ease+source"]))["joint_with_ease+source"] == (
        "ease_with_target_only"
    )


def test_a_blend_waits_for_its_lanes_and_is_judged() -> None:
    """The graph, and which lanes publish what validation judged of them."""
    scenario = with_blends(*PROVED)
    graph = graph_of(scenario)
    assert graph["blend_lanes", "joint_with_ease+source"] == (
        ("finetune_target", "joint"), ("fit_baseline", "ease+source"),
    )  # fmt: skip
    assert ("blend_lanes", "joint_with_ease+source") in graph["evaluate", ""]
    assert scenario.blended == {"joint", "ease+source", "target_only", "ease"}


def test_a_blend_whose_counterpart_failed_is_no_candidate() -> None:
    """Nothing stands in for it: what target-only would show is what blending brings."""
    settings = JudgeSettings.of(with_blends(*PROVED), oracles=())
    for failed, missing in ((set(), set()), ({"target_only_with_ease"}, {"joint_with_ease+source"})):
        names = [name for name in alone_of(settings) if name not in failed]
        lanes = describe_lanes(settings, TERMS, {name: Validated({"ndcg@10": 0.1}, "florist") for name in names})
        found = candidate_lanes(settings, SimpleNamespace(metric="ndcg@10", lanes=lanes))  # type: ignore[arg-type]
        assert set(names) - {lane.name for lane in found} == missing
        kinds = {lane.name: (lane.kind, lane.transfer, lane.counterpart) for lane in found}
        assert kinds["joint_with_target_only"] == ("blend", True, "target_only")


@pytest.mark.parametrize(("shares", "transfer"), [((0.0, 0.0), False), ((0.0, 0.2), True), ((1.0, 1.0), True)])
def test_a_blend_that_leaves_the_source_out_is_no_transfer(shares: tuple[float, float], transfer: bool) -> None:
    """What it is better by than its counterpart is not the source's; both lanes with a source are one anyhow."""
    settings = JudgeSettings.of(with_blends(*PROVED), oracles=())
    groups = tuple(zip(("few", "many"), shares, strict=True))

    def validated(name: str) -> Validated:
        blend = next((one for one in settings.blends if one.name == name), None)
        mixture = blend and Mixture(lane=name, of=blend.of, by="history", groups=groups)
        return Validated({"ndcg@10": 0.1}, "florist", mixture)

    lanes = describe_lanes(settings, TERMS, {name: validated(name) for name in alone_of(settings)})
    found = {lane.name: lane for lane in candidate_lanes(settings, SimpleNamespace(metric="ndcg@10", lanes=lanes))}  # type: ignore[arg-type]
    assert len(found) == len(lanes)
    mixed = found["joint_with_target_only"]
    assert (mixed.transfer, mixed.counterpart) == (transfer, "target_only" if transfer else None)
    both = found["joint_with_ease+source"]
    assert (both.transfer, both.counterpart) == (True, "target_only_with_ease")
    assert not found["target_only_with_ease"].transfer


def test_a_recipe_is_that_of_both_lanes() -> None:
    """Other settings of either lane are another recipe, and recipes of lanes stay what they were."""
    one = with_blends(*PROVED)
    other = with_blends(*PROVED, training={**told()["training"], "epochs": 7})
    name = "joint_with_ease+source"
    assert recipe_of(one, name).startswith(f"{name} ")
    assert recipe_of(one, name) != recipe_of(other, name)
    assert recipe_of(one, "ease+source_with_ease") == recipe_of(other, "ease+source_with_ease")
    assert recipe_of(one, "joint") == recipe_of(load_scenario("demo"), "joint")


@pytest.mark.parametrize(
    ("pairs", "message"),
    [
        ([["joint", "eas"]], r"'eas' is no lane of the scenario\. Did you mean 'ease'\? There are: target_only, "),
        ([["ease", "ease"]], "ease stands twice in one of them; expected two lanes"),
        ([["ease", "ials"], ["ials", "ease"]], "ials_with_ease stands there more than once"),
        (
            [["ease", "ials"], ["ease_with_ials", "ials"]],
            "ease_with_ials is a blend itself; expected two strategies or baselines",
        ),
        (
            [["joint", "ease+source"]],
            r"joint_with_ease\+source uses a source, .* Add `- of: \[ease, target_only\]`",
        ),
    ],
)
def test_what_cannot_be_a_blend_is_refused(pairs: list[list[str]], message: str) -> None:
    """When the scenario is read, with what to write instead."""
    with pytest.raises(ValidationError, match=message):
        with_blends(*pairs)


def test_a_blend_that_cannot_be_proved_is_refused() -> None:
    """The baseline that the source's is held against is missing."""
    left = [one for one in told()["baselines"] if one["kind"] != "ease" or one["domains"] == "all"]
    with pytest.raises(ValidationError, match="needs the baseline ease, which is missing; add it under baselines"):
        with_blends(["joint", "ease+source"], baselines=left)


def test_only_ranked_rows_with_labels_are_blended() -> None:
    """Classes are refused, and a target without labels, which has nothing that could choose."""
    fraud = load_scenario("fraud").model_dump(mode="json")
    names = [one["kind"] for one in fraud["baselines"]][:2]
    with pytest.raises(ValidationError, match="blends: they are for rows that are labelled with items, but the task"):
        Scenario.model_validate({**fraud, "blends": [{"of": names}]})
    lanes = {"strategies": [{"tune": {"kind": "direct"}}], "baselines": [{"kind": "popularity"}, {"kind": "ease"}]}
    with pytest.raises(ValidationError, match="and target_labels is false; leave them out"):
        with_blends(["popularity", "ease"], target_labels=False, **lanes)


def test_every_task_that_a_blend_is_for_can_be_blended() -> None:
    """The table of blenders and what `LaneBlend` says it is for are about the same tasks."""
    assert all(set(task.labels) & LaneBlend.predicts for task in BLENDERS)  # type: ignore[attr-defined]


def test_shares_are_told_in_words() -> None:
    """Both lanes with their part."""
    mixture = Mixture(lane="a_with_b", of=("a", "b"), by="history", groups=(("0", 0.2),))
    assert mixture.told(0.2) == "a 20 %, b 80 %"
