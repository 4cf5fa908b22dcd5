"""The compiler's own offline estimate of a latency, scaled to a phone. It is estimated: nothing was run or measured.

For automotive chips the HTP compiler tells what it expects a graph to take; for phones it tells nothing. Networks whose
latency AI Hub has published give the factor between the two, and how far such an estimate is off.
"""

from __future__ import annotations

import csv
import json
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from ...console import count
from ...errors import InputError
from .child import PROFILE
from .compiler import DEFAULT_LIMITS, options_for, order_for, refusal
from .door import PACKAGE, demand_available, versions
from .graph import load
from .outcome import Limits, Refused, Stopped
from .process import Child
from .target import Target, target_of

RECORD = Path(__file__).with_name("calibration.json")
MISSING_OPS = "Missing Ops (Number of Ops with no Costs associated)"
_ROWS = {
    "simulated_us": "Simulated (Accelerator exec time us)",
    "lower_us": "Simulated (Accelerator exec time us (lower estimate))",
    "upper_us": "Simulated (Accelerator exec time us (upper estimate))",
    "missing_ops": MISSING_OPS,
}


@dataclass(frozen=True)
class Calibration:
    """From networks whose latency is published for `device` and `runtime`: published ms = k x simulated ms.

    n: networks; median_ratio, p90_ratio: of the larger to the smaller of prediction and publication, each network
    predicted from the others alone; precision: what the networks were compiled to
    """

    device: str
    soc_model: int
    runtime: str
    precision: str
    n: int
    k: float
    median_ratio: float
    p90_ratio: float


@dataclass(frozen=True)
class Simulated:
    """What the compiler says for the automotive chip: microseconds, with its own lower and upper estimate.

    missing_ops: operations that it has no cost for, and left out
    """

    simulated_us: float
    lower_us: float
    upper_us: float
    missing_ops: float
    versions: dict[str, str]


@dataclass(frozen=True)
class Estimate:
    """An ESTIMATED latency. low_ms to high_ms: nine of ten published networks lay within such an interval.

    basis: a sentence with all that it rests on
    """

    ms: float
    low_ms: float
    high_ms: float
    basis: str


@dataclass(frozen=True)
class NoEstimate:
    """Why there is none, as a sentence."""

    sentence: str


@cache
def record() -> dict[str, Any]:
    """The package's table as it lies there, with its origin."""
    content: dict[str, Any] = json.loads(RECORD.read_text(encoding="utf-8"))
    return content


def calibration_of(target: Target, runtime: str, precision: str = "fp16") -> Calibration | None:
    """That of the same chip, whatever the phone is called."""
    rows = [Calibration(**row) for row in record()["calibrations"]]
    wanted = (target.soc_model, runtime, precision)
    return next((row for row in rows if (row.soc_model, row.runtime, row.precision) == wanted), None)


def estimate(
    model: Path | bytes, device: str, runtime: str, *, precision: str = "fp16", limits: Limits = DEFAULT_LIMITS
) -> Estimate | NoEstimate:
    """The estimated latency of one frame on a device with one of AI Hub's runtimes ("onnx", "tflite", "qnn_dlc").

    Raises MissingStepError where the compiler is not installed, UnknownNameError for an unknown device, InputError
    where the device has no recorded chip or `model` is no ONNX model.
    """
    target = target_of(device)
    calibration = calibration_of(target, runtime, precision)
    if calibration is None:
        devices, runtimes = (sorted({row[key] for row in record()["calibrations"]}) for key in ("device", "runtime"))
        return NoEstimate(
            f"No latency can be estimated for the {device} with {runtime} in {precision}: published latencies to "
            f"calibrate with are recorded for {' and '.join(devices)} with {', '.join(runtimes)}, in fp16."
        )
    simulated = simulate(model, limits)
    if not isinstance(simulated, Simulated):
        return NoEstimate(f"No latency can be estimated: {simulated.sentence}")
    return scaled(simulated, calibration)


def scaled(simulated: Simulated, calibration: Calibration) -> Estimate:
    """k x simulated time, within the ratio that nine of ten networks kept."""
    ms = calibration.k * simulated.simulated_us / 1000
    tool = simulated.versions.get("qairt", "unknown")
    basis = (
        f"estimated, not measured: {calibration.k:.3f} x {simulated.simulated_us / 1000:.3f} ms, which the HTP "
        f"compiler (QAIRT {tool}) simulates for soc_model {record()['soc_model']}; calibrated on {calibration.n} "
        f"networks published for the {calibration.device} with {calibration.runtime} ({calibration.precision}), half "
        f"of them within a factor of {calibration.median_ratio:.2f}, nine of ten within {calibration.p90_ratio:.2f}"
    )
    if missing := round(simulated.missing_ops):
        basis += f"; {count(missing, 'operation')} without a known cost {'is' if missing == 1 else 'are'} left out"
    if (mine := simulated.versions.get(PACKAGE)) != record()["onnxruntime_qnn"]:
        basis += f"; calibrated with {PACKAGE} {record()['onnxruntime_qnn']}, and this is {mine}"
    return Estimate(ms, ms / calibration.p90_ratio, ms * calibration.p90_ratio, basis)


def simulate(model: Path | bytes, limits: Limits = DEFAULT_LIMITS) -> Simulated | Refused | Stopped:
    """What the compiler expects of the automotive chip that the calibration rests on. Raises as estimate()."""
    demand_available()
    loaded = load(model)
    tools = versions()
    target = Target(record()["chip"], record()["soc_model"], "v81")
    with tempfile.TemporaryDirectory(prefix="lpcv-htp-") as folder:
        work = Path(folder)
        with Child(work, order_for("estimate", loaded, model, work, options_for(target)), limits) as child:
            answer = child.answer()
        if not isinstance(answer, dict):
            return answer
        if answer["refused"] is not None:
            return refusal(work, target, answer["refused"], tools)
        return Simulated(**_finalize_rows(work / PROFILE), versions=tools)


def _finalize_rows(profile: Path) -> dict[str, float]:
    """Raises InputError where this version of the compiler does not say what was expected."""
    with profile.open(newline="", encoding="utf-8") as stream:
        rows = {row["Event Identifier"]: row["Time"] for row in csv.DictReader(stream)}
    missing = [name for name in _ROWS.values() if name not in rows]
    if missing:
        raise InputError(
            f"The compiler's profile has no row '{missing[0]}'.", "Use the recorded version of onnxruntime-qnn, 2.7.0."
        )
    return {key: float(rows[name]) for key, name in _ROWS.items()}
