"""What users did before, by domain and in order, as far as it may be known.

Shapes: U users of all domains together, I_d items of domain d.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy import sparse

from pipeline import columns as c
from pipeline.data.splits import PART, order_column
from pipeline.past import Past
from pipeline.views import FloatArray

if TYPE_CHECKING:
    from pipeline.rows.interactions.prepared import DomainData, Domains

Parts = Mapping[str, tuple[str, ...]]  # domain -> the parts of it that may be known


def past_of(domains: "Domains", parts: Parts, judged: str | None = None) -> Past:
    """What users are known to have done; what counts nothing is no sign and left out.

    Args:
        domains: Whose rows.
        parts: Which of them may be known.
        judged: The part of the target that is predicted. What a user did in a source after the first of these rows,
            and after all that is known of the user in the target, is left out: it had not happened yet.
    """
    past = known_of(domains, parts)
    if judged is not None and past.when:
        past = _before(past, domains.target.name, _first_of(domains, judged))
    return past.signs()


def known_of(domains: "Domains", parts: Parts) -> Past:
    """The same, with what counts nothing."""
    when = _when(domains)
    taken = {one.name: domains.weighed(one, parts[one.name]) for one in domains.all}
    return Past(taken, {one.name: _last(domains, one, parts[one.name], when[one.name]) for one in domains.all if when})


def _when(domains: "Domains") -> dict[str, FloatArray]:
    """When each row of each domain was, in seconds or positions: at least 1, and 1 where that is missing.

    Nothing where the domains share neither a time nor a position; a domain without rows is not asked.
    """
    asked = [one for one in domains.all if len(one.rows)]
    columns = {order_column(one.rows) for one in asked}
    if len(columns) != 1 or None in columns:
        return {}
    [column] = columns
    found = {one.name: _number(one.rows[column]) for one in asked}
    first = min(np.nanmin(values, initial=np.inf) for values in found.values())
    none = dict.fromkeys((one.name for one in domains.all), np.empty(0))
    return {**none, **{name: np.nan_to_num(values - first + 1, nan=1.0) for name, values in found.items()}}


def _number(values: pd.Series) -> FloatArray:
    if values.name != c.TIMESTAMP:
        return np.asarray(values.to_numpy(dtype=np.float64, na_value=np.nan))
    times = pd.to_datetime(values, utc=True).dt.as_unit("us")
    seconds = times.to_numpy(dtype="datetime64[us]").astype(np.int64) / 1e6
    return np.where(times.isna(), np.nan, seconds)


def _last(domains: "Domains", domain: "DomainData", parts: tuple[str, ...], when: FloatArray) -> sparse.csr_matrix:
    """When each user last took each item: [U, I_d]."""
    rows = domains.chosen(domain, parts, thinned=True)
    last = rows.assign(when=when[rows.index]).sort_values("when", kind="stable")
    last = last.drop_duplicates(["user", "item"], keep="last")
    return domains.placed(domain, last, last["when"].to_numpy())


def _first_of(domains: "Domains", judged: str) -> FloatArray:
    """When the first row of each user in a part of the target was: [U], infinity where there is none."""
    rows, when = domains.target.rows, _when(domains)[domains.target.name]
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
