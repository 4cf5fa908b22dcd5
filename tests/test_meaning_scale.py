"""Depth up to one scale: an offset, per-image stretching and cut-off values are each caught by their own finding."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lpcv.contract import CURRENT as CONTRACT
from lpcv.data.folder import FrameFolder, open_folder
from lpcv.data.frame import Frame, Record
from lpcv.submission.check.behaviour import Range, stretching
from lpcv.submission.check.meaning_bend import FrameBend, bend_finding, measure_bend
from lpcv.submission.check.meaning_evidence import NAMES
from lpcv.submission.check.meaning_scale import (
    FrameScale,
    Repair,
    measure_scale,
    official_scores,
    offset_finding,
    saturation_finding,
)
from lpcv.submission.check.preflight import check_model
from meaning_models import (  # noqa: F401 (two fixtures)
    HEIGHT,
    METRES_AT_ONE,
    WIDTH,
    Change,
    by_name,
    depths,
    failed,
    frames,
    recogniser,
    relative,
    scene,
    write_scenes,
)

Map = np.ndarray


def emitter(path: Path, frames: FrameFolder, depths: list[Map], emit: Change) -> Path:
    """A model that gives `emit` of each frame's truth."""
    return recogniser(path, frames, [emit(depth) for depth in relative(depths)])


def stretched(low: float, high: float) -> Change:
    return lambda depth: low + (high - low) * (depth - depth.min()) / (depth.max() - depth.min())


MISTAKES: dict[str, tuple[Change, str]] = {
    "an offset in the output": (lambda depth: depth + 0.15, "no offset"),
    "an offset of its median": (lambda depth: depth + np.median(depth), "no offset"),
    "zero behind the camera": (lambda depth: np.maximum(depth - 0.05, 0.001), "no offset"),
    "stretched to 0 and 1": (stretched(0, 1), "no stretching"),
    "stretched to other ends": (stretched(0.1, 0.7), "no stretching"),
    "stretched, sky at 0": (lambda depth: np.maximum(stretched(-0.1, 1)(depth), 0), "no stretching"),
    "stretched and inverted": (lambda depth: 1 - stretched(0.2, 0.9)(1 / depth), "no stretching"),
    "cut off at 1": (lambda depth: np.minimum(depth * 4, 1), "no saturation"),
    "cut off at 0": (lambda depth: np.maximum(depth - 0.2, 0), "no saturation"),
    "cut off at 1 everywhere": (lambda depth: np.where(depth > 0.1, 1.0, depth), "no saturation"),
}


@pytest.mark.parametrize(
    "emit",
    [
        pytest.param(lambda depth: depth, marks=pytest.mark.slow),
        pytest.param(lambda depth: 0.1 * depth, marks=pytest.mark.slow),
        lambda depth: np.clip(2.4 * depth, 0, 1),
    ],
)
def test_depth_at_any_scale_passes_clean(emit: Change, depths: list[Map], frames: FrameFolder, tmp_path: Path) -> None:
    found = check_model(emitter(tmp_path / "m.onnx", frames, depths, emit), frames)
    assert {one.name: one.found for one in found if one.state != "pass" and one.name in NAMES} == {}


FAST = ("zero behind the camera", "stretched, sky at 0", "cut off at 1 everywhere")


@pytest.mark.parametrize(
    "mistake", [name if name in FAST else pytest.param(name, marks=pytest.mark.slow) for name in MISTAKES]
)
def test_each_mistake_is_caught_by_the_finding_that_names_it(
    mistake: str, depths: list[Map], frames: FrameFolder, tmp_path: Path
) -> None:
    emit, name = MISTAKES[mistake]
    found = check_model(emitter(tmp_path / "m.onnx", frames, depths, emit), frames)
    assert failed(found) == {name}
    offset = by_name(found)["no offset"]
    if name != "no offset":
        assert offset.state == "undecided"
        return
    told = offset.found.split("F-Score ")[1].replace("without it", "").split()
    plain, without, gain = (float(word.strip("(),+")) for word in told)
    assert gain == pytest.approx(without - plain, abs=0.11)
    assert gain > 5
    assert without > 98


@pytest.mark.parametrize(
    "mistake",
    ["an offset in the output", *(pytest.param(name, marks=pytest.mark.slow) for name in (None, "cut off at 1"))],
)
def test_flat_frames_decide_nothing(mistake: str | None, tmp_path: Path) -> None:
    depths = [scene(seed, 2.0, 2.4) for seed in range(3)]
    flat = write_scenes(tmp_path / "flat", depths)
    emit = MISTAKES[mistake][0] if mistake else lambda depth: depth
    found = check_model(emitter(tmp_path / "m.onnx", flat, depths, emit), flat)
    assert {one.state for one in found if one.name in NAMES} == {"undecided"}


def test_an_unmoving_scene_is_not_called_stretched(tmp_path: Path) -> None:
    """Eleven of the 23 real frames show one flat scene: their least and greatest depths hardly differ."""
    depths = [scene(0, 2.0, 2.4)] * 4
    still = write_scenes(tmp_path / "still", depths)
    found = by_name(check_model(emitter(tmp_path / "m.onnx", still, depths, lambda depth: depth), still))
    assert found["no stretching"].state == "pass"


def frame_of(depth_m: Map) -> Frame:
    return Frame("0000", np.zeros((HEIGHT, WIDTH, 3), np.uint8), depth_m, None, Record())


@settings(max_examples=25, deadline=None)
@given(st.floats(0.01, 10), st.floats(-0.5, 3), st.integers(0, 99))
def test_the_offset_is_found_in_the_outputs_own_unit(scale: float, offset_m: float, seed: int) -> None:
    depth = scene(seed)
    found = measure_scale(frame_of(depth), scale * (depth + offset_m))
    assert found is not None
    assert found.offset == pytest.approx(scale * offset_m, abs=2e-3 * scale)
    assert found.error_affine < 1e-3


def test_shrinking_to_the_mean_is_no_offset() -> None:
    """What a weak model does where it is unsure: the best guess given a dim picture, and noise on top of the truth."""
    depth = scene(3)
    noise = np.random.default_rng(5).normal(0, 0.8, depth.shape)
    noisy = measure_scale(frame_of(depth), np.maximum(depth + noise, 0.01))
    unsure = depth + noise
    share = np.var(depth) / np.var(unsure)
    shrunk = measure_scale(frame_of(depth), np.mean(depth) + share * (unsure - np.mean(unsure)))
    assert noisy is not None
    assert abs(noisy.share) < 0.1
    assert shrunk is not None
    assert abs(shrunk.share) < 0.1


def test_of_two_offsets_the_smaller_counts() -> None:
    """Noise makes least squares from output to truth see less of an offset than is there; that is the cautious one."""
    depth = scene(3)
    found = measure_scale(frame_of(depth), depth + 2 + np.random.default_rng(5).normal(0, 0.3, depth.shape))
    assert found is not None
    assert 0.5 < found.offset < 1.9


def evidence(*pairs: tuple[float, float]) -> list[FrameScale]:
    return [FrameScale(str(index), 0, 0, offset, share, 0.3, 0.1) for index, (offset, share) in enumerate(pairs)]


@pytest.mark.parametrize(
    ("pairs", "gain", "state"),
    [
        (((0.1, 0.3), (0.1, 0.2), (0.1, 0.5)), (70.0, 90.0), "fail"),
        (((0.1, 0.3), (0.2, 0.3), (0.9, 0.3)), (70.0, 90.0), "fail"),
        (((-0.1, -0.3), (-0.1, -0.2), (-0.1, -0.5)), (70.0, 90.0), "fail"),
        (((0.1, 0.3), (0.1, 0.2), (0.1, 0.5)), (70.0, 71.0), "pass"),
        (((0.1, 0.3), (0.1, 0.2), (0.1, 0.5)), (70.0, float("nan")), "undecided"),
        (((0.1, 0.3), (-0.1, -0.3), (0.1, 0.3), (-0.1, -0.3)), (70.0, 90.0), "undecided"),
        (((0.01, 0.11), (0.1, 0.3), (0.9, 0.9), (0.5, 2.0)), (70.0, 90.0), "undecided"),
    ],
)
def test_an_offset_fails_where_it_costs_much_on_all_frames_alike(
    pairs: tuple[tuple[float, float], ...], gain: tuple[float, float], state: str
) -> None:
    assert offset_finding(evidence(*pairs), lambda _: gain, "on frames").state == state


def test_a_clamp_is_one_value_on_most_frames() -> None:
    def frames(*most: float) -> list[FrameScale]:
        return [FrameScale(str(at), 0, 0, 0, 0, 0, 0, (0.0, one), (0.0, 0.2)) for at, one in enumerate(most)]

    assert saturation_finding(frames(0.3, 0.3, 0.3), "on frames").state == "fail"
    assert saturation_finding(frames(0.3, 0.3, 0.2), "on frames").state == "fail"
    assert saturation_finding(frames(0.3, 0.3, 0.3), "on frames", stretched=True).state == "pass"
    assert saturation_finding(frames(0.3, 0.2, 0.1), "on frames").state == "pass"  # each its own
    assert saturation_finding(frames(0.3, 0.3, 0.2, 0.2, 0.1), "on frames").state == "pass"


PINNED = [(0.1, middle, 0.9) for middle in (0.3, 0.4, 0.5)]


@pytest.mark.parametrize(
    ("cuts", "at_end", "state"),
    [
        ([(0.5, 3.0), (0.5, 3.0), (0.5, 3.0)], 0.01, "pass"),
        ([(0.5, 3.0), (0.5, 5.0), (0.5, 8.0)], 0.01, "fail"),
        ([(0.3, 3.0), (0.5, 3.0), (0.9, 3.0)], 0.01, "fail"),
        ([(0.5, 3.0), (0.5, 3.3), (0.5, 3.6)], 0.01, "undecided"),
        ([None, None, None], 0.01, "undecided"),
        ([None, None, None], 0.0001, "fail"),
    ],
)
def test_a_clamp_cuts_at_one_depth_and_a_stretch_does_not(
    cuts: list[tuple[float, float] | None], at_end: float, state: str
) -> None:
    ranges = [Range(*one, at_end, cut) for one, cut in zip(PINNED, cuts, strict=True)]
    assert stretching(ranges)[0] == state


def curved(curve: Change, noise: float = 0.0) -> list[FrameBend]:
    found = []
    for seed in range(4):
        depth = scene(seed)
        off = 1 + noise * np.random.default_rng(seed).standard_normal(depth.shape).astype(np.float32)
        bend = measure_bend(frame_of(depth), curve(depth) * off)
        assert bend is not None
        found.append(bend)
    return found


CURVED: dict[str, Change] = {
    "log depth": lambda depth: 0.1 * np.log(depth) + 0.3, "log(1 + depth)": lambda depth: 0.2 * np.log1p(depth),
    "the square root of depth": np.sqrt, "the square of depth": lambda depth: depth**2 / 20,
    "a constant minus 1 / depth": lambda depth: 1 - 0.3 / depth,
}  # fmt: skip


@pytest.mark.parametrize("curve", CURVED)
def test_a_curve_is_named_and_undone(curve: str) -> None:
    """The repair gives depth back, up to one scale."""
    evidence = curved(CURVED[curve])
    asked = []

    def gain(repairs: dict[str, Repair]) -> tuple[float, float]:
        asked.append(repairs)
        return 70.0, 90.0

    found = bend_finding(evidence, gain, "on frames")
    assert found.state == "fail"
    assert found.found.startswith(f"bent: {curve}: ")
    assert len(found.worst) == 3
    depth = scene(0)
    straight = evidence[0].unbend(curve)(CURVED[curve](depth))
    np.testing.assert_allclose(straight / np.median(straight), depth / np.median(depth), rtol=0.02)
    assert bend_finding(evidence, lambda _: (70.0, 71.0), "on frames").state == "pass"
    assert bend_finding(evidence, lambda _: (70.0, float("nan")), "on frames").state == "undecided"


@pytest.mark.parametrize("straight", [lambda depth: depth, lambda depth: depth + 1, lambda depth: 0.1 * depth - 0.02])
@pytest.mark.parametrize("noise", [0.0, 0.3])
def test_a_line_is_no_curve_whatever_its_offset_and_noise(straight: Change, noise: float) -> None:
    def never(_: object) -> tuple[float, float]:
        raise AssertionError("the official score takes seconds")

    assert bend_finding(curved(straight, noise), never, "on frames").state == "pass"


def test_a_small_offset_is_not_scored() -> None:
    def never(_: object) -> tuple[float, float]:
        raise AssertionError("the official score takes seconds")

    assert offset_finding(evidence((0.01, 0.02), (0.02, 0.05), (0.0, 0.0)), never, "on frames").state == "pass"


def test_the_official_score_where_confidence_is_unknown() -> None:
    depth = scene(1)
    full = cv2.resize(depth, (WIDTH, HEIGHT), interpolation=cv2.INTER_NEAREST)
    plain, without = official_scores(frame_of(depth), full + 1, lambda output: output - 1)
    assert without > 99
    assert plain < without - 5


@pytest.mark.slow
@pytest.mark.parametrize(
    ("emit", "expected"),
    [
        (lambda depth: depth, set()),
        (lambda depth: 0.2 / (depth * METRES_AT_ONE), {"depth direction"}),
        (lambda depth: 1 - depth, {"depth direction"}),
        (lambda depth: depth[:, ::-1], {"left-right"}),
        (lambda depth: depth[::-1], {"up-down"}),
        (lambda depth: depth[::-1, ::-1], {"left-right", "up-down"}),
        (lambda depth: depth + 0.3 * np.median(depth), {"no offset"}),
        (lambda depth: depth + 0.2, {"no offset"}),
        (stretched(0.1, 0.9), {"no stretching"}),
        (lambda depth: np.minimum(depth * 8, 1), {"no saturation"}),
        (lambda depth: cv2.resize(np.ascontiguousarray(np.rot90(depth)), (WIDTH, HEIGHT)), {"not on its side"}),
    ],
)
def test_real_frames_tell_the_same(emit: Change, expected: set[str], reference_data: Path, tmp_path: Path) -> None:
    """On all 23 of them, eleven of which are flat."""
    real = open_folder(reference_data / "lpcvc_sample")
    maps = []
    for frame in real:
        assert frame.depth_m is not None
        full = cv2.resize(frame.depth_m, CONTRACT.image_size, interpolation=cv2.INTER_NEAREST)
        full[full == 0] = np.median(full[full > 0])
        maps.append(np.clip(emit(full / METRES_AT_ONE), 0, 1))
    assert failed(check_model(recogniser(tmp_path / "m.onnx", real, maps), real)) == expected
