"""Why a version serves: the verdicts that led to it, back to the first one that served."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from pipeline.errors import UserError
from pipeline.folders import Home
from pipeline.registry.lookup import VersionDetails, show_model
from pipeline.registry.outcome import OUTCOME, OUTCOME_REASON
from pipeline.registry.promote import APPROVED, CHAMPION, ROLLED_BACK

_WHEN = re.compile(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00")


@dataclass(frozen=True)
class Link:
    """One version: what the gate said of it, against which version, and what became of it.

    Times are ISO 8601 in UTC; `since` is when it became what it is now, empty where nobody noted it.
    """

    version: int
    lane: str
    aliases: tuple[str, ...]
    registered: str
    run_id: str
    verdict: str
    reason: str
    judged_against: int | None  # None: nothing served
    outcome: str
    outcome_reason: str
    since: str
    approved: str = ""  # by whom, and when
    rolled_back: str = ""  # when a person took it out of service

    @classmethod
    def of(cls, found: VersionDetails) -> "Link":
        """Read a version's tags; one from before a tag was written has none."""
        tags = found.tags
        against = re.search(r"\d+", tags.get("judged_against", ""))
        told = _WHEN.search(tags.get(OUTCOME_REASON, ""))
        return cls(
            version=found.version, lane=tags.get("lane", ""), aliases=found.aliases,
            registered=datetime.fromtimestamp(found.registered, UTC).isoformat(timespec="seconds"),
            run_id=tags.get("run_id", ""), verdict=tags.get("verdict", ""), reason=tags.get("reason", ""),
            judged_against=int(against[0]) if against else None, outcome=tags.get(OUTCOME, ""),
            outcome_reason=tags.get(OUTCOME_REASON, ""), since=told[0] if told else "",
            approved=tags.get(APPROVED, ""), rolled_back=tags.get(ROLLED_BACK, ""),
        )  # fmt: skip


@dataclass(frozen=True)
class Chain:
    """What serves and the verdicts before it, the newest first; `rolled_back` are versions that a person took out."""

    name: str
    links: tuple[Link, ...]
    rolled_back: tuple[Link, ...] = field(default=())


def chain_of(home: Home, name: str) -> Chain:
    """Follow the verdicts back from what serves: each version to the one that served when it was judged.

    Raises:
        UserError: there is no such model, or none of its versions serves.
        StorageError: the store cannot be reached.
    """
    found = {one.version: Link.of(one) for one in show_model(home, name).versions}
    serving = next((one.version for one in found.values() if CHAMPION in one.aliases), None)
    if serving is None:
        last = max(found.values(), key=lambda one: one.version, default=None)
        told = f" Version {last.version}, the last: {last.outcome_reason or last.reason}" if last else ""
        raise UserError(f"{name}: no version serves, so nothing led to one.{told}")
    links = list(_back(found, serving))
    others = [one for one in found.values() if one.rolled_back and one not in links]
    return Chain(name, tuple(links), tuple(sorted(others, key=lambda one: -one.version)))


def _back(found: Mapping[int, Link], version: int | None) -> "list[Link]":
    links: list[Link] = []
    # A package that serves again may have been judged against itself.
    while version is not None and version in found and found[version] not in links:
        links.append(found[version])
        version = found[version].judged_against
    return links
