"""The card of a model: what it is, for whom, from which rows, how good, where it is worse, and what it is not."""

from collections.abc import Sequence

from pipeline.evaluation.bootstrap import Estimate
from pipeline.evaluation.comparison import ALL, UNMARKED, SliceView
from pipeline.evaluation.report import Report, environment
from pipeline.evaluation.terms import TARGET_ONLY
from pipeline.labels.words import Words

_SLICES = 6


def render_card(report: Report, words: Words, lane: str, model: str, rows: Sequence[str]) -> str:
    """Write the card of a lane of a run, as Markdown that begins with a heading.

    Args:
        report: Of the run.
        words: Of its label.
        lane: Which of its lanes.
        model: The registered name.
        rows: What became of the rows of each domain, in sentences.
    """
    comparison = report.comparison
    title = UNMARKED if UNMARKED in comparison.views else ALL
    view = comparison.views.get(title)
    info = next(one for one in comparison.lanes if one.name == lane)
    baseline = next((one.name for one in comparison.lanes if one.kind == "baseline" and not one.oracle), TARGET_ONLY)
    lanes = [one for one in dict.fromkeys((lane, TARGET_ONLY, baseline)) if view and one in view.lanes]
    metric = comparison.metric
    worse = _worse(view.slices, lane, view.lanes[lane][metric], words.sign(metric)) if view else []
    gains = {one.against: one for one in view.gains if one.lane == lane} if view else {}
    template = environment(words).get_template("model_card.html")
    return template.render(
        report=report, comparison=comparison, words=words, name=words.name, info=info, lanes=lanes, model=model,
        rows=rows, oracles=[one.name for one in comparison.lanes if one.oracle], title=title, view=view, worse=worse,
        gain=gains.get(info.counterpart or TARGET_ONLY),
    ).strip()  # fmt: skip


def render_about(report: Report, words: Words, model: str) -> str:
    """Describe the registered model, whatever its versions are, as Markdown."""
    context = {"comparison": report.comparison, "words": words, "name": words.name, "model": model}
    return environment(words).get_template("model_about.html").render(**context).strip()


def _worse(slices: Sequence[SliceView], lane: str, whole: Estimate, sign: float) -> list[SliceView]:
    """The slices whose interval lies on the worse side of the value on all rows, the worst first."""
    found = [one for one in slices if lane in one.lanes and _best(one.lanes[lane], sign) < sign * whole.value]
    return sorted(found, key=lambda one: sign * one.lanes[lane].value)[:_SLICES]


def _best(one: Estimate, sign: float) -> float:
    return max(sign * one.low, sign * one.high)
