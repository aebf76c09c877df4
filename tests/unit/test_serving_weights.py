"""A package keeps what its histories count, and what is known without being a sign."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from pipeline.models.neighbours import ItemKnnRanker
from pipeline.models.stack import Stack
from pipeline.rows.interactions.prepared import DomainData, Domains
from pipeline.rows.interactions.served import ServedInteractions, ServeInteractions
from pipeline.rows.kind import PackageInfo
from pipeline.rows.learnt import NOTHING

ITEMS = ["f1", "f2", "f3", "f4", "f5"]
INFO = PackageInfo.model_validate(
    {"scenario": "toy", "lane": "item_knn", "target": "films", "sources": (), "pseudonymous": True, "candidate": "x",
     "data": {}, "code": "1"}
)  # fmt: skip
# user, item, weight: ann disliked f2, zac disliked all that he took
ROWS = [(0, 0, 3.0), (0, 1, 0.0), (1, 0, 1.0), (1, 1, 2.0), (2, 0, 0.5), (2, 2, 4.0), (3, 3, 0.0)]


@pytest.fixture
def domains() -> Domains:
    rows = pd.DataFrame(ROWS, columns=["user", "item", "weight"])
    rows = rows.astype({"user": "int32", "item": "int32", "weight": "float32"})
    rows = rows.assign(part=np.int8(0), kept=True)
    counts = np.bincount(rows["item"], rows["weight"], minlength=len(ITEMS))
    users = pd.DataFrame({"user_id": ["ann", "bob", "cat", "zac"]})
    return Domains((), DomainData("films", users, pd.DataFrame({"item_id": ITEMS, "train_count": counts}), rows))


def served(domains: Domains, folder: Path) -> ServedInteractions:
    histories = domains.histories(("train", "valid"))
    ranker = ItemKnnRanker.fit(histories, Stack.of(histories, "films"), neighbours=5, shrinkage=0.0)
    ServeInteractions().write(folder, domains, NOTHING)
    return ServeInteractions().read(folder, INFO, ranker)


def test_a_known_user_is_scored_by_weighted_histories(domains: Domains, tmp_path: Path) -> None:
    """As in evaluation, and what was disliked is not recommended though it is no sign."""
    package = served(domains, tmp_path)
    rows = package.answer(pd.DataFrame({"user_id": ["ann"]}), {"k": 5})
    expected = package.ranker.scores({"films": domains.histories(("train", "valid"))["films"][[0]]})[0]
    assert set(rows["item_id"]) == {"f3", "f4", "f5"}
    got = dict(zip(rows["item_id"], rows["score"], strict=True))
    assert got["f3"] == pytest.approx(float(expected[2]))
    assert got["f3"] == pytest.approx(3 * package.ranker.similarity.toarray()[0, 2])  # ann's weight of f1 is in it


def test_the_ranker_sees_signs_alone(domains: Domains, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is known and counts nothing is no entry: methods that solve or count by entries would take it for one."""
    package = served(domains, tmp_path)
    seen, real = [], package.ranker.scores
    monkeypatch.setattr(package.ranker, "scores", lambda taken: seen.append(taken["films"].nnz) or real(taken))
    package.answer(pd.DataFrame({"user_id": ["ann", "zac"], "history": [["f3"], None]}), {"k": 5})
    assert seen == [0, 2]


def test_who_gave_no_sign_is_served_from_popularity(domains: Domains, tmp_path: Path) -> None:
    """By what rows count together, but for what is known."""
    rows = served(domains, tmp_path).answer(pd.DataFrame({"user_id": ["zac", "new"]}), {"k": 5})
    assert set(rows["served_from"]) == {"popularity"}
    assert rows.loc[rows["request"] == 0, "item_id"].tolist() == ["f1", "f3", "f2", "f5"]
    assert rows.loc[rows["request"] == 1, "score"].tolist() == [4.5, 4, 2, 0, 0]


def test_what_a_request_brings_counts_one_unless_more_is_known(domains: Domains, tmp_path: Path) -> None:
    """A stranger's history counts 1 each; a known weight stays, and a sign is made of what was none."""
    package = served(domains, tmp_path)
    frame = pd.DataFrame({"user_id": [None, "ann", "ann"], "history": [["f1", "f2"], ["f1"], ["f2"]]})
    rows = package.answer(frame, {"k": 5})
    score = rows[rows["item_id"] == "f3"].set_index("request")["score"]
    one = package.ranker.similarity.toarray()
    assert score.tolist() == pytest.approx([one[0, 2] + one[1, 2], 3 * one[0, 2], 3 * one[0, 2] + one[1, 2]])
    assert set(rows.loc[rows["request"] == 1, "item_id"]) == {"f3", "f4", "f5"}


def test_without_weights_a_package_is_as_it_was(domains: Domains, tmp_path: Path) -> None:
    """No column more, and ones where there were ones."""
    plain = Domains((), replace(domains.target, rows=domains.target.rows.drop(columns="weight")))
    package = served(plain, tmp_path)
    assert pq.read_table(tmp_path / "histories.parquet").column_names == ["user_id", "domain", "items"]
    assert set(package.histories["films"].data) == {1.0}
