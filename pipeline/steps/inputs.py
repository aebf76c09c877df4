"""What steps read of earlier ones."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from pipeline.config import DomainSettings, Strategy
from pipeline.results import ADAPT, PRETRAIN, Step, TrainFacts
from pipeline.steps.run import Folder

if TYPE_CHECKING:
    from pipeline.data.prepared import Domains

MARKS = "marks.parquet"  # an artifact of `audit`, for steps that use the marks and not the passport
POINT = "point.json"  # of the curve over shares, beside a verdict


def start_of(strategy: Strategy) -> tuple[Step[TrainFacts], str] | None:
    """The step, and its lane, whose model a strategy begins with; None where its weights are drawn at random."""
    starts = {"random": None, "source": (PRETRAIN, ""), "adapted": (ADAPT, strategy.adapt.kind)}
    return starts[strategy.start]


def load_domains(settings: DomainSettings, inputs: Mapping[str, Folder], *, oracle: bool = False) -> "Domains":
    """The prepared domains; an oracle's with the labels that the target is declared not to have."""
    from pipeline.data.prepared import DomainData, Domains

    read = {name: DomainData.read(inputs[f"prepare.{name}"].path, name) for name in settings.domains}
    domains = Domains(tuple(read[name] for name in settings.sources), read[settings.target])
    return domains.with_all_rows() if oracle else domains
