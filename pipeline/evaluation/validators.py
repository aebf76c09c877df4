"""What could choose a lane if the target had no labels, held against what its test labels say."""

from dataclasses import dataclass

from scipy.stats import spearmanr

from pipeline.evaluation.comparison import ALL, UNMARKED, Comparison
from pipeline.labels.words import Words

_FEWEST = 3  # lanes below which there is no order to speak of


@dataclass(frozen=True)
class Choice:
    """A lane that something picks, and the gated metric that it then has on test rows without marks."""

    by: str
    lane: str
    metric: float


@dataclass(frozen=True)
class Validators:
    """Who picks which of the lanes that may serve.

    Args:
        choices: By the information of answers, by validation rows, and by the test labels themselves.
        agreement: Spearman's correlation of information and metric over the lanes, in [-1, 1].
        lanes: How many there are.
    """

    choices: tuple[Choice, ...]
    agreement: float
    lanes: int


def validators(comparison: Comparison, words: Words) -> Validators | None:
    """Ask who would have picked what; None where answers tell nothing, or no test label says what was right."""
    view, told = comparison.views.get(UNMARKED) or comparison.views.get(ALL), comparison.information
    lanes = [lane for lane in comparison.lanes if not lane.oracle and lane.name in told]
    if view is None or len(lanes) < _FEWEST:
        return None
    metric = {lane.name: view.lanes[lane.name][comparison.metric].value for lane in lanes}
    if any(len(set(values)) < 2 for values in (metric.values(), [told[lane.name] for lane in lanes])):
        return None
    sign = words.sign(comparison.metric)
    picked = {
        "the information of its answers": max(lanes, key=lambda lane: told[lane.name]),
        f"validation rows of {lanes[0].valid_domain}": lanes[0],
        "the test labels": max(lanes, key=lambda lane: sign * metric[lane.name]),
    }
    names = [lane.name for lane in lanes]
    order = spearmanr([told[name] for name in names], [sign * metric[name] for name in names]).statistic
    return Validators(
        tuple(Choice(by, lane.name, metric[lane.name]) for by, lane in picked.items()), float(order), len(lanes)
    )
