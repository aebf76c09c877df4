"""What later steps read of earlier ones, found by name in the run."""

from typing import TYPE_CHECKING

from pipeline.steps.run import Run

if TYPE_CHECKING:
    from pipeline.data.prepared import Domains


def prepared_inputs(run: Run) -> dict[str, str]:
    """Manifest hashes of the prepared domains, for fingerprints; loads nothing heavy."""
    return {f"prepare.{name}": run.result("prepare", name).manifest for name in run.scenario.domains}


def load_domains(run: Run) -> "Domains":
    """The prepared domains of a run."""
    from pipeline.data.prepared import DomainData, Domains

    read = {name: DomainData.read(run.path(run.result("prepare", name)), name) for name in run.scenario.domains}
    return Domains(tuple(read[name] for name in run.scenario.sources), read[run.scenario.target])
