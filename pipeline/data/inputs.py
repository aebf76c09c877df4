"""What a scenario reads, as things with a fingerprint and a table. Loads nothing heavy until a table is wanted."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from pipeline.config import FileTable, SqlTable, Table, Tables
from pipeline.data.files import data_format, find_files
from pipeline.errors import DataError
from pipeline.folders import digest, hash_file

if TYPE_CHECKING:
    import pyarrow as pa

    from pipeline.data.mapping import Mapper
    from pipeline.data.tables import TableKind


class Input(Protocol):
    """One table of a scenario: `kind` is the name of its kind; equal fingerprints mean equal tables."""

    @property
    def kind(self) -> str: ...  # noqa: D102

    @property
    def fingerprint(self) -> str: ...  # noqa: D102

    def read(self) -> "list[pa.Table]": ...  # noqa: D102


def inputs_of(
    tables: Tables, kind_of: "Callable[[str], TableKind]", root: Path, personal: tuple[str, ...]
) -> list[Input]:
    """All inputs of a scenario.

    Args:
        tables: What the scenario names.
        kind_of: The kind of table of that name; asked only where a table is read.
        root: The data folder, resolved.
        personal: Canonical columns whose values must not appear in a message.
    """
    named = [(kind, spec) for kind, specs in tables.named.items() for spec in specs]
    return [
        Query(kind, spec, root, personal, kind_of)
        if isinstance(spec, SqlTable)
        else Files(kind, spec, root, personal, kind_of)
        for kind, spec in named
    ]


@dataclass(frozen=True)
class Files:
    """Files below the data folder; their bytes decide the fingerprint, so that unchanged ones are not parsed."""

    kind: str
    spec: FileTable
    root: Path
    personal: tuple[str, ...]
    kind_of: "Callable[[str], TableKind]"

    @cached_property
    def paths(self) -> tuple[Path, ...]:
        """The files, sorted by name."""
        return find_files(self.root, self.spec.path)

    @cached_property
    def fingerprint(self) -> str:
        """Hash of the files' bytes and formats and of the mapping."""
        self._states  # noqa: B018  taken before the hashes
        hashes = [(hash_file(path), self._format(path)) for path in self.paths]
        return digest([self.kind, self.spec.mapping, hashes])

    def read(self) -> "list[pa.Table]":
        """One canonical table a file.

        Raises:
            DataError: a file cannot be read, does not fit, or changed after its fingerprint was taken.
        """
        from pipeline.data.reading import read_file

        mapper = _mapper(self.kind_of(self.kind), self.spec, self.personal)
        before = self._states
        read = [read_file(path, self._shown(path), self._format(path), mapper) for path in self.paths]
        for path, state in zip(self.paths, before, strict=True):
            if _state(path) != state:
                raise DataError(f"{self._shown(path)}: changed while it was read; repeat when it is complete.")
        return read

    @cached_property
    def _states(self) -> list[tuple[int, int]]:
        return [_state(path) for path in self.paths]

    def _shown(self, path: Path) -> str:
        return path.relative_to(self.root).as_posix()

    def _format(self, path: Path) -> str:
        return data_format(self._shown(path), self.spec.format)


@dataclass(frozen=True)
class Query:
    """The result of a query, which must be read to know whether it changed."""

    kind: str
    spec: SqlTable
    root: Path
    personal: tuple[str, ...]
    kind_of: "Callable[[str], TableKind]"

    @cached_property
    def fingerprint(self) -> str:
        """Hash of the mapped result, whatever the order of its rows."""
        from pipeline.data.snapshot import content_hash

        return digest([self.kind, content_hash(self._table)])

    def read(self) -> "list[pa.Table]":
        """The canonical table of the result, as it was when the fingerprint was taken."""
        return [self._table]

    @cached_property
    def _table(self) -> "pa.Table":
        from pipeline.data.sql import read_query

        return read_query(self.spec, self.root, _mapper(self.kind_of(self.kind), self.spec, self.personal))


def _mapper(table: "TableKind", spec: Table, personal: tuple[str, ...]) -> "Mapper":
    from pipeline.data.mapping import Mapper

    return Mapper(table, spec, frozenset(personal))


def _state(path: Path) -> tuple[int, int]:
    try:
        stat = path.stat()
    except OSError as error:
        raise DataError(f"{path.name}: cannot be read ({error.strerror}).") from error
    return stat.st_size, stat.st_mtime_ns
