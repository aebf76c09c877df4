"""How a file seems to be written: format, encoding, separator, quotes, header."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from pipeline.config.files import FileSource, Format, format_of
from pipeline.data.looking.heads import Head, head_of, usual_separator, whole_rows
from pipeline.data.readers.duck import text
from pipeline.data.readers.files import SourceFile
from pipeline.errors import DataError

NAMES_OR_ROW = "all columns hold texts, so the first line may be a row; it is taken for the columns' names"
_SNIFFED = 1 << 20  # characters by which the form is guessed
_LINES = 20
_SEPARATORS = (";", "\t", "|")
_NONE = "(empty)"  # how DuckDB says that it saw no quote
_WORKBOOK = b"[Content_Types].xml"
# Those in which tables are shipped, the likeliest first; among all that there are, short texts fit too many.
_ENCODINGS = ["cp1252", "latin_1", "gb18030", "big5", "shift_jis", "euc_jp", "euc_kr", "cp1251", "koi8_r", "cp1250"]


@dataclass(frozen=True)
class Form:
    """How a file is read, by all that can be seen."""

    spec: FileSource  # states only what differs from what is so when nothing is said
    format: Format
    head: Head
    doubts: tuple[str, ...] = ()  # what may as well be otherwise

    @property
    def told(self) -> dict[str, Any]:
        """What it is in full, also where it need not be stated."""
        spec = self.spec
        told: dict[str, Any] = {"format": self.format, "compression": self.head.packing or None}
        if self.format in ("csv", "jsonl", "json"):
            told["encoding"] = spec.encoding or self.head.encoding
        if self.format == "csv":
            told |= {"separator": spec.separator or usual_separator(self.head.name), "quote": spec.quote or '"'}
            told |= {"escape": spec.escape, "skip": spec.skip, "decimal": spec.decimal, "header": spec.header}
        return told


def guess_form(file: SourceFile, path: str, scratch: Path) -> Form:
    """The form of a file.

    Args:
        file: Where it lies.
        path: What a scenario calls it.
        scratch: A folder for copies.

    Raises:
        DataError: the file is empty, damaged, or no table that can be read.
    """
    head = head_of(file, FileSource(path=path))
    stated: dict[str, Any] = {"path": path}
    if head.packing == "zip":
        stated["member"] = head.name
    found = _format(head)
    if found != format_of(head.name):
        stated["format"] = found
    doubts: list[str] = []
    if found in ("csv", "jsonl", "json") and (encoding := _encoding(head)):
        stated["encoding"] = encoding
        doubts.append(f"the text is not in UTF-8; {encoding} fits, and so may others")
    if found == "csv":
        stated |= _dialect(head, stated.get("encoding", head.encoding), scratch, doubts)
    return Form(FileSource(**stated), found, head, tuple(doubts))


def _format(head: Head) -> Format:
    """By the ending, unless the first bytes say something else."""
    named = format_of(head.name)
    if head.data.startswith(b"PAR1"):
        return "parquet"
    if head.data.startswith(b"PK\x03\x04") and _WORKBOOK in head.data:
        return "excel"
    if named and named != "csv":
        return named
    start = head.data.removeprefix(b"\xef\xbb\xbf").lstrip()[:2]
    if start.startswith(b'{"'):
        return "jsonl"
    return "json" if start in (b"[{", b"[\n", b"[ ") and named is None else "csv"


def _encoding(head: Head) -> str | None:
    """The encoding to be stated; none where a mark says it, or the bytes are UTF-8."""
    if head.encoding != "utf-8":
        return None
    try:
        head.data.decode()
        return None
    except UnicodeDecodeError as error:
        if not head.whole and error.start > len(head.data) - 4:  # a character cut in two
            return None
    from charset_normalizer import from_bytes

    lines = b"\n".join(line for line in head.data.splitlines()[:200_000] if not line.isascii())
    best = from_bytes(lines[:_SNIFFED], cp_isolation=_ENCODINGS).best()
    if best is None:
        raise DataError(
            f"{head.file.shown}: expected a text, got bytes that are none in UTF-8 or another usual encoding; state "
            "its `encoding` in a scenario."
        )
    return next((one for one in _ENCODINGS if one in best.could_be_from_charset), str(best.encoding))


def _dialect(head: Head, encoding: str, scratch: Path, doubts: list[str]) -> dict[str, Any]:
    """What differs from a comma, double quotes and a header."""
    plain = head.data.decode(encoding, errors="replace").removeprefix("\ufeff")
    if not head.whole or len(plain) > _SNIFFED:
        plain = whole_rows(plain[:_SNIFFED].encode()).decode()
    where = scratch / "sniffed"
    where.write_text(plain, encoding="utf-8")
    lines = [line for line in plain.splitlines()[:_LINES] if line.strip()]
    double = bool(lines) and all("::" in line for line in lines)  # DuckDB reads it, and does not try it
    found = _sniffed(where, head.file.shown, ", delim = '::'" if double else "")
    if len(found["Columns"]) == 1 and (other := next((one for one in _SEPARATORS if one in lines[0]), "")):
        # some rows do not fit, and the reader will say which
        forced = f", delim = {text(other)}, ignore_errors = true, strict_mode = false"
        found = _sniffed(where, head.file.shown, forced)
    separator = str(found["Delimiter"])
    columns, quote = found["Columns"], found["Quote"]
    stated: dict[str, Any] = {}
    if len(columns) > 1 and separator != usual_separator(head.name):
        stated["separator"] = separator
    if quote == _NONE:
        stated |= {"quote": "none"} if '"' in plain else {}
    else:
        stated |= {"quote": quote} if quote != '"' else {}
        stated |= {"escape": found["Escape"]} if found["Escape"] not in (_NONE, quote) else {}
    if found["SkipRows"]:
        stated["skip"] = found["SkipRows"]
        doubts.append(f"the first {found['SkipRows']} lines seem to be neither names nor rows, and are skipped")
    if not found["HasHeader"] and not _names_beside_an_index(lines, separator):
        stated |= {"header": False, "names": tuple(f"column_{place + 1}" for place in range(len(columns)))}
    elif all(column["type"] == "VARCHAR" for column in columns):
        doubts.append(NAMES_OR_ROW)
    if separator != "," and _has_decimal_commas(lines[1:], separator):
        stated["decimal"] = ","
    return stated


def _sniffed(where: Path, shown: str, options: str) -> dict[str, Any]:
    names = ("Delimiter", "Quote", "Escape", "SkipRows", "HasHeader", "Columns")
    asked = f"SELECT {', '.join(names)} FROM sniff_csv({text(str(where))}{options})"  # noqa: S608
    try:
        with duckdb.connect() as opened:
            row = opened.execute(asked).fetchone()
    except duckdb.Error:
        raise DataError(
            f"{shown}: expected a table of text with separators, and no separator makes rows of one kind of it; if it "
            "is another kind of file, state its `format` in a scenario."
        ) from None
    return dict(zip(names, row or (), strict=True))


def _names_beside_an_index(lines: list[str], separator: str) -> bool:
    """Whether names follow an empty field, as a data frame is written: DuckDB takes that for a missing number."""
    if len(lines) < 2:  # names, and a row
        return False
    first, *others = ([field.strip('" ') for field in line.split(separator)] for line in lines)
    named = not first[0] and all(re.match(r"[^\W\d]", name) for name in first[1:]) and len(set(first)) == len(first)
    return named and len(first) > 1 and all(re.fullmatch(r"\d+", one[0]) for one in others)


def _has_decimal_commas(lines: list[str], separator: str) -> bool:
    fields = [field.strip('" ') for line in lines for field in line.split(separator)]
    commas = any(re.fullmatch(r"-?\d+,\d{1,6}", field) for field in fields)
    return commas and not any(re.fullmatch(r"-?\d+\.\d+", field) for field in fields)
