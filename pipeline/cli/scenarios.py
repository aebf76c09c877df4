"""`crosslift scenarios`: which there are, what they say, and whether a file of yours is one."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.cli.output import AsJson, print_json, print_table
from pipeline.config import names_of
from pipeline.errors import DataError, ExitCode
from pipeline.scenarios import check_file, find_scenarios, json_schema, load_scenario

if TYPE_CHECKING:
    from pipeline.config import Scenario
    from pipeline.data.looking.checking import Checked

scenarios = typer.Typer(help="List, show and check scenarios.", no_args_is_help=True)


@scenarios.command("list")
def list_scenarios(as_json: AsJson = False) -> None:
    """All scenarios: the built-in ones and those of the folder that CROSSLIFT_SCENARIOS names."""
    found = find_scenarios().values()
    if as_json:
        print_json(
            [
                {
                    "name": one.name,
                    "path": one.path,
                    "error": one.error or None,
                    "title": one.scenario.title if one.scenario else None,
                    "sources": one.scenario.teachers if one.scenario else None,
                    "target": one.scenario.target if one.scenario else None,
                }
                for one in found
            ]
        )
        return
    rows = [
        (one.name, f"{', '.join(one.scenario.teachers)} -> {one.scenario.target}", one.scenario.title)
        if one.scenario
        else (one.name, "BROKEN", one.error.splitlines()[0])
        for one in found
    ]
    print_table(("name", "domains", "title"), rows)


@scenarios.command("show")
def show(name: str, as_json: AsJson = False) -> None:
    """A scenario with all its settings, also those that its file leaves to the defaults."""
    values = load_scenario(name).model_dump(mode="json")
    if as_json:
        print_json(values)
    else:
        import yaml

        print(yaml.safe_dump(values, sort_keys=False, allow_unicode=True, width=120), end="")


@scenarios.command("check")
def check(file: Annotated[Path, typer.Argument(metavar="FILE", help="A YAML file.")], as_json: AsJson = False) -> None:
    """Whether a file is a scenario; every wrong key is named, with what was expected.

    The encoders that it names, if it does, have to be installed. Where CROSSLIFT_DATA is set, the first rows of
    the files that it names are held against it as well.
    """
    scenario = check_file(file)
    if scenario.encoders:
        from pipeline.data.encoder_folders import require

        require(scenario.encoders)
    checked = _tables(scenario)
    if checked.problems:
        raise DataError("\n".join(f"{file}: {problem}" for problem in checked.problems))
    lanes = list(names_of(scenario))
    if as_json:
        told = {"name": scenario.name, "valid": True, "lanes": lanes}
        looked = {"looked_at": checked.files, "unreadable": checked.unreadable, "not_looked_at": checked.left}
        print_json({**told, **looked})
        raise typer.Exit(ExitCode.OK)
    print(f"{file}: {scenario.name} is a valid scenario with the lanes {', '.join(lanes)}.")
    for unreadable in checked.unreadable:
        print(f"Warning: {unreadable}")
    if checked.files and not checked.unreadable:
        print(f"It fits the first rows of {', '.join(checked.files)}.")
    for left in checked.left:
        print(f"Not looked at: {left}.")
    raise typer.Exit(ExitCode.OK)


def _tables(scenario: "Scenario") -> "Checked":
    """The first rows of a scenario's files, held against it."""
    from pipeline.data.looking.checking import Checked, check_tables
    from pipeline.runs.run import data_root
    from pipeline.tasks.tables import tables_of

    if scenario.tables is None:
        return Checked()
    root = data_root() if os.environ.get("CROSSLIFT_DATA") else None
    checked = check_tables(scenario.tables, lambda kind: tables_of(scenario.task)[kind], root, scenario.personal)
    if root is None:
        checked.left.append("the tables, because CROSSLIFT_DATA is not set")
    return checked


@scenarios.command("schema")
def schema() -> None:
    """The JSON Schema of a scenario file, for editors."""
    print_json(json_schema())
