"""What the model wants to be fed, and which way its map lies: each mistake is caught by its own finding alone.

The models recognise a frame by the mean of its colours, after a normalisation in the graph, and give its truth.
Each mistake is a normalisation other than the one that the keys were computed with.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from lpcv.data.folder import FrameFolder
from lpcv.submission.check.meaning_evidence import NAMES
from lpcv.submission.check.meaning_input import MEAN, PROBES, STD
from lpcv.submission.check.preflight import check_model
from meaning_models import (
    HEIGHT,
    METRES_AT_ONE,
    WIDTH,
    Change,
    Tensor,
    by_name,
    failed,
    recogniser,
    relative,
    scene,
    write_scenes,
)


def normalised(x: Tensor) -> Tensor:
    return (x / 255 - MEAN) / STD


def standard(x: Tensor) -> Tensor:
    return (x - MEAN) / STD


MISTAKES: dict[str, tuple[Change, Change, str]] = {
    # what the model does to its input, what it was trained on, the finding that names the mistake
    "expects 0 to 1": (lambda x: x, lambda x: x / 255, "input range"),
    "expects 0 to 1, and normalises": (standard, normalised, "input range"),
    "no normalisation": (lambda x: x, normalised, "normalisation"),
    "mean and deviation left out": (lambda x: x / 255, normalised, "normalisation"),
    "mean and deviation twice": (lambda x: standard(normalised(x)), normalised, "normalisation"),
    "divided by 255 twice": (lambda x: normalised(x / 255), normalised, "normalisation"),
}


@pytest.fixture(scope="module")
def depths() -> list[Tensor]:
    return [scene(seed) for seed in range(3)]


@pytest.fixture(scope="module")
def frames(depths: list[Tensor], tmp_path_factory: pytest.TempPathFactory) -> FrameFolder:
    return write_scenes(tmp_path_factory.mktemp("varied"), depths)


@pytest.mark.parametrize("own", [lambda x: x, normalised])
def test_a_good_model_passes_clean(own: Change, depths: list[Tensor], frames: FrameFolder, tmp_path: Path) -> None:
    found = by_name(check_model(recogniser(tmp_path / "m.onnx", frames, relative(depths), own, own), frames))
    # Exchanged red and blue lead to no frame, so that the colour order is decided too.
    assert {name: one.found for name, one in found.items() if one.state != "pass"} == {}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_each_mistake_of_the_input_is_named_with_its_remedy(
    mistake: str, depths: list[Tensor], frames: FrameFolder, tmp_path: Path
) -> None:
    own, wanted, name = MISTAKES[mistake]
    found = check_model(recogniser(tmp_path / "m.onnx", frames, relative(depths), own, wanted), frames)
    assert failed(found) - {"answers the picture"} == {name}
    finding = by_name(found)[name]
    assert finding.remedy in {probe.remedy for probe in PROBES.values() if probe.blames == name}
    others = [one for one in found if one.name in NAMES and one.name != name]
    assert {one.state for one in others} == {"undecided"}
    assert all(f"see {name}" in one.found for one in others)


def test_the_probe_undoes_the_mistake_that_it_names() -> None:
    """Literally: what the model makes of the probe is what it was trained on."""
    x = np.random.default_rng(0).uniform(0, 255, (1, 3, 2, 2)).astype(np.float32)
    undone = {
        "x / 255": lambda x: x, "(x / 255 - mean) / std": lambda x: x, "(x - 255 mean) / std": lambda x: x / 255,
        "x std + 255 mean": lambda x: standard(normalised(x)), "255 x": lambda x: normalised(x / 255),
    }  # fmt: skip
    assert set(undone) == set(PROBES)
    for name, model in undone.items():
        expected = x / 255 if name == "x / 255" else normalised(x)
        np.testing.assert_allclose(model(PROBES[name].feed(x)), expected, rtol=1e-4, atol=1e-4)


TURNS: dict[str, Change] = {
    "transposed": lambda depth: depth.T,
    "turned left": np.rot90,
    "turned right": lambda depth: np.rot90(depth, -1),
    "transposed and turned by 180 degrees": lambda depth: depth.T[::-1, ::-1],
}


@pytest.mark.parametrize(
    ("turn", "bend"),
    [*((turn, lambda depth: depth) for turn in TURNS), ("turned left", lambda depth: 0.5 / depth)],
)
def test_a_map_on_its_side_is_named(
    turn: str, bend: Change, depths: list[Tensor], frames: FrameFolder, tmp_path: Path
) -> None:
    """Also where it is inverse depth besides: one thing at a time."""
    maps = [
        cv2.resize(np.ascontiguousarray(TURNS[turn](bend(depth))), (WIDTH, HEIGHT)) / METRES_AT_ONE for depth in depths
    ]
    found = check_model(recogniser(tmp_path / "m.onnx", frames, maps), frames)
    assert failed(found) == {"not on its side"}
    assert by_name(found)["not on its side"].found.startswith(f"{turn}: ")


@pytest.mark.parametrize("mistake", [None, "expects 0 to 1", "no normalisation"])
def test_flat_frames_decide_nothing(mistake: str | None, tmp_path: Path) -> None:
    depths = [scene(seed, 2.0, 2.4) for seed in range(3)]
    flat = write_scenes(tmp_path / "flat", depths)
    own, wanted = MISTAKES[mistake][:2] if mistake else (normalised, normalised)
    found = check_model(recogniser(tmp_path / "m.onnx", flat, relative(depths), own, wanted), flat)
    assert {one.state for one in found if one.name in NAMES} == {"undecided"}
    assert failed(found) <= {"answers the picture"}
