"""prepare: splits and id maps of each domain, from the validated rows."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import JsonValue

from pipeline.config import Scenario
from pipeline.folders import digest
from pipeline.results import StepResult
from pipeline.steps.run import Run
from pipeline.steps.transaction import Facts, transact

if TYPE_CHECKING:
    import pandas as pd

    from pipeline.data.splits import Parted
    from pipeline.rows.interactions.prepared import DomainData

STEP = "prepare"


def prepare(run: Run) -> dict[str, StepResult]:
    """Publish one folder a domain (`pipeline.rows.interactions.prepared.DomainData`), the target's first.

    A source's folder hangs on the target only through the times from which it must not know anything, and not on the
    share of target rows, so that thinning the target or changing its items leaves the source's bytes alone.

    Raises:
        DataError: a split needs a column that is missing, or leaves a part empty that a run needs.
        MissingResultError: `validate` did not succeed in this run.
    """
    scenario = run.scenario
    split = scenario.split.model_dump(mode="json")
    target = transact(
        run,
        STEP,
        partial(_build_target, run),
        inputs={"validate": run.result("validate", scenario.target).manifest, **_known(run)},
        config={"split": split, "share": _share(scenario), "draw": scenario.share_draw},
        name=scenario.target,
    )
    border = target.facts["border"]
    sources = {
        name: transact(
            run,
            STEP,
            partial(_build_source, run, name, target),
            inputs={"validate": run.result("validate", name).manifest},
            config={"split": split if split["kind"] == "shipped" else split["kind"], "border": border},
            name=name,
        )
        for name in scenario.sources
    }
    return {**sources, scenario.target: target}


def _build_target(run: Run, folder: Path, work: Path) -> Facts:  # noqa: ARG001  nothing to resume
    from pipeline.data import splits
    from pipeline.data.cold_users import cold_users

    name, split = run.scenario.target, run.scenario.split
    rows = _read(run, name, "interactions")
    border: JsonValue = None
    if rows.empty:  # a target without labels, and without any row that could judge
        parted = splits.Parted(rows.assign(**{splits.PART: 0}))
    elif split.kind == "shipped":
        parted = splits.shipped(rows, split, name)
    elif split.kind == "time":
        cuts = splits.time_cuts(rows, split, name)
        border = {"valid": cuts.valid.isoformat(), "test": cuts.test.isoformat()}
        parted = splits.by_time(rows, cuts)
    elif split.kind == "cold_users":
        parted = cold_users(rows, split, _source_users(run), name)
    else:
        parted = splits.leave_last_out(rows, name)
    data, facts = _publish(run, name, parted, folder)
    if split.kind in ("leave_last_out", "cold_users") and splits.order_column(data.rows) and not rows.empty:
        border = digest(_limits(data).astype(str).to_dict())
    if run.scenario.target_labels:
        _refuse_empty(name, facts["rows"], ("train", "valid", "test"))
    return {**facts, "border": border}


def _build_source(run: Run, name: str, target: StepResult, folder: Path, work: Path) -> Facts:  # noqa: ARG001
    import pandas as pd

    from pipeline.data import splits
    from pipeline.rows.interactions.prepared import DomainData

    split, rows, border = run.scenario.split, _read(run, name, "interactions"), target.facts["border"]
    if split.kind == "shipped":
        parted = splits.shipped(rows, split, name)
    elif isinstance(border, dict):
        parted = splits.source_before(rows, pd.Timestamp(str(border["valid"])), name)
    elif border is None:
        first = splits.first_of_pairs(rows)
        parted = splits.Parted(splits.with_hashed_valid(first), {"repeated": len(rows) - len(first)})
    else:
        limits = _limits(DomainData.read(run.path(target), target.name))
        parted = splits.source_before(rows, limits, name)
    facts = _publish(run, name, parted, folder)[1]
    _refuse_empty(name, facts["rows"], ("train",))
    return facts


def _publish(run: Run, name: str, parted: "Parted", folder: Path) -> tuple["DomainData", Facts]:
    from pipeline import columns as c
    from pipeline.rows.interactions.prepared import PART_CODES, DomainData

    scenario = run.scenario
    share = _share(scenario) if name == scenario.target else 1.0
    data = DomainData.build(name, parted.rows, _read(run, name, "items"), share, scenario.share_draw)
    data.write(folder)
    parts = data.rows["part"]
    trained = data.rows["kept"] & (parts != PART_CODES[c.TEST])
    return data, {
        "users": len(data.users),
        "catalogue": len(data.items),
        "rows": {part: int((parts == code).sum()) for part, code in PART_CODES.items()},
        "kept": int(trained.sum()),
        "dropped": {**parted.dropped, "outside_catalogue": len(parted.rows) - len(data.rows)},
        "words": data.has_text,
    }


def _known(run: Run) -> dict[str, str]:
    """What the target's split looks at beside the target's own rows."""
    if not run.scenario.split.needs_sources:
        return {}
    return {f"validate.{name}": run.result("validate", name).manifest for name in run.scenario.sources}


def _source_users(run: Run) -> set[str]:
    """Who has a row in any source."""
    from pipeline.columns import USER

    return {user for name in run.scenario.sources for user in _read(run, name, "interactions")[USER].unique()}


def _share(scenario: Scenario) -> float:
    """The share of the target's rows for training and validation that may be used."""
    return scenario.target_share if scenario.target_labels else 0.0


def _limits(target: "DomainData") -> "pd.Series[Any]":
    """By user id, the time or position of the first held-out row of the target."""
    from pipeline.columns import USER
    from pipeline.data.splits import user_limits

    return user_limits(target.rows.assign(**{USER: target.users[USER].to_numpy()[target.rows["user"]]}))


def _read(run: Run, name: str, table: str) -> Any:
    """A validated table of a domain as a frame; None where the domain has no such table."""
    import pandas as pd

    path = run.path(run.result("validate", name)) / f"{table}.parquet"
    return pd.read_parquet(path) if path.exists() else None


def _refuse_empty(name: str, rows: JsonValue, parts: tuple[str, ...]) -> None:
    from pipeline.errors import DataError

    counts = rows if isinstance(rows, dict) else {}
    if empty := [part for part in parts if not counts.get(part)]:
        raise DataError(
            f"{name}: interactions: the split leaves no rows for {' and '.join(empty)} "
            f"({', '.join(f'{part} {count}' for part, count in counts.items())}); a run needs some of each. Bring more "
            "rows, or change `split` in the scenario."
        )
