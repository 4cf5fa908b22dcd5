"""Teacher labels on disk, pictures to predict on, augmentation, resizing, and depth as pictures."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import accumulate, islice, repeat
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from lpcv.data import inputs
from lpcv.data.augment import jitter_colour, mirror
from lpcv.data.images import write_png
from lpcv.data.labels import HEADER, LabelSource, LabelStore
from lpcv.data.pictures import Scale, sheet, signed_scale, with_bar
from lpcv.data.resize import nearest, picture, smooth
from lpcv.errors import InputError

Array = npt.NDArray[Any]
SOURCE = LabelSource("depth_m", "someone/teacher", "ab" * 32, "Apache-2.0", (64, 48))
GREY = (128, 128, 128)
rgbs = arrays(np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9), st.just(3)))


def noise(seed: int = 0, height: int = 24, width: int = 32) -> npt.NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


# Labels


@pytest.fixture
def image(tmp_path: Path) -> Path:
    write_png(tmp_path / "0000.png", noise())
    return tmp_path / "0000.png"


@pytest.fixture
def store(tmp_path: Path) -> LabelStore:
    return LabelStore.create(tmp_path / "labels", SOURCE)


@settings(max_examples=20, deadline=None)
@given(arrays(np.float32, array_shapes(min_dims=2, max_dims=2, max_side=9), elements=st.floats(0, 60_000, width=16)))
def test_a_label_comes_back_as_written(tmp_path_factory: pytest.TempPathFactory, label: Array) -> None:
    root = tmp_path_factory.mktemp("labels")
    write_png(root / "x.png", noise())
    store = LabelStore.create(root / "labels", SOURCE)
    store.write("x", root / "x.png", label)
    again = LabelStore.open(root / "labels")
    assert again.source == SOURCE
    assert again.has("x", root / "x.png")
    read = again.read("x")
    assert read.dtype == np.float32
    np.testing.assert_array_equal(read, label)


def test_a_label_is_kept_in_half_precision(store: LabelStore, image: Path) -> None:
    label = np.full((48, 64), 3.14159, np.float32).T  # not contiguous
    store.write("0000", image, label)
    np.testing.assert_array_equal(store.read("0000"), np.full((64, 48), np.float16(3.14159), np.float32))
    assert (store.root / "0000.safetensors").stat().st_size < 64 * 48 * 2 + 300


def test_a_changed_image_has_no_label(store: LabelStore, image: Path) -> None:
    assert not store.has("0000", image)
    store.write("0000", image, np.ones((2, 3), np.float32))
    assert store.has("0000", image)
    assert not store.has("0001", image)
    write_png(image, noise(1))
    assert not store.has("0000", image)
    store.write("0000", image, np.ones((2, 3), np.float32))
    assert store.has("0000", image)


@pytest.mark.parametrize("kept", [0, 5, 20, -1])
def test_a_truncated_label_is_no_label(kept: int, store: LabelStore, image: Path) -> None:
    store.write("0000", image, np.ones((20, 30), np.float32))
    path = store.root / "0000.safetensors"
    path.write_bytes(path.read_bytes()[:kept])
    assert not store.has("0000", image)
    with pytest.raises(InputError, match=r"0000\.safetensors is not a teacher label .* Run `lpcv label`"):
        store.read("0000")


def test_a_missing_label_says_how_to_get_it(store: LabelStore) -> None:
    with pytest.raises(InputError, match=r"0007\.safetensors is not a teacher label .* Run `lpcv label`"):
        store.read("0007")


def test_a_failed_write_leaves_no_label(store: LabelStore, image: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match="No space"):
        store.write("0000", image, np.ones((2, 3), np.float32))
    assert [path.name for path in store.root.iterdir()] == [HEADER]
    assert not store.has("0000", image)


@pytest.mark.parametrize(
    "changed",
    [
        {"teacher": "another/teacher"},
        {"weights_sha256": "cd" * 32},
        {"kind": "affine_inverse_depth"},
        {"input_size": (128, 96)},
        {"licence": "CC-BY-NC-4.0"},
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_another_teachers_labels_are_refused(changed: dict[str, Any], store: LabelStore) -> None:
    assert LabelStore.create(store.root, SOURCE).source == SOURCE
    before = (store.root / HEADER).read_bytes()
    with pytest.raises(InputError, match=r"holds labels of someone/teacher\. Choose another folder"):
        LabelStore.create(store.root, LabelSource(**{**vars(SOURCE), **changed}))
    assert (store.root / HEADER).read_bytes() == before


def test_the_header_to_the_letter(store: LabelStore) -> None:
    assert json.loads((store.root / HEADER).read_text()) == {
        "kind": "depth_m",
        "teacher": "someone/teacher",
        "weights_sha256": "ab" * 32,
        "licence": "Apache-2.0",
        "input_size": [64, 48],
    }


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda header: {**header, "kind": "disparity"}, "names an unknown kind 'disparity'"),
        (lambda header: {**header, "colour": "blue"}, "does not describe teacher labels"),
        (lambda header: {key: header[key] for key in header if key != "licence"}, "does not describe teacher labels"),
        (lambda header: {key: header[key] for key in header if key != "input_size"}, "does not describe teacher"),
        (lambda header: {**header, "input_size": 64}, "does not describe teacher labels"),
        (lambda header: [header], "does not describe teacher labels"),
        (lambda header: None, "does not describe teacher labels"),
    ],
    ids=["kind", "more", "less", "no size", "size", "list", "null"],
)
def test_an_unknown_header_is_refused(change: Callable[[Any], Any], words: str, store: LabelStore) -> None:
    header = json.loads((store.root / HEADER).read_text())
    (store.root / HEADER).write_text(json.dumps(change(header)))
    with pytest.raises(InputError, match=words):
        LabelStore.open(store.root)


def test_a_folder_that_is_no_store_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"store\.json does not exist"):
        LabelStore.open(tmp_path)
    (tmp_path / HEADER).write_text("{")
    with pytest.raises(InputError, match=r"store\.json is not valid JSON"):
        LabelStore.open(tmp_path)


# Pictures to predict on


def test_one_image_is_one_picture(tmp_path: Path) -> None:
    write_png(tmp_path / "holiday.PNG", noise())
    ((name, rgb),) = inputs.pictures(tmp_path / "holiday.PNG")
    assert (name, inputs.names(tmp_path / "holiday.PNG")) == ("holiday", ("holiday",))
    np.testing.assert_array_equal(rgb, noise())


@pytest.mark.parametrize("inside", ["image", "."])
def test_a_folder_gives_its_images_by_name(inside: str, tmp_path: Path) -> None:
    for index, name in enumerate(("b", "a", "c")):
        write_png(tmp_path / inside / f"{name}.png", noise(index))
    given_pictures = list(inputs.pictures(tmp_path))
    assert [name for name, _ in given_pictures] == ["a", "b", "c"]
    assert inputs.names(tmp_path) == ("a", "b", "c")
    for (_, rgb), index in zip(given_pictures, (1, 0, 2), strict=True):
        np.testing.assert_array_equal(rgb, noise(index))


COLOURS = ((220, 30, 30), (30, 200, 30), (30, 30, 210))


@pytest.mark.parametrize(("suffix", "codec"), [(".avi", "MJPG"), (".mp4", "mp4v")])
def test_a_video_gives_its_frames_in_rgb(suffix: str, codec: str, tmp_path: Path) -> None:
    path = tmp_path / f"clip{suffix}"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*codec), 10, (64, 48))
    if not writer.isOpened():
        pytest.skip(f"this OpenCV cannot write {codec}")
    for colour in COLOURS:
        writer.write(np.full((48, 64, 3), colour[::-1], np.uint8))  # OpenCV takes BGR
    writer.release()
    frames = list(inputs.pictures(path))
    assert [name for name, _ in frames] == ["000000", "000001", "000002"]
    assert inputs.names(path) is None
    for (_, rgb), colour in zip(frames, COLOURS, strict=True):
        assert (rgb.shape, rgb.dtype) == ((48, 64, 3), np.uint8)
        np.testing.assert_allclose(rgb.reshape(-1, 3).mean(0), colour, atol=12)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("clip.mp4", b"no video at all", "holds no frame that OpenCV can decode. Convert it to H.264"),
        ("clip.avi", b"", "holds no frame that OpenCV can decode. Convert it to H.264"),
        ("image.png", b"no image", "is not a readable image. Replace it"),
        ("image.jpg", b"", "is empty. Copy it again"),
        ("notes.txt", b"hello", "is neither an image nor a video by its ending. Known endings: .png, .jpg"),
        ("no_suffix", b"hello", "is neither an image nor a video by its ending"),
        ("missing.png", None, "does not exist. Give an image, a folder of images, or a video."),
        ("missing.mp4", None, "does not exist. Give an image, a folder of images, or a video."),
    ],
)
def test_what_is_no_picture_is_refused(name: str, content: bytes | None, words: str, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError) as caught:
        list(inputs.pictures(tmp_path / name))
    assert f"{name} {words}" in str(caught.value)


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no images"):
        list(inputs.pictures(tmp_path))


# Augmentation


@settings(max_examples=20, deadline=None)
@given(rgbs, arrays(np.float32, array_shapes(min_dims=2, max_dims=2), elements=st.floats(0, 99, width=32)))
def test_mirror_is_an_involution_of_columns(rgb: Array, depth: Array) -> None:
    mirrored = mirror([rgb, depth])
    for once, twice, map_ in zip(mirrored, mirror(mirrored), (rgb, depth), strict=True):
        np.testing.assert_array_equal(twice, map_)
        assert (once.dtype, once.shape, once.flags.c_contiguous) == (map_.dtype, map_.shape, True)
        for column in range(map_.shape[1]):
            np.testing.assert_array_equal(once[:, column], map_[:, -1 - column])


@settings(max_examples=20, deadline=None)
@given(rgbs, st.integers(0, 2**32))
def test_jitter_of_no_strength_changes_nothing(rgb: Array, seed: int) -> None:
    np.testing.assert_array_equal(jitter_colour(rgb, np.random.default_rng(seed), 0.0), rgb)


@settings(max_examples=30, deadline=None)
@given(rgbs, st.integers(0, 2**32), st.floats(0, 1))
def test_jitter_is_its_formula_and_stays_within_8_bits(rgb: Array, seed: int, strength: float) -> None:
    """Exposure and balance, then saturation about the pixel's luma, then contrast about the image's, then clipping."""
    jittered = jitter_colour(rgb, np.random.default_rng(seed), strength)
    assert (jittered.dtype, jittered.shape) == (np.uint8, rgb.shape)
    draw = np.random.default_rng(seed)
    exposure, contrast, saturation = np.exp(draw.uniform(-strength, strength, 3))
    lit = rgb * exposure * np.exp(draw.uniform(-strength / 4, strength / 4, 3))
    luma = lit @ [0.299, 0.587, 0.114]
    coloured = luma[..., None] + saturation * (lit - luma[..., None])
    contrasted = luma.mean() + contrast * (coloured - luma.mean())
    np.testing.assert_allclose(jittered, np.clip(contrasted, 0, 255), atol=1.0)  # OpenCV: fixed point


def test_jitter_repeats_with_its_generator_and_differs_without() -> None:
    rgb = noise()
    one, two, other = (jitter_colour(rgb, np.random.default_rng(seed), 0.4) for seed in (3, 3, 4))
    np.testing.assert_array_equal(one, two)
    assert (one != other).any()
    assert (one != rgb).any()
    np.testing.assert_array_equal(rgb, noise())


# Resizing


def sample_centres(length: int, wanted: int) -> list[int]:
    """PIL's NEAREST along one axis: output i shows what lies at (i + 0.5) * length / wanted, summed up step by step."""
    return [int(at) for at in islice(accumulate(repeat(length / wanted), initial=length / wanted / 2), wanted)]


@settings(max_examples=60, deadline=None)
@given(st.tuples(*[st.integers(1, 40)] * 4), st.sampled_from([np.float32, np.uint8]))
def test_nearest_is_pils_by_definition(sides: tuple[int, int, int, int], dtype: type) -> None:
    height, width, new_height, new_width = sides
    values = np.random.default_rng(sides).integers(0, 256, (height, width)).astype(dtype)
    resized = nearest(values, (new_width, new_height))
    assert (resized.dtype, resized.shape) == (values.dtype, (new_height, new_width))
    rows, columns = sample_centres(height, new_height), sample_centres(width, new_width)
    np.testing.assert_array_equal(resized, values[rows][:, columns])


def test_nearest_at_the_competitions_sizes() -> None:
    values = np.arange(192 * 256, dtype=np.float32).reshape(192, 256)
    resized = nearest(values, (640, 480))
    np.testing.assert_array_equal(resized, values[sample_centres(192, 480)][:, sample_centres(256, 640)])
    assert (resized != cv2.resize(values, (640, 480), interpolation=cv2.INTER_NEAREST)).any()


@settings(max_examples=20, deadline=None)
@given(st.tuples(*[st.integers(1, 20)] * 4), st.floats(0.125, 60, width=16))
def test_smooth_keeps_a_plane_and_the_range(sides: tuple[int, int, int, int], level: float) -> None:
    height, width, new_height, new_width = sides
    flat = smooth(np.full((height, width), level, np.float32), (new_width, new_height))
    assert (flat.dtype, flat.shape) == (np.float32, (new_height, new_width))
    np.testing.assert_allclose(flat, level, rtol=1e-5)
    values = np.random.default_rng(sides).uniform(0, level, (height, width)).astype(np.float32)
    resized = smooth(values, (new_width, new_height))
    assert values.min() - 1e-4 * level <= resized.min() <= resized.max() <= values.max() + 1e-4 * level


def test_smooth_shrinks_by_area() -> None:
    values = np.array([[9, 0, 0, 6, 0, 0, 0, 3]] * 4, np.float32)  # bilinear would miss the 9 and the 3
    np.testing.assert_allclose(smooth(values, (2, 1)), [[3.75, 0.75]])
    rgb = np.repeat(values[..., None] * 20, 3, axis=2).astype(np.uint8)
    np.testing.assert_array_equal(picture(rgb, (2, 1)), np.repeat([[[75], [15]]], 3, axis=2))


@pytest.mark.parametrize("resize", [nearest, smooth, picture])
def test_the_same_size_is_the_same_array(resize: Callable[..., Array]) -> None:
    values = noise() if resize is picture else np.ones((24, 32), np.float32)
    assert resize(values, (32, 24)) is values


# Depth as pictures

TURBO_LOW, TURBO_HIGH = (48, 18, 59), (122, 4, 3)  # the ends of Google's Turbo table, RGB


def test_the_ends_of_a_scale_have_the_ends_colours_and_what_is_beyond_takes_them() -> None:
    painted = Scale(1.0, 3.0, "m").paint(np.array([[1.0, 3.0, -7.0, 99.0, 2.0]], np.float32))[0]
    low, high, below, above, middle = (tuple(map(int, colour)) for colour in painted)
    assert low == below == pytest.approx(TURBO_LOW, abs=1)
    assert high == above == pytest.approx(TURBO_HIGH, abs=1)
    assert middle[1] > 200  # green in the middle


def test_a_scale_is_monotone_and_tells_values_apart() -> None:
    scale = Scale(0.0, 10.0, "m", cv2.COLORMAP_BONE)  # from black to white: brightness says the order
    brightness = scale.paint(np.linspace(0, 10, 256)[None])[0].astype(int).sum(1)
    assert (np.diff(brightness) >= 0).all()
    assert (brightness[0], brightness[-1]) == (0, 3 * 255)
    assert len(np.unique(brightness)) > 200


def test_invalid_pixels_are_grey() -> None:
    values = np.array([[np.nan, np.inf, -np.inf, 1.0, 2.0]], np.float32)
    scale = Scale(0.0, 3.0, "m")
    painted = scale.paint(values)[0]
    assert [tuple(colour) == GREY for colour in painted] == [True, True, True, False, False]
    masked = scale.paint(values, np.array([[True, True, True, True, False]]))[0]
    assert [tuple(colour) == GREY for colour in masked] == [True, True, True, False, True]
    np.testing.assert_array_equal(masked[3], painted[3])


def test_a_scale_of_no_width_paints_one_colour() -> None:
    painted = Scale(2.0, 2.0, "m").paint(np.full((3, 3), 2.0, np.float32))
    assert len(np.unique(painted.reshape(-1, 3), axis=0)) == 1
    assert tuple(painted[0, 0]) != GREY


def test_a_signed_error_is_blue_below_zero_white_at_it_and_red_above() -> None:
    below, zero, above = signed_scale(0.5, "m").paint(np.array([[-0.4, 0.0, 0.4]], np.float32))[0].astype(int)
    assert below[2] > 2 * below[0]
    assert above[0] > 2 * above[2]
    assert (zero > 245).all()  # white


def test_the_bar_runs_from_high_at_the_top_to_low() -> None:
    scale = Scale(0.5, 4.5, "m")
    bar = scale.bar(100)
    assert bar.shape == (100, 90, 3)
    high, low = scale.paint(np.array([[4.5, 0.5]], np.float32))[0]
    np.testing.assert_array_equal(bar[6, 6], high)
    np.testing.assert_array_equal(bar[93, 19], low)
    assert (bar[:6] == 255).all()
    assert (bar[:, 24:] < 100).any()  # the numbers and their unit
    with_its_bar = with_bar(np.zeros((100, 50, 3), np.uint8), scale)
    np.testing.assert_array_equal(with_its_bar[:, 50:], bar)


@pytest.mark.parametrize("rows", [1, 3])
@pytest.mark.parametrize("scales", [0, 1, 2])
def test_a_sheet_is_as_large_as_its_parts(rows: int, scales: int) -> None:
    """A heading of 26 pixels, a gap of 6 after each tile and row, a bar of 90 for each scale."""
    red, blue = np.full((10, 20, 3), (255, 0, 0), np.uint8), np.full((500, 700, 3), (0, 0, 255), np.uint8)
    drawn = sheet(
        [(f"{row}", [red, blue]) for row in range(rows)], ("one", "two"), [Scale(0, 1, "m")] * scales, (64, 48)
    )
    assert drawn.shape == (26 + rows * 54, 2 * 70 + scales * 90, 3)
    assert (drawn[:26] < 100).any()  # the headings
    for row in range(rows):
        top = 26 + row * 54
        assert (drawn[top + 20 : top + 48, :64] == (255, 0, 0)).all()
        assert (drawn[top : top + 48, 70:134] == (0, 0, 255)).all()
        assert (drawn[top : top + 48, 64:70] == 255).all()
        assert (drawn[top : top + 20, :64] != (255, 0, 0)).any()  # the caption
    assert (red == (255, 0, 0)).all()
