"""How commands speak: one JSON document, or text for people; progress goes to standard error."""

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rich.console import Console

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document, and nothing else on standard output.")]


@contextmanager
def quiet(as_json: bool) -> Iterator[None]:
    """Keep standard output for the JSON document: what libraries print meanwhile goes to standard error."""
    if not as_json:
        yield
        return
    with redirect_stdout(sys.stderr):
        yield


def print_json(value: Any) -> None:
    """Print one JSON document."""
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False, default=str)
    print(text.encode("utf-8", "backslashreplace").decode("utf-8"))  # names of files may hold bytes that are no text


def text_console(*, stderr: bool = False) -> "Console":
    """Give a console that breaks no lines, so that paths can be copied."""
    from rich.console import Console

    return Console(stderr=stderr, soft_wrap=True, highlight=False, markup=False)


def print_table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print plain columns, as wide as they must be; control characters are shown, not obeyed."""
    cells = [list(columns), *([_plain(cell) for cell in row] for row in rows)]
    widths = [max(len(row[place]) for row in cells) for place in range(len(columns))]
    for row in cells:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _plain(cell: object) -> str:
    text = "" if cell is None else f"{cell:.4f}" if isinstance(cell, float) else str(cell)
    return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in text)
