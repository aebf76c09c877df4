"""What only shows when the domains are looked at together: sizes, bridges, quarantine shares, labels."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from pipeline import columns as c
from pipeline.config import Bridge, CheckSettings, ColdUsersSplit, ShippedSplit
from pipeline.data.rules import Check, Severity
from pipeline.rows.figures import Figures, Told
from pipeline.rows.kind import CleanTables


def crossing_checks(
    settings: CheckSettings, domains: Mapping[str, CleanTables]
) -> tuple[pd.DataFrame, tuple[Check, ...]]:
    """One row of figures about the domains together, and the checks on them.

    Returns:
        (frame of one row, a check for each of its columns).
    """
    figures = Figures.of_sizes(settings, domains, "interactions")
    rows = domains[settings.target].tables["interactions"]
    for bridge, (what, count) in _bridges(settings, domains).items():
        if bridge in settings.bridges:
            unknown = bridge == "users" and not settings.target_labels and rows.empty
            severity: Severity = "warning" if unknown else "critical"  # customers of a shop without rows are not known
            told = Told(
                f"bridge_{bridge}", f"at least 1, because bridges names {bridge!r}",
                f"look whether the domains write their ids alike, or take {bridge!r} out of the scenario's bridges",
            )  # fmt: skip
            figures.expect(what, count, severity, told, min_value=1)
    for part, count in _labels(settings, rows).items():
        name, rule = f"{part} rows of {settings.target}", f"{part}_labels"
        if settings.target_labels:
            told = Told(rule, f"at least 1 {part} row of the target by the split {settings.split.kind!r}",
                        "deliver target rows of that part, or choose another split")  # fmt: skip
            figures.expect(name, count, "critical", told, min_value=1)
        elif part == c.TEST:
            told = Told(rule, "at least 1 test row of the target, so that the gate can judge without a person",
                        "deliver test rows, or approve what comes out by hand")  # fmt: skip
            figures.expect(name, count, "warning", told, min_value=1)
    return figures.table()


def _bridges(settings: CheckSettings, domains: Mapping[str, CleanTables]) -> dict[Bridge, tuple[str, int]]:
    """What each bridge stands on, and how much of it there is between the sources together and the target."""
    titled = min(
        max((_titled(domains[name]) for name in settings.sources), default=0), _titled(domains[settings.target])
    )
    return {
        "users": ("users of the target who are in a source", _common(settings, domains, c.USER)),
        "items": ("items of the target that are in a source", _common(settings, domains, c.ITEM)),
        "item_features": ("items with a title, in the poorer of source and target", titled),
    }


def _common(settings: CheckSettings, domains: Mapping[str, CleanTables], column: str) -> int:
    ids = {name: _ids(domains[name], column) for name in settings.domains}
    sources = np.concatenate([ids[name] for name in settings.sources])
    return int(pd.Index(ids[settings.target]).isin(pd.Index(sources)).sum())


def _ids(domain: CleanTables, column: str) -> np.ndarray[tuple[int], np.dtype[np.object_]]:
    """What stands in either table."""
    frames = [frame for frame in domain.tables.values() if column in frame]
    return np.concatenate([np.empty(0, dtype=object), *(frame[column].dropna().unique() for frame in frames)])


def _titled(domain: CleanTables) -> int:
    items = domain.tables.get("items")
    return int(items[c.TITLE].notna().sum()) if items is not None and c.TITLE in items else 0


def _labels(settings: CheckSettings, target: pd.DataFrame) -> dict[str, int]:
    """Rows that can be trained on and tested with, by the scenario's split."""
    split = settings.split
    if isinstance(split, ShippedSplit):
        parts = target[c.SPLIT] if c.SPLIT in target else pd.Series([], dtype="str")
        return {c.TRAIN: int(parts.isin(split.train).sum()), c.TEST: int(parts.isin(split.test).sum())}
    if isinstance(split, ColdUsersSplit):
        test = int(split.test * len(target))  # about: who is cold hangs on the sources too
        return {c.TRAIN: len(target) - test, c.TEST: test}
    ordered = next((name for name in (c.TIMESTAMP, c.POSITION) if name in target), None)
    dated = target[target[ordered].notna()] if ordered else target.iloc[:0]
    if split.kind == "time":
        test = int(split.test * len(dated))
        return {c.TRAIN: len(dated) - test - int(split.valid * len(dated)), c.TEST: test}
    rows_of_user = dated[c.USER].value_counts().to_numpy() if c.USER in dated else np.empty(0, dtype=np.int64)
    tested = int((rows_of_user >= 2).sum())
    return {c.TRAIN: len(dated) - tested, c.TEST: tested}
