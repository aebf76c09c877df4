"""The kinds of table of a ranking: a setting that looks at a column makes it required."""

from collections.abc import Mapping
from dataclasses import replace

from pipeline.config import RankingTask
from pipeline.data.tables import INTERACTIONS, KINDS, TableKind


def ranking_kinds(task: RankingTask) -> Mapping[str, TableKind]:
    """Interactions, with the columns that the task asks for, and items."""
    asked = task.asks_for
    columns = tuple(
        replace(one, required=True, used=True, asked_by=asked[one.name]) if one.name in asked else one
        for one in INTERACTIONS.columns
    )
    return {**KINDS, INTERACTIONS.name: replace(INTERACTIONS, columns=columns)}
