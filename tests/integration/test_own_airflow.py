"""The built wheel and the DAG folder in an Airflow that is not ours, with an MLflow server elsewhere."""

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
import yaml

from pipeline.folders import Home, read_json
from pipeline.registry.pages import DATA_DOCS, KIND, MLFLOW_RUN, REPORT, VERSION, pages
from pipeline.results import BASELINE, PROMOTE, TUNE, PromoteFacts
from pipeline.runs.run import Run
from tests.browser import chromium
from tests.looking import look_at_mlflow
from tests.tiny import TINY

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.slow

SMALL = {**yaml.safe_load(TINY), "name": "demo", "strategies": [{"tune": {"kind": "scratch"}}], "schedule": None}
CROSSLIFT = "from pipeline.cli import main; main()"
WRONG = """
import importlib.metadata as metadata
real = metadata.version
metadata.version = lambda name: "3.2.1" if name == "apache-airflow-core" else real(name)
import runpy
runpy.run_path("retrain.py")
"""


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the wheel into an environment that borrows the libraries, but has no checkout on its path."""
    folder = tmp_path_factory.mktemp("own")
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    source = folder / "source"
    shutil.copytree(ROOT / "pipeline", source / "pipeline", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    build = [*pip, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder / "dist"), str(source)]
    subprocess.run(build, check=True, capture_output=True)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder / "venv")], check=True)
    site = next((folder / "venv" / "lib").glob("python3.*/site-packages"))
    wheel = next((folder / "dist").glob("crosslift-*.whl"))
    subprocess.run([*pip, "install", "--no-deps", "--target", str(site), str(wheel)], check=True, capture_output=True)
    borrowed = dict.fromkeys((sysconfig.get_path("purelib"), sysconfig.get_path("platlib")))
    (site / "borrowed.pth").write_text("\n".join(map(str, borrowed)), encoding="utf-8")
    for name, asked in (("airflow", "-m airflow"), ("crosslift", f"-c '{CROSSLIFT}'")):
        (command := folder / "venv" / "bin" / name).write_text(
            f'#!/bin/sh\nexec "{folder}/venv/bin/python" {asked} "$@"\n'
        )
        command.chmod(0o755)
    shutil.rmtree(source)
    return folder / "venv" / "bin" / "python"


def printed() -> list[str]:
    """The lines of the page's block "See that it works"."""
    page = (ROOT / "docs" / "own-airflow.md").read_text(encoding="utf-8")
    [block] = re.findall(r"^## See that it works\n+```sh\n(.*?)```", page, flags=re.DOTALL | re.MULTILINE)
    return str(block).splitlines()


def figures(run: Run) -> dict[str, dict[str, float]]:
    """Validation metrics of every lane."""
    return {name: lane.facts.valid for step in (TUNE, BASELINE) for name, lane in run.results(step).items()}


def see(server: str, promoted: PromoteFacts) -> None:
    """Look at the pages of a night: by the addresses that buttons have, each tells what it is called for."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CROSSLIFT_MLFLOW_URL", server)
        addresses = pages(promoted.experiment, promoted.logged, promoted.model, promoted.version)
    wanted: dict[str, tuple[str, ...]] = {
        f"{server}/#/experiments/{promoted.experiment}/runs?{KIND}": ("demo ",),
        addresses[MLFLOW_RUN]: (
            f"Outcome: {promoted.outcome}", "ndcg_at_10/candidate_low", "gain/over_best_baseline_low",
        ),
        addresses[REPORT]: (SMALL["title"], f"Verdict: {promoted.verdict}"),
        addresses[DATA_DOCS]: ("Data Docs: demo",),
        addresses[VERSION]: (f"Verdict: {promoted.verdict}", f"Model card: {promoted.lane}", "@ champion"),
    }  # fmt: skip
    with chromium() as browser:
        look_at_mlflow(browser, wanted)


def test_the_wheel_and_the_dag_file_are_enough(
    python: Path, mlflow_server: str, tmp_path: Path, subtests: pytest.Subtests
) -> None:
    """What the page prints registers in the other MLflow what a run of the shell here finds, to the last digit."""
    scenarios, dags = tmp_path / "scenarios", tmp_path / "airflow" / "dags"
    scenarios.mkdir()
    (scenarios / "demo.yaml").write_text(yaml.safe_dump(SMALL), encoding="utf-8")
    shutil.copytree(ROOT / "dags", dags, ignore=shutil.ignore_patterns("__pycache__"))
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "CROSSLIFT", "PYTHON"))
    }
    theirs = {**kept, "AIRFLOW_HOME": str(dags.parent), "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
              "CROSSLIFT_SCENARIOS": str(scenarios), "CROSSLIFT_HOME": str(tmp_path / "theirs"),
              "MLFLOW_TRACKING_URI": mlflow_server, "PATH": f"{python.parent}:{kept['PATH']}"}  # fmt: skip

    def shell(line: str) -> str:
        command = ["sh", "-c", line]
        done = subprocess.run(command, cwd=tmp_path, env=theirs, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{line}\n{done.stdout[-3000:]}\n{done.stderr[-6000:]}"
        return done.stdout

    shell("airflow db migrate")
    listed, _, models = map(shell, printed())
    assert re.search(rf"^retrain__demo +\| {re.escape(str(dags / 'retrain.py'))} *$", listed, flags=re.MULTILINE), (
        listed
    )
    plan = next((tmp_path / "theirs" / "runs").glob("*/plan.json"))
    there = Run.load(Home(tmp_path / "theirs"), read_json(plan)["run_id"])
    promoted = there.result(PROMOTE).facts

    own = {**os.environ, "CROSSLIFT_SCENARIOS": str(scenarios), "CROSSLIFT_HOME": str(tmp_path / "ours")}
    command = [sys.executable, "-c", CROSSLIFT, "run", "demo", "--run-id", "here", "--json"]
    done = subprocess.run(command, env=own, cwd=ROOT, capture_output=True, text=True, check=False)
    here = Run.load(Home(tmp_path / "ours"), "here")
    assert figures(there) == figures(here) != {}
    assert promoted.outcome == json.loads(done.stdout)["outcome"]
    assert not (tmp_path / "theirs" / "mlflow" / "mlflow.db").exists()
    with subtests.test("what MLflow shows"):
        see(mlflow_server, promoted)
    assert promoted.model == "crosslift.demo"
    assert re.search(r"^crosslift\.demo\s", models, flags=re.MULTILINE)


def test_another_airflow_is_refused_before_anything_runs(python: Path, tmp_path: Path) -> None:
    """The DAG file itself fails, with both versions, which Airflow shows as an import error."""
    shutil.copy(ROOT / "dags" / "retrain.py", tmp_path)
    done = subprocess.run([python, "-c", WRONG], cwd=tmp_path, capture_output=True, text=True,
                          env={**os.environ, "AIRFLOW_HOME": str(tmp_path)}, check=False)  # fmt: skip
    assert done.returncode != 0
    assert "needs apache-airflow <3.4,>=3.3.2, and this is 3.2.1" in done.stderr
