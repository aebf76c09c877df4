"""A candidate with all that it needs to serve: one folder of JSON, safetensors and Parquet, nothing pickled."""

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from pydantic import ValidationError

from pipeline.errors import StorageError
from pipeline.integrity import refuse_damaged
from pipeline.models.load import FILES, load_ranker
from pipeline.rows.kind import PackageInfo, Served
from pipeline.rows.learnt import NOTHING, Learnt
from pipeline.tasks.serving import serving_of

EXAMPLE = "example.json"  # a request and its answer, so that any process can prove that the package still works


@dataclass(frozen=True)
class ServedModel:
    """A package in memory.

    Args:
        info: What the package is.
        served: What answers, with all that it knows.
    """

    info: PackageInfo
    served: Served

    @classmethod
    def read(cls, folder: Path) -> "ServedModel":
        """Read a published package, after every file of it was held against its manifest.

        Raises:
            StorageError: a file is missing or damaged, or is not of the package; it is named.
        """
        refuse_damaged(folder, "package of a served model")
        return cls._load(folder)

    @classmethod
    def _load(cls, folder: Path) -> "ServedModel":
        try:
            info = PackageInfo.model_validate_json((folder / "package.json").read_text(encoding="utf-8"))
        except (OSError, ValidationError) as error:
            raise StorageError(f"{folder}: expected a package of a served model ({error}).") from error
        return cls(info, serving_of(info.task).read(folder, info, load_ranker(folder)))

    def answer(self, frame: pd.DataFrame, params: Mapping[str, Any] | None = None) -> pd.DataFrame:
        """Answer requests, one a row; parameters that are not given have their usual values."""
        return self.served.answer(frame, {**serving_of(self.info.task).params, **(params or {})})


def write_package(folder: Path, prepared: Any, candidate: Path, info: PackageInfo, before: Learnt = NOTHING) -> None:
    """Write a candidate as a package; equal inputs give equal bytes.

    Args:
        folder: Where to write; exists.
        prepared: The prepared domains that the candidate was fitted on.
        candidate: The candidate's folder.
        info: What the package says about itself.
        before: The rows that what the candidate began with had learnt from.
    """
    for name in FILES:
        shutil.copyfile(candidate / name, folder / name)
    serving_of(info.task).write(folder, prepared, before)
    (folder / "package.json").write_text(info.model_dump_json(indent=1), encoding="utf-8")
    model = ServedModel._load(folder)
    requests, params = model.served.examples(), serving_of(info.task).example_params
    answer = rows_of(model.answer(pd.DataFrame(requests), params))
    example = {"requests": requests, "params": dict(params), "answer": answer}
    (folder / EXAMPLE).write_text(json.dumps(example, sort_keys=True, indent=1, allow_nan=False), encoding="utf-8")


def read_example(folder: Path) -> dict[str, Any]:
    """Read the request that a package was tried with: `requests` (rows), `params`, `answer` (rows)."""
    value: dict[str, Any] = json.loads((folder / EXAMPLE).read_text(encoding="utf-8"))
    return value


def rows_of(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Turn a frame into plain JSON values, one mapping a row; what is missing is None."""
    return [
        {str(key): None if value is pd.NA or value != value else value for key, value in row.items()}  # noqa: PLR0124
        for row in frame.to_dict("records")
    ]
