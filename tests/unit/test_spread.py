"""Several splits of the same rows, put together by lane."""

from pathlib import Path

import numpy as np
import pytest

from pipeline.config import Options, Scenario
from pipeline.errors import ConfigError
from pipeline.evaluation.bootstrap import Estimate
from pipeline.evaluation.spread import SplitPoint, incomplete, spread
from pipeline.folders import Home
from pipeline.runs.points import splits_of
from pipeline.runs.run import Run
from pipeline.scenarios import apply_options, load_scenario
from pipeline.scenarios.loader import differences
from pipeline.steps.ingest import ingest

VALUES = {"target_only": [0.5, 0.6, 0.4, 0.5], "joint": [0.6, 0.6, 0.7, 0.4], "now_and_then": [0.9, 0.9, 0.9, 0.9]}


def points() -> list[SplitPoint]:
    return [
        SplitPoint(
            draw=draw,
            metric="auprc",
            lanes={
                name: Estimate(value=values[draw], low=values[draw] - 0.1, high=values[draw] + 0.1 * (1 + draw))
                for name, values in VALUES.items()
                if name != "now_and_then" or draw != 2
            },
        )
        for draw in range(4)
    ]


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_each_lane_over_thesplits_of(sign: float) -> None:
    """Mean and deviation as NumPy has them; a lane that failed on one split is left out; less may be better."""
    found = {one.lane: one for one in spread(points(), sign)}
    assert list(found) == (["joint", "target_only"] if sign > 0 else ["target_only", "joint"])
    for name, one in found.items():
        values = np.array(VALUES[name])
        assert one.mean == pytest.approx(values.mean())
        assert one.deviation == pytest.approx(values.std(ddof=1))
        assert (one.worst, one.best)[:: int(sign)] == pytest.approx((values.min(), values.max()))
        assert one.half_width == pytest.approx(np.mean([0.1, 0.15, 0.2, 0.25]))
    assert found["joint"].ahead == (2 if sign > 0 else 1)  # of four; equal once
    assert found["target_only"].ahead == 0


def test_lanes_that_are_left_out_are_told() -> None:
    """Else a lane that failed on one split would be gone without a word."""
    assert incomplete(points()) == ("now_and_then",)
    assert incomplete(points()[:2]) == ()


def test_other_settings_of_a_lane_are_othersplits_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Results of another recipe under the same name must not be put together with these; another draw is the same."""
    (tmp_path / "rows.csv").write_text("user_id,item_id,domain\nu,i,films\nu,j,books\n")
    monkeypatch.setenv("CROSSLIFT_DATA", str(tmp_path))

    def folder(draw: int, source_weight: float) -> Path:
        joint = {"tune": {"kind": "joint", "source_weight": source_weight}}
        value = {
            "name": "s", "title": "S", "sources": ["films"], "target": "books", "bridges": ["users"],
            "tables": {"interactions": [{"path": "rows.csv"}]}, "split": {"kind": "hash", "draw": draw},
            "strategies": [{"tune": {"kind": "scratch"}}, joint], "baselines": [{"kind": "popularity"}],
            "pseudonymous": True,
        }  # fmt: skip
        run = Run.start(Home(tmp_path / "home"), f"r{draw}", Scenario.model_validate(value), Options())
        ingest(run)
        return splits_of(run)

    assert folder(0, 0.5) == folder(1, 0.5)
    assert folder(0, 0.5) != folder(0, 1.0)


def test_one_split_has_no_spread() -> None:
    """Nor have none."""
    assert spread(points()[:1], 1.0) == ()
    assert spread([], 1.0) == ()


def test_another_split_is_a_trial() -> None:
    """It divides the rows anew, changes nothing else, and serves only where that is asked for."""
    scenario = load_scenario("purchase_intent")
    changed = apply_options(scenario, Options(split_draw=3))
    assert changed.split == scenario.split.model_copy(update={"draw": 3})
    assert changed.model_copy(update={"split": scenario.split}) == scenario
    assert differences(scenario, changed) == "another split of the same rows"
    with pytest.raises(ConfigError, match=r"split_draw: demo is split by .*, which divides the rows in one way only"):
        apply_options(load_scenario("demo"), Options(split_draw=3))
