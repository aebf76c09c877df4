"""Bring what the source taught to the target: epochs are chosen by validation, then all training rows are fitted."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from pipeline.config import Strategy, TuneSettings
from pipeline.folders import read_json
from pipeline.results import AUDIT, TUNE, LaneFacts, StepResult
from pipeline.runs.inputs import HELD_BACK, KNOWN, MARKS, load_prepared, start_of
from pipeline.runs.run import Folder, Run
from pipeline.runs.transaction import transact

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipeline.evaluation.choosing import Chooser, Folds
    from pipeline.models.learner import Finish, Learner
    from pipeline.models.network import Network
    from pipeline.models.sides import Rows
    from pipeline.training.watch import Watch
    from pipeline.transfer.method import Method
    from pipeline.views import Predictor, Views

Inputs = Mapping[str, Folder]


def finetune_target(run: Run, strategy: str) -> StepResult[LaneFacts]:
    """Fit the strategy of that name and save it as a candidate.

    Raises:
        MissingResultError: a step that the strategy starts from did not succeed in this run.
    """
    run.forget(TUNE, strategy)  # a try that fails leaves no earlier result
    scenario = run.scenario
    config = next(item for item in scenario.strategies if item.name == strategy)
    inputs = {**run.prepared(encoders=scenario.model.encoders), "marks": run.input(AUDIT, artifact=MARKS)}
    if start := start_of(config):
        inputs["start"] = run.input(*start)
    settings = TuneSettings.of(
        scenario, strategy=config, oracle=strategy in scenario.oracles, held_back=strategy in scenario.blended
    )
    return transact(run, TUNE, build, settings, inputs, strategy)


def build(settings: TuneSettings, inputs: Inputs, folder: Path, work: Path) -> LaneFacts:
    """Write the predictor, and the curve of the epochs where any chose it."""
    from pipeline.evaluation.choosing import Folds
    from pipeline.training.fit import fit

    strategy, prepared = settings.strategy, load_prepared(settings, inputs, oracle=settings.oracle)
    lane, folds = _Lane.of(settings, inputs), Folds.of(settings, prepared, inputs["marks"].path)
    few, domain = folds.few(settings.training.valid_users), folds.first.domain
    own = domain == settings.target
    held_back = [one.training for one in folds.each] if own else [prepared.training({settings.target})]
    models, chose, told = _chosen(lane, few, held_back, settings, folder, work)
    every = prepared.training()
    finish, predictors = lane.finished(folds, few, models, lane.learner.finishes(every, strategy))
    last = folds.settle(predictors)
    valid = folds.metrics(judged := [one.settled(last) for one in predictors])
    if settings.held_back:
        (folder / HELD_BACK).mkdir()
        [alone] = judged
        alone.save(folder / HELD_BACK)
    chose |= {**lane.learner.told(finish), **last}

    model, method, rows = lane.ready(every)
    evidence = lane.evidence(model, rows)
    if epochs := chose.get("epochs"):
        training = settings.fitting.model_copy(update={"epochs": epochs})
        fit(model, method, rows, training, work / "final", seed=settings.seed)
    lane.learner.predictor(model, finish).settled(last).save(folder)
    return LaneFacts(
        lane=strategy.name, valid=valid, valid_domain=domain, settings=chose, watch=told,
        evidence=evidence, moved=lane.moved(model),
    )  # fmt: skip


def _chosen(
    lane: "_Lane", few: "Folds", held_back: "Sequence[Views]", settings: TuneSettings, folder: Path, work: Path
) -> tuple[list["Network"], dict[str, Any], str]:
    """The model of each fold as it is judged, the epochs where any chose them, and why none did."""
    from pipeline.training.fit import fit, write_curves
    from pipeline.training.folds import Fold, fit_folds

    if not settings.strategy.tune.labels:
        return [lane.ready(views)[0] for views in held_back], {}, ""
    watches = [lane.watch(one, few.units) for one in few.each]
    if len(held_back) > 1:
        parted = zip(held_back, watches, few.each, strict=True)
        every = [Fold(partial(lane.ready, views), watch, len(one.view)) for views, watch, one in parted]
        folded = fit_folds(every, settings.fitting, work, seed=settings.seed)
        write_curves(folded.curves, folder / "metrics.csv")
        return folded.networks, {"epochs": folded.epochs}, folded.told
    [watch], [views] = watches, held_back
    model, method, rows = lane.ready(views)
    start = watch.ask(model)
    chosen = fit(model, method, rows, settings.fitting, work / "choose", seed=settings.seed, watch=watch)
    write_curves(chosen.curves, folder / "metrics.csv")
    assert chosen.metric is not None
    kept = watch.few or chosen.metric > start or (chosen.told and chosen.metric == start)
    if not kept:  # few labels can undo a good start
        model, *_ = lane.ready(views)
    return [model], {"epochs": chosen.epochs if kept else 0}, chosen.told


@dataclass(frozen=True)
class _Lane:
    """A strategy with the weights that it starts from."""

    strategy: Strategy
    learner: "Learner"
    dim: int
    start: Path | None
    teacher: Path | None  # whose answers are learnt; no weight begins with it

    @classmethod
    def of(cls, settings: TuneSettings, inputs: Inputs) -> Self:
        from pipeline.tasks.learners import build_learner

        start = inputs["start"].path if "start" in inputs else None
        taught = read_json(start / KNOWN) if start and (start / KNOWN).exists() else {}
        weights = start / "model.safetensors" if start else None
        start, teacher = (None, weights) if settings.strategy.tune.taught else (weights, None)
        return cls(settings.strategy, build_learner(settings, taught), settings.model.dim, start, teacher)

    def ready(self, views: "Views") -> tuple["Network", "Method", "Rows"]:
        """The model as the strategy initialises it, its method, and the rows that it is fitted on."""
        from safetensors.torch import load_file

        from pipeline.transfer.methods import build_tune

        model, rows = self.learner.tune(views, self.strategy)
        method = build_tune(self.strategy.tune, self.dim)
        method.initialise(model, None if self.start is None else load_file(self.start))
        if self.start is not None:
            self.learner.carry(model, views, self.strategy)
        if self.teacher is not None:
            rows = self.learner.teach(rows, views, load_file(self.teacher))
        return model, method, rows

    def evidence(self, model: "Network", rows: "Rows") -> dict[str, float]:
        """What the start says of the target's labels; nothing where there was none."""
        from pipeline.transfer.evidence import evidence_of_start

        return {} if self.start is None else evidence_of_start(model, rows)

    def moved(self, model: "Network") -> dict[str, float]:
        """How far each layer is from the start; nothing where there was none."""
        from safetensors.torch import load_file

        from pipeline.transfer.amount import weights_moved

        return {} if self.start is None else weights_moved(load_file(self.start), model)

    def watch(self, few: "Chooser", units: int) -> "Watch":
        """What some validation rows say while a model is fitted; `units`: of all that choose with them."""
        from pipeline.training.watch import Watch

        def metric(fitted: "Network") -> float:
            return few.watched([few.predict(self.learner.as_trained(fitted, few.view))])

        return Watch(metric, units, few.label.fewest, few.label.words.units)

    def finished(
        self, folds: "Folds", few: "Folds", models: "Sequence[Network]", finishes: "Sequence[Finish]"
    ) -> tuple["Finish", list["Predictor"]]:
        """The finish that validation picks, the first of equal ones, and what validation judges with it."""
        learner = self.learner
        if folds.first.domain != models[0].target:  # what was learnt is judged where there are labels
            return finishes[0], [learner.as_trained(model, folds.first.view) for model in models]
        finish = max(finishes, key=lambda one: few.score([learner.predictor(model, one) for model in models]))
        return finish, [learner.predictor(model, finish) for model in models]
