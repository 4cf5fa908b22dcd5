"""The form that the organisers receive: raw RGB in, the contract's relative depth out, everything else inside."""

from __future__ import annotations

from torch import Tensor, nn

from ..train.raw_rgb import RawRgb, to_contract


class WrappedModel(nn.Module):
    """forward: (1, 3, 480, 640) float32 RGB, 0 to 255 -> (1, 1, 480, 640) float32 relative depth in [0, 1].

    Inside: resize to the network's working size (nothing where it is the image's own), (x - mean) / std, the network,
    resize back, clamp. `network` maps normalised RGB to depth up to one scale, near to far.
    """

    def __init__(self, network: nn.Module, working_size: tuple[int, int]) -> None:
        super().__init__()
        self.model = RawRgb(network, working_size)

    def forward(self, image: Tensor) -> Tensor:
        return to_contract(self.model(image))
