"""From a task to the kinds of table that it reads."""

from collections.abc import Callable, Mapping
from typing import Any

from pipeline.config import (
    BinaryTask,
    Config,
    MulticlassTask,
    MultilabelTask,
    NextEventTask,
    RankingTask,
    RegressionTask,
)
from pipeline.data.tables import TableKind
from pipeline.rows.behaviour.tables import log_kinds
from pipeline.rows.examples.tables import examples_kind
from pipeline.rows.interactions.tables import ranking_kinds


def _examples(task: Any) -> Mapping[str, TableKind]:
    kind = examples_kind(task)
    return {kind.name: kind}


# config class of a task -> its kinds of table by name
TABLES: dict[type[Config], Callable[[Any], Mapping[str, TableKind]]] = {
    RankingTask: ranking_kinds,
    BinaryTask: _examples,
    MulticlassTask: _examples,
    MultilabelTask: _examples,
    RegressionTask: _examples,
    NextEventTask: log_kinds,
}


def tables_of(task: Config) -> Mapping[str, TableKind]:
    """The kinds of table of a task by name; the columns of some are declared by it."""
    return TABLES[type(task)](task)
