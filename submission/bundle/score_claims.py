"""Whether the scores in a bundle agree with their own frames, and what is called measured with the jobs.

This catches a mean or an interval that was changed alone. Who changes frames, means and hashes together is not caught
by any file in the bundle, since its manifest is not signed: only scoring the model again shows it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from ...evaluate.breakdown import column_interval
from ...evaluate.frame_score import OPTIONAL, FrameScore, mean_score
from ...evaluate.statistics import METHOD
from ..check.findings import State
from .layout import EMULATED, FLOAT, JOBS, MEASURED, SCORES, is_none
from .scores import ROWS, ROWS_SHA256, rows_sha256
from .show import Checked

RELATIVE = 1e-9  # numpy's sums may be ordered otherwise elsewhere
INTERVAL_RELATIVE = 1e-6  # and another mathematical library may round the quantiles' places otherwise
INTERVALS, INTERVAL_METHOD = "interval_95", "interval_method"

Judgement = tuple[State, str]


def score_claims(scores: Mapping[str, Any], jobs: Any) -> Iterator[Checked]:
    """scores: of `SCORES`; jobs: what `JOBS` holds under "jobs"."""
    for which, (state, found) in _recounted(scores):
        yield Checked(f"score, {which}", state, f"{SCORES}, {which}: {found}" if state == "fail" else found)
    if not isinstance(jobs, list) and not is_none(jobs):
        yield Checked("jobs", "fail", f"{JOBS} lists no jobs, and does not say why.")
    else:
        yield from _measured(scores, jobs if isinstance(jobs, list) else [])


def _recounted(scores: Mapping[str, Any]) -> Iterator[tuple[str, Judgement]]:
    if set(scores) != {FLOAT, EMULATED, MEASURED}:
        yield "scores", ("fail", f"there are not the three kinds {FLOAT}, {EMULATED} and {MEASURED}")
        return
    if is_none(scores[FLOAT]):
        yield FLOAT, ("undecided", scores[FLOAT])
    else:
        yield FLOAT, _judged(scores[FLOAT], ROWS)
    yield from _many(EMULATED, scores[EMULATED], "rows", "frame_scores")
    yield from _many(MEASURED, scores[MEASURED], "scores", ROWS)


def _many(kind: str, part: Any, key: str, rows: str) -> Iterator[tuple[str, Judgement]]:
    held = part.get(key) if isinstance(part, dict) else part
    if is_none(held):
        yield kind, ("undecided", str(held))
    elif not isinstance(held, list) or not held:
        yield kind, ("fail", f"it has neither '{key}' nor says why there are none")
    else:
        for number, score in enumerate(held, 1):
            yield f"{kind} {number}" if len(held) > 1 else kind, _judged(score, rows)


def _judged(score: Any, rows_key: str) -> Judgement:
    if not isinstance(score, dict):
        return "fail", "it is no score"
    rows, mean = score.get(rows_key), score.get("mean")
    if rows is None and mean is None and rows_key != ROWS:
        return "undecided", "it is of frames without truth: there is nothing to score"
    if rows is None:  # `lpcv score` and `lpcv emulate` never write the one without the other
        return "fail", f"it has no rows for its frames ('{rows_key}'), which every score has"
    if rows_sha256(rows) != score.get(ROWS_SHA256):
        return "fail", f"its frames' values are not those whose hash stands beside them ({ROWS_SHA256})"
    try:
        return _compared(score, rows, mean)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        return "fail", f"its mean cannot be counted again ({type(error).__name__}: {str(error)[:80]})"


def _compared(score: dict[str, Any], rows: Any, mean: Any) -> Judgement:
    metrics = [key for key in mean if key not in OPTIONAL]
    if not metrics:
        return "fail", "its mean is empty"
    frames = [FrameScore.from_json(row, metrics) for row in rows]
    if len({frame.frame for frame in frames}) != len(frames):
        return "fail", "a frame of it is counted twice"
    counted = mean_score(frames, metrics)
    for key in metrics:
        if not _equal(mean[key], counted.values[key], RELATIVE):
            return "fail", f"its mean {key} is {mean[key]}, its frames give {counted.values[key]}"
    scored = sum(frame.stopped is None for frame in frames)
    if score.get("frames_scored", scored) != scored:
        return "fail", f"it says that {score['frames_scored']} frames were scored, there are {scored}"
    stopped = {frame.frame: frame.stopped for frame in frames if frame.stopped is not None}
    if score.get("frames_stopped", stopped) != stopped:
        return "fail", "it names other frames that could not be scored than its rows do"
    agreed = f"{len(metrics)} means agree with {scored} frames"
    return _intervals(score, frames, metrics, agreed) if INTERVALS in score else ("pass", agreed)


def _intervals(score: dict[str, Any], frames: list[FrameScore], metrics: list[str], agreed: str) -> Judgement:
    """The resamples' seed is part of the method, so the same rows give the same interval."""
    said, method = score[INTERVALS], score.get(INTERVAL_METHOD)
    if method != METHOD:
        return "undecided", f"{agreed}; its intervals are not counted again: this lpcv knows no '{str(method)[:80]}'"
    if set(said) != set(metrics):
        return "fail", "it has intervals of other metrics than means"
    for key in metrics:
        found = column_interval(frames, key)
        ends = (None, None) if said[key] is None else tuple(said[key])
        if len(ends) != 2 or not all(
            _equal(end, value, INTERVAL_RELATIVE) for end, value in zip(ends, found or (None, None), strict=True)
        ):
            return "fail", f"its 95 % interval of {key} is {said[key]}, its frames give {found and list(found)}"
    return "pass", f"{agreed}, and so do their 95 % intervals"


def _equal(said: Any, counted: float | None, relative: float) -> bool:
    if said is None or counted is None:
        return said is None and counted is None
    return not isinstance(said, bool) and math.isclose(float(said), counted, rel_tol=relative, abs_tol=1e-12)


def _measured(scores: Mapping[str, Any], jobs: list[Any]) -> Iterator[Checked]:
    """What is called measured must be of a job in `JOBS` that is no rehearsal; whether it ran, AI Hub alone can say."""
    part = scores.get(MEASURED)
    part = part if isinstance(part, dict) else {}
    real = {str(job.get("job_id")) for job in jobs if isinstance(job, dict) and job.get("rehearsal") is False}
    for key, kind in (("latencies", "latency"), ("scores", "score")):
        rows = part.get(key)
        for row in rows if isinstance(rows, list) else []:
            job = row if kind == "latency" else row.get("job") if isinstance(row, dict) else None
            job_id = str(job.get("job_id")) if isinstance(job, dict) else "nothing"
            if job_id not in real:
                yield Checked(f"{kind}, measured", "fail", f"{job_id} is no job of a device in {JOBS}.")
            elif kind == "latency":
                found = f"{row.get('latency_ms')} ms on {row.get('device')}, job {job_id}: only AI Hub can confirm it"
                yield Checked(f"{kind}, measured", "undecided", found)
