"""Parts of a frame against a plain loop; groups of frames from the manifest."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lpcv.data.folder import open_folder
from lpcv.data.images import write_png
from lpcv.errors import InputError
from lpcv.evaluate import breakdown
from lpcv.evaluate.breakdown import BANDS, LEVELS, PARTS, group_means, labels_of, part_means, parts_of
from lpcv.evaluate.frame_score import FrameScore
from lpcv.evaluate.statistics import mean_interval

Array = npt.NDArray[Any]
EDGES = [0.0, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, math.inf]


def by_loop(truth: Array, pred: Array, confidence: Array | None, counted: Array | None) -> dict[str, dict[str, float]]:
    """The definition, pixel by pixel: nothing shared with the code under test but the names of the parts."""
    members: dict[str, list[tuple[float, float]]] = {}
    for at in np.ndindex(truth.shape):
        if truth[at] <= np.float32(1e-5) if counted is None else not counted[at]:
            continue
        pair = (float(truth[at]), float(pred[at]))
        if counted is not None or confidence is None or confidence[at] >= 1:
            band = next(index for index in range(8) if EDGES[index] <= pair[0] < EDGES[index + 1])
            members.setdefault(BANDS[band], []).append(pair)
        if confidence is not None:
            members.setdefault(f"confidence {confidence[at]}", []).append(pair)
    return {
        part: {
            "pixels": len(rows),
            "abs_rel": sum(abs(t - p) / t for t, p in rows) / len(rows),
            "rmse": math.sqrt(sum((t - p) ** 2 for t, p in rows) / len(rows)),
            "mae": sum(abs(t - p) for t, p in rows) / len(rows),
            "delta1": sum(max(t / p, p / t) < 1.25 for t, p in rows) / len(rows),
        }
        for part, rows in members.items()
    }


def a_frame(seed: int, shape: tuple[int, int], far: float = 60.0) -> tuple[Array, Array, Array, Array]:
    """Truth over all bands, a prediction, confidence, and the pixels with a measurement."""
    random = np.random.default_rng(seed)
    truth = np.exp(random.uniform(math.log(0.1), math.log(far), shape)).astype(np.float32)
    holes = random.random(shape) < 0.2
    truth[holes] = 1e-5
    pred = (truth * random.uniform(0.6, 1.6, shape)).astype(np.float32)
    return truth, pred, random.integers(0, 3, shape, np.uint8), ~holes


@settings(max_examples=40)
@given(st.integers(0, 2**32 - 1), st.tuples(st.integers(1, 9), st.integers(1, 9)), st.booleans(), st.booleans())
def test_the_parts_are_those_of_a_plain_loop(seed: int, shape: tuple[int, int], known: bool, official: bool) -> None:
    truth, pred, confidence, valid = a_frame(seed, shape)
    found = parts_of(truth, pred, confidence if known else None, None if official else valid)
    expected = by_loop(truth, pred, confidence if known else None, None if official else valid)
    assert set(found) == set(expected)
    for part, numbers in expected.items():
        assert found[part] == pytest.approx(numbers, rel=2e-5)


def test_a_frame_of_several_blocks_is_that_of_a_plain_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(breakdown, "BLOCK", 64)
    truth, pred, confidence, valid = a_frame(7, (23, 31))
    found = parts_of(truth, pred, confidence, valid)
    for part, numbers in by_loop(truth, pred, confidence, valid).items():
        assert found[part] == pytest.approx(numbers, rel=2e-5)


def test_every_part_has_its_place_and_the_pixels_add_up() -> None:
    truth, pred, confidence, valid = a_frame(1, (60, 80))
    for counted, in_bands in ((None, valid & (confidence >= 1)), (valid, valid)):
        found = parts_of(truth, pred, confidence, counted)
        assert tuple(found) == PARTS
        assert sum(found[part]["pixels"] for part in LEVELS) == valid.sum()
        assert sum(found[part]["pixels"] for part in BANDS) == in_bands.sum()
    without = parts_of(truth, pred, None, valid)
    assert tuple(without) == BANDS
    assert sum(without[part]["pixels"] for part in BANDS) == valid.sum()


@pytest.mark.parametrize("edge", breakdown.BAND_EDGES_M)
def test_an_edge_belongs_to_the_band_above(edge: float) -> None:
    at = breakdown.BAND_EDGES_M.index(edge)
    for number in (np.float32, np.float64):
        below = np.nextafter(number(edge), number(0))
        for depth, band in ((below, BANDS[at]), (number(edge), BANDS[at + 1])):
            truth = np.array([[depth]], number)
            assert list(parts_of(truth, truth, None, np.array([[True]]))) == [band]


def test_the_names_of_the_bands_say_their_edges() -> None:
    assert BANDS == (
        "truth below 0.5 m", "truth 0.5-1 m", "truth 1-2 m", "truth 2-4 m", "truth 4-8 m", "truth 8-16 m",
        "truth 16-32 m", "truth 32 m and more",
    )  # fmt: skip
    assert LEVELS == ("confidence 0", "confidence 1", "confidence 2")


def test_empty_parts_are_absent() -> None:
    truth = np.full((4, 5), 1.5, np.float32)
    confidence = np.full((4, 5), 2, np.uint8)
    perfect = {"pixels": 20, "abs_rel": 0.0, "rmse": 0.0, "mae": 0.0, "delta1": 1.0}
    assert parts_of(truth, truth, confidence, truth > 0) == {"truth 1-2 m": perfect, "confidence 2": perfect}
    assert parts_of(truth, truth, confidence, truth > 9) == {}


def test_holes_are_in_no_part_and_low_confidence_in_no_band_unless_it_counts() -> None:
    truth = np.array([[1e-5, 1.5, 3.0, 3.0]], np.float32)
    pred = np.array([[9.0, 1.5, 3.0, 6.0]], np.float32)
    confidence = np.array([[2, 2, 1, 0]], np.uint8)
    every = np.array([[False, True, True, True]])
    for counted, pixels, mae in ((None, 1, 0.0), (every, 2, 1.5)):
        found = parts_of(truth, pred, confidence, counted)
        assert {part: numbers["pixels"] for part, numbers in found.items()} == {
            "truth 1-2 m": 1, "truth 2-4 m": pixels, "confidence 0": 1, "confidence 1": 1, "confidence 2": 1,
        }  # fmt: skip
        assert found["confidence 0"]["abs_rel"] == 1.0
        assert found["truth 2-4 m"]["mae"] == mae


def test_what_is_not_finite_is_left_out_of_its_own_part_alone() -> None:
    truth = np.array([[1.5, 1.5, 3.0, 6.0]], np.float32)
    pred = np.array([[np.nan, 1.5, 3.0, np.inf]], np.float32)
    found = parts_of(truth, pred, np.array([[2, 2, 1, 0]], np.uint8), truth > 0)
    assert found["truth 1-2 m"] == {"pixels": 2, "delta1": 0.5}
    assert found["truth 2-4 m"]["rmse"] == 0.0
    assert found["truth 4-8 m"] == {"pixels": 1, "delta1": 0.0}
    assert "rmse" not in found["confidence 0"]
    json.dumps(found, allow_nan=False)


def test_the_arrays_may_be_views_and_are_not_changed() -> None:
    truth, pred, confidence, valid = a_frame(3, (20, 30))
    before = [each.copy() for each in (truth, pred, confidence, valid)]
    turned = parts_of(truth.T, pred.T, confidence.T, valid.T)
    straight = parts_of(truth, pred, confidence, valid)
    assert set(turned) == set(straight)
    for part, numbers in straight.items():
        assert turned[part] == pytest.approx(numbers, rel=1e-9)
    assert all((one == other).all() for one, other in zip(before, (truth, pred, confidence, valid), strict=True))


def scored(frame: str, value: float | None, **parts: dict[str, float]) -> FrameScore:
    return FrameScore(frame, {"abs_rel": value}, parts={name.replace("_", " "): part for name, part in parts.items()})


def test_part_means_count_every_frame_alike_and_stand_in_order() -> None:
    full = {"pixels": 100, "abs_rel": 0.2, "rmse": 1.0, "mae": 0.5, "delta1": 0.5}
    few = {"pixels": 2, "abs_rel": 0.4, "rmse": 3.0, "mae": 1.5, "delta1": 1.0}
    means = part_means([scored("0", 1.0, confidence_2=full), scored("1", 1.0, confidence_2=few, confidence_1=few)])
    assert list(means) == ["confidence 1", "confidence 2"]
    assert means["confidence 1"] == {"frames": 1, **few}
    assert means["confidence 2"] == pytest.approx(
        {"frames": 2, "pixels": 102, "abs_rel": 0.3, "rmse": 2.0, "mae": 1.0, "delta1": 0.75}
    )


def test_a_part_that_is_not_finite_in_one_frame_has_no_mean() -> None:
    fine = {"pixels": 1, "abs_rel": 0.2, "rmse": 1.0, "mae": 0.5, "delta1": 0.5}
    means = part_means([scored("0", 1.0, confidence_2=fine), scored("1", 1.0, confidence_2={"pixels": 3, "delta1": 0})])
    assert means["confidence 2"] == {
        "frames": 2, "pixels": 4, "abs_rel": None, "rmse": None, "mae": None, "delta1": 0.25,
    }  # fmt: skip
    assert part_means([FrameScore.stop("0", ("abs_rel",), "no pixel")]) == {}


def test_group_means_are_those_of_their_frames_with_the_stopped_counted() -> None:
    scores = [scored("0", 1.0), scored("1", 3.0), scored("2", 5.0), FrameScore.stop("3", ("abs_rel",), "why")]
    groups = group_means(scores, {"0": "b", "1": "a", "2": "b", "3": "b"}, ("abs_rel",), "abs_rel")
    assert list(groups) == ["a", "b"]
    assert (groups["a"].frames, groups["a"].stopped, groups["a"].mean.values["abs_rel"]) == (1, 0, 3.0)
    assert (groups["b"].frames, groups["b"].stopped, groups["b"].mean.values["abs_rel"]) == (3, 1, 3.0)


def test_a_group_of_enough_frames_has_an_interval() -> None:
    scores = [scored(f"{index}", float(index)) for index in range(8)] + [FrameScore.stop("x", ("abs_rel",), "why")]
    labels = {score.frame: "a" if score.frame < "6" or score.frame == "x" else "b" for score in scores}
    groups = group_means(scores, labels, ("abs_rel",), "abs_rel")
    assert groups["a"].interval == mean_interval([0.0, 1.0, 2.0, 3.0, 4.0, 5.0])
    assert groups["b"].interval is None


def test_a_group_with_nothing_but_stopped_frames_says_so() -> None:
    groups = group_means([FrameScore.stop("0", ("abs_rel",), "why")], {"0": "a"}, ("abs_rel",), "abs_rel")
    assert groups["a"].mean.values["abs_rel"] is None
    assert "no frame could be scored" in groups["a"].mean.reasons["abs_rel"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("0000", "0001", "0002"):
        write_png(tmp_path / "image" / f"{name}.png", np.zeros((6, 8, 3), np.uint8))
    manifest = [
        {"frame": "0000", "place": "indoor", "light": "low", "licence": "CC0-1.0", "weather": "rain"},
        {"frame": "0001", "place": "outdoor"},
    ]
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    return tmp_path


@pytest.mark.parametrize(
    ("key", "labels"),
    [
        (None, ["indoor, low light", "outdoor, unknown light", "unknown place, unknown light"]),
        ("condition", ["indoor, low light", "outdoor, unknown light", "unknown place, unknown light"]),
        ("place", ["indoor", "outdoor", "unknown"]),
        ("light", ["low", "unknown", "unknown"]),
        ("licence", ["CC0-1.0", "unknown", "unknown"]),
        ("weather", ["rain", "unknown", "unknown"]),
    ],
)
def test_frames_are_labelled_by_the_manifest(folder: Path, key: str | None, labels: list[str]) -> None:
    assert labels_of(open_folder(folder), key) == dict(zip(("0000", "0001", "0002"), labels, strict=True))


@pytest.mark.parametrize("key", ["camera", "intrinsics", "extra", ""])
def test_an_unknown_key_names_those_there_are(folder: Path, key: str) -> None:
    with pytest.raises(InputError, match="condition, licence, light, place, source, weather"):
        labels_of(open_folder(folder), key)
