"""Reading scenarios: YAML in, a frozen `Scenario` or a message with file, key, expectation and near miss out."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError

from pipeline.config import Options, Scenario
from pipeline.errors import ConfigError
from pipeline.near import near, near_path
from pipeline.scenarios.reading import read_mapping

MOST_TOLD = 20  # wrong keys of one file
BUILT_IN = Path(__file__).parent
VARIABLE = "CROSSLIFT_SCENARIOS"


@dataclass(frozen=True)
class Found:
    """A scenario file: its name, where it lies, and either the scenario or why it cannot be read."""

    name: str
    path: Path
    scenario: Scenario | None
    error: str = ""


def find_scenarios() -> dict[str, Found]:
    """All scenarios by name, the built-in ones first; a broken file is found too and carries its message.

    A file of the user's folder (`CROSSLIFT_SCENARIOS`) replaces a built-in one of the same name. A folder that is not
    there is found as one broken file, called like the variable.
    """
    found: dict[str, Found] = {}
    folders = [BUILT_IN]
    if own := os.environ.get(VARIABLE):
        folder = Path(own).expanduser()
        folders.append(folder)
        if not folder.is_dir():
            told = f"{VARIABLE}: expected a folder with scenario files, and {own!r} is none.{near_path(folder)}"
            found[VARIABLE] = Found(VARIABLE, folder, None, _printable(told))
    for folder in folders:
        for path in sorted(folder.glob("*.yaml")):
            try:
                scenario = check_file(path)
                found[scenario.name] = Found(scenario.name, path, scenario)
            except ConfigError as error:
                name, message = (_printable(text) for text in (path.stem, str(error)))
                found[name] = Found(name, path, None, message)
    return found


def load_scenario(name: str) -> Scenario:
    """The scenario of that name.

    Raises:
        ConfigError: there is none, or its file is broken.
    """
    found = find_scenarios()
    if name not in found:
        broken = found.pop(VARIABLE, None)
        own = broken.error if broken else f"A folder of your own is named by {VARIABLE}."
        raise ConfigError(
            f"no scenario is called {name!r}.{near(name, found)} There are: {', '.join(sorted(found))}. {own}"
        )
    scenario = found[name].scenario
    if scenario is None:
        raise ConfigError(found[name].error)
    return scenario


def check_file(path: Path) -> Scenario:
    """The scenario in a YAML file.

    Raises:
        ConfigError: the file cannot be read, is no YAML mapping, or says something that a scenario cannot say. The
            message lists every wrong key.
    """
    try:
        return _checked(path)
    except ConfigError:
        raise
    except Exception as error:  # whatever it is, the other files go on
        raise ConfigError(f"{path}: cannot be read as a scenario ({type(error).__name__}).") from error


def _checked(path: Path) -> Scenario:
    try:
        scenario = Scenario.model_validate(read_mapping(path))
    except ValidationError as error:
        raise ConfigError("\n".join(f"{path}: {line}" for line in explain(error, Scenario))) from error
    if scenario.name != path.stem:
        raise ConfigError(f"{path}: name: expected {path.stem!r} like the file, got {scenario.name!r}.")
    return scenario


def apply_options(scenario: Scenario, options: Options) -> Scenario:
    """The scenario with the values of the trigger form or the command line; target-only always stays.

    Raises:
        ConfigError: a strategy is named that the scenario does not have.
    """
    known = {strategy.name: strategy for strategy in scenario.strategies}
    for name in options.strategies:
        if name not in known:
            raise ConfigError(
                f"strategies: {scenario.name} has no strategy {name!r}.{near(name, known)} It has: {', '.join(known)}."
            )
    if options.target_share is not None and not scenario.target_labels:
        raise ConfigError(f"target_share: {scenario.name} uses no rows of the target, because target_labels is false.")
    changes: dict[str, Any] = {}
    if options.strategies:
        wanted = {"target_only", *options.strategies}
        changes["strategies"] = tuple(known[name] for name in known if name in wanted)
        lanes = {*wanted, *(baseline.name for baseline in scenario.baselines)}
        changes["blends"] = tuple(blend for blend in scenario.blends if lanes.issuperset(blend.of))
        if not lanes - {"target_only"} - scenario.oracles:
            raise ConfigError(f"strategies: only oracles are left of {scenario.name}, which are never promoted.")
    if options.seed is not None:
        changes["seed"] = options.seed
    if options.target_share is not None:
        changes["target_share"] = options.target_share
    if options.share_draw is not None:
        changes["share_draw"] = options.share_draw
    if options.split_draw is not None:
        if scenario.split.drawn is None:
            way = f"is split by {scenario.split.kind}, which divides the rows in one way only"
            raise ConfigError(f"split_draw: {scenario.name} {way}.")
        changes["split"] = scenario.split.model_copy(update={"draw": options.split_draw})
    if options.epochs is not None:
        changes["training"] = scenario.training.model_copy(update={"epochs": options.epochs})
    return scenario.model_copy(update=changes)


def differences(scenario: Scenario, changed: Scenario) -> str:
    """Say how the strategies, seed, epochs or split of a run differ from its scenario's; empty where they do not.

    The share of target data does not count: each share has a model of its own.
    """
    told = []
    names = [strategy.name for strategy in changed.strategies]
    if len(names) != len(scenario.strategies):  # options can only leave some out
        told.append(f"only the strategies {', '.join(names)}")
    if changed.seed != scenario.seed:
        told.append(f"seed {changed.seed} instead of {scenario.seed}")
    if changed.training.epochs != scenario.training.epochs:
        told.append(f"epochs {changed.training.epochs} instead of {scenario.training.epochs}")
    if changed.split != scenario.split:
        told.append("another split of the same rows")
    return "; ".join(told)


def json_schema() -> dict[str, Any]:
    """The JSON Schema of a scenario file, for editors."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **Scenario.model_json_schema()}


def read_options(values: Mapping[str, Any], where: str) -> Options:
    """Read the options of a run.

    Args:
        values: By name, as a person gave them.
        where: Where that was, for messages.

    Raises:
        ConfigError: a key is not known, or a value is impossible.
    """
    try:
        return Options.model_validate(dict(values))
    except ValidationError as error:
        raise ConfigError("\n".join(f"{where}: {line}" for line in explain(error, Options))) from None


def explain(error: ValidationError, model: type[BaseModel]) -> list[str]:
    """One line for each wrong key: where, what was expected, what came, and the near miss of a misspelt key."""
    lines = []
    problems = error.errors(include_url=False)
    for problem in problems[:MOST_TOLD]:
        if problem["type"] == "too_short" and any(_inside(other["loc"], problem["loc"]) for other in problems):
            continue  # only because its wrong entries do not count
        location = [part for part in problem["loc"] if not (isinstance(part, str) and part in _TAGS)]
        where = ".".join(str(part) for part in location) or "scenario"
        if problem["type"] == "extra_forbidden":
            key = str(problem["loc"][-1])
            beside = _keys_beside(model, problem["loc"])
            hint = " Another kind has such a key." if key in beside else near(key, beside)
            lines.append(f"{where}: this key is not known here.{hint}")
        else:
            message = problem["msg"].removeprefix("Value error, ")
            got = "" if problem["type"] == "missing" else _got(problem.get("input"))
            lines.append(f"{where}: {message[0].lower() + message[1:]}{got}.{_meant(problem)}")
    if len(problems) > MOST_TOLD:
        lines.append(f"and {len(problems) - MOST_TOLD} more.")
    return lines


def _meant(problem: Any) -> str:
    """The near miss of a word that is none of those that may stand there."""
    context = problem.get("ctx", {})
    allowed = re.findall(r"'([^']+)'", str(context.get("expected") or context.get("expected_tags") or ""))
    given = context.get("tag", problem.get("input"))
    return near(given, allowed) if isinstance(given, str) else ""


def _got(given: Any) -> str:
    """What came, where it is short and cannot hold a password."""
    if isinstance(given, Mapping | list | tuple | set) or "://" in str(given):
        return ""
    text = repr(given)
    return f", got {text if len(text) <= 80 else text[:77] + '...'}"


def _printable(text: str) -> str:
    """A text that every file and database takes; names of files may hold bytes that are no text."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _inside(place: tuple[int | str, ...], other: tuple[int | str, ...]) -> bool:
    return len(place) > len(other) and place[: len(other)] == other


# Parts of pydantic's locations that name a member of a union, not a key of the file.
_TAGS = frozenset({"FileTable", "SqlTable", "QueryTable", "Scenario"})


def _keys_beside(model: type[BaseModel], location: tuple[int | str, ...]) -> list[str]:
    """All keys that the models along a location know; enough to find a near miss."""
    keys: list[str] = []
    pending: list[Any] = [model]
    seen: set[Any] = set()
    while pending:
        current = pending.pop()
        if current in seen:
            continue
        seen.add(current)
        if isinstance(current, type) and issubclass(current, BaseModel):
            top = current is model
            if not top or len(location) == 1:
                keys.extend(current.model_fields)
            fields = current.model_fields
            if top and location[0] in fields:
                pending.append(fields[str(location[0])].annotation)
            elif not top:
                pending.extend(field.annotation for field in fields.values())
        elif get_origin(current) is not None:
            pending.extend(get_args(current))
    return keys
