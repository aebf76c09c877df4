"""The first rows of the files that a scenario names, held against what it says of them."""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa
import pyarrow.compute as pc

from pipeline import columns as c
from pipeline.config import FileSource, FileTable, QueryTable, Table, Tables
from pipeline.data.looking.heads import head_of
from pipeline.data.looking.profiles import profile
from pipeline.data.looking.samples import Sample, first_columns, read_sample
from pipeline.data.mapping import Mapper
from pipeline.data.pictures import Pictures
from pipeline.data.readers.files import SourceFile, data_format
from pipeline.data.readers.inputs import files_of
from pipeline.data.readers.querying import read_files_query
from pipeline.data.tables import TableKind
from pipeline.errors import CrossliftError, DataError

_BYTES = 1 << 20  # of a file that are looked at, unpacked
_ROWS = 1000
_FILES = 20  # of one glob
_LARGE = 64 << 20  # bytes of a file without lines that is not read for a check
_NO_ROWS = "it gives no rows"


@dataclass
class Checked:
    """What was looked at, what was not and why, what is wrong, and which rows would go to quarantine."""

    files: list[str] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def check_tables(
    tables: Tables, kind_of: Callable[[str], TableKind], root: Path | None, personal: tuple[str, ...]
) -> Checked:
    """Hold the mapping of each table against its kind, and the first rows of its files against both.

    Args:
        tables: What the scenario names.
        kind_of: The kind of table of that name.
        root: The data folder, resolved; None: files are not looked at.
        personal: Canonical columns whose values must not appear in a message.
    """
    checked = Checked()
    for name, specs in tables.named.items():
        for spec in specs:
            try:
                mapper = Mapper(kind_of(name), spec, frozenset(personal), Pictures.below(root) if root else None)
                if root is not None:
                    _check(spec, mapper, root, checked)
            except CrossliftError as error:
                checked.problems.append(f"tables.{name}: {str(error).removeprefix(f'tables.{name}.')}")
    return checked


def _check(spec: Table, mapper: Mapper, root: Path, checked: Checked) -> None:
    if isinstance(spec, FileTable):
        files = files_of(spec, root)
        for file in files[:_FILES]:
            _check_file(file, spec, mapper, checked)
            checked.files.append(file.shown)
        if len(files) > _FILES:
            checked.left.append(f"{spec.path}: {len(files) - _FILES} more files")
    elif isinstance(spec, QueryTable):
        _check_query(spec, mapper, root, checked)
    else:
        checked.left.append("a query to a database")


def _check_file(file: SourceFile, spec: FileTable, mapper: Mapper, checked: Checked) -> None:
    failed: list[DataError] = []

    def choose(names: Sequence[str]) -> Iterable[str]:
        try:
            return mapper.choose(names, file.shown).values()
        except DataError as error:  # what the columns seem to be is told with it
            failed.append(error)
            return first_columns(names)

    with TemporaryDirectory(prefix="crosslift-") as scratch:
        head = head_of(file, spec, _BYTES)
        sample = read_sample(head, spec, data_format(head.name, spec.format), Path(scratch), _ROWS, choose)
    if failed:
        raise DataError(f"{failed[0]}{_suggested(sample, spec, mapper)}")
    if sample.table.num_rows:
        try:
            _tell_unreadable(mapper.canonical(sample.table, file.shown), checked)
        except DataError:  # about a column as a whole; what follows may have the value that decides how it is read
            if sample.whole:
                raise


def _tell_unreadable(rows: pa.Table, checked: Checked) -> None:
    """Note which columns of rows have values that cannot be read, in how many rows, and the first one."""
    if c.UNREAD not in rows.column_names:
        return
    marked = rows.select(c.UNREADS).filter(pc.is_valid(rows[c.UNREAD]))
    for name in pc.unique(marked[c.UNREAD]).to_pylist():
        found = marked.filter(pc.equal(marked[c.UNREAD], name))
        first = found.slice(0, 1).to_pylist()[0]
        got = "" if first[c.UNREAD_VALUE] is None else f", got {first[c.UNREAD_VALUE]}"
        checked.unreadable.append(
            f"{first[c.UNREAD_FILE]}: {len(found):,} of the first {len(rows):,} rows would go to quarantine for column "
            f"{first[c.UNREAD_COLUMN]!r}, as row {first[c.UNREAD_ROW]}: expected {first[c.UNREAD_EXPECTED]}{got}."
        )


def _suggested(sample: Sample, spec: FileTable, mapper: Mapper) -> str:
    """What to write for the columns that are needed and missing, where some column of the file seems to be one."""
    there = set(sample.table.column_names)
    seen = profile(sample.table, sample.whole, spec.header)
    guessed = {column.role: column for column in seen.columns if column.role}
    missing = [
        name for name in mapper.kind.by_name
        if (name in mapper.kind.required or name in spec.columns) and name not in spec.constants
        and (spec.columns[name].column if name in spec.columns else name) not in there
    ]  # fmt: skip
    told = {name: guessed[name] for name in missing if name in guessed}
    if not told:
        return ""
    mapping = ", ".join(f"{name}: {_as_yaml(column.name)}" for name, column in told.items())
    return f" By their names and values this may be it: `columns: {{{mapping}}}`."


def _as_yaml(name: str) -> str:
    """A name as a scenario writes it: in quotes where blanks or signs around it would be lost."""
    return name if re.fullmatch(r"\w[\w .-]*\w|\w", name) else repr(name)


def _check_query(spec: QueryTable, mapper: Mapper, root: Path, checked: Checked) -> None:
    """Run a query on the first rows of its files, which tells names that are wrong; rows that a JOIN misses do not."""
    with TemporaryDirectory(prefix="crosslift-") as folder:
        parts, sources, whole = dict[str, list[SourceFile]](), dict[str, FileSource](), True
        for name, source in spec.files.items():
            file = files_of(source, root)[0]
            head = head_of(file, source, _BYTES)
            (scratch := Path(folder) / name).mkdir()
            part, sources[name], all_of_it = head.part(source, data_format(head.name, source.format), scratch)
            if part is file and not head.whole and file.size() > _LARGE:
                checked.left.append(f"{file.shown} and the query over it, because it is large")
                return
            parts[name], whole = [part], whole and all_of_it
            checked.files.append(file.shown)
        (scratch := Path(folder) / "query of files").mkdir()
        tried = spec.model_copy(update={"files": sources})
        try:
            _tell_unreadable(read_files_query(tried, parts, mapper, scratch), checked)
        except DataError as error:
            if whole or _NO_ROWS not in str(error):
                raise
