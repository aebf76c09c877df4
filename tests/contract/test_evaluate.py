"""The evaluate step on a toy: transactions, failed lanes, marks and the champion."""

import json
import re
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

import pipeline.cli.curve
import pipeline.models.load
import pipeline.registry.lookup
import pipeline.registry.mend
import pipeline.registry.tracking
import pipeline.serving.package
from pipeline.cli.app import app
from pipeline.config import BaselineSettings, Gate, JudgeSettings, Options, RankingTask, Scenario
from pipeline.errors import CrossliftError, DataError, MissingResultError, StorageError, UserError
from pipeline.evaluation.choosing import Chooser, Folds
from pipeline.evaluation.held_out import HeldOut
from pipeline.folders import UNHASHED, Home, read_json
from pipeline.labels.items import Items
from pipeline.labels.ranking_metrics import user_metrics
from pipeline.models.ranker import Ranker
from pipeline.registry.lookup import Champion
from pipeline.registry.nights import Night
from pipeline.results import AUDIT, BASELINE, INGEST, PREPARE, TUNE, VALIDATE, VERDICT, Estimate, Outcome, Step
from pipeline.rows.interactions.prepared import DomainData
from pipeline.rows.learnt import NOTHING, Learnt
from pipeline.runs.aftermath import Aftermath
from pipeline.runs.recipes import recipe_of
from pipeline.runs.run import Run
from pipeline.steps import judging
from pipeline.steps.evaluate import evaluate
from pipeline.steps.judging import judge_again
from pipeline.steps.report import publish_report
from tests.publishing import domains_of, nothing, publish

USERS, ITEMS, TASTES = 120, 60, 6


class Taste(Ranker):
    """Scores the items of a user's own kind higher by `strength`; what kind that is shows in the history."""

    kind: ClassVar[str] = "taste"

    def __init__(self, strength: float) -> None:
        self.strength = strength

    def scores(self, histories):
        own = histories["b"] @ np.eye(TASTES, dtype=np.float32)[np.arange(ITEMS) % TASTES]
        rough = np.tile(np.sin(np.arange(ITEMS) * 7.0), (own.shape[0], 1))
        return (rough + self.strength * own[:, np.arange(ITEMS) % TASTES]).astype(np.float32)

    def state(self):
        return {"strength": self.strength}, {"none": np.zeros(1, np.float32)}

    @classmethod
    def from_state(cls, settings: dict[str, Any], arrays):
        return cls(settings["strength"])


def make_domain(name: str, seed: int) -> DomainData:
    """Users who take items of their own kind: five training rows, one validation and one test row each."""
    rng = np.random.default_rng(seed)
    users = np.repeat(np.arange(USERS), 7)
    steps = np.concatenate([rng.permutation(ITEMS // TASTES)[:7] for _ in range(USERS)])
    rows = pd.DataFrame(
        {"user": users, "item": steps * TASTES + users % TASTES, "part": np.tile([0, 0, 0, 0, 0, 1, 2], USERS)}
    )
    rows = rows.astype({"user": "int32", "item": "int32", "part": "int8"}).assign(kept=True)
    rows = rows.sort_values(["user", "item"], ignore_index=True)
    counts = np.bincount(rows.loc[rows["part"] < 2, "item"], minlength=ITEMS)
    return DomainData(
        name,
        pd.DataFrame({"user_id": [f"u{i:03}" for i in range(USERS)]}),
        pd.DataFrame({"item_id": [f"{name}{i:02}" for i in range(ITEMS)], "train_count": counts}),
        rows,
    )


LANES = {
    "target_only": (TUNE, 0.2),
    "joint": (TUNE, 5.0),
    "popularity": (BASELINE, 0.0),
}


@pytest.fixture
def run(tmp_path, monkeypatch) -> Run:
    """Make a run whose earlier steps have succeeded, but for the lane `ease`."""
    monkeypatch.setitem(pipeline.models.load.RANKERS, "taste", lambda: Taste)
    monkeypatch.setattr(pipeline.registry.lookup, "find_champion", lambda home, name: None)
    return start(tmp_path, LANES)


def start(home, lanes: dict[str, tuple[Step, float]], marked: int = 10, share: float = 1.0) -> Run:
    value = {
        "name": "toy", "title": "A toy", "sources": ["a"], "target": "b", "bridges": ["users"], "embedded": {},
        "split": {"kind": "leave_last_out"}, "gate": Gate(resamples=1000),
        "strategies": [{"tune": {"kind": "scratch"}}, {"tune": {"kind": "joint"}}],
        "baselines": [{"kind": "popularity"}, {"kind": "ease"}],
    }  # fmt: skip
    run = Run.start(Home(home), f"toy{share:g}", Scenario.model_validate(value), Options(target_share=share))
    for seed, name in enumerate(("a", "b")):
        publish(run, INGEST, nothing, name=name)
        publish(run, PREPARE, make_domain(name, seed).write, key=share, name=name)
    publish(run, AUDIT, marks_of(run, marked), key=marked)
    for name, (step, strength) in lanes.items():
        compete(run, step, name, strength)
    return run


def marks_of(run: Run, count: int):
    def write(folder):
        rows = domains_of(run).held_out("test").rows["row"].to_numpy()[:count]
        marks = pd.DataFrame({"domain": "b", "row": rows, "kind": "twin"}).astype({"domain": str, "kind": str})
        marks.to_parquet(folder / "marks.parquet")

    return write


def compete(run: Run, step: Step, name: str, strength: float) -> None:
    """Publish a candidate."""
    view = domains_of(run).held_out("valid")
    rows = pd.DataFrame({"user": view.units, "item": view.label.value})
    ranks = np.full(len(rows), 1 + 20 / (1 + np.nan_to_num(strength)))
    valid = user_metrics(rows, ranks, (10, 20)).mean().to_dict()
    publish(run, step, Taste(strength).save, {"valid": valid, "valid_domain": "b"}, key=strength, name=name)


def test_the_verdict_and_the_report_are_published(run):
    """The best lane on validation wins on the test, and all artifacts are there."""
    result = evaluate(run)
    assert result.facts.lane == "joint"
    assert result.facts.verdict == "passed"
    assert result.facts.failed == ("ease",)
    judged = run.path(run.result(VERDICT))
    ranks = pd.read_parquet(judged / "predictions.parquet")
    assert ranks.groupby("lane", observed=True).size().to_dict() == dict.fromkeys(LANES, USERS)
    assert {path.name for path in (run.path(result) / UNHASHED).iterdir()} == {
        "report.html",
        "report.md",
        "report.json",
        "shared",
    }
    shared = [run.path(result) / page for page in result.facts.shared]
    assert [page.name for page in shared] == ["report.html", "report.md"]
    for page in shared:  # what is copied to MLflow, where nobody can be forgotten
        assert "What changes for" not in page.read_text()
        assert "What changes for" in (page.parents[1] / page.name).read_text()
    assert read_json(judged / "verdict.json")["units"] == USERS - 10


def test_what_differs_between_equal_runs_is_not_hashed(run, tmp_path):
    """A run elsewhere gives the same manifests, although times differ."""
    first = evaluate(run)
    second = evaluate(start(tmp_path / "elsewhere", LANES))
    assert first.manifest == second.manifest
    assert run.result(VERDICT).manifest == Run.load(Home(tmp_path / "elsewhere"), "toy1").result(VERDICT).manifest


def test_the_verdict_is_kept_and_not_asked_again(run, monkeypatch):
    """A repeat reuses the verdict, also when all is forced and another champion serves by then."""
    evaluate(run)
    monkeypatch.setattr(pipeline.registry.lookup, "find_champion", lambda home, name: pytest.fail("asked again"))
    again = evaluate(Run(run.home, run.run_id, run.scenario, force=True))
    assert run.result(VERDICT).reused
    assert not again.reused


def test_target_only_is_needed(run):
    """Without the reference of every gain there is no evaluation."""
    run.forget(TUNE, "target_only")
    with pytest.raises(MissingResultError, match="needs the result of finetune_target of target_only"):
        evaluate(run)


def test_a_lane_that_cannot_score_costs_only_itself(run):
    """A diverged lane is left out and named; the others are judged."""
    compete(run, TUNE, "joint", float("nan"))
    result = evaluate(run)
    assert result.facts.failed == ("joint", "ease")
    assert "joint" not in result.facts.reason


def test_a_target_only_lane_that_cannot_score_is_an_error(run):
    """Nothing can be measured against a model that diverged."""
    compete(run, TUNE, "target_only", float("nan"))
    with pytest.raises(CrossliftError, match="score that is NaN"):
        evaluate(run)


def test_marked_validation_rows_do_not_pick(run):
    """Only validation rows without marks score a lane; where all are marked, nothing can be chosen."""
    domains = domains_of(run)
    rows = domains.held_out("valid").rows

    def chooser(count):
        def write(folder):
            marked = pd.DataFrame({"domain": "b", "row": rows["row"].to_numpy()[:count], "kind": "twin"})
            marked.to_parquet(folder / "marks.parquet")

        publish(run, AUDIT, write, key=count)
        [_, ease] = run.scenario.baselines
        settings = BaselineSettings.of(run.scenario, baseline=ease, oracle=False, held_back=False)
        return Folds.of(settings, domains, run.input(AUDIT, artifact="marks.parquet").path)

    assert len(chooser(0).first.view) == len(rows)
    assert chooser(USERS // 2).first.view.rows["row"].tolist() == rows["row"].tolist()[USERS // 2 :]
    with pytest.raises(DataError, match=f"no validation row is left that the audit did not mark \\({len(rows)} are"):
        chooser(len(rows))


def test_a_target_without_validation_rows_says_so(run):
    """Nothing was marked, and the message does not speak of marks."""
    data = make_domain("b", 1)
    none = replace(domains_of(run), target=replace(data, rows=data.rows[data.rows["part"] != 1].reset_index(drop=True)))
    [_, ease] = run.scenario.baselines
    settings = BaselineSettings.of(run.scenario, baseline=ease, oracle=False, held_back=False)
    with pytest.raises(DataError, match=r"^b: it has no validation row, and is left with too few units"):
        Folds.of(settings, none, run.input(AUDIT, artifact="marks.parquet").path)


def test_no_test_row_is_an_error(run):
    """A target whose test rows are all outside the catalogue cannot be evaluated."""
    domain = make_domain("b", 1)
    without = DomainData("b", domain.users, domain.items, domain.rows[domain.rows["part"] < 2].reset_index(drop=True))
    publish(run, PREPARE, without.write, key="none", name="b")
    with pytest.raises(CrossliftError, match="b: expected test rows that can be judged, got none"):
        evaluate(run)


def test_the_champion_is_judged_on_rows_that_it_did_not_learn(run, monkeypatch, tmp_path):
    """Test rows in the champion's training data are left out of its comparison, and a far better one stays."""
    domains = domains_of(run)
    test = domains.held_out("test")
    learnt = Learnt.of({"b": domains.named(test)[20:70]})

    def oracle(histories):
        scores = np.full((histories["b"].shape[0], ITEMS), -np.inf, dtype=np.float32)
        scores[:, test.label.value] = 1.0
        return np.where(Taste(5.0).scores(histories) > 3, 1.0, scores).astype(np.float32)

    served = SimpleNamespace(on=lambda _: SimpleNamespace(scores=oracle), learnt=learnt)
    champion = Champion(3, "joint", "three", "", 1.0, tmp_path, recipe=recipe_of(run.scenario, "joint"))
    monkeypatch.setattr(pipeline.registry.lookup, "find_champion", lambda home, name: champion)
    monkeypatch.setattr(pipeline.serving.package.ServedModel, "read", lambda folder: SimpleNamespace(served=served))
    evaluate(run)
    [compared] = [
        found
        for found in read_json(run.path(run.result(VERDICT)) / "verdict.json")["comparisons"]
        if found["role"] == "champion"
    ]
    assert (compared["reference"], compared["demand"]) == ("version 3", "not worse")  # the recipe is the same
    assert compared["units"] == USERS - 10 - 50


def serve(monkeypatch, version: int, strength: float, **more: str) -> None:
    """Let a model of that strength serve, which learnt from none of the test rows."""
    served = SimpleNamespace(on=lambda _: Taste(strength), learnt=NOTHING)
    champion = Champion(version, "joint", f"package {version}", "", 1.0, Path(f"/{version}"))
    monkeypatch.setattr(pipeline.registry.lookup, "find_champion", lambda home, name: replace(champion, **more))
    monkeypatch.setattr(pipeline.serving.package.ServedModel, "read", lambda folder: SimpleNamespace(served=served))


def verdict_of(run: Run, result) -> dict[str, Any]:
    return read_json(run.path(result) / "verdict.json")


def test_a_verdict_names_the_champion_that_it_was_made_against(run, monkeypatch):
    """Its version and what it is, or nothing."""
    evaluate(run)
    assert verdict_of(run, run.result(VERDICT))["champion"] is None
    serve(monkeypatch, 7, 0.1)
    evaluate(start(run.home.root, {**LANES, "ease": (BASELINE, 0.1)}))
    champion = verdict_of(run, run.result(VERDICT))["champion"]
    assert champion.pop("scored")["value"] > 0
    assert champion == {"version": 7, "package": "package 7", "new_rows": None}


def test_a_verdict_says_how_many_test_rows_are_new_since_the_champions_night(run, monkeypatch):
    """Those that had another user or item on that night; nothing where its run holds another candidate by now."""
    then, rows = make_domain("b", 1), make_domain("b", 1).rows
    now_new = rows.index[rows["part"] == 2][5:45]  # the first ten carry a mark tonight
    publish(run, PREPARE, replace(then, rows=rows.drop(index=now_new)).write, key="then", name="b")
    fitted = run.result(TUNE, "joint").manifest
    tonight = start(run.home.root, LANES, share=0.5)
    serve(monkeypatch, 4, 5.0, run_id=run.run_id, candidate=fitted)
    evaluate(tonight)
    assert verdict_of(tonight, tonight.result(VERDICT))["champion"]["new_rows"] == 35
    later = start(run.home.root, {**LANES, "ease": (BASELINE, 0.1)}, share=0.5)
    serve(monkeypatch, 5, 5.0, run_id=run.run_id, candidate="another")
    evaluate(later)
    assert verdict_of(later, later.result(VERDICT))["champion"]["new_rows"] is None


def test_judged_again_only_the_champion_is_new(run, monkeypatch):
    """The candidates rank ten users again for the page and no more; all other comparisons come out to the last bit."""
    evaluate(run)
    kept = run.result(VERDICT)
    first = verdict_of(run, kept)
    monkeypatch.setattr(judging, "_predict_all", lambda *_: pytest.fail("ranked again"))
    own = recipe_of(run.scenario, "joint")
    serve(monkeypatch, 4, 5.0, recipe=own)
    equal = judge_again(run, kept)
    second = verdict_of(run, equal)
    assert second["champion"]["version"] == 4
    assert second["comparisons"][:-1] == first["comparisons"]
    last = second["comparisons"][-1]
    assert (last["role"], last["reference"], last["difference"]["value"], second["verdict"]) == (
        "champion", "version 4", 0.0, "passed")  # fmt: skip
    assert run.result(VERDICT) == kept
    cases, before = (read_json(run.path(one) / "cases.json") for one in (equal, kept))
    assert (cases["before"], cases["after"]) == ("version 4 (joint)", "joint")
    assert [one["after"] for one in cases["cases"]] == [one["after"] for one in before["cases"]]
    assert judge_again(Run(run.home, run.run_id, run.scenario, force=True), kept).reused
    serve(monkeypatch, 5, 500.0, recipe=own)
    third = verdict_of(run, judge_again(run, kept))
    assert third["champion"]["version"] == 5
    assert third["comparisons"][:-1] == first["comparisons"]


def test_judged_again_a_better_champion_keeps_the_candidate_out(run, monkeypatch):
    """What passed while nothing served is rejected against a champion that ranks the test rows far better."""
    weak = start(run.home.root, {**LANES, "target_only": (TUNE, 0.0), "joint": (TUNE, 0.1)})
    evaluate(weak)
    kept = weak.result(VERDICT)
    assert kept.facts.verdict == "passed"
    serve(monkeypatch, 4, 5.0)
    again = judge_again(weak, kept)
    assert (again.facts.verdict, again.facts.lane) == ("rejected", None)
    assert "version 4" in again.facts.reason


@pytest.mark.filterwarnings("ignore::UserWarning:mlflow")  # of its own type hints, while it is imported
def test_a_champion_that_cannot_be_read_is_left_out_and_said_so(run, tmp_path, monkeypatch):
    """The candidate is judged by the other references; a verdict that was made with the champion is made once more."""
    damage = "weights.safetensors: expected 8 bytes, found 7 bytes"
    champion = Champion(3, "joint", "three", "", 1.0, tmp_path, damage=damage)
    before = evaluate(run)
    monkeypatch.setattr(pipeline.registry.lookup, "find_champion", lambda home, name: champion)
    judged = judge_again(run, run.result(VERDICT))
    assert not judged.reused
    assert judged.facts.unreadable == 3
    told = f"The champion, version 3, cannot be read and was left out: {champion.damage}. "
    verdict = read_json(run.path(judged) / "verdict.json")
    assert verdict["reason"] == judged.facts.reason == told + before.facts.reason
    assert [one["role"] for one in verdict["comparisons"]] == ["target-only", "best baseline"]
    assert verdict["champion"] is None
    assert judge_again(run, run.result(VERDICT)).reused


def test_a_damaged_candidate_stops_the_evaluation(run):
    """A verdict without it would be kept; so none is made, and the message says which file it is."""
    weights = next(run.place(run.result(TUNE, "joint")).glob("ranker.json"))
    content = weights.read_bytes()
    weights.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(StorageError, match=r"of finetune_target joint was damaged .* ranker\.json: expected"):
        evaluate(run)
    assert run.results(VERDICT) == {}
    weights.write_bytes(content)
    assert evaluate(run).facts.failed == ("ease",)


def test_a_point_of_the_curve_that_cannot_be_read_is_left_out(run, tmp_path, caplog):
    """A damaged point of another share costs only itself."""
    evaluate(run)
    less = evaluate(start(tmp_path, LANES, share=0.3))
    [full] = (tmp_path / "curves").rglob("1.json")
    full.write_text("{")
    again = evaluate(Run.load(Home(tmp_path), "toy0.3"))
    assert again.folder != less.folder
    value = read_json(tmp_path / again.folder / UNHASHED / "report.json")
    assert [point["share"] for point in value["curve"]] == [0.3]
    assert str(full) in caplog.text


def test_another_share_joins_the_curve(run, tmp_path):
    """A run at 30 % puts its point beside that of the full target, and the report of either shows both."""
    evaluate(run)
    less = evaluate(start(tmp_path, LANES, share=0.3))
    value = read_json(tmp_path / less.folder / UNHASHED / "report.json")
    assert [point["share"] for point in value["curve"]] == [0.3, 1.0]
    again = evaluate(run)
    assert not again.reused
    assert run.result(VERDICT).reused


class Constant(Taste):
    """Scores all items the same, so that a rank only tells how many items were ranked."""

    def scores(self, histories):
        return np.zeros((histories["b"].shape[0], ITEMS), dtype=np.float32)


def test_what_thinning_took_away_is_no_wrong_answer(run):
    """With no row kept, the items that a user took are still left out: five for validation rows, six for test rows."""
    domains = domains_of(run)
    rows = domains.target.rows
    bare = replace(domains, target=replace(domains.target, rows=rows.assign(kept=rows["part"] == 2)))
    assert bare.histories(("train", "valid"))["b"].nnz == 0
    marks = pd.DataFrame({"domain": [], "row": [], "kind": []})
    test = HeldOut.of(JudgeSettings.of(run.scenario, oracles=()), bare, marks)
    assert (test.predict(Constant(0.0)) == (ITEMS - 6 + 1) / 2).all()
    deep = Items(RankingTask(cutoffs=(ITEMS,)))
    choosing = Chooser(deep, bare, domains.held_out("valid")).metrics(Constant(0.0))
    assert choosing[f"mrr@{ITEMS}"] == pytest.approx(2 / (ITEMS - 5 + 1))  # each row's rank


def test_a_point_is_listed_and_taken_away_by_the_command(run, tmp_path, monkeypatch):
    """The curve of the last run that is no trial; the next report is drawn without the point."""
    monkeypatch.setenv("CROSSLIFT_HOME", str(tmp_path))
    monkeypatch.setattr(pipeline.cli.curve, "load_scenario", lambda name: run.scenario)

    def curve(*more: str) -> Any:
        return CliRunner().invoke(app, ["curve", "toy", *more], catch_exceptions=True)

    start(tmp_path, LANES)
    evaluate(start(tmp_path, LANES, share=0.3))
    evaluate(run)
    Run.start(Home(tmp_path), "trial", run.scenario, Options(seed=9))  # it has read nothing, and would be another curve
    listed = json.loads(curve("--json").stdout)["points"]
    assert [(one["share"], one["wanted"]) for one in listed] == [(0.3, False), (1.0, True)]
    assert isinstance(curve("--remove", "0.2").exception, UserError)
    assert "Removed the point at 0.3" in curve("--remove", "0.3").stdout
    again = evaluate(run)
    assert [point["share"] for point in read_json(run.path(again) / again.facts.data)["curve"]] == [1.0]
    monkeypatch.setenv("CROSSLIFT_HOME", str(tmp_path / "empty"))
    assert "crosslift run toy" in str(curve().exception)


def aftermath(*nights: Night) -> Aftermath:
    """Nothing became of the run, after these nights."""
    outcome = Outcome(outcome="not promoted", reason="Why.", model="m", version=1, lane="joint", alias="", serving=None,
                      trial="")  # fmt: skip
    return Aftermath(outcome, {}, nights)


def test_a_night_with_nothing_new_finds_its_report(run):
    """It names the run that made it; another night before it, or another outcome, makes another page."""
    evaluate(run)
    judged, one = run.result(VERDICT), Estimate(value=0.5, low=0.4, high=0.6)
    night = Night("earlier", 1000.0, "ndcg@10", "passed", "promoted", "joint", 1, one, None, one, one)
    first = publish_report(run, judged, aftermath(night))
    told = read_json(run.path(first) / first.facts.data)
    assert (told["run_id"], told["began"]) == (run.run_id, run.began)
    assert [(one["ended"], one["promoted"]) for one in told["nights"]] == [
        (1000.0, True), (datetime.fromisoformat(run.began).timestamp(), False)
    ]  # fmt: skip
    lanes = told["comparison"]["views"]["without marked rows"]["lanes"]
    assert told["nights"][1]["candidate"] == lanes["joint"]["ndcg@10"]
    later = replace(run, began="2030-01-01T00:00:00+00:00")
    assert publish_report(later, judged, aftermath(night)).reused
    assert not publish_report(run, judged, aftermath(night, replace(night, ended=2000.0))).reused
    assert not publish_report(run, judged, aftermath()).reused


def test_the_link_to_the_data_docs_leads_there(run):
    """From where the page lies, by a way that a browser goes; not from the copy that goes elsewhere."""

    def write(folder: Path) -> None:
        (folder / UNHASHED).mkdir()
        (folder / UNHASHED / "index.html").write_text("docs")

    facts = {"failed": {}, "checks": 1, "quarantined": 0, "data_docs": f"{UNHASHED}/index.html"}
    publish(run, VALIDATE, write, facts)
    result = evaluate(run)
    page = run.path(result) / result.facts.html
    [link] = re.findall(r'<a href="([^"]*)"', page.read_text())
    assert (page.parent / link).read_text() == "docs"
    assert "<a " not in (run.path(result) / result.facts.shared[0]).read_text()


def test_the_report_shows_cases_curves_and_rows(run):
    """What was said of ten users before and now is in the JSON, with their recent items, and no id is."""
    result = evaluate(run)
    told = read_json(run.path(result) / result.facts.data)
    cases = told["cases"]
    assert (cases["before"], cases["after"]) == ("target_only (nothing served)", "joint")
    assert (len(cases["cases"]), cases["drawn_from"]) == (10, USERS - 10)
    assert all(len(case["recent"]) == 5 and len(case["after"]) == 5 for case in cases["cases"])
    assert not re.search(r"\bu\d{3}\b", json.dumps(cases))
