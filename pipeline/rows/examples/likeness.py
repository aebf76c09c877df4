"""Whether the examples that choose look like those that judge: a comparison and not a mark.

Settings that were chosen on rows of another kind are chosen for another question (`docs/evaluation.md`). By a little
any two samples differ: what is told must be large, and larger than three standard errors.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from pipeline import columns as c
from pipeline.rows.examples.prepared import Examples
from pipeline.views import FEATURES, ROW, UNIT, ClassLabel, Features, NumberLabel, TagLabel, View

SHARE_GAP = 0.2  # of a share, above which two parts differ
RATIO = 2.0  # of a share, likewise
SPREADS = 0.5  # of a median, in distances between the quartiles of the training rows
_ERRORS = 3.0
_MEDIAN_ERROR = 0.93  # of a median, in the same distances, times the root of the rows: of normal values
_CLASSES = 20  # or tags, that are compared, the most frequent first

Described = dict[str, Any]


def likeness(examples: Examples) -> dict[str, Any]:
    """Compare the target's validation and test rows; where it is parted into folds, all that they hold back.

    Returns:
        JSON values: `valid` and `test` with rows, components, the share of each class or tag, by feature the share of
        rows where it is `missing`, by category the share of rows whose value is `unseen` in training, and the `median`
        of each number in distances between the quartiles of the training rows; and `differs`, a sentence for each
        thing that is not alike.
    """
    own = replace(examples, frames={examples.name: examples.frames[examples.name]}).folds()
    found = {part: _over(own, part) for part in (c.VALID, c.TEST)}
    differs = [*_differences(found[c.VALID], found[c.TEST])] if all(one["rows"] for one in found.values()) else []
    return {**found, "differs": differs}


def _over(folds: Sequence[Examples], part: str) -> Described:
    """A part as each fold has it beside its own training rows; shares and medians are means over the rows."""
    views = [fold.held_out(part) for fold in folds]
    every = [_described(view, fold.training({fold.name})[fold.name]) for view, fold in zip(views, folds, strict=True)]
    every = [one for one in every if one["rows"]]
    if len(every) < 2:
        return every[0] if every else {"rows": 0, "components": 0}
    rows = pd.concat([view.rows for view in views])
    classes = dict.fromkeys(name for one in every for name in one["share"])
    every = [{**one, "share": {name: one["share"].get(name, 0.0) for name in classes}} for one in every]
    return {
        "rows": int(rows[ROW].nunique()),
        "components": int(rows[UNIT].nunique()),
        **{key: _mean(every, key) for key in ("share", "missing", "unseen", "median")},
    }


def _mean(found: Sequence[Described], key: str) -> dict[str, float]:
    """The mean of each value over those that have it, weighted by their rows."""
    means = {}
    for name in dict.fromkeys(name for one in found for name in one[key]):
        values, rows = np.array([(one[key][name], one["rows"]) for one in found if name in one[key]]).T
        means[name] = round(float(np.average(values, weights=rows)), 4)
    return means


def _described(view: View, training: View) -> Described:
    if not len(view):
        return {"rows": 0, "components": 0}
    told, known = view.fields[FEATURES], training.fields[FEATURES]
    numbers = {name: (told.table[name], known.table[name]) for name in told.of("number")}
    for own, known_ in zip(view.labels, training.labels, strict=True):
        if isinstance(own, NumberLabel):
            numbers[own.name] = pd.Series(own.value), pd.Series(known_.value)
    return {
        "rows": len(view),
        "components": int(view.rows[UNIT].nunique()),
        "share": {} if isinstance(view.label, NumberLabel) else _class_shares(view.label),
        "missing": {name: _share(told.table[name].isna()) for name in told.types},
        "unseen": _unseen(told, known) if len(training) else {},
        "median": {name: place for name, (own, all_) in numbers.items() if (place := _place(own, all_)) is not None},
    }


def _class_shares(label: ClassLabel | TagLabel) -> dict[str, float]:
    tagged = isinstance(label, TagLabel)
    rows = label.value.sum(axis=0) if tagged else np.bincount(label.value, minlength=len(label.classes))
    counts = rows / len(label.value)
    chosen = np.argsort(-counts, kind="stable")[:_CLASSES] if tagged or len(counts) > 2 else [len(counts) - 1]
    return {label.classes[place]: round(float(counts[place]), 4) for place in chosen}


def _unseen(told: Features, known: Features) -> dict[str, float]:
    tables = ((name, told.table[name], known.table[name]) for name in told.of("category"))
    return {name: _share(own.notna() & ~own.isin(all_.dropna())) for name, own, all_ in tables}


def _share(rows: "pd.Series[bool]") -> float:
    return round(float(rows.mean()), 4)


def _place(values: "pd.Series[float]", training: "pd.Series[float]") -> float | None:
    """The median of a number, in distances between the quartiles of the training rows from their median."""
    own, known = values.dropna(), training.dropna()
    if own.empty or known.empty:
        return None
    low, middle, high = np.quantile(known, [0.25, 0.5, 0.75])
    return round(float((own.median() - middle) / (high - low)), 4) if high > low else None


def _differences(valid: Described, test: Described) -> Iterator[str]:
    sizes = valid["rows"], test["rows"]
    for key, what in (
        ("share", "rows of the class {}"),
        ("missing", "rows without {}"),
        ("unseen", "rows with a value of {} that no training row has"),
    ):
        for name in {**valid[key], **test[key]}:
            shares = valid[key].get(name, 0.0), test[key].get(name, 0.0)
            if _apart(shares, sizes):
                yield f"{what.format(name)}: {shares[0]:.0%} in validation, {shares[1]:.0%} in the test"
    error = _ERRORS * _MEDIAN_ERROR * np.sqrt(1 / sizes[0] + 1 / sizes[1])
    for name in (name for name in valid["median"] if name in test["median"]):
        gap = test["median"][name] - valid["median"][name]
        if abs(gap) > max(SPREADS, error):
            yield (
                f"{name}: the median of the test is {abs(gap):.1f} quartile distances of the training rows "
                f"{'above' if gap > 0 else 'below'} that of validation"
            )


def _apart(shares: tuple[float, float], sizes: tuple[int, int]) -> bool:
    low, high = sorted(shares)
    both = (shares[0] * sizes[0] + shares[1] * sizes[1]) / sum(sizes)
    error = np.sqrt(both * (1 - both) * (1 / sizes[0] + 1 / sizes[1]))
    return bool(high - low > _ERRORS * error and (high - low > SHARE_GAP or high > RATIO * low))
