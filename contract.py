"""The competition's rules, one frozen object per edition; imports nothing of ours.

Every number of the rules stands here once, with its unit and its source. Where the rules are silent the value is None
and the reason stands beside it. A later edition is one more object in `EDITIONS`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

RULES = "LPCVC 2025 Track 3, rules page"
SAMPLE = "lpcvai/25LPCVC_Track3_Sample_Solution"
GUIDE = "lpcvai/25LPCVC_AIHub_Guide"
SCORER = "lpcvai/25LPCVC_Evaluations, Track_3/evaluate_track3.py @ 1ed2ac6"

Matrix3 = tuple[tuple[float, float, float], tuple[float, float, float], tuple[float, float, float]]


@dataclass(frozen=True)
class Fact:
    """A value of the rules with its unit and source; a None value carries the reason for its absence."""

    value: Any
    unit: str
    source: str
    reason: str | None = None

    def __post_init__(self) -> None:
        if not self.source:
            raise ValueError("a fact of the rules needs a source")
        if (self.value is None) != (self.reason is not None):
            raise ValueError("a fact has a reason exactly where it has no value")


@dataclass(frozen=True)
class Edition:
    """One edition of the competition: plain values here, unit and source of each in `facts`."""

    name: str
    input_name: str
    output_name: str
    image_size: tuple[int, int]
    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...]
    tensor_dtype: str
    input_range: tuple[float, float]
    output_range: tuple[float, float]
    colour_order: str
    input_normalised: bool
    output_kind: str
    output_direction: str
    depth_size: tuple[int, int]
    depth_unit_m: float
    latency_budget_ms: float
    latency_field: str
    devices: tuple[str, ...]
    target_runtime: str
    profile_options: str
    inference_options: str | None
    sharing_address: str
    test_images: int
    max_depth_m: float | None
    closing_date: str | None
    over: bool
    intrinsics_px: Matrix3
    intrinsics_image_size: tuple[int, int]
    pixel_confidence: int
    cloud_confidence: int
    cloud_confidence_fallback: int
    zero_replacement_m: float
    thresholds_m: tuple[float, float]
    no_match_share: float
    delta_base: float
    ranking_metric: str
    facts: Mapping[str, Fact]

    @classmethod
    def of(cls, **facts: Fact) -> Edition:
        """Build an edition from one `Fact` per field. Raises ValueError where a field is missing or unknown."""
        expected = {field.name for field in fields(cls)} - {"facts"}
        if expected != set(facts):
            raise ValueError(f"fields without a fact, or facts without a field: {sorted(expected ^ set(facts))}")
        return cls(**{name: fact.value for name, fact in facts.items()}, facts=facts)

    def as_json(self) -> dict[str, dict[str, Any]]:
        """Name -> value, unit, source, and the reason where there is no value."""
        return {name: dict(vars(fact)) for name, fact in self.facts.items()}


LPCVC_2025 = Edition.of(
    name=Fact("lpcvc-2025", "", RULES),
    input_name=Fact("image", "", SAMPLE),
    output_name=Fact("output_0", "", f"{GUIDE}, run_inference.py; {SAMPLE}, demo_run.py: both read this name"),
    image_size=Fact((640, 480), "pixels, (width, height)", RULES),
    input_shape=Fact((1, 3, 480, 640), "(batch, channel, row, column)", RULES),
    output_shape=Fact((1, 1, 480, 640), "(batch, channel, row, column)", RULES),
    tensor_dtype=Fact("float32", "", RULES),
    input_range=Fact((0.0, 255.0), "8-bit intensity", RULES),
    output_range=Fact((0.0, 1.0), "relative depth, without unit", RULES),
    colour_order=Fact("RGB", "", RULES),
    input_normalised=Fact(False, "", f"{RULES}: normalisation belongs inside the model"),
    output_kind=Fact("relative_depth", "depth up to one scale per image", f"{SCORER}: one median ratio, no shift"),
    output_direction=Fact("near to far", "small values are near", RULES),
    depth_size=Fact((256, 192), "pixels, (width, height)", f"{RULES}: iPhone LiDAR through ARKit"),
    depth_unit_m=Fact(0.001, "metres per count of the uint16 depth PNG; 0 = no measurement", SCORER),
    latency_budget_ms=Fact(34.0, "milliseconds per frame", f"{RULES}: 30 frames a second"),
    latency_field=Fact("execution_summary.estimated_inference_time", "microseconds", GUIDE),
    devices=Fact(("Samsung Galaxy S24 (Family)",), "AI Hub device names", SAMPLE),
    target_runtime=Fact("tflite", "", f"{GUIDE}: --target_runtime tflite"),
    profile_options=Fact("--max_profiler_iterations 20", "AI Hub options", "25LPCVC_Evaluations, run_profile.py"),
    inference_options=Fact(None, "AI Hub options", RULES, "the rules name none for inference jobs"),
    sharing_address=Fact("lowpowervision@gmail.com", "e-mail address", RULES),
    test_images=Fact(2000, "images: 500 each of indoor/outdoor x normal/low light", RULES),
    max_depth_m=Fact(None, "metres", RULES, "the rules give no range of depth; the scale is taken from the truth"),
    closing_date=Fact(None, "date", RULES, "not recorded in our sources"),
    over=Fact(True, "", "the second- and third-place teams' published solutions name their final places"),
    intrinsics_px=Fact(
        ((1591.1095, 0.0, 945.64465), (0.0, 1591.1095, 722.8234), (0.0, 0.0, 1.0)),
        "pixels of a 1920x1440 image, NOT rescaled to 640x480 by the scorer",
        f"{SCORER}, K",
    ),
    intrinsics_image_size=Fact((1920, 1440), "pixels, (width, height)", "ARKit's capture format, to which K belongs"),
    pixel_confidence=Fact(1, "least confidence of the pixel metrics", f"{SCORER}, compute_errors"),
    cloud_confidence=Fact(2, "confidence of the point clouds", f"{SCORER}, compute_errors"),
    cloud_confidence_fallback=Fact(1, "confidence where no pixel has the one above", f"{SCORER}, compute_errors"),
    zero_replacement_m=Fact(1e-5, "metres; replaces zeros of truth and prediction", f"{SCORER}, evaluate_track3"),
    thresholds_m=Fact((0.1, 0.2), "metres; F-Score and IoU, the first one ranks", f"{SCORER}, metrics_pointcloud"),
    no_match_share=Fact(1e-3, "both shares below it: F and IoU are the precision", f"{SCORER}, _metrics_pointcloud"),
    delta_base=Fact(1.25, "ratio; delta1, delta2, delta3 use its first three powers", f"{SCORER}, compute_errors"),
    ranking_metric=Fact("f_score", "", RULES),
)  # fmt: skip

EDITIONS = {edition.name: edition for edition in (LPCVC_2025,)}
CURRENT = LPCVC_2025  # the edition that everything else reads
