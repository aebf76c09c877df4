"""From the columns of a user's table to the canonical ones."""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from pipeline import columns as c
from pipeline.config import Table
from pipeline.data.casting import Place, cast
from pipeline.data.tables import TableKind
from pipeline.errors import ConfigError, DataError

_NAMED = 50  # columns that a message lists


@dataclass(frozen=True)
class Mapper:
    """The column mapping of one table of a scenario.

    Raises:
        ConfigError: the scenario maps to a name that is not canonical, or gives a column twice.
    """

    kind: TableKind
    spec: Table
    personal: frozenset[str] = frozenset()  # canonical columns whose values must not appear in a message

    def __post_init__(self) -> None:
        for part in ("columns", "constants"):
            for name in getattr(self.spec, part):
                if name not in self.kind.by_name:
                    known = list(self.kind.by_name)
                    raise ConfigError(
                        f"tables.{self.kind.name}.{part}: {name!r} is no canonical column.{_near(name, known)} "
                        f"There are: {', '.join(known)}."
                    )
        if twice := sorted(set(self.spec.columns) & set(self.spec.constants)):
            raise ConfigError(
                f"tables.{self.kind.name}: {', '.join(twice)} stands in columns and in constants; keep one."
            )

    def choose(self, available: Sequence[str], file: str) -> dict[str, str]:
        """Canonical name -> name in the file, for each canonical column that the file gives.

        Raises:
            DataError: a mapped or required column is missing, or its name stands there twice.
        """
        chosen = {}
        for name, column in self.kind.by_name.items():
            raw = self.spec.columns.get(name, name)
            if name in self.spec.constants:
                continue
            if available.count(raw) > 1:
                raise DataError(f"{file}: column {raw!r} stands there {available.count(raw)} times; expected once.")
            if raw in available:
                chosen[name] = raw
            elif name in self.spec.columns or column.required:
                raise DataError(
                    f"{file}: column {raw!r}, needed for {name}, is missing.{_near(raw, available)} The table has: "
                    f"{_listed(available)}. Name the right one in the scenario: `columns: {{{name}: ...}}`, or give "
                    f"one value for all rows: `constants: {{{name}: ...}}`."
                )
        return chosen

    def knows_any(self, available: Sequence[str]) -> bool:
        """Whether the scenario reads one of these columns."""
        return any(self.spec.columns.get(name, name) in available for name in self.kind.by_name)

    def exact(self, chosen: dict[str, str]) -> frozenset[str]:
        """Names in the file of the columns whose digits must not be lost."""
        return frozenset(raw for name, raw in chosen.items() if self.kind.by_name[name].type == "id")

    def canonical(self, raw: pa.Table, file: str) -> pa.Table:
        """The canonical table of a user's table, in the canonical order of columns; rows keep their order.

        Raises:
            DataError: a value does not fit its column.
        """
        chosen = self.choose(raw.column_names, file)
        hidden = {chosen[name] for name in self.personal & set(chosen)}  # also where it is taken for another one
        types = {column.name: column.type for column in self.kind.columns}
        arrays = {name: cast(raw[own], types[name], Place(file, own, own in hidden)) for name, own in chosen.items()}
        for name, value in self.spec.constants.items():
            place = Place(f"tables.{self.kind.name}.constants", name)
            constant = cast(pa.chunked_array([[value]]), types[name], place)
            arrays[name] = constant.take(pa.repeat(pa.scalar(0, pa.int64()), raw.num_rows))
        if self.spec.domains:
            arrays[c.DOMAIN] = _renamed(arrays[c.DOMAIN], {told: name for name, told in self.spec.domains.items()})
        return pa.table({name: arrays[name] for name in types if name in arrays})


def _renamed(values: pa.Array, names: dict[str, str]) -> pa.Array:
    """Texts by their names; what has none stays as it is."""
    places = pc.index_in(values, pa.array(list(names), pa.string()))
    return pc.coalesce(pa.array(list(names.values()), pa.string()).take(places), values)


def _listed(names: Sequence[str]) -> str:
    """Some names, without what a terminal would obey."""
    shown = [name if name.isprintable() else repr(name) for name in names[:_NAMED]]
    return ", ".join(shown) + (f" and {len(names) - _NAMED} more" if len(names) > _NAMED else "")


def _near(name: str, among: Sequence[str]) -> str:
    by_lower = {candidate.lower(): candidate for candidate in among}
    near = difflib.get_close_matches(name.lower(), by_lower, n=1)
    return f" Did you mean {by_lower[near[0]]!r}?" if near else ""
