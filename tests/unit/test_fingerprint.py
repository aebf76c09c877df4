"""What a step's fingerprint knows of the code: which edit computes which steps again, and none other."""

from collections.abc import Callable
from pathlib import Path
from typing import get_args

import pytest

from pipeline.config import TaskConfig
from pipeline.runs import fingerprint
from pipeline.tasks import labels, words

STEPS = (
    "ingest",
    "validate",
    "prepare",
    "audit",
    "pretrain",
    "adapt",
    "finetune",
    "baseline",
    "judging",
    "report",
    "packaging",
)
TRAINED = {"pretrain", "adapt", "finetune"}


def hashes() -> dict[str, str]:
    """Hash the code of every step anew."""
    fingerprint.code_hash.cache_clear()
    return {step: fingerprint.code_hash(f"pipeline.steps.{step}") for step in STEPS}


@pytest.mark.parametrize(
    ("edited", "again"),
    [
        ("cli/app.py", set()),
        ("runs/transaction.py", set()),
        ("runs/sequence.py", set()),
        ("runs/graph.py", set()),
        ("runs/logged.py", set()),
        ("runs/outcome.py", set()),
        ("runs/champion.py", {"judging"}),
        ("runs/account.py", {"audit", "report"}),
        ("runs/aftermath.py", set()),
        ("steps/showing.py", {"judging"}),
        ("evaluation/report_style.css", {"report"}),
        ("evaluation/choosing.py", {"audit", "pretrain", "finetune", "baseline"}),
        ("steps/promote.py", set()),
        ("registry/rollback.py", set()),
        ("registry/lookup.py", {"judging"}),
        ("evaluation/report.html", {"report"}),
        ("evaluation/report_markdown.html", {"report"}),
        ("rows/interactions/requests.py", {"judging", "packaging"}),
        ("data/readers/sql.py", {"ingest"}),
        ("data/splits.py", set(STEPS) - {"ingest"}),
        ("validation/suites.py", {"validate"}),
        ("rows/interactions/twins.py", {"audit"}),
        ("rows/interactions/slices.py", {"judging"}),
        ("labels/words.py", {"audit", "pretrain", "finetune", "baseline", "judging", "report"}),
        ("labels/ranks.py", {"audit", "pretrain", "finetune", "baseline", "judging"}),
        ("training/fit.py", TRAINED),
        ("models/ease.py", {"baseline", "judging", "packaging"}),
        ("steps/finetune.py", {"finetune"}),
        ("errors.py", set(STEPS)),
    ],
)
def test_an_edit_computes_again_what_it_reaches(monkeypatch: pytest.MonkeyPatch, edited: str, again: set[str]) -> None:
    """A changed file changes the hash of the steps that reach it; the others find what they had."""
    before, real = hashes(), fingerprint.hash_file
    monkeypatch.setattr(
        fingerprint, "hash_file", lambda path: "other" if path.as_posix().endswith(f"pipeline/{edited}") else real(path)
    )
    after = hashes()
    fingerprint.code_hash.cache_clear()
    assert {step for step in STEPS if after[step] != before[step]} == again


def other_version(library: str, real: Callable[[str], str]) -> Callable[[str], str]:
    """Give another version of one library."""
    return lambda name: "2" if name == library else real(name)


@pytest.mark.parametrize(
    ("library", "again"),
    [
        ("torch", TRAINED | {"baseline", "judging", "packaging"}),  # a baseline may read texts by an encoder
        ("implicit", {"baseline", "judging", "packaging"}),
        ("great_expectations", {"validate"}),
    ],
)
def test_a_library_counts_where_it_is_imported(monkeypatch: pytest.MonkeyPatch, library: str, again: set[str]) -> None:
    """Another version of a library computes the steps again whose modules import it."""
    before = hashes()
    monkeypatch.setattr(fingerprint, "_version", other_version(library, fingerprint._version))
    after = hashes()
    fingerprint.code_hash.cache_clear()
    assert {step for step in STEPS if after[step] != before[step]} == again


def test_versions_are_found_whatever_a_library_is_called() -> None:
    """A module's name need not be its distribution's."""
    assert fingerprint._version("yaml").startswith("PyYAML ")
    assert fingerprint._version("no_such_library") == "absent"


def test_data_of_a_module_counts(tmp_path: Path) -> None:
    """A template belongs to the module whose name its own begins with."""
    for name in ("report.py", "report.html", "report_markdown.html", "gate.py", "gates.txt"):
        (tmp_path / name).touch()
    assert {path.name for path in fingerprint._files(tmp_path, "pipeline.report")} == {
        "report.py", "report.html", "report_markdown.html",
    }  # fmt: skip
    assert {path.name for path in fingerprint._files(tmp_path, "pipeline.gate")} == {"gate.py"}


@pytest.mark.parametrize("task", labels.LABELS)
def test_the_words_of_a_task_are_those_of_its_label(task: type[TaskConfig]) -> None:
    """What is told without loading the metrics is what they are told by."""
    [kind] = get_args(task.model_fields["kind"].annotation)
    needed = {"kind": kind, "label": "y", "separator": "|", "features": {"x": "number"}, "events": ("a", "b")}
    made = task.model_validate({name: value for name, value in needed.items() if name in task.model_fields})
    assert words.words_of(made) == labels.build_label(made).words
    assert labels.LABELS.keys() == words.WORDS.keys()
