"""The pre-flight check: everything that can be known of a model before a device sees it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..console import track
from ..contract import CURRENT as CONTRACT
from ..data.folder import FrameFolder, spread
from ..data.frame import Frame, Rgb
from ..data.model_input import contract_input
from ..errors import InputError
from ..onnx_session import open_session
from .findings import Finding, State, failures, state_of
from .interface import COMPILED_ONCE, chosen, demand_complete, interface_findings, model_inputs, parse_model, shape_text
from .meaning_evidence import Evidence, gain_on, undecided
from .meaning_evidence import findings as meaning_findings

Map = npt.NDArray[Any]

MOST_FRAMES = 24
ABOVE_RANGE = 1e-5
"""Interpolation in float32 may round a 1 upwards. Nothing is allowed below the range: the official score takes the
logarithm of the scaled prediction, and one negative pixel makes it NaN."""
REPEAT_TOLERANCE = 1e-6
STRETCH_MARGIN = 1e-3
"""A map that comes this near to both ends of the range on every frame has been stretched to them. Of the output's own
range where the ends are other constants: least and greatest value then vary by less than this from frame to frame."""
MIDDLES_DIFFER = 0.02
"""Share of its range by which the median of a map must vary over the frames before equal ends say anything: pictures of
one unmoving scene have equal ends without any stretching."""
PLATEAU_SHARE = 0.002
"""Share of pixels at an end from which that end is a clamp's: stretching puts one pixel there, or few. Both ends of a
map must be a clamp's to count as such: relative inverse depth has its sky at 0 and is stretched all the same."""
INPUT_FINDINGS = ("one input", "input type", "input shape")


@dataclass
class Behaviour:
    """What was seen of the outputs, gathered picture by picture so that no map is kept."""

    pictures: int = 0
    shape: tuple[int, ...] = ()
    not_finite: list[str] = field(default_factory=list)
    low: float = float("inf")
    high: float = float("-inf")
    outside: list[str] = field(default_factory=list)
    first: Map | None = None
    answers: bool = False
    repeat_difference: float = 0.0
    ranges: list[tuple[float, float, float, float]] = field(default_factory=list)
    """Of each real frame's map: least, median, greatest value; share of pixels at the end that has fewer."""

    def add(self, name: str, output: Map, *, real: bool) -> None:
        self.pictures += 1
        self.shape = output.shape
        if self.first is None:
            self.first = output
        self.answers |= not np.array_equal(output, self.first, equal_nan=True)
        finite = output[np.isfinite(output)]
        if finite.size < output.size:
            self.not_finite.append(name)
        if not finite.size:
            return
        low, high = float(finite.min()), float(finite.max())
        self.low, self.high = min(self.low, low), max(self.high, high)
        least, most = CONTRACT.output_range
        if low < least or high > most + ABOVE_RANGE:
            self.outside.append(name)
        if real:
            at_end = min(float(np.mean(finite == low)), float(np.mean(finite == high)))
            self.ranges.append((low, float(np.median(finite)), high, at_end))


class Runner:
    """Runs the model as the organisers do: the contract's input, in the contract's type, under the model's own name."""

    def __init__(self, path: Path) -> None:
        """Raises InputError where the file is no ONNX model, lacks its weights, or ONNX Runtime cannot load it."""
        if not path.is_file():
            raise InputError(f"{path} does not exist.", "`lpcv export RUN` writes RUN/model.onnx.")
        self.model = parse_model(path.read_bytes(), str(path))
        demand_complete(self.model, path)
        self._session = open_session(path)
        image = chosen(model_inputs(self.model), CONTRACT.input_name)
        depth = chosen(list(self.model.graph.output), CONTRACT.output_name)
        self._input, self._output = (value.name if value else "" for value in (image, depth))

    def raw(self, rgb: Rgb) -> Map:
        """The output as the model gives it. Raises whatever ONNX Runtime raises."""
        return self.answer(contract_input(rgb))

    def answer(self, tensor: npt.NDArray[np.float32]) -> Map:
        """The output for any tensor of the contract's shape. Raises whatever ONNX Runtime raises."""
        return np.asarray(self._session.run([self._output], {self._input: tensor})[0])

    def answer_map(self, tensor: npt.NDArray[np.float32]) -> Map | None:
        """(H, W) float32; None where the model stops or does not give one finite map."""
        try:
            output = self.answer(tensor)
        except Exception:  # a probe outside the contract's range may stop a model, which is no fault
            return None
        return _as_map(output) if _is_one_finite_map(output) else None

    def predict(self, rgb: Rgb) -> Map:
        """(H, W) float32 relative depth. Raises InputError where the model does not run or gives no single map."""
        try:
            output = self.raw(rgb)
        except Exception as error:  # onnxruntime's exceptions share no base class but this one
            raise InputError(
                f"The model does not run on the contract's input ({_first_line(error)}).", "Check it."
            ) from None
        if output.ndim < 2 or output.size != output.shape[-1] * output.shape[-2]:
            raise InputError(f"The model gives an output of shape {output.shape}, not one map.", "Check it.")
        return output.reshape(output.shape[-2:]).astype(np.float32)


def check_model(path: Path, frames: FrameFolder | None = None, *, most_frames: int = MOST_FRAMES) -> list[Finding]:
    """All findings on a model, in the order of the table.

    frames: real frames, with truth if the output's meaning is to be judged; at most `most_frames` of them, spread over
    the folder, are run. Raises InputError where the model cannot be loaded, or a frame cannot be read.
    """
    runner = Runner(path)
    interface = interface_findings(runner.model, path)
    random = synthetic_pictures()["random"]
    try:
        first = runner.raw(random)
    except Exception as error:  # onnxruntime's exceptions share no base class but this one
        return [*interface, *_not_run(interface, _first_line(error))]
    behaviour, evidence = _observe(runner, frames, most_frames)
    behaviour.repeat_difference = _difference(first, runner.raw(random))
    interface = [_with_given_shape(finding, behaviour.shape) for finding in interface]
    ran = _ran("pass", f"runs on {behaviour.pictures} pictures")
    return [*interface, ran, *_behaviour_findings(behaviour), *_meaning(behaviour, frames, evidence, runner)]


def synthetic_pictures() -> dict[str, Rgb]:
    """Name -> (H, W, 3) uint8 at the contract's size: noise of a fixed seed, black, white."""
    width, height = CONTRACT.image_size
    noise = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    return {"random": noise, "black": np.zeros_like(noise), "white": np.full_like(noise, 255)}


def _observe(runner: Runner, frames: FrameFolder | None, most_frames: int) -> tuple[Behaviour, Evidence]:
    """Run every picture once, and the frames with truth again with red and blue exchanged; some with other changes."""
    behaviour, evidence = Behaviour(), Evidence()
    for name, rgb in synthetic_pictures().items():
        behaviour.add(name, runner.raw(rgb), real=False)
    for frame in _chosen_frames(frames, most_frames):
        picture = contract_input(frame.rgb)
        output = runner.answer(picture)
        behaviour.add(frame.name, output, real=True)
        if frame.depth_m is None or not _is_one_finite_map(output):
            continue
        evidence.seen += 1
        swapped = runner.raw(np.ascontiguousarray(frame.rgb[..., ::-1]))
        if _is_one_finite_map(swapped):
            evidence.add(frame, _as_map(output), _as_map(swapped), picture, runner.answer_map)
    return behaviour, evidence


def _chosen_frames(frames: FrameFolder | None, most: int) -> Iterator[Frame]:
    if frames is None:
        return iter(())
    names = spread(frames.names, most)
    return track((frames.frame(name) for name in names), "checking frames", len(names))


def _not_run(interface: list[Finding], reason: str) -> list[Finding]:
    """The later findings of a model that does not run on the contract's input."""
    blamed = [finding.name for finding in failures(interface) if finding.name in INPUT_FINDINGS]
    ran = (
        _ran("undecided", f"not run, see {', '.join(blamed)}")
        if blamed
        else _ran("fail", f"ONNX Runtime stops: {reason}")
    )
    why_not = "the model does not run on the contract's input"
    return [ran, *(make("undecided", why_not) for make in BEHAVIOUR.values()), *undecided(why_not)]


def _behaviour_findings(seen: Behaviour) -> list[Finding]:
    some = f"on {seen.pictures} pictures"
    values = f"{seen.low:.6g} to {seen.high:.6g} {some}"
    nothing = not np.isfinite(seen.low)
    found: dict[str, tuple[State, str]] = {
        "finite": (
            state_of(not seen.not_finite),
            f"NaN or infinity on {_names(seen.not_finite)}" if seen.not_finite else f"finite {some}",
        ),
        "range": ("undecided", "no finite value")
        if nothing
        else (state_of(not seen.outside), f"{values}; outside on {_names(seen.outside)}" if seen.outside else values),
        "deterministic": (
            state_of(seen.repeat_difference <= REPEAT_TOLERANCE),
            f"two runs on one picture differ by {seen.repeat_difference:.3g}",
        ),
        "answers the picture": ("undecided", "no finite value")
        if nothing
        else (state_of(seen.answers), f"{'different maps' if seen.answers else 'one and the same map'} {some}"),
        "no stretching": _stretching(seen.ranges),
    }
    return [BEHAVIOUR[name](*found[name]) for name in BEHAVIOUR]


def _stretching(ranges: list[tuple[float, float, float, float]]) -> tuple[State, str]:
    real = len(ranges)
    if real < 2:
        return "undecided", "at least two real frames are needed, use --data"
    least, most = CONTRACT.output_range
    count = sum(low <= least + STRETCH_MARGIN and high >= most - STRETCH_MARGIN for low, _, high, _ in ranges)
    found = f"{count} of {real} frames reach both {least:g} and {most:g}"
    if count == real:
        return "fail", found
    lows, middles, highs, at_end = map(np.array, zip(*ranges, strict=True))
    span = float(np.median(highs - lows))
    pinned = max(np.ptp(lows), np.ptp(highs)) <= STRETCH_MARGIN * span
    clamped = np.median(at_end) >= PLATEAU_SHARE
    if span > 0 and pinned and not clamped and np.ptp(middles) >= MIDDLES_DIFFER * span:
        return "fail", f"all {real} frames reach from {np.median(lows):.4g} to {np.median(highs):.4g}"
    return "pass", found


def _meaning(seen: Behaviour, frames: FrameFolder | None, evidence: Evidence, runner: Runner) -> list[Finding]:
    if frames is None:
        return undecided("no frames given, use --data")
    if not frames.depths:
        return undecided(f"{frames.root.name} has no depth to compare with")
    if seen.not_finite:
        return undecided("the output is not finite")
    if not evidence.seen:
        return undecided("the output is not one map")
    hidden = "see no stretching: each map has its own zero" if _stretching(seen.ranges)[0] == "fail" else ""
    hidden = "see output shape" if seen.shape != CONTRACT.output_shape else hidden
    return meaning_findings(evidence, gain_on(frames, lambda frame: runner.predict(frame.rgb)), hidden)


def _with_given_shape(finding: Finding, shape: tuple[int, ...]) -> Finding:
    """The output's shape is judged by what was given as well as by what the file declares."""
    if finding.name != "output shape" or shape == CONTRACT.output_shape:
        return finding
    found = f"declared {finding.found}, given {shape_text(shape)}"
    return Finding(finding.name, "fail", finding.expected, found, COMPILED_ONCE, finding.remedy)


def _ran(state: State, found: str) -> Finding:
    return Finding(
        "runs",
        state,
        f"runs on {CONTRACT.tensor_dtype} {shape_text(CONTRACT.input_shape)}, 0 to 255, {CONTRACT.colour_order}",
        found,
        "A model that stops on the organisers' input is not scored at all.",
        "Export again with `lpcv export RUN`, which compares the result with torch.",
    )


def _behaviour_finding(name: str, expected: str, why: str, remedy: str) -> Callable[[State, str], Finding]:
    return lambda state, found: Finding(name, state, expected, found, why, remedy)


_LEAST, _MOST = CONTRACT.output_range
BEHAVIOUR: dict[str, Callable[[State, str], Finding]] = {
    name: _behaviour_finding(name, expected, why, remedy)
    for name, expected, why, remedy in (
        (
            "finite",
            "neither NaN nor infinity",
            "One NaN makes the frame's median, and with it the official mean over all frames, NaN.",
            "Look for a division or a logarithm of zero; black and white pictures find it.",
        ),
        (
            "range",
            f"within {_LEAST:g} to {_MOST:g}",
            "The contract fixes the range, and a negative value makes the official rmse_log NaN.",
            "End the model with a sigmoid or a clamp; emit depth / max_depth.",
        ),
        (
            "deterministic",
            "the same map twice",
            "A score that cannot be repeated cannot be compared.",
            "Export in evaluation mode: no dropout and no random operator in the graph.",
        ),
        (
            "answers the picture",
            "another map for another picture",
            "A constant map scores 63 on easy scenes, and so hides that nothing was learned.",
            "Look for dead activations or weights that were not loaded.",
        ),
        (
            "no stretching",
            f"a range that is not the same, {_LEAST:g} to {_MOST:g} or another, on every frame",
            "Per-image min-max normalisation moves the zero of depth, and the scorer fits no offset: it costs up to a "
            "quarter of the F-Score (the truth scores 98 on varied frames, min-max normalised 79).",
            "Divide by one constant (max_depth) instead of each image's own minimum and maximum.",
        ),
    )
}  # fmt: skip


def _is_one_finite_map(output: Map) -> bool:
    return output.ndim >= 2 and output.size == output.shape[-1] * output.shape[-2] and bool(np.isfinite(output).all())


def _as_map(output: Map) -> Map:
    return output.reshape(output.shape[-2:]).astype(np.float32)


def _difference(first: Map, second: Map) -> float:
    """Greatest absolute difference; a NaN equals a NaN, and nothing else."""
    if first.shape != second.shape or not np.array_equal(np.isnan(first), np.isnan(second)):
        return float("inf")
    with np.errstate(invalid="ignore"):  # infinity minus infinity
        return float(np.nan_to_num(np.abs(first.astype(np.float64) - second), nan=0.0).max(initial=0.0))


def _names(names: list[str]) -> str:
    return f"{', '.join(names[:3])} and {len(names) - 3} more" if len(names) > 3 else ", ".join(names)


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
