"""How people are told of classes, tags and numbers that were predicted; loads nothing heavy."""

from pipeline.config import BinaryTask, ExamplesTask, MulticlassTask, MultilabelTask, RegressionTask
from pipeline.labels.words import Words

_DIGITS = 3


def two_class_words(task: BinaryTask) -> Words:
    """Words of a class that is looked for."""
    names = {
        "auprc": "AUPRC",
        "auroc": "AUROC",
        "log_loss": "log loss",
        "brier": "Brier score",
        "ece": "ECE",
        "f1": "F1",
        "precision": "precision",
        "recall": "recall",
        "balanced_accuracy": "balanced accuracy",
        "accuracy": "accuracy",
    }
    if task.costs is not None:
        names["cost"] = "cost of a row"
    least = "F1 is best" if task.costs is None else "mistakes cost least"
    protocol = (
        "Each test row gets a probability from its own features. Temperature and threshold were chosen on validation "
        f"rows, the threshold so that {least} there, as far as those rows tell."
    )
    less = {"log_loss", "brier", "ece", "cost"}
    return _words(task, names, less, "a scorer that gives all rows the same probability", protocol)


def class_words(task: MulticlassTask) -> Words:
    """Words of one of several classes."""
    names = {
        "balanced_accuracy": "balanced accuracy",
        "log_loss": "log loss",
        "accuracy": "accuracy",
        "f1": "macro F1",
        "macro_auprc": "macro AUPRC",
        "ece": "ECE",
    }
    if task.costs:
        names["cost"] = "cost of a row"
    told = "the most probable one"
    if task.costs:
        told = "the one of least expected cost"
    elif task.metric == "balanced_accuracy":
        told = "the one with the highest probability over a power of its share, which validation chose"
    protocol = (
        f"Each test row gets a probability of each class from its own features, and is told {told}. The temperature "
        "was chosen on validation rows."
    )
    less = {"log_loss", "ece", "cost"}
    return _words(task, names, less, "a scorer that gives all rows the same probabilities", protocol)


def event_words() -> Words:
    """Words of the kind of event that follows."""
    names = {
        "macro_auprc": "macro AUPRC",
        "log_loss": "log loss",
        "ece": "ECE",
        "balanced_accuracy": "balanced accuracy",
        "accuracy": "accuracy",
        "f1": "macro F1",
    }
    return Words(
        metrics=names, less=frozenset({"log_loss", "ece"}), units="users", percent=False, digits=_DIGITS,
        chance="a scorer that gives all events the same probabilities",
        protocol="Each test event gets a probability of each kind from what its user did before it, in all domains; of "
        "the event itself nothing is known, not even when it comes. Macro is the mean over the kinds that test events "
        "have. The temperature was chosen on validation rows. Events of a user are drawn together.",
    )  # fmt: skip


def tag_words(task: MultilabelTask) -> Words:
    """Words of tags."""
    names = {
        "macro_auprc": "macro AUPRC",
        "macro_auroc": "macro AUROC",
        "log_loss": "log loss",
        "macro_f1": "macro F1",
        "micro_f1": "micro F1",
    }
    protocol = (
        "Each test row gets a probability of each tag from its own features; macro is the mean over the tags that test "
        "rows have. One temperature, and a threshold for each tag, were chosen on validation rows, the thresholds so "
        "that F1 is best there, as far as those rows tell."
    )
    return _words(task, names, {"log_loss"}, "a scorer that gives all rows the same probabilities", protocol)


def number_words(task: RegressionTask) -> Words:
    """Words of a number."""
    names = {"mse": "MSE", "mae": "MAE", "r2": "R2"}
    protocol = "Each test row gets a number from its own features."
    return _words(task, names, {"mse", "mae"}, "the mean of the rows", protocol)


def _words(task: ExamplesTask, names: dict[str, str], less: set[str], chance: str, protocol: str) -> Words:
    together = "components" if task.groups else "rows"
    divided = " Rows that belong together are drawn together." if task.groups else ""
    return Words(
        metrics=names, less=frozenset(less), units=together, percent=False, digits=_DIGITS, chance=chance,
        protocol=f"{protocol}{divided}",
    )  # fmt: skip
