"""What examples are called, which of them belong together, and hashes of both: the same every night."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse import csgraph

from pipeline import columns as c
from pipeline.data.tokens import mixed, stable_hash

COMPONENT = "component"
Mask = NDArray[np.bool_]
IntArray = NDArray[np.int64]
_NAMELESS = (c.DOMAIN, c.SPLIT, c.ROW)  # columns that say nothing of what a row is


def names_of(rows: pd.DataFrame) -> "pd.Series[str]":
    """[N] the given name of each row, else one made of its content and a number among rows of equal content.

    A missing value says nothing of a row: its name is the same whether or not the table has the column.
    """
    hashed = np.zeros(len(rows), dtype=np.uint64)
    for column in sorted(name for name in rows.columns if name not in _NAMELESS):
        known = rows[column].notna().to_numpy()
        added = mixed(hashed ^ stable_hash(pd.Index([column]))[0] ^ _hash(rows[column]))
        hashed = np.where(known, added, hashed)
    equal = pd.Series(hashed).groupby(hashed).cumcount()
    text = pd.Series(hashed).map("{:016x}".format)
    made = (text + equal.map(lambda number: f"-{number}" if number else "")).set_axis(rows.index)
    return made if c.ROW not in rows else rows[c.ROW].astype(object).where(rows[c.ROW].notna(), made).astype(str)


def _hash(values: "pd.Series[Any]") -> NDArray[np.uint64]:
    codes, distinct = pd.factorize(values)
    texts = pd.Index([repr(one) if isinstance(one, float) else str(one) for one in distinct], dtype=object)
    return np.append(stable_hash(texts), np.uint64(0))[codes]  # the last is of what is missing, whose code is -1


def components(rows: pd.DataFrame, groups: Sequence[str]) -> IntArray:
    """[N] a number for all rows that share a value of a group, also through others; without groups one each."""
    owners, shared, first = [np.arange(len(rows))], [np.arange(len(rows))], len(rows)
    for group in (name for name in groups if name in rows):
        codes, distinct = pd.factorize(rows[group])
        known = np.flatnonzero(codes >= 0)
        owners.append(known)
        shared.append(codes[known] + first)
        first += len(distinct)
    places = np.concatenate(owners), np.concatenate(shared)
    graph = sparse.coo_matrix((np.ones(len(places[0]), dtype=np.int8), places), shape=(first, first))
    found: IntArray = csgraph.connected_components(graph, directed=False)[1][: len(rows)].astype(np.int64)
    return pd.factorize(found)[0].astype(np.int64)


class Hashes:
    """Hashes for one purpose, unrelated to those for another."""

    @staticmethod
    def of_components(rows: pd.DataFrame, purpose: str) -> NDArray[np.uint64]:
        """[components, in the order of their numbers] the smallest hash of a row's name."""
        hashed = mixed(stable_hash(pd.Index([purpose]))[0] ^ mixed(stable_hash(rows[c.ROW])))
        _, owner = np.unique(rows[COMPONENT].to_numpy(), return_inverse=True)
        smallest = np.full(owner.max(initial=-1) + 1, np.iinfo(np.uint64).max, dtype=np.uint64)
        np.minimum.at(smallest, owner, hashed)
        return mixed(smallest)  # it names the component; of more rows the smallest would else be smaller


def stratified_draw_of(rows: pd.DataFrame, purpose: str, share: float, strata: IntArray) -> Mask:
    """The same of the components of each stratum [N], so that each keeps its share of them, and at least one.

    A component is of the highest stratum among its rows.
    """
    every, owner = np.unique(rows[COMPONENT].to_numpy(), return_inverse=True)
    stratum = np.full(len(every), -1)
    np.maximum.at(stratum, owner, strata)
    order = np.lexsort((Hashes.of_components(rows, purpose), stratum))
    _, first, size = np.unique(stratum[order], return_index=True, return_counts=True)
    place = np.arange(len(every)) - np.repeat(first, size)
    kept = np.empty(len(every), dtype=bool)
    kept[order] = place < np.repeat(np.maximum(np.round(size * share), 1), size)
    return np.asarray(kept[owner])


def draw_of(rows: pd.DataFrame, purpose: str, share: float) -> Mask:
    """Which rows [N] a share of the components holds: what a smaller share keeps, a larger one keeps too."""
    _, owner = np.unique(rows[COMPONENT].to_numpy(), return_inverse=True)
    hashed = Hashes.of_components(rows, purpose)[owner]
    return np.asarray((hashed >> np.uint64(11)) / 2.0**53 < share)
