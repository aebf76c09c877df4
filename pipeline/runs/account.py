"""Every row accounted for: rows read = kept + quarantined + dropped, by domain and reason."""

from collections.abc import Iterator
from dataclasses import dataclass

from pipeline.results import CLEAN, INGEST, PREPARE, CleanFacts, PrepareFacts
from pipeline.runs.run import Run


@dataclass(frozen=True)
class Account:
    """What became of the rows of one domain's main table.

    `read` is what the snapshot holds; `kept` is by part, `quarantined` by rule, `dropped` by reason.
    """

    domain: str
    read: int
    kept: dict[str, int]
    quarantined: dict[str, int]
    dropped: dict[str, int]

    def __post_init__(self) -> None:
        told = sum(sum(part.values()) for part in (self.kept, self.quarantined, self.dropped))
        assert told == self.read, f"{self.domain}: {self.read} rows were read, but {told} are accounted for"

    def __str__(self) -> str:
        told = [f"{sum(self.kept.values()):,} kept ({_by(self.kept)})"]
        told += (
            [f"{sum(self.quarantined.values()):,} quarantined ({_by(self.quarantined)})"] if self.quarantined else []
        )
        told += [f"{sum(self.dropped.values()):,} dropped ({_by(self.dropped)})"] if self.dropped else []
        return f"{self.domain}: {self.read:,} rows read = {' + '.join(told)}"


def account_of(domain: str, cleaned: CleanFacts, prepared: PrepareFacts) -> Account:
    """The account of one domain's main table."""
    table = cleaned.learnt
    dropped = {reason: count for reason, count in prepared.dropped.items() if count}
    return Account(domain, table.rows_read, prepared.rows, table.rules, dropped)


def accounts(run: Run) -> list[Account]:
    """The account of each domain, the sources' first; domains whose rows were not prepared in this run are left out."""
    cleaned, prepared = run.results(CLEAN), run.results(PREPARE)
    there = [name for name in run.scenario.domains if name in cleaned and name in prepared]
    return [account_of(name, cleaned[name].facts, prepared[name].facts) for name in there]


def ignored(run: Run) -> Iterator[str]:
    """Say which rows belong to no domain of the scenario; a domain that is spelt almost like one is pointed out."""
    snapshot = next(iter(run.results(INGEST).values()), None)
    counted = snapshot.facts.ignored_rows if snapshot else {}
    names = {name.casefold(): name for name in run.scenario.domains}
    for table, counts in counted.items():
        for domain, count in counts.items():
            like = names.get(domain.strip().casefold())
            hint = f"; is {like!r} meant?" if like else ""
            yield f"{table}: {count:,} rows of {domain!r} are ignored, which the scenario does not name{hint}"


def spellings(run: Run) -> tuple[str, ...]:
    """Say where ids seem to be spelt in several ways."""
    snapshot = next(iter(run.results(INGEST).values()), None)
    return snapshot.facts.spellings if snapshot else ()


def _by(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts.items())
