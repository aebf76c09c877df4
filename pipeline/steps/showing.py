"""The cases beside a verdict: which two models are asked about the rows that the report shows."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from pipeline.runs.run import Folder

if TYPE_CHECKING:
    from pipeline.evaluation.asking import Asked
    from pipeline.evaluation.cases import Cases
    from pipeline.evaluation.comparison import Comparison
    from pipeline.evaluation.held_out import HeldOut
    from pipeline.registry.lookup import Champion


def show_cases(
    test: "HeldOut", lanes: Mapping[str, Folder], comparison: "Comparison", lane: str, champion: "Champion | None"
) -> "Cases":
    """Ask a lane beside what served until now; nothing served: beside target-only, else the best baseline or strategy.

    An oracle knows what nobody has who could serve, and stands in for nothing.
    """
    from pipeline.evaluation.asking import Asked, show
    from pipeline.evaluation.cases import Cases
    from pipeline.evaluation.terms import TARGET_ONLY
    from pipeline.models.load import load_ranker

    others = [one for one in comparison.lanes if not one.oracle and one.name in lanes and one.name != lane]
    others.sort(key=lambda one: (one.name != TARGET_ONLY, one.kind != "baseline"))  # else as validation ranks them
    if lane not in lanes or not len(test.rows):
        return Cases()
    if champion is not None and not champion.damage:
        before = served(test, champion)
    elif others:
        beside, why = others[0].name, "what served cannot be read" if champion else "nothing served"
        before = Asked(f"{beside} ({why})", load_ranker(lanes[beside].path))
    else:
        return Cases()
    return show(test, before, Asked(lane, load_ranker(lanes[lane].path)))


def served(test: "HeldOut", champion: "Champion") -> "Asked":
    """What serves, asked about tonight's rows."""
    from pipeline.evaluation.asking import Asked
    from pipeline.serving.package import ServedModel

    model = ServedModel.read(champion.folder).served
    name = f"version {champion.version} ({champion.lane})"
    return Asked(name, model.on(test.prepared), model.learnt.knows(test.prepared, test.rows))
