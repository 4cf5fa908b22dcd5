"""The numbers of a rehearsal: all frames by ONNX Runtime, the few on the emulator, each held to float on the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ...console import Steps, count
from ...data.folder import FrameFolder, spread
from ...evaluate.frame_score import FrameScore
from ...evaluate.journal import Journal
from ...evaluate.predictions import OnnxModel
from ...machine import usable_cores
from .fit import Fit, output_step
from .frames import EmulatedPredictions, Emulation, Feed, emulate_frames
from .out import write_predictions
from .request import Request
from .rows import EMULATOR, ONNX_RUNTIME, QDQ, Difference, Row, Watched, computing, difference, scored


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
class Numbers:
    """What was computed. written: folders of emulated predictions."""

    rows: tuple[Row, ...] = ()
    agreements: tuple[Agreement, ...] = ()
    written: tuple[Path, ...] = ()


@dataclass(frozen=True)
class Computing:
    """The part that computes: first all frames by ONNX Runtime, then the few on the emulator.

    fits: those that were compiled; scored: the frames, None where nothing is scored; out: the folder of folders that
    predictions are written to, None for none
    """

    request: Request
    path: Path
    feed: Feed
    fits: Sequence[Fit]
    scored: FrameFolder | None
    out: Path | None
    kept: Path
    journals: list[Journal]
    steps: Steps

    def all(self) -> Numbers:
        every = self.feed.names
        few = tuple(spread(every, self.request.emulated))
        # float, then each quantized model on all frames, and each precision on the emulator
        self.steps.remain(1 + sum(1 + (one.quantized is not None) for one in self.fits))
        self.steps.begin(f"float on {self._of(every)} by ONNX Runtime")
        exact = Row("float", ONNX_RUNTIME, every, self._scores(self.path, "float"))
        float_output = Watched(computing(self.path, self.feed))
        rows: list[Row] = []
        emulated: list[Row] = []
        agreements: list[Agreement] = []
        written: list[Path] = []
        for one in self.fits:
            on_cpu = None
            if one.quantized is not None:
                on_cpu = Watched(computing(one.quantized.path, self.feed))
                rows.append(self._on_cpu(one, on_cpu, float_output))
            done = self._emulation(one, few)
            if done.stopped is not None:
                emulated.append(_row(one, EMULATOR, few, stopped=done.stopped))
                continue
            if self.out is not None and self.request.frames is not None:
                kind = OnnxModel.open(self.path).kind
                root = self.out / one.precision
                write_predictions(root, self.request.target, one, done, self.request.frames, kind)
                written.append(root)
            by_npu = Watched(done.compute)
            apart = difference(by_npu, float_output, few, f"emulated {one.precision} with float")
            found = self._emulated_scores(one, done, few)
            spoiled = by_npu.not_finite(few)
            emulated.append(_row(one, EMULATOR, few, scores=found, from_float=apart, not_finite=spoiled))
            if one.quantized is not None and on_cpu is not None:
                gap = difference(by_npu, on_cpu, few, f"emulated {one.precision} with ONNX Runtime")
                agreements.append(Agreement(one.precision, len(few), gap, output_step(one.quantized.path)))
        exact = replace(exact, not_finite=float_output.not_finite(every))
        beside = [exact.on(few)] if len(few) < len(every) else []
        return Numbers((exact, *rows, *beside, *emulated), tuple(agreements), tuple(written))

    def _on_cpu(self, one: Fit, on_cpu: Watched, float_output: Watched) -> Row:
        """All frames by ONNX Runtime, the graph as it is written."""
        every = self.feed.names
        self.steps.begin(f"{one.precision} on {self._of(every)} by ONNX Runtime")
        apart = difference(on_cpu, float_output, every, f"{one.precision} with float")
        found = None if one.model is None else self._scores(one.model, one.precision)
        return _row(one, QDQ, every, scores=found, from_float=apart, not_finite=on_cpu.not_finite(every))

    def _emulation(self, one: Fit, few: tuple[str, ...]) -> Emulation:
        if one.compiled is None:
            raise ValueError("only what was compiled can be emulated")
        device = self.request.target.device
        self.steps.begin(f"{one.precision} on {self._of(few)} by the emulator of the {device}'s NPU")
        what = f"{one.precision} on the {device}'s NPU emulator"
        return emulate_frames(one.compiled, self.feed, few, self.kept / "frames", self.request.limits, what)

    def _of(self, names: Sequence[str]) -> str:
        return count(len(names), "frame" if self.request.frames else "input")

    def _scores(self, model: Path, label: str) -> tuple[FrameScore, ...] | None:
        if self.scored is None:
            return None
        source = OnnxModel.open(model, f"{label} of {self.request.model}", threads=1)
        return scored(source, self.scored, usable_cores(), self.kept / "scores", self.journals)

    def _emulated_scores(self, one: Fit, done: Emulation, few: tuple[str, ...]) -> tuple[FrameScore, ...] | None:
        if self.scored is None:
            return None
        kind = OnnxModel.open(self.path).kind
        source = EmulatedPredictions(f"emulated {one.precision} of {self.request.model}", kind, done)
        return scored(source, self.scored.subset(few), usable_cores(), self.kept / "scores", self.journals)


def _row(one: Fit, engine: str, names: tuple[str, ...], **numbers: Any) -> Row:
    return Row(one.precision, engine, names, context_bytes=one.compiled and one.compiled.context_bytes, **numbers)
