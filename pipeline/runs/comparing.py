"""Two registered versions side by side, and their paired difference where both judged the same rows."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from pipeline.config import JudgeSettings, PreparedSettings
from pipeline.errors import CrossliftError, UserError
from pipeline.folders import Home
from pipeline.near import near
from pipeline.results import AUDIT, INGEST, PREPARE, VERDICT
from pipeline.runs.figures import comparison_of, judged_rows
from pipeline.runs.inputs import MARKS, lane_of, load_prepared
from pipeline.runs.logged import flat
from pipeline.runs.predictions import read_predictions
from pipeline.runs.run import Run

if TYPE_CHECKING:
    from pipeline.evaluation.bootstrap import Estimate
    from pipeline.registry.chain import Link
    from pipeline.views import FloatArray

_SPELT = re.compile(r"(?:models:/)?(?P<name>[^/@]+)(?:/(?P<version>\d+)|@(?P<alias>\w+))")


@dataclass(frozen=True)
class Side:
    """One version.

    `valid` and `test` are the gated metric in words, the latter with its interval; `judged_on` are the rows of the
    test. Empty where its run is not kept any more.
    """

    name: str  # as the person spelt it, with the version's number
    link: "Link"
    valid: str
    test: str
    judged_on: str
    seed: str
    target_share: str
    run: Run | None
    problem: str = ""  # why nothing of its run can be read


@dataclass(frozen=True)
class Versions:
    """Two versions; `settings` are those that differ, by their place in the scenario; the rest is told in sentences."""

    first: Side
    second: Side
    same_rows: bool | None  # None: one of the runs is not kept
    rows: str
    data: str
    difference: str
    paired: "Estimate | None"  # the second less the first, turned so that more is better
    settings: dict[str, tuple[Any, Any]]

    def as_json(self) -> dict[str, Any]:
        """The same in JSON values."""
        sides = {}
        for key, side in {"first": self.first, "second": self.second}.items():
            own = {name: value for name, value in vars(side).items() if name not in {"run", "link"}}
            sides[key] = {**own, **asdict(side.link)}
        told = {key: value for key, value in vars(self).items() if key not in {"first", "second", "paired"}}
        return {**sides, **told, "paired": self.paired.model_dump() if self.paired else None}


def compare_versions(home: Home, first: str, second: str) -> Versions:
    """Look two versions up, with what their runs say of them.

    Args:
        home: Where the store and the runs are.
        first: `NAME/VERSION` or `NAME@ALIAS`.
        second: Another one, perhaps of another model.

    Raises:
        UserError: a version is spelt otherwise, or there is no such one.
        StorageError: the store cannot be reached.
    """
    a, b = _side(home, first), _side(home, second)
    if a.run is None or b.run is None:
        gone = " ".join(f"{side.name}: {side.problem}" for side in (a, b) if side.problem)
        return Versions(a, b, None, f"Whether both were judged on the same rows is not known. {gone}",
                        "not known", f"no paired comparison is possible. {gone}", None, {})  # fmt: skip
    rows_a, rows_b = _rows_of(a.run), _rows_of(b.run)
    same = rows_a == rows_b
    differ = "They were NOT judged on the same test rows: the two metrics must not be compared with each other."
    rows = "Both were judged on the same test rows." if same else differ
    difference, paired = _paired(a, b) if same else ("no paired comparison is possible, as the test rows differ.", None)
    settings = {
        key: (left, right)
        for key, left, right in _beside(_settings(a, a.run), _settings(b, b.run))
        if left != right
    }  # fmt: skip
    return Versions(a, b, same, rows, _data(a.run, b.run), difference, paired, settings)


def _side(home: Home, spelt: str) -> Side:
    """Find a version."""
    from pipeline.registry.chain import Link
    from pipeline.registry.lookup import show_model

    found = _SPELT.fullmatch(spelt)
    if found is None:
        raise UserError(f"{spelt}: expected NAME/VERSION or NAME@ALIAS, such as crosslift.demo/3.")
    versions = {str(one.version): one for one in show_model(home, found["name"]).versions}
    named = {alias: number for number, one in versions.items() for alias in one.aliases}
    number = found["version"] or named.get(found["alias"], "")
    if number not in versions:
        there = ", ".join([*sorted(versions, key=int), *(f"@{alias}" for alias in sorted(named))])
        hint = near(found["alias"], named) if found["alias"] else ""
        raise UserError(f"{spelt}: there is no such version of {found['name']}; there are: {there}.{hint}")
    version = versions[number]
    link, name = Link.of(version), f"{found['name']}/{number}"
    seed, share = version.tags.get("seed", ""), version.tags.get("target_share", "")
    try:
        run = Run.load(home, link.run_id)
        if lane_of(run, link.lane).manifest != version.tags.get("candidate"):
            raise UserError(f"its run {link.run_id} was repeated since and made another candidate.")
        valid, test, judged_on = _measured(run, link.lane)
    except (CrossliftError, KeyError) as error:
        problem = str(error) if link.run_id else "nobody noted its run."
        return Side(name, link, "", "", "", seed, share, None, problem)
    return Side(name, link, valid, test, judged_on, str(run.scenario.seed), f"{run.scenario.target_share:g}", run)


def _measured(run: Run, lane: str) -> tuple[str, str, str]:
    """The gated metric on validation and on test rows without marks, in words, and the number of these rows."""
    from pipeline.tasks.words import words_of

    words, found = words_of(run.scenario.task), comparison_of(run)
    metric = f"{words.name(found.metric)}{words.written}"
    valid = next(one.valid[found.metric] for one in found.lanes if one.name == lane)
    view = judged_rows(found)
    if view is None:
        return f"{metric} {words.number(valid)}", "no test rows", ""
    test = view.lanes[lane][found.metric]
    interval = f"[{words.number(test.low)}, {words.number(test.high)}]"
    return f"{metric} {words.number(valid)}", f"{metric} {words.number(test.value)} {interval}", (
        f"{view.rows:,} rows, {view.units:,} {words.units}"
    )  # fmt: skip


def _rows_of(run: Run) -> tuple[str, ...]:
    """What the rows that were judged hang on: the target's prepared rows and the marks."""
    return run.result(PREPARE, run.scenario.target).manifest, run.input(AUDIT, artifact=MARKS).identity


def _data(first: Run, second: Run) -> str:
    """Say which domains' rows are the same in both runs."""
    found: dict[str, list[str]] = {"the same": [], "different": [], "in one only": []}
    left, right = ({name: one.manifest for name, one in run.results(INGEST).items()} for run in (first, second))
    for name, one, other in _beside(left, right):
        found["in one only" if None in {one, other} else "the same" if one == other else "different"].append(name)
    return "; ".join(f"{', '.join(names)} {word}" for word, names in found.items() if names) or "not known"


def _settings(side: Side, run: Run) -> dict[str, Any]:
    """What the lane's model hangs on, flat: the scenario as it was run, and what the lane is by itself."""
    others = {"name", "title", "schedule", "strategies", "baselines", "blends", "shares", "repeats"}
    return {**settings_of_lane(run, side.link.lane), **flat(run.scenario.model_dump(mode="json", exclude=others))}


def settings_of_lane(run: Run, lane: str) -> dict[str, Any]:
    """A lane's own method and what it chose; of a blend those of both its lanes as well."""
    scenario = run.scenario
    if blend := next((one for one in scenario.blends if one.name == lane), None):
        both = zip(("first", "second"), blend.of, strict=True)
        own = {f"{place}.{key}": value for place, member in both
               for key, value in {"lane": member, **settings_of_lane(run, member)}.items()}  # fmt: skip
    else:
        method = next(one for one in (*scenario.strategies, *scenario.baselines) if one.name == lane)
        own = flat(method.model_dump(mode="json"), "method.")
    return {**own, **{f"chosen.{key}": value for key, value in lane_of(run, lane).facts.chosen.items()}}


def _beside(left: Mapping[str, Any], right: Mapping[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    for key in dict.fromkeys((*left, *right)):
        yield key, left.get(key), right.get(key)


def _paired(first: Side, second: Side) -> "tuple[str, Estimate | None]":
    """The difference on the rows that both judged, drawn together."""
    from pipeline.evaluation.bootstrap import estimate
    from pipeline.evaluation.contrast import Drawn
    from pipeline.evaluation.held_out import HeldOut
    from pipeline.tasks.words import words_of

    assert first.run is not None
    assert second.run is not None
    if first.run.scenario.task != second.run.scenario.task:
        return "no paired comparison is possible, as they answer different questions.", None
    try:
        predicted = {
            "first": _predicted(first.run, first.link.lane),
            "second": _predicted(second.run, second.link.lane),
        }
        settings = JudgeSettings.of(first.run.scenario, oracles=tuple(sorted(first.run.scenario.oracles)))
        inputs = {**first.run.prepared(), "marks": first.run.input(AUDIT, artifact=MARKS)}
        test = HeldOut.of(settings, load_prepared(PreparedSettings.of(first.run.scenario), inputs), _marks(first.run))
    except CrossliftError as error:
        return f"no paired comparison is possible: {error}", None
    drawn = Drawn.of(test.terms, test.scores(predicted))
    if not drawn.tells:
        return "no paired comparison is possible, as these rows are too few.", None
    found = estimate(
        drawn.value["second"] - drawn.value["first"], drawn.drawn["second"] - drawn.drawn["first"], test.terms.level
    )
    words = words_of(first.run.scenario.task)
    told = words.difference(found.value, found.low, found.high)
    better = "which is better" if found.low > 0 else "which is worse" if found.high < 0 else "which could be nothing"
    return f"{second.name} less {first.name}, on the same {drawn.units:,} {words.units}: {told}, {better}.", found


def _predicted(run: Run, lane: str) -> "FloatArray":
    return read_predictions(run.path(run.result(VERDICT)), [lane])[lane]


def _marks(run: Run) -> Any:
    import pandas as pd

    return pd.read_parquet(run.input(AUDIT, artifact=MARKS).path)
