"""Run scenarios at several shares of the target's labels, with several draws of its rows, and table every lane.

    CROSSLIFT_DATA=... python benchmarks/shares.py purchase_intent fraud --shares 1 0.1 0.03 --home FOLDER

The gated metric on test rows without marks (with `--all-rows` on all), the mean over the draws. Draws and units are
drawn with replacement together: each resample takes some of the draws and the same units in each. The gate is asked
about each draw as if nothing served yet. What was run is kept in `shares.json` of the home: a second call, or one after
a kill, runs only what is missing. A draw that a run refuses, such as one that leaves validation a single class, stands
there with the reason and is left out.
"""

import argparse
import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from promoted import judged
from quality import DONE, ROOT, table

from pipeline.evaluation.gate import decide
from pipeline.evaluation.hearing import Lane
from pipeline.evaluation.held_out import HeldOut
from pipeline.evaluation.statistics import resample
from pipeline.evaluation.terms import Terms
from pipeline.folders import Home, read_json, write_json
from pipeline.runs.run import Run
from pipeline.views import FloatArray

RESAMPLES = 2000
KEPT = "shares.json"
REFUSED = (2, 3)  # exit codes of settings or data that cannot be run


@dataclass(frozen=True)
class Draw:
    """One run: test rows, lanes that may serve, and what each said of the rows."""

    test: HeldOut
    lanes: list[Lane]
    predicted: dict[str, FloatArray]
    every: bool  # marked rows count, too

    @property
    def names(self) -> pd.Index:
        """The rows that count by what they are, the same in every run."""
        return self.test.prepared.named(self.test.rows)[self.test.unmarked | self.every]

    def drawn(self, names: pd.Index) -> dict[str, FloatArray]:
        """The gated metric of each lane on these rows [1 + R]: itself, then of each resample of their units."""
        test, chosen = self.test, self.test.prepared.named(self.test.rows).isin(names)
        rows = HeldOut(test.scenario, test.label, test.prepared, test.rows.take(chosen), test.marks)
        scores = rows.scores({name: said[chosen] for name, said in self.predicted.items()}, marked=self.every)
        found = resample(scores.lanes, RESAMPLES, seed=0)
        return {name: np.concatenate([one.value, one.drawn[:, 0]]) for name, one in found.items()}

    def serves(self) -> str:
        """What the gate says of the candidate, and what serves where nothing did."""
        verdict = decide(self.test.terms, self.lanes, self.test.scores(self.predicted), None)
        return f"`{verdict.candidate}` {verdict.verdict}, serves `{verdict.lane or 'nothing'}`"


def run_of(key: str, options: Sequence[str], home: Path) -> Run | str:
    """The run with these options, or why there is none; what was run or refused before is not run again."""
    kept = read_json(home / KEPT) if (home / KEPT).exists() else {}
    entry = kept.get(key)
    if entry is None:
        program = str(Path(sys.executable).with_name("crosslift"))
        command, environment = [program, "run", *options, "--json"], {**os.environ, "CROSSLIFT_HOME": str(home)}
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
        told = json.loads(done.stdout) if done.returncode in DONE else {}
        reason = (done.stderr.strip() or "no reason").splitlines()[-1]
        entry = {"run": told["run_id"]} if told else {"refused": reason, "code": done.returncode}
        if told or done.returncode in REFUSED:  # what was killed or failed is tried again
            write_json(home / KEPT, {**kept, key: entry})
    return Run.load(Home(home), entry["run"]) if "run" in entry else str(entry["refused"])


def drawn_of(scenario: str, share: float, draw: int, home: Path) -> Run | str:
    """The run of one draw, or why it is refused."""
    options = [scenario, "--target-share", str(share), "--share-draw", str(draw)]
    found = run_of(f"{scenario} {share:g} {draw}", options, home)
    return f"draw {draw}: {found}" if isinstance(found, str) else found


def resampled(draws: Sequence[Draw]) -> list[dict[str, FloatArray]]:
    """The lanes of each draw [1 + R], all on the rows that count in every draw."""
    names = draws[0].names
    for one in draws[1:]:
        names = names.intersection(one.names, sort=False)
    return [one.drawn(names) for one in draws]


def mean(values: Sequence[FloatArray]) -> FloatArray:
    """The mean over the draws [1 + R] of one lane in each: itself, then of each resample of draws and units."""
    random, many = np.random.default_rng(0), len(values)
    weights_RD = random.multinomial(many, np.full(many, 1 / many), size=RESAMPLES) / many
    weights_RD = np.concatenate([np.full((1, many), 1 / many), weights_RD])
    found: FloatArray = (np.stack(values, axis=1) * weights_RD).sum(axis=1)
    return found


def over_draws(found: Sequence[dict[str, FloatArray]]) -> dict[str, FloatArray]:
    """The mean over the draws of each lane that all have [1 + R]."""
    return {name: mean([one[name] for one in found]) for name in found[0] if all(name in one for one in found)}


def interval(terms: Terms, values: FloatArray, sign: str = "") -> str:
    """Write the metric, or a difference, with the 95 % interval of its resamples."""
    low, high = np.nanquantile(values[1:], [0.025, 0.975])
    value, low, high = (terms.words.number(float(one), sign) for one in (values[0], low, high))
    return f"{value} [{low}, {high}]"


def rows_of(share: float, draws: Sequence[Draw]) -> list[list[str]]:
    """The table's rows of one share: the best lane first."""
    terms, values = draws[0].test.terms, over_draws(resampled(draws))
    lanes = [lane for lane in draws[0].lanes if lane.name in values]
    lanes.sort(key=lambda lane: (-terms.sign * values[lane.name][0], lane.name))
    alone = next((lane.name for lane in lanes if not lane.transfer), None)
    rows = []
    for lane in lanes:
        cells = [f"{share:.0%}", lane.name, interval(terms, values[lane.name])]
        for reference in (lane.must_beat, alone):
            if reference is None or reference not in values or not lane.transfer:
                cells.append("")
                continue
            gain_R: FloatArray = terms.sign * (values[lane.name] - values[reference])
            cells.append(interval(terms, gain_R, "+"))
        rows.append(cells)
    return rows


def _gate(draws: Sequence[Draw]) -> str:
    counted = Counter(one.serves() for one in draws)
    return "; ".join(f"{told} ({count} of {len(draws)})" for told, count in counted.most_common())


def tell(scenario: str, shares: Sequence[float], draws: Sequence[int], home: Path, *, every: bool) -> None:
    """Run what is missing of one scenario, and print its table."""
    rows, notes = [], []
    for share in shares:
        different = draws if share < 1 else draws[:1]  # all rows are all rows
        found = [drawn_of(scenario, share, draw, home) for draw in different]
        notes += [f"{share:.0%}, {why}" for why in found if isinstance(why, str)]
        if runs := [Draw(*judged(run), every) for run in found if isinstance(run, Run)]:
            rows += rows_of(share, runs)
            notes.append(f"{share:.0%}: the gate, of {len(runs)}: {_gate(runs)}")
            metric = runs[0].test.terms.words.name(runs[0].test.terms.metric)
    if rows:
        print(f"\n`{scenario}`, {metric}, {'all test rows' if every else 'test rows without marks'}\n")
        table(["share", "lane", "test", "what the source brings", "against the best on the target alone"], rows)
    print("\n".join(["", *(f"- {note}" for note in notes)]))


def main() -> None:
    """Run what the command line names and print a table for each scenario."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scenarios", nargs="+")
    parser.add_argument("--shares", type=float, nargs="+", default=[1.0, 0.1, 0.03])
    parser.add_argument("--draws", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--home", type=Path, default=Path(".crosslift"), help="where the runs are kept")
    parser.add_argument("--all-rows", action="store_true", help="marked rows count, too")
    given = parser.parse_args()
    home = given.home.expanduser().resolve()
    home.mkdir(parents=True, exist_ok=True)
    for scenario in given.scenarios:
        tell(scenario, given.shares, given.draws, home, every=given.all_rows)


if __name__ == "__main__":
    main()
