"""The training steps chained on the small embedded demo: what each lane publishes, and what it starts from."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipeline.config import Options, Scenario
from pipeline.errors import MissingResultError
from pipeline.folders import Home
from pipeline.labels.items import Items
from pipeline.models.load import load_ranker
from pipeline.results import ADAPT, PRETRAIN
from pipeline.runs.graph import graph_of, lanes_of
from pipeline.runs.run import Run
from pipeline.scenarios import load_scenario
from pipeline.steps.adapt import adapt_domain
from pipeline.steps.audit import audit
from pipeline.steps.baseline import fit_baseline
from pipeline.steps.finetune import finetune_target
from pipeline.steps.ingest import ingest
from pipeline.steps.prepare import prepare
from pipeline.steps.pretrain import pretrain_source
from pipeline.steps.validate import validate
from tests.publishing import domains_of

pytestmark = pytest.mark.slow


def scenario() -> Scenario:
    value = load_scenario("demo").model_dump(mode="json")
    value["strategies"].append({"tune": {"kind": "joint", "align": {"kind": "coral"}}})
    value["embedded"] |= {"users": 200, "items": 100}
    value["training"] |= {"epochs": 2, "batch_size": 512, "negatives": 64}
    return Scenario.model_validate(value)


LANES = lanes_of(graph_of(scenario()))


def prepared(home: Path, run_id: str = "night", **options: object) -> Run:
    run = Run.start(Home(home), run_id, scenario(), Options(**options))
    for step in (ingest, validate, prepare, audit):
        step(run)
    return run


@pytest.fixture(scope="module")
def ready(tmp_path_factory) -> Path:
    """A home in which all is ready for training."""
    home = tmp_path_factory.mktemp("ready") / "home"
    prepared(home)
    return home


@pytest.fixture(scope="module")
def run(ready, tmp_path_factory) -> Run:
    """A run whose source model and adaptations are there."""
    home = tmp_path_factory.mktemp("trained") / "home"
    shutil.copytree(ready, home)
    found = Run.load(Home(home), "night")
    pretrain_source(found)
    for adapt in LANES["adapt_domain"]:
        adapt_domain(found, adapt)
    return found


@pytest.mark.parametrize(
    ("step", "lane"),
    [(step, name) for step in (finetune_target, fit_baseline) for name in LANES[step.__name__]],
)
def test_a_lane_publishes_a_candidate(run, step, lane):
    """A ranker that scores the catalogue, and its metrics on the target's validation rows and its settings."""
    result = step(run, lane)
    folder, domains = run.path(result), domains_of(run)
    scores = load_ranker(folder).scores(domains.histories(("train", "valid")))
    assert scores.shape == (len(domains.users), len(domains.target.items))
    assert np.isfinite(scores).all()
    assert result.facts.valid_domain == domains.target.name
    assert result.facts.lane == lane
    assert 0 <= result.facts.valid["ndcg@10"] <= 1
    trains = step is finetune_target and lane != "direct"
    assert (folder / "metrics.csv").exists() == trains
    assert ("epochs" in result.facts.settings) == trains


def test_training_that_only_harms_is_not_done(run, monkeypatch):
    """Where no epoch is better on validation than the start, the start is what is judged and what serves."""
    from pipeline.training import fit as fitting

    asked, fit = [], fitting.fit

    def counted(*args, **settings):
        asked.append(settings.get("watch") is not None)
        return fit(*args, **settings)

    monkeypatch.setattr(fitting, "fit", counted)
    monkeypatch.setattr("pipeline.labels.items.FEWEST", 1)  # 45 users are few
    strategies = [one.model_dump(mode="json") for one in run.scenario.strategies]
    for one in strategies:
        one["tune"] |= {"learning_rate": 10.0} if one["tune"]["kind"] == "fine_tune" else {}
    wild = Scenario.model_validate(run.scenario.model_dump(mode="json") | {"strategies": strategies})
    found = finetune_target(replace(run, scenario=wild), "fine_tune")
    assert asked == [True]  # chosen once, and not fitted again
    assert found.facts.settings["epochs"] == 0
    curve = pd.read_csv(run.path(found) / "metrics.csv")
    assert curve.loc[curve["key"] == "valid/metric", "value"].max() < found.facts.valid["ndcg@10"]


def test_a_metric_that_cannot_move_stops_nothing(ready, tmp_path, monkeypatch, caplog):
    """Where the validation rows say the same after every epoch, all are trained, and log and facts say so."""
    shutil.copytree(ready, tmp_path / "home")
    monkeypatch.setattr(Items, "values", lambda self, judged: {"ndcg@10": 0.0036})
    monkeypatch.setattr("pipeline.labels.items.FEWEST", 1)
    run, told = Run.load(Home(tmp_path / "home"), "night"), "the metric is 0.0036 after every epoch: it stopped nothing"
    source, lane = pretrain_source(run), finetune_target(run, "target_only")
    assert source.facts.epochs == lane.facts.settings["epochs"] == scenario().training.epochs == 2
    assert source.facts.watch.startswith(told)
    assert {source.facts.watch, lane.facts.watch} <= set(caplog.messages)


@pytest.mark.parametrize("lane", ["target_only", "frozen"])
def test_validation_weighs_what_is_popular_against_what_was_learnt(run, lane):
    """Each weight alone, then all of them: the best on validation is taken, and it is what serves."""

    def tuned(*weights):
        model = run.scenario.model.model_copy(update={"prior_weights": weights})
        found = finetune_target(replace(run, scenario=run.scenario.model_copy(update={"model": model})), lane)
        served = load_ranker(run.path(found))
        return (
            found.facts.valid["ndcg@10"],
            found.facts.settings["prior_weight"],
            served.network.head.prior("florist").numpy(),
        )

    weights = (1.0, 0.2, 5.0)
    alone = {weight: tuned(weight) for weight in weights}
    assert len({valid for valid, *_ in alone.values()}) == len(weights)
    valid, chosen, prior = tuned(*weights)
    assert chosen == max(weights, key=lambda weight: alone[weight][0])
    assert valid == alone[chosen][0]
    np.testing.assert_array_equal(prior, alone[chosen][2])
    np.testing.assert_allclose(prior, chosen * alone[1.0][2], rtol=1e-6)


@pytest.mark.parametrize(
    ("lane", "missing"), [("fine_tune", "pretrain_source"), ("coral+fine_tune", "adapt_domain of coral")]
)
def test_a_lane_needs_what_it_starts_from(ready, lane, missing):
    """Without its source model a lane says which step did not succeed; target-only needs none."""
    with pytest.raises(MissingResultError, match=f"needs the result of {missing}, which did not succeed"):
        finetune_target(Run.load(Home(ready), "night"), lane)


def test_an_adaptation_needs_the_source_model(ready):
    """The first step is missed by name."""
    with pytest.raises(MissingResultError, match="needs the result of pretrain_source, which did not succeed"):
        adapt_domain(Run.load(Home(ready), "night"), "coral")


def test_thinning_the_target_costs_no_pretraining(run):
    """At another share of target rows the source model is the same and is not computed again."""
    thinned = prepared(run.home.root, "thin", target_share=0.5)
    again = pretrain_source(thinned)
    assert again.reused
    assert again.manifest == run.result(PRETRAIN).manifest
    assert not finetune_target(thinned, "target_only").reused


def test_a_repeated_run_gives_equal_hashes(ready, run, tmp_path):
    """Elsewhere the same steps publish folders with the same manifests, adaptation included."""
    shutil.copytree(ready, tmp_path / "home")
    other = Run.load(Home(tmp_path / "home"), "night")
    pretrain_source(other)
    assert adapt_domain(other, "dann").manifest == run.result(ADAPT, "dann").manifest
    assert finetune_target(other, "dann+fine_tune").manifest == finetune_target(run, "dann+fine_tune").manifest
