"""`crosslift models`, `predict` and `recommend`: the registry, and what its models say."""

from dataclasses import asdict
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from pipeline.cli.explaining import compare, why
from pipeline.cli.output import AsJson, print_json, print_table, quiet
from pipeline.folders import Home
from pipeline.scenarios import load_scenario

models = typer.Typer(help="Look up the registered models, approve, roll back, and retire.", no_args_is_help=True)
models.command("compare")(compare)
models.command("why")(why)
ModelName = Annotated[str, typer.Argument(metavar="NAME", help="Such as crosslift.demo.")]


class Format(StrEnum):
    """How recommendations are printed."""

    TABLE = "table"
    CSV = "csv"
    JSON = "json"


@models.command("list")
def list_all(as_json: AsJson = False) -> None:
    """All registered models, with the versions that their aliases name."""
    from pipeline.registry.lookup import list_models

    with quiet(as_json):
        found = [asdict(model) for model in list_models(Home.from_env())]
    if as_json:
        print_json(found)
    elif found:
        print_table(tuple(found[0]), [tuple(model.values()) for model in found])
    else:
        print("No model is registered yet; `crosslift run SCENARIO` registers one.")


@models.command("show")
def show(name: ModelName, as_json: AsJson = False) -> None:
    """The versions of a model, the newest first, with aliases and tags."""
    from pipeline.registry.lookup import show_model

    with quiet(as_json):
        found = show_model(Home.from_env(), name)
    if as_json:
        print_json(asdict(found))
        return
    for version in found.versions:
        when = datetime.fromtimestamp(version.registered, UTC).isoformat(timespec="seconds")
        print(f"{found.name} version {version.version}  {', '.join(version.aliases) or 'no alias'}  {when}")
        print_table(("  tag", "value"), [(f"  {key}", value) for key, value in sorted(version.tags.items())])


@models.command("approve")
def approve_challenger(
    name: ModelName,
    version: Annotated[int, typer.Argument(metavar="VERSION", help="The challenger's.")],
    as_json: AsJson = False,
) -> None:
    """Let the challenger serve, where the target has no labels by which the gate could judge it."""
    from pipeline.runs.approve import approve

    with quiet(as_json):
        done = approve(Home.from_env(), name, version)
    if as_json:
        print_json(asdict(done))
    else:
        before = f", version {done.previous} is now `previous`" if done.previous else ""
        print(f"{done.name}: version {done.champion} serves, approved by {done.by}{before}.")


@models.command("rollback")
def roll_back(name: ModelName, as_json: AsJson = False) -> None:
    """Let the previous champion serve again, after a fresh process has proved that it does."""
    from pipeline.registry.rollback import rollback

    with quiet(as_json):
        done = rollback(Home.from_env(), name)
    if as_json:
        print_json(asdict(done))
    else:
        before = f"version {done.previous} is now `previous`" if done.previous else "nothing served before"
        print(f"{done.name}: version {done.champion} serves again; {before}.")


@models.command("retire")
def take_out(name: ModelName, as_json: AsJson = False) -> None:
    """Take what serves out of service; nothing serves until a run promotes, as on the first night."""
    from pipeline.registry.retire import retire

    with quiet(as_json):
        done = retire(Home.from_env(), name)
    if as_json:
        print_json(asdict(done))
    else:
        print(f"{done.name}: version {done.version} was taken out of service, and nothing serves.")


def recommend(  # noqa: PLR0913, PLR0917  each is an option of the command
    scenario: Annotated[str, typer.Argument(metavar="SCENARIO", help="The scenario whose model is asked.")],
    user: Annotated[list[str] | None, typer.Option(help="A user id; may be given several times.")] = None,
    history: Annotated[str | None, typer.Option(help="Item ids of the target, as A,B.")] = None,
    source_history: Annotated[str | None, typer.Option(help="Item ids of the sources, as A,B.")] = None,
    in_stock: Annotated[
        Path | None, typer.Option(help="A file with a column item_id; nothing else is recommended.")
    ] = None,
    category: Annotated[
        list[str] | None, typer.Option(help="Recommend items of this category alone; may be given several times.")
    ] = None,
    k: Annotated[int, typer.Option("-k", min=1, help="How many items for each.")] = 10,
    explain: Annotated[
        int, typer.Option(min=0, help="How many things of the history to name that speak most for each item.")
    ] = 0,
    alias: Annotated[str, typer.Option(help="champion, challenger or previous.")] = "champion",
    style: Annotated[Format, typer.Option("--format", help="How to print them.")] = Format.TABLE,
    as_json: AsJson = False,
) -> None:
    """Rank the target's items for users or for a history; unknown users get what is popular, and the output says so."""
    from pipeline.registry.lookup import model_folder, model_name

    name = model_name(load_scenario(scenario))
    chosen = Format.JSON if as_json else style
    with quiet(chosen != Format.TABLE):
        folder = model_folder(Home.from_env(), name, alias)
        from pipeline.cli.predicting import as_csv
        from pipeline.cli.recommending import items_of
        from pipeline.cli.recommending import recommend as ask
        from pipeline.rows.interactions.filters import CANDIDATES, CATEGORIES
        from pipeline.serving.package import rows_of

        filters = {CANDIDATES: items_of(in_stock)} if in_stock is not None else {}
        filters |= {CATEGORIES: category} if category else {}
        params = {"k": k, **({"explain": explain} if explain else {})}
        answers = ask(folder, user or [], _items(history), _items(source_history), filters, params)
        rows = rows_of(answers)
    if chosen == Format.JSON:
        print_json(rows)
    elif chosen == Format.CSV:
        print(as_csv(answers), end="")
    else:
        columns = tuple(rows[0]) if rows else ("request", "user_id", "rank", "item_id", "score")
        print_table(columns, [tuple(row.values()) for row in rows])


def predict(
    scenario: Annotated[str, typer.Argument(metavar="SCENARIO", help="The scenario whose model is asked.")],
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Requests, one a row: CSV, Parquet, JSON or Excel.")],
    out: Annotated[Path | None, typer.Option(help="Where to write the answers, as its ending says.")] = None,
    k: Annotated[
        int | None, typer.Option("-k", help="How many items for each request, where items are ranked.")
    ] = None,
    explain: Annotated[
        int | None,
        typer.Option(min=1, help="How many features, or things of the history, to name that say most of each answer."),
    ] = None,
    alias: Annotated[str, typer.Option(help="champion, challenger or previous.")] = "champion",
) -> None:
    """Answer every row of a file with the model that serves; without --out the answers are printed as CSV."""
    from pipeline.registry.lookup import model_folder, model_name

    name = model_name(load_scenario(scenario))
    with quiet(True):
        from pipeline.cli import predicting

        requests = predicting.read_requests(file)
        params = {name: value for name, value in (("k", k), ("explain", explain)) if value is not None}
        answers = predicting.predict(model_folder(Home.from_env(), name, alias), requests, params, file.parent)
        if out is not None:
            predicting.write_answers(answers, out)
    print(
        predicting.as_csv(answers) if out is None else f"{len(answers):,} answers: {out}",
        end="" if out is None else "\n",
    )


def _items(text: str | None) -> list[str]:
    return [item for item in (part.strip() for part in (text or "").split(",")) if item]
