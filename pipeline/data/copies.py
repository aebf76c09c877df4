"""Columns that hold the values of another one, which may be personal."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

_LOOKED_AT = 10_000  # rows, evenly spaced: what copies a column does so in all its rows
_LONG = 4  # characters of an id from which on it is not met by chance, also within a value: 12345 in 12345-1
_FLAGS = ("true", "false")  # long enough, but two of them agree in most rows by chance
_FEWEST = 10  # different shorter ones that must be met: users and items 1, 2 and 3 may be


def holds(values: pa.ChunkedArray, other: pa.ChunkedArray) -> bool:
    """Whether in more than half of the rows [N] that have both a value of `other` is that of `values`, or has it in it.

    Numbers and texts are compared as texts, whatever their case. What is derived otherwise is not seen.
    """
    rows = pa.array(np.unique(np.linspace(0, len(values) - 1, _LOOKED_AT).astype(np.int64)))
    sought, held = _texts(values.take(rows)), _texts(other.take(rows))
    if sought is None or held is None:
        return False
    both = pc.and_(pc.is_valid(sought), pc.is_valid(held))
    ids, texts = (_numpy(one.filter(both)) for one in (sought, held))
    long = (np.strings.str_len(ids) >= _LONG) & ~np.isin(ids, np.array(_FLAGS, dtype=ids.dtype))
    met = np.where(long, np.strings.find(texts, ids) >= 0, ids == texts)
    return bool(2 * met.sum() > len(met) and ((met & long).any() or len(np.unique(ids[met])) >= _FEWEST))


def _texts(values: pa.ChunkedArray) -> pa.Array | None:
    """Values as texts in small letters, whole numbers without a point; None: they are none."""
    try:
        text = pc.utf8_lower(values.combine_chunks().cast(pa.string()))
        text.validate(full=True)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return None
    return pc.replace_substring_regex(pc.utf8_trim_whitespace(text), r"^(-?\d+)\.0+$", r"\1")


def _numpy(text: pa.Array) -> "np.ndarray":
    return np.array(text.to_pylist(), dtype=np.dtypes.StringDType())
