"""Take a registered model in the place of sources: what `pretrain_source` is where no row of one is at hand.

In a file of its own, so that what trains hangs neither on the registry nor on every model that can be registered.
"""

from collections.abc import Mapping
from pathlib import Path

from pipeline.config import CarrySettings
from pipeline.folders import write_json
from pipeline.results import PRETRAIN, StepResult, TrainFacts
from pipeline.runs.carrying import carried_of
from pipeline.runs.inputs import KNOWN
from pipeline.runs.run import Folder, Run
from pipeline.runs.transaction import transact


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
    return transact(run, PRETRAIN, build, settings, inputs)


def build(settings: CarrySettings, inputs: Mapping[str, Folder], folder: Path, _work: Path) -> TrainFacts:
    """Write the weights, and the names that they know; of what is no network all that it is."""
    from pipeline.models.handing import hand_over
    from pipeline.serving.package import ServedModel

    found = ServedModel.read(inputs["model"].path).served.carried(settings.task)
    if known := hand_over(found.parts, found.catalogues, settings, folder):
        write_json(folder / KNOWN, known)
    return TrainFacts(epochs=0, taught_by=settings.taught_by)
