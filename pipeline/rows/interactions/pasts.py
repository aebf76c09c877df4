"""What users did before, by domain and in order, as far as it may be known.

Shapes: U users of all domains together, I_d items of domain d.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy import sparse

from pipeline import columns as c
from pipeline.data.splits import PART, order_column
from pipeline.data.tokens import stable_hash
from pipeline.past import KINDS, Past
from pipeline.views import FloatArray, IntArray

if TYPE_CHECKING:
    from pipeline.rows.interactions.prepared import DomainData, Domains

_YEAR_1 = 62_135_596_800  # seconds from its beginning to 1970

Parts = Mapping[str, tuple[str, ...]]  # domain -> the parts of it that may be known


def past_of(domains: "Domains", parts: Parts, judged: str | None = None) -> Past:
    """What users are known to have done; what counts nothing is no sign and left out.

    Args:
        domains: Whose rows.
        parts: Which of them may be known.
        judged: The part of the target that is predicted. What a user did in a source after the first of these rows,
            and after all that is known of the user in the target, is left out: it had not happened yet. The user is
            asked for at the time of that first row, where rows have one.
    """
    past = known_of(domains, parts)
    if judged is not None and past.when:
        first = _first_of(domains, judged)
        past = _before(past, domains.target.name, first)
        past = replace(past, asked=np.where(np.isfinite(first) & (first > 1), first, np.nan) if past.timed else None)
    return past.signs()


def known_of(domains: "Domains", parts: Parts) -> Past:
    """The same, with what counts nothing."""
    when, timed = _when(domains)
    taken = {one.name: domains.weighed(one, parts[one.name]) for one in domains.all}
    last = {one.name: _last(domains, one, parts[one.name], when[one.name]) for one in domains.all if when}
    order = {
        one.name: domains.placed(one, last[one.name], last[one.name]["when"].to_numpy()) for one in domains.all if when
    }
    return Past(taken, order, _kinds(domains, last), timed)


def seconds(times: pd.Series) -> FloatArray:
    """Seconds since the beginning of year 1 [n], where the calendar begins; NaN where a time is missing."""
    read = pd.to_datetime(times, utc=True).dt.as_unit("us")
    whole = read.to_numpy(dtype="datetime64[us]").astype(np.int64) / 1e6 + _YEAR_1
    return np.where(read.isna(), np.nan, whole)


def kind_codes(kinds: pd.Series) -> IntArray:
    """The code of each kind of event [n]: the same in every table and process; 0 where it is missing or empty."""
    codes, names = pd.factorize(kinds.astype(object).replace("", None))
    hashed = 1 + stable_hash(pd.Index(names, dtype=object)) % np.uint64(KINDS)
    return np.append(hashed, 0).astype(np.int64)[codes]


def _when(domains: "Domains") -> tuple[dict[str, FloatArray], bool]:
    """When each row of each domain was, at least 1 and 1 where that is missing, and whether that is in seconds.

    Nothing where the domains share neither a time nor a position; a domain without rows is not asked.
    """
    asked = [one for one in domains.all if len(one.rows)]
    columns = {order_column(one.rows) for one in asked}
    if len(columns) != 1 or None in columns:
        return {}, False
    [column] = columns
    timed = column == c.TIMESTAMP
    found = {one.name: seconds(one.rows[column]) if timed else _number(one.rows[column]) for one in asked}
    first = 0.0 if timed else min(np.nanmin(values, initial=np.inf) for values in found.values()) - 1
    none = dict.fromkeys((one.name for one in domains.all), np.empty(0))
    return {**none, **{name: np.nan_to_num(values - first, nan=1.0) for name, values in found.items()}}, timed


def _number(values: pd.Series) -> FloatArray:
    return np.asarray(values.to_numpy(dtype=np.float64, na_value=np.nan))


def _last(domains: "Domains", domain: "DomainData", parts: tuple[str, ...], when: FloatArray) -> pd.DataFrame:
    """The last row of each user and item, with the column `when`."""
    rows = domains.chosen(domain, parts, thinned=True)
    last = rows.assign(when=when[rows.index]).sort_values("when", kind="stable")
    return last.drop_duplicates(["user", "item"], keep="last")


def _kinds(domains: "Domains", last: Mapping[str, pd.DataFrame]) -> dict[str, sparse.csr_matrix]:
    """Of what kind each user's last row of each item is; nothing where no domain has kinds."""
    if not any(c.EVENT in rows for rows in last.values()):
        return {}
    codes = {name: kind_codes(rows[c.EVENT]) if c.EVENT in rows else np.zeros(len(rows)) for name, rows in last.items()}
    return {one.name: domains.placed(one, last[one.name], 1.0 + codes[one.name]) for one in domains.all}


def _first_of(domains: "Domains", judged: str) -> FloatArray:
    """When the first row of each user in a part of the target was: [U], infinity where there is none."""
    rows, when = domains.target.rows, _when(domains)[0][domains.target.name]
    chosen = ((rows[PART] == c.PARTS.index(judged)) & rows["kept"]).to_numpy()
    users = domains.user_index(domains.target)[rows["user"].to_numpy()[chosen]]
    first = np.full(len(domains.users), np.inf)
    np.minimum.at(first, users, when[chosen])
    return first


def _before(past: Past, own: str, first: FloatArray) -> Past:
    """Without what came in another domain after the first judged row [U] and after the last known one in the own."""
    limits = np.maximum(first, Past({own: past.taken[own]}, {own: past.when[own]}).latest())
    kept = {
        name: (np.repeat(limits, np.diff(when.indptr)) >= when.data) | (name == own) for name, when in past.when.items()
    }
    return past.kept(kept)
