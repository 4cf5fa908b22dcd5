"""The pre-flight check: a good model passes, and each planted mistake is caught by the finding that names it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from lpcv.contract import CURRENT as CONTRACT
from lpcv.data.folder import FrameFolder, open_folder
from lpcv.data.images import write_png
from lpcv.errors import InputError
from lpcv.submission.check.findings import Finding, exit_code, failures, findings_json, table_rows
from lpcv.submission.check.meaning import rank_correlation
from lpcv.submission.check.meaning_evidence import NAMES as MEANING
from lpcv.submission.check.picture import GREEN, HEADINGS, RED, TILE, draw_evidence, evidence_frames
from lpcv.submission.check.preflight import check_model
from onnx import TensorProto, helper, numpy_helper

WIDTH, HEIGHT = CONTRACT.image_size
METRES_AT_ONE = 10.0
ALL_NAMES = [
    "valid ONNX", "one file", "one input", "one output", "input name", "output name", "input type", "output type",
    "input shape", "output shape", "runs", "finite", "range", "deterministic", "answers the picture", "no stretching",
    "depth direction", "colour order", "left-right", "up-down", "not on its side", "input range", "normalisation",
    "no saturation", "no offset",
]  # fmt: skip


def field(seed: int, cells: tuple[int, int] = (7, 5)) -> np.ndarray:
    """(H, W) float in 0 to 1: a smooth random field without symmetry."""
    coarse = np.random.default_rng(seed).random((cells[1], cells[0]), np.float32)
    return np.clip(cv2.resize(coarse, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC), 0, 1)


def write_frames(root: Path, depths: Sequence[np.ndarray], *, grey: bool = False) -> FrameFolder:
    """Frames whose red channel is depth (255 = 5 m); green and blue are unrelated, or all are alike where `grey`."""
    for index, depth_m in enumerate(depths):
        red = np.rint(depth_m / 5 * 255).astype(np.uint8)
        others = [red, red] if grey else [np.rint(field(100 + 2 * index + k) * 255).astype(np.uint8) for k in (0, 1)]
        write_png(root / "image" / f"{index:04d}.png", np.dstack([red, *others]))
        small = cv2.resize(depth_m, CONTRACT.depth_size, interpolation=cv2.INTER_AREA)
        write_png(root / "depth_raw" / f"{index:04d}.png", np.rint(small * 1000).astype(np.uint16))
        write_png(root / "depth_conf" / f"{index:04d}.png", np.full(small.shape, 2, np.uint8))
    return open_folder(root)


@pytest.fixture(scope="module")
def frames(tmp_path_factory: pytest.TempPathFactory) -> FrameFolder:
    return write_frames(tmp_path_factory.mktemp("varied"), [0.6 + 3.5 * field(seed) for seed in range(5)])


@pytest.fixture(scope="module")
def rooms(tmp_path_factory: pytest.TempPathFactory) -> FrameFolder:
    """Near at the bottom and far at the top, as rooms and streets are, with things in them."""
    rise = np.linspace(1, 0, HEIGHT, dtype=np.float32)[:, None]
    depths = [0.6 + 2.4 * rise + 1.5 * field(seed) for seed in range(20, 25)]
    return write_frames(tmp_path_factory.mktemp("rooms"), depths)


@pytest.fixture(scope="module")
def strangers(tmp_path_factory: pytest.TempPathFactory) -> FrameFolder:
    """Rooms whose pictures show something else."""
    root = tmp_path_factory.mktemp("strangers")
    rise = np.linspace(1, 0, HEIGHT, dtype=np.float32)[:, None]
    folder = write_frames(root, [0.6 + 2.4 * rise + 1.5 * field(seed) for seed in range(30, 35)])
    for index, name in enumerate(folder.names):
        write_png(
            folder.images[name],
            np.dstack([np.rint(field(200 + 3 * index + k) * 255).astype(np.uint8) for k in range(3)]),
        )
    return folder


Nodes = list[onnx.NodeProto]


def constant(
    name: str, values: float | Sequence[float] | Sequence[int] | np.ndarray, dtype: type = np.float32
) -> onnx.NodeProto:
    return helper.make_node("Constant", [], [name], value=numpy_helper.from_array(np.asarray(values, dtype), name))


def channel(index: int, source: str = "image") -> Nodes:
    """`depth`: METRES_AT_ONE-scaled depth from one channel of the frames above."""
    return [
        constant("from", [index], np.int64), constant("to", [index + 1], np.int64), constant("axis", [1], np.int64),
        helper.make_node("Slice", [source, "from", "to", "axis"], ["picked"]),
        constant("factor", [5 / 255 / METRES_AT_ONE]), constant("least", [0.01]),
        helper.make_node("Mul", ["picked", "factor"], ["scaled"]),
        helper.make_node("Max", ["scaled", "least"], ["depth"]),
    ]  # fmt: skip


def flip(axis: int, source: str, target: str) -> Nodes:
    names = [f"{target}_{part}" for part in ("first", "last", "axis", "step")]
    values = ([-1], [np.iinfo(np.int64).min], [axis], [-1])
    nodes = [constant(name, value, np.int64) for name, value in zip(names, values, strict=True)]
    return [*nodes, helper.make_node("Slice", [source, *names], [target])]


def save(
    path: Path, nodes: Nodes, *,
    input_name: str = "image", input_shape: Sequence[str | int | None] = CONTRACT.input_shape,
    outputs: Sequence[str] = ("output_0",), output_type: int = TensorProto.FLOAT,
    output_shape: Sequence[str | int | None] = CONTRACT.output_shape, last: str = "depth", check: bool = True,
) -> Path:  # fmt: skip
    """A model that gives `last` under each of the output names."""
    nodes = [*nodes, *(helper.make_node("Identity", [last], [name]) for name in outputs)]
    graph = helper.make_graph(
        nodes, "g", [helper.make_tensor_value_info(input_name, TensorProto.FLOAT, input_shape)],
        [helper.make_tensor_value_info(name, output_type, output_shape) for name in outputs],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    if check:
        onnx.checker.check_model(model)
    onnx.save(model, path)
    return path


def on_top(*nodes: onnx.NodeProto) -> Nodes:
    """The good model's depth, changed by further nodes into `wrong`."""
    return [*channel(0), *nodes]


def float16(path: Path) -> Path:
    cast = helper.make_node("Cast", ["depth"], ["wrong"], to=TensorProto.FLOAT16)
    return save(path, on_top(cast), last="wrong", output_type=TensorProto.FLOAT16)


def not_a_number(path: Path) -> Path:
    """NaN on the black picture alone: 0 / 0."""
    return save(path, [*channel(0), helper.make_node("Div", ["scaled", "scaled"], ["one"]),
                       helper.make_node("Mul", ["depth", "one"], ["wrong"])], last="wrong")  # fmt: skip


def inverse(path: Path) -> Path:
    nodes = on_top(constant("nearest", [0.01]), helper.make_node("Div", ["nearest", "depth"], ["wrong"]))
    return save(path, nodes, last="wrong")


def out_of_range(path: Path) -> Path:
    return save(
        path, on_top(constant("ten", [10.0]), helper.make_node("Mul", ["depth", "ten"], ["wrong"])), last="wrong"
    )


def negative(path: Path) -> Path:
    """Depth minus 2 cm: below zero on black pictures alone."""
    nodes = on_top(constant("little", [0.02]), helper.make_node("Sub", ["depth", "little"], ["wrong"]))
    return save(path, nodes, last="wrong")


def random(path: Path) -> Path:
    noise = helper.make_node("RandomUniform", [], ["noise"], high=0.01, shape=list(CONTRACT.output_shape))
    return save(path, on_top(noise, helper.make_node("Add", ["depth", "noise"], ["wrong"])), last="wrong")


def stretched(path: Path) -> Path:
    nodes = on_top(
        helper.make_node("ReduceMin", ["depth"], ["low"]), helper.make_node("ReduceMax", ["depth"], ["high"]),
        helper.make_node("Sub", ["depth", "low"], ["above"]), helper.make_node("Sub", ["high", "low"], ["span"]),
        constant("tiny", [1e-6]), helper.make_node("Max", ["span", "tiny"], ["safe"]),
        helper.make_node("Div", ["above", "safe"], ["wrong"]),
    )  # fmt: skip
    return save(path, nodes, last="wrong")


def same_for_all(path: Path) -> Path:
    """The near-to-far slope that every room has, whatever the picture shows."""
    slope = np.broadcast_to(np.linspace(0.5, 0.1, HEIGHT, dtype=np.float32)[:, None], CONTRACT.output_shape)
    nodes = [constant("wrong", slope)]
    return save(path, nodes, last="wrong")


def unsorted(path: Path) -> Path:
    """Nodes in an order that ONNX Runtime accepts and the standard forbids."""
    return save(path, channel(0)[::-1], check=False)


def external(path: Path) -> Path:
    table = numpy_helper.from_array(np.full((1, 1, HEIGHT, WIDTH), 0.001, np.float32), "table")
    model = onnx.load(save(path, channel(0)))
    model.graph.initializer.append(table)
    model.graph.node.insert(len(model.graph.node) - 1, helper.make_node("Add", ["depth", "table"], ["more"]))
    model.graph.node[-1].input[0] = "more"
    onnx.save(model, path, save_as_external_data=True, location="weights.bin")
    return path


def two_inputs(path: Path) -> Path:
    model = onnx.load(save(path, channel(0)))
    model.graph.input.append(helper.make_tensor_value_info("confidence", TensorProto.FLOAT, [1]))
    onnx.save(model, path)
    return path


def input_double(path: Path) -> Path:
    cast = helper.make_node("Cast", ["image"], ["single"], to=TensorProto.FLOAT)
    model = onnx.load(save(path, [cast, *channel(0, "single")]))
    model.graph.input[0].type.tensor_type.elem_type = TensorProto.DOUBLE
    onnx.save(model, path)
    return path


def small_output(path: Path) -> Path:
    nodes = on_top(
        constant("zero", [0, 0], np.int64), constant("half", [240, 320], np.int64), constant("axes", [2, 3], np.int64),
        helper.make_node("Slice", ["depth", "zero", "half", "axes"], ["corner"]),
    )  # fmt: skip
    return save(path, nodes, last="corner", output_shape=(1, 1, 240, 320))


Builder = Callable[[Path], Path]
MISTAKES: dict[str, tuple[Builder, set[str]]] = {
    "another input name": (lambda path: save(path, channel(0, "input"), input_name="input"), {"input name"}),
    "another output name": (lambda path: save(path, channel(0), outputs=("depth_map",)), {"output name"}),
    "two outputs": (lambda path: save(path, channel(0), outputs=("output_0", "output_1")), {"one output"}),
    "two inputs": (two_inputs, {"one input"}),
    "dynamic batch in": (lambda path: save(path, channel(0), input_shape=("N", 3, HEIGHT, WIDTH)), {"input shape"}),
    "dynamic batch out": (lambda path: save(path, channel(0), output_shape=("N", 1, HEIGHT, WIDTH)), {"output shape"}),
    "another input shape": (
        lambda path: save(path, channel(0), input_shape=(1, 3, 240, 320), output_shape=(1, 1, 240, 320)),
        {"input shape", "output shape"},
    ),
    "small output": (small_output, {"output shape"}),
    "float64 input": (input_double, {"input type"}),
    "float16 output": (float16, {"output type"}),
    "NaN": (not_a_number, {"finite"}),
    "out of range": (out_of_range, {"range"}),
    "negative": (negative, {"range"}),
    "not deterministic": (random, {"deterministic"}),
    "stretched to each image": (stretched, {"no stretching"}),
    "one map for all": (same_for_all, {"answers the picture"}),
    "unsorted nodes": (unsorted, {"valid ONNX"}),
    "external data": (external, {"one file"}),
    "inverse depth": (inverse, {"depth direction"}),
    "BGR": (lambda path: save(path, channel(2)), {"colour order"}),
    "left-right": (lambda path: save(path, on_top(*flip(3, "depth", "wrong")), last="wrong"), {"left-right"}),
    "upside down": (lambda path: save(path, on_top(*flip(2, "depth", "wrong")), last="wrong"), {"up-down"}),
    "turned by 180 degrees": (
        lambda path: save(path, on_top(*flip(2, "depth", "half"), *flip(3, "half", "wrong")), last="wrong"),
        {"left-right", "up-down"},
    ),
}  # fmt: skip


def failed(findings: Sequence[Finding]) -> set[str]:
    return {finding.name for finding in failures(findings)}


def states(findings: Sequence[Finding]) -> dict[str, str]:
    return {finding.name: finding.state for finding in findings}


@pytest.fixture
def good(tmp_path: Path) -> Path:
    return save(tmp_path / "good.onnx", channel(0))


@pytest.mark.parametrize("folder", ["frames", "rooms"])
def test_a_good_model_passes_every_finding(good: Path, folder: str, request: pytest.FixtureRequest) -> None:
    findings = check_model(good, request.getfixturevalue(folder))
    assert [finding.name for finding in findings] == ALL_NAMES
    assert {finding.name for finding in findings if finding.state != "pass"} == set()
    assert exit_code(findings) == 0
    assert all(" 5 frames" in finding.found for finding in findings if finding.name in MEANING)


@pytest.mark.parametrize("mistake", MISTAKES)
@pytest.mark.parametrize("folder", ["frames", "rooms"])
def test_each_mistake_is_caught_by_the_finding_that_names_it(
    mistake: str, folder: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    build, expected = MISTAKES[mistake]
    findings = check_model(build(tmp_path / "model.onnx"), request.getfixturevalue(folder))
    assert [finding.name for finding in findings] == ALL_NAMES
    assert failed(findings) == expected
    assert exit_code(findings) == 1


@pytest.mark.parametrize("mistake", ["another input shape", "two inputs", "float64 input"])
def test_a_model_that_cannot_be_fed_still_gives_the_table(mistake: str, tmp_path: Path, frames: FrameFolder) -> None:
    findings = check_model(MISTAKES[mistake][0](tmp_path / "model.onnx"), frames)
    later = findings[ALL_NAMES.index("runs") :]
    assert {finding.state for finding in later} == {"undecided"}
    assert all("not run" in finding.found for finding in later)


def test_a_model_that_stops_at_run_time_fails_runs(tmp_path: Path, frames: FrameFolder) -> None:
    # The index depends on the picture, so that loading the model cannot notice that it is out of bounds.
    nodes = [
        helper.make_node("ReduceMax", ["image"], ["most"], keepdims=0), constant("many", 1000.0),
        helper.make_node("Add", ["most", "many"], ["beyond"]),
        helper.make_node("Cast", ["beyond"], ["index"], to=TensorProto.INT64),
        constant("axis", [1], np.int64), helper.make_node("Unsqueeze", ["index", "zero"], ["indices"]),
        helper.make_node("Gather", ["image", "indices"], ["depth"], axis=1),
    ]  # fmt: skip
    findings = check_model(save(tmp_path / "m.onnx", [constant("zero", [0], np.int64), *nodes]), frames)
    assert failed(findings) == {"runs"}
    assert states(findings)["finite"] == "undecided"


@pytest.mark.parametrize("mistake", ["inverse depth", "BGR", "left-right", "upside down"])
def test_flat_frames_decide_nothing(mistake: str, tmp_path: Path) -> None:
    flat = write_frames(tmp_path / "flat", [2.0 + 0.4 * field(seed) for seed in range(5)])
    for model in (save(tmp_path / "good.onnx", channel(0)), MISTAKES[mistake][0](tmp_path / "bad.onnx")):
        meaning = [finding for finding in check_model(model, flat) if finding.name in MEANING]
        assert {finding.state for finding in meaning} == {"undecided"}
        assert all("0 of 5 frames" in finding.found for finding in meaning)


def test_two_varied_frames_are_too_few(good: Path, frames: FrameFolder) -> None:
    findings = check_model(good, frames.subset(frames.names[:2]))
    assert {states(findings)[name] for name in MEANING} == {"undecided"}


def test_without_frames_or_without_depth_meaning_is_undecided(good: Path, frames: FrameFolder) -> None:
    assert all("use --data" in finding.found for finding in check_model(good)[-len(MEANING) :])
    images_only = check_model(good, open_folder(frames.root / "image"))
    assert all("no depth" in finding.found for finding in images_only[-len(MEANING) :])
    assert {states(images_only)[name] for name in MEANING} == {"undecided"}
    assert exit_code(images_only) == 0


def test_colours_that_do_not_matter_are_no_fault(good: Path, tmp_path: Path) -> None:
    grey = write_frames(tmp_path / "grey", [0.6 + 3.5 * field(seed) for seed in range(5)], grey=True)
    findings = check_model(good, grey)
    assert {name: state for name, state in states(findings).items() if state != "pass"} == {"colour order": "undecided"}


def test_at_most_so_many_frames_are_run(good: Path, frames: FrameFolder) -> None:
    found = {finding.name: finding.found for finding in check_model(good, frames, most_frames=3)}
    assert "on 3 frames" in found["depth direction"]
    assert found["runs"] == "runs on 6 pictures"


def test_inverse_and_upside_down_at_once_are_both_named(rooms: FrameFolder, tmp_path: Path) -> None:
    nodes = on_top(constant("nearest", [0.01]), helper.make_node("Div", ["nearest", "depth"], ["near"]))
    path = save(tmp_path / "both.onnx", [*nodes, *flip(2, "near", "wrong")], last="wrong")
    assert failed(check_model(path, rooms)) == {"depth direction", "up-down"}


@pytest.mark.parametrize("seed", range(6))
def test_a_model_that_knows_nothing_is_weak_but_not_wrong(seed: int, strangers: FrameFolder, tmp_path: Path) -> None:
    """Random weights on pictures that have nothing to do with their depth: no finding of meaning may fail."""
    weights = np.random.default_rng(seed).normal(0, 0.002, (1, 3, 5, 5))
    nodes = [constant("weights", weights), helper.make_node("Conv", ["image", "weights"], ["sum"], pads=[2, 2, 2, 2]),
             helper.make_node("Sigmoid", ["sum"], ["depth"])]  # fmt: skip
    findings = check_model(save(tmp_path / "m.onnx", nodes), strangers)
    assert failed(findings) == set()
    assert states(findings)["depth direction"] == states(findings)["colour order"] == "undecided"


def test_a_slope_that_every_room_has_says_nothing_of_left_and_right(rooms: FrameFolder, tmp_path: Path) -> None:
    found = states(check_model(same_for_all(tmp_path / "m.onnx"), rooms))
    assert (found["depth direction"], found["up-down"], found["left-right"]) == ("pass", "pass", "undecided")


@pytest.mark.parametrize("content", [b"", b"not a model", b"\x08\x0a", bytes(range(256))])
def test_what_is_no_model_is_one_sentence(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(content)
    with pytest.raises(InputError, match="not an ONNX model"):
        check_model(path)


def test_missing_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        check_model(tmp_path / "nothing.onnx")
    path = external(tmp_path / "model.onnx")
    (tmp_path / "weights.bin").unlink()
    with pytest.raises(InputError, match=r"weights\.bin, which is not beside it"):
        check_model(path)


def framed(picture: np.ndarray, row: int) -> dict[str, tuple[int, ...]]:
    """Heading -> colour of its tile's border, for the tiles that have a red or green one."""
    gap, heading = 6, 26
    top = heading + row * (TILE[1] + gap)
    colours = {
        name: tuple(picture[top + TILE[1] // 2, index * (TILE[0] + gap) + 2]) for index, name in enumerate(HEADINGS)
    }
    return {name: tuple(map(int, colour)) for name, colour in colours.items() if colour in (RED, GREEN)}


@pytest.mark.parametrize(
    ("mistake", "heading"),
    [
        ("inverse depth", "inverse truth"),
        ("BGR", "prediction, fed BGR"),
        ("left-right", "truth left-right"),
        ("upside down", "truth up-down"),
        ("turned by 180 degrees", "truth turned 180"),
    ],
)
def test_the_picture_frames_the_mistake_in_red(mistake: str, heading: str, frames: FrameFolder, tmp_path: Path) -> None:
    path = MISTAKES[mistake][0](tmp_path / "model.onnx")
    names = evidence_frames(check_model(path, frames))
    assert 1 <= len(names) <= 3
    picture = draw_evidence(path, frames, names)
    assert picture.dtype == np.uint8
    assert framed(picture, 0) == {heading: RED}


def test_a_good_model_needs_no_evidence_and_is_framed_green(good: Path, frames: FrameFolder) -> None:
    assert evidence_frames(check_model(good, frames)) == []
    assert framed(draw_evidence(good, frames, frames.names[:1]), 0) == {"truth": GREEN}


def test_findings_as_json_and_as_a_table(tmp_path: Path, frames: FrameFolder) -> None:
    findings = check_model(inverse(tmp_path / "model.onnx"), frames)
    report = json.loads(
        json.dumps(findings_json(findings, model="model.onnx", model_sha256="0", edition="e"), allow_nan=False)
    )
    assert report["passed"] is False
    assert sum(report["counts"].values()) == len(report["findings"]) == len(ALL_NAMES)
    row = next(row for row in report["findings"] if row["name"] == "depth direction")
    assert (row["state"], len(row["worst"])) == ("fail", 3)
    assert [row[:2] for row in table_rows(findings)] == [(finding.name, finding.state) for finding in findings]
    assert "inverse depth" in failures(findings)[0].sentence()


@given(st.integers(0, 2**32 - 1), st.floats(0.01, 100), st.floats(-5, 5))
def test_rank_correlation_sees_order_alone(seed: int, scale: float, offset: float) -> None:
    chance = np.random.default_rng(seed)
    truth, other = chance.random(50), chance.random(50)
    value = rank_correlation(truth, other)
    assert rank_correlation(truth, np.exp(scale * other + offset)) == pytest.approx(value, abs=1e-9)
    assert rank_correlation(truth, -other) == pytest.approx(-value, abs=1e-9)
    assert rank_correlation(truth, truth) == pytest.approx(1)
    assert rank_correlation(truth, np.full(50, offset)) == 0


REFERENCE = os.environ.get("LPCV_REFERENCE_DATA")


@pytest.mark.skipif(not REFERENCE, reason="LPCV_REFERENCE_DATA does not name the folder of real frames")
@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda depth: depth, set()),
        (lambda depth: 0.2 / depth, {"depth direction"}),
        pytest.param(lambda depth: depth[:, ::-1], {"left-right"}, marks=pytest.mark.slow),
        pytest.param(lambda depth: depth[::-1], {"up-down"}, marks=pytest.mark.slow),
        pytest.param(lambda depth: depth[::-1, ::-1], {"left-right", "up-down"}, marks=pytest.mark.slow),
    ],
)
def test_real_frames_tell_the_same(
    change: Callable[[np.ndarray], np.ndarray], expected: set[str], tmp_path: Path
) -> None:
    """A graph that recognises each real frame by the mean of its colours and gives its truth, changed."""
    real = open_folder(Path(str(REFERENCE)) / "lpcvc_sample")
    real = real.subset(real.names[11:])
    mix = np.array([0.5, 0.3, 0.2], np.float32)  # exchanging red and blue leads to another frame, or to none
    maps, keys = [], []
    for frame in real:
        assert frame.depth_m is not None
        full = cv2.resize(frame.depth_m, CONTRACT.image_size, interpolation=cv2.INTER_NEAREST)
        full[full == 0] = np.median(full[full > 0])
        maps.append(np.clip(change(full) / METRES_AT_ONE, 0, 1))
        keys.append(float(frame.rgb.reshape(-1, 3).mean(0) @ mix))
    nodes = [
        constant("maps", np.stack(maps)[:, None]), constant("keys", keys), constant("mix", mix.reshape(1, 3, 1, 1)),
        helper.make_node("Mul", ["image", "mix"], ["mixed"]), constant("axes", [1], np.int64),
        helper.make_node("ReduceSum", ["mixed", "axes"], ["grey"]), helper.make_node("ReduceMean", ["grey"], ["mean"]),
        constant("flat", [1], np.int64), helper.make_node("Reshape", ["mean", "flat"], ["key"]),
        helper.make_node("Sub", ["keys", "key"], ["off"]), helper.make_node("Abs", ["off"], ["distance"]),
        helper.make_node("ArgMin", ["distance"], ["which"], axis=0, keepdims=1),
        helper.make_node("Gather", ["maps", "which"], ["depth"], axis=0),
    ]  # fmt: skip
    assert failed(check_model(save(tmp_path / "m.onnx", nodes), real)) == expected
