"""What a scenario reads has a fingerprint by its bytes and its mapping."""

import os
import tempfile

import pytest

from pipeline.config import Tables
from pipeline.data.readers import reading
from pipeline.data.readers.inputs import inputs_of
from pipeline.data.tables import KINDS
from pipeline.errors import DataError

CSV = "user_id,item_id,domain\nu,i,d\n"


@pytest.fixture
def root(tmp_path):
    """A data folder with one file."""
    (tmp_path / "a.csv").write_text(CSV)
    return tmp_path.resolve()


def inputs(root, **spec):
    """The inputs of one table of interactions."""
    return inputs_of(Tables.model_validate({"interactions": [spec]}), KINDS.__getitem__, root, ("user_id",))


def test_equal_bytes_have_one_fingerprint(root):
    """The name of a file does not matter, and what other files say neither."""
    (root / "b.csv").write_text(CSV)
    assert inputs(root, path="a.csv")[0].fingerprint == inputs(root, path="b.csv")[0].fingerprint


@pytest.mark.parametrize(
    "spec",
    [{"columns": {"value": "item_id"}}, {"constants": {"event": "view"}}, {"format": "jsonl"}, {"path": "*.csv"}],
)
def test_another_mapping_or_another_file_is_another_fingerprint(root, spec):
    """Each part of what decides the table counts."""
    before = inputs(root, path="a.csv")[0].fingerprint
    (root / "b.csv").write_text(CSV)
    assert inputs(root, **{"path": "a.csv", **spec})[0].fingerprint != before


@pytest.mark.parametrize(
    "option",
    [
        {"separator": ";"}, {"encoding": "cp1252"}, {"header": False, "names": ["user_id", "item_id", "domain"]},
        {"quote": "none"}, {"escape": "!"}, {"skip": 1}, {"member": "a.csv"},
    ],
)  # fmt: skip
def test_all_that_changes_the_reading_counts(root, option):
    """Of a file and of a file in a query; so do the query and what a folder says."""
    assert inputs(root, path="a.csv", **option)[0].fingerprint != inputs(root, path="a.csv")[0].fingerprint
    asked = {"query": "SELECT * FROM x", "files": {"x": {"path": "a.csv"}}}
    before = inputs(root, **asked)[0].fingerprint
    assert inputs(root, **{**asked, "files": {"x": {"path": "a.csv", **option}}})[0].fingerprint != before
    assert inputs(root, **{**asked, "query": "SELECT 1"})[0].fingerprint != before
    (root / "day=1").mkdir()
    (root / "day=1" / "a.csv").write_text(CSV)
    assert inputs(root, path="day=1/a.csv")[0].fingerprint != inputs(root, path="a.csv")[0].fingerprint


def test_a_file_of_a_query_that_changes_is_refused(root, monkeypatch):
    """As one that is read alone; the bytes of all of them decide the fingerprint."""
    asked = {"query": "SELECT * FROM x", "files": {"x": {"path": "a.csv"}}}
    [one] = inputs(root, **asked)
    assert one.fingerprint
    (root / "a.csv").write_text(CSV + "v,i,d\n")
    assert inputs(root, **asked)[0].fingerprint != one.fingerprint
    with pytest.raises(DataError, match=r"^a\.csv: changed while it was read; repeat"):
        one.read()


def test_nothing_is_left_behind(root, monkeypatch, tmp_path):
    """Copies are removed, also after an error; nothing is written into the data folder."""
    (scratch := tmp_path / "scratch").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    (root / "b.csv").write_text(CSV + "u,i\n")
    there = sorted(path.name for path in root.iterdir())
    assert inputs(root, path="a.csv", encoding="cp1252")[0].read()
    assert inputs(root, query="SELECT * FROM x", files={"x": {"path": "a.csv"}})[0].read()
    with pytest.raises(DataError):
        inputs(root, path="b.csv", skip=0)[0].read()
    assert not list(scratch.iterdir())
    assert sorted(path.name for path in root.iterdir()) == there


def test_a_file_that_changes_while_it_is_read_is_refused(root, monkeypatch):
    """Else the fingerprint would speak of other bytes than the table."""
    read_file = reading.read_file

    def read_and_change(file, *args):
        table = read_file(file, *args)
        os.utime(file.path, ns=(0, 0))
        return table

    [one] = inputs(root, path="a.csv")
    assert one.fingerprint
    assert one.read()[0].num_rows == 1
    monkeypatch.setattr(reading, "read_file", read_and_change)
    with pytest.raises(DataError, match=r"^a\.csv: changed while it was read; repeat"):
        one.read()


def test_a_file_that_vanishes_is_refused(root):
    """With its name."""
    [one] = inputs(root, path="a.csv")
    assert one.fingerprint
    (root / "a.csv").unlink()
    with pytest.raises(DataError, match=r"^a\.csv: cannot be read"):
        one.read()
