"""EfficientNet-Lite0 (Tan and Le, 2019; without squeeze-and-excitation, with ReLU6), frozen.

Shapes: B pictures, H x W pixels or places, C channels.

Each normalisation stands behind a convolution, and of a frozen network it is a scale and a shift of each channel: both
are folded into the convolution's weights,

    gamma (w x - mean) / s + beta = (gamma / s) w x + beta - gamma mean / s,    s = sqrt(variance + eps).
"""

from collections.abc import Iterator, Mapping
from typing import Self

from torch import Tensor, nn
from torch.nn import functional

SIDE = 224  # pixels that it has learnt from
DIM = 1280
_EPS = 1e-3
# of each stage: how many blocks, the stride of the first, channels; all else is told by the weights
_STAGES = ((1, 1, 16), (2, 2, 24), (2, 2, 40), (3, 2, 80), (3, 1, 112), (4, 2, 192), (1, 1, 320))
_STEM = 32


class _Conv(nn.Conv2d):
    """A convolution with a normalisation folded into it, and as many zeros around as TensorFlow's SAME puts there."""

    @classmethod
    def of(cls, weights: Mapping[str, Tensor], name: str, normal: str, stride: int = 1) -> Self:
        """Read the convolution `name` and the normalisation behind it."""
        weight = weights[f"{name}.weight"]
        wide, inner, side, _ = weight.shape
        apart = wide if inner == 1 else 1  # each channel by itself
        made = cls(inner * apart, wide, side, stride, padding=(side - 1) // 2 if stride == 1 else 0, groups=apart)
        scale = weights[f"{normal}.weight"] / (weights[f"{normal}.running_var"] + _EPS).sqrt()
        shift = weights[f"{normal}.bias"] - scale * weights[f"{normal}.running_mean"]
        made.load_state_dict({"weight": weight * scale[:, None, None, None], "bias": shift})
        return made

    def forward(self, seen_BCHW: Tensor) -> Tensor:
        """As wide and high as before, over the stride."""
        if self.stride != (1, 1):
            seen_BCHW = functional.pad(seen_BCHW, [*self._around(3, seen_BCHW), *self._around(2, seen_BCHW)])
        return super().forward(seen_BCHW)

    def _around(self, axis: int, seen_BCHW: Tensor) -> tuple[int, int]:
        size, side, stride = seen_BCHW.shape[axis], self.kernel_size[0], self.stride[0]
        lacking = max((-(-size // stride) - 1) * stride + side - size, 0)
        return lacking // 2, lacking - lacking // 2


class _Block(nn.Module):
    """An inverted bottleneck: wider, each channel by itself, narrow again; beside it what came, where both fit."""

    def __init__(self, weights: Mapping[str, Tensor], name: str, stride: int, beside: bool) -> None:
        super().__init__()
        widens = f"{name}._expand_conv.weight" in weights
        self.wider = _Conv.of(weights, f"{name}._expand_conv", f"{name}._bn0") if widens else None
        self.apart = _Conv.of(weights, f"{name}._depthwise_conv", f"{name}._bn1", stride)
        self.narrower = _Conv.of(weights, f"{name}._project_conv", f"{name}._bn2")
        self.beside = beside

    def forward(self, seen_BCHW: Tensor) -> Tensor:
        wide = seen_BCHW if self.wider is None else functional.relu6(self.wider(seen_BCHW))
        found: Tensor = self.narrower(functional.relu6(self.apart(wide)))
        return found + seen_BCHW if self.beside else found


class EfficientNetLite0(nn.Module):
    """The network up to the mean over all places, before the classes of ImageNet."""

    def __init__(self, weights: Mapping[str, Tensor]) -> None:
        """`weights`: as the package efficientnet-lite-pytorch names them.

        Raises:
            KeyError, RuntimeError: one is missing or of another shape.
        """
        super().__init__()
        self.stem = _Conv.of(weights, "_conv_stem", "_bn0", stride=2)
        self.blocks = nn.Sequential(*_blocks(weights))
        self.head = _Conv.of(weights, "_conv_head", "_bn1")
        if self.head.out_channels != DIM:
            raise RuntimeError(f"expected {DIM} channels at its end, got {self.head.out_channels}")
        self.requires_grad_(False)
        self.eval()

    def forward(self, pixels_BCHW: Tensor) -> Tensor:
        """[B, 1280] of pixels between -1 and 1."""
        seen = functional.relu6(self.stem(pixels_BCHW))
        return functional.relu6(self.head(self.blocks(seen))).mean(dim=(2, 3))


def _blocks(weights: Mapping[str, Tensor]) -> Iterator[_Block]:
    before, place = _STEM, 0
    for times, stride, channels in _STAGES:
        for turn in range(times):
            own = stride if turn == 0 else 1
            yield _Block(weights, f"_blocks.{place}", own, beside=own == 1 and before == channels)
            before, place = channels, place + 1
