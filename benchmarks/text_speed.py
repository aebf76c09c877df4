"""How many titles a second the pretrained encoder reads, beside sentence-transformers, and how fast all are read again.

    .venv/bin/python benchmarks/text_speed.py offers.parquet --column title --texts 100000

needs `pip install 'crosslift[text]' sentence-transformers`. Titles that are fewer than asked for are told apart by a
number behind them, as offers of other shops have it.
"""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from sentence_transformers import SentenceTransformer

from pipeline.data.embeddings import FILE, Embeddings
from pipeline.data.encoder_folders import folder_of
from pipeline.models.pretrained import loaded

WARM = 64  # texts before the clock starts


def main() -> None:
    """Print texts a second of both, the largest difference of their vectors, and the time to read all again."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("table", type=Path)
    parser.add_argument("--column", default="title")
    parser.add_argument("--texts", type=int, default=100_000)
    parser.add_argument("--threads", type=int, default=2)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    texts = titles(pd.read_parquet(given.table, columns=[given.column])[given.column], given.texts)
    own, other = loaded("minilm"), SentenceTransformer(str(folder_of("text", "minilm")), device="cpu")
    own.encode(texts[:WARM])
    other.encode(texts[:WARM], show_progress_bar=False)

    begun = time.perf_counter(), time.process_time()
    expected = other.encode(texts, show_progress_bar=False)
    tell("sentence-transformers", len(texts), begun)
    begun = time.perf_counter(), time.process_time()
    found = own.encode(texts)
    tell("crosslift", len(texts), begun)
    print(f"largest difference of a number: {np.abs(found.vectors.astype(np.float32) - expected).max():.1e}")

    with tempfile.TemporaryDirectory() as folder:
        Embeddings.under([found]).write(Path(folder) / FILE, "benchmark")
        start = time.perf_counter()
        again = Embeddings.read(Path(folder) / FILE)
        print(f"read again: {len(again.keys):,} vectors in {time.perf_counter() - start:.2f} s")


def titles(column: "pd.Series[str]", count: int) -> list[str]:
    """So many different titles, in an order by chance."""
    distinct = column.dropna().drop_duplicates().sample(frac=1.0, random_state=0).tolist()
    rounds = range(-(-count // len(distinct)))
    return [f"{title} {turn}" if turn else title for turn in rounds for title in distinct][:count]


def tell(name: str, count: int, begun: tuple[float, float]) -> None:
    """Texts a second by the clock, and by the CPU, which other work on the machine does not slow down."""
    seconds, cpu = time.perf_counter() - begun[0], time.process_time() - begun[1]
    print(f"{name}: {count:,} texts, {count / seconds:.0f} a second, {count / cpu:.0f} a second of CPU", flush=True)


if __name__ == "__main__":
    main()
