"""What serves now, as evaluate and promote find it: whole, or said to be unreadable."""

from dataclasses import replace
from typing import TYPE_CHECKING

from pipeline.folders import exclusive
from pipeline.runs.run import Run

if TYPE_CHECKING:
    from pipeline.registry.lookup import Champion


def serving(run: Run) -> "Champion | None":
    """Find what serves; files that were damaged are put back first, where its package is published and whole.

    Returns:
        The champion, or None where nothing serves; its `damage` says what could not be put back.

    Raises:
        StorageError: the store cannot be reached.
    """
    from pipeline.registry.lookup import find_champion, model_name

    name = model_name(run.scenario)
    with exclusive(run.home.lock("promote")):
        found = find_champion(run.home, name)
        if found is None or not found.damage:
            return found
        from pipeline.registry.mend import mend
        from pipeline.registry.tracking import connect

        client = connect(run.home)  # also quiets what MLflow says while it is imported
        from pipeline.serving.save import save_predictor

        damage = mend(client, run.home, name, found.version, save_predictor)
        return replace(found, damage=damage) if damage else find_champion(run.home, name)
