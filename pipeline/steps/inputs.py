"""What later steps read of earlier ones, found by name in the run."""

from typing import TYPE_CHECKING

from pipeline.config import Strategy
from pipeline.steps.run import Run

if TYPE_CHECKING:
    from pipeline.data.prepared import Domains

LANE_STEPS = ("finetune_target", "fit_baseline")
POINT = "point.json"  # of the curve over shares, beside a verdict


def prepared_inputs(run: Run) -> dict[str, str]:
    """Manifest hashes of the prepared domains, for fingerprints; loads nothing heavy."""
    return {f"prepare.{name}": run.result("prepare", name).manifest for name in run.scenario.domains}


def start_of(strategy: Strategy) -> tuple[str, str] | None:
    """The step, and its lane, whose model a strategy begins with; None where its weights are drawn at random."""
    starts = {"random": None, "source": ("pretrain_source", ""), "adapted": ("adapt_domain", strategy.adapt.kind)}
    return starts[strategy.start]


def load_domains(run: Run, lane: str = "") -> "Domains":
    """The prepared domains of a run; an oracle's with the labels that the target is declared not to have."""
    from pipeline.data.prepared import DomainData, Domains

    read = {name: DomainData.read(run.path(run.result("prepare", name)), name) for name in run.scenario.domains}
    domains = Domains(tuple(read[name] for name in run.scenario.sources), read[run.scenario.target])
    return domains.with_all_rows() if lane in run.scenario.oracles else domains
