"""What a model can be computed in, by name: in a module that imports nothing heavy, so that a command can offer them.

float is ONNX Runtime's on the CPU, in float32, no NPU. The others run on the NPU: in half precision, or in integers
with 8-bit weights (w) and 16- or 8-bit activations (a).
"""

from __future__ import annotations

from typing import Literal

Precision = Literal["w8a8", "w8a16"]
INTEGERS: tuple[Precision, ...] = ("w8a8", "w8a16")
PRECISIONS = ("float", "fp16", "w8a16", "w8a8")  # the most exact first
