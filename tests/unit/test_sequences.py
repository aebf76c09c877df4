"""Sequences: what comes before what, and what a causal encoder makes of it."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from scipy import sparse
from torch.nn import functional

from pipeline.config import SequenceModel
from pipeline.models.batches import Sampling
from pipeline.models.encoders.sequence import EVENTS, SequenceEncoder, gap_codes
from pipeline.models.events import Events, EventTable
from pipeline.models.items import Catalogue, ItemSpace
from pipeline.models.sequence_batches import SequenceRows
from pipeline.past import Past
from tests.views import labelled_view

ITEMS, DIM, LENGTH = 9, 8, 6
NAMES = ("far", "near")
MODEL = SequenceModel(kind="sequence", dim=DIM, heads=2, blocks=2, length=LENGTH)


def encoder() -> SequenceEncoder:
    """A small one whose every weight says something."""
    torch.manual_seed(0)
    space = ItemSpace(DIM, 16, {name: Catalogue(np.ones(ITEMS)) for name in NAMES})
    made = SequenceEncoder(MODEL, space.vectors, NAMES)
    for parameter in made.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    for codes in (made.since, made.until, made.kinds):
        codes.weight.data[0] = 0  # which no training moves
    made.space = space  # kept alive, and known to the test
    return made.eval()


ENCODER = encoder()


def past(*sequences: list[tuple[str, int]], times: list[list[float]] | None = None) -> Past:
    """The past of users, each a list of (domain, item)."""
    taken = {name: sparse.lil_matrix((len(sequences), ITEMS), dtype=np.float32) for name in NAMES}
    when = {name: sparse.lil_matrix((len(sequences), ITEMS)) for name in NAMES}
    for user, events in enumerate(sequences):
        for place, (name, item) in enumerate(events):
            taken[name][user, item] = 1
            when[name][user, item] = times[user][place] if times else 1 + place
    return Past(*({name: sparse.csr_matrix(one) for name, one in part.items()} for part in (taken, when)))


def dated(times: list[float], kinds: list[int], asked: float) -> Past:
    """The past of who did what `ONE` says, at these seconds, of kinds by their codes, and is asked for then."""
    whole = past(ONE, times=[times])
    of = {name: sparse.lil_matrix((1, ITEMS)) for name in NAMES}
    for (name, item), kind in zip(ONE, kinds, strict=True):
        of[name][0, item] = 1 + kind
    kinds_of = {name: sparse.csr_matrix(one) for name, one in of.items()}
    return Past(whole.taken, whole.when, kinds_of, timed=True, asked=np.array([asked]))


def features(whole: Past, model: SequenceEncoder = ENCODER) -> torch.Tensor:
    with torch.no_grad():
        return model.encode(model.read(whole))


def each_feature(events: Events) -> torch.Tensor:
    """A feature after every event of some sequences."""
    with torch.no_grad():
        every = torch.arange(len(events.items))
        return ENCODER.encode({EVENTS: events.asking(every, torch.full((len(every),), torch.nan))})


def by_the_formula(
    events: list[tuple[str, int]], told: list[tuple[int, int]] | None = None, until: int = 0
) -> torch.Tensor:
    """The features after each event of one sequence, one query after the other, as the module's docstring says.

    `told` are codes of the gap before and of the kind of each event, `until` that of the gap after each.
    """
    hidden = []
    for place, (name, item) in enumerate(events):
        vector = ENCODER.space.vectors(name, torch.tensor([item]))[0]
        scaled = vector / vector.norm() * math.sqrt(DIM)
        since, kind = told[place] if told else (0, 0)
        codes = ENCODER.since.weight[since] + ENCODER.kinds.weight[kind]
        hidden.append(scaled + ENCODER.positions.weight[place] + ENCODER.domains[name] + codes)
    rows = torch.stack(hidden)
    for block in ENCODER.blocks:
        query, key, value = block.asks(block.before_attention(rows)).chunk(3, dim=1)
        heard = torch.zeros_like(rows)
        for head in torch.arange(DIM).chunk(MODEL.heads):
            for place in range(len(events)):
                scores = key[: place + 1, head] @ query[place, head] / math.sqrt(len(head))
                heard[place, head] = scores.softmax(0) @ value[: place + 1, head]
        rows = rows + block.says(heard)
        rows = rows + block.layers(block.before_layers(rows))
    said = functional.layer_norm(rows, (DIM,), ENCODER.norm.weight, ENCODER.norm.bias)
    return functional.normalize(said + ENCODER.until.weight[until], dim=1) * math.sqrt(DIM)


ONE = [("far", 3), ("near", 1), ("near", 4), ("far", 0), ("near", 7)]
OTHERS = [[("near", 2)], [], [("near", 8), ("far", 5)], [("far", 1), ("far", 2), ("near", 3)]]


def test_features_are_those_of_the_formula():
    """Packed with others of several lengths, one of them empty, each sequence says what it would alone."""
    found = features(past(ONE, *OTHERS))
    for place, events in enumerate([ONE, *OTHERS]):
        expected = by_the_formula(events)[-1] if events else torch.zeros(DIM)
        torch.testing.assert_close(found[place], expected.detach(), atol=1e-5, rtol=1e-4)


def test_gaps_and_kinds_are_those_of_the_formula():
    """An hour is the twelfth power of two of seconds; what has no time has no gap, and neither has what follows it."""
    said = features(dated([1, 5000, 5000, 8600, 8601], [0, 7, 0, 9, 9], asked=8604))
    expected = by_the_formula(ONE, [(0, 0), (0, 7), (1, 0), (12, 9), (2, 9)], until=3)[-1]
    torch.testing.assert_close(said[0], expected.detach(), atol=1e-5, rtol=1e-4)
    unasked = features(dated([1, 5000, 5000, 8600, 8601], [0, 7, 0, 9, 9], asked=math.nan))
    assert not torch.allclose(unasked, said)


@given(seconds=st.lists(st.floats(-10, 1e12), min_size=1))
def test_codes_of_gaps_are_powers_of_two(seconds):
    """As NumPy has it; not known is 0, a negative gap is none."""
    expected = np.minimum(31, np.floor(1 + np.log2(1 + np.maximum(seconds, 0)))).astype(int)
    assert gap_codes(torch.tensor([*seconds, math.nan], dtype=torch.float64)).tolist() == [*expected, 0]


def test_settings_leave_gaps_and_kinds_out():
    """Without them the same past says what it says without times and kinds."""
    bare = SequenceEncoder(MODEL.model_copy(update={"gaps": False, "kinds": False}), ENCODER.vectors, NAMES).eval()
    bare.load_state_dict({name: one for name, one in ENCODER.state_dict().items() if name in bare.state_dict()})
    whole = dated([1, 5000, 5000, 8600, 8601], [0, 7, 0, 9, 9], asked=8604)
    torch.testing.assert_close(features(whole, bare), features(past(ONE)), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("wide", [None, 1, 3])
def test_a_block_is_as_wide_as_its_setting(wide):
    """Two layers of D x wD weights and their biases, beside attention and two norms; four times by default."""
    model = MODEL if wide is None else MODEL.model_copy(update={"feedforward": wide})
    block = SequenceEncoder(model, ENCODER.vectors, NAMES).blocks[0]
    width = DIM * (wide or 4)
    expected = 4 * (DIM**2 + DIM) + (2 * DIM * width + width + DIM) + 2 * 2 * DIM
    assert sum(one.numel() for one in block.parameters()) == expected


def test_rows_without_times_and_kinds_train_as_without_the_settings():
    """Bit for bit: the same weights are drawn, the same events left out, and each weight moves alike."""
    moved = []
    for told in (True, False):
        torch.manual_seed(0)
        space = ItemSpace(DIM, 16, {name: Catalogue(np.ones(ITEMS)) for name in NAMES})
        settings = MODEL.model_copy(update={"gaps": told, "kinds": told})
        model = SequenceEncoder(settings, space.vectors, NAMES).train()
        said = model.encode(model.read(past(ONE, *OTHERS)))
        (said * torch.linspace(-1, 1, said.numel()).view_as(said)).sum().backward()
        moved.append({name: one.grad for name, one in model.named_parameters()})
    assert all(torch.equal(moved[0][name], grad) for name, grad in moved[1].items())
    assert all(not moved[0][name].any() for name in moved[0].keys() - moved[1].keys())


def test_codes_are_left_out_at_times_in_training():
    """So that a request that tells no time and no kind is nothing new; code 0 learns nothing."""
    model = encoder().train()
    codes = torch.ones(10_000, dtype=torch.int64)
    assert 800 < int((model._told(codes) == 0).sum()) < 1200
    model.combine(
        model.read(dated([1, 5000, 5000, 8600, 8601], [0, 7, 0, 9, 9], asked=math.nan))
    ).square().sum().backward()
    assert all(float(table.weight.grad[0].abs().sum()) == 0 for table in (model.since, model.until, model.kinds))


def test_training_asks_at_the_time_of_what_is_predicted():
    """Each event is predicted as if its user had come at its time."""
    whole = dated([1, 5000, 5000, 8600, 8601], [0] * 5, asked=math.nan)
    of = SequenceRows(labelled_view("near", whole), "target", NAMES, Sampling(4, 5, 0.0, 0), LENGTH)
    side = of.batch(0, 0)
    told = dict(zip(side.labels.positives.tolist(), side.inputs[EVENTS].until().tolist(), strict=True))
    assert told[7] == 1
    assert told[4] == 0
    assert math.isnan(told[1])  # what came before it has no time


@given(seed=st.integers(0, 10_000))
@settings(max_examples=25)
def test_nothing_later_is_heard(seed):
    """Whatever comes after an event and whenever, what the encoder says of it and of those before it stays the same."""
    random = np.random.default_rng(seed)
    lengths = random.integers(1, LENGTH + 1, 5)
    starts = torch.tensor(np.concatenate([[0], lengths.cumsum()]))
    domains, items = (torch.tensor(random.integers(0, most, lengths.sum())) for most in (2, ITEMS))
    times = torch.tensor(random.integers(1, 10**9, lengths.sum()).astype(float))
    kinds = torch.tensor(random.integers(0, 9, lengths.sum()))
    nothing = torch.empty(0, dtype=torch.int64), torch.empty(0, dtype=torch.float64)
    before = each_feature(Events(NAMES, domains, items, times, kinds, starts, *nothing))
    changed, times, kinds = int(random.integers(len(items))), times.clone(), kinds.clone()
    items[changed], domains[changed] = (items[changed] + 1) % ITEMS, 1 - domains[changed]
    times[changed], kinds[changed] = times[changed] / 3, kinds[changed] + 1
    after = each_feature(Events(NAMES, domains, items, times, kinds, starts, *nothing))
    owner = np.searchsorted(starts.numpy(), np.arange(len(items)), side="right") - 1
    untouched = (np.arange(len(items)) < changed) | (owner != owner[changed])
    torch.testing.assert_close(after[untouched], before[untouched], atol=1e-5, rtol=1e-4)
    assert not torch.allclose(after[changed], before[changed])


def test_order_matters():
    """The same events the other way round say something else, and without an order they stand by domain and place."""
    forth, back = features(past(ONE)), features(past(ONE[::-1]))
    assert not torch.allclose(forth, back)
    bare = Past(past(ONE).taken)
    as_they_stand = sorted(ONE, key=lambda event: (NAMES.index(event[0]), event[1]))
    torch.testing.assert_close(features(bare), features(past(as_they_stand)))


def test_ties_stand_by_domain_and_place():
    """Two events in one instant: the first domain first, then the smaller place; gaps between positions say nothing."""
    line = past(ONE, times=[[5, 5, 5, 1, 900]]).in_order(NAMES)
    assert list(zip(line.domains.tolist(), line.items.tolist(), strict=True)) == [
        (0, 0), (0, 3), (1, 1), (1, 4), (1, 7)]  # fmt: skip
    spread = past(ONE, times=[[1, 2, 4000, 4001, 1e12]])
    assert torch.equal(features(spread), features(past(ONE)))


def test_only_the_last_events_are_read():
    """Of a history of 100,000 events as many as the model reads, so that it costs no more than a short one."""
    many = 100_000
    space = ItemSpace(DIM, 16, {"near": Catalogue(np.ones(many))})
    model = SequenceEncoder(MODEL, space.vectors, ["near"]).eval()
    order = np.random.default_rng(0).permutation(many)
    taken = sparse.csr_matrix(np.ones((1, many), np.float32))
    whole = Past({"near": taken}, {"near": sparse.csr_matrix(1.0 + order[None, :])})
    read = model.read(whole)[EVENTS]
    assert order[read.items.numpy()].tolist() == list(range(many - LENGTH, many))
    assert torch.isfinite(features(whole, model)).all()


def test_who_did_nothing_that_is_known_says_nothing():
    """A user without events, or with events of a domain alone that the model does not know, has a feature of zero."""
    moon = past([("near", 2)])
    only_unknown = Past({"moon": moon.taken["near"]}, {"moon": moon.when["near"]})
    assert features(only_unknown).tolist() == [[0.0] * DIM]
    one = features(past([("near", 2)], []))
    assert one[0].abs().sum() > 0
    assert one[1].abs().sum() == 0


def rows(*sequences: list[tuple[str, int]], length: int = LENGTH, batch: int = 4) -> SequenceRows:
    view = labelled_view("near", past(*sequences))
    return SequenceRows(view, "target", NAMES, Sampling(batch, 5, 0.0, 0), length)


def predictions(of: SequenceRows, epoch: int = 0) -> list[tuple[tuple[tuple[str, int], ...], int]]:
    """What is predicted in an epoch, each with all that the model is shown of before."""
    found = []
    for step in range(of.steps):
        side = of.batch(epoch, step)
        events, positives = side.inputs[EVENTS], side.labels.positives.tolist()
        pairs = [(NAMES[d], i) for d, i in zip(events.domains.tolist(), events.items.tolist(), strict=True)]
        for asked, positive in zip(events.asked.tolist(), positives, strict=True):
            start = max(one for one in events.starts.tolist() if one <= asked)
            found.append((tuple(pairs[start : asked + 1]), positive))
    return sorted(found)


def test_every_event_is_predicted_from_what_came_before_it():
    """Each event of the target once, but for what nothing came before; other epochs cut other batches of the same."""
    of = rows(ONE, *OTHERS)
    expected = sorted(
        (tuple(events[:place]), item)
        for events in (ONE, *OTHERS)
        for place, (name, item) in enumerate(events)
        if name == "near" and place
    )
    assert of.steps == 1
    assert predictions(of) == expected
    assert predictions(of, 3) == expected


def test_long_sequences_are_cut_into_pieces():
    """What is longer than the model reads is read piece by piece; the first event of a piece has nothing before it."""
    events = [("near", item) for item in range(8)]
    assert predictions(rows(events, length=3)) == [
        ((("near", 0),), 1), ((("near", 0), ("near", 1)), 2),
        ((("near", 3),), 4), ((("near", 3), ("near", 4)), 5), ((("near", 6),), 7),
    ]  # fmt: skip


@given(seed=st.integers(0, 1000), batch=st.integers(1, 30))
@settings(max_examples=25)
def test_no_batch_is_empty_and_none_repeats(seed, batch):
    """However sequences fall into batches, each batch holds something, and an epoch everything once."""
    random = np.random.default_rng(seed)
    sequences = [
        [(NAMES[int(random.integers(2))], int(item)) for item in random.permutation(ITEMS)[: random.integers(0, 7)]]
        for _ in range(12)
    ]
    of = rows(*sequences, batch=batch)
    counts = [len(of.batch(seed, step).labels.positives) for step in range(of.steps)]
    assert sum(counts) == int(of.counts.sum())
    assert not of.counts.sum() or min(counts) > 0


def test_heads_have_to_divide_the_features():
    """A width that cannot be split is refused when the scenario is read."""
    with pytest.raises(ValidationError, match="expected `dim` to be a multiple of `heads`, got 10 and 4"):
        SequenceModel(kind="sequence", dim=10, heads=4)


def test_weights_of_events_are_those_of_their_rows():
    """What counts double counts double in the loss, of mean one over what is predicted."""
    whole = past([("near", 0), ("near", 1), ("near", 2)])
    whole.taken["near"].data[:] = [1, 2, 4]
    side = SequenceRows(labelled_view("near", whole), "target", NAMES, Sampling(4, 5, 0.0, 0), LENGTH).batch(0, 0)
    assert side.weights_B.tolist() == pytest.approx([2 / 3, 4 / 3])
    assert EventTable.of(whole, NAMES).weights.tolist() == [1, 2, 4]


def test_hidden_events_are_predicted_and_not_read():
    """With most events left out each is still predicted, from those before it that are shown; the first always is."""
    events = [("near", item) for item in range(6)]
    of = SequenceRows(labelled_view("near", past(events)), "target", NAMES, Sampling(4, 5, 0.7, 0), LENGTH)
    shown = set()
    for epoch in range(9):
        told = predictions(of, epoch)
        assert sorted(item for _, item in told) == [1, 2, 3, 4, 5]
        assert all(before[0] == ("near", 0) for before, _ in told)
        assert all(item > max(place for _, place in before) for before, item in told)
        shown |= {before for before, _ in told}
    assert len(shown) > 5
