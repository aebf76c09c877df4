"""What units did before, in all domains, and in which order.

Shapes: U units of all domains, I_d items of domain d, T events of all units.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from pipeline import columns as c
from pipeline.errors import DataError

Histories = Mapping[str, sparse.csr_matrix]
IntArray = NDArray[np.int64]

UNTOLD = 1e12  # seconds, of what came after all that is known, and when is not known: no time is as late
KINDS = 1023  # codes of kinds of event, by a hash: two of ten kinds share one in a log of twenty

OWN_HISTORY = "history in the target"  # how its length is told
_EDGES = (0, 1, 3, 5, 10, 20, 100)  # a band of lengths starts at an edge and ends before the next


def _named(first: int, after: int) -> str:
    return f"{first}" if first == after - 1 else f"{first} to {after - 1}"


BANDS = (*map(_named, _EDGES, _EDGES[1:]), f"{_EDGES[-1]} or more")  # of how much is known of a unit


def bands(counts: IntArray) -> IntArray:
    """The band of each count, as a place among `BANDS`."""
    return np.asarray(np.searchsorted(_EDGES, counts, side="right") - 1, dtype=np.int64)


def lengths(matrix: sparse.csr_matrix) -> IntArray:
    """How many things each unit took: [U]."""
    return np.asarray(np.diff(matrix.indptr), dtype=np.int64)


@dataclass(frozen=True, eq=False)
class Timeline:
    """What all units did, one event after the other, each unit's end to end.

    What came at the same time, or has no order at all, stands by domain, as they are named, and then by place in the
    catalogue: so it is the same wherever it is read.
    """

    domains: IntArray  # [T] places among the names of the domains
    items: IntArray  # [T] places in the domain's catalogue
    weights: NDArray[np.float64]  # [T] what each counts
    times: NDArray[np.float64]  # [T] seconds; NaN where that is not known, or a position is all there is
    kinds: IntArray  # [T] code of the kind of event, 0 where it is not known
    starts: IntArray  # [U + 1] where each unit's events begin, and where the last one's end


@dataclass(frozen=True, eq=False)
class Log:
    """The last events before each of N rows, the newest first; where there are fewer than L, the rest is -1 or NaN.

    Args:
        kind: [N, L] places among the kinds of event, the same in all domains.
        gap: [N, L] seconds since the event before, also where that is further back; NaN where it is not known.
        item: [N, L] 1 where it is of the item of the newest one, else 0.
        own: [N, L] 1 where it is of the row's own domain, else 0.
    """

    kind: NDArray[np.int8]
    gap: NDArray[np.float32]
    item: NDArray[np.int8]
    own: NDArray[np.int8]

    def take(self, places: IntArray) -> "Log":
        """The same of some of the rows."""
        return Log(self.kind[places], self.gap[places], self.item[places], self.own[places])


@dataclass(frozen=True, eq=False)
class Past(Mapping[str, sparse.csr_matrix]):
    """What each unit took, in all domains, as far as it may be known when its rows are predicted.

    It is the mapping `taken` itself to whoever does not ask for an order.

    Args:
        taken: CSR [U, I_d] of each domain: what each thing counts, 1 where rows have no weights; never 0.
        when: CSR of the same entries, at least 1: larger where something came later, in any domain. Empty where rows
            have no order that all domains share.
        kinds: CSR of the same entries: 1 and the code of the kind of event, 0 for one that is not known. Empty where
            no domain has kinds, or there is no order.
        timed: Whether `when` is in seconds since the beginning of year 1; 1 is then a time that is missing, and what is
            above `UNTOLD` an order without times.
        asked: [U] when each unit is asked for, as `when`; NaN, or None for all, where that is not known.
    """

    taken: Histories
    when: Histories = field(default_factory=dict)
    kinds: Histories = field(default_factory=dict)
    timed: bool = False
    asked: NDArray[np.float64] | None = None

    @classmethod
    def over(cls, histories: Histories) -> "Past":
        """Itself, or matrices without an order."""
        return histories if isinstance(histories, Past) else cls(histories)

    def __getitem__(self, name: str) -> sparse.csr_matrix:
        return self.taken[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.taken)

    def __len__(self) -> int:
        return len(self.taken)

    def take(self, places: IntArray) -> "Past":
        """The same: the past belongs to the units, which all rows of a view share."""
        del places
        return self

    def each(self, change: Callable[[str, sparse.csr_matrix], sparse.csr_matrix]) -> "Past":
        """The matrices of each domain changed alike; `change` gets the domain's name too."""
        every = ({name: change(name, one) for name, one in part.items()} for part in self._parts)
        return self._with_parts(*every)

    def of(self, units: Any) -> "Past":
        """The past of some units: CSR [n, I_d] of each domain."""
        chosen = self.each(lambda _, matrix: matrix[units])
        return replace(chosen, asked=None if self.asked is None else np.atleast_1d(self.asked[units]))

    def only(self, names: Collection[str]) -> "Past":
        """The past in some of the domains."""
        return self._with_parts(*({name: one for name, one in part.items() if name in names} for part in self._parts))

    def without(self, name: str) -> "Past":
        """The same units, of whom nothing is known in one of the domains."""
        return self.each(
            lambda one, matrix: sparse.csr_matrix(matrix.shape, dtype=matrix.dtype) if one == name else matrix
        )

    def emptied(self) -> "Past":
        """The past of strangers: the same units, of whom nothing is known."""
        return self.each(lambda _, matrix: sparse.csr_matrix(matrix.shape, dtype=matrix.dtype))

    def kept(self, chosen: Mapping[str, NDArray[np.bool_]]) -> "Past":
        """Those entries of each domain that are chosen, in the order of rows and columns."""
        return self.each(lambda name, matrix: _some(matrix, chosen[name]))

    def signs(self) -> "Past":
        """Without what is known but counts nothing."""
        return self.kept({name: taken.data != 0 for name, taken in self.taken.items()})

    def adding(
        self, name: str, units: IntArray, items: IntArray, when: NDArray[np.float64], kinds: IntArray | None = None
    ) -> "Past":
        """The same, and 1 for each of these items that is not known to count more; it came then, or was known later.

        `kinds` are codes; where they are 0 the thing is of the kind that is known of it, if one is.
        """
        codes = np.zeros(len(units), dtype=np.int64) if kinds is None else kinds
        taken = {**self.taken, name: _with(self.taken[name], units, items, np.ones(len(units)))}
        order = {**self.when, name: _with(self.when[name], units, items, when)} if self.when else {}
        if not self.kinds:
            return self._with_parts(taken, order, {})
        newer = np.concatenate([self.when[name].data, np.where(codes > 0, when, 0)])
        return self._with_parts(
            taken, order, {**self.kinds, name: _with(self.kinds[name], units, items, codes + 1, newer)}
        )

    def in_order(self, names: Sequence[str]) -> Timeline:
        """The events in these domains; one that is absent counts as empty."""
        units = next(iter(self.taken.values())).shape[0]
        known = [(code, self.taken[name].tocoo(), name) for code, name in enumerate(names) if name in self.taken]
        empty = np.empty(0)
        unit, item, weight = (
            np.concatenate([empty, *(getattr(part, what) for _, part, _ in known)]) for what in ("row", "col", "data")
        )
        domain = np.concatenate([empty, *(np.full(part.nnz, code) for code, part, _ in known)])
        when, kind = (
            np.concatenate([empty, *(part[name].data for _, _, name in known)]) if part else 0 * item + 1
            for part in (self.when, self.kinds)
        )
        times = np.where((when > 1) & (when < UNTOLD), when, np.nan) if self.timed else np.full(len(when), np.nan)
        order = np.lexsort((item, domain, when, unit))
        starts = np.concatenate([[0], np.bincount(unit.astype(np.int64), minlength=units).cumsum()])
        whole = (one[order].astype(np.int64) for one in (domain, item, kind - 1))
        domain, item, kind = whole
        return Timeline(domain, item, weight[order], times[order], kind, starts)

    def latest(self) -> NDArray[np.float64]:
        """When each unit's last event was, in any domain: [U], 0 where there is none."""
        last = np.zeros(next(iter(self.taken.values())).shape[0])
        for matrix in self.when.values():
            np.maximum.at(last, np.repeat(np.arange(len(last)), np.diff(matrix.indptr)), matrix.data)
        return last

    @property
    def _parts(self) -> tuple[Histories, Histories, Histories]:
        return self.taken, self.when, self.kinds

    def _with_parts(self, *parts: Histories) -> "Past":
        taken, when, kinds = parts
        return replace(self, taken=taken, when=when, kinds=kinds)


def refuse_without_order(past: Past, what: str) -> None:
    """Say that something reads an order and there is none.

    Raises:
        DataError: the rows of the domains share neither a time nor a position.
    """
    if not past.when:
        raise DataError(
            f"{what} reads what users did in its order, but the interactions of {', '.join(past)} do not all have the "
            f"column {c.TIMESTAMP}, or all the column {c.POSITION}; name it under `columns`, or do without it."
        )


def _some(matrix: sparse.csr_matrix, chosen: NDArray[np.bool_]) -> sparse.csr_matrix:
    entries = matrix.tocoo()
    places = entries.row[chosen], entries.col[chosen]
    return sparse.csr_matrix((entries.data[chosen], places), shape=matrix.shape)


def _with(
    matrix: sparse.csr_matrix,
    rows: IntArray,
    columns: IntArray,
    values: NDArray[Any],
    rank: NDArray[np.float64] | None = None,
) -> sparse.csr_matrix:
    """More entries; of several of one place the largest stays, or that of the highest rank, of those known first."""
    known = matrix.tocoo()
    every = np.concatenate([known.data, values.astype(known.data.dtype)])
    pairs = np.concatenate([known.row, rows]), np.concatenate([known.col, columns])
    order = np.argsort(-(every if rank is None else rank), kind="stable")
    places = pairs[0].astype(np.int64) * matrix.shape[1] + pairs[1]
    first = order[np.unique(places[order], return_index=True)[1]]
    return sparse.csr_matrix((every[first], (pairs[0][first], pairs[1][first])), shape=matrix.shape)
