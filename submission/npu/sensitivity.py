"""Which layers quantizing hurts: each alone in integers, and each alone kept in 16 bits, in official F-Score.

Models are made one after the other from ranges measured once, and computed by ONNX Runtime as they are written. What
has been scored is kept by content below the hub folder's htp/sensitivity/, so an interrupted analysis goes on.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ... import __version__
from ...console import Meter, note, track
from ...data.folder import FrameFolder
from ...errors import Interrupted
from ...evaluate.kinds import demand_kind
from ...evaluate.official import OFFICIAL
from ...evaluate.predictions import OnnxModel
from ...evaluate.score import demand_needs
from ...evaluate.statistics import Difference, paired_difference
from ...files import append_line
from ...hub_folder import HubFolder
from ...hub_jobs.precisions import Precision
from ...hub_jobs.quantize.calibration import Calibrated, calibrate
from ...hub_jobs.quantize.layers import Layer, layers
from ...hub_jobs.quantize.prepare import Prepared, prepare
from ...hub_jobs.quantize.quantizer import assemble
from ...hub_jobs.quantize.variants import alone, kept_in_16_bits
from ...machine import usable_cores
from ...onnx_session import onnxruntime_version, open_session
from .fit import Calibration, shared_frames
from .frames import Pictures, picture_size

COMPARED = 2  # frames on which all layers' changes of the output are compared
ROUNDING = 1e-9  # of a score out of 100
WORTH = 3  # layers that the picture names, and that are proposed for 16 bits

Values = dict[str, float | None]  # frame -> F-Score


@dataclass(frozen=True)
class LayerCost:
    """One layer. change: mean absolute change of the output when it alone is quantized, on COMPARED frames.

    alone, kept: F-Score by frame with this layer alone in integers, and with it alone in 16 bits; None where that was
    not computed. cost: float minus alone; regained: kept minus everything in integers; None where a frame has no score
    """

    layer: Layer
    change: float
    alone: Values | None = None
    kept: Values | None = None
    cost: Difference | None = None
    regained: Difference | None = None

    def as_json(self) -> dict[str, Any]:
        return {
            "layer": self.layer.name,
            "op_type": self.layer.op_type,
            "nodes": list(self.layer.nodes),
            "weights": self.layer.weights,
            "mean_output_change": self.change,
            "f_score_alone": self.alone,
            "f_score_kept_in_16_bits": self.kept,
            "cost": self.cost and dict(vars(self.cost)),
            "regained_in_16_bits": self.regained and dict(vars(self.regained)),
        }


@dataclass(frozen=True)
class Sensitivity:
    """costs: scored layers, the costliest first; unscored: the others, those that change the output most first.

    exact, quantized: F-Score by frame of the float model, and of all layers in integers
    both: frames both scored and calibrated with
    """

    model: Path
    precision: Precision
    frames: FrameFolder
    calibrated: Calibrated
    exact: Values
    quantized: Values
    costs: tuple[LayerCost, ...]
    unscored: tuple[LayerCost, ...]
    both: tuple[str, ...] = ()

    @property
    def comparable(self) -> bool:
        """Whether a layer's cost can be known: not where the float model itself has no score on a frame."""
        return None not in self.exact.values()

    @property
    def worst(self) -> tuple[LayerCost, ...]:
        """Of the scored layers the three that cost most, or fewer where not three cost anything.

        Without a cost stands foremost the layer that alone leaves a frame without a score.
        """
        costing = [one for one in self.costs if one.cost is None or one.cost.mean > ROUNDING]
        return tuple(costing[:WORTH]) if self.comparable else ()

    @property
    def worth_keeping(self) -> tuple[str, ...]:
        """The layers, three at most, whose 16 bits regain most; only those of which the interval excludes 0."""
        sure = [one for one in self.costs if one.regained is not None and one.regained.real and one.regained.mean > 0]
        ordered = sorted(sure, key=lambda one: -one.regained.mean if one.regained else 0.0)
        return tuple(one.layer.name for one in ordered[:WORTH])

    def as_json(self) -> dict[str, Any]:
        frames = self.calibrated.frames
        return {
            "model": str(self.model),
            "model_sha256": self.calibrated.prepared.source_sha256,
            "precision": self.precision,
            "data": str(self.frames.root),
            "data_sha256": self.frames.fingerprint(),
            "frames": list(self.frames.names),
            "protocol": OFFICIAL.name,
            "computed_by": f"onnxruntime {onnxruntime_version()} on the CPU, graph as written",
            "calibration": {"frames": list(frames.names), "sha256": frames.sha256, "seed": frames.seed},
            "frames_both_scored_and_calibrated_with": list(self.both),
            "f_score_float": self.exact,
            "f_score_quantized": self.quantized,
            "layers": [one.as_json() for one in self.costs],
            "layers_not_scored": [one.as_json() for one in self.unscored],
        }


def analyse(model: Path, frames: FrameFolder, precision: Precision, calibration: Calibration, most: int) -> Sensitivity:
    """Score the `most` layers that change the output most, each alone in integers and (w8a8) each alone in 16 bits.

    frames: with truth and confidence; they are scored
    Raises InputError where model or frames cannot be used, Interrupted on Ctrl-C.
    """
    demand_needs(frames, OFFICIAL)
    prepared = prepare(model, sixteen_bits=True)  # all variants in one operator set, so that only bits differ
    picture_size(prepared.source, prepared.input_shape)
    calibrated = calibrate(prepared, calibration.frames, samples=calibration.samples, seed=calibration.seed)
    every = layers(prepared)
    changes = _changes(calibrated, every, precision, frames)
    ranked = sorted(zip(every, changes, strict=True), key=lambda pair: -pair[1] if np.isfinite(pair[1]) else -np.inf)
    if len(ranked) > most:
        note(f"Scoring the {most} of {len(ranked)} layers that change the output most; --layers scores more of them.")
    sixteen = precision == "w8a8"
    kept = _Kept(HubFolder().htp / "sensitivity", frames, prepared)
    scored = []
    total = 2 + min(most, len(ranked)) * (1 + sixteen)
    try:
        with Meter("scoring variants", total) as meter:
            exact = kept.scores(None, meter)
            quantized = kept.scores(assemble(calibrated, precision), meter)
            for layer, change in ranked[:most]:
                by_itself = kept.scores(alone(calibrated, layer, precision), meter)
                wide = kept.scores(kept_in_16_bits(calibrated, layer), meter) if sixteen else None
                scored.append(LayerCost(
                    layer, change, by_itself, wide, _difference(exact, by_itself),
                    None if wide is None else _difference(wide, quantized),
                ))  # fmt: skip
    except KeyboardInterrupt:
        said = f"Stopped; {len(scored)} of {min(most, len(ranked))} layers are scored and kept."
        raise Interrupted(said, "Type the command again to go on.") from None
    scored.sort(key=lambda one: -one.cost.mean if one.cost else -np.inf)
    rest = tuple(LayerCost(layer, change) for layer, change in ranked[most:])
    both = shared_frames(frames, calibration.frames, calibrated.frames.names)
    return Sensitivity(prepared.source, precision, frames, calibrated, exact, quantized, tuple(scored), rest, both)


@dataclass(frozen=True)
class _Kept:
    """Scores of models made from one, by content: one line of a file for each, FRAMES.jsonl."""

    root: Path
    frames: FrameFolder
    prepared: Prepared

    @property
    def _path(self) -> Path:
        described = json.dumps(dict(OFFICIAL.described()), sort_keys=True)
        decisive = [self.frames.fingerprint(), described, __version__, onnxruntime_version()]
        return self.root / f"{hashlib.sha256(json.dumps(decisive).encode()).hexdigest()[:32]}.jsonl"

    def scores(self, content: bytes | None, meter: Meter) -> Values:
        """F-Score of each frame; from the file where this very model has been scored before.

        content: the .onnx, None for the float model itself, which may keep weights in other files
        """
        digest = self.prepared.source_sha256 if content is None else hashlib.sha256(content).hexdigest()
        found = self._read().get(digest)
        if found is None:
            found = self._score(content)
            self.root.mkdir(parents=True, exist_ok=True)
            append_line(self._path, json.dumps({"model": digest, "f_score": found}))
        meter.advance()
        return found

    def _score(self, content: bytes | None) -> Values:
        model = OnnxModel.open(self.prepared.source, threads=1)
        if content is not None:
            model = replace(model, session=open_session(content, 1))
        demand_kind(model.kind, OFFICIAL.weakest_kind, f"protocol {OFFICIAL.name}")

        def one(name: str) -> tuple[str, float | None]:
            frame = self.frames.frame(name)
            return name, OFFICIAL.score(frame, model.predict(name, frame.rgb), model.kind).values[OFFICIAL.ranks]

        with ThreadPoolExecutor(usable_cores()) as pool:
            return dict(pool.map(one, self.frames.names))

    def _read(self) -> dict[str, Values]:
        if not self._path.is_file():
            return {}
        found: dict[str, Values] = {}
        for line in self._path.read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                told = json.loads(line)
                if set(told["f_score"]) == set(self.frames.names):
                    found[told["model"]] = told["f_score"]
            except (ValueError, LookupError, TypeError):  # a crash cut it short: that model is scored again
                continue
        return found


def _changes(calibrated: Calibrated, every: Sequence[Layer], precision: Precision, frames: FrameFolder) -> list[float]:
    """How much each layer alone changes the output, on average over a few frames."""
    prepared = calibrated.prepared
    size = picture_size(prepared.source, prepared.input_shape)
    feed = Pictures(frames, size)
    inputs = [{prepared.input_name: feed.array(name)} for name in frames.names[:COMPARED]]
    session = open_session(prepared.source)
    wanted = [np.asarray(session.run(None, given)[0], np.float64) for given in inputs]
    changes = []
    for layer in track(list(every), "comparing layers"):
        made = open_session(alone(calibrated, layer, precision))
        gaps = [
            np.abs(np.asarray(made.run(None, given)[0]) - exact) for given, exact in zip(inputs, wanted, strict=True)
        ]
        changes.append(float(np.mean([gap.mean() for gap in gaps])))
    return changes


def _difference(ours: Values, baseline: Values) -> Difference | None:
    pairs = [(ours[name], baseline[name]) for name in ours]
    known = [(one, other) for one, other in pairs if one is not None and other is not None]
    if len(known) < len(pairs):
        return None
    return paired_difference([one for one, _ in known], [other for _, other in known])
