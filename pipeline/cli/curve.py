"""The command that shows the points of a curve over shares, and takes one away."""

from typing import Annotated

import typer

from pipeline.cli.output import AsJson, print_json, print_table
from pipeline.folders import Home
from pipeline.scenarios import load_scenario


def curve(
    scenario: Annotated[str, typer.Argument(metavar="SCENARIO", help="Its name; see `crosslift scenarios list`.")],
    remove: Annotated[
        float | None, typer.Option(metavar="SHARE", help="Take the point of this share away, such as 0.03.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List the points of quality against the share of target data that the scenario's report draws, or remove one.

    Each run with --target-share adds its point. Without the point the next report is drawn without it; a run with that
    share brings it back, and the scenario's own share comes back with the next run.
    """
    from pipeline.runs.points import last_curve, read_points, remove_point

    known = load_scenario(scenario)
    folder = last_curve(Home.from_env(), known.name)
    if remove is not None:
        remove_point(folder, remove)
    points = sorted(read_points(folder), key=lambda point: float(point["share"]))
    wanted = {*known.shares, known.target_share}
    told = [
        {"share": point["share"], "metric": point["metric"], "target_only": point["target_only"]["value"],
         "best_transfer": point["best"] and point["best"]["lane"], "gain": point["best"] and
         point["best"]["gain"]["value"], "wanted": point["share"] in wanted}
        for point in points
    ]  # fmt: skip
    if as_json:
        print_json({"scenario": scenario, "folder": str(folder), "removed": remove, "points": told})
        return
    rows = [
        (f"{one['share']:g}", one["metric"], f"{one['target_only']:.4f}", one["best_transfer"] or "",
         "" if one["gain"] is None else f"{one['gain']:+.4f}", "yes" if one["wanted"] else "no")
        for one in told
    ]  # fmt: skip
    print_table(("share", "metric", "target-only", "best transfer", "gain", "the scenario names it"), rows)
    if remove is not None:
        print(f"Removed the point at {remove:g}; the next run's report is drawn without it.")
