"""Near misses: one helper, and the places where people misspell."""

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from pipeline.config import Options
from pipeline.errors import ConfigError
from pipeline.folders import Home
from pipeline.near import near, near_path, nearest
from pipeline.runs.run import Run, data_root
from pipeline.scenarios import apply_options, check_file, find_scenarios, load_scenario
from pipeline.steps import call_task


@pytest.mark.parametrize(
    ("name", "known", "meant"),
    [
        ("finetune", ("direct", "fine_tune", "frozen"), "fine_tune"),
        ("Fine-Tune", ("fine_tune",), "fine_tune"),
        ("dmo", ("demo",), "demo"),
        ("DEMO", ("demo",), "demo"),
        ("weather", ("demo", "new_shop"), None),
        ("", ("demo",), None),
        ("x", (), None),
    ],
)
def test_what_was_meant(name: str, known: tuple[str, ...], meant: str | None) -> None:
    """The most similar name, whatever its case and its lines and blanks; nothing is said of what is unlike."""
    assert nearest(name, known) == meant
    assert near(name, known) == (f" Did you mean {meant!r}?" if meant else "")


def test_what_path_was_meant(tmp_path: Path) -> None:
    """At the first part that is missing; the rest is kept where it is there."""
    (tmp_path / "shop" / "tables").mkdir(parents=True)
    assert near_path(tmp_path / "shpo") == f" Did you mean '{tmp_path}/shop'?"
    assert near_path(tmp_path / "shpo" / "tables") == f" Did you mean '{tmp_path}/shop/tables'?"
    assert near_path(tmp_path / "shpo" / "other") == f" Did you mean '{tmp_path}/shop'?"
    assert near_path(tmp_path / "weather") == ""
    assert near_path(tmp_path / "shop") == ""
    (tmp_path / "file").touch()
    assert near_path(tmp_path / "file" / "shop") == ""


def test_a_folder_of_scenarios_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is told with the folder that was meant, where a scenario is asked for and in the list; others still work."""
    (tmp_path / "scenarios").mkdir()
    monkeypatch.setenv("CROSSLIFT_SCENARIOS", str(tmp_path / "scenarois"))
    told = f"CROSSLIFT_SCENARIOS: expected a folder .* Did you mean '{tmp_path}/scenarios'"
    with pytest.raises(ConfigError, match=f"no scenario is called 'books'.*{told}"):
        load_scenario("books")
    broken = [one for one in find_scenarios().values() if one.scenario is None]
    assert [one.name for one in broken] == ["CROSSLIFT_SCENARIOS"]
    assert load_scenario("demo").name == "demo"


def test_a_folder_of_tables_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder beside it that is called nearly so."""
    (tmp_path / "data").mkdir()
    monkeypatch.setenv("CROSSLIFT_DATA", str(tmp_path / "dta"))
    with pytest.raises(ConfigError, match=f"Did you mean '{tmp_path}/data'"):
        data_root()
    monkeypatch.setenv("CROSSLIFT_DATA", "")
    with pytest.raises(ConfigError, match=r"/data/shop`\.$"):
        data_root()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"strategies": [{"tune": {"kind": "scratch"}}, {"tune": {"kind": "finetune"}}]}, "'fine_tune'"),
        ({"baselines": [{"kind": "popularty"}]}, "'popularity'"),
        ({"bridges": ["user"]}, "'users'"),
        ({"strategys": []}, "'strategies'"),
        ({"split": {"kind": "tmie"}}, "'time'"),
        ({"thinning": "stratifyed"}, "'stratified'"),
    ],
)
def test_what_a_scenario_says(tmp_path: Path, change: dict[str, object], told: str) -> None:
    """Keys, kinds and words of a YAML file."""
    value = {**load_scenario("demo").model_dump(mode="json"), "name": "mine", **change}
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(value))
    with pytest.raises(ConfigError, match=rf"Did you mean {told}\?"):
        check_file(tmp_path / "mine.yaml")


def test_what_a_command_says(own_home: Path) -> None:
    """Strategies, steps, lanes, runs; each with what there is."""
    with pytest.raises(ConfigError, match=r"no strategy 'finetune'\. Did you mean 'fine_tune'\?"):
        apply_options(load_scenario("demo"), Options(strategies=("finetune",)))
    run = Run.start(Home(own_home), "first", load_scenario("demo"), Options())
    calls: list[tuple[Callable[[], object], str]] = [
        (lambda: call_task(run, "finetune"), "finetune_target"),
        (lambda: call_task(run, "finetune_target", "finetune"), "fine_tune"),
        (lambda: Run.load(run.home, "frist"), "first"),
    ]
    for call, meant in calls:
        with pytest.raises(ConfigError, match=f"Did you mean '{meant}'"):
            call()
