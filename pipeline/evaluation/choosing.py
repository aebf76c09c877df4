"""Which validation rows choose settings, epochs and lanes, and how a ranker is scored on them."""

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from pipeline.config import BaselineSettings, FitSettings, RankingTask, TuneSettings
from pipeline.errors import DataError

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from pipeline.data.prepared import Domains, Histories
    from pipeline.models.ranker import Ranker

PARTS = ("train",)  # what is fitted while something is chosen


@dataclass(frozen=True)
class Chooser:
    """Validation rows of one domain; `domains` has that domain for its target.

    `strangers`: the users are ranked for as if nothing were known of them.
    """

    task: RankingTask
    domains: "Domains"
    rows: "pd.DataFrame"
    strangers: bool = False

    @classmethod
    def of(cls, settings: TuneSettings | BaselineSettings, domains: "Domains", marks: Path) -> Self:
        """The target's validation rows; the first source's where the target has no labels that the lane may see.

        Where items alone are the bridge, the source's users are met as the target's will be: without a history.

        Raises:
            DataError: no row is left that the audit did not mark.
        """
        if settings.target_labels or settings.oracle:
            return cls(settings.task, domains, _unmarked(marks, domains))
        found = cls.of_source(settings, domains.of_sources())
        return replace(found, strangers="items" in settings.bridges and "users" not in settings.bridges)

    @classmethod
    def of_source(cls, settings: FitSettings, sources: "Domains") -> Self:
        """The validation rows of the first source; marks say what a target's row is worth, so they do not count here.

        Raises:
            DataError: there is none, and the target has no labels that could choose instead.
        """
        rows = sources.held_out("valid")
        if rows.empty and not settings.target_labels:
            raise DataError(
                f"{sources.target.name}: there is no validation row, and {settings.target} has no labels that could "
                "choose instead: each user with four or more training rows gives one; bring more rows of the source."
            )
        return cls(settings.task, sources, rows)

    @classmethod
    def of_sources(cls, settings: FitSettings, sources: "Domains") -> tuple[Self, ...]:
        """One for each source's validation rows, that source in the target's place.

        Raises:
            DataError: as for `of_source`.
        """
        first, others = cls.of_source(settings, sources), sources.sources
        placed = [replace(sources, sources=(sources.target, *others[:n], *others[n + 1 :]), target=one)
                  for n, one in enumerate(others)]  # fmt: skip
        return first, *(cls(settings.task, one, one.held_out("valid")) for one in placed)

    @property
    def units(self) -> int:
        """How many users its metrics are means of."""
        return int(self.rows["user"].nunique())

    @property
    def domain(self) -> str:
        """Whose rows they are."""
        return self.domains.target.name

    @cached_property
    def histories(self) -> "Histories":
        """What may be learnt from while they choose."""
        return self.domains.histories(PARTS)

    @property
    def counts(self) -> "NDArray[Any]":
        """How often each item of the domain was taken, as far as it may be known: [I]."""
        counts: NDArray[Any] = self.histories[self.domain].sum(axis=0).A1
        return counts

    def few(self, limit: int, total: int | None = None) -> Self:
        """Some of the rows, evenly spaced, so that every epoch is judged by the same ones.

        Args:
            limit: How many stay at most.
            total: Of how many, with those of other choosers; None: of its own.
        """
        step = max(1, -(-(len(self.rows) if total is None else total) // limit))
        return replace(self, rows=self.rows.iloc[::step])

    def each(self, ranker: "Ranker") -> "pd.DataFrame":
        """Every metric at every cutoff of each user."""
        from pipeline.evaluation.metrics import user_metrics
        from pipeline.evaluation.ranking import ranks

        known = self.histories
        if self.strangers:
            known = {name: type(matrix)(matrix.shape, dtype=matrix.dtype) for name, matrix in known.items()}
        found = ranks(ranker.scores, known, self.rows, self.domains.seen(PARTS))
        return user_metrics(self.rows, found, self.task.cutoffs)

    def metrics(self, ranker: "Ranker") -> dict[str, float]:
        """Means over users of every metric at every cutoff."""
        means = self.each(ranker).mean()
        return {str(name): float(value) for name, value in means.items()}

    def score(self, ranker: "Ranker") -> float:
        """The one metric that chooses and is gated."""
        return self.metrics(ranker)[deciding_metric(self.task)]


def deciding_metric(task: RankingTask) -> str:
    """The one metric that chooses and is gated, such as `ndcg@10`."""
    return f"{task.metric}@{task.cutoffs[0]}"


def _unmarked(path: Path, domains: "Domains") -> "pd.DataFrame":
    """The target's validation rows that the audit did not mark."""
    import pandas as pd

    rows = domains.held_out("valid")
    marks = pd.read_parquet(path)
    marked = marks.loc[marks["domain"] == domains.target.name, "row"]
    unmarked = rows[~rows["row"].isin(marked)].reset_index(drop=True)
    if unmarked.empty:
        raise DataError(
            f"{domains.target.name}: no validation row is left that the audit did not mark ({len(rows)} are marked), "
            "so nothing can be chosen; bring more rows of the target, take a larger share, or state another split."
        )
    return unmarked
