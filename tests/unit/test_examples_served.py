"""A package of examples: what a request may look like, and what it never carries."""

import gzip
import importlib
import json
import re
import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pipeline.cli import predicting
from pipeline.config import BinaryTask, MulticlassTask, Reading, RegressionTask, Tables
from pipeline.errors import ConfigError, DataError, StorageError
from pipeline.models.estimators import Parts
from pipeline.rows.examples.prepared import Examples
from pipeline.rows.examples.served import ServedExamples, ServeExamples
from pipeline.rows.kind import PackageInfo
from pipeline.rows.learnt import NOTHING
from pipeline.views import Features

FEATURES = {"pages": "number", "browser": "category", "new": "flag", "seen": "time"}
TASK = BinaryTask(kind="binary", label="bought", features=FEATURES)
INFO = PackageInfo(
    scenario="s", lane="l", task="binary", target="near", sources=("far",), pseudonymous=True, candidate="c", data={},
    code="1",
)  # fmt: skip


class Pages:
    """Says yes with a chance that is a tenth of the pages."""

    classes, threshold = ("no", "yes"), 0.35

    def probabilities(self, features: Features) -> np.ndarray:
        chance = features.table["pages"].fillna(0).to_numpy() / 10
        return np.stack([1 - chance, chance], axis=1)

    def decided(self, probabilities: np.ndarray) -> np.ndarray:
        return (probabilities[:, 1] >= self.threshold).astype(np.int64)

    def values(self, features: Features) -> np.ndarray:
        return features.table["pages"].fillna(0).to_numpy() * 2

    def explained(self, features: Features) -> Parts:
        return Parts(np.tile([0.5, -1.25, 2.0, 0.001], (len(features.table), 1)))


class Three(Pages):
    classes = ("a", "b", "c")

    def probabilities(self, features: Features) -> np.ndarray:
        return np.tile([0.2, 0.5, 0.3], (len(features.table), 1))

    def decided(self, probabilities: np.ndarray) -> np.ndarray:
        return probabilities.argmax(axis=1)


def examples(task: Any = TASK) -> Examples:
    frame = pd.DataFrame({
        "row_id": [f"secret-{number}" for number in range(6)], "component": range(6), "part": [0, 0, 0, 1, 2, 2],
        "kept": [True, True, False, True, True, True], "pages": [1.0, 2.0, 3.0, None, 5.0, 6.0],
        "browser": ["fox", "fox", "owl", "cat", "fox", "new"], "new": [True, None, True, False, True, True],
        "seen": pd.to_datetime(["2026-01-01", None, "2026-01-03", "2026-01-02", None, None], utc=True),
        "bought": [True, False, True, False, True, False],
    })  # fmt: skip
    return Examples(task, {"far": frame.assign(browser="elk"), "near": frame}, "near")


def served(tmp_path: Path, predictor: Any = None, task: Any = TASK) -> ServedExamples:
    ServeExamples().write(tmp_path, examples(task), NOTHING)
    return ServeExamples().read(tmp_path, INFO, predictor or Pages())


def request(**columns: Any) -> pd.DataFrame:
    return pd.DataFrame(
        {"pages": [2, 5], "browser": ["fox", "yak"], "new": [True, False], "seen": [None, None]} | columns
    )


def test_a_request_is_answered_row_by_row(tmp_path: Path) -> None:
    """In any order of columns, with columns that nobody reads, and with the row's own name where it has one."""
    frame = request(row_id=[7, "x"], colour=["red", "blue"])
    told = served(tmp_path).answer(frame[sorted(frame, reverse=True)], {})
    assert told.to_dict("list") == {
        "request": [0, 1], "row_id": ["7", "x"], "bought": ["no", "yes"], "probability": [0.2, 0.5],
        "threshold": [0.35, 0.35], "unknown": [0, 1],
    }  # fmt: skip


def test_an_answer_is_explained_where_that_is_asked_for(tmp_path: Path) -> None:
    """By the features that add most, the first of them first, each with its sign; one that adds nothing is left out."""
    told = served(tmp_path).answer(request(browser=["fox", None]), {"explain": 2})
    assert told["explanation"].tolist() == ["new=yes +2.00; browser=fox -1.25", "new=no +2.00; browser missing -1.25"]
    told = served(tmp_path).answer(request(new=[None, True]), {"explain": 9})
    assert told["explanation"].iloc[0] == "new missing +2.00; browser=fox -1.25; pages +0.50"
    for none in (0, None):
        assert "explanation" not in served(tmp_path).answer(request(), {"explain": none})
    with pytest.raises(DataError, match="explain: expected how many features"):
        served(tmp_path).answer(request(), {"explain": -1})


def test_texts_of_csv_are_read_as_tables_are(tmp_path: Path) -> None:
    """Numbers, flags and times by their spelling; an empty field is not known."""
    path = tmp_path / "asked.csv"
    path.write_text("pages,browser,new,seen\n2,fox,Yes,2026-01-01T00:00:00Z\n,elk,0,\n")
    told = served(tmp_path).answer(predicting.read_requests(path), {})
    assert told["probability"].tolist() == [0.2, 0.0]
    assert told["unknown"].tolist() == [0, 0]


def test_a_whole_number_is_spelt_as_the_model_met_it(tmp_path: Path) -> None:
    """A CSV that was learnt from says 5.0, a JSON request the number 5; each file of the same rows is told the same."""
    met = examples()
    spelt = {"fox": "5.0", "cat": "7"}
    frames = {name: frame.assign(browser=frame["browser"].replace(spelt)) for name, frame in met.frames.items()}
    ServeExamples().write(tmp_path, replace(met, frames=frames), NOTHING)
    model = ServeExamples().read(tmp_path, INFO, Pages())
    asked = {"numbers": [5.0, 7.0], "whole": [5, 7], "texts": ["5", "7.0"], "both": ["5.0", 7]}
    for values in asked.values():
        features = model._read(request(browser=values))
        assert features.table["browser"].tolist() == ["5.0", "7"]
        assert model.answer(request(browser=values), {})["unknown"].tolist() == [0, 0]
    strange = model._read(request(browser=["6", None])).table["browser"]
    assert strange.iloc[0] == "6"
    assert pd.isna(strange.iloc[1])
    frame = request(browser=["5.0", "7.00"])
    frame.to_csv(tmp_path / "a.csv", index=False)
    frame.assign(browser=[5.0, 7.0]).to_parquet(tmp_path / "a.parquet")
    (tmp_path / "a.jsonl").write_text('{"browser": 5.0}\n{"browser": 7}\n')
    for name in ("a.csv", "a.parquet", "a.jsonl"):
        brought = request(browser=predicting.read_requests(tmp_path / name)["browser"])
        assert model._read(brought).table["browser"].tolist() == ["5.0", "7"]


@pytest.mark.parametrize("nothing", [None, np.nan, pd.NA, pd.NaT, pd.Timestamp("NaT", tz="UTC")])
def test_a_column_of_nothing_has_no_type(tmp_path: Path, nothing: Any) -> None:
    """Whatever pandas makes of a column in which no row has a value, it is missing in each."""
    model = served(tmp_path)
    for name in FEATURES:
        assert model._read(request(**{name: [nothing, nothing]})).table[name].isna().all()


@pytest.mark.parametrize("nothing", [None, np.nan, pd.NA, pd.NaT])
def test_values_of_several_types_are_spelt_as_each_alone(tmp_path: Path, nothing: Any) -> None:
    """As JSON may have them: what is missing is missing, and no value of its name; 7.0 is 7, True is true."""
    model = served(tmp_path)
    for brought, wanted in (("fox", "fox"), (7.0, "7"), (0.5, "0.5"), (True, "true")):
        frame = request(browser=pd.Series([brought, nothing], dtype=object))
        mixed = pd.concat([frame, request(browser=pd.Series(["yak", 3], dtype=object))], ignore_index=True)
        for asked in (frame, mixed):
            found = [None if pd.isna(one) else one for one in model._read(asked).table["browser"]]
            assert found == [wanted, None, "yak", "3"][: len(asked)]
    numbers = pd.Series(["2", 5, nothing, 1.5], dtype=object)
    found = model._read(pd.concat([request()] * 2, ignore_index=True).assign(pages=numbers)).table["pages"]
    np.testing.assert_array_equal(found, [2, 5, np.nan, 1.5])


@pytest.mark.parametrize(
    ("columns", "told"),
    [
        ({"pages": [10**400, 1]}, r"request: column 'pages', row 1: expected a finite number"),
        ({"pages": ["2", "many"]}, r"request: column 'pages', row 2: expected a number .*, got 'many'"),
        ({"pages": [np.inf, 1.0]}, r"request: column 'pages', row 1: expected a finite number"),
        ({"new": ["yes", "perhaps"]}, r"request: column 'new', row 2: expected yes or no"),
        ({"seen": ["2026-01-01", "soon"]}, r"request: column 'seen', row 2: expected a date and time"),
    ],
)
def test_what_does_not_fit_is_told(tmp_path: Path, columns: dict[str, Any], told: str) -> None:
    """With column and row."""
    with pytest.raises(DataError, match=told):
        served(tmp_path).answer(request(**columns), {})


@pytest.mark.parametrize(
    "seen", [["03/04/2026", None], ["13/04/2026", "04/13/2026"], ["03/04/26", None], [20260131, None], ["20260131"] * 2]
)
def test_a_request_is_told_how_to_write_a_time(tmp_path: Path, seen: list[Any]) -> None:
    """Not to say it in the scenario: that is past, and a request has none."""
    with pytest.raises(DataError, match=r"column 'seen', row 1: .* Write it as 2026-01-31T12:00:00") as told:
        served(tmp_path).answer(request(seen=pd.Series(seen, dtype=object)), {})
    assert "scenario" not in str(told.value).replace("read only as the scenario says", "")


def test_values_are_read_as_the_scenario_says(tmp_path: Path) -> None:
    """Words for nothing, and the zone of times that name none; told of tables that may hold rows of the target."""
    columns = {"seen": {"column": "when", "timezone": "Asia/Tokyo"}, "new": {"column": "fresh"}}
    near: dict[str, Any] = {"path": "near.csv", "columns": columns, "null": ["-1", "?"]}
    far = {"path": "far.csv", "constants": {"domain": "abroad"}, "domains": {"far": "abroad"}, "null": ["0"]}
    tables = Tables.model_validate({"examples": [near, far]})
    model = served(tmp_path)
    model = replace(model, info=INFO.model_copy(update={"reading": tables.read_of("near")}))
    frame = request(pages=["-1", "5"], browser=["?", "-1"], new=["?", "1"], seen=["2026-01-01", "2026-01-01T00:00Z"])
    found = model._read(frame).table
    assert found.isna().to_numpy().tolist() == [[True, True, True, False], [False, True, False, False]]
    assert found["seen"].dt.strftime("%d %H").tolist() == ["31 15", "01 00"]
    assert tables.read_of("far") == Reading()
    again = Tables.model_validate({"examples": [near, {**near, "columns": {}, "null": ["?"]}]})
    assert again.read_of("near") == Reading()


def test_a_missing_column_is_no_missing_value(tmp_path: Path) -> None:
    """It is more likely a mistake, and would be answered in silence."""
    with pytest.raises(DataError, match=r"the columns browser, new are missing; expected pages, browser, new, seen"):
        served(tmp_path).answer(request().drop(columns=["browser", "new"]), {})
    with pytest.raises(DataError, match="at least one row"):
        served(tmp_path).answer(request().iloc[:0], {})


def test_several_classes_have_a_probability_each(tmp_path: Path) -> None:
    """And the one that is told stands first."""
    task = MulticlassTask(kind="multiclass", label="bought", features=FEATURES)
    told = served(tmp_path, Three(), task).answer(request(), {})
    assert list(told) == [
        "request",
        "bought",
        "probability",
        "probability_a",
        "probability_b",
        "probability_c",
        "unknown",
    ]
    assert told.loc[0, "bought"] == "b"
    assert told.loc[0, ["probability", "probability_c"]].tolist() == [0.5, 0.3]


def test_of_two_classes_the_probability_is_of_the_one_that_is_looked_for(tmp_path: Path) -> None:
    """Also where all that was learnt from was of the other; one of several classes is told as such, be they two."""

    class OnlyNo(Pages):
        classes = ("no",)

        def probabilities(self, features: Features) -> np.ndarray:
            return np.ones((len(features.table), 1))

        def decided(self, probabilities: np.ndarray) -> np.ndarray:
            return np.zeros(len(probabilities), dtype=np.int64)

    told = served(tmp_path, OnlyNo()).answer(request(), {})
    assert told[["bought", "probability", "threshold"]].iloc[0].tolist() == ["no", 0.0, 0.35]
    task = MulticlassTask(kind="multiclass", label="bought", features=FEATURES)
    told = served(tmp_path, Pages(), task).answer(request(), {})
    columns = ["bought", "probability", "probability_no", "probability_yes"]
    assert told[columns].iloc[0].tolist() == ["no", 0.8, 0.8, 0.2]


def test_a_number_is_told_as_it_is(tmp_path: Path) -> None:
    """Under the label's name."""
    task = RegressionTask(kind="regression", label="bought", features=FEATURES)
    told = served(tmp_path, None, task).answer(request(), {})
    assert told["bought"].tolist() == [4.0, 10.0]


def test_a_package_holds_nothing_of_any_one_row(tmp_path: Path) -> None:
    """Hashes of names and values, and the values that most rows have."""
    model = served(tmp_path)
    data = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert b"secret" not in data
    assert b"owl" not in data
    typical, unknown = model.examples()
    assert set(typical.values()) == set(unknown.values()) == {None}  # of a few rows nothing is typical
    many = pd.concat([examples().frames["near"]] * 8, ignore_index=True).assign(part=0, pages=1234.5)
    many["row_id"] = many.index.astype(str)
    night = Examples(TASK, {"far": many, "near": many}, "near")
    ServeExamples().write(tmp_path, night, NOTHING)
    typical, _ = ServeExamples().read(tmp_path, INFO, Pages()).examples()
    assert typical == {"pages": 1200.0, "browser": "fox", "new": True, "seen": "2026-01-01T00:00:00+00:00"}
    assert model.answer(pd.DataFrame(model.examples()), {})["unknown"].tolist() == [0, 0]
    json.dumps(typical, allow_nan=False)
    served_as = night.as_served((), target_labels=True, personal=("browser", "pages", "elsewhere"))
    ServeExamples().write(tmp_path, served_as, NOTHING)
    hidden, _ = ServeExamples().read(tmp_path, INFO, Pages()).examples()
    assert hidden == {**typical, "browser": None, "pages": None}
    assert b"1200" not in b"".join(path.read_bytes() for path in tmp_path.glob("*.json"))


def test_rows_that_it_learnt_from_are_known_another_night(tmp_path: Path) -> None:
    """By their names: kept rows for training and validation; the test's and what thinning took away were not learnt."""
    model, tonight = served(tmp_path), examples()
    frame = tonight.frames["near"].assign(part=2, kept=True)
    night = Examples(TASK, {"far": tonight.frames["far"], "near": frame}, "near")
    assert model.learnt.knows(night, night.held_out("test")).tolist() == [True, True, False, True, False, False]
    with pytest.raises(ConfigError, match="s now names 'far', but the model that serves is of 'near'"):
        model.on(night.of_sources())
    other = TASK.model_copy(update={"features": {**FEATURES, "pages": "category"}})
    with pytest.raises(ConfigError, match="s now declares other columns than the model that serves"):
        model.on(Examples(other, night.frames, "near"))
    assert model.on(Examples(TASK.model_copy(update={"metric": "auroc"}), night.frames, "near")) is model.predictor


def test_rows_of_another_shop_with_the_same_names_are_other_rows(tmp_path: Path) -> None:
    """Both count from one; what was learnt of the source's is no reason to leave out a row of the target's test."""
    own = examples().frames["near"]
    night = Examples(TASK, {"far": own.assign(part=0), "near": own}, "near")
    ServeExamples().write(tmp_path, night, NOTHING)
    learnt = ServeExamples().read(tmp_path, INFO, Pages()).learnt
    assert not learnt.knows(night, night.held_out("test")).any()
    assert learnt.knows(night, night.training()["near"]).all()
    assert not learnt.rows.keys() - {"far", "near"}


def test_a_damaged_package_is_named(tmp_path: Path) -> None:
    """Each file that is missing."""
    served(tmp_path)
    (tmp_path / "values.parquet").unlink()
    with pytest.raises(StorageError, match=r"expected a package of a served model"):
        ServeExamples().read(tmp_path, INFO, Pages())


def test_files_of_requests_and_answers(tmp_path: Path) -> None:
    """The same in three formats; no cell is run by a spreadsheet; nothing is half written."""
    answers = pd.DataFrame({"row_id": ["=1+1", None], "probability": [0.25, 0.5]})
    for ending in ("parquet", "jsonl"):
        predicting.write_answers(answers, tmp_path / f"a.{ending}")
        assert predicting.read_requests(tmp_path / f"a.{ending}")["probability"].tolist() == [0.25, 0.5]
    predicting.write_answers(answers, tmp_path / "a.csv")
    assert (tmp_path / "a.csv").read_text() == '"row_id","probability"\n"\'=1+1",0.25\n"",0.5\n'
    with pytest.raises(DataError, match=r"a\.csv\.gz: answers are written as they are"):
        predicting.write_answers(answers, tmp_path / "a.csv.gz")
    with pytest.raises(DataError, match=r"a\.html: expected a file ending in \.csv"):
        predicting.write_answers(answers, tmp_path / "a.html")
    with pytest.raises(DataError, match=r"a\.xlsx: answers are written as csv, parquet, jsonl, not as excel"):
        predicting.write_answers(answers, tmp_path / "a.xlsx")
    assert not list(tmp_path.glob(".*"))
    for name, text, told in (
        ("b.csv", "a,b\n1,2,3,4\n", r"b\.csv: line 2: expected 2 fields like the header, got more"),
        ("c.csv", "a,b\n", "no rows"), ("d.jsonl", "[1", r"d\.jsonl: line 1: expected one JSON object on each line"),
        ("d.parquet", "PAR1", "whole Parquet file"), ("f.csv", "a,A\n1,2\n", "column 'a' stands there more than once"),
    ):  # fmt: skip
        (tmp_path / name).write_text(text)
        with pytest.raises(DataError, match=told):
            predicting.read_requests(tmp_path / name)
    with pytest.raises(DataError, match="there is no such file"):
        predicting.read_requests(tmp_path / "e.csv")


def test_requests_may_lie_in_any_file_that_a_scenario_reads(tmp_path: Path) -> None:
    """Packed, in another encoding, lists in JSON, cells of a workbook; texts of CSV stay as they are spelt."""
    text = 'user_id,history\n007,\n,"a, b"\n'
    with gzip.open(tmp_path / "a.csv.gz", "wt") as file:
        file.write(text)
    (tmp_path / "b.csv").write_bytes(text.encode("utf-16"))
    for name in ("a.csv.gz", "b.csv"):
        read = predicting.read_requests(tmp_path / name).astype(object).fillna("-")
        assert read.to_numpy().tolist() == [["007", "-"], ["-", "a, b"]]
    (tmp_path / "c.jsonl").write_text('{"user_id": "007", "history": null}\n{"history": ["a", "b"]}\n')
    read = predicting.read_requests(tmp_path / "c.jsonl")
    assert (read["user_id"][0], list(read["history"][1])) == ("007", ["a", "b"])


def registered(
    monkeypatch: pytest.MonkeyPatch, columns: list[str], answer: Callable[..., pd.DataFrame], lists: Sequence[str] = ()
) -> SimpleNamespace:
    """Let a model be found that reads these columns and answers so; its signature."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of MLflow's own type hints
        from mlflow.types.schema import Array, ColSpec, DataType

        inputs = [ColSpec(Array(DataType.string), one) for one in lists]
        schema = SimpleNamespace(input_names=lambda: columns, inputs=inputs)
        known = SimpleNamespace(get_input_schema=lambda: schema, get_params_schema=lambda: None)
        wrapped = SimpleNamespace(model=SimpleNamespace(served=SimpleNamespace(requests={})))
        model = SimpleNamespace(metadata=known, unwrap_python_model=lambda: wrapped, predict=answer)
        monkeypatch.setattr(importlib.import_module("mlflow.pyfunc"), "load_model", lambda _: model)
    return schema


@pytest.mark.parametrize(
    ("asked", "answers", "told"),
    [
        ({"history": ["a;b", "x,y", None, "x,a"]}, {"ignored": [1, 0, 0, 1]},
         "1 of 4 .* history, such as 'a;b' in row 1;"),
        ({"history": ["x,y"], "source_history": ["z"]}, {"ignored": [1]}, None),
        ({"history": ["x"], "source_history": [""]}, {"ignored": [1]}, "in 1 of 1 .* stands in history, such as 'x'"),
        ({"history": ["x", "y"], "source_history": [None, "z"]}, {"ignored": [0, 2]},
         "1 of 2 .* history and source_history, such as 'y' in row 2;"),
        ({"events": ["VIEW,CART", "view"]}, {"unknown": [2, 0]}, "1 of 2 .* events, such as 'VIEW' in row 1;"),
    ],
)  # fmt: skip
def test_a_list_of_nothing_known_is_told(
    asked: dict[str, Any], answers: dict[str, Any], told: str | None, monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    """It is answered as if it were empty, which a list in another spelling would hide."""

    def answer(frame: pd.DataFrame, params: object) -> pd.DataFrame:
        return pd.DataFrame({"request": np.arange(len(frame)), **answers}).loc[lambda one: one.index.repeat(2)]

    registered(monkeypatch, list(asked), answer, lists=list(asked))
    predicting.predict(Path("m"), pd.DataFrame(asked))
    assert len(caplog.messages) == (told is not None)
    assert told is None or re.search(told, caplog.messages[0])


def test_what_is_not_read_and_not_answered_is_told(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Once, the near misses first; nothing where all is read and every request has a row."""

    def answer(frame: pd.DataFrame, params: object) -> pd.DataFrame:
        return pd.DataFrame({"request": [0, 0]})

    schema = registered(monkeypatch, ["user_id", "history", "candidates"], answer)
    predicting.predict(Path("m"), pd.DataFrame({"label": [1, 2], "user_id": ["a", "b"], "Histroy": ["x", "y"],
                                                "candidates": ["i", None]}))  # fmt: skip
    assert caplog.messages == [
        "request: the model does not read the columns Histroy (is it history?), label",
        "request: 1 of 2 got no answer: the model knows no item, among those that candidates name, that the user has "
        "not taken already",
    ]
    caplog.clear()
    predicting.predict(Path("m"), pd.DataFrame({"user_id": ["a"]}))
    assert caplog.messages == []
    schema.input_names = lambda: ["user_id", "timestamp"]
    predicting.predict(Path("m"), pd.DataFrame({"user_id": ["a"], "ordered_at": ["2026-01-01"]}))
    assert caplog.messages == [
        "request: the model does not read the columns ordered_at; one called timestamp would say when each row "
        "happened, and without it that is now"
    ]
