"""`lpcv cloud` and the PLY files that it writes."""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lpcv import cli, files
from lpcv.data.frame import Frame, Intrinsics, Record
from lpcv.data.images import write_png
from lpcv.errors import InputError
from lpcv.evaluate.cloud import frame_cloud
from lpcv.evaluate.official import align
from lpcv.evaluate.ply import write_ply
from lpcv.evaluate.pointcloud import cloud_of, official_rays, pixel_rays

Array = npt.NDArray[Any]
DEPTH_M = np.array([[1.0, 2.0, 4.0], [0.0, 2.0, 3.0]], np.float32)  # one hole
LEVELS = np.array([[2, 2, 2], [2, 1, 2]], np.uint8)  # one pixel of level 1
RGB = np.arange(18, dtype=np.uint8).reshape(2, 3, 3) * 10


def parse_ply(path: Path) -> tuple[list[str], dict[str, Array]]:
    """Header lines and columns, by the format's own words: numbers are read one by one, without our writer's types."""
    head, _, body = path.read_bytes().partition(b"end_header\n")
    lines = head.decode("ascii").splitlines()
    assert lines[:2] == ["ply", "format binary_little_endian 1.0"]
    (count,) = [int(line.split()[2]) for line in lines if line.startswith("element vertex ")]
    properties = [line.split()[1:] for line in lines if line.startswith("property ")]
    types = {"float": "<f4", "uchar": "u1"}
    rows = np.frombuffer(body, [(name, types[kind]) for kind, name in properties])
    assert len(rows) == count
    return lines, {name: rows[name] for _, name in properties}


def points_of(columns: dict[str, Array]) -> Array:
    return np.stack([columns[axis] for axis in "xyz"], axis=1)


def colours_of(columns: dict[str, Array]) -> Array:
    return np.stack([columns[name] for name in ("red", "green", "blue")], axis=1)


def frame(record: Record | None = None) -> Frame:
    return Frame("a", RGB, DEPTH_M, LEVELS, record or Record())


# The file


def test_a_file_to_the_byte(tmp_path: Path) -> None:
    write_ply(tmp_path / "a.ply", np.array([[1, 2, 3]]), np.array([[255, 0, 7]], np.uint8), ["caf\xe9", "two\nlines"])
    assert (tmp_path / "a.ply").read_bytes() == (
        b"ply\nformat binary_little_endian 1.0\ncomment caf\\xe9\ncomment two lines\nelement vertex 1\n"
        b"property float x\nproperty float y\nproperty float z\n"
        b"property uchar red\nproperty uchar green\nproperty uchar blue\nend_header\n"
        b"\x00\x00\x80\x3f\x00\x00\x00\x40\x00\x00\x40\x40\xff\x00\x07"
    )


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 50), st.integers(0, 2**32 - 1), st.booleans())
def test_what_is_written_is_read_again(count: int, seed: int, coloured: bool) -> None:
    import tempfile

    random = np.random.default_rng(seed)
    points = random.normal(size=(count, 3)).astype(np.float32)
    colours = random.integers(0, 256, (count, 3), np.uint8) if coloured else None
    with tempfile.TemporaryDirectory() as folder:
        write_ply(Path(folder) / "a.ply", points, colours, ["x"])
        lines, columns = parse_ply(Path(folder) / "a.ply")
    np.testing.assert_array_equal(points_of(columns), points)
    assert ("red" in columns) == coloured
    if colours is not None:
        np.testing.assert_array_equal(colours_of(columns), colours)
    assert "comment x" in lines


@pytest.mark.parametrize(
    ("points", "colours"),
    [
        (np.zeros(3), None),
        (np.zeros((2, 2)), None),
        (np.array([[0, 0, np.nan]]), None),
        (np.array([[0, 0, np.inf]]), None),
        (np.zeros((2, 3)), np.zeros((1, 3), np.uint8)),
        (np.zeros((2, 3)), np.zeros((2, 3), np.float32)),
    ],
)
def test_what_is_no_cloud_is_refused(points: Array, colours: Array | None, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"points are finite|colours are uint8"):
        write_ply(tmp_path / "a.ply", points, colours)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_leaves_the_old_file_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.ply").write_text("old")

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_ply(tmp_path / "a.ply", np.zeros((1, 3)))
    assert (tmp_path / "a.ply").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["a.ply"]


# The points


def test_points_of_a_small_map_by_hand() -> None:
    """A camera of focal length 2 with its centre in the middle column and on the edge between the rows."""
    made = frame_cloud(frame(Record(intrinsics=Intrinsics(2.0, 2.0, 1.0, 0.5))), DEPTH_M / 2, "truth")
    expected = [(-0.5, -0.25, 1), (0, -0.5, 2), (2, -1, 4), (1.5, 0.75, 3)]  # without the hole and the pixel of level 1
    np.testing.assert_array_equal(made.points_m, np.array(expected, np.float32))
    np.testing.assert_array_equal(made.colours, [(0, 10, 20), (30, 40, 50), (60, 70, 80), (150, 160, 170)])
    assert (made.counts, made.holes, made.not_finite) == ({"truth": 4}, 1, 0)


def test_a_camera_is_rescaled_with_the_picture() -> None:
    """The same view at twice the size: the prediction's pixel (0, 0) looks between the image's (-0.25, -0.25)."""
    big = np.kron(DEPTH_M, np.ones((2, 2), np.float32))
    made = frame_cloud(frame(Record(intrinsics=Intrinsics(2.0, 2.0, 1.0, 0.5))), big, "truth")
    np.testing.assert_allclose(made.points_m[0], (-0.625, -0.375, 1))


def test_without_a_camera_the_contract_gives_one() -> None:
    made = frame_cloud(frame(), DEPTH_M / 2, "truth")
    kept = (LEVELS == 2) & (DEPTH_M > 0)
    np.testing.assert_array_equal(made.points_m, cloud_of(DEPTH_M, kept, pixel_rays(2, 3)))
    same = Intrinsics(1591.1095 / 640, 1591.1095 / 720, (945.64465 + 0.5) / 640 - 0.5, (722.8234 + 0.5) / 720 - 0.5)
    by_camera = frame_cloud(frame(Record(intrinsics=same)), DEPTH_M / 2, "truth").points_m
    np.testing.assert_allclose(made.points_m, by_camera, atol=1e-5)
    assert (made.points_m[0, :2] < 0).all()  # the top left pixel is left (-x) and up (-y)
    assert (made.points_m[-1, :2] > 0).all()


def test_official_rays_are_those_of_the_score() -> None:
    pred = np.array([[0.5, 0.9, 2.0], [1.0, 1.1, 1.4]], np.float32)
    made = frame_cloud(frame(), pred, "both", "official")
    aligned = align(pred, DEPTH_M, LEVELS)
    kept = (LEVELS == 2) & (DEPTH_M > 0)
    half = [cloud_of(each, kept, official_rays(2, 3)) for each in (aligned.truth_m, aligned.pred_m)]
    np.testing.assert_array_equal(made.points_m, np.concatenate(half))
    assert dict(made.counts) == {"truth": 4, "prediction": 4}
    assert any("no true geometry" in comment for comment in made.comments)


def test_level_1_stands_in_where_there_is_no_2() -> None:
    weak = Frame("a", RGB, DEPTH_M, np.minimum(LEVELS, 1), Record())
    assert frame_cloud(weak, DEPTH_M, "truth").counts == {"truth": 5}


def test_a_prediction_that_is_not_finite_is_left_out() -> None:
    pred = DEPTH_M.copy()
    pred[0, 2] = np.inf
    made = frame_cloud(frame(), pred, "both")
    assert (dict(made.counts), made.not_finite) == ({"truth": 3, "prediction": 3}, 1)
    assert np.isfinite(made.points_m).all()
    assert frame_cloud(frame(), pred, "truth").counts == {"truth": 4}


def test_tints_tell_truth_from_prediction() -> None:
    made = frame_cloud(frame(), DEPTH_M, "both", colouring="tint")
    truth, pred = made.colours[:4].astype(int), made.colours[4:].astype(int)
    assert (truth[:, 2] > truth[:, 0] + 20).all()
    assert (pred[:, 0] > pred[:, 2] + 20).all()
    assert (np.diff(truth.sum(1)) > 0).all()  # the picture's brightness is kept
    by_picture = frame_cloud(frame(), DEPTH_M, "both").colours
    np.testing.assert_array_equal(by_picture[:4], by_picture[4:])


@pytest.mark.parametrize(
    ("depth_m", "levels", "pred", "words"),
    [
        (None, LEVELS, DEPTH_M, "no depth or no confidence"),
        (DEPTH_M, None, DEPTH_M, "no depth or no confidence"),
        (DEPTH_M, LEVELS * 0, DEPTH_M, "no pixel with truth of confidence 1 or 2"),
        (DEPTH_M * 0, LEVELS, DEPTH_M, "no pixel with truth of confidence 1 or 2"),
        (DEPTH_M, LEVELS, DEPTH_M * np.float32(np.nan), "no pixel with a finite prediction"),
    ],
)
def test_a_frame_without_points_is_a_sentence(
    depth_m: Array | None, levels: Array | None, pred: Array, words: str
) -> None:
    with pytest.raises(InputError, match=words):
        frame_cloud(Frame("a", RGB, depth_m, levels, Record()), pred)


# The command


@pytest.fixture
def data(tmp_path: Path) -> Path:
    for name, shift in (("0000", 0), ("0001", 500)):
        write_png(tmp_path / "data" / "image" / f"{name}.png", RGB)
        depth = (DEPTH_M * 1000).astype(np.uint16)
        write_png(tmp_path / "data" / "depth_raw" / f"{name}.png", np.where(depth, depth + shift, 0).astype(np.uint16))
        write_png(tmp_path / "data" / "depth_conf" / f"{name}.png", LEVELS)
    return tmp_path / "data"


@pytest.fixture
def predictions(tmp_path: Path) -> Path:
    """For frame 0001 alone."""
    (tmp_path / "predictions").mkdir()
    np.save(tmp_path / "predictions" / "0001.npy", (DEPTH_M + np.float32(0.5))[None, None] / 10)
    return tmp_path / "predictions"


@pytest.fixture
def cloud(data: Path, predictions: Path) -> Callable[..., int]:
    def run(out: Path, *more: str, frame: str = "0001", source: Path = predictions) -> int:
        return cli.run(["cloud", str(source), "--data", str(data), "--frame", frame, "--out", str(out), *more])

    return run


@pytest.mark.parametrize("what", ["truth", "prediction", "both"])
@pytest.mark.parametrize("geometry", ["pixel", "official"])
def test_a_cloud_is_written_and_told(
    what: str, geometry: str, cloud: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "new" / "a.ply"
    assert cloud(out, "--what", what, "--geometry", geometry) == 0
    lines, columns = parse_ply(out)
    told = capsys.readouterr()
    parts = ["truth", "prediction"] if what == "both" else [what]
    assert len(columns["z"]) == 4 * len(parts)
    np.testing.assert_allclose(columns["z"], [1.5, 2.5, 4.5, 3.5] * len(parts), rtol=1e-6)
    assert f"comment frame 0001: {' and '.join(parts)}" in lines
    assert "comment x right, y down, z forward; metres" in lines
    assert any(("no true geometry" in line) == (geometry == "official") for line in lines if "rays:" in line)
    rows = [line for line in told.out.splitlines() if line.startswith("│")]
    assert [row.split("│")[1].strip() for row in rows] == parts
    assert all(row.split("│")[2].strip() == "4" and "1.500 to 4.500" in row for row in rows)
    assert "Left out: 1 pixel without a measurement" in told.err
    assert f"Open {out} in MeshLab" in told.err
    assert any(
        line.startswith("Next: lpcv score ") and line.endswith(" --report report") for line in told.err.splitlines()
    )


def test_colours_are_the_pictures_for_one_and_tints_for_both(cloud: Callable[..., int], tmp_path: Path) -> None:
    found = {}
    for name, options in {
        "one": ("--what", "truth"), "both": (), "both rgb": ("--colour", "rgb"),
        "one tinted": ("--what", "truth", "--colour", "tint"),
    }.items():  # fmt: skip
        assert cloud(tmp_path / f"{name}.ply", *options) == 0
        found[name] = colours_of(parse_ply(tmp_path / f"{name}.ply")[1])
    picture = RGB[(LEVELS == 2) & (DEPTH_M > 0)]
    np.testing.assert_array_equal(found["one"], picture)
    np.testing.assert_array_equal(found["both rgb"], np.concatenate([picture, picture]))
    np.testing.assert_array_equal(found["both"][:4], found["one tinted"])
    assert (found["both"][4:] != found["both"][:4]).any(1).all()


def test_the_same_cloud_is_the_same_bytes(cloud: Callable[..., int], tmp_path: Path) -> None:
    for name in ("a.ply", "b.ply"):
        assert cloud(tmp_path / name) == 0
    assert (tmp_path / "a.ply").read_bytes() == (tmp_path / "b.ply").read_bytes()


def test_predictions_paired_by_order_stay_so(cloud: Callable[..., int], tmp_path: Path) -> None:
    """Frame 0001 is the second of the folder, whatever the predictions are called."""
    source = tmp_path / "other"
    source.mkdir()
    np.save(source / "x.npy", np.full((2, 3), 0.1, np.float32))
    np.save(source / "y.npy", DEPTH_M + np.float32(0.5))
    assert cloud(tmp_path / "a.ply", "--what", "prediction", source=source) == 0
    np.testing.assert_allclose(parse_ply(tmp_path / "a.ply")[1]["z"], [1.5, 2.5, 4.5, 3.5], rtol=1e-6)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"frame": "0009"}, "has no frame 0009. It has 0000 to 0001."),
        ({"frame": "0000"}, "has no prediction for 1 of 2 frames, the first is 0000"),
        ({"source": Path("nothing")}, "nothing is nothing that can be scored"),
    ],
)
def test_what_is_not_there_is_a_sentence(
    options: dict[str, Any],
    words: str,
    cloud: Callable[..., int],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert cloud(tmp_path / "a.ply", **options) == 2
    assert words in capsys.readouterr().err
    assert not (tmp_path / "a.ply").exists()


@pytest.mark.parametrize("name", ["a.obj", "ply", "a.ply.txt"])
def test_another_suffix_is_refused(
    name: str, cloud: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cloud(tmp_path / name) == 2
    assert "is no .ply file. Write --out NAME.ply." in capsys.readouterr().err
    assert not (tmp_path / name).exists()


def test_inverse_depth_has_no_cloud(
    cloud: Callable[..., int], predictions: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (predictions / "predictions.json").write_text('{"kind": "affine_inverse_depth"}')
    assert cloud(tmp_path / "a.ply") == 2
    assert "a point cloud needs relative_depth" in capsys.readouterr().err


def test_data_without_truth_is_refused(
    cloud: Callable[..., int], data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for folder in ("depth_conf", "depth_raw"):
        for path in (data / folder).iterdir():
            path.unlink()
        assert cloud(tmp_path / "a.ply") == 2
    told = capsys.readouterr().err
    assert "no depth or no confidence" in told
    assert "no depth_raw/ with ground truth" in told
