"""What an audit of rows that stand for themselves tells, once it is known what marks a held-out row.

Shapes: N rows of all domains.
"""

from collections.abc import Callable, Iterable
from typing import Any, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline import columns as c
from pipeline.data.splits import TEST, VALID
from pipeline.views import IntArray, Mask


class Held(Protocol):
    """Rows that are held out of one domain, and those that may teach what they are."""

    @property
    def out(self) -> Mask:
        """Which rows [N] are held out."""
        ...

    @property
    def own(self) -> Mask:
        """Training rows [N] of the domain."""
        ...

    def marks(self, cold_start: bool) -> dict[str, Mask]:
        """Which rows [N] are marked, by kind."""
        ...

    def details(self) -> dict[str, int]:
        """Counts of what is good to know."""
        ...


def audited(
    domains: Iterable[str], held: Callable[[str, int], Held], domain: NDArray[Any], place: IntArray, *, cold_start: bool
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Mark the held-out rows of every domain, each taken as the target of all others.

    Args:
        domains: Their names.
        held: The rows of a domain that are held out in a part.
        domain: [N] whose each row is.
        place: [N] where it stands among what `prepare` published of its domain.
        cold_start: Whether what no training row has is expected in the test.

    Returns:
        (marks: domain, row, kind, sorted; by domain JSON values with exact counts).
    """
    marks, report = [], {}
    for name in domains:
        of = {part: held(name, part) for part in (TEST, VALID)}
        found = {part: one.marks(cold_start) for part, one in of.items()}
        marks += [
            pd.DataFrame({c.DOMAIN: domain[mask], "row": place[mask], "kind": kind})
            for masks in found.values()
            for kind, mask in masks.items()
        ]
        report[name] = {
            "test_rows": int(of[TEST].out.sum()),
            "training_rows": int(of[TEST].own.sum()),
            "marked": int(np.logical_or.reduce([*found[TEST].values()]).sum()),
            "kinds": {kind: int(mask.sum()) for kind, mask in found[TEST].items()},
            "details": of[TEST].details(),
            "valid_rows": int(of[VALID].out.sum()),
            "valid": {kind: int(mask.sum()) for kind, mask in found[VALID].items()},
        }
    table = pd.concat(marks, ignore_index=True).astype({c.DOMAIN: "str", "row": "int64", "kind": "str"})
    return table.sort_values([c.DOMAIN, "row", "kind"], kind="stable", ignore_index=True), report
