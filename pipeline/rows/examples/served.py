"""What serves examples: rows with the declared features in, the label with its probability out.

Shapes: n requests, K classes.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pydantic import TypeAdapter, ValidationError

from pipeline import columns as c
from pipeline.config import BinaryTask, ExamplesTask, MulticlassTask, MultilabelTask, RegressionTask, TaskConfig
from pipeline.config.tasks import Task
from pipeline.data.pictures import Pictures
from pipeline.data.tables import Type
from pipeline.data.tokens import stable_hash
from pipeline.data.values.spelling import one_spelling
from pipeline.errors import ConfigError, DataError, StorageError
from pipeline.rows.asked import as_met, as_pseudonyms
from pipeline.rows.examples.carried import carried
from pipeline.rows.examples.explaining import explanations
from pipeline.rows.examples.past import EVENTS, Events, hashed, read_events, told_of, write_events
from pipeline.rows.examples.prepared import Examples, class_names, features_of
from pipeline.rows.examples.tables import TYPES
from pipeline.rows.examples.tags import joined
from pipeline.rows.examples.typical import typical_of
from pipeline.rows.kind import EXPLAIN, EXPLANATION, Carried, PackageInfo
from pipeline.rows.learnt import Learnt
from pipeline.rows.reading import read_as
from pipeline.views import FEATURES, Features

UNKNOWN, THRESHOLD, PROBABILITY = "unknown", "threshold", "probability"
Hashes = NDArray[np.uint64]


@dataclass(frozen=True)
class ServedExamples:
    """A package in memory.

    Args:
        info: What the package is.
        predictor: The evaluated model.
        task: What the columns are.
        values: Hashes of the values that each category had in training, sorted.
        learnt: The rows that were learnt from.
        typical: Requests that show how it is asked.
        events: When something happened to the values of each entity, as far as the model's tables go.
    """

    info: PackageInfo
    predictor: Any
    task: ExamplesTask
    values: Mapping[str, Hashes]
    learnt: Learnt
    typical: Sequence[Mapping[str, Any]]
    events: Mapping[str, Events] = field(default_factory=dict)

    @property
    def requests(self) -> dict[str, str]:
        """The features, and a name for the row that comes back with the answer."""
        dated = (c.TIMESTAMP,) if self.task.entities else ()
        features = {name: "picture" if kind == "image" else "any" for name, kind in self.task.features.items()}
        return {**features, **dict.fromkeys((*self.task.entities, *dated, c.ROW), "any")}

    def answer(self, frame: pd.DataFrame, params: Mapping[str, Any]) -> pd.DataFrame:
        """Predict the label of each row.

        Args:
            frame: A column for each declared feature and entity, in any order; an empty value is one that is not known;
                of a picture the bytes, or a text that holds them in base64. Other columns are not looked at, but for
                `row_id` and, with entities, `timestamp`: only what lies before it counts. Without one it is now, and
                how many hours ago the last was is not known.
            params: `explain`: how many features are named that say most; none: nothing is explained.

        Returns:
            request (row number from 0), row_id where it was given, the label under its name, `probability` (of the
            class that is looked for; of several classes, of the one that is told, and one column for each; of tags one
            column for each), `threshold` (from which yes is told), `unknown` (how many categories have a value that no
            row had when the model learnt), and `explanation` where one is asked for. Of a further label the same
            stand under its name, and under its name with `_probability` and so on.

        Raises:
            DataError: a feature is missing, or a value is not of its type; the message names column and row.
        """
        features = self._read(frame)
        told: dict[str, Any] = {"request": np.arange(len(frame))}
        if c.ROW in frame:
            told[c.ROW] = [None if pd.isna(one) else str(one) for one in frame[c.ROW]]
        labels = {"" if task.label == self.task.label else f"{task.label}_": task for task in self.task.each}
        for prefix, task in labels.items():
            own = ANSWERS[type(task)](self._of(task), task, features)
            told |= {key if key == task.label else f"{prefix}{key}": value for key, value in own.items()}
        told[UNKNOWN] = self._unknown(features)
        if most := int(params.get(EXPLAIN) or 0):  # MLflow lets None pass
            for prefix, task in labels.items():
                parts = self._of(task).explained(features)
                told[f"{prefix}{EXPLANATION}"] = explanations(features, parts.features, parts.words, most)
        return pd.DataFrame(told)

    def _of(self, task: ExamplesTask) -> Any:
        """What predicts one label."""
        return self.predictor.of_label(task.label) if self.task.also else self.predictor

    def on(self, prepared: Examples) -> Any:
        """The model: what it reads of a row is the same every night.

        Raises:
            ConfigError: the other night's target is another domain, or its rows have other columns.
        """
        if prepared.name != self.info.target:
            raise ConfigError(
                f"target: {self.info.scenario} now names {prepared.name!r}, but the model that serves is of "
                f"{self.info.target!r}; give the changed scenario a name of its own."
            )
        if prepared.task.as_rows() != self.task.as_rows():
            raise ConfigError(
                f"task: {self.info.scenario} now declares other columns than the model that serves was made for "
                "(label, how it is read, features or groups); give the changed scenario a name of its own, or take "
                f"what serves out of service: `crosslift models retire crosslift.{self.info.scenario}`."
            )
        return self.predictor

    def carried(self, task: TaskConfig) -> Carried:
        """What says the labels of another task; see `pipeline.rows.examples.carried`."""
        return carried(self.predictor, self.task, task)

    def examples(self) -> list[dict[str, Any]]:
        """A row of the most frequent values, and one of which nothing is known."""
        return [dict(one) for one in self.typical]

    def _read(self, frame: pd.DataFrame) -> Features:
        wanted = (*self.task.features, *self.task.entities)
        if missing := [name for name in wanted if name not in frame]:
            raise DataError(
                f"request: the columns {', '.join(missing)} are missing; expected {', '.join(wanted)}, "
                "where an empty value is one that is not known."
            )
        if frame.empty:
            raise DataError("request: expected at least one row, got none.")
        brought = Pictures.of_requests()
        read = {name: self._read_as(frame, TYPES[kind], name, brought) for name, kind in self.task.features.items()}
        if c.USER in read:
            read[c.USER] = self._as_written(read[c.USER])
        read |= {name: as_met(read[name], met) for name, met in self.values.items() if name != c.USER}
        for name, kind in self.task.features.items():
            if kind == "number" and (far := np.flatnonzero(np.isinf(read[name].to_numpy(dtype=np.float64)))).size:
                raise DataError(f"request: column {name!r}, row {far[0] + 1}: expected a finite number.")
        features = features_of(pd.DataFrame(read).assign(**self._past(frame)), self.task, past=True)
        return replace(features, pictures=brought.kept)

    def _read_as(
        self, frame: pd.DataFrame, kind: Type, name: str, pictures: Pictures | None = None
    ) -> "pd.Series[Any]":
        return read_as(frame[name], kind, name, self.info.reading, pictures)

    def _past(self, frame: pd.DataFrame) -> dict[str, Any]:
        """What happened before each row, or until now."""
        ids = {name: hashed(self._as_written(self._read_as(frame, "id", name))) for name in self.task.entities}
        if c.TIMESTAMP in frame and ids:
            ids[c.TIMESTAMP] = self._read_as(frame, "time", c.TIMESTAMP)
        return told_of(pd.DataFrame(ids, index=range(len(frame))), self.events, self.task, now=True)

    def _as_written(self, values: "pd.Series[Any]") -> "pd.Series[Any]":
        """Ids as ingest wrote them: in one spelling, and users by their pseudonyms."""
        name = str(values.name)
        spelt = one_spelling(pa.array(values, pa.string(), from_pandas=True), self.info.alike.get(name, ()))
        found = pd.Series(spelt.to_pylist(), dtype=object, name=name)
        happened = self.events[name].value if name in self.events else np.empty(0, dtype=np.uint64)
        if name == c.USER and not self.info.pseudonymous:
            known = np.concatenate([happened, self.values.get(name, np.empty(0, dtype=np.uint64))])
            plain = found.notna().to_numpy() & ~np.isin(stable_hash(found.fillna("")), known)
            if plain.any():
                found[plain] = as_pseudonyms(found[plain].tolist(), self.info)
            return found
        return as_met(found, happened)

    def _unknown(self, features: Features) -> NDArray[np.int64]:
        unknown = np.zeros(len(features.table), dtype=np.int64)
        for name in features.of("category"):
            values = features.table[name]
            there = values.notna().to_numpy()
            hashed = stable_hash(values[there].astype(str))
            unknown[there] += ~np.isin(hashed, self.values.get(name, np.empty(0, dtype=np.uint64)))
        return unknown


class ServeExamples:
    """Packages that predict a label."""

    params: ClassVar[Mapping[str, int]] = {EXPLAIN: 0}
    example_params: ClassVar[Mapping[str, int]] = {}

    def write(self, folder: Path, prepared: Examples, before: Learnt) -> None:
        """Write what the columns are and which values were met; nothing of any one row, but hashes of their names."""
        task, views = prepared.task, prepared.training()
        tables = [view.fields[FEATURES].table for view in views.values()]
        categories = [name for name, kind in task.features.items() if kind == "category"]
        met = {}
        for name in categories:
            values_of = pd.concat([one[name] for one in tables]).dropna().astype(str)
            met[name] = np.unique(stable_hash(values_of.drop_duplicates()))
        values = pa.table({
            "feature": pa.array(np.repeat(np.array(categories, dtype=object), [len(met[one]) for one in categories]),
                                pa.string()),
            "value": pa.array(np.concatenate([np.empty(0, dtype=np.uint64), *met.values()]), pa.uint64()),
        })  # fmt: skip
        pq.write_table(values, folder / "values.parquet", compression="zstd")
        named = {name: prepared.names(name, view.take(view.known)) for name, view in views.items()}
        (Learnt.of(named) | before).write(folder)
        write_events(prepared.events, folder / EVENTS)
        (folder / "task.json").write_text(task.model_dump_json(indent=1), encoding="utf-8")
        wanted = (*task.features, *task.entities)
        known = typical_of(views[prepared.name].fields[FEATURES])
        shown = {name: known[name] for name in known.keys() - set(prepared.personal)}
        typical = [{name: shown.get(name) for name in wanted}, dict.fromkeys(wanted)]
        (folder / "requests.json").write_text(json.dumps(typical, indent=1, allow_nan=False), encoding="utf-8")

    def read(self, folder: Path, info: PackageInfo, predictor: Any) -> ServedExamples:
        """Read what `write` wrote.

        Raises:
            StorageError: a file is missing or damaged.
        """
        try:
            task = TypeAdapter(Task).validate_json((folder / "task.json").read_text(encoding="utf-8"))
            typical = json.loads((folder / "requests.json").read_text(encoding="utf-8"))
            values, learnt = pd.read_parquet(folder / "values.parquet"), Learnt.read(folder, info.domains)
            happened = read_events(folder / EVENTS, task.entities) if isinstance(task, ExamplesTask) else {}
        except (OSError, ValidationError, ValueError, pa.ArrowInvalid) as error:
            raise StorageError(f"{folder}: expected a package of a served model ({error}).") from error
        assert isinstance(task, ExamplesTask)
        met = {str(name): one["value"].to_numpy() for name, one in values.groupby("feature", observed=True)}
        return ServedExamples(info, predictor, task, met, learnt, typical, happened)


def _binary(predictor: Any, task: ExamplesTask, features: Features) -> dict[str, Any]:
    """Whether it is so, and how probable that is, also where all that was learnt from was of one class."""
    assert isinstance(task, BinaryTask)
    probabilities_nK = predictor.probabilities(features)
    classes = np.array(predictor.classes, dtype=object)
    places = np.flatnonzero(classes == class_names(task)[1])
    probability = probabilities_nK[:, places[0]] if len(places) else np.zeros(len(probabilities_nK))
    told = classes[predictor.decided(probabilities_nK)]
    return {task.label: told, PROBABILITY: probability, THRESHOLD: predictor.threshold}


def _several(predictor: Any, task: ExamplesTask, features: Features) -> dict[str, Any]:
    probabilities_nK = predictor.probabilities(features)
    classes, place_n = np.array(predictor.classes, dtype=object), predictor.decided(probabilities_nK)
    each = {f"{PROBABILITY}_{name}": probabilities_nK[:, k] for k, name in enumerate(classes)}
    return {task.label: classes[place_n], PROBABILITY: probabilities_nK[np.arange(len(place_n)), place_n], **each}


def _tags(predictor: Any, task: ExamplesTask, features: Features) -> dict[str, Any]:
    """The tags that are told, as a label spells them, and the probability of each tag."""
    assert isinstance(task, MultilabelTask)
    probabilities_nK = predictor.probabilities(features)
    each = {f"{PROBABILITY}_{name}": probabilities_nK[:, k] for k, name in enumerate(predictor.classes)}
    return {task.label: joined(predictor.decided(probabilities_nK), predictor.classes, task), **each}


def _numbers(predictor: Any, task: ExamplesTask, features: Features) -> dict[str, Any]:
    return {task.label: predictor.values(features)}


# config class of a task -> what is told of each row
ANSWERS: dict[type[ExamplesTask], Callable[[Any, ExamplesTask, Features], dict[str, Any]]] = {
    BinaryTask: _binary,
    MulticlassTask: _several,
    MultilabelTask: _tags,
    RegressionTask: _numbers,
}
