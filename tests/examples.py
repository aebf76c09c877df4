"""Views of examples that tests make by hand."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from pipeline.config import FeatureType
from pipeline.views import FEATURES, ROW, UNIT, ClassLabel, Features, NumberLabel, TagLabel, View

TYPES: dict[str, FeatureType] = {
    "size": "number", "skewed": "number", "constant": "number", "gone": "number", "colour": "category",
    "shop": "category", "new": "flag", "seen": "time", "said": "text",
}  # fmt: skip
CLASSES = ("no", "yes")
TAGS = ("big", "fresh", "red")


def make_features(rows: int, seed: int = 0, shift: float = 0.0) -> Features:
    """Every type of feature, with gaps, one that never changes and one that is always missing."""
    random = np.random.default_rng(seed)
    size = random.normal(shift, 1.0, rows)
    colour = pd.Series(random.choice(["red", "green", "blue"], rows), dtype=object)
    seen = pd.Series(pd.Timestamp("2026-01-01", tz="UTC") + pd.to_timedelta(random.integers(0, 3000, rows), unit="h"))
    for column, gap in ((size, np.nan), (colour, None), (seen, pd.NaT)):
        column[random.random(rows) < 0.1] = gap
    table = {
        "size": size, "skewed": np.exp(3 * random.normal(size=rows)), "constant": np.full(rows, 3.0),
        "gone": np.full(rows, np.nan), "colour": colour,
        "shop": pd.Series([f"shop {one}" for one in random.integers(0, 40, rows)], dtype=object),
        "new": random.integers(0, 2, rows).astype(float), "seen": seen, "said": _texts(colour, seed),
    }  # fmt: skip
    return Features(pd.DataFrame(table), TYPES)


def _texts(colour: "pd.Series[str]", seed: int) -> "pd.Series[str]":
    """The colour among words that say nothing, as people write them; some are empty, some missing."""
    random = np.random.default_rng(seed + 300)
    words = [" ".join(f"word{one}" for one in random.integers(0, 50, 3)) for _ in colour]
    said = [f"It's {hue or 'some'}: {rest.upper()}!" for hue, rest in zip(colour, words, strict=True)]
    texts = pd.Series(said, dtype=object)
    texts[random.random(len(texts)) < 0.05], texts[random.random(len(texts)) < 0.05] = None, ""
    return texts


def signal(features: Features, seed: int = 0) -> np.ndarray:
    """What the labels follow: size, colour and newness, with noise."""
    table = features.table
    noise = np.random.default_rng(seed + 100).normal(0, 0.5, len(table))
    red = (table["colour"] == "red").to_numpy().astype(float)
    return np.nan_to_num(2 * table["size"].to_numpy()) + 2 * red + table["new"].to_numpy() - 1 + noise


def class_view(
    domain: str, rows: int, seed: int = 0, *, cuts: Sequence[float] = (0.0,), classes: Sequence[str] = CLASSES,
    shift: float = 0.0,
) -> View:  # fmt: skip
    """Rows whose class is how many of the cuts lie below the signal; a tenth is without a label."""
    features = make_features(rows, seed, shift)
    value = np.searchsorted(np.asarray(cuts), signal(features, seed)).astype(np.int64)
    if rows >= 10:
        value[::10] = -1
    return view_of(domain, features, ClassLabel(value, tuple(classes), "sold"))


def number_view(domain: str, rows: int, seed: int = 0) -> View:
    """Rows whose number is the signal in units of its own; a tenth is without one."""
    features = make_features(rows, seed)
    value = 1000 + 50 * signal(features, seed)
    value[::10] = np.nan
    return view_of(domain, features, NumberLabel(value, "price"))


def tag_view(domain: str, rows: int, seed: int = 0, *, tags: Sequence[str] = TAGS) -> View:
    """Rows whose tags follow the signal, newness and colour, some of them by chance; a tenth is without a label."""
    features, random = make_features(rows, seed), np.random.default_rng(seed + 200)
    red, new = (features.table["colour"] == "red").to_numpy(), features.table["new"].to_numpy() == 1
    value = np.stack([signal(features, seed) > 0.5, new ^ (random.random(rows) < 0.1), red], axis=1)
    known = np.ones(rows, dtype=np.bool_)
    if rows >= 10:
        known[::10] = False
    return view_of(domain, features, TagLabel(value & known[:, None], known, tuple(tags), "marks"))


def several_view(domain: str, rows: int, seed: int = 0) -> View:
    """A number, a class and tags of the same rows, each missing in rows of its own."""
    number, classes, tags = (make(domain, rows, seed) for make in (number_view, class_view, tag_view))
    later = (np.arange(rows) + 3) % rows  # so that not the same rows are without
    moved = replace(classes.label, value=np.where(np.arange(rows) % 10 == 3, -1, signal_class(number)))
    known = tags.label.known[later]
    marks = replace(tags.label, value=tags.label.value & known[:, None], known=known)
    return replace(number, labels=(number.label, moved, marks))


def signal_class(view: View) -> np.ndarray:
    """Whether the number of a row is above 1000, also where it is missing: then it is not."""
    return (np.nan_to_num(view.label.value) > 1000).astype(np.int64)


def view_of(domain: str, features: Features, label: ClassLabel | TagLabel | NumberLabel) -> View:
    """Each row is a unit."""
    places = np.arange(len(features.table))
    return View(domain, pd.DataFrame({ROW: places, UNIT: places}), {FEATURES: features}, (label,))
