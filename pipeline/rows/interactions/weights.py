"""What rows count, and which of the held-out ones are answers.

A row's weight is what its event counts times what its rating counts times 0.5 ** (age / half life). A missing event,
rating or time makes its part 1; a row without an event or a rating is no answer where answers are told by it.

Age is measured from the last row of the row's own domain that trains or chooses, never from a row of the test or from
the clock, so that nothing in the test decides what a training row counts. A row that is later than that is of age 0.

Where the rows of one user and item are taken together, what came once the next part had begun adds nothing: a training
row knows nothing of validation and test, and a validation row nothing of the test.
"""

import numpy as np
import pandas as pd

from pipeline import columns as c
from pipeline.config import RankingTask, Relevant, RowWeight
from pipeline.data.splits import PART, TEST, TRAIN, VALID, Border, Cuts, order_column
from pipeline.errors import DataError
from pipeline.near import near
from pipeline.views import WEIGHT, FloatArray, IntArray, Mask

RELEVANT = "relevant"  # a column of parted and prepared rows
PAIR = "pair"  # a number for each user and item, and part that the data ships: rows with one are taken together
_DAY = 86_400.0  # seconds
_NAMED = 20  # events that a message lists: a column that is none of events has any number of values


def weighed(rows: pd.DataFrame, task: RankingTask, domain: str, *, summed: bool) -> pd.DataFrame:
    """Interactions with what each by itself counts, but for its age, and whether it is an answer.

    Args:
        rows: Interactions of a domain.
        task: Says both; without a word about either its column is left out.
        domain: Its name, for messages.
        summed: Whether rows of one user and item will be added up: each has a weight then.

    Raises:
        DataError: no row has what the task looks at, or a row's event is not named.
    """
    if task.weighs or summed:
        rows = rows.assign(**{WEIGHT: _own_weights(rows, task.weight, domain)})
    if task.judges_some:
        rows = rows.assign(**{RELEVANT: _answers(rows, task.relevant, domain)})
    return rows


def refuse_unknown_answers(rows: pd.DataFrame, task: RankingTask, domain: str) -> None:
    """Nothing, if the target has each event that is named as an answer.

    Raises:
        DataError: no row has one of them; the message asks whether another one was meant.
    """
    there = _events(rows) if task.relevant.event and len(rows) else set(task.relevant.event)
    for name in task.relevant.event:
        if name not in there:
            raise DataError(
                f"{domain}: interactions: task.relevant.event names {name!r}, but no row has this event."
                f"{near(name, sorted(there))} There are: {', '.join(sorted(there)[:_NAMED])}. Correct the name, or "
                "take it out."
            )


def counted(
    parted: pd.DataFrame, every: pd.DataFrame | None, task: RankingTask, until: "pd.Series | None"
) -> pd.DataFrame:
    """Parted rows with what they count in the end.

    Args:
        parted: What a split gave of `weighed` rows, with their index.
        every: All `weighed` rows, where those of one user and item are taken together, numbered by `pair`; else None.
        task: Says the half life.
        until: [parted rows] from when on other rows of the pair add nothing, named like the column that says when;
            missing: all of them add. None: all add to all.
    """
    if days := task.weight.half_life_days:
        now = parted.loc[parted[PART] != TEST, c.TIMESTAMP].max()
        parted = _aged(parted, now, days)
        every = None if every is None else _aged(every, now, days)
    return parted if every is None else together(parted, every, until)


def together(parted: pd.DataFrame, every: pd.DataFrame, until: "pd.Series | None") -> pd.DataFrame:
    """Add to each row what the other rows of its user and item count; one answer among them makes it one."""
    others = every.drop(index=parted.index)
    place = pd.Index(every.loc[parted.index, PAIR]).get_indexer(pd.Index(others[PAIR]))
    adds = place >= 0
    if until is not None:
        when = others[str(until.name)]
        limit = until.take(place.clip(min=0)).set_axis(others.index)
        adds &= (when.notna() & ~(when >= limit)).to_numpy()
    place, others = place[adds], others[adds]
    more = np.bincount(place, others[WEIGHT], minlength=len(parted))
    parted = parted.assign(**{WEIGHT: parted[WEIGHT].to_numpy() + more})
    if RELEVANT in parted:
        met = np.bincount(place, others[RELEVANT], minlength=len(parted)) > 0
        parted = parted.assign(**{RELEVANT: parted[RELEVANT].to_numpy() | met})
    return parted


def numbered(rows: pd.DataFrame, within: tuple[str, ...]) -> pd.DataFrame:
    """Rows with the column `pair`."""
    pairs = rows.groupby([c.USER, c.ITEM, *within], sort=False, dropna=False, observed=True).ngroup()
    return rows.assign(**{PAIR: pairs})


def until_cuts(parted: pd.DataFrame, cuts: Cuts) -> pd.Series:
    """From when on a row's repeats add nothing in a split by time: when the next part begins, for everybody."""
    cut = np.select([parted[PART] == TRAIN, parted[PART] == VALID], [0, 1], default=2)
    times = pd.Series([cuts.valid, cuts.test, pd.NaT]).take(cut)
    return times.set_axis(parted.index).rename(c.TIMESTAMP)


def until_own_next(parted: pd.DataFrame) -> pd.Series:
    """From when on a row's repeats add nothing where each user is parted alone: at the user's next part."""
    order = str(order_column(parted))
    found = {}
    for part in (TRAIN, VALID):
        begins = parted[parted[PART] > part].groupby(c.USER, observed=True)[order].min()
        found[part] = begins.reindex(parted[c.USER]).set_axis(parted.index)
    until: pd.Series = found[TRAIN].where(parted[PART] == TRAIN, found[VALID].where(parted[PART] == VALID))
    return until.rename(order)


def until_border(parted: pd.DataFrame, border: Border) -> pd.Series | None:
    """From when on a row's repeats add nothing in a source: when nothing of it may be known any more."""
    if border is None:
        return None
    if isinstance(border, pd.Series):
        until: pd.Series = border.reindex(parted[c.USER]).set_axis(parted.index)
        return until
    return pd.Series(border, index=parted.index, name=c.TIMESTAMP)


def refuse_weightless(learnt: "pd.Series[float]", domain: str) -> None:
    """Nothing, if there are no rows, or one of them counts.

    Args:
        learnt: What the rows for training count.
        domain: Whose.

    Raises:
        DataError: none of them counts anything.
    """
    if len(learnt) and not (learnt > 0).any():
        raise DataError(
            f"{domain}: interactions: all {len(learnt):,} rows for training have the weight 0, so that nothing can be "
            "learnt. Correct task.weight in the scenario: 0 means that a row is no sign of anything."
        )


def _own_weights(rows: pd.DataFrame, weight: RowWeight, domain: str) -> FloatArray:
    weights = np.ones(len(rows))
    if not len(rows):
        return weights
    if weight.event:
        events = _column(rows, c.EVENT, "task.weight.event", domain)
        _refuse_unnamed(events, weight, domain)
        weights *= events.astype(object).map(weight.event).fillna(1.0).to_numpy(dtype=np.float64)
    if weight.rating:
        values = _column(rows, c.VALUE, "task.weight.rating", domain).to_numpy(dtype=np.float64)
        points = sorted(weight.rating.items())
        counts = np.interp(values, [point for point, _ in points], [count for _, count in points])
        weights *= np.where(np.isnan(values), 1.0, counts)
    if weight.half_life_days:
        _column(rows, c.TIMESTAMP, "task.weight.half_life_days", domain)
    return weights


def _answers(rows: pd.DataFrame, relevant: Relevant, domain: str) -> Mask:
    answers = np.ones(len(rows), dtype=bool)
    if not len(rows):
        return answers
    if relevant.event:
        answers &= _column(rows, c.EVENT, "task.relevant.event", domain).isin(relevant.event).to_numpy()
    if relevant.rating:
        values = _column(rows, c.VALUE, "task.relevant.rating", domain).to_numpy(dtype=np.float64)
        answers &= values >= relevant.rating.at_least
    return answers


def _column(rows: pd.DataFrame, name: str, setting: str, domain: str) -> pd.Series:
    if name not in rows or rows[name].isna().all():
        raise DataError(
            f"{domain}: interactions: {setting} looks at the column {name!r}, but no row of {domain} has a value in "
            f"it. Name it under `columns`, give one value for all rows of a table (`constants: {{{name}: ...}}`), or "
            f"take {setting} out of the scenario."
        )
    return rows[name]


def _events(rows: pd.DataFrame) -> set[str]:
    return set(rows[c.EVENT].dropna().unique())


def _refuse_unnamed(events: pd.Series, weight: RowWeight, domain: str) -> None:
    counts = events.value_counts()
    for name in sorted(set(counts.index) - set(weight.event)):
        raise DataError(
            f"{domain}: interactions: {counts[name]:,} rows have the event {name!r}, which task.weight.event does not "
            f"name.{near(name, weight.event)} Say what each event counts; 0: nothing is learnt from it."
        )


def _aged(rows: pd.DataFrame, now: pd.Timestamp, days: float) -> pd.DataFrame:
    age = (now - rows[c.TIMESTAMP]).dt.total_seconds().clip(lower=0).fillna(0).to_numpy() / _DAY
    return rows.assign(**{WEIGHT: rows[WEIGHT].to_numpy() * 0.5 ** (age / days)})


def train_counts(rows: pd.DataFrame, items: int) -> IntArray | FloatArray:
    """What the kept rows for training and validation of each item count together [I]; without weights their number."""
    trained = rows[rows["kept"] & (rows[PART] != TEST)]
    if WEIGHT in rows:
        return np.bincount(trained["item"], trained[WEIGHT], minlength=items)
    return np.bincount(trained["item"], minlength=items).astype(np.int64)
