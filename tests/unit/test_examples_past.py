"""What happened before a row: counted strictly before its time, over all domains, and the same when it is served."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pipeline.config import BinaryTask, HashSplit, TimeSplit
from pipeline.data.pseudonyms import key_id, pseudonym
from pipeline.errors import DataError
from pipeline.rows.examples.parting import PartExamples
from pipeline.rows.examples.past import Events, hashed
from pipeline.rows.examples.prepared import Examples
from pipeline.rows.examples.served import ServeExamples
from pipeline.rows.kind import Given, PackageInfo
from pipeline.rows.learnt import NOTHING
from pipeline.views import FEATURES, Features

TASK = BinaryTask(
    kind="binary", label="fraud", features={"value": "number"}, groups=("buyer",), entities=("device", "buyer")
)
INFO = PackageInfo(
    scenario="s", lane="l", task="binary", target="near", sources=("far",), pseudonymous=True, candidate="c", data={},
    code="1",
)  # fmt: skip


def rows(domain: str, count: int = 300, seed: int = 0) -> pd.DataFrame:
    """Few devices, ties in time, some devices and times missing."""
    random = np.random.default_rng(seed)
    times = pd.Timestamp("2026-01-01", tz="UTC") + pd.to_timedelta(random.integers(0, 200, count), unit="h")
    return pd.DataFrame({
        "domain": domain, "value": random.random(count), "fraud": random.random(count) < 0.3,
        "device": random.choice(["a", "b", "c", None], count), "buyer": random.integers(0, 40, count).astype(str),
        "timestamp": pd.Series(times).where(random.random(count) < 0.9),
    })  # fmt: skip


def brute(values: Any, times: Any, value: Any, time: Any) -> tuple[float, float]:
    """The same, one row after the other."""
    if value is None or pd.isna(value) or pd.isna(time):
        return np.nan, np.nan
    before = [other for of, other in zip(values, times, strict=True) if of == value and other < time]
    return len(before), (time - max(before)).total_seconds() / 3600 if before else np.nan


def prepared(folder: Path) -> tuple[Examples, dict[str, pd.DataFrame]]:
    given = {"far": rows("far", seed=1), "near": rows("near", seed=2)}
    folders = {}
    for name, frame in given.items():
        folders[name] = folder / name
        folders[name].mkdir()
        split = HashSplit(kind="hash", valid=0.2, test=0.3)
        parts, _ = PartExamples(TASK).target(Given(name, {"examples": frame}, split, 1.0, 0), {})
        parts.write(folders[name])
    return Examples.read(TASK, folders, "near", {}), given


class Counts:
    """Says how often the device was seen before, in hundredths."""

    classes, threshold = ("no", "yes"), 0.5

    def probabilities(self, features: Features) -> np.ndarray:
        seen = features.table["device_before"].fillna(99).to_numpy() / 100
        return np.stack([1 - seen, seen], axis=1)

    def decided(self, probabilities: np.ndarray) -> np.ndarray:
        return (probabilities[:, 1] >= self.threshold).astype(np.int64)


def test_counts_are_those_of_a_search(tmp_path: Path) -> None:
    """For both entities, over both domains, strictly before; what is missing tells nothing."""
    examples, given = prepared(tmp_path)
    every = pd.concat(list(given.values()))
    dated = every[every["timestamp"].notna()]
    view = examples.held_out("test")
    assert examples.name == "near"
    names = examples.frames["near"].loc[view.rows["row"], "row_id"]
    table = view.fields[FEATURES].table
    assert dict(view.fields[FEATURES].types) == {"value": "number", **TASK.past}
    own = given["near"].set_index("value")
    assert len(names) == len(table) > 50
    for place, value in enumerate(table["value"]):
        row = own.loc[value]
        for entity in TASK.entities:
            wanted = brute(dated[entity], dated["timestamp"], row[entity], row["timestamp"])
            found = table.loc[place, [f"{entity}_before", f"{entity}_hours_since"]].to_numpy(dtype=float)
            np.testing.assert_allclose(found, wanted, equal_nan=True)


def test_rows_that_a_split_leaves_out_happened_all_the_same(tmp_path: Path) -> None:
    """Those of a held out group, without a label or after a source's border; training and package know them as well."""
    given = {"far": rows("far", seed=1), "near": rows("near", seed=2)}
    unknown = pd.Series(np.arange(300) % 7 == 0)
    given["near"]["fraud"] = given["near"]["fraud"].astype("boolean").mask(unknown)
    folders = {name: tmp_path / name for name in given}
    for folder in folders.values():
        folder.mkdir()
    split, parting = TimeSplit(kind="time", valid=0.2, test=0.3), PartExamples(TASK)
    near, border = parting.target(Given("near", {"examples": given["near"]}, split, 1.0, 0), {})
    far = parting.source(Given("far", {"examples": given["far"]}, split, 1.0, 0), border)
    assert min(near.dropped["group_is_held_out"], near.dropped["unlabelled_and_later"]) > 10
    assert far.dropped["later_than_target"] > 10
    near.write(folders["near"])
    far.write(folders["far"])
    examples = Examples.read(TASK, folders, "near", {})
    every = pd.concat(list(given.values()))
    dated = every[every["timestamp"].notna()]
    table = examples.held_out("test").fields[FEATURES].table
    own = given["near"].set_index("value").loc[table["value"]]
    assert len(table) > 50
    for entity in TASK.entities:
        wanted = [brute(dated[entity], dated["timestamp"], *row) for row in own[[entity, "timestamp"]].to_numpy()]
        found = table[[f"{entity}_before", f"{entity}_hours_since"]].to_numpy(dtype=float)
        np.testing.assert_allclose(found, wanted, equal_nan=True)
    (tmp_path / "package").mkdir()
    ServeExamples().write(tmp_path / "package", examples, NOTHING)
    model = ServeExamples().read(tmp_path / "package", INFO, Counts())
    answers = model.answer(own.reset_index(), {})
    assert answers["probability"].to_numpy() == pytest.approx(table["device_before"].fillna(99).to_numpy() / 100)


def test_ids_of_requests_are_written_as_those_of_the_tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In one spelling where the scenario says so, and users as pseudonyms, else nothing would have come before."""
    key = "a secret of more than sixteen characters"
    task = BinaryTask(
        kind="binary", label="fraud", features={"value": "number"}, entities=("user_id", "device"),
    )  # fmt: skip
    given = rows("near")
    spelt = given["device"].map({"a": "17", "b": "18", "c": "19"})
    shown = given.assign(user_id=given["buyer"], device=spelt.map("00{}".format, na_action="ignore"))
    written = shown.assign(
        user_id=[pseudonym(one, key.encode()) for one in given["buyer"]], device=spelt
    ).drop(columns="buyer")  # fmt: skip
    parts, _ = PartExamples(task).target(
        Given("near", {"examples": written}, HashSplit(kind="hash", valid=0.2, test=0.3), 1.0, 0), {}
    )
    parts.write(tmp_path)
    examples = Examples.read(task, {"near": tmp_path}, "near", {})
    (tmp_path / "package").mkdir()
    ServeExamples().write(tmp_path / "package", examples, NOTHING)
    info = INFO.model_copy(
        update={"pseudonymous": False, "key": key_id(key.encode()), "alike": {"device": ("zeros",)}, "sources": ()}
    )
    model = ServeExamples().read(tmp_path / "package", info, Counts())
    view = examples.held_out("test")
    names = ["user_id_before", "user_id_hours_since", "device_before", "device_hours_since"]
    wanted = view.fields[FEATURES].table[names].to_numpy(dtype=float)
    asked = shown.set_index("value").loc[view.fields[FEATURES].table["value"]].reset_index()
    monkeypatch.setenv("CROSSLIFT_KEY", key)
    dated = asked["timestamp"].notna().to_numpy()
    found = model._read(asked).table[names].to_numpy(dtype=float)
    assert (np.nan_to_num(wanted[:, [0, 2]]) > 0).any(axis=0).all()
    np.testing.assert_allclose(found[dated], wanted[dated], equal_nan=True)
    hidden = asked.assign(user_id=[pseudonym(one, key.encode()) for one in asked["user_id"]])
    monkeypatch.delenv("CROSSLIFT_KEY")
    found = model._read(hidden).table[names].to_numpy(dtype=float)
    np.testing.assert_allclose(found[dated], wanted[dated], equal_nan=True)
    with pytest.raises(DataError, match="CROSSLIFT_KEY is not set"):
        model._read(asked)


@pytest.mark.parametrize(
    ("tables", "asked"), [("17.0", 17.0), ("17.0", 17), ("17.0", "17"), ("17.0", "17.0"), ("17", "17.0"), ("17", 17.0)]
)
def test_an_id_is_a_number_with_a_decimal_point_or_without(tmp_path: Path, tables: str, asked: Any) -> None:
    """A query writes an address of 17.0 as a text with a point, a request gives the number: it happened to both."""
    examples, _ = prepared(tmp_path)
    when = pd.Series(pd.to_datetime(["2026-01-01"] * 2, utc=True))
    events = {**examples.events, "device": Events.of([hashed(pd.Series([tables, tables]))], [when])}
    (tmp_path / "package").mkdir()
    ServeExamples().write(tmp_path / "package", replace(examples, events=events), NOTHING)
    model = ServeExamples().read(tmp_path / "package", INFO, Counts())
    for devices in ([asked, None], [asked, "x"]):
        frame = pd.DataFrame({"value": [1.0, 1.0], "device": pd.Series(devices, dtype=object), "buyer": [None, None]})
        assert model._read(frame).table["device_before"].iloc[0] == 2


def test_sources_alone_are_told_the_same(tmp_path: Path) -> None:
    """A source's rows have one past, whether the target is looked at beside them or not."""
    examples, _ = prepared(tmp_path)
    together, alone = examples.training()["far"], examples.of_sources().training()["far"]
    pd.testing.assert_frame_equal(together.fields[FEATURES].table, alone.fields[FEATURES].table)


def test_what_serves_says_the_same(tmp_path: Path) -> None:
    """Asked about a row as of its own time it counts what the evaluation did; without a time it is now."""
    examples, given = prepared(tmp_path)
    (tmp_path / "package").mkdir()
    ServeExamples().write(tmp_path / "package", examples, NOTHING)
    model = ServeExamples().read(tmp_path / "package", INFO, Counts())
    view = examples.held_out("test")
    table = view.fields[FEATURES].table
    asked = given["near"].set_index("value").loc[table["value"]].reset_index()
    known = asked["timestamp"].notna().to_numpy()
    answers = model.answer(asked, {})
    wanted = table["device_before"].fillna(99).to_numpy() / 100
    assert answers["probability"].to_numpy()[known] == pytest.approx(wanted[known])
    now = model.answer(asked.drop(columns="timestamp"), {})["probability"].to_numpy()
    every = pd.concat(list(given.values()))
    counts = every[every["timestamp"].notna()]["device"].value_counts()
    assert now == pytest.approx(asked["device"].map(counts).fillna(99).to_numpy() / 100)
    unknown = model.answer(pd.DataFrame({"value": [1.0], "device": ["never seen"], "buyer": [None]}), {})
    assert unknown["probability"].tolist() == [0.0]
    with pytest.raises(DataError, match="the columns device are missing; expected value, device, buyer"):
        model.answer(asked.drop(columns="device"), {})
    assert not any("a" in text for text in pd.read_parquet(tmp_path / "package" / "events.parquet")["value"].map(str))


def test_many_values_at_many_times() -> None:
    """As a loop has it, also at the borders of values and times."""
    random = np.random.default_rng(3)
    values = pd.Series(random.integers(0, 5, 200).astype(str))
    times = pd.Series(pd.to_datetime(random.integers(0, 30, 200), unit="s", utc=True))
    events = Events.of([hashed(values)], [times])
    counts, hours = events.before(hashed(values), times, now=False)
    wanted = np.array([brute(values, times, *one) for one in zip(values, times, strict=True)])
    np.testing.assert_allclose(np.stack([counts, hours], axis=1), wanted, equal_nan=True)


def test_what_came_before_needs_times() -> None:
    """A table without them is refused, and so are names that would mean two things."""
    frame = rows("near").drop(columns="timestamp")
    split = HashSplit(kind="hash", valid=0.2, test=0.3)
    with pytest.raises(DataError, match=r"near: examples: what came before a row \(device, buyer\) needs its time"):
        PartExamples(TASK).target(Given("near", {"examples": frame}, split, 1.0, 0), {})
    with pytest.raises(ValueError, match="device_before stands there more than once"):
        BinaryTask(kind="binary", label="y", features={"device_before": "number"}, entities=("device",))


def test_without_entities_a_package_has_no_events(tmp_path: Path) -> None:
    """Nor does it ask for any: what was registered before there were entities can still be read and judged against."""
    task = TASK.model_copy(update={"entities": ()})
    frame = rows("near").assign(component=range(300), part=[0, 2] * 150, kept=True, row_id=range(300))
    ServeExamples().write(tmp_path, Examples(task, {"near": frame.astype({"row_id": str})}, "near"), NOTHING)
    assert not (tmp_path / "events.parquet").exists()
    assert ServeExamples().read(tmp_path, INFO, Counts()).events == {}
