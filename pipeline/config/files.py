"""A file as its publisher ships it: where it lies and how it is read."""

import codecs
import re
from pathlib import PurePosixPath
from typing import Annotated, ClassVar, Literal, Self
from urllib.parse import parse_qsl

from pydantic import AfterValidator, Field, model_validator

from pipeline.config.base import Config

VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")  # ${NAME}: an environment variable
_PASSWORD = re.compile(r"^[^:/]*://[^:/@]*:(?P<password>[^@]*)@")  # as SQLAlchemy finds it
_SECRET = re.compile(r"passw|passphrase|\bpass\b|pwd|token|secret|credential|signature", re.IGNORECASE)

Format = Literal["csv", "parquet", "jsonl", "json", "excel"]
FORMATS: dict[str, Format] = {
    ".csv": "csv", ".tsv": "csv", ".dat": "csv", ".txt": "csv", ".data": "csv",
    ".parquet": "parquet", ".pq": "parquet", ".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "json",
    ".xlsx": "excel", ".xlsm": "excel", ".xlsb": "excel", ".xls": "excel", ".ods": "excel",
}  # fmt: skip
PACKED = (".gz", ".bz2", ".zst", ".zip")


def format_of(name: str) -> Format | None:
    """The format that a file's ending tells, also before the ending of a compression."""
    suffixes = [suffix.lower() for suffix in PurePosixPath(name).suffixes]
    while suffixes and suffixes[-1] in PACKED:
        suffixes.pop()
    return FORMATS.get(suffixes[-1]) if suffixes else None


def _separator(text: str) -> str:
    """One to four bytes that end no line; backslash and t is the tab that it is meant to be."""
    text = text.replace(r"\t", "\t")
    if not 1 <= len(text.encode()) <= 4 or set(text) & set('\r\n\0"'):
        raise ValueError('expected one to four bytes that are no quote and no line break, such as ";", "::" or "\\t"')
    return text


def _encoding(name: str) -> str:
    try:
        decoder = codecs.lookup(name).incrementaldecoder
        "".encode(name)  # refuses what makes bytes of bytes, such as zip
    except (LookupError, ValueError):
        decoder = None
    if decoder is None:
        raise ValueError("expected an encoding that Python knows, such as cp1252, latin-1, gb18030 or utf-16")
    return name


def _quote(text: str) -> str:
    if text != "none" and (len(text) != 1 or not text.isascii() or text in "\r\n\0"):
        raise ValueError("expected one ASCII character, or `none` where quotes are characters like any other")
    return text


def _escape(text: str) -> str:
    if len(text) != 1 or not text.isascii() or text in "\r\n\0":
        raise ValueError("expected one ASCII character, such as a backslash")
    return text


def refuse_secrets(key: str, url: str, remedy: str) -> None:
    """Refuse a URL with a password in it: a scenario is read and copied by many.

    Raises:
        ValueError: one stands there and not the name of a variable, `${NAME}`.
    """
    given = _PASSWORD.match(url)
    values = [given["password"]] if given else []
    for name, value in parse_qsl(url.partition("?")[2]):
        values += [value] if _SECRET.search(name) else []
        parts = [part.partition("=") for part in value.split(";")]  # as in odbc_connect
        values += [part for key, _, part in parts if _SECRET.search(key)]
    if any(VARIABLE.sub("", value) for value in values):
        raise ValueError(f"{key}: expected no password in the file, got one; {remedy}")


class FileSource(Config):
    """Files and how they are read; a key that does not fit their format is refused, because it would do nothing."""

    of_format: ClassVar[dict[str, tuple[Format, ...]]] = {
        "separator": ("csv",),
        "encoding": ("csv", "jsonl", "json"),
        "header": ("csv", "excel"),
        "names": ("csv", "excel"),
        "quote": ("csv",),
        "escape": ("csv",),
        "skip": ("csv", "excel"),
        "decimal": ("csv",),
        "sheet": ("excel",),
    }

    path: str = Field(min_length=1)  # below the data folder: a file, a glob or a folder; or a URL such as s3://...
    format: Format | None = None  # None: by the file's ending, also before .gz, .bz2, .zst, .zip
    member: str | None = None  # name or glob of the one file in a zip that holds several
    separator: Annotated[str, AfterValidator(_separator)] | None = None  # None: a comma, of .tsv a tab
    encoding: Annotated[str, AfterValidator(_encoding)] | None = None  # None: UTF-8, or what the file's mark says
    header: bool = True  # False: the first line is a row, and `names` says what its fields are
    names: tuple[str, ...] = ()
    quote: Annotated[str, AfterValidator(_quote)] | None = None  # None: a double quote
    escape: Annotated[str, AfterValidator(_escape)] | None = None  # None: a quote in a quoted field stands twice
    skip: int = Field(default=0, ge=0)  # lines before the header
    decimal: Literal[".", ","] = "."
    sheet: str | None = None  # None: the only one that is not empty

    @property
    def stated(self) -> list[str]:
        """The keys about the reading that differ from what is so when nothing is said."""
        fields = type(self).model_fields
        return [name for name in self.of_format if getattr(self, name) != fields[name].default]

    def check(self, found: Format) -> None:
        """Hold what is stated against the format of the file.

        Raises:
            ValueError: a key does not fit it.
        """
        for name in self.stated:
            if found not in self.of_format[name]:
                fit = " and ".join(self.of_format[name])
                raise ValueError(f"{name}: means something for {fit} alone, and this is {found}; leave it out")

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        refuse_secrets("path", self.path, "what opens a store belongs into its own environment variables")
        if self.header and self.names:
            raise ValueError("names: expected only beside `header: false`; `columns` gives a column another name")
        if not self.header and not self.names:
            raise ValueError("header: false needs `names`, the names of the columns in their order")
        if twice := sorted({name for name in self.names if self.names.count(name) > 1}):
            raise ValueError(f"names: {', '.join(twice)} stands there more than once")
        if self.quote == "none" and self.escape is not None:
            raise ValueError("escape: means something in quotes alone, and `quote: none` says that there are none")
        if found := self.format or format_of(self.member or self.path):
            self.check(found)
        return self
