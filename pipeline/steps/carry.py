"""Take a registered model in the place of sources: what `pretrain_source` is where no row of one is at hand.

In a file of its own, so that what trains hangs neither on the registry nor on every model that can be registered.
"""

from collections.abc import Mapping
from pathlib import Path

from pipeline.config import CarrySettings
from pipeline.folders import write_json
from pipeline.results import PRETRAIN, StepResult, TrainFacts
from pipeline.runs.inputs import CLASSES
from pipeline.runs.run import Folder, Run, data_root
from pipeline.runs.transaction import transact


def pretrain_source(run: Run) -> StepResult[TrainFacts]:
    """Publish the weights of the model that the scenario names as those of a source.

    Raises:
        CrossliftError: it cannot be found, or the scenario's model cannot begin with it.
    """
    from pipeline.registry.carried import find_carried

    run.forget(PRETRAIN)
    scenario = run.scenario
    assert scenario.source_model is not None
    found = find_carried(run.home, scenario.source_model, data_root())
    settings = CarrySettings.of(scenario, model=scenario.model.as_trained(), bridges=(), taught_by=found.told)
    inputs = {"model": Folder(found.package, found.identity, f"the source model, {found.told},")}
    return transact(run, PRETRAIN, build, settings, inputs)


def build(settings: CarrySettings, inputs: Mapping[str, Folder], folder: Path, _work: Path) -> TrainFacts:
    """Write the weights, and the classes that it knows."""
    from safetensors.torch import save_file

    from pipeline.models.load import load_ranker

    model = load_ranker(inputs["model"].path).as_start(settings)
    save_file(model.shared_state(), folder / "model.safetensors")
    write_json(folder / CLASSES, list(model.head.classes))
    return TrainFacts(epochs=0, taught_by=settings.taught_by)
