"""The training steps chained on the small embedded demo: what each lane publishes, and what it starts from."""

import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from pipeline.config import BaselineSettings, BlendSettings, Options, Scenario
from pipeline.errors import MissingResultError
from pipeline.evaluation.blending import TRIED
from pipeline.evaluation.choosing import Folds
from pipeline.folders import Home
from pipeline.labels.items import Items
from pipeline.models.load import FILES, load_ranker
from pipeline.results import ADAPT, AUDIT, PRETRAIN, TUNE
from pipeline.results import BLEND as BLENDED
from pipeline.runs.comparing import settings_of_lane
from pipeline.runs.graph import graph_of, lanes_of
from pipeline.runs.inputs import HELD_BACK
from pipeline.runs.run import Run
from pipeline.scenarios import load_scenario
from pipeline.serving.package import ServedModel
from pipeline.steps.adapt import adapt_domain
from pipeline.steps.audit import audit
from pipeline.steps.baseline import build as fit_one
from pipeline.steps.baseline import fit_baseline
from pipeline.steps.blend import blend_lanes
from pipeline.steps.finetune import finetune_target
from pipeline.steps.ingest import ingest
from pipeline.steps.packaging import packaged
from pipeline.steps.prepare import prepare
from pipeline.steps.pretrain import pretrain_source
from pipeline.steps.validate import validate
from tests.publishing import domains_of

pytestmark = pytest.mark.slow


BOTH = ("target_only", "ease")  # of one blend
BLEND = "_with_".join(BOTH)


def scenario() -> Scenario:
    value = load_scenario("demo").model_dump(mode="json")
    value["strategies"].append({"tune": {"kind": "joint", "align": {"kind": "coral"}}})
    value["embedded"] |= {"users": 200, "items": 100}
    value["training"] |= {"epochs": 2, "batch_size": 512, "negatives": 64}
    value["blends"] = [{"of": [BOTH[0], "user_knn+source"]}, {"of": [BOTH[0], "user_knn"]}, {"of": list(BOTH)}]
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


def members(run: Run, blend: str) -> None:
    """See to it that both lanes of a blend are there."""
    for lane in blend.split("_with_"):
        (finetune_target if lane == "target_only" else fit_baseline)(run, lane)


@pytest.mark.parametrize(
    ("step", "lane"),
    [(step, name) for step in (finetune_target, fit_baseline, blend_lanes) for name in LANES[step.__name__]],
)
def test_a_lane_publishes_a_candidate(run, step, lane):
    """A ranker that scores the catalogue, and its metrics on the target's validation rows and its settings."""
    if step is blend_lanes:
        members(run, lane)
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


def test_a_blend_needs_both_lanes(ready):
    """Where one of them failed, it says which."""
    with pytest.raises(MissingResultError, match="the lane 'target_only' is needed here and did not succeed"):
        blend_lanes(Run.load(Home(ready), "night"), BLEND)


def test_what_chooses_a_blend_never_saw_the_rows_that_choose(run, tmp_path):
    """Other validation rows change what serves, and nothing of what the shares are chosen by."""
    members(run, BLEND)
    inputs = {**run.prepared(), "marks": run.input(AUDIT, artifact="marks.parquet")}
    other = {name: SimpleNamespace(path=one.path) for name, one in inputs.items()}
    folder = tmp_path / "florist"
    shutil.copytree(inputs["prepare.florist"].path, folder)
    rows = pd.read_parquet(folder / "rows.parquet")
    valid = rows["part"] == 1
    rows.loc[valid, "item"] = rows.loc[valid, "item"].sample(frac=1, random_state=1).to_numpy()
    first = rows.sort_values("part", kind="stable").drop_duplicates(["user", "item"])  # no training row is lost
    first.sort_index().to_parquet(folder / "rows.parquet", index=False)
    other["prepare.florist"].path = folder
    ease = next(one for one in run.scenario.baselines if one.name == "ease")
    ease = ease.model_copy(update={"regularization": (100.0,)})
    settings = BaselineSettings.of(run.scenario, baseline=ease, oracle=False, held_back=True, seed=0)
    told = []
    for place, given in (("one", inputs), ("two", other)):
        (tmp_path / place).mkdir()
        fit_one(settings, given, tmp_path / place, tmp_path)
        told.append([(tmp_path / place / part / FILES[1]).read_bytes() for part in ("", HELD_BACK)])
    assert told[0][0] != told[1][0]
    assert told[0][1] == told[1][1]


def test_only_lanes_of_a_blend_keep_what_validation_judged(run):
    """Others publish what they always did."""
    for lane, kept in (("ease", True), ("ials", False)):
        folder = run.path(fit_baseline(run, lane))
        assert (folder / HELD_BACK / FILES[0]).exists() == kept
    members(run, BLEND)
    judged = load_ranker(run.path(run.result(TUNE, "target_only")) / HELD_BACK)
    folds = Folds.of_target(
        BlendSettings.of(run.scenario, blend=run.scenario.blends[2], prefer=1), domains_of(run),
        run.input(AUDIT, artifact="marks.parquet").path,
    )  # fmt: skip
    assert folds.metrics([judged]) == run.result(TUNE, "target_only").facts.valid


def test_a_blend_that_is_ended_midway_is_made_again(run, monkeypatch):
    """Nothing is published of it, and the next try gives what an undisturbed one does."""
    members(run, BLEND)
    whole = blend_lanes(run, BLEND)
    shutil.rmtree(run.path(whole))
    with monkeypatch.context() as patch:
        patch.setattr(
            "pipeline.models.blends.LaneBlendRanker.save", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt)
        )
        with pytest.raises(KeyboardInterrupt):
            blend_lanes(run, BLEND)
    assert not run.results(BLENDED).get(BLEND)
    assert not (run.home.root / whole.folder).exists()
    again = blend_lanes(run, BLEND)
    assert (again.manifest, again.reused) == (whole.manifest, False)
    assert blend_lanes(run, BLEND).reused


def test_a_blend_is_compared_by_all_that_its_lanes_are(run):
    """Two versions may differ in the settings of one lane alone, or in what that chose."""
    members(run, BLEND)
    blend_lanes(run, BLEND)
    told = settings_of_lane(run, BLEND)
    assert (told["first.lane"], told["second.lane"]) == BOTH
    assert told["first.method.tune.kind"] == "scratch"
    ease = settings_of_lane(run, "ease")
    assert {"method.regularization", "chosen.regularization"} <= ease.keys()
    assert {f"second.{key}": value for key, value in ease.items()}.items() <= told.items()
    assert told["chosen.share/0"] in TRIED


def test_a_blend_serves_as_any_lane_does(run):
    """Its package answers known users and strangers, names reasons, and ranks on another night like itself."""
    members(run, BLEND)
    made = packaged(run, blend_lanes(run, BLEND).facts.lane)
    served = ServedModel.read(run.path(made))
    asked = pd.DataFrame(served.served.examples())
    answer = served.answer(asked, {"k": 4, "explain": 2})
    assert answer.groupby("request").size().tolist() == [4] * len(asked)
    domains = domains_of(run)
    past = domains.histories(("train", "valid"))
    np.testing.assert_allclose(
        served.served.on(domains).scores(past),
        load_ranker(run.path(run.result(BLENDED, BLEND))).scores(past),
        rtol=1e-5,
    )
