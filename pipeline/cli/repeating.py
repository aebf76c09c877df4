"""`crosslift repeat`: the same scenario on several splits of the same rows."""

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

from pipeline.config import Scenario
from pipeline.folders import read_json

if TYPE_CHECKING:
    from pipeline.evaluation.spread import Spread
    from pipeline.runs.run import Run

log = logging.getLogger(__name__)


def repeat(scenario: Scenario, splits: int, run: "Callable[[int], Run]") -> "tuple[Spread, ...]":
    """Run as many splits, the scenario's own last, so that its report has them all.

    Args:
        scenario: As it stands in its file.
        splits: How many; at least 2.
        run: Runs the split of a draw up to the verdict.

    Returns:
        Each lane over the splits, the best mean first.
    """
    from pipeline.evaluation.report import Report
    from pipeline.evaluation.spread import spread
    from pipeline.results import PREPARE, REPORT
    from pipeline.runs.sequence import StepFailedError
    from pipeline.tasks.words import words_of

    own = scenario.split.drawn or 0
    for draw in [draw for draw in range(splits) if draw != own][: splits - 1]:
        try:
            run(draw)
        except StepFailedError as error:
            if error.step != PREPARE.name:  # else it is the same on every split
                raise
            log.warning("split %s is passed over: %s", draw, error)
    last = run(own)
    result = last.result(REPORT)
    told = Report.model_validate(read_json(last.path(result) / result.facts.data))
    return spread(told.splits, words_of(scenario.task).sign(told.comparison.metric))
