"""What a sensitivity analysis scores: models in which one layer is treated otherwise than the rest."""

from __future__ import annotations

from ..precisions import Precision
from .calibration import Calibrated
from .layers import Layer
from .quantizer import assemble


def alone(calibrated: Calibrated, layer: Layer, precision: Precision) -> bytes:
    """The model with this layer quantized and all others in float: what the layer costs by itself."""
    return assemble(calibrated, precision, only=layer.nodes)


def kept_in_16_bits(calibrated: Calibrated, layer: Layer) -> bytes:
    """The w8a8 model in which what this layer gives stays in 16 bits up to its readers: what rounding it costs.

    `calibrated` comes from a graph prepared with `sixteen_bits=True`.
    """
    return assemble(calibrated, "w8a8", keep_16bit=layer.nodes)
