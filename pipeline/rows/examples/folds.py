"""Folds: where validation rows are too few to choose by, training rows choose with them, each while others train.

Shapes: N rows of the target.
"""

import numpy as np
import pandas as pd

from pipeline.data.splits import PART, TRAIN, VALID
from pipeline.rows.examples.naming import COMPONENT, Hashes, IntArray, Mask

FOLD = "fold"
NO_FOLD = -1
ENOUGH = 100  # units that choose by themselves; of fewer the audit warns


def folds_of(rows: pd.DataFrame, kept: Mask, strata: IntArray, folds: int) -> IntArray:
    """The fold [N] of each row for training or validation whose component has a label that is kept; -1 of all others.

    All are -1 where enough units are held out for validation, or fewer than `folds` are labelled. Components are dealt
    out in the order of a hash, class by class, so that each fold has its share of every class. Their rows without a
    label are held back with them, and choose nothing: they would tell of the others.

    Args:
        rows: The rows with their components and parts.
        kept: [N] those that thinning keeps.
        strata: [N] the class of each row, -1 without a label.
        folds: How many; 0: none.
    """
    found, component = np.full(len(rows), NO_FOLD), rows[COMPONENT].to_numpy()
    labelled = kept & (strata >= 0)
    valid = labelled & (rows[PART] == VALID).to_numpy()
    parted = rows[PART].isin((TRAIN, VALID)).to_numpy()
    pool = labelled & parted
    every, owner = np.unique(component[pool], return_inverse=True)
    if len(np.unique(component[valid])) >= ENOUGH or len(every) < max(folds, 1) or not folds:
        return found
    stratum = np.zeros(len(every), dtype=np.int64)
    np.maximum.at(stratum, owner, strata[pool])
    dealt = np.empty(len(every), dtype=np.int64)
    dealt[np.lexsort((Hashes.of_components(rows[pool], "fold"), stratum))] = np.arange(len(every)) % folds
    beside = parted & np.isin(component, every)
    found[beside] = dealt[np.searchsorted(every, component[beside])]
    return found


def each_held_back(frame: pd.DataFrame) -> list[pd.DataFrame]:
    """The rows once for each fold, which is their validation while the other folds train; as they are without folds."""
    if FOLD not in frame or not (frame[FOLD] != NO_FOLD).any():
        return [frame]
    part, fold = frame[PART].to_numpy(), frame[FOLD].to_numpy()
    inside = fold != NO_FOLD
    return [
        frame.assign(**{PART: np.where(fold == one, VALID, np.where(inside, TRAIN, part)).astype(part.dtype)})
        for one in np.unique(fold[inside])
    ]
