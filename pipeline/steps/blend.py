"""Blend two lanes: how much each counts is chosen on validation rows, which neither has seen when it is asked."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.config import BlendSettings, domains_of
from pipeline.results import AUDIT, BLEND, LaneFacts, Mixture, StepResult
from pipeline.runs.inputs import HELD_BACK, MARKS, lane_of, load_prepared
from pipeline.runs.run import Folder, Run
from pipeline.runs.transaction import transact

if TYPE_CHECKING:
    from pipeline.views import Predictor


def blend_lanes(run: Run, blend: str) -> StepResult[LaneFacts]:
    """Blend the two lanes of the blend of that name and save the result as a candidate.

    Raises:
        MissingResultError: one of the two did not succeed in this run.
    """
    run.forget(BLEND, blend)  # a try that fails leaves no earlier result
    scenario = run.scenario
    config = next(one for one in scenario.blends if one.name == blend)
    first, second = (run.folder_of(lane_of(run, member)) for member in config.of)
    prefer = 0 if domains_of(scenario)[config.of[0]] == "target" else 1
    settings = BlendSettings.of(scenario, blend=config, prefer=prefer)
    inputs = {**run.prepared(), "marks": run.input(AUDIT, artifact=MARKS), "first": first, "second": second}
    return transact(run, BLEND, build, settings, inputs, blend)


def build(settings: BlendSettings, inputs: Mapping[str, Folder], folder: Path, _work: Path) -> LaneFacts:
    """Write both predictors as one, with the shares that validation picked."""
    from pipeline.evaluation.blending import mix
    from pipeline.evaluation.choosing import Folds
    from pipeline.models.load import load_ranker
    from pipeline.tasks.blends import blender_of

    [chooser] = Folds.of_target(settings, load_prepared(settings, inputs), inputs["marks"].path).each
    blender, members = blender_of(settings.task), [inputs[name].path for name in ("first", "second")]
    first, second = (load_ranker(member / HELD_BACK) for member in members)

    def blended(shares: Sequence[float]) -> "Predictor":
        return blender.blend(first, second, settings.target, shares)

    mixed = mix(chooser, blended, blender.band_of(chooser.view), len(blender.bands), settings.prefer)
    final = [load_ranker(member) for member in members]
    blender.blend(final[0], final[1], settings.target, mixed.shares).save(folder)
    groups = tuple(zip(blender.bands, mixed.shares, strict=True))
    name = settings.blend.name
    mixture = Mixture(lane=name, of=settings.blend.of, by=blender.by, groups=groups)
    return LaneFacts(lane=name, valid=mixed.metrics, valid_domain=chooser.domain, settings={}, mixture=mixture)
