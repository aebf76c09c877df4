"""Adagrad whose step touches only the rows of a table that the batch touched."""

from collections.abc import Callable, Iterable
from typing import Any, overload

import torch
from torch import Tensor

_BLOCK = 512  # rows that are moved at a time


class RowAdagrad(torch.optim.Optimizer):
    """Adagrad (Duchi, Hazan and Singer, 2011), the same numbers as `torch.optim.Adagrad`.

    s <- s + g^2, x <- x - rate * g / (sqrt(s) + epsilon), one s a weight. For sparse gradients PyTorch's own reads and
    writes both tables through sparse tensors, which took a third of a training step on a CPU; here a row is looked up
    once and written once.
    """

    def __init__(self, params: Iterable[Tensor], lr: float, epsilon: float = 1e-10) -> None:
        super().__init__(params, {"lr": lr, "epsilon": epsilon})
        for group in self.param_groups:
            for param in group["params"]:
                self.state[param]["sum"] = torch.zeros_like(param)

    @overload
    def step(self, closure: None = None) -> None: ...
    @overload
    def step(self, closure: Callable[[], float]) -> float: ...
    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        """Move every weight that has a gradient; a closure is asked for the loss first."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for param in group["params"]:
                if param.grad is not None:
                    _move(param, param.grad, self.state[param], group["lr"], group["epsilon"])
        return loss


def _move(param: Tensor, gradient: Tensor, state: dict[str, Any], rate: float, epsilon: float) -> None:
    total: Tensor = state["sum"]
    if not gradient.is_sparse:
        total.addcmul_(gradient, gradient)
        param.addcdiv_(gradient, total.sqrt().add_(epsilon), value=-rate)
        return
    gradient = gradient.coalesce()
    for start in range(0, len(gradient.values()), _BLOCK):  # a block stays near the processor until it is done
        rows = gradient.indices()[0, start : start + _BLOCK]
        values = gradient.values()[start : start + _BLOCK]
        sums = total.index_select(0, rows).addcmul_(values, values)
        total.index_copy_(0, rows, sums)
        values.div_(sums.sqrt_().add_(epsilon))
        param.index_copy_(0, rows, param.index_select(0, rows).add_(values, alpha=-rate))


Make = Callable[[list[Any]], torch.optim.Optimizer]


class Pair(torch.optim.Optimizer):
    """Two optimizers that step together, each over its own weights; one without weights is left out."""

    def __init__(self, first: list[Any], make_first: Make, second: list[Any], make_second: Make) -> None:
        self.parts = [make(own) for own, make in ((first, make_first), (second, make_second)) if own]
        super().__init__([{"params": own} for own in (first, second) if own], {})

    @overload
    def step(self, closure: None = None) -> None: ...
    @overload
    def step(self, closure: Callable[[], float]) -> float: ...
    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        """Move every weight that has a gradient; a closure is asked for the loss first."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for part in self.parts:
            part.step()
        return loss

    def state_dict(self) -> dict[str, Any]:
        """What each of them remembers."""
        return {"parts": [part.state_dict() for part in self.parts]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from what each of them remembered."""
        for part, state in zip(self.parts, state_dict["parts"], strict=True):
            part.load_state_dict(state)
