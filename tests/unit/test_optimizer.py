"""Our Adagrad beside PyTorch's: the same numbers, for tables with sparse gradients and for plain weights."""

import copy

import pytest
import torch
from torch import nn

from pipeline.models.optimizer import RowAdagrad


class Toy(nn.Module):
    """A table that is looked up twice, with repeats, and a plain layer."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.table = nn.Embedding(50, 8, sparse=True)
        self.layer = nn.Linear(8, 1)
        self.idle = nn.Parameter(torch.ones(3))

    def forward(self, rows):
        return (self.layer(self.table(rows) * self.table(rows.flip(0)))).square().mean()


def trained(optimizer: type[torch.optim.Optimizer], steps: int, state=None) -> tuple[Toy, torch.optim.Optimizer]:
    model = Toy()
    made = optimizer(model.parameters(), lr=0.1)
    if state is not None:
        model.load_state_dict(state[0])
        made.load_state_dict(state[1])
    generator = torch.Generator().manual_seed(2 + (state is not None))
    for _ in range(steps):
        made.zero_grad()
        model(torch.randint(0, 30, (40,), generator=generator)).backward()
        made.step()
    return model, made


@pytest.mark.filterwarnings("ignore:Sparse invariant checks")
def test_the_numbers_are_those_of_torch(monkeypatch):
    """After ten steps in several blocks of rows all weights are equal; rows that no batch named did not move."""
    monkeypatch.setattr("pipeline.models.optimizer._BLOCK", 7)
    (ours, _), (theirs, _) = trained(RowAdagrad, 10), trained(torch.optim.Adagrad, 10)
    for (name, own), other in zip(ours.named_parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(own, other, rtol=1e-5, atol=1e-6, msg=name)
    assert torch.equal(ours.table.weight[30:], Toy().table.weight[30:])
    assert not torch.equal(ours.table.weight[:30], Toy().table.weight[:30])


def test_a_saved_state_goes_on():
    """Steps after loading weights and state are those of a run that was never stopped."""
    model, optimizer = trained(RowAdagrad, 5)
    kept = copy.deepcopy((model.state_dict(), optimizer.state_dict()))
    again = trained(RowAdagrad, 5, kept)[0]
    generator = torch.Generator().manual_seed(3)
    for _ in range(5):
        optimizer.zero_grad()
        model(torch.randint(0, 30, (40,), generator=generator)).backward()
        optimizer.step()
    assert torch.equal(model.table.weight, again.table.weight)
    assert torch.equal(model.layer.weight, again.layer.weight)


def test_a_closure_is_asked_for_the_loss():
    """As Lightning calls it: gradients are made inside, and the loss comes back."""
    model = Toy()
    optimizer = RowAdagrad(model.parameters(), lr=0.1)
    before = model.layer.weight.clone()

    def closure():
        optimizer.zero_grad()
        loss = model(torch.arange(10))
        loss.backward()
        return loss

    assert optimizer.step(closure).item() > 0
    assert not torch.equal(before, model.layer.weight)
