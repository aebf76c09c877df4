"""Tables with several tags a row: how tags are read, parted, checked, audited and answered."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pydantic import TypeAdapter, ValidationError

from pipeline.config import HashSplit, MultilabelTask
from pipeline.config.tasks import Task
from pipeline.data.splits import TEST, TRAIN, VALID
from pipeline.errors import DataError
from pipeline.rows.examples.crossings import MOST_TAGS, crossing_checks
from pipeline.rows.examples.leaks import audit
from pipeline.rows.examples.likeness import likeness
from pipeline.rows.examples.parting import PartExamples
from pipeline.rows.examples.prepared import Examples
from pipeline.rows.examples.served import ServedExamples, ServeExamples
from pipeline.rows.examples.tags import one_by_one, spelt_once, tag_names
from pipeline.rows.kind import CleanTables, Given, PackageInfo
from pipeline.rows.learnt import NOTHING
from pipeline.views import Features

FEATURES = {"length": "number", "studio": "category"}
TASK = MultilabelTask(kind="multilabel", separator="|", label="genres", none="-", features=FEATURES)
SPLIT = HashSplit(kind="hash", valid=0.2, test=0.3)


def films(count: int = 400, seed: int = 0, **more: Any) -> pd.DataFrame:
    """A tag of half of the rows, one of a quarter, one of five rows; one row in ten has none, one in ten no label."""
    random = np.random.default_rng(seed)
    has = {"war": np.arange(count) < 5, "drama": random.random(count) < 0.5, "comedy": random.random(count) < 0.25}
    genres = ["|".join(name for name in has if has[name][row]) or "-" for row in range(count)]
    frame = pd.DataFrame({
        "domain": "cinema", "row_id": [f"f{row}" for row in range(count)], "length": random.normal(100, 20, count),
        "studio": random.choice(["north", "south"], count), "genres": pd.Series(genres, dtype="str"),
    })  # fmt: skip
    frame.loc[9::10, "genres"] = None
    return frame.assign(**more)


def parted(frame: pd.DataFrame, folder: Path, share: float = 1.0, task: Any = TASK) -> tuple[pd.DataFrame, Any]:
    parts, _ = PartExamples(task).target(Given("cinema", {"examples": frame}, SPLIT, share, 0), {})
    folder.mkdir(exist_ok=True)
    parts.write(folder)
    return pd.read_parquet(folder / "rows.parquet"), parts


@pytest.mark.parametrize(
    ("separator", "none", "text", "spelt"),
    [
        ("|", None, "drama|comedy", "comedy|drama"), ("|", None, " drama | |drama", "drama"), ("|", None, " | ", None),
        (",", None, "drama, comedy", "comedy,drama"), (" ", None, "b  a", "a b"), ("; ", None, "b; a", "a; b"),
        ("|", "-", " - ", "-"), ("|", "-", "-|drama", "drama"), ("|", "(none)", "-", "-"),
        (" ", "no tags", "no tags", "no tags"), ("|", None, "drama,comedy", "drama,comedy"),
    ],
)  # fmt: skip
def test_each_set_of_tags_has_one_spelling(separator: str, none: str | None, text: str, spelt: str | None) -> None:
    """Sorted, each once, blanks trimmed; a text without a tag is no label, but for the one that says so."""
    task = TASK.model_copy(update={"separator": separator, "none": none})
    found = spelt_once(pd.Series([text, None], dtype="str"), task)
    assert [None if pd.isna(one) else one for one in found] == [spelt, None]
    assert spelt_once(found, task).equals(found)
    expected = [] if spelt is None else [spelt] if spelt == none else spelt.split(separator)
    assert one_by_one(found, task).tolist() == expected
    assert tag_names(found, task) == tuple(one for one in expected if one != none)


def test_a_row_is_where_its_rarest_tag_is_wanted(tmp_path: Path) -> None:
    """Each tag has its share of each part, the rare one to the row; without a label a row trains as an input."""
    frame, parts = parted(films(), tmp_path)
    rare = frame[frame["genres"].fillna("").str.contains("war")]
    assert rare["part"].value_counts().to_dict() == {TRAIN: 3, VALID: 1, TEST: 1}
    for name in ("drama", "comedy"):
        own = frame[frame["genres"].fillna("").str.contains(name)]
        assert (own["part"] == TEST).mean() == pytest.approx(0.3, abs=0.03)
    assert (frame.loc[frame["genres"].isna(), "part"] == TRAIN).all()
    assert parts.known["unlabelled"] == 40
    learnt = frame[(frame["part"] != TEST) & frame["genres"].notna()]
    assert parts.known["drama, to learn from"] == learnt["genres"].str.contains("drama").sum()
    assert parts.known["-, to learn from"] == (learnt["genres"] == "-").sum()


def test_the_order_of_tags_and_rows_never_shows(tmp_path: Path) -> None:
    """Down to the bytes, also of rows without a name."""
    frame = films().drop(columns="row_id")
    turned = frame["genres"].map(lambda text: " | ".join(reversed(text.split("|"))), na_action="ignore").astype("str")
    parted(frame, tmp_path / "a")
    parted(frame.assign(genres=turned).sample(frac=1, random_state=1), tmp_path / "b")
    assert (tmp_path / "a" / "rows.parquet").read_bytes() == (tmp_path / "b" / "rows.parquet").read_bytes()


def test_thinning_names_the_tags_that_it_takes_away(tmp_path: Path) -> None:
    """However rare they are."""
    many = films().assign(genres=lambda one: one["genres"] + "|" + np.arange(400).astype(str) + "x")
    _, parts = parted(many, tmp_path, share=0.1)
    lost = [name for name, count in parts.known.items() if name.endswith("x, to learn from") and count == 0]
    assert len(lost) >= 20
    _, parts = parted(films(), tmp_path, share=0.02)
    assert parts.known["war, to learn from"] == 0


def test_views_say_which_tags_a_row_has(tmp_path: Path) -> None:
    """The tags of all domains; of a row without tags that is known, of one without a label nothing is."""
    frame, _ = parted(films(), tmp_path)
    other = frame.assign(genres=frame["genres"].str.replace("war", "western"))
    examples = Examples(TASK, {"far": other, "cinema": frame}, "cinema")
    assert examples.classes["genres"] == ("comedy", "drama", "war", "western")
    view = examples.training()["cinema"]
    texts = frame.loc[frame["part"] != TEST, "genres"]
    for place, name in enumerate(("comedy", "drama", "war", "western")):
        assert view.label.value[:, place].tolist() == texts.fillna("").str.contains(name).tolist()
    assert view.label.known.tolist() == texts.notna().tolist()
    assert (view.label.known & ~view.label.value.any(axis=1)).sum() == (texts == "-").sum() > 0
    assert len(examples.held_out("test")) == (frame["part"] == TEST).sum()
    hidden = Examples(TASK, {"cinema": frame.assign(kept=frame["part"] == TEST)}, "cinema").training()["cinema"]
    assert not hidden.label.known.any()
    assert not hidden.label.value.any()


def test_where_all_rows_have_the_same_tags_nothing_can_be_judged(tmp_path: Path) -> None:
    """In whatever order they stand."""
    with pytest.raises(DataError, match=r"column 'genres': the rows for validation \(\d+\) are all of one class"):
        parted(films(genres=["a|b", "b|a"] * 200), tmp_path)


def checked(target: pd.DataFrame, source: pd.DataFrame | None = None, task: Any = TASK) -> dict[str, tuple[float, Any]]:
    """The value of each figure, with the check on it where it fails."""
    domains = {"far": films(seed=1) if source is None else source, "near": target}
    clean = {name: CleanTables({"examples": frame}, 0.0) for name, frame in domains.items()}
    settings: Any = type(
        "Settings",
        (),
        {"task": task, "sources": ("far",), "target": "near", "target_labels": True, "quarantine_limit": 0.2},
    )
    frame, checks = crossing_checks(settings, clean)
    found = {}
    for check in checks:
        value = float(frame[check.arguments["column"]].iloc[0])
        low, high = (check.arguments.get(name) for name in ("min_value", "max_value"))
        fails = (low is not None and value < low) or (high is not None and value > high)
        found[check.arguments["column"]] = value, check if fails else None
    return found


def test_sound_tables_fail_no_check() -> None:
    """Tags are counted by set, and over all domains."""
    found = checked(films())
    assert all(check is None for _, check in found.values())
    assert found["different tags"][0] == 3
    assert found["sets of tags of near"][0] == spelt_once(films()["genres"], TASK).nunique()


def test_a_separator_that_stands_in_no_row_is_told() -> None:
    """Critical, because a set of tags would be read as one; a warning where rows are known to have none."""
    one_each = films().assign(genres=["drama,war", "comedy,war"] * 200)
    value, check = checked(one_each, one_each)["rows with several tags"]
    assert (value, check.severity) == (0, "critical")
    assert check.expected == "at least 1 row with several tags, with '|' between them"
    assert "kind: multiclass" in check.remedy
    assert checked(films(), one_each)["rows with several tags"][1] is None  # one domain has some
    one_each.loc[:9, "genres"] = "-"
    assert checked(one_each, one_each)["rows with several tags"][1].severity == "warning"


def test_one_set_of_tags_and_far_too_many_are_told() -> None:
    """One tag alone is enough where some rows do not have it."""
    alone = films().assign(genres="drama")
    assert checked(alone)["sets of tags of near"][1].severity == "critical"
    alone.loc[:9, "genres"] = "-"
    assert checked(alone)["sets of tags of near"] == (2, None)
    texts = films().assign(genres=[f"w{row} w{row + 400}" for row in range(400)])
    value, check = checked(texts, task=TASK.model_copy(update={"separator": " "}))["different tags"]
    assert value > MOST_TAGS
    assert check.severity == "critical"


def prepared(frame: pd.DataFrame, source: pd.DataFrame | None = None) -> Examples:
    places = np.arange(len(frame))
    parts = np.where(places < 200, TRAIN, np.where(places < 300, VALID, TEST))
    made = {name: one.assign(component=places, part=parts, kept=True)
            for name, one in (("far", films(seed=1) if source is None else source), ("near", frame))}  # fmt: skip
    return Examples(TASK, made, "near")


def test_the_audit_knows_tags() -> None:
    """A copy has the same tags; a row with a tag that no domain teaches is unseen."""
    frame = films().assign(genres="drama")
    frame.loc[::3, "genres"] = "comedy|drama"
    frame.loc[[210, 350, 360], "genres"] = ["drama|lost", "comedy|taught", "drama|strange"]
    source = films(seed=1).assign(genres="drama")
    source.loc[0, "genres"] = "taught"
    frame.loc[390] = frame.loc[3]
    frame.loc[391] = {**frame.loc[4].to_dict(), "genres": "comedy"}
    marks, report = audit(prepared(frame, source))
    near = {(row, kind) for name, row, kind in marks.itertuples(index=False) if name == "near" and kind != "near_copy"}
    assert near == {(210, "unseen"), (360, "unseen"), (390, "copy")}
    details = report["domains"]["near"]["details"]
    assert details["test_rows_of_a_class_without_a_training_row_here"] == 2  # `taught` and `strange`


def test_a_feature_that_tells_a_tag_is_named() -> None:
    """With the tag; a tag of few rows is told by chance, and not named."""
    frame = films()
    has = frame["genres"].fillna("").str.contains("comedy")
    frame["length"] = np.where(has, 200.0, 100.0) + np.arange(400) / 400
    frame.loc[9::10, "length"] = 200.0  # rows without a label speak for neither
    [told] = audit(prepared(frame))[1]["give_aways"]
    assert told.startswith("near: length tells the tag comedy of genres by itself (AUROC 1.0000 on training rows")


def test_shares_of_tags_are_compared() -> None:
    """Between validation and test."""
    assert likeness(prepared(films()))["differs"] == []
    frame = films()
    frame.loc[300:, "genres"] = frame.loc[300:, "genres"].fillna("-") + "|comedy"
    found = likeness(prepared(frame))
    [told] = found["differs"]
    assert told.startswith("rows of the class comedy: ")
    assert told.endswith("100% in the test")
    assert found["test"]["share"]["comedy"] == 1.0


class TwoTags:
    """Says `war` of long films, and `comedy` of those of the south."""

    classes, threshold = ("comedy", "war"), [0.5, 0.3]

    def probabilities(self, features: Features) -> np.ndarray:
        table = features.table
        return np.stack([(table["studio"] == "south") * 0.8, table["length"].fillna(0).to_numpy() / 200], axis=1)

    def decided(self, probabilities: np.ndarray) -> np.ndarray:
        return (probabilities >= self.threshold).astype(np.int64)


def served(folder: Path, task: Any) -> ServedExamples:
    info = PackageInfo(scenario="s", lane="l", task="multilabel", target="near", sources=("far",), pseudonymous=True,
                       candidate="c", data={}, code="1")  # fmt: skip
    examples = prepared(films())
    ServeExamples().write(folder, Examples(task, examples.frames, "near"), NOTHING)
    return ServeExamples().read(folder, info, TwoTags())


def test_an_answer_spells_tags_as_labels_do(tmp_path: Path) -> None:
    """Joined by the separator, with a probability for each; of a row without tags what says so, or nothing."""
    asked = pd.DataFrame({"length": [100, 40, 90], "studio": ["south", "north", None]})
    told = served(tmp_path, TASK).answer(asked, {})
    assert told.to_dict("list") == {
        "request": [0, 1, 2], "genres": ["comedy|war", "-", "war"], "probability_comedy": [0.8, 0.0, 0.0],
        "probability_war": [0.5, 0.2, 0.45], "unknown": [0, 0, 0],
    }  # fmt: skip
    plain = TASK.model_copy(update={"separator": ", ", "none": None})
    assert served(tmp_path, plain).answer(asked, {})["genres"].tolist() == ["comedy, war", "", "war"]


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"metric": "auprc"}, r"metric\s+Input should be 'macro_auprc', 'macro_auroc' or 'log_loss'"),
        ({"label": "length"}, r"length stands there more than once"),
        ({"separator": ""}, r"separator\s+String should have at least 1 character"),
    ],
)
def test_a_task_that_cannot_be_is_refused(changed: dict[str, Any], told: str) -> None:
    """With the key."""
    with pytest.raises(ValidationError, match=told):
        TypeAdapter(Task).validate_python(
            {"kind": "multilabel", "label": "genres", "separator": "|", "features": FEATURES} | changed
        )
