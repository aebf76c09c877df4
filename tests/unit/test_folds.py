"""Folds: which rows choose where few are held out, and how long a network is fitted by what all of them say."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

from pipeline.config import BaselineSettings, BinaryTask, HashSplit, Scenario, ShippedSplit, TimeSplit
from pipeline.config.baselines import Linear
from pipeline.data.splits import TEST, TRAIN, VALID
from pipeline.errors import DataError
from pipeline.labels.class_kind import Classes, TwoClasses
from pipeline.labels.settling import threshold
from pipeline.rows.examples.folds import ENOUGH, FOLD, NO_FOLD, each_held_back, folds_of
from pipeline.rows.examples.leaks import audit
from pipeline.rows.examples.likeness import likeness
from pipeline.rows.examples.parting import PartExamples
from pipeline.rows.examples.prepared import Examples
from pipeline.rows.kind import Given
from pipeline.scenarios import load_scenario
from pipeline.scenarios.loader import explain
from pipeline.steps.baseline import build
from pipeline.views import ClassLabel, Features, View
from tests.examples import view_of

TASK = BinaryTask(kind="binary", label="bought", features={"pages": "number"})
SPLIT = HashSplit(kind="hash", valid=0.2, test=0.4)


def rows(count: int = 120, seed: int = 0, **more: Any) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    bought = random.random(count) < 0.3
    frame = pd.DataFrame({"domain": "shop", "pages": random.normal(size=count) + bought, "bought": bought})
    return frame.assign(**more)


def parted(frame: pd.DataFrame, folder: Path, task: Any = TASK, split: Any = SPLIT, share: float = 1.0) -> pd.DataFrame:
    folder.mkdir(exist_ok=True)
    parts, _ = PartExamples(task).target(Given("shop", {"examples": frame}, split, share, 0), {})
    parts.write(folder)
    return pd.read_parquet(folder / "rows.parquet")


def test_every_labelled_row_chooses_once(tmp_path: Path) -> None:
    """While the others train; the test, and rows without a label, stay what they are."""
    frame = parted(rows().assign(bought=lambda f: f["bought"].where(f.index % 10 > 0)), tmp_path)
    held = each_held_back(frame)
    labelled = frame["bought"].notna() & (frame["part"] != TEST)
    choosing = np.stack([(one["part"] == VALID).to_numpy() for one in held])
    assert len(held) == SPLIT.folds
    assert (choosing.sum(axis=0) == labelled).all()
    for one in held:
        assert (one.loc[~labelled, "part"] == frame.loc[~labelled, "part"]).all()
        assert (one.loc[labelled & (one["part"] != VALID), "part"] == TRAIN).all()
        assert one["part"].dtype == frame["part"].dtype


def test_each_fold_has_its_share_of_each_class(tmp_path: Path) -> None:
    """To the row."""
    frame = parted(rows(), tmp_path)
    chosen = frame[frame[FOLD] != NO_FOLD]
    counts = pd.crosstab(chosen["bought"], chosen[FOLD])
    assert counts.shape == (2, SPLIT.folds)
    assert (counts.max(axis=1) - counts.min(axis=1) <= 1).all()
    assert chosen.groupby(FOLD).size().max() - chosen.groupby(FOLD).size().min() <= 1


def test_what_belongs_together_is_in_one_fold(tmp_path: Path) -> None:
    task = TASK.model_copy(update={"groups": ("visitor",)})
    frame = parted(rows(200, visitor=np.arange(200) // 3), tmp_path, task)
    chosen = frame.loc[frame[FOLD] != NO_FOLD, ["component", FOLD]]
    assert len(chosen) > 2 * len(chosen.drop_duplicates()) > 0
    assert chosen.drop_duplicates()["component"].is_unique


def test_rows_without_a_label_are_held_back_with_their_group(tmp_path: Path) -> None:
    """They would tell of it, by their inputs and by further labels; they choose nothing, and no row is marked."""
    task = TASK.model_copy(update={"groups": ("visitor",)})
    frame = rows(200, visitor=np.arange(200) // 2).assign(bought=lambda f: f["bought"].where(f.index % 2 == 0))
    folder = tmp_path / "shop"
    folder.mkdir()
    parts, _ = PartExamples(task).target(Given("shop", {"examples": frame}, SPLIT, 1.0, 0), {})
    parts.write(folder)
    made = pd.read_parquet(folder / "rows.parquet")
    learnt, choosing = made["part"] != TEST, made["bought"].notna() & (made["part"] != TEST)
    assert parts.known["choosing in folds"] == choosing.sum() < learnt.sum()
    seen = list[int]()
    for fold in Examples(task, {"shop": made}, "shop").folds():
        held, training = fold.held_out("valid"), fold.training({"shop"})["shop"]
        assert not set(held.units) & set(training.units)
        seen += held.rows["row"].tolist()
        marks, _ = audit(fold)
        assert not marks["row"].isin(held.rows["row"]).any()
    assert sorted(seen) == np.flatnonzero(choosing).tolist()


def test_the_order_of_rows_does_not_show(tmp_path: Path) -> None:
    frame = rows()
    one = parted(frame, tmp_path / "a")
    other = parted(frame.sample(frac=1, random_state=1), tmp_path / "b")
    pd.testing.assert_series_equal(one.set_index("row_id")[FOLD], other.set_index("row_id")[FOLD])


@pytest.mark.parametrize(
    ("split", "share", "folds"),
    [
        (SPLIT, 1.0, 0),  # 200 validation rows
        (SPLIT, 0.1, 5),
        (SPLIT.model_copy(update={"folds": 3}), 0.1, 3),
        (SPLIT.model_copy(update={"folds": 0}), 0.1, 0),
        (TimeSplit(kind="time", valid=0.2, test=0.4), 0.1, 0),
        (ShippedSplit(kind="shipped", valid=("valid",)), 0.1, 0),
        (ShippedSplit(kind="shipped", valid=("valid",), folds=4), 0.1, 4),
    ],
)
def test_folds_choose_where_few_rows_would(tmp_path: Path, split: Any, share: float, folds: int) -> None:
    """With enough rows held out, by time, and for a shipped split that does not ask, nothing is dealt out."""
    frame = rows(1000).assign(
        timestamp=pd.date_range("2026-01-01", periods=1000, freq="h", tz="UTC"),
        split=np.array(["train", "train", "valid", "test", "test"])[np.arange(1000) % 5],
    )
    made = parted(frame, tmp_path, split=split, share=share)
    assert made.loc[made["kept"], FOLD].max() + 1 == folds
    assert (made.loc[~made["kept"] | (made["part"] == TEST), FOLD] == NO_FOLD).all()


def test_a_hundred_units_choose_alone() -> None:
    """One fewer does not; units are components, not rows."""
    for units, folds in ((ENOUGH, 0), (ENOUGH - 1, 5)):
        part = np.repeat([TRAIN, VALID], [50, 2 * units])
        component = np.concatenate([np.arange(50), 50 + np.arange(2 * units) // 2])
        frame = pd.DataFrame({"part": part, "component": component, "row_id": np.arange(len(part)).astype(str)})
        found = folds_of(frame, np.ones(len(part), bool), np.zeros(len(part), np.int64), 5)
        assert found.max() + 1 == folds


def test_a_class_of_one_row_is_refused(tmp_path: Path) -> None:
    """It could not be both learnt and held back; two rows can. A lone row outside the folds is no help."""
    frame = rows(100).assign(bought=False)
    for yes, refused in ((1, True), (2, False)):
        frame["bought"] = False
        split = ShippedSplit(kind="shipped", valid=("valid",), folds=5)
        frame["split"] = np.repeat(["train", "valid", "test"], [30, 10, 60])
        frame.loc[[*range(yes), 99], "bought"] = True
        if refused:
            with pytest.raises(DataError, match=r"training and validation \(40\) are all but one of one class"):
                parted(frame, tmp_path / str(yes), split=split)
        else:
            assert parted(frame, tmp_path / str(yes), split=split)[FOLD].max() == 4


def test_a_domain_gives_a_round_for_each_fold(tmp_path: Path) -> None:
    """What is held out in one is not learnt from in it, and all sources stay."""
    frame = parted(rows(), tmp_path)
    examples = Examples(TASK, {"films": frame.assign(**{FOLD: NO_FOLD}), "shop": frame}, "shop")
    for fold in examples.folds():
        held, learnt = fold.held_out("valid"), fold.training({"shop"})
        assert not set(held.rows["row"]) & set(learnt["shop"].rows["row"])
        assert len(held) + len(learnt["shop"]) == (frame["part"] != TEST).sum()
        assert list(learnt) == ["films", "shop"]
    alone = Examples(TASK, {"shop": frame.drop(columns=FOLD)}, "shop")
    assert alone.folds() == (alone,)


def test_what_folds_hold_back_is_held_against_the_test(tmp_path: Path) -> None:
    """All of it, each fold beside the rows that train then, and not the few rows of the validation part alone."""
    task = TASK.model_copy(update={"features": {"pages": "number", "kind": "category"}})
    frame = parted(rows(kind="book"), tmp_path, task)
    labelled = frame.index[frame[FOLD] != NO_FOLD]
    assert likeness(Examples(task, {"shop": frame}, "shop"))["differs"] == []
    odd = labelled[: len(labelled) // 2]  # a fold, the largest, in which each is of a kind of its own
    frame.loc[odd, FOLD] = 0
    frame.loc[labelled[len(odd) :], FOLD] = 1 + np.arange(len(labelled) - len(odd)) % 4
    one_each = frame.assign(kind=["book" if place not in odd else f"kind {place}" for place in frame.index])
    found = likeness(Examples(task, {"shop": one_each}, "shop"))
    assert found["valid"]["rows"] == len(labelled)
    assert found["valid"]["unseen"]["kind"] == pytest.approx(len(odd) / len(labelled), abs=1e-3)
    assert found["test"]["rows"] == (frame["part"] == TEST).sum()
    assert any("kind that no training row has" in one for one in found["differs"])


class Logistic:
    """Probabilities of a fitted regression, whose classes may stand in any order."""

    def __init__(self, model: LogisticRegression, classes: tuple[str, ...], flipped: bool, chosen: Any = None) -> None:
        self.model, self.classes, self.flipped, self.chosen = model, classes, flipped, chosen

    def probabilities(self, features: Features) -> np.ndarray:
        found = self.model.predict_proba(features.table[["pages"]].to_numpy())
        if self.chosen:
            found = found ** (1 / self.chosen["temperature"])
            found /= found.sum(axis=1, keepdims=True)
        return found[:, ::-1] if self.flipped else found

    def decided(self, probabilities: np.ndarray) -> np.ndarray:
        return probabilities.argmax(axis=1)

    def settled(self, chosen: Any) -> "Logistic":
        return Logistic(self.model, self.classes, self.flipped, chosen)


def test_folds_settle_as_all_their_answers_together() -> None:
    """One temperature and threshold, however the classes of a fold's predictor are ordered."""
    random = np.random.default_rng(3)
    value = (random.random(300) < 0.4).astype(np.int64)
    pages = random.normal(size=300) + value
    features = Features(pd.DataFrame({"pages": pages}), {"pages": "number"})
    view = view_of("shop", features, ClassLabel(value, ("no", "yes"), "bought"))
    fitted: list[tuple[Any, View]] = []
    said = np.zeros((300, 2))
    for fold in range(3):
        own = np.arange(300) % 3 == fold
        model = LogisticRegression(C=1e-2).fit(pages[~own, None], value[~own])
        flipped = fold == 1
        told = Logistic(model, ("yes", "no") if flipped else ("no", "yes"), flipped)
        fitted.append((told, view.take(np.flatnonzero(own))))
        said[own] = model.predict_proba(pages[own, None])
    order = np.concatenate([np.flatnonzero(np.arange(300) % 3 == fold) for fold in range(3)])

    tried = np.exp(np.linspace(-3, 3, 6001))
    losses = []
    for temperature in tried:
        odds = said ** (1 / temperature)
        losses.append(log_loss(value, odds / odds.sum(axis=1, keepdims=True)))
    chosen = TwoClasses(TASK).settle(fitted)
    assert chosen["temperature"] == pytest.approx(tried[int(np.argmin(losses))], rel=2e-3)
    assert Classes(TASK).settle(fitted)["temperature"] == chosen["temperature"]

    yes = (said ** (1 / chosen["temperature"]))[order]
    yes = (yes / yes.sum(axis=1, keepdims=True))[:, 1]
    assert chosen["threshold"] == pytest.approx(threshold(value[order] == 1, yes), abs=1e-3)


def test_a_class_that_a_fold_does_not_know_is_left_out() -> None:
    """Of the temperature, by the fold alone whose predictor never met it."""
    features = Features(pd.DataFrame({"pages": np.arange(60.0)}), {"pages": "number"})
    value = np.arange(60) % 3
    view = view_of("shop", features, ClassLabel(value, ("a", "b", "c"), "kind"))

    class Sure:
        def __init__(self, classes: tuple[str, ...]) -> None:
            self.classes = classes

        def probabilities(self, asked: Features) -> np.ndarray:
            known = np.array([self.classes.index("abc"[int(page) % 3]) for page in asked.table["pages"]])
            wrong = asked.table["pages"].to_numpy() % 4 == 0
            found = np.full((len(known), len(self.classes)), 0.1 / (len(self.classes) - 1))
            found[np.arange(len(known)), np.where(wrong, (known + 1) % len(self.classes), known)] = 0.9
            return found

    kind = Classes(TASK)
    knows, lacks = Sure(("a", "b", "c")), Sure(("b", "a"))
    halves = view.take(np.arange(30)), view.take(np.arange(30, 60))
    without = halves[1].take(np.flatnonzero(halves[1].label.value < 2))
    both = kind.settle([(knows, halves[0]), (lacks, halves[1])])
    assert both == kind.settle([(knows, halves[0]), (lacks, without)])
    assert both != kind.settle([(knows, halves[0])])


def test_a_baseline_is_judged_by_fits_that_have_not_seen_the_rows(tmp_path: Path) -> None:
    """What leave-one-fold-out says by hand: a fit that had seen them would know labels that nothing tells."""
    random = np.random.default_rng(0)
    words = [" ".join(random.choice([f"w{one}" for one in range(400)], 12)) for _ in range(200)]
    frame = pd.DataFrame({"domain": "shop", "said": words, "bought": random.random(200) < 0.5})
    task = BinaryTask(kind="binary", label="bought", features={"said": "text"}, metric="auroc")
    parted(frame, tmp_path / "shop", task)
    pd.DataFrame({"domain": [], "row": [], "kind": []}).to_parquet(tmp_path / "marks.parquet")
    settings = BaselineSettings(
        sources=(), target="shop", target_labels=True, task=task, seed=0, bridges=("features",),
        baseline=Linear(kind="linear"), oracle=False, held_back=False,
    )  # fmt: skip
    inputs: Any = {
        "prepare.shop": SimpleNamespace(path=tmp_path / "shop"),
        "marks": SimpleNamespace(path=tmp_path / "marks.parquet"),
    }
    (tmp_path / "out").mkdir()
    found = build(settings, inputs, tmp_path / "out", tmp_path)
    assert 0.3 < found.valid["auroc"] < 0.7


def test_folds_of_a_split_that_has_none_are_refused() -> None:
    """By time nothing chooses in folds, and the message does not propose the key that was written."""
    value = load_scenario("purchase_intent").model_dump(mode="json")
    for split, told in (
        ({"kind": "time", "folds": 5}, "split.time.folds: this key is not known here. Another kind has such a key."),
        ({"kind": "hash", "folds": 1}, "split.hash.folds: expected 0 or at least 2"),
    ):
        with pytest.raises(ValidationError) as caught:
            Scenario.model_validate(value | {"split": split})
        assert told in "\n".join(explain(caught.value, Scenario))
