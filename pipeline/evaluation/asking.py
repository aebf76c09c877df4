"""Drawing the cases that the report shows, and asking two predictors about them.

They are drawn by a hash of their ids alone: nobody chose them, and they are the same every night. No id is shown.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pipeline import columns as c
from pipeline.evaluation.cases import Case, Cases
from pipeline.labels.answers import Answers
from pipeline.views import IntArray, Mask, View

if TYPE_CHECKING:
    from pipeline.evaluation.held_out import HeldOut

DRAWN = 10
RECENT = 5  # of what a user did last
_NAME = 8  # hex digits, enough to tell ten apart


@dataclass(frozen=True)
class Asked:
    """A predictor, how it is called, and which test rows [N] it has learnt from; None: none of them."""

    name: str
    predictor: Any
    learnt: Mask | None = None


def show(test: "HeldOut", before: Asked, after: Asked) -> Cases:
    """Draw the cases and ask both; no case where what is shown stands in a column that is personal."""
    drawn = _draw(test)
    if not drawn:
        return Cases()
    recent = test.prepared.recent(_first(test, drawn), RECENT)
    truth = [test.label.truth(test.rows.take(places)) for places in drawn.values()]
    was, now = _ask(test, before, drawn), test.label.answers(after.predictor, _first(test, drawn))
    cases = [
        Case(name=_hash("name", name)[:_NAME], recent=past, truth=sum(true, ()), before=old, after=new)
        for name, past, true, old, new in zip(drawn, recent, truth, was, now, strict=True)
    ]
    many, units = len(set(_ids(test)[test.unmarked])), len(np.unique(test.rows.units[test.unmarked]))
    return Cases(before=before.name, after=after.name, drawn_from=many, by_row=many > units, cases=tuple(cases))


def _draw(test: "HeldOut") -> dict[str, IntArray]:
    """Places of the unmarked rows of those whose hash comes first, by id: of a user all, else the row."""
    shown = {c.ITEM, c.TITLE, *(label.name for label in test.rows.labels)}
    if shown & set(test.scenario.personal):
        return {}
    ids, places = _ids(test), np.flatnonzero(test.unmarked)
    first = sorted(set(ids[places]), key=lambda one: _hash("draw", one))[:DRAWN]
    return {one: places[ids[places] == one] for one in first}


def _ids(test: "HeldOut") -> NDArray[Any]:
    """Who or what each test row [N] is: the first part of its name."""
    return np.array([str(one) for one in test.prepared.named(test.rows).get_level_values(0)], dtype=object)


def _first(test: "HeldOut", drawn: Mapping[str, IntArray]) -> View:
    return test.rows.take(np.array([places[0] for places in drawn.values()]))


def _ask(test: "HeldOut", asked: Asked, drawn: Mapping[str, IntArray]) -> list[Answers | None]:
    said = test.label.answers(asked.predictor, _first(test, drawn))
    known = [asked.learnt is not None and bool(asked.learnt[places].any()) for places in drawn.values()]
    return [None if hidden else one for hidden, one in zip(known, said, strict=True)]


def _hash(what: str, name: str) -> str:
    return hashlib.sha256(f"{what} {name}".encode()).hexdigest()
