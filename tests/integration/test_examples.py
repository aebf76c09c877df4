"""Examples from tables to a served model, as the page on data tells it: its table, its scenario, its commands."""

import json
import re
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from pipeline.folders import Home
from pipeline.registry import lookup
from tests.commands import Crosslift, commands

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning")]

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "bring-your-data.md").read_text(encoding="utf-8")
[SCENARIO] = re.findall(r"^```yaml\n(name: car_loans\n.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
[TABLE] = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page's table, and a second one whose source says nothing: its labels are shuffled."""
    made = tmp_path_factory.mktemp("loans")
    subprocess.run([sys.executable, "-c", TABLE], cwd=made, check=True)
    (made / "car_loans.yaml").write_text(SCENARIO)
    told = yaml.safe_load(SCENARIO)
    shuffled = pd.read_csv(made / "loans.csv")
    source = (shuffled["product"] == "credit_card").to_numpy()
    shuffled.loc[source, "late"] = np.random.default_rng(1).permutation(shuffled.loc[source, "late"])
    shuffled.to_csv(made / "shuffled.csv", index=False)
    told |= {
        "name": "shuffled",
        "strategies": told["strategies"][:2],
        "baselines": [{"kind": "linear"}, {"kind": "linear", "domains": "all"}],
    }
    told["tables"]["examples"][0]["path"] = "shuffled.csv"
    (made / "shuffled.yaml").write_text(yaml.safe_dump(told))
    told |= {"name": "income", "title": "How much somebody earns", "strategies": told["strategies"][:1]}
    told["tables"]["examples"][0]["path"] = "loans.csv"
    features = {"debt": "number", "months": "number", "job": "category", "late": "flag"}
    told["task"] = {"kind": "regression", "label": "income", "features": features}
    told["gate"] = {"floor": 1000.0}
    told["baselines"] = [{"kind": "constant"}, {"kind": "linear"}]
    (made / "income.yaml").write_text(yaml.safe_dump(told))
    _add_tags(made, told)
    return made


def _add_tags(made: Path, told: dict[str, Any]) -> None:
    """The same loans with what went wrong as tags: late or not, and extended or not, which long ones mostly are."""
    loans, random = pd.read_csv(made / "loans.csv"), np.random.default_rng(2)
    extended = random.random(len(loans)) < 1 / (1 + np.exp(4 - loans["months"] / 10))
    tags = {"late": (loans["late"] == "yes").to_numpy(), "extended": extended.to_numpy()}
    loans["troubles"] = ["; ".join(tag for tag in tags if tags[tag][row]) or "none" for row in range(len(loans))]
    loans.drop(columns="late").to_csv(made / "troubles.csv", index=False)
    told |= {"name": "troubles", "title": "What goes wrong with a loan", "training": {"epochs": 3}, "gate": {}}
    told["tables"]["examples"][0]["path"] = "troubles.csv"
    features = {"income": "number", "debt": "number", "months": "number", "job": "category"}
    told["task"] = {"kind": "multilabel", "label": "troubles", "separator": ";", "none": "none", "features": features}
    told["strategies"] = [{"tune": {"kind": "scratch"}}, {"tune": {"kind": "fine_tune"}}]
    told["baselines"] = [{"kind": "linear"}, {"kind": "boosting", "rounds": 20, "leaves": [4], "smallest_leaf": [20]}]
    (made / "troubles.yaml").write_text(yaml.safe_dump(told))


@pytest.fixture(scope="module")
def crosslift(folder: Path) -> Crosslift:
    """Give a function that runs a command in one home that all tests of this file share."""
    return commands(folder / "home", folder, CROSSLIFT_SCENARIOS=str(folder), CROSSLIFT_DATA=str(folder))


@pytest.fixture(scope="module")
def loans(crosslift: Crosslift) -> dict[str, Any]:
    """Run the page's scenario once."""
    done = crosslift("run", "car_loans", "--json")
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def test_the_page_s_scenario_serves_what_is_proved(loans: dict[str, Any]) -> None:
    """What learnt from credit cards as well is best; 360 rows cannot tell it from the same without, which serves."""
    lanes = {lane["name"]: lane for lane in loans["lanes"]}
    assert set(lanes) == {"target_only", "direct", "fine_tune", "linear", "linear+source", "boosting"}
    assert loans["failed"] == []
    assert (loans["outcome"], loans["serves"]) == ("promoted", True)
    assert (loans["candidate"], loans["verdict"], loans["lane"]) == ("linear+source", "undecided", "linear")
    gain = lanes["linear+source"]["gain"]
    assert gain["low"] < 0 < gain["value"]
    for lane in lanes.values():
        assert 0 < lane["test"]["low"] <= lane["test"]["value"] <= lane["test"]["high"] < 1


def test_predict_answers_a_file(crosslift: Crosslift, loans: dict[str, Any], folder: Path) -> None:
    """With the label, its probability, the threshold; the same by MLflow's own loader, and told apart by risk."""
    done = crosslift("predict", "car_loans", "asked.csv", "--out", "answered.csv", "--explain", "2")
    assert done.returncode == 0, done.stderr
    answered, asked = pd.read_csv(folder / "answered.csv"), pd.read_csv(folder / "asked.csv")
    assert list(answered) == ["request", "late", "probability", "threshold", "unknown", "explanation"]
    assert answered["explanation"].str.fullmatch(r"\S+ [+-]\d+\.\d\d(; \S+ [+-]\d+\.\d\d)?").all()
    assert len(answered) == 50
    assert ((answered["late"] == "yes") == (answered["probability"] >= answered["threshold"])).all()
    assert (answered["unknown"] == 0).all()
    assert np.corrcoef(np.log(asked["debt"] / asked["income"]), answered["probability"])[0, 1] > 0.7
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # MLflow warns of its own type hints while it is imported
        from mlflow.pyfunc import load_model
    model = load_model(str(lookup.model_folder(Home(folder / "home"), "crosslift.car_loans")))
    same = model.predict(asked[sorted(asked)].astype({"debt": object}))
    assert same["probability"].to_numpy() == pytest.approx(answered["probability"].to_numpy(), abs=1e-9)
    assert "explanation" not in same
    assert list(model.predict(asked.astype({"debt": object}), params={"explain": 2})["explanation"]) == list(
        answered["explanation"]
    )
    (folder / "strange.jsonl").write_text('{"income": 1, "debt": null, "months": 3, "job": "pilot", "row_id": "x"}\n')
    done = crosslift("predict", "car_loans", "strange.jsonl")
    assert done.stdout.splitlines()[1].startswith('0,"x",')
    assert done.stdout.splitlines()[1].endswith(",1")
    asked.drop(columns="job").to_csv(folder / "less.csv", index=False)
    done = crosslift("predict", "car_loans", "less.csv")
    assert (done.returncode, done.stdout) == (2, "")
    assert "the columns job are missing" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_source_that_says_nothing_does_no_harm(crosslift: Crosslift) -> None:
    """Its labels are shuffled: what rests on it alone hurts, and what serves learnt from the target alone."""
    done = crosslift("run", "shuffled", "--json")
    assert done.returncode in (0, 4), done.stderr
    told = json.loads(done.stdout)
    lanes = {lane["name"]: lane for lane in told["lanes"]}
    assert lanes["direct"]["gain"]["high"] < 0
    assert "linear+source" in lanes
    assert told["lane"] in {"target_only", "linear"}


def test_a_number_is_predicted_too(crosslift: Crosslift, folder: Path) -> None:
    """By its squared error, of which less is better: what serves is no worse than the mean of what was learnt from."""
    done = crosslift("run", "income", "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["metric"] == "mse"
    lanes = {lane["name"]: lane["test"]["value"] for lane in told["lanes"]}
    assert lanes[told["lane"]] < 1.02 * lanes["constant"]
    pd.read_csv(folder / "loans.csv").head(5).to_csv(folder / "whole.csv", index=False)
    done = crosslift("predict", "income", "whole.csv")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0] == '"request","income","unknown"'


def test_several_tags_are_predicted_at_once(crosslift: Crosslift, folder: Path) -> None:
    """Each for itself: with its probability, joined as in the table; the same by MLflow's own loader."""
    done = crosslift("run", "troubles", "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["metric"], told["failed"], told["serves"]) == ("macro_auprc", [], True)
    lanes = {lane["name"]: lane["test"]["value"] for lane in told["lanes"]}
    whole = pd.read_csv(folder / "troubles.csv")
    rate = np.mean([whole["troubles"].str.contains(tag).mean() for tag in ("late", "extended")])
    assert all(value > rate + 0.15 for value in lanes.values())
    asked = whole[whole["product"] == "car_loan"].drop(columns="troubles").head(200)
    asked.to_csv(folder / "troubled.csv", index=False)
    done = crosslift("predict", "troubles", "troubled.csv", "--out", "tagged.csv")
    assert done.returncode == 0, done.stderr
    tagged = pd.read_csv(folder / "tagged.csv")
    assert list(tagged) == ["request", "troubles", "probability_extended", "probability_late", "unknown"]
    assert set(tagged["troubles"]) <= {"none", "late", "extended", "extended;late"}
    for tag in ("late", "extended"):
        has, said = tagged["troubles"].str.contains(tag), tagged[f"probability_{tag}"]
        assert said[has].min() > said[~has].max()
    assert np.corrcoef(asked["months"], tagged["probability_extended"])[0, 1] > 0.7
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # MLflow warns of its own type hints while it is imported
        from mlflow.pyfunc import load_model
    model = load_model(str(lookup.model_folder(Home(folder / "home"), "crosslift.troubles")))
    same = model.predict(asked.astype({"debt": object}))
    assert same["troubles"].tolist() == tagged["troubles"].tolist()
    assert same["probability_late"].to_numpy() == pytest.approx(tagged["probability_late"].to_numpy(), abs=1e-9)
