"""Replaying into MLflow what a run wrote to local files, once; a night on which nothing changed finds its run there."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.folders import Home
from pipeline.registry.pages import KIND
from pipeline.registry.tracking import experiment_id, metric_key, reached

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Metric, Run

FINGERPRINT = "crosslift.fingerprint"  # of one run: a repeat after a crash completes it
NIGHT = "crosslift.night"  # of what a run says: another one that says the same is not logged again
RUN_ID = "crosslift.run_id"
SERVING = "serving"  # the version that served at the end; with it all is told of a run
REUSED = "crosslift.reused_from"  # the nested run that tells how this lane was computed
_COMPUTED = "crosslift.computed"  # the folder whose computation a nested run tells
_LOGGED = "crosslift.logged"  # comes last: a run without it is completed by the next try
_STEP = "crosslift.lane"
_PARENT, NOTE = "mlflow.parentRunId", "mlflow.note.content"
_METRICS, _PARAMS = 900, 90  # MLflow takes up to 1000 and 100 at a time


@dataclass(frozen=True)
class StepLog:
    """What is logged of a fitted lane, or of a model that lanes begin with.

    Args:
        name: The lane, or the step with its name.
        run_name: What the nested run is called.
        identity: Hash of the folder's manifest.
        params: All its settings.
        metrics: Its figures.
        finished: When it was computed, in seconds since 1970.
        seconds: How long that took.
        curves: (name, epochs done, value) of each.
        start: Name of the model that it began with; empty: none.
        lane: It was judged in this run, so that it is told of also where it was reused.
    """

    name: str
    run_name: str
    identity: str
    params: Mapping[str, Any]
    metrics: Mapping[str, float]
    finished: float
    seconds: float
    curves: tuple[tuple[str, int, float], ...] = ()
    start: str = ""
    lane: bool = True


@dataclass(frozen=True)
class DataLog:
    """A domain's rows: name, digest of up to 36 characters, where they lie, and how many there are of what."""

    name: str
    digest: str
    place: str
    profile: Mapping[str, int]


@dataclass(frozen=True)
class RunLog:
    """What is logged of one pipeline run; equal fingerprints are logged once. `began`: seconds since 1970."""

    experiment: str
    name: str
    run_id: str
    began: float
    fingerprint: str
    night: str
    params: Mapping[str, Any]
    tags: Mapping[str, str]
    metrics: Mapping[str, float]
    scenario: Mapping[str, Any] = field(default_factory=dict)
    data: tuple[DataLog, ...] = ()
    artifacts: tuple[Path, ...] = ()  # files and folders
    steps: tuple[StepLog, ...] = ()  # each after those that it begins with


@dataclass(frozen=True)
class Logged:
    """Where MLflow tells of a run: the experiment's id, the parent run with its name, and by step the run that tells.

    `run_id` is the pipeline run that was logged there.
    """

    experiment: str
    parent: str
    name: str
    run_id: str
    steps: Mapping[str, str]

    def link(self, step: str = "") -> str:
        """A link to the run of a step, else to the parent run, for a text on a page of MLflow."""
        if step:
            return _link(self.experiment, self.steps[step], step)
        return _link(self.experiment, self.parent, self.name)


def find_repeated(
    client: "MlflowClient", home: Home, experiment: str, night: str, serving: int | None
) -> Logged | None:
    """Find the newest run that says what a night says, if at its end served what serves now; else None.

    Raises:
        StorageError: the store cannot be reached.
    """
    with reached(client.tracking_uri):
        found = _find(client, experiment_id(client, home, experiment), {NIGHT: night})
        if found is None or found.data.tags.get(SERVING) != told_serving(serving):
            return None
        return _logged(client, found)


def told_serving(version: int | None) -> str:
    """Spell the version that serves, for a tag."""
    return "none" if version is None else str(version)


def log_run(client: "MlflowClient", home: Home, log: RunLog) -> Logged:
    """Replay a run into MLflow: a parent run with pages and data, a nested run for each lane and for what was fitted.

    A second call with the same fingerprint logs nothing; one after a crash completes what was begun. Runs are ended
    before anything is logged to them, so that a crash leaves none RUNNING. A lane that an earlier run computed gets its
    figures and a link to that one's curves.

    Raises:
        StorageError: the store cannot be reached.
    """
    from mlflow.entities import RunTag

    with reached(client.tracking_uri):
        experiment = experiment_id(client, home, log.experiment)
        parent = _find(client, experiment, {FINGERPRINT: log.fingerprint})
        if parent is not None and parent.data.tags.get(_LOGGED):
            return _logged(client, parent)
        if parent is None:
            tags = {FINGERPRINT: log.fingerprint, NIGHT: log.night, RUN_ID: log.run_id, **log.tags}
            parent = client.create_run(experiment, int(log.began * 1000), tags, log.name)
        ended = parent.info.end_time or int(time.time() * 1000)
        client.set_terminated(parent.info.run_id, "FINISHED", ended)
        children = _children(client, parent)
        steps: dict[str, str] = {}
        for step in log.steps:
            steps[step.name] = _log_step(client, parent, children.get(step.name), step, steps)
        _log_data(client, parent, log.data)
        if log.scenario:
            client.log_dict(parent.info.run_id, dict(log.scenario), "scenario.yaml")
        for path in log.artifacts:
            client.log_artifact(parent.info.run_id, str(path))
        _log(client, parent.info.run_id, log.params, _points(log.metrics, ended))
        client.log_batch(parent.info.run_id, tags=[RunTag(_LOGGED, "true")])
    return Logged(experiment, parent.info.run_id, log.name, log.run_id, steps)


def _log_step(
    client: "MlflowClient", parent: "Run", child: "Run | None", step: StepLog, known: Mapping[str, str]
) -> str:
    """Log a nested run unless it is there; gives its id, or that of the one that tells of the step already."""
    from mlflow.entities import RunTag

    experiment = parent.info.experiment_id
    if child is None:
        origin = _find(client, experiment, {_COMPUTED: step.identity, _LOGGED: "true"})
        if origin is not None and not step.lane:
            return str(origin.info.run_id)
        tags = {_PARENT: parent.info.run_id, _STEP: step.name}
        tags |= {REUSED: origin.info.run_id} if origin else {_COMPUTED: step.identity}
        began = parent.info.start_time if origin else int((step.finished - step.seconds) * 1000)
        child = client.create_run(experiment, began, tags, step.run_name)
    elif child.data.tags.get(_LOGGED):
        return str(child.info.run_id)
    run_id, reused = str(child.info.run_id), child.data.tags.get(REUSED, "")
    ended = child.info.start_time if reused else int(step.finished * 1000)
    client.set_terminated(run_id, "FINISHED", ended)
    _log(client, run_id, step.params, _points(step.metrics, ended) + ([] if reused else _curve(step)))
    told = [f"Begins with {_link(experiment, known[step.start], step.start)}."] if step.start in known else []
    if reused:
        here = _link(experiment, reused, "the run that computed it")
        told.append(f"Reused: nothing was computed for it in this run. Curves and times are those of {here}.")
    note = [RunTag(NOTE, " ".join(told))] if told else []
    client.log_batch(run_id, tags=[*note, RunTag(_LOGGED, "true")])
    return run_id


def _log_data(client: "MlflowClient", parent: "Run", data: tuple[DataLog, ...]) -> None:
    import json

    from mlflow.entities import Dataset, DatasetInput

    if data:
        client.log_inputs(
            parent.info.run_id,
            [
                DatasetInput(
                    Dataset(
                        one.name, one.digest, "local", json.dumps({"uri": one.place}), profile=json.dumps(one.profile)
                    )
                )
                for one in data
            ],
        )


def _log(client: "MlflowClient", run_id: str, params: Mapping[str, Any], points: "list[Metric]") -> None:
    """Log in as few calls as MLflow takes; equal points and parameters may be logged twice."""
    from mlflow.entities import Param

    listed = [Param(metric_key(key), str(value)[:6000]) for key, value in params.items()]
    for first in range(0, max(1, len(listed)), _PARAMS):
        client.log_batch(run_id, params=listed[first : first + _PARAMS], metrics=[] if first else points[:_METRICS])
    for first in range(_METRICS, len(points), _METRICS):
        client.log_batch(run_id, metrics=points[first : first + _METRICS])


def _points(metrics: Mapping[str, float], when: int) -> "list[Metric]":
    from mlflow.entities import Metric

    return [Metric(metric_key(key), float(value), when, 0) for key, value in metrics.items()]


def _curve(step: StepLog) -> "list[Metric]":
    from mlflow.entities import Metric

    when = int(step.finished * 1000)
    return [Metric(metric_key(name), value, when, epochs) for name, epochs, value in step.curves]


def _logged(client: "MlflowClient", parent: "Run") -> Logged:
    steps = {name: child.info.run_id for name, child in _children(client, parent).items()}
    info = parent.info
    return Logged(info.experiment_id, info.run_id, info.run_name, parent.data.tags[RUN_ID], steps)


def _children(client: "MlflowClient", parent: "Run") -> "dict[str, Run]":
    where = f"tags.`{_PARENT}` = '{parent.info.run_id}'"
    found = client.search_runs([parent.info.experiment_id], where, max_results=1000)
    return {run.data.tags[_STEP]: run for run in found if _STEP in run.data.tags}


def _find(client: "MlflowClient", experiment: str, tags: Mapping[str, str]) -> "Run | None":
    """Find the newest run with these tags."""
    where = " AND ".join(f"tags.`{key}` = '{value}'" for key, value in tags.items())
    found = client.search_runs([experiment], where, max_results=1, order_by=["attributes.start_time DESC"])
    return found[0] if found else None


def _link(experiment: str, run_id: str, text: str) -> str:
    return f"[{text}](#/experiments/{experiment}/runs/{run_id}?{KIND})"
