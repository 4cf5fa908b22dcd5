"""The competition's folder layout: what is read, what is refused and how that is said."""

from __future__ import annotations

import json
import shutil
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from lpcv import cli
from lpcv.data.folder import demand_usable, open_folder, select
from lpcv.data.frame import Intrinsics, Record
from lpcv.data.images import read_confidence, read_depth_m, read_rgb, write_png
from lpcv.data.inspect import summarise
from lpcv.errors import InputError

Array = npt.NDArray[Any]
NAMES = ("0000", "0001", "0002")


def picture(seed: int = 0, height: int = 24, width: int = 32) -> npt.NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def write_frames(root: Path, names: tuple[str, ...] = NAMES) -> Path:
    """24x32 images with 6x8 depth (1000 + frame number, and a hole) and confidence (2, and a 0)."""
    for index, name in enumerate(names):
        depth, levels = np.full((6, 8), 1000 + index, np.uint16), np.full((6, 8), 2, np.uint8)
        depth[0, 0], levels[0, 0] = 0, 0
        write_png(root / "image" / f"{name}.png", picture(index))
        write_png(root / "depth_raw" / f"{name}.png", depth)
        write_png(root / "depth_conf" / f"{name}.png", levels)
    return root


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return write_frames(tmp_path / "data")


# What is read


def test_frames_are_paired_by_name_and_sorted(tmp_path: Path) -> None:
    folder = open_folder(write_frames(tmp_path / "data", ("b", "0010", "a")), with_depth=True)
    assert (folder.names, len(folder)) == (("0010", "a", "b"), 3)
    by_name = {frame.name: frame for frame in folder}
    assert list(by_name) == ["0010", "a", "b"]
    for index, name in enumerate(("b", "0010", "a")):
        frame = by_name[name]
        assert frame.depth_m is not None
        assert frame.confidence is not None
        np.testing.assert_array_equal(frame.rgb, picture(index))
        assert (frame.depth_m.dtype, frame.depth_m.shape) == (np.float32, (6, 8))
        assert (frame.depth_m[0, 0], frame.depth_m[5, 7]) == (0, np.float32(1000 + index) / np.float32(1000))
        assert (frame.confidence[0, 0], frame.confidence[5, 7]) == (0, 2)
        assert frame.record == Record()


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.jpeg", "a.PNG", "a.JPG", "a.Jpeg"])
def test_image_suffixes(name: str, data: Path) -> None:
    for path in (data / "image").iterdir():
        path.unlink()
    encoded = cv2.imencode(Path(name).suffix.lower(), np.full((24, 32, 3), (200, 90, 10), np.uint8))[1]  # BGR
    (data / "image" / name).write_bytes(encoded.tobytes())
    for folder in ("depth_raw", "depth_conf"):
        (data / folder / "0001.png").unlink()
        (data / folder / "0002.png").unlink()
        (data / folder / "0000.png").rename(data / folder / "a.PNG")
    (frame,) = open_folder(data, with_depth=True)
    assert frame.name == "a"
    np.testing.assert_allclose(frame.rgb.reshape(-1, 3).mean(0), (10, 90, 200), atol=3)


@pytest.mark.parametrize("inside", ["image", "."])
def test_images_alone(inside: str, tmp_path: Path) -> None:
    for name in ("x.png", "y.png"):
        write_png(tmp_path / inside / name, picture())
    (tmp_path / inside / ".hidden.png").write_bytes(b"a picture that a file manager left")
    (tmp_path / inside / "notes.txt").write_text("not an image")
    folder = open_folder(tmp_path)
    assert folder.names == ("x", "y")
    assert folder.frame("x").depth_m is None
    assert folder.frame("x").confidence is None
    with pytest.raises(InputError, match="has no depth_raw/ with ground truth"):
        open_folder(tmp_path, with_depth=True)


def test_depth_without_confidence(data: Path) -> None:
    shutil.rmtree(data / "depth_conf")
    frame = open_folder(data, with_depth=True).frame("0001")
    assert frame.depth_m is not None
    assert frame.confidence is None
    demand_usable(open_folder(data), "a test")


def test_each_frame_keeps_its_own_resolution(data: Path) -> None:
    write_png(data / "depth_raw" / "0001.png", np.full((48, 64), 2500, np.uint16))
    write_png(data / "depth_conf" / "0001.png", np.full((48, 64), 1, np.uint8))
    write_png(data / "image" / "0002.png", picture(0, 30, 40))
    shapes = [(f.rgb.shape[:2], None if f.depth_m is None else f.depth_m.shape) for f in open_folder(data)]
    assert shapes == [((24, 32), (6, 8)), ((24, 32), (48, 64)), ((30, 40), (6, 8))]


def test_depth_is_divided_in_float32_as_the_scorer_does(tmp_path: Path) -> None:
    every = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    write_png(tmp_path / "d.png", every)
    np.testing.assert_array_equal(read_depth_m(tmp_path / "d.png"), every.astype(np.float32) / 1000.0)
    assert (every.astype(np.float32) * np.float32(0.001) != every.astype(np.float32) / 1000.0).any()


def test_records_of_the_manifest(data: Path) -> None:
    """A plain list of rows; what we do not know of is no error, what is not said is "unknown"."""
    camera = {"fx": 500.0, "fy": 501.0, "cx": 16.0, "cy": 12.0}
    rows = [
        {
            "frame": "0001",
            "place": "indoor",
            "light": "low",
            "source": "me",
            "licence": "CC0-1.0",
            "intrinsics": camera,
        },
        {"frame": "0002", "confidence": "measured", "depth_shape": [6, 8], "valid": 1.0, "intrinsics": None},
        {"frame": "7777", "place": "outdoor"},
    ]
    (data / "manifest.json").write_text(json.dumps(rows))
    records = [frame.record for frame in open_folder(data)]
    mine = Record("indoor", "low", "me", "CC0-1.0", Intrinsics(500.0, 501.0, 16.0, 12.0))
    assert records == [Record(), mine, Record()]


@pytest.mark.parametrize(
    ("frames", "names"),
    [
        (None, ("0000", "0001", "0002")),
        ("0000-0002", ("0000", "0001", "0002")),
        ("0001-0002", ("0001", "0002")),
        ("0001-9999", ("0001", "0002")),
        ("0000-0000", ("0000",)),
        ("0001", ("0001",)),
    ],
)
def test_select(frames: str | None, names: tuple[str, ...], data: Path) -> None:
    chosen = select(open_folder(data), frames)
    assert (chosen.names, len(chosen), [frame.name for frame in chosen]) == (names, len(names), list(names))


@pytest.mark.parametrize("frames", ["0003", "0005-0009", "0002-0001", "", "x-y"])
def test_select_nothing_is_refused(frames: str, data: Path) -> None:
    with pytest.raises(InputError, match=r"has no frame within '.*'\. It has 0000 to 0002\."):
        select(open_folder(data), frames)


def test_subset_of_unknown_names_is_refused(data: Path) -> None:
    with pytest.raises(InputError, match=r"has no frame 0009\. It has 0000 to 0002\."):
        open_folder(data).subset(("0001", "0009"))


@pytest.mark.parametrize("folder", ["image", "depth_raw", "depth_conf"])
def test_fingerprint_changes_with_one_byte(folder: str, data: Path) -> None:
    before, without = open_folder(data).fingerprint(), open_folder(data).subset(("0000", "0002")).fingerprint()
    assert open_folder(data).fingerprint() == before != without
    path = data / folder / "0001.png"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(bytes(content))
    assert open_folder(data).fingerprint() != before
    assert open_folder(data).subset(("0000", "0002")).fingerprint() == without
    content[-1] ^= 1
    path.write_bytes(bytes(content))
    (data / "notes.txt").write_text("not a frame")
    assert open_folder(data).fingerprint() == before


def test_fingerprint_does_not_depend_on_where_the_folder_lies(data: Path, tmp_path: Path) -> None:
    shutil.copytree(data, tmp_path / "elsewhere")
    assert open_folder(tmp_path / "elsewhere").fingerprint() == open_folder(data).fingerprint()


# What is refused, by name, with a remedy, and with exit code 2


def png_header(width: int, height: int, bits: int, colour: int) -> bytes:
    """A PNG that promises width x height pixels and holds few."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    parts = (chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(bytes(99))), chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def pixels(name: str, values: Array) -> Callable[[Path], None]:
    return lambda data: write_png(data / name, values)


def content(name: str, change: Callable[[bytes], bytes]) -> Callable[[Path], object]:
    return lambda data: (data / name).write_bytes(change((data / name).read_bytes()))


def remove(*names: str) -> Callable[[Path], None]:
    def removing(data: Path) -> None:
        for name in names:
            path = data / name
            shutil.rmtree(path) if path.is_dir() else path.unlink()

    return removing


def add(name: str, text: str = "") -> Callable[[Path], object]:
    return lambda data: (data / name).write_bytes(text.encode())


NOISE = np.random.default_rng(0).bytes(500)
HUGE_RGB, HUGE_GREY = png_header(200_000, 200_000, 8, 2), png_header(200_000, 200_000, 16, 0)
LEVELS = np.full((6, 8), 2, np.uint8)
# What is done to the folder -> words of the sentence, among them the file's name and the remedy.
BAD: dict[str, tuple[Callable[[Path], object], tuple[str, ...]]] = {
    "missing folder": (remove("."), ("data is not a folder.", "The layout is image/, depth_raw/, depth_conf/")),
    "empty folder": (
        remove("image", "depth_raw", "depth_conf"),
        ("data holds no images.", "`lpcv data make` writes one."),
    ),
    "empty image folder": (
        remove("image/0000.png", "image/0001.png", "image/0002.png"),
        ("data holds no images.", "The layout is"),
    ),
    "image without depth": (
        remove("depth_raw/0001.png"),
        ("1 files of image/ have no partner in depth_raw/", "0001.png", "add depth_raw/0001.png or remove the file"),
    ),
    "depth without image": (
        remove("image/0001.png"),
        ("1 files of depth_raw/ have no partner in image/", "0001.png", "add image/0001.png or remove the file"),
    ),
    "depth without confidence": (
        remove("depth_conf/0000.png", "depth_conf/0002.png"),
        ("2 files of depth_raw/ have no partner in depth_conf/", "0000.png", "add depth_conf/0000.png"),
    ),
    "confidence without depth": (
        remove("depth_raw"),
        ("3 files of depth_conf/ have no partner in depth_raw/", "0000.png", "add depth_raw/0000.png"),
    ),
    "two files for one frame": (add("image/0001.jpg"), ("image has two files for frame 0001", "Keep one of them.")),
    "8-bit depth": (
        pixels("depth_raw/0001.png", np.ones((6, 8), np.uint8)),
        ("depth_raw/0001.png has 8 bits per pixel", "Save it again as uint16 millimetres"),
    ),
    "depth with three channels": (
        pixels("depth_raw/0001.png", picture()),
        ("depth_raw/0001.png has 3 channels, but one is needed", "Save it as a grey-scale PNG."),
    ),
    "confidence with three channels": (
        pixels("depth_conf/0001.png", picture()),
        ("depth_conf/0001.png has 3 channels", "Save it as a grey-scale PNG."),
    ),
    "16-bit confidence": (
        pixels("depth_conf/0001.png", np.ones((6, 8), np.uint16)),
        ("depth_conf/0001.png has 16 bits per pixel", "Save it again as uint8 with the values 0, 1 and 2."),
    ),
    "confidence 3": (
        pixels("depth_conf/0001.png", LEVELS + 1),
        ("depth_conf/0001.png holds a confidence of 3", "Map your levels to 0 (low), 1 (medium) and 2 (high)."),
    ),
    "truncated image": (
        content("image/0001.png", lambda whole: whole[: len(whole) // 2]),
        ("image/0001.png is not a readable image.", "Replace it with an 8-bit RGB PNG or JPEG."),
    ),
    "truncated depth": (
        content("depth_raw/0001.png", lambda whole: whole[:-16]),
        ("depth_raw/0001.png is not a readable image.", "Replace it with the PNG that the recording gave."),
    ),
    "a changed byte": (
        content("depth_raw/0001.png", lambda whole: whole[:45] + bytes([whole[45] ^ 0x55]) + whole[46:]),
        ("depth_raw/0001.png is not a readable image.", "Replace it"),
    ),
    "random bytes": (
        content("depth_conf/0001.png", lambda _: NOISE),
        ("depth_conf/0001.png is not a readable image.", "Replace it"),
    ),
    "random bytes as image": (
        content("image/0001.png", lambda _: NOISE),
        ("image/0001.png is not a readable image.", "Replace it"),
    ),
    "empty file": (content("depth_raw/0001.png", lambda _: b""), ("depth_raw/0001.png is empty.", "Copy it again")),
    "empty image": (content("image/0001.png", lambda _: b""), ("image/0001.png is empty.", "Copy it again")),
    "an image of 40 gigapixels": (
        content("image/0001.png", lambda _: HUGE_RGB),
        ("image/0001.png is not a readable image.", "Replace it"),
    ),
    "a depth of 40 gigapixels": (
        content("depth_raw/0001.png", lambda _: HUGE_GREY),
        ("depth_raw/0001.png is not a readable image.", "Replace it"),
    ),
    "other sizes": (
        pixels("depth_conf/0001.png", np.full((3, 4), 2, np.uint8)),
        ("depth_conf/0001.png is 4x3, but its depth is 8x6.", "copy the pair again"),
    ),
    "depth of zeros": (
        pixels("depth_raw/0001.png", np.zeros((6, 8), np.uint16)),
        ("depth_raw/0001.png has no measurement in it: every pixel is 0.", "Remove frame 0001 from all three folders"),
    ),
    "confidence of zeros": (
        pixels("depth_conf/0001.png", np.zeros((6, 8), np.uint8)),
        ("depth_conf/0001.png has no pixel of confidence 1 or 2", "Remove frame 0001 from all three folders"),
    ),
    "manifest that is no JSON": (add("manifest.json", "[{"), ("manifest.json is not valid JSON", "Restore it")),
    "manifest that is empty": (add("manifest.json"), ("manifest.json is not valid JSON", "Restore it")),
    "manifest without frames": (
        add("manifest.json", '[{"id": 1}]'),
        ("manifest.json is not a list of rows", "Mend it"),
    ),
    "manifest of another kind": (
        add("manifest.json", '{"frames": []}'),
        ("manifest.json is not a list of rows", "or remove it."),
    ),
    "manifest with half a camera": (
        add("manifest.json", '[{"frame": "0001", "intrinsics": {"fx": 500}}]'),
        ("intrinsics of frame 0001", "Mend or remove"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", BAD)
def test_a_bad_folder_is_a_sentence_with_a_remedy(
    what: str, data: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    spoil, words = BAD[what]
    spoil(data)
    with pytest.raises(InputError) as caught:
        summarise(data)
    for word in words:
        assert word in str(caught.value).replace("\\", "/")
    capfd.readouterr()
    outs = [tmp_path / "out" / "summary.json", tmp_path / "out" / "sheet.png"]
    assert cli.run(["data", "check", str(data), "--json", str(outs[0]), "--sheet", str(outs[1])]) == 2
    told = capfd.readouterr()
    assert f"lpcv: {caught.value}" in told.err.splitlines()
    assert told.out == ""
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("what", ["depth of zeros", "confidence of zeros", "confidence 3", "truncated depth"])
def test_truth_is_demanded_before_long_work(what: str, data: Path) -> None:
    spoil, words = BAD[what]
    demand_usable(open_folder(data), "a test")
    spoil(data)
    with pytest.raises(InputError) as caught:
        demand_usable(open_folder(data), "a test")
    assert words[0] in str(caught.value).replace("\\", "/")


def test_truth_of_medium_confidence_is_usable(data: Path) -> None:
    write_png(data / "depth_conf" / "0001.png", LEVELS - 1)
    demand_usable(open_folder(data), "a test")
    assert summarise(data)["mean share of confidence 2"] == round(2 / 3 * 47 / 48, 3)


def test_truth_of_images_alone_is_no_truth(data: Path) -> None:
    shutil.rmtree(data / "depth_raw")
    shutil.rmtree(data / "depth_conf")
    with pytest.raises(InputError, match="has no depth_raw/"):
        demand_usable(open_folder(data), "a test", official=True)


def test_a_file_that_vanishes_is_named(data: Path) -> None:
    folder = open_folder(data)
    (data / "image" / "0001.png").unlink()
    with pytest.raises(InputError, match=r"0001\.png cannot be read \(No such file"):
        folder.frame("0001")


# What `lpcv data check` says of a good folder


def test_a_good_folder_is_summed_up(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (data / "manifest.json").write_text(json.dumps([{"frame": "0000", "place": "indoor", "licence": "CC0-1.0"}]))
    out, sheet = tmp_path / "summary.json", tmp_path / "sheet.png"
    assert cli.run(["data", "check", str(data), "--json", str(out), "--sheet", str(sheet)]) == 0
    assert json.loads(out.read_text()) == {
        "frames": 3,
        "images of 32x24": 3,
        "indoor, unknown light": 1,
        "licence CC0-1.0": 1,
        "licence unknown": 2,
        "unknown, unknown light": 2,
        "least median depth, m": 1.0,
        "middle median depth, m": 1.0,
        "greatest median depth, m": 1.0,
        "mean share of confidence 2": round(47 / 48, 3),
        "sha256": open_folder(data).fingerprint(),
    }
    assert "images of 32x24" in capsys.readouterr().out
    # three tiles of 320x240 with gaps of 6, two bars of 90, a heading of 26, a gap of 6 under each row
    assert read_rgb(sheet).shape == (26 + 3 * 246, 3 * 326 + 2 * 90, 3)


# PNG files


@settings(max_examples=25, deadline=None)
@given(arrays(np.uint16, array_shapes(min_dims=2, max_dims=2, max_side=12)))
def test_depth_goes_through_png_unchanged(tmp_path_factory: pytest.TempPathFactory, values: Array) -> None:
    path = tmp_path_factory.mktemp("png") / "d.png"
    write_png(path, values)
    np.testing.assert_array_equal(read_depth_m(path), values.astype(np.float32) / np.float32(1000))
    np.testing.assert_array_equal(cv2.imread(str(path), cv2.IMREAD_UNCHANGED), values)


@settings(max_examples=15, deadline=None)
@given(
    arrays(np.uint8, array_shapes(min_dims=2, max_dims=2, max_side=12), elements=st.integers(0, 2)),
    arrays(np.uint8, st.tuples(st.integers(1, 12), st.integers(1, 12), st.just(3))),
)
def test_levels_and_colours_go_through_png_unchanged(
    tmp_path_factory: pytest.TempPathFactory, levels: Array, rgb: Array
) -> None:
    path = tmp_path_factory.mktemp("png") / "x.png"
    write_png(path, levels)
    np.testing.assert_array_equal(read_confidence(path), levels)
    write_png(path, rgb)
    np.testing.assert_array_equal(read_rgb(path), rgb)


def test_a_grey_image_is_read_as_rgb(tmp_path: Path) -> None:
    write_png(tmp_path / "x.png", np.arange(12, dtype=np.uint8).reshape(3, 4))
    read = read_rgb(tmp_path / "x.png")
    assert read.shape == (3, 4, 3)
    assert (read == np.arange(12).reshape(3, 4, 1)).all()


def test_a_failed_write_keeps_the_old_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.png"
    write_png(path, picture(1))

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match="No space"):
        write_png(path, picture(2))
    np.testing.assert_array_equal(read_rgb(path), picture(1))
    assert [found.name for found in tmp_path.iterdir()] == ["x.png"]


# The real frames


@pytest.fixture(scope="module")
def sample(reference_data: Path) -> Path:
    folder = reference_data / "lpcvc_sample"
    if not folder.is_dir():
        pytest.skip("LPCV_REFERENCE_DATA has no lpcvc_sample/")
    return folder


def test_the_real_frames_read_well(sample: Path) -> None:
    folder = open_folder(sample, with_depth=True)
    assert folder.names == tuple(f"{index:04d}" for index in range(23))
    demand_usable(folder, "a test")
    stated = {row["frame"]: row for row in json.loads((sample / "manifest.json").read_text())}
    for frame in folder:
        assert frame.depth_m is not None
        assert frame.confidence is not None
        assert frame.rgb.shape == (480, 640, 3)
        assert frame.depth_m.shape == frame.confidence.shape == ((192, 256) if frame.name < "0012" else (480, 640))
        row, measured = stated[frame.name], frame.depth_m[frame.depth_m > 0]
        assert list(frame.depth_m.shape) == row["depth_shape"]
        assert float(np.median(measured)) == pytest.approx(row["median_m"], abs=1e-3)
        assert measured.size / frame.depth_m.size == pytest.approx(row["valid"], abs=1e-3)
        assert frame.record == Record(source=row["source"])
        assert frame.record.licence == "unknown"


def test_one_real_frame_through_the_command(sample: Path, tmp_path: Path) -> None:
    for folder in ("image", "depth_raw", "depth_conf"):
        (tmp_path / "one" / folder).mkdir(parents=True)
        shutil.copy(sample / folder / "0017.png", tmp_path / "one" / folder / "0017.png")
    out = tmp_path / "summary.json"
    assert cli.run(["data", "check", str(tmp_path / "one"), "--json", str(out)]) == 0
    assert json.loads(out.read_text())["images of 640x480"] == 1


@pytest.mark.parametrize(
    "content",
    [
        "{}", "[1]", '[{"place": "indoor"}]', '[{"frame": 0}]', '[{"frame": "0000"}, {"frame": "0000"}]',
        '[{"frame": "0000", "intrinsics": {"fx": 1}}]', '[{"frame": "0000", "intrinsics": 3}]',
    ],
)  # fmt: skip
def test_manifest_that_says_something_else_is_refused(content: str, scenes: Path, tmp_path: Path) -> None:
    shutil.copytree(scenes / "image", tmp_path / "image")
    (tmp_path / "manifest.json").write_text(content)
    with pytest.raises(InputError, match=r"manifest\.json"):
        open_folder(tmp_path)


def test_frames_are_chosen_by_names_that_hold_dashes(scenes: Path, tmp_path: Path) -> None:
    (tmp_path / "image").mkdir()
    for index in range(4):
        shutil.copy(scenes / "image" / "0000.png", tmp_path / "image" / f"IMG-0{index}.png")
    folder = open_folder(tmp_path)
    assert select(folder, "IMG-01-IMG-02").names == ("IMG-01", "IMG-02")
    assert select(folder, "IMG-03").names == ("IMG-03",)


def test_an_image_turned_against_its_depth_is_refused(data: Path) -> None:
    write_png(data / "image" / "0001.png", picture(0, 32, 24))
    with pytest.raises(InputError, match="not one view"):
        open_folder(data).frame("0001")


def test_a_16_bit_image_is_refused(data: Path) -> None:
    cv2.imwrite(str(data / "image" / "0001.png"), np.full((24, 32, 3), 40000, np.uint16))
    with pytest.raises(InputError, match="16 bits per channel"):
        open_folder(data).frame("0001")


@pytest.mark.parametrize("row", ['"place": "garage"', '"place": 5', '"light": "dim"', '"licence": 3', '"source": []'])
def test_manifest_values_of_the_wrong_kind_are_refused(row: str, data: Path) -> None:
    (data / "manifest.json").write_text(f'[{{"frame": "0001", {row}}}]')
    with pytest.raises(InputError, match="frame 0001"):
        open_folder(data)


def test_validation_frames_need_depth_and_confidence(data: Path) -> None:
    shutil.rmtree(data / "depth_conf")
    demand_usable(open_folder(data), "a test")
    with pytest.raises(InputError, match="depth_conf"):
        demand_usable(open_folder(data), "a test", official=True)
