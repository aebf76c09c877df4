"""Blends of two lanes, and what every lane is held against."""

from collections.abc import Mapping, Sequence
from typing import ClassVar, Protocol

from pipeline.config.base import Config, TaskConfig
from pipeline.config.baseline import Baseline, Domains
from pipeline.config.methods import Strategy
from pipeline.near import near


class LaneBlend(Config):
    """The scores of two lanes added up; validation says how much each counts, by the length of a unit's history."""

    predicts: ClassVar[frozenset[str]] = frozenset({"items"})  # kinds of label

    of: tuple[str, str]  # names of strategies or baselines

    @property
    def name(self) -> str:
        """`joint_with_ease`: also the name of its lane."""
        return "_with_".join(self.of)


class Lanes(Protocol):
    """What has lanes: a scenario, or what a step may read of one."""

    @property
    def strategies(self) -> tuple[Strategy, ...]: ...  # noqa: D102
    @property
    def baselines(self) -> tuple[Baseline, ...]: ...  # noqa: D102
    @property
    def blends(self) -> tuple[LaneBlend, ...]: ...  # noqa: D102


def _members(given: Lanes) -> dict[str, Strategy | Baseline]:
    members: tuple[Strategy | Baseline, ...] = (*given.strategies, *given.baselines)
    return {one.name: one for one in members}


def names_of(given: Lanes) -> tuple[str, ...]:
    """The names of all lanes: strategies, baselines, blends."""
    return (*_members(given), *(one.name for one in given.blends))


def domains_of(given: Lanes) -> dict[str, Domains]:
    """Whose labelled rows each lane learns from; a blend with a source always chooses by the target's as well."""
    found = {name: one.domains for name, one in _members(given).items()}
    pairs: dict[str, Domains] = {
        one.name: "target" if {found[member] for member in one.of} == {"target"} else "all" for one in given.blends
    }
    return found | pairs


def alone_of(given: Lanes) -> dict[str, str | None]:
    """What each lane would be without a source, by name: a lane on the target alone is that itself.

    Of a blend it is the blend of what its two lanes would be, or the lane that both would be; None where there is no
    such blend.
    """
    found: dict[str, str | None] = {name: one.alone for name, one in _members(given).items()}
    pairs = {frozenset(one.of): one.name for one in given.blends}
    for one in given.blends:
        own = _own(one, found)
        found[one.name] = pairs.get(own) if len(own) > 1 else next(iter(own))
    return found


def _own(blend: LaneBlend, found: Mapping[str, str | None]) -> frozenset[str]:
    return frozenset(str(found[member]) for member in blend.of)


def refuse_blends(given: Lanes, task: TaskConfig, *, target_labels: bool) -> None:
    """Refuse blends of what is not there, and those whose gain by the source could not be told from that of blending.

    Raises:
        ValueError: a blend cannot be; it is named, with what was expected.
    """
    known = _members(given)
    for blend in given.blends:
        if not blend.predicts & task.predicted:
            raise ValueError(
                f"blends: they are for rows that are labelled with {' or '.join(sorted(blend.predicts))}, but the task "
                f"{task.name} asks for {' or '.join(sorted(task.predicted))}; leave them out"
            )
        if not target_labels:
            raise ValueError(
                "blends: validation rows of the target say how much each lane counts, and target_labels is false; "
                "leave them out"
            )
        for member in blend.of:
            if member not in known:
                raise ValueError(f"blends: {_strange(member, given.blends, known)}")
        if len(set(blend.of)) == 1:
            raise ValueError(f"blends: {blend.of[0]} stands twice in one of them; expected two lanes")
    pairs = [frozenset(blend.of) for blend in given.blends]
    if twice := [blend.name for place, blend in enumerate(given.blends) if pairs[place] in pairs[:place]]:
        raise ValueError(f"blends: {', '.join(twice)} stands there more than once")
    _refuse_unproved(given, known)


def _strange(member: str, blends: Sequence[LaneBlend], known: Mapping[str, object]) -> str:
    if member in {blend.name for blend in blends}:
        return f"{member} is a blend itself; expected two strategies or baselines"
    return f"{member!r} is no lane of the scenario.{near(member, known)} There are: {', '.join(known)}"


def _refuse_unproved(given: Lanes, known: Mapping[str, object]) -> None:
    """Refuse a blend that learnt from a source where the same one without it is missing."""
    alone, domains = alone_of(given), domains_of(given)
    for blend in given.blends:
        if domains[blend.name] == "target":
            continue
        own = sorted(_own(blend, alone))
        if missing := [name for name in own if name not in known]:
            raise ValueError(
                f"blends: {blend.name} uses a source, and what it would be without one needs the baseline "
                f"{', '.join(missing)}, which is missing; add it under baselines"
            )
        if alone[blend.name] is None:
            raise ValueError(
                f"blends: {blend.name} uses a source, and the same blend without one is missing: its gain could be "
                f"that of blending alone. Add `- of: [{', '.join(own)}]`"
            )
