"""SASRec as RecTools fits it; run by `sasrec.py` in an environment that has RecTools."""

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from films import last_ones, read
from rectools import Columns
from rectools.dataset import Dataset
from rectools.models import SASRecModel


def theirs(rows: pd.DataFrame, given: argparse.Namespace) -> dict[str, Any]:
    """Fit RecTools' SASRec for as many epochs as the time allows."""
    torch.set_num_threads(given.threads)
    table = rows.rename(columns={"timestamp": Columns.Datetime}).assign(**{Columns.Weight: 1.0})
    table[Columns.Datetime] = pd.to_datetime(table[Columns.Datetime], unit="s")
    table[Columns.Datetime] += pd.to_timedelta(table.groupby("user_id").cumcount(), unit="us")
    held = last_ones(rows)
    data, answers = Dataset.construct(table[~held]), table[held]

    def fitted(epochs: int) -> tuple[Any, float, float]:
        model = SASRecModel(n_factors=given.dim, session_max_len=given.length, epochs=epochs, deterministic=True)
        begun, used = time.perf_counter(), time.process_time()
        model.fit(data)
        return model, time.perf_counter() - begun, time.process_time() - used

    epochs = given.epochs or max(1, int(60 * given.minutes / fitted(1)[1]))
    model, seconds, cpu = fitted(epochs)
    told = model.recommend(answers["user_id"].unique(), data, k=10, filter_viewed=True)
    found = told.merge(answers[["user_id", "item_id"]], on=["user_id", "item_id"])
    gains = (1 / np.log2(found[Columns.Rank] + 1)).sum() / len(answers)
    return {
        "model": "SASRec of RecTools",
        "epochs": epochs,
        "epoch": seconds / epochs,
        "epoch_cpu": cpu / epochs,
        "seconds": seconds,
        "ndcg@10": float(gains),
    }


def main() -> None:
    """Fit it and print a line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("table", type=Path)
    parser.add_argument("--minutes", type=float, required=True)
    parser.add_argument("--epochs", type=int, required=True)
    parser.add_argument("--dim", type=int, required=True)
    parser.add_argument("--length", type=int, required=True)
    parser.add_argument("--threads", type=int, required=True)
    given = parser.parse_args()
    print(json.dumps(theirs(read(given.table), given)), flush=True)


if __name__ == "__main__":
    main()
