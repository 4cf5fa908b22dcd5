"""A folder of predictions: what is written comes back, whole or not at all, and says what it is from the start."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from lpcv import files
from lpcv.data.model_input import contract_input
from lpcv.errors import InputError
from lpcv.prediction_folder import DESCRIPTION, describe, described, read_prediction, write_prediction

sizes = array_shapes(min_dims=2, max_dims=2, max_side=6)


@settings(max_examples=30, deadline=None)
@given(arrays(np.float32, sizes, elements=st.floats(width=32)), st.booleans())
def test_what_is_written_comes_back(tmp_path_factory: pytest.TempPathFactory, values: Any, batched: bool) -> None:
    path = tmp_path_factory.mktemp("one") / "0000.npy"
    write_prediction(path, values[None, None] if batched else values)
    np.testing.assert_array_equal(read_prediction(path), values)
    stored = np.load(path)
    assert (stored.shape, stored.dtype) == ((1, 1, *values.shape), np.float32)


def test_the_file_to_the_byte(tmp_path: Path) -> None:
    write_prediction(tmp_path / "a.npy", np.array([[1.0, 2.0]], np.float64))
    content = (tmp_path / "a.npy").read_bytes()
    header = b"{'descr': '<f4', 'fortran_order': False, 'shape': (1, 1, 1, 2), }"
    assert content.startswith(b"\x93NUMPY\x01\x00")
    assert header in content
    assert content.endswith(bytes.fromhex("0000803f00000040"))


def test_a_map_in_another_order_of_memory_is_the_same(tmp_path: Path) -> None:
    values = np.arange(12, dtype=np.float16).reshape(3, 4)
    write_prediction(tmp_path / "rows.npy", values)
    write_prediction(tmp_path / "columns.npy", np.asfortranarray(values))
    assert (tmp_path / "rows.npy").read_bytes() == (tmp_path / "columns.npy").read_bytes()


@pytest.mark.parametrize(
    "values",
    [np.ones((2, 3), np.uint8), np.ones((1, 2, 3), np.float32), np.ones((2, 1, 2, 3), np.float32),
     np.ones((0, 3), np.float32), np.ones((2, 3), np.complex64), np.ones(3, np.float32)],
    ids=lambda values: f"{values.dtype}{values.shape}",
)  # fmt: skip
def test_what_is_no_map_is_refused_and_leaves_the_file_alone(values: Any, tmp_path: Path) -> None:
    write_prediction(tmp_path / "a.npy", np.ones((2, 3), np.float32))
    before = (tmp_path / "a.npy").read_bytes()
    with pytest.raises(InputError, match=r"a\.npy is .* but a prediction is float16"):
        write_prediction(tmp_path / "a.npy", values)
    assert (tmp_path / "a.npy").read_bytes() == before


def test_a_full_disk_leaves_no_half_of_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_prediction(tmp_path / "a.npy", np.ones((2, 3), np.float32))
    assert os.listdir(tmp_path) == []


# The description


def test_a_description_comes_back_and_the_last_one_holds(tmp_path: Path) -> None:
    assert described(tmp_path / "p") is None
    describe(tmp_path / "p", "depth_m", frames=["0", "1"])
    assert described(tmp_path / "p") == {"kind": "depth_m", "frames": ["0", "1"]}
    facts: dict[str, Any] = {"frames": ["0"], "made_from": "5" * 64, "computed_by": "a device", "pictures": 1}
    describe(tmp_path / "p", "depth_m", **facts, images_sha256={"0": "6" * 64})
    assert described(tmp_path / "p") == {"kind": "depth_m", **facts, "images_sha256": {"0": "6" * 64}}


def test_another_kind_does_not_go_into_the_same_folder(tmp_path: Path) -> None:
    describe(tmp_path, "depth_m", frames=["0"])
    with pytest.raises(InputError, match="holds predictions of another kind than relative_depth"):
        describe(tmp_path, "relative_depth", frames=["0"])
    assert described(tmp_path) == {"kind": "depth_m", "frames": ["0"]}


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ("[]", "names no kind of prediction"),
        ('{"kind": 5}', "names no kind of prediction"),
        ('{"kind": "depth_m", "frames": "0000"}', '"frames" is no list of names'),
        ('{"kind": "depth_m", "frames": [1]}', '"frames" is no list of names'),
        ('{"kind": "depth_m", "made_from": null}', '"made_from" is no text'),
        ('{"kind": "depth_m", "computed_by": 3}', '"computed_by" is no text'),
        ('{"kind": "depth_m", "images_sha256": ["0"]}', '"images_sha256" names no hashes'),
        ('{"kind": "depth_m", "images_sha256": {"0": 1}}', '"images_sha256" names no hashes'),
        ('{"kind": "depth_m"', "is not valid JSON"),
    ],
)
def test_a_damaged_description_is_a_sentence(told: str, words: str, tmp_path: Path) -> None:
    (tmp_path / DESCRIPTION).write_text(told)
    with pytest.raises(InputError, match=words):
        described(tmp_path)


def test_a_description_is_json_that_people_read(tmp_path: Path) -> None:
    describe(tmp_path, "relative_depth", frames=["0000"])
    assert (tmp_path / DESCRIPTION).read_text() == (
        '{\n  "kind": "relative_depth",\n  "frames": [\n    "0000"\n  ]\n}\n'
    )
    assert json.loads((tmp_path / DESCRIPTION).read_text()) == described(tmp_path)


# What a model is fed


def test_a_picture_of_the_contracts_size_is_fed_as_it_is() -> None:
    rgb = np.random.default_rng(0).integers(0, 256, (480, 640, 3), np.uint8)
    fed = contract_input(rgb)
    assert (fed.shape, fed.dtype, fed.flags.c_contiguous) == ((1, 3, 480, 640), np.float32, True)
    np.testing.assert_array_equal(fed[0].transpose(1, 2, 0), rgb)


def test_a_larger_picture_is_averaged_over_areas() -> None:
    rgb = np.zeros((4, 4, 3), np.uint8)
    rgb[:2, :2, 0], rgb[0, 0, 0] = 100, 140
    fed = contract_input(rgb, (2, 2))
    assert fed.shape == (1, 3, 2, 2)
    np.testing.assert_array_equal(fed[0, 0], [[110, 0], [0, 0]])
    assert not fed[0, 1:].any()
