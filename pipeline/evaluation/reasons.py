"""The gate's verdict in plain words."""

from collections.abc import Sequence

from pipeline.config import Baseline
from pipeline.evaluation.contrast import Compared, Drawn, Rule
from pipeline.evaluation.hearing import Hearing, of_refit
from pipeline.evaluation.statistics import FEWEST_POSITIVES, FEWEST_UNITS, Scores
from pipeline.evaluation.terms import CHANCE, TARGET_ONLY, Terms
from pipeline.labels.words import Words


def why(terms: Terms, heard: Hearing, second: Hearing | None, lane: str | None) -> str:
    """Say what decided about the candidate, and what the gate chose where it did not pass.

    Args:
        terms: By what was judged.
        heard: The candidate.
        second: The refit of the champion's recipe, or the best lane of the other kind, if that was heard as well.
        lane: What the gate chose.
    """
    name, best = heard.lane.name, f"{heard.lane.name} is the best on validation rows"
    if heard.word != "passed":
        return f"{best}, but {_but(terms, heard)}.{_then(terms, heard, second, lane)}"
    if not heard.comparisons:
        return f"{best}, and there is nothing to hold it against."
    if heard.champion and heard.gives_way and not heard.holds:
        return (
            f"{name} is not worse than any reference, and the champion is {heard.champion.age_days:.0f} days old, more "
            f"than the {terms.gate.max_age_days} after which it gives way to such a candidate."
        )
    against = ", ".join(f"{_name(one)} ({_interval(terms, one)})" for one in heard.comparisons)
    return f"{best} and, on test rows without marks, holds against {against}.{_weak(terms, heard)}"


def shown(words: Words, comparisons: Sequence[Compared]) -> str:
    """Say what the test rows can show, whoever the candidate is; nothing where they tell nothing.

    Args:
        words: Of the label.
        comparisons: Of one candidate; all on the same rows say the same of them.
    """
    told = next((one for one in comparisons if one.enough), None)
    if told is None:
        return ""
    least, margin = (f"{words.number(one)}{words.points}" for one in (told.visible, told.margin))
    seen = f"{told.units:,} {words.units}, on whom a difference below {least} cannot be seen"
    return f"{seen}; 'not worse' allows {margin}"


def stood_in(baselines: Sequence[Baseline], failed: Sequence[str], lane: str | None) -> str:
    """Say where a lane was held against target-only because the same method without the source failed; else nothing.

    Args:
        baselines: All of the scenario.
        failed: The lanes that failed.
        lane: What the gate chose.
    """
    own = [one.method for one in baselines if one.name == lane and one.domains != "target" and one.method in failed]
    return f" {own[0]} failed, so {TARGET_ONLY} stood in for it: what the source brought is not shown." if own else ""


def no_skill(terms: Terms, candidate: str, chosen: str | None, every: Scores, unmarked: Scores) -> str:
    """Say where lanes are not shown to know anything but what the marked rows give away; else nothing.

    Args:
        terms: By what was judged.
        candidate: The lane that validation picked.
        chosen: The lane that the gate chose; None: none.
        every: Both lanes and chance on all test rows.
        unmarked: The same on those without marks.
    """
    drawn = [Drawn.of(terms, one) for one in (every, unmarked)]
    told = _no_skill(terms, candidate, drawn, every.rows - unmarked.rows)
    if chosen is None or chosen == candidate:
        return told
    left = _beside_chance(terms, chosen, drawn[1])
    if not left.enough or left.better:
        return told
    return (
        f"{told} {chosen}, which the gate chose, is not shown to be better than {terms.words.chance} on test rows "
        f"without marks ({_interval(terms, left)})."
    )


def _beside_chance(terms: Terms, name: str, rows: Drawn) -> Compared:
    return Rule(terms, rows, (), (name, CHANCE)).compare(name, CHANCE, "chance", "better")


def _no_skill(terms: Terms, name: str, drawn: Sequence[Drawn], marked: int) -> str:
    whole, left = (_beside_chance(terms, name, one) for one in drawn)
    words = terms.words
    if left.enough and left.better and marked and left.difference.value < whole.difference.value / 2:
        return (
            f" Most of it is what the {marked:,} marked test rows give away: {name} has "
            f"{words.number(whole.candidate_metric)}{words.mark} on all rows and "
            f"{words.number(left.candidate_metric)}{words.mark} on the others, where {words.chance} has "
            f"{words.number(left.reference_metric)}{words.mark}."
        )
    if not left.enough or left.better:
        return ""
    there = f"is not shown to be better than {words.chance} ({_interval(terms, left)})"
    if not marked or not whole.better:
        return f" On test rows without marks it {there}: nothing that could be transferred is seen."
    return (
        f" Nothing is left without the {marked:,} marked test rows: {name} has {words.number(whole.candidate_metric)}"
        f"{words.mark} on all rows and {words.number(left.candidate_metric)}{words.mark} on the others, where it "
        f"{there}. What was learnt is what those rows give away, and no transfer beyond it is claimed."
    )


def _then(terms: Terms, heard: Hearing, second: Hearing | None, lane: str | None) -> str:
    """Say what the gate chose instead of a candidate that did not pass."""
    told = _in_its_place(terms, second) if second else ""
    if heard.champion is not None or not lane:
        return told
    why_it = "" if second and second.word == "passed" else f", {_safest(heard)}"
    return f"{told} Nothing served yet, so the gate chose {lane}{why_it}."


def _safest(heard: Hearing) -> str:
    """Say why it is the lane that serves where nothing passed."""
    others = "the other lanes" if heard.word == "rejected" and not heard.lane.transfer else "the lanes"
    return f"on validation rows the best of {others} that learnt from the target alone"


def _in_its_place(terms: Terms, second: Hearing) -> str:
    """Say what came out for the refit of what serves, or for the best of the other kind."""
    name, refit = second.lane.name, of_refit(second.comparisons)
    if second.word != "passed":
        own = f"the champion's own recipe, {name} fitted anew, pass" if refit else (
            f"the best {second.lane.kind}, {name}, pass at half the error"
        )  # fmt: skip
        return f" Nor does {own}: {_but(terms, second)}."
    if refit:
        beside = _interval(terms, second.comparisons[-1])
        own = f"the champion's own recipe, {name} fitted anew"
        return f" The gate chose {own}: it is not worse ({beside}).{_weak(terms, second)}"
    against = ", ".join(f"{_name(one)} ({_interval(terms, one)})" for one in second.comparisons)
    return f" The best {second.lane.kind}, {name}, holds at half the error against {against}.{_weak(terms, second)}"


def _weak(terms: Terms, heard: Hearing) -> str:
    return f" This is weak evidence: {_power(terms, heard.comparisons)}." if heard.weak else ""


def _but(terms: Terms, heard: Hearing) -> str:
    """Say what kept a lane from passing."""
    wanted = "failed" if heard.word == "rejected" else "undecided"
    deciding = () if heard.suffices else heard.comparisons
    told = [_why_not(terms, compared) for compared in deciding if compared.outcome == wanted]
    if heard.creeps:
        words, margin = terms.words, heard.comparisons[-1].margin
        told.append(
            "what may have been lost since a champion was better than the one before would add up to "
            f"{words.number(heard.creep, '+')}{words.points}, and the margin is {words.number(margin)}"
        )
    if heard.few:
        told.append(
            f"with fewer than {FEWEST_UNITS} {terms.words.units} or {FEWEST_POSITIVES} positives in the test nothing "
            "that learnt from a source passes"
        )
    return "; ".join(told)


def _why_not(terms: Terms, compared: Compared) -> str:
    name = _name(compared)
    if not compared.enough:
        return f"there are not enough test rows to compare it with {name}"
    margin = f" by {terms.words.number(compared.margin)}{terms.words.points}" if compared.demand == "not worse" else ""
    demand = f"{compared.demand}{margin}"
    if compared.outcome == "failed":
        return f"it had to be {demand} than {name} and is not ({_interval(terms, compared)})"
    return (
        f"the test rows cannot tell whether it is {demand} than {name} ({_interval(terms, compared)}; "
        f"{_power(terms, [compared])})"
    )


def _power(terms: Terms, comparisons: Sequence[Compared]) -> str:
    """Say what the rows could have shown at best, of the comparisons that are open."""
    least = max((one for one in comparisons if one.outcome == "undecided"), key=lambda one: one.visible)
    words = terms.words
    return f"a difference below {words.number(least.visible)}{words.points} cannot be seen"


def _name(compared: Compared) -> str:
    if compared.role == "champion":
        return f"the champion, {compared.reference}"
    if compared.role == "refit":
        return f"the champion's own recipe, {compared.reference} fitted anew"
    if compared.role == "counterpart":
        return f"{compared.reference} without the source"
    return f"the best baseline {compared.reference}" if compared.role == "best baseline" else compared.reference


def _interval(terms: Terms, compared: Compared) -> str:
    found = compared.difference
    return terms.words.difference(found.value, found.low, found.high)
