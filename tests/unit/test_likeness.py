"""Whether what chooses looks like what is judged: hand-made targets, and the published cold-start set."""

import pandas as pd
import pytest

from pipeline.config import ColdUsersSplit, ShippedSplit
from pipeline.data import splits
from pipeline.data.cold_users import cold_users
from pipeline.rows.interactions.likeness import likeness
from pipeline.rows.interactions.prepared import DomainData, Domains

TRAIN, VALID, TEST = 0, 1, 2


def domain(name: str, rows: list[tuple[str, str, int]]) -> DomainData:
    """A domain from rows of (user, item, part)."""
    return DomainData.build(name, pd.DataFrame(rows, columns=["user_id", "item_id", "part"]), None, 1.0)


SOURCE = domain("source", [(user, f"s{place}", TRAIN) for user in "abcdef" for place in range(3)])


def test_equal_parts_are_alike() -> None:
    """Every user has two training rows, one to choose by and one to be judged on."""
    rows = [(user, item, TRAIN) for user in "abcdef" for item in "klmn"]
    rows += [(user, "k2", part) for user in "abcdef" for part in (TRAIN, VALID, TEST)]
    found = likeness(Domains((SOURCE,), domain("target", rows)))
    assert found["differs"] == []
    assert found["valid"] == {
        "rows": 6, "users": 6, "no_history": 0.0, "new_items": 0.0, "history": 5.0, "source_history": 3.0
    }  # fmt: skip
    assert found["cold_until_chosen"] == 0


def test_users_who_are_cold_until_the_last_fit() -> None:
    """Strangers while settings are chosen, who are known when they are judged, are counted and told."""
    rows = [(user, item, TRAIN) for user in "abc" for item in "klm"]
    rows += [(user, "k", part) for user in "def" for part in (VALID, TEST)]
    found = likeness(Domains((SOURCE,), domain("target", rows)))
    assert found["cold_until_chosen"] == 3
    assert found["valid"]["no_history"] == 1
    assert found["test"]["no_history"] == 0
    assert any(
        "no history in the target: 100% of the validation rows, 0% of the test" in one for one in found["differs"]
    )
    assert any("3 of 3 test users have validation rows and no training row" in one for one in found["differs"])


def test_longer_histories_and_new_items_are_told() -> None:
    """Choosing among busy users and old items says little about quiet ones and new items."""
    rows = [(user, f"k{place}", TRAIN) for user in "abc" for place in range(9)]
    rows += [(user, "k0", TRAIN) for user in "def"]
    rows += [(user, "k1", VALID) for user in "abc"] + [(user, "k1", TEST) for user in "def"]
    found = likeness(Domains((SOURCE,), domain("target", rows)))
    assert found["differs"] == ["history in the target: 9 items in validation, 1 in the test (medians)"]


@pytest.mark.data
def test_the_published_cold_start_set_and_the_split_that_mends_it(data_root) -> None:
    """The shipped split hands the test users to the last fit; the split cold_users does not."""
    path = data_root / "amazon_games_video_coldstart" / "interactions.parquet"
    table = pd.read_parquet(path).astype({"user_id": str, "item_id": str, "domain": str, "split": str})
    games, video = (table[table["domain"] == name] for name in ("games", "video"))
    source = splits.shipped(games, ShippedSplit(kind="shipped", valid=("valid",)), "games").rows
    shipped = splits.shipped(video, ShippedSplit(kind="shipped", valid=("valid",)), "video").rows
    divided = cold_users(video, ColdUsersSplit(kind="cold_users"), set(games["user_id"]), "video").rows
    sources = (DomainData.build("games", source, None, 1.0),)
    found = {
        name: likeness(Domains(sources, DomainData.build("video", rows, None, 1.0)))
        for name, rows in (("shipped", shipped), ("divided", divided))
    }
    assert found["shipped"]["cold_until_chosen"] / found["shipped"]["test"]["users"] > 0.9
    assert found["shipped"]["differs"]
    assert found["divided"]["cold_until_chosen"] == 0
    assert found["divided"]["differs"] == []
    assert found["divided"]["test"]["no_history"] == 1
