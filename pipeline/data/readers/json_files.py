"""JSON lines, or one array of objects: values as they are written, lists joined, fields of objects by dotted names."""

import codecs
import json
import logging
import mmap
import re
import shutil
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import duckdb

from pipeline.data.readers.duck import call, name, text, told
from pipeline.data.readers.unpacking import Plain
from pipeline.errors import DataError

log = logging.getLogger(__name__)

_GUESSED = re.compile(
    r'("(?!NULL")(?:[^"]|"")*")|(?:"NULL"|JSON|DATE|TIME|TIMESTAMP(?:_\w+)?(?: WITH TIME ZONE)?|UUID)(?=[,)\[]|$)'
)
_BROKEN = "\U0010ffff"  # stands for bytes that are no text; no text has it
_ESCAPED = re.compile("[\udc80-\udcff]+")  # what Python makes of such bytes
_NO_TEXT = "bytes that are no text"
_HALF = " surrogate in string"  # how DuckDB tells of half a character, as where a text was cut in an emoji
# Escapes in UTF-16: two that are one character, or (the group) a half alone; an even number of backslashes before it.
_HALVES = re.compile(
    rb"(?<!\\)(?:\\\\)*(?:\\u[dD][89abAB]..\\u[dD][c-fC-F]..|(\\u[dD][89a-fA-F][0-9a-fA-F]{2}))", re.DOTALL
)
_BLOCK = 1 << 20
MOST_OBJECT = 64 << 20  # bytes of one object


@dataclass(frozen=True)
class Json:
    """Objects of JSON, each a row.

    Raises:
        DataError: it is no JSON, or not of objects.
    """

    connection: duckdb.DuckDBPyConnection
    plain: Plain
    shown: str

    @property
    def names(self) -> tuple[str, ...]:
        """The keys of all objects, and the dotted names of those in their objects."""
        return tuple(self._fields)

    @property
    def source(self) -> str:
        """The table in SQL: each key of an object a column of JSON."""
        columns = ", ".join(f"{text(key)}: 'JSON'" for key, (path, _) in self._fields.items() if path == (key,))
        return call("read_json", self._path, {**self._options, "records": "true", "columns": f"{{{columns}}}"})

    def rows(self, wanted: Collection[str]) -> str:
        """The SELECT of these columns for a query, with types as JSON states them: a text is no date, and no UUID."""
        more = {**self._options, "sample_size": "-1", "convert_strings_to_integers": "false", "records": "true"}
        try:
            found = self.connection.execute(f"DESCRIBE FROM {call('read_json', self._path, more)}").fetchall()
        except duckdb.Error as error:
            raise self.explain(error, ()) from None
        kinds = {key: _as_stated(kind) for key, kind, *_ in found if key in wanted}
        columns = ", ".join(f"{text(key)}: {text(kind)}" for key, kind in kinds.items())
        stated = {**self._options, "records": "true", "columns": f"{{{columns}}}"}
        asked = ", ".join(f"{self._sound(name(key))} AS {name(key)}" for key in kinds)
        return f"SELECT {asked} FROM {call('read_json', self._path, stated)}"  # noqa: S608

    def column(self, raw: str, _number: bool) -> str:
        """A column in SQL as texts: numbers with their digits, whole ones without a point, a list joined by blanks.

        Raises:
            DataError: it is an object.
        """
        (top, *rest), kind = self._fields[raw]
        if isinstance(kind, dict):
            raise DataError(
                f"{self.shown}: column {raw!r}: expected plain values, got objects; name one of their fields, such as "
                f"{raw}.{next(iter(kind), 'name')}."
            )
        value = name(top)
        if rest:
            value = f"json_extract({value}, {text('$' + ''.join('.' + name(key) for key in rest))})"
        value = self._sound(value)
        return (
            f"CASE json_type({value}) WHEN 'ARRAY' THEN array_to_string(from_json({value}, '[\"VARCHAR\"]'), ' ') "
            f"WHEN 'DOUBLE' THEN {_digits(value)} ELSE {value}->>'$' END"
        )

    def check(self, _rows: int) -> None:
        """Nothing that reads well is wrong."""

    def explain(self, error: duckdb.Error, used: Collection[str]) -> DataError:
        """Where the first object is that cannot be read; only on the way out is each line looked at."""
        if _NO_TEXT in str(error):
            return self._no_text(used)
        if self._options["format"] == "'array'":
            where = told(error).rpartition("..., ")[2] if "in file" in str(error) else "damaged"
            return DataError(f"{self.shown}: expected one array of JSON objects ({where}).")
        for number, line in self._lines():
            try:
                whole = isinstance(json.loads(line), dict)
            except (ValueError, RecursionError):
                whole = False
            if not whole:
                return DataError(
                    f'{self.shown}: line {number}: expected one JSON object on each line, such as {{"user_id": 7}}.'
                )
        return DataError(f"{self.shown}: expected JSON lines ({told(error)}).")

    def _sound(self, value: str) -> str:
        """A value in SQL, which stops all where bytes that are no text stand in it."""
        if self._text == self.plain.path:
            return value
        return f"CASE WHEN contains({value}::VARCHAR, {text(_BROKEN)}) THEN error({text(_NO_TEXT)}) ELSE {value} END"

    def _no_text(self, used: Collection[str]) -> DataError:
        """Which value that is read is no text."""
        told = "expected UTF-8, got bytes that are none; state the file's `encoding`, such as cp1252 or latin-1."
        for number, line in self._lines() if self._options["format"] != "'array'" else ():
            found = json.loads(line)
            for raw in (raw for raw in used if raw in self._fields):
                if _BROKEN in json.dumps(_within(found, self._fields[raw][0]), ensure_ascii=False):
                    return DataError(f"{self.shown}: line {number}: column {raw!r}: {told}")
        return DataError(f"{self.shown}: {told}")

    @property
    def _path(self) -> Path:
        """What is read: the text, or where half a character stands in it a copy without."""
        return self._read[0]

    @cached_property
    def _text(self) -> Path:
        """The file, or where bytes of it are no UTF-8 a copy with a sign for them: who reads them alone is refused."""
        if _is_text(self.plain.path):
            return self.plain.path
        copy = self.plain.path.with_name("readable")  # in the scratch folder
        decode = codecs.getincrementaldecoder("utf-8")("surrogateescape").decode
        with self.plain.path.open("rb") as file, copy.open("w", encoding="utf-8", newline="") as sink:
            while block := file.read(_BLOCK):
                sink.write(_ESCAPED.sub(_BROKEN, decode(block)))
            sink.write(_ESCAPED.sub(_BROKEN, decode(b"", True)))
        return copy

    def _lines(self) -> Iterator[tuple[int, bytes]]:
        with self._text.open("rb") as file:
            for number, line in enumerate(file, start=1):
                if line.strip():
                    yield number, line

    @cached_property
    def _options(self) -> dict[str, str]:
        with self.plain.path.open("rb") as file:
            array = file.read(4096).lstrip().startswith(b"[") and self.plain.format == "json"
        return {
            "format": "'array'" if array else "'newline_delimited'", "compression": "'none'",
            "hive_partitioning": "false", "maximum_object_size": str(MOST_OBJECT),
        }  # fmt: skip

    @cached_property
    def _fields(self) -> Mapping[str, tuple[tuple[str, ...], Any]]:
        """Name -> the keys that lead to it and its type; the type of an object is a mapping."""
        structure = self._read[1]
        if not isinstance(structure, dict):
            raise self.explain(duckdb.Error("no objects"), ())
        fields: dict[str, tuple[tuple[str, ...], Any]] = {key: ((key,), kind) for key, kind in structure.items()}
        for path, kind in _nested(structure, ()):  # a key that holds a dot itself goes before
            fields.setdefault(".".join(path), (path, kind))
        return fields

    @cached_property
    def _read(self) -> tuple[Path, Any]:
        """Where it is read, and the types of all keys of its objects."""
        try:
            return self._text, self._structure(self._text)
        except duckdb.Error as error:
            if _HALF not in str(error):
                raise self.explain(error, ()) from None
        mended = self._without_halves()
        try:
            return mended, self._structure(mended)
        except duckdb.Error as error:
            raise self.explain(error, ()) from None

    def _structure(self, path: Path) -> Any:
        source = call("read_json_objects", path, self._options)
        [found] = self.connection.execute(f"SELECT json_group_structure(json) FROM {source}").fetchall()  # noqa: S608
        return json.loads(found[0]) if found[0] else {}

    def _without_halves(self) -> Path:
        """A copy with the escape of U+FFFD, which has as many bytes, where that of half a character stands."""
        copy, places = self.plain.path.with_name("whole"), list[int]()
        shutil.copyfile(self._text, copy)
        with copy.open("r+b") as file, mmap.mmap(file.fileno(), 0) as data:
            for found in _HALVES.finditer(data):
                if found[1]:
                    data[slice(*found.span(1))] = rb"\ufffd"
                    places.append(found.start(1))
            line = data[: places[0]].count(b"\n") + 1 if places else 0
        if places:
            log.warning(
                "%s: %s times a text holds half a character, as where an emoji was cut, first in line %s; each half is "
                "read as U+FFFD", self.shown, f"{len(places):,}", line,
            )  # fmt: skip
        return copy


def _digits(value: str) -> str:
    """A number with a fraction or an exponent as a text, in SQL; from 2^53 on it looks like what has lost digits."""
    whole = f"regexp_replace({value}->>'$', '\\.0+$', '')"
    long = f"regexp_replace({value}->>'$', '[eE](\\d)', 'e+\\1')"
    return f"CASE WHEN abs(TRY_CAST({value}->>'$' AS DOUBLE)) < 9007199254740992 THEN {whole} ELSE {long} END"


def _as_stated(kind: str) -> str:
    """A type that DuckDB found, with texts and what is now this, now that as texts; quoted names in it stay."""
    return _GUESSED.sub(lambda found: found[1] or "VARCHAR", kind)


def _is_text(path: Path) -> bool:
    decode = codecs.getincrementaldecoder("utf-8")().decode
    try:
        with path.open("rb") as file:
            while block := file.read(_BLOCK):
                decode(block)
        decode(b"", True)
    except UnicodeDecodeError:
        return False
    return True


def _within(found: Any, path: Sequence[str]) -> Any:
    """What stands under some keys, one in the other; None: there is nothing."""
    for key in path:
        found = found.get(key) if isinstance(found, dict) else None
    return found


def _nested(types: Mapping[str, Any], before: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    for key, kind in types.items():
        yield (*before, key), kind
        if isinstance(kind, dict):
            yield from _nested(kind, (*before, key))
