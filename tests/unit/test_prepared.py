"""The prepare step: catalogue, thinning, and what its fingerprints hang on."""

import os
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipeline.config import Options
from pipeline.data.item_names import is_described
from pipeline.data.splits import is_kept
from pipeline.data.tokens import item_tokens
from pipeline.errors import DataError
from pipeline.folders import Home
from pipeline.results import CLEAN
from pipeline.rows.interactions.prepared import DomainData
from pipeline.runs.account import Account, accounts
from pipeline.runs.run import Run
from pipeline.scenarios import load_scenario
from pipeline.steps.prepare import prepare
from tests.publishing import domains_of, publish


def scenario(split, base="cross_category"):
    names = {"sources": ("source",), "target": "target"}
    settings = load_scenario(base).model_dump() | names | {"split": split, "schedule": None}
    return type(load_scenario(base)).model_validate(settings)


def validated(tmp_path, settings, tables, share=1.0, force=False):
    """A run whose step `clean` published these tables: domain -> (interactions, items or None)."""
    run = Run.start(Home(tmp_path), f"share-{share}", settings, Options(target_share=share, force=force))
    for name, (interactions, items) in tables.items():

        def write(folder, interactions=interactions, items=items):
            interactions.to_parquet(folder / "interactions.parquet", index=False)
            if items is not None:
                items.to_parquet(folder / "items.parquet", index=False)

        counts = {"rows_read": len(interactions), "rows": len(interactions), "rules": {}}
        content = interactions.to_csv() + ("" if items is None else items.to_csv())
        publish(run, CLEAN, write, {"tables": {"interactions": counts}}, key=content, name=name)
    return run


def rows(seed, domain, users=40, items=30, count=600):
    random = np.random.default_rng(seed)
    table = pd.DataFrame(
        {
            "user_id": np.char.add("u", random.integers(users, size=count).astype(str)),
            "item_id": np.char.add(domain[0], random.integers(items, size=count).astype(str)),
            "domain": domain,
            "timestamp": pd.to_datetime(random.integers(10_000, size=count), unit="h", utc=True).as_unit("us"),
            "split": random.choice(["train", "train", "train", "test"], count),
        }
    )
    return table.drop_duplicates(["user_id", "item_id"])


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        (("title", "category"), ["category"]),
        (("brand", "category", "price"), ["category", "brand", "price"]),
        (("title", "price"), ["price"]),
        (("title",), []),
    ],
)
def test_items_are_described_by_the_columns_that_say_anything(columns, expected):
    """A category without a title describes too; an item of the rows alone, and one of hundred, are no trouble."""
    table = rows(1, "shop").assign(part=0)
    ids = sorted(table["item_id"].unique())
    goods = pd.DataFrame(
        {"item_id": [*ids[1:], "unsold"], "title": None, "category": "tea", "brand": None, "price": 1.5}
    )
    goods.loc[3, "brand"] = "Acme"
    data = DomainData.build("shop", table, goods[["item_id", *columns]], 1.0)
    assert [one for one in data.items if one not in ("item_id", "train_count")] == expected
    assert is_described(data.items) == bool(expected)
    for column in expected:
        own = data.items.set_index("item_id")[column]
        expected_of = goods.set_index("item_id")[column].reindex(own.index)
        assert own.isna()[ids[0]]
        assert own.dropna().to_dict() == expected_of.dropna().to_dict()
    lists = item_tokens(data.items, 64)
    assert [len(one) for one in lists[1:]].count(0) == (0 if expected else len(ids))


TABLES = {"source": (rows(1, "source"), None), "target": (rows(2, "target"), None)}
SPLITS = [{"kind": "shipped"}, {"kind": "time"}, {"kind": "leave_last_out"}]


@pytest.mark.parametrize("split", [*SPLITS, {"kind": "cold_users"}], ids=lambda split: split["kind"])
def test_every_row_is_accounted_for(split, tmp_path):
    """What was read is kept in a part, or dropped for a reason, to the row; repeats and new items are among them."""
    repeated = pd.concat([TABLES["target"][0], TABLES["target"][0].head(20)])
    run = validated(tmp_path, scenario(split), {**TABLES, "target": (repeated, None)})
    prepare(run)
    found = {account.domain: account for account in accounts(run)}
    assert set(found) == {"source", "target"}
    for name, table in (("source", TABLES["source"][0]), ("target", repeated)):
        account = found[name]
        assert account.read == len(table)
        assert sum(account.kept.values()) + sum(account.dropped.values()) == len(table)
    assert f"target: {len(repeated):,} rows read = " in str(found["target"])


def test_a_row_that_vanishes_is_a_fault():
    """An account that does not add up is not told."""
    with pytest.raises(AssertionError, match="shop: 10 rows were read, but 9 are accounted for"):
        Account("shop", 10, {"train": 6}, {"duplicate_row": 1}, {"repeated": 2})


def test_cold_users_train_nothing_and_hang_on_the_sources_users(tmp_path):
    """None of the rows of who chooses or tests trains; a source with other users is another split."""
    run = validated(tmp_path, scenario({"kind": "cold_users", "valid": 0.2, "test": 0.3}), TABLES)
    prepare(run)
    rows = domains_of(run).target.rows
    users = [set(rows.loc[rows["part"] == part, "user"]) for part in (0, 1, 2)]
    assert all(users)
    assert not users[0] & users[1] | users[1] & users[2] | users[0] & users[2]
    known = TABLES["source"][0]
    fewer = known[known["user_id"] != known["user_id"].iloc[0]]
    again = validated(tmp_path, run.scenario, {**TABLES, "source": (fewer, None)})
    assert not prepare(again)["target"].reused


def test_the_catalogue_is_what_was_trained_on_or_is_described(tmp_path):
    """A test row on an item that nobody knows is dropped and counted; one of the items table stays."""
    target = pd.DataFrame(
        [("a", "k", "train"), ("b", "l", "train"), *[("c", f"c{n}", "train") for n in range(4)],
         ("a", "new", "test"), ("a", "described", "test"), ("b", "k", "test")],
        columns=["user_id", "item_id", "split"],
    )  # fmt: skip
    goods = pd.DataFrame({"item_id": ["described", "never"], "title": ["Oak tea", None], "category": ["Tea", "Tea"]})
    run = validated(tmp_path, scenario({"kind": "shipped"}), {**TABLES, "target": (target, goods)})
    facts = prepare(run)["target"].facts
    data = domains_of(run).target
    assert data.items["item_id"].tolist() == ["c0", "c1", "c2", "c3", "described", "k", "l", "never"]
    assert data.items["train_count"].tolist() == [1, 1, 1, 1, 0, 1, 1, 0]
    assert data.items["title"].dropna().to_dict() == {4: "Oak tea"}
    assert data.items["category"].dropna().to_dict() == {4: "Tea", 7: "Tea"}
    assert data.users["user_id"].tolist() == ["a", "b", "c"]
    assert facts.dropped["outside_catalogue"] == 1
    assert facts.rows == {"train": 5, "valid": 1, "test": 2}
    held = data.rows[data.rows["part"] == 2]
    assert held[["user", "item"]].to_numpy().tolist() == [[0, 4], [1, 5]]


@pytest.mark.parametrize("split", SPLITS, ids=lambda split: split["kind"])
def test_thinning_touches_training_rows_of_the_target_only(split, tmp_path):
    """Parts stay, rows kept at 10 % are kept at 30 %, the source's folder is reused, test rows are all kept."""
    thinned = {}
    for share in (1.0, 0.3, 0.1):
        run = validated(tmp_path, scenario(split), TABLES, share)
        results = prepare(run)
        assert results["source"].reused == (share < 1)
        assert not results["target"].reused
        thinned[share] = DomainData.read(run.path(results["target"]), "target").rows
    names = ["user", "item", "part"]
    for share in (0.3, 0.1):
        pd.testing.assert_frame_equal(thinned[share][names], thinned[1.0][names])
        assert thinned[share].loc[thinned[share]["part"] == 2, "kept"].all()
    assert thinned[1.0]["kept"].all()
    assert not (thinned[0.1]["kept"] & ~thinned[0.3]["kept"]).any()
    assert thinned[0.1]["kept"].sum() < thinned[0.3]["kept"].sum() < len(thinned[1.0])


@pytest.mark.parametrize("name", ["clean", "border"])
def test_a_source_may_have_any_name(name, tmp_path):
    """Its name is no input of the target's step: the target keeps its own rows and who is known in the source."""
    split = {"kind": "cold_users", "valid": 0.2, "test": 0.3}
    run = validated(tmp_path / "one", scenario(split), TABLES)
    renamed = type(run.scenario).model_validate(scenario(split).model_dump(mode="json") | {"sources": [name]})
    other = validated(tmp_path / "two", renamed, {name: TABLES["source"], "target": TABLES["target"]})
    prepare(run)
    prepare(other)
    pd.testing.assert_frame_equal(domains_of(run).target.rows, domains_of(other).target.rows)
    pd.testing.assert_frame_equal(domains_of(run).sources[0].rows, domains_of(other).sources[0].rows)


def test_every_share_leaves_the_same_items_to_rank(tmp_path):
    """What a user is known to have taken is left out at any share; training sees only what thinning kept."""
    seen, trained = {}, {}
    for share in (1.0, 0.3):
        run = validated(tmp_path, scenario({"kind": "shipped"}), TABLES, share)
        prepare(run)
        domains = domains_of(run)
        seen[share] = domains.seen(domains.target, ("train", "valid"))
        trained[share] = domains.histories(("train", "valid"))["target"]
    assert (seen[1.0] != trained[1.0]).nnz == 0
    assert (seen[0.3] != seen[1.0]).nnz == 0
    assert trained[0.3].nnz < 0.5 * seen[0.3].nnz


def test_a_poor_target_chooses_by_few_rows(tmp_path):
    """Thinning takes validation rows too, by the same hash, and never a test row; an oracle sees all of them."""
    run = validated(tmp_path, scenario({"kind": "time"}), TABLES, 0.3)
    prepare(run)
    domains = domains_of(run)
    rows = domains.target.rows
    valid = rows[rows["part"] == 1]
    assert domains.held_out("valid").rows["row"].tolist() == valid.index[valid["kept"]].tolist()
    assert 0 < valid["kept"].mean() < 0.6
    assert len(domains.held_out("test")) == (rows["part"] == 2).sum()
    assert len(domains.with_all_rows().held_out("valid")) == len(valid)


def test_another_draw_keeps_other_rows_of_the_same_share():
    """Draws are unrelated, and each is nested in its own larger shares."""
    table = TABLES["target"][0]
    kept = {draw: is_kept(table, 0.3, draw) for draw in (0, 1, 2)}
    assert (kept[0] == is_kept(table, 0.3)).all()
    for draw, other in ((0, 1), (1, 2)):
        assert abs((kept[draw] & kept[other]).mean() - 0.09) < 0.05
    assert not (kept[1] & ~is_kept(table, 0.5, 1)).any()


def test_kept_is_the_hash_of_user_and_item(tmp_path):
    """The dense rows are thinned as their ids say."""
    run = validated(tmp_path, scenario({"kind": "shipped"}), TABLES, 0.3)
    data = DomainData.read(run.path(prepare(run)["target"]), "target")
    ids = pd.DataFrame(
        {
            "user_id": data.users["user_id"].to_numpy()[data.rows["user"]],
            "item_id": data.items["item_id"].to_numpy()[data.rows["item"]],
        }
    )
    assert (data.rows["kept"].to_numpy() == (is_kept(ids, 0.3) | (data.rows["part"] == 2))).all()
    assert not data.rows.duplicated(["user", "item", "part"]).any()
    assert (data.rows.sort_values(["user", "item", "part"]).index == data.rows.index).all()


@pytest.mark.parametrize("split", SPLITS, ids=lambda split: split["kind"])
def test_a_run_repeats_to_the_byte(split, tmp_path):
    """Computing again gives the same manifests, and shuffled rows the same tables."""
    shuffled = {name: (table.sample(frac=1, random_state=1), None) for name, (table, _) in TABLES.items()}
    manifests = []
    for tables in (TABLES, TABLES, shuffled):
        run = validated(tmp_path, scenario(split), tables, force=True)
        manifests.append({name: result.manifest for name, result in prepare(run).items()})
    assert manifests[0] == manifests[1] == manifests[2]


@pytest.mark.parametrize("split", SPLITS, ids=lambda split: split["kind"])
def test_the_source_hangs_on_the_target_only_through_times(split, tmp_path):
    """A new item name in the target leaves the source's folder alone; a later clock only where time counts."""
    prepare(validated(tmp_path, scenario(split), TABLES))
    target = TABLES["target"][0]
    renamed = target.assign(item_id="x" + target["item_id"]) if split["kind"] != "leave_last_out" else target
    again = prepare(validated(tmp_path, scenario(split), {**TABLES, "target": (renamed, None)}))
    assert again["source"].reused
    moved = target.assign(timestamp=target["timestamp"] - pd.Timedelta(days=100))
    later = prepare(validated(tmp_path, scenario(split), {**TABLES, "target": (moved, None)}))
    assert later["source"].reused == (split["kind"] == "shipped")


def test_nothing_in_the_source_is_later_than_what_is_predicted(tmp_path):
    """By time: every row of the source lies before the target's first validation row, and no source row tests."""
    run = validated(tmp_path, scenario({"kind": "time"}), TABLES)
    facts = prepare(run)["source"].facts
    domains = domains_of(run)
    held = domains.target.rows.loc[domains.target.rows["part"] > 0, "timestamp"]
    source = domains.sources[0].rows
    assert source["timestamp"].max() < held.min()
    assert set(source["part"]) == {0, 1}
    assert facts.dropped["later_than_target"] > 0


def test_a_shipped_source_keeps_its_own_test_rows_apart(tmp_path):
    """They are in the folder as test rows and in no history."""
    run = validated(tmp_path, scenario({"kind": "shipped"}), TABLES)
    facts = prepare(run)["source"].facts
    assert facts.rows["test"] == (TABLES["source"][0]["split"] == "test").sum() - facts.dropped["outside_catalogue"]
    assert domains_of(run).histories()["source"].nnz == facts.rows["train"] + facts.rows["valid"]


def test_a_split_that_leaves_a_part_empty_is_refused(tmp_path):
    """The message names the domain, the empty parts, the counts and what to do."""
    target = TABLES["target"][0].assign(split="train")
    run = validated(tmp_path, scenario({"kind": "shipped"}), {**TABLES, "target": (target, None)})
    with pytest.raises(DataError, match=r"target: .*no rows for test: none of its \d+ rows .*change `split`"):
        prepare(run)
    source = TABLES["source"][0].assign(split="test")
    run = validated(tmp_path, scenario({"kind": "shipped"}), {**TABLES, "source": (source, None)})
    with pytest.raises(DataError, match=r"source: .*no rows for train"):
        prepare(run)


@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "table", "catalogue", "parts"),
    [
        ("cross_category", "amazon_electronics_clothing", 48_781, {"train": 105_322, "valid": 15_761, "test": 12_526}),
        (
            "cross_category_phones",
            "amazon_electronics_phones",
            17_709,
            {"train": 47_082, "valid": 3_325, "test": 2_559},
        ),
    ],
)
def test_the_real_tables_have_the_published_sizes(name, table, catalogue, parts, tmp_path):
    """Catalogue, validation and test rows are those of the data's README, within seconds; 10 % keeps 10 %."""
    if not os.environ.get("CROSSLIFT_DATA"):
        pytest.skip("CROSSLIFT_DATA is not set: needs the real tables")
    settings = load_scenario(name)
    real = pd.read_parquet(Path(os.environ["CROSSLIFT_DATA"]) / table / "interactions.parquet").astype(str)
    tables = {domain: (real[real["domain"] == domain], None) for domain in settings.domains}
    run = validated(tmp_path, settings, tables)
    started = time.process_time()
    facts = prepare(run)[settings.target].facts
    assert time.process_time() - started < 10
    assert (facts.known["catalogue"], facts.rows) == (catalogue, parts)
    thin = prepare(validated(tmp_path, settings, tables, 0.1))
    assert thin[settings.target].facts.kept / facts.kept == pytest.approx(0.1, abs=0.005)
    assert all(thin[source].reused for source in settings.sources)
