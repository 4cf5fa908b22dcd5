"""What a profile job measured, in milliseconds and megabytes, and whether it keeps the contract's budget.

The client hands out microseconds and bytes (qai_hub 0.56.0, client.py:98); they are converted here, once. What a
profile does not say is None, never zero. Numbers of a rehearsal are of this machine's CPU: they are shown as such, and
no verdict is drawn from them.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from ..console import result, table
from ..contract import CURRENT as CONTRACT
from ..errors import InputError

NPU, UNKNOWN_UNIT = "NPU", "UNSPECIFIED"  # as the client spells them
FALLBACKS_SHOWN = 10  # of the layers that left the NPU, the names that are printed
ANEW = "Type the command again: it is fetched anew."  # what says nothing is not kept
US_PER_MS, BYTES_PER_MB = 1e3, 1e6


@dataclass(frozen=True)
class Spread:
    """What repeated runs took, in milliseconds; p10 and p90 are interpolated linearly between runs."""

    count: int
    median: float
    p10: float
    p90: float
    least: float
    most: float

    @classmethod
    def of(cls, runs_ms: Sequence[float]) -> Spread:
        """runs_ms: at least one."""
        runs = list(runs_ms) * (2 if len(runs_ms) == 1 else 1)  # quantiles() wants two
        p10, *_, p90 = statistics.quantiles(runs, n=10, method="inclusive")
        return cls(len(runs_ms), statistics.median(runs_ms), p10, p90, min(runs_ms), max(runs_ms))


@dataclass(frozen=True)
class Layer:
    """One layer of the compiled model. compute_unit: "NPU", "GPU", "CPU" or "UNSPECIFIED"; time_ms, cycles: or None."""

    name: str
    type: str
    compute_unit: str
    time_ms: float | None
    cycles: int | None


@dataclass(frozen=True)
class Unit:
    """What one compute unit carries. time_ms, cycles: sums; None where a layer of it does not have one."""

    layers: int
    time_ms: float | None
    cycles: int | None


@dataclass(frozen=True)
class Profile:
    """A profile in milliseconds and MB (1e6 bytes); None is what the profile does not say.

    latency_ms: the field that the contract judges (`CONTRACT.latency_field`, in microseconds)
    iterations: the spread of every measured run, inference_ms; peak_memory_mb: (lower, upper) while running
    """

    latency_ms: float | None
    iterations: Spread | None
    first_load_ms: float | None
    warm_load_ms: float | None
    peak_memory_mb: tuple[float, float] | None
    layers: tuple[Layer, ...]

    @classmethod
    def of(cls, downloaded: Mapping[str, Any]) -> Profile:
        """From the dict of `InferenceJob.download_profile()`. Raises InputError where it is no such dict, or is empty.

        A time or memory of zero is what protobuf gives for a field that nobody filled: it is taken as unknown.
        """
        summary = downloaded.get("execution_summary") if isinstance(downloaded, Mapping) else None
        details = downloaded.get("execution_detail", []) if isinstance(downloaded, Mapping) else None
        if not isinstance(summary, Mapping) or not isinstance(details, Sequence):
            raise InputError(
                "This is no profile of AI Hub: it has no execution_summary.",
                ANEW,
            )
        runs_us = summary.get("all_inference_times")
        runs_ms = [_ms(run) for run in runs_us] if isinstance(runs_us, (list, tuple)) else []
        known_ms = [run for run in runs_ms if run is not None]
        return cls(
            latency_ms=_ms(_at(downloaded, CONTRACT.latency_field)),
            iterations=Spread.of(known_ms) if known_ms else None,
            first_load_ms=_ms(summary.get("first_load_time")),
            warm_load_ms=_ms(summary.get("warm_load_time")),
            peak_memory_mb=_peak_mb(summary),
            layers=tuple(_layer(detail) for detail in details),
        )

    @property
    def is_empty(self) -> bool:
        """Does it say nothing at all?"""
        return self == Profile(None, None, None, None, None, ())

    @property
    def units(self) -> dict[str, Unit]:
        """Compute unit -> its layers and their time, the NPU first, then by name."""
        carried: dict[str, list[Layer]] = {}
        for layer in self.layers:
            carried.setdefault(layer.compute_unit, []).append(layer)
        return {
            name: Unit(len(carried[name]), _all_ms(carried[name]), _all_cycles(carried[name]))
            for name in sorted(carried, key=lambda name: (name != NPU, name))
        }

    @property
    def fallbacks(self) -> tuple[str, ...]:
        """Names of the layers that run on the CPU or the GPU, in the model's order."""
        return tuple(layer.name for layer in self.layers if layer.compute_unit not in (NPU, UNKNOWN_UNIT))


@dataclass(frozen=True)
class Verdict:
    """Whether the latency keeps the budget; "none" where nothing can be said of a device. sentence: why."""

    state: Literal["pass", "fail", "none"]
    sentence: str
    rehearsal: bool = False


def verdict(profile: Profile, budget_ms: float, field: str, *, rehearsal: bool = False) -> Verdict:
    """Judge the contract's latency field against its budget: at most the budget passes.

    field: the field's name as the contract writes it, for the sentence; rehearsal: run by the stand-in, not a device
    """
    if rehearsal:
        said = "No verdict: these numbers are of this machine's CPU and say nothing about a device."
        return Verdict("none", said, rehearsal=True)
    if profile.latency_ms is None:
        return Verdict("none", f"No verdict: the profile has no {field}.")
    within = profile.latency_ms <= budget_ms
    relation = "within" if within else "over"
    # To the microsecond: 34.001 ms must not read "34.00 ms, over the budget of 34 ms".
    sentence = f"{field} is {profile.latency_ms:.3f} ms, {relation} the budget of {budget_ms:g} ms"
    if within and profile.iterations and profile.iterations.p90 > budget_ms:
        sentence += f"; but one run in ten took {profile.iterations.p90:.3f} ms or more, over the budget"
    return Verdict("pass" if within else "fail", f"{'Pass' if within else 'Fail'}: {sentence}.")


def as_json(profile: Profile, judged: Verdict, where: str) -> dict[str, Any]:
    """For machines: every number with its unit in its name, no layer list (the raw profile is kept beside).

    In a rehearsal "fallbacks" is None: everything ran on this CPU, which tells nothing about an NPU.
    """
    return {
        "where": where,
        "rehearsal": judged.rehearsal,
        "verdict": judged.state,
        "sentence": judged.sentence,
        "latency_ms": profile.latency_ms,
        "iterations_ms": asdict(profile.iterations) if profile.iterations else None,
        "first_load_ms": profile.first_load_ms,
        "warm_load_ms": profile.warm_load_ms,
        "peak_memory_mb": list(profile.peak_memory_mb) if profile.peak_memory_mb else None,
        "compute_units": {name: asdict(unit) for name, unit in profile.units.items()},
        "fallbacks": None if judged.rehearsal else list(profile.fallbacks),
    }


def show(profile: Profile, judged: Verdict, where: str) -> None:
    """Tables and the verdict on stdout. where: what measured, "Samsung Galaxy S24 (AI Hub)"; stands in each title."""
    runs = profile.iterations
    spread = "not said"
    if runs:
        low, high, p10, p90 = (milliseconds(value) for value in (runs.least, runs.most, runs.p10, runs.p90))
        spread = f"{milliseconds(runs.median)} (p10 {p10} to p90 {p90}; {low} to {high}; {runs.count} runs)"
    memory = profile.peak_memory_mb
    rows = [
        (
            "latency, ms (of this CPU)" if judged.rehearsal else "latency, ms (the judged field)",
            milliseconds(profile.latency_ms),
        ),
        ("all runs, ms: median", spread),
        ("first load, ms", milliseconds(profile.first_load_ms)),
        ("warm load, ms", milliseconds(profile.warm_load_ms)),
        ("peak memory, MB", f"{memory[0]:.1f} to {memory[1]:.1f}" if memory else "not said"),
    ]
    table(f"Profile, measured on {where}", ["what", "value"], rows)
    if profile.layers:
        by_cycles = any(unit.time_ms is None and unit.cycles is not None for unit in profile.units.values())
        units = [
            (name, str(unit.layers), _cycles(unit.cycles) if by_cycles else milliseconds(unit.time_ms))
            for name, unit in profile.units.items()
        ]
        columns = ["compute unit", "layers", "cycles" if by_cycles else "time, ms"]
        table(f"Layers by compute unit, on {where}", columns, units, numbers=True)
    else:
        result("The profile lists no layers, so it does not say which ran on the NPU.")
    if profile.fallbacks and not judged.rehearsal:
        named = ", ".join(profile.fallbacks[:FALLBACKS_SHOWN])
        more = len(profile.fallbacks) - FALLBACKS_SHOWN
        beyond = f" and {more} more" if more > 0 else ""
        result(f"Not on the NPU: {len(profile.fallbacks)} of {len(profile.layers)} layers: {named}{beyond}.")
    result(judged.sentence)


def milliseconds(value: float | None) -> str:
    """As many digits as tell something: "0.145", "2.64", "33.95", "142.1"; "not said" for None."""
    if value is None:
        return "not said"
    return f"{value:.3g}" if value < 1 else f"{value:.2f}" if value < 100 else f"{value:.1f}"


def _cycles(value: int | None) -> str:
    return "not said" if value is None else f"{value:,}"


def _at(downloaded: Mapping[str, Any], field: str) -> Any:
    """The value at a dotted path; None where it does not lead anywhere."""
    value: Any = downloaded
    for name in field.split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def _number(value: Any) -> float | None:
    """A finite number of at least zero, else None; a truth value is no number."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value) or value < 0:
        return None
    return value


def _ms(microseconds: Any) -> float | None:
    """Microseconds -> ms. Zero is protobuf's word for a field that nobody filled."""
    value = _number(microseconds)
    return value / US_PER_MS if value else None


def _peak_mb(summary: Mapping[str, Any]) -> tuple[float, float] | None:
    """The range while running, else the one number of older profiles; bytes -> MB."""
    peak = summary.get("inference_memory_peak_range") or (summary.get("estimated_inference_peak_memory"),) * 2
    if not isinstance(peak, Sequence) or len(peak) != 2:
        return None
    lower, upper = (_number(side) for side in peak)
    if lower is None or not upper or upper < lower:
        return None
    return lower / BYTES_PER_MB, upper / BYTES_PER_MB


def _layer(detail: Any) -> Layer:
    if not isinstance(detail, Mapping):
        raise InputError("This profile's execution_detail is no list of layers.", ANEW)
    time_us, cycles = _number(detail.get("execution_time")), _number(detail.get("execution_cycles"))
    return Layer(
        name=str(detail.get("name", "")),
        type=str(detail.get("type", "")),
        compute_unit=str(detail.get("compute_unit") or UNKNOWN_UNIT),
        time_ms=None if time_us is None else time_us / US_PER_MS,  # zero is said: a layer fused into another
        cycles=None if cycles is None else int(cycles),
    )


def _all_ms(layers: Sequence[Layer]) -> float | None:
    times = [layer.time_ms for layer in layers if layer.time_ms is not None]
    return math.fsum(times) if len(times) == len(layers) else None


def _all_cycles(layers: Sequence[Layer]) -> int | None:
    cycles = [layer.cycles for layer in layers if layer.cycles is not None]
    return sum(cycles) if len(cycles) == len(layers) else None
