"""A file in any packing and encoding into one that a reader takes: plain, texts in UTF-8, one kind of line end."""

import bz2
import codecs
import fnmatch
import gzip
import io
import shutil
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from pipeline.config.files import FileSource, Format, format_of
from pipeline.data.readers.files import SourceFile, data_format, is_hidden
from pipeline.errors import ConfigError, DataError
from pipeline.folders import storage_errors

MOST_TIMES = 200  # a packed file may unpack to so many times its size; real tables reach some 20
ALWAYS = 1 << 30  # bytes that it may unpack to whatever its size
KEPT_FREE = 1 << 30  # bytes of the scratch disk that are left alone
_BLOCK = 1 << 20
_LAYERS = 4  # packings that are looked into; there are files that unpack to themselves
BROKEN = (OSError, EOFError, ValueError, zlib.error, zipfile.BadZipFile, RuntimeError, NotImplementedError)
_MARKS = (  # UTF-32 before UTF-16, whose mark it begins with
    (codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"),
)  # fmt: skip
_ZIP = b"PK\x03\x04"
_OTHERS = (  # what is no text, and what to do with it
    (b"PAR1", "a Parquet file: state `format: parquet`"),
    (_ZIP, "an Excel file: state `format: excel`"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old Excel file: state `format: excel`"),
    (b"SQLite format 3\0", "a SQLite file: state its `url`, such as sqlite:///shop.db, and a `query`"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive: unpack it and name the file in it"),
    (b"Rar!", "a RAR archive: unpack it and name the file in it"),
    (b"\xfd7zXZ\0", "packed with xz: unpack it, or pack it with gz or zst"),
    (b"%PDF", "a PDF file: tables are read from CSV, Parquet, JSON or Excel"),
)


@dataclass(frozen=True)
class Plain:
    """A file as a reader takes it."""

    path: Path  # in the scratch folder, of which a reader may make use
    name: str  # tells its format; of a zip the member's
    format: Format
    lines: int = 0  # of a text: those with a line end, and what stands after the last one


def unpack(file: SourceFile, spec: FileSource, scratch: Path) -> Plain:
    """The file, or a copy in the scratch folder where it is packed, not in UTF-8, or not on this machine.

    What is no text in the encoding stays as it is, so that only a column that holds it is refused.

    Raises:
        ConfigError: the scenario states what does not fit the file's format.
        DataError: the file is empty, damaged, of another kind than stated, larger unpacked than `MOST_TIMES` allows,
            or a zip in which it is not clear which file is meant.
        StorageError: the scratch folder is full.
    """
    try:
        with ExitStack() as stack:
            stream, name, packed = opened(file, spec, stack)
            head = stream.peek(1024)[:1024]
            if not head:
                raise DataError(f"{file.shown}: the file is empty; expected a table.")
            found = data_format(name, spec.format)
            _check_kind(head, found, spec, file.shown)
            blocks = _limited(stream, _limit(file, scratch, packed), file.shown)
            here = None if packed else file.local
            if found not in ("parquet", "excel"):
                return _text(blocks, encoding_of(head, spec), here, Plain(scratch / "text", name, found))
            plain = Plain(_linked(here, scratch) if here else _written(blocks, scratch / "bytes"), name, found)
    except BROKEN as error:
        told = "it is encrypted" if isinstance(error, RuntimeError) else str(error) or type(error).__name__
        raise DataError(f"{file.shown}: cannot be read ({told}); is the file whole?") from error
    if found == "excel":
        _check_excel(plain.path, _limit(file, scratch, True), file.shown)
    return plain


def opened(file: SourceFile, spec: FileSource, stack: ExitStack) -> tuple[io.BufferedReader, str, bool]:
    """The file's bytes without any packing, the name that tells their format, and whether they were packed.

    What is packed is seen by its first bytes, because names lie.
    """
    raw: Any = stack.enter_context(file.open())
    name, packed = file.shown, False
    for _ in range(_LAYERS):
        stream = stack.enter_context(io.BufferedReader(raw, _BLOCK))
        head = stream.peek(16)[:16]
        if head.startswith(_ZIP) and (spec.format or format_of(name)) != "excel":
            archive = stack.enter_context(zipfile.ZipFile(stream))
            if "[Content_Types].xml" in archive.namelist():
                stream.seek(0)
                return stream, name, packed  # a table that is told to be something else
            name = _member(archive, spec, file.shown)
            raw = stack.enter_context(archive.open(name))
        elif head.startswith(b"\x1f\x8b\x08"):
            raw = stack.enter_context(gzip.GzipFile(fileobj=stream, mode="rb"))
        elif head.startswith(b"BZh") and head[4:10] == b"1AY&SY":
            raw = stack.enter_context(bz2.BZ2File(stream))
        elif head.startswith(b"\x28\xb5\x2f\xfd"):
            raw = stack.enter_context(pa.CompressedInputStream(stream, "zstd"))
        else:
            break
        packed = True
    else:
        raise DataError(f"{file.shown}: expected at most {_LAYERS - 1} packings in each other, got more; unpack it.")
    if spec.member and name == file.shown:
        raise ConfigError(f"{file.shown}: member: means something for a zip alone, and this is none; leave it out.")
    return stream, name, packed


def _member(archive: zipfile.ZipFile, spec: FileSource, shown: str) -> str:
    """The one file of a zip that is meant."""
    files = [info.filename for info in archive.infolist() if not info.is_dir()]
    files = [name for name in files if not is_hidden(name) and "__MACOSX" not in name]
    wanted = [name for name in files if spec.member is None or fnmatch.fnmatchcase(name, spec.member)]
    if spec.member in files:
        wanted = [str(spec.member)]
    if len(wanted) == 1:
        return wanted[0]
    there = ", ".join(map(repr, files[:20])) + (f" and {len(files) - 20} more" if len(files) > 20 else "")
    raise DataError(
        f"{shown}: expected a zip in which one file is meant, got {len(wanted)}; name it with `member:`. It holds: "
        f"{there or 'nothing'}."
    )


def _check_kind(head: bytes, found: Format, spec: FileSource, shown: str) -> None:
    """Refuse what is another kind of file than stated, and a key that would do nothing for this kind."""
    try:
        spec.check(found)
    except ValueError as error:
        raise ConfigError(f"{shown}: {error}.") from None
    if found in ("parquet", "excel"):
        return
    marked, stated = encoding_of(head, FileSource(path=shown)), encoding_of(head, spec)
    marked = marked.removesuffix("-sig")
    if head.startswith(tuple(mark for mark, _ in _MARKS)) and not stated.startswith(marked):
        raise ConfigError(f"{shown}: encoding: the file begins with the mark of {marked}, got {stated}; leave it out.")
    for mark, told in _OTHERS:
        if head.startswith(mark):
            raise DataError(f"{shown}: expected {found}, got {told}.")
    if head.count(b"\0") * 20 > len(head) and encoding_of(head, spec) == "utf-8":
        raise DataError(
            f"{shown}: expected a text, got bytes that are none (NUL among the first). A text in UTF-16 without a mark "
            "needs `encoding: utf-16-le` or `utf-16-be`; for another kind of file state its `format`."
        )


def encoding_of(head: bytes, spec: FileSource) -> str:
    """The encoding as stated, or as the file's first bytes say, or UTF-8."""
    marked = next((encoding for mark, encoding in _MARKS if head.startswith(mark)), "utf-8")
    stated = codecs.lookup(spec.encoding).name if spec.encoding else marked
    return "utf-8-sig" if stated == "utf-8" and marked == "utf-8-sig" else stated


def _text(blocks: Iterator[bytes], encoding: str, here: Path | None, plain: Plain) -> Plain:
    """The text in UTF-8 with one kind of line end; where the file is that already, the file itself."""
    ends = _Ends()
    if here and encoding in ("utf-8", "ascii"):
        path = _linked(here, plain.path.parent)
        for block in blocks:
            ends.count(block)
    else:
        path = _written(map(ends.count, _recoded(blocks, encoding)), plain.path)
    if ends.mixed:  # DuckDB takes one kind alone
        with path.open("rb") as file:
            lines = (line[:-2] + b"\n" if line.endswith(b"\r\n") else line for line in file)
            path = _written(lines, plain.path.with_name("lines"))
    elif ends.cr and not ends.lf:  # as an old Macintosh writes them: nobody else takes these for lines
        with path.open("rb") as file:
            blocks = iter(lambda: file.read(_BLOCK).replace(b"\r", b"\n"), b"")
            path = _written(blocks, plain.path.with_name("lines"))
    return replace(plain, path=path, lines=ends.lines)


def _linked(path: Path, scratch: Path) -> Path:
    """The file by a name in which no letter means anything to a reader."""
    link = scratch / "file"
    link.symlink_to(path)
    return link


class _Ends:
    """Counts the line ends of a text that comes in blocks."""

    def __init__(self) -> None:
        self.lf = self.cr = self.crlf = 0
        self.last = b""

    def count(self, block: bytes) -> bytes:
        """Take one more block, and give it back."""
        self.lf += block.count(b"\n")
        self.cr += block.count(b"\r")
        self.crlf += block.count(b"\r\n") + (self.last == b"\r" and block.startswith(b"\n"))
        self.last = block[-1:] or self.last
        return block

    @property
    def mixed(self) -> bool:
        """Whether lines end in both ways."""
        return 0 < self.crlf < self.lf

    @property
    def lines(self) -> int:
        """How many lines there are, the last one also without an end."""
        return (self.lf or self.cr) + (self.last not in (b"", b"\n", b"\r"))


def _recoded(blocks: Iterator[bytes], encoding: str) -> Iterator[bytes]:
    decoder = codecs.getincrementaldecoder(encoding)("surrogateescape")
    first = True
    for block in blocks:
        text = decoder.decode(block)
        if first and text:
            text, first = text.removeprefix("\ufeff"), False
        yield text.encode("utf-8", "surrogateescape")
    yield decoder.decode(b"", True).encode("utf-8", "surrogateescape")


def _limited(stream: io.BufferedReader, limit: int, shown: str) -> Iterator[bytes]:
    """The bytes in blocks, up to a number of them."""
    total = 0
    while block := stream.read(_BLOCK):
        total += len(block)
        if total > limit:
            raise DataError(
                f"{shown}: unpacks to more than {limit:,} bytes ({MOST_TIMES} times its size, at least {ALWAYS:,}, and "
                "no more than the disk of the temporary folder has). If this is no mistake, unpack it and name the "
                "file; TMPDIR names another temporary folder."
            )
        yield block


def _limit(file: SourceFile, scratch: Path, packed: bool) -> int:
    free = shutil.disk_usage(scratch).free - KEPT_FREE
    if file.local and not packed:
        return 1 << 62  # it is read where it lies
    return max(0, min(free, max(ALWAYS, MOST_TIMES * file.size())) if packed else free)


def _written(blocks: Iterator[bytes], path: Path) -> Path:
    with storage_errors(path.parent), path.open("wb") as file:
        for block in blocks:
            file.write(block)
    return path


def _check_excel(path: Path, limit: int, shown: str) -> None:
    """Refuse a workbook that unpacks to too much: its reader would take it all into memory."""
    if not zipfile.is_zipfile(path):
        return
    try:
        with zipfile.ZipFile(path) as archive:
            if sum(info.file_size for info in archive.infolist()) > limit:
                raise DataError(f"{shown}: unpacks to more than {limit:,} bytes; deliver it as CSV or Parquet.")
            bad = archive.testzip()  # a size that lies does not have its checksum
    except BROKEN as error:
        raise DataError(f"{shown}: cannot be read ({error}); is the file whole?") from error
    if bad:
        raise DataError(f"{shown}: cannot be read (damaged at {bad!r}); is the file whole?")
