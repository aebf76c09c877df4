"""A registered model in the place of a source: no row of it is at hand, and what it taught reaches the target."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from safetensors.numpy import load_file

from pipeline.errors import StorageError, UserError
from pipeline.folders import Home, manifest_hash
from pipeline.registry import lookup
from pipeline.registry.carried import find_carried
from tests.commands import Crosslift, commands

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning")]

FEATURES = {"income": "number", "debt": "number", "job": "category"}
CARDS: dict[str, Any] = {
    "name": "cards", "title": "Cards", "sources": ["other"], "target": "card", "bridges": ["features"],
    "tables": {"examples": [{"path": "loans.csv"}]}, "pseudonymous": True,
    "split": {"kind": "hash", "valid": 0.2, "test": 0.2},
    "task": {"kind": "binary", "label": "late", "features": FEATURES},
    "model": {"dim": 8, "buckets": 64, "bins": 8, "blocks": 1}, "training": {"epochs": 8, "learning_rate": 0.01},
    "strategies": [{"tune": {"kind": "scratch"}}], "baselines": [{"kind": "constant"}],
}  # fmt: skip
CARS: dict[str, Any] = {
    **CARDS, "name": "cars", "title": "Cars, from what cards taught", "sources": [], "target": "car",
    "source_model": "models:/crosslift.cards@champion", "tables": {"examples": [{"path": "cars.csv"}]},
    "split": {"kind": "hash", "valid": 0.3, "test": 0.6},
    "strategies": [{"tune": {"kind": "scratch"}}, {"tune": {"kind": "direct"}}, {"tune": {"kind": "fine_tune"}}],
}  # fmt: skip
PLAIN: dict[str, Any] = {
    **CARDS, "title": "Cards, by a regression", "training": {"epochs": 1, "learning_rate": 1e-7},
    "baselines": [{"kind": "linear", "buckets": 64, "regularization": [1.0]}],
}  # fmt: skip
BY_PLAIN: dict[str, Any] = {**CARS, "source_model": "models:/crosslift.plain@champion"}
HELD: dict[str, Any] = {
    **BY_PLAIN, "strategies": [{"tune": {"kind": "scratch"}}],
    "baselines": [{"kind": "linear", "domains": "source"}, {"kind": "linear_transfer", "regularization": [10.0]}],
}  # fmt: skip
TREES: dict[str, Any] = {**CARS, "baselines": [{"kind": "boosting", "domains": "all"}],
                         "strategies": [{"tune": {"kind": "scratch"}}]}  # fmt: skip
AGAIN: dict[str, Any] = {**CARDS, "sources": [], "source_model": "models:/crosslift.cards@champion",
                         "strategies": [*CARDS["strategies"], {"tune": {"kind": "direct"}}]}  # fmt: skip


def loans(domain: str, rows: int, shift: float, seed: int) -> pd.DataFrame:
    """Who owes much for the income, and students, are late."""
    random = np.random.default_rng(seed)
    income, debt = random.lognormal(10, 0.5, rows).round(), random.lognormal(9, 1.0, rows).round()
    job = random.choice(["employed", "student"], rows)
    late = random.random(rows) < 1 / (1 + np.exp(-(2 * np.log(debt / income) + 1.5 * (job == "student") + shift)))
    table = {"domain": domain, "income": income, "debt": debt, "job": job, "late": np.where(late, "yes", "no")}
    return pd.DataFrame({"row_id": [f"{domain}-{row}" for row in range(rows)], **table})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tables and scenarios; the table of cars knows nothing of cards."""
    made = tmp_path_factory.mktemp("loans")
    cars = loans("car", 400, 0.0, 1)
    pd.concat([loans("card", 3000, 0.3, 0), loans("other", 50, 0.0, 2)]).to_csv(made / "loans.csv", index=False)
    cars.to_csv(made / "cars.csv", index=False)
    given = {"cards": CARDS, "cars": CARS, "absent": {**CARS, "source_model": "models:/crosslift.card@champion"},
             "plain": PLAIN, "held": HELD, "again": AGAIN, "nets": BY_PLAIN, "trees": TREES}  # fmt: skip
    for name, one in given.items():
        (made / f"{name}.yaml").write_text(yaml.safe_dump({**one, "name": name}))
    return made


@pytest.fixture(scope="module")
def crosslift(folder: Path) -> Crosslift:
    """Give a function that runs a command in one home that all tests of this file share."""
    return commands(folder / "home", folder, CROSSLIFT_SCENARIOS=str(folder), CROSSLIFT_DATA=str(folder))


@pytest.fixture(scope="module")
def package(crosslift: Crosslift, folder: Path) -> Path:
    """Let the model of cards serve; its package."""
    done = crosslift("run", "cards", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["lane"] == "target_only"
    [found] = lookup.model_folder(Home(folder / "home"), "crosslift.cards").glob("artifacts/*/")
    return found


def step_of(folder: Path, name: str, scenario: str = "cars") -> Path:
    """The folder of a step of the newest run of a scenario."""
    run = max((folder / "home" / "runs").glob(f"{scenario}__*"))
    return folder / "home" / json.loads((run / "results" / f"{name}.json").read_text())["folder"]


def test_what_it_taught_reaches_the_target(crosslift: Crosslift, folder: Path, package: Path) -> None:
    """As it is, it is the same to the last bit; what begins with it is judged like any transfer."""
    done = crosslift("run", "cars", "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["failed"] == []
    lanes = {lane["name"]: lane for lane in told["lanes"]}
    assert max(lanes[name]["gain"]["value"] for name in ("direct", "fine_tune")) > 0
    assert (told["outcome"], told["serves"]) == ("promoted", True)
    taught, kept = (
        load_file(package / "weights.safetensors"),
        load_file(step_of(folder, "finetune_target.direct") / "weights.safetensors"),
    )
    assert taught.keys() == kept.keys()
    assert all((taught[name] == kept[name]).all() for name in taught)
    log = next((folder / "home" / "logs").glob("cars__*/pretrain_source.log")).read_text()
    assert "crosslift.cards version 1 is what the source taught; no row of one is at hand" in log
    comparison = json.loads((step_of(folder, "verdict.") / "comparison.json").read_text())
    domains = {lane["name"]: lane["domains"] for lane in comparison["lanes"]}
    named = "models:/crosslift.cards@champion"
    assert domains == {"direct": [named], "fine_tune": [named, "car"], "target_only": ["car"], "constant": ["car"]}
    page = next((step_of(folder, "report.") / "unhashed").glob("report.md")).read_text()
    assert "\ncrosslift.cards version 1 → car, " in page


def test_a_regression_is_a_source_as_it_is_and_as_a_prior(crosslift: Crosslift, folder: Path) -> None:
    """The lanes begin with its very weights, and the report and the registry say whose they are."""
    done = crosslift("run", "plain", "--json")
    assert json.loads(done.stdout)["lane"] == "linear", done.stderr
    [package] = lookup.model_folder(Home(folder / "home"), "crosslift.plain").glob("artifacts/*/")
    done = crosslift("run", "held", "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["failed"] == []
    taught = load_file(package / "weights.safetensors")
    same = load_file(step_of(folder, "fit_baseline.source_linear", "held") / "weights.safetensors")
    assert all((taught[name] == same[name]).all() for name in taught)
    held = load_file(step_of(folder, "fit_baseline.linear_transfer+source", "held") / "weights.safetensors")
    assert all((taught[name] == held[name]).all() for name in ("mean", "deviation", "median"))
    assert 0 < np.abs(taught["slope"] - held["slope"]).max() < np.abs(taught["slope"]).max()
    facts = json.loads((step_of(folder, "fit_baseline.source_linear", "held") / "facts.json").read_text())
    assert facts["settings"].keys() == {"temperature", "threshold"}  # nothing was tried
    comparison = json.loads((step_of(folder, "verdict.", "held") / "comparison.json").read_text())
    domains = {lane["name"]: lane["domains"] for lane in comparison["lanes"]}
    named = "models:/crosslift.plain@champion"
    assert (domains["source_linear"], domains["linear_transfer+source"]) == ([named], [named, "car"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("run", "nets"),
            r"crosslift\.plain version 1: it is of the kind linear, and other lanes are for another: direct, fine_tune "
            r"\(kind tabular\)\. Leave .* can begin: the baselines \{kind: linear, domains: source\}, "
            r"\{kind: linear_transfer, domains: all\}\.",
        ),
        (
            ("step", "plan", "trees", "--run", "trees__1"),  # as in the DAG
            r"crosslift\.cards version 1: it is of the kind tabular, .*: boosting\+source \(kind boosting\).* can "
            r"begin: strategies with model: \{kind: tabular\}\.",
        ),
    ],
)
@pytest.mark.usefixtures("package")
def test_lanes_for_another_kind_are_refused_before_anything_runs(
    crosslift: Crosslift, folder: Path, arguments: tuple[str, ...], message: str
) -> None:
    """Each by its name, with what can begin with such a model."""
    done = crosslift(*arguments)
    assert done.returncode == 2, done.stdout
    assert re.search(message, " ".join(done.stderr.split())), done.stderr
    assert not [one for name in ("nets", "trees") for one in (folder / "home" / "runs").glob(f"{name}__*")]


@pytest.mark.parametrize(
    ("named", "message"),
    [
        ("models:/crosslift.card@champion", r"no model is called 'crosslift\.card'\. Did you mean 'crosslift\.cards'"),
        (
            "models:/crosslift.cards/7",
            r"models:/crosslift\.cards/7 is no version; of .* there are: 1, @challenger, @cham",
        ),
        ("models:/crosslift.cards@champ", r"is no version.*Did you mean 'champion'"),
        ("models:/crosslift.cards", r"expected models:/NAME@ALIAS or models:/NAME/VERSION"),
        ("packages", r"there is no folder .*packages"),
        ("../elsewhere", r"expected models:/NAME@ALIAS or a folder below CROSSLIFT_DATA, got '\.\./elsewhere'"),
    ],
)
@pytest.mark.usefixtures("package")
def test_what_is_not_there(folder: Path, named: str, message: str) -> None:
    """The message says what there is."""
    with pytest.raises(UserError, match=message):
        find_carried(Home(folder / "home"), named, folder)


def test_a_folder_with_weights_is_one_too_and_damage_is_seen(folder: Path, package: Path) -> None:
    """The package alone, as another shop hands it over; a byte that was changed is named."""
    shutil.copytree(package, folder / "handed" / "cards")
    found = find_carried(Home(folder / "home"), "handed/cards", folder)
    assert found.package == folder / "handed" / "cards"
    assert found.identity == manifest_hash(package)
    weights = found.package / "weights.safetensors"
    changed = bytearray(weights.read_bytes())
    changed[-1] ^= 1
    weights.chmod(0o600)
    weights.write_bytes(changed)
    with pytest.raises(StorageError, match=r"handed/cards is damaged and nothing is learnt from it: weights\."):
        find_carried(Home(folder / "home"), "handed/cards", folder)


@pytest.mark.usefixtures("package")
def test_a_model_that_knows_rows_that_choose_is_refused(crosslift: Crosslift) -> None:
    """It learnt from all rows of card but the test's; those that choose are among them."""
    for step in ("plan", "ingest", "validate", "prepare", "audit"):
        done = crosslift("step", step, "again", "--run", "again__1")
        assert done.returncode == 0, done.stderr
    done = crosslift("step", "pretrain_source", "again", "--run", "again__1")
    assert done.returncode == 2, done.stdout
    told = " ".join(done.stderr.split())
    assert re.search(
        r"crosslift\.cards version 1 has learnt from card too, and of the 1,\d\d\d rows .* it knows \d\d\d;", told
    )
    assert "Traceback" not in done.stderr


@pytest.mark.usefixtures("package")
def test_a_run_says_it_and_learns_on_without(crosslift: Crosslift) -> None:
    """What begins with the model fails with the reason, and what learns from the target alone is judged."""
    done = crosslift("run", "absent", "--json")
    assert done.returncode == 1, done.stderr
    assert set(json.loads(done.stdout)["failed"]) == {"direct", "fine_tune"}
    assert "Did you mean 'crosslift.cards'?" in done.stderr
    assert "Traceback" not in done.stderr
