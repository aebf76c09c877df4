"""Which examples train, choose and test: components stay whole, shares hold, nothing hangs on the order of rows."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pipeline.config import BinaryTask, HashSplit, MulticlassTask, RegressionTask, ShippedSplit, TimeSplit
from pipeline.data.splits import TEST, TRAIN, VALID
from pipeline.errors import DataError
from pipeline.rows.examples.naming import components, names_of
from pipeline.rows.examples.parting import PartExamples
from pipeline.rows.examples.prepared import Examples
from pipeline.rows.kind import Given
from pipeline.views import FEATURES

TASK = BinaryTask(kind="binary", label="bought", features={"pages": "number", "browser": "category", "new": "flag"})
SPLIT = HashSplit(kind="hash", valid=0.2, test=0.3)


def rows(count: int = 400, positives: float = 0.1, seed: int = 0, **more: Any) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    frame = pd.DataFrame({
        "domain": "shop", "pages": random.integers(0, 5, count).astype(float),
        "browser": random.choice(["a", "b", None], count), "new": random.choice([True, False, None], count),
        "bought": random.random(count) < positives,
    })  # fmt: skip
    return frame.assign(**more)


def parted(
    frame: pd.DataFrame,
    tmp_path: Path,
    task: Any = TASK,
    *,
    split: Any = SPLIT,
    share: float = 1.0,
    source: bool = False,
    border: Any = None,
    stratified: bool = False,
) -> tuple[pd.DataFrame, Any, Any]:
    given = Given("shop", {"examples": frame}, split, share, 0, stratified)
    if source:
        parts = PartExamples(task).source(given, border)
    else:
        parts, border = PartExamples(task).target(given, {})
    tmp_path.mkdir(exist_ok=True)
    parts.write(tmp_path)
    return pd.read_parquet(tmp_path / "rows.parquet"), parts, border


def test_each_class_has_its_share_of_each_part(tmp_path: Path) -> None:
    """To the row, however rare it is."""
    frame, parts, _ = parted(rows(), tmp_path)
    for _, own in frame.groupby("bought"):
        assert abs((own["part"] == TEST).sum() - 0.3 * len(own)) <= 1
        assert abs((own["part"] == VALID).sum() - 0.2 * len(own)) <= 1
    assert parts.rows == {name: int((frame["part"] == code).sum()) for name, code in
                          (("train", TRAIN), ("valid", VALID), ("test", TEST))}  # fmt: skip
    assert sum(parts.rows.values()) == 400


def test_the_order_of_rows_never_shows(tmp_path: Path) -> None:
    """Also of rows without a name, many of which are equal."""
    frame = rows()
    parted(frame, tmp_path / "a")
    parted(frame.sample(frac=1, random_state=1), tmp_path / "b")
    assert (tmp_path / "a" / "rows.parquet").read_bytes() == (tmp_path / "b" / "rows.parquet").read_bytes()
    names = names_of(frame)
    assert names.is_unique
    assert frame.drop(columns="domain").duplicated().sum() > 100


def test_another_draw_divides_anew(tmp_path: Path) -> None:
    """A tenth of the rows by chance in the test of both, and no more."""
    frame = rows(2000, row_id=[f"r{number}" for number in range(2000)])
    first, *_ = parted(frame, tmp_path / "a")
    other, *_ = parted(frame, tmp_path / "b", split=SPLIT.model_copy(update={"draw": 1}))
    both = ((first["part"] == TEST) & (other["part"] == TEST)).mean()
    assert both == pytest.approx(0.3**2, abs=0.02)


def test_components_are_never_divided(tmp_path: Path) -> None:
    """Rows that share a device or an address, also through a third row, are in one part and thinned together."""
    random = np.random.default_rng(3)
    frame = rows(600, device=random.integers(0, 250, 600).astype(str), address=random.integers(0, 900, 600).astype(str))
    frame.loc[::7, "device"] = None
    task = TASK.model_copy(update={"groups": ("device", "address")})
    found, parts, _ = parted(frame, tmp_path, task, share=0.5)
    assert parts.known["components"] == found["component"].nunique() < 300
    for column, own in (("part", found), ("kept", found[found["part"] != TEST])):
        assert not own.drop_duplicates(["component", column])["component"].duplicated().any()


def test_large_components_are_no_more_often_held_out(tmp_path: Path) -> None:
    """Nor kept by thinning: of one row or of ten, a component has the same chance."""
    owner = np.append(np.arange(2000), np.repeat(np.arange(2000, 2200), 10))
    frame = rows(4000, person=owner.astype(str), row_id=[f"r{number}" for number in range(4000)])
    task = TASK.model_copy(update={"groups": ("person",)})
    found, _, _ = parted(frame, tmp_path, task, share=0.5)
    each = found.groupby("component").agg(part=("part", "first"), kept=("kept", "first"), size=("part", "size"))
    learnt = each[each["part"] != TEST]
    assert learnt.groupby("size")["kept"].mean().to_numpy() == pytest.approx([0.5, 0.5], abs=0.1)
    large = found[found.groupby("component")["part"].transform("size") == 10]
    assert (large["part"] == TEST).mean() == pytest.approx(0.3, abs=0.08)


def test_a_name_stays_when_a_column_comes(tmp_path: Path) -> None:
    """A column of which one row has a value renames that row alone; a given name is taken row by row."""
    frame = rows(50)
    more = frame.assign(coupon=[None] * 49 + ["x"])
    assert (names_of(frame) == names_of(more)).tolist() == [True] * 49 + [False]
    some = frame.assign(row_id=["a", *[None] * 49])
    assert names_of(some).tolist() == ["a", *names_of(frame)[1:]]


def test_components_are_those_of_a_search() -> None:
    """By hand: through two kinds of group, a missing value joins nobody."""
    frame = pd.DataFrame({"a": ["1", "1", "2", None, None, "3"], "b": ["x", "y", "y", "z", None, None]})
    assert components(frame, ("a", "b")).tolist() == [0, 0, 0, 1, 2, 3]
    assert components(frame, ()).tolist() == [0, 1, 2, 3, 4, 5]


def test_a_smaller_share_is_part_of_a_larger_one(tmp_path: Path) -> None:
    """Of one draw; the test stays, and what is left of each class is counted."""
    frame = rows(2000)
    few, parts, _ = parted(frame, tmp_path / "a", share=0.1)
    more, *_ = parted(frame, tmp_path / "b", share=0.3)
    assert (~few["kept"] | more["kept"]).all()
    assert few.loc[few["part"] == TEST, "kept"].all()
    learnt = few[few["kept"] & (few["part"] != TEST)]
    assert parts.kept == len(learnt) == pytest.approx(100, abs=40)
    assert parts.known["True, to learn from"] == learnt["bought"].sum()


def test_stratified_thinning_keeps_the_share_of_each_class(tmp_path: Path) -> None:
    """In training and in validation; at least one is left of any, and a smaller share is part of a larger one."""
    frame = rows(2000, positives=0.03)
    whole, *_ = parted(frame, tmp_path / "all")
    tiny, few, more = (
        parted(frame, tmp_path / str(share), share=share, stratified=True)[0] for share in (0.001, 0.1, 0.3)
    )
    for code in (TRAIN, VALID):
        for label in (True, False):
            every, left, least = (
                one[(one["part"] == code) & (one["bought"] == label)]["kept"].sum() for one in (whole, few, tiny)
            )
            assert left == max(1, round(every * 0.1))
            assert least >= 1
    assert (~few["kept"] | more["kept"]).all()
    assert few.loc[few["part"] == TEST, "kept"].all()


def test_rows_without_a_label_train_as_inputs(tmp_path: Path) -> None:
    """They are never held out, and the views say that their label is not known."""
    frame = rows(row_id=[f"r{number}" for number in range(400)]).astype({"bought": object})
    frame.loc[frame.index % 4 == 0, "bought"] = None
    found, parts, _ = parted(frame, tmp_path)
    assert (found.loc[found["bought"].isna(), "part"] == TRAIN).all()
    assert parts.known["unlabelled"] == 100
    examples = Examples(TASK, {"shop": found}, "shop")
    view = examples.training()["shop"]
    assert (~view.label.known).sum() == 100
    assert examples.held_out("test").label.known.all()


def test_by_time_sources_know_nothing_later(tmp_path: Path) -> None:
    """Train before validation before test; what a source learnt later is dropped, and every row is accounted for."""
    times = pd.to_datetime("2026-01-01", utc=True) + pd.to_timedelta(np.arange(400), unit="h")
    frame = rows(timestamp=times).astype({"bought": object})
    frame.loc[390:, "bought"] = None
    found, parts, border = parted(frame, tmp_path / "a", split=TimeSplit(kind="time", valid=0.1, test=0.2))
    by_part = found.groupby("part")["timestamp"].agg(["min", "max"])
    assert by_part.loc[TRAIN, "max"] < by_part.loc[VALID, "min"] == border
    assert by_part.loc[VALID, "max"] < by_part.loc[TEST, "min"]
    assert parts.dropped == {"without_time": 0, "unlabelled_and_later": 10, "group_is_held_out": 0}
    source, parts, _ = parted(frame, tmp_path / "b", split=TimeSplit(kind="time"), source=True, border=border)
    assert source["timestamp"].max() < border
    assert len(source) + parts.dropped["later_than_target"] == 400
    with pytest.raises(DataError, match=r"shop: examples: the split 'time' needs the column 'timestamp'"):
        parted(rows(), tmp_path / "c", split=TimeSplit(kind="time"))


def test_by_time_a_component_is_where_its_last_row_is(tmp_path: Path) -> None:
    """Its earlier rows are left out: they would tell of it before."""
    times = pd.to_datetime("2026-01-01", utc=True) + pd.to_timedelta(np.arange(400), unit="h")
    frame = rows(timestamp=times, person=[str(number % 300) for number in range(400)])  # 100 come twice
    task = TASK.model_copy(update={"groups": ("person",)})
    found, parts, _ = parted(frame, tmp_path, task, split=TimeSplit(kind="time", valid=0.1, test=0.1))
    assert not found.drop_duplicates(["component", "part"])["component"].duplicated().any()
    assert parts.rows == {"train": 240, "valid": 40, "test": 40}
    assert parts.dropped["group_is_held_out"] == 80  # rows 20 to 99, whose people come again in 320 to 399


def test_a_shipped_split_is_taken_as_it_is(tmp_path: Path) -> None:
    """Without validation rows a tenth of the training rows choose; other values are left out and counted."""
    frame = rows(split=["train"] * 300 + ["test"] * 90 + ["spare"] * 10)
    _, parts, _ = parted(frame, tmp_path, split=ShippedSplit(kind="shipped"))
    assert parts.rows["test"] == 90
    assert parts.rows["valid"] == pytest.approx(30, abs=1)
    assert parts.dropped["split_not_used"] == 10


def test_views_hold_what_was_declared() -> None:
    """By hand: numbers, texts, flags as 0 and 1, times; a column that a domain lacks is missing in every row."""
    task = MulticlassTask(
        kind="multiclass", label="kind",
        features={"n": "number", "t": "category", "f": "flag", "w": "time", "gone": "number"},
    )  # fmt: skip
    frame = pd.DataFrame({
        "row_id": ["a", "b"], "component": [0, 1], "part": [0, 2], "kept": True, "n": [1.5, None], "t": ["x", None],
        "f": [True, None], "w": pd.to_datetime(["2026-01-01", None], utc=True), "kind": ["tea", "ale"],
    })  # fmt: skip
    other = frame.assign(kind=["rum", "tea"])
    examples = Examples(task, {"far": other, "near": frame}, "near")
    assert examples.classes["kind"] == ("ale", "rum", "tea")
    view = examples.held_out("test")
    assert (view.label.value.tolist(), examples.named(view).tolist()) == ([0], ["b"])
    table = examples.training()["near"].fields[FEATURES].table
    assert table.iloc[0, :3].tolist() == [1.5, "x", 1.0]
    assert table["w"][0] == pd.Timestamp("2026-01-01", tz="UTC")
    assert view.fields[FEATURES].table.isna().all(axis=None)
    assert [one.name for one in examples.each_placed()] == ["near", "far"]
    assert examples.of_sources().classes == {"kind": ("rum", "tea")}


def test_a_target_without_labels_gives_inputs(tmp_path: Path) -> None:
    """All its rows for training, none of their labels; an oracle sees them."""
    frame, *_ = parted(rows(), tmp_path, share=0.0)
    examples = Examples(TASK, {"shop": frame}, "shop")
    view = examples.training()["shop"]
    assert len(view) == (frame["part"] != TEST).sum()
    assert not view.label.known.any()
    assert examples.with_all_rows().training()["shop"].label.known.all()
    assert len(examples.held_out("valid")) == 0 < len(examples.held_out("test"))


def test_numbers_are_labels_too(tmp_path: Path) -> None:
    """Parted by the hash alone; a missing one is unlabelled."""
    task = RegressionTask(kind="regression", label="pages", features={"browser": "category"})
    frame = rows()
    frame.loc[:9, "pages"] = np.nan
    found, parts, _ = parted(frame, tmp_path, task)
    assert parts.known["unlabelled"] == 10
    assert parts.rows["test"] == pytest.approx(117, abs=1)
    view = Examples(task, {"shop": found}, "shop").held_out("test")
    assert view.label.value.dtype == np.float64
    assert view.label.known.all()


def test_a_group_that_is_held_out_teaches_nothing_by_its_rows_without_the_label(tmp_path: Path) -> None:
    """Also not by a further label that they have; all of such a group is in one part, or left out."""
    task = BinaryTask(kind="binary", label="bought", features={"pages": "number"}, groups=("shop",),
                          also={"stars": {"kind": "regression"}})  # fmt: skip
    frame = rows(200, positives=0.3).assign(stars=np.arange(200.0), shop=[f"s{row // 4}" for row in range(200)])
    frame["bought"] = frame["bought"].astype(object).where(frame.index % 4 > 0, None)
    found, parts, _ = parted(frame, tmp_path / "a", task)
    assert len(found[["component", "part"]].drop_duplicates()) == len(found["component"].unique())
    assert found.loc[found["part"] > 0, "bought"].notna().all()
    assert parts.dropped == {"unlabelled_and_held_out": 200 - len(found)}
    assert parts.dropped["unlabelled_and_held_out"] == found.loc[found["part"] > 0, "component"].nunique()
