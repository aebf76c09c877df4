"""Which validation rows choose for a lane of a run."""

from typing import TYPE_CHECKING

from pipeline.steps.inputs import read_marks
from pipeline.steps.run import Run

if TYPE_CHECKING:
    from pipeline.evaluation.choosing import Chooser
    from pipeline.rows.kind import Prepared


def chooser_of(run: Run, prepared: "Prepared", lane: str) -> "Chooser":
    """The validation rows that choose for a lane."""
    from pipeline.evaluation.choosing import Chooser
    from pipeline.tasks.labels import build_label

    return Chooser.of(run.scenario, build_label(run.scenario.task), prepared, lane, read_marks(run))
