"""What MLflow shows of nights: runs by which two are compared, data, lanes with curves, and models with cards."""

import json
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline.config import Scenario
from pipeline.folders import META, Home, read_json
from pipeline.registry import lookup, tracking
from pipeline.registry import promote as registry
from pipeline.registry.nights import nights
from pipeline.registry.replay import RunLog, StepLog, log_run
from pipeline.registry.rollback import rollback
from pipeline.results import BASELINE, PREPARE, PROMOTE, VERDICT, Estimate
from pipeline.runs.run import Run
from pipeline.steps.promote import promote

# MLflow itself uses what SQLAlchemy will remove.
pytestmark = [
    pytest.mark.slow,
    pytest.mark.usefixtures("trusted"),
    pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning"),
]
NAME = "crosslift.toy"
Nights = Callable[..., Any]  # the class `Night` of conftest.py


@pytest.fixture(scope="module")
def first(home: Home, night: Nights) -> Run:
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        patch.setattr(registry, "check_serves", lambda *_: None)
        run = night(home, "night-1").run()
        promote(run)
    return run


def logged(home: Home, run: Run) -> tuple[Any, dict[str, Any]]:
    """Give the parent run of a night in MLflow, and its nested runs by lane."""
    client = tracking.connect(home)
    parent = client.get_run(run.result(PROMOTE).facts.logged)
    where = f"tags.`mlflow.parentRunId` = '{parent.info.run_id}'"
    found = client.search_runs([parent.info.experiment_id], where)
    return parent, {one.data.tags["crosslift.lane"]: one for one in found}


def everything(home: Home, name: str = "toy") -> Any:
    """Give all that a scenario has in MLflow, with every tag, text and file."""
    client = tracking.connect(home)
    experiment = client.get_experiment_by_name(f"crosslift/{name}")
    runs = {one.info.run_id: one.to_dictionary() for one in client.search_runs([experiment.experiment_id])}
    files = {run: sorted(file.path for file in client.list_artifacts(run)) for run in runs}
    models = [one.to_dictionary() for one in client.search_logged_models([experiment.experiment_id])]
    versions = client.search_model_versions(f"name = 'crosslift.{name}'")
    told = {one.version: (dict(one.tags), one.description, one.last_updated_timestamp) for one in versions}
    return runs, files, sorted(map(str, models)), told, registry.aliases(client, f"crosslift.{name}")


def test_runs_have_short_names_and_their_own_times(home: Home, first: Run) -> None:
    """The parent has the run's own times; a lane those of its computation."""
    parent, children = logged(home, first)
    client = tracking.connect(home)
    experiment = client.get_experiment(parent.info.experiment_id)
    assert experiment.tags["mlflow.experimentKind"] == "custom_model_development"
    assert parent.info.run_name == f"toy {first.began[5:10]} {first.began[11:16]}"
    assert parent.info.start_time == 1000 * datetime.fromisoformat(first.began).timestamp()
    assert parent.info.end_time >= parent.info.start_time
    assert set(children) == {"item_knn", "popularity", "target_only"}
    assert {run.info.status for run in (parent, *children.values())} == {"FINISHED"}
    knn = children["item_knn"]
    assert knn.info.run_name == f"item_knn {first.began[5:10]} {first.began[11:16]}"
    finished = read_json(first.place(first.result(BASELINE, "item_knn")) / META)["finished"]
    assert knn.info.end_time == int(1000 * finished)


def test_the_parent_run_has_what_two_nights_are_compared_by(home: Home, first: Run) -> None:
    """Figures with intervals, verdict and outcome, rows and costs, all options, the scenario, and the pages."""
    client = tracking.connect(home)
    parent, _ = logged(home, first)
    found = parent.data.metrics
    compared = read_json(first.path(first.result(VERDICT)) / "comparison.json")["views"]["all rows"]["lanes"]
    verdict = read_json(first.path(first.result(VERDICT)) / "verdict.json")
    for role, lane in (("candidate", "item_knn"), ("target_only", "target_only"), ("best_baseline", "item_knn")):
        name = f"ndcg_at_10/{role}"
        told = {"value": found[name], "low": found[f"{name}_low"], "high": found[f"{name}_high"]}
        assert told == compared[lane]["ndcg@10"]
    assert "ndcg_at_10/champion" not in found  # nothing served
    [against] = [one for one in verdict["comparisons"] if one["role"] == "target-only"]
    assert found["gain/over_target_only_low"] == against["difference"]["low"]
    rows = sum(first.result(PREPARE, "films").facts.rows.values())
    assert (found["rows/films_read"], found["rows/films_kept"]) == (rows, rows)
    assert found["cost/cpu_seconds"] > 0
    tags = parent.data.tags
    assert (tags["verdict"], tags["outcome"], tags["version"], tags["serving"]) == ("passed", "promoted", "1", "1")
    params = parent.data.params
    assert (params["seed"], params["split.kind"], params["gate.resamples"]) == ("0", "shipped", "1000")
    assert (params["strategies"], params["force"]) == ("target_only", "False")
    pages = {file.path for file in client.list_artifacts(parent.info.run_id)}
    assert pages >= {"report.html", "report.md", "comparison.json", "verdict.json", "passport.json", "scenario.yaml"}
    text = Path(client.download_artifacts(parent.info.run_id, "scenario.yaml")).read_text(encoding="utf-8")
    assert Scenario.model_validate(yaml.safe_load(text)) == first.scenario


def test_the_data_are_logged_with_their_fingerprints(home: Home, first: Run) -> None:
    """A dataset for each domain; another night on other rows has other digests."""
    parent, _ = logged(home, first)
    found = {one.dataset.name: one.dataset for one in parent.inputs.dataset_inputs}
    assert set(found) == {"books", "films"}
    assert found["films"].digest == first.result(PREPARE, "films").manifest[:32]
    assert json.loads(found["films"].profile) == first.result(PREPARE, "films").facts.rows


def test_a_lane_has_all_its_settings_and_curves_by_epoch(home: Home, first: Run) -> None:
    """Plain names, one point an epoch, and the test figures with their interval."""
    client = tracking.connect(home)
    knn = logged(home, first)[1]["item_knn"]
    assert (knn.data.params["kind"], knn.data.params["domains"]) == ("item_knn", "target")
    assert knn.data.params["neighbours"] == "10"  # what was chosen
    assert knn.data.metrics["valid_ndcg_at_10"] == 0.25
    assert {"test_ndcg_at_10_high", "wall_seconds"} <= set(knn.data.metrics)
    curve = client.get_metric_history(knn.info.run_id, "valid/ndcg_at_10")
    assert [(point.step, point.value) for point in curve] == [(1, 0.1), (2, 0.2)]
    network = logged(home, first)[1]["target_only"].data.params
    assert (network["tune.kind"], network["training.epochs"]) == ("scratch", "20")


def test_the_logged_model_is_the_registered_one(home: Home, first: Run) -> None:
    """Its page says so, with figures on the rows that were judged, settings, and the run of its lane."""
    client = tracking.connect(home)
    parent, children = logged(home, first)
    [model] = client.search_logged_models([parent.info.experiment_id])
    assert json.loads(model.tags["mlflow.modelVersions"]) == [{"name": NAME, "version": "1"}]
    version = client.get_model_version(NAME, "1")
    assert (version.source, version.run_id) == (f"models:/{model.model_id}", children["item_knn"].info.run_id)
    figures = {one.key: one for one in model.metrics}
    assert figures["test_ndcg_at_10"].value == children["item_knn"].data.metrics["test_ndcg_at_10"]
    assert figures["test_ndcg_at_10"].dataset_name == "films"
    assert (model.params["neighbours"], model.params["seed"]) == ("10", "0")
    assert model.params["code"].startswith("0.1.0")
    assert model.source_run_id == children["item_knn"].info.run_id
    assert [one.model_id for one in children["item_knn"].outputs.model_outputs] == [model.model_id]
    assert not list(lookup.model_folder(home, NAME).rglob("__pycache__"))


def test_a_card_describes_model_and_version(home: Home, first: Run) -> None:
    """The version's card stays below verdict and outcome, with a link to the run of its lane."""
    client = tracking.connect(home)
    parent, children = logged(home, first)
    about = client.get_registered_model(NAME).description
    assert about.startswith("Toy\n")
    assert f"models:/{NAME}@champion" in about
    text = client.get_model_version(NAME, "1").description
    assert text.startswith("Verdict: passed. ")
    assert "\n\nOutcome: promoted. Champion since 20" in text
    headings = ("## Model card: item\\_knn", "### Figures", "### Where it is worse, NDCG@10, %", "### Leaks and limits")
    for heading in headings:
        assert f"\n{heading}\n" in text
    figure = 100 * children["item_knn"].data.metrics["test_ndcg_at_10"]
    assert f"| NDCG@10, % | {figure:.2f} [" in text
    experiment = parent.info.experiment_id
    for run in (children["item_knn"], parent):
        assert f"](#/experiments/{experiment}/runs/{run.info.run_id}?workflowType=machine_learning)" in text


def test_a_night_on_which_nothing_changed_leaves_mlflow_as_it_was(home: Home, first: Run, night: Nights) -> None:
    """No run, no tag, no version, no alias; it says so and names the run that tells of it. The next one too."""
    before = everything(home)
    for run_id in ("night-2", "night-3"):
        again = night(home, run_id).run()
        result = promote(again)
        assert result.reused
        assert (result.facts.outcome, result.facts.repeats) == ("serves already", "night-1")
        assert result.facts.logged == first.result(PROMOTE).facts.logged
        assert result.facts.reason.endswith("All is as it was at the end of run night-1, of which MLflow tells.")
    assert everything(home) == before


def test_a_rejected_candidate_is_not_logged_again_either(home: Home, night: Nights) -> None:
    """Also where nothing serves, and whoever asks; another seed, a promotion asked for or another title is news."""
    said = ("rejected", None)
    promote(night(home, "no-1", name="no").run(*said))
    before = everything(home, "no")
    assert promote(night(home, "no-2", name="no").run(*said)).facts.repeats == "no-1"
    assert everything(home, "no") == before
    asked = night(home, "no-3", name="no").run(*said, seed=3)
    assert promote(asked).facts.repeats == ""
    assert promote(night(home, "no-4", name="no").run(*said, seed=3)).facts.repeats == "no-3"
    assert promote(night(home, "no-5", name="no").run(*said, seed=3, promote=True)).facts.repeats == ""
    assert len(everything(home, "no")[0]) == 3 * 4  # three nights, each with its three lanes


def test_a_night_after_a_rollback_is_news(home: Home, night: Nights) -> None:
    """What serves is another thing than at the end of the run that said the same, so that a run says why."""
    for seed in (1, 2):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("pipeline.steps.promote.judge_again", lambda run, judged: judged)
            promote(night(home, f"back-{seed}", name="back", seed=seed).run())
    rollback(home, "crosslift.back")
    again = promote(night(home, "back-3", name="back", seed=2).run())
    assert (again.facts.outcome, again.facts.repeats, again.reused) == ("not promoted", "", False)
    assert promote(night(home, "back-4", name="back", seed=2).run()).facts.repeats == "back-3"


def test_a_reused_lane_has_figures_and_leads_to_the_run_that_computed_it(home: Home, first: Run, night: Nights) -> None:
    """Another seed fits one lane anew; of the others this run has the figures, and links to curves and times."""
    other = night(home, "night-4").run("rejected", None, seed=5)
    promote(other)
    client = tracking.connect(home)
    parent, children = logged(home, other)
    origins = logged(home, first)[1]
    reused = children["popularity"]
    assert reused.data.tags["crosslift.reused_from"] == origins["popularity"].info.run_id
    link = f"(#/experiments/{parent.info.experiment_id}/runs/{origins['popularity'].info.run_id}?workflowType="
    assert link in reused.data.tags["mlflow.note.content"]
    assert {"test_ndcg_at_10", "valid_ndcg_at_10"} <= set(reused.data.metrics)
    assert client.get_metric_history(reused.info.run_id, "valid/ndcg_at_10") == []
    assert (reused.info.start_time, reused.info.end_time) == (parent.info.start_time, parent.info.start_time)
    assert "crosslift.reused_from" not in children["item_knn"].data.tags
    assert client.get_metric_history(children["item_knn"].info.run_id, "valid/ndcg_at_10")


def test_earlier_nights_are_read_oldest_first(home: Home, night: Nights) -> None:
    """With the champion as it was scored; trials, other shares and runs of an older Crosslift are left out."""
    promote(one := night(home, "seq-1", name="seq").run())
    promote(night(home, "seq-2", name="seq").run())  # nothing changed
    promote(two := night(home, "seq-3", name="seq", seed=1).run("rejected", None))
    promote(night(home, "seq-4", name="seq").run("rejected", None, seed=9))
    promote(night(home, "seq-5", name="seq").run("rejected", None, target_share=0.5))
    client = tracking.connect(home)
    experiment = client.get_experiment_by_name("crosslift/seq").experiment_id
    client.create_run(experiment, tags={"crosslift.run_id": "old", "scenario": "seq", "trial": "none"})
    found = nights(home, one.scenario)
    assert [(told.run_id, told.verdict, told.outcome, told.lane, told.version) for told in found] == [
        ("seq-1", "passed", "promoted", "item_knn", 1),
        ("seq-3", "rejected", "not promoted", "item_knn", 2),
    ]
    assert found[0].champion is None
    compared = read_json(two.path(two.result(VERDICT)) / "comparison.json")["views"]["all rows"]["lanes"]
    assert found[1].candidate == Estimate.model_validate(compared["item_knn"]["ndcg@10"])
    verdict = read_json(two.path(two.result(VERDICT)) / "verdict.json")
    [beside] = [told for told in verdict["comparisons"] if told["role"] == "champion"]
    assert found[1].champion is not None
    assert found[1].champion.value == pytest.approx(beside["reference_metric"])
    assert found[1].champion.low < found[1].champion.value < found[1].champion.high
    assert [told.metric for told in found] == ["ndcg@10", "ndcg@10"]
    assert found[0].ended < found[1].ended


def test_a_crash_in_the_middle_of_logging_is_completed(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A log that stopped half-way leaves no RUNNING run, and the next call ends with one parent and one child."""
    client = tracking.connect(home)
    page = tmp_path / "page.md"
    page.write_text("page", encoding="utf-8")
    lane = StepLog("joint", "joint now", "j" * 64, {"a": 1}, {"valid_x": 1.0}, 1000.0, 5.0, (("valid/x", 1, 0.5),))
    log = RunLog("crosslift/crash", "crash now", "r", 990.0, "f" * 32, "n" * 32, {"b": 2}, {}, {"x/candidate": 0.5},
                 artifacts=(page,), steps=(lane,))  # fmt: skip
    for broken in ("set_terminated", "log_batch", "log_artifact"):
        with monkeypatch.context() as patch:
            patch.setattr(client, broken, lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
            with pytest.raises(KeyboardInterrupt):
                log_run(client, home, log)
    experiment = client.get_experiment_by_name("crosslift/crash").experiment_id
    assert {run.info.status for run in client.search_runs([experiment])} == {"FINISHED"}
    done = log_run(client, home, log)
    assert log_run(client, home, log) == done
    assert len(client.search_runs([experiment])) == 2
    assert [file.path for file in client.list_artifacts(done.parent)] == ["page.md"]
    assert client.get_run(done.steps["joint"]).data.metrics == {"valid_x": 1.0, "valid/x": 0.5}
    assert len(client.get_metric_history(done.steps["joint"], "valid/x")) == 1
