"""Nights that register, reject, promote and roll back, on a temporary SQLite store."""

import json
import os
import subprocess
import sys
import warnings
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from pipeline import columns as c
from pipeline.errors import CrossliftError, DataError, StorageError, UserError
from pipeline.folders import Home, read_json, written_whole
from pipeline.models.neighbours import ItemKnnRanker
from pipeline.models.stack import Stack
from pipeline.registry import lookup, tracking
from pipeline.registry import promote as registry
from pipeline.registry.rollback import rollback
from pipeline.results import BASELINE, PREPARE, REJUDGED, VERDICT
from pipeline.rows.interactions.prepared import Domains
from pipeline.rows.kind import PackageInfo
from pipeline.runs.recipes import recipe_of
from pipeline.runs.run import Run
from pipeline.serving import package
from pipeline.serving.package import ServedModel, write_package
from pipeline.steps.promote import promote
from tests.integration.conftest import domain
from tests.publishing import domains_of

# MLflow itself uses what SQLAlchemy will remove.
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning")]
NAME = "crosslift.toy"
Nights = Callable[..., Any]  # the class `Night` of conftest.py


@pytest.fixture(autouse=True)
def no_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


def named(home: Home) -> dict[str, int]:
    return registry.aliases(tracking.connect(home), NAME)


def told(home: Home) -> tuple[str, float]:
    """Give what the registry says of the champion over nights."""
    champion = lookup.find_champion(home, NAME)
    assert champion is not None
    return champion.recipe, champion.creep


@pytest.fixture(scope="module")
def first(home: Home, night: Nights) -> Run:
    os.environ.pop("MLFLOW_TRACKING_URI", None)
    assert lookup.find_champion(home, NAME) is None
    assert lookup.list_models(home) == []
    run = night(home, "night-1").run()
    result = promote(run)
    assert result.facts.model_dump() == {
        "verdict": "passed", "outcome": "promoted", "reason": "Version 1 (item_knn) became the first champion.",
        "model": NAME, "version": 1, "lane": "item_knn", "alias": "champion", "serving": 1, "trial": "",
        "logged": result.facts.logged, "experiment": "1", "repeats": "", "fitted": result.facts.fitted,
        "store": "local",
    }  # fmt: skip
    assert set(result.facts.fitted) == {"item_knn", "popularity", "target_only"}
    assert not result.reused
    return run


def test_the_promoted_model_is_found_with_its_tags(home: Home, first: Run) -> None:
    """The first night's candidate serves; its tags say what it is, and the passport became the reference."""
    champion = lookup.find_champion(home, NAME)
    assert champion is not None
    assert (champion.version, champion.lane) == (1, "item_knn")
    assert champion.candidate == first.result(BASELINE, "item_knn").manifest
    assert 0 <= champion.age_days < 1
    assert (champion.recipe, champion.creep) == (recipe_of(first.scenario, "item_knn"), 0.0)
    tags = lookup.show_model(home, NAME).versions[0].tags
    assert (tags["verdict"], tags["outcome"], tags["trial"]) == ("passed", "promoted", "none")
    assert tags["outcome_reason"].startswith("Champion since 20")
    assert tags["judged_against"] == "nothing that served"
    assert lookup.shortened(first.result(PREPARE, "films").manifest) in lookup.made_of(tags)
    assert set(tags) == {
        "scenario", "lane", "recipe", "creep", "verdict", "reason", "judged_against", "trial", "approval", "data",
        "candidate", "run_id", "outcome", "outcome_reason", "crosslift.package", "crosslift.promoted",
    }  # fmt: skip
    assert read_json(home.root / "reference" / "toy" / "passport.json") == {"seed": 0}


def test_the_model_carries_no_pickle_and_a_signature(home: Home, first: Run) -> None:
    """The artifact is plain files, its requirements are exact, and the signature and the example are kept."""
    from mlflow.models import Model

    folder = lookup.model_folder(home, NAME)
    assert not [path for path in folder.rglob("*") if path.suffix in (".pkl", ".pickle", ".joblib", ".pt")]
    model = Model.load(str(folder))
    assert model.signature is not None
    assert "history" in model.signature.inputs.input_names()
    assert model.load_input_example(str(folder)) is not None
    requirements = (folder / "requirements.txt").read_text(encoding="utf-8").split()
    assert all("==" in line for line in requirements)
    assert not [line for line in requirements if line.startswith(("torch", "apache-airflow"))]


def test_a_process_without_crosslift_loads_it_by_alias(home: Home, first: Run, tmp_path: Path) -> None:
    """`models:/...@champion` answers with pickles forbidden and with the code of the artifact alone."""
    code = """
import json, sys, mlflow, pandas as pd
model = mlflow.pyfunc.load_model("models:/crosslift.toy@champion")
rows = model.predict(pd.DataFrame({"user_id": ["u001", None], "history": [None, ["f001", "nowhere"]]}), params={"k": 2})
print(json.dumps([json.loads(rows.to_json(orient="records")), sys.modules["pipeline"].__file__]))
"""
    environment = {**os.environ, "MLFLOW_TRACKING_URI": tracking.store_uri(home),
                   "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false"}  # fmt: skip
    done = subprocess.run([sys.executable, "-I", "-c", code], env=environment, cwd=tmp_path, capture_output=True,
                          text=True, check=True)  # fmt: skip
    rows, origin = json.loads(done.stdout.splitlines()[-1])
    assert [(row["request"], row["rank"], row["served_from"], row["ignored"]) for row in rows] == [
        (0, 1, "model", 0), (0, 2, "model", 0), (1, 1, "history", 1), (1, 2, "history", 1)]  # fmt: skip
    assert rows[0]["title"] == f"Title of {rows[0]['item_id']}"
    assert Path(origin).is_relative_to(home.mlflow)


def test_a_filter_that_a_version_of_before_cannot_read_is_refused(
    home: Home, first: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """MLflow leaves out a column that the signature lacks: goods that are not to be had would be recommended."""
    from mlflow.models import Model
    from mlflow.types import ColSpec, Schema

    from pipeline.cli.predicting import predict

    del first
    folder = lookup.model_folder(home, NAME)
    asked = pd.DataFrame({"user_id": [None], "candidates": [["f001", "f002"]]})
    assert set(predict(folder, asked)[c.ITEM]) == {"f001", "f002"}
    before = Schema([ColSpec("string", "user_id", required=False)])
    monkeypatch.setattr(Model, "get_input_schema", lambda _: before)
    with pytest.raises(DataError, match="registered before it could be asked for candidates; run its scenario again"):
        predict(folder, asked)


def test_user_ids_may_be_whole_numbers(tmp_path: Path) -> None:
    """17 is the user of that name, in a frame, as JSON, and where another row has none: MLflow lets it through."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # MLflow warns of its own type hints while it is imported
        from mlflow.exceptions import MlflowException
        from mlflow.models import Model
        from mlflow.pyfunc import load_model
        from mlflow.pyfunc.scoring_server import infer_and_parse_data, invocations

        from pipeline.serving.save import save_predictor

    books, films = domain("books", 1, 40, 20), domain("films", 2, 30, 25)
    films = replace(films, users=pd.DataFrame({c.USER: [str(place) for place in range(10, 40)]}))
    domains = Domains((books,), films)
    histories = domains.histories((c.TRAIN, c.VALID))
    (tmp_path / "candidate").mkdir()
    ranker = ItemKnnRanker.fit(histories, Stack.of(histories, "films"), neighbours=10, shrinkage=0.0)
    ranker.save(tmp_path / "candidate")
    info = PackageInfo(scenario="toy", lane="item_knn", target="films", sources=("books",), pseudonymous=True,
                       candidate="x", data={}, code="1")  # fmt: skip
    with written_whole(tmp_path / "package") as folder:
        write_package(folder, domains, tmp_path / "candidate", info)
    save_predictor(tmp_path / "package", tmp_path / "model", Model())
    assert not [path for path in (tmp_path / "model").rglob("*.py") if path.stat().st_mode & 0o077]
    model = load_model(str(tmp_path / "model"))
    expected = model.predict(pd.DataFrame({"user_id": ["17"]}))
    assert expected["served_from"][0] == "model"
    schema = model.metadata.get_input_schema()
    requests = [{"dataframe_records": [{"user_id": user} for user in users]} for users in ([17], ["17"], [17, None])]
    parsed = [infer_and_parse_data(request, schema) for request in requests]
    for frame in (pd.DataFrame({"user_id": [17]}), pd.DataFrame({"user_id": [17, None]}), *parsed):
        answer = model.predict(frame)
        pd.testing.assert_frame_equal(answer[answer["request"] == 0], expected)
    refused = "user_id: expected a text or a whole number, got float"
    with pytest.raises(MlflowException, match=refused):
        model.predict(pd.DataFrame({"user_id": [17.5]}))
    with pytest.raises(MlflowException, match=refused):  # as `mlflow models serve` tells it
        invocations(json.dumps({"dataframe_records": [{"user_id": 17.5}]}), "application/json", model, schema)


def test_a_repeat_changes_nothing(home: Home, first: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same run again finds its version, logs nothing and spends no fresh process on what serves already."""
    monkeypatch.setattr(registry, "check_serves", lambda *_: pytest.fail("this version was proved before"))
    client = tracking.connect(home)
    runs = {run.info.run_id for run in client.search_runs(["1"])}
    again = promote(first)
    assert (again.reused, again.facts.version, again.facts.outcome) == (True, 1, "serves already")
    assert named(home) == {"champion": 1, "challenger": 1}
    assert {run.info.run_id for run in client.search_runs(["1"])} == runs


def test_nights_that_reject_promote_and_roll_back(home: Home, first: Run, night: Nights, trusted: None) -> None:
    """A rejected candidate is only the challenger; a promoted one is the champion; a rollback undoes it for good."""
    rejected = promote(night(home, "night-2", seed=10).run("rejected", None))
    assert rejected.facts.model_dump() == {
        "verdict": "rejected", "outcome": "not promoted", "model": NAME, "version": 2, "lane": "item_knn",
        "reason": "The gate chose nothing, its word about version 2 (item_knn) is rejected; version 1 (item_knn) "
        "stayed in service.", "alias": "challenger", "serving": 1, "trial": "",
        "logged": rejected.facts.logged, "experiment": "1", "repeats": "", "fitted": rejected.facts.fitted,
        "store": "local",
    }  # fmt: skip
    assert named(home) == {"champion": 1, "challenger": 2}
    third = night(home, "night-3", seed=20, creep=-0.001).run("passed")
    assert promote(third).facts.version == 3
    assert named(home) == {"champion": 3, "challenger": 3, "previous": 1}
    assert told(home) == (recipe_of(third.scenario, "item_knn"), -0.001)
    back = rollback(home, NAME)
    assert (back.champion, back.previous) == (1, 3)
    assert told(home) == (recipe_of(third.scenario, "item_knn"), 0.0)
    again = promote(third)
    assert (again.facts.outcome, again.facts.alias) == ("not promoted", "challenger")
    assert named(home) == {"champion": 1, "challenger": 3, "previous": 3}
    assert rollback(home, NAME).champion == 3
    assert named(home) == {"champion": 3, "challenger": 3, "previous": 1}
    assert told(home) == (recipe_of(third.scenario, "item_knn"), -0.001)
    client = tracking.connect(home)
    for tag in ("recipe", "creep"):  # a version from before they were noted
        client.delete_model_version_tag(NAME, "3", tag)
    assert told(home) == ("", 0.0)


def test_a_safe_lane_serves_where_the_candidate_does_not_pass(
    home: Home, first: Run, night: Nights, trusted: None
) -> None:
    """Picked and promoted lane may differ: each is registered, with a verdict of its own."""
    result = promote(night(home, "night-4", seed=30).run("undecided", "popularity", picked="item_knn"))
    assert result.facts.outcome == "promoted"
    found = {version.version: version for version in lookup.show_model(home, NAME).versions}
    version = result.facts.version
    assert (found[version].tags["lane"], found[version].tags["verdict"]) == ("popularity", "fallback")
    assert (found[version - 1].tags["verdict"], found[version - 1].aliases) == ("undecided", ("challenger",))


def test_a_kill_before_the_alias_moved_can_be_repeated(
    home: Home, first: Run, night: Nights, trusted: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Registered but not promoted: the repeat takes the same version and moves the alias."""
    third = night(home, "night-5", seed=40).run()
    before = named(home)["champion"]
    with monkeypatch.context() as patch:
        patch.setattr(registry, "check_serves", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            promote(third)
    assert named(home)["champion"] == before
    versions = len(lookup.show_model(home, NAME).versions)
    assert promote(third).facts.outcome == "promoted"
    assert len(lookup.show_model(home, NAME).versions) == versions
    assert named(home)["previous"] == before


def test_a_model_that_answers_otherwise_is_not_promoted(
    home: Home, first: Run, night: Nights, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A registered model whose logged answer is another one leaves the champion where it is."""
    champion = named(home)["champion"]
    real = package.rows_of

    def another(frame: pd.DataFrame) -> list[dict[str, object]]:
        rows = real(frame)
        rows[0]["item_id"] = "another"
        return rows

    monkeypatch.setattr(package, "rows_of", another)
    with pytest.raises(
        CrossliftError, match=r"(?s)could not serve it as it was logged: the answer is .*The champion is untouched."
    ):
        promote(night(home, "night-6", seed=50).run())
    assert named(home)["champion"] == champion


def test_an_older_model_scores_tonights_catalogue(home: Home, first: Run) -> None:
    """The champion's package alone says what it had learnt."""
    champion = lookup.find_champion(home, NAME)
    assert champion is not None
    tonight = domains_of(Run.load(home, champion.run_id))
    learnt = ServedModel.read(champion.folder).served.learnt.knows(tonight, tonight.training()["films"])
    assert learnt.all()


def test_the_next_night_puts_a_damaged_champion_back(
    home: Home, first: Run, night: Nights, trusted: None, caplog: pytest.LogCaptureFixture
) -> None:
    """Also a night that promotes nothing: the files are those of the published package again, and the log says so."""
    serving = named(home)["champion"]
    [weights] = lookup.model_folder(home, NAME).glob("artifacts/*/weights.safetensors")
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(StorageError, match=rf"{NAME} version {serving}, the champion, is damaged .*weights"):
        lookup.model_folder(home, NAME)
    assert promote(night(home, "night-7", seed=60).run("rejected", None)).facts.outcome == "not promoted"
    assert weights.read_bytes() == whole
    assert lookup.model_folder(home, NAME) == weights.parents[2]
    assert "weights.safetensors" in caplog.text
    assert "put back" in caplog.text


def test_a_champion_that_is_lost_is_judged_without(
    home: Home, first: Run, night: Nights, trusted: None, deciding: Callable[..., Any]
) -> None:
    """Where its package is damaged too, the verdict that counted with it is made once more, and the night goes on."""
    serving = lookup.find_champion(home, NAME)
    assert serving is not None
    tonight = night(home, "night-8", seed=70).run("rejected", None)
    assert read_json(tonight.path(tonight.result(VERDICT)) / "verdict.json")["champion"]["version"] == serving.version
    broken = {}
    for folder in (serving.folder, *(home.root / "steps" / "package").glob("*")):
        if (folder / "weights.safetensors").exists():
            broken[folder / "weights.safetensors"] = (folder / "weights.safetensors").read_bytes()
    for path, content in broken.items():
        path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with deciding("rejected", None):
        result = promote(tonight)
    judged = read_json(tonight.path(tonight.result(REJUDGED)) / "verdict.json")
    assert judged["champion"] is None
    assert judged["reason"].startswith(f"The champion, version {serving.version}, cannot be read and was left out: ")
    assert (result.facts.outcome, named(home)["champion"]) == ("not promoted", serving.version)
    for path, content in broken.items():
        path.write_bytes(content)
    assert lookup.model_folder(home, NAME)


def test_an_unreachable_server_is_told(home: Home, first: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """A dead MLflow costs seconds and gives one message that says what to do."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://someone:secret@127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(StorageError, match=r"MLflow at http://\*\*\*@127.0.0.1:9 .* No alias was moved") as told:
        promote(first)
    assert "secret" not in str(told.value)


def test_wrong_names_get_the_near_miss(home: Home, first: Run) -> None:
    """A misspelt model, an alias without version and a rollback without past are user errors."""
    with pytest.raises(UserError, match=r"no model is called 'crosslift.toi'. Did you mean 'crosslift.toy'\?"):
        lookup.show_model(home, "crosslift.toi")
    with pytest.raises(UserError, match=r"Did you mean 'crosslift.toy'\?"):
        rollback(home, "toy")
    with pytest.raises(UserError, match="no version has the alias 'nobody'; there are:"):
        lookup.model_folder(home, NAME, "nobody")


def test_the_first_connections_may_meet(tmp_path: Path) -> None:
    """Processes that make the store at the same time wait for each other."""
    code = """
import sys
from pathlib import Path
from pipeline.folders import Home
from pipeline.registry import tracking
home = Home(Path(sys.argv[1]))
print(tracking.experiment_id(tracking.connect(home), home, "x"))
"""
    environment = {key: value for key, value in os.environ.items() if key != "MLFLOW_TRACKING_URI"}
    start = partial(subprocess.Popen, [sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE, text=True, env=environment)  # fmt: skip
    processes = [start(), start()]
    told = [process.communicate() for process in processes]
    assert [process.returncode for process in processes] == [0, 0], told
    assert told[0][0] == told[1][0]
