"""The leak audit of examples: which held-out rows the training rows give away or cannot teach, with exact counts.

All training and validation rows count, also those that thinning took away, so that a row's mark is the same at every
share of target data. Validation rows are marked like test rows, because they choose. Rows that are equal because there
is little to tell them apart are no leak and only counted (`docs/decisions/0026-copies.md`).

Shapes: N rows of all domains one after the other.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline import columns as c
from pipeline.config import RegressionTask
from pipeline.data.splits import PART, TEST
from pipeline.rows.examples.cliffs import Cliff, cliffs
from pipeline.rows.examples.contents import Contents, IntArray, Mask
from pipeline.rows.examples.give_aways import TELLING, apart, give_aways
from pipeline.rows.examples.naming import COMPONENT
from pipeline.rows.examples.prepared import Examples, as_classes, features_of
from pipeline.rows.examples.tags import one_by_one
from pipeline.rows.held import audited

KINDS = ("copy", "near_copy", "component", "give_away", "later", "unseen")
_BY_TIME = 0.05  # share of training rows after the middle of what is held out, up to which a split goes by time


@dataclass(frozen=True)
class _Rows:
    """All rows of all domains.

    Args:
        domain: [N] whose.
        place: [N] the place in its domain.
        part: [N] which part.
        component: [N] which component of its domain.
        time: [N] microseconds, NaN where there is none.
        known: [N] whether it has a label.
        label: [N] the label.
        exact: What the rows say.
        near: The same, nearly.
        each: Classes or tags, each under the number [0, N) of its row; none where the label is a number.
        given: [N] whether one value of a feature decides what it is.
    """

    domain: NDArray[Any]
    place: IntArray
    part: IntArray
    component: IntArray
    time: NDArray[np.float64]
    known: Mask
    label: "pd.Series[Any]"
    exact: Contents
    near: Contents
    each: "pd.Series[Any]"
    given: Mask

    @classmethod
    def of(cls, examples: Examples, found: Sequence[Cliff]) -> "_Rows":
        """Put the domains under each other, with what the cliffs give away."""
        every = pd.concat(list(examples.frames.values()), ignore_index=True)
        sizes = {name: len(frame) for name, frame in examples.frames.items()}
        domain = np.repeat(np.array(list(sizes), dtype=object), list(sizes.values()))
        task = examples.task
        features, label = features_of(every, task), as_classes(every[task.label], task)
        told = features_of(every, task, past=True)
        each = one_by_one(label, task)
        return cls(
            domain=domain,
            place=np.concatenate([np.arange(size) for size in sizes.values()]),
            part=every[PART].to_numpy(dtype=np.int64),
            component=every[COMPONENT].to_numpy(dtype=np.int64),
            time=_times(every),
            known=label.notna().to_numpy(),
            label=label,
            exact=Contents.exact(features, label),
            near=Contents.near(features, label),
            each=each.iloc[:0] if isinstance(task, RegressionTask) else each,
            given=np.logical_or.reduce([np.zeros(len(every), dtype=np.bool_), *(one.holds(told) for one in found)]),
        )


@dataclass(frozen=True)
class _Held:
    """Rows that are held out of one domain, and those that may teach what they are."""

    rows: _Rows
    out: Mask
    own: Mask  # training rows of the domain
    train: Mask  # of all domains

    @classmethod
    def of(cls, rows: _Rows, domain: str, part: int) -> "_Held":
        """What helps a test row is all of training and validation; what helps a validation row is no validation row."""
        here = rows.domain == domain
        own = here & (rows.part < part)
        return cls(rows, here & (rows.part == part) & rows.known, own, own | (~here & (rows.part < TEST)))

    def marks(self, cold_start: bool) -> dict[str, Mask]:
        """Which rows [N] are marked, by kind."""
        copied = self._copied(self.rows.exact)
        return {
            "copy": copied & self.rows.exact.told_apart,
            "near_copy": self._copied(self.rows.near) & self.rows.near.told_apart & ~copied,
            "component": self.out & np.isin(self.rows.component, self.rows.component[self.own]),
            "give_away": self.out & self.rows.given,
            "later": self.later & self.by_time,
            "unseen": self._unseen(self.train) & (not cold_start),
        }

    @property
    def later(self) -> Mask:
        """Which rows have a training row after them."""
        time = self.rows.time
        last = np.nanmax(time[self.train], initial=-np.inf) if self.train.any() else -np.inf
        return self.out & (time < last)

    @property
    def by_time(self) -> bool:
        """Whether the domain was divided by time: hardly any training row is after the middle of what is held out."""
        time = self.rows.time
        out, own = time[self.out & ~np.isnan(time)], time[self.own & ~np.isnan(time)]
        return bool(len(out) and len(own) and (own > np.median(out)).mean() <= _BY_TIME)

    def details(self) -> dict[str, int]:
        """Counts of what the kinds are made of, also where it is not marked."""
        exact, near = self._copied(self.rows.exact), self._copied(self.rows.near)
        taught = np.isin(self.rows.exact.bare, self.rows.exact.bare[self.train & self.rows.known])
        found = {
            "equal_to_a_training_row": exact,
            "nearly_equal_to_a_training_row": near & ~exact,
            "equal_but_for_the_label": self.out & taught & ~exact,
            "before_the_last_training_row": self.later,
            "of_a_class_without_a_training_row_here": self._unseen(self.own),
        }
        counts = {f"test_rows_{name}": int(mask.sum()) for name, mask in found.items()}
        repeated = pd.Series(self.rows.exact.row[self.own]).duplicated(keep=False)
        return {**counts, "training_rows_equal_to_another": int(repeated.sum())}

    def _copied(self, contents: Contents) -> Mask:
        return self.out & np.isin(contents.row, contents.row[self.train])

    def _unseen(self, train: Mask) -> Mask:
        each, found = self.rows.each, np.zeros(len(self.out), dtype=np.bool_)
        owner = each.index.to_numpy(dtype=np.int64)
        found[owner[~each.isin(each[train[owner]]).to_numpy()]] = True
        return np.asarray(self.out & found)


def audit(examples: Examples, cold_start: bool = False) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Mark the held-out rows of every domain, each taken as the target of all others.

    Args:
        examples: Prepared domains.
        cold_start: Whether classes without a training row are expected in the test.

    Returns:
        (marks: domain, row (place in the domain's prepared rows), kind, sorted; report: JSON values with exact counts
        and `give_aways`, a sentence for each feature that tells the label by itself).
    """
    steps = cliffs(examples.with_all_rows().training(set(examples.frames)))
    rows = _Rows.of(examples, steps)
    table, report = audited(
        examples.frames, lambda name, part: _Held.of(rows, name, part), rows.domain, rows.place, cold_start=cold_start
    )
    return table, {"domains": report, "cold_start": cold_start, "give_aways": [*_told(examples, steps)]}


def _told(examples: Examples, steps: Sequence[Cliff]) -> Iterator[str]:
    """Say which features tell the label by themselves on training rows, and which values do."""
    yield from (one.told(examples.task.label) for one in steps)
    measure = "rank correlation" if isinstance(examples.task, RegressionTask) else "AUROC"
    for domain, view in examples.training(set(examples.frames)).items():
        for told, one in apart(view):
            for feature, value in give_aways(one).items():
                yield (
                    f"{domain}: {feature} tells {told} by itself ({measure} {value:.4f} on training rows, {TELLING} or "
                    "more)"
                )


def _times(rows: pd.DataFrame) -> NDArray[np.float64]:
    if c.TIMESTAMP not in rows:
        return np.full(len(rows), np.nan)
    times = pd.to_datetime(rows[c.TIMESTAMP], utc=True).dt.as_unit("us")
    return np.where(times.isna(), np.nan, times.astype("int64").to_numpy(dtype=np.float64))
