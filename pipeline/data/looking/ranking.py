"""A scenario that ranks items, from files with users and items."""

from collections.abc import Sequence

from pipeline import columns as c
from pipeline.data.looking.drafting import Draft, Part, flow, parts_of, say_domain, say_domains, say_file
from pipeline.data.looking.files import Looked, compare
from pipeline.errors import DataError

_OPTIONAL = (c.POSITION, c.EVENT, c.VALUE)
_DESCRIBES = (c.TITLE, c.CATEGORY, c.BRAND, c.PRICE)
_SAME_ITEMS = 0.1  # of the target's items that must be in a source before items are taken for shared
_DESCRIBED = 0.5  # of a domain's items that a table of items must know


def is_log(file: Looked) -> bool:
    """Whether its rows seem to be things that users did."""
    return file.profile.column_of(c.USER) is not None and file.profile.column_of(c.ITEM) is not None


def is_catalogue(file: Looked) -> bool:
    """Whether its rows seem to describe items."""
    has = {column.role for column in file.profile.columns}
    return c.ITEM in has and c.USER not in has and bool({c.TITLE, c.CATEGORY} & has)


def draft_ranking(logs: Sequence[Looked], catalogues: Sequence[Looked]) -> Draft:
    """The scenario.

    Raises:
        DataError: there are no two domains, or nothing by which rows could be parted.
    """
    draft, parts = Draft(), parts_of(logs)
    say_domains(draft, parts)
    described = _catalogues(draft, parts, catalogues)
    shared, alike = _bridges(draft, parts, bool(described))
    draft.head("tables")
    draft.head("interactions", 1)
    for file in logs:
        say_file(draft, file)
        _say_columns(draft, file, alike)
        say_domain(draft, file, parts)
    if described:
        draft.head("items", 1)
    for domain, file in described.items():
        say_file(draft, file)
        _say_columns(draft, file, alike, (c.ITEM, *_DESCRIBES))
        draft.say("constants", {c.DOMAIN: domain}, "guessed: its items are that domain's", 3)
    _say_split(draft, logs, shared)
    _say_lanes(draft, shared)
    _ask_what_counts(draft, logs)
    return draft


def _say_columns(draft: Draft, file: Looked, alike: dict[str, list[str]], wanted: Sequence[str] | None = None) -> None:
    has = {column.role: column for column in file.profile.columns if column.role}
    if c.TIMESTAMP not in has and any(column.name == c.TIMESTAMP for column in file.profile.columns):
        draft.open_questions.append(
            f"what {c.TIMESTAMP!r} in {file.shown} is: it is read as a time, because it is called so, and holds none "
            "that can be read. Give the column another name in the file, or say its `format`."
        )
    draft.head("columns", 3)
    for role in wanted or (c.USER, c.ITEM, c.TIMESTAMP, *_OPTIONAL, c.DOMAIN):
        column = has.get(role)
        if column is None or (role == c.DOMAIN and len(file.profile.domains) < 2):
            continue
        if column.problem:
            draft.remark(f"{role} may be {column.name!r}, but {column.problem}", 4)
            draft.open_questions.append(f"{file.shown}: how {column.name!r} is read: {column.problem}")
            continue
        ways = alike.get(role)
        value = {"column": column.name, "alike": ways} if ways else column.name
        draft.say(role, value, f"guessed {column.why}", 4)


def _ask_what_counts(draft: Draft, logs: Sequence[Looked]) -> None:
    """Where rows have events or ratings, not every one may be a positive sign."""
    ways = {c.EVENT: ("event", "[...]"), c.VALUE: ("rating", "{at_least: ...}")}
    for file in logs:
        for role, (key, answers) in ways.items():
            if name := file.profile.column_of(role):
                said = f"task: {{weight: {{{key}: {{...: ...}}}}, relevant: {{{key}: {answers}}}}}"
                draft.open_questions.append(
                    f"what the rows of {file.shown} count by {name!r}: as written, each is one positive sign. `{said}` "
                    "says what each counts and which are asked for; `duplicates: sum` takes several rows of one user "
                    "and item together."
                )


def _bridges(draft: Draft, parts: Sequence[Part], described: bool) -> tuple[list[str], dict[str, list[str]]]:
    """What the domains have in common, and the ways of spelling that hide more of it."""
    *sources, target = parts
    bridges, why, alike = list[str](), list[str](), dict[str, list[str]]()
    for bridge, role, least in (("users", c.USER, 0.0), ("items", c.ITEM, _SAME_ITEMS)):
        counts, same, more = max(
            (compare(target.file.ids(role, target.value), one.file.ids(role, one.value)) for one in sources),
            key=lambda found: (found[1], max(found[2].values(), default=0)),
        )
        best = max((same, *more.values()))
        if best > least * counts[0]:
            bridges.append(bridge)
            why.append(f"{best:,} of {counts[0]:,} {bridge} of the target are in a source")
            if more:
                alike[role] = [way for way, count in more.items() if count == best]
                draft.open_questions.append(
                    f"whether spellings of {role} mean the same: {best:,} instead of {same:,} ids are in common with "
                    f"{', '.join(alike[role])} alike, and that is written. Take it out if they are different ones."
                )
            if _counted(target, role):
                draft.open_questions.append(
                    f"whether equal numbers in {role} are the same {bridge}: shops that count from 1 have them in "
                    f"common by accident. Take {bridge!r} out of bridges if so."
                )
    if described:
        bridges.append("item_features")
        why.append("items have titles or categories")
    if not bridges:
        draft.open_questions.append(
            "what the domains have in common: no users, no items and no titles, so that nothing can be carried over. "
            "The scenario trains on the target alone until `bridges` names something."
        )
    draft.say("bridges", bridges, f"seen: {'; '.join(why)}" if why else "nothing in common was found")
    return bridges, alike


def _counted(part: Part, role: str) -> bool:
    """Whether ids are small whole numbers, which everybody has."""
    column = next(one for one in part.file.profile.columns if one.role == role)
    return (
        column.type == "whole number"
        and part.file.ids(role, part.value).to_pylist()[0].isdigit()
        and all(len(one) <= 6 for one in part.file.ids(role, part.value).to_pylist()[:1000])
    )


def _catalogues(draft: Draft, parts: Sequence[Part], catalogues: Sequence[Looked]) -> dict[str, Looked]:
    """The table of items of each domain, if each has one of its own."""
    found: dict[str, Looked] = {}
    for part in parts:
        ids = part.file.ids(c.ITEM, part.value)
        known = {file.shown: compare(ids, file.ids(c.ITEM))[1] / max(1, len(ids)) for file in catalogues}
        best = max(catalogues, key=lambda file: known[file.shown], default=None)
        if best and known[best.shown] >= _DESCRIBED and best not in found.values():
            found[part.domain] = best
    if len(found) == len(parts):
        return found
    if catalogues:
        names = ", ".join(file.shown for file in catalogues)
        draft.open_questions.append(
            f"which domain's items {names} describes: not each domain has a table of its own with its items. It is "
            "left out; `tables: {items: [...]}` takes it, with a row for each item and domain."
        )
    return {}


def _say_split(draft: Draft, logs: Sequence[Looked], shared: Sequence[str]) -> None:
    """By time where all rows have one, else users who are known in a source."""
    if all(file.profile.first for file in logs):
        draft.say(
            "split", {"kind": "time"}, "guessed: the last tenth of the target's rows tests, the tenth before chooses"
        )
        draft.say("cold_start", True, "guessed: a growing shop has new users and items in the test")
    elif all(file.profile.column_of(c.POSITION) for file in logs):
        draft.say("split", {"kind": "leave_last_out"}, "guessed: there is no time, but an order")
    elif "users" in shared:
        draft.say("split", {"kind": "cold_users"}, "guessed: there is no time; some users whom a source knows test")
    else:
        dates = [(file, column) for file in logs for column in file.profile.columns if column.role == c.TIMESTAMP]
        unread = "".join(f" {file.shown}: {column.problem}." for file, column in dates if column.problem)
        raise DataError(
            f"{', '.join(file.shown for file in logs)}: no time that can be read in all of them, no position and no "
            "users in common, so that there is no way to part rows for training and test. Write the scenario by hand, "
            f"and name the column of the time: `columns: {{timestamp: {{column: ..., format: ...}}}}`.{unread}"
        )


def _say_lanes(draft: Draft, shared: Sequence[str]) -> None:
    draft.say("pseudonymous", False, "users' ids are replaced by a hash with the key in CROSSLIFT_KEY")
    tunes = ["scratch", *(("fine_tune", "joint") if shared else ())]
    draft.head("strategies")
    draft.lines += [f"  - tune: {flow({'kind': kind})}" for kind in tunes]
    draft.head("baselines")
    draft.lines += [f"  - {flow({'kind': kind})}" for kind in ("popularity", "user_knn", "ials")]
    if {"users", "items"} & set(shared):
        draft.lines.append(f"  - {flow({'kind': 'ials', 'domains': 'all'})}")
