"""What is gathered for a batch, beside PyTorch's own ways."""

import pytest
import torch
from torch.nn import functional

from pipeline.models.gathering import Bags, distinct


@pytest.mark.parametrize("places", [[], [3], [5, 0, 5, 5, 2], [7] * 4], ids=str)
def test_distinct_is_unique(places):
    """The same two answers as those of `torch.unique`."""
    asked = torch.tensor(places, dtype=torch.int64)
    for found, wanted in zip(distinct(asked), torch.unique(asked, return_inverse=True), strict=True):
        assert torch.equal(found, wanted)


def test_bags_and_their_gradient_are_those_of_torch():
    """With empty bags, and rows of the table that no bag has; sums go in the same order, but for the last bit."""
    torch.manual_seed(0)
    lengths = torch.tensor([0, 4, 0, 9, 1, 30, 0])
    place, weights = torch.randint(0, 12, (int(lengths.sum()),)), torch.rand(int(lengths.sum()))
    offsets, owner = lengths.cumsum(0) - lengths, torch.repeat_interleave(torch.arange(len(lengths)), lengths)
    tables = [torch.randn(15, 8).requires_grad_() for _ in range(2)]
    tables[1].data.copy_(tables[0].data)
    found = Bags.apply(tables[0], place, weights, offsets, owner)
    wanted = functional.embedding_bag(place, tables[1], offsets, mode="sum", per_sample_weights=weights)
    assert torch.equal(found, wanted)
    weighing = torch.randn_like(found)
    for said in (found, wanted):
        (said * weighing).sum().backward()
    torch.testing.assert_close(tables[0].grad, tables[1].grad, rtol=1e-6, atol=1e-6)
    assert bool((tables[0].grad[12:] == 0).all())
