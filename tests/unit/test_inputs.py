"""What a scenario reads has a fingerprint by its bytes and its mapping."""

import os

import pytest

from pipeline.config import Tables
from pipeline.data import reading
from pipeline.data.inputs import inputs_of
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
