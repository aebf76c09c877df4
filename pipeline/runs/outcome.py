"""What became of a version that a run registered, in the sentences that console, pages and tags repeat."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from pipeline.registry.outcome import OUTCOME_REASON
from pipeline.registry.promote import APPROVED, PROMOTED, ROLLED_BACK, Serving
from pipeline.runs.approve import NEEDED
from pipeline.runs.run import Run

Held = Literal["serves already", "waits for approval", "not promoted"]


@dataclass(frozen=True)
class Place:
    """Where a version stands before the champion's alias moves."""

    model: str
    version: int
    lane: str
    tags: Mapping[str, str]
    challenger: bool  # it has that alias
    serving: Serving | None

    @property
    def serves(self) -> bool:
        """Whether it is the champion."""
        return self.serving is not None and self.serving.version == self.version

    @property
    def served(self) -> bool:
        """Whether it became the champion before; not so where a crash left a promotion half done."""
        return has_served(self.tags)

    def __str__(self) -> str:
        return f"version {self.version} ({self.lane})"


def has_served(tags: Mapping[str, str]) -> bool:
    """Whether a version with these tags is or was the champion."""
    return PROMOTED in tags or APPROVED in tags or ROLLED_BACK in tags


def held_back(run: Run, place: Place, chosen: bool, verdict: str, unjudged: str) -> tuple[Held, str] | None:
    """Say why nothing moves, by the first reason that applies, or None where the version is to become the champion.

    Args:
        run: The run.
        place: Where the version stands that the gate chose, else the candidate's.
        chosen: Whether the gate chose any.
        verdict: The gate's word about the candidate.
        unjudged: Why the candidate was not judged against what serves by now; empty: it was.
    """
    tags, told = place.tags, place.tags.get(OUTCOME_REASON, "")
    version = _start(str(place))
    stayed = f"{named(place.serving)} stayed in service" if place.serving else "nothing served"
    completes = chosen and run.may_promote and not place.served  # what a crash left half done
    cases: tuple[tuple[bool, Held, str], ...] = (
        (
            place.serves and not completes,
            "serves already",
            f"{version} served before this run, which moved nothing. {told}",
        ),
        (
            ROLLED_BACK in tags,
            "not promoted",
            f"{version} was taken out of service, and no run brings the same package back; {stayed}. {told}",
        ),
        (
            place.served,
            "not promoted",
            f"{version} served before, and no run brings the same package back; {stayed}. {told}",
        ),
        (unjudged != "", "not promoted", f"{unjudged} {version} is registered only; {stayed}."),
        (
            not chosen and place.challenger and tags.get("approval") == NEEDED,
            "waits for approval",
            f"{version} cannot be judged without labels of the target and waits for a person: `crosslift models "
            f"approve {place.model} {place.version}`; {stayed}.",
        ),
        (not chosen, "not promoted", f"The gate chose nothing, its word about {place} is {verdict}; {stayed}."),
        (
            not run.may_promote,
            "not promoted",
            f"{version} comes from a trial ({run.trial}) and serves only where that is asked for, by --promote or in "
            f"the form; {stayed}.",
        ),
    )
    return next(((word, reason.rstrip()) for applies, word, reason in cases if applies), None)


def moved(run: Run, place: Place) -> str:
    """Say that the version became the champion."""
    instead = f"took the place of {named(place.serving)}" if place.serving else "became the first champion"
    if place.serves:
        instead = "became the champion in an earlier try"
    asked = f" It comes from a trial ({run.trial}), whose promotion was asked for." if run.trial else ""
    return f"{_start(str(place))} {instead}.{asked}"


def overtaken(place: Place) -> str:
    """Say that another one became the champion between the verdict and the move."""
    return (
        f"{_start(str(place))} was judged against {named(place.serving)}, but the champion was another one when "
        "the alias was about to move; run again."
    )


def named(serving: Serving | None) -> str:
    """Name what serves."""
    return f"version {serving.version} ({serving.lane})" if serving else "nothing"


def _start(sentence: str) -> str:
    return sentence[0].upper() + sentence[1:]
