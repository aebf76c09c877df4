"""What a scenario reads, as things with a fingerprint and a table. Loads nothing heavy until a table is wanted."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Protocol

from pipeline.config import FileSource, FileTable, MappedTable, QueryTable, SqlTable, Tables
from pipeline.config.files import format_of
from pipeline.data.readers.files import LocalFile, SourceFile, find_files, partitions
from pipeline.errors import DataError
from pipeline.folders import digest

if TYPE_CHECKING:
    import pyarrow as pa

    from pipeline.data.mapping import Mapper
    from pipeline.data.pictures import Pictures
    from pipeline.data.tables import TableKind


class Input(Protocol):
    """One table of a scenario: `kind` is the name of its kind; equal fingerprints mean equal tables."""

    @property
    def kind(self) -> str: ...  # noqa: D102

    @property
    def fingerprint(self) -> str: ...  # noqa: D102

    @property
    def pictures(self) -> "Mapping[str, bytes]": ...  # noqa: D102  of what was read, by name

    def read(self) -> "list[pa.Table]": ...  # noqa: D102


def inputs_of(
    tables: Tables,
    kind_of: "Callable[[str], TableKind]",
    root: Path,
    personal: tuple[str, ...],
    *,
    pictured: bool = False,
) -> list[Input]:
    """All inputs of a scenario.

    Args:
        tables: What the scenario names.
        kind_of: The kind of table of that name; asked only where a table is read.
        root: The data folder, resolved.
        personal: Canonical columns whose values must not appear in a message.
        pictured: Whether there are columns of pictures, whose files decide the fingerprint as well.
    """
    named = [(kind, spec) for kind, specs in tables.named.items() for spec in specs]
    classes: dict[type[MappedTable], Callable[..., Input]] = {SqlTable: Query, QueryTable: FilesQuery, FileTable: Files}
    return [classes[type(spec)](kind, spec, root, personal, kind_of, pictured) for kind, spec in named]


def files_of(source: FileSource, root: Path) -> tuple[SourceFile, ...]:
    """The files that a source names, below the data folder or in a store, sorted by name.

    Raises:
        DataError: there are none, or they cannot be reached.
    """
    if "://" in source.path:
        from pipeline.data.readers.stores import find_stored

        return find_stored(source.path)
    return tuple(LocalFile(path, root) for path in find_files(root, source.path))


@dataclass(frozen=True)
class _Table:
    """A table of a scenario, what its columns are, and where its paths begin."""

    kind: str
    spec: Any  # of the class that reads it
    root: Path
    personal: tuple[str, ...]
    kind_of: "Callable[[str], TableKind]"
    pictured: bool

    @cached_property
    def pictures(self) -> "Mapping[str, bytes]":
        """The pictures of all that was read, by name."""
        return self._pictures.kept

    @cached_property
    def _pictures(self) -> "Pictures":
        from pipeline.data.pictures import Pictures

        return Pictures.below(self.root)

    def _mapper(self, pictures: "Pictures | None" = None) -> "Mapper":
        from pipeline.data.mapping import Mapper

        return Mapper(self.kind_of(self.kind), self.spec, frozenset(self.personal), pictures or self._pictures)

    def _names(self, read: "Callable[[Mapper], list[pa.Table]]") -> list[str]:
        """What names the pictures of a table as they are now; nothing where it has none."""
        if not self.pictured:
            return []
        from pipeline.data.pictures import Pictures
        from pipeline.data.snapshot import content_hash

        return [content_hash(table) for table in read(self._mapper(Pictures.below(self.root, look=False)))]


@dataclass(frozen=True)
class Files(_Table):
    """Files below the data folder; their bytes decide the fingerprint, so that unchanged ones are not parsed."""

    spec: FileTable

    @cached_property
    def fingerprint(self) -> str:
        """Hash of the files' bytes, of how they are read and of the mapping."""
        spec = self.spec.model_dump(mode="json", exclude={"path"})
        return digest([self.kind, spec, self._found.identities(), *self._names(self._read)])

    def read(self) -> "list[pa.Table]":
        """One canonical table a file.

        Raises:
            DataError: a file cannot be read, does not fit, or changed after its fingerprint was taken.
        """
        return self._read(self._mapper())

    def _read(self, mapper: "Mapper") -> "list[pa.Table]":
        from pipeline.data.readers.reading import read_file

        read = []
        for file in self._found.files:
            with TemporaryDirectory(prefix="crosslift-") as scratch:
                read.append(read_file(file, self.spec, mapper, Path(scratch)))
            self._found.check(file)
        return read

    @cached_property
    def _found(self) -> "_Found":
        return _Found(self.spec, self.root)


@dataclass(frozen=True)
class FilesQuery(_Table):
    """The result of a query over files; their bytes and the query decide the fingerprint."""

    spec: QueryTable

    @cached_property
    def fingerprint(self) -> str:
        """Hash of the files' bytes, of how they are read, of the query and of the mapping."""
        paths = {"files": {name: {"path"} for name in self.spec.files}}
        identities = {name: found.identities() for name, found in self._found.items()}
        return digest(
            [self.kind, self.spec.model_dump(mode="json", exclude=paths), identities, *self._names(self._read)]
        )

    def read(self) -> "list[pa.Table]":
        """The canonical table of the result.

        Raises:
            DataError: a file cannot be read, the query fails, or a file changed after its fingerprint was taken.
        """
        return self._read(self._mapper())

    def _read(self, mapper: "Mapper") -> "list[pa.Table]":
        from pipeline.data.readers.querying import read_files_query

        with TemporaryDirectory(prefix="crosslift-") as scratch:
            files = {name: found.files for name, found in self._found.items()}
            table = read_files_query(self.spec, files, mapper, Path(scratch))
        for found in self._found.values():
            for file in found.files:
                found.check(file)
        return [table]

    @cached_property
    def _found(self) -> "dict[str, _Found]":
        return {name: _Found(source, self.root) for name, source in self.spec.files.items()}


@dataclass(frozen=True)
class _Found:
    """The files that one path names, and whether they stay as they are."""

    spec: FileSource
    root: Path

    @cached_property
    def files(self) -> tuple[SourceFile, ...]:
        """The files, sorted by name."""
        return files_of(self.spec, self.root)

    def identities(self) -> list[tuple[str, str, dict[str, str | None]]]:
        """What decides what is read: of each file the bytes, the kind that its name tells, what its folders say."""
        self._states  # noqa: B018  taken before the hashes
        return [(file.identity(), _kind_of(file.shown), dict(partitions(file.shown))) for file in self.files]

    def check(self, file: SourceFile) -> None:
        """Refuse a file that changed since its state was taken."""
        if file.state() != self._states[file.shown]:
            raise DataError(f"{file.shown}: changed while it was read; repeat when it is complete.")

    @cached_property
    def _states(self) -> dict[str, object]:
        return {file.shown: file.state() for file in self.files}


@dataclass(frozen=True)
class Query(_Table):
    """The result of a query, which must be read to know whether it changed."""

    spec: SqlTable

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
        from pipeline.data.readers.sql import read_query

        return read_query(self.spec, self.root, self._mapper())


def _kind_of(name: str) -> str:
    """What the name of a file tells of its format, and of the separator in it."""
    return "tsv" if ".tsv" in name.lower() else str(format_of(name))
