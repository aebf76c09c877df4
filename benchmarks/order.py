"""Whether order counts: the sequence model beside the history model, EASE and a Markov chain, on the same rows.

    CROSSLIFT_DATA=... python benchmarks/order.py games toys

Each is fitted on training rows to choose its epochs or settings on validation rows, and then on both. Printed are
NDCG@10 in % of the test rows, among all items of the catalogue and among 99 that the user has not had, and how much
better the sequence model is: paired, 95 % intervals over users.
"""

import argparse
import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from pipeline import config as cfg
from pipeline.data import splits
from pipeline.evaluation.bootstrap import estimate
from pipeline.labels.items import Items
from pipeline.models.baselines import candidates, fit_baseline
from pipeline.models.lanes import ItemLearner
from pipeline.rows.interactions.prepared import DomainData, Domains
from pipeline.scenarios import load_scenario
from pipeline.training.fit import fit
from pipeline.training.watch import Watch
from pipeline.transfer.methods import build_tune
from pipeline.views import FloatArray, ItemScorer, View

DRAWS, NEGATIVES = 2000, 99
KIND = Items(cfg.RankingTask())
MODELS: dict[str, dict[str, Any]] = {"sequence": {"kind": "sequence"}, "history": {"kind": "history", "dim": 64}}
BASELINES: dict[str, cfg.Baseline] = {
    "EASE, both domains": cfg.Ease(kind="ease", domains="all", regularization=(100.0,), source_weights=(0.5,)),
    "EASE": cfg.Ease(kind="ease", regularization=(100.0,)),
    "Markov, both domains": cfg.Markov(kind="markov", domains="all", decay=(0.8,), source_weights=(0.2, 0.5)),
    "Markov": cfg.Markov(kind="markov", decay=(0.8,)),
}


def prepared(source: str, target: str) -> Domains:
    """Both domains with the split that the data ships."""
    path = Path(os.environ["CROSSLIFT_DATA"]) / "amazon_toys_games_sequences" / "interactions.parquet"
    rows = pd.read_parquet(path).astype({"user_id": "str", "item_id": "str"})
    split = cfg.ShippedSplit(kind="shipped", valid=("valid",))

    def domain(name: str) -> DomainData:
        own = rows[rows["domain"] == name].reset_index(drop=True)
        return DomainData.build(name, splits.shipped(own, split, name).rows, None, 1.0)

    return Domains((domain(source),), domain(target))


def gains(ranks: FloatArray) -> FloatArray:
    """NDCG@10 of each row with one right answer, by its rank."""
    return np.where(ranks <= 10, 1 / np.log2(ranks + 1), 0.0)


def trained(model: dict[str, Any], domains: Domains, epochs: int) -> ItemScorer:
    """A model on the target's rows, as `scratch` trains it, with its epochs and prior chosen on validation rows."""
    [source], target = [one.name for one in domains.sources], domains.name
    raw = load_scenario("next_item").model_dump(mode="json") | {"sources": [source], "target": target, "model": model}
    raw |= {"strategies": [{"tune": {"kind": "scratch"}}], "training": {"epochs": epochs, "patience": 2}}
    scenario = cfg.Scenario.model_validate(raw)
    learner, [strategy] = ItemLearner(cfg.TrainSettings.of(scenario, sources=(source,))), scenario.strategies
    valid = domains.held_out("valid").take(slice(None, None, 2))

    def metric(network: Any) -> float:
        return float(gains(KIND.predict(learner.as_trained(network, valid), valid)).mean())

    def fitted(views: Any, training: cfg.Training, watch: Watch | None) -> Any:
        network, rows = learner.tune(views, strategy)
        method = build_tune(strategy.tune, learner.model.dim)
        method.initialise(network, None)
        with tempfile.TemporaryDirectory() as work:
            return network, fit(network, method, rows, training, Path(work), seed=0, watch=watch)

    views, training = domains.training({target}), learner.settings.fitting
    network, told = fitted(views, training, Watch(metric, len(valid), 100, "users"))
    finishes = learner.finishes(views, strategy)
    scored = [gains(KIND.predict(learner.predictor(network, one), valid)).mean() for one in finishes]
    best = int(np.argmax(scored))
    print(f"{model['kind']}: {told.epochs} epochs, validation {100 * scored[best]:.2f}, {finishes[best]}", flush=True)
    network, _ = fitted(domains.training(), training.model_copy(update={"epochs": told.epochs}), None)
    return learner.predictor(network, finishes[best])


def counted(config: cfg.Baseline, domains: Domains) -> ItemScorer:
    """A baseline with the settings that are best on validation rows."""
    valid, every = domains.held_out("valid"), list(candidates(config))

    def score(settings: dict[str, Any]) -> float:
        views = domains.training({domains.name})
        return float(gains(KIND.predict(fit_baseline(config, views, domains.name, settings, 0), valid)).mean())

    best = every[0] if len(every) == 1 else max(every, key=score)
    return fit_baseline(config, domains.training(), domains.name, best, 0)


def among_few(scorer: ItemScorer, view: View) -> FloatArray:
    """The rank of each row's item among 99 that its user has not had, ties at half: [N]."""
    random, label = np.random.default_rng(0), view.label
    found = np.empty(len(view))
    for rows in np.array_split(np.arange(len(view)), max(1, len(view) // 500)):
        scores = scorer.scores(view.fields["past"].of(view.units[rows]))
        for row, own in zip(rows, scores, strict=True):
            had = label.seen[view.units[row]].indices
            free = np.setdiff1d(np.arange(len(own)), np.append(had, label.value[row]))
            others = own[random.choice(free, NEGATIVES, replace=False)]
            mine = own[label.value[row]]
            found[row] = 1 + (others > mine).sum() + (others == mine).sum() / 2
    return found


def main() -> None:
    """Fit all, and print one row each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source")
    parser.add_argument("target")
    parser.add_argument("--epochs", type=int, default=12)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    domains = prepared(asked.source, asked.target)
    test = domains.held_out("test")
    judged: dict[str, tuple[FloatArray, FloatArray]] = {}
    for name in (*MODELS, *BASELINES):
        scorer = trained(MODELS[name], domains, asked.epochs) if name in MODELS else counted(BASELINES[name], domains)
        judged[name] = gains(KIND.predict(scorer, test)), gains(among_few(scorer, test))
        print(name, *(f"{100 * values.mean():.2f}" for values in judged[name]), flush=True)
    draws = np.random.default_rng(0).multinomial(len(test), np.full(len(test), 1 / len(test)), DRAWS) / len(test)

    def told(values: FloatArray, sign: str = "") -> str:
        found = estimate(values.mean(), draws @ values, 0.95)
        return f"{100 * found.value:{sign}.2f} [{100 * found.low:.2f}, {100 * found.high:.2f}]"

    print("| model | all items | the sequence model's gain | among 99 | its gain |\n| --- | --- | --- | --- | --- |")
    for name, values in judged.items():
        best = judged["sequence"]
        cells = [cell for own, mine in zip(values, best, strict=True) for cell in (told(own), told(mine - own, "+"))]
        print(f"| {' | '.join([name, *cells])} |")


if __name__ == "__main__":
    main()
