"""The kind of label that is an item: ranked for each user among a whole catalogue.

Shapes: N rows of a view, I items of the catalogue.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from pipeline import columns as c
from pipeline.config import RankingTask
from pipeline.data.item_names import item_names
from pipeline.labels.answers import Answer, Answers
from pipeline.labels.curves import Curve
from pipeline.labels.item_words import ITEMS
from pipeline.labels.ranking_metrics import metric_names, user_metrics
from pipeline.labels.ranks import Score, latency, ranks
from pipeline.labels.statistic import Means
from pipeline.labels.words import Words
from pipeline.past import Past
from pipeline.views import PAST, FloatArray, IntArray, ItemLabel, ItemScorer, Mask, View

# NDCG of one user varies by 0.2 or so around its mean: over fewer users the mean is uncertain by more than 0.02, which
# is more than one epoch brings, so that stopping would follow noise.
FEWEST = 100
SHOWN = 5  # items of an answer that is shown to people
_TIMED_USERS = 9


@dataclass(frozen=True)
class Items:
    """Items of one catalogue, ranked for each user by what the user did in any domain."""

    task: RankingTask
    words: Words = ITEMS

    @property
    def metrics(self) -> tuple[str, ...]:
        """All metrics at all cutoffs, such as `ndcg@10`."""
        return metric_names(self.task.cutoffs)

    @property
    def gated(self) -> str:
        """The task's metric at the first cutoff."""
        return f"{self.task.metric}@{self.task.cutoffs[0]}"

    @property
    def watched(self) -> str:
        """The same."""
        return self.gated

    @property
    def fewest(self) -> int:
        """See `FEWEST`."""
        return FEWEST

    def told(self, view: View) -> str:
        """How many items are ranked."""
        return f"{len(_label(view).catalogue):,} items are ranked for each user."

    def predict(self, predictor: ItemScorer, view: View) -> FloatArray:
        """Rank each row's item in the catalogue: [N], 1 is the top; see `pipeline.labels.ranks.ranks`."""
        return self._ranks(predictor.scores, view)

    def chance(self, view: View) -> FloatArray:
        """Rank each row with a scorer that says the same for all items: [N]."""
        items = len(_label(view).catalogue)
        return self._ranks(lambda past: np.zeros((next(iter(past.values())).shape[0], items), np.float32), view)

    def settle(self, fitted: Sequence[tuple[ItemScorer, View]]) -> dict[str, float]:
        """Nothing: ranks stay the same however scores are scaled."""
        del fitted
        return {}

    def statistic(self, view: View, predicted: FloatArray, chosen: Mask, metrics: Sequence[str]) -> Means:
        """Means over users of the chosen rows."""
        table = self._each(view.take(chosen), predicted[chosen])
        return Means(table[list(metrics)].to_numpy())

    def values(self, judged: Sequence[tuple[View, FloatArray]]) -> dict[str, float]:
        """Means over the users of all views, each view's users being its own."""
        means = pd.concat([self._each(view, predicted) for view, predicted in judged]).mean()
        return {str(name): float(value) for name, value in means.items()}

    def positives(self, view: View, chosen: Mask) -> None:
        """None: every row has an item that is looked for."""
        del view, chosen

    def curves(self, view: View, predicted: Mapping[str, FloatArray]) -> tuple[Curve, ...]:
        """None: the metrics at their cutoffs tell all."""
        del view, predicted
        return ()

    def truth(self, view: View) -> list[Answers]:
        """The item of each row."""
        return [(one,) for one in _named(view, _label(view).value)]

    def answers(self, predictor: ItemScorer, view: View) -> list[Answers]:
        """The best items for each row's user, without what the user is known to have taken."""
        if not len(view):
            return []
        scores = np.array(predictor.scores(_past(view).of(view.units)), dtype=np.float64)
        scores[_label(view).seen[view.units].nonzero()] = -np.inf
        best = np.argsort(-scores, axis=1, kind="stable")[:, :SHOWN]
        return [tuple(_named(view, own[np.isfinite(row[own])])) for own, row in zip(best, scores, strict=True)]

    def effects(self, predictor: Any, view: View) -> dict[str, float]:
        """Nothing: a history is no feature."""
        del predictor, view
        return {}

    def information(self, view: View, predicted: FloatArray) -> None:
        """None: what is said has no probability."""
        del view, predicted

    def latency(self, predictor: ItemScorer, view: View) -> float:
        """Seconds to score the catalogue for one user: of those with a row, else of any."""
        past = _past(view)
        users: IntArray = np.unique(view.units) if len(view) else np.arange(next(iter(past.values())).shape[0])
        return latency(predictor.scores, past, users[:_TIMED_USERS])

    def _ranks(self, score: Score, view: View) -> FloatArray:
        return ranks(score, _past(view), _pairs(view), _label(view).seen)

    def _each(self, view: View, predicted: FloatArray) -> pd.DataFrame:
        return user_metrics(_pairs(view), predicted, self.task.cutoffs)


def _named(view: View, places: IntArray) -> list[Answer]:
    items = _label(view).catalogue
    keys = items[c.ITEM].iloc[places]
    return [Answer(key=str(key), text=name) for key, name in zip(keys, item_names(items, places), strict=True)]


def _pairs(view: View) -> pd.DataFrame:
    return pd.DataFrame({"user": view.units, "item": _label(view).value})


def _label(view: View) -> ItemLabel:
    assert isinstance(view.label, ItemLabel)
    return view.label


def _past(view: View) -> Past:
    past = view.fields[PAST]
    assert isinstance(past, Past)
    return past
