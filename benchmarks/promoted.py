"""Count how often what the gate promotes is worse than target-only on rows that it never saw, beside no gate at all.

    CROSSLIFT_DATA=... python benchmarks/promoted.py --home FOLDER [FOLDER ...] [--halves 20]

Asks every run of the homes that has labels to judge by, each set of candidates on each set of rows once: no model is
fitted. The units of the test rows without marks are parted into two halves; the gate sees one of them as if nothing
served yet, and the other says what is true. Without a gate the lane serves that validation picks. Each halving is used
both ways round. What is counted are decisions; those of one run are no independent ones, so `runs` stands beside. The
gain is told as a share of what target-only is above chance, and of all the middle one: that share may be of nothing.
"""

import argparse
import sys
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from quality import table

from pipeline.config import JudgeSettings
from pipeline.errors import CrossliftError
from pipeline.evaluation.contrast import Drawn
from pipeline.evaluation.gate import decide
from pipeline.evaluation.hearing import Lane
from pipeline.evaluation.held_out import HeldOut
from pipeline.evaluation.terms import CHANCE, TARGET_ONLY
from pipeline.folders import Home
from pipeline.results import AUDIT, VERDICT
from pipeline.runs.figures import comparison_of
from pipeline.runs.inputs import MARKS
from pipeline.runs.predictions import read_predictions
from pipeline.runs.run import Run
from pipeline.steps.judging import candidate_lanes, held_out
from pipeline.views import FloatArray, Mask


@dataclass
class Count:
    """What became of the decisions of one pipeline; gains are those over target-only, as shares of its skill."""

    decisions: int = 0
    transfers: int = 0  # what serves learnt from a source
    below: int = 0  # of these: in point below target-only on the other half
    worse: int = 0  # of these: below it beyond doubt
    gains: list[float] = field(default_factory=list)
    runs: set[str] = field(default_factory=set)

    def add(self, run: str, lane: Lane | None, truth: Drawn) -> None:
        """Count one decision."""
        self.decisions, self.runs = self.decisions + 1, self.runs | {run}
        name = lane.name if lane else TARGET_ONLY  # where nothing is chosen, target-only is what there is
        gain = truth.value[name] - truth.value[TARGET_ONLY]
        skill = truth.value[TARGET_ONLY] - truth.value[CHANCE]
        self.gains.append(gain / skill if skill > 0 else 0.0)
        if lane is not None and lane.transfer:
            self.transfers += 1
            self.below += gain < 0
            differences = truth.drawn[name] - truth.drawn[TARGET_ONLY]
            self.worse += bool(np.nanquantile(differences, 0.975) < 0)

    def told(self) -> list[str]:
        """The cells of a table."""
        counts = [len(self.runs), self.decisions, self.transfers, self.below, self.worse]
        return [*map(str, counts), f"{100 * np.median(self.gains):+.1f} %"]


def judged(run: Run) -> tuple[HeldOut, list[Lane], dict[str, FloatArray]]:
    """The test rows of a run, the lanes that may serve, and what each said."""
    settings = JudgeSettings.of(run.scenario, oracles=tuple(sorted(run.scenario.oracles)))
    test = held_out(settings, {**run.prepared(), "marks": run.input(AUDIT, artifact=MARKS)})
    comparison = comparison_of(run)
    predicted = read_predictions(run.path(run.result(VERDICT)), [lane.name for lane in comparison.lanes])
    return test, candidate_lanes(settings, comparison), {**predicted, CHANCE: test.chance()}


def halves(test: HeldOut, count: int, seed: int) -> Iterator[tuple[Mask, Mask]]:
    """Both ways round of some halvings of the units: which rows [N] are seen, and which tell."""
    random, units = np.random.default_rng(seed), np.unique(test.rows.units[test.unmarked])
    for _ in range(count):
        drawn = random.permutation(units)[: len(units) // 2]
        seen = np.isin(test.rows.units, drawn)
        yield seen, ~seen
        yield ~seen, seen


def ask(run: Run, count: int, found: dict[tuple[str, str], Count]) -> None:
    """Let both pipelines decide on each half, and hold what they chose against the other."""
    test, lanes, predicted = judged(run)
    share = f"{run.scenario.target_share:.0%}"
    for seen, unseen in halves(test, count, run.scenario.share_draw):
        told = [
            replace(test, rows=test.rows.take(half)).scores({name: said[half] for name, said in predicted.items()})
            for half in (seen, unseen)
        ]
        truth = Drawn.of(test.terms, told[1])
        if not Drawn.of(test.terms, told[0]).tells or not truth.tells:
            continue
        chosen = decide(test.terms, lanes, told[0], None).lane
        best = min(lanes, key=lambda lane: (-test.terms.sign * lane.valid, lane.name))
        gated = next((lane for lane in lanes if lane.name == chosen), None)
        found[f"{run.scenario.name}, {share}", "gate"].add(run.run_id, gated, truth)
        found[f"{run.scenario.name}, {share}", "none"].add(run.run_id, best, truth)


def main() -> None:
    """Ask the runs of some homes and print one table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--home", type=Path, nargs="+", default=[Path(".crosslift")], help="where the runs are kept")
    parser.add_argument("--halves", type=int, default=20, help="halvings of the test rows of a run")
    given = parser.parse_args()
    asked: set[str] = set()
    homes = [Home(one.expanduser().resolve()) for one in given.home]
    plans = [(home, plan) for home in homes for plan in sorted(home.root.glob("runs/*/plan.json"))]
    found: dict[tuple[str, str], Count] = defaultdict(Count)
    for home, plan in plans:
        try:
            run = Run.load(home, plan.parent.name)
            manifest = run.result(VERDICT).manifest
            if run.scenario.target_labels and manifest not in asked:
                ask(run, given.halves, found)
                asked.add(manifest)
        except CrossliftError as error:
            print(f"{plan.parent.name} is left out: {error}", file=sys.stderr)
    head = ["scenario, share", "pipeline", "runs", "decisions", "transfers served", "below target-only", "beyond doubt"]
    every = {pipeline: [one for (_, by), one in found.items() if by == pipeline] for pipeline in ("gate", "none")}
    rows = [[*key, *one.told()] for key, one in found.items()]
    table([*head, "middle gain"], rows + [["all", name, *merged(counts).told()] for name, counts in every.items()])


def merged(counts: list[Count]) -> Count:
    """Several counts as one."""
    whole = Count()
    for one in counts:
        for name, value in vars(one).items():
            setattr(whole, name, getattr(whole, name) | value if name == "runs" else getattr(whole, name) + value)
    return whole


if __name__ == "__main__":
    main()
