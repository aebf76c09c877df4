"""What makes two scores comparable, and how much a group's own units count: on the validation rows of a run's blends.

For each blend of the run it prints the gated metric by share with each scale, and cross-fitted with each prior. No test
row is read.

    .venv/bin/python benchmarks/blends.py RUN_ID
"""

import sys
from collections.abc import Callable

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


def main(run_id: str) -> None:
    """Print the tables of each blend of a run."""
    run = Run.load(Home.from_env(), run_id)
    scenario = run.scenario
    marks = run.input(AUDIT, artifact=MARKS).path
    for blend in scenario.blends:
        prefer = 0 if domains_of(scenario)[blend.of[0]] == "target" else 1
        settings = BlendSettings.of(scenario, blend=blend, prefer=prefer)
        chooser = Chooser.of(settings, load_prepared(settings, run.prepared()), marks)
        blender = blender_of(scenario.task)
        first, second = (load_ranker(run.path(lane_of(run, lane)) / HELD_BACK) for lane in blend.of)
        bands, groups = blender.band_of(chooser.view), len(blender.bands)
        print(f"{blend.name}: {chooser.units} users, {chooser.label.gated} in %, by share of {blend.of[0]}")
        for name, scale in SCALES.items():
            blends.standardised = scale  # type: ignore[attr-defined]
            by_share = [
                chooser.score(blender.blend(first, second, scenario.target, [share] * groups))
                for share in blending.TRIED
            ]
            print(f"  {name:34}", " ".join(f"{100 * value:6.3f}" for value in by_share))
        blends.standardised = standardised  # type: ignore[attr-defined]
        for prior in PRIORS:
            blending.PRIOR = prior
            mixed = blending.mix(
                chooser, lambda shares: blender.blend(first, second, scenario.target, shares), bands, groups, prefer  # noqa: B023
            )  # fmt: skip
            told = f"{100 * mixed.metrics[chooser.label.gated]:.3f}"
            print(f"  prior {prior:>10}: cross-fitted {told}, shares {mixed.shares}")


if __name__ == "__main__":
    main(sys.argv[1])
