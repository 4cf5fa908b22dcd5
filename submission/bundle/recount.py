"""Whether the means in `scores.json` are those of the frames beside them.

This catches a mean that was changed alone. Who changes frames, means and hashes together is not caught by any file in
the bundle, since its manifest is not signed: only scoring the model again shows it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from ...evaluate.frame_score import OPTIONAL, FrameScore, mean_score
from .layout import EMULATED, FLOAT, MEASURED, is_none
from .scores import ROWS, ROWS_SHA256, rows_sha256

RELATIVE = 1e-9  # numpy's sums may be ordered otherwise elsewhere


def recounted(scores: Any) -> Iterator[tuple[str, str, str]]:
    """(which score, "pass" or "fail" or "undecided", what was found), for each that there is."""
    if not isinstance(scores, dict) or set(scores) != {FLOAT, EMULATED, MEASURED}:
        yield "scores", "fail", f"there are not the three kinds {FLOAT}, {EMULATED} and {MEASURED}"
        return
    if is_none(scores[FLOAT]):
        yield FLOAT, "undecided", scores[FLOAT]
    else:
        yield FLOAT, *_judged(scores[FLOAT], ROWS)
    yield from _many(EMULATED, scores[EMULATED], "rows", "frame_scores")
    yield from _many(MEASURED, scores[MEASURED], "scores", ROWS)


def _many(kind: str, part: Any, key: str, rows: str) -> Iterator[tuple[str, str, str]]:
    held = part.get(key) if isinstance(part, dict) else part
    if is_none(held):
        yield kind, "undecided", str(held)
    elif not isinstance(held, list) or not held:
        yield kind, "fail", f"it has neither '{key}' nor says why there are none"
    else:
        for number, score in enumerate(held, 1):
            yield f"{kind} {number}" if len(held) > 1 else kind, *_judged(score, rows)


def _judged(score: Any, rows_key: str) -> tuple[str, str]:
    if not isinstance(score, dict):
        return "fail", "it is no score"
    rows, mean = score.get(rows_key), score.get("mean")
    if rows is None:
        return "undecided", "it has no rows for its frames, so its mean cannot be counted again"
    if rows_sha256(rows) != score.get(ROWS_SHA256):
        return "fail", f"its frames' values are not those whose hash stands beside them ({ROWS_SHA256})"
    try:
        return _compared(score, rows, mean)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        return "fail", f"its mean cannot be counted again ({type(error).__name__}: {str(error)[:80]})"


def _compared(score: dict[str, Any], rows: Any, mean: Any) -> tuple[str, str]:
    metrics = [key for key in mean if key not in OPTIONAL]
    if not metrics:
        return "fail", "its mean is empty"
    frames = [FrameScore.from_json(row, metrics) for row in rows]
    counted = mean_score(frames, metrics)
    for key in metrics:
        if not _equal(mean[key], counted.values[key]):
            return "fail", f"its mean {key} is {mean[key]}, its frames give {counted.values[key]}"
    scored = sum(frame.stopped is None for frame in frames)
    if score.get("frames_scored", scored) != scored:
        return "fail", f"it says that {score['frames_scored']} frames were scored, there are {scored}"
    return "pass", f"{len(metrics)} means agree with {scored} frames"


def _equal(said: Any, counted: float | None) -> bool:
    if said is None or counted is None:
        return said is None and counted is None
    return not isinstance(said, bool) and math.isclose(float(said), counted, rel_tol=RELATIVE, abs_tol=1e-12)
