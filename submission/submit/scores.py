"""What of a bundle's scores stands in the list of submissions: float, emulated and measured, never in one place."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..bundle.layout import EMULATED, FLOAT, MEASURED

KINDS = (FLOAT, EMULATED, MEASURED)
Summary = dict[str, list[dict[str, Any]]]


def summary(scores: Mapping[str, Any]) -> Summary:
    """Each kind's scores, an empty list where there is none.

    scores: the bundle's `scores.json`; what is absent is a text there ("none: ...")
    """
    one, emulated, measured = scores[FLOAT], scores[EMULATED], scores[MEASURED]["scores"]
    return {
        FLOAT: [_score(one)] if isinstance(one, Mapping) else [],
        EMULATED: [_row(emulated, row) for row in emulated["rows"]] if isinstance(emulated, Mapping) else [],
        MEASURED: [_score(each, job=each["job"]["job_id"], device=each["job"].get("device")) for each in measured]
        if isinstance(measured, list)
        else [],
    }


def cell(told: Any, kind: str) -> str:
    """One kind's scores in a table: "71.25 on 24 frames"; several stand below each other."""
    found = told.get(kind) if isinstance(told, dict) else None
    return "\n".join(map(_text, found or [])) or "none"


def _score(score: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    """Of what `lpcv score` wrote."""
    return {
        "f_score": _f_score(score),
        "frames": score.get("frames_scored"),
        "frames_trained_on": score.get("frames_trained_on"),
        "protocol": score.get("protocol"),
        "data_sha256": score.get("data_sha256"),
        **more,
    }


def _row(emulated: Mapping[str, Any], row: Mapping[str, Any]) -> dict[str, Any]:
    """Of what `lpcv emulate` wrote, one precision."""
    frames = row.get("frames")
    return {
        "f_score": _f_score(row),
        "frames": len(frames) if isinstance(frames, list) else None,
        "precision": row.get("precision"),
        "device": emulated.get("device"),
        "protocol": emulated.get("protocol"),
        "data_sha256": emulated.get("data_sha256"),
    }


def _f_score(told: Mapping[str, Any]) -> float | None:
    mean = told.get("mean")
    return mean.get("f_score") if isinstance(mean, Mapping) else None


def _text(one: Mapping[str, Any]) -> str:
    score, frames, trained = one.get("f_score"), one.get("frames"), one.get("frames_trained_on")
    said = "not scored" if score is None else f"{score:.2f}"
    said += f" on {frames} frames" if frames is not None else ""
    said += f", {trained} trained on" if trained else ""
    return said + (f" ({one['precision']})" if one.get("precision") else "")
