"""The leak audit of logs: which held-out events training gives away or cannot teach, with exact counts.

All training and validation rows count, also those that thinning took away. Validation rows are marked like test rows,
because they choose. Kinds of mark:

- `repeated`: a training row is of the same user, item, kind and instant, in any domain: a log that is there twice;
- `later`: a training row of the same user, in any domain, is later than the row;
- `unseen`: no training row is of the row's kind, in any domain, though the scenario does not expect that.

Shapes: N rows of all domains one after the other.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.data.splits import PART, TEST
from pipeline.rows.behaviour.prepared import AT, EventRows
from pipeline.rows.examples.naming import COMPONENT
from pipeline.rows.held import audited
from pipeline.views import FloatArray, IntArray, Mask

KINDS = ("repeated", "later", "unseen")


@dataclass(frozen=True)
class _Rows:
    """All rows of all domains; `event` is one number for each user, item, kind and instant."""

    domain: NDArray[Any]
    place: IntArray
    part: IntArray
    user: IntArray
    kind: IntArray
    when: FloatArray
    event: IntArray
    tied: Mask  # whether another event of the user is of the same instant

    @classmethod
    def of(cls, prepared: EventRows) -> "_Rows":
        assert prepared.logs is not None
        logs, frames = prepared.logs, prepared.frames
        every = pd.concat([frame[[PART, AT, COMPONENT]] for frame in frames.values()], ignore_index=True)
        sizes = [len(frame) for frame in frames.values()]
        at = every[AT].to_numpy(dtype=np.int64)
        sorted_at = np.empty(len(logs.place), dtype=np.int64)
        sorted_at[logs.place] = np.arange(len(logs.place))
        own, user = sorted_at[at], prepared.user_of(at)
        said = pd.DataFrame({"user": user, "item": logs.item[own], "kind": logs.kind[own], "when": logs.when[own]})
        tied = pd.DataFrame({"user": logs.begins, "when": logs.when}).duplicated(keep=False).to_numpy()
        return cls(
            domain=np.repeat(np.array(list(frames), dtype=object), sizes),
            place=np.concatenate([np.arange(size) for size in sizes]),
            part=every[PART].to_numpy(dtype=np.int64),
            user=user,
            kind=logs.kind[own],
            when=logs.when[own],
            event=said.groupby(list(said.columns), sort=False).ngroup().to_numpy().astype(np.int64),
            tied=np.asarray(tied[own]),
        )


@dataclass(frozen=True)
class _Held:
    """Rows that are held out of one domain, and those that may teach what they are."""

    rows: _Rows
    out: Mask
    own: Mask  # training rows of the domain
    train: Mask  # of all domains

    @classmethod
    def of(cls, rows: _Rows, domain: str, part: int) -> "_Held":
        """What helps a test row is all of training and validation; what helps a validation row is no validation row."""
        here = rows.domain == domain
        own = here & (rows.part < part)
        return cls(rows, here & (rows.part == part), own, own | (~here & (rows.part < TEST)))

    def marks(self, cold_start: bool) -> dict[str, Mask]:
        """Which rows [N] are marked, by kind."""
        rows = self.rows
        latest = np.full(int(rows.user.max(initial=-1)) + 1, -np.inf)
        np.maximum.at(latest, rows.user[self.train], rows.when[self.train])
        unseen = self.out & ~np.isin(rows.kind, rows.kind[self.train])
        return {
            "repeated": self.out & np.isin(rows.event, rows.event[self.train]),
            "later": self.out & (latest[rows.user] > rows.when),
            "unseen": unseen & (not cold_start),
        }

    def details(self) -> dict[str, int]:
        """Counts of what is no leak, and good to know."""
        rows = self.rows
        last = rows.when[self.train].max(initial=-np.inf)
        found = {
            "of_users_without_a_training_row_here": ~np.isin(rows.user, rows.user[self.own]),
            "before_the_last_training_row_of_anyone": rows.when < last,
            "of_one_instant_with_another_event": rows.tied,
            "of_a_kind_without_a_training_row_here": ~np.isin(rows.kind, rows.kind[self.own]),
        }
        return {f"test_rows_{name}": int((self.out & mask).sum()) for name, mask in found.items()}


def audit(prepared: EventRows, cold_start: bool = False) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Mark the held-out rows of every domain, each taken as the target of all others.

    Args:
        prepared: Prepared logs.
        cold_start: Whether kinds without a training row are expected in the test.

    Returns:
        (marks: domain, row (place in the domain's prepared rows), kind, sorted; report: JSON values with exact counts).
    """
    rows = _Rows.of(prepared)
    table, report = audited(
        prepared.frames, lambda name, part: _Held.of(rows, name, part), rows.domain, rows.place, cold_start=cold_start
    )
    return table, {"domains": report, "cold_start": cold_start}
