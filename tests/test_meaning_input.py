"""What the model wants to be fed, and which way its map lies: each mistake is caught by its own finding alone.

The models recognise a frame by the mean of its colours, after a normalisation in the graph, and give its truth.
Each mistake is a normalisation other than the one that the keys were computed with.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from lpcv.data.folder import FrameFolder
from lpcv.submission.check.meaning_evidence import NAMES
from lpcv.submission.check.meaning_input import MEAN, PROBES, STD, FrameInput, input_findings
from lpcv.submission.check.preflight import check_model
from meaning_models import (  # noqa: F401 (two fixtures)
    HEIGHT,
    METRES_AT_ONE,
    WIDTH,
    Change,
    Tensor,
    by_name,
    depths,
    failed,
    frames,
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
    "expects -1 to 1": (lambda x: x, lambda x: x / 127.5 - 1, "input range"),
    "scaled to -1 to 1 twice": (lambda x: (x / 127.5 - 1) / 127.5 - 1, lambda x: x / 127.5 - 1, "normalisation"),
}


def some_slow(names: Iterable[str | None], *fast: str) -> list[Any]:
    return [name if name in fast else pytest.param(name, marks=pytest.mark.slow) for name in names]


@pytest.mark.parametrize("own", [pytest.param(lambda x: x, marks=pytest.mark.slow), normalised])
def test_a_good_model_passes_clean(own: Change, depths: list[Tensor], frames: FrameFolder, tmp_path: Path) -> None:
    found = by_name(check_model(recogniser(tmp_path / "m.onnx", frames, relative(depths), own, own), frames))
    # Exchanged red and blue lead to no frame, so that the colour order is decided too.
    assert {name: one.found for name, one in found.items() if one.state != "pass" and name in NAMES} == {}


@pytest.mark.parametrize("mistake", some_slow(MISTAKES, "expects -1 to 1", "no normalisation"))
def test_each_mistake_of_the_input_is_named_with_its_remedy(
    mistake: str, depths: list[Tensor], frames: FrameFolder, tmp_path: Path
) -> None:
    own, wanted, name = MISTAKES[mistake]
    found = check_model(recogniser(tmp_path / "m.onnx", frames, relative(depths), own, wanted), frames)
    assert failed(found) == {name}
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
        "x / 127.5 - 1": lambda x: x, "127.5 (x + 1)": lambda x: (x / 127.5 - 1) / 127.5 - 1,
    }  # fmt: skip
    assert set(undone) == set(PROBES)
    for name, model in undone.items():
        expected = x / 255 if name == "x / 255" else x / 127.5 - 1 if "127.5" in name else normalised(x)
        np.testing.assert_allclose(model(PROBES[name].feed(x)), expected, rtol=1e-4, atol=1e-4)


RAW, PROBE = (0.1, 1.0), "x / 255"
"""Of the answers to the picture: rank correlation, and error as depth and as inverse depth."""


def probed(*fed: tuple[float, float], raw: tuple[float, float] = RAW, sign: int = 1) -> list[FrameInput]:
    """Frames whose answers to PROBE have these ranks and errors; to all other probes they are the picture's own."""
    found = []
    for index, (rank, error) in enumerate(fed):
        ranks, errors = (dict.fromkeys(("", *PROBES), own) for own in raw)
        useless = dict.fromkeys(errors, raw[1])
        told = errors | {PROBE: error}
        depth, inverse = (told, useless) if sign > 0 else (useless, told)
        found.append(FrameInput(str(index), raw[0], ranks | {PROBE: sign * rank}, depth, inverse))
    return found


GREAT, LITTLE, WORSE = (0.9, 0.3), (0.15, 0.95), (0.05, 1.1)


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize(
    ("fed", "raw", "guilty"),
    [
        ([GREAT] * 4, RAW, True),
        ([GREAT, GREAT, GREAT, WORSE], RAW, True),
        ([GREAT, GREAT, WORSE, WORSE], RAW, False),  # not on three frames of four, though by much in the mean
        ([(0.99, 0.05), (0.99, 0.05), (0.99, 0.05), WORSE, WORSE], RAW, False),
        ([(0.9, 1.0)] * 4, RAW, False),  # the order is better, the error is not
        ([(0.9, 0.9)] * 4, RAW, False),  # nor is it by much
        ([(0.45, 0.3)] * 4, RAW, False),  # too weak a correlation
        ([GREAT] * 4, (0.85, 1.0), False),  # the picture itself fits nearly as well
        ([GREAT] * 4, (-0.85, 1.0), False),  # the other way round, that is
        ([LITTLE] * 4, RAW, False),
    ],
)
def test_a_probe_must_fit_much_better_on_nearly_all_frames(
    fed: list[tuple[float, float]], raw: tuple[float, float], guilty: bool, sign: int
) -> None:
    """Also where the model gives inverse depth, so that what fits falls where the truth rises."""
    states = {one.name: one.state for one in input_findings(probed(*fed, raw=raw, sign=sign), len(fed))}
    assert (states["input range"] == "fail") == guilty
    assert states["normalisation"] != "fail"


TURNS: dict[str, Change] = {
    "transposed": lambda depth: depth.T,
    "turned left": np.rot90,
    "turned right": lambda depth: np.rot90(depth, -1),
    "transposed and turned by 180 degrees": lambda depth: depth.T[::-1, ::-1],
}


@pytest.mark.parametrize(
    ("turn", "bend"),
    [
        *(pytest.param(turn, lambda depth: depth, marks=pytest.mark.slow) for turn in TURNS),
        ("turned left", lambda depth: 0.5 / depth),
    ],
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


@pytest.mark.parametrize("mistake", some_slow((None, "expects 0 to 1", "no normalisation"), "expects 0 to 1"))
def test_flat_frames_decide_nothing(mistake: str | None, tmp_path: Path) -> None:
    depths = [scene(seed, 2.0, 2.4) for seed in range(3)]
    flat = write_scenes(tmp_path / "flat", depths)
    own, wanted = MISTAKES[mistake][:2] if mistake else (normalised, normalised)
    found = check_model(recogniser(tmp_path / "m.onnx", flat, relative(depths), own, wanted), flat)
    assert {one.state for one in found if one.name in NAMES} == {"undecided"}
    assert failed(found) == set()
