"""A step as a transaction: looked up by its fingerprint, else computed and published whole."""

import os
import resource
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, Protocol, TypeVar

from pydantic import BaseModel, ValidationError

from pipeline.config import Settings
from pipeline.errors import StorageError
from pipeline.folders import (
    META,
    digest,
    exclusive,
    manifest_hash,
    read_json,
    vanish,
    write_json,
    written_whole,
)
from pipeline.integrity import damage, set_aside
from pipeline.results import Cost, F, Step, StepResult
from pipeline.runs.fingerprint import code_hash, device_class
from pipeline.runs.run import Run
from pipeline.runs.telling import tell

THREADS = 1  # one BLAS thread a worker: lanes run beside each other, and one thread sums in one order
FACTS = "facts.json"


class _Meta(BaseModel):
    """What is read of a meta file."""

    cost: Cost
    finished: float  # seconds since 1970


class Identified(Protocol):
    """Something that a step reads; equal identities mean equal content."""

    @property
    def identity(self) -> str: ...  # noqa: D102


I = TypeVar("I", bound=Identified)  # noqa: E741
S = TypeVar("S", bound=Settings)

# (settings, inputs, folder to write to, folder for checkpoints) -> facts
Build = Callable[[S, Mapping[str, I], Path, Path], F]


def transact(
    run: Run, step: Step[F], build: Build[S, I, F], settings: S, inputs: Mapping[str, I], name: str = ""
) -> StepResult[F]:
    """Publish a step's folder, or reuse the one that equal inputs, settings, code and seed gave before.

    A folder is reused only if every file in it is still what was published; a damaged one is set aside.

    Args:
        run: The run that gets the result.
        step: Which step.
        build: Writes the artifacts; a function of a module, which imports what is heavy only when called. What it gets
            is what the fingerprint is made of, and it reads nothing else.
        settings: What it may read of the scenario.
        inputs: What it reads of earlier steps or from outside.
        name: The lane or domain.

    Raises:
        StorageError: the disk is full or the folder cannot be written; nothing is published.
    """
    run.forget(step, name)
    fingerprint = digest(
        {"step": step.name, "name": name, "inputs": {key: one.identity for key, one in inputs.items()},
         "settings": settings.model_dump(mode="json"), "code": code_hash(_module(build)), "threads": THREADS,
         "device": device_class()}
    )[:32]  # fmt: skip
    final = run.home.step(step.name, fingerprint)
    reused = final.exists() and not run.force and not _damage(final)
    if not reused:
        with exclusive(run.home.lock(fingerprint)):
            reused = not run.force and _is_whole(final)  # another run may have been first
            if not reused:
                _compute(run, step, name, partial(build, settings, inputs), final)
    result = StepResult[Any](
        step=step.name,
        name=name,
        fingerprint=fingerprint,
        folder=final.relative_to(run.home.root).as_posix(),
        manifest=manifest_hash(final),
        reused=reused,
        facts=facts_of(step, final),
    )
    run.record(result)
    tell(run, result)
    return result


def facts_of(step: Step[F], folder: Path) -> F:
    """What a step told beside the artifacts of a published folder."""
    return step.facts.model_validate(read_json(folder / FACTS), extra="ignore")  # an older one may have told more


def cost_of(folder: Path) -> Cost:
    """What a published folder cost when it was computed."""
    return _Meta.model_validate(read_json(folder / META)).cost


def _is_whole(final: Path) -> bool:
    """Whether a published folder is there and can be used; a damaged one is set aside."""
    if not final.exists():
        return False
    if why := _damage(final):
        set_aside(final, why)
    return not why


def _damage(final: Path) -> str:
    """Say why a published folder cannot be used; empty where it can."""
    if why := damage(final):
        return why
    try:
        cost_of(final)
    except (StorageError, ValidationError) as error:
        return f"{META}: expected cost and time of a step ({type(error).__name__})"
    return ""


def _compute(run: Run, step: Step[F], name: str, build: Callable[[Path, Path], F], final: Path) -> None:
    limit_threads()
    work = run.home.work(final.name)
    meta: dict[str, Any] = {"step": step.name, "name": name, "run_id": run.run_id, "scenario": run.scenario.name}
    started = time.monotonic(), time.process_time()
    with written_whole(final, meta) as folder:
        facts = build(folder, work)
        write_json(folder / FACTS, facts.model_dump(mode="json"))
        cost = Cost(
            cpu_seconds=round(time.process_time() - started[1], 3),
            wall_seconds=round(time.monotonic() - started[0], 3),
            peak_mebibytes=round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
        )
        meta |= {"cost": cost.model_dump(), "finished": time.time()}
    with suppress(OSError):  # there was none
        vanish(work)  # in one move: half of the checkpoints would mislead a later try


def limit_threads() -> None:
    """Tell the numeric libraries, before they load, how many threads they have."""
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = str(THREADS)


def _module(build: Callable[..., object]) -> str:
    """Where the function that computes is defined."""
    return _module(build.func) if isinstance(build, partial) else str(build.__module__)
