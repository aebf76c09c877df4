"""What steps read of earlier ones."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from pipeline.config import PreparedSettings, Strategy
from pipeline.config.base import TaskConfig
from pipeline.config.encoders import PACKAGED
from pipeline.errors import MissingResultError
from pipeline.results import ADAPT, EMBED, LANES, PREPARE, PRETRAIN, LaneFacts, Step, StepResult, TrainFacts
from pipeline.runs.run import Folder, Run, embedded

if TYPE_CHECKING:
    from pipeline.rows.kind import Prepared

KNOWN = "known.json"  # beside a registered model's weights: the names that it knows, such as classes by label
MARKS = "marks.parquet"  # an artifact of `audit`, for steps that use the marks and not the passport
POINT = "point.json"  # of the curve over shares, beside a verdict
HELD_BACK = "held_back"  # below a lane's folder: its predictor before it saw the rows that choose
CASES = "cases.json"  # that the report shows, beside a verdict


def start_of(strategy: Strategy) -> tuple[Step[TrainFacts], str] | None:
    """The step, and its lane, whose model a strategy begins with; None where its weights are drawn at random."""
    starts = {"random": None, "source": (PRETRAIN, ""), "adapted": (ADAPT, strategy.adapt.kind)}
    return starts[strategy.start]


def chain_of(run: Run, lane: str) -> list[str]:
    """Name the source model and the adapted one that a lane begins with, or the lanes of a blend, and the lane."""
    if blend := next((one for one in run.scenario.blends if one.name == lane), None):
        both = [one for member in blend.of for one in chain_of(run, member)]
        return [*dict.fromkeys(both), lane]
    if lane in run.scenario.begun:  # with the registered model itself
        return [PRETRAIN.name, lane]
    strategy = next((one for one in run.scenario.strategies if one.name == lane), None)
    step, name = (strategy and start_of(strategy)) or (None, "")
    adapted = [f"{step.name} {name}"] if step is ADAPT else []
    return [*([PRETRAIN.name] if step else []), *adapted, lane]


def lanes_of(run: Run) -> dict[str, StepResult[LaneFacts]]:
    """Find the candidates of a run by lane."""
    return {name: result for step in LANES for name, result in run.results(step).items()}


def lane_of(run: Run, lane: str) -> StepResult[LaneFacts]:
    """Find the candidate of one lane.

    Raises:
        MissingResultError: it did not succeed in this run.
    """
    if lane not in (found := lanes_of(run)):
        raise MissingResultError(
            f"run {run.run_id}: the lane {lane!r} is needed here and did not succeed in this run; there are: "
            f"{', '.join(found) or 'none'}."
        )
    return found[lane]


def load_prepared(settings: PreparedSettings, inputs: Mapping[str, Folder], *, oracle: bool = False) -> "Prepared":
    """The prepared domains; an oracle's with the labels that the target is declared not to have."""
    prepared = load_domains(settings.task, inputs, settings.domains, settings.target)
    return prepared.with_all_rows() if oracle else prepared


def load_domains(task: TaskConfig, inputs: Mapping[str, Folder], names: Sequence[str], target: str) -> "Prepared":
    """The prepared domains of these names, with what is known of their texts and pictures, if anything."""
    from pipeline.data.embeddings import read_embeddings
    from pipeline.tasks.prepared import read_prepared

    folders = {name: inputs[f"{PREPARE.name}.{name}"].path for name in names}
    given = {kind: [f"{EMBED.name}.{embedded(name, kind)}" for name in names] for kind in PACKAGED}
    read = {kind: [inputs[key].path for key in keys] for kind, keys in given.items() if inputs.keys() >= set(keys)}
    vectors = {kind: read_embeddings(paths) for kind, paths in read.items() if paths}
    return read_prepared(task, folders, target, vectors)
