"""The kind of table of a log: interactions whose kind of event is looked at."""

from collections.abc import Mapping
from dataclasses import replace

from pipeline import columns as c
from pipeline.config import NextEventTask
from pipeline.data.tables import INTERACTIONS, TableKind

NAME = INTERACTIONS.name


def log_kinds(task: NextEventTask) -> Mapping[str, TableKind]:
    """Interactions, each with the kind of its event."""
    del task
    columns = tuple(
        replace(one, required=True, used=True, things="events", asked_by="task.events") if one.name == c.EVENT else one
        for one in INTERACTIONS.columns
    )
    return {NAME: replace(INTERACTIONS, columns=columns)}
