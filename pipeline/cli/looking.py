"""`crosslift look`: what files seem to be, before a scenario is written."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.cli.output import AsJson, print_json, print_table
from pipeline.errors import DataError

if TYPE_CHECKING:
    from pipeline.data.files import LocalFile
    from pipeline.data.looking.files import Common, Looked

Paths = Annotated[list[Path], typer.Argument(metavar="FILE...", help="CSV, Parquet, JSON or Excel, also packed.")]


def look(files: Paths, as_json: AsJson = False) -> None:
    """What files seem to hold: form, columns, rows, users, items, times, and ids in common.

    All of it is guessed. Of a large file the first rows are read, and their number is told. Examples of what seems to
    be personal, users' ids among it, show their shape alone.
    """
    from pipeline.data.looking.files import in_common
    from pipeline.data.looking.files import look as look_at

    looked = [look_at(_local(path), path.name) for path in files]
    common = in_common(looked)
    if as_json:
        told = [{**asdict(one), "share": one.share} for one in common]
        print_json({"files": [one.as_json() for one in looked], "in_common": told})
        return
    for one in looked:
        _print_file(one)
    for pair in common:
        print(in_words(pair))


def in_words(common: "Common") -> str:
    """What two files have in common, in a sentence."""
    one, other = common.files
    count, of = common.common, min(common.ids)
    told = f"{one} and {other}: {count:,} ids of {common.role} in common, {common.share:.0%} of {of:,}"
    ways = [f"{number:,} with `{common.role}: {{alike: [{way}]}}`" for way, number in common.alike.items()]
    return f"{told}; {', '.join(ways)}" if ways else told


def _local(path: Path) -> "LocalFile":
    from pipeline.data.files import LocalFile

    if not path.is_file():
        raise DataError(f"{path}: there is no such file." if not path.exists() else f"{path}: expected a file.")
    whole = path.resolve()
    return LocalFile(whole, whole.parent)


def _print_file(one: "Looked") -> None:
    seen = one.profile
    form = ", ".join(f"{key} {value!r}" for key, value in one.form.told.items() if value not in (None, 0))
    rows = f"{seen.rows:,} rows" if seen.whole else f"the first {seen.rows:,} rows were looked at"
    print(f"{one.shown}: {form}; {rows}")
    columns = [
        (column.name, column.type, column.role and f"{column.role}, {column.why}", column.distinct, column.empty,
         ", ".join(column.examples))
        for column in seen.columns
    ]  # fmt: skip
    print_table(("column", "type", "seems to be", "different", "empty", "examples"), columns)
    counted = {"users": seen.users, "items": seen.items}
    counts = [f"{number:,} {what}" for what, number in counted.items() if number is not None]
    counts += [f"{seen.first} to {seen.last}"] if seen.first else []
    counts += [", ".join(f"{event} {count:,}" for event, count in seen.events.items())] if seen.events else []
    counts += [f"label {seen.label}"] if seen.label else []
    counts.append(f"{seen.repeated / max(1, seen.rows):.1%} of the rows repeat an earlier one")
    print("; ".join(counts) + ".")
    doubts = [*one.form.doubts, *(column.problem for column in seen.columns if column.problem)]
    doubts += [f"{name}: holds objects; name one of their fields" for name in one.inner]
    for doubt in doubts:
        print(f"Not sure: {doubt}.")
    print()
