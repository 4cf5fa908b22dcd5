"""A comparison as tables, sentences, JSON and picture."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from itertools import combinations
from typing import Any

import numpy as np

from ..console import note, result, table
from ..data.frame import Rgb
from . import statistics
from .compare import BETTER, WORSE, Against, Compared, against, paired
from .footprint import Footprint, Latency
from .metrics import FACTS
from .numbers import interval_text, number, unit_and_direction, with_interval
from .result import Score
from .scatter import scatter
from .show import remarks, told
from .statistics import Interval


def show(models: Sequence[Compared], machine: Mapping[str, Any], on_what: str) -> None:
    """The tables on stdout, the baseline first; explanations on stderr."""
    labels = [model.label for model in models]
    cpu = f"{machine['cpu']}, {machine['cores']} cores, ONNX Runtime {machine['onnxruntime']}"
    title = f"Cost; times measured on THIS CPU ({cpu}), one frame at a time: median [10 %, 90 %]"
    if any(model.footprint for model in models):
        table(title, ("", *labels), _cost_rows(models))
    for index, score in enumerate(models[0].scores):
        protocol = score.protocol
        rows = [
            (
                _name(key, protocol.ranks),
                unit_and_direction(key),
                *(_mean_cell(model.scores[index], key) for model in models),
            )
            for key in protocol.metrics
        ]
        table(f"{on_what}, protocol {protocol.name}: mean, 95 % interval", ("metric", "unit; better", *labels), rows)
        result(told(protocol))
        for model in models:
            for line in remarks(model.scores[index]):
                note(f"{model.label}: {line}")
        for model in models[1:]:
            _show_differences(model, models[0], index)
    for index, score in enumerate(models[0].scores):
        for baseline, model in combinations(models[1:], 2):  # the baseline's own pairs stand above
            result(sentence(against(model.scores[index], baseline.scores[index])[score.protocol.ranks], model.label,
                            baseline.label))  # fmt: skip
    if len(models[0].scores[0].frames) < statistics.FEW_FRAMES:
        note(f"Fewer than {statistics.FEW_FRAMES} frames: the intervals are too narrow.")
    note("Each interval holds for one metric of one pair, and for frames that are independent (a video's are not).")


def sentence(found: Against, model: str, baseline: str) -> str:
    """The verdict in words, e.g. "B is better than A by 0.80 f_score, 95 % [0.20, 1.50] (over 24 frames)"."""
    if found.difference is None:
        return f"{found.verdict}: no frame has a value of {found.metric} from both {baseline} and {model}"
    frames = found.difference.frames
    left_out = f"; {found.left_out} left out, where either has no value" if found.left_out else ""
    over = f" (over {frames} frame{'' if frames == 1 else 's'}{left_out})"
    interval = _interval(found)
    real = found.verdict in (BETTER, WORSE)
    if real and found.difference.mean < 0 and interval:  # "better by" and "worse by" take a size
        amount = _amount(found.metric, -found.difference.mean, (-interval[1], -interval[0]))
    else:
        amount = _amount(found.metric, found.difference.mean, interval)
    if real:
        return f"{model} is {found.verdict} than {baseline} by {amount}{over}"
    return f"{found.verdict}: {model} - {baseline} is {amount}{over}"


def _amount(metric: str, mean: float, interval: Interval | None) -> str:
    ends = f", 95 % {interval_text(metric, interval)}" if interval else ""
    return f"{number(metric, mean)} {metric}{ends}"


def _interval(found: Against) -> Interval | None:
    if found.difference is None or found.difference.low is None or found.difference.high is None:
        return None
    return found.difference.low, found.difference.high


def picture(models: Sequence[Compared]) -> Rgb:
    """One scatter beside the other: each model against the baseline, first protocol's ranking metric, per frame."""
    return np.hstack([_panel(model, models[0]) for model in models[1:]])


def _panel(model: Compared, baseline: Compared) -> Rgb:
    ours, theirs = model.scores[0], baseline.scores[0]
    metric = ours.protocol.ranks
    labels = (baseline.label, model.label)
    return scatter(paired(ours, theirs, metric), labels, metric, FACTS[metric].unit, FACTS[metric].better)


def _cost_rows(models: Sequence[Compared]) -> list[tuple[str, ...]]:
    def row(name: str, cell: Callable[[Footprint], str]) -> tuple[str, ...]:
        costs = [(model.footprint, model.why_no_footprint) for model in models]
        return (name, *(cell(cost) if cost else f"n/a ({why})" for cost, why in costs))

    return [
        row("parameters", lambda cost: f"{cost.parameters:,}"),
        row("file, MB", lambda cost: f"{cost.file_bytes / 1e6:.2f}"),
        row("CPU, one core", lambda cost: _time(cost.one_core)),
        row("frames a second", lambda cost: _speed(cost.one_core)),
        row("CPU, all cores", lambda cost: _time(cost.all_cores)),
        row("frames a second", lambda cost: _speed(cost.all_cores)),
    ]


def _time(latency: Latency | None) -> str:
    if latency is None:
        return "not timed"
    return f"{latency.median_ms:.1f} ms [{latency.p10_ms:.1f}, {latency.p90_ms:.1f}], {latency.runs} runs"


def _speed(latency: Latency | None) -> str:
    return "not timed" if latency is None else f"{latency.frames_per_second:.1f}"


def _name(key: str, ranks: str) -> str:
    return f"{key} (ranks)" if key == ranks else key


def _mean_cell(score: Score, key: str) -> str:
    return with_interval(key, score.mean.values[key], score.intervals[key])


def _show_differences(model: Compared, baseline: Compared, index: int) -> None:
    ranks = model.scores[index].protocol.ranks
    found = against(model.scores[index], baseline.scores[index])
    columns = ("metric", "difference, 95 % interval", "frames", "left out", "verdict")
    rows = [
        (_name(key, ranks), _difference_cell(each), str(_frames(each)), str(each.left_out), each.verdict)
        for key, each in found.items()
    ]
    table(f"{model.label} - {baseline.label}, paired by frame", columns, rows)
    result(sentence(found[ranks], model.label, baseline.label))


def _difference_cell(found: Against) -> str:
    if found.difference is None:
        return "n/a"
    return with_interval(found.metric, found.difference.mean, _interval(found))


def _frames(found: Against) -> int:
    return found.difference.frames if found.difference else 0


def as_json(models: Sequence[Compared], environment: Mapping[str, Any]) -> dict[str, Any]:
    """All that was compared. Latencies stand apart from scores: they belong to the machine in `environment`."""
    baseline = models[0]
    return {
        "baseline": baseline.label,
        "data_sha256": baseline.scores[0].data_sha256,
        "interval": {
            "level": statistics.LEVEL,
            "method": statistics.METHOD,
            "assumes": "independent frames; each interval holds for one metric of one pair",
            "least_frames": statistics.LEAST_FRAMES,
        },
        "models": {each.label: _model_json(each) for each in models},
        "protocols": {
            score.protocol.name: _protocol_json(models, index) for index, score in enumerate(baseline.scores)
        },
        "latency_on_this_cpu": {
            "environment": dict(environment),
            "models": {
                each.label: {
                    "one_core": found.one_core.as_json() if found and found.one_core else None,
                    "all_cores": found.all_cores.as_json() if found and found.all_cores else None,
                }
                for each in models
                for found in (each.footprint,)
            },
        },
    }


def _model_json(model: Compared) -> dict[str, Any]:
    found, score = model.footprint, model.scores[0]
    return {
        "source": score.source,
        "source_kind": score.kind,
        "source_sha256": score.source_sha256,
        "frames_trained_on": score.trained_on,
        "parameters": found.parameters if found else None,
        "file_bytes": found.file_bytes if found else None,
        "why_no_footprint": model.why_no_footprint,
    }


def _protocol_json(models: Sequence[Compared], index: int) -> dict[str, Any]:
    baseline = models[0].scores[index]
    return {
        "described": dict(baseline.protocol.described()),
        "ranks": baseline.protocol.ranks,
        "scores": {model.label: _score_json(model.scores[index]) for model in models},
        "differences": {
            model.label: {key: _against_json(each) for key, each in against(model.scores[index], baseline).items()}
            for model in models[1:]
        },
    }


def _score_json(score: Score) -> dict[str, Any]:
    return {
        "frames_scored": len(score.frames) - len(score.stopped),
        "frames_stopped": {frame.frame: frame.stopped for frame in score.stopped},
        "mean": {key: _mean_json(score, key) for key in score.protocol.metrics},
        "per_frame": {frame.frame: dict(frame.values) for frame in score.frames},
    }


def _mean_json(score: Score, metric: str) -> dict[str, Any]:
    low, high = score.intervals[metric] or (None, None)
    found = {"mean": score.mean.values[metric], "low": low, "high": high}
    return {**found, "reason": score.mean.reasons[metric]} if metric in score.mean.reasons else found


def _against_json(found: Against) -> dict[str, Any]:
    numbers = asdict(found.difference) if found.difference else {"mean": None, "low": None, "high": None, "frames": 0}
    return {**numbers, "frames_left_out": found.left_out, "verdict": found.verdict}
