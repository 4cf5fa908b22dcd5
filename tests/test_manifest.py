"""What a manifest adds to a frame: the unit of its depth, point pairs, and keys to group by."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lpcv.data.folder import FrameFolder, open_folder
from lpcv.data.frame import PointPair, Record
from lpcv.data.images import write_png
from lpcv.errors import InputError
from lpcv.evaluate.protocols import PROTOCOLS

PAIR = {"a": [1, 2], "b": [30, 20], "nearer": "b"}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    for name, count in (("0000", 256), ("0001", 20480)):
        write_png(tmp_path / "image" / f"{name}.png", np.zeros((24, 32, 3), np.uint8))
        write_png(tmp_path / "depth_raw" / f"{name}.png", np.full((6, 8), count, np.uint16))
    return tmp_path


def opened(root: Path, **row: Any) -> FrameFolder:
    (root / "manifest.json").write_text(json.dumps([{"frame": "0001", **row}]))
    return open_folder(root)


def test_depth_unit_is_metres_per_count(data: Path) -> None:
    """KITTI's 256 counts a metre: 20480 counts are 80 m, which millimetres cannot hold; the other frame has its own."""
    folder = opened(data, depth_unit_m=1 / 256)
    kitti, other = folder.frame("0001").depth_m, folder.frame("0000").depth_m
    assert kitti is not None
    assert other is not None
    assert (kitti.dtype, kitti[0, 0], other[0, 0]) == (np.float32, 80.0, np.float32(256) / np.float32(1000))


@pytest.mark.parametrize("unit", [0, -1, "0.001", True, [1], float("nan"), float("inf")])
def test_a_unit_that_is_none_is_refused(unit: Any, data: Path) -> None:
    with pytest.raises(InputError, match=r"manifest\.json: frame 0001 has the depth_unit_m"):
        opened(data, depth_unit_m=unit)


def test_depth_of_another_aspect_is_taken_where_the_manifest_says_that_it_is_one_view(data: Path) -> None:
    """Make3D's maps are 55x305 of an upright picture."""
    write_png(data / "depth_raw" / "0001.png", np.full((6, 40), 1000, np.uint16))
    for said in ({}, {"same_view": False}, {"same_view": None}):
        with pytest.raises(InputError, match=r'not one view\..* "same_view": true'):
            opened(data, **said).frame("0001")
    depth_m = opened(data, same_view=True).frame("0001").depth_m
    assert depth_m is not None
    assert depth_m.shape == (6, 40)


@pytest.mark.parametrize("said", ["true", 1, [], {}])
def test_one_view_is_said_by_a_truth_value(said: Any, data: Path) -> None:
    with pytest.raises(InputError, match=r"manifest\.json: frame 0001 has the same_view .*\. Write true"):
        opened(data, same_view=said)


def test_pairs_are_read_and_scored_without_depth(data: Path) -> None:
    for path in (data / "depth_raw").iterdir():
        path.unlink()
    frame = opened(data, pairs=[PAIR]).frame("0001")
    assert frame.record.pairs == (PointPair((1, 2), (30, 20), "b"),)
    assert frame.depth_m is None
    falling = np.tile(np.arange(32.0, 0, -1), (24, 1))
    assert PROTOCOLS["diw"].score(frame, falling, "depth_m").values == {"whdr": 0.0}


@pytest.mark.parametrize(
    "pairs",
    [
        {"a": 1},
        [{}],
        ["a"],
        [PAIR | {"nearer": "c"}],
        [PAIR | {"nearer": ["a"]}],
        [PAIR | {"a": [1]}],
        [PAIR | {"a": [1.5, 2]}],
        [PAIR | {"a": [-1, 2]}],
        [PAIR | {"a": [True, 2]}],
        [PAIR | {"a": PAIR["b"]}],
        [{"a": [1, 2], "b": [3, 4]}],
    ],
)
def test_pairs_that_are_none_are_refused(pairs: Any, data: Path) -> None:
    with pytest.raises(InputError, match=r"manifest\.json: the pairs of frame 0001 are not pairs of points\. Write a"):
        opened(data, pairs=pairs)


@pytest.mark.parametrize("point", [[32, 0], [0, 24]])
def test_a_point_outside_its_image_is_refused_with_both(point: list[int], data: Path) -> None:
    folder = opened(data, pairs=[PAIR | {"a": point}])
    where = f"frame 0001 has a point at column {point[0]}, row {point[1]}, outside its image of 32x24"
    with pytest.raises(InputError, match=where):
        folder.frame("0001")


def test_other_texts_numbers_and_truth_values_are_kept_as_texts(data: Path) -> None:
    row = {"scene": "kitchen", "take": 3, "share": 0.5, "blurred": True, "nothing": None, "list": [1], "light": "low"}
    record = opened(data, **row).records["0001"]
    assert record.extra == {"scene": "kitchen", "take": "3", "share": "0.5", "blurred": "true"}
    assert record == Record(light="low")
    assert hash(record) == hash(Record(light="low"))


def test_the_fingerprint_knows_what_a_manifest_adds_to_the_truth(data: Path) -> None:
    plain = open_folder(data).fingerprint()
    assert opened(data, place="indoor", depth_unit_m=0.001).fingerprint() == plain
    others = {opened(data, depth_unit_m=0.002).fingerprint(), opened(data, pairs=[PAIR]).fingerprint()}
    others.add(opened(data, pairs=[PAIR | {"nearer": "a"}]).fingerprint())
    assert len(others - {plain}) == 3


@pytest.mark.parametrize(
    "changed",
    [{"fx": 0}, {"fy": -1}, {"fx": float("nan")}, {"cx": float("inf")}, {"fy": 10**400}, {"fx": None}, {"cy": "x"}],
)
def test_a_camera_that_is_none_is_refused(changed: dict[str, Any], data: Path) -> None:
    camera = {"fx": 500, "fy": 500, "cx": 16, "cy": 12} | changed
    with pytest.raises(
        InputError, match=r"manifest\.json: the intrinsics of frame 0001 are not fx, fy, cx, cy in pixels"
    ):
        opened(data, intrinsics=camera)


def test_the_key_that_stands_for_two_is_refused(data: Path) -> None:
    with pytest.raises(
        InputError, match=r"manifest\.json: frame 0001 has the key 'condition'.* Write 'place' and 'light'"
    ):
        opened(data, condition="indoor")
