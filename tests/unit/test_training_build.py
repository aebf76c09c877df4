"""What networks may read: histories of the target's users, and one vector for an item that domains share."""

import numpy as np
import pandas as pd
import pytest
import torch

from pipeline.config import Scenario, Strategy, TrainSettings
from pipeline.errors import CrossliftError
from pipeline.models.batches import InputRows, RankingRows, Sampling
from pipeline.models.item_network import ItemNetwork
from pipeline.models.lanes import ItemLearner, own_rows, place_by_takers
from pipeline.models.optimizer import RowAdagrad
from pipeline.models.sides import Outputs
from pipeline.rows.interactions.prepared import DomainData, Domains
from pipeline.scenarios import load_scenario
from pipeline.transfer.method import Frozen
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


def new_network(bridge: str, domains: Domains) -> ItemNetwork:
    """Every item has a vector of its own."""
    views = domains.training()
    return learner(scenario(bridge), *(one.name for one in domains.sources))._network(views, frozenset(views))


def users_of(domains: Domains, rows: InputRows) -> list[str]:
    return [str(name) for name in domains.users.to_numpy()[rows.users.numpy()]]


def read(bridge: str, near: DomainData) -> list[str]:
    """Which of the target's users an adaptation can read."""
    domains = Domains((FAR,), near)
    return users_of(domains, learner(scenario(bridge)).adapt(domains.training())[1].inputs)


def test_shared_items_are_read_where_items_are_the_bridge():
    """Without a common user the target's users are known by what both domains sell; `d` took nothing of it."""
    assert read("items", NEAR) == ["c", "e"]


def test_common_users_are_read_by_their_source_history():
    """Where users are the bridge, shared ids mean nothing."""
    assert read("users", domain("near", ["a y", "c y"])) == ["a"]


@pytest.mark.parametrize(("bridge", "pairs"), [("users", ["c y"]), ("items", ["c q"])])
def test_nothing_to_read_is_told(bridge, pairs):
    """The message names the target, the sources, the bridge and what to do."""
    with pytest.raises(CrossliftError, match=rf"no user of near's .* model of far can read.*`bridges` \({bridge}\)"):
        read(bridge, domain("near", pairs))


MORE = domain("more", ["a z", "f z", "f w"])
DOMAINS = Domains((FAR, MORE), NEAR)  # near: q y z; far: x y z; more: w z
CATALOGUES = {one.name: one.items for one in DOMAINS.all}
ALL = {name: np.ones(len(items), dtype=bool) for name, items in CATALOGUES.items()}


def test_an_item_has_one_column_whichever_domains_it_is_in():
    """The target's items come first, then all others once."""
    found = {name: columns.tolist() for name, columns in item_columns(CATALOGUES, "near").items()}
    assert found == {"near": [0, 1, 2], "far": [4, 1, 2], "more": [3, 2]}


def test_the_sources_count_the_target_s_items():
    """Training rows of all sources on the same item; an item that no source has was never taken."""
    views = DOMAINS.training()
    assert taken_elsewhere(views["near"].fields[PAST], CATALOGUES, "near").tolist() == [0, 2, 3]
    served = DOMAINS.as_served(("items",), target_labels=False, personal=())
    assert served.target.items["train_count"].tolist() == [0, 2, 3]
    assert DOMAINS.as_served(("items",), target_labels=True, personal=()) is DOMAINS


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


def test_one_id_is_one_own_vector():
    """Numbers go on where the domain before ended; without the bridge no two items have one in common."""
    ids = {name: pd.Index(items["item_id"]) for name, items in CATALOGUES.items()}  # far xyz, more wz, near qyz
    found = {name: rows.tolist() for name, rows in own_rows(ids, ALL, shared=True).items()}
    assert found == {"far": [0, 1, 2], "more": [3, 2], "near": [4, 1, 2]}
    apart = {name: rows.tolist() for name, rows in own_rows(ids, ALL, shared=False).items()}
    assert apart == {"far": [0, 1, 2], "more": [3, 4], "near": [5, 6, 7]}


@pytest.mark.parametrize(("shared", "expected"), [(True, [-1, 1, 2]), (False, [-1, -1, -1])])
def test_zero_shot_has_no_vector_of_what_the_sources_do_not_know(shared, expected):
    """What only the target sells is read by its words alone."""
    ids = {name: pd.Index(items["item_id"]) for name, items in CATALOGUES.items()}
    assert own_rows(ids, {name: ALL[name] for name in ("far", "more")}, shared=shared)["near"].tolist() == expected


def vector(network: ItemNetwork, name: str, item: str) -> torch.Tensor:
    place = CATALOGUES[name]["item_id"].tolist().index(item)
    return network.items.vectors(name, torch.tensor([place]))[0]


@pytest.mark.parametrize("bridge", ["items", "users"])
def test_a_shared_item_moves_by_rows_of_any_domain(bridge):
    """A step on rows of `more` moves z for `far` and `near` too, where items are the bridge, and else for itself."""
    network = new_network(bridge, DOMAINS)
    before = {name: vector(network, name, "z").detach().clone() for name in CATALOGUES}
    alone = vector(network, "near", "q").detach().clone()
    rows = RankingRows(DOMAINS.training()["more"], "source", ("more",), Sampling(8, 8, 0.0, 0))
    optimizer = RowAdagrad(network.parameters(), lr=0.1)
    side = rows.batch(0, 0)
    network.losses(Outputs(side, network.encode(side.inputs))).mean().backward()
    optimizer.step()
    after = {name: vector(network, name, "z").detach() for name in CATALOGUES}
    moved = {name for name in CATALOGUES if not torch.equal(before[name], after[name])}
    assert moved == ({"far", "more", "near"} if bridge == "items" else {"more"})
    assert len({tuple(one.tolist()) for one in after.values()}) == (1 if bridge == "items" else 3)
    assert torch.equal(vector(network, "near", "q"), alone)


def test_what_sources_learnt_is_what_the_target_reads():
    """The weights of sources alone fit a network that knows the target as well: nothing is copied from item to item."""
    of = learner(scenario("items"), "far", "more")
    taught, _ = of.pretrain({name: view for name, view in DOMAINS.training().items() if name != "near"})
    strategy = Strategy.model_validate({"tune": {"kind": "frozen"}})
    network, _ = of.tune(DOMAINS.training(), strategy)
    kept = vector(network, "near", "q").detach().clone()
    Frozen().initialise(network, taught.shared_state())
    for item, name in (("y", "far"), ("z", "far"), ("z", "more")):
        assert torch.equal(vector(network, "near", item), vector(taught, name, item))
    assert torch.equal(vector(network, "near", "q"), kept)
    trained = {name for name, one in network.named_parameters() if one.requires_grad}
    assert "items.domains.near.own.weight" in trained
    assert not {"items.domains.far.own.weight", "items.domains.more.own.weight"} & trained
    assert network.items.own("near").num_embeddings == 1  # q alone is the target's own


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
