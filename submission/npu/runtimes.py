"""Which of AI Hub's runtimes a latency is estimated for."""

from __future__ import annotations

from ...contract import CURRENT as CONTRACT

RUNTIMES = (CONTRACT.target_runtime, "onnx", "qnn_dlc")
"""The contract's, or else another for which there is something to calibrate with."""
