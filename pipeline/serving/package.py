"""A candidate with all that it needs to serve: one folder of JSON, safetensors and Parquet, nothing pickled.

Shapes: U users with a history, I_d items of domain d, n requests.
"""

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict, ValidationError
from scipy import sparse

from pipeline import columns as c
from pipeline.data.prepared import Domains, Histories, IntArray
from pipeline.errors import ConfigError, StorageError
from pipeline.integrity import refuse_damaged
from pipeline.models.load import load_ranker
from pipeline.models.ranker import Ranker, Scores
from pipeline.serving.requests import answer

CANDIDATE_FILES = ("ranker.json", "weights.safetensors")
EXAMPLE = "example.json"  # a request and its answer, so that any process can prove that the package still works
SERVED_PARTS = (c.TRAIN, c.VALID)  # the histories that the candidate was evaluated with


class PackageInfo(BaseModel):
    """What a package is, and which data and code made it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    scenario: str
    lane: str
    target: str
    sources: tuple[str, ...]
    pseudonymous: bool  # user ids stand here as in the user's own tables: nothing is hashed
    key: str | None = None  # id of the key that made the pseudonyms; packages of 0.1 do not say it
    candidate: str  # hash of the candidate's manifest
    data: dict[str, str]  # step and domain -> hash of the manifest
    code: str  # version of Crosslift

    @property
    def domains(self) -> tuple[str, ...]:
        """The sources, then the target."""
        return (*self.sources, self.target)


@dataclass(frozen=True)
class ServedModel:
    """A package in memory.

    Args:
        info: What the package is.
        ranker: The evaluated model.
        items: Items of each domain in dense order: item_id, train_count and, where there are any, title.
        users: [U] user ids, sorted.
        histories: CSR [U + 1, I_d] of each domain; the last row is empty, so that place -1 is a user without history.
    """

    info: PackageInfo
    ranker: Ranker
    items: Mapping[str, pd.DataFrame]
    users: pd.Index
    histories: Histories

    @classmethod
    def read(cls, folder: Path) -> "ServedModel":
        """Read a published package, after every file of it was held against its manifest.

        Raises:
            StorageError: a file is missing or damaged, or is not of the package; it is named.
        """
        refuse_damaged(folder, "package of a served model")
        return cls._load(folder)

    @classmethod
    def _load(cls, folder: Path) -> "ServedModel":
        try:
            info = PackageInfo.model_validate_json((folder / "package.json").read_text(encoding="utf-8"))
            items = {name: pd.read_parquet(folder / f"items.{name}.parquet") for name in info.domains}
            users, histories = _read_histories(folder, items)
        except (OSError, ValidationError, pa.ArrowInvalid) as error:
            raise StorageError(f"{folder}: expected a package of a served model ({error}).") from error
        return cls(info, load_ranker(folder), items, users, histories)

    def recommend(self, frame: pd.DataFrame, k: int = 10) -> pd.DataFrame:
        """Rank the k best target items for each request; see `pipeline.serving.requests.answer`."""
        return answer(self, frame, k)

    def on_catalogue(self, domains: Domains) -> Callable[[Histories], Scores]:
        """Make a scorer of another night's catalogue and item indexes.

        Returns:
            A function from histories, CSR [n, I_d] in the other night's indexes, to scores [n, I_target] in them. Items
            that this model does not know get minus infinity: they come last. Unknown domains are left out.

        Raises:
            ConfigError: the other night's target is another domain.
        """
        if domains.target.name != self.info.target:
            raise ConfigError(
                f"target: {self.info.scenario} now names {domains.target.name!r}, but the model that serves ranks "
                f"{self.info.target!r}; give the changed scenario a name of its own."
            )
        places = {domain.name: self._places(domain.name, domain.items[c.ITEM]) for domain in domains.all
                  if domain.name in self.items}  # fmt: skip
        targets = places[self.info.target]

        def scores(histories: Histories) -> Scores:
            own = {name: _recolumn(histories[name], places[name], len(self.items[name])) for name in places}
            known = self.ranker.scores(own)
            result = np.full((known.shape[0], len(targets)), -np.inf, dtype=np.float32)
            result[:, targets >= 0] = known[:, targets[targets >= 0]]
            return result

        return scores

    def trained_pairs(self) -> pd.DataFrame:
        """List the target's pairs that the model has learnt from: user_id, item_id."""
        taken = self.histories[self.info.target].tocoo()
        ids = self.items[self.info.target][c.ITEM].to_numpy(dtype=object)
        return pd.DataFrame({c.USER: self.users.to_numpy(dtype=object)[taken.row], c.ITEM: ids[taken.col]})

    def _places(self, domain: str, item_ids: "pd.Series[str]") -> IntArray:
        """Find the place in this package of each item; -1 where it is not known."""
        return np.asarray(pd.Index(self.items[domain][c.ITEM]).get_indexer(pd.Index(item_ids)), dtype=np.int64)


def write_package(
    folder: Path, domains: Domains, candidate: Path, info: PackageInfo, titles: Mapping[str, "pd.Series[str]"]
) -> None:
    """Write a candidate as a package; equal inputs give equal bytes.

    Args:
        folder: Where to write; exists.
        domains: The prepared domains that the candidate was fitted on.
        candidate: The candidate's folder.
        info: What the package says about itself.
        titles: Domain -> titles by item id, for the domains that have any.
    """
    for name in CANDIDATE_FILES:
        shutil.copyfile(candidate / name, folder / name)
    for domain in domains.all:
        items = domain.items[[c.ITEM, "train_count"]].copy()
        if domain.name in titles:
            items[c.TITLE] = titles[domain.name].reindex(items[c.ITEM]).to_numpy(dtype=object)
        items.to_parquet(folder / f"items.{domain.name}.parquet", index=False, compression="zstd")
    _write_histories(folder, domains)
    (folder / "package.json").write_text(info.model_dump_json(indent=1), encoding="utf-8")
    served = ServedModel._load(folder)
    requests, k = _example_requests(served), 5
    example = {"requests": requests, "k": k, "answer": rows_of(served.recommend(pd.DataFrame(requests), k))}
    (folder / EXAMPLE).write_text(json.dumps(example, sort_keys=True, indent=1, allow_nan=False), encoding="utf-8")


def read_example(folder: Path) -> dict[str, Any]:
    """Read the request that a package was tried with: `requests` (rows), `k`, `answer` (rows)."""
    value: dict[str, Any] = json.loads((folder / EXAMPLE).read_text(encoding="utf-8"))
    return value


def rows_of(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Turn a frame into plain JSON values, one mapping a row; what is missing is None."""
    return [
        {str(key): None if value is pd.NA or value != value else value for key, value in row.items()}  # noqa: PLR0124
        for row in frame.to_dict("records")
    ]


def _example_requests(served: ServedModel) -> list[dict[str, Any]]:
    """Make the three ways of being served: a known user, a history that belongs to nobody, and nothing at all."""
    target = served.items[served.info.target]
    popular = target.sort_values(["train_count", c.ITEM], ascending=[False, True])[c.ITEM].head(3).tolist()
    user = str(served.users[0]) if len(served.users) else None
    return [
        {c.USER: user, "history": []},
        {c.USER: None, "history": [str(item) for item in popular]},
        {c.USER: None, "history": []},
    ]


def _write_histories(folder: Path, domains: Domains) -> None:
    users = domains.users.to_numpy(dtype=object)
    tables = []
    for name, matrix in domains.histories(SERVED_PARTS).items():
        present = np.flatnonzero(np.diff(matrix.indptr))
        matrix.sort_indices()
        offsets = np.append(matrix.indptr[present], matrix.indptr[-1]).astype(np.int32)
        lists = pa.ListArray.from_arrays(pa.array(offsets), pa.array(matrix.indices.astype(np.int32)))
        tables.append(pa.table({c.USER: pa.array(users[present], pa.string()),
                                c.DOMAIN: pa.array(np.full(len(present), name, dtype=object), pa.string()),
                                "items": lists}))  # fmt: skip
    pq.write_table(pa.concat_tables(tables), folder / "histories.parquet", compression="zstd")


def _read_histories(folder: Path, items: Mapping[str, pd.DataFrame]) -> tuple[pd.Index, dict[str, sparse.csr_matrix]]:
    table = pq.read_table(folder / "histories.parquet")
    ids = table[c.USER].to_numpy(zero_copy_only=False)
    users = pd.Index(np.unique(ids.astype(object)), dtype=object, name=c.USER)
    places = users.get_indexer(pd.Index(ids, dtype=object))
    lists = table["items"].combine_chunks()
    rows = np.repeat(places, lists.value_lengths().to_numpy(zero_copy_only=False))
    domains = np.repeat(table[c.DOMAIN].to_numpy(zero_copy_only=False), lists.value_lengths().to_numpy())
    taken = lists.flatten().to_numpy(zero_copy_only=False)
    return users, {
        name: sparse.csr_matrix(
            (np.ones(np.sum(domains == name), dtype=np.float32), (rows[domains == name], taken[domains == name])),
            shape=(len(users) + 1, len(frame)),
        )
        for name, frame in items.items()
    }


def _recolumn(matrix: sparse.csr_matrix, places: IntArray, width: int) -> sparse.csr_matrix:
    """Move column j to `places[j]`; where that is -1 it is left out."""
    coo = matrix.tocoo()
    known = places[coo.col] >= 0
    return sparse.csr_matrix(
        (coo.data[known], (coo.row[known], places[coo.col[known]])), shape=(matrix.shape[0], width)
    )
