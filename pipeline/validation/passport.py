"""The passport: what was checked, over which content, with what result; equal inputs give equal bytes."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.errors import StorageError
from pipeline.folders import Home, digest, read_json

if TYPE_CHECKING:  # the step looks the reference up before it knows whether it must compute, so nothing heavy here
    from pipeline.validation.checking import Outcome
    from pipeline.validation.data_docs import Volume

PASSPORT = "passport.json"


@dataclass(frozen=True)
class Reference:
    """The snapshot that volumes are compared with: its content and its rows by domain."""

    content: str
    rows: Mapping[str, int]


def content_of(manifests: Mapping[str, str]) -> str:
    """The identity of a snapshot: the hash of its domains' manifests."""
    return digest(dict(manifests))


def reference_path(home: Home, scenario: str) -> Path:
    """Where `promote` leaves the passport of the snapshot whose model it promoted."""
    return home.root / "reference" / scenario / PASSPORT


def find_reference(
    home: Home, scenario: str, table: str, manifests: Mapping[str, str], rows: Mapping[str, int]
) -> Reference:
    """The reference snapshot; the first one is its own.

    So the night after a promotion, with nothing new, compares with the same numbers and has nothing to do again.

    Args:
        home: Where references lie.
        scenario: Whose.
        table: The table whose rows count.
        manifests: Manifest hash of each domain of the present snapshot.
        rows: Rows of each domain of the present snapshot after the row rules.

    Raises:
        StorageError: the reference passport is damaged.
    """
    path = reference_path(home, scenario)
    if not path.exists():
        return Reference(content_of(manifests), dict(rows))
    try:
        passport = read_json(path)
        earlier = {name: int(tables[table]["rows"]) for name, tables in passport["tables"].items()}
        content = str(passport["content"])
    except (StorageError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise StorageError(
            f"{path}: expected the passport of what serves, by which volumes are judged; it is damaged. Remove it and "
            "repeat: this run's volumes are then the first that count."
        ) from error
    return Reference(content, {name: earlier.get(name, count) for name, count in rows.items()})


def write_passport(
    scenario: str,
    manifests: Mapping[str, str],
    reference: Reference,
    outcomes: Collection["Outcome"],
    volumes: Collection["Volume"],
) -> dict[str, Any]:
    """The passport of a snapshot that passed, as JSON values; it holds counts and bounds, no cell values."""
    tables: dict[str, dict[str, Any]] = {}
    for volume in volumes:
        counts = {"rows_read": volume.rows_read, "rows": volume.rows, "quarantined": dict(volume.rules)}
        tables.setdefault(volume.domain, {})[volume.table] = counts
    return {
        "scenario": scenario,
        "content": content_of(manifests),
        "snapshot": dict(manifests),
        "reference": {"content": reference.content, "rows": dict(reference.rows)},
        "tables": tables,
        "checks": [
            {
                "table": outcome.table,
                "domain": outcome.domain,
                "rule": outcome.check.rule,
                "columns": list(outcome.check.columns),
                "severity": outcome.check.severity,
                "expected": outcome.check.expected,
                "observed": outcome.observed,
                "success": outcome.success,
            }
            for outcome in outcomes
        ],
        "failed": {
            severity: sum(not outcome.success and outcome.check.severity == severity for outcome in outcomes)
            for severity in ("critical", "warning", "info")
        },
    }
