"""The figures of a run by which two nights are compared."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from pipeline.folders import read_json
from pipeline.results import AUDIT, VERDICT, Estimate, StepResult, VerdictFacts
from pipeline.runs.account import accounts
from pipeline.runs.run import Run

if TYPE_CHECKING:
    from pipeline.evaluation.comparison import Comparison, View


def night_figures(run: Run, final: StepResult[VerdictFacts]) -> dict[str, float]:
    """Collect the gated metric of candidate, champion, target-only and best baseline, gains, rows and costs.

    Args:
        run: The run.
        final: The verdict that counts.
    """
    from pipeline.evaluation.gate import Verdict
    from pipeline.evaluation.terms import TARGET_ONLY
    from pipeline.registry.nights import figure, spread
    from pipeline.runs.summary import read_report

    comparison = comparison_of(run)
    verdict = Verdict.model_validate(read_json(run.path(final) / "verdict.json"))
    baseline = next((one.name for one in comparison.lanes if one.kind == "baseline" and not one.oracle), "")
    lanes = {"candidate": verdict.candidate, "target_only": TARGET_ONLY, "best_baseline": baseline}
    found: dict[str, float] = {}
    for role, lane in lanes.items():
        found |= spread(figure(comparison.metric, role), judged_view(run).get(lane, {}).get(comparison.metric))
    if verdict.champion:
        found |= spread(figure(comparison.metric, "champion"), verdict.champion.scored)
    for one in verdict.comparisons:
        if one.enough:
            found |= spread(f"gain/over_{one.role.replace(' ', '_').replace('-', '_')}", one.difference)
    costs = [one.cost for one in read_report(run).costs]
    found["cost/cpu_seconds"] = sum(cost.cpu_seconds for cost in costs)
    found["cost/peak_mebibytes"] = max((cost.peak_mebibytes for cost in costs), default=0.0)
    return found | _rows(run)


def comparison_of(run: Run) -> "Comparison":
    """Read what the run's lanes were compared by."""
    from pipeline.evaluation.comparison import Comparison

    return Comparison.model_validate(read_json(run.path(run.result(VERDICT)) / "comparison.json"))


def judged_rows(comparison: "Comparison") -> "View | None":
    """The test rows that count: those without marks, else all; None where too few are left to tell."""
    from pipeline.evaluation.comparison import ALL, UNMARKED

    return comparison.views.get(UNMARKED) or comparison.views.get(ALL)


def judged_view(run: Run) -> Mapping[str, Mapping[str, Estimate]]:
    """Metrics by lane on these rows."""
    view = judged_rows(comparison_of(run))
    return view.lanes if view else {}


def _rows(run: Run) -> dict[str, float]:
    """Count the rows of each domain that were read, kept, quarantined and dropped, and the test rows."""
    found: dict[str, float] = {}
    for one in accounts(run):
        parts = {"kept": one.kept, "quarantined": one.quarantined, "dropped": one.dropped}
        found |= {f"rows/{one.domain}_{name}": sum(part.values()) for name, part in parts.items()}
        found[f"rows/{one.domain}_read"] = one.read
    audited = run.result(AUDIT).facts
    return found | {"rows/test": audited.test_rows, "rows/test_marked": audited.marked}
