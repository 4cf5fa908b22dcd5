"""Whether the zoo's models fit a phone's NPU, and the compiler's estimate of their latency, side by side.

Neither depends on the weights' values, so random ones do. ESTIMATED is not measured: what the teams published stands in
another column, from another device and another year's compiler.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...hub_folder import HubFolder
from ...hub_jobs.htp.compiler import compile_model
from ...hub_jobs.htp.estimate import Estimate, NoEstimate, estimate
from ...hub_jobs.htp.fit import findings
from ...hub_jobs.htp.outcome import Compiled, Limits, Outcome
from ...hub_jobs.htp.target import Target
from ...train.zoo.variants import RANDOM, Variant
from .build import STEPS as BUILDING
from .build import build

STEPS = BUILDING + 2


@dataclass(frozen=True)
class Estimated:
    """What Qualcomm's compiler says of a variant for one device, and what was published of it.

    outcome: of compiling it for the device; misfits: nodes that are in the way; told: None where it does not fit
    """

    variant: Variant
    outcome: Outcome
    misfits: tuple[str, ...]
    told: Estimate | NoEstimate | None

    @property
    def fits(self) -> bool:
        return isinstance(self.outcome, Compiled) and not self.misfits

    def as_json(self) -> dict[str, Any]:
        compiled = self.outcome if isinstance(self.outcome, Compiled) else None
        return {
            "name": self.variant.name,
            "fits": self.fits,
            "sentence": self.outcome.sentence,
            "misfits": list(self.misfits),
            "npu_operations": compiled and compiled.qnn_ops,
            "context_bytes": compiled and compiled.context_bytes,
            "spill_bytes": compiled and compiled.spill_bytes,
            "compiling_seconds": compiled and compiled.seconds,
            "compiling_peak_memory_mb": compiled and compiled.peak_memory_mb,
            "estimated_latency": dict(vars(self.told)) if isinstance(self.told, Estimate) else None,
            "estimated_latency_absent": self.told.sentence if isinstance(self.told, NoEstimate) else None,
            "published": dict(vars(self.variant.published)),
        }


def estimate_variant(
    variant: Variant, target: Target, runtime: str, limits: Limits, begin: Callable[[str], None]
) -> Estimated:
    """Build with random weights, compile for the device, estimate. begin: told of each of `STEPS`.

    Compiling is kept below the hub folder's htp/ and not done twice; its compiler has to be installed.
    """
    with tempfile.TemporaryDirectory(prefix="lpcv-zoo-") as folder:
        path = Path(folder) / f"{variant.name}.onnx"
        build(variant, RANDOM, path, begin)
        begin(f"compiling {variant.name} for the {target.device}")
        outcome = compile_model(path, target, HubFolder().htp / "compiled", limits)
        misfits = tuple(f"{one.node} ({one.op_type}): {one.reason}" for one in findings(path, outcome))
        begin(f"estimating the latency of {variant.name}")
        fits = isinstance(outcome, Compiled) and not misfits
        told = estimate(path, target.device, runtime, limits=limits) if fits else None
    return Estimated(variant, outcome, misfits, told)
