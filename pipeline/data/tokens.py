"""Words of items and of texts as hashes, so that a word means the same in every domain without a common vocabulary."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pipeline import columns as c
from pipeline.config import FeatureType
from pipeline.data.item_names import TEXTS

_NOT_A_WORD = r"[^\p{L}\p{M}\p{N}_]+"  # RE2's \w knows ASCII only
_PIECE = 4  # letters
_UNSPACED = r"([\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}])"  # no blanks between words
_ALONE = r" \1 "

WORDS = 1 << 30  # columns that words are hashed to; a model takes the rest of a division by fewer


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


def bag_hashes(bags: pd.Series) -> tuple[NDArray[np.uint64], NDArray[np.int64], NDArray[np.float64]]:
    """The names in bags such as `good:2 bad` as hashes; a name alone counts 1, and one of count 0 is not there.

    Args:
        bags: [N] names with blanks between them, as they were read at the border; a missing one is empty.

    Returns:
        (hashes [T], the row of each [T], its count [T], above 0).
    """
    codes, vocabulary, rows, counts = _named(bags)
    return stable_hash(vocabulary)[codes], rows, counts


def bag_names(bags: pd.Series) -> NDArray[np.object_]:
    """[T] the names in bags, in the order of `bag_hashes`."""
    codes, vocabulary, *_ = _named(bags)
    return vocabulary.to_numpy(dtype=object)[codes]


def item_tokens(items: pd.DataFrame, buckets: int) -> pd.Series:
    """The buckets of the lower-cased words of title, category and brand, and of the price; nothing is an empty list.

    In scripts that put no blanks between words each letter stands for a word. Prices between two half powers of two are
    one word more; one that is not above zero is none.

    Args:
        items: Table of items with some of these columns; missing values have no words.
        buckets: How many buckets there are; two words may share one (Weinberger et al., 2009).

    Returns:
        An int32 array in 0..buckets-1 for each item, with the index of `items`.
    """
    text = pa.array([""] * len(items), pa.string())
    for column in TEXTS:
        if column in items:
            text = pc.binary_join_element_wise(text, _folded(items[column]), " ")
    codes, vocabulary, parents = _words(text)
    hashes, owners = _prices(items)
    hashes, owners = np.concatenate([stable_hash(vocabulary)[codes], hashes]), np.concatenate([parents, owners])
    hashed = (hashes % np.uint64(buckets)).astype(np.int32)[np.argsort(owners, kind="stable")]
    offsets = np.concatenate([[0], np.bincount(owners, minlength=len(items)).cumsum()]).astype(np.int32)
    lists = pa.ListArray.from_arrays(pa.array(offsets), pa.array(hashed, pa.int32()))
    return pd.Series(lists.to_pandas().to_numpy(dtype=object), index=items.index, dtype=object)


def text_hashes(texts: pd.Series) -> tuple[NDArray[np.uint64], NDArray[np.int64], NDArray[np.float64]]:
    """The words of texts, in any case and width, and every two that follow each other, as hashes.

    In scripts that put no blanks between words each letter stands for a word.

    Args:
        texts: [N] texts; a missing one has no words.

    Returns:
        (hashes [T], the row of each [T], its count [T], which is 1); words first, then pairs.
    """
    hashes, rows = _hashed(*_words(_folded(texts)))
    return hashes, rows, np.ones(len(hashes))


def text_names(texts: pd.Series) -> NDArray[np.object_]:
    """[T] the words of texts, then every two that follow each other, in the order of `text_hashes`."""
    return _spelt(*_words(_folded(texts)))


def title_hashes(titles: pd.Series) -> tuple[NDArray[np.uint64], NDArray[np.int64], NDArray[np.float64]]:
    """The same of titles, and then every four letters in a row of each longer word, which other spellings share.

    After the subwords of fastText (Bojanowski et al., 2017): `phones` is also `phon…`, `…hone…` and `…ones`.
    """
    codes, vocabulary, owners = _words(_folded(titles))
    hashes, rows = _hashed(codes, vocabulary, owners)
    places, pieces = _pieces(vocabulary)
    mine, repeats = _ragged(places, codes)
    hashes = np.concatenate([hashes, stable_hash(pieces)[mine]])
    return hashes, np.concatenate([rows, np.repeat(owners, repeats)]), np.ones(len(hashes))


def title_names(titles: pd.Series) -> NDArray[np.object_]:
    """[T] the words of titles, every two that follow each other, then the pieces, in the order of `title_hashes`."""
    codes, vocabulary, rows = _words(_folded(titles))
    places, pieces = _pieces(vocabulary)
    return np.concatenate([_spelt(codes, vocabulary, rows), pieces.to_numpy(dtype=object)[_ragged(places, codes)[0]]])


def word_columns(name: str, hashes: NDArray[np.uint64]) -> NDArray[np.int64]:
    """The columns [T] of the words of one feature, below WORDS: a word says something else in each feature."""
    return (mixed(hashes ^ stable_hash(pd.Index([name]))[0]) % np.uint64(WORDS)).astype(np.int64)


# type of a feature -> the words in its values as they are spelt
NAMES_OF: dict[FeatureType, Callable[[pd.Series], NDArray[np.object_]]] = {
    "text": text_names,
    "title": title_names,
    "bag": bag_names,
}
# type of a feature -> the words in its values: hash, row and count of each
WORDS_OF: dict[
    FeatureType, Callable[[pd.Series], tuple[NDArray[np.uint64], NDArray[np.int64], NDArray[np.float64]]]
] = {
    "text": text_hashes,
    "title": title_hashes,
    "bag": bag_hashes,
}


def plain_texts(texts: pd.Series) -> pd.Series:
    """[N] the words of each text with one blank between them: equal where texts differ by case, blanks or signs alone.

    A missing text stays missing.
    """
    plain = pc.utf8_trim_whitespace(pc.replace_substring_regex(_folded(texts), _NOT_A_WORD, " "))
    return pd.Series(plain.to_pandas().to_numpy(dtype=object), index=texts.index).where(texts.notna(), None)


def plain_bags(bags: pd.Series) -> pd.Series:
    """[N] the names of each bag with their counts in one order: equal where bags differ by blanks and order alone.

    A missing bag stays missing.
    """
    named = bags.map(lambda bag: " ".join(sorted(bag.split())), na_action="ignore")
    return named.astype(object).where(bags.notna(), None)


def _prices(items: pd.DataFrame) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """(hash of each price [T], the row of each [T])."""
    price = items[c.PRICE].to_numpy(dtype=np.float64, na_value=np.nan) if c.PRICE in items else np.empty(0)
    rows = np.flatnonzero(np.isfinite(price) & (price > 0))
    steps, vocabulary = pd.factorize(np.floor(2 * np.log2(price[rows])).astype(np.int64))
    names = pd.Index([f"price={step}" for step in vocabulary], dtype=object)  # no word has such a sign
    return stable_hash(names)[steps], rows


def _hashed(
    codes: NDArray[np.int64], vocabulary: pd.Index, rows: NDArray[np.int64]
) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """(hashes of the words of `_words`, then of every two of a row that follow each other [T], the row of each [T])."""
    words = stable_hash(vocabulary)[codes]
    together = rows[1:] == rows[:-1]
    pairs = mixed(mixed(words[:-1]) + words[1:])[together]
    return np.concatenate([words, pairs]), np.concatenate([rows, rows[1:][together]])


def _spelt(codes: NDArray[np.int64], vocabulary: pd.Index, rows: NDArray[np.int64]) -> NDArray[np.object_]:
    """[T] the same words and pairs as they are spelt."""
    words = vocabulary.to_numpy(dtype=object)[codes]
    return np.concatenate([words, (words[:-1] + " " + words[1:])[rows[1:] == rows[:-1]]])


def _pieces(words: pd.Index) -> tuple[NDArray[np.int64], pd.Index]:
    """(where the pieces of each word begin and end among all [V + 1], these); a word of no more letters has none."""
    texts = pa.array(words.astype(object).str.normalize("NFC"), pa.string())  # a letter and its accent are one
    lengths = pc.utf8_length(texts).to_numpy(zero_copy_only=False)
    counts = np.where(lengths > _PIECE, lengths - _PIECE + 1, 0)
    owner = np.repeat(np.arange(len(words)), counts)
    start = np.arange(len(owner)) - np.repeat(counts.cumsum() - counts, counts)
    pieces = np.empty(len(owner), dtype=object)
    for place in range(counts.max(initial=0)):
        mine = start == place
        cut = pc.utf8_slice_codeunits(texts.take(pa.array(owner[mine])), place, place + _PIECE)
        pieces[mine] = cut.to_numpy(zero_copy_only=False)
    inner, more = start > 0, start < counts[owner] - 1
    named = np.where(inner, "…", "") + pieces + np.where(more, "…", "")
    return np.concatenate([[0], counts.cumsum()]).astype(np.int64), pd.Index(named, dtype=object)


def _ragged(places: NDArray[np.int64], codes: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(the places of all pieces of these words [T], how many each has)."""
    counts = np.diff(places)[codes]
    first = np.repeat(places[:-1][codes] - (counts.cumsum() - counts), counts)
    return first + np.arange(len(first)), counts


def _named(bags: pd.Series) -> tuple[NDArray[np.int64], pd.Index, NDArray[np.int64], NDArray[np.float64]]:
    """(place of each name in the vocabulary [T], vocabulary, the row of each [T], its count [T], above 0)."""
    named = pc.split_pattern_regex(_plain(bags), r"\s+")
    flat, rows = pc.list_flatten(named), pc.list_parent_indices(named)
    there = pc.not_equal(flat, "")
    parts = pc.extract_regex(flat.filter(there), r"^(?P<name>.*?)(?::(?P<count>[^:]*))?$")
    codes, vocabulary = pd.factorize(parts.field("name").to_pandas())
    count = pc.struct_field(parts, "count")
    counts = pc.if_else(pc.equal(count, ""), "1", count).cast(pa.float64()).to_numpy(zero_copy_only=False)
    counted = counts > 0
    return codes[counted], vocabulary, rows.filter(there).to_numpy()[counted].astype(np.int64), counts[counted]


def _folded(texts: pd.Series) -> pa.Array:
    """Texts in lower case and one width, with blanks around what is a word by itself; empty where one is missing."""
    return pc.replace_substring_regex(pc.utf8_lower(pc.utf8_normalize(_plain(texts), form="NFKC")), _UNSPACED, _ALONE)


def _plain(texts: pd.Series) -> pa.Array:
    """Texts in one piece, also where those of several tables were put under each other; a missing one is empty."""
    return pc.fill_null(pa.array(texts.to_numpy(dtype=object), pa.string(), from_pandas=True), "")


def _words(texts: pa.Array) -> tuple[NDArray[np.int64], pd.Index, NDArray[np.int64]]:
    """(place of each word in the vocabulary [T], vocabulary, the row of each word [T])."""
    words = pc.split_pattern_regex(texts, _NOT_A_WORD)
    flat, parents = pc.list_flatten(words), pc.list_parent_indices(words)
    is_word = pc.not_equal(flat, "")
    codes, vocabulary = pd.factorize(flat.filter(is_word).to_pandas())
    return codes, vocabulary, parents.filter(is_word).to_numpy().astype(np.int64)
