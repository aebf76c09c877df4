"""What makes two scores comparable, and how much a group's own units count: on the validation rows of a run's blends.

For each of the blends that are named it prints the gated metric by share with each scale, and cross-fitted with each
prior. No test row is read.

    python benchmarks/blends.py RUN_ID joint_with_ease+source,target_only_with_ease 500
"""

import sys
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from pipeline.config import BlendSettings, domains_of
from pipeline.evaluation import blending
from pipeline.evaluation.choosing import Chooser
from pipeline.folders import Home
from pipeline.models import blends
from pipeline.models.load import load_ranker
from pipeline.models.scales import standardised
from pipeline.results import AUDIT
from pipeline.runs.inputs import HELD_BACK, MARKS, lane_of, load_prepared
from pipeline.runs.run import Run
from pipeline.tasks.blends import blender_of
from pipeline.views import FloatArray, View

Scores = NDArray[np.float32]
PRIORS = (0, 100, 500, 2000, 10**9)


def reciprocal(scores: Scores, taken: sparse.csr_matrix | None = None) -> Scores:
    """1 / (60 + rank) of each row (Cormack, Clarke and Buettcher, 2009); what was taken comes last."""
    if taken is not None:
        scores[taken.nonzero()] = -np.inf
    ranks = np.argsort(np.argsort(-scores, axis=1, kind="stable"), axis=1)
    return (1 / (61 + ranks)).astype(np.float32)


SCALES: dict[str, Callable[[Scores, sparse.csr_matrix | None], Scores]] = {
    "standard, all items": lambda scores, _: standardised(scores),
    "standard, items that can be shown": standardised,
    "reciprocal ranks": reciprocal,
}


class Remembering(Chooser):
    """Asks each blend once, by its shares."""

    def predict(self, predictor: Any) -> tuple[View, FloatArray]:
        """What was said before, else what it says."""
        known = self.__dict__.setdefault("known", {})
        if predictor.shares not in known:
            known[predictor.shares] = super().predict(predictor)
        found: tuple[View, FloatArray] = known[predictor.shares]
        return found


def main(run_id: str, names: Sequence[str], rows: int) -> None:
    """Print the tables of some blends of a run; the scales on at most so many validation rows, as ranks take long."""
    run = Run.load(Home.from_env(), run_id)
    target, label = run.scenario.target, ""
    for blend in (one for one in run.scenario.blends if one.name in names):
        prefer = 0 if domains_of(run.scenario)[blend.of[0]] == "target" else 1
        settings = BlendSettings.of(run.scenario, blend=blend, prefer=prefer)
        prepared = load_prepared(settings, run.prepared())
        chooser = Remembering.of_target(settings, prepared, run.input(AUDIT, artifact=MARKS).path)
        blender, label = blender_of(run.scenario.task), chooser.label.gated
        members = [load_ranker(run.path(lane_of(run, lane)) / HELD_BACK) for lane in blend.of]

        def blended(shares: Sequence[float], members: Sequence[Any] = members, blender: Any = blender) -> Any:
            return blender.blend(*members, target, shares)

        few, groups = chooser.few(rows), len(blender.bands)
        print(f"{blend.name}: {label} in % of {few.units} users, by share of {blend.of[0]}: {blending.TRIED}")
        for name, scale in SCALES.items():
            blends.standardised = scale  # type: ignore[attr-defined]
            each = [few.label.values([Chooser.predict(few, blended([share] * groups))]) for share in blending.TRIED]
            print(f"  {name:34}", " ".join(f"{100 * one[label]:6.2f}" for one in each), flush=True)
        blends.standardised = standardised  # type: ignore[attr-defined]
        bands = blender.band_of(chooser.view)
        for prior in PRIORS:
            blending.PRIOR = prior
            mixed = blending.mix(chooser, blended, bands, groups, prefer)
            told = f"{100 * mixed.metrics[label]:.2f} of {chooser.units} users, shares {mixed.shares}"
            print(f"  prior {prior:>10}: cross-fitted {told}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2].split(","), int(sys.argv[3]))
