"""Figures about several domains together, each with the check on it; those that every kind of row has."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pandas as pd

from pipeline.config import CheckSettings
from pipeline.data.rules import Check, Severity
from pipeline.rows.kind import CleanTables

# A bridge carries something where enough of the target stands on it: units that a metric can be told apart by, and
# where the target is small, one in a hundred. What fewer meet is chance, or two spellings of the ids.
ABSENT, ENOUGH = 0.01, 100
# What the source brings to one in ten, were it half of their metric, is 5 % of the whole: a few thousand test rows
# cannot show less.
THIN = 0.1
HEAVY, HEAVY_SHARE = 5, 0.01  # times the rows of the next id; an id of fewer rows than that share harms nobody
LOST = 0.05  # of a table's rows: what the gate lets pass as no loss; what breaks a rule is rarely lost by chance
SHARE = "share of "  # how the names of figures begin that say what is in common


@dataclass
class Figures:
    """One row of figures, and a check for each of them."""

    values: dict[str, float] = field(default_factory=dict)
    checks: list[Check] = field(default_factory=list)

    @classmethod
    def of_sizes(cls, settings: CheckSettings, domains: Mapping[str, CleanTables], table: str) -> "Figures":
        """How much of each domain is in quarantine, and whether the sources are richer than the target.

        Args:
            settings: Who is source and who is target, and how much of a table may be in quarantine.
            domains: Their clean tables.
            table: The one whose rows are learnt from.
        """
        figures = cls()
        for name, domain in domains.items():
            share, worst = f"quarantined share of {name}", f"{domain.worst + ': ' if domain.worst else ''}"
            figures.expect(
                share, domain.quarantined, "critical",
                Told("quarantine", f"at most {settings.quarantine_limit * 100:.4g}% of the rows in quarantine",
                     f"{worst}look at the rules in the Data Docs: so many broken "
                     "rows point to a wrong mapping or a broken delivery; what is right all the same is allowed by "
                     "`quarantine_limit` in the scenario"),
                max_value=settings.quarantine_limit,
            )  # fmt: skip
            if domain.quarantined <= settings.quarantine_limit:
                figures.expect(
                    share, domain.quarantined, "warning",
                    Told("rows_lost", f"at most {LOST:.0%} of the rows in quarantine",
                         f"{worst}mend the mapping or the file; what is lost is rarely like what is left"),
                    max_value=LOST,
                )  # fmt: skip
        rows = {name: len(domain.tables[table]) for name, domain in domains.items()}
        for name in settings.sources:
            figures.expect(
                f"rows of {name} per row of {settings.target}", rows[name] / max(rows[settings.target], 1), "warning",
                Told("richer_source", "a source with at least as many rows as the target",
                     "expect little of the transfer, or swap the domains"),
                min_value=1,
            )  # fmt: skip
        return figures

    def expect(self, name: str, value: float, severity: Severity, told: "Told", **bounds: float) -> None:
        """Add a figure that has to lie within bounds."""
        self.values[name] = value
        arguments = {"column": name, **bounds}
        self.checks.append(
            Check(told.rule, severity, "ExpectColumnValuesToBeBetween", told.expected, told.remedy, arguments)
        )

    def expect_bridge(self, name: str, part: int, whole: int, told: "Told", *, unknown: bool = False) -> None:
        """Add a share that a declared bridge stands on: refused where it is practically absent, warned of where thin.

        Args:
            name: What it is the share of; see `SHARE`.
            part: How many there are in common.
            whole: Of how many.
            told: The rule, why a bridge is expected, and what to do.
            unknown: Whether nobody can know it yet, so that nothing is refused.
        """
        share = part / whole if whole else 0.0
        least = min(ABSENT, ENOUGH / whole) if whole else ABSENT
        absent = f"at least {least:.2%}, {told.expected}: fewer meet by chance"
        self.expect(name, share, "warning" if unknown else "critical", replace(told, expected=absent), min_value=least)
        if whole and share >= least:
            thin = Told(f"thin_{told.rule}", f"at least {THIN:.0%}, {told.expected}, so that a gain can be seen at all",
                        f"expect little of the transfer, or {told.remedy}")  # fmt: skip
            self.expect(name, share, "warning", thin, min_value=THIN)

    def tell(self, name: str, value: float, rule: str) -> None:
        """Add a figure that nothing hangs on."""
        self.expect(name, value, "info", Told(rule, "a number for people", "nothing"), min_value=0)

    def expect_no_heavy(self, domain: str, frame: pd.DataFrame, columns: Iterable[str]) -> None:
        """Look for one id in far more rows than any other, as a missing one that is spelt `0` or `guest` would be."""
        for column in columns:
            counts = [int(count) for count in frame[column].value_counts()[:2]] if column in frame else []
            if len(counts) < 2 or counts[0] < HEAVY_SHARE * len(frame):
                continue
            first, second = counts
            self.expect(
                f"times that one {column} of {domain} has the rows of the next ({first:,} of {len(frame):,} rows)",
                first / second, "warning",
                Told("one_id_in_many_rows", f"no {column} with more than {HEAVY} times the rows of any other",
                     "look whether it stands for a missing id, such as 0 or guest, and leave those rows out: it "
                     "counts as one and the same"),
                max_value=HEAVY,
            )  # fmt: skip

    def expect_values(self, domain: str, values: Mapping[str, "pd.Series[Any]"]) -> None:
        """Look for used columns that hold one value, or none: they tell nothing, and often are a wrong mapping."""
        there = {name: column.dropna() for name, column in values.items()}
        empty = [name for name, column in there.items() if column.empty or (column == column.iloc[0]).all()]
        told = f": {', '.join(empty)}" if empty else ""
        self.expect(
            f"used columns of {domain} with one value or none{told}", len(empty), "warning",
            Told("one_value", "different values in each used column",
                 "look at the mapping of those columns, or leave them out"),
            max_value=0,
        )  # fmt: skip

    def table(self) -> tuple[pd.DataFrame, tuple[Check, ...]]:
        """A frame of one row, and a check for each of its columns."""
        return pd.DataFrame([self.values], dtype="float64"), tuple(self.checks)


@dataclass(frozen=True)
class Told:
    """A rule's name, what it expects, and what a person does about it."""

    rule: str
    expected: str
    remedy: str
