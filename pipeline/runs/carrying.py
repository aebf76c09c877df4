"""The registered model in the place of sources: found by its name, and held against the lanes that begin with it."""

from typing import TYPE_CHECKING

from pipeline.config import Scenario
from pipeline.config.source_model import misfits
from pipeline.errors import CrossliftError, UserError
from pipeline.folders import Home
from pipeline.models.ranker import kind_of
from pipeline.runs.run import data_root

if TYPE_CHECKING:
    from pipeline.registry.carried import Carried


def carried_of(home: Home, scenario: Scenario) -> "Carried":
    """Find the model that stands for the sources of a scenario.

    Raises:
        UserError: there is none, or lanes cannot begin with one of its kind; they are named.
        StorageError: the store cannot be reached, or a file is not what was registered.
    """
    from pipeline.registry.carried import find_carried

    assert scenario.source_model is not None
    found = find_carried(home, scenario.source_model, data_root())
    _refuse_other(scenario, found)
    return found


def refuse_misfits(home: Home, scenario: Scenario) -> None:
    """Refuse lanes that cannot begin with the model that stands for sources, before anything is computed.

    One that cannot be found is told when it is to be read: lanes that learn from the target alone go on without.

    Raises:
        UserError: a lane cannot begin with it; it is named, with what to do.
    """
    if scenario.source_model is None:
        return
    from pipeline.registry.carried import find_carried

    try:
        found = find_carried(home, scenario.source_model, data_root())
    except CrossliftError:
        return
    _refuse_other(scenario, found)


def _refuse_other(scenario: Scenario, found: "Carried") -> None:
    if why := misfits(scenario, kind_of(found.package)):
        raise UserError(f"source_model: {found.told}: {why}")
