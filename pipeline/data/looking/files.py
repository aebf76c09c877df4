"""A file as a whole: its form, its first rows and what stands in them; and what several have in common."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from pipeline import columns as c
from pipeline.config import Alike
from pipeline.data.looking.forms import NAMES_OR_ROW, Form, guess_form
from pipeline.data.looking.profiles import Profile, profile, values_of
from pipeline.data.looking.roles import BY_NAME
from pipeline.data.looking.samples import read_sample
from pipeline.data.readers.files import SourceFile
from pipeline.data.values.spelling import WAYS

_JOINING = (c.USER, c.ITEM)


@dataclass(frozen=True)
class Looked:
    """What can be said of a file."""

    shown: str
    form: Form
    profile: Profile
    inner: tuple[str, ...]  # columns that hold objects
    left: int  # further columns, which were not looked at
    keys: pa.Table  # [N]: user, item and domain as texts, of which the file seems to have them

    def ids(self, role: str, domain: str | None = None) -> pa.Array:
        """The different users or items, of one domain or of the whole file."""
        rows = self.keys if domain is None else self.keys.filter(pc.equal(self.keys[c.DOMAIN], domain))
        return pc.unique(rows[role].drop_null())

    def as_json(self) -> dict[str, Any]:
        """All of it, but for the ids."""
        profile = self.profile.as_json()
        doubts = list(self.form.doubts)
        told = {"file": self.shown, "form": self.form.told, "doubts": doubts, "objects": list(self.inner)}
        return {**told, "columns_left": self.left, **profile}


@dataclass(frozen=True)
class Common:
    """Ids that two files have in common."""

    role: str
    files: tuple[str, str]
    ids: tuple[int, int]
    common: int
    alike: Mapping[Alike, int]  # way of treating spellings alike -> ids in common then, where there are more

    @property
    def share(self) -> float:
        """Of the ids of the file with fewer of them."""
        return self.common / max(1, min(self.ids))


def look(file: SourceFile, path: str) -> Looked:
    """What can be said of a file.

    Args:
        file: Where it lies.
        path: What a scenario calls it.

    Raises:
        DataError: it is empty, damaged, or no table that can be read.
    """
    with TemporaryDirectory(prefix="crosslift-") as folder:
        scratch = Path(folder)
        form = guess_form(file, path, scratch)
        sample = read_sample(form.head, form.spec, form.format, scratch)
    found = profile(sample.table, sample.whole, form.spec.header)
    if any(column.why == BY_NAME for column in found.columns):  # names that mean something are no row
        form = replace(form, doubts=tuple(doubt for doubt in form.doubts if doubt != NAMES_OR_ROW))
    columns = {role: found.column_of(role) for role in (*_JOINING, c.DOMAIN)}
    keys = pa.table({role: values_of(sample.table[name]) for role, name in columns.items() if name})
    return Looked(file.shown, form, found, sample.inner, sample.left, keys)


def in_common(files: Sequence[Looked]) -> list[Common]:
    """What each two files have in common, of users and of items."""
    pairs = [(role, one, other) for one, other in combinations(files, 2) for role in _JOINING]
    has_both = [one for one in pairs if all(one[0] in file.keys.column_names for file in one[1:])]
    return [
        Common(role, (one.shown, other.shown), *compare(one.ids(role), other.ids(role)))
        for role, one, other in has_both
    ]


def compare(these: pa.Array, those: pa.Array) -> tuple[tuple[int, int], int, dict[Alike, int]]:
    """How many ids there are on each side, how many are the same, and how many with each way of spelling, if more."""
    plain = _shared(these, those)
    alike = {way: _shared(fold(these), fold(those)) for way, fold in WAYS.items()}
    return (len(these), len(those)), plain, {way: count for way, count in alike.items() if count > plain}


def _shared(these: pa.Array, those: pa.Array) -> int:
    return int(pc.sum(pc.is_in(pc.unique(these), pc.unique(those))).as_py() or 0)
