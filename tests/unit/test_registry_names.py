"""Names in the registry."""

import pytest

from pipeline.config import Scenario
from pipeline.folders import Home
from pipeline.registry.lookup import model_name
from pipeline.registry.tracking import metric_key, store_uri
from pipeline.scenarios import load_scenario


@pytest.fixture
def scenario() -> Scenario:
    return load_scenario("cross_category")


@pytest.mark.parametrize(
    ("share", "name"),
    [
        (1.0, "crosslift.cross_category"),
        (0.3, "crosslift.cross_category.share_30"),
        (0.07, "crosslift.cross_category.share_7"),
        (0.005, "crosslift.cross_category.share_0_5"),
    ],
)
def test_a_thinned_run_has_a_model_of_its_own(scenario: Scenario, share: float, name: str) -> None:
    """An experiment with fewer rows never meets the model that serves."""
    assert model_name(scenario.model_copy(update={"target_share": share})) == name


@pytest.mark.parametrize(
    ("name", "key"),
    [("ndcg@10", "ndcg_at_10"), ("coral+dann", "coral_and_dann"), ("valid/loss", "valid/loss"), ("a*b", "a_b")],
)  # fmt: skip
def test_metric_keys_are_what_mlflow_takes(name: str, key: str) -> None:
    """Signs that MLflow refuses are spelt out."""
    assert metric_key(name) == key


def test_the_store_is_sqlite_unless_a_server_is_named(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    """`MLFLOW_TRACKING_URI` wins; a `file:` store is never the default."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert store_uri(Home(tmp_path)) == f"sqlite:///{tmp_path}/mlflow/mlflow.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:5000")
    assert store_uri(Home(tmp_path)) == "http://127.0.0.1:5000"
