"""The target's test rows with all that is needed to rank them: made once, used for every lane and the champion.

Shapes: U users of all domains together, I items of the target, N test rows.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse

from pipeline import columns as c
from pipeline.config import Scenario
from pipeline.data.prepared import Domains, Histories
from pipeline.errors import CrossliftError
from pipeline.evaluation.comparison import ALL, UNMARKED, Comparison, LaneInfo, Part, View, view
from pipeline.evaluation.metrics import gated_metric, metric_names, per_user
from pipeline.evaluation.ranking import FloatArray, Score, latency, ranks
from pipeline.evaluation.slices import Slice, make_slices
from pipeline.evaluation.statistics import Means, Scores
from pipeline.evaluation.terms import CHAMPION, Terms
from pipeline.labels.items import ITEMS

_TIMED_USERS = 9


@dataclass(frozen=True)
class HeldOut:
    """Test rows and the histories that they are ranked from.

    Args:
        scenario: The scenario of the run.
        domains: The prepared domains.
        rows: [N] columns row, user, item.
        marks: What the audit marked, columns domain, row, kind.
        histories: Training and validation rows of all domains, CSR [U, I_d].
        seen: What is left out of each user's ranking, CSR [U, I].
    """

    scenario: Scenario
    domains: Domains
    rows: pd.DataFrame
    marks: pd.DataFrame
    histories: Histories
    seen: sparse.csr_matrix

    @classmethod
    def of(cls, scenario: Scenario, domains: Domains, marks: pd.DataFrame) -> "HeldOut":
        """Take the target's test rows.

        Raises:
            CrossliftError: there is none, though the target has labels.
        """
        rows = domains.held_out(c.TEST)
        if rows.empty and scenario.target_labels:
            raise CrossliftError(
                f"{scenario.target}: expected test rows whose item is in the catalogue, got none; look at the "
                "scenario's split and at the quarantine of `validate`."
            )
        parts = (c.TRAIN, c.VALID)
        return cls(scenario, domains, rows, marks, domains.histories(parts), domains.seen(parts))

    @property
    def terms(self) -> Terms:
        """By what the lanes are judged."""
        return Terms(self.scenario.gate, gated_metric(self.scenario.task), ITEMS, self.scenario.seed)

    @property
    def unmarked(self) -> NDArray[np.bool_]:
        """Which rows [N] carry no mark of any kind: those that the gate counts."""
        return ~self.rows["row"].isin(self._marked).to_numpy()

    def rank(self, score: Score) -> FloatArray:
        """Rank all rows [N] with one scorer."""
        return ranks(score, self.histories, self.rows, self.seen)

    def chance(self) -> FloatArray:
        """Rank all rows [N] with a scorer that says the same for all items."""
        items = self.seen.shape[1]
        return self.rank(lambda histories: np.zeros((next(iter(histories.values())).shape[0], items), np.float32))

    def time(self, score: Score) -> float:
        """Time one prediction, in seconds: for users with a test row, else for any."""
        users = np.unique(self.rows["user"].to_numpy()) if len(self.rows) else np.arange(len(self.domains.users))
        return latency(score, self.histories, users[:_TIMED_USERS])

    def scores(self, lane_ranks: Mapping[str, FloatArray]) -> Scores:
        """Make what the gate judges: the gated metric on unmarked rows."""
        return self._scores(lane_ranks, self.unmarked, (self.terms.metric,))

    def scores_beside(self, lane_ranks: Mapping[str, FloatArray], score: Score, learnt: pd.DataFrame) -> Scores:
        """Make the same with a lane `champion`, on the rows that it did not learn from.

        Args:
            lane_ranks: Ranks [N] of tonight's lanes.
            score: The champion on tonight's catalogue.
            learnt: user_id and item_id of the target's rows that the champion was trained on.
        """
        known = pd.MultiIndex.from_frame(learnt[[c.USER, c.ITEM]])
        allowed = self.unmarked & ~_named(self.domains, self.rows).isin(known)
        own = np.ones(len(self.rows))
        own[allowed] = ranks(score, self.histories, self.rows[allowed], self.seen)
        return self._scores({**lane_ranks, CHAMPION: own}, allowed, (self.terms.metric,))

    def count_new(self, before: Domains) -> int:
        """Count the unmarked rows that were no test rows of an earlier night."""
        told = _named(before, before.held_out(c.TEST))
        return int((self.unmarked & ~_named(self.domains, self.rows).isin(told)).sum())

    def compare(self, lane_ranks: Mapping[str, FloatArray], lanes: tuple[LaneInfo, ...]) -> Comparison:
        """Put all lanes side by side; lanes of the scenario that are not among `lanes` have failed."""
        scenario = self.scenario
        tested = self.marks[(self.marks["domain"] == scenario.target) & self.marks["row"].isin(self.rows["row"])]
        named = [lane.name for lane in (*scenario.strategies, *scenario.baselines)]
        present = {lane.name for lane in lanes}
        return Comparison(
            scenario=scenario.name, title=scenario.title, sources=scenario.sources, target=scenario.target,
            seed=scenario.seed, target_share=scenario.target_share, metric=self.terms.metric,
            metrics=metric_names(scenario.task.cutoffs), level=self.terms.level, resamples=scenario.gate.resamples,
            judged=f"{len(self.domains.target.items):,} items are ranked for each user.",
            marks={name: _by_kind(self.marks[self.marks["domain"] == name]) for name in scenario.domains},
            test_marks=_by_kind(tested), lanes=lanes, failed=tuple(name for name in named if name not in present),
            target_labels=scenario.target_labels, views=self._views(lane_ranks, lanes),
        )  # fmt: skip

    def _views(self, lane_ranks: Mapping[str, FloatArray], lanes: tuple[LaneInfo, ...]) -> dict[str, View]:
        """All rows and the unmarked ones, as far as there are any."""
        unmarked, every = self.unmarked, np.ones(len(self.rows), dtype=np.bool_)
        if self.rows.empty:
            return {}
        slices = make_slices(self.domains, self.rows)
        views = {ALL: self._view(lane_ranks, lanes, every, slices)}
        if unmarked.all():
            views[UNMARKED] = views[ALL]
        elif unmarked.any():
            views[UNMARKED] = self._view(lane_ranks, lanes, unmarked, slices)
        return views

    def _view(
        self,
        lane_ranks: Mapping[str, FloatArray],
        lanes: tuple[LaneInfo, ...],
        chosen: NDArray[np.bool_],
        slices: list[Slice],
    ) -> View:
        names = metric_names(self.scenario.task.cutoffs)
        parts = [
            Part(part.by, part.label, self._scores(lane_ranks, chosen & part.rows, (self.terms.metric,)))
            for part in slices
        ]
        return view(self.terms, lanes, self._scores(lane_ranks, chosen, names), parts)

    @property
    def _marked(self) -> "pd.Series[int]":
        return self.marks.loc[self.marks["domain"] == self.scenario.target, "row"]

    def _scores(
        self, lane_ranks: Mapping[str, FloatArray], chosen: NDArray[np.bool_], metrics: tuple[str, ...]
    ) -> Scores:
        """Make statistics of the chosen rows [N]: means over users."""
        users = per_user(self.rows, lane_ranks, self.scenario.task.cutoffs, chosen)
        lanes = {name: Means(table[list(metrics)].to_numpy()) for name, table in users.items()}
        return Scores(metrics, lanes, rows=int(chosen.sum()))


def _named(domains: Domains, rows: pd.DataFrame) -> pd.MultiIndex:
    """Name rows [N] of the target by user_id and item_id, which are the same every night."""
    users = domains.users.to_numpy()[rows["user"].to_numpy()]
    items = domains.target.items[c.ITEM].to_numpy()[rows["item"].to_numpy()]
    return pd.MultiIndex.from_arrays([users, items])


def _by_kind(marks: pd.DataFrame) -> dict[str, int]:
    return {str(kind): int(count) for kind, count in marks.groupby("kind", observed=True).size().items()}
