"""The matrix: good models fail nothing, and each planted mistake fails exactly the findings that name it.

On synthetic scenes, and on the organisers' real frames where they are at hand.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from check_models import (
    ANTIALIASED,
    ANTIALIASED_INSIDE,
    HALF_SIZE,
    NAN_WITHOUT_CONTRAST,
    NEGATIVE_ON_BLACK,
    NOISY,
    TURNED_SHAPE,
    Bench,
    Builder,
    a_second_input,
    a_second_output,
    after,
    batch_of_two,
    bench,
    between_percentiles,
    cast,
    channels_last,
    constant,
    declared,
    eats,
    edited,
    emits,
    given_as,
    in_bgr,
    nan_at,
    near,
    network,
    normalised,
    on_its_side,
    renamed,
    standard,
    stops,
    stretched,
    taken_as,
    unsorted,
    version,
)
from lpcv.data.folder import open_folder
from lpcv.submission.check.findings import GROUPS, Finding, exit_code
from lpcv.submission.check.preflight import check_model
from lpcv.train.zoo.variants import RANDOM_WEIGHTS_KEY
from meaning_models import HEIGHT, WIDTH, as_it_is, by_name, failed
from onnx import TensorProto, helper

ALL_NAMES = [name for names in GROUPS.values() for name in names]
WITHOUT_DEVICE_AND_RUN = {
    "fits the NPU", "latency, estimated", "latency, measured", "teacher licence", "encoder weights licence",
    "data licence",
}  # fmt: skip

GOOD: dict[str, tuple[Builder, set[str]]] = {
    # the model, and what these frames cannot decide
    "depth": (eats(as_it_is, as_it_is), set()),
    "normalised in the graph": (eats(normalised), set()),
    "no farther than 5 m": (emits(lambda depth: np.minimum(depth, np.float32(0.5))), set()),
    "a tenth of depth": (emits(lambda depth: depth * 0.1), set()),
    "depth in another unit": (emits(lambda depth: depth * 0.3048), set()),
    "another graph": (network, {"colour order"}),
}

MISTAKES: dict[str, tuple[Builder, dict[str, str]]] = {
    # what is wrong: the model, and the findings that fail with a word of what each says
    "two inputs": (edited(a_second_input), {"one input": "2: image, confidence"}),
    "two outputs": (edited(a_second_output), {"one output": "2: output_0, output_1"}),
    "another input name": (edited(renamed("image", "input")), {"input name": "input"}),
    "another output name": (edited(renamed("output_0", "depth_map")), {"output name": "depth_map"}),
    "input of half the size": (
        edited(declared(image=(1, 3, HEIGHT // 2, WIDTH // 2))), {"input shape": "(1, 3, 240, 320)"},
    ),
    "channels last": (
        edited(channels_last), {"input shape": "(1, 480, 640, 3)"},
    ),
    "output of half the size": (edited(HALF_SIZE), {"output shape": "(1, 1, 240, 320)"}),
    "free batch in": (edited(declared(image=("N", 3, HEIGHT, WIDTH))), {"input shape": "(N, 3, 480, 640)"}),
    "free size in": (edited(declared(image=(1, 3, "height", "width"))), {"input shape": "(1, 3, height, width)"}),
    "free batch out": (edited(declared(depth=("N", 1, HEIGHT, WIDTH))), {"output shape": "(N, 1, 480, 640)"}),
    "batch of two": (
        edited(batch_of_two), {"input shape": "(2, 3, 480, 640)", "output shape": "(2, 1, 480, 640)"},
    ),
    "float64 in": (
        edited(taken_as(TensorProto.DOUBLE)), {"input type": "float64"},
    ),
    "int64 in": (
        edited(taken_as(TensorProto.INT64)), {"input type": "int64"},
    ),
    "float64 out": (
        edited(given_as(TensorProto.DOUBLE)),
        {"output type": "float64"},
    ),
    "float16 out": (
        edited(given_as(TensorProto.FLOAT16)),
        {"output type": "float16"},
    ),
    "millimetres as int64": (
        edited(after([
            constant("mm", 10000.0), helper.make_node("Mul", ["depth", "mm"], ["in_mm"]),
            cast("in_mm", "output_0", TensorProto.INT64),
        ], elem=TensorProto.INT64)),
        {"output type": "int64", "range": "outside on"},
    ),
    "depth as int64": (edited(given_as(TensorProto.INT64)), {"output type": "int64"}),
    "output on its side": (edited(TURNED_SHAPE), {"output shape": "(1, 1, 640, 480)"}),
    "stops": (edited(stops), {"runs": "stops: "}),
    "metres": (
        edited(after([constant("ten", 10.0), helper.make_node("Mul", ["depth", "ten"], ["output_0"])])),
        {"range": "outside on"},
    ),
    "negative on black": (edited(NEGATIVE_ON_BLACK), {"range": "outside on black"}),
    "NaN on black": (edited(nan_at(0)), {"finite": "NaN or infinity on black"}),
    "NaN on one grey": (edited(nan_at(128)), {"finite": "NaN or infinity on grey"}),
    "NaN without contrast": (edited(NAN_WITHOUT_CONTRAST), {"finite": "NaN or infinity on black, white, grey"}),
    "not deterministic": (edited(NOISY), {"deterministic": "differ by 0.00"}),
    "one map for all": (
        edited(after([
            constant("nothing", 0.0), constant("half", 0.5), helper.make_node("Mul", ["depth", "nothing"], ["gone"]),
            helper.make_node("Add", ["gone", "half"], ["output_0"]),
        ])),
        {"answers the picture": "one and the same map"},
    ),
    "min-max of each frame": (emits(stretched(0, 1)), {"no stretching": "reach both 0 and 1"}),
    "min-max to other ends": (emits(stretched(0.1, 0.7)), {"no stretching": "reach from 0.1 to 0.7"}),
    "percentiles of each frame": (emits(between_percentiles), {"no stretching": "another depth on each frame"}),
    "inverse depth": (emits(near), {"depth direction": "inverse depth: rank correlation with truth -"}),
    "1 - depth": (emits(lambda depth: 1 - depth), {"depth direction": "inverted depth (a constant minus depth): "}),
    "min-max of inverse depth": (
        emits(lambda depth: stretched(0, 1)(1 / depth)),
        {"no stretching": "reach both 0 and 1", "depth direction": "inverse depth: "},
    ),
    "BGR": (eats(normalised, in_bgr), {"colour order": "BGR: "}),
    "inverse depth in BGR": (
        eats(normalised, in_bgr, near), {"depth direction": "inverse depth: ", "colour order": "BGR: "},
    ),
    "left-right in BGR": (
        eats(normalised, in_bgr, lambda depth: depth[:, ::-1]), {"colour order": "BGR: ", "left-right": "mirrored: "},
    ),
    "0 to 1 in BGR": (
        eats(as_it_is, lambda x: x[:, ::-1] / 255), 
        {"input range": "0 to 1, and BGR: ", "colour order": "see input range"},
    ),
    "left-right": (emits(lambda depth: depth[:, ::-1]), {"left-right": "mirrored: "}),
    "upside down": (emits(lambda depth: depth[::-1]), {"up-down": "upside down: "}),
    "turned by 180 degrees": (
        emits(lambda depth: depth[::-1, ::-1]), {"left-right": "mirrored: ", "up-down": "upside down: "},
    ),
    "inverse and upside down": (
        emits(lambda depth: near(depth)[::-1]), {"depth direction": "inverse depth: ", "up-down": "upside down: "},
    ),
    "transposed": (emits(on_its_side), {"not on its side": "transposed: "}),
    "expects 0 to 1": (eats(standard), {"input range": "it expects 0 to 1: "}),
    "expects -1 to 1": (eats(as_it_is, lambda x: x / 127.5 - 1), {"input range": "it expects -1 to 1: "}),
    "not normalised": (eats(as_it_is), {"normalisation": "it does not normalise at all: "}),
    "mean and deviation left out": (
        eats(lambda x: x / 255), {"normalisation": "it divides by 255, but leaves out mean and deviation: "},
    ),
    "normalised twice": (
        eats(lambda x: standard(normalised(x))), {"normalisation": "it applies mean and deviation twice: "},
    ),
    "divided by 255 twice": (
        eats(lambda x: normalised(x / 255)), {"normalisation": "it divides by 255 twice: "},
    ),
    "inverse depth that expects 0 to 1": (eats(standard, emit=near), {"input range": "it expects 0 to 1: "}),
    "1 - depth, not normalised": (
        eats(as_it_is, emit=lambda depth: 1 - depth), {"normalisation": "it does not normalise at all: "},
    ),
    "saturated": (emits(lambda depth: np.minimum(depth * 6, 1)), {"no saturation": " at 1 "}),
    "cut off at 0": (emits(lambda depth: np.maximum(depth - 0.25, 0)), {"no saturation": "of the trusted pixels at 0"}),
    "cut off elsewhere": (
        emits(lambda depth: np.minimum(depth, np.float32(0.15))), {"no saturation": "at 0.15, the greatest value"},
    ),
    "log depth": (
        emits(lambda depth: np.clip(np.log(depth * 100) / 8, 0.001, 1)), {"linear in depth": "bent: log depth: "},
    ),
    "log of 1 + depth": (emits(lambda depth: np.log1p(10 * depth) / 3), {"linear in depth": "bent: log(1 + depth): "}),
    "square root": (emits(np.sqrt), {"linear in depth": "bent: the square root of depth: "}),
    "square": (emits(np.square), {"linear in depth": "bent: the square of depth: "}),
    "a constant minus 1 / depth": (
        emits(lambda depth: np.maximum(1 - 0.02 / depth, 0.001)),
        {"linear in depth": "bent: a constant minus 1 / depth: "},
    ),
    "an offset": (emits(lambda depth: np.minimum(depth + 0.2, 1)), {"no offset": "predicted F-Score"}),
    "unsorted nodes": (edited(unsorted), {"valid ONNX": "sorted"}),
    "external data": (
        edited(lambda model: None, save_as_external_data=True, location="weights.bin"), {"one file": "weights.bin"},
    ),
    "IR version too new": (edited(version(ir=12)), {"IR version": "12"}),
    "operator set too new": (edited(version(opset=24)), {"operator set": "24"}),
    "antialias": (edited(ANTIALIASED), {"resize antialias": "1: Resize:shrunk"}),
    "antialias in a body": (edited(ANTIALIASED_INSIDE), {"resize antialias": "1: Resize:in_body"}),
    "an operator that the NPU lacks": (
        edited(after([helper.make_node("Celu", ["depth"], ["output_0"], name="/head/Celu")])),
        {"fits the NPU": "1 Celu: /head/Celu"},
    ),
}  # fmt: skip
VARIANTS = {
    "channels last", "free size in", "free batch out", "float16 out", "millimetres as int64", "negative on black",
    "NaN without contrast", "min-max to other ends", "min-max of inverse depth", "turned by 180 degrees", "stops",
    "inverse and upside down", "mean and deviation left out", "divided by 255 twice", "cut off at 0", "unsorted nodes",
    "1 - depth, not normalised", "output of half the size", "metres", "another output name", "NaN on black",
    "an offset", "upside down", "left-right in BGR", "0 to 1 in BGR", "expects -1 to 1", "log depth",
    "log of 1 + depth", "saturated", "two outputs", "square root", "external data", "free batch in",
    "square", "a constant minus 1 / depth", "percentiles of each frame", "output on its side", "cut off elsewhere",
    "input of half the size", "int64 in", "two inputs", "one map for all", "antialias",
    "NaN on one grey", "normalised twice", "batch of two",
    "inverse depth that expects 0 to 1", "expects 0 to 1", "min-max of each frame", "left-right", "1 - depth",
    "another input name", "float64 out", "BGR", "IR version too new",
}  # fmt: skip
"""What `make test-slow` alone runs: further forms of mistakes that a fast test plants here, in test_meaning_scale.py,
in test_meaning_input.py or in test_check.py."""
FAST_ON_REAL = ("inverse depth", "BGR", "transposed")
UNFED = {"input of half the size", "channels last", "batch of two", "float64 in", "int64 in", "two inputs"}


@pytest.fixture(scope="module")
def synthetic(scenes: Path) -> Bench:
    folder = open_folder(scenes)
    return bench(folder.subset(tuple(folder.names[index] for index in (0, 3, 7))))


@pytest.fixture(scope="module")
def real(reference_data: Path) -> Bench:
    """Three of the twelve real frames that are not nearly flat."""
    folder = open_folder(reference_data / "lpcvc_sample")
    return bench(folder.subset(("0012", "0016", "0018")))


@pytest.fixture(scope="module")
def flat(reference_data: Path) -> Bench:
    folder = open_folder(reference_data / "lpcvc_sample")
    return bench(folder.subset(tuple(folder.names[index] for index in (0, 5, 10))))


def slow(names: Iterable[str | None], chosen: Collection[str | None]) -> list[Any]:
    return [pytest.param(name, marks=pytest.mark.slow) if name in chosen else name for name in names]


def states(findings: Sequence[Finding], state: str) -> set[str]:
    return {one.name for one in findings if one.state == state}


def demand(findings: Sequence[Finding], expected: dict[str, str]) -> None:
    assert [one.name for one in findings] == ALL_NAMES
    assert {one.name: one.found for one in findings if one.name in failed(list(findings))}.keys() == expected.keys()
    found = by_name(list(findings))
    for name, words in expected.items():
        assert words in found[name].found
    assert exit_code(findings) == bool(expected)


@pytest.mark.parametrize(
    "kind", slow(GOOD, {"depth", "a tenth of depth", "depth in another unit", "no farther than 5 m"})
)
def test_good_models_pass_clean(kind: str, synthetic: Bench, tmp_path: Path) -> None:
    build, open_ones = GOOD[kind]
    found = check_model(build(synthetic, tmp_path / "m.onnx"), synthetic.frames)
    demand(found, {})
    assert states(found, "undecided") == WITHOUT_DEVICE_AND_RUN | open_ones


@pytest.mark.parametrize("mistake", slow(MISTAKES, VARIANTS))
def test_each_mistake_fails_by_its_own_name(mistake: str, synthetic: Bench, tmp_path: Path) -> None:
    build, expected = MISTAKES[mistake]
    found = check_model(build(synthetic, tmp_path / "m.onnx"), synthetic.frames)
    demand(found, expected)
    # A picture is drawn for each failure of meaning.
    assert all(1 <= len(one.worst) <= 3 for one in found if one.state == "fail" and one.group == "meaning")
    if mistake in UNFED:
        later = [one for one in found if one.group in ("behaviour", "meaning") or one.name == "runs"]
        assert {one.state for one in later} == {"undecided"}
        assert all("not run" in one.found for one in later)


@pytest.mark.parametrize("kind", slow(GOOD, set(GOOD) - {"another graph"}))
def test_good_models_pass_clean_on_real_frames(kind: str, real: Bench, tmp_path: Path) -> None:
    build, open_ones = GOOD[kind]
    found = check_model(build(real, tmp_path / "m.onnx"), real.frames)
    demand(found, {})
    assert states(found, "undecided") == WITHOUT_DEVICE_AND_RUN | open_ones


@pytest.mark.parametrize("mistake", slow(MISTAKES, set(MISTAKES) - set(FAST_ON_REAL)))
def test_each_mistake_fails_by_its_own_name_on_real_frames(mistake: str, real: Bench, tmp_path: Path) -> None:
    build, expected = MISTAKES[mistake]
    demand(check_model(build(real, tmp_path / "m.onnx"), real.frames), expected)


def test_on_the_flat_real_frames_meaning_is_undecided_never_passed(flat: Bench, tmp_path: Path) -> None:
    """One flat scene from ten places: whatever a model gives there, nothing can be told."""
    for build in (GOOD["depth"][0], MISTAKES["inverse depth"][0], MISTAKES["not normalised"][0]):
        found = check_model(build(flat, tmp_path / "m.onnx"), flat.frames)
        demand(found, {})
        assert {one.state for one in found if one.group == "meaning"} == {"undecided"}
        assert all("0 of 3 frames" in one.found for one in found if one.group == "meaning")


@pytest.mark.parametrize("mistake", slow((None, "inverse depth", "not normalised"), (None, "not normalised")))
def test_random_weights_mean_nothing(mistake: str | None, synthetic: Bench, tmp_path: Path) -> None:
    """They say so in the file, and what they answer by chance is neither passed nor failed."""
    path = (MISTAKES[mistake] if mistake else GOOD["depth"])[0](synthetic, tmp_path / "m.onnx")
    model = onnx.load(path)
    helper.set_model_props(model, {RANDOM_WEIGHTS_KEY: "seed 0", "weights": "random"})
    onnx.save(model, path)
    found = check_model(path, synthetic.frames)
    demand(found, {})
    meaning = [one for one in found if one.group == "meaning"]
    assert {(one.state, one.found) for one in meaning} == {
        ("undecided", "random weights: what they answer has no meaning")
    }
    assert {one.state for one in found if one.group == "behaviour"} == {"pass"}


def test_the_matrix_has_what_the_issue_lists() -> None:
    """Every finding that can fail of a file and frames is the only one that fails for some mistake."""
    alone = {next(iter(expected)) for _, expected in MISTAKES.values() if len(expected) == 1}
    never = {"resize align_corners", "NPU traps", "parameters", "MACs", "largest activation", "latency, estimated"}
    of_a_run_or_device = {"latency, measured", *GROUPS["licences"]}
    too_large_to_make = {"file size"}
    assert alone == set(ALL_NAMES) - never - of_a_run_or_device - too_large_to_make
