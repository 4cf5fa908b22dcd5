"""Frames to AI Hub and back: slices, a hash of what goes in, and files that the client's own code reads and writes."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from lpcv.contract import CURRENT as CONTRACT
from lpcv.data.folder import FrameFolder, open_folder
from lpcv.data.images import write_png
from lpcv.data.model_input import contract_input
from lpcv.errors import InputError
from lpcv.hub_jobs import frames as module
from lpcv.hub_jobs.frames import dataset_of, slices, write_inputs, write_outputs
from lpcv.prediction_folder import read_prediction
from qai_hub.util.dataset_entries_converters import dataset_entries_to_h5, h5_to_dataset_entries

NAMES = ("a", "b", "c")
Entries = dict[str, list[npt.NDArray[Any]]]


def write_frame(root: Path, name: str, seed: int) -> None:
    """A flat colour with one pixel of its own, of the contract's size for "a", smaller for the others."""
    width, height = CONTRACT.image_size if name == "a" else (64, 48)
    rgb = np.full((height, width, 3), (seed * 40 % 256, 80, 200), np.uint8)
    rgb[3, 5] = (255, seed, 0)
    write_png(root / f"{name}.png", rgb)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "frames"
    for seed, name in enumerate(NAMES):
        write_frame(folder, name, seed)
    return folder


@pytest.fixture
def folder(root: Path) -> FrameFolder:
    return open_folder(root)


def unread(names: tuple[str, ...]) -> FrameFolder:
    """A folder of frames whose files are the same one, since only names count here."""
    here = Path(__file__)
    return FrameFolder(here.parent, names, dict.fromkeys(names, here), {}, {}, {})


# --- slices


@given(many=st.integers(1, 23), together=st.integers(1, 30))
def test_slices_hold_every_frame_once_in_order(many: int, together: int) -> None:
    names = tuple(f"{index:03}" for index in range(many))
    parts = slices(unread(names), together)
    assert tuple(name for part in parts for name in part.names) == names
    assert all(len(part.names) == together for part in parts[:-1])
    assert 1 <= len(parts[-1].names) <= together
    assert len({part.dataset.sha256 for part in parts}) == len(parts)


def test_a_slice_s_dataset_is_that_of_its_frames_alone(folder: FrameFolder) -> None:
    parts = slices(folder, 2)
    assert [part.names for part in parts] == [("a", "b"), ("c",)]
    assert [part.dataset.sha256 for part in parts] == [
        dataset_of(folder.subset(("a", "b"))).sha256,
        dataset_of(folder.subset(("c",))).sha256,
    ]


def test_frames_of_a_slice_need_no_more_than_a_gigabyte() -> None:
    assert module.FRAMES_PER_JOB * np.prod(CONTRACT.input_shape) * 4 < 1e9


# --- the hash


def test_the_hash_is_of_names_order_and_contents_not_of_the_place(root: Path, tmp_path: Path) -> None:
    before = dataset_of(open_folder(root)).sha256
    elsewhere = open_folder(shutil.copytree(root, tmp_path / "else" / "where"))
    assert dataset_of(elsewhere).sha256 == before
    assert dataset_of(elsewhere.subset(("b", "a", "c"))).sha256 != before
    assert dataset_of(elsewhere.subset(("a", "b"))).sha256 != before

    images = tmp_path / "layout" / "image"
    shutil.copytree(root, images)
    assert dataset_of(open_folder(images.parent)).sha256 == before  # the competition's layout has the same frames


@pytest.mark.parametrize("change", ["content", "name", "swapped", "one more"])
def test_the_hash_changes_with_what_goes_in(root: Path, change: str) -> None:
    before = dataset_of(open_folder(root)).sha256
    if change == "content":
        write_frame(root, "b", 9)
    elif change == "name":
        (root / "c.png").rename(root / "d.png")
    elif change == "swapped":
        (root / "b.png").rename(root / "x.png")
        (root / "c.png").rename(root / "b.png")
        (root / "x.png").rename(root / "c.png")
    else:
        write_frame(root, "d", 3)
    assert dataset_of(open_folder(root)).sha256 != before


def test_a_name_cannot_pass_for_a_hash() -> None:
    """Two frames are never one frame with a long name."""
    sha256 = dataset_of(unread(("a",))).sha256
    assert dataset_of(unread(("a", "b"))).sha256 != sha256
    assert dataset_of(unread((f"a {sha256}",))).sha256 != sha256


# --- what we write, the client reads


def test_the_client_reads_the_very_inputs(folder: FrameFolder, tmp_path: Path) -> None:
    path = tmp_path / "inputs.h5"
    dataset_of(folder).write(path)
    with h5py.File(path) as h5:
        entries: Any = h5_to_dataset_entries(h5)
    assert list(entries) == [CONTRACT.input_name] == ["image"]
    assert len(entries["image"]) == len(NAMES)
    for batch, frame in zip(entries["image"], folder, strict=True):
        assert batch.dtype == np.float32
        assert batch.shape == CONTRACT.input_shape
        np.testing.assert_array_equal(batch, contract_input(frame.rgb))
    first = entries["image"][0]
    assert first[0, :, 3, 5].tolist() == [255, 0, 0]  # RGB in 0 to 255, as the organisers feed it
    assert first[0, :, 0, 0].tolist() == [0, 80, 200]


def test_the_file_is_laid_out_as_the_client_s_own(folder: FrameFolder, tmp_path: Path) -> None:
    ours, theirs = tmp_path / "ours.h5", tmp_path / "theirs.h5"
    two = folder.subset(("b", "c"))
    write_inputs(two, ours)
    with h5py.File(theirs, "w") as h5:
        dataset_entries_to_h5({"image": [contract_input(frame.rgb) for frame in two]}, h5)
    assert layout(ours) == layout(theirs)


def layout(path: Path) -> dict[str, object]:
    """Every group and dataset with its attributes, shape, dtype and compression."""
    found: dict[str, object] = {}

    def note(name: str, item: Any) -> None:
        shape = (item.shape, item.dtype, item.compression) if isinstance(item, h5py.Dataset) else None
        found[name] = (dict(item.attrs), shape)

    with h5py.File(path) as h5:
        h5.visititems(note)
    return found


# --- what the client writes, we read


def outputs(many: int, dtype: Any = np.float32, shape: tuple[int, ...] = (1, 1, 6, 8)) -> list[npt.NDArray[Any]]:
    return [np.random.default_rng(seed).random(shape).astype(dtype) for seed in range(many)]


def client_writes(path: Path, entries: Entries, edit: Callable[[h5py.File], object] | None = None) -> Path:
    with h5py.File(path, "w") as h5:
        dataset_entries_to_h5(entries, h5)
        if edit:
            edit(h5)
    return path


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("shape", [(1, 1, 6, 8), (6, 8)])
@pytest.mark.parametrize("name", ["output_0", "depth"])
def test_outputs_of_the_client_become_predictions(
    tmp_path: Path, dtype: Any, shape: tuple[int, ...], name: str
) -> None:
    maps = outputs(3, dtype, shape)
    write_outputs(client_writes(tmp_path / "o.h5", {name: maps}), NAMES, tmp_path / "p")
    assert sorted(path.name for path in (tmp_path / "p").iterdir()) == ["a.npy", "b.npy", "c.npy"]
    for frame, values in zip(NAMES, maps, strict=True):
        stored = np.load(tmp_path / "p" / f"{frame}.npy")
        assert (stored.dtype, stored.shape) == (np.float32, (1, 1, 6, 8))
        np.testing.assert_array_equal(stored, values.astype(np.float32).reshape(1, 1, 6, 8))
        assert read_prediction(tmp_path / "p" / f"{frame}.npy").shape == (6, 8)


def test_more_than_ten_frames_keep_their_order(tmp_path: Path) -> None:
    """batch_10 comes before batch_2 in the file's own order."""
    maps, names = outputs(12), [f"{index:02}" for index in range(12)]
    write_outputs(client_writes(tmp_path / "o.h5", {"output_0": maps}), names, tmp_path / "p")
    for name, values in zip(names, maps, strict=True):
        np.testing.assert_array_equal(np.load(tmp_path / "p" / f"{name}.npy"), values)


@pytest.mark.parametrize("first", [True, False])
def test_the_contract_s_output_is_found_among_several(tmp_path: Path, first: bool) -> None:
    wanted, other = {"output_0": outputs(1)}, {"features": outputs(1, shape=(1, 9, 2, 2))}
    path = client_writes(tmp_path / "o.h5", {**wanted, **other} if first else {**other, **wanted})
    write_outputs(path, ["a"], tmp_path / "p")
    np.testing.assert_array_equal(np.load(tmp_path / "p" / "a.npy"), wanted["output_0"][0])


def unordered(h5: h5py.File) -> None:
    del h5["data/0"].attrs["order"]


def test_outputs_without_an_order_are_read_too(tmp_path: Path) -> None:
    path = client_writes(tmp_path / "o.h5", {"output_0": outputs(1)}, unordered)
    write_outputs(path, ["a"], tmp_path / "p")
    assert (tmp_path / "p" / "a.npy").exists()


@pytest.mark.parametrize("many", [1, 2, 4])
def test_a_wrong_count_is_a_sentence_and_nothing_is_written(tmp_path: Path, many: int) -> None:
    path = client_writes(tmp_path / "o.h5", {"output_0": outputs(many)})
    with pytest.raises(InputError, match=f"holds {many} outputs for 3 frames.*fetched anew"):
        write_outputs(path, NAMES, tmp_path / "p")
    assert not (tmp_path / "p").exists()


def test_outputs_of_other_names_are_a_sentence(tmp_path: Path) -> None:
    path = client_writes(tmp_path / "o.h5", {"depth": outputs(1), "confidence": outputs(1)})
    with pytest.raises(
        InputError, match=r"gives confidence, depth, none of which is output_0.*Name the model's output"
    ):
        write_outputs(path, ["a"], tmp_path / "p")


@pytest.mark.parametrize(
    ("dtype", "shape"),
    [(np.float32, (1, 3, 6, 8)), (np.float32, (2, 1, 6, 8)), (np.float32, (48,)), (np.uint8, (1, 1, 6, 8)),
     (np.float32, (1, 1, 0, 8)), (np.int64, (6, 8))],
)  # fmt: skip
def test_what_is_no_map_is_a_sentence(tmp_path: Path, dtype: Any, shape: tuple[int, ...]) -> None:
    path = client_writes(tmp_path / "o.h5", {"output_0": outputs(1, dtype, shape)})
    with pytest.raises(InputError, match=r"o\.h5: the output for frame a is"):
        write_outputs(path, ["a"], tmp_path / "p")
    assert not (tmp_path / "p" / "a.npy").exists()


def test_what_is_no_map_names_the_file_that_holds_it(tmp_path: Path) -> None:
    path = client_writes(tmp_path / "o.h5", {"output_0": outputs(1, shape=(1, 3, 6, 8))})
    with pytest.raises(InputError, match=r"o\.h5"):
        write_outputs(path, ["a"], tmp_path / "p")


def without(name: str) -> Callable[[h5py.File], object]:
    return lambda h5: h5.pop(name)


def array_for_group(name: str) -> Callable[[h5py.File], object]:
    def edit(h5: h5py.File) -> None:
        kept = dict(h5[name].attrs)
        del h5[name]
        h5.create_dataset(name, data=np.zeros(3)).attrs.update(kept)

    return edit


BROKEN = {
    "no data": without("data"),
    "no outputs": without("data/0"),
    "a batch is missing": without("data/0/batch_1"),
    "no name": lambda h5: h5["data/0"].attrs.__delitem__("name"),
    "no count": lambda h5: h5["data/0"].attrs.__delitem__("batch_count"),
    "data is an array": array_for_group("data"),
    "output is an array": array_for_group("data/0"),
    "count is text": lambda h5: h5["data/0"].attrs.__setitem__("batch_count", "three"),
}


@pytest.mark.parametrize("edit", [pytest.param(edit, id=what) for what, edit in BROKEN.items()])
def test_another_layout_is_a_sentence(tmp_path: Path, edit: Callable[[h5py.File], object]) -> None:
    path = client_writes(tmp_path / "o.h5", {"output_0": outputs(3)}, edit)
    with pytest.raises(InputError, match=rf"{path.name}.*fetched anew"):
        write_outputs(path, NAMES, tmp_path / "p")


@pytest.mark.parametrize("content", [b"", b"no h5", b"\x89HDF\r\n\x1a\n"])
def test_what_is_no_h5_is_a_sentence(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "o.h5").write_bytes(content)
    with pytest.raises(InputError, match=r"is no output dataset.*fetched anew"):
        write_outputs(tmp_path / "o.h5", NAMES, tmp_path / "p")


def test_half_a_file_is_a_sentence(tmp_path: Path) -> None:
    path = client_writes(tmp_path / "o.h5", {"output_0": outputs(3)})
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(InputError, match="is no output dataset"):
        write_outputs(path, NAMES, tmp_path / "p")


def test_damaged_numbers_are_a_sentence(tmp_path: Path) -> None:
    """The gzip stream of a batch no longer unpacks."""
    path = client_writes(tmp_path / "o.h5", {"output_0": outputs(1, shape=(1, 1, 60, 80))})
    with h5py.File(path) as h5:
        batch: Any = h5["data/0/batch_0"]
        chunk = batch.id.get_chunk_info(0)
    whole = bytearray(path.read_bytes())
    whole[chunk.byte_offset + 2 : chunk.byte_offset + 60] = b"\xff" * 58
    path.write_bytes(whole)
    with pytest.raises(InputError, match="is no output dataset"):
        write_outputs(path, ["a"], tmp_path / "p")


def test_a_full_disk_is_not_blamed_on_the_download(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, _: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr(module, "write_prediction", full)
    path = client_writes(tmp_path / "o.h5", {"output_0": outputs(1)})
    with pytest.raises(OSError, match="No space left"):
        write_outputs(path, ["a"], tmp_path / "p")
