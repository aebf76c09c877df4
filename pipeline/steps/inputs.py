"""What later steps read of earlier ones, found by name in the run."""

from typing import TYPE_CHECKING

from pipeline.config import Strategy
from pipeline.steps.run import Run

if TYPE_CHECKING:
    import pandas as pd

    from pipeline.rows.kind import Prepared

LANE_STEPS = ("finetune_target", "fit_baseline")
POINT = "point.json"  # of the curve over shares, beside a verdict


def prepared_inputs(run: Run) -> dict[str, str]:
    """Manifest hashes of the prepared domains, for fingerprints; loads nothing heavy."""
    return {f"prepare.{name}": run.result("prepare", name).manifest for name in run.scenario.domains}


def start_of(strategy: Strategy) -> tuple[str, str] | None:
    """The step, and its lane, whose model a strategy begins with; None where its weights are drawn at random."""
    starts = {"random": None, "source": ("pretrain_source", ""), "adapted": ("adapt_domain", strategy.adapt.kind)}
    return starts[strategy.start]


def load_prepared(run: Run, lane: str = "") -> "Prepared":
    """The prepared domains of a run; an oracle's with the labels that the target is declared not to have."""
    from pipeline.tasks.prepared import read_prepared

    folders = {name: run.path(run.result("prepare", name)) for name in run.scenario.domains}
    prepared = read_prepared(run.scenario.task, folders, run.scenario.target)
    return prepared.with_all_rows() if lane in run.scenario.oracles else prepared


def read_marks(run: Run) -> "pd.DataFrame":
    """What the audit of a run marked: domain, row, kind."""
    import pandas as pd

    return pd.read_parquet(run.path(run.result("audit")) / "marks.parquet")
