"""The commands that run steps and clean up, and where the other groups of commands are joined on."""

from importlib.metadata import version
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipeline.cli.curve import curve
from pipeline.cli.forgetting import forget
from pipeline.cli.looking import init, look
from pipeline.cli.models import models, predict, recommend
from pipeline.cli.output import AsJson, print_json, print_table, quiet, text_console
from pipeline.cli.scenarios import scenarios
from pipeline.cli.starting import load_run, options_of, resumable, run_shown, running
from pipeline.cli.status import status
from pipeline.config import Options
from pipeline.errors import ConfigError, ExitCode
from pipeline.folders import Home
from pipeline.scenarios import load_scenario

if TYPE_CHECKING:
    from pipeline.runs.run import Run

app = typer.Typer(
    help="Carry what was learnt on a data-rich source over to a data-poor target, and promote it only where it is "
    "proved to help. Everything is written below CROSSLIFT_HOME (default: .crosslift in the current folder).",
    epilog="Exit codes: 0 done, 1 failure, 2 user error, 3 refused by validation, 4 the run's model does not serve, "
    "130 interrupted: the same command goes on.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(scenarios, name="scenarios")
app.add_typer(models, name="models")
app.command()(look)
app.command()(init)
app.command()(predict)
app.command()(recommend)
app.command()(forget)
app.command()(curve)
app.command()(status)


def _version(asked: bool) -> None:
    if asked:
        print(version("crosslift"))
        raise typer.Exit(ExitCode.OK)


@app.callback()
def _always(
    _asked: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """What stands before any command."""


ScenarioName = Annotated[str, typer.Argument(metavar="SCENARIO", help="Its name; see `crosslift scenarios list`.")]
Share = Annotated[float | None, typer.Option(help="Share of the target's training rows to use, above 0, at most 1.")]
Jobs = Annotated[int | None, typer.Option(min=1, help="Processes beside each other; the number of cores if not given.")]
RunId = Annotated[str | None, typer.Option("--run-id", help="A name for the run, to continue or repeat it.")]


@app.command()
def run(  # noqa: PLR0913, PLR0917  each is an option of the command
    scenario: ScenarioName,
    strategies: Annotated[
        str | None, typer.Option(help="Some of the scenario's, as a,b; target_only always runs.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Instead of the scenario's.")] = None,
    epochs: Annotated[int | None, typer.Option(help="At most so many passes over the training rows.")] = None,
    target_share: Share = None,
    share_draw: Annotated[int | None, typer.Option(help="Another number takes other rows for that share.")] = None,
    split_draw: Annotated[int | None, typer.Option(help="Another number divides the rows anew: a trial.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Compute again what could be reused.")] = False,
    promote: Annotated[
        bool,
        typer.Option("--promote", help="Let a trial serve, if the gate passes it: other options than the scenario's."),
    ] = False,
    run_id: RunId = None,
    jobs: Jobs = None,
    as_json: AsJson = False,
) -> None:
    """Run a scenario from its tables to the registry, and print comparison, verdict and outcome.

    What did not change is reused; a killed run goes on where it was. Strategies, seed, epochs or split that are not the
    scenario's make the run a trial, which serves only with --promote. Exit code 0: the run's model serves at the end.
    4: it does not, for the reason that stands under the outcome. 1: a step or a lane failed; the other lanes and the
    report are there all the same.
    """
    from pipeline.runs.graph import graph_of
    from pipeline.runs.summary import print_summary, summarise

    options = options_of(
        strategies, seed=seed, epochs=epochs, target_share=target_share, share_draw=share_draw,
        split_draw=split_draw, force=force, promote=promote,
    )  # fmt: skip
    with running(scenario, run_id, options) as started:
        outcomes = run_shown(started, graph_of(started.scenario), jobs, summed=True)
        with quiet(as_json):
            summary = summarise(started)
    failed = [outcome for outcome in outcomes if outcome.state == "failed"]
    code = ExitCode.FAILURE if failed else ExitCode.OK if summary["serves"] else ExitCode.NOT_PROMOTED
    if as_json:
        steps = [outcome.model_dump(mode="json") for outcome in outcomes]
        print_json({**summary, "steps": steps, "exit_code": int(code)})
    else:
        print_summary(started, text_console())
        if code == ExitCode.NOT_PROMOTED:
            print("The run succeeded, and its model does not serve (exit code 4).")
    raise typer.Exit(code)


@app.command()
def repeat(
    scenario: ScenarioName,
    splits: Annotated[int | None, typer.Option(min=2, help="How many; `repeats` of the scenario if not given.")] = None,
    jobs: Jobs = None,
    as_json: AsJson = False,
) -> None:
    """Run a scenario on several splits of the same rows, up to the verdict, and print how far each lane spreads.

    What is there is reused, so that a second call goes on where the first was. Nothing is registered; the report of the
    scenario's own split shows the spread from then on, while the rows stay the same. A split that leaves a part without
    a class or a row is passed over, with the reason.
    """
    from pipeline.cli.repeating import repeat as again

    wanted = splits or load_scenario(scenario).repeats
    if wanted < 2:
        raise ConfigError(f"repeats: expected at least two splits of {scenario}, got 1; name --splits.")

    from pipeline.runs.graph import judged_graph

    def one(draw: int) -> "Run":
        with running(scenario, None, Options(split_draw=draw)) as started:
            run_shown(started, judged_graph(started.scenario), jobs)
        return started

    found = again(load_scenario(scenario), wanted, one)
    if as_json:
        print_json({"scenario": scenario, "splits": [row.model_dump(mode="json") for row in found]})
    else:
        names = ("lane", "mean", "deviation over splits", "worst", "best", "half the interval over units", "ahead")
        rows = [(r.lane, r.mean, r.deviation, r.worst, r.best, r.half_width, f"{r.ahead} of {r.splits}") for r in found]
        print_table(names, rows)


@app.command()
def step(
    name: Annotated[str, typer.Argument(metavar="NAME", help="plan, ingest, validate, prepare, ... as in the DAG.")],
    scenario: ScenarioName,
    run_id: Annotated[str, typer.Option("--run", help="The run; `step plan` starts it.")],
    lane: Annotated[str, typer.Option("--name", help="The lane, for a step that has several.")] = "",
    as_json: AsJson = False,
) -> None:
    """Run one step of a run, in this process; `plan` comes first."""
    from pipeline.steps import call_task

    known = load_scenario(scenario)
    if name == "plan":
        from pipeline.steps.plan import plan

        planned = plan(run_id, known, Options())
        if as_json:
            print_json(planned)
        else:
            print_table(("task", "lanes"), [(task, ", ".join(names)) for task, names in planned.items()])
        return
    with resumable(), quiet(as_json):
        results = call_task(load_run(run_id, scenario), name, lane)
    if as_json:
        print_json([result.model_dump(mode="json") for result in results])
    else:
        rows = [
            (result.step, result.name, "reused" if result.reused else "computed", result.folder) for result in results
        ]
        print_table(("step", "name", "state", "folder below CROSSLIFT_HOME"), rows)


@app.command()
def audit(
    scenario: ScenarioName,
    run_id: Annotated[str | None, typer.Option("--run", help="A run of the scenario, instead of a new one.")] = None,
    as_json: AsJson = False,
) -> None:
    """Look for leaks: run ingest to audit, tell what is to be known, and count the marked rows by domain and kind."""
    from pipeline.folders import read_json
    from pipeline.results import AUDIT, Finding
    from pipeline.runs.graph import data_graph

    with running(scenario, run_id, None if run_id else Options()) as started:
        run_shown(started, data_graph(started.scenario), 1, summed=True)
        folder = started.path(started.result(AUDIT))
    report: dict[str, Any] = read_json(folder / "audit.json")
    if as_json:
        print_json({"run_id": started.run_id, "scenario": scenario, "folder": str(folder), **report})
        return
    for one in report["findings"]:
        text_console().print(f"Warning: {Finding.model_validate(one)}", style="yellow")
    rows = [(domain, *row) for domain, counts in report["domains"].items() for row in _counts(counts)]
    print_table(("domain", "rows", "kind", "marked", "of"), rows)
    print(f"Marks: {folder / 'marks.parquet'}")


@app.command()
def clean(
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would go, and remove nothing.")] = False,
    keep_days: Annotated[int, typer.Option(min=1, help="Runs younger than this stay, with all that they name.")] = 7,
    as_json: AsJson = False,
) -> None:
    """Remove what no alias of the registry, no report of a kept run and no running task needs.

    Kept are runs with a record of the last days, runs whose model an alias names, the folders that these name, the
    copies of models that an alias names, and whatever was written within the last 24 hours, because a running task may
    need it. The registry itself, the reference passports and the curves are never touched.
    """
    from pipeline.runs.clean import find_unneeded, remove

    home = Home.from_env()
    with quiet(as_json):
        found = find_unneeded(home, keep_days)
    size = sum(one.size for one in found)
    told = {
        "home": str(home.root),
        "removed": not dry_run,
        "bytes": size,
        "paths": [one.model_dump(mode="json") for one in found],
    }
    if not as_json:
        print_table(("kind", "MB", "path"), [(one.kind, f"{one.size / 1e6:.1f}", one.path) for one in found])
        print(f"{len(found)} of no use, {size / 1e6:.1f} MB, in {home.root}.")
    if found and not dry_run:
        if not yes and not typer.confirm("Remove them?", err=True):
            raise typer.Exit(ExitCode.OK)
        remove(home, found)
        if not as_json:
            print("Removed.")
    if as_json:
        print_json(told)


def _counts(counts: dict[str, Any]) -> "list[tuple[object, ...]]":
    """Lay out one domain's marks: what the rows are for, kind, marked rows, all such rows where they were counted."""
    test: list[tuple[object, ...]] = [("test", *pair, counts["test_rows"]) for pair in counts["kinds"].items()]
    test.append(("test", "any", counts["marked"], counts["test_rows"]))
    return [*test, *(("validation", *pair, counts["valid_rows"]) for pair in counts["valid"].items())]
