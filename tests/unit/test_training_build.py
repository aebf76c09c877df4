"""What an adaptation may read of the target: histories of its users, as far as the source model knows the items."""

import numpy as np
import pandas as pd
import pytest

from pipeline.config import Scenario
from pipeline.data.prepared import DomainData, Domains
from pipeline.errors import CrossliftError
from pipeline.scenarios import load_scenario
from pipeline.training.build import shared_items, target_inputs


def domain(name: str, pairs: list[str]) -> DomainData:
    """Training rows written as `user item`."""
    rows = pd.DataFrame([pair.split() for pair in pairs], columns=["user_id", "item_id"]).assign(part=0)
    return DomainData.build(name, rows, None, 1.0, 16)


def scenario(bridge: str) -> Scenario:
    value = load_scenario("demo").model_dump(mode="json")
    value |= {"sources": ["far"], "target": "near", "bridges": [bridge]}
    value["strategies"] = [{"tune": {"kind": "scratch"}}]
    return Scenario.model_validate(value)


FAR = domain("far", ["a x", "a y", "b y", "b z"])
NEAR = domain("near", ["c y", "c q", "d q", "e z", "e y"])  # other users; y and z are the same things, q is not


def read(bridge: str, near: DomainData) -> dict[str, set[str]]:
    """Which items of the source each of the target's users is read by."""
    domains = Domains((FAR,), near)
    rows = target_inputs(scenario(bridge), domains, ("far",))
    names = domains.users.to_numpy()[rows.users.numpy()]
    items = FAR.items["item_id"].to_numpy()
    table = rows.tables["far"]
    return {
        str(name): set(items[table.items[table.starts[user] : table.starts[user + 1]].numpy()])
        for name, user in zip(names, rows.users.tolist(), strict=True)
    }


def test_shared_items_are_read_where_items_are_the_bridge():
    """Without a common user the target's users are known by what both domains sell; `d` took nothing of it."""
    assert read("items", NEAR) == {"c": {"y"}, "e": {"y", "z"}}


def test_common_users_are_read_by_their_source_history():
    """Where users are the bridge, shared ids mean nothing."""
    assert read("users", domain("near", ["a y", "c y"])) == {"a": {"x", "y"}}


@pytest.mark.parametrize(("bridge", "pairs"), [("users", ["c y"]), ("items", ["c q"])])
def test_nothing_to_read_is_told(bridge, pairs):
    """The message names the target, the sources, the bridge and what to do."""
    with pytest.raises(CrossliftError, match=rf"no user of near's .* model of far can read.*`bridges` \({bridge}\)"):
        read(bridge, domain("near", pairs))


def test_places_of_shared_items():
    """Equal ids, in both orders of places."""
    here, there = shared_items(NEAR, FAR)
    assert NEAR.items["item_id"].to_numpy()[here].tolist() == ["y", "z"]
    assert np.array_equal(FAR.items["item_id"].to_numpy()[there], NEAR.items["item_id"].to_numpy()[here])
