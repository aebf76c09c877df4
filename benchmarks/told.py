"""What a model of items gains by what it is told beside who took what: gaps and kinds of event, or descriptions.

    CROSSLIFT_DATA=... python benchmarks/told.py gaps taobao
    CROSSLIFT_DATA=... python benchmarks/told.py gaps xmarket
    CROSSLIFT_DATA=... python benchmarks/told.py described

Of each user the last row is the test's, which nothing here looks at, and the last but one is a validation row. Half of
those choose the epochs and the weight of the prior; printed is NDCG@10 in % of the other half, the mean of three seeds,
and how it differs from the first line: paired, 95 % over users. `gaps` asks which category a Taobao user looks at next,
or what a German customer of XMarket takes next, with Canada and France as sources. `described` asks what REES46 users
look at next among electronics, with all else as the source.
"""

import argparse
import os
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pipeline import config as cfg
from pipeline.data import splits
from pipeline.labels.items import Items
from pipeline.models.lanes import ItemLearner
from pipeline.past import Past
from pipeline.rows.interactions.prepared import DomainData, Domains
from pipeline.scenarios import load_scenario
from pipeline.training.fit import fit
from pipeline.training.watch import Watch
from pipeline.transfer.methods import build_tune
from pipeline.views import PAST, FloatArray, View

SEEDS, TARGET = 3, "target"
KIND = Items(cfg.RankingTask())
Tables = dict[str, pd.DataFrame]


def table(path: str, **columns: str) -> pd.DataFrame:
    """Rows with ids as texts and times in UTC."""
    rows = pd.read_parquet(Path(os.environ["CROSSLIFT_DATA"]) / path).rename(columns=columns)
    rows["timestamp"] = pd.to_datetime(rows["timestamp"], utc=True)
    return rows.astype({"user_id": "str", "item_id": "str"})


def first_rows(rows: pd.DataFrame) -> pd.DataFrame:
    """The first row of each user and item."""
    rows = rows.sort_values("timestamp", kind="stable").drop_duplicates(["user_id", "item_id"])
    return rows.reset_index(drop=True)


def domains(rows: Tables, goods: Tables | None = None, columns: tuple[str, ...] = ()) -> Domains:
    """The target's rows with the last of each user left out, and what sources had before."""
    parted = splits.leave_last_out(rows[TARGET], TARGET)
    goods = {name: one[["item_id", *columns]] for name, one in (goods or {}).items()}
    own = DomainData.build(TARGET, parted.rows, goods.get(TARGET), 1.0)
    border = splits.user_limits(own.rows.assign(user_id=own.users["user_id"].to_numpy()[own.rows["user"]]))
    sources = {name: splits.source_before(one, border, name).rows for name, one in rows.items() if name != TARGET}
    return Domains(tuple(DomainData.build(name, one, goods.get(name), 1.0) for name, one in sources.items()), own)


def taobao() -> Domains:
    """Categories of the log, those that five users looked at, of users who looked at three."""
    rows = table("taobao_user_behavior_sample/events.parquet").drop(columns="item_id")
    rows = first_rows(rows.rename(columns={"category_id": "item_id"}).astype({"item_id": "str"}))
    for _ in range(5):
        rows = rows[rows.groupby("item_id")["item_id"].transform("size") >= 5]
        rows = rows[rows.groupby("user_id")["user_id"].transform("size") >= 3]
    return domains({TARGET: rows.reset_index(drop=True)})


def xmarket() -> Domains:
    """Germany, with Canada and France beside it."""
    rows = table("xmarket_electronics/ratings.parquet", date="timestamp").drop(columns="rating")
    rows["user_id"] = rows["market"].astype(str) + rows["user_id"]
    every = {str(name): splits.first_of_pairs(one.drop(columns="market")) for name, one in rows.groupby("market")}
    return domains({TARGET if name == "de" else name: one.reset_index(drop=True) for name, one in every.items()})


def rees46() -> tuple[Tables, Tables]:
    """Rows and items of electronics and of all else."""
    rows = table("rees46_multicategory_sample/events.parquet")
    rows["domain"] = np.where(rows["top_category"].astype(str) == "electronics", TARGET, "others")
    goods = rows.sort_values("timestamp", kind="stable").drop_duplicates("item_id", keep="last")
    described = ["item_id", "category", "brand", "price"]
    first = first_rows(rows[["user_id", "item_id", "domain", "timestamp", "event"]])
    return (
        {str(name): one.drop(columns="domain").reset_index(drop=True) for name, one in first.groupby("domain")},
        {str(name): one[described].reset_index(drop=True) for name, one in goods.groupby("domain")},
    )


def gains(ranks: FloatArray) -> FloatArray:
    """NDCG@10 of each row with one right answer, by its rank."""
    return np.where(ranks <= 10, 1 / np.log2(ranks + 1), 0.0)


def without_request(view: View) -> View:
    """The same rows, asked for at no time."""
    past: Past = view.fields[PAST]
    return replace(view, fields={PAST: replace(past, asked=None)})


def judged(of: Domains, tune: str, settings: dict[str, Any], seed: int, asked: bool = True) -> FloatArray:
    """NDCG@10 of each row of the half that judges; `settings` are those of a scenario."""
    sources = [one.name for one in of.sources]
    raw = load_scenario("next_item").model_dump(mode="json")
    raw |= {"sources": sources or ["none"], "target": of.name, "blends": []}
    raw |= {"split": {"kind": "leave_last_out"}, "baselines": [{"kind": "popularity"}], **settings}
    raw["strategies"] = [{"tune": {"kind": "scratch"}}, *([] if tune == "scratch" else [{"tune": {"kind": tune}}])]
    scenario = cfg.Scenario.model_validate(raw)
    train = cfg.TrainSettings.of(scenario, sources=tuple(sources)).model_copy(update={"seed": seed})
    learner, strategy = ItemLearner(train), scenario.strategies[-1]
    valid = of.held_out("valid") if asked else without_request(of.held_out("valid"))
    half, other = valid.take(slice(0, None, 2)), valid.take(slice(1, None, 2))

    def metric(network: Any) -> float:
        return float(gains(KIND.predict(learner.as_trained(network, half), half)).mean())

    views = of.training({of.name})
    network, rows = learner.tune(views, strategy)
    method = build_tune(strategy.tune, learner.model.dim)
    method.initialise(network, None)
    with tempfile.TemporaryDirectory() as work:
        watch = Watch(metric, len(half), 100, "users")
        fit(network, method, rows, learner.settings.fitting, Path(work), seed=seed, watch=watch)
    predictors = [learner.predictor(network, one) for one in learner.finishes(views, strategy)]
    best = max(predictors, key=lambda one: float(gains(KIND.predict(one, half)).mean()))
    return gains(KIND.predict(best, other))


def told(name: str, found: list[FloatArray], first: FloatArray | None) -> FloatArray:
    """Print a line, and give back what the others are held against."""
    mean: FloatArray = np.mean(found, axis=0)
    held = mean if first is None else first
    gain = mean - held
    error = 196 * gain.std() / len(gain) ** 0.5
    print(f"{name:34s} {100 * mean.mean():6.2f}  {100 * gain.mean():+.2f} +- {error:.2f}  n {len(mean)}", flush=True)
    return held


def gaps(of: Domains, bridges: list[str], epochs: int) -> None:
    """The model of sequences with and without gaps and kinds."""
    training, first = {"epochs": epochs, "batch_size": 1024, "patience": 2}, None
    has_kinds = "event" in of.target.rows
    for name, gap, kind, asked in (
        ("order alone", False, False, True),
        ("kinds", False, True, True),
        ("gaps", True, False, True),
        ("gaps, asked for at no time", True, False, False),
        ("gaps and kinds", True, True, True),
    ):
        if kind and not has_kinds:
            continue
        model = {"kind": "sequence", "dim": 64, "gaps": gap, "kinds": kind}
        settings = {"model": model, "bridges": bridges, "training": training}
        tune = "joint" if of.sources else "scratch"
        found = [judged(of, tune, settings, seed, asked) for seed in range(SEEDS)]
        first = told(name, found, first)


def described() -> None:
    """The model of histories with more and more of what describes an item."""
    rows, goods = rees46()
    training = {"epochs": 30, "batch_size": 256, "patience": 3}
    for tune in ("scratch", "joint"):
        first = None
        for columns in ((), ("category",), ("category", "brand"), ("category", "brand", "price")):
            of = domains(rows, goods, columns)
            model = {"kind": "history", "dim": 64, "own_dropout": 0.2 if columns else 0.0}
            bridges = ["users", *(["item_features"] if columns else [])]
            settings = {"model": model, "bridges": bridges, "training": training}
            found = [judged(of, tune, settings, seed) for seed in range(SEEDS)]
            first = told(f"{tune}: {', '.join(columns) or 'ids alone'}", found, first)


def main() -> None:
    """Print a line for each variant."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["gaps", "described"])
    parser.add_argument("data", nargs="?", choices=["taobao", "xmarket"], default="taobao")
    given = parser.parse_args()
    if given.what == "described":
        described()
    elif given.data == "taobao":
        gaps(taobao(), ["users"], 20)
    else:
        gaps(xmarket(), ["items"], 12)


if __name__ == "__main__":
    main()
