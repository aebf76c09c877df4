"""What an adaptation may read of the target: histories of its users, as far as the source model knows the items."""

import numpy as np
import pandas as pd
import pytest

from pipeline.config import Scenario, TrainSettings
from pipeline.errors import CrossliftError
from pipeline.models.batches import InputRows
from pipeline.models.lanes import ItemLearner, copy_shared_items, place_by_takers, shared_items
from pipeline.models.network import Network
from pipeline.rows.interactions.prepared import DomainData, Domains
from pipeline.scenarios import load_scenario
from pipeline.views import PAST, item_columns, taken_elsewhere


def domain(name: str, pairs: list[str]) -> DomainData:
    """Training rows written as `user item`."""
    rows = pd.DataFrame([pair.split() for pair in pairs], columns=["user_id", "item_id"]).assign(part=0)
    return DomainData.build(name, rows, None, 1.0)


def scenario(bridge: str) -> Scenario:
    value = load_scenario("demo").model_dump(mode="json")
    value |= {"sources": ["far"], "target": "near", "bridges": [bridge]}
    value["strategies"] = [{"tune": {"kind": "scratch"}}]
    return Scenario.model_validate(value)


FAR = domain("far", ["a x", "a y", "b y", "b z"])
NEAR = domain("near", ["c y", "c q", "d q", "e z", "e y"])  # other users; y and z are the same things, q is not


def learner(given: Scenario, *sources: str) -> ItemLearner:
    return ItemLearner(TrainSettings.of(given, sources=sources or ("far",)))


def new_network(bridge: str, domains: Domains) -> Network:
    """Every item has a vector of its own."""
    views = domains.training()
    return learner(scenario(bridge), *(one.name for one in domains.sources))._network(views, frozenset(views))


def users_of(domains: Domains, rows: InputRows) -> list[str]:
    return [str(name) for name in domains.users.to_numpy()[rows.users.numpy()]]


def read(bridge: str, near: DomainData) -> dict[str, set[str]]:
    """Which items of the source each of the target's users is read by."""
    domains = Domains((FAR,), near)
    rows = learner(scenario(bridge)).adapt(domains.training())[1].inputs
    items = FAR.items["item_id"].to_numpy()
    table = rows.tables["far"]
    return {
        name: set(items[table.rows.places[table.rows.starts[user] : table.rows.starts[user + 1]].numpy()])
        for name, user in zip(users_of(domains, rows), rows.users.tolist(), strict=True)
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
    views = Domains((FAR,), NEAR).training()
    here, there = shared_items(views["near"], views["far"])
    assert NEAR.items["item_id"].to_numpy()[here].tolist() == ["y", "z"]
    assert np.array_equal(FAR.items["item_id"].to_numpy()[there], NEAR.items["item_id"].to_numpy()[here])


MORE = domain("more", ["a z", "f z", "f w"])
DOMAINS = Domains((FAR, MORE), NEAR)  # near: q y z; far: x y z; more: w z
CATALOGUES = {one.name: one.items for one in DOMAINS.all}


def test_an_item_has_one_column_whichever_domains_it_is_in():
    """The target's items come first, then all others once."""
    found = {name: columns.tolist() for name, columns in item_columns(CATALOGUES, "near").items()}
    assert found == {"near": [0, 1, 2], "far": [4, 1, 2], "more": [3, 2]}


def test_the_sources_count_the_target_s_items():
    """Training rows of all sources on the same item; an item that no source has was never taken."""
    views = DOMAINS.training()
    assert taken_elsewhere(views["near"].fields[PAST], CATALOGUES, "near").tolist() == [0, 2, 3]
    served = DOMAINS.as_served(("items",), target_labels=False)
    assert served.target.items["train_count"].tolist() == [0, 2, 3]
    assert DOMAINS.as_served(("items",), target_labels=True) is DOMAINS


def test_all_rows_are_there_as_before_thinning():
    """What thinning to nothing took away comes back, counts too."""
    pairs = pd.DataFrame([["c", "y"], ["c", "q"], ["d", "q"]], columns=["user_id", "item_id"]).assign(part=[0, 1, 2])
    bare = Domains((FAR,), DomainData.build("near", pairs, None, 0.0))
    assert bare.histories(("train", "valid"))["near"].nnz == 0
    assert bare.target.items["train_count"].tolist() == [0, 0]
    whole = bare.with_all_rows()
    assert whole.histories(("train", "valid"))["near"].nnz == 2
    assert whole.target.items["train_count"].tolist() == [1, 1]
    assert bare.held_out("test").rows.equals(whole.held_out("test").rows)


def test_zero_shot_has_no_vector_of_what_the_sources_do_not_know():
    """Shared items get the source's vectors, the first source's where several know them; the rest are blank."""
    model, views = new_network("items", DOMAINS), DOMAINS.training()
    tables = {name: model.items.own(name) for name in ("far", "more", "near")}
    before = tables["near"].weight.detach().clone()
    copy_shared_items(model, views, "near", blank=False)
    np.testing.assert_array_equal(tables["near"].weight[0].detach(), before[0])
    copy_shared_items(model, views, "near", blank=True)
    near, far = (tables[name].weight.detach().numpy() for name in ("near", "far"))
    np.testing.assert_array_equal(near, np.stack([np.zeros(near.shape[1]), far[1], far[2]]))


def test_target_items_start_at_their_takers():
    """The mean direction of the takers by their source history; who has none does not count, nor do other items."""
    near = domain("near", ["a y", "b y", "c y", "a q", "c z"])  # c is not known in the source
    domains = Domains((FAR,), near)
    network = new_network("users", domains)
    x, y, z = network.items.own("far").weight.detach().numpy()
    before = network.items.own("near").weight.detach().numpy().copy()
    place_by_takers(network, domains.training(), "near")
    a, b = ((one + other) / np.linalg.norm(one + other) for one, other in ((x, y), (y, z)))
    expected = np.stack([a, (a + b) / 2, before[2]])
    np.testing.assert_allclose(network.items.own("near").weight.detach().numpy(), expected, atol=1e-6)


def test_a_target_without_labels_lends_its_users():
    """Who is a customer may be known, what they took not: they are read by their history in the source alone."""
    value = scenario("users").model_dump(mode="json") | {"target_labels": False, "bridges": ["users", "item_features"]}
    value |= {"strategies": [{"tune": {"kind": "direct"}}], "baselines": []}
    pairs = pd.DataFrame([["a", "q"], ["b", "q"], ["g", "q"]], columns=["user_id", "item_id"]).assign(part=[0, 2, 0])
    domains = Domains((FAR,), DomainData.build("near", pairs, None, 0.0))
    rows = learner(Scenario.model_validate(value)).adapt(domains.training(("far",)))[1].inputs
    assert users_of(domains, rows) == ["a"]  # b is met in the test alone, g nowhere else
