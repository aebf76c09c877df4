"""How people are told of several labels; loads nothing heavy."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from pipeline.labels.words import Words


def of_label(labels: Iterable[str], name: str, metric: str) -> str:
    """What a label's metric is called among those of all: of the first label as it is, else with the label's name."""
    return metric if name == next(iter(labels)) else f"{name}.{metric}"


def several_words(parts: Mapping[str, Words]) -> Words:
    """The words of the first label, which is gated, with the names of the others' metrics: `AUPRC of recommended`."""
    first, *others = parts
    metrics, less = dict(parts[first].metrics), set(parts[first].less)
    for name in others:
        metrics |= {f"{name}.{metric}": f"{told} of {name}" for metric, told in parts[name].metrics.items()}
        less |= {f"{name}.{metric}" for metric in parts[name].less}
    protocol = f"{parts[first].protocol} The gate looks at {first}; {' and '.join(others)} by the same model."
    return replace(parts[first], metrics=metrics, less=frozenset(less), protocol=protocol)
