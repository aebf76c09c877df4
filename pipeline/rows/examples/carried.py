"""A model of one scenario in another: which of its predictors say what there, if it is of the same features."""

from typing import Any

from pipeline.config import BinaryTask, ExamplesTask, TaskConfig
from pipeline.errors import UserError
from pipeline.rows.examples.prepared import class_names
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
        _refuse_answers(known[their], labels[mine])
    return Carried({mine: predictor.of_label(their) for mine, their in met.items()})


def _refuse_answers(theirs: ExamplesTask, ours: ExamplesTask) -> None:
    """Refuse another kind of label, and of two classes others: an answer would be one that the target does not have."""
    if theirs.name != ours.name:
        raise UserError(
            f"source_model: its {theirs.label} is {theirs.name}, and {ours.label} is {ours.name}; name a model of the "
            "same kind of label."
        )
    if isinstance(theirs, BinaryTask) and isinstance(ours, BinaryTask) and class_names(theirs) != class_names(ours):
        told = [" and ".join(class_names(one)) for one in (theirs, ours)]
        raise UserError(
            f"source_model: its {theirs.label} is one of {told[0]}, and {ours.label} one of {told[1]}; give `positive` "
            "the value that it has there, and spell the labels as that."
        )


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
