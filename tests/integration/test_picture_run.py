"""Pictures and texts fused, from files to a served model, as the page on pictures tells it: its goods, its scenario."""

import base64
import json
import re
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from pipeline import columns as c
from pipeline.folders import Home
from pipeline.registry import lookup
from tests.commands import Crosslift, commands

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning")]

PAGE = (Path(__file__).parents[2] / "docs" / "pictures.md").read_text(encoding="utf-8")
[SCENARIO] = re.findall(r"^```yaml\n(name: product_photos\n.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
[DRAWN] = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page's goods, of which one has a broken photo."""
    made = tmp_path_factory.mktemp("goods")
    subprocess.run([sys.executable, "-c", DRAWN], cwd=made, check=True)
    (made / "photos" / "studio-0.png").write_bytes(b"broken")
    (made / "product_photos.yaml").write_text(SCENARIO)
    return made


@pytest.fixture(scope="module")
def crosslift(folder: Path) -> Crosslift:
    """Give a function that runs a command in one home that all tests of this file share."""
    return commands(folder / "home", folder, CROSSLIFT_SCENARIOS=str(folder), CROSSLIFT_DATA=str(folder))


@pytest.fixture(scope="module")
def told(crosslift: Crosslift) -> dict[str, Any]:
    """Run the page's scenario once."""
    done = crosslift("run", "product_photos", "--json")
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.fixture(scope="module")
def answered(crosslift: Crosslift, told: dict[str, Any], folder: Path) -> pd.DataFrame:
    """What `predict` says of the page's file."""
    done = crosslift("predict", "product_photos", "asked.csv", "--out", "answered.csv", "--explain", "3")
    assert done.returncode == 0, done.stderr
    return pd.read_csv(folder / "answered.csv")


def test_title_and_photo_together_tell_what_neither_does_alone(told: dict[str, Any]) -> None:
    """By the titles alone half of it is a guess."""
    lanes = {lane["name"]: lane["test"]["value"] for lane in told["lanes"]}
    assert told["failed"] == []
    assert (told["outcome"], told["serves"]) == ("promoted", True)
    assert told["lane"].startswith("linear_efficientnet")
    assert lanes["linear"] < 0.65
    assert min(lanes["linear_efficientnet"], lanes["linear_efficientnet+source"]) > 0.85


def test_a_broken_photo_s_row_is_in_quarantine(told: dict[str, Any], folder: Path) -> None:
    """With file, row, column and reason."""
    [path] = [one for one in folder.glob("home/steps/clean/*/quarantine.parquet") if pq.read_metadata(one).num_rows]
    [row] = pq.read_table(path).to_pylist()
    assert (row["rule"], row["row_id"], row[c.UNREAD_FILE]) == ("unreadable_photo", "studio-0", "goods.csv")
    assert (row[c.UNREAD_ROW], row[c.UNREAD_COLUMN], row[c.UNREAD_VALUE]) == (1, "photo", "'photos/studio-0.png'")
    assert row[c.UNREAD_EXPECTED].endswith("but it is none of JPEG, PNG, WEBP, GIF, BMP, TIFF")


def test_predict_opens_the_files(answered: pd.DataFrame, folder: Path) -> None:
    """Paths are below the folder of the file that asks; what was asked is what was trained on."""
    assert list(answered)[:3] == ["request", "kind", "probability"]
    true = pd.read_csv(folder / "goods.csv")
    true = true[true["shop"] == "market"]["kind"].head(20).to_numpy()
    assert (answered["kind"] == true).mean() > 0.8
    assert answered["explanation"].str.contains(r"\bphoto [+-]\d\.\d\d").mean() > 0.8


def test_a_loaded_model_takes_bytes_and_base64(answered: pd.DataFrame, folder: Path, crosslift: Crosslift) -> None:
    """The same answers; so does a Parquet file with the pictures in it; one without a picture is answered, too."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # MLflow warns of its own type hints while it is imported
        from mlflow.pyfunc import load_model
    model = load_model(str(lookup.model_folder(Home(folder / "home"), "crosslift.product_photos")))
    asked = pd.read_csv(folder / "asked.csv")[["title", "photo"]]
    asked["photo"] = [(folder / path).read_bytes() for path in asked["photo"]]
    spelt = asked.assign(photo=[base64.b64encode(one).decode() for one in asked["photo"]])
    asked.to_parquet(folder / "asked.parquet")
    assert crosslift("predict", "product_photos", "asked.parquet", "--out", "same.parquet").returncode == 0
    for found in (model.predict(asked), model.predict(spelt), pd.read_parquet(folder / "same.parquet")):
        assert found["kind"].tolist() == answered["kind"].tolist()
        np.testing.assert_allclose(found["probability"], answered["probability"], atol=2e-3)
    assert model.predict(asked.head(1).assign(photo=None))["kind"].notna().all()
    with pytest.raises(Exception, match=r"column 'photo', row 1: expected a picture"):
        model.predict(asked.head(1).assign(photo="photos/market-0.png"))


@pytest.mark.parametrize(
    ("path", "message"),
    [("gone.png", "row 1: expected a picture, got 'gone.png': there is no such file"), ("../a.png", "read only there")],
)
def test_a_request_s_path_leads_to_a_file_below(
    answered: pd.DataFrame, folder: Path, crosslift: Crosslift, path: str, message: str
) -> None:
    """Nothing else is opened."""
    (folder / "bad.csv").write_text(f"title,photo\nnew pan,{path}\n")
    done = crosslift("predict", "product_photos", "bad.csv")
    assert done.returncode == 2
    assert message in done.stderr


def test_a_package_holds_no_picture_and_no_encoder(answered: pd.DataFrame, folder: Path) -> None:
    """Nor the name of one."""
    names = {path.name for path in folder.glob("home/steps/package/*/*")}
    assert not any("picture" in name for name in names)
    [snapshot, *_] = folder.glob("home/steps/ingest/*/pictures.parquet")
    name = pq.read_table(snapshot)["name"][0].as_py()
    for path in folder.glob("home/steps/package/*/*.json"):
        assert name not in path.read_text(encoding="utf-8")
    assert max(path.stat().st_size for path in folder.glob("home/steps/package/*/*")) < 1_000_000


def test_an_unchanged_night_fits_nothing(told: dict[str, Any], crosslift: Crosslift, folder: Path) -> None:
    """All photos are read again and are the same, so that nothing is encoded or trained; what serves is judged."""

    def made() -> set[str]:
        every = (one.relative_to(folder).as_posix() for one in folder.glob("home/steps/*/*"))
        return {one for one in every if not re.search(r"steps/(verdict|report|rejudged|package)/", one)}

    before = made()
    assert any("/embed/" in one for one in before)
    assert crosslift("run", "product_photos").returncode == 0
    assert made() == before
