"""Data Docs and refusals: escaped, self-contained, without personal values; checks that need no Great Expectations."""

import json
import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from pipeline.config import CheckSettings, Scenario
from pipeline.data.rules import Check, Times
from pipeline.data.tables import INTERACTIONS, ITEMS
from pipeline.errors import StorageError
from pipeline.folders import Home
from pipeline.rows.interactions.crossings import crossing_checks
from pipeline.rows.kind import CleanTables
from pipeline.validation.checking import Outcome, refusal
from pipeline.validation.data_docs import Volume, rule_examples, shown, write_data_docs
from pipeline.validation.passport import content_of, find_reference, reference_path, write_passport
from pipeline.validation.suites import suite

SCRIPT = "<script>alert(1)</script>"
LOSING = {"rows_lost": "warning"}


def outcome(*, success: bool = False, severity: str = "critical", examples: tuple[str, ...] = ()) -> Outcome:
    """One outcome of a check on the column item_id."""
    check = Check(
        "unique_key", severity, "ExpectColumnValuesToBeUnique", "one row each", "keep one", {"column": "item_id"}
    )
    return Outcome("items", "shop", check, success, "2 of 3 rows", examples)


def scenario(**changes: object) -> Scenario:
    """A scenario with sources `a` and `b` and target `t`."""
    value = {
        "name": "s", "title": "S", "sources": ["a", "b"], "target": "t", "bridges": ["users"],
        "embedded": {}, "split": {"kind": "shipped"}, "strategies": [{"tune": {"kind": "scratch"}}],
        "baselines": [{"kind": "popularity"}],
    }  # fmt: skip
    return Scenario.model_validate(value | changes)


def tables(users: list[str], titles: list[str | None] | None = None, **columns: list) -> CleanTables:
    """A domain whose interactions have these users and further columns."""
    rows = pd.DataFrame({"user_id": users, "item_id": [f"i{user}" for user in users], **columns})
    items = pd.DataFrame({"item_id": [str(i) for i in range(len(titles))], "title": titles}) if titles else None
    return CleanTables({"interactions": rows} if items is None else {"interactions": rows, "items": items}, 0.0)


def described(domains: dict[str, CleanTables]) -> dict[str, CleanTables]:
    """The same with a title for each item."""
    rows = {name: domain.tables["interactions"][["item_id"]] for name, domain in domains.items()}
    return {
        name: replace(domain, tables={**domain.tables, "items": rows[name].assign(title=[*rows[name]["item_id"]])})
        for name, domain in domains.items()
    }


def with_rows(domain: CleanTables, rows: pd.DataFrame) -> CleanTables:
    """The same with other interactions."""
    return replace(domain, tables={**domain.tables, "interactions": rows})


def asked(what: Scenario) -> CheckSettings:
    return CheckSettings.of(what, as_of=None, ordered=(), reference_content="", reference_rows={})


def failed_rules(what: Scenario, domains: dict[str, CleanTables]) -> dict[str, str]:
    """Rule -> severity of the crossing checks whose figure is out of bounds, compared here without a library."""
    figures, checks = crossing_checks(asked(what), domains)
    failed = {}
    for check in checks:
        value = float(figures[check.arguments["column"]].iloc[0])
        low, high = check.arguments.get("min_value", -np.inf), check.arguments.get("max_value", np.inf)
        if not low <= value <= high:
            failed[check.rule] = check.severity
    return failed


def test_page_escapes_everything_and_names_no_other_host(tmp_path):
    """Markup in titles, domains, examples and rule examples is text; no script, link or address is in the page."""
    volumes = [Volume(SCRIPT, "items", 3, 2, {SCRIPT: 1}, {SCRIPT: (SCRIPT,)})]

    path = write_data_docs(tmp_path, SCRIPT, SCRIPT, [outcome(examples=(SCRIPT, "a\0b"))], volumes, [SCRIPT])

    page = path.read_text(encoding="utf-8")
    assert "<script" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert not re.search(r"https?:|//|<link|<img|<iframe|@import|url\(|\son\w+=", page)
    assert "default-src &#39;none&#39;" in page or "default-src 'none'" in page
    assert "a\\x00b" in page
    assert "keep one" in page


@pytest.mark.parametrize(
    ("success", "severity", "verdict"),
    [(False, "critical", "refused"), (False, "warning", "passed"), (True, "critical", "passed")],
)
def test_page_tells_the_verdict(tmp_path, success, severity, verdict):
    """Only a failed critical rule refuses."""
    page = write_data_docs(tmp_path, "s", "S", [outcome(success=success, severity=severity)], [], []).read_text()

    assert re.search(rf"Verdict: <strong[^>]*>\s*{verdict}</strong>", page)


def test_page_shows_failures_first(tmp_path):
    """A failed expectation stands before those that passed."""
    page = write_data_docs(tmp_path, "s", "S", [outcome(success=True), outcome()], [], []).read_text()

    assert page.index("failed (critical)") < page.index("passed (critical)")


@pytest.mark.parametrize(
    ("value", "text"),
    [("a\nb", "a\\nb"), ("\u202eabc", "\\u202eabc"), ("é🛒", "é🛒"), ("x" * 200, "x" * 79 + "…"), (None, "None")],
)
def test_values_are_shown_as_visible_text(value, text):
    """Control and direction characters are spelt out, long values cut, all else is as it was."""
    assert shown(value) == text


def test_rule_examples_leave_out_personal_columns():
    """Values of personal columns are not shown, others are, at most as many as asked for."""
    removed = pa.table({"user_id": ["anna", "bert"], "item_id": ["x\0", "y\0"], "rule": ["user_rule", "item_rule"]})
    columns = {"user_rule": "user_id", "item_rule": "item_id"}

    assert rule_examples(removed, columns, ["user_id"]) == {"item_rule": ("y\\x00",)}
    assert rule_examples(removed, columns, ["user_id"], count=0) == {"item_rule": ()}


def test_refusal_says_what_where_expected_got_and_what_to_do():
    """The message lists each failed rule with table, domain, column, expectation, observation and remedy."""
    assert refusal("s", [outcome()]) == (
        "s: validation refused the data: 1 critical rule failed.\n- items of shop, column item_id: unique_key: "
        "expected one row each, got 2 of 3 rows. To do: keep one."
    )
    assert "2 critical rules failed" in refusal("s", [outcome(), outcome()])


def test_bridge_of_users():
    """Declared users with none in common are critical; one common user with any source is enough."""
    parts = {"split": ["train", "test"]}
    apart = {"a": tables(["u", "v"]), "b": tables(["w", "x"]), "t": tables(["y", "z"], **parts)}
    together = apart | {"b": tables(["w", "y"])}

    assert failed_rules(scenario(), apart) == {"bridge_users": "critical"}
    assert failed_rules(scenario(), together) == {}


def test_bridge_of_items_and_of_item_features():
    """Declared items need common ids, declared item features need titles on both sides."""
    parts = {"split": ["train", "test"]}
    bare = {"a": tables(["u", "v"]), "b": tables(["w", "x"]), "t": tables(["y", "z"], **parts)}
    titled = described(bare)
    half = titled | {"t": bare["t"]}

    assert failed_rules(scenario(bridges=["items"]), bare) == {"bridge_items": "critical"}
    assert failed_rules(scenario(bridges=["item_features"]), bare) == {"bridge_item_features": "critical"}
    assert failed_rules(scenario(bridges=["item_features"]), half) == {"bridge_item_features": "critical"}
    assert failed_rules(scenario(bridges=["item_features"]), titled) == {}


def test_a_market_that_shares_no_item_is_refused():
    """Where items alone are the bridge each source has to have some, and what lacks them is named."""
    domains = {"a": tables(["u", "z"]), "b": tables(["w", "x"]), "t": tables(["y", "z"], split=["train", "test"])}
    only, both = scenario(bridges=["items"]), scenario(bridges=["users", "items"])
    _, checks = crossing_checks(asked(only), domains)
    [told] = [one for one in checks if one.arguments["column"].endswith("items of t that are in b")]
    assert failed_rules(only, domains) == {"bridge_items": "critical"}
    assert told.remedy == "look whether b writes its ids like t, or take it out of the sources"
    assert failed_rules(both, domains) == {}
    assert failed_rules(only, domains | {"b": tables(["w", "y"])}) == {}


@pytest.mark.parametrize(
    ("split", "columns", "failed"),
    [
        ({"kind": "shipped"}, {"split": ["train", "train"]}, {"test_labels"}),
        ({"kind": "shipped"}, {"split": ["test", "test"]}, {"train_labels"}),
        ({"kind": "shipped"}, {}, {"train_labels", "test_labels"}),
        ({"kind": "shipped"}, {"split": ["train", "test"]}, set()),
        ({"kind": "time"}, {}, {"train_labels", "test_labels"}),
        (
            {"kind": "time", "valid": 0.1, "test": 0.5},
            {"timestamp": pd.to_datetime(["2024-01-01", "2024-01-02"])},
            set(),
        ),
        ({"kind": "leave_last_out"}, {"position": [1, 2]}, {"test_labels"}),
    ],
)
def test_target_needs_rows_to_train_and_to_test(split, columns, failed):
    """A target without training or test rows by the scenario's split is refused."""
    domains = {"a": tables(["y", "v"]), "b": tables(["w", "x"]), "t": tables(["y", "z"], **columns)}

    assert set(failed_rules(scenario(split=split), domains)) == failed


@pytest.mark.parametrize(("columns", "failed"), [({}, {"test_labels": "warning"}), ({"split": ["test", "x"]}, {})])
def test_a_target_without_labels_needs_no_rows(columns, failed):
    """Without test rows the gate cannot judge, which is worth a warning; nothing else is missed."""
    domains = {"a": tables(["y", "v"]), "b": tables(["w", "x"]), "t": tables(["y", "z"], **columns)}
    strategies = [{"tune": {"kind": "direct"}}]
    what = scenario(target_labels=False, strategies=strategies, bridges=["users", "item_features"], baselines=[])
    titled = described(domains)
    assert failed_rules(what, titled) == failed
    closed = titled | {"t": with_rows(titled["t"], titled["t"].tables["interactions"].iloc[:0])}
    assert failed_rules(what, closed) == {"test_labels": "warning", "bridge_users": "warning"}
    empty = titled["t"].tables["interactions"].iloc[:0]
    assert not {"enough_rows", "two_users", "two_items", "volume_fell"} & {
        check.rule for check in suite(INTERACTIONS, empty, "t", Times(), None)
    }


def test_leave_last_out_tests_users_with_two_rows():
    """One user with two rows gives one test row."""
    domains = {"a": tables(["y", "v"]), "b": tables(["w", "x"]), "t": tables(["y", "y"], position=[1, 2])}

    figures, _ = crossing_checks(asked(scenario(split={"kind": "leave_last_out"})), domains)

    assert figures["test rows of t"].tolist() == [1]
    assert figures["train rows of t"].tolist() == [1]


def test_poor_source_is_a_warning_and_a_large_quarantine_critical():
    """A source smaller than the target only warns; more than a fifth of the rows in quarantine refuses."""
    poor = {"a": tables(["y"]), "b": tables(["w", "x"]), "t": tables(["y", "z"], split=["train", "test"])}
    broken = poor | {"b": replace(poor["b"], quarantined=0.21)}

    assert failed_rules(scenario(), poor) == {"richer_source": "warning"}
    assert failed_rules(scenario(), broken) == {"richer_source": "warning", "quarantine": "critical"}


@pytest.mark.parametrize(("lost", "failed"), [(0.05, {}), (0.06, LOSING), (0.2, LOSING)])
def test_rows_lost_below_the_limit_are_told(lost, failed):
    """Up to the limit nothing is refused; more than one row in twenty is a warning all the same."""
    rich = {"a": tables(["y", "z"]), "b": tables(["w", "x"]), "t": tables(["y", "z"], split=["train", "test"])}
    assert failed_rules(scenario(), rich | {"t": replace(rich["t"], quarantined=lost)}) == failed


def test_suites_fit_the_table():
    """Checks of absent columns are left out, but for the required ones; ids of another type get no text checks."""
    frame = pd.DataFrame({"user_id": [1, 2], "price": [1.0, 2.0]})

    rules = {(check.rule, check.columns) for check in suite(INTERACTIONS, frame, "shop", Times(), 2)}
    assert ("column_exists", ("item_id",)) in rules
    assert ("two_users", ("user_id",)) in rules
    assert not any(columns == ("timestamp",) or rule == "id_length" for rule, columns in rules)
    assert not any(columns[1:] for _, columns in rules)
    assert {"price_not_negative", "outliers"} <= {check.rule for check in suite(ITEMS, frame, "shop", Times(), 2)}


def test_first_snapshot_is_its_own_reference_and_a_promoted_one_is_read(tmp_path):
    """Without a reference passport, and with one of the same snapshot, the comparison is the same."""
    home, manifests, volumes = Home(tmp_path), {"t": "abc"}, [Volume("t", "interactions", 9, 8, {"missing_user_id": 1})]
    first = find_reference(home, "s", "interactions", manifests, {"t": 8})
    passport = write_passport("s", manifests, first, [outcome(severity="info")], volumes)
    path = reference_path(home, "s")
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(passport))

    assert find_reference(home, "s", "interactions", manifests, {"t": 8}) == first
    later = find_reference(home, "s", "interactions", {"t": "new"}, {"t": 4, "n": 5})
    assert later.rows == {"t": 8, "n": 5}
    assert later.content == content_of(manifests)
    assert passport["failed"] == {"critical": 0, "warning": 0, "info": 1}

    path.write_text("{")
    with pytest.raises(StorageError, match=r"passport\.json: expected the passport of what serves"):
        find_reference(home, "s", "interactions", manifests, {"t": 8})
