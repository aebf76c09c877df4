"""The cases beside a verdict: which two models are asked about the rows that the report shows."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.folders import read_json
from pipeline.runs.inputs import CASES
from pipeline.runs.run import Folder

if TYPE_CHECKING:
    from pipeline.evaluation.asking import Asked
    from pipeline.evaluation.cases import Cases
    from pipeline.evaluation.comparison import Comparison
    from pipeline.evaluation.held_out import HeldOut
    from pipeline.registry.lookup import Champion


def show_cases(
    test: "HeldOut", lanes: Mapping[str, Folder], comparison: "Comparison", candidate: str, champion: "Champion | None"
) -> "Cases":
    """Ask the candidate beside what served until now; nothing served: beside target-only, else the best baseline."""
    from pipeline.evaluation.asking import Asked, show
    from pipeline.evaluation.cases import Cases
    from pipeline.evaluation.terms import TARGET_ONLY
    from pipeline.models.load import load_ranker

    others = [TARGET_ONLY, *(lane.name for lane in comparison.lanes if lane.kind == "baseline" and not lane.oracle)]
    beside = next((name for name in others if name in lanes and name != candidate), None)
    if candidate not in lanes or not len(test.rows):
        return Cases()
    if champion is not None and not champion.damage:
        before = served(test, champion)
    elif beside is not None:
        why = "what served cannot be read" if champion else "nothing served"
        before = Asked(f"{beside} ({why})", load_ranker(lanes[beside].path))
    else:
        return Cases()
    return show(test, before, Asked(candidate, load_ranker(lanes[candidate].path)))


def show_cases_again(test: "HeldOut", kept: Path, champion: "Champion | None") -> "Cases":
    """The same beside what serves by now; no cases where nothing does that can be read."""
    from pipeline.evaluation.asking import show_again
    from pipeline.evaluation.cases import Cases

    before = Cases.model_validate(read_json(kept / CASES))
    return show_again(test, before, served(test, champion)) if champion and not champion.damage else Cases()


def served(test: "HeldOut", champion: "Champion") -> "Asked":
    """What serves, asked about tonight's rows."""
    from pipeline.evaluation.asking import Asked
    from pipeline.serving.package import ServedModel

    model = ServedModel.read(champion.folder).served
    name = f"version {champion.version} ({champion.lane})"
    return Asked(name, model.on(test.prepared), model.learnt.knows(test.prepared, test.rows))
