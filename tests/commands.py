"""Commands of a person in a test, quickly: forked from this process, in which every library is loaded already.

A command of its own interpreter spends ten seconds and more on imports, and a run starts several. Where a test asks
what a command does and not how its processes begin, it is forked from here, and so is every task of a run; the store
is copied from one made once; and the proof that a registered model loads in a fresh process is left out. Tests of
those start real processes (`test_cli_run`, `test_walkthrough`, `test_registry`).
"""

import atexit
import gc
import importlib
import logging
import os
import shutil
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable, Mapping
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from unittest.mock import patch

Crosslift = Callable[..., subprocess.CompletedProcess[str]]

_STORE = Path("mlflow") / "mlflow.db"  # below a home
_LIBRARIES = (
    "pandas", "pyarrow.parquet", "scipy.sparse", "duckdb", "torch", "pytorch_lightning", "implicit.als", "lightgbm",
    "sklearn.linear_model", "sklearn.ensemble", "great_expectations", "mlflow.pyfunc",
    "mlflow.store.tracking.sqlalchemy_store", "pipeline.cli.app",
)  # fmt: skip
_LEFT_OUT = {  # place of a name -> what stands there in a forked command
    "pipeline.runs.processes.get_context": lambda _kind: get_context("fork"),
    "pipeline.runs.sequence.start_server": lambda _modules: None,
    "pipeline.registry.promote.check_serves": lambda *_: None,
    "pipeline.registry.rollback.check_serves": lambda *_: None,
}


def commands(home: Path, cwd: Path, **environment: str) -> Crosslift:
    """Give a function that calls `crosslift` with arguments, and more environment where some is named."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith(("CROSSLIFT_", "MLFLOW_"))}
    ours |= {"CROSSLIFT_HOME": str(home), **environment}

    def call(*arguments: str, **changes: str) -> subprocess.CompletedProcess[str]:
        _load()
        with tempfile.TemporaryDirectory() as told:
            process = get_context("fork").Process(
                target=_call, args=(arguments, ours | changes, cwd, Path(told), store())
            )
            process.start()
            process.join()
            out, err = ((Path(told) / name).read_text(encoding="utf-8") for name in ("out", "err"))
        assert process.exitcode is not None
        return subprocess.CompletedProcess(arguments, process.exitcode, out, err)

    return call


@cache
def store() -> Path:
    """The file of a store that is made once: each takes seconds."""
    from pipeline.registry.store import make_whole

    folder = tempfile.mkdtemp(prefix="store-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    file = Path(folder) / _STORE.name
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        make_whole(file)
    return file


@cache
def _load() -> None:
    """Load all libraries that a command may need."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in _LIBRARIES:
            importlib.import_module(name)


def _call(arguments: tuple[str, ...], environment: Mapping[str, str], cwd: Path, told: Path, made: Path) -> None:
    """Be that command: its environment, folder, output, and none of what pytest has put in place."""
    gc.freeze()  # no collection looks at what is loaded, so that its pages stay shared
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(cwd)
    os.umask(0o077)
    if not (own := Path(environment["CROSSLIFT_HOME"]) / _STORE).exists():
        own.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(made, own)
    for number, name in ((1, "out"), (2, "err")):
        with (told / name).open("wb") as file:
            os.dup2(file.fileno(), number)
    sys.stdout = sys.__stdout__ = os.fdopen(1, "w", encoding="utf-8")  # type: ignore[misc]
    sys.stderr = sys.__stderr__ = os.fdopen(2, "w", encoding="utf-8")  # type: ignore[misc]
    sys.argv = ["crosslift", *arguments]
    logging.getLogger().handlers.clear()
    warnings.resetwarnings()
    warnings.simplefilter("ignore")
    for place, other in _LEFT_OUT.items():
        patch(place, other).start()
    from pipeline.cli import main

    code = main()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
