"""A row kind, a label kind, a model and a baseline that exist only here: from cleaned tables to a registered model.

Rows are numbers; what is predicted is another number, by the mean. Nothing but the tables of `pipeline/tasks/`, and
those where a predictor is named, knows of them.
"""

import json
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import pandas as pd
import pytest
import torch
from pydantic import ValidationError, create_model

from pipeline.config import Baseline, HistoryModel, Options, Popularity, RankingTask, Scenario, TaskConfig
from pipeline.config.models import ModelConfig
from pipeline.folders import Home
from pipeline.labels import numbers
from pipeline.labels.answers import Answer, Answers
from pipeline.labels.statistic import Recomputed
from pipeline.labels.words import Words
from pipeline.models.load import RANKERS
from pipeline.models.network import Encoder, Head, Network
from pipeline.models.sides import Rows, Side
from pipeline.registry import lookup
from pipeline.registry import promote as registry
from pipeline.results import CLEAN, INGEST, VALIDATE, VERDICT
from pipeline.rows.kind import Parts
from pipeline.rows.learnt import NOTHING, Learnt
from pipeline.runs.run import Run
from pipeline.scenarios import load_scenario
from pipeline.steps.audit import audit
from pipeline.steps.baseline import fit_baseline
from pipeline.steps.evaluate import evaluate
from pipeline.steps.finetune import finetune_target
from pipeline.steps.prepare import prepare
from pipeline.steps.promote import promote
from pipeline.tasks import audits, baselines, labels, learners, parting, prepared, serving, slices, words
from pipeline.views import ROW, UNIT, View
from tests.publishing import publish

# MLflow itself uses what SQLAlchemy will remove.
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning")]
MEANS = {"far": 5.0, "near": 2.0}


class NumbersTask(TaskConfig):
    fields: ClassVar[frozenset[str]] = frozenset({"x"})
    labels: ClassVar[frozenset[str]] = frozenset({"numbers"})
    tables: ClassVar[tuple[str, ...]] = ("interactions", "items")  # those that the generator would make
    splits: ClassVar[frozenset[str]] = frozenset({"time"})
    bridges: ClassVar[frozenset[str]] = frozenset({"users", "item_features"})

    kind: Literal["numbers"] = "numbers"


class Blind(NumbersTask):
    labels: ClassVar[frozenset[str]] = frozenset({"classes"})

    kind: Literal["blind"] = "blind"  # type: ignore[assignment]


class MeanModel(ModelConfig):
    reads: ClassVar[frozenset[str]] = frozenset({"x"})
    predicts: ClassVar[frozenset[str]] = frozenset({"numbers"})
    rate: ClassVar[float] = 0.1

    kind: Literal["mean"] = "mean"
    dim: int = 4


class Median(Baseline):
    reads: ClassVar[frozenset[str]] = frozenset()
    predicts: ClassVar[frozenset[str]] = frozenset({"numbers"})

    kind: Literal["median"] = "median"


class NumbersScenario(Scenario):
    task: NumbersTask = NumbersTask()  # type: ignore[assignment]
    model: MeanModel = MeanModel()  # type: ignore[assignment]
    baselines: tuple[Median, ...] = (Median(),)  # type: ignore[assignment]


@dataclass(frozen=True)
class Value:
    value: np.ndarray
    name: str = "y"

    def take(self, places: Any) -> "Value":
        return replace(self, value=self.value[places])


class PartNumbers:
    """By the row's number: three fifths train, one chooses, one tests."""

    def target(self, given: Any, sources: Any) -> tuple[Parts, None]:
        return self.source(given, None), None

    def source(self, given: Any, border: None) -> Parts:
        rows = given.tables["numbers"].assign(part=lambda one: np.array([0, 0, 0, 1, 2])[one["row_id"] % 5])
        counts = {name: int((rows["part"] == code).sum()) for code, name in enumerate(("train", "valid", "test"))}
        return Parts(lambda folder: rows.to_parquet(folder / "rows.parquet"), counts, len(rows), {}, {})


@dataclass(frozen=True)
class Numbers:
    units: ClassVar[str] = "numbers"
    domains: dict[str, pd.DataFrame]
    name: str

    @classmethod
    def read(cls, task: NumbersTask, folders: Mapping[str, Path], target: str, _texts: object) -> "Numbers":
        return cls({name: pd.read_parquet(folder / "rows.parquet") for name, folder in folders.items()}, target)

    def view(self, domain: str, parts: tuple[int, ...]) -> View:
        rows = self.domains[domain]
        rows = rows[rows["part"].isin(parts)].reset_index(drop=True)
        table = pd.DataFrame({ROW: rows["row_id"], UNIT: np.arange(len(rows))})
        return View(domain, table, {"x": Value(rows["x"].to_numpy(), "x")}, (Value(rows["y"].to_numpy()),))

    def training(self, held_back: Any = ()) -> dict[str, View]:
        return {name: self.view(name, (0,) if name in held_back else (0, 1)) for name in self.domains}

    def each_placed(self) -> tuple["Numbers", ...]:
        return tuple(replace(self, name=name) for name in self.domains)

    def folds(self) -> tuple["Numbers", ...]:
        return (self,)

    def parted(self) -> pd.DataFrame:
        return self.domains[self.name].assign(unit=lambda one: one["row_id"])

    def held_out(self, part: str) -> View:
        return self.view(self.name, ({"valid": 1, "test": 2}[part],))

    def named(self, view: View) -> pd.Index:
        return pd.Index(view.rows[ROW])

    def recent(self, view: View, most: int) -> list[tuple[str, ...]]:
        return [()] * len(view)

    def as_served(self, bridges: Any, *, target_labels: bool, personal: Any) -> "Numbers":
        return self


WORDS = Words(
    metrics={"mse": "MSE", "mae": "MAE"}, less=frozenset({"mse", "mae"}), units="rows", percent=False, digits=3,
    chance="the mean of all rows", protocol="Each row is predicted.",
)  # fmt: skip


@dataclass(frozen=True)
class Mean:
    task: NumbersTask
    words: Words = WORDS
    metrics: tuple[str, ...] = ("mse", "mae")
    gated: str = "mse"
    watched: str = "mse"
    fewest: int = 20

    def told(self, view: View) -> str:
        return f"{len(view)} rows."

    def predict(self, predictor: Any, view: View) -> np.ndarray:
        return predictor.values(view.fields["x"].value)

    def chance(self, view: View) -> np.ndarray:
        return np.zeros(len(view))

    def settle(self, fitted: Sequence[tuple[Any, View]]) -> dict[str, float]:
        return {}

    def statistic(self, view: View, predicted: np.ndarray, chosen: np.ndarray, metrics: Any) -> Recomputed:
        value, said = view.label.value[chosen], predicted[chosen]
        made = [partial(getattr(numbers, name), value_N=value, predicted_N=said) for name in metrics]
        return Recomputed(made, np.arange(len(value)), len(value))

    def values(self, judged: Any) -> dict[str, float]:
        value = np.concatenate([view.label.value for view, _ in judged])
        said = np.concatenate([predicted for _, predicted in judged])
        ones = np.ones((1, len(value)))
        return {name: float(getattr(numbers, name)(ones, value, said)[0]) for name in self.metrics}

    def positives(self, view: View, chosen: np.ndarray) -> None:
        return None

    def curves(self, view: View, predicted: Any) -> tuple[()]:
        return ()

    def truth(self, view: View) -> list[Answers]:
        return [(Answer(key=f"{value:.1f}", text=f"{value:.1f}"),) for value in view.label.value]

    def answers(self, predictor: Any, view: View) -> list[Answers]:
        return [(Answer(key="said", text=f"{value:.1f}"),) for value in self.predict(predictor, view)]

    def effects(self, predictor: Any, view: View) -> dict[str, float]:
        return {"a word": 0.5}

    def information(self, view: View, predicted: np.ndarray) -> None:
        return None

    def latency(self, predictor: Any, view: View) -> float:
        return 0.001


class MeanPredictor:
    needs: ClassVar[tuple[str, ...]] = ()

    def __init__(self, mean: float) -> None:
        self.mean = mean

    def values(self, x: np.ndarray) -> np.ndarray:
        return np.full(len(x), self.mean)

    def settled(self, chosen: Mapping[str, float]) -> "MeanPredictor":
        assert chosen == {}
        return self

    def save(self, folder: Path) -> None:
        from safetensors.numpy import save_file

        (folder / "ranker.json").write_text(json.dumps({"kind": "mean", "settings": {}}))
        save_file({"mean": np.array([self.mean])}, folder / "weights.safetensors")

    @classmethod
    def from_state(cls, settings: Any, arrays: dict[str, np.ndarray]) -> "MeanPredictor":
        return cls(float(arrays["mean"][0]))


class Ones(Encoder):
    def combine(self, inputs: Any) -> torch.Tensor:
        return torch.ones(len(inputs["x"]), 4)


class MeanHead(Head):
    def __init__(self) -> None:
        super().__init__()
        self.mean = torch.nn.Parameter(torch.zeros(1))

    def losses(self, output: Any) -> torch.Tensor:
        return (output.side.labels - self.mean) ** 2


@dataclass(frozen=True)
class AllAtOnce:
    view: View
    role: str
    steps: int = 30

    def batch(self, epoch: int, step: int) -> Side:
        x, y = (torch.tensor(one) for one in (self.view.fields["x"].value, self.view.label.value))
        return Side(self.view.domain, self.role, {"x": x}, y, torch.ones(len(y)))


@dataclass(frozen=True)
class MeanLearner:
    settings: Any
    taught: Any

    def tune(self, views: Any, strategy: Any) -> tuple[Network, Rows]:
        target = self.settings.target
        return Network(Ones(), MeanHead(), target), Rows((AllAtOnce(views[target], "target"),))

    def finishes(self, views: Any, strategy: Any) -> list[dict[str, float]]:
        return [{"shift": 0.5}, {"shift": 0.0}]

    def told(self, finish: dict[str, float]) -> dict[str, float]:
        return finish

    def predictor(self, network: Network, finish: dict[str, float]) -> MeanPredictor:
        return MeanPredictor(float(network.head.mean.detach()) + finish["shift"])

    def as_trained(self, network: Network, view: View) -> MeanPredictor:
        return self.predictor(network, {"shift": 0.0})


class ServeNumbers:
    params: ClassVar[dict[str, int]] = {}
    example_params: ClassVar[dict[str, int]] = {}

    def write(self, folder: Path, numbers: Numbers, before: Learnt) -> None:
        (folder / "notes.json").write_text(json.dumps(sorted(numbers.domains)))

    def read(self, folder: Path, info: Any, predictor: MeanPredictor) -> "ServedNumbers":
        return ServedNumbers(predictor)


@dataclass(frozen=True)
class ServedNumbers:
    predictor: MeanPredictor
    requests: ClassVar[dict[str, str]] = {"x": "any"}
    learnt: ClassVar[Learnt] = NOTHING

    def answer(self, frame: pd.DataFrame, params: Any) -> pd.DataFrame:
        return pd.DataFrame({"request": np.arange(len(frame)), "y": self.predictor.values(frame["x"].to_numpy())})

    def on(self, prepared: Numbers) -> MeanPredictor:
        return self.predictor

    def examples(self) -> list[dict[str, Any]]:
        return [{"x": 1.0}]


def no_marks(numbers: Numbers, cold_start: bool) -> tuple[pd.DataFrame, dict[str, Any]]:
    marks = pd.DataFrame({"domain": [], "row": [], "kind": []}).astype({"domain": str, "kind": str})
    counts = {"test_rows": len(numbers.held_out("test")), "marked": 0, "kinds": {}}
    return marks, {"domains": {numbers.name: counts}, "likeness": {"differs": []}, "give_aways": []}


@pytest.fixture
def kinds(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """One line in each table."""
    for table, value in (
        (parting.PARTINGS, lambda task: PartNumbers()), (prepared.PREPARED, Numbers.read), (audits.AUDITS, no_marks),
        (slices.SLICES, lambda task, view: []), (labels.LABELS, Mean), (words.WORDS, lambda task: WORDS),
        (serving.SERVING, ServeNumbers()),
        (baselines.BASELINES, (
            lambda config, views, target, settings, seed, shared: MeanPredictor(np.median(views[target].label.value)),
            lambda config: iter([{}]),
        )),
    ):  # fmt: skip
        monkeypatch.setitem(table, NumbersTask, value)
    monkeypatch.setitem(learners.LEARNERS, MeanModel, MeanLearner)
    monkeypatch.setitem(RANKERS, "mean", lambda: MeanPredictor)
    monkeypatch.setattr(registry, "check_serves", lambda *_: None)  # a fresh process knows nothing of this file
    return


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"model": HistoryModel()}, r"model reads past, which rows of the task numbers do not have, but x"),
        ({"baselines": (Popularity(kind="popularity"),)}, r"baselines: popularity reads past, .* do not have, but x"),
        ({"task": Blind()}, r"model predicts numbers, but the task blind asks for classes"),
    ],
)
def test_what_cannot_read_or_predict_is_refused(changed: dict[str, Any], told: str) -> None:
    """When the scenario is read, with the field or the label."""
    fitting = {name: (Any, NumbersScenario.model_fields[name].default) for name in ("task", "model", "baselines")}
    free = create_model("Free", __base__=Scenario, **fitting)
    given = load_scenario("demo").model_dump(exclude={"task", "model", "baselines", "strategies"})
    given |= {"strategies": [{"tune": {"kind": "scratch"}}], "task": NumbersTask(), "model": MeanModel()}
    free.model_validate(given | {"baselines": (Median(),)})
    with pytest.raises(ValidationError, match=told):
        free.model_validate(given | {"baselines": (Median(),)} | changed)


def checked(folder: Path) -> None:
    """Write what `validate` leaves."""
    (folder / "passport.json").write_text("{}")
    (folder / "unhashed" / "data_docs").mkdir(parents=True)
    (folder / "unhashed" / "data_docs" / "index.html").write_text("<p>Checked.</p>")


def test_a_kind_of_its_own_runs_to_the_registry(kinds: None, tmp_path: Path) -> None:
    """The mean of a skewed number is judged against its median by squared error, promoted, and answers by name."""
    demo = load_scenario("demo").model_dump(mode="json", exclude={"task", "model", "baselines", "strategies"})
    demo |= {"name": "numbers", "sources": ["far"], "target": "near", "strategies": [{"tune": {"kind": "scratch"}}]}
    demo["training"] |= {"epochs": 8, "learning_rate": 0.5}
    run = Run.start(Home(tmp_path), "night", NumbersScenario.model_validate(demo), Options())
    random = np.random.default_rng(0)
    for name, mean in MEANS.items():
        x, y = random.normal(size=(2, 1500))
        rows = pd.DataFrame({"row_id": np.arange(1500), "x": x, "y": mean * np.exp(y)})
        publish(run, INGEST, lambda folder: None, key=name, name=name)
        told = {"tables": {"numbers": {"rows_read": 1500, "rows": 1500, "rules": {}}}, "main": "numbers"}
        publish(run, CLEAN, lambda folder, table=rows: table.to_parquet(folder / "numbers.parquet"), told,
                key=name, name=name)  # fmt: skip
    publish(run, VALIDATE, checked)
    prepare(run)
    audit(run)
    tuned = finetune_target(run, "target_only")
    fit_baseline(run, "median")
    evaluate(run)
    promoted = promote(run)
    assert tuned.facts.settings["shift"] == 0.0  # the other finish is worse, as less of the metric is better
    verdict = run.result(VERDICT).facts
    assert (verdict.verdict, verdict.lane) == ("passed", "target_only")
    assert (promoted.facts.outcome, promoted.facts.version) == ("promoted", 1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # MLflow warns of its own type hints while it is imported
        from mlflow.pyfunc import load_model
    model = load_model(str(lookup.model_folder(run.home, "crosslift.numbers")))
    answer = model.predict(pd.DataFrame({"x": [0.0, 9.0]}))
    known = pd.read_parquet(run.path(run.result(CLEAN, "near")) / "numbers.parquet")
    trained = known.loc[known["row_id"] % 5 < 4, "y"]
    assert answer["y"].to_numpy() == pytest.approx([trained.mean()] * 2, rel=0.02)
    assert abs(trained.mean() - trained.median()) > 0.5
    assert not isinstance(run.scenario.task, RankingTask)
