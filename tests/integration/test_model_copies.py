"""Copies of a server's models below the home: whole or not there."""

from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

# Copies version 1 of a model, twice. The first process gets SIGKILL when one of the two files is there.
KILLED = """
import os, shutil, signal
from pathlib import Path
from types import SimpleNamespace
from mlflow import artifacts
from pipeline.folders import Home
from pipeline.registry.files import model_files

def begin(uri, dst_path, tracking_uri):
    shutil.copy(Path(uri) / "MLmodel", dst_path)
    os.kill(os.getpid(), signal.SIGKILL)

client = SimpleNamespace(tracking_uri="http://server", get_model_version_download_uri=lambda *_: os.environ["MODEL"])
version = SimpleNamespace(name="crosslift.demo", version=1, tags={})
home = Home.from_env()
copy = home.root / "cache" / "models" / version.name / "1"
if os.fork() == 0:
    artifacts.download_artifacts = begin
    model_files(client, home, version)
print(os.waitstatus_to_exitcode(os.wait()[1]), copy.exists())
folder, _ = model_files(client, home, version)
print(folder == copy, *sorted(path.name for path in folder.rglob("*") if path.is_file()))
"""


def test_killed_while_it_is_copied(tmp_path: Path, own_home: Path, run_python: Callable[..., str]) -> None:
    """SIGKILL leaves no copy, so that nobody takes half of one for the model; the next call makes it."""
    model = tmp_path / "server" / "model"
    (model / "artifacts").mkdir(parents=True)
    (model / "MLmodel").write_text("flavors: {}")
    (model / "artifacts" / "weights").write_text("1 2 3")
    told = run_python(KILLED, MODEL=str(model), CROSSLIFT_HOME=str(own_home)).splitlines()
    assert told == ["-9 False", "True MLmodel weights"]
