"""The kind of table whose columns a scenario declares."""

from pipeline import columns as c
from pipeline.config import BinaryTask, ExamplesTask, FeatureType, RegressionTask
from pipeline.data.rules import Rule, Times, finite, in_time
from pipeline.data.tables import Column, Key, TableKind, Type

NAME = "examples"
TYPES: dict[FeatureType, Type] = {
    "number": "measure", "category": "text", "flag": "flag", "time": "time", "text": "text",
    "title": "text", "bag": "bag", "image": "picture",
}  # fmt: skip


def label_type(task: ExamplesTask) -> Type:
    """What the column of the label holds: a number, yes or no, or the name of a class."""
    if isinstance(task, RegressionTask):
        return "measure"
    return "flag" if isinstance(task, BinaryTask) and task.positive is None else "text"


def examples_kind(task: ExamplesTask) -> TableKind:
    """Examples with the columns that a task declares."""
    features = {name: TYPES[kind] for name, kind in task.features.items()}
    labels = {one.label: label_type(one) for one in task.each}
    numbers = [name for name, kind in {**features, **labels}.items() if kind == "measure"]
    times = [name for name, kind in features.items() if kind == "time"]

    def rules(expected: Times) -> tuple[Rule, ...]:
        return (
            *(finite(name) for name in numbers),
            in_time(c.TIMESTAMP, expected),
            *(in_time(name, Times()) for name in times),  # what is known of a row may lie ahead: a departure, an end
        )

    return TableKind(
        name=NAME,
        row="example",
        columns=(
            Column(c.DOMAIN, "id", required=True),
            Column(c.ROW, "id"),
            *(Column(name, "id") for name in dict.fromkeys((*task.groups, *task.entities))),
            Column(c.TIMESTAMP, "time"),
            Column(c.SPLIT, "text"),
            *(Column(name, kind) for name, kind in features.items()),
            *(Column(name, kind, required=True) for name, kind in labels.items()),
        ),
        key=Key((c.ROW,), "critical", "deliver each row once, or leave out row_id"),
        rules=rules,
        main=True,
    )
