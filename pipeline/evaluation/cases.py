"""Ten users or rows of the test, with what was said of them before and what the lane says that the gate chose."""

from pydantic import BaseModel, ConfigDict

from pipeline.labels.answers import Answers
from pipeline.results import Outcome


class Case(BaseModel):
    """One user with all unmarked test rows, or one row."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str  # the first digits of a hash of the id
    recent: tuple[str, ...]  # what was done last before the test, the newest first
    truth: Answers
    before: Answers | None  # None: the champion has learnt from these rows
    after: Answers


class Cases(BaseModel):
    """All of them; `before` and `after` say which model each is of, `drawn_from` how many there were.

    `by_row` says that each is a row, of whose unit there are others.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    before: str = ""
    after: str = ""
    drawn_from: int = 0
    by_row: bool = False
    cases: tuple[Case, ...] = ()

    @property
    def same(self) -> int:
        """For how many of them both say the same."""
        return sum(case.before == case.after for case in self.cases)

    @property
    def of_units(self) -> bool:
        """Whether a case is a unit with a past, and not a row that stands alone."""
        return any(case.recent or len(case.truth) > 1 for case in self.cases)


def told_of_cases(cases: Cases, candidate: str, chosen: str | None, outcome: Outcome | None) -> dict[str, str]:
    """What the pages tell of the lane whose answers come after: whether anything changes by it, and which lane it is.

    Args:
        cases: All of them.
        candidate: The lane that validation picked.
        chosen: The lane that the gate chose; None: none.
        outcome: What came of that; None: not known yet.
    """
    serves = outcome.serves and outcome.lane == cases.after if outcome else cases.after == chosen
    if cases.after != candidate:
        which = "which the gate chose in place of the candidate"
    else:
        which = "the candidate" if chosen == candidate else "the candidate, which the gate did not choose"
    return {"changes": "What changes" if serves else "What would change", "after_is": which}
