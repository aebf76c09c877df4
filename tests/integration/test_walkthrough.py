"""README and pages from top to bottom, as printed: every command of their shell blocks runs, but for a stated list."""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from pipeline.scenarios import load_scenario
from tests.integration.test_init import rows
from tests.unit.test_readme import BLOCK, PAGES, ROOT

pytestmark = pytest.mark.slow

# What is not run here, and why.
NOT_RUN = {
    r"sudo |make ": "sets the machine up; test_local_stack runs what these targets run, and CI runs `make test`",
    r"cp docker/|docker compose ": "needs a container engine; test_compose reads the files",
    r"\.venv/bin/python benchmarks/": "measures for minutes or hours",
    r"crosslift (predict|run|audit|scenarios check) .*(purchase|car_loans|movielens|fraud|fake_reviews|product)": "its "
    "tables do not ship; test_examples and test_recipes have such",
    r"crosslift run next_behaviour": "its tables do not ship; test_next_events has such",
    r"crosslift run books_from_films": "test_init runs what `init` wrote",
    r"crosslift run demo --(force|target-share|epochs|seed|strategies .* --epochs)": "further runs of the same, each "
    "of a minute; test_readme parses their options",
    r"crosslift (run|models approve) .*opening_day": "test_without_labels runs and approves it",
    r"crosslift scenarios check (/data/scenarios|my_scenarios)/": "the same file as scenarios/ of the README",
    r"pip |cp dags/|airflow dags |export (CROSSLIFT_(HOME|SCENARIOS)=/srv|CROSSLIFT_MLFLOW_URL|MLFLOW_)": "for another "
    "Airflow; test_own_airflow does the same, and runs the page's last block as printed",
    r"export CROSSLIFT_(DATA=/data |SCENARIOS=/data)": "names other folders than the README",
}
# What ends with another code than 0, and why.
CODES = {
    "crosslift run demo --strategies fine_tune,joint --seed 1": {0, 4},  # a trial does not serve
    "crosslift models rollback crosslift.demo": {0, 2},  # only where a second version has served
    "crosslift curve demo --remove 0.03": {0, 2},  # only where a run had that share
}


def lines() -> Iterator[str]:
    """Give each line of the shell blocks, the README's first, each once."""
    seen: set[str] = set()
    for page in PAGES:
        for language, text in BLOCK.findall(page.read_text(encoding="utf-8")):
            for line in text.splitlines() if language == "sh" else []:
                plain = re.sub(r"\s+#.*", "", line).strip()
                if plain and not plain.startswith("#") and plain not in seen:
                    seen.add(plain)
                    yield plain


def why_not(line: str) -> str:
    """Say why a line is not run; empty where it is."""
    return next((reason for pattern, reason in NOT_RUN.items() if re.match(pattern, line)), "")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a folder with two shops' files, a key, and scenarios with a small `demo` in place of the one that ships."""
    import numpy as np

    folder = tmp_path_factory.mktemp("walk")
    (shop := folder / "data" / "shop").mkdir(parents=True)
    random = np.random.default_rng(0)
    (shop / "films.csv").write_text("customer,sku,time\n" + rows(random, range(60), "film", 700, ",", ""))
    (shop / "books.csv").write_text("customer,isbn,time\n" + rows(random, range(20, 80), "book", 400, ",", ""))
    (folder / "secure").mkdir()
    (folder / "secure" / "key").write_text("a key that is long enough")
    (folder / "scenarios").mkdir()
    small = load_scenario("demo").model_dump(mode="json")
    small |= {"embedded": {"users": 300, "items": 80}, "baselines": [{"kind": "popularity"}]}
    small |= {"strategies": [{"tune": {"kind": kind}} for kind in ("scratch", "fine_tune", "joint")]}
    small |= {"model": {"dim": 8, "text_buckets": 64}, "training": {"epochs": 2, "batch_size": 256, "negatives": 64}}
    (folder / "scenarios" / "demo.yaml").write_text(yaml.safe_dump(small))
    (folder / "bin").mkdir()
    program = folder / "bin" / "crosslift"
    start = "import sys; from pipeline.cli import main; sys.exit(main())"
    program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -c {shlex.quote(start)} "$@"\n')
    program.chmod(0o755)
    return folder


@pytest.fixture(scope="module")
def environment(place: Path) -> dict[str, str]:
    """Give what a shell of a reader has; what the pages export comes to it."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("CROSSLIFT_", "MLFLOW_"))}
    path = f"{place / 'bin'}:{os.environ['PATH']}"
    return kept | {"CROSSLIFT_HOME": str(place / "home"), "PATH": path, "PYTHONPATH": str(ROOT)}


def test_every_exception_is_one() -> None:
    """Each pattern leaves something out, and each code is of a line that is run."""
    every = list(lines())
    for pattern in NOT_RUN:
        assert any(re.match(pattern, line) for line in every), pattern
    assert set(CODES) <= {line for line in every if not why_not(line)}


def test_from_top_to_bottom(place: Path, environment: dict[str, str]) -> None:
    """One shell runs it all in the order of the pages; what it prints holds no trace and no library's warning."""
    ours = [line for line in lines() if not why_not(line)]
    assert len(ours) > 20
    script = ["set -u", f"cd {shlex.quote(str(place))}"]
    for number, line in enumerate(ours):
        here = line.replace("/data/shop", f"{place}/data/shop").replace("/secure/key", f"{place}/secure/key")
        script += [f"echo '<<< {number}' >&2", here, f"echo '>>> {number}' $? >&2"]
    with (place / "out").open("w") as out, (place / "err").open("w") as err:
        subprocess.run(
            ["bash", "-c", "\n".join(script)], env=environment, stdout=out, stderr=err, timeout=3600, check=True
        )
    told = (place / "err").read_text()
    codes = {ours[int(number)]: int(code) for number, code in re.findall(r"^>>> (\d+) (\d+)$", told, re.MULTILINE)}
    assert list(codes) == ours
    wrong = {line: code for line, code in codes.items() if code not in CODES.get(line, {0})}
    assert wrong == {}, told[-6000:]
    assert "Traceback" not in told
    assert "Warning:" not in told  # as Python words those of libraries; ours stand on standard output
    assert (place / "scenarios" / "books_from_films.yaml").is_file()


def test_the_models_answer_as_the_readme_prints_them(place: Path, environment: dict[str, str]) -> None:
    """The Python of the README shows items: no column and no row is left out of what it prints."""
    [code] = [text for language, text in BLOCK.findall((ROOT / "README.md").read_text()) if language == "python"]
    server = "http://127.0.0.1:5000"
    assert server in code
    code = code.replace(server, f"sqlite:///{place}/home/mlflow/mlflow.db")
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], env=environment, capture_output=True, text=True, timeout=900,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "..." not in done.stdout
    header, *answers = done.stdout.splitlines()
    assert header.split()[:2] == ["rank", "item_id"]
    assert [line.split()[0] for line in answers] == ["1", "2", "3", "4", "5"]
    assert all(line.split()[1].startswith("florist-") for line in answers)
