"""Probe frames: the same pictures and answers each time, and a model that answers otherwise is named."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import onnx
import pytest
from bundle_bench import build_model, make_run, write_score
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from lpcv.contract import CURRENT as CONTRACT
from lpcv.data.model_input import contract_input
from lpcv.errors import InputError
from lpcv.onnx_session import open_session
from lpcv.submission.bundle import probes
from lpcv.submission.bundle.pack import package
from lpcv.submission.bundle.probes import GRID, PICTURES, answers_of, decoded, difference, npy_bytes, picture_files
from lpcv.submission.bundle.probes import probe_files as made

WIDTH, HEIGHT = CONTRACT.image_size


def test_pictures_differ_in_every_way_that_a_model_may_confuse() -> None:
    for name in PICTURES:
        rgb = decoded(picture_files()[name], name)
        assert (rgb.shape, rgb.dtype) == ((HEIGHT, WIDTH, 3), np.uint8)
        if name in ("noise", "gradient"):
            for other in (rgb[::-1], rgb[:, ::-1], rgb[:, :, ::-1]):
                assert (other != rgb).any(2).mean() > 0.9
    assert np.array_equal(decoded(picture_files()["gradient"], ""), probes.gradient())
    assert sum(map(len, picture_files().values())) < 1_000_000


def test_answers_are_the_models_own() -> None:
    """Against the model's definition: the mean of the channels / 255, at pixels 8, 24, 40 ..."""
    files = made(build_model().SerializeToString(), "m")
    rgb = probes.gradient().astype(np.float64)
    expected = rgb.mean(2)[8::16, 8::16] / 255
    found = probes.read_answer(files["probes/gradient.npy"], "")
    assert found.shape == GRID == (30, 40)
    np.testing.assert_allclose(found, expected, atol=2e-6)
    np.testing.assert_array_equal(np.load(io.BytesIO(files["probes/gradient.npy"])), found)


def test_the_grid_is_what_a_session_gives() -> None:
    content = build_model().SerializeToString()
    rgb = decoded(picture_files()["scene"], "")
    (output,) = open_session(content).run(None, {"image": contract_input(rgb)})
    answer = answers_of(content, {"scene": rgb}, "m")["scene"]
    np.testing.assert_allclose(answer, np.asarray(output)[0, 0, 8::16, 8::16], atol=1e-6)


@settings(max_examples=25)
@given(arrays.arrays(np.float32, GRID, elements=st.floats(-1e6, 1e6, width=32)))
def test_an_answer_comes_back_as_it_was(answer: np.ndarray) -> None:
    back = probes.read_answer(npy_bytes(answer), "")
    assert np.array_equal(back, answer)
    assert difference(back, answer)[0] == 0


@pytest.mark.parametrize(("value", "same"), [(0.9e-4, True), (1.1e-4, False), (np.nan, False), (np.inf, False)])
def test_the_tolerance(value: float, same: bool) -> None:
    stored = np.zeros(GRID, np.float32)
    found = stored.copy()
    found[3, 4] = value
    gap, allowed = difference(found, stored)
    assert (gap <= allowed) is same
    assert allowed == 1e-4


def test_a_large_answer_has_a_larger_tolerance() -> None:
    stored = np.full(GRID, 10, np.float32)
    assert difference(stored + np.float32(5e-4), stored)[1] == pytest.approx(1e-3)


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (build_model(most=0.0), "NaN or infinity on the probe frame"),
        (build_model(output_name="depth"), "ONNX Runtime cannot run"),
    ],
)
def test_a_model_that_cannot_answer_is_not_packaged(model: onnx.ModelProto, expected: str, tmp_path: Path) -> None:
    run = make_run(tmp_path / "mine")
    onnx.save(model, run.model)
    write_score(run)
    with pytest.raises(InputError, match=expected) as refused:
        package(run, tmp_path / "b.zip")
    assert "lpcv check" in refused.value.remedy
    assert not (tmp_path / "b.zip").exists()
