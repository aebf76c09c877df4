"""What a model has learnt from, by the names of rows: kept apart by domain, and carried on."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.data.tokens import stable_hash
from pipeline.errors import UserError
from pipeline.rows.learnt import LEARNT, NOTHING, Learnt
from pipeline.steps.carry import _refuse_learnt


def night(domain: str, names: pd.Index) -> Any:
    return SimpleNamespace(name=domain, named=lambda view: names)


def texts(*names: str) -> pd.Index:
    return pd.Index(names, dtype=object)


def pairs(*names: tuple[str, str]) -> pd.MultiIndex:
    return pd.MultiIndex.from_tuples(names)


@pytest.mark.parametrize(
    ("ours", "asked", "known"),
    [
        (texts("1", "2", "2"), texts("2", "3"), [True, False]),
        (pairs(("ann", "1"), ("bob", "2")), pairs(("ann", "2"), ("bob", "2"), ("2", "bob")), [False, True, False]),
    ],
)
def test_rows_are_known_in_their_own_domain_alone(tmp_path: Path, ours: pd.Index, asked: pd.Index, known: Any) -> None:
    """Also after they were written and read, and whoever else brings more."""
    Learnt.of({"near": ours, "far": asked[:1]}).write(tmp_path)
    for learnt in (
        Learnt.read(tmp_path),
        Learnt.read(tmp_path) | NOTHING,
        Learnt.of({"other": asked}) | Learnt.read(tmp_path),
    ):
        assert learnt.knows(night("near", asked), None).tolist() == known  # type: ignore[arg-type]
        assert learnt.knows(night("far", asked), None).tolist() == [True] + [False] * (len(asked) - 1)  # type: ignore[arg-type]
        assert not learnt.knows(night("third", asked), None).any()  # type: ignore[arg-type]


def test_what_either_has_learnt_from_is_both() -> None:
    """Each row once, sorted, in each domain."""
    both = Learnt.of({"near": texts("1", "2")}) | Learnt.of({"near": texts("2", "3"), "far": texts("1")})
    assert both.rows["near"].tolist() == sorted(stable_hash(texts("1", "2", "3")).tolist())
    assert both.rows["far"].tolist() == stable_hash(texts("1")).tolist()


def test_the_same_rows_are_the_same_bytes(tmp_path: Path) -> None:
    """In whatever order they come, so that a second night publishes the same package."""
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    Learnt.of({"near": texts("1", "2"), "far": texts("3")}).write(tmp_path / "a")
    Learnt.of({"far": texts("3"), "near": texts("2", "1", "1")}).write(tmp_path / "b")
    assert (tmp_path / "a" / LEARNT).read_bytes() == (tmp_path / "b" / LEARNT).read_bytes()


def test_a_package_from_before_says_no_domain(tmp_path: Path) -> None:
    """Its rows may be of any that it knows."""
    rows = np.sort(stable_hash(texts("1", "2")))
    pq.write_table(pa.table({"row": rows}), tmp_path / LEARNT)
    learnt = Learnt.read(tmp_path, ("far", "near"))
    for domain, known in (("far", True), ("near", True), ("third", False)):
        assert learnt.knows(night(domain, texts("1", "9")), None).tolist() == [known, False]  # type: ignore[arg-type]


class Night:
    """Prepared rows of which the names of those that are learnt from, choose and judge are given."""

    name = "near"

    def __init__(self, train: str, valid: str, test: str) -> None:
        self.views = {"train": texts(*train), "valid": texts(*valid), "test": texts(*test)}

    def folds(self) -> tuple["Night", ...]:
        return (self,)

    def held_out(self, part: str) -> pd.Index:
        return self.views[part]

    def training(self) -> dict[str, pd.Index]:
        return {"near": self.views["train"].append(self.views["valid"])}

    def named(self, view: pd.Index) -> pd.Index:
        return view


@pytest.mark.parametrize(
    ("domain", "rows", "told"),
    [("near", "ax", ""), ("near", "xyz", "has learnt from 3 rows of near too, and none"), ("far", "xyz", "")],
)
def test_rows_that_nobody_knows_by_name_are_told(
    domain: str, rows: str, told: str, caplog: pytest.LogCaptureFixture
) -> None:
    """They may be others, or the same under other names: a group more in the task, or another key, renames them all."""
    _refuse_learnt(Learnt.of({domain: texts(*rows)}), Night("ab", "c", "d"), "crosslift.x version 1")  # type: ignore[arg-type]
    assert told in caplog.text
    assert bool(told) == bool(caplog.text)


@pytest.mark.parametrize("rows", ["c", "d"])
def test_rows_that_choose_or_judge_are_refused(rows: str) -> None:
    """Whether the model knows the ones or the others."""
    with pytest.raises(UserError, match="of the 2 rows that choose or judge here it knows 1"):
        _refuse_learnt(Learnt.of({"near": texts(rows)}), Night("ab", "c", "d"), "crosslift.x version 1")  # type: ignore[arg-type]
