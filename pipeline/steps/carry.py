"""Take a registered model in the place of sources: what `pretrain_source` is where no row of one is at hand.

In a file of its own, so that what trains hangs neither on the registry nor on every model that can be registered.
"""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline import columns as c
from pipeline.config import CarrySettings
from pipeline.errors import UserError
from pipeline.folders import write_json
from pipeline.results import PRETRAIN, StepResult, TrainFacts
from pipeline.runs.carrying import carried_of
from pipeline.runs.inputs import KNOWN, load_prepared
from pipeline.runs.run import Folder, Run
from pipeline.runs.transaction import transact

if TYPE_CHECKING:
    from pipeline.rows.kind import Prepared
    from pipeline.rows.learnt import Learnt

log = logging.getLogger(__name__)


def pretrain_source(run: Run) -> StepResult[TrainFacts]:
    """Publish what the scenario's lanes begin with of the model that it names.

    Raises:
        CrossliftError: it cannot be found, or a lane cannot begin with it.
    """
    run.forget(PRETRAIN)
    scenario = run.scenario
    found = carried_of(run.home, scenario)
    settings = CarrySettings.of(scenario, model=scenario.model.as_trained(), bridges=(), taught_by=found.told)
    inputs = {"model": Folder(found.package, found.identity, f"the source model, {found.told},")}
    inputs |= run.prepared(scenario.target)
    return transact(run, PRETRAIN, build, settings, inputs)


def build(settings: CarrySettings, inputs: Mapping[str, Folder], folder: Path, _work: Path) -> TrainFacts:
    """Write the weights, and the names that they know; of what is no network all that it is.

    Beside them the rows that it has learnt from, for the packages of what begins with it.
    """
    from pipeline.models.handing import hand_over
    from pipeline.serving.package import ServedModel

    model = ServedModel.read(inputs["model"].path)
    found = model.served.carried(settings.task)
    _refuse_learnt(model.served.learnt, load_prepared(settings, inputs), settings.taught_by)
    model.served.learnt.write(folder)
    if known := hand_over(found.parts, found.catalogues, settings, folder):
        write_json(folder / KNOWN, known)
    return TrainFacts(epochs=0, taught_by=settings.taught_by, package=inputs["model"].identity)


def _refuse_learnt(learnt: "Learnt", prepared: "Prepared", told: str) -> None:
    """Refuse a model that has learnt from rows that choose or judge: what begins with it would know their answers.

    Where it has learnt from the target and knows no row at all, they may be others, or the same by other names.
    """
    views = [prepared.held_out(c.TEST), *(fold.held_out(c.VALID) for fold in prepared.folds())]
    if known := sum(int(learnt.knows(prepared, view).sum()) for view in views):
        total = sum(len(view) for view in views)
        raise UserError(
            f"source_model: {told} has learnt from {prepared.name} too, and of the {total:,} rows that choose or judge "
            f"here it knows {known:,}; name a model that was learnt without them. If they are other rows with the same "
            "ids, call the target otherwise."
        )
    count = len(learnt.rows.get(prepared.name, ()))
    if count and not learnt.knows(prepared, prepared.training()[prepared.name]).any():
        log.warning(
            "source_model: %s has learnt from %s rows of %s too, and none of those here is one of them by its name. If "
            "they are the same rows, by other columns, other ids or another key than there, it knows the answers by "
            "which what begins with it is judged: name a model that was learnt without them.",
            told, f"{count:,}", prepared.name,
        )  # fmt: skip
