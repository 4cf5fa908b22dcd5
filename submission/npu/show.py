"""A rehearsal on the NPU's emulator as tables: fit, what to use instead, the estimate, and the numbers."""

from __future__ import annotations

import math
from collections.abc import Iterator

from ...console import count, note, result, table
from ...evaluate.numbers import number
from ...hub_jobs.htp.estimate import Estimate
from ...hub_jobs.htp.outcome import Compiled
from ...hub_jobs.verdict import milliseconds
from .fit import Fit
from .rehearsal import Rehearsal
from .rows import EMULATOR, SHOWN, Difference, Row

NOTHING = "-"
MORE_THAN_A_STEP = 1.01
DIFFERENCES = ("from float: mean difference", "largest")
MOST_NAMED = 8


def show_fit(known: Rehearsal) -> None:
    """What is known before the frames: results on stdout; on which input the ranges were measured on stderr."""
    target = known.request.target
    where = f"the NPU of the {target.device} ({target.htp_arch or 'unknown'}, soc_model {target.soc_model})"
    table(
        f"Does {known.source} fit {where}?",
        ("precision", "fits", "NPU operations", "context, MB", "spill, MB", "what the compiler says"),
        [_fit(one) for one in known.fits],
    )
    if misfits := _misfits(known):
        table("In the way", ("precision", "node", "operator", "why", "instead"), misfits)
    if known.warnings:
        table(
            "Fits, but computes something else on the emulator or in half precision",
            ("node", "operator", "what", "instead"),
            [(one.node, one.op_type, one.reason, one.remedy) for one in known.warnings],
        )
        if known.ranged_on is not None:
            note(f"The warnings' ranges are those of {known.ranged_on}.")
    told = known.estimate
    if isinstance(told, Estimate):
        ms, low, high = (milliseconds(value) for value in (told.ms, told.low_ms, told.high_ms))
        result(f"Estimated latency in fp16: {ms} ms, {low} to {high} ms; {told.basis}.")
    elif told is not None:
        result(told.sentence)


def show_numbers(rehearsal: Rehearsal) -> None:
    """What was computed: results on stdout; what must be known of them on stderr."""
    given = rehearsal.request
    if rehearsal.numbers.rows:
        of = f"{count(len(given.frames), 'frame')} of {given.frames.root}" if given.frames else "made-up inputs"
        title = f"What it computes, on {of}: emulated or computed on this computer, nothing is measured on a device"
        table(title, ("precision, by whom, on what", *SHOWN, *DIFFERENCES, "context, MB"), _rows(rehearsal),
              numbers=True)  # fmt: skip
    for line in (*_agreements(rehearsal), *_remarks(rehearsal)):
        note(line)


def _misfits(known: Rehearsal) -> list[tuple[str, ...]]:
    """Equal ones of several precisions as one row."""
    found: dict[tuple[str, ...], list[str]] = {}
    for one in known.fits:
        for misfit in one.misfits:
            row = (misfit.node, misfit.op_type, misfit.reason, misfit.remedy)
            found.setdefault(row, []).append(one.precision)
    return [(", ".join(dict.fromkeys(precisions)), *row) for row, precisions in found.items()]


def _fit(one: Fit) -> tuple[str, ...]:
    compiled = one.outcome if isinstance(one.outcome, Compiled) else None
    numbers = (
        (f"{compiled.qnn_ops}", _megabytes(compiled.context_bytes), _megabytes(compiled.spill_bytes))
        if compiled
        else (NOTHING,) * 3
    )
    return (one.precision, "yes" if one.compiled else "NO", *numbers, one.sentence)


def _rows(rehearsal: Rehearsal) -> Iterator[tuple[str, ...]]:
    every = max(len(row.names) for row in rehearsal.numbers.rows)
    noun = "frame" if rehearsal.request.frames else "input"
    for row in rehearsal.numbers.rows:
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
    for one in rehearsal.numbers.agreements:
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
    for row in rehearsal.numbers.rows:
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
    yield from _not_finite(rehearsal)
    if rehearsal.uncomputed:
        if any(one.compiled for one in rehearsal.fits):
            yield f"Nothing was computed: {rehearsal.uncomputed}"
    elif rehearsal.unscored:
        yield f"No score: {rehearsal.unscored}"
    if given.out is not None and not rehearsal.written:
        yield f"Nothing was written into {given.out}: {_why_nothing_written(rehearsal)}"


def _not_finite(rehearsal: Rehearsal) -> Iterator[str]:
    noun = "frame" if rehearsal.request.frames else "input"
    told: set[tuple[str, str]] = set()
    for row in rehearsal.numbers.rows:
        if row.not_finite and (row.precision, row.engine) not in told:  # of float's two rows the one of all frames
            told.add((row.precision, row.engine))
            named = ", ".join(row.not_finite[:MOST_NAMED])
            more = f" and {len(row.not_finite) - MOST_NAMED} more" if len(row.not_finite) > MOST_NAMED else ""
            yield (
                f"{row.precision} by {row.engine}: the output holds NaN or infinity in "
                f"{count(len(row.not_finite), noun)}: {named}{more}."
            )


def _why_nothing_written(rehearsal: Rehearsal) -> str:
    if rehearsal.request.frames is None and rehearsal.uncomputed is None:
        return "fp16 makes no model of its own, and without frames (--data) there are no predictions."
    if rehearsal.uncomputed is not None:
        return rehearsal.uncomputed
    if all(row.stopped for row in rehearsal.numbers.rows if row.engine == EMULATOR):
        return "no precision was emulated to the end."
    return rehearsal.unscored or "there are no predictions."
