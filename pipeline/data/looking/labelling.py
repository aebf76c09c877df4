"""A scenario that predicts a label, from files in which some column seems to be one."""

import re
from collections.abc import Sequence

from pipeline import columns as c
from pipeline.config.tasks import TAKEN
from pipeline.data.looking.drafting import Draft, flow, parts_of, say_domain, say_domains, say_file, slug
from pipeline.data.looking.files import Looked
from pipeline.data.looking.profiles import Column
from pipeline.errors import DataError

_FEATURES = {"whole number": "number", "number": "number", "flag": "flag", "time": "time", "text": "category"}
_MANY = 0.5  # of the rows; more different texts are names of rows, and so are numbers of which no two are the same
_ROWS = 20  # from which that can be said
_YES = frozenset({"1", "1.0", "0", "0.0", "true", "false", "yes", "no", "t", "f", "y", "n"})


def is_labelled(file: Looked) -> bool:
    """Whether some column of it seems to be a label."""
    return file.profile.label is not None


def draft_labelling(files: Sequence[Looked]) -> Draft:
    """The scenario.

    Raises:
        DataError: there are no two domains, or no columns that all files have.
    """
    draft, parts = Draft(), parts_of(files)
    label = str(files[0].profile.label)
    features, left_out = _features(files, label)
    if not features:
        raise DataError(
            f"{', '.join(file.shown for file in files)}: no column but {label!r} is in all of them and says something "
            "of a row, so that nothing can be learnt. Write the scenario by hand: `task: {features: {...}}`."
        )
    say_domains(draft, parts)
    draft.say("bridges", ["features"], "the columns that all files have")
    names = {column.name: _named(column.name, label) for column in features}
    own_label = _named(label, "")
    draft.head("tables")
    draft.head("examples", 1)
    for file in files:
        say_file(draft, file)
        _say_columns(draft, file, {**names, label: own_label})
        say_domain(draft, file, parts)
    draft.say("pseudonymous", True, "guessed: no user is read; say false if an id of a person is among the columns")
    draft.say("split", {"kind": "hash"}, "guessed: a fifth tests, a fifth chooses; `groups` keeps rows together")
    _say_task(draft, files, (label, own_label), {names[one.name]: one for one in features})
    for name, why in left_out.items():
        draft.remark(f"left out: {name}, {why}", 2)
    draft.head("strategies")
    draft.lines += [f"  - tune: {flow({'kind': kind})}" for kind in ("scratch", "fine_tune", "joint")]
    draft.head("baselines")
    several = [{"kind": "linear"}, {"kind": "linear", "domains": "all"}, {"kind": "boosting"}]
    draft.lines += [f"  - {flow(one)}" for one in several]
    return draft


def _say_columns(draft: Draft, file: Looked, names: dict[str, str]) -> None:
    mapped = {own: name for name, own in names.items() if own != name}
    domain = file.profile.column_of(c.DOMAIN)
    if domain and len(file.profile.domains) > 1:
        mapped[c.DOMAIN] = domain
    if mapped:
        draft.say("columns", mapped, "names that a scenario takes", 3)


def _say_task(draft: Draft, files: Sequence[Looked], label: tuple[str, str], features: dict[str, Column]) -> None:
    raw, own = label
    values = sorted({text for file in files for one in file.profile.columns if one.name == raw for text in one.texts})
    binary = len(values) == 2 or _YES.issuperset(one.lower() for one in values)
    draft.head("task")
    draft.say("kind", "binary" if binary else "multiclass", f"guessed: the label has {len(values)} values", 1)
    draft.say("label", own, "guessed by its name", 1)
    if binary and not _YES.issuperset(one.lower() for one in values):
        draft.say("positive", values[-1], f"guessed; the other value is {values[0]!r}", 1)
        draft.open_questions.append(f"which value of {own} is looked for: {' or '.join(map(repr, values))}")
    draft.head("features", 1)
    for name, column in features.items():
        kind = "text" if _is_prose(column, files[0].profile.rows) else _FEATURES[column.type]
        draft.say(name, kind, f"guessed by {column.distinct:,} different values", 2)
    draft.open_questions.append(
        "whether each feature is known when the label is to be predicted; take out what is only known afterwards."
    )


def _features(files: Sequence[Looked], label: str) -> tuple[list[Column], dict[str, str]]:
    """Columns of all files that say something of a row, and of each other one why it is left out."""
    every = {column.name: column for file in reversed(files) for column in file.profile.columns}
    used = {label, *(one.name for one in every.values() if one.role in (c.DOMAIN, c.SPLIT))}
    reasons = {name: _left_out(column, files) for name, column in every.items() if name not in used}
    found = [column for column in files[0].profile.columns if reasons.get(column.name) == ""]
    return found, {name: why for name, why in reasons.items() if why}


def _left_out(column: Column, files: Sequence[Looked]) -> str:
    """Why a column is no feature; empty where it is one."""
    found = [one for file in files for one in file.profile.columns if one.name == column.name]
    without = [file.shown for file in files if all(one.name != column.name for one in file.profile.columns)]
    rows = files[0].profile.rows
    most = {"text": _MANY * rows, "whole number": rows - 1}.get(column.type, rows)
    reasons = [
        (column.personal or column.role == c.USER, "seems to name a person"),
        (without, f"not in {', '.join(without)}"),
        (len({one.type for one in found}) > 1, "of another type in each file"),
        (column.type not in _FEATURES, "holds nothing"),
        (column.problem, column.problem),
        (
            rows > _ROWS and column.distinct > most and not _is_prose(column, rows),
            "another value in nearly every row",
        ),
        ({(1, 0, found[0].texts)} == {(one.distinct, one.empty, one.texts) for one in found}, "the same in all rows"),
    ]
    return next((why for so, why in reasons if so), "")


def _is_prose(column: Column, rows: int) -> bool:
    """Whether it is a text to be read, and no name of something that comes again."""
    return column.prose and column.distinct > _MANY * rows


def _named(name: str, label: str) -> str:
    """The name itself where a scenario takes it, else one that it takes."""
    if re.fullmatch(r"[^\W\d]\w{0,59}", name) and name not in TAKEN:
        return name
    return slug(name, {*TAKEN, label})
