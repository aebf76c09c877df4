"""What a person should know of prepared rows before believing a result: small parts, and times that cannot be right."""

from collections.abc import Iterator
from datetime import datetime

import pandas as pd

from pipeline import columns as c
from pipeline.config import AuditSettings
from pipeline.results import Finding
from pipeline.rows.kind import PARTED_UNIT, Prepared

FEW = 100  # units: over fewer a mean is so uncertain that the gate lets nothing pass that learnt from the source
_TRAIN, _VALID, _TEST = range(len(c.PARTS))


def findings(prepared: Prepared, settings: AuditSettings) -> list[Finding]:
    """Look at the sizes of domains and parts, and at the times of the target's test.

    Args:
        prepared: The prepared domains.
        settings: Which of the parts are used, and against when times are held.
    """
    target = prepared.parted()
    return [*_small(prepared, settings), *_future(target, settings), *_after(target, settings)]


def _small(prepared: Prepared, settings: AuditSettings) -> Iterator[Finding]:
    units = prepared.units
    bring = f"bring more {units}; until then"
    more = f"{bring} nothing that learnt from the source can be proved to help"
    for one in prepared.each_placed():
        count = one.parted()[PARTED_UNIT].nunique()
        if 0 < count < FEW:
            what = f"{count} {units}, and fewer than {FEW} say little"
            yield Finding(rule="small_domain", where=one.name, what=what, remedy=more)
    folds = [fold.parted() for fold in prepared.folds()]
    for part, code in ((c.VALID, _VALID), (c.TEST, _TEST)):
        count = pd.concat([rows.loc[rows["part"] == code, PARTED_UNIT] for rows in folds]).nunique()
        if count < FEW and (count or settings.target_labels):
            where = f"{part} (in {len(folds)} folds)" if code == _VALID and len(folds) > 1 else part
            what = f"{count} {units} in {where}, and over fewer than {FEW} a metric is mostly chance"
            then = f"{bring} what is chosen there may be another lane tomorrow" if code == _VALID else more
            remedy = f"give that part a larger share in `split`, or {then}"
            yield Finding(rule="small_part", where=settings.target, what=what, remedy=remedy)


def _future(rows: pd.DataFrame, settings: AuditSettings) -> Iterator[Finding]:
    if settings.began is None:
        return
    test = rows.loc[rows["part"] == _TEST, c.TIMESTAMP]
    later = int((test > pd.Timestamp(datetime.fromisoformat(settings.began))).sum())
    if later:
        yield Finding(
            rule="test_in_the_future", where=settings.target,
            what=f"{later:,} of {len(test):,} test rows, up to {test.max():%Y-%m-%d}, are later than this run began",
            remedy="look at the unit of the times and at the clock that wrote them; such rows cannot have happened",
        )  # fmt: skip


def _after(rows: pd.DataFrame, settings: AuditSettings) -> Iterator[Finding]:
    """A split that is not by time, and whose test all the same comes after everything else."""
    if settings.by_time or c.TIMESTAMP not in rows:
        return
    test, known = (rows.loc[chosen, c.TIMESTAMP] for chosen in (rows["part"] == _TEST, rows["part"] != _TEST))
    later = int((test > known.max()).sum()) if known.notna().any() else 0
    if later > len(test) / 2:
        yield Finding(
            rule="test_after_training", where=settings.target,
            what=f"{later:,} of {len(test):,} test rows are later than all others (the last of them is of "
                 f"{known.max():%Y-%m-%d}), although the split is not by time",
            remedy="look whether the times are right; if they are, take the split 'time', which also keeps sources "
                   "from knowing what came later",
        )  # fmt: skip
