"""Whether the rows that choose look like the rows that judge: kind 6 of the audit, a comparison and not a mark.

Settings that were chosen on rows of another kind are chosen for another question (`docs/evaluation.md`).
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline import columns as c
from pipeline.rows.interactions.prepared import Domains

SHARE_GAP = 0.2  # of a share, above which two parts differ
RATIO = 2.0  # of a median, likewise
SPOILED = 0.05  # share of test users who are cold until the last fit

_SHARES = {
    "no_history": "rows whose user has no history in the target",
    "new_items": "rows on items without a training row",
}
_MEDIANS = {"history": "history in the target", "source_history": "history in the sources"}


def likeness(domains: Domains) -> dict[str, Any]:
    """Compare the target's validation and test rows, each under the conditions in which it is predicted.

    Validation rows are predicted from training rows, test rows from training and validation rows.

    Returns:
        JSON values: `valid` and `test` with rows, users, the shares `no_history` and `new_items` and the medians
        `history` and `source_history` over rows; `cold_until_chosen`, the test users whose only rows of the target
        before the test are validation rows, so that what is chosen never met them and what is judged did; and
        `differs`, a sentence for each thing that is not alike.
    """
    parts = {c.VALID: (c.TRAIN,), c.TEST: (c.TRAIN, c.VALID)}
    found: dict[str, Any] = {part: _described(domains, part, known) for part, known in parts.items()}
    test = np.unique(domains.held_out(c.TEST).units)
    trained, chosen = (_taken(domains, (part,))[test] for part in (c.TRAIN, c.VALID))
    spoiled = int(((trained == 0) & (chosen > 0)).sum())
    differs = _differences(found) if found[c.VALID]["rows"] and found[c.TEST]["rows"] else []
    if spoiled > SPOILED * len(test):
        differs.append(
            f"{spoiled} of {len(test)} test users have validation rows and no training row in the target: they are "
            "strangers while settings are chosen and none when the test is judged; the split 'cold_users' divides them"
        )
    return {**found, "cold_until_chosen": spoiled, "differs": differs}


def _described(domains: Domains, part: str, known: tuple[str, ...]) -> dict[str, Any]:
    rows = domains.held_out(part)
    if not len(rows):
        return {"rows": 0, "users": 0}
    users, items = rows.units, rows.label.value
    history = _taken(domains, known)[users]
    counts = np.asarray(domains.matrix(domains.target, known).sum(axis=0)).ravel()
    sources = [np.diff(domains.matrix(source, (c.TRAIN, c.VALID)).indptr) for source in domains.sources]
    return {
        "rows": len(rows),
        "users": len(np.unique(users)),
        "no_history": round(float((history == 0).mean()), 4),
        "new_items": round(float((counts[items] == 0).mean()), 4),
        "history": float(np.median(history)),
        "source_history": float(np.median(np.sum(sources, axis=0)[users])) if sources else 0.0,
    }


def _taken(domains: Domains, parts: tuple[str, ...]) -> NDArray[np.int64]:
    """How many items of the target each user took in the parts: [U]."""
    return np.asarray(np.diff(domains.matrix(domains.target, parts).indptr), dtype=np.int64)


def _differences(found: dict[str, Any]) -> list[str]:
    valid, test = found[c.VALID], found[c.TEST]
    told = [
        f"{what}: {valid[key]:.0%} of the validation rows, {test[key]:.0%} of the test rows"
        for key, what in _SHARES.items()
        if abs(valid[key] - test[key]) > SHARE_GAP
    ]
    for key, what in _MEDIANS.items():
        low, high = sorted((valid[key] + 1, test[key] + 1))
        if high > RATIO * low:
            told.append(f"{what}: {valid[key]:g} items in validation, {test[key]:g} in the test (medians)")
    return told
