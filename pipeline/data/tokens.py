"""The words of items as hashed buckets, so that a word means the same in every domain without a common vocabulary."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pipeline import columns as c

_NOT_A_WORD = r"[^\p{L}\p{M}\p{N}_]+"  # RE2's \w knows ASCII only


def stable_hash(values: pd.Series | pd.Index) -> NDArray[np.uint64]:
    """A 64-bit hash of each string: SipHash with pandas' fixed key, the same in every process and on every machine.

    A test holds known values, so that a library that changed the hash, and with it every split, would be noticed.
    """
    return pd.util.hash_array(values.to_numpy(dtype=object), categorize=False).astype(np.uint64)


def mixed(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The finaliser of SplitMix64 (Steele, Lea and Flood, 2014), which makes every bit depend on all."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def item_tokens(items: pd.DataFrame, buckets: int) -> pd.Series:
    """The buckets of the lower-cased words of title and category, in their order; no words give an empty list.

    Args:
        items: Table of items with a title, or a category, or both; missing values have no words.
        buckets: How many buckets there are; two words may share one (Weinberger et al., 2009).

    Returns:
        An int32 array in 0..buckets-1 for each item, with the index of `items`.
    """
    text = pa.array([""] * len(items), pa.string())
    for column in (c.TITLE, c.CATEGORY):
        if column in items:
            part = pc.fill_null(pa.array(items[column], pa.string(), from_pandas=True), "")
            text = pc.binary_join_element_wise(text, part, " ")
    words = pc.split_pattern_regex(pc.utf8_lower(text), _NOT_A_WORD)
    flat, parents = pc.list_flatten(words), pc.list_parent_indices(words)
    is_word = pc.not_equal(flat, "")
    flat, parents = flat.filter(is_word), parents.filter(is_word)
    codes, vocabulary = pd.factorize(flat.to_pandas())
    hashed = (stable_hash(vocabulary) % np.uint64(buckets)).astype(np.int32)
    offsets = np.concatenate([[0], np.bincount(parents.to_numpy(), minlength=len(items)).cumsum()]).astype(np.int32)
    lists = pa.ListArray.from_arrays(pa.array(offsets), pa.array(hashed[codes], pa.int32()))
    return pd.Series(lists.to_pandas().to_numpy(dtype=object), index=items.index, dtype=object)
