"""From the columns of a user's table to the canonical ones."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline import columns as c
from pipeline.config import MappedColumn, Table
from pipeline.data.copies import holds
from pipeline.data.pictures import Pictures
from pipeline.data.rules import Times
from pipeline.data.tables import TableKind
from pipeline.data.values.casting import Place, Read, cast, read
from pipeline.data.values.place import faults_of, is_text, shown
from pipeline.errors import ConfigError, DataError
from pipeline.near import near

log = logging.getLogger(__name__)

# Settings of a column -> the one type of column that they say anything about.
_ONLY = {"unit": "time", "format": "time", "timezone": "time", "trim": "id", "alike": "id"}
_NAMED = 50  # columns that a message lists


@dataclass(frozen=True)
class Mapper:
    """The column mapping of one table of a scenario.

    Raises:
        ConfigError: the scenario maps to a name that is not canonical, gives a column twice, or says something of a
            column that its type has nothing to do with.
    """

    kind: TableKind
    spec: Table
    personal: frozenset[str] = frozenset()  # canonical columns whose values must not appear in a message
    pictures: Pictures | None = None  # where the pictures of a table that has any go

    def __post_init__(self) -> None:
        for part in ("columns", "constants"):
            for name in getattr(self.spec, part):
                if name not in self.kind.by_name:
                    known = list(self.kind.by_name)
                    raise ConfigError(
                        f"tables.{self.kind.name}.{part}: {name!r} is no canonical column.{near(name, known)} "
                        f"There are: {', '.join(known)}."
                    )
        if twice := sorted(set(self.spec.columns) & set(self.spec.constants)):
            raise ConfigError(
                f"tables.{self.kind.name}: {', '.join(twice)} stands in columns and in constants; keep one."
            )
        for name, how in self.spec.columns.items():
            wanted = self.kind.by_name[name].type
            fields = type(how).model_fields
            for setting in sorted(one for one in _ONLY if getattr(how, one) != fields[one].default):  # also from JSON
                if _ONLY[setting] != wanted:
                    raise ConfigError(
                        f"tables.{self.kind.name}.columns.{name}: {setting} is for a column of type {_ONLY[setting]}, "
                        f"but {name} is a {wanted}; leave it out."
                    )

    def choose(self, available: Sequence[str], file: str) -> dict[str, str]:
        """Canonical name -> name in the file, for each canonical column that the file gives.

        Raises:
            DataError: a mapped or required column is missing, or its name stands there twice.
        """
        chosen = {}
        for name, column in self.kind.by_name.items():
            raw = self._own(name)
            if name in self.spec.constants:
                continue
            if available.count(raw) > 1:
                raise DataError(f"{file}: column {raw!r} stands there {available.count(raw)} times; expected once.")
            if raw in available:
                chosen[name] = raw
            elif name in self.spec.columns or column.required:
                why = f" by {column.asked_by}" if column.asked_by else ""
                raise DataError(
                    f"{file}: column {raw!r}, needed for {name}{why}, is missing.{near(raw, available)} The table has: "
                    f"{_listed(available)}. Name the right one in the scenario: `columns: {{{name}: ...}}`, or give "
                    f"one value for all rows: `constants: {{{name}: ...}}`."
                )
        self._tell_near(chosen, available, file)
        return chosen

    def _tell_near(self, chosen: dict[str, str], available: Sequence[str], file: str) -> None:
        """Warn of columns that nothing reads and whose names are those of canonical ones but for case and blanks."""
        left = {_letters(raw): raw for raw in available if raw not in chosen.values()}
        for name in self.kind.by_name:
            if name not in chosen and name not in self.spec.constants and (raw := left.get(_letters(name))):
                log.warning(
                    "%s: column %r is not read; if it is %s, say so in the scenario: `columns: {%s: %r}`",
                    file, raw, name, name, raw,
                )  # fmt: skip

    @property
    def hidden(self) -> frozenset[str]:
        """Names in the file of the columns that are personal."""
        return frozenset(self._own(name) for name in self.personal & set(self.kind.by_name))

    def knows_any(self, available: Sequence[str]) -> bool:
        """Whether the scenario reads one of these columns."""
        return any(self._own(name) in available for name in self.kind.by_name)

    def canonical(self, raw: pa.Table, file: str) -> pa.Table:
        """The canonical table of a user's table, in the canonical order of columns; all rows, in their order.

        Where values could not be read there is none, and the table ends with the columns `columns.UNREADS`: which
        column of the row is the first such one, where it stands, what is written there unless it is personal, and what
        was expected. They have no value in rows of which all could be read. A column that the scenario does not name
        and nothing reads costs no row, here or later: what is broken in it is left empty, and how much is logged.

        Raises:
            DataError: a column as a whole does not fit.
        """
        chosen = self.choose(raw.column_names, file)
        hidden = {chosen[name] for name in self.personal & set(chosen)}  # also where it is taken for another one
        self._refuse_copies(chosen, raw, file)  # first, because other messages show values
        types = {column.name: column.type for column in self.kind.columns}
        arrays, broken = dict[str, pa.Array](), dict[str, Read]()
        for name, own in chosen.items():
            how = self.spec.columns.get(name, MappedColumn())
            found = read(raw[own], types[name], Place(file, own, own in hidden, how, self.spec.null, self.pictures))
            if name in self.personal and types[name] == "id":  # a pseudonym would hide what is wrong with it
                found = self._without_broken(name, found)
            arrays[name] = found.values
            if found.faults:
                broken[name] = found
        if (again := _header_again(raw, chosen)) is not None:
            name = next(iter(chosen))
            fault = (again, "a row, and not the columns' names again")
            broken[name] = Read(arrays[name], (fault, *broken.get(name, Read(arrays[name])).faults))
            arrays[name] = pc.if_else(again, None, arrays[name])
        for name, value in self.spec.constants.items():
            place = Place(f"tables.{self.kind.name}.constants", name, pictures=self.pictures)
            constant = cast(pa.chunked_array([[value]]), types[name], place)
            arrays[name] = constant.take(pa.repeat(pa.scalar(0, pa.int64()), raw.num_rows))
        if self.spec.domains:
            arrays[c.DOMAIN] = _renamed(arrays[c.DOMAIN], {told: name for name, told in self.spec.domains.items()})
        for name in [name for name in chosen if not (self.kind.by_name[name].used or name in self.spec.columns)]:
            emptied = self._without_broken(name, broken.pop(name, Read(arrays[name])))
            arrays[name] = emptied.values
            _tell_unused(emptied, raw[chosen[name]], Place(file, chosen[name], chosen[name] in hidden))
        table = pa.table({name: arrays[name] for name in types if name in arrays})
        if not broken:
            return table
        marks = _marks(raw, broken, {name: Place(file, chosen[name], chosen[name] in hidden) for name in broken})
        for name, column in marks.items():
            table = table.append_column(name, column)
        return table

    def _refuse_copies(self, chosen: dict[str, str], raw: pa.Table, file: str) -> None:
        """Refuse to write what is personal, and may be replaced by a pseudonym, under another name as well."""
        for name in sorted(self.personal & set(chosen)):
            for other in (other for other in chosen if other not in self.personal):
                if chosen[other] == chosen[name]:
                    problem = f"is {name}, which is personal, and {other} too"
                elif holds(raw[chosen[name]], raw[chosen[other]]):
                    problem = f"is {name}, which is personal, and stands in column {chosen[other]!r}, {other}, too"
                else:
                    continue
                raise DataError(
                    f"{file}: column {chosen[name]!r} {problem}, so that its values would be written in plain; name "
                    f"another column for {other}, or leave it out. Where that may be, add {other} to `personal`."
                )

    def _without_broken(self, name: str, found: Read) -> Read:
        """A column without the values for which a rule of the table would take their rows."""
        for rule in self.kind.rules(Times()):
            if rule.column == name and rule.applies(found.values.type):
                bad = pc.and_(pc.is_valid(found.values), pc.fill_null(rule.breaks(found.values), False))
                faults = (*found.faults, *faults_of((bad, rule.checks[0].expected)))
                found = Read(pc.if_else(bad, None, found.values), faults)
        return found

    def _own(self, name: str) -> str:
        """What a canonical column is called in the file."""
        given = self.spec.columns.get(name)
        return given.column if given and given.column else name


def _marks(raw: pa.Table, broken: dict[str, Read], places: dict[str, Place]) -> dict[str, pa.Array]:
    """The columns that say of each row [N] which of its values could not be read."""
    told = {name: np.full(raw.num_rows, None, dtype=object) for name in c.UNREADS}
    for name, found in broken.items():
        place, values = places[name], raw[places[name].column]
        for bad, expected in found.faults:
            rows = np.flatnonzero(bad.to_numpy(zero_copy_only=False))
            rows = rows[np.array([one is None for one in told[c.UNREAD][rows]], dtype=bool)]
            told[c.UNREAD][rows] = name
            told[c.UNREAD_FILE][rows] = place.file
            told[c.UNREAD_ROW][rows] = rows + 1
            told[c.UNREAD_COLUMN][rows] = place.column
            told[c.UNREAD_EXPECTED][rows] = expected
            if not place.hidden:
                different = values.take(pa.array(rows)).combine_chunks().dictionary_encode()
                texts = [shown(different.dictionary, at) for at in range(len(different.dictionary))]
                told[c.UNREAD_VALUE][rows] = np.array(texts, dtype=object)[different.indices]
    kinds = {name: pa.int64() if name == c.UNREAD_ROW else pa.string() for name in c.UNREADS}
    return {name: pa.array(told[name], kind) for name, kind in kinds.items()}


def _header_again(raw: pa.Table, chosen: dict[str, str]) -> pa.Array | None:
    """Which rows [N] hold the names of the columns, as where files were put after one another; None: there is none."""
    there = [own for own in dict.fromkeys(chosen.values()) if is_text(raw[own])]
    again = pa.array(np.full(raw.num_rows, len(there) > 1))
    for own in there:
        if pc.any(again).as_py():
            again = pc.and_(again, pc.fill_null(pc.equal(raw[own].combine_chunks(), own), False))
    return again if pc.any(again).as_py() else None


def _letters(name: str) -> str:
    return "".join(one for one in name.casefold() if one.isalnum())


def _tell_unused(found: Read, values: pa.ChunkedArray, place: Place) -> None:
    if not found.faults:
        return
    count = sum(int(pc.sum(bad).as_py()) for bad, _ in found.faults)
    problem = str(place.refuse(values.combine_chunks(), *found.first())).removesuffix(".")
    log.warning("%s; left empty, %s in all, because no row is lost for this column", problem, f"{count:,}")


def _renamed(values: pa.Array, names: dict[str, str]) -> pa.Array:
    """Texts by their names; what has none stays as it is."""
    places = pc.index_in(values, pa.array(list(names), pa.string()))
    return pc.coalesce(pa.array(list(names.values()), pa.string()).take(places), values)


def _listed(names: Sequence[str]) -> str:
    """Some names, without what a terminal would obey."""
    shown = [name if name.isprintable() else repr(name) for name in names[:_NAMED]]
    return ", ".join(shown) + (f" and {len(names) - _NAMED} more" if len(names) > _NAMED else "")
