"""A process that is killed while it trains, on the embedded demo data: the retry ends as if nothing had happened."""

import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.config import Options, Scenario
from pipeline.errors import MissingResultError
from pipeline.folders import Home
from pipeline.results import PRETRAIN, TUNE
from pipeline.runs.run import Run
from pipeline.scenarios import load_scenario
from pipeline.steps.audit import audit
from pipeline.steps.baseline import fit_baseline
from pipeline.steps.finetune import finetune_target
from pipeline.steps.ingest import ingest
from pipeline.steps.prepare import prepare
from pipeline.steps.pretrain import pretrain_source
from pipeline.steps.validate import validate

pytestmark = pytest.mark.slow
NIGHT = "night"

# Runs a step in a process of its own. Given a pattern, the process gets SIGKILL at the second step of an epoch as soon
# as so many checkpoints match. At the end it tells the first epoch and step that it trained.
DRIVER = """
import json, os, signal, sys
from pathlib import Path
from pipeline.folders import Home
from pipeline.steps.finetune import finetune_target
from pipeline.steps.pretrain import pretrain_source
from pipeline.models.batches import RankingRows
from pipeline.runs.run import Run
from pipeline.labels import items

items.FEWEST = 1  # as in the undisturbed run
root, step, pattern, count = Path(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4])
batch, places = RankingRows.batch, []

def watched(self, epoch, step):
    if pattern and step % self.steps == 1 and len(list(root.glob(pattern))) >= count:
        os.kill(os.getpid(), signal.SIGKILL)
    places.append((epoch, step))
    return batch(self, epoch, step)

RankingRows.batch = watched
run = Run.load(Home(root), "night")
pretrain_source(run) if step == "pretrain_source" else finetune_target(run, "fine_tune")
print(json.dumps(places[0]))
"""


def scenario() -> Scenario:
    """The demo, small, with batches so small that an epoch has many."""
    value = load_scenario("demo").model_dump(mode="json")
    value["embedded"] |= {"users": 200, "items": 100}
    value["training"] |= {"epochs": 8, "patience": 2, "batch_size": 128, "negatives": 64}
    value["model"] |= {"dim": 32, "temperature": 0.2}
    # it learns fast and overfits, so that the choice stops early on processors whose sums end in other digits, too
    value["strategies"] = [{"tune": {"kind": "scratch"}}, {"tune": {"kind": "fine_tune", "learning_rate": 0.3}}]
    value["baselines"] = [{"kind": "popularity"}, {"kind": "ials_knn", "factors": 4}]
    return Scenario.model_validate(value)


@pytest.fixture(scope="module")
def homes(tmp_path_factory) -> tuple[Path, Path]:
    """A home in which all is ready for training, and one in which an undisturbed run went on from there."""
    ready, whole = (tmp_path_factory.mktemp(name) / "home" for name in ("ready", "whole"))
    run = Run.start(Home(ready), NIGHT, scenario(), Options())
    for step in (ingest, validate, prepare, audit):
        step(run)
    shutil.copytree(ready, whole)
    run = Run.load(Home(whole), NIGHT)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pipeline.labels.items.FEWEST", 1)  # 45 users are few
        pretrain_source(run)
        finetune_target(run, "fine_tune")
    return ready, whole


def drive(home: Path, step: str, pattern: str = "", count: int = 0) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", DRIVER, str(home), step, pattern, str(count)],
        capture_output=True, text=True, timeout=1800, check=False,
    )  # fmt: skip


KILLS = {
    "pretraining": (PRETRAIN, "", 1, False),
    "choosing the epochs": (TUNE, "choose/", 2, False),
    "choosing, and the newest checkpoint is truncated": (TUNE, "choose/", 2, True),
    "the last fit, after the choice had stopped early": (TUNE, "final/", 1, False),
}


@pytest.mark.parametrize("phase", KILLS)
def test_a_killed_step_ends_with_the_undisturbed_manifest(homes, tmp_path, phase):
    """SIGKILL in the middle of an epoch publishes nothing; a new process goes on and ends with equal hashes."""
    step, place, count, damaged = KILLS[phase]
    ready, whole = homes
    home = tmp_path / "home"
    shutil.copytree(ready, home)
    run, undisturbed = Run.load(Home(home), NIGHT), Run.load(Home(whole), NIGHT)
    name = "fine_tune" if step == TUNE else ""
    if step == TUNE:
        shutil.copytree(whole / "steps" / "pretrain_source", home / "steps" / "pretrain_source")
        run.record(undisturbed.result(PRETRAIN))
    killed = drive(home, step.name, f"work/*/{place}epoch*.ckpt", count)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    with pytest.raises(MissingResultError, match=f"needs the result of {step.name}"):
        run.result(step, name)
    checkpoints = sorted(home.glob(f"work/*/{place}epoch*.ckpt"))
    assert len(checkpoints) == count
    if damaged:
        checkpoints[-1].write_bytes(checkpoints[-1].read_bytes()[:1000])
    done = drive(home, step.name)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)[0] == count - damaged  # the first epoch that no readable checkpoint had behind it
    assert run.result(step, name).manifest == undisturbed.result(step, name).manifest
    assert not list(home.glob("work/*"))


def test_the_choice_stops_early(homes):
    """What the kill in the last fit is about: the choice had ended before its epochs were over."""
    facts = Run.load(Home(homes[1]), NIGHT).result(TUNE, "fine_tune").facts
    assert 2 <= facts.settings["epochs"] < 6  # so that a kill between the epochs of the last fit finds one behind it


def test_baselines_repeat_with_equal_hashes(homes, tmp_path):
    """A baseline that is fitted again elsewhere gives the same manifest, and is reused where it was."""
    found = []
    for place in ("one", "two"):
        shutil.copytree(homes[0], tmp_path / place)
        found.append(fit_baseline(Run.load(Home(tmp_path / place), NIGHT), "ials_knn"))
    assert found[0].manifest == found[1].manifest
    assert not found[0].reused
    assert fit_baseline(Run.load(Home(tmp_path / "one"), NIGHT), "ials_knn").reused
