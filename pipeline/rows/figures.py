"""Figures about several domains together, each with the check on it; those that every kind of row has."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import pandas as pd

from pipeline.config import CheckSettings
from pipeline.data.rules import Check, Severity
from pipeline.rows.kind import CleanTables


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
            figures.expect(
                f"quarantined share of {name}", domain.quarantined, "critical",
                Told("quarantine", f"at most {settings.quarantine_limit * 100:.4g}% of the rows in quarantine",
                     f"{domain.worst + ': ' if domain.worst else ''}look at the rules in the Data Docs: so many broken "
                     "rows point to a wrong mapping or a broken delivery; what is right all the same is allowed by "
                     "`quarantine_limit` in the scenario"),
                max_value=settings.quarantine_limit,
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

    def table(self) -> tuple[pd.DataFrame, tuple[Check, ...]]:
        """A frame of one row, and a check for each of its columns."""
        return pd.DataFrame([self.values], dtype="float64"), tuple(self.checks)


@dataclass(frozen=True)
class Told:
    """A rule's name, what it expects, and what a person does about it."""

    rule: str
    expected: str
    remedy: str
