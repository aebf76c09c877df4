"""The loader: what a scenario may say, and what is told about one that says something else."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline.config import Options, Scenario
from pipeline.errors import ConfigError
from pipeline.folders import Home
from pipeline.scenarios import apply_options, check_file, find_scenarios, json_schema, load_scenario
from pipeline.steps.run import Run

MINIMAL: dict[str, Any] = {
    "name": "mine",
    "title": "Mine",
    "sources": ["a"],
    "target": "b",
    "bridges": ["users"],
    "embedded": {},
    "split": {"kind": "time"},
    "strategies": [{"tune": {"kind": "scratch"}}],
    "baselines": [{"kind": "popularity"}],
}


def write(folder: Path, name: str = "mine", **changes: Any) -> Path:
    """Write the smallest scenario with some keys changed; a key of None is left out."""
    value = {**MINIMAL, "name": name, **changes}
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump({key: one for key, one in value.items() if one is not None}), encoding="utf-8")
    return path


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's own folder of scenarios."""
    own = tmp_path / "scenarios"
    own.mkdir()
    monkeypatch.setenv("CROSSLIFT_SCENARIOS", str(own))
    return own


@pytest.mark.parametrize("name", ["demo", "cross_category", "cross_category_phones"])
def test_built_in_ones_are_valid(name: str) -> None:
    """Each built-in scenario can be read and has what evidence.md wants beside the strategies: simple baselines."""
    scenario = load_scenario(name)
    assert scenario.name == name
    assert {"popularity", "item_knn", "user_knn", "ials", "ease"} <= {one.kind for one in scenario.baselines}


def test_built_in_ones_are_all_listed() -> None:
    """No file of the package is left out, and none of them is broken."""
    found = find_scenarios()
    assert set(found) == {"demo", "cross_category", "cross_category_phones", "new_shop"}
    assert not any(one.error for one in found.values())


def test_the_smallest_scenario(tmp_path: Path) -> None:
    """What is not said has a default; the value is frozen."""
    scenario = check_file(write(tmp_path))
    assert scenario.domains == ("a", "b")
    assert scenario.strategies[0].name == "target_only"
    assert scenario.target_share == 1
    with pytest.raises(ValueError, match="frozen"):
        scenario.seed = 3  # type: ignore[misc]


FINE_TUNE = {"tune": {"kind": "fine_tune"}}
SCRATCH = {"tune": {"kind": "scratch"}}
CASES: dict[str, tuple[dict[str, Any], str]] = {
    "misspelt key": ({"titel": "x"}, r"mine\.yaml: titel: this key is not known here\. Did you mean 'title'\?"),
    "key like no other": ({"qqqq": 1}, r"mine\.yaml: qqqq: this key is not known here\.$"),
    "misspelt key inside": (
        {"training": {"epoch": 3}},
        r"mine\.yaml: training\.epoch: this key is not known here\. Did you mean 'epochs'\?",
    ),
    "missing key": ({"target": None}, r"mine\.yaml: target: field required\."),
    "wrong type": ({"seed": "x"}, r"seed: input should be a valid integer.*got 'x'"),
    "out of range": ({"target_share": 0}, r"target_share: input should be greater than 0, got 0\."),
    "not a number": ({"gate": {"delta": float("nan")}}, r"gate\.delta: input should be .*, got nan"),
    "misspelt kind": (
        {"split": {"kind": "tme"}},
        r"split: input tag 'tme' found using 'kind' does not match any of the expected tags: 'shipped', 'time'",
    ),
    "misspelt tune": (
        {"strategies": [SCRATCH, {"tune": {"kind": "finetune"}}]},
        r"strategies\.1\.tune: input tag 'finetune'.*'scratch', 'direct', 'frozen', 'fine_tune', 'joint'",
    ),
    "misspelt adapt": (
        {"strategies": [SCRATCH, {"adapt": {"kind": "mmdd"}, **FINE_TUNE}]},
        r"strategies\.1\.adapt: input tag 'mmdd'.*'none', 'coral', 'dann'",
    ),
    "misspelt baseline": ({"baselines": [{"kind": "als"}]}, r"baselines\.0: input tag 'als'.*'ials'"),
    "no such bridge": ({"bridges": ["user"]}, r"bridges\.0: input should be 'users', 'items'.*got 'user'"),
    "target among sources": ({"target": "a"}, r"sources and target must be different domains, got a, a"),
    "no data": ({"embedded": None}, r"expected exactly one of 'tables' \(your data\) and 'embedded'"),
    "two kinds of data": (
        {"tables": {"interactions": [{"path": "x.csv"}]}},
        r"expected exactly one of 'tables' \(your data\) and 'embedded'",
    ),
    "strategy twice": ({"strategies": [SCRATCH, SCRATCH]}, r"strategies: target_only stands there more than once"),
    "baseline twice": (
        {"baselines": [{"kind": "ials"}, {"kind": "ials", "factors": 8}]},
        r"baselines: ials stands there more than once",
    ),
    "no target-only": ({"strategies": [FINE_TUNE]}, r"strategies: target_only .* is missing"),
    "no strategy": ({"strategies": []}, r"strategies: .*at least 1 item"),
    "bridge missing": (
        {"bridges": ["users"], "strategies": [SCRATCH, {"tune": {"kind": "direct"}}]},
        r"strategies: direct needs one of the bridges item_features, items.*, but bridges names users",
    ),
    "no bridge at all": (
        {"bridges": [], "strategies": [SCRATCH, FINE_TUNE]},
        r"strategies: fine_tune needs one of the bridges .*, but bridges names none",
    ),
    "adapt without use": (
        {"strategies": [SCRATCH, {"adapt": {"kind": "coral"}, "tune": {"kind": "joint"}}]},
        r"strategies\.1: adapt 'coral' before tune 'joint' would have no effect, because 'joint' starts from random "
        r"weights: leave out adapt, or tune with one of direct, fine_tune, frozen",
    ),
    "popularity of the source": (
        {"bridges": ["users"], "baselines": [{"kind": "popularity", "domains": "all"}]},
        r"baselines: popularity\+source needs the bridge items, but bridges names users",
    ),
    "the source alone": (
        {"bridges": ["users"], "baselines": [{"kind": "ials", "domains": "source"}]},
        r"baselines: source_ials needs the bridge items, but bridges names users; without items in common",
    ),
    "no baseline": ({"baselines": []}, r"scenario: baselines: expected at least one"),
    "labels that are not there": (
        {"target_labels": False, "strategies": [SCRATCH, FINE_TUNE], "baselines": [{"kind": "ials", "domains": "all"}]},
        r"target_labels is false, but fine_tune, ials\+source cannot be fitted without them; expected",
    ),
    "an adaptation to nobody": (
        {
            "target_labels": False,
            "bridges": ["items"],
            "strategies": [{"adapt": {"kind": "coral"}, "tune": {"kind": "direct"}}],
        },
        r"target_labels is false and coral\+direct needs the bridge users: without labels an adaptation",
    ),
    "nothing but oracles": (
        {"target_labels": False, "strategies": [SCRATCH]},
        r"target_labels is false: expected a strategy with tune {kind: direct} or a baseline with domains: source",
    ),
    "a share of no labels": (
        {
            "target_labels": False,
            "target_share": 0.5,
            "bridges": ["items"],
            "strategies": [{"tune": {"kind": "direct"}}],
        },
        r"target_share and shares: expected to be left out, because target_labels is false",
    ),
    "hostile name": ({"target": "../b"}, r"target: string should match pattern .*, got '\.\./b'"),
    "too few users": ({"embedded": {"users": 1}}, r"embedded\.users: input should be greater than or equal to 20"),
}


@pytest.mark.parametrize("case", CASES)
def test_what_is_wrong_is_told(tmp_path: Path, case: str) -> None:
    """File, key, what was expected, what came, and the near miss."""
    changes, told = CASES[case]
    with pytest.raises(ConfigError, match=told):
        check_file(write(tmp_path, **changes))


def test_every_wrong_key_is_told_at_once(tmp_path: Path) -> None:
    """Someone who made two mistakes is told of both."""
    with pytest.raises(ConfigError) as told:
        check_file(write(tmp_path, titel="x", seed="y"))
    assert len(str(told.value).splitlines()) == 2


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"name: [", r"mine\.yaml, line 1: expected YAML"),
        (b"a: 1\nb: : 2", r"mine\.yaml, line 2: expected YAML"),
        (b"\xff\xfe\xff", r"mine\.yaml: expected a readable UTF-8 file"),
        (b"", r"mine\.yaml: expected a mapping of keys to values, got NoneType"),
        (b"- a", r"mine\.yaml: expected a mapping of keys to values, got list"),
        (b"!!python/object/apply:os.system [ls]", r"mine\.yaml, line 1: expected YAML"),
    ],
)
def test_what_is_no_yaml(tmp_path: Path, content: bytes, told: str) -> None:
    """A file that is no YAML mapping is refused with the line; tags that would run code are refused too."""
    (tmp_path / "mine.yaml").write_bytes(content)
    with pytest.raises(ConfigError, match=told):
        check_file(tmp_path / "mine.yaml")


def test_missing_file(tmp_path: Path) -> None:
    """A file that is not there is named."""
    with pytest.raises(ConfigError, match=r"absent\.yaml: expected a readable UTF-8 file"):
        check_file(tmp_path / "absent.yaml")


def test_name_is_the_files(tmp_path: Path) -> None:
    """A scenario is found by its file's name, so the two must be the same."""
    path = write(tmp_path).rename(tmp_path / "other.yaml")
    with pytest.raises(ConfigError, match=r"other\.yaml: name: expected 'other' like the file, got 'mine'"):
        check_file(path)


def test_own_folder(folder: Path) -> None:
    """A user's scenario stands beside the built-in ones; one of the same name replaces a built-in one."""
    write(folder)
    write(folder, "demo", title="My demo")
    assert load_scenario("mine").title == "Mine"
    assert load_scenario("demo").title == "My demo"
    assert load_scenario("cross_category").target == "clothing"


def test_broken_file_takes_nothing_down(folder: Path) -> None:
    """A broken file is found under its file's name with its message, and only loading it fails."""
    write(folder)
    write(folder, "broken", titel="x")
    found = find_scenarios()
    assert found["broken"].scenario is None
    assert "titel: this key is not known here" in found["broken"].error
    assert load_scenario("mine").name == "mine"
    with pytest.raises(ConfigError, match=r"broken\.yaml: titel: this key is not known here"):
        load_scenario("broken")


def test_own_folder_that_is_not_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A folder that does not exist leaves the built-in scenarios."""
    monkeypatch.setenv("CROSSLIFT_SCENARIOS", str(tmp_path / "absent"))
    assert "demo" in find_scenarios()


@pytest.mark.parametrize(("name", "near"), [("dmo", " Did you mean 'demo'"), ("cross_categry", "'cross_category'")])
def test_near_miss_of_a_name(name: str, near: str) -> None:
    """A misspelt name is answered with the near one and with all there are."""
    with pytest.raises(ConfigError, match=f"no scenario is called '{name}'.*{near}.*There are: cross_category, "):
        load_scenario(name)


def test_no_near_miss() -> None:
    """A name like no other gets no guess."""
    with pytest.raises(ConfigError, match=r"no scenario is called 'zzzz'\. There are"):
        load_scenario("zzzz")


def test_options_change_the_scenario() -> None:
    """Options replace what they name; target-only always stays, in the scenario's order."""
    options = Options(strategies=("joint",), seed=4, epochs=2, target_share=0.3)
    changed = apply_options(load_scenario("demo"), options)
    assert [strategy.name for strategy in changed.strategies] == ["target_only", "joint"]
    assert (changed.seed, changed.training.epochs, changed.target_share) == (4, 2, 0.3)
    assert apply_options(load_scenario("demo"), Options()) == load_scenario("demo")


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({}, ""),
        ({"force": True, "promote": True, "target_share": 0.3}, ""),
        ({"seed": 9}, "seed 9 instead of 0"),
        ({"epochs": 2, "seed": 0}, "epochs 2 instead of 4"),
        ({"strategies": ("joint",), "seed": 1}, "only the strategies target_only, joint; seed 1 instead of 0"),
    ],
)
def test_a_run_with_other_options_is_a_trial(options, told, tmp_path):
    """Strategies, seed and epochs count, and only where they are not the scenario's; the plan keeps what differs."""
    demo = load_scenario("demo")
    own = {"strategies": tuple(one.name for one in demo.strategies), "seed": demo.seed, "epochs": demo.training.epochs}
    home = Home(tmp_path)
    Run.start(home, "plain", demo, Options(**options))
    Run.start(home, "form", demo, Options(**{**own, **options}))
    for name in ("plain", "form"):
        run = Run.load(home, name)
        assert run.trial == told
        assert run.promote == options.get("promote", False)
        assert run.may_promote == (not told)
    Run.start(home, "asked", demo, Options(**{**options, "promote": True}))
    assert Run.load(home, "asked").may_promote


def test_option_that_names_no_strategy() -> None:
    """A misspelt strategy is answered with the near one."""
    with pytest.raises(
        ConfigError, match=r"demo has no strategy 'frozn'\. Did you mean 'frozen'\? It has: target_only"
    ):
        apply_options(load_scenario("demo"), Options(strategies=("frozn",)))


def test_schema() -> None:
    """The JSON Schema names every key, forbids others, and allows the built-in scenarios' keys."""
    schema = json_schema()
    assert json.loads(json.dumps(schema)) == schema
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert set(schema["properties"]) == set(Scenario.model_fields)
    assert schema["additionalProperties"] is False
    assert {"name", "sources", "target"} <= set(schema["required"])


@pytest.mark.parametrize("name", ["demo", "cross_category", "cross_category_phones"])
def test_schema_takes_the_built_in_files(name: str) -> None:
    """An editor that checks a built-in file by the schema finds nothing wrong."""
    jsonschema = pytest.importorskip("jsonschema")
    found = find_scenarios()[name]
    jsonschema.validate(yaml.safe_load(found.path.read_text(encoding="utf-8")), json_schema())
