"""evaluate: the verdict on tonight's candidates, and the pages that tell it."""

from pipeline.results import ReportFacts, StepResult
from pipeline.runs.run import Run
from pipeline.steps.judging import judge
from pipeline.steps.report import publish_report


def evaluate(run: Run) -> StepResult[ReportFacts]:
    """Publish the verdict, then the report below `unhashed`, because it shows costs; `promote` adds the outcome to it.

    Raises:
        MissingResultError: `prepare`, `audit` or the target-only lane did not succeed.
        CrossliftError: there is no test row, or target-only cannot score.
    """
    return publish_report(run, judge(run))
