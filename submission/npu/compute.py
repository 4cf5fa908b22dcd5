"""The numbers of a rehearsal: all frames by ONNX Runtime, the few on the emulator, each held to float on the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ...data.folder import FrameFolder, spread
from ...errors import InputError
from ...evaluate.frame_score import FrameScore
from ...evaluate.journal import Journal
from ...evaluate.kinds import demand_kind
from ...evaluate.official import OFFICIAL
from ...evaluate.predictions import OnnxModel
from ...files import sha256_file
from ...hub_jobs.htp.outcome import Limits
from ...hub_jobs.htp.target import Target
from ...machine import usable_cores
from ...prediction_folder import describe, write_prediction
from .fit import Fit, output_step
from .frames import EmulatedPredictions, Emulation, Feed, emulate_frames
from .rows import EMULATOR, ONNX_RUNTIME, QDQ, Difference, Row, computing, difference, scored


@dataclass(frozen=True)
class Request:
    """What to rehearse.

    precisions: of the NPU, so not float; frames: to score, None for made-up inputs only
    calibration: what the integers' ranges come from, None for the made-up inputs; emulated: on so many frames
    """

    model: Path
    target: Target
    precisions: tuple[str, ...]
    frames: FrameFolder | None
    calibration: FrameFolder | None
    emulated: int
    samples: int
    seed: int
    limits: Limits
    out: Path | None


@dataclass(frozen=True)
class Agreement:
    """How far ONNX Runtime's execution of a quantized model and the emulator's are apart, on the frames emulated.

    step: what one integer of the output is worth, None where the output is made from none
    """

    precision: str
    frames: int
    difference: Difference
    step: float | None


@dataclass(frozen=True)
class Computing:
    """The part that computes: first all frames by ONNX Runtime, then the few on the emulator."""

    request: Request
    path: Path
    feed: Feed
    fits: Sequence[Fit]
    frames: FrameFolder | None  # None: nothing is scored
    kept: Path
    journals: list[Journal]

    def all(self) -> tuple[tuple[Row, ...], tuple[Agreement, ...]]:
        every = self.feed.names
        few = tuple(spread(every, self.request.emulated))
        exact = Row("float", ONNX_RUNTIME, every, self._scores(self.path, "float"))
        float_output = computing(self.path, self.feed)
        rows, emulated, agreements = [exact], [], []
        for one in self.fits:
            if one.compiled is None or one.model is None:
                continue
            size, on_cpu = one.compiled.context_bytes, None
            if one.quantized is not None:
                on_cpu = computing(one.model, self.feed)
                apart = difference(on_cpu, float_output, every, f"{one.precision} with float")
                found = self._scores(one.model, one.precision)
                rows.append(Row(one.precision, QDQ, every, found, apart, size))
            done = emulate_frames(
                one.compiled, self.feed, few, self.kept / "frames", self.request.limits,
                f"{one.precision} on the {self.request.target.device}'s NPU emulator",
            )  # fmt: skip
            if done.stopped is not None:
                emulated.append(Row(one.precision, EMULATOR, few, context_bytes=size, stopped=done.stopped))
                continue
            apart = difference(done.compute, float_output, few, f"emulated {one.precision} with float")
            emulated.append(Row(one.precision, EMULATOR, few, self._emulated(one, done, few), apart, size))
            if on_cpu is not None:
                gap = difference(done.compute, on_cpu, few, f"emulated {one.precision} with ONNX Runtime")
                agreements.append(Agreement(one.precision, len(few), gap, output_step(one.model)))
        beside = [exact.on(few)] if len(few) < len(every) else []
        return (*rows, *beside, *emulated), tuple(agreements)

    def _scores(self, model: Path, label: str) -> tuple[FrameScore, ...] | None:
        if self.frames is None:
            return None
        source = OnnxModel.open(model, f"{label} of {self.request.model}", threads=1)
        return scored(source, self.frames, usable_cores(), self.kept / "scores", self.journals)

    def _emulated(self, one: Fit, done: Emulation, few: tuple[str, ...]) -> tuple[FrameScore, ...] | None:
        if self.request.out is not None and self.request.frames is not None:
            _write_predictions(self.request.out / one.precision, self.request.target, one, done)
        if self.frames is None:
            return None
        kind = OnnxModel.open(self.path).kind
        source = EmulatedPredictions(f"emulated {one.precision} of {self.request.model}", kind, done)
        return scored(source, self.frames.subset(few), usable_cores(), self.kept / "scores", self.journals)


def _write_predictions(out: Path, target: Target, one: Fit, done: Emulation) -> None:
    """A folder that `lpcv score` and `lpcv compare` take. Raises InputError where the output is not one map."""
    if one.model is None:
        raise ValueError("what was emulated has a model")
    kind = OnnxModel.open(one.model).kind
    demand_kind(kind, OFFICIAL.weakest_kind, f"protocol {OFFICIAL.name}")
    names = sorted(done.files)
    describe(
        out, kind, frames=names, made_from=sha256_file(one.model),
        computed_by=f"HTP emulator of the {target.device}, {one.precision} (emulated, not a device)",
    )  # fmt: skip
    for name in names:
        values = done.compute(name)
        if values.ndim != 4 or values.shape[:2] != (1, 1):
            raise InputError(f"The model gives {values.shape}, not one map.", "Leave --out away.")
        write_prediction(out / f"{name}.npy", values)
