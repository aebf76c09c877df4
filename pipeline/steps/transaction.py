"""A step as a transaction: looked up by its fingerprint, else computed and published whole."""

import os
import resource
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from pydantic import JsonValue

import pipeline
from pipeline.folders import (
    META,
    digest,
    exclusive,
    hash_file,
    is_whole,
    manifest_hash,
    read_json,
    vanish,
    write_json,
    written_whole,
)
from pipeline.results import Cost, StepResult
from pipeline.steps.run import Run

THREADS = 1  # one BLAS thread a worker: lanes run beside each other, and one thread sums in one order
_LIBRARIES = (
    "numpy",
    "scipy",
    "pandas",
    "pyarrow",
    "torch",
    "pytorch-lightning",
    "implicit",
    "great-expectations",
    "mlflow",
)
_FACTS = "facts.json"

Facts = dict[str, JsonValue]
Build = Callable[[Path, Path], Facts]  # (folder to write to, folder for checkpoints) -> facts


def transact(
    run: Run,
    step: str,
    build: Build,
    *,
    inputs: Mapping[str, str],
    config: Mapping[str, Any],
    name: str = "",
) -> StepResult:
    """Publish a step's folder, or reuse the one that equal inputs, settings, code and seed gave before.

    Args:
        run: The run that gets the result.
        step: The step's name.
        build: Writes the artifacts. Imports what is heavy only when called.
        inputs: What the step reads, as hashes of manifests.
        config: What else decides the result: the step's part of the scenario and the seed.
        name: The lane or domain.

    Raises:
        StorageError: the disk is full or the folder cannot be written; nothing is published.
    """
    run.forget(step, name)
    fingerprint = digest(
        {"step": step, "name": name, "inputs": dict(inputs), "config": dict(config), "code": code_hash(),
         "threads": THREADS, "device": device_class()}
    )[:32]  # fmt: skip
    final = run.home.step(step, fingerprint)
    reused = is_whole(final) and not run.force
    if not reused:
        with exclusive(run.home.lock(fingerprint)):
            reused = is_whole(final) and not run.force  # another run may have been first
            if not reused:
                _compute(run, step, name, build, final)
    result = StepResult(
        step=step,
        name=name,
        fingerprint=fingerprint,
        folder=final.relative_to(run.home.root).as_posix(),
        manifest=manifest_hash(final),
        reused=reused,
        facts=read_json(final / _FACTS),
    )
    run.record(result)
    return result


def cost_of(folder: Path) -> Cost:
    """What a published folder cost when it was computed."""
    return Cost.model_validate(read_json(folder / META)["cost"])


def _compute(run: Run, step: str, name: str, build: Build, final: Path) -> None:
    limit_threads()
    work = run.home.work(final.name)
    meta: dict[str, Any] = {"step": step, "name": name, "run_id": run.run_id, "scenario": run.scenario.name}
    started = time.monotonic(), time.process_time()
    with written_whole(final, meta) as folder:
        facts = build(folder, work)
        write_json(folder / _FACTS, facts)
        cost = Cost(
            cpu_seconds=round(time.process_time() - started[1], 3),
            wall_seconds=round(time.monotonic() - started[0], 3),
            peak_mebibytes=round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
        )
        meta |= {"cost": cost.model_dump(), "finished": time.time()}
    with suppress(OSError):  # there was none
        vanish(work)  # in one move: half of the checkpoints would mislead a later try


@cache
def code_hash() -> str:
    """Hash of the package's own sources and of the versions of the libraries that compute.

    The command line and the local stack decide no result, so that a new help text computes nothing again.
    """
    root = Path(pipeline.__file__).parent
    paths = [path.relative_to(root) for path in sorted(root.rglob("*.py"))]
    sources = {path.as_posix(): hash_file(root / path) for path in paths if path.parts[0] not in ("cli", "local")}
    return digest({"sources": sources, "libraries": {library: _version(library) for library in _LIBRARIES}})


def device_class() -> str:
    """`cuda` where this process may use a GPU, else `cpu`; found without loading torch."""
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1")
    return "cuda" if Path("/proc/driver/nvidia/version").exists() and not hidden else "cpu"


def limit_threads() -> None:
    """Tell the numeric libraries, before they load, how many threads they have."""
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = str(THREADS)


def _version(library: str) -> str:
    try:
        return version(library)
    except PackageNotFoundError:
        return "absent"
