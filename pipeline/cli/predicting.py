"""`crosslift predict`: a file of requests in, a file of answers out, by the model that serves a scenario."""

import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd

from pipeline.cli.recommending import defused
from pipeline.config.files import PACKED
from pipeline.data.files import data_format
from pipeline.errors import CrossliftError, DataError
from pipeline.folders import storage_errors


def predict(model: Path, requests: pd.DataFrame) -> pd.DataFrame:
    """Answer each row of a table of requests.

    Args:
        model: The MLflow model folder (`pipeline.registry.lookup.model_folder`).
        requests: The columns that the model's signature names.

    Raises:
        DataError: a column is missing, or a value is not of its type.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # MLflow warns of its own type hints while it is imported
        from mlflow.exceptions import MlflowException
        from mlflow.pyfunc import load_model

        try:
            return pd.DataFrame(load_model(str(model)).predict(requests))
        except MlflowException as error:  # it holds the columns against the signature first
            if isinstance(error.__cause__, CrossliftError):
                raise error.__cause__ from None
            raise DataError(f"request: {str(error).splitlines()[0]}") from None


def read_requests(path: Path) -> pd.DataFrame:
    """The rows of a CSV, Parquet or JSON lines file; every value of CSV is a text, an empty one is none.

    Raises:
        DataError: the file cannot be read, or holds no row.
    """
    kind = _kind(path)
    try:
        frame = READERS[kind](path)
    except FileNotFoundError:
        raise DataError(f"{path}: there is no such file.") from None
    except Exception as error:  # each library has its own
        raise DataError(f"{path}: expected a whole file of {kind} ({str(error).splitlines()[0]}).") from error
    if frame.empty:
        raise DataError(f"{path}: the table has no rows.")
    return frame


def write_answers(answers: pd.DataFrame, path: Path) -> None:
    """Write answers as CSV, Parquet or JSON lines, by the file's ending; whole or not at all.

    Raises:
        DataError: the ending says no format.
    """
    if path.suffix.lower() in PACKED:
        raise DataError(f"{path}: answers are written as they are; leave out {path.suffix}.")
    kind = _kind(path)
    with storage_errors(path.parent):
        half = path.with_name(f".{path.name}.half")
        try:
            WRITERS[kind](answers, half)
            half.replace(path)
        finally:
            half.unlink(missing_ok=True)


def as_csv(answers: pd.DataFrame) -> str:
    """Answers as CSV; a cell that a spreadsheet would take for a formula gets an apostrophe before it."""
    texts = answers.select_dtypes(include=["object", "str"]).columns
    safe = answers.assign(**{name: answers[name].map(defused) for name in texts})
    return str(safe.to_csv(index=False, lineterminator="\n"))


def _kind(path: Path) -> str:
    kind = data_format(path.name, None)
    if kind not in READERS:
        raise DataError(f"{path}: expected CSV, Parquet or JSON lines, got {kind}.")
    return kind


def _csv(path: Path) -> pd.DataFrame:
    with warnings.catch_warnings():
        warnings.simplefilter("error", pd.errors.ParserWarning)  # rows longer than the header would lose their end
        return pd.read_csv(
            path, dtype=str, keep_default_na=False, na_values=[""], encoding="utf-8-sig", index_col=False
        )


READERS: dict[str, Callable[[Path], pd.DataFrame]] = {
    "csv": _csv,
    "parquet": pd.read_parquet,
    "jsonl": lambda path: pd.DataFrame([json.loads(line) for line in path.read_text("utf-8-sig").splitlines() if line]),
}
WRITERS: dict[str, Callable[[pd.DataFrame, Any], Any]] = {
    "csv": lambda answers, path: path.write_text(as_csv(answers), encoding="utf-8"),
    "parquet": lambda answers, path: answers.to_parquet(path, index=False, compression="zstd"),
    "jsonl": lambda answers, path: answers.to_json(path, orient="records", lines=True, force_ascii=False),
}
