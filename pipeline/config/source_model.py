"""Which lanes can begin with a registered model that stands in the place of sources."""

from collections.abc import Mapping
from typing import Protocol, get_args

from pipeline.config.base import Bridge
from pipeline.config.baselines import BaselineConfig
from pipeline.config.blends import Lanes
from pipeline.config.models import Model, ModelConfig


class Begun(Lanes, Protocol):
    """What has lanes and a model: a scenario."""

    @property
    def model(self) -> ModelConfig: ...  # noqa: D102
    @property
    def bridges(self) -> tuple[Bridge, ...]: ...  # noqa: D102


def begun_by(given: Begun) -> dict[str, str]:
    """The lanes that would learn from a source, and the kind of registered model that each can begin with.

    Empty where it can begin with none, because it asks for rows of a source.
    """
    strategies = [one for one in given.strategies if one.domains != "target"]
    found = {one.name: "" if one.asks_for_source_rows else given.model.begins for one in strategies}
    return found | {one.name: one.begins for one in given.baselines if one.domains != "target"}


def refuse_rows_of_a_source(given: Begun) -> None:
    """Refuse lanes that ask for rows of a source, and lanes that cannot all begin with one model.

    Raises:
        ValueError: a lane cannot be; it is named, with what was expected.
    """
    if "users" in given.bridges:
        raise ValueError(
            "source_model: bridges names users, and what they did at a source is not in its model; take users out: "
            "expected items, item_features or features"
        )
    begun = begun_by(given)
    if asking := [name for name, kind in begun.items() if not kind]:
        raise ValueError(
            f"source_model: {', '.join(asking)} would learn from rows of a source, and there are none; expected "
            "strategies that begin with its model, such as tune {kind: fine_tune}, and baselines of the target or "
            f"that begin with it: {_baselines()}"
        )
    if len(set(begun.values())) > 1:
        raise ValueError(
            f"source_model is one model, and there are lanes for several kinds: {_told(begun)}; keep those of one kind"
        )


def misfits(given: Begun, kind: str) -> str:
    """Why lanes cannot begin with a registered model of a kind, and what to do; empty where all can."""
    others = {name: own for name, own in begun_by(given).items() if own != kind}
    if not others:
        return ""
    model = next((name for name, one in _models().items() if one.begins == kind), "")
    able = [f"strategies with model: {{kind: {model}}}"] if model else []
    if baselines := _baselines(kind):
        able.append(f"the baselines {baselines}")
    return (
        f"it is of the kind {kind}, and other lanes are for another: {_told(others)}. Leave them out, or name a model "
        f"of that kind; with one of the kind {kind} can begin: {' and '.join(able) or 'none'}."
    )


def _told(lanes: Mapping[str, str]) -> str:
    return "; ".join(
        f"{', '.join(name for name, own in lanes.items() if own == kind)} (kind {kind})"
        for kind in dict.fromkeys(lanes.values())
    )


def _models() -> dict[str, type[ModelConfig]]:
    found = [get_args(one)[0] for one in get_args(get_args(Model)[0])]
    return {get_args(one.model_fields["kind"].annotation)[0]: one for one in found}


def _baselines(kind: str = "") -> str:
    """Those that can begin with a model of a kind, or of any, as a scenario writes them."""
    found = {get_args(one.model_fields["kind"].annotation)[0]: one for one in get_args(get_args(BaselineConfig)[0])}
    return ", ".join(
        f"{{kind: {name}, domains: {domains}}}"
        for name, one in found.items()
        for domains, own in one.carries.items()
        if kind in ("", own)
    )
