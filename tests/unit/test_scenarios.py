"""The loader: what a scenario may say, and what is told about one that says something else."""

import json
import os
import re
import time
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline.config import Options, Scenario
from pipeline.errors import ConfigError
from pipeline.folders import Home
from pipeline.runs.run import Run
from pipeline.scenarios import apply_options, check_file, find_scenarios, json_schema, load_scenario, loader

BUILT_IN = (
    "demo", "cross_category", "cross_category_phones", "cold_start", "new_shop", "next_item",
    "next_item_games", "opening_day", "cross_platform", "cross_platform_de", "no_common_users", "two_devices",
    "purchase_intent", "purchase_intent_new", "fraud", "fraud_later", "fraud_unlabelled", "fake_reviews",
    "fake_reviews_hotels", "product_classification", "product_classification_hard",
    "product_pictures", "product_quality", "product_quality_text", "product_quality_reviews",
    "next_behaviour", "next_behaviour_days", "next_behaviour_categories", "next_look",
)  # fmt: skip
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
    assert set(found) == set(BUILT_IN)
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
    "out of range": ({"target_share": 0}, r"target_share: input should be greater than or equal to 0\.0001, got 0\."),
    "not a number": ({"gate": {"delta": float("nan")}}, r"gate\.delta: input should be .*, got nan"),
    "misspelt kind": (
        {"split": {"kind": "tme"}},
        r"split: input tag 'tme' found using 'kind' does not match any of the expected tags: 'shipped', 'time'",
    ),
    "misspelt tune": (
        {"strategies": [SCRATCH, {"tune": {"kind": "finetune"}}]},
        r"strategies\.1\.tune: input tag 'finetune'.*'scratch', 'direct', 'frozen', 'fine_tune', ",
    ),
    "misspelt adapt": (
        {"strategies": [SCRATCH, {"adapt": {"kind": "mmdd"}, **FINE_TUNE}]},
        r"strategies\.1\.adapt: input tag 'mmdd'.*'none', 'coral', 'mmd', .*Did you mean 'mmd'",
    ),
    "adapt for classes": (
        {"strategies": [SCRATCH, {"adapt": {"kind": "self_training"}, **FINE_TUNE}]},
        r"strategies: self_training is for rows that are labelled with classes, but the task ranking asks for items; "
        r"expected one of coral, dann, mmd, none\.$",
    ),
    "alignment for classes": (
        {"strategies": [SCRATCH, {"tune": {"kind": "joint", "align": {"kind": "cdan"}}}]},
        r"strategies: joint\+cdan is for rows that are labelled with classes, but the task ranking asks for items; exp",
    ),
    "tune for rows that stand alone": (
        {"strategies": [SCRATCH, {"tune": {"kind": "lora"}}]},
        r"lora is for rows that are labelled with classes or numbers or several labels or tags, but .* one of dir",
    ),
    "misspelt baseline": ({"baselines": [{"kind": "als"}]}, r"baselines\.0: input tag 'als'.*'ials'"),
    "no such bridge": ({"bridges": ["user"]}, r"bridges\.0: input should be 'users', 'items'.*got 'user'"),
    "target among sources": ({"target": "a"}, r"sources and target must be different domains, got a, a"),
    "another table": (
        {"embedded": None, "tables": {"interactions": [{"path": "x.csv"}], "clicks": [{"path": "y.csv"}]}},
        r"mine\.yaml: tables: expected tables called interactions or items or examples, got clicks\.$",
    ),
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
        r"weights: leave out adapt, tune with one of adapter, direct, .*or align while both .*align: {kind",
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
    "hour 99": (
        {"schedule": "99 * * * *"},
        r"schedule: expected cron with five fields, such as '0 2 \* \* \*'.*got '99",
    ),
    "the 31st of February": ({"schedule": "0 0 31 2 *"}, r"schedule: expected cron .*failed to find next date"),
    "a schedule with seconds": ({"schedule": "* * * * * *"}, r"schedule: expected cron with five fields"),
    "a word as schedule": ({"schedule": "nightly"}, r"schedule: expected cron with five fields.*got 'nightly'"),
    "a title that no database takes": (
        {"title": "a\0b"},
        r"title: expected a text without control characters, got 'a\\x00b'",
    ),
    "an event that the generator makes": (
        {"task": {"weight": {"event": {"view": 1, "basket": 3}}}},
        r"task\.weight\.event: rows have the event 'cart', which it does not name; say what each event counts",
    ),
    "an event of all rows of a table": (
        {
            "task": {"weight": {"event": {"view": 1}}},
            "embedded": None,
            "tables": {"interactions": [{"path": "x.csv", "constants": {"event": "buy"}}]},
        },
        r"task\.weight\.event: rows have the event 'buy', which it does not name",
    ),
    "too few users": ({"embedded": {"users": 1}}, r"embedded\.users: input should be greater than or equal to 20"),
}


SECRET = "Tr0ub4dor-and-3"


@pytest.mark.parametrize(
    ("table", "told"),
    [
        (
            {"path": "a.csv", "query": "SELECT 1"},
            r": a query stands beside `files`, which it reads, or beside the `url`",
        ),
        ({"path": "a.csv", "seperator": ";"}, r"\.seperator: this key is not known here\. Did you mean 'separator'"),
        (
            {"files": {"x": {"path": "a.csv", "nams": []}}, "query": "SELECT 1"},
            r"files\.x\.nams: .*Did you mean 'names'",
        ),
        (
            {"files": {"x": {"path": "a.csv", "decimal": ","}}, "query": "SELECT 1"},
            r"write replace\(price, ',', '\.'\)",
        ),
        ({"files": {}, "query": "SELECT 1"}, r"\.files: .*at least 1 item"),
        ({"path": "a.csv", "separator": "-----"}, r"separator: expected one to four bytes that are no quote"),
        ({"path": "a.csv", "encoding": "utf-9"}, r"encoding: expected an encoding that Python knows, .*got 'utf-9'"),
        ({"path": "a.csv", "encoding": "zip"}, r"encoding: expected an encoding that Python knows"),
        ({"path": "a.csv", "quote": "no"}, r"quote: expected one ASCII character, or `none`"),
        ({"path": "a.csv", "header": False}, r"header: false needs `names`, the names of the columns in their order"),
        ({"path": "a.csv", "names": ["a"]}, r"names: expected only beside `header: false`"),
        ({"path": "a.csv", "header": False, "names": ["a", "a"]}, r"names: a stands there more than once"),
        ({"path": "a.csv", "quote": "none", "escape": "!"}, r"escape: means something in quotes alone"),
        ({"path": "a.csv", "sheet": "x"}, r"sheet: means something for excel alone, and this is csv; leave it out"),
        ({"path": "a.jsonl.gz", "skip": 1}, r"skip: means something for csv and excel alone, and this is jsonl"),
        ({"path": "x", "format": "parquet", "decimal": ","}, r"decimal: means something for csv alone"),
        ({"path": f"s3://key:{SECRET}@shop/a.csv"}, r"path: expected no password in the file"),
        ({"path": f"https://shop/a.csv?X-Amz-Signature={SECRET}"}, r"path: expected no password in the file"),
    ],
)
def test_a_key_of_a_file_that_cannot_be_is_told(tmp_path: Path, table: dict[str, Any], told: str) -> None:
    """In one line that speaks of the file alone and holds no password."""
    with pytest.raises(ConfigError, match=r"mine\.yaml: tables\.interactions\.0.*" + told) as caught:
        check_file(write(tmp_path, embedded=None, tables={"interactions": [table]}))
    assert len(str(caught.value).splitlines()) == 1
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql+psycopg2://reader:{SECRET}@db.example/shop",
        f"postgresql+psycopg2://reader:${{PREFIX}}{SECRET}@db.example/shop",
        f"postgresql+psycopg2://reader@db.example/shop?password={SECRET}",
        f"postgresql+psycopg2://db.example/shop?sslmode=require&sslpassword={SECRET}",
        f"mssql+pyodbc:///?odbc_connect=DRIVER%3Dx%3BUID%3Dreader%3BPWD%3D{SECRET}",
    ],
)
def test_a_password_in_the_file_is_refused(tmp_path: Path, url: str) -> None:
    """With the way to keep it out, as one message, and without the password in it."""
    table = {"url": url, "query": "SELECT 1"}
    with pytest.raises(ConfigError) as caught:
        check_file(write(tmp_path, embedded=None, tables={"interactions": [table]}))
    told = str(caught.value)
    assert "mine.yaml: tables.interactions.0: url: expected no password in the file, got one; write ${SHOP_" in told
    assert len(told.splitlines()) == 1
    assert SECRET not in told
    assert SECRET not in str(caught.value.__cause__)


@pytest.mark.parametrize(
    "tables",
    [
        {"interactions": [f"postgresql://reader:{SECRET}@db.example/shop"]},
        {"interactions": f"postgresql://reader:{SECRET}@db.example/shop"},
        {"interactions": [{"url": [f"postgresql://reader:{SECRET}@db.example/shop"], "query": "SELECT 1"}]},
    ],
)
def test_a_password_in_a_wrong_place_is_not_repeated(tmp_path: Path, tables: dict[str, Any]) -> None:
    """A message that quotes what came leaves it out."""
    with pytest.raises(ConfigError) as caught:
        check_file(write(tmp_path, embedded=None, tables=tables))
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql+psycopg2://reader:${SHOP_PASSWORD}@db.example/shop",
        "postgresql+psycopg2://reader:${SHOP_PASSWORD}@db.example/shop?sslmode=require&passfile=/secure/pgpass",
        "postgresql+psycopg2://reader@db.example:5432/shop",
        "postgresql+psycopg2://db.example/shop?password=${SHOP_PASSWORD}",
        "${SHOP_URL}",
        "sqlite:///shop.db",
    ],
)
def test_a_variable_in_a_url_is_no_password(tmp_path: Path, url: str) -> None:
    """Nor is a port, or the file that a driver reads its password from."""
    table = {"url": url, "query": "SELECT 1"}
    assert check_file(write(tmp_path, embedded=None, tables={"interactions": [table]})).tables is not None


def test_a_misspelt_key_of_a_query_is_told_once(tmp_path: Path) -> None:
    """It is seen that a query is meant: nothing is said about files."""
    table = {"url": "sqlite:///shop.db", "query": "SELECT 1", "colums": {}}
    with pytest.raises(
        ConfigError, match=r"tables\.interactions\.0\.colums: this key .* Did you mean 'columns'"
    ) as told:
        check_file(write(tmp_path, embedded=None, tables={"interactions": [table]}))
    assert len(str(told.value).splitlines()) == 1


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
        (b"name: [", r"mine\.yaml, line [12]: expected YAML"),
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


BODY = "".join(f"{key}: {json.dumps(value)}\n" for key, value in MINIMAL.items() if key != "title")
LAUGHS = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{one + 1}: &a{one + 1} [{', '.join([f'*a{one}'] * 10)}]\n" for one in range(9)
)
HOSTILE: dict[str, tuple[str, str]] = {
    "a day that is none": ("title: 2026-02-30\n", r"mine\.yaml, line 1: expected YAML \(no such number, date"),
    "5,000 digits": (f"title: x\nseed: {'9' * 5000}\n", r"mine\.yaml, line 2: expected YAML \(no such number"),
    "5,000 hexadecimal digits": (f"title: x\nseed: 0x{'f' * 5000}\n", r"mine\.yaml, line 2: expected YAML \(no such"),
    "a float of 5,000 digits": (f"title: x\ntarget_share: {'9' * 5000}.0\n", r"mine\.yaml: target_share: "),
    "a word that says it is a number": ("title: !!int x\n", r"mine\.yaml, line 1: expected YAML \(no such number"),
    "a word that says it is true": ("title: !!bool x\n", r"mine\.yaml, line 1: expected YAML \(no such number"),
    "3,000 brackets": (f"title: {'[' * 3000}{']' * 3000}\n", r"mine\.yaml: expected at most 50 levels of brackets"),
    "90,000 brackets": (f"title: {'[' * 90_000}\n", r"mine\.yaml: expected at most 50 levels of brackets"),
    "3,000 mappings": (f"title: {'{a: ' * 3000}{'}' * 3000}\n", r"mine\.yaml: expected at most 50 levels"),
    "a thousand million laughs": (LAUGHS, r"mine\.yaml: expected at most 100,000 values, got more, as aliases"),
    "laughs that merge": (LAUGHS.replace("[x, x, x, x, x, x, x, x, x, x]", "{k: v}").replace("[*", "{<<: [*")
                          .replace("]\n", "]}\n"), r"mine\.yaml: expected at most 100,000 values"),
    "a list in itself": ("title: &a [*a]\n", r"mine\.yaml: expected at most 100,000 values"),
    "a list as key": ("? [a]\n: b\n", r"mine\.yaml, line 1: expected YAML"),
    "a date as key": ("2026-01-01: b\n", r"mine\.yaml: .*: keys should be strings"),
    "200,000 bytes": ("# " + "x" * 200_000, r"mine\.yaml: expected at most 100,000 bytes, got more"),
    "9,000 wrong keys": ("".join(f"k{one}: 1\n" for one in range(9000)), r"mine\.yaml: and 8981 more\."),
}  # fmt: skip


@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_file_costs_only_itself(folder: Path, case: str) -> None:
    """Whatever it holds: one message that names it, soon and in little memory, and every other scenario is there."""
    content, told = HOSTILE[case]
    (folder / "mine.yaml").write_text(content + BODY, encoding="utf-8")
    write(folder, "other")
    tracemalloc.start()
    started = time.process_time()
    found = find_scenarios()
    seconds, most = time.process_time() - started, tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert re.search(told, found["mine"].error), found["mine"].error[:500]
    assert len(found["mine"].error) < 3000
    assert {name for name, one in found.items() if one.scenario} == {*BUILT_IN, "other"}
    assert seconds < 20  # of 90,000 brackets in pure Python: minutes
    assert most < 100e6
    with pytest.raises(ConfigError, match=told):
        check_file(folder / "mine.yaml")


def test_what_is_no_file_costs_only_itself(folder: Path) -> None:
    """A folder, a pipe that nobody writes to, an endless device, and a name that is no text."""
    (folder / "folder.yaml").mkdir()
    os.mkfifo(folder / "pipe.yaml")
    (folder / "device.yaml").symlink_to("/dev/zero")
    (folder / "nowhere.yaml").symlink_to(folder / "absent")
    Path(os.fsdecode(bytes(folder) + b"/b\xff.yaml")).write_text("a: 1", encoding="utf-8")
    found = find_scenarios()
    for name in ("folder", "pipe", "device"):
        assert found[name].error.endswith("expected a file, got a folder, a pipe or a device.")
    assert "expected a readable UTF-8 file" in found["nowhere"].error
    assert found["b\\udcff"].error.encode()
    assert {name for name, one in found.items() if one.scenario} == set(BUILT_IN)


def test_an_error_that_nobody_foresaw_costs_only_its_file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also one of a library."""
    write(folder)
    real = loader.read_mapping

    def fail(path: Path) -> dict[Any, Any]:
        if path.parent == folder:
            raise MemoryError
        return real(path)

    monkeypatch.setattr(loader, "read_mapping", fail)
    found = find_scenarios()
    assert found["mine"].error == f"{folder / 'mine.yaml'}: cannot be read as a scenario (MemoryError)."
    assert {name for name, one in found.items() if one.scenario} == set(BUILT_IN)


def test_aliases_that_repeat_little_are_taken(tmp_path: Path) -> None:
    """They are of use where several tables have the same columns; so is a file of Windows."""
    tables = "[{path: a.csv, columns: &c {user_id: customer, item_id: sku}}, {path: b.csv, columns: *c}]"
    text = f"title: x\ntables: {{interactions: {tables}}}\n" + BODY.replace("embedded: {}\n", "")
    (tmp_path / "mine.yaml").write_bytes(text.replace("\n", "\r\n").encode("utf-8-sig"))
    found = check_file(tmp_path / "mine.yaml").tables
    assert found is not None
    first, second = (table.columns for table in found.interactions)
    assert first == second
    assert {name: how.column for name, how in first.items()} == {"user_id": "customer", "item_id": "sku"}


@pytest.mark.parametrize("schedule", ["0 2 * * *", "*/5 1-3 * * MON-FRI", "0 0 29 2 *", "@daily"])
def test_a_schedule_that_comes(tmp_path: Path, schedule: str) -> None:
    """Also the 29th of February."""
    assert check_file(write(tmp_path, schedule=schedule)).schedule == schedule


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
    with pytest.raises(ConfigError, match=f"no scenario is called '{name}'.*{near}.*There are: cold_start, "):
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
    assert {"name", "target", "split"} <= set(schema["required"])


@pytest.mark.parametrize("name", ["demo", "cross_category", "cross_category_phones"])
def test_schema_takes_the_built_in_files(name: str) -> None:
    """An editor that checks a built-in file by the schema finds nothing wrong."""
    jsonschema = pytest.importorskip("jsonschema")
    found = find_scenarios()[name]
    jsonschema.validate(yaml.safe_load(found.path.read_text(encoding="utf-8")), json_schema())
