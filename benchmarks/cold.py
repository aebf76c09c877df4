"""Users whom the target does not know, cross-fitted over halves of the users and over both directions.

    CROSSLIFT_DATA=... python benchmarks/cold.py --home FOLDER

Users of games and video are divided by a hash: one half of those in both tests, a fifth of the other half chooses, all
others train; then the halves change places, and then the domains do, so that each is a stranger in each domain once.
Rows that the audit marks neither choose nor count. Strategies and settings are chosen by the MRR of validation rows in
each part by itself, the champion among strategies. Printed are the MRR in the full ranking and among 999 items that the
user has not had, means over rows, and the ratio of the champion to the better of popularity and joint iALS, with 95 %
intervals over users. What a part said is kept in FOLDER, so that a second call goes on where a killed one was.
"""

import argparse
import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from quality import table

from pipeline import config as cfg
from pipeline.data.tokens import mixed, stable_hash
from pipeline.labels.items import Items
from pipeline.models.baselines import candidates, fit_baseline
from pipeline.models.lanes import ItemLearner
from pipeline.rows.interactions.leaks import audit
from pipeline.rows.interactions.prepared import DomainData, Domains
from pipeline.scenarios import load_scenario
from pipeline.training.fit import fit
from pipeline.training.watch import Watch
from pipeline.transfer.methods import build_adapt, build_tune
from pipeline.views import PAST, FloatArray, ItemScorer, View

DRAWS, NEGATIVES = 2000, 999
KIND = Items(cfg.RankingTask())
STRATEGIES = ({"kind": "fine_tune"}, {"kind": "mapping"})
REFERENCES: tuple[cfg.Baseline, ...] = (
    cfg.Popularity(kind="popularity"),
    cfg.Ials(kind="ials", domains="all", alpha=(10.0, 20.0), regularization=(30.0,), source_weights=(0.5, 1.0)),
)


def parted(source: str, target: str, half: int) -> Domains:
    """The source as it is, and the target with one half of the common users in the test."""
    path = Path(os.environ["CROSSLIFT_DATA"]) / "amazon_games_video_coldstart" / "interactions.parquet"
    rows = pd.read_parquet(path).astype({"user_id": "str", "item_id": "str"})
    rows = rows.drop_duplicates(["user_id", "item_id", "domain"])
    own, other = (rows[rows["domain"] == name].reset_index(drop=True) for name in (target, source))
    place = mixed(stable_hash(own["user_id"]) ^ stable_hash(pd.Index(["halves"]))[0]) / 2.0**64
    turned = (place + half / 2) % 1
    part = np.where(turned < 0.5, 2, np.where(turned < 0.6, 1, 0))
    part = np.where(own["user_id"].isin(set(other["user_id"])), part, 0)
    return Domains(
        (DomainData.build(source, other.assign(part=0), None, 1.0),),
        DomainData.build(target, own.assign(part=part), None, 1.0),
    )


def reciprocal(ranks: FloatArray) -> float:
    """MRR of some rows."""
    return float((1 / ranks).mean())


def fitted(training: cfg.Training, network: Any, method: Any, rows: Any, watch: Watch | None) -> int:
    """Train in place; the epochs that were best."""
    with tempfile.TemporaryDirectory() as work:
        return fit(network, method, rows, training, Path(work), seed=0, watch=watch).epochs


def learnt(domains: Domains, valid: View) -> dict[str, tuple[float, ItemScorer]]:
    """What each strategy reaches on validation rows, and its model fitted on all rows that train and choose."""
    [source], target = [one.name for one in domains.sources], domains.name
    raw = load_scenario("cold_start").model_dump(mode="json") | {"sources": [source], "target": target}
    raw |= {"strategies": [{"tune": tune} for tune in ({"kind": "scratch"}, *STRATEGIES)], "baselines": [
        {"kind": "popularity"}]}  # fmt: skip
    scenario = cfg.Scenario.model_validate(raw)
    learner = ItemLearner(cfg.TrainSettings.of(scenario))
    views = {"few": domains.training({target}), "all": domains.training()}
    start, rows = learner.pretrain({source: views["all"][source]})
    fitted(learner.settings.fitting, start, build_adapt(cfg.NoAdapt(), learner.model.dim), rows, None)
    found = {}
    for strategy in scenario.strategies[1:]:

        def ready(which: str, strategy: cfg.Strategy = strategy) -> tuple[Any, Any, Any]:
            network, rows = learner.tune(views[which], strategy)
            method = build_tune(strategy.tune, learner.model.dim)
            method.initialise(network, start.shared_state())
            learner.carry(network, views[which], strategy)
            return network, method, rows

        def metric(network: Any) -> float:
            return reciprocal(KIND.predict(learner.as_trained(network, valid), valid))

        training = cfg.TuneSettings.of(scenario, strategy=strategy, oracle=False, held_back=False).fitting
        network, method, rows = ready("few")
        epochs = fitted(training, network, method, rows, Watch(metric, len(valid), 100, "users"))
        finishes = learner.finishes(views["few"], strategy)
        scored = [reciprocal(KIND.predict(learner.predictor(network, one), valid)) for one in finishes]
        best = int(np.argmax(scored))
        network, method, rows = ready("all")
        fitted(training.model_copy(update={"epochs": epochs}), network, method, rows, None)
        found[strategy.name] = scored[best], learner.predictor(network, finishes[best])
    return found


def counted(config: cfg.Baseline, domains: Domains, valid: View) -> tuple[float, ItemScorer]:
    """A baseline with the settings that are best on validation rows."""
    few, scored = domains.training({domains.name}), []
    for settings in candidates(config):
        ranker = fit_baseline(config, few, domains.name, settings, 0)
        scored.append((reciprocal(KIND.predict(ranker, valid)), settings))
    value, best = max(scored, key=lambda one: one[0])
    return value, fit_baseline(config, domains.training(), domains.name, best, 0)


def among_few(scorer: ItemScorer, view: View) -> FloatArray:
    """The rank of each row's item among 999 that its user has not had, in the test neither, ties at half: [N]."""
    random, found = np.random.default_rng(0), np.empty(len(view))
    frame = pd.DataFrame({"user": view.units, "item": view.label.value})
    for user, rows in frame.groupby("user").groups.items():
        own = scorer.scores(view.fields[PAST].of(np.array([user])))[0]
        free = np.setdiff1d(np.arange(len(own)), view.label.value[rows])
        for row in rows:
            others, mine = own[random.choice(free, NEGATIVES, replace=False)], own[view.label.value[row]]
            found[row] = 1 + (others > mine).sum() + (others == mine).sum() / 2
    return found


def ranked(source: str, target: str, half: int) -> pd.DataFrame:
    """Ranks of the clean test rows by each method, and what each reached on validation rows as `valid`."""
    domains = parted(source, target, half)
    marks, _ = audit(domains, cold_start=True)
    marked = marks.loc[marks["domain"] == target, "row"]
    held_out = [domains.held_out(name) for name in ("valid", "test")]
    valid, test = (one.take(~one.rows["row"].isin(marked).to_numpy()) for one in held_out)
    lanes = learnt(domains, valid) | {one.name: counted(one, domains, valid) for one in REFERENCES}
    users = domains.users.to_numpy(dtype=object)[test.units]
    parts = [
        pd.DataFrame({"user": users, "lane": name, "valid": reached, "rank": KIND.predict(scorer, test),
                      "few": among_few(scorer, test)})
        for name, (reached, scorer) in lanes.items()
    ]  # fmt: skip
    return pd.concat(parts, ignore_index=True).assign(source=source, target=target, half=half)


def told(value: float, drawn: FloatArray, scale: float = 100.0) -> str:
    """A value with its interval."""
    low, high = np.quantile(drawn, [0.025, 0.975])
    return f"{scale * value:.2f} [{scale * low:.2f}, {scale * high:.2f}]"


def summed(every: pd.DataFrame, column: str, users: pd.Index) -> FloatArray:
    """Reciprocal ranks of each user, added up: [U]."""
    return (1 / every[column]).groupby(every["user"]).sum().reindex(users, fill_value=0.0).to_numpy(dtype=np.float64)


def main() -> None:
    """Compute the four parts, or read them, and print one table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--home", type=Path, default=Path(".crosslift"), help="where the parts are kept")
    home = parser.parse_args().home / "cold"
    home.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    parts = []
    for source, target in (("games", "video"), ("video", "games")):
        for half in (0, 1):
            file = home / f"{target}.{half}.parquet"
            if not file.exists():
                ranked(source, target, half).to_parquet(file.with_suffix(".tmp"))
                file.with_suffix(".tmp").replace(file)
            parts.append(pd.read_parquet(file))
            print(f"{source} to {target}, half {half}", flush=True)
            print(parts[-1].groupby("lane")["valid"].first().mul(100).round(2).to_dict(), flush=True)
    strategies = [one["kind"] for one in STRATEGIES]
    picked = []
    for part in parts:
        own = part[part["lane"].isin(strategies)]
        best = own.groupby("lane")["valid"].first().idxmax()
        picked.append(own[own["lane"] == best].assign(lane="champion"))
        print(f"{part['target'].iloc[0]}, half {part['half'].iloc[0]}: {best}")
    every = pd.concat([*parts, *picked], ignore_index=True)
    users = pd.Index(every["user"].unique())
    count = every[every["lane"] == "champion"].groupby("user").size().reindex(users).to_numpy(dtype=np.float64)
    draws = np.random.default_rng(0).multinomial(len(users), np.full(len(users), 1 / len(users)), size=DRAWS)
    means, rows = {}, []
    for lane in ["champion", *strategies, *(one.name for one in REFERENCES)]:
        own = every[every["lane"] == lane]
        cells = [lane]
        for column in ("rank", "few"):
            sums = summed(own, column, users)
            means[lane, column] = sums.sum() / count.sum(), draws @ sums / (draws @ count)
            cells.append(told(*means[lane, column]))
        rows.append(cells)
    for column, where in (("rank", "full ranking"), ("few", "999 others")):
        better = max((one.name for one in REFERENCES), key=lambda name: means[name, column][0])
        over = [one / other for one, other in zip(means["champion", column], means[better, column], strict=True)]
        print(f"champion / {better}, {where}: {told(over[0], over[1], 1.0)}")
    print(f"\nMRR in %, {len(users)} users, {int(count.sum())} rows without marks\n")
    table(["method", "full ranking", "among 999 others"], rows)


if __name__ == "__main__":
    main()
