"""What only shows when the domains are looked at together: sizes, bridges, quarantine shares, labels."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from pipeline import columns as c
from pipeline.config import Bridge, CheckSettings, ColdUsersSplit, HashSplit, RankingTask, ShippedSplit
from pipeline.data.rules import Check
from pipeline.data.splits import FEWEST_ROWS, order_column
from pipeline.rows.figures import SHARE, Figures, Told
from pipeline.rows.kind import CleanTables

STRANGE = 0.1  # where nine of ten items of either table are not in the other, they are tables of different things
DESCRIBED = 0.9  # catalogues have lost some of the items that were once sold, but not one in ten


def crossing_checks(
    settings: CheckSettings, domains: Mapping[str, CleanTables]
) -> tuple[pd.DataFrame, tuple[Check, ...]]:
    """One row of figures about the domains together, and the checks on them.

    Returns:
        (frame of one row, a check for each of its columns).
    """
    figures = Figures.of_sizes(settings, domains, "interactions")
    rows = domains[settings.target].tables["interactions"]
    users, items = (_common(settings, domains, column) for column in (c.USER, c.ITEM))
    for bridge, (what, both, whole) in _bridges(settings, domains, users, items).items():
        if bridge in settings.bridges:
            told = Told(
                f"bridge_{bridge}", f"because bridges names {bridge!r}",
                f"look whether the domains write their ids alike, or take {bridge!r} out of the scenario's bridges",
            )  # fmt: skip
            # customers of a shop without rows are not known
            unknown = bridge == "users" and not settings.target_labels and rows.empty
            figures.expect_bridge(SHARE + what, both, whole, told, unknown=unknown)
    for name, found in (("users", users), ("items", items)):
        if name in settings.bridges:
            figures.tell(f"{SHARE}the {found.sources:,} {name} of the sources that are in {settings.target}",
                         found.both / max(found.sources, 1), f"bridge_{name}")  # fmt: skip
    if settings.bridges == ("items",):
        _each_source(figures, settings, items)
    if settings.ordered:
        _in_order(figures, settings, domains)
    for name, domain in domains.items():
        _described(figures, name, domain)
        figures.expect_no_heavy(name, domain.tables["interactions"], (c.USER, c.ITEM))
        figures.expect_values(name, _used(domain, settings))
    for part, count in _labels(settings, rows).items():
        name, rule = f"{part} rows of {settings.target}", f"{part}_labels"
        if settings.target_labels:
            told = Told(rule, f"at least 1 {part} row of the target by the split {settings.split.kind!r}",
                        f"deliver {settings.split.asks}, or choose another split")  # fmt: skip
            figures.expect(name, count, "critical", told, min_value=1)
        elif part == c.TEST:
            told = Told(rule, "at least 1 test row of the target, so that the gate can judge without a person",
                        "deliver test rows, or approve what comes out by hand")  # fmt: skip
            figures.expect(name, count, "warning", told, min_value=1)
    return figures.table()


def _bridges(
    settings: CheckSettings, domains: Mapping[str, CleanTables], users: "_Common", items: "_Common"
) -> dict[Bridge, tuple[str, int, int]]:
    """What each bridge stands on: of what, how many of them are in common, and how many there are."""
    target = settings.target
    assert isinstance(settings.task, RankingTask)
    columns = settings.task.described_by
    said = {name: (_said(domain, columns), items.by_domain[name]) for name, domain in domains.items()}
    richest = max(settings.sources, key=lambda name: said[name][0])
    poorer = min((richest, target), key=lambda name: said[name][0])
    return {
        "users": (f"the {users.target:,} users of {target} who are in a source", users.both, users.target),
        "items": (f"the {items.target:,} items of {target} that are in a source", items.both, items.target),
        "item_features": (
            f"the {said[poorer][1]:,} items of {poorer} that have a {' or '.join(columns)}",
            *said[poorer],
        ),
    }


@dataclass(frozen=True)
class _Common:
    """Ids that the target and the sources together have, and those that are in both."""

    target: int
    sources: int
    both: int
    by_domain: Mapping[str, int]  # how many each domain has
    both_by_source: Mapping[str, int]  # how many of the target's each source has


def _common(settings: CheckSettings, domains: Mapping[str, CleanTables], column: str) -> _Common:
    ids = {name: _ids(domain, column) for name, domain in domains.items()}
    others = pd.Index(np.concatenate([ids[name] for name in settings.sources]), dtype=object).unique()
    own = ids[settings.target]
    both = int(own.isin(others).sum())
    each = {name: int(own.isin(ids[name]).sum()) for name in settings.sources}
    return _Common(len(own), len(others), both, {name: len(found) for name, found in ids.items()}, each)


def _each_source(figures: Figures, settings: CheckSettings, items: _Common) -> None:
    """Where items alone are the bridge each of several sources has to share some: another one's users are no help."""
    if len(settings.sources) == 1 or not items.target:
        return
    for source, both in items.both_by_source.items():
        remedy = f"look whether {source} writes its ids like {settings.target}, or take it out of the sources"
        told = Told("bridge_items", f"because items alone connect {source} with {settings.target}", remedy)
        what = f"{SHARE}the {items.target:,} items of {settings.target} that are in {source}"
        figures.expect_bridge(what, both, items.target, told)


def _in_order(figures: Figures, settings: CheckSettings, domains: Mapping[str, CleanTables]) -> None:
    """Ask for an order that all domains share, before anything is trained that reads one."""
    tables = [domain.tables["interactions"] for domain in domains.values()]
    shared = sum(all(column in table for table in tables) for column in (c.TIMESTAMP, c.POSITION))
    told = Told("order", f"{c.TIMESTAMP} in all domains, or {c.POSITION} in all, because {', '.join(settings.ordered)} "
                "reads what users did in its order", "name the column under `columns`, or do without it")  # fmt: skip
    figures.expect("columns that say in all domains which row came first", shared, "critical", told, min_value=1)


def _described(figures: Figures, name: str, domain: CleanTables) -> None:
    """Compare the items of the rows with the table that describes them: two spellings double the catalogue."""
    rows, items = domain.tables["interactions"], domain.tables.get("items")
    if items is None or rows.empty:
        return
    taken, described = (pd.Index(table[c.ITEM].unique(), dtype=object).dropna() for table in (rows, items))
    both = int(taken.isin(described).sum())
    known, used = both / max(len(taken), 1), both / max(len(described), 1)
    remedy = "look whether both tables write the ids of items alike, such as 007 and 7"
    what = f"{SHARE}the {len(taken):,} items with rows of {name} that are in its items table"
    strange = Told("items_described", f"at least {STRANGE:.0%} of them, or of the items table, in both: a table that "
                   "hardly shares an id with the rows is of other items, and would double the catalogue",
                   f"{remedy}, or leave the items table out")  # fmt: skip
    figures.expect(what, known, "critical", strange, min_value=STRANGE if used < STRANGE else 0)
    if known >= STRANGE or used >= STRANGE:
        told = Told("items_partly_described", f"at least {DESCRIBED:.0%}", f"{remedy}; the others have no words")
        figures.expect(what, known, "warning", told, min_value=DESCRIBED)
    figures.tell(f"{SHARE}the {len(described):,} items of the items table of {name} that have rows", used,
                 "items_described")  # fmt: skip


def _used(domain: CleanTables, settings: CheckSettings) -> "dict[str, pd.Series[Any]]":
    """The columns that tell something of rows and items, beside their ids; titles are shown, whatever describes."""
    assert isinstance(settings.task, RankingTask)
    used = {"interactions": (c.TIMESTAMP,), "items": dict.fromkeys((c.TITLE, *settings.task.described_by))}
    tables = {table: domain.tables[table] for table in used if table in domain.tables and len(domain.tables[table])}
    return {column: frame[column] for table, frame in tables.items() for column in used[table] if column in frame}


def _ids(domain: CleanTables, column: str) -> pd.Index:
    """The different ones in either table, as objects: pandas looks texts of Arrow up one by one."""
    frames = [frame for frame in domain.tables.values() if column in frame]
    found = [np.empty(0, dtype=object), *(frame[column].unique() for frame in frames)]
    different: pd.Index = pd.Index(np.concatenate(found), dtype=object).dropna().unique()
    return different


def _said(domain: CleanTables, columns: Collection[str]) -> int:
    """How many items have a value in one of these columns."""
    items = domain.tables.get("items")
    return 0 if items is None else int(items[[one for one in columns if one in items]].notna().any(axis=1).sum())


def _labels(settings: CheckSettings, target: pd.DataFrame) -> dict[str, int]:
    """Rows that can be trained on and tested with, by the scenario's split."""
    split = settings.split
    if isinstance(split, ShippedSplit):
        parts = target[c.SPLIT] if c.SPLIT in target else pd.Series([], dtype="str")
        return {c.TRAIN: int(parts.isin(split.train).sum()), c.TEST: int(parts.isin(split.test).sum())}
    if isinstance(split, ColdUsersSplit):
        test = int(split.test * len(target))  # about: who is cold hangs on the sources too
        return {c.TRAIN: len(target) - test, c.TEST: test}
    if isinstance(split, HashSplit):
        tested = int((target[c.USER].value_counts() >= FEWEST_ROWS).sum())
        return {c.TRAIN: len(target) - 2 * tested, c.TEST: tested}
    ordered = order_column(target)
    dated = target[target[ordered].notna()] if ordered else target.iloc[:0]
    if split.kind == "time":
        test = int(split.test * len(dated))
        return {c.TRAIN: len(dated) - test - int(split.valid * len(dated)), c.TEST: test}
    rows_of_user = dated[c.USER].value_counts().to_numpy() if c.USER in dated else np.empty(0, dtype=np.int64)
    tested = int((rows_of_user >= 2).sum())
    return {c.TRAIN: len(dated) - tested, c.TEST: tested}
