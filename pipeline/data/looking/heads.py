"""The first part of a file in the place of the whole: nobody waits for 60 gigabytes to see ten columns."""

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from pipeline.config.files import FileSource, Format
from pipeline.data.readers.files import SourceFile
from pipeline.data.readers.unpacking import BROKEN, encoding_of, opened
from pipeline.errors import DataError

MOST = 32 << 20  # bytes that are looked at, unpacked
_PACKED = ((b"\x1f\x8b", "gzip"), (b"BZh", "bzip2"), (b"\x28\xb5\x2f\xfd", "zstd"))


@dataclass(frozen=True)
class Head:
    """What a file begins with, unpacked."""

    file: SourceFile
    name: str  # tells the format; of a zip the member's
    packing: str  # gzip, bzip2, zstd, zip; empty: none
    encoding: str  # as its mark or the scenario says, else UTF-8
    data: bytes
    whole: bool  # there is no more

    def part(self, spec: FileSource, found: Format, folder: Path) -> tuple[SourceFile, FileSource, bool]:
        """What can be read in the place of the file, how it is read, and whether that is the whole file.

        Of a text whose rows are lines that is the first of them; anything else is no table without its end.
        """
        broad = self.encoding.startswith(("utf-16", "utf-32"))  # of which a line's end is no single byte
        if found == "json" and not self.data.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"["):
            found = "jsonl"  # lines under the other ending
        if self.whole or found not in ("csv", "jsonl") or broad:
            return self.file, spec, True
        path = folder / "head"
        quote = "" if found == "jsonl" or spec.quote == "none" else spec.quote or '"'
        path.write_bytes(whole_rows(self.data, quote.encode(), (spec.escape or "").encode()))
        stated: dict[str, str | None] = {"member": None, "format": found}
        if found == "csv":
            stated["separator"] = spec.separator or usual_separator(self.name)
        return _Part(self.file.shown, path), spec.model_copy(update=stated), False


@dataclass(frozen=True)
class _Part:
    """The first lines of a file, under its name."""

    shown: str
    local: Path

    def open(self) -> BinaryIO:
        return self.local.open("rb")

    def size(self) -> int:
        return self.local.stat().st_size

    def identity(self) -> str:
        return ""

    def state(self) -> object:
        return None


def whole_rows(data: bytes, quote: bytes = b'"', escape: bytes = b"") -> bytes:
    """What of a cut text are whole rows: up to the last line end that stands in no quotes."""

    def quotes(part: bytes) -> int:
        return (part.count(quote) - (part.count(escape + quote) if escape not in (b"", quote) else 0)) if quote else 0

    end = last = data.rfind(b"\n") + 1
    count = quotes(data[:end])
    while end and count % 2:
        before = data.rfind(b"\n", 0, end - 1) + 1
        count, end = count - quotes(data[before:end]), before
    return data[: end or last] or data  # an odd quote at the beginning decides nothing


def usual_separator(name: str) -> str:
    """What stands between two fields when nothing is said."""
    return "\t" if ".tsv" in name.lower() else ","


def head_of(file: SourceFile, spec: FileSource, most: int | None = None) -> Head:
    """The first part of a file, of which the scenario may say already how it is read.

    Args:
        file: Where it lies.
        spec: How it is read, as far as that is known.
        most: Bytes, unpacked; `MOST` if not given.

    Raises:
        DataError: it is empty, damaged, or a zip of several files of which none is named.
    """
    try:
        with ExitStack() as stack:
            start = stack.enter_context(file.open()).read(8)
            stream, name, packed = opened(file, spec, stack)
            data = stream.read((limit := most or MOST) + 1)
    except BROKEN as error:
        raise DataError(f"{file.shown}: cannot be read ({error}); is the file whole?") from error
    if not data:
        raise DataError(f"{file.shown}: the file is empty; expected a table.")
    packing = next((told for mark, told in _PACKED if start.startswith(mark)), "zip") if packed else ""
    return Head(file, name, packing, encoding_of(data[:1024], spec), data[:limit], len(data) <= limit)
