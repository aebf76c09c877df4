"""A model of one scenario in another: which of its predictors say what there, if it is of the same features."""

from typing import Any

from pipeline.config import ExamplesTask, TaskConfig
from pipeline.errors import UserError
from pipeline.rows.kind import Carried


def carried(predictor: Any, theirs: ExamplesTask, task: TaskConfig) -> Carried:
    """The predictors of a registered model by the labels of another task that they say; one label is met by the other.

    Raises:
        UserError: it reads other features, or its labels are of another kind; what differs is named.
    """
    ours = task.examples
    if ours is None:
        raise UserError(
            f"source_model: it reads features of rows, and rows of the task {task.name} have none; name a model of "
            "that task."
        )
    _refuse_features(theirs, ours)
    known = {one.label: one for one in theirs.each}
    labels = {one.label: one for one in ours.each}
    met = {name: name for name in labels if name in known}
    if len(labels) == len(known) == 1:
        met = dict(zip(labels, known, strict=True))
    if ours.label not in met:
        raise UserError(
            f"source_model: it predicts {', '.join(known)}, and the gate looks at {ours.label}; call one alike."
        )
    for mine, their in met.items():
        if not labels[mine].labels & known[their].labels:
            told = " or ".join(sorted(known[their].labels))
            raise UserError(f"source_model: it predicts {told}, and the task {labels[mine].name} something else.")
    return Carried({mine: predictor.of_label(their) for mine, their in met.items()})


def _refuse_features(theirs: ExamplesTask, ours: ExamplesTask) -> None:
    own, other = ({**one.features, **one.past} for one in (ours, theirs))
    if list(own.items()) == list(other.items()):
        return
    differ = [one for one in sorted({*own, *other}) if own.get(one) != other.get(one)] or ["their order"]
    told = ", ".join(f"{name} ({kind})" for name, kind in other.items())
    raise UserError(
        f"source_model: its features are not those of task.features; what differs: {', '.join(differ)}. It reads, in "
        f"this order: {told}."
    )
