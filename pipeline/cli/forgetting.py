"""The command that forgets a person."""

from typing import Annotated

import typer

from pipeline.cli.output import AsJson, print_json, print_table, quiet
from pipeline.errors import ExitCode
from pipeline.folders import Home


def forget(
    user: Annotated[str, typer.Argument(metavar="USER", help="The id, as it stands in your tables.")],
    scenario: Annotated[str | None, typer.Option(help="Only in what this scenario made; else everywhere.")] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would go, and change nothing.")] = False,
    as_json: AsJson = False,
) -> None:
    """Forget a person: no later run reads the rows, and what was made of them is removed.

    A list of hashes below CROSSLIFT_HOME keeps the rows out of each new snapshot. Runs, folders and model versions that
    hold the id or were made of its rows go, but not while one of the versions serves: then run the scenario again, and
    repeat. Your own tables are never changed. Aggregates stay: metrics in MLflow, curves, reference passports.
    """
    from pipeline.data.forgotten import forget as remember
    from pipeline.registry.tracking import store_name
    from pipeline.runs.forget import find_held, ids_of, remove_held

    home = Home.from_env()
    with quiet(as_json):
        held = find_held(home, ids_of(home, user, scenario), scenario)
    rows = [("model version", f"{one.name} {one.version}{', serves' if one.serves else ''}") for one in held.versions]
    for kind, paths in (("run", held.runs), ("step", held.folders)):
        rows += [(kind, path.relative_to(home.root).as_posix()) for path in paths]
    if not as_json:
        print_table(("kind", "holds the user, or was made of the rows"), rows)
        print(f"{len(rows)} to be removed, in {home.root} and in MLflow ({store_name()}).")
        for run, store in held.elsewhere:
            print(f"{run} was registered in another MLflow, {store}, which was not looked at.")
        if not rows:
            print("Nothing has the id as user_id or in a column that a scenario names as `personal`; is it spelt so?")
    if not dry_run:
        if not yes and not typer.confirm("Forget this user, and remove them?", err=True):
            raise typer.Exit(ExitCode.OK)
        remember(home, held.ids, scenario)
        with quiet(as_json):  # found anew: until now a run may have read the rows
            remove_held(home, find_held(home, held.ids, scenario))
        if not as_json:
            print("Forgotten: no later run reads rows with this id as user_id or in a column of `personal`.")
    if as_json:
        print_json(
            {
                "home": str(home.root),
                "mlflow": store_name(),
                "removed": not dry_run,
                "found": [{"kind": k, "what": w} for k, w in rows],
            }
        )
