"""A step as a transaction: computed once, found again, and never published by halves."""

import errno
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from pipeline import folders
from pipeline.config import Options, Settings
from pipeline.errors import MissingResultError, StorageError
from pipeline.folders import Home, hash_file, read_json, write_json
from pipeline.integrity import damage
from pipeline.results import TUNE, LaneFacts, StepResult
from pipeline.runs import transaction
from pipeline.runs.fingerprint import device_class
from pipeline.runs.run import Run
from pipeline.runs.transaction import cost_of, transact
from pipeline.scenarios import load_scenario


@pytest.fixture
def run(own_home: Path) -> Run:
    """A run of the demo scenario."""
    return Run.start(Home(own_home), "one", load_scenario("demo"), Options())


class Dim(Settings):
    """Settings of a step."""

    dim: int = 8
    seed: int = 0


class Content:
    """An input."""

    def __init__(self, identity: str) -> None:
        self.identity = identity


FACTS = LaneFacts(lane="lane", valid={"ndcg@10": 0.5}, valid_domain="films", settings={})


class Step:
    """A step that counts how often it computes."""

    def __init__(self) -> None:
        self.times = 0

    def __call__(self, settings: Dim, inputs: Mapping[str, Content], folder: Path, work: Path) -> LaneFacts:
        """Write one artifact, as a step does."""
        self.times += 1
        (folder / "table").write_text("abc")
        return FACTS


def do(run: Run, step: Callable[..., LaneFacts], **changes: Any) -> StepResult[LaneFacts]:
    """Run a step with settings of which some are changed."""
    given: dict[str, Any] = {"inputs": {"ingest.a": Content("hash")}, "settings": Dim(), "name": "lane"}
    return transact(run, TUNE, step, **{**given, **changes})


def test_computed_once(run: Run) -> None:
    """The second time nothing is computed, and the result is the same but for that."""
    step = Step()
    first, second = do(run, step), do(run, step)
    assert step.times == 1
    assert (first.reused, second.reused) == (False, True)
    assert second == first.model_copy(update={"reused": True})
    assert first.facts == FACTS
    assert run.result(TUNE, "lane") == second
    assert not damage(run.path(first))
    assert cost_of(run.path(first)).wall_seconds >= 0
    assert read_json(run.path(first) / "meta.json")["run_id"] == "one"


@pytest.mark.parametrize(
    "changes",
    [
        {"inputs": {"ingest.a": Content("other")}},
        {"inputs": {"ingest.b": Content("hash")}},
        {"settings": Dim(dim=9)},
        {"settings": Dim(seed=1)},
        {"name": "other"},
    ],
)
def test_what_decides_the_fingerprint(run: Run, changes: dict[str, Any]) -> None:
    """Other inputs, settings, seed or lane are another computation; the earlier folder stays."""
    step = Step()
    first, other = do(run, step), do(run, step, **changes)
    assert step.times == 2
    assert first.fingerprint != other.fingerprint
    assert not damage(run.path(first))


@pytest.mark.parametrize("what", ["code_hash", "device_class", "THREADS"])
def test_code_device_and_threads_decide_too(run: Run, monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    """Nothing is reused that other code, another device or other threads computed."""
    step = Step()
    do(run, step)
    monkeypatch.setattr(transaction, what, 7 if what == "THREADS" else lambda *_: "other")
    assert not do(run, step).reused


def test_another_run_finds_it(run: Run) -> None:
    """The fingerprint knows no run: another run of the same home reuses the folder."""
    step = Step()
    first = do(run, step)
    second = do(Run.start(run.home, "two", run.scenario, Options()), step)
    assert second.reused
    assert second.folder == first.folder
    assert second.manifest == first.manifest


def test_force_computes_again(run: Run) -> None:
    """With force it is computed again, to the same manifest, and what is there afterwards is whole."""
    step = Step()
    first = do(run, step)
    again = do(Run.start(run.home, "two", run.scenario, Options(force=True)), step)
    assert step.times == 2
    assert not again.reused
    assert again.manifest == first.manifest
    assert not damage(run.path(again))


DAMAGES: dict[str, tuple[str, str | None]] = {  # file, and what it holds then; None: nothing, it is gone
    "flipped": ("table", "abb"),
    "cut": ("table", "a"),
    "longer": ("table", "abcd"),
    "gone": ("table", None),
    "facts flipped": ("facts.json", '{"lane": "other", "valid": {}, "valid_domain": "films", "settings": {}}'),
    "facts broken": ("facts.json", "{"),
    "facts gone": ("facts.json", None),
    "manifest broken": ("manifest.json", "{"),
    "manifest gone": ("manifest.json", None),
    "meta broken": ("meta.json", "{"),
    "meta of another kind": ("meta.json", '{"unhashed": {}, "cost": 3, "finished": "today"}'),
    "meta gone": ("meta.json", None),
}


@pytest.mark.parametrize("what", DAMAGES)
def test_a_damaged_folder_is_set_aside_and_made_again(run: Run, what: str, caplog: pytest.LogCaptureFixture) -> None:
    """Whatever was damaged, the folder is not reused: it is kept under another name, told, and computed anew."""
    step = Step()
    first = do(run, step)
    folder = run.path(first)
    name, content = DAMAGES[what]
    (folder / name).unlink() if content is None else (folder / name).write_text(content)
    again = do(run, step)
    assert (again.reused, step.times) == (False, 2)
    assert (again.manifest, again.facts, again.folder) == (first.manifest, first.facts, first.folder)
    assert not damage(folder)
    aside = folder.with_name(f"{folder.name}.damaged") / name
    assert aside.exists() == (content is not None)
    assert content is None or aside.read_text() == content
    assert name in caplog.text
    assert do(run, step).reused


def test_a_damaged_input_stops_the_step_that_reads_it(run: Run) -> None:
    """What lies in a result's folder is read only if it is what was published; the message says which file is not."""
    step = Step()
    first = do(run, step)
    (run.path(first) / "table").write_text("abb")
    told = r"the folder of finetune_target lane was damaged .* table: expected 3 bytes .*Repeat the command"
    with pytest.raises(StorageError, match=told):
        run.path(first)
    assert do(run, step).manifest == first.manifest
    assert (run.path(first) / "table").read_text() == "abc"


def test_a_folder_that_another_run_made_otherwise_is_no_input(run: Run) -> None:
    """The record says which manifest the folder must have."""
    first = do(run, Step())
    forged = first.model_copy(update={"manifest": "0" * 64})
    with pytest.raises(StorageError, match="its manifest is not the one that this run recorded"):
        run.path(forged)


def test_an_artifact_is_an_input_by_its_own_hash(run: Run) -> None:
    """Who reads one file hangs on that file and on no other; its folder must be what was published all the same."""
    first = do(run, Step())
    whole, table = run.input(TUNE, "lane"), run.input(TUNE, "lane", "table")
    assert (whole.identity, whole.path) == (first.manifest, run.place(first))
    assert (table.identity, table.path) == (hash_file(run.place(first) / "table"), run.place(first) / "table")
    (run.place(first) / "manifest.json").write_text("{}")
    for read in (lambda: run.input(TUNE, "lane", "table").identity, lambda: run.input(TUNE, "lane", "table").path):
        with pytest.raises(StorageError, match="the folder of finetune_target lane was damaged"):
            read()


def test_a_record_with_facts_of_an_older_version_is_read(run: Run) -> None:
    """What nobody asks for any more is left out."""
    first = do(run, Step())
    record = run.folder / "results" / "finetune_target.lane.json"
    value = read_json(record)
    write_json(record, {**value, "facts": {**value["facts"], "seconds": 3}})
    assert run.result(TUNE, "lane") == first


@pytest.mark.parametrize("content", ["{", "[]", '{"step": 3}', ""])
def test_a_damaged_record_is_told(run: Run, content: str) -> None:
    """A record that cannot be read is one message, and the step writes it anew."""
    step = Step()
    first = do(run, step)
    record = run.folder / "results" / "finetune_target.lane.json"
    record.write_text(content)
    for read in (lambda: run.result(TUNE, "lane"), lambda: run.results(TUNE)):
        with pytest.raises(StorageError, match=r"finetune_target.lane.json: expected the record of a step, .*Repeat"):
            read()
    do(run, step)
    assert run.result(TUNE, "lane").manifest == first.manifest


@pytest.mark.parametrize("content", ["{", "[]", '{"run_id": "one"}', '{"scenario": {"name": 1}, "force": 0}'])
def test_a_damaged_plan_is_told(run: Run, content: str) -> None:
    """A plan that cannot be read is one message; a run that is started again under its name begins anew."""
    do(run, Step())
    (run.folder / "plan.json").write_text(content)
    with pytest.raises(StorageError, match=r"plan.json: expected the plan of a run, .*Start another run"):
        Run.load(run.home, "one")
    again = Run.start(run.home, "one", run.scenario, Options())
    assert again.results(TUNE) == {}
    assert Run.load(run.home, "one").scenario == run.scenario


def test_error_leaves_no_result_and_keeps_the_checkpoints(run: Run) -> None:
    """A step that fails publishes nothing, drops the result of its earlier try, and keeps its work for the next."""
    step = Step()
    first = do(run, step)
    table = run.path(first) / "table"
    table.unlink()
    works: list[Path] = []

    def fail(_settings: Dim, _inputs: Mapping[str, Content], folder: Path, work: Path) -> LaneFacts:
        works.append(work)
        work.mkdir(parents=True)
        (work / "checkpoint").write_text("epoch 3")
        (folder / "table").write_text("half")
        raise ValueError("no memory")

    with pytest.raises(ValueError, match="no memory"):
        do(run, fail)
    with pytest.raises(MissingResultError, match="run one: needs the result of finetune_target of lane"):
        run.result(TUNE, "lane")
    assert not table.exists()
    assert (works[0] / "checkpoint").read_text() == "epoch 3"
    do(run, step)
    assert not works[0].exists()  # published, so nobody needs it any more


@pytest.mark.parametrize(("number", "told"), [(errno.ENOSPC, "the disk is full"), (errno.EACCES, "cannot be written")])
def test_trouble_with_the_disk(run: Run, number: int, told: str) -> None:
    """A full or unwritable disk is told as such; nothing is published and no result is left."""

    def fail(_settings: Dim, _inputs: Mapping[str, Content], folder: Path, _work: Path) -> LaneFacts:
        (folder / "table").write_text("half")
        raise OSError(number, os.strerror(number), str(folder / "table"))

    with pytest.raises(StorageError, match=told):
        do(run, fail)
    assert run.results(TUNE) == {}
    assert list((run.home.root / "steps" / "finetune_target").iterdir()) == []


def test_disk_fills_while_the_manifest_is_written(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also when the disk fills after the step's own work, nothing is published."""
    monkeypatch.setattr(folders, "_sync", lambda _: (_ for _ in ()).throw(OSError(errno.ENOSPC, "full")))
    with pytest.raises(StorageError, match="Nothing was published"):
        do(run, Step())
    assert run.results(TUNE) == {}


def test_killed_in_the_middle(own_home: Path, run_python: Callable[..., str]) -> None:
    """A process killed while it computes leaves no folder and no result; the next try finds its checkpoint."""
    code = (
        "import os, signal\n"
        "from pipeline.config import Options, Settings\n"
        "from pipeline.results import PRETRAIN, TrainFacts\n"
        "from pipeline.folders import Home\n"
        "from pipeline.scenarios import load_scenario\n"
        "from pipeline.runs.run import Run\n"
        "from pipeline.runs.transaction import transact\n"
        "run = Run.start(Home.from_env(), 'one', load_scenario('demo'), Options())\n"
        "def build(settings, inputs, folder, work):\n"
        "    seen = (work / 'checkpoint').exists()\n"
        "    work.mkdir(parents=True, exist_ok=True)\n"
        "    (work / 'checkpoint').write_text('epoch 3')\n"
        "    (folder / 'table').write_text('abc')\n"
        "    if not seen:\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        "    return TrainFacts(epochs=int(seen))\n"
        "if os.fork() == 0:\n"
        "    transact(run, PRETRAIN, build, Settings(), {})\n"
        "print(os.waitstatus_to_exitcode(os.wait()[1]), run.results(PRETRAIN))\n"
        "print(transact(run, PRETRAIN, build, Settings(), {}).facts.epochs)\n"
    )
    told = run_python(code, CROSSLIFT_HOME=str(own_home)).splitlines()
    assert told == ["-9 {}", "1"]
    assert list((own_home / "work").iterdir()) == []


def test_run_that_changes_forgets_its_results(run: Run) -> None:
    """The same run id with other options starts anew; with the same options it keeps what it has."""
    do(run, Step())
    kept = Run.start(run.home, "one", load_scenario("demo"), Options())
    assert set(kept.results(TUNE)) == {"lane"}
    changed = Run.start(run.home, "one", load_scenario("demo"), Options(seed=5))
    assert changed.results(TUNE) == {}
    assert Run.load(run.home, "one").scenario.seed == 5


def test_device_is_found_without_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that may see no GPU computes on the CPU."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert device_class() == "cpu"


def test_looked_up_before_any_heavy_import(own_home: Path, run_python: Callable[..., str]) -> None:
    """Finding a published folder loads no library that computes."""
    code = (
        "import sys\n"
        "from pipeline.config import Options, Settings\n"
        "from pipeline.results import PRETRAIN, TrainFacts\n"
        "from pipeline.folders import Home\n"
        "from pipeline.scenarios import load_scenario\n"
        "from pipeline.runs.run import Run\n"
        "from pipeline.runs.transaction import transact\n"
        "run = Run.start(Home.from_env(), 'one', load_scenario('demo'), Options())\n"
        "for _ in range(2):\n"
        "    result = transact(run, PRETRAIN, lambda *_: TrainFacts(epochs=0), Settings(), {})\n"
        "print(result.reused, *{'torch', 'pandas', 'numpy', 'mlflow'} & set(sys.modules))\n"
    )
    assert run_python(code, CROSSLIFT_HOME=str(own_home)).split() == ["True"]
