"""A registered model with one bit changed is refused by name wherever it is loaded, and put back from its package."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pipeline import columns as c
from pipeline.cli.recommending import recommend
from pipeline.errors import CrossliftError, StorageError
from pipeline.folders import Home, manifest_hash, written_whole
from pipeline.models.neighbours import ItemKnnRanker
from pipeline.models.stack import Stack
from pipeline.registry import lookup, tracking
from pipeline.registry import promote as registry
from pipeline.registry.files import PACKAGE, model_files
from pipeline.registry.mend import mend
from pipeline.registry.register import Candidate, register
from pipeline.registry.replay import DataLog, RunLog, log_run
from pipeline.registry.rollback import rollback
from pipeline.rows.interactions.prepared import DomainData, Domains
from pipeline.rows.kind import PackageInfo
from pipeline.runs.approve import approve
from pipeline.serving.package import write_package

# MLflow itself uses what SQLAlchemy will remove.
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning")]
NAME = "crosslift.toy"


def domain(name: str, seed: int) -> DomainData:
    rng = np.random.default_rng(seed)
    rows = pd.DataFrame({"user": rng.integers(0, 30, 150), "item": rng.integers(0, 20, 150)})
    rows = rows.drop_duplicates().sort_values(["user", "item"], ignore_index=True).astype("int32")
    rows["part"], rows["kept"] = np.int8(0), True
    counts = np.bincount(rows["item"], minlength=20)
    items = pd.DataFrame({c.ITEM: [f"{name[0]}{i:02}" for i in range(20)], "train_count": counts})
    return DomainData(name, pd.DataFrame({c.USER: [f"u{i:02}" for i in range(30)]}), items, rows)


def package(home: Home, folder: Path, seed: int) -> Path:
    """Publish a package as `promote` does."""
    domains = Domains((domain("books", seed),), domain("films", seed + 1))
    histories = domains.histories((c.TRAIN, c.VALID))
    folder.mkdir()
    ItemKnnRanker.fit(histories, Stack.of(histories, "films"), neighbours=10, shrinkage=0.0).save(folder)
    info = PackageInfo(scenario="toy", lane="item_knn", target="films", sources=("books",), pseudonymous=True,
                       candidate=str(seed), data={}, code="1")  # fmt: skip
    final = home.step("package", f"{seed:032}")
    with written_whole(final) as made:
        write_package(made, domains, folder, info)
    return final


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """One store with version 1, which was replaced, version 2, which serves, and version 3, which waits."""
    home = Home(tmp_path_factory.mktemp("home"))
    client = tracking.connect(home)
    from pipeline.serving.save import save_predictor

    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        patch.setattr(registry, "check_serves", lambda *_: None)
        for seed in (1, 2, 3):
            made = package(home, tmp_path_factory.mktemp("candidates") / "one", seed)
            key = str(seed)
            log = RunLog("crosslift/toy", key, key, 1.0, fingerprint=key, night=key, params={}, tags={}, metrics={})
            candidate = Candidate(
                NAME, made, manifest_hash(made), {"lane": "item_knn", "approval": "needed"}, "item_knn", "ranking",
                params={}, about="", card="# Card", tested=DataLog("films", key, "", {}),
                logged=log_run(client, home, log),
            )  # fmt: skip
            version, _ = register(client, home, candidate, save_predictor)
            if seed < 3:
                registry.promote_version(client, home, registry.Move(NAME, version, version - 1 or None))
        registry.point(client, NAME, registry.CHALLENGER, 3)
    return home


def model(home: Home, version: int) -> Path:
    client = tracking.connect(home)
    folder, _ = model_files(client, home, client.get_model_version(NAME, str(version)))
    return folder


@contextmanager
def flipped(*paths: Path) -> Iterator[None]:
    """One bit of each file is another; whatever happens, they are afterwards what they were."""
    whole = {path: path.read_bytes() for path in paths}
    try:
        for path, content in whole.items():
            middle = len(content) // 2
            path.write_bytes(content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :])
        yield
    finally:
        for path, content in whole.items():
            path.write_bytes(content)


FILES = ("artifacts/*/weights.safetensors", "artifacts/*/items.films.parquet", "artifacts/*/histories.parquet",
         "artifacts/*/ranker.json", "artifacts/*/package.json", "artifacts/*/manifest.json", "manifest.json", "MLmodel",
         "requirements.txt", "pyfunc.py", "code/pipeline/rows/interactions/requests.py")  # fmt: skip


@pytest.mark.parametrize("pattern", FILES)
def test_any_damaged_file_is_named_and_nothing_is_recommended(home: Home, pattern: str) -> None:
    """Weights, tables, manifests, and the code and the description around them."""
    [path] = model(home, 2).glob(pattern)
    named = (
        "" if path.name == "manifest.json" else path.name
    )  # a manifest may name the file that it no longer describes
    told = rf"(?s)crosslift.toy version 2, the champion, is damaged .*{named}: .*models rollback crosslift.toy"
    with flipped(path):
        with pytest.raises(StorageError, match=told):
            lookup.model_folder(home, NAME)
        champion = lookup.find_champion(home, NAME)
        assert champion is not None
        assert champion.damage
        assert named in champion.damage
    assert lookup.model_folder(home, NAME) == model(home, 2)


@pytest.mark.parametrize("pattern", ["artifacts/*/weights.safetensors", "code/pipeline/rows/interactions/requests.py"])
def test_mlflow_loads_no_damaged_model(home: Home, pattern: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever loads it by MLflow alone is refused as well; whole, it answers."""
    folder = model(home, 2)
    [path] = folder.glob(pattern)
    with flipped(path), pytest.raises(StorageError, match=rf"is damaged and is not served: .*{path.name}: expected"):
        recommend(folder, users=["u01"])
    assert list(recommend(folder, users=["u01"], params={"k": 3})["rank"]) == [1, 2, 3]


def test_no_alias_moves_to_a_damaged_model(home: Home) -> None:
    """Neither a rollback nor a person's approval lets it serve."""
    before = registry.aliases(tracking.connect(home), NAME)
    with flipped(*model(home, 1).glob("artifacts/*/weights.safetensors")):
        told = r"version 1: it is damaged and is not served: .*weights.safetensors: .*The champion is untouched"
        with pytest.raises(CrossliftError, match=told):
            rollback(home, NAME)
    told = r"version 3: it is damaged and is not served: .*weights.safetensors"
    waiting = model(home, 3).glob("artifacts/*/weights.safetensors")
    with flipped(*waiting), pytest.raises(CrossliftError, match=told):
        approve(home, NAME, 3)
    assert registry.aliases(tracking.connect(home), NAME) == before == {"champion": 2, "previous": 1, "challenger": 3}


def test_the_package_is_that_of_the_registered_version(home: Home) -> None:
    """A whole package that is another one than the registry says is refused, also by the process that proves it."""
    client = tracking.connect(home)
    identity = client.get_model_version(NAME, "2").tags[PACKAGE]
    client.set_model_version_tag(NAME, "2", PACKAGE, "0" * 64)
    try:
        with pytest.raises(StorageError, match="not what was registered"):
            lookup.model_folder(home, NAME)
        with pytest.raises(CrossliftError, match="the package is not the one that was registered"):
            registry.prove(client, home, f"models:/{NAME}/2", "0" * 64)
    finally:
        client.set_model_version_tag(NAME, "2", PACKAGE, identity)


def test_damaged_files_are_put_back(home: Home, caplog: pytest.LogCaptureFixture) -> None:
    """From the published package, by its identity; what it does not hold is written anew and answers as was logged."""
    from pipeline.serving.save import save_predictor

    folder = model(home, 2)
    parts = ("artifacts/*/weights.safetensors", "artifacts/*/package.json", "pyfunc.py")
    [weights, info, code] = [path for pattern in parts for path in folder.glob(pattern)]
    whole = {path: path.read_bytes() for path in (weights, info, code)}
    weights.write_bytes(whole[weights][:-1])
    info.unlink()
    code.write_bytes(b"#" + whole[code][1:])
    (folder / "MLmodel").unlink()
    caplog.set_level(logging.WARNING)
    assert mend(tracking.connect(home), home, NAME, 2, save_predictor) == ""
    assert {path: path.read_bytes() for path in whole} == whole
    assert "weights.safetensors" in caplog.text
    assert "was put back from its package" in caplog.text
    assert list(recommend(lookup.model_folder(home, NAME), users=["u01"], params={"k": 2})["rank"]) == [1, 2]
    caplog.clear()
    assert mend(tracking.connect(home), home, NAME, 2, save_predictor) == ""
    assert caplog.text == ""


def test_what_has_no_whole_package_stays_and_is_told(home: Home) -> None:
    """Nothing is made up: a damaged package puts nothing back."""
    from pipeline.serving.save import save_predictor

    [weights] = model(home, 2).glob("artifacts/*/weights.safetensors")
    with flipped(weights, home.step("package", f"{2:032}") / "items.films.parquet"):
        left = mend(tracking.connect(home), home, NAME, 2, save_predictor)
        assert "weights.safetensors: expected" in left
        assert "no longer published whole" in left
        assert model_files(*at(home, 2))[1]


def at(home: Home, version: int) -> tuple[Any, Home, Any]:
    client = tracking.connect(home)
    return client, home, client.get_model_version(NAME, str(version))


def test_a_damaged_copy_of_a_servers_model_is_fetched_again(home: Home, tmp_path: Path) -> None:
    """A copy below the home is used while it is whole; what the server has is looked at when that is asked."""
    there = model(home, 2)
    _, _, version = at(home, 2)
    server = SimpleNamespace(tracking_uri="http://127.0.0.1:9", get_model_version_download_uri=lambda *_: str(there))
    own = Home(tmp_path)
    folder, damage = model_files(server, own, version)  # type: ignore[arg-type]
    assert (folder, damage) == (tmp_path / "cache" / "models" / NAME / "2", "")
    [copied] = folder.glob("artifacts/*/weights.safetensors")
    [weights] = there.glob("artifacts/*/weights.safetensors")
    copied.write_bytes(b"x" * copied.stat().st_size)
    assert model_files(server, own, version) == (folder, "")  # type: ignore[arg-type]
    assert copied.read_bytes() == weights.read_bytes()
    with flipped(weights):
        assert model_files(server, own, version) == (folder, "")  # type: ignore[arg-type]
        assert "weights.safetensors" in model_files(server, own, version, fresh=True)[1]  # type: ignore[arg-type]
    assert [path.name for path in folder.parent.iterdir()] == ["2"]
