"""What only shows when the logs of all domains are looked at together: sizes, users, kinds of event."""

from collections.abc import Mapping

import pandas as pd

from pipeline import columns as c
from pipeline.config import CheckSettings, NextEventTask
from pipeline.data.rules import Check
from pipeline.rows.behaviour.tables import NAME
from pipeline.rows.figures import SHARE, Figures, Told
from pipeline.rows.kind import CleanTables

FEWEST = 2  # kinds of event, or nothing can be told apart


def crossing_checks(
    settings: CheckSettings, domains: Mapping[str, CleanTables]
) -> tuple[pd.DataFrame, tuple[Check, ...]]:
    """One row of figures about the domains together, and the checks on them.

    Returns:
        (frame of one row, a check for each of its columns).
    """
    task = settings.task
    assert isinstance(task, NextEventTask)
    figures = Figures.of_sizes(settings, domains, NAME)
    frames = {name: domain.tables[NAME] for name, domain in domains.items()}
    target, sources = frames[settings.target], [frames[name] for name in settings.sources]
    if "users" in settings.bridges:
        own = pd.Index(target[c.USER].unique(), dtype=object)
        others = pd.Index(pd.concat([frame[c.USER] for frame in sources]).unique(), dtype=object)
        figures.expect_bridge(
            f"{SHARE}the {len(own):,} users of {settings.target} who are in a source", int(own.isin(others).sum()),
            len(own),
            Told("bridge_users", "because bridges names 'users'",
                 "look whether the domains write their ids alike, or take 'users' out of the scenario's bridges"),
        )  # fmt: skip
    there = {name: frame[c.EVENT].isin(task.events) for name, frame in frames.items()}
    for name, frame in frames.items():
        met = [kind for kind in task.events if (frame[c.EVENT] == kind).any()]
        figures.expect(
            f"kinds of event of {name} that the scenario names", len(met), "critical",
            Told("kinds", f"at least {FEWEST} of {', '.join(task.events)}, or nothing can be told apart",
                 "write under task.events how the tables call their kinds of event, or map them by a query"),
            min_value=FEWEST,
        )  # fmt: skip
        figures.tell(f"{SHARE}the rows of {name} whose kind of event is named", float(there[name].mean()), "kinds")
        figures.expect_no_heavy(name, frame, (c.USER,))
    if sources:  # else a model stands for them
        asked = target.loc[there[settings.target], c.EVENT]
        taught = pd.concat([frame[c.EVENT] for frame in sources])
        figures.expect(
            f"{SHARE}the kinds of event of {settings.target} that a source has",
            float(pd.Series(asked.unique()).isin(taught.unique()).mean()) if len(asked) else 0.0, "warning",
            Told("kinds_in_common", "all", "expect nothing of the source for the other kinds, or leave them out"),
            min_value=1,
        )  # fmt: skip
    return figures.table()
