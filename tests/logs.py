"""Logs of users that tests make by hand, and what is told of them."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pipeline.config import HashSplit, NextEventTask
from pipeline.rows.behaviour.parting import PartEvents
from pipeline.rows.behaviour.prepared import EventRows
from pipeline.rows.kind import Given

TASK = NextEventTask(kind="next_event", events=("view", "cart", "purchase"))
HASH = HashSplit(kind="hash", valid=0.2, test=0.3)
START = pd.Timestamp("2026-01-01", tz="UTC")


def log(users: int = 40, seed: int = 0, span: int = 2000) -> pd.DataFrame:
    """Some users with 1 to 12 events each, some of them of one instant, and some of a kind that nobody names."""
    random = np.random.default_rng(seed)
    owner = np.repeat(np.arange(users), random.integers(1, 13, users))
    count = len(owner)
    return pd.DataFrame({
        "user_id": [f"u{one}" for one in owner], "item_id": [f"i{one}" for one in random.integers(0, 6, count)],
        "event": random.choice(["view", "cart", "purchase", "share"], count, p=[0.6, 0.2, 0.1, 0.1]),
        "timestamp": START + pd.to_timedelta(random.integers(0, span, count) // 7 * 7, unit="s"),
    })  # fmt: skip


def prepare(
    folder: Path,
    target: pd.DataFrame,
    source: pd.DataFrame | None = None,
    *,
    split: Any = HASH,
    share: float = 1.0,
    stratified: bool = False,
) -> EventRows:
    """Both domains, parted and read back."""
    part, frames = PartEvents(TASK), {"near": target, **({} if source is None else {"far": source})}
    border = None
    for name, frame in frames.items():
        kept = share if name == "near" else 1.0
        given = Given(name, {"interactions": frame.assign(domain=name)}, split, kept, 0, stratified)
        if name == "near":
            parts, border = part.target(given, {})
        else:
            parts = part.source(given, border)
        (folder / name).mkdir(parents=True)
        parts.write(folder / name)
        dropped = sum(parts.dropped.values())
        assert dropped + sum(parts.rows.values()) == len(frame)  # every row is accounted for
    return EventRows.of(TASK, {name: folder / name for name in frames}, "near")
