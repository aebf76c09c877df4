"""Checkpoints with their hash beside them: which are kept, which one a fit goes on from, and the best one's weights."""

import logging
import shutil
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning.callbacks import ModelCheckpoint
from pytorch_lightning.plugins.io import TorchCheckpointIO

from pipeline.errors import StorageError
from pipeline.folders import hash_file, read_json, write_json
from pipeline.training.module import MONITOR

log = logging.getLogger(__name__)


class HashedCheckpoints(TorchCheckpointIO):
    """Writes each checkpoint's hash after it: one without its hash, or with another, was not written whole."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None) -> None:
        """Write the checkpoint in one move, then its hash in another."""
        _hash_place(Path(path)).unlink(missing_ok=True)
        super().save_checkpoint(checkpoint, path, storage_options)
        write_json(_hash_place(Path(path)), hash_file(Path(path)))

    def remove_checkpoint(self, path: Any) -> None:
        """Remove both."""
        _hash_place(Path(path)).unlink(missing_ok=True)
        super().remove_checkpoint(path)


def savers(work: Path, *, chosen: bool, every: int) -> list[ModelCheckpoint]:
    """Make what keeps the last two of every so many epochs and, where a metric chooses, the weights of the best two.

    Two, because the epoch before the last goes on with the best before it where the last is damaged. Of equally good
    epochs the first stays.
    """
    how: dict[str, Any] = {
        "mode": "max", "save_top_k": 2, "every_n_epochs": every, "save_on_train_epoch_end": True,
        "auto_insert_metric_name": False, "enable_version_counter": False,
    }  # fmt: skip
    last = ModelCheckpoint(work, "epoch{epoch:04d}", "epoch", **how)
    best = ModelCheckpoint(work, "best{epoch:04d}", MONITOR, save_weights_only=True, **how)
    return [last, best] if chosen else [last]


def last_checkpoint(work: Path, curves: str, *, chosen: bool) -> Path | None:
    """Find the newest whole checkpoint whose best epoch is there whole too; what is newer and damaged is set aside.

    Args:
        work: Where the checkpoints lie.
        curves: The key under which a checkpoint holds the metrics of its epochs.
        chosen: Whether a metric chooses among them, so that the best is needed.
    """
    for path in sorted(work.glob("epoch*.ckpt"), reverse=True):
        if why := _damage(path):
            _set_aside(path, why)
            continue
        state: dict[str, Any] = torch.load(path, weights_only=True)
        best = best_epoch(state["callbacks"][curves]["rows"])[0] if chosen else None
        if best is None or not (why := _damage(_best_place(work, best))):
            return path
        _set_aside(path, f"it needs the best epoch, and {why}")
    return None


def copy_checkpoint(work: Path, other: Path, epochs: int) -> None:
    """Let a fit of so many epochs in another folder go on from the newest checkpoint here that is not beyond them.

    A copy that was cut off has no hash, and is set aside like any other.
    """
    found = [path for path in sorted(work.glob("epoch*.ckpt")) if int(path.stem.removeprefix("epoch")) < epochs]
    if not found or any(other.glob("epoch*.ckpt")):
        return
    other.mkdir(parents=True, exist_ok=True)
    for path in (found[-1], _hash_place(found[-1])):
        if path.exists():
            shutil.copyfile(path, other / path.name)


def best_weights(work: Path, epoch: int) -> dict[str, torch.Tensor]:
    """Read the weights of the best epoch.

    Raises:
        StorageError: they are damaged; a fit that is asked for again goes on from before them.
    """
    path = _best_place(work, epoch)
    if why := _damage(path):
        raise StorageError(
            f"{path}: the checkpoint of the best epoch was damaged while training went on ({why}). Nothing was "
            "published; repeat the command, and the fit makes that epoch again."
        )
    weights: dict[str, torch.Tensor] = torch.load(path, weights_only=True)["state_dict"]
    return weights


def best_epoch(rows: list[dict[str, Any]]) -> tuple[int | None, float | None]:
    """Find the epoch with the best metric, the first of equal ones, and its metric; None where nothing was measured."""
    scored = [(row["value"], -row["epoch"]) for row in rows if row["key"] == MONITOR]
    if not scored:
        return None, None
    value, negative = max(scored)
    return -negative, value


def _best_place(work: Path, epoch: int) -> Path:
    return work / f"best{epoch:04d}.ckpt"


def _hash_place(path: Path) -> Path:
    return path.with_name(f"{path.name}.sha256.json")


def _damage(path: Path) -> str:
    """Say why a checkpoint cannot be used; empty where it can."""
    try:
        return "" if read_json(_hash_place(path)) == hash_file(path) else f"{path.name} does not have its hash"
    except (OSError, StorageError):
        return f"{path.name} or its hash is missing or cannot be read"


def _set_aside(path: Path, why: str) -> None:
    aside = path.with_suffix(".damaged")
    path.rename(aside)
    _hash_place(path).unlink(missing_ok=True)
    log.warning("%s cannot be used (%s); it is now %s, and training goes on from before it.", path, why, aside.name)
