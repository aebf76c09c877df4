"""`crosslift predict` and `recommend`: requests in, answers out, by the model that serves a scenario."""

import csv
import logging
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pipeline import columns as c
from pipeline.config.files import PACKED
from pipeline.data.pictures import UnreadError, content_of_file
from pipeline.data.readers.files import data_format
from pipeline.errors import CrossliftError, DataError
from pipeline.folders import storage_errors
from pipeline.near import nearest
from pipeline.rows.asked import as_id
from pipeline.rows.behaviour.served import EVENTS
from pipeline.rows.examples.served import UNKNOWN
from pipeline.rows.interactions.filters import CANDIDATES, CATEGORIES
from pipeline.rows.interactions.requests import HISTORY, SOURCE_HISTORY

log = logging.getLogger(__name__)

REQUEST = "request"  # column of all answers: the row of the request, from 0
_LOST = {"ignored": (HISTORY, SOURCE_HISTORY), UNKNOWN: (EVENTS,)}  # what counts the unknown -> the lists that had it
_NAMED = 20  # columns that a message lists
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")  # what a spreadsheet may run when a cell begins with it


def predict(
    model: Path, requests: pd.DataFrame, params: Mapping[str, Any] | None = None, folder: Path | None = None
) -> pd.DataFrame:
    """Answer each row of a table of requests, as `mlflow.pyfunc.load_model(...).predict(...)` does.

    Args:
        model: The MLflow model folder (`pipeline.registry.lookup.model_folder`).
        requests: The columns that the model's signature names; a list of ids may be a text with commas between them.
        params: Those of the signature that are to have other values.
        folder: Where the paths of pictures begin; None: a text holds a picture itself, in base64.

    Raises:
        DataError: a column is missing, a value is not of its type or no list, or the model has no such parameter.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # MLflow warns of its own type hints while it is imported
        from mlflow.exceptions import MlflowException
        from mlflow.pyfunc import load_model

        loaded, given = load_model(str(model)), dict(params or {})
        if unknown := sorted(given.keys() - _params(loaded)):
            known = ", ".join(_params(loaded)) or "none"
            raise DataError(f"{', '.join(unknown)}: expected a parameter of the model, which has {known}.")
        _refuse_unread(loaded, requests)
        _tell_unread(loaded, requests)
        try:
            asked = _with_pictures(loaded, _with_lists(loaded, requests), folder)
            answers = pd.DataFrame(loaded.predict(asked, params=given))
        except MlflowException as error:  # it holds the columns against the signature first
            if isinstance(error.__cause__, CrossliftError):
                raise error.__cause__ from None
            raise DataError(f"request: {str(error).splitlines()[0]}") from None
    _tell_unanswered(answers, requests)
    _tell_unknown(answers, asked)
    return answers


def read_requests(path: Path) -> pd.DataFrame:
    """The rows of a file in any form in which a scenario reads one by its ending; of CSV every value is a text.

    Raises:
        DataError: the file cannot be read, or holds no row.
    """
    from pipeline.data.readers.reading import read_whole

    frame: pd.DataFrame = read_whole(path).to_pandas()
    return frame


def write_answers(answers: pd.DataFrame, path: Path) -> None:
    """Write answers as CSV, Parquet or JSON lines, by the file's ending; whole or not at all.

    Raises:
        DataError: the ending says no format in which answers are written.
    """
    if path.suffix.lower() in PACKED:
        raise DataError(f"{path}: answers are written as they are; leave out {path.suffix}.")
    kind = data_format(path.name, None)
    if kind not in WRITERS:
        raise DataError(f"{path}: answers are written as {', '.join(WRITERS)}, not as {kind}.")
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
    return str(safe.to_csv(index=False, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC))


def defused(value: Any) -> Any:
    """A value that no spreadsheet runs."""
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value


def _params(model: Any) -> list[str]:
    known = model.metadata.get_params_schema()
    return [] if known is None else [one.name for one in known.params]


def _refuse_unread(model: Any, requests: pd.DataFrame) -> None:
    """MLflow leaves out columns that a signature lacks; one of a version of before may lack a filter."""
    read, known = model.metadata.get_input_schema().input_names(), model.unwrap_python_model().model.served.requests
    if lost := sorted(set(known) & set(requests.columns) - set(read)):
        raise DataError(
            f"request: this version of the model was registered before it could be asked for {', '.join(lost)}; run "
            "its scenario again for one that can, or leave the column out."
        )


def _tell_unread(model: Any, requests: pd.DataFrame) -> None:
    """Name columns that the model does not look at, and what each may be the misspelling of."""
    read = list(model.metadata.get_input_schema().input_names())
    unread = [str(name) for name in requests.columns if name not in read]
    if not unread:
        return
    free = [name for name in read if name not in requests]
    near = {name: found for name in unread if (found := nearest(name, free))}
    listed = [f"{name} (is it {near[name]}?)" if name in near else name for name in unread]
    listed.sort(key=lambda one: "(is it " not in one)  # what may be a mistake is not lost among many
    more = f" and {len(listed) - _NAMED} more" if len(listed) > _NAMED else ""
    when = f"; one called {c.TIMESTAMP} would say when each row happened, and without it that is now"
    told = when if c.TIMESTAMP in free else ""
    log.warning("request: the model does not read the columns %s%s%s", ", ".join(listed[:_NAMED]), more, told)


def _tell_unanswered(answers: pd.DataFrame, requests: pd.DataFrame) -> None:
    """Say why a request got no row, which rankings alone can do."""
    if left := len(requests) - answers[REQUEST].nunique():
        asked = [name for name in (CANDIDATES, CATEGORIES) if name in requests and requests[name].notna().any()]
        among = f", among those that {' and '.join(asked)} name," if asked else ""
        log.warning(
            "request: %s of %s got no answer: the model knows no item%s that the user has not taken already",
            f"{left:,}", f"{len(requests):,}", among,
        )  # fmt: skip


def _tell_unknown(answers: pd.DataFrame, asked: pd.DataFrame) -> None:
    """Say that nothing of what a request lists is known: it is answered as if it had not been listed."""
    for lost, columns in _LOST.items():
        named = [name for name in columns if name in asked and any(one is not None and len(one) for one in asked[name])]
        if lost not in answers or not named:
            continue
        count = np.sum([[len(one) if one is not None else 0 for one in asked[name]] for name in named], axis=0)
        row = answers.drop_duplicates(REQUEST)
        strange = row[REQUEST].to_numpy()[(row[lost].to_numpy() > 0) & (row[lost].to_numpy() == count[row[REQUEST]])]
        if len(strange):
            first = next(one for name in named if (one := asked[name].iloc[strange[0]]))
            log.warning(
                "request: in %s of %s the model knows nothing that stands in %s, such as %r in row %s; they are "
                "answered as if it were empty: expected what the tables have, in their spelling",
                f"{len(strange):,}", f"{len(asked):,}", " and ".join(named), first[0], f"{strange[0] + 1:,}",
            )  # fmt: skip


def _with_lists(model: Any, requests: pd.DataFrame) -> pd.DataFrame:
    """The same with a list wherever the model wants one; a file of texts cannot hold any."""
    from mlflow.types.schema import Array

    wanted = [one.name for one in model.metadata.get_input_schema().inputs if isinstance(one.type, Array)]
    listed = {
        name: [_listed(value, f"{name}, row {row}") for row, value in enumerate(requests[name], 1)]
        for name in wanted
        if name in requests
    }
    return requests.assign(**{name: pd.Series(every, requests.index, object) for name, every in listed.items()})


def _with_pictures(model: Any, requests: pd.DataFrame, folder: Path | None) -> pd.DataFrame:
    """The same with the bytes of a file wherever the model wants a picture and its path is given.

    Raises:
        DataError: there is no such file, or the path leads out of the folder.
    """
    wanted = model.unwrap_python_model().model.served.requests
    named = [name for name, kind in wanted.items() if kind == "picture" and name in requests and folder is not None]
    read = {name: [_content(folder, value, name, row) for row, value in enumerate(requests[name])] for name in named}
    return requests.assign(**{name: pd.Series(every, requests.index, object) for name, every in read.items()})


def _content(folder: Path | None, value: Any, name: str, row: int) -> Any:
    if folder is None or not isinstance(value, str) or not value:
        return value
    try:
        return content_of_file(folder.resolve(), value)
    except (UnreadError, DataError) as error:
        told = f"expected a picture, got {value!r}: {error}."
        raise DataError(f"request: column {name!r}, row {row + 1}: {told}") from None


def _listed(value: Any, name: str) -> list[str] | None:
    """A list of texts; a number stands for its digits, as it does in tables."""
    if isinstance(value, str):
        return _of_text(value, name)
    if isinstance(value, list | tuple | np.ndarray):
        texts = [as_id(part, name) for part in value]
        if None in texts:
            raise DataError(
                f"{name}: expected a text or a number at each place of a list, got nothing; leave it out, and what "
                "stands at the same place of lists beside it."
            )
        return [one for one in texts if one is not None]
    one = as_id(value, name)
    return None if one is None else [one]


def _of_text(value: str, name: str) -> list[str] | None:
    """What stands between commas; an empty place would move all after it beside what belongs to another one."""
    if value.lstrip().startswith(("['", '["')):
        raise DataError(f"{name}: expected ids with commas between them, such as B01,B02; got {value[:40]!r}.")
    try:
        listed = [one.strip() for one in next(csv.reader([value], skipinitialspace=True), [])]
    except csv.Error as error:
        raise DataError(f"{name}: expected ids with commas between them, got another text ({error}).") from None
    if not any(listed):
        return None  # as a cell that is empty
    if "" in listed:
        raise DataError(f"{name}: expected an id at each place between commas, place {listed.index('') + 1} is empty.")
    return listed


WRITERS: dict[str, Callable[[pd.DataFrame, Any], Any]] = {
    "csv": lambda answers, path: path.write_text(as_csv(answers), encoding="utf-8"),
    "parquet": lambda answers, path: answers.to_parquet(path, index=False, compression="zstd"),
    "jsonl": lambda answers, path: answers.to_json(path, orient="records", lines=True, force_ascii=False),
}
