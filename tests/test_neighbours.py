"""Nearest neighbours: the bits of the plain loop over all pairs, by either path, whatever the clouds look like."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from lpcv.data.frame import Frame, Record
from lpcv.errors import InputError
from lpcv.evaluate import neighbours, neighbours_torch, official, tiles
from lpcv.evaluate.neighbours import BothWays, both_ways, nearest_distances, on_device
from lpcv.evaluate.official import GEOMETRY, OFFICIAL
from lpcv.evaluate.pointcloud import cloud_of, official_rays, pixel_rays
from lpcv.evaluate.protocols import named
from scipy.spatial import KDTree

Points = npt.NDArray[np.float32]
Draw = np.random.Generator
BOTH_PATHS: dict[str, BothWays] = {"tiles": tiles.nearest_both_ways, "torch": neighbours_torch.nearest_both_ways}
ON_GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no CUDA device here")


def all_pairs(one: Points, other: Points) -> tuple[Points, Points]:
    """The definition: sqrt of the least (dx * dx + dy * dy) + dz * dz, each step rounded to float32."""
    from_one, from_other = np.full(len(one), np.inf, np.float32), np.full(len(other), np.inf, np.float32)
    with np.errstate(over="ignore", under="ignore"):
        for k, point in enumerate(one):
            dx, dy, dz = (point - other).T
            squares = (dx * dx + dy * dy) + dz * dz
            from_one[k] = squares.min()
            from_other = np.minimum(from_other, squares)
    return np.sqrt(from_one), np.sqrt(from_other)


def assert_bits(found: tuple[Points, Points], expected: tuple[Points, Points]) -> None:
    for mine, theirs in zip(found, expected, strict=True):
        assert mine.dtype == np.float32
        np.testing.assert_array_equal(mine, theirs)


# Clouds


def in_front(draw: Draw, count: int) -> npt.NDArray[Any]:
    """What a camera sees: any direction, 1 to 5 m."""
    z = draw.uniform(1, 5, (count, 1))
    return np.hstack([draw.uniform(-0.6, 0.6, (count, 2)) * z, z])


def around(draw: Draw, count: int) -> npt.NDArray[Any]:
    return draw.normal(0, 2, (count, 3))


def lattice(draw: Draw, count: int) -> npt.NDArray[Any]:
    """Many duplicates and many ties, zero and negative z among them."""
    return draw.integers(-2, 3, (count, 3)).astype(float)


def behind(draw: Draw, count: int) -> npt.NDArray[Any]:
    return in_front(draw, count) * -1


def collinear(draw: Draw, count: int) -> npt.NDArray[Any]:
    return draw.uniform(1, 4, (count, 1)) * np.array([[0.3, -0.2, 1.0]])


def coplanar(draw: Draw, count: int) -> npt.NDArray[Any]:
    return in_front(draw, count) * [1, 1, 0] + [0, 0, draw.choice([-1.5, 0, 2.5])]


def one_place(draw: Draw, count: int) -> npt.NDArray[Any]:
    return np.repeat(around(draw, 1), count, axis=0)


def of_every_size(draw: Draw, count: int) -> npt.NDArray[Any]:
    return draw.choice([-1, 1], (count, 3)) * 10.0 ** draw.uniform(-5, 6, (count, 3))


def two_heaps(draw: Draw, count: int) -> npt.NDArray[Any]:
    return in_front(draw, count) + draw.choice([0.0, 1e4], (count, 1))


def scaled(by: float) -> Callable[[Draw, int], npt.NDArray[Any]]:
    return lambda draw, count: (in_front, around)[draw.integers(2)](draw, count) * by


SHAPES: dict[str, Callable[[Draw, int], npt.NDArray[Any]]] = {
    **{make.__name__: make for make in (in_front, around, lattice, behind, collinear, coplanar, one_place)},
    **{make.__name__: make for make in (of_every_size, two_heaps)},
    "1e-5": scaled(1e-5),
    "1e6": scaled(1e6),
    "squares_underflow": scaled(1e-25),
    "squares_overflow": scaled(1e20),
    "differences_overflow": scaled(2e37),
}
EDGES = (1, 2, 3, 31, 32, 33, 63, 64, 65, 127, 128, 129, 255, 256, 257, 512, 513)  # of tiles, runs and fans
sizes = st.sampled_from(EDGES) | st.integers(1, 200)


def cloud(shape: str, seed: int, count: int) -> Points:
    return SHAPES[shape](np.random.default_rng(seed), count).astype(np.float32)


def surfaces(height: int, width: int, noise: float, rays: Points, trusted: float = 1.0) -> tuple[Points, Points]:
    """A room's clouds on shared rays: a smooth truth, and a prediction of it with `noise`."""
    draw = np.random.default_rng((height, width))
    y, x = np.mgrid[:height, :width] / max(height, width)
    truth = (2 + x + 0.5 * np.sin(7 * y) + (x > 0.6)).astype(np.float32)
    pred = truth * draw.lognormal(0, noise, truth.shape).astype(np.float32) + np.float32(0.02)
    mask = draw.random(truth.shape) < trusted
    return cloud_of(pred, mask, rays), cloud_of(truth, mask, rays)


# The same bits


@pytest.mark.parametrize("path", BOTH_PATHS)
@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(sorted(SHAPES)), st.sampled_from(sorted(SHAPES)), st.booleans(), sizes, sizes, st.integers(0, 999)
)
def test_equals_the_loop_over_all_pairs(
    path: str, shape: str, other_shape: str, alike: bool, count: int, other_count: int, seed: int
) -> None:
    one, other = cloud(shape, seed, count), cloud(shape if alike else other_shape, seed + 1, other_count)
    assert_bits(BOTH_PATHS[path](one, other), all_pairs(one, other))


any_points = arrays(
    np.float32,
    st.tuples(st.integers(1, 40), st.just(3)),
    elements=st.floats(width=32, allow_nan=False, allow_infinity=False),
    fill=st.nothing(),
)


@pytest.mark.parametrize("path", BOTH_PATHS)
@settings(max_examples=60, deadline=None)
@given(any_points, any_points)
@example(np.array([[0, 1, 1e-40]], np.float32), np.array([[0, 1, 1e-40], [0, 2, 3]], np.float32))
@example(np.array([[1, 1, 1e-40]], np.float32), np.array([[2, 2, 1e-40]], np.float32))
@example(np.array([[3e38, 0, 1]], np.float32), np.array([[-3e38, 0, 1], [0, -0.0, 0]], np.float32))
def test_any_finite_numbers_will_do(path: str, one: Points, other: Points) -> None:
    assert_bits(BOTH_PATHS[path](one, other), all_pairs(one, other))


@pytest.mark.parametrize("path", BOTH_PATHS)
@pytest.mark.parametrize("rays", [official_rays, pixel_rays])
@pytest.mark.parametrize("noise", [0.0, 0.003, 0.08, 1.0])
def test_equals_the_loop_on_surfaces(path: str, rays: Callable[[int, int], Points], noise: float) -> None:
    for height, width, trusted in ((48, 64, 1.0), (41, 33, 0.6)):
        pred, truth = surfaces(height, width, noise, rays(height, width), trusted)
        assert_bits(BOTH_PATHS[path](pred, truth), all_pairs(pred, truth))


@pytest.mark.parametrize("path", BOTH_PATHS)
def test_clouds_far_apart(path: str) -> None:
    near, far = cloud("in_front", 1, 300), cloud("in_front", 2, 400) + np.array([5000, -3000, 1e5], np.float32)
    assert_bits(BOTH_PATHS[path](near, far), all_pairs(near, far))


@pytest.mark.slow
@pytest.mark.parametrize("path", BOTH_PATHS)
@pytest.mark.parametrize("shape", SHAPES)
def test_every_size_against_every_size(path: str, shape: str) -> None:
    for seed, count in enumerate((*EDGES, 1000, 1025)):
        for other_count in (*EDGES, 1000, 1025):
            one, other = cloud(shape, seed, count), cloud(shape, seed + 1, other_count)
            assert_bits(BOTH_PATHS[path](one, other), all_pairs(one, other))


@pytest.mark.parametrize("noise", [0.003, 0.08])
def test_thirty_thousand_points(noise: float) -> None:
    """More than three levels of boxes; against a k-d tree, which computes in float64."""
    pred, truth = surfaces(150, 200, noise, official_rays(150, 200))
    from_pred, from_truth = found = both_ways(pred, truth)
    np.testing.assert_allclose(from_pred, KDTree(truth).query(pred)[0], rtol=1e-6)
    np.testing.assert_allclose(from_truth, KDTree(pred).query(truth)[0], rtol=1e-6)
    assert_bits(neighbours_torch.nearest_both_ways(pred, truth), found)


@ON_GPU
@pytest.mark.parametrize("shape", SHAPES)
def test_a_gpu_gives_the_same_bits(shape: str) -> None:
    for count, other_count in ((1, 257), (513, 33), (3000, 2000)):
        one, other = cloud(shape, 1, count), cloud(shape, 2, other_count)
        assert_bits(on_device("cuda")(one, other), all_pairs(one, other))


@ON_GPU
def test_a_gpu_gives_the_same_bits_on_a_whole_frame() -> None:
    pred, truth = surfaces(480, 640, 0.03, official_rays(480, 640))
    assert_bits(on_device("cuda")(pred, truth), both_ways(pred, truth))


# What must not matter


@pytest.mark.parametrize("path", BOTH_PATHS)
@settings(max_examples=15, deadline=None)
@given(st.sampled_from(sorted(SHAPES)), sizes, sizes, st.integers(0, 999))
def test_order_and_sides_do_not_matter(path: str, shape: str, count: int, other_count: int, seed: int) -> None:
    one, other = cloud(shape, seed, count), cloud(shape, seed + 1, other_count)
    from_one, from_other = BOTH_PATHS[path](one, other)
    assert_bits(BOTH_PATHS[path](other, one), (from_other, from_one))
    draw = np.random.default_rng(seed)
    shuffled, reshuffled = draw.permutation(count), draw.permutation(other_count)
    permuted = BOTH_PATHS[path](one[shuffled], other[reshuffled])
    assert_bits(permuted, (from_one[shuffled], from_other[reshuffled]))


@pytest.mark.parametrize("path", BOTH_PATHS)
def test_a_cloud_lies_on_itself(path: str) -> None:
    for shape in SHAPES:
        points = cloud(shape, 3, 300)
        nothing = np.zeros(300, np.float32)
        assert_bits(BOTH_PATHS[path](points, points), (nothing, nothing))


@pytest.mark.parametrize("path", BOTH_PATHS)
def test_threads_do_not_disturb_each_other(path: str) -> None:
    pairs = [surfaces(20 + k, 30, 0.05, official_rays(20 + k, 30)) for k in range(12)]
    expected = [all_pairs(*pair) for pair in pairs]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda pair: BOTH_PATHS[path](*pair), pairs * 4))
    for each, wanted in zip(found, expected * 4, strict=True):
        assert_bits(each, wanted)


@pytest.mark.parametrize("path", BOTH_PATHS)
def test_the_clouds_are_left_as_they_were(path: str) -> None:
    one, other = cloud("in_front", 1, 700), cloud("in_front", 2, 900)
    before = one.copy(), other.copy()
    BOTH_PATHS[path](one, other)
    assert_bits((one, other), before)


@pytest.mark.parametrize("path", BOTH_PATHS)
def test_the_layout_in_memory_does_not_matter(path: str) -> None:
    one, other = cloud("in_front", 1, 140), cloud("in_front", 2, 90)
    wide = np.zeros((280, 4), np.float32)
    wide[::2, 1:] = one
    upside_down = np.asfortranarray(other[::-1])[::-1]
    assert not wide[::2, 1:].flags.c_contiguous
    assert not upside_down.flags.c_contiguous
    assert_bits(BOTH_PATHS[path](wide[::2, 1:], upside_down), all_pairs(one, other))


# Clouds that are not finite


def test_a_point_at_infinity_is_far_from_all_and_nobodys_neighbour() -> None:
    truth = np.array([[0, 0, 1], [0, 0, 2], [-np.inf, 0, 3]], np.float32)
    pred = np.array([[0, 0, 1.5], [0, 0, np.inf]], np.float32)
    from_pred, from_truth = nearest_distances(pred, truth)
    assert from_pred.tolist() == [0.5, np.inf]
    assert from_truth.tolist() == [0.5, 0.5, np.inf]
    nowhere = np.full((2, 3), np.inf, np.float32)
    assert_bits(nearest_distances(nowhere, truth), (nowhere[:, 0], np.full(3, np.inf, np.float32)))
    assert_bits(nearest_distances(nowhere, nowhere), (nowhere[:, 0], nowhere[:, 0]))


@pytest.mark.parametrize("nan_in", [0, 1])
def test_a_nan_spoils_both_clouds(nan_in: int) -> None:
    clouds = np.array([[[0, 0, 1.5], [0, 0, 1]], [[0, 0, 1], [0, 0, np.inf]]], np.float32)
    clouds[nan_in, 1, 1] = np.nan
    from_one, from_other = nearest_distances(clouds[0], clouds[1])
    assert np.isnan(from_one).all()
    assert np.isnan(from_other).all()


def test_the_search_sees_finite_points_only() -> None:
    seen: list[tuple[int, int]] = []

    def search(one: Points, other: Points) -> tuple[Points, Points]:
        assert np.isfinite(one).all()
        assert np.isfinite(other).all()
        seen.append((len(one), len(other)))
        return all_pairs(one, other)

    one, other = cloud("in_front", 1, 30), cloud("in_front", 2, 20)
    expected = all_pairs(one[1:], other[:-2])
    one[0, 0], other[-2:, 2] = np.inf, -np.inf
    from_one, from_other = nearest_distances(one, other, search)
    assert_bits((from_one[1:], from_other[:-2]), expected)
    one[:] = np.inf
    nearest_distances(one, other, search)  # nothing is left to be searched
    assert seen == [(29, 18)]


# Which path


def test_numba_is_the_path_where_it_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> Any:
        raise AssertionError

    monkeypatch.setattr(neighbours_torch, "nearest_both_ways", refuse)
    both_ways(cloud("in_front", 1, 3), cloud("in_front", 2, 4))
    assert on_device("cpu") is both_ways


def test_without_numba_torch_gives_the_same_bits_and_says_so_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*_: Any) -> Any:
        raise AssertionError

    one, other = cloud("in_front", 1, 300), cloud("in_front", 2, 200)
    expected = both_ways(one, other)
    monkeypatch.setattr(neighbours, "find_spec", lambda name: None)
    monkeypatch.setattr(neighbours, "_told", False)
    monkeypatch.setattr(tiles, "nearest_both_ways", refuse)
    for _ in range(3):
        assert_bits(both_ways(one, other), expected)
    told = capsys.readouterr()
    assert told.err.count("\n") == 1
    assert "numba is not installed" in told.err
    assert told.out == ""


@pytest.mark.parametrize(
    "device",
    [
        "nonsense",
        "",
        "cuda:99",
        pytest.param("cuda", marks=pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")),
    ],
)
def test_a_device_that_is_not_there(device: str) -> None:
    for ask in (on_device, lambda name: official.on_device(OFFICIAL, name)):
        with pytest.raises(InputError, match="There is no device") as caught:
            ask(device)
        assert f"'{device}'" in caught.value.problem
        assert "--device cpu" in caught.value.remedy


def test_a_protocol_on_a_device_gives_the_same_score() -> None:
    draw = np.random.default_rng(4)
    depth = draw.uniform(1, 4, (12, 16)).astype(np.float32)
    frame = Frame("x", np.zeros((12, 16, 3), np.uint8), depth, np.full((12, 16), 2, np.uint8), Record())
    prediction = depth * draw.lognormal(0, 0.1, depth.shape).astype(np.float32)
    for protocol in (OFFICIAL, GEOMETRY):
        by_torch = official.on_device(protocol, "cpu:0")  # a torch device wherever torch is
        assert by_torch.score is not protocol.score
        assert by_torch.described() == protocol.described()
        assert by_torch.score(frame, prediction, "depth_m") == protocol.score(frame, prediction, "depth_m")
        assert official.on_device(protocol, "cpu") is protocol
    assert official.on_device(named("nyuv2"), "cuda:99") is named("nyuv2")  # it has no clouds


def test_without_a_folder_for_machine_code_it_is_compiled_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """A read-only installation for a user without a home: numba then refuses to cache."""
    asked = []

    def refuses(**options: Any) -> Any:
        asked.append(options)
        if options.get("cache"):
            raise RuntimeError("cannot cache function: no locator available")
        return lambda function: function

    monkeypatch.setattr(tiles, "njit", refuses)
    assert tiles._compiled(len) is len
    assert asked == [{"cache": True, "nogil": True}, {"nogil": True}]
