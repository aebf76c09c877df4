"""Ids that are spelt in several ways: treated alike where the scenario says so, and told where it does not."""

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from pipeline import columns as c
from pipeline.config import Alike
from pipeline.data.tables import TableKind

Part = tuple[str, pa.Table]  # the name of a kind of table, and canonical rows

# What is the same in all spellings of an id, in the order in which several ways follow each other.
WAYS: dict[Alike, Callable[[Any], Any]] = {
    "blanks": lambda ids: pc.replace_substring_regex(ids, r"[\s\pZ\x{200b}\x{2060}\x{feff}]+", ""),  # seen or not
    "case": pc.utf8_lower,
    "decimals": lambda ids: pc.replace_substring_regex(ids, r"^(-?\d+)\.0+$", r"\1"),
    "zeros": lambda ids: pc.replace_substring_regex(ids, r"^0+(\d+)$", r"\1"),
}
_UNTOLD = (c.DOMAIN, c.ROW)  # ids whose spelling joins nothing


def treat_alike(
    parts: Iterable[Part], kinds: Mapping[str, TableKind], alike: Mapping[str, Collection[Alike]]
) -> list[Part]:
    """The tables with one spelling of each id in the columns for which a way is named, whichever table named it."""
    found = []
    for kind, rows in parts:
        table = rows
        for name in (name for name in table.column_names if name in alike and name in kinds[kind].by_name):
            table = table.set_column(table.column_names.index(name), name, one_spelling(table[name], alike[name]))
        found.append((kind, table))
    return found


def one_spelling(ids: Any, ways: Collection[Alike]) -> Any:
    """Arrow texts [N] of which those are equal that differ in these ways alone."""
    for way in (way for way in WAYS if way in ways):
        ids = WAYS[way](ids)
    return ids


def mixed_spellings(
    parts: Sequence[Part], kinds: Mapping[str, TableKind], domains: Sequence[str], personal: Collection[str]
) -> list[dict[str, Any]]:
    """Where ids seem to be spelt in several ways, over all tables of a scenario.

    Args:
        parts: Canonical tables.
        kinds: The kinds by name.
        domains: Those of the scenario; other rows do not count.
        personal: Columns of which no value may appear: their example keeps the shape alone.

    Returns:
        For each column, way and domain, and for the domains together (`domain` is empty) where that shows more: how
        many `ids` have several spellings, and two of one as `example`.
    """
    told = []
    names = {one.name for kind in kinds.values() for one in kind.columns if one.type == "id"} - set(_UNTOLD)
    for name in sorted(names):
        there = [rows.select([name, c.DOMAIN]) for _, rows in parts if {name, c.DOMAIN} <= set(rows.column_names)]
        if not there:
            continue
        pairs = pa.concat_tables(there).group_by([name, c.DOMAIN]).aggregate([])
        pairs = pairs.filter(pc.and_(pc.is_in(pairs[c.DOMAIN], pa.array(domains)), pc.is_valid(pairs[name])))
        for way, fold in WAYS.items():
            folded = fold(pairs[name])
            unlike = folded.filter(pc.not_equal(folded, pairs[name]))
            near = pairs.append_column("folded", folded).filter(pc.is_in(folded, pc.unique(unlike)))
            alone = [(domain, near.filter(pc.equal(near[c.DOMAIN], domain))) for domain in domains]
            within = 0
            for domain, rows in [*alone, ("", near)]:
                count, spellings = _several(rows, name)
                if count and (domain or count > within):
                    shown = [shape(one) for one in spellings] if name in personal else spellings
                    told.append({"column": name, "way": way, "domain": domain, "ids": count, "example": shown})
                within += count
    return told


def in_words(told: Mapping[str, Any]) -> str:
    """One of them, with what to do."""
    one, other = told["example"]
    where = f" in {told['domain']}" if told["domain"] else ", the domains taken together,"
    return (
        f"{told['column']}: {told['ids']:,} ids{where} seem to be spelt in several ways, such as {one!r} and "
        f"{other!r}, and count as different ones. If each is one id, say so under `columns` of a table: "
        f"`{told['column']}: {{alike: [{told['way']}]}}`"
    )


def _several(rows: pa.Table, name: str) -> tuple[int, list[str]]:
    """How many ids have several spellings, and the first two of the first of them."""
    counts = rows.group_by("folded").aggregate([(name, "count_distinct")])
    mixed = counts.filter(pc.greater(counts[f"{name}_count_distinct"], 1))["folded"]
    if not len(mixed):
        return 0, []
    spellings = pc.unique(rows.filter(pc.equal(rows["folded"], pc.min(mixed)))[name]).to_pylist()
    return len(mixed), sorted(spellings)[:2]


def shape(text: str) -> str:
    """What a spelling looks like, without what it says: 0071 is 0099, aB.0 is xX.0."""
    zeros, middle, decimals = re.fullmatch(r"(0*)(.*?)(\.0+)?", text, re.DOTALL).groups("")  # type: ignore[union-attr]
    hidden = "".join(
        "9" if one.isdigit() else "X" if one.isupper() else "x" if one.isalpha() else one for one in middle
    )
    return f"{zeros}{hidden}{decimals}"
