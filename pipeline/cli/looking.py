"""`crosslift look` and `crosslift init`: what files seem to be, and a first scenario of them."""

import os
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.cli.output import AsJson, print_json, print_table
from pipeline.errors import ConfigError, DataError
from pipeline.folders import storage_errors
from pipeline.scenarios import check_file

if TYPE_CHECKING:
    from pipeline.data.looking.files import Common, Looked
    from pipeline.data.readers.files import LocalFile

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


def init(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Where the tables lie.")],
    name: Annotated[str | None, typer.Option(help="Of the scenario; that of the folder if not given.")] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER", help="Where NAME.yaml is written: CROSSLIFT_SCENARIOS, else the current folder."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Write a first scenario from what the files of a folder seem to be, with a comment beside each guess.

    A file that is there already stays. What cannot be known from the files, such as which shop is to be helped, is told
    and stands at the top of the scenario.
    """
    from pipeline.data.looking.drafting import slug
    from pipeline.data.looking.starting import start

    root, below = _root(folder)
    called = name or slug(folder.resolve().name)
    target = (out or Path(os.environ.get("CROSSLIFT_SCENARIOS") or ".").expanduser()) / f"{called}.yaml"
    if target.exists():
        raise ConfigError(f"{target}: is there already, and stays as it is; give another --name or --out.")
    begun = start(root, below, called)
    with storage_errors(target.parent), TemporaryDirectory(prefix="crosslift-") as scratch:
        (draft := Path(scratch) / target.name).write_text(begun.text, encoding="utf-8")
        check_file(draft)
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("x", encoding="utf-8") as file:
            file.write(begun.text)
    if as_json:
        print_json({"path": str(target), "data": str(root), **asdict(begun)})
        return
    print(f"{target} reads {', '.join(begun.used)}.")
    for shown, why in begun.unused.items():
        print(f"Not used: {shown}: {why.splitlines()[0]}")
    for question in begun.open_questions:
        print(f"Not known: {question}")
    print(f"Read its comments, then: crosslift scenarios check {target} (CROSSLIFT_DATA={root})")


def _root(folder: Path) -> tuple[Path, str]:
    """The data folder, which is CROSSLIFT_DATA where the tables lie below it, and what the tables' folder is in it."""
    if not folder.is_dir():
        raise DataError(f"{folder}: expected a folder with tables.")
    there = folder.resolve()
    root = Path(os.environ.get("CROSSLIFT_DATA") or there).expanduser().resolve()
    return (root, there.relative_to(root).as_posix()) if there.is_relative_to(root) else (there, ".")


def in_words(common: "Common") -> str:
    """What two files have in common, in a sentence."""
    one, other = common.files
    count, of = common.common, min(common.ids)
    told = f"{one} and {other}: {count:,} ids of {common.role} in common, {common.share:.0%} of {of:,}"
    ways = [f"{number:,} with `{common.role}: {{alike: [{way}]}}`" for way, number in common.alike.items()]
    return f"{told}; {', '.join(ways)}" if ways else told


def _local(path: Path) -> "LocalFile":
    from pipeline.data.readers.files import LocalFile

    if not path.is_file():
        raise DataError(f"{path}: there is no such file." if not path.exists() else f"{path}: expected a file.")
    whole = path.resolve()
    return LocalFile(whole, whole.parent)


def _print_file(one: "Looked") -> None:
    from pipeline.data.looking.profiles import shown

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
    for kinds in (seen.domains, seen.events):
        counts += [", ".join(f"{shown(kind)} {count:,}" for kind, count in kinds.items())] if kinds else []
    counts += [f"label {seen.label}"] if seen.label else []
    counts.append(f"{seen.repeated / max(1, seen.rows):.1%} of the rows repeat an earlier one")
    print("; ".join(counts) + ".")
    doubts = [*one.form.doubts, *(column.problem for column in seen.columns if column.problem)]
    doubts += [f"{name}: holds objects; name one of their fields" for name in one.inner]
    if one.left:
        doubts.append(f"{one.left:,} more columns were not looked at")
    for doubt in doubts:
        print(f"Not sure: {doubt}.")
    print()
