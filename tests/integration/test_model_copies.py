"""Copies of a server's models below the home: whole or not there, and made once."""

import os
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from pipeline.folders import Home
from pipeline.registry import lookup

pytestmark = pytest.mark.slow

# Copies version 1 of a model. The process gets SIGKILL when one of the two files is there.
KILLED = """
import os, shutil, signal
from pathlib import Path
from types import SimpleNamespace
from mlflow import artifacts
from pipeline.folders import Home
from pipeline.registry.lookup import _download

def begin(uri, dst_path, tracking_uri):
    shutil.copy(Path(uri) / "MLmodel", dst_path)
    os.kill(os.getpid(), signal.SIGKILL)

client = SimpleNamespace(tracking_uri="http://server", get_model_version_download_uri=lambda *_: os.environ["MODEL"])
if os.fork() == 0:
    artifacts.download_artifacts = begin
    _download(client, Home.from_env(), SimpleNamespace(name="crosslift.demo", version=1))
print(os.waitstatus_to_exitcode(os.wait()[1]))
"""


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A model as the server has it."""
    folder = tmp_path / "server" / "model"
    (folder / "artifacts").mkdir(parents=True)
    (folder / "MLmodel").write_text("flavors: {}")
    (folder / "artifacts" / "weights").write_text("1 2 3")
    return folder


@pytest.fixture
def download(model: Path, own_home: Path) -> Callable[[], Path]:
    """Give a function that finds the model on this machine."""
    client = SimpleNamespace(tracking_uri="http://server", get_model_version_download_uri=lambda *_: str(model))
    version = SimpleNamespace(name="crosslift.demo", version=1)
    return lambda: lookup._download(cast("Any", client), Home(own_home), cast("Any", version))


def content(folder: Path) -> dict[str, str]:
    return {path.relative_to(folder).as_posix(): path.read_text() for path in folder.rglob("*") if path.is_file()}


def test_killed_while_it_is_copied(
    own_home: Path, model: Path, download: Callable[[], Path], run_python: Callable[..., str]
) -> None:
    """SIGKILL leaves no copy, so that nobody takes half of one for the model; the next call makes it."""
    assert run_python(KILLED, MODEL=str(model)).strip() == "-9"
    assert not (own_home / "cache" / "models" / "crosslift.demo" / "1").exists()
    assert {name: text for name, text in content(download()).items() if name in content(model)} == content(model)


@pytest.mark.parametrize("mark", [None, ""])
def test_a_copy_that_a_kill_broke_before(
    own_home: Path, model: Path, download: Callable[[], Path], mark: str | None
) -> None:
    """Half of a copy, and one whose mark of being whole is empty, are made again."""
    folder = own_home / "cache" / "models" / "crosslift.demo" / "1"
    folder.mkdir(parents=True)
    (folder / "MLmodel").write_text("fla")
    if mark is not None:
        (folder / ".whole").write_text(mark)
    assert content(download())["MLmodel"] == "flavors: {}"
    assert content(download())["artifacts/weights"] == "1 2 3"


def test_two_at_once(download: Callable[[], Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """Two that find no copy make it once."""
    from mlflow import artifacts

    fetch, whole = artifacts.download_artifacts, lookup.is_whole
    looked, calls, found = threading.Semaphore(0), [], []

    def look(folder: Path) -> bool:
        there = whole(folder)
        looked.release()
        return there

    def wait(*arguments: Any, **options: Any) -> str:
        calls.append(os.getpid())
        for _ in range(3):  # each looks before it waits, and the first one again when it may begin
            assert looked.acquire(timeout=60)
        return str(fetch(*arguments, **options))

    monkeypatch.setattr(lookup, "is_whole", look)
    monkeypatch.setattr(artifacts, "download_artifacts", wait)
    threads = [threading.Thread(target=lambda: found.append(download())) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert len(calls) == 1
    assert found[0] == found[1]
    assert (found[0] / "artifacts" / "weights").exists()
