"""Every row accounted for: rows read = kept + quarantined + dropped, by domain and reason."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from pipeline.results import CLEAN, INGEST, PREPARE, CleanFacts, Finding, PrepareFacts
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


def ignored_rows(run: Run) -> dict[str, dict[str, int]]:
    """Rows that belong to no domain of the scenario, by table and domain."""
    snapshot = next(iter(run.results(INGEST).values()), None)
    return snapshot.facts.ignored_rows if snapshot else {}


def ignored(counted: Mapping[str, Mapping[str, int]], domains: Collection[str]) -> Iterator[Finding]:
    """Say which rows belong to no domain of the scenario; a domain that is spelt almost like one is pointed out."""
    names = {name.casefold(): name for name in domains}
    for table, counts in counted.items():
        likes = {domain: names.get(domain.strip().casefold()) for domain in counts}
        told = [
            f"{count:,} of {domain!r}" + (f" (perhaps {likes[domain]!r} is meant)" if likes[domain] else "")
            for domain, count in counts.items()
        ]
        meant = sorted({like for like in likes.values() if like})
        mapped = f"map them: `domains: {{{meant[0]}: ...}}`" if meant else "name the domains in the scenario"
        if told:
            yield Finding(
                rule="ignored_rows", where=table,
                what=f"rows of domains that the scenario does not name are ignored: {', '.join(told)}",
                remedy=f"{mapped}, or leave those rows out",
            )  # fmt: skip


def spellings(run: Run) -> tuple[str, ...]:
    """Say where ids seem to be spelt in several ways."""
    snapshot = next(iter(run.results(INGEST).values()), None)
    return snapshot.facts.spellings if snapshot else ()


def _by(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts.items())
