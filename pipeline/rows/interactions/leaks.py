"""The leak audit: which held-out rows the inputs give away or cannot be learnt, marked and counted exactly.

All training and validation rows count, also those that thinning took away, so that a row's mark is the same at every
share of target data. Validation rows are marked like test rows, because they choose; as they are trained on in the end,
they count among the training rows of test rows, while a validation row is held against the rows of part `train` alone.
Kinds of mark:

- `twin`: the row's item has a twin in another domain and the row's user has it there in training;
- `repeated`: the same user and item are in the domain's training rows, or in an earlier row of the test;
- `later`: a training row of the same user, in any domain, is later than the row;
- `order`: a training row of the same user is of the same order, or of the same time;
- `unseen`: the row's user or item has no training row in the domain, though the scenario does not expect that.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse

from pipeline import columns as c
from pipeline.rows.interactions.prepared import BASKET, PART_CODES, DomainData, Domains
from pipeline.rows.interactions.twins import twin_pairs

KINDS = ("twin", "repeated", "later", "order", "unseen")
Mask = NDArray[np.bool_]
Ids = NDArray[np.int64]
_NEVER = np.iinfo(np.int64).min  # what NumPy makes of a missing time


@dataclass(frozen=True)
class _Side:
    """One domain's rows over the union of users; `test` and `train` are masks: what is helped, and what helps it."""

    data: DomainData
    user: Ids  # [rows], place in the union
    item: Ids
    test: Mask
    train: Mask

    @property
    def key(self) -> Ids:
        """One number for each (user, item)."""
        return self.user * len(self.data.items) + self.item

    @property
    def time(self) -> Ids | None:
        """Microseconds, or None without timestamps; a missing time is the smallest number."""
        if c.TIMESTAMP not in self.data.rows:
            return None
        times = pd.to_datetime(self.data.rows[c.TIMESTAMP], utc=True).dt.as_unit("us")
        return times.to_numpy(dtype="datetime64[us]").astype(np.int64)


def audit(domains: Domains, cold_start: bool = False) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Mark the test rows of every domain, each taken as the target of all others.

    Args:
        domains: Prepared domains.
        cold_start: Whether users or items without a training row are expected in the test.

    Returns:
        (marks: domain, row (place in the domain's prepared rows), kind, sorted; report: JSON values with exact counts).
    """
    sides = [_side(domains, data, c.TEST) for data in domains.all]
    pairs = _pairs(sides, len(domains.users))
    latest = _latest_training(sides, len(domains.users))
    marks, report = [], {}
    for side in sides:
        masks = {
            "twin": _twins(side, sides, pairs),
            "repeated": _repeated(side),
            "later": _later(side, latest),
            "order": _torn(side),
            "unseen": _unseen(side) & (not cold_start),
        }
        marks += [_marked(side, kind, mask) for kind, mask in masks.items()]
        report[side.data.name] = _counts(side, masks, latest)
        choosing = _choosing(_side(domains, side.data, c.VALID), sides, pairs, len(domains.users))
        marks += [_marked(side, kind, mask) for kind, mask in choosing.items()]
        report[side.data.name]["valid_rows"] = int((side.data.rows["part"] == PART_CODES[c.VALID]).sum())
        report[side.data.name]["valid"] = {kind: int(mask.sum()) for kind, mask in choosing.items()}
    found = pd.concat(marks, ignore_index=True).astype({c.DOMAIN: "str", "row": "int64", "kind": "str"})
    found = found.sort_values([c.DOMAIN, "row", "kind"], kind="stable", ignore_index=True)
    names = [side.data.name for side in sides]
    twins = {f"{names[i]} | {names[j]}": len(found_pairs) for (i, j), found_pairs in pairs.items()}
    return found, {"domains": report, "twin_pairs": twins, "cold_start": cold_start}


def audit_report(domains: Domains, cold_start: bool = False) -> dict[str, Any]:
    """The counts of `audit` alone, as JSON values: by domain the test rows, the marked ones, and each kind."""
    return audit(domains, cold_start)[1]


def negative_defects(candidates: pd.DataFrame, training: pd.DataFrame) -> dict[str, int]:
    """Defects of an official table of sampled negatives.

    Args:
        candidates: user_id, item_id (the positive), negative_item_ids (lists); one row for each test row.
        training: user_id, item_id of the domain's training rows.

    Returns:
        Test rows whose positive is among its own negatives (`positive_among_negatives`), negatives that the user has
        in training (`negatives_in_training`), and negatives that stand more than once in a row (`repeated_negatives`,
        each further occurrence counted); and `test_rows`, `negatives`.
    """
    lists = candidates["negative_item_ids"]
    row = np.repeat(np.arange(len(candidates)), lists.str.len().to_numpy())
    negatives = pd.DataFrame({"row": row, c.ITEM: lists.explode().dropna().to_numpy()})
    negatives[c.USER] = candidates[c.USER].to_numpy()[row]
    own = negatives[c.ITEM].to_numpy() == candidates[c.ITEM].to_numpy()[row]
    seen = pd.MultiIndex.from_frame(negatives[[c.USER, c.ITEM]]).isin(
        pd.MultiIndex.from_frame(training[[c.USER, c.ITEM]])
    )
    return {
        "test_rows": len(candidates),
        "negatives": len(negatives),
        "positive_among_negatives": int(np.unique(row[own]).size),
        "negatives_in_training": int(seen.sum()),
        "repeated_negatives": int(negatives.duplicated(["row", c.ITEM]).sum()),
    }


def _side(domains: Domains, data: DomainData, held_out: str) -> _Side:
    """What helps a test row is all of train and valid; what helps a validation row is train alone."""
    part = data.rows["part"].to_numpy()
    user = domains.user_index(data)[data.rows["user"].to_numpy()]
    train = part < PART_CODES[held_out]
    return _Side(data, user, data.rows["item"].to_numpy(dtype=np.int64), part == PART_CODES[held_out], train)


def _marked(side: _Side, kind: str, mask: Mask) -> pd.DataFrame:
    return pd.DataFrame({c.DOMAIN: side.data.name, "row": np.flatnonzero(mask), "kind": kind})


def _choosing(side: _Side, sides: list[_Side], pairs: dict[tuple[int, int], Ids], users: int) -> dict[str, Mask]:
    """The marks of a domain's validation rows; a rare item that only they hold is no defect of the split."""
    others = [other for other in sides if other.data.name != side.data.name]
    return {
        "twin": _twins(side, sides, pairs),
        "repeated": _repeated(side),
        "later": _later(side, _latest_training([side, *others], users)),
        "order": _torn(side),
    }


def _pairs(sides: list[_Side], users: int) -> dict[tuple[int, int], Ids]:
    """Twins of each two domains, over all rows: the test row's own user belongs to its item's set too."""
    matrices = [
        sparse.csr_matrix((np.ones(len(side.user), np.int32), (side.user, side.item)), (users, len(side.data.items)))
        for side in sides
    ]
    return {(i, j): twin_pairs(matrices[i], matrices[j]) for i in range(len(sides)) for j in range(i + 1, len(sides))}


def _twins(side: _Side, sides: list[_Side], pairs: dict[tuple[int, int], Ids]) -> Mask:
    me = [other.data.name for other in sides].index(side.data.name)
    mask = np.zeros(len(side.user), dtype=bool)
    rows = pd.DataFrame({"row": np.flatnonzero(side.test), "user": side.user[side.test], "item": side.item[side.test]})
    for (i, j), found in pairs.items():
        if me in (i, j):
            other = sides[j if me == i else i]
            twins = pd.DataFrame(found if me == i else found[:, ::-1], columns=["item", "twin"])
            met = rows.merge(twins, on="item")
            key = met["user"].to_numpy() * len(other.data.items) + met["twin"].to_numpy()
            mask[met["row"].to_numpy()[np.isin(key, other.key[other.train])]] = True
    return mask


def _repeated(side: _Side) -> Mask:
    key = side.key
    again = np.zeros(len(key), dtype=bool)
    again[side.test] = pd.Series(key[side.test]).duplicated().to_numpy()
    return side.test & (again | np.isin(key, key[side.train]))


def _latest_training(sides: list[_Side], users: int) -> Ids:
    """[U]: the latest training row of each user in any domain; the smallest number where there is none."""
    latest = np.full(users, _NEVER)
    for side in sides:
        if (time := side.time) is not None:
            np.maximum.at(latest, side.user[side.train], time[side.train])
    return latest


def _later(side: _Side, latest: Ids) -> Mask:
    time = side.time
    if time is None:
        return np.zeros(len(side.user), dtype=bool)
    return side.test & (time > _NEVER) & (latest[side.user] > time)


def _torn(side: _Side) -> Mask:
    """Rows whose order trains as well: who bought the bread of a basket bought its butter."""
    rows = side.data.rows
    if BASKET in rows:
        basket = rows[BASKET].to_numpy()
    elif (time := side.time) is not None:
        together = pd.DataFrame({"user": side.user, "time": time}).groupby(["user", "time"]).ngroup().to_numpy()
        basket = np.where(time > _NEVER, together, -1 - np.arange(len(time)))
    else:
        return np.zeros(len(side.user), dtype=bool)
    return np.asarray(side.test & np.isin(basket, basket[side.train]))


def _unseen(side: _Side) -> Mask:
    cold_user = ~np.isin(side.user, side.user[side.train])
    cold_item = ~np.isin(side.item, side.item[side.train])
    return side.test & (cold_user | cold_item)


def _counts(side: _Side, masks: dict[str, Mask], latest: Ids) -> dict[str, Any]:
    """Exact counts of one domain; `details` counts what the kinds are made of, also where it is not marked."""
    test, time, key = side.test, side.time, side.key
    marked = np.logical_or.reduce([*masks.values()])
    before = int((test & (time > _NEVER) & (time < latest.max())).sum()) if time is not None and len(latest) else 0
    return {
        "test_rows": int(test.sum()),
        "training_rows": int(side.train.sum()),
        "marked": int(marked.sum()),
        "kinds": {kind: int(mask.sum()) for kind, mask in masks.items()},
        "details": {
            "test_rows_in_training": int((test & np.isin(key, key[side.train])).sum()),
            "test_rows_repeated_in_test": int(pd.Series(key[test]).duplicated().sum()),
            "training_rows_repeated": int(pd.Series(key[side.train]).duplicated().sum()),
            "test_rows_of_unseen_users": int((test & ~np.isin(side.user, side.user[side.train])).sum()),
            "test_rows_of_unseen_items": int((test & ~np.isin(side.item, side.item[side.train])).sum()),
            "test_rows_before_the_last_training_row_of_anyone": before,
        },
    }
