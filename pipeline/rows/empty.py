"""Why a split leaves a part empty, in words."""

from typing import Any

from pipeline.errors import DataError
from pipeline.rows.kind import NOT_RELEVANT, VALID_NOT_RELEVANT, Parts

_MUCH = 0.5  # share of the rows that a reason must have taken to be worth telling
_LEFT_OUT = {  # reason of `Parts.dropped` -> what happened to so many of so many rows
    "later_than_target": "come after the target's first row for validation: this source is newer than the target",
    "without_time": "have no time",
    "split_not_used": "have a value in the column split that the scenario does not name",
    "outside_catalogue": "are for the test, of items that have no row before it and do not stand in an items table",
    "too_few_rows": "are of users or items with fewer rows than min_rows asks for",
    "repeated": "repeat a user and an item",
    "unlabelled_and_later": "have no label, and only labelled ones can be held out",
    "unlabelled_and_held_out": "have no label, and only labelled ones can be held out",
    "other_kind": "are of a kind of event that the scenario does not name under task.events",
    "nothing_before": "are the first event of a user, before which there is nothing to read",
    "without_order": "have no time or position",
    "group_is_held_out": "share a group with a later row",
}


def refuse_empty(domain: str, parts: Parts, needs: tuple[str, ...], split: Any) -> None:
    """Nothing, if each part that is needed has a row.

    Args:
        domain: Whose.
        parts: What the split gave.
        needs: The parts that a run needs.
        split: The config of the split.

    Raises:
        DataError: one has none; the message says why as far as the rows tell.
    """
    empty = [part for part in needs if not parts.rows.get(part)]
    if empty:
        why = _why(parts, split) or [f"none of its {sum(parts.rows.values()):,} rows belongs there"]
        raise DataError(
            f"{domain}: the split {split.kind!r} leaves no rows for {' and '.join(empty)}: {'; '.join(why)}. A run "
            f"needs some of each; this split asks for {split.asks}. Bring such rows, or change `split`"
            f"{' or `task.relevant`' if _others(parts) else ''} in the scenario."
        )


def _why(parts: Parts, split: Any) -> list[str]:
    used, read = sum(parts.rows.values()), sum(parts.rows.values()) + sum(parts.dropped.values())
    if not read:
        return ["there are no rows at all"]
    if parts.span and parts.span[0] == parts.span[1]:
        return [f"all rows have one time, {parts.span[0]:%Y-%m-%d %H:%M}"]
    told = [
        f"{count:,} of {read:,} rows {_LEFT_OUT.get(reason, reason)}"
        for reason, count in parts.dropped.items()
        if count >= _MUCH * read
    ]
    told += [
        f"none of the {count:,} rows that are held out for {part} is what task.relevant names"
        for part, count in _others(parts).items()
        if not parts.rows.get(part)
    ]
    for part in ("valid", "test"):
        share = getattr(split, part, None)
        if isinstance(share, float) and used and not parts.rows.get(part) and share * used < 1:
            told.append(f"a share of {share:g} of {used:,} rows is less than one for {part}")
    return told


def _others(parts: Parts) -> dict[str, int]:
    """Rows that are held out and no answers, by part."""
    counts = {"valid": parts.rows.get(VALID_NOT_RELEVANT, 0), "test": parts.dropped.get(NOT_RELEVANT, 0)}
    return {part: count for part, count in counts.items() if count}
