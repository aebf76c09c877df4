"""prepare: splits and id maps of each domain, from the validated rows."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.config import PrepareSettings, Scenario
from pipeline.results import CLEAN, PREPARE, PrepareFacts, StepResult
from pipeline.runs.run import Folder, Run
from pipeline.runs.transaction import transact

if TYPE_CHECKING:
    from pipeline.data.prepared import DomainData
    from pipeline.data.splits import Parted

BORDER = "border.parquet"  # from when on a source must not know anything: for all users, or by user


def prepare(run: Run) -> dict[str, StepResult[PrepareFacts]]:
    """Publish one folder a domain (`pipeline.data.prepared.DomainData`), the target's first.

    A source's folder hangs on the target only through the times from which it must not know anything, and not on the
    share of target rows, so that thinning the target or changing its items leaves the source's bytes alone.

    Raises:
        DataError: a split needs a column that is missing, or leaves a part empty that a run needs.
        MissingResultError: `validate` did not succeed in this run.
    """
    scenario = run.scenario
    for name in scenario.domains:
        run.forget(PREPARE, name)
    cleaned = {name: {"clean": run.input(CLEAN, name)} for name in scenario.domains}
    target = scenario.target
    known = {name: cleaned[name]["clean"] for name in scenario.sources if scenario.split.needs_sources}
    prepared = transact(run, PREPARE, build_target, _settings(scenario, target), {**cleaned[target], **known}, target)
    border = run.input(PREPARE, target, BORDER)
    sources = {
        name: transact(run, PREPARE, build_source, _settings(scenario, name), {**cleaned[name], "border": border}, name)
        for name in scenario.sources
    }
    return {**sources, target: prepared}


def _settings(scenario: Scenario, domain: str) -> PrepareSettings:
    own = domain == scenario.target
    needs = ("train", "valid", "test") if scenario.target_labels else ()
    return PrepareSettings(
        domain=domain,
        split=scenario.split if own else scenario.split.for_sources(),
        share=(scenario.target_share if scenario.target_labels else 0.0) if own else 1.0,
        draw=scenario.share_draw if own else 0,
        needs=needs if own else ("train",),
    )


def build_target(settings: PrepareSettings, inputs: Mapping[str, Folder], folder: Path, _work: Path) -> PrepareFacts:
    """Part the target's rows, and say from when on sources must not know anything."""
    from pipeline import columns as c
    from pipeline.data import splits
    from pipeline.data.cold_users import cold_users

    name, split = settings.domain, settings.split
    rows = _read(inputs, "interactions")
    border: splits.Border = None
    if rows.empty:  # a target without labels, and without any row that could judge
        parted = splits.Parted(rows.assign(**{splits.PART: 0}))
    elif split.kind == "shipped":
        parted = splits.shipped(rows, split, name)
    elif split.kind == "time":
        cuts = splits.time_cuts(rows, split, name)
        border = cuts.valid
        parted = splits.by_time(rows, cuts)
    elif split.kind == "cold_users":
        parted = cold_users(rows, split, _source_users(inputs), name)
    else:
        parted = splits.leave_last_out(rows, name)
    data, facts = _publish(settings, inputs, parted, folder)
    if split.kind in ("leave_last_out", "cold_users") and splits.order_column(data.rows) and not rows.empty:
        border = splits.user_limits(data.rows.assign(**{c.USER: data.users[c.USER].to_numpy()[data.rows["user"]]}))
    splits.write_border(border, folder / BORDER)
    return facts


def build_source(settings: PrepareSettings, inputs: Mapping[str, Folder], folder: Path, _work: Path) -> PrepareFacts:
    """Part a source's rows, those from before the border."""
    from pipeline.data import splits

    rows, border = _read(inputs, "interactions"), splits.read_border(inputs["border"].path)
    if settings.split.kind == "shipped":
        parted = splits.shipped(rows, settings.split, settings.domain)
    elif border is None:
        first = splits.first_of_pairs(rows)
        parted = splits.Parted(splits.with_hashed_valid(first), {"repeated": len(rows) - len(first)})
    else:
        parted = splits.source_before(rows, border, settings.domain)
    return _publish(settings, inputs, parted, folder)[1]


def _publish(
    settings: PrepareSettings, inputs: Mapping[str, Folder], parted: "Parted", folder: Path
) -> tuple["DomainData", PrepareFacts]:
    from pipeline import columns as c
    from pipeline.data.prepared import PART_CODES, DomainData

    items = _read(inputs, "items")
    data = DomainData.build(settings.domain, parted.rows, items, settings.share, settings.draw)
    data.write(folder)
    parts = data.rows["part"]
    trained = data.rows["kept"] & (parts != PART_CODES[c.TEST])
    facts = PrepareFacts(
        users=len(data.users),
        catalogue=len(data.items),
        rows={part: int((parts == code).sum()) for part, code in PART_CODES.items()},
        kept=int(trained.sum()),
        dropped={**parted.dropped, "outside_catalogue": len(parted.rows) - len(data.rows)},
        words=data.has_text,
    )
    _refuse_empty(settings.domain, facts.rows, settings.needs)
    return data, facts


def _read(inputs: Mapping[str, Folder], table: str) -> Any:
    """A validated table of a domain as a frame; None where the domain has no such table."""
    import pandas as pd

    path = inputs["clean"].path / f"{table}.parquet"
    return pd.read_parquet(path) if path.exists() else None


def _source_users(inputs: Mapping[str, Folder]) -> "set[str]":
    """Who has a row in any source."""
    import pandas as pd

    from pipeline.columns import USER

    folders = [one.path for name, one in inputs.items() if name != "clean"]
    return {user for folder in folders for user in pd.read_parquet(folder / "interactions.parquet")[USER].unique()}


def _refuse_empty(name: str, counts: Mapping[str, int], parts: tuple[str, ...]) -> None:
    from pipeline.errors import DataError

    if empty := [part for part in parts if not counts.get(part)]:
        raise DataError(
            f"{name}: interactions: the split leaves no rows for {' and '.join(empty)} "
            f"({', '.join(f'{part} {count}' for part, count in counts.items())}); a run needs some of each. Bring more "
            "rows, or change `split` in the scenario."
        )
