"""A scenario from what files seem to hold, with a comment beside each guess."""

import re
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import yaml

from pipeline import columns as c
from pipeline.data.looking.files import Looked
from pipeline.errors import DataError


@dataclass
class Draft:
    """The lines of a scenario, and what nobody could know from the files."""

    lines: list[str] = field(default_factory=list)
    open_questions: list[str] = field(default_factory=list)
    files: list[str] = field(default_factory=list)  # that are read

    def say(self, key: str, value: Any, why: str = "", depth: int = 0) -> None:
        """One key of the file, with the reason for its value."""
        self.lines.append(f"{'  ' * depth}{key}: {flow(value)}{f'  # {plain(why)}' if why else ''}")

    def head(self, key: str, depth: int = 0) -> None:
        """A key whose values follow."""
        self.lines.append(f"{'  ' * depth}{key}:")

    def remark(self, text: str, depth: int = 0) -> None:
        """A comment on a line of its own."""
        self.lines.append(f"{'  ' * depth}# {plain(text)}")

    def text(self, name: str, first: Sequence[str]) -> str:
        """The whole file."""
        told = [*first, *(f"NOT KNOWN: {one}" for one in self.open_questions)]
        lines = [line for one in told for line in textwrap.wrap(plain(one), 110, subsequent_indent="  ")]
        return "\n".join([*(f"# {line}" for line in lines), f"name: {name}", *self.lines]) + "\n"


@dataclass(frozen=True)
class Part:
    """One domain as a file holds it."""

    domain: str
    file: Looked
    value: str | None  # in the file's column of domains; None: the whole file
    rows: int


def flow(value: Any) -> str:
    """A value as YAML, on one line."""
    text = yaml.safe_dump(value, default_flow_style=True, sort_keys=False, allow_unicode=True, width=float("inf"))
    return str(text).removesuffix("...\n").strip()


def plain(text: str) -> str:
    """A comment that stays one."""
    return "".join(letter if letter.isprintable() else " " for letter in text)


def slug(text: str, taken: Iterable[str] = ()) -> str:
    """A name that a scenario takes, which is none of those."""
    name = re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_")[:50] or "table"
    name = name if name[0].isalpha() else f"d_{name}"
    number, found = 2, name
    while found in set(taken):
        number, found = number + 1, f"{name}_{number}"
    return found


def parts_of(files: Sequence[Looked]) -> list[Part]:
    """The domains that files hold: one by the values of a column that seems to tell them, else each file is one.

    Raises:
        DataError: there are not two of them.
    """
    parts: list[Part] = []
    for file in files:
        taken = [part.domain for part in parts]
        told = file.profile.domains
        if len(told) > 1:
            for value, rows in told.items():
                parts.append(Part(slug(value, [*taken, *(one.domain for one in parts)]), file, value, rows))
        else:
            name = re.sub(r"\..*$", "", file.shown.rpartition("/")[2])
            parts.append(Part(slug(name, taken), file, None, file.profile.rows))
    if len(parts) < 2:
        raise DataError(
            f"{parts[0].file.shown}: holds rows of one domain only, as far as can be seen, and a transfer needs a "
            "source and a target. Put the other one's file beside it; or, where a column tells them apart, write "
            "the scenario by hand and name that column: `columns: {domain: ...}`."
        )
    return sorted(parts, key=lambda part: (-part.rows, part.domain))


def say_domains(draft: Draft, parts: Sequence[Part]) -> None:
    """Sources and target: the poorest is the target, because nothing in the files says who is to be helped."""
    *sources, target = parts
    names = [part.domain for part in sources]
    draft.say("title", f"What {', '.join(names)} can teach about {target.domain}")
    draft.say("sources", names, "guessed: those with more rows")
    told = f"guessed: the fewest rows, {target.rows:,}"
    draft.say("target", target.domain, told)
    equal = " They have equally many rows." if target.rows == sources[-1].rows else ""
    draft.open_questions.append(
        f"which is the source and which the target.{equal} Taken is the one with the fewest rows as the target; put "
        "the names the other way round if you want to help another one."
    )


def say_file(draft: Draft, file: Looked) -> None:
    """How a file is read, where it is not what is so when nothing is said."""
    spec = file.form.spec
    draft.files.append(file.shown)
    draft.lines.append(f"    - path: {flow(spec.path)}")
    for doubt in file.form.doubts:
        draft.remark(f"not sure: {doubt}", 3)
    for key, value in spec.model_dump(mode="json", exclude_defaults=True, exclude={"path"}).items():
        why = "the names are ours: the file has none" if key == "names" else "seen in the file"
        draft.say(key, value, why, 3)


def say_domain(draft: Draft, file: Looked, parts: Sequence[Part]) -> None:
    """What says the domain of a file's rows: its column, where it has one, else the file."""
    own = [part for part in parts if part.file is file]
    if own[0].value is None:
        draft.say("constants", {c.DOMAIN: own[0].domain}, "guessed: named after the file", 3)
        return
    renamed = {part.domain: part.value for part in own if part.domain != part.value}
    if renamed:
        draft.say("domains", renamed, "what the column says for each", 3)
