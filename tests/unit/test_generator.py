"""The embedded data: what it promises, checked on small shops."""

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from pipeline.config import Embedded
from pipeline.data.generator import TASTE_WORDS, generate

SMALL = {"users": 600, "items": 900}


def tables(folder, **settings):
    generate(Embedded(**{**SMALL, **settings}), "grocer", "florist", folder)
    return pd.read_parquet(folder / "interactions.parquet"), pd.read_parquet(folder / "items.parquet")


@pytest.fixture(scope="module")
def shops(tmp_path_factory):
    return tables(tmp_path_factory.mktemp("shops"))


@pytest.fixture(scope="module")
def unrelated(tmp_path_factory):
    return tables(tmp_path_factory.mktemp("unrelated"), related=False)


@pytest.fixture(scope="module")
def devices(tmp_path_factory):
    return tables(tmp_path_factory.mktemp("devices"), variant="devices")


def of(table, domain):
    return table[table["domain"] == domain].drop(columns="domain").reset_index(drop=True)


def taste_profiles(interactions, items, domain):
    """Users x tastes: shares of the words of each taste in the titles that a user took."""
    words = {word: taste for taste, line in enumerate(TASTE_WORDS.tolist()) for word in line}
    goods = of(items, domain).set_index("item_id")["title"].str.lower().str.split()
    pairs = of(interactions, domain).assign(word=lambda rows: rows["item_id"].map(goods)).explode("word")
    pairs["taste"] = pairs["word"].map(words)
    pairs = pairs.dropna(subset="taste")
    counts = pd.crosstab(pairs["user_id"], pairs["taste"])
    return counts.div(counts.sum(axis=1), axis=0)


def agreement(interactions, items):
    """Mean product of a shared user's two taste profiles, over that of users paired at random (1: no relation)."""
    source, target = (taste_profiles(interactions, items, domain) for domain in ("grocer", "florist"))
    users = source.index.intersection(target.index)
    one, other = source.loc[users].to_numpy(), target.loc[users].to_numpy()
    return (one * other).sum(axis=1).mean() / (one @ other.T).mean()


@pytest.mark.parametrize("variant", ["shops", "devices"])
@pytest.mark.parametrize("related", [True, False])
def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(variant, related, tmp_path):
    """Equal settings write equal files; the seed changes them."""
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        tables(tmp_path / name, variant=variant, related=related, seed=seed)
    for file in ("interactions.parquet", "items.parquet"):
        first, again, other = ((tmp_path / name / file).read_bytes() for name in "abc")
        assert first == again
        assert first != other


def test_tables_are_canonical(shops, tmp_path):
    """Columns, types, times in UTC, one row for each user and item, every item described."""
    interactions, items = shops
    assert interactions.columns.tolist() == ["user_id", "item_id", "domain", "timestamp", "event", "value"]
    assert items.columns.tolist() == ["item_id", "domain", "title", "category", "brand", "price"]
    assert str(interactions["timestamp"].dtype) == "datetime64[us, UTC]"
    assert not interactions.isna().any(axis=None)
    assert not items.isna().any(axis=None)
    assert not interactions.duplicated(["user_id", "item_id", "domain"]).any()
    assert not items.duplicated(["item_id", "domain"]).any()
    assert interactions["item_id"].isin(items["item_id"]).all()
    assert set(interactions["event"]) == {"view", "cart", "purchase"}
    assert ((interactions["value"] > 0) == (interactions["event"] == "purchase")).all()
    tables(tmp_path)
    assert not pq.read_schema(tmp_path / "items.parquet").metadata


def test_the_source_is_rich_and_the_target_is_poor(shops):
    """About 25 rows a user against 5, and the stated share of the target's users is in both."""
    interactions, items = shops
    source, target = of(interactions, "grocer"), of(interactions, "florist")
    assert 18 < len(source) / source["user_id"].nunique() < 27
    assert 4 < len(target) / target["user_id"].nunique() < 6
    assert set(target["user_id"]) & set(source["user_id"])
    assert np.isclose(target.drop_duplicates("user_id")["user_id"].isin(source["user_id"]).mean(), 0.7, atol=0.02)
    assert source["user_id"].nunique() > target["user_id"].nunique()
    assert not set(of(items, "grocer")["item_id"]) & set(of(items, "florist")["item_id"])
    assert not set(of(items, "grocer")["category"]) & set(of(items, "florist")["category"])


def test_time_grows_and_brings_cold_users_and_items(shops):
    """Sixty days, more rows in the second half, and users and items whose first row comes in the last tenth of rows."""
    rows = of(shops[0], "florist").sort_values("timestamp")
    assert rows["timestamp"].max() - rows["timestamp"].min() < pd.Timedelta(days=60)
    middle = rows["timestamp"].min() + pd.Timedelta(days=30)
    assert (rows["timestamp"] > middle).mean() > 0.6
    early, late = rows.iloc[: int(len(rows) * 0.9)], rows.iloc[int(len(rows) * 0.9) :]
    assert 0.02 < (~late["user_id"].isin(early["user_id"])).mean() < 0.3
    assert (~late["item_id"].isin(early["item_id"])).any()


def test_popularity_has_a_long_tail(shops):
    """The first tenth of the items has more than its double share of the rows."""
    counts = of(shops[0], "grocer")["item_id"].value_counts()
    assert counts.iloc[: len(counts) // 10].sum() / counts.sum() > 0.2


def test_shared_users_have_shared_tastes_only_if_related(shops, unrelated):
    """In the words of titles, a user's two shops agree far above chance; unrelated ones at chance."""
    assert agreement(*shops) > 3
    assert agreement(*unrelated) == pytest.approx(1.0, abs=0.15)


def test_a_shop_that_has_not_opened(shops, tmp_path):
    """Nothing happened there; its items, and all of the source, are as if it had."""
    interactions, items = tables(tmp_path, opened=False)
    assert items.equals(shops[1])
    there = shops[0][shops[0]["domain"] == "grocer"].reset_index(drop=True)
    assert interactions.reset_index(drop=True).equals(there)


def test_the_unrelated_source_groups_words_otherwise(shops, unrelated):
    """The two taste words of a title belong together in the target, in the source only where it is related."""

    def together(items, domain):
        words = {word: taste for taste, line in enumerate(TASTE_WORDS.tolist()) for word in line}
        pairs = of(items, domain)["title"].str.lower().str.split()
        return (pairs.str[0].map(words) == pairs.str[1].map(words)).mean()

    assert together(shops[1], "grocer") > 0.6
    assert together(unrelated[1], "florist") > 0.6
    assert together(unrelated[1], "grocer") < 0.2


def test_the_target_does_not_depend_on_the_relation(shops, unrelated):
    """Only the source changes, so that the two worlds can be compared."""
    for one, other in zip(shops, unrelated, strict=True):
        pd.testing.assert_frame_equal(of(one, "florist"), of(other, "florist"))


def test_devices_have_the_same_items_and_users_and_other_behaviour(devices):
    """One shop: equal item tables; on the phone fewer rows, on more popular and cheaper items."""
    interactions, items = devices
    pd.testing.assert_frame_equal(of(items, "grocer"), of(items, "florist"))
    assert interactions.groupby("domain")["user_id"].nunique().min() > 0.95 * SMALL["users"]
    pc, mobile = of(interactions, "grocer"), of(interactions, "florist")
    assert len(mobile) < len(pc) / 2
    price = of(items, "grocer").set_index("item_id")["price"]
    assert mobile["item_id"].map(price).mean() < pc["item_id"].map(price).mean()
    top = pc["item_id"].value_counts().index[:90]
    assert mobile["item_id"].isin(top).mean() > pc["item_id"].isin(top).mean()


def test_an_unrelated_device_has_other_tastes(tmp_path):
    """Same titles, but what a user took on the one says nothing about the other."""
    assert agreement(*tables(tmp_path / "a", variant="devices")) > 3
    assert agreement(*tables(tmp_path / "b", variant="devices", related=False)) == pytest.approx(1.0, abs=0.15)


def test_the_smallest_shops_work(tmp_path):
    """Twenty users and twenty items, fewer than there are tastes."""
    interactions, items = tables(tmp_path, users=20, items=20)
    assert set(interactions["domain"]) == {"grocer", "florist"}
    assert len(items) == 40
