"""How a lane is scored on validation rows; rows that the audit marks do not choose."""

from typing import TYPE_CHECKING, Any

from pipeline.config import Scenario
from pipeline.errors import DataError
from pipeline.steps.run import Run

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from pipeline.data.prepared import Domains
    from pipeline.models.ranker import Ranker


def valid_rows(run: Run, domains: "Domains") -> "pd.DataFrame":
    """The target's validation rows that the audit did not mark.

    Raises:
        DataError: there is none.
    """
    import pandas as pd

    rows = domains.held_out("valid")
    marks = pd.read_parquet(run.path(run.result("audit")) / "marks.parquet")
    marked = marks.loc[marks["domain"] == domains.target.name, "row"]
    unmarked = rows[~rows["row"].isin(marked)].reset_index(drop=True)
    if unmarked.empty:
        raise DataError(
            f"{domains.target.name}: no validation row is left that the audit did not mark ({len(rows)} are marked), "
            "so nothing can be chosen; bring more rows of the target, or state another split."
        )
    return unmarked


def spread(rows: "pd.DataFrame", most: int) -> "pd.DataFrame":
    """At most so many rows, evenly spaced, so that every epoch is judged by the same ones."""
    step = max(1, -(-len(rows) // most))
    return rows.iloc[::step]


def rank_rows(ranker: "Ranker", domains: "Domains", rows: "pd.DataFrame", parts: tuple[str, ...]) -> "NDArray[Any]":
    """The rank of each row's item among the catalogue, from histories of the parts."""
    from pipeline.evaluation.ranking import ranks

    return ranks(ranker.scores, domains.histories(parts), rows, domains.seen(parts))


def mean_metrics(scenario: Scenario, rows: "pd.DataFrame", ranks: "NDArray[Any]") -> dict[str, float]:
    """Means over users of every metric at every cutoff."""
    from pipeline.evaluation.metrics import user_metrics

    means = user_metrics(rows, ranks, scenario.task.cutoffs).mean()
    return {str(name): float(value) for name, value in means.items()}


def deciding_metric(scenario: Scenario) -> str:
    """The one metric that chooses and is gated, such as `ndcg@10`."""
    return f"{scenario.task.metric}@{scenario.task.cutoffs[0]}"
