"""A rehearsal on the NPU's emulator as tables: fit, what to use instead, the estimate, and the numbers."""

from __future__ import annotations

import math
from collections.abc import Iterator

from ...console import note, result, table
from ...evaluate.numbers import count, number
from ...hub_jobs.htp.estimate import Estimate
from ...hub_jobs.htp.outcome import Compiled
from .fit import Fit
from .rehearsal import Rehearsal
from .rows import EMULATOR, SHOWN, Difference, Row

NOTHING = "-"


def show(rehearsal: Rehearsal) -> None:
    """Results on stdout; what must be known of them on stderr."""
    target, given = rehearsal.request.target, rehearsal.request
    where = f"the NPU of the {target.device} ({target.htp_arch or 'unknown'}, soc_model {target.soc_model})"
    table(
        f"Does {rehearsal.source} fit {where}?",
        ("precision", "fits", "NPU operations", "context, MB", "spill, MB", "what the compiler says"),
        [_fit(one) for one in rehearsal.fits],
    )
    if misfits := [(one.precision, misfit) for one in rehearsal.fits for misfit in one.misfits]:
        rows = [(precision, misfit.node, misfit.op_type, misfit.reason, misfit.remedy) for precision, misfit in misfits]
        table("In the way", ("precision", "node", "operator", "why", "instead"), rows)
    if rehearsal.warnings:
        table(
            "Fits, but computes something else on the emulator or in half precision",
            ("node", "operator", "what", "instead"),
            [(one.node, one.op_type, one.reason, one.remedy) for one in rehearsal.warnings],
        )
    told = rehearsal.estimate
    if isinstance(told, Estimate):
        result(
            f"Estimated latency in fp16: {told.ms:.2f} ms, {told.low_ms:.2f} to {told.high_ms:.2f} ms; {told.basis}."
        )
    elif told is not None:
        result(told.sentence)
    if rehearsal.rows:
        of = f"{count(len(given.frames), 'frame')} of {given.frames.root}" if given.frames else "made-up inputs"
        title = f"What it computes, on {of}: emulated or computed on this computer, nothing is measured on a device"
        table(title, ("precision, by whom, on what", *SHOWN, *DIFFERENCES, "context, MB"), _rows(rehearsal),
              numbers=True)  # fmt: skip
    for line in (*_agreements(rehearsal), *_remarks(rehearsal)):
        note(line)


MORE_THAN_A_STEP = 1.01
DIFFERENCES = ("from float: mean difference", "largest")


def _fit(one: Fit) -> tuple[str, ...]:
    compiled = one.outcome if isinstance(one.outcome, Compiled) else None
    numbers = (
        (f"{compiled.qnn_ops}", _megabytes(compiled.context_bytes), _megabytes(compiled.spill_bytes))
        if compiled
        else (NOTHING,) * 3
    )
    return (one.precision, "yes" if one.compiled else "NO", *numbers, one.sentence)


def _rows(rehearsal: Rehearsal) -> Iterator[tuple[str, ...]]:
    every = max(len(row.names) for row in rehearsal.rows)
    noun = "frame" if rehearsal.request.frames else "input"
    for row in rehearsal.rows:
        of_these = " of these" if len(row.names) < every else ""
        name = f"{row.precision}: {row.engine}, {count(len(row.names), noun)}{of_these}"
        if row.stopped:
            yield (name, *("stopped" for _ in SHOWN), NOTHING, NOTHING, _megabytes(row.context_bytes))
            continue
        mean = row.mean
        scores = tuple(number(key, mean.values[key]) if mean else NOTHING for key in SHOWN)
        yield (name, *scores, *_difference(row), _megabytes(row.context_bytes))


def _difference(row: Row) -> tuple[str, str]:
    if row.from_float is None:
        return NOTHING, NOTHING
    return small(row.from_float.mean), small(row.from_float.largest)


def small(value: float) -> str:
    """Two digits of a difference."""
    return f"{value:.1e}" if math.isfinite(value) else "not finite"


def _megabytes(size: int | None) -> str:
    return NOTHING if size is None else f"{size / 1e6:.2f}"


def _agreements(rehearsal: Rehearsal) -> Iterator[str]:
    noun = "frame" if rehearsal.request.frames else "input"
    for one in rehearsal.agreements:
        step = "" if one.step is None else f" (one step of its output is {small(one.step)})"
        yield (
            f"{one.precision}: emulator and ONNX Runtime's QDQ differ by {_text(one.difference)}{step}, "
            f"on {count(one.frames, noun)}."
        )
        if one.step is not None and one.precision == "w8a8" and one.difference.largest > MORE_THAN_A_STEP * one.step:
            yield (
                "More than a step: roundings that fall to the other side, multiplied by the network, or an operator "
                "that the NPU computes otherwise (docs/npu.md). The emulated row is the NPU's."
            )


def _text(difference: Difference) -> str:
    return f"{small(difference.mean)} on average, {small(difference.largest)} at most"


def _remarks(rehearsal: Rehearsal) -> Iterator[str]:
    given = rehearsal.request
    for row in rehearsal.rows:
        if row.stopped:
            yield f"{row.precision}: {row.stopped}"
        if row.engine == EMULATOR or row.scores is None:
            continue
        for score in row.scores:
            if score.stopped:
                yield f"{row.precision}: frame {score.frame} has NO score, left out of the mean: {score.stopped}."
    quantized = next((one.quantized for one in rehearsal.fits if one.quantized), None)
    if quantized is not None and given.calibration is not None:
        used = count(len(quantized.calibration.names), "frame")
        yield (
            f"Integers calibrated with {used} of {given.calibration.root} by seed {quantized.calibration.seed}, sha256 "
            f"{quantized.calibration.sha256[:12]}."
        )
        if rehearsal.both and not rehearsal.unscored:
            yield (
                f"{count(len(rehearsal.both), 'scored frame')} {'is' if len(rehearsal.both) == 1 else 'are'} among the "
                "calibration frames, which flatters w8a8 and w8a16: give others with --calibration."
            )
    elif quantized is not None:
        yield "Integers calibrated with made-up inputs: they say that it fits, and nothing of the error on pictures."
    if rehearsal.ranged_on is not None and rehearsal.warnings:
        yield f"The warnings' ranges are those of {rehearsal.ranged_on}."
    if rehearsal.rows and rehearsal.unscored:
        yield f"No score: {rehearsal.unscored}."
    elif rehearsal.unscored and any(one.compiled for one in rehearsal.fits):
        yield f"Nothing was computed: {rehearsal.unscored}."
