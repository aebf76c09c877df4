"""Print how long `ingest`, `validate` and `prepare` take for generated rows, and how much memory they need.

    python benchmarks/reading.py --rows 1000000                 from CSV in gz
    python benchmarks/reading.py --rows 10000000 --as parquet   from Parquet

Users, items and times are drawn so that few have many rows, as in shops. A third of the rows is of the target. CPU
time tells more than the clock where the machine does other work as well.
"""

import argparse
import os
import sys
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import yaml
from pyarrow import csv, parquet
from speed import measure

DOMAINS = ("films", "books")
SCENARIO = {
    "name": "reading", "title": "Reading", "sources": ["films"], "target": "books", "bridges": ["users"],
    "pseudonymous": True, "cold_start": True, "split": {"kind": "time"},
    "strategies": [{"tune": {"kind": "scratch"}}], "baselines": [{"kind": "popularity"}],
}  # fmt: skip
BLOCK = 1_000_000
SEED = 0


def block(rows: int, random: np.random.Generator) -> pa.Table:
    """Draw rows: who, what, where, when, a rating, and a text that nobody reads."""
    users = pa.array((random.beta(0.6, 3, rows) * 1_500_000).astype(np.int64) + 10**9)
    items = pa.array((random.beta(0.5, 3, rows) * 60_000).astype(np.int64))
    shop = pa.array(DOMAINS).take(pa.array((random.random(rows) < 1 / 3).astype(np.int64)))
    comments = pa.array([f"a comment, number {number}" for number in range(1000)])
    return pa.table(
        {
            "customer": pc.binary_join_element_wise("A", users.cast(pa.string()), ""),
            "sku": pc.binary_join_element_wise(shop, items.cast(pa.string()), "-"),
            "shop": shop,
            "time": random.integers(1_600_000_000, 1_700_000_000, rows),
            "stars": random.integers(1, 6, rows),
            "comment": comments.take(pa.array(random.integers(0, 1000, rows))),
        }
    )


def write(path: Path, rows: int) -> None:
    """Write the rows block by block, as CSV in gz or as Parquet."""
    random = np.random.default_rng(SEED)
    schema = block(1, random).schema
    random = np.random.default_rng(SEED)
    sink = path if path.suffix == ".parquet" else pa.output_stream(path, compression="gzip")
    writer = parquet.ParquetWriter(sink, schema) if path.suffix == ".parquet" else csv.CSVWriter(sink, schema)
    with writer:
        for start in range(0, rows, BLOCK):
            writer.write_table(block(min(BLOCK, rows - start), random))
    if path.suffix != ".parquet":
        sink.close()


def main() -> None:
    """Measure the three steps, each in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=BLOCK)
    parser.add_argument("--as", dest="kind", choices=("csv.gz", "parquet"), default="csv.gz")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="crosslift-reading-") as name:
        folder = Path(name)
        path = folder / f"rows.{given.kind}"
        write(path, given.rows)
        columns = {"user_id": "customer", "item_id": "sku", "domain": "shop", "timestamp": "time", "value": "stars"}
        tables = {"interactions": [{"path": path.name, "columns": columns}]}
        (folder / "reading.yaml").write_text(yaml.safe_dump({**SCENARIO, "tables": tables}), encoding="utf-8")
        command = str(Path(sys.executable).with_name("crosslift"))
        where = {"CROSSLIFT_DATA": str(folder), "CROSSLIFT_SCENARIOS": str(folder)}
        asked = ["env", *(f"{key}={value}" for key, value in where.items()), command, "step"]
        measure([*asked, "plan", "reading", "--run", "one"], folder / "home")
        print(f"{given.rows:,} rows, {given.kind}, {path.stat().st_size / 2**20:,.0f} MiB", flush=True)
        total = spent = 0.0
        for step in ("ingest", "validate", "prepare"):
            before = os.times()
            found = measure([*asked, step, "reading", "--run", "one"], folder / "home")
            after = os.times()
            work = after.children_user + after.children_system - before.children_user - before.children_system
            total, spent = total + found.seconds, spent + work
            print(
                f"{step}: {found.seconds:.0f} s, CPU {work:.0f} s, {given.rows / found.seconds:,.0f} rows a second, "
                f"peak {found.peak_mebibytes / 1024:.2f} GiB",
                flush=True,
            )
        print(f"all: {total:.0f} s, CPU {spent:.0f} s, {given.rows / total:,.0f} rows a second")


if __name__ == "__main__":
    main()
