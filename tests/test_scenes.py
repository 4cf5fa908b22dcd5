"""The synthetic scenes: exact geometry, the same bytes for the same seed, and data worth learning from."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lpcv.data.frame import Intrinsics, Level
from lpcv.data.images import read_confidence, read_depth_m, read_rgb
from lpcv.data.synthetic.make import camera_intrinsics, choose_scene, frame_paths, make_frame, make_scenes
from lpcv.data.synthetic.raycast import Seen, cast, light, look
from lpcv.data.synthetic.scene import Camera, Lamp, Scene
from lpcv.data.synthetic.scenes import conditions, draw_scene
from lpcv.data.synthetic.sensor import RANGE_M, depth_edges, judge_confidence, measure_depth, photograph
from lpcv.data.synthetic.shapes import Box, Cylinder, Rectangle, Shape, Sphere
from lpcv.data.synthetic.textures import PATTERNS, Material, paint
from lpcv.data.synthetic.view import View, scaled
from lpcv.errors import InputError

GREY = Material((0.5, 0.5, 0.5))
AHEAD = ((0.0, 0.0, 0.0), (0.0, 1.0, 0.0))
SIZE = (64, 48)
LENS = Intrinsics(60.0, 60.0, 31.5, 23.5)
LEVEL = Camera((0.0, 0.0, 1.0), 0.0, 0.0, 0.0)


def _first_hit(shape: Shape, origin: tuple[float, ...], direction: tuple[float, ...]) -> float:
    ray = tuple(np.array([d], np.float32) for d in direction)
    return float(shape.intersect(origin, ray)[0])  # pyright: ignore[reportArgumentType]


def _scene(shell: tuple[Shape, ...], objects: tuple[Shape, ...] = (), lamps: tuple[Lamp, ...] = ()) -> Scene:
    return Scene("indoor", "normal", shell, objects, lamps, (0.1, 0.1, 0.1), LEVEL)


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        (Rectangle((-1, 3, -1), (2, 0, 0), (0, 0, 2), GREY), 3.0),
        (Rectangle((1, 3, -1), (2, 0, 0), (0, 0, 2), GREY), math.inf),
        (Rectangle((-1, -3, -1), (2, 0, 0), (0, 0, 2), GREY), math.inf),
        (Box((0, 5, 0), (1, 0.5, 1), 0.0, GREY), 4.5),
        (Box((0, 5, 0), (1, 1, 1), math.pi / 4, GREY), 5 - math.sqrt(2)),
        (Box((0, 5, 0), (0.2, 3, 1), math.pi / 2, GREY), 4.8),
        (Box((0, -5, 0), (1, 1, 1), 0.0, GREY), math.inf),
        (Sphere((0, 4, 0), 0.75, GREY), 3.25),
        (Sphere((0.6, 4, 0), 1.0, GREY), 3.2),
        (Sphere((1.1, 4, 0), 1.0, GREY), math.inf),
        (Cylinder((0, 4, -1), 0.5, 2.0, GREY), 3.5),
        (Cylinder((0, 4, 0.1), 0.5, 2.0, GREY), math.inf),
    ],
)
def test_a_ray_straight_ahead_hits_at_the_known_distance(shape: Shape, expected: float) -> None:
    assert _first_hit(shape, *AHEAD) == pytest.approx(expected, abs=1e-5)


def test_a_cylinder_is_entered_through_the_lid_that_faces_the_origin() -> None:
    post = Cylinder((0, 0, 0), 0.5, 2.0, GREY)
    assert _first_hit(post, (0.1, 0.2, 5.0), (0.0, 0.0, -1.0)) == pytest.approx(3.0)
    assert _first_hit(post, (0.1, 0.2, -1.0), (0.0, 0.0, 1.0)) == pytest.approx(1.0)
    # Down at a slant of 1 in 1: over the rim at x = -0.5 the ray is at 2.3, and meets the lid at x = -0.2.
    assert _first_hit(post, (-2.5, 0.0, 4.3), (1.0, 0.0, -1.0)) == pytest.approx(2.3, abs=1e-5)


SHAPES = st.sampled_from(
    [
        Box((0.2, 4.0, 1.1), (0.5, 0.7, 0.4), 0.6, GREY),
        Sphere((0.1, 3.0, 0.9), 0.8, GREY),
        Cylinder((-0.1, 3.5, 0.2), 0.6, 1.5, GREY),
        Rectangle((-2.0, 3.0, -1.0), (4.0, 1.0, 0.0), (0.0, 0.0, 4.0), GREY),
    ]
)


@settings(max_examples=40, deadline=None)
@given(SHAPES, st.floats(-0.4, 0.4), st.floats(-0.4, 0.4))
def test_hits_lie_on_the_surface_and_normals_face_the_ray(shape: Shape, x: float, z: float) -> None:
    origin = (0.0, 0.0, 1.0)
    t = _first_hit(shape, origin, (x, 1.0, z))
    if not math.isfinite(t):
        return
    point = tuple(np.array([o + t * d], np.float32) for o, d in zip(origin, (x, 1.0, z), strict=True))
    low, high = shape.bounds()
    assert all(a - 1e-4 <= p[0] <= b + 1e-4 for a, p, b in zip(low, point, high, strict=True))
    nx, ny, nz = (float(n[0]) for n in shape.surface(point).normal)  # pyright: ignore[reportArgumentType]
    assert math.hypot(nx, ny, nz) == pytest.approx(1, abs=1e-4)
    if not isinstance(shape, Rectangle):
        assert nx * x + ny + nz * z < 1e-3
    if isinstance(shape, Sphere):
        assert math.dist([float(p[0]) for p in point], shape.centre) == pytest.approx(shape.radius, abs=1e-4)


def test_a_frontal_wall_has_one_depth_although_its_rays_differ_in_length() -> None:
    wall = Rectangle((-9.0, 2.5, -9.0), (18.0, 0.0, 0.0), (0.0, 0.0, 18.0), GREY)
    depth_m, index = cast([wall], View.of(LEVEL, LENS, SIZE))
    assert depth_m.dtype == np.float32
    assert depth_m.shape == (48, 64)
    np.testing.assert_allclose(depth_m, 2.5, rtol=1e-5)
    assert (index == 0).all()


def test_the_floor_has_the_depth_of_perspective() -> None:
    floor = Rectangle((-50.0, -50.0, 0.0), (100.0, 0.0, 0.0), (0.0, 100.0, 0.0), GREY)
    depth_m, _ = cast([floor], View.of(LEVEL, LENS, SIZE))
    rows = np.arange(25, 48)
    np.testing.assert_allclose(depth_m[25:, 10], 1.0 * LENS.fy / (rows - LENS.cy), rtol=1e-4)
    assert np.isinf(depth_m[:23]).all()


def test_projecting_and_unprojecting_agree_and_match_the_cast_depth() -> None:
    camera = Camera((0.3, -1.0, 1.4), 0.4, -0.3, 0.05)
    view = View.of(camera, LENS, SIZE)
    floor = Rectangle((-50.0, -50.0, 0.0), (100.0, 0.0, 0.0), (0.0, 100.0, 0.0), GREY)
    depth_m, _ = cast([floor], view)
    for column, row in ((5, 40), (32, 30), (60, 47)):
        point = view.unproject(column, row, float(depth_m[row, column]))
        assert point[2] == pytest.approx(0, abs=1e-4)
        assert view.project(point) == pytest.approx((column, row, depth_m[row, column]), abs=1e-3)


def test_yaw_turns_left_and_pitch_looks_up() -> None:
    left = View.of(Camera((0, 0, 0), math.pi / 2, 0, 0), LENS, SIZE)
    assert left.project((-2.0, 0.0, 0.0)) == pytest.approx((LENS.cx, LENS.cy, 2.0), abs=1e-6)
    up = View.of(Camera((0, 0, 0), 0, math.pi / 4, 0), LENS, SIZE)
    assert up.project((0.0, 1.0, 1.0)) == pytest.approx((LENS.cx, LENS.cy, math.sqrt(2)), abs=1e-6)


def test_culling_by_projected_bounds_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    scenes = [(draw_scene(4, index), camera_intrinsics()) for index in range(4)]
    views = [(scene, View.of(scene.camera, scaled(lens, 0.2), (128, 96))) for scene, lens in scenes]
    culled = [cast(scene.shapes, view)[0] for scene, view in views]
    monkeypatch.setattr(View, "window", lambda self, shape: (slice(None), slice(None)))
    for (scene, view), depth_m in zip(views, culled, strict=True):
        np.testing.assert_array_equal(depth_m, cast(scene.shapes, view)[0])


def test_the_depth_map_and_the_photograph_share_one_camera() -> None:
    lens = camera_intrinsics()
    small = scaled(lens, 256 / 640)
    # The left and the right edge of both images lie on the same rays.
    assert (-0.5 - lens.cx) / lens.fx == pytest.approx((-0.5 - small.cx) / small.fx)
    assert (639.5 - lens.cx) / lens.fx == pytest.approx((255.5 - small.cx) / small.fx)


def test_shadow_falls_behind_what_stands_in_the_light() -> None:
    floor = Rectangle((-20.0, -20.0, 0.0), (40.0, 0.0, 0.0), (0.0, 40.0, 0.0), GREY)
    ball = Sphere((0.0, 4.0, 2.5), 0.5, GREY)
    lamp = Lamp((0.0, 4.0, 4.5), (1.0, 1.0, 1.0), 5.0, 0.01)
    scene, bare = _scene((floor,), (ball,), (lamp,)), _scene((floor,), (), (lamp,))
    view = View.of(LEVEL, LENS, SIZE)
    with_ball, without = (light(s, view, look(s, view)) for s in (scene, bare))
    column, row, _ = (round(value) for value in view.project((0.0, 4.0, 0.0)))
    beside, *_ = (round(value) for value in view.project((2.0, 4.0, 0.0)))
    assert with_ball[row, column, 0] < 0.4 * without[row, column, 0]
    assert with_ball[row, beside, 0] == pytest.approx(without[row, beside, 0], rel=1e-4)


def test_a_sun_casts_parallel_shadows_and_corners_are_darker() -> None:
    floor = Rectangle((-20.0, -20.0, 0.0), (40.0, 0.0, 0.0), (0.0, 40.0, 0.0), GREY)
    wall = Rectangle((-20.0, 6.0, 0.0), (40.0, 0.0, 0.0), (0.0, 0.0, 6.0), GREY)
    tilt = math.sqrt(0.5)
    sun = Lamp((tilt, 0.0, tilt), (1.0, 1.0, 1.0), 1.0, 0.001, reach_m=30.0)
    ball = Sphere((0.0, 4.0, 1.2), 0.8, GREY)
    scene, view = _scene((floor, wall), (ball,), (sun,)), View.of(LEVEL, LENS, SIZE)
    radiance = light(scene, view, look(scene, view))
    column, row, _ = (round(value) for value in view.project((-1.2, 4.0, 0.0)))
    mirrored, *_ = (round(value) for value in view.project((1.8, 4.0, 0.0)))
    assert radiance[row, column, 0] < 0.5 * radiance[row, mirrored, 0]
    dark = _scene((floor, wall))
    ambient = light(dark, view, look(dark, view))
    corner, open_floor = (round(view.project((0.0, y, 0.0))[1]) for y in (5.95, 4.0))
    assert ambient[corner + 1, 50, 0] < 0.9 * ambient[open_floor, 50, 0]


@pytest.mark.parametrize("kind", sorted(PATTERNS))
def test_patterns_stay_albedos_and_fade_far_away(kind: str) -> None:
    rng = np.random.default_rng(0)
    u, v = rng.uniform(-20, 20, (2, 4000)).astype(np.float32)
    material = Material((0.6, 0.5, 0.4), (0.2, 0.2, 0.2), kind, 0.3)
    near, far = (paint(material, u, v, np.full_like(u, size)) for size in (0.002, 2.0))
    assert near.shape == (4000, 3)
    assert near.dtype == np.float32
    assert near.min() >= 0
    assert near.max() <= 1
    assert far.std(axis=0).mean() <= near.std(axis=0).mean() + 0.01


def test_depth_is_rounded_to_millimetres_and_absent_out_of_range() -> None:
    exact = np.full((192, 256), 2.0, np.float32)
    exact[:, :100] = np.inf
    exact[:, 100:150] = RANGE_M[1] + 1
    measured = measure_depth(exact, np.random.default_rng(0))
    assert measured.dtype == np.uint16
    assert (measured[:, :148] == 0).all()
    assert np.abs(measured[:, 152:] / 1000.0 - 2.0).max() < 0.08
    assert 0.001 < (measured[:, 152:] / 1000.0).std() < 0.02


def _levels(exact: Any, incidence: float = 1.0, albedo: float = 0.5) -> Any:
    depth = np.broadcast_to(np.asarray(exact, np.float32), (192, 256)).copy()
    flat = np.ones((192, 256), np.float32)
    rng = np.random.default_rng(1)
    return judge_confidence(depth, incidence * flat, albedo * flat, measure_depth(depth, rng), rng)


def test_confidence_falls_with_distance_incidence_and_darkness() -> None:
    shares = [(_levels(depth) == Level.HIGH).mean() for depth in (1.0, 3.0, 5.0, 7.0)]
    assert shares == sorted(shares, reverse=True)
    assert shares[0] > 0.95
    assert shares[-1] < 0.05
    assert 0.1 < shares[2] < 0.9, "the transition at about 5 m is soft"
    assert (_levels(6.5) >= Level.MEDIUM).mean() > 0.8
    assert (_levels(2.0, incidence=0.05) == Level.HIGH).mean() < 0.1
    assert _levels(2.0, albedo=0.005).mean() < _levels(2.0).mean()
    assert (_levels(np.inf) == Level.LOW).all()


def test_confidence_is_low_along_depth_edges_alone() -> None:
    step = np.where(np.arange(256) < 128, 1.0, 3.0)[None, :]
    levels = _levels(step)
    assert (levels[:, 127:129] == Level.LOW).mean() > 0.8
    assert (levels[:, :110] == Level.HIGH).mean() > 0.95
    slanted = 1 / (0.2 + 0.8 * np.linspace(0, 1, 256)[None, :])
    assert not depth_edges(np.broadcast_to(slanted, (192, 256)).astype(np.float32)).any()


def test_low_light_is_darker_and_noisier() -> None:
    flat = np.full((480, 640, 3), 0.3, np.float32)
    day, night = (photograph(flat, low, np.random.default_rng(2)) for low in (False, True))
    assert day.dtype == np.uint8
    assert day.shape == (480, 640, 3)
    assert night.mean() < 0.6 * day.mean()
    middle = np.s_[200:280, 280:360]
    assert night[middle].std() / night[middle].mean() > 2 * day[middle].std() / day[middle].mean()


def _bytes(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_scenes(tmp_path_factory.mktemp("scenes") / "seed-5", scenes=4, seed=5, workers=1)


def test_the_layout_is_the_competitions(made: Path) -> None:
    rows = json.loads((made / "manifest.json").read_text())
    assert [row["frame"] for row in rows] == ["0000", "0001", "0002", "0003"]
    assert [row["place"] for row in rows] == ["indoor", "outdoor", "indoor", "outdoor"]
    for index, row in enumerate(rows):
        assert set(row) == {"frame", "place", "light", "source", "licence", "intrinsics"}
        assert row["light"] in ("normal", "low")
        assert row["licence"] == "Apache-2.0"
        assert row["source"] == f"lpcv synthetic scenes, seed 5, scene {index}"
        assert row["intrinsics"]["fx"] == pytest.approx(1591.1095 / 3)
        assert row["intrinsics"]["cx"] == pytest.approx((945.64465 + 0.5) / 3 - 0.5)
        image, depth, confidence = frame_paths(made, index)
        assert read_rgb(image).shape == (480, 640, 3)
        depth_m, levels = read_depth_m(depth), read_confidence(confidence)
        assert depth_m.shape == levels.shape == (192, 256)
        assert not levels[depth_m == 0].any()
    assert json.loads((made / "scenes.json").read_text()) == {"generator": 1, "seed": 5}


def test_two_workers_and_more_scenes_give_the_same_bytes(made: Path, tmp_path: Path) -> None:
    again = _bytes(make_scenes(tmp_path / "again", scenes=2, seed=5, workers=2))
    first = _bytes(made)
    assert len(again) == 2 * 3 + 2
    assert all(content == first[name] for name, content in again.items() if name != "manifest.json")


def test_another_seed_gives_another_scene(made: Path) -> None:
    rgb, depth_mm, _ = make_frame(6, 0)
    assert (rgb != read_rgb(frame_paths(made, 0)[0])).any()
    assert (depth_mm / 1000 != read_depth_m(frame_paths(made, 0)[1])).any()


def test_a_second_run_makes_what_is_missing_and_nothing_else(made: Path) -> None:
    before = _bytes(made)
    frame_paths(made, 1)[1].unlink()
    (made / "manifest.json").unlink()
    untouched = frame_paths(made, 2)[0].stat().st_mtime_ns
    make_scenes(made, scenes=4, seed=5, workers=1)
    assert _bytes(made) == before
    assert frame_paths(made, 2)[0].stat().st_mtime_ns == untouched


def test_extending_keeps_the_earlier_frames_and_asking_for_fewer_forgets_none(tmp_path: Path) -> None:
    out = make_scenes(tmp_path / "out", scenes=1, seed=7, workers=1)
    before = _bytes(out)
    make_scenes(out, scenes=2, seed=7, workers=1)
    longer = _bytes(out)
    assert all(longer[name] == content for name, content in before.items() if name != "manifest.json")
    make_scenes(out, scenes=1, seed=7, workers=1)
    assert _bytes(out) == longer


def test_foreign_folders_and_other_seeds_are_refused(made: Path, tmp_path: Path) -> None:
    (tmp_path / "holiday.jpg").write_bytes(b"precious")
    with pytest.raises(InputError, match="other data"):
        make_scenes(tmp_path, scenes=1, seed=0, workers=1)
    assert [path.name for path in tmp_path.iterdir()] == ["holiday.jpg"]
    with pytest.raises(InputError, match="another folder"):
        make_scenes(made, scenes=4, seed=6, workers=1)
    with pytest.raises(InputError, match="not a folder"):
        make_scenes(tmp_path / "holiday.jpg", scenes=1, seed=0)
    for scenes, seed, workers in ((0, 0, 1), (1, -1, 1), (1, 0, 0), (10_001, 0, 1)):
        with pytest.raises(InputError):
            make_scenes(tmp_path / "new", scenes=scenes, seed=seed, workers=workers)


@pytest.fixture(scope="module")
def recordings() -> list[tuple[Scene, Seen, Any, Any]]:
    """24 scenes as the depth sensor sees them: scene, exact view, depth in metres, confidence."""
    found = []
    for index in range(24):
        scene, rng = choose_scene(11, index), np.random.default_rng(index)
        seen = look(scene, View.of(scene.camera, scaled(camera_intrinsics(), 0.4), (256, 192)))
        measured = measure_depth(seen.depth_m, rng)
        levels = judge_confidence(seen.depth_m, seen.incidence, seen.albedo.mean(axis=2), measured, rng)
        found.append((scene, seen, measured / np.float32(1000), levels))
    return found


def test_confidence_is_as_common_as_on_phones(recordings: list[tuple[Scene, Seen, Any, Any]]) -> None:
    high = {place: [] for place in ("indoor", "outdoor")}
    for scene, seen, _, levels in recordings:
        high[scene.place].append((levels == Level.HIGH).mean())
        assert (levels >= Level.MEDIUM).mean() > 0.2
        edges = depth_edges(seen.depth_m)
        assert levels[edges].mean() < 0.7 * levels[~edges & (seen.depth_m < 4)].mean()
        assert (levels[seen.depth_m > 7.5] < Level.HIGH).all()
    assert 0.5 < np.mean(high["indoor"]) < 0.9
    assert 0.25 < np.mean(high["outdoor"]) < 0.9
    assert min(high["indoor"] + high["outdoor"]) > 0.05


def test_no_constant_depth_does_well(recordings: list[tuple[Scene, Seen, Any, Any]]) -> None:
    errors = []
    for _, _, depth_m, levels in recordings:
        truth = depth_m[(levels >= Level.MEDIUM) & (depth_m > 0)]
        errors.append(np.mean(np.abs(np.median(truth) - truth) / truth))
    assert np.mean(errors) > 0.3


def test_scenes_are_varied(recordings: list[tuple[Scene, Seen, Any, Any]]) -> None:
    medians = [np.median(depth_m[depth_m > 0]) for _, _, depth_m, _ in recordings]
    assert max(medians) > 2 * min(medians)
    assert min(depth_m[depth_m > 0].min() for _, _, depth_m, _ in recordings) > RANGE_M[0]
    lights = [conditions(11, index)[1] for index in range(200)]
    assert 30 <= lights.count("low") <= 70
