"""Judging classes: several numbers a row through predictions, the gate, a second verdict, and the pages."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import pytest

import pipeline.models.load
import pipeline.registry.lookup
from pipeline.config import Gate, JudgeSettings, Options, Scenario
from pipeline.data.splits import TEST, TRAIN, VALID
from pipeline.errors import CrossliftError
from pipeline.evaluation.held_out import HeldOut
from pipeline.folders import UNHASHED, Home, read_json
from pipeline.models.estimators import Parts
from pipeline.results import AUDIT, BASELINE, INGEST, PREPARE, TUNE, VERDICT, Step
from pipeline.rows.examples.prepared import Examples
from pipeline.rows.learnt import Learnt
from pipeline.runs.run import Run
from pipeline.steps import judging
from pipeline.steps.evaluate import evaluate
from pipeline.steps.judging import judge_again
from pipeline.views import Features
from tests.publishing import nothing, publish

LANES: dict[str, tuple[Step[Any], float]] = {
    "target_only": (TUNE, 0.5),
    "joint": (TUNE, 3.0),
    "constant": (BASELINE, 0.0),
}


@dataclass(frozen=True)
class Slope:
    """Says yes the more the larger the first feature is, and by what means nothing; `yes` is its first class."""

    slope: float
    classes: tuple[str, ...] = ("yes", "no")
    needs: ClassVar[tuple[str, ...]] = ()

    def probabilities(self, features: Features) -> np.ndarray:
        size = features.table["size"].to_numpy()
        yes = 1 / (1 + np.exp(-self.slope * (size - 1) - np.sin(1000 * size)))
        return np.stack([yes, 1 - yes], axis=1)

    def decided(self, probabilities: np.ndarray) -> np.ndarray:
        return (probabilities[:, 0] < 0.5).astype(np.int64)

    def explained(self, features: Features) -> Parts:
        size = self.slope * (features.table["size"].to_numpy() - 1)
        return Parts(np.stack([size, *np.zeros((len(features.types) - 1, len(size)))], axis=1))

    def settled(self, chosen: Mapping[str, float]) -> "Slope":
        return self

    def save(self, folder: Path) -> None:
        from safetensors.numpy import save_file

        (folder / "ranker.json").write_text(json.dumps({"kind": "slope", "settings": {"slope": self.slope}}))
        save_file({"none": np.zeros(1)}, folder / "weights.safetensors")

    @classmethod
    def from_state(cls, settings: Mapping[str, Any], arrays: Any) -> "Slope":
        return cls(settings["slope"])


def rows(positives: float, seed: int = 0) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    size = random.normal(size=900)
    sold = size + random.normal(size=900) > np.quantile(size, 1 - positives)
    return pd.DataFrame({
        "row_id": [f"r{place:03}" for place in range(900)], "component": np.arange(900) // 2,
        "part": np.resize([TRAIN, VALID, TEST], 900).astype(np.int8), "kept": True, "size": size,
        "kind": random.choice(["a", "b"], 900), "sold": sold & (positives > 0),
    })  # fmt: skip


def start(home: Path, positives: float = 0.3, *, all_positives_marked: bool = False) -> Run:
    value = {
        "name": "sold", "title": "A toy", "sources": ["a"], "target": "b", "bridges": ["features"],
        "tables": {"examples": [{"path": "none.csv"}]}, "split": {"kind": "hash"}, "gate": Gate(resamples=1000),
        "task": {"kind": "binary", "label": "sold", "features": {"size": "number", "kind": "category"},
                 "groups": ["household"]},
        "model": {"kind": "tabular"}, "strategies": [{"tune": {"kind": "scratch"}}, {"tune": {"kind": "joint"}}],
        "baselines": [{"kind": "constant"}],
    }  # fmt: skip
    run = Run.start(Home(home), "night", Scenario.model_validate(value), Options())
    for name in ("a", "b"):
        publish(run, INGEST, nothing, name=name)
        publish(run, PREPARE, lambda folder: rows(positives).to_parquet(folder / "rows.parquet"), name=name)
    tested = rows(positives).query("part == @TEST")
    places = tested.index[tested["sold"]] if all_positives_marked else tested.index[:20]
    marks = pd.DataFrame({"domain": "b", "row": places, "kind": "copy"}).astype({"domain": str, "kind": str})
    told = {"findings": [{"rule": "r", "where": "b", "what": "size tells sold by itself", "remedy": "look"}]}
    publish(run, AUDIT, lambda folder: marks.to_parquet(folder / "marks.parquet"), told)
    for name, (step, slope) in LANES.items():
        valid = {"auprc": slope, "auroc": slope}
        publish(run, step, Slope(slope).save, {"valid": valid, "valid_domain": "b"}, key=slope, name=name)
    return run


@pytest.fixture(autouse=True)
def known(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing serves, and lanes are slopes."""
    monkeypatch.setitem(pipeline.models.load.RANKERS, "slope", lambda: Slope)
    monkeypatch.setattr(pipeline.registry.lookup, "find_champion", lambda home, name: None)


def test_classes_are_judged_and_told(tmp_path: Path) -> None:
    """Probabilities and the class that is told stand beside each row; the pages speak of components and positives."""
    run = start(tmp_path)
    result = evaluate(run)
    judged = run.path(run.result(VERDICT))
    table = pd.read_parquet(judged / "predictions.parquet")
    said = np.stack(list(table["predicted"]))
    assert said.shape == (900, 3)
    np.testing.assert_allclose(said[:, :2].sum(axis=1), 1)
    np.testing.assert_array_equal(said[:, 2], said[:, 1] >= 0.5)
    test = rows(0.3).query("part == @TEST")
    verdict, comparison = read_json(judged / "verdict.json"), read_json(judged / "comparison.json")
    assert verdict["positives"] == test["sold"].iloc[20:].sum()
    assert verdict["units"] == test["component"].iloc[20:].nunique()
    assert (verdict["verdict"], verdict["lane"]) == ("passed", "joint")
    assert comparison["judged"] == f"300 rows are judged; sold is yes in {test['sold'].sum()} of them."
    assert [curve["title"].partition(":")[0] for curve in comparison["curves"]] == [
        "Precision against recall", "Reliability",
    ]  # fmt: skip
    pages = [(run.path(result) / UNHASHED / name).read_text() for name in ("report.html", "report.md")]
    for page in pages:
        assert "<b>b:</b> size tells sold by itself" in page or "**b:** size tells sold by itself" in page
        assert "components" in page
        for word in ("test users", "items", "catalogue", "histor", "ranked"):
            assert word not in page
    assert pages[0].count("<polyline") == 6  # three lanes in two figures
    assert list(comparison["effects"]) == list(dict.fromkeys((verdict["candidate"], "target_only")))
    assert comparison["effects"]["target_only"]["kind"] == 0 < comparison["effects"]["target_only"]["size"]
    assert "What the answers hang on" in pages[0]
    assert (pages[0].index("Precision against recall"), pages[0].index("Reliability")) > (0, 0)


def test_what_the_gate_chose_in_place_of_the_candidate_is_shown(tmp_path: Path) -> None:
    """Its answers come after, and what they hang on stands beside; the candidate says the contrary of the truth."""
    run = start(tmp_path)
    for name, step, slope, valid in (("joint", TUNE, -3.0, 9.0), ("constant", BASELINE, 3.0, 3.0)):
        told = {"valid": {"auprc": valid, "auroc": valid}, "valid_domain": "b"}
        publish(run, step, Slope(slope).save, told, key=("other", name), name=name)
    evaluate(run)
    judged = run.path(run.result(VERDICT))
    verdict, cases = read_json(judged / "verdict.json"), read_json(judged / "cases.json")
    assert (verdict["verdict"], verdict["candidate"], verdict["lane"]) == ("rejected", "joint", "constant")
    assert (cases["before"], cases["after"]) == ("target_only (nothing served)", "constant")
    effects = read_json(judged / "comparison.json")["effects"]
    assert set(effects) == {"joint", "constant", "target_only"}
    assert effects["constant"]["size"] == pytest.approx(6 * effects["target_only"]["size"])


def test_a_verdict_made_again_is_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the numbers that were kept, to the last bit; nothing is predicted again."""
    run = start(tmp_path)
    evaluate(run)
    kept = run.result(VERDICT)
    monkeypatch.setattr(judging, "_predict_all", lambda *_: pytest.fail("predicted again"))
    again = judge_again(run, kept)
    assert read_json(run.path(again) / "verdict.json") == read_json(run.path(kept) / "verdict.json")


def test_a_champion_is_scored_beside_on_rows_that_it_did_not_learn(tmp_path: Path) -> None:
    """Its probabilities stand in the places of those rows; marked and learnt ones do not count."""
    run = start(tmp_path)
    task = run.scenario.task
    prepared = Examples(task, {"a": rows(0.3), "b": rows(0.3)}, "b")  # type: ignore[arg-type]
    settings = JudgeSettings.of(run.scenario, oracles=())
    marks = pd.read_parquet(run.input(AUDIT, artifact="marks.parquet").path)
    test = HeldOut.of(settings, prepared, marks)

    class Served:
        def on(self, prepared: Any) -> Slope:
            return Slope(3.0)

        learnt = Learnt.of({"b": prepared.named(test.rows)[:50]})

    predicted = {"joint": test.predict(Slope(3.0)), "chance": test.chance()}  # type: ignore[arg-type]
    scores = test.scores_beside(predicted, Served())  # type: ignore[arg-type]
    assert scores.rows == 250
    assert scores.positives == rows(0.3).query("part == @TEST")["sold"].iloc[50:].sum()
    once = np.ones((1, scores.units))
    assert scores.lanes["champion"](once) == scores.lanes["joint"](once) != scores.lanes["chance"](once)
    none = replace(test, marks=marks.iloc[:0].assign())
    everything = type("All", (Served,), {"learnt": Learnt.of({"b": prepared.named(test.rows)})})
    assert none.scores_beside(predicted, everything()).units == 0  # type: ignore[arg-type]


def test_a_test_without_positives_is_told(tmp_path: Path) -> None:
    """Nothing can be said of average precision there: that is an error with what to do, and not a table of nothing."""
    with pytest.raises(CrossliftError, match=r"b: AUPRC is not defined on the 300 test rows, .* bring more rows"):
        evaluate(start(tmp_path, positives=0.0))


def test_without_unmarked_positives_the_verdict_is_open(tmp_path: Path) -> None:
    """All rows are told of; the gate has nothing to compare by, and says so."""
    run = start(tmp_path, all_positives_marked=True)
    evaluate(run)
    judged = run.path(run.result(VERDICT))
    assert list(read_json(judged / "comparison.json")["views"]) == ["all rows"]
    verdict = read_json(judged / "verdict.json")
    assert verdict["verdict"] == "undecided"
    assert verdict["positives"] == 0
    assert "there are not enough test rows to compare it with target_only" in verdict["reason"]
