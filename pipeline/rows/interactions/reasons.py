"""Why an item is recommended: the things of the history without which its score would be lower.

Shapes: E things of one history, k items that are asked about, I_d items of domain d.
"""

from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd

from pipeline import columns as c
from pipeline.errors import DataError
from pipeline.past import Past
from pipeline.views import FloatArray, IntArray, ItemScorer

_BLOCK = 256  # histories that are scored at a time, if they are short
_ENTRIES = 1 << 21  # things in all histories of a block
_LONGEST = 40  # letters of a title that are shown
_ROUNDING = 16 * np.finfo(np.float32).eps  # of the largest score: what its sums differ by from one block to another


def without_each(past: Past) -> Iterator[Past]:
    """The past of one unit as often as it has things, each time without another one, in blocks.

    The things stand by domain, as the past names them, and then as they lie in its matrix.
    """
    sizes = {name: matrix.nnz for name, matrix in past.items()}
    total = sum(sizes.values())
    step = max(1, min(_BLOCK, _ENTRIES // max(1, total)))
    for first in range(0, total, step):
        left_out = np.arange(first, min(first + step, total))
        chosen, before = {}, 0
        for name, size in sizes.items():
            chosen[name] = (left_out[:, None] != before + np.arange(size)).ravel()
            before += size
        yield past.of(np.zeros(len(left_out), dtype=np.int64)).kept(chosen)


def parts(scorer: ItemScorer, past: Past, items: IntArray) -> FloatArray:
    """What the score of some items loses without each thing of a history: [E, k].

    Of a sum over the history, as neighbours and EASE have it, these are its summands, exactly. Of other models each is
    what would be without that one thing, and they need not add up. What is no more than rounding is 0, or a model would
    be said to read what it does not.

    Args:
        scorer: What ranks.
        past: Of one unit, without what counts nothing.
        items: [k] places in the target's catalogue.
    """
    every = scorer.scores(past)[0].astype(np.float64)
    blocks = [scorer.scores(other)[:, items].astype(np.float64) for other in without_each(past)]
    lost = every[items] - np.concatenate([np.empty((0, len(items))), *blocks])
    return np.where(np.abs(lost) > _ROUNDING * np.abs(every).max(), lost, 0.0)


def in_words(parts_Ek: FloatArray, names: list[str], most: int) -> list[str]:
    """Name the things that raise each item's score most: `B01 "Dune" +0.41; books: B07 "Emma" +0.2`; [k] texts."""
    first = np.argsort(-parts_Ek, axis=0, kind="stable")[:most]
    return [
        "; ".join(f"{names[place]} {part:+.2g}" for place in column if (part := parts_Ek[place, item]) > 0)
        for item, column in enumerate(first.T)
    ]


def names_of(past: Past, catalogues: Mapping[str, pd.DataFrame], target: str) -> list[str]:
    """The things of one unit's history: id, title where there is one, and the domain where it is not the target's."""
    told = []
    for name, matrix in past.items():
        rows = catalogues[name].iloc[matrix.indices]
        titles = rows[c.TITLE] if c.TITLE in rows else [None] * len(rows)
        for one, title in zip(rows[c.ITEM], titles, strict=True):
            shown = f' "{title[:_LONGEST]}"' if isinstance(title, str) and title else ""
            told.append(f"{'' if name == target else f'{name}: '}{one}{shown}")
    return told


def check(most: int) -> None:
    """Refuse a number of things that is below none.

    Raises:
        DataError: it is negative.
    """
    if most < 0:
        raise DataError(f"explain: expected how many things of the history are to be named, 0 for none, got {most}.")
