"""The audit of examples, on tables that are made by hand: exact counts of every kind, and what is only counted."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.config import BinaryTask, MulticlassTask, RegressionTask
from pipeline.data.splits import TEST, TRAIN, VALID
from pipeline.rows.examples.give_aways import give_aways
from pipeline.rows.examples.leaks import KINDS, audit
from pipeline.rows.examples.likeness import likeness
from pipeline.rows.examples.prepared import Examples
from pipeline.rows.examples.slices import make_slices

FEATURES = {"amount": "number", "kind": "category", "new": "flag", "joined": "time"}
TASK = BinaryTask(kind="binary", label="bought", features=FEATURES)
NOTHING = dict.fromkeys(KINDS, 0)


def table(count: int, part: int, seed: int, **more: Any) -> pd.DataFrame:
    """Rows that nothing else is like."""
    random = np.random.default_rng([seed, part])
    frame = pd.DataFrame({
        "row_id": [f"{seed}-{part}-{place}" for place in range(count)], "component": np.arange(count) + 1000 * part,
        "part": np.int8(part), "kept": True, "amount": random.random(count) * 100,
        "kind": random.choice(["a", "b", "c"], count), "new": random.integers(0, 2, count).astype(float),
        "joined": pd.Timestamp("2026-01-01", tz="UTC") + pd.to_timedelta(random.integers(0, 10**6, count), unit="s"),
        "bought": random.random(count) < 0.4,
    })  # fmt: skip
    return frame.assign(**more)


def domain(seed: int, *extra: pd.DataFrame) -> pd.DataFrame:
    own = [table(count, part, seed) for part, count in ((TRAIN, 40), (VALID, 20), (TEST, 20))]
    return pd.concat([*own, *extra], ignore_index=True)


def examples(target: pd.DataFrame, source: pd.DataFrame | None = None, task: Any = TASK) -> Examples:
    return Examples(task, {"near": domain(1) if source is None else source, "far": target}, "far")


def again(frame: pd.DataFrame, place: int, part: int, **changed: Any) -> pd.DataFrame:
    """A row once more, in another part and of its own component."""
    return frame.iloc[[place]].assign(part=np.int8(part), component=9000 + place, **changed)


def marks_of(one: Examples, cold_start: bool = False) -> tuple[set[tuple[str, int, str]], dict[str, Any]]:
    marks, report = audit(one, cold_start)
    return set(marks.itertuples(index=False, name=None)), report


def test_rows_that_differ_carry_no_mark() -> None:
    """Neither in the target nor in the source, and the marks have their columns all the same."""
    marks, report = audit(examples(domain(0)))
    assert list(marks.columns) == ["domain", "row", "kind"]
    assert marks.empty
    for name in ("near", "far"):
        found = report["domains"][name]
        assert (found["test_rows"], found["training_rows"], found["valid_rows"], found["marked"]) == (20, 60, 20, 0)
        assert found["kinds"] == found["valid"] == NOTHING
    assert report["give_aways"] == []
    assert report["cold_start"] is False


def test_a_row_that_is_there_twice_is_a_copy() -> None:
    """Of a row of training or validation, in the own domain or another; validation rows of training rows alone."""
    own, source = domain(0), domain(1)
    target = pd.concat([own, again(own, 3, TEST), again(own, 45, TEST), again(source, 7, TEST), again(own, 4, VALID),
                        again(own, 70, VALID)], ignore_index=True)  # fmt: skip
    marks, report = marks_of(examples(target, source))
    # The validation row at 84 is the test row at 70: that one is marked, as validation rows are trained on in the end.
    assert marks == {("far", row, "copy") for row in (80, 81, 82, 83, 70)}
    assert report["domains"]["far"]["kinds"] == NOTHING | {"copy": 4}
    assert report["domains"]["far"]["valid"] == NOTHING | {"copy": 1}
    assert report["domains"]["far"]["marked"] == 4


def test_equal_but_for_the_label_is_counted() -> None:
    """The training row says something else: nothing is given away."""
    own = domain(0)
    other = again(own, 3, TEST, bought=~own["bought"].iloc[3])
    marks, report = marks_of(examples(pd.concat([own, other], ignore_index=True)))
    assert marks == set()
    assert report["domains"]["far"]["details"]["test_rows_equal_but_for_the_label"] == 1


def test_a_training_row_without_a_label_gives_nothing_away() -> None:
    """What stands there once more has no answer."""
    own = domain(0)
    own["bought"] = own["bought"].astype(object)
    twice = again(own, 3, TEST)
    own.loc[3, "bought"] = None
    marks, _ = marks_of(examples(pd.concat([own, twice], ignore_index=True)))
    assert marks == set()


def test_nearly_equal_rows_are_near_copies() -> None:
    """The same three digits, day, and letters in another case; a digit more apart it is another row."""
    own = domain(0)
    own.loc[[3, 5], "amount"] = [12.34, 56.7]
    close = again(own, 3, TEST, amount=12.3449, kind=f"  {own['kind'].iloc[3].upper()} ",
                  joined=own["joined"].iloc[3].floor("D"))  # fmt: skip
    apart = again(own, 5, TEST, amount=56.6)
    marks, report = marks_of(examples(pd.concat([own, close, apart], ignore_index=True)))
    assert marks == {("far", 80, "near_copy")}
    details = report["domains"]["far"]["details"]
    assert details["test_rows_nearly_equal_to_a_training_row"] == 1
    assert details["test_rows_equal_to_a_training_row"] == 0


def test_rows_that_repeat_by_nature_are_counted_and_not_marked() -> None:
    """Visits that left at once: every value of them stands in other rows as well."""
    day = pd.Timestamp("2026-01-01", tz="UTC")
    left = [table(9, part, 5 + part, amount=0.0, kind="a", new=0.0, joined=day, bought=False) for part in (TRAIN, TEST)]
    others = table(12, TRAIN, 8, amount=[0.0] * 4 + [*np.arange(8.0)], joined=day)
    marks, report = marks_of(examples(pd.concat([domain(0), *left, others], ignore_index=True)))
    assert marks == set()
    details = report["domains"]["far"]["details"]
    assert details["test_rows_equal_to_a_training_row"] == 9
    assert details["training_rows_equal_to_another"] >= 9


def test_values_that_other_rows_share_tell_nothing_apart() -> None:
    """Also where few rows have them: each stands in a row of another content."""
    own = domain(0)
    values = ("amount", "kind", "joined")
    own.loc[[3, 5, 7], "kind"] = "rare"
    twice = again(own, 3, TEST)
    for place, value in zip((10, 11), ("amount", "joined"), strict=True):
        own.loc[place, value] = own[value].iloc[3]
    assert marks_of(examples(pd.concat([own, twice], ignore_index=True)))[0] == set()
    for value in values:
        told_apart = own.assign(**{value: own[value].mask(np.arange(len(own)) > 3, domain(3)[value])})
        assert marks_of(examples(pd.concat([told_apart, twice], ignore_index=True)))[0] == {("far", 80, "copy")}


def test_what_many_rows_have_does_not_tell_them_apart() -> None:
    """Also where no other content has it: eleven equal rows are too many for one event."""
    many = pd.concat([table(11, TRAIN, 5, amount=7.5, kind="z", new=1.0, joined=pd.NaT, bought=True),
                      table(1, TEST, 6, amount=7.5, kind="z", new=1.0, joined=pd.NaT, bought=True)])  # fmt: skip
    assert marks_of(examples(pd.concat([domain(0), many], ignore_index=True)))[0] == set()
    few = many.iloc[2:]
    assert marks_of(examples(pd.concat([domain(0), few], ignore_index=True)))[0] == {("far", 89, "copy")}


def test_a_component_on_both_sides_is_marked() -> None:
    """In its own domain; the same number in another domain is another component."""
    target = domain(0)
    target.loc[[60, 61], "component"] = [5, 2001]  # of a training row; of a test row
    target.loc[40, "component"] = 6
    marks, report = marks_of(examples(target))
    assert marks == {("far", 60, "component"), ("far", 40, "component")}
    assert report["domains"]["far"]["valid"] == NOTHING | {"component": 1}


def dated(times: dict[int, int], part: int) -> pd.DataFrame:
    """Rows at days after a first one: how many on each."""
    days = np.repeat([*times], [*times.values()])
    frame = table(len(days), part, 20 + part)
    return frame.assign(timestamp=pd.Timestamp("2026-01-01", tz="UTC") + pd.to_timedelta(days, unit="D"))


def test_a_later_training_row_is_told_where_the_split_goes_by_time() -> None:
    """Two test rows come before the last training row of the other domain, and one of equal time does not."""
    target = pd.concat([dated({1: 30}, TRAIN), dated({2: 10}, VALID), dated({3: 1, 4: 1, 5: 1, 6: 7}, TEST)])
    source = pd.concat([dated({1: 40, 5: 1}, TRAIN), dated({2: 5}, VALID)]).assign(
        row_id=lambda one: "s" + one["row_id"]
    )
    source = source.assign(amount=lambda one: one["amount"] + 1000)
    marks, report = marks_of(examples(target.reset_index(drop=True), source.reset_index(drop=True)))
    valid = {("far", row, "later") for row in range(30, 40)}
    assert {one for one in marks if one[0] == "far"} == {("far", 40, "later"), ("far", 41, "later")} | valid
    assert report["domains"]["far"]["details"]["test_rows_before_the_last_training_row"] == 2


def test_where_a_hash_divides_later_rows_are_only_counted() -> None:
    """Half of all training rows are later than a row that is held out."""
    days = dict.fromkeys(range(10), 2)
    target = pd.concat([dated(days, part) for part in (TRAIN, VALID, TEST)], ignore_index=True)
    marks, report = marks_of(examples(target))
    assert marks == set()
    assert report["domains"]["far"]["details"]["test_rows_before_the_last_training_row"] == 18


def test_a_class_that_no_domain_teaches_is_unseen() -> None:
    """What the source teaches is no defect; with a cold start nothing is."""
    task = MulticlassTask(kind="multiclass", label="bought", features=FEATURES)
    target, source = domain(0).assign(bought="plain"), domain(1).assign(bought="plain")
    target.loc[[60, 61, 40], "bought"] = ["lost", "taught", "lost"]
    source.loc[0, "bought"] = "taught"
    target.loc[62, "bought"] = "chosen"
    target.loc[41, "bought"] = "chosen"  # only in validation, which is trained on before the test
    one = examples(target, source, task)
    marks, report = marks_of(one)
    # The validation row of the class `lost` is trained on in the end, so the test row of it is not unseen.
    assert marks == {("far", 40, "unseen"), ("far", 41, "unseen")}
    assert report["domains"]["far"]["details"]["test_rows_of_a_class_without_a_training_row_here"] == 1  # `taught`
    assert marks_of(one, cold_start=True)[0] == set()


def test_thinning_changes_no_mark() -> None:
    """What it took away counts like what it left."""
    own = domain(0)
    target = pd.concat([own, again(own, 3, TEST)], ignore_index=True)
    thinned = target.assign(kept=(target["part"] == TEST) | (np.arange(len(target)) % 7 == 0))
    assert marks_of(examples(thinned))[0] == marks_of(examples(target))[0] == {("far", 80, "copy")}


@given(seed=st.integers(0, 1000))
@settings(max_examples=10, deadline=None)
def test_the_order_of_rows_changes_nothing(seed: int) -> None:
    """Rows keep their marks, and the counts are the same."""
    own = domain(0)
    near = own["amount"].iloc[9] * 1.00001
    target = pd.concat([own, again(own, 3, TEST, row_id="x"), again(own, 9, TEST, amount=near, row_id="y")])
    target = target.reset_index(drop=True)
    shuffled = target.sample(frac=1, random_state=seed, ignore_index=True)
    named = []
    for frame in (target, shuffled):
        marks, report = marks_of(examples(frame))
        named.append(({(frame["row_id"][row], kind) for name, row, kind in marks if name == "far"}, report))
    assert named[0] == named[1]
    assert named[0][0] == {("x", "copy"), ("y", "near_copy")}


def test_a_feature_that_tells_the_label_is_named() -> None:
    """By its domain; where training rows say so, and not by a name of its own for each row."""
    target = domain(0)
    target["amount"] = np.where(target["bought"], 3.0, 1.0) + np.linspace(0, 0.5, len(target))
    target["kind"] = [f"only {place}" for place in range(len(target))]
    [told] = audit(examples(target))[1]["give_aways"]
    assert told.startswith("far: amount tells bought by itself (AUROC 1.0000 on training rows, 0.99 or more)")
    target["kind"] = np.where(target["bought"], "paid", "open")
    view = examples(target).training({"far"})["far"]
    assert give_aways(view) == {"amount": 1.0, "kind": 1.0}
    target["amount"] = target["amount"].where(~target["bought"])  # missing where it was bought
    assert give_aways(examples(target).training({"far"})["far"]) == {"amount": 1.0, "kind": 1.0}
    target.loc[target["part"] == TRAIN, "bought"] = False
    assert give_aways(examples(target).training({"far"})["far"]) == {}


def rare(seed: int, part: int) -> pd.DataFrame:
    """Rows of which one in twenty was bought, whatever else they say."""
    return table(400, part, seed, bought=np.arange(400) % 20 == 0)


def test_values_that_decide_by_themselves_are_named_and_their_rows_marked() -> None:
    """Where the label changes from one value to the next, on both sides of the border between domains."""
    target = pd.concat([rare(0, part) for part in (TRAIN, VALID, TEST)], ignore_index=True)
    source = pd.concat([rare(1, part) for part in (TRAIN, VALID)], ignore_index=True)
    assert audit(examples(target, source))[1]["give_aways"] == []
    for frame in (target, source):  # one in ten at once, and all of them bought
        at_once = np.arange(len(frame)) % 10 == 3
        frame["amount"] = np.where(at_once, 0.0, frame["amount"] + 1)
        frame["bought"] |= at_once
    target.loc[np.flatnonzero(target["part"] == TEST)[13], "bought"] = False  # the mark asks for no label
    marks, report = audit(examples(target, source))
    [told] = report["give_aways"]
    assert told.startswith("amount of 0 or less tells bought by itself: 80 of 80 training rows with it are of the")
    given = marks[(marks["domain"] == "far") & (marks["kind"] == "give_away")]["row"]
    out = target["part"] != TRAIN
    assert set(given) == set(np.flatnonzero(out & (target["amount"] == 0)))
    assert report["domains"]["far"]["kinds"]["give_away"] == 40
    # A category, and the other end.
    for frame in (target, source):
        frame["kind"] = np.where(frame["amount"] == 0, "void", frame["kind"])
        frame["amount"] = -frame["amount"]
    found = audit(examples(target, source))[1]["give_aways"]
    assert [one.split(" tells")[0] for one in found] == ["amount of 0 or more", "kind of void"]


def test_words_are_no_values_that_decide() -> None:
    """Texts and bags are no numbers, and hardly two rows have the same."""
    task = BinaryTask(kind="binary", label="bought", features={**FEATURES, "said": "text", "held": "bag"})
    both = [pd.concat([rare(seed, part) for part in (TRAIN, VALID, TEST)], ignore_index=True) for seed in (0, 1)]
    words = [
        one.assign(said=[f"It is {at} {seed}" for at in range(len(one))], held=[f"a:{at} b" for at in range(len(one))])
        for seed, one in enumerate(both)
    ]
    assert audit(examples(*words, task=task))[1]["give_aways"] == []


def test_a_feature_by_which_it_grows_probable_gives_nothing_away() -> None:
    """The greatest values are all bought, those beside them nearly: what a good feature is."""
    parts = [table(1500, part, 3) for part in (TRAIN, VALID, TEST)]
    random = np.random.default_rng(4)
    target = pd.concat(parts, ignore_index=True)
    chance = 1 / (1 + np.exp(-(target["amount"] - 60) / 5))
    target["bought"] = random.random(len(target)) < chance
    marks, report = audit(examples(target))
    top = target[target["part"] == TRAIN].nlargest(50, "amount")
    assert top["bought"].mean() > 0.99
    assert report["give_aways"] == []
    assert "give_away" not in set(marks["kind"])


def test_a_feature_that_tells_a_number_is_named() -> None:
    """By rank correlation."""
    task = RegressionTask(kind="regression", label="bought", features=FEATURES)
    target = domain(0).assign(bought=lambda one: np.exp(one["amount"] / 50))
    source = domain(1).assign(bought=np.arange(80.0))
    [told] = audit(examples(target, source, task))[1]["give_aways"]
    assert told.startswith("far: amount tells bought by itself (rank correlation 1.0000")
    assert audit(examples(target, source, task))[1]["domains"]["far"]["kinds"]["unseen"] == 0


def test_equal_parts_are_alike_and_others_are_told() -> None:
    """The rate of the label, gaps, new values and medians, each by a sentence; what is told is far from chance."""
    frame = pd.concat([table(count, part, 0) for part, count in ((TRAIN, 400), (VALID, 200), (TEST, 200))],
                      ignore_index=True)  # fmt: skip
    assert likeness(examples(frame))["differs"] == []
    test = frame["part"] == TEST
    odd = frame.assign(
        bought=frame["bought"] | test, kind=frame["kind"].mask(test, "unheard of"), new=frame["new"].mask(test),
        amount=frame["amount"] + 80 * test,
    )  # fmt: skip
    found = likeness(examples(odd))
    assert [told.partition(":")[0] for told in found["differs"]] == [
        "rows of the class yes", "rows without new", "rows with a value of kind that no training row has", "amount",
    ]  # fmt: skip
    assert found["test"]["missing"]["new"] == 1.0
    assert found["differs"][1] == "rows without new: 0% in validation, 100% in the test"
    assert found["valid"]["rows"] == 200
    few = pd.concat([odd[~test].iloc[:403], odd[test].iloc[:2]], ignore_index=True)
    assert likeness(examples(few))["differs"] == []  # three and two rows say little
    assert likeness(examples(frame[~test].reset_index(drop=True)))["test"] == {"rows": 0, "components": 0}


def test_slices_are_the_values_of_features() -> None:
    """Of those that are named; at most six, the rest together; each row is in one of each feature."""
    frame = domain(0)
    test = frame["part"] == TEST
    frame.loc[test, "kind"] = [*"aaaabbbbccccdddeeefg"]
    frame.loc[test, "amount"] = [np.nan, *np.arange(1.0, 20)]
    frame.loc[test, "new"] = [np.nan, *([0.0, 1.0] * 10)[:19]]
    task = BinaryTask(kind="binary", label="bought", features=FEATURES, slices=("kind", "amount", "new"))
    view = examples(frame, task=task).held_out("test")
    found = make_slices(task, view)
    assert [(one.by, one.label, int(one.rows.sum())) for one in found] == [
        ("kind", "a", 4), ("kind", "b", 4), ("kind", "c", 4), ("kind", "d", 3), ("kind", "e", 3), ("kind", "other", 2),
        ("amount", "up to 7", 7), ("amount", "above 7, up to 13", 6), ("amount", "above 13", 6),
        ("amount", "missing", 1), ("new", "no", 10), ("new", "yes", 9), ("new", "missing", 1),
    ]  # fmt: skip
    own = make_slices(TASK, view)  # names none: `kind` has seven values
    assert {one.by for one in own} == {"new"}
    for slices in (found, own):
        for by in {one.by for one in slices}:
            np.testing.assert_array_equal(sum(one.rows.astype(int) for one in slices if one.by == by), 1)


@pytest.mark.parametrize("values", [[np.nan] * 20, [5.0] * 20])
def test_slices_of_a_feature_that_says_nothing(values: list[Any]) -> None:
    """All rows are in one group."""
    frame = domain(0)
    frame.loc[frame["part"] == TEST, "amount"] = values
    task = BinaryTask(kind="binary", label="bought", features=FEATURES, slices=("amount", "joined"))
    found = make_slices(task, examples(frame, task=task).held_out("test"))
    assert [int(one.rows.sum()) for one in found if one.by == "amount"] == [20]
    assert sum(int(one.rows.sum()) for one in found if one.by == "joined") == 20
