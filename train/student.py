"""The student: MobileNetV3-Small encoder, depthwise-separable decoder, about 1 M parameters.

Encoder: Howard et al. 2019 (arXiv 1905.02244), torchvision's `mobilenet_v3_small().features`. Decoder: depthwise-
separable blocks with skips by addition, after FastDepth (Wofk et al. 2019, arXiv 1903.03273).
"""

from __future__ import annotations

from collections.abc import Sequence

from huggingface_hub import PyTorchModelHubMixin
from torch import Tensor, nn
from torchvision.models import mobilenet_v3_small

from ..contract import CURRENT as CONTRACT
from ..errors import InputError

STRIDE = 32
# Encoder blocks that the decoder reads, with their channels and strides: {index: channels}.
SKIP_8, SKIP_16, TAIL_NARROW, TAIL_WIDE = (3, 24), (8, 48), (11, 96), (12, 576)
DECODER_WIDTHS = (64, 48, 32)


class SeparableBlock(nn.Sequential):
    """Depthwise 3x3 and pointwise 1x1 convolution, each with BatchNorm and ReLU6, then bilinear x2."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__(
            nn.Conv2d(channels_in, channels_in, 3, padding=1, groups=channels_in, bias=False),
            nn.BatchNorm2d(channels_in),
            nn.ReLU6(inplace=True),
            nn.Conv2d(channels_in, channels_out, 1, bias=False),
            nn.BatchNorm2d(channels_out),
            nn.ReLU6(inplace=True),
            nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False),
        )


class Student(
    nn.Module,
    PyTorchModelHubMixin,
    library_name="lpcv",
    license="apache-2.0",
    pipeline_tag="depth-estimation",
    tags=["depth-estimation", "lpcvc"],
):
    """forward: (B, 3, h, w) float32, ImageNet-normalised RGB -> (B, 1, h/4, w/4) float32 relative depth in [0, 1].

    The map stays at a quarter of the size: whoever needs another resizes it once (bilinear, half-pixel centres).

    Relative depth is `depth_m / max_depth_m`: linear in metres and zero at the camera.

    working_size: (width, height) in pixels, multiples of 32; max_depth_m: metres at an output of 1.
    Raises InputError for a size that is no multiple of 32.
    """

    def __init__(self, working_size: Sequence[int] = CONTRACT.image_size, max_depth_m: float = 10.0) -> None:
        super().__init__()
        width, height = working_size
        if width % STRIDE or height % STRIDE:
            raise InputError(
                f"The student's working size {width}x{height} is no multiple of {STRIDE}.",
                "Use 640x480, 384x288 or 256x192: they keep the camera's 4:3.",
            )
        self.working_size = (width, height)
        self.max_depth_m = max_depth_m
        self.encoder = mobilenet_v3_small(weights=None).features
        top, middle, bottom = DECODER_WIDTHS
        self.tail_wide = nn.Conv2d(TAIL_WIDE[1], top, 1)
        self.tail_narrow = nn.Conv2d(TAIL_NARROW[1], top, 1)
        self.up_16 = SeparableBlock(top, top)
        self.skip_16 = nn.Conv2d(SKIP_16[1], top, 1)
        self.up_8 = SeparableBlock(top, middle)
        self.skip_8 = nn.Conv2d(SKIP_8[1], middle, 1)
        self.up_4 = SeparableBlock(middle, bottom)
        self.head = nn.Conv2d(bottom, 1, 3, padding=1)

    def forward(self, image: Tensor) -> Tensor:
        features: dict[int, Tensor] = {}
        for index, block in enumerate(self.encoder):
            image = block(image)
            features[index] = image
        decoded = self.tail_wide(features[TAIL_WIDE[0]]) + self.tail_narrow(features[TAIL_NARROW[0]])
        decoded = self.up_16(decoded) + self.skip_16(features[SKIP_16[0]])
        decoded = self.up_8(decoded) + self.skip_8(features[SKIP_8[0]])
        return self.head(self.up_4(decoded)).sigmoid()
