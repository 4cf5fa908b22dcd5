"""The pre-flight check as a whole: its findings in their order, what is undecided when, the picture, what is no model.

The models here see: depth is in a colour of the frames. What each mistake fails is in test_check_matrix.py.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
from lpcv.contract import CURRENT as CONTRACT
from lpcv.data.folder import FrameFolder, open_folder
from lpcv.data.images import write_png
from lpcv.errors import InputError
from lpcv.runs import Run
from lpcv.submission.check.findings import GROUPS, Finding, exit_code, failures, findings_json
from lpcv.submission.check.interface import interface_findings
from lpcv.submission.check.meaning_evidence import NAMES as MEANING
from lpcv.submission.check.opening import open_runner
from lpcv.submission.check.picture import GREEN, HEADINGS, RED, TILE, draw_evidence, evidence_frames
from lpcv.submission.check.preflight import Circumstances, check_model
from onnx import TensorProto, helper, numpy_helper

WIDTH, HEIGHT = CONTRACT.image_size
METRES_AT_ONE = 10.0
ALL_NAMES = [
    "valid ONNX", "one file", "one input", "one output", "input name", "output name", "input type", "output type",
    "input shape", "output shape", "runs", "finite", "range", "deterministic", "answers the picture", "no stretching",
    "depth direction", "colour order", "left-right", "up-down", "not on its side", "input range", "normalisation",
    "no saturation", "no offset", "linear in depth", "IR version", "operator set", "file size", "resize antialias",
    "resize align_corners",
    "fits the NPU", "NPU traps", "parameters", "MACs", "largest activation", "latency, estimated", "latency, measured",
    "teacher licence", "encoder weights licence", "data licence",
]  # fmt: skip
WITHOUT_DEVICE = {"fits the NPU", "latency, estimated", "latency, measured"}
WITHOUT_RUN = {"teacher licence", "encoder weights licence", "data licence"}


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
    return write_frames(tmp_path_factory.mktemp("varied"), [0.6 + 3.5 * field(seed) for seed in range(4)])


@pytest.fixture(scope="module")
def rooms(tmp_path_factory: pytest.TempPathFactory) -> FrameFolder:
    """Near at the bottom and far at the top, as rooms and streets are, with things in them."""
    rise = np.linspace(1, 0, HEIGHT, dtype=np.float32)[:, None]
    depths = [0.6 + 2.4 * rise + 1.5 * field(seed) for seed in range(20, 23)]
    return write_frames(tmp_path_factory.mktemp("rooms"), depths)


@pytest.fixture(scope="module")
def strangers(tmp_path_factory: pytest.TempPathFactory) -> FrameFolder:
    """Rooms whose pictures show something else."""
    root = tmp_path_factory.mktemp("strangers")
    rise = np.linspace(1, 0, HEIGHT, dtype=np.float32)[:, None]
    folder = write_frames(root, [0.6 + 2.4 * rise + 1.5 * field(seed) for seed in range(30, 33)])
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


def inverse(path: Path) -> Path:
    nodes = on_top(constant("nearest", [0.01]), helper.make_node("Div", ["nearest", "depth"], ["wrong"]))
    return save(path, nodes, last="wrong")


def slope(path: Path) -> Path:
    """The near-to-far slope that every room has, a little nearer where the picture is bright."""
    rise = np.broadcast_to(np.linspace(0.375, 0.135, HEIGHT, dtype=np.float32)[:, None], CONTRACT.output_shape)
    nodes = [
        constant("slope", rise), constant("little", 1e-4), helper.make_node("ReduceMean", ["image"], ["light"]),
        helper.make_node("Mul", ["light", "little"], ["nearer"]),
        helper.make_node("Sub", ["slope", "nearer"], ["depth"]),
    ]  # fmt: skip
    return save(path, nodes)


def external(path: Path) -> Path:
    table = numpy_helper.from_array(np.full((1, 1, HEIGHT, WIDTH), 0.001, np.float32), "table")
    model = onnx.load(save(path, channel(0)))
    model.graph.initializer.append(table)
    model.graph.node.insert(len(model.graph.node) - 1, helper.make_node("Add", ["depth", "table"], ["more"]))
    model.graph.node[-1].input[0] = "more"
    onnx.save(model, path, save_as_external_data=True, location="weights.bin")
    return path


Builder = Callable[[Path], Path]
MISTAKES: dict[str, Builder] = {
    "inverse depth": inverse,
    "BGR": lambda path: save(path, channel(2)),
    "left-right": lambda path: save(path, on_top(*flip(3, "depth", "wrong")), last="wrong"),
    "upside down": lambda path: save(path, on_top(*flip(2, "depth", "wrong")), last="wrong"),
    "turned by 180 degrees": lambda path: save(
        path, on_top(*flip(2, "depth", "half"), *flip(3, "half", "wrong")), last="wrong"
    ),
}


def failed(findings: Sequence[Finding]) -> set[str]:
    return {finding.name for finding in failures(findings)}


def states(findings: Sequence[Finding]) -> dict[str, str]:
    return {finding.name: finding.state for finding in findings}


@pytest.fixture
def good(tmp_path: Path) -> Path:
    return save(tmp_path / "good.onnx", channel(0))


def undecided(findings: Sequence[Finding]) -> set[str]:
    return {finding.name for finding in findings if finding.state == "undecided"}


@pytest.mark.parametrize("folder", ["frames", pytest.param("rooms", marks=pytest.mark.slow)])
def test_a_good_model_passes_every_finding(good: Path, folder: str, request: pytest.FixtureRequest) -> None:
    frames = request.getfixturevalue(folder)
    findings = check_model(good, frames)
    assert [finding.name for finding in findings] == ALL_NAMES == [name for names in GROUPS.values() for name in names]
    assert failed(findings) == set()
    assert undecided(findings) == WITHOUT_DEVICE | WITHOUT_RUN
    assert exit_code(findings) == 0
    assert evidence_frames(findings) == []
    assert all(f" {len(frames)} frames" in finding.found for finding in findings if finding.name in MEANING)


def test_with_a_run_its_licences_are_judged(good: Path, tmp_path: Path) -> None:
    apache, mit = {"teacher": "one", "licence": "Apache-2.0"}, {"name": "two", "licence": "MIT"}
    records = {"teacher": apache, "encoder_weights": mit, "data": {"licences": {"MIT": 3}, "sources": ["phone"]}}
    (tmp_path / "config.json").write_text(json.dumps({"provenance": records}))
    findings = check_model(good, None, Circumstances(run=Run(tmp_path)))
    assert undecided(findings) == {*MEANING, "no stretching"} | WITHOUT_DEVICE


@pytest.mark.parametrize(
    "mistake",
    [name if name in ("upside down", "BGR") else pytest.param(name, marks=pytest.mark.slow) for name in MISTAKES],
)
def test_each_mistake_is_seen_where_depth_is_in_the_picture(mistake: str, frames: FrameFolder, tmp_path: Path) -> None:
    expected = {"inverse depth": {"depth direction"}, "BGR": {"colour order"}, "upside down": {"up-down"}}
    both = {"left-right", "up-down"} if mistake == "turned by 180 degrees" else {"left-right"}
    assert failed(check_model(MISTAKES[mistake](tmp_path / "m.onnx"), frames)) == expected.get(mistake, both)


def test_flat_frames_decide_nothing(tmp_path: Path) -> None:
    flat = write_frames(tmp_path / "flat", [2.0 + 0.4 * field(seed) for seed in range(4)])
    for model in (save(tmp_path / "good.onnx", channel(0)), MISTAKES["BGR"](tmp_path / "bad.onnx")):
        meaning = [finding for finding in check_model(model, flat) if finding.name in MEANING]
        assert {finding.state for finding in meaning} == {"undecided"}
        assert all("0 of 4 frames" in finding.found for finding in meaning)


def test_two_varied_frames_are_too_few(good: Path, frames: FrameFolder) -> None:
    findings = check_model(good, frames.subset(frames.names[:2]))
    assert {states(findings)[name] for name in MEANING} == {"undecided"}


def test_without_frames_or_without_depth_meaning_is_undecided(good: Path, frames: FrameFolder) -> None:
    without = check_model(good)
    assert all("use --data" in finding.found for finding in without if finding.name in (*MEANING, "no stretching"))
    assert undecided(without) == {*MEANING, "no stretching"} | WITHOUT_DEVICE | WITHOUT_RUN
    images_only = check_model(good, open_folder(frames.root / "image"))
    assert all("no depth" in finding.found for finding in images_only if finding.name in MEANING)
    assert undecided(images_only) == {*MEANING} | WITHOUT_DEVICE | WITHOUT_RUN
    assert exit_code(images_only) == 0


def test_colours_that_do_not_matter_are_no_fault(good: Path, tmp_path: Path) -> None:
    grey = write_frames(tmp_path / "grey", [0.6 + 3.5 * field(seed) for seed in range(3)], grey=True)
    findings = check_model(good, grey)
    assert failed(findings) == set()
    assert undecided(findings) == {"colour order"} | WITHOUT_DEVICE | WITHOUT_RUN


def test_at_most_so_many_frames_are_run(good: Path, frames: FrameFolder) -> None:
    found = {finding.name: finding.found for finding in check_model(good, frames, most_frames=3)}
    assert "on 3 frames" in found["depth direction"]
    assert found["runs"] == "runs on 7 pictures"


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, 6))])
def test_a_model_that_knows_nothing_is_weak_but_not_wrong(seed: int, strangers: FrameFolder, tmp_path: Path) -> None:
    """Random weights on pictures that have nothing to do with their depth: no finding of meaning may fail."""
    weights = np.random.default_rng(seed).normal(0, 0.002, (1, 3, 5, 5))
    nodes = [constant("weights", weights), helper.make_node("Conv", ["image", "weights"], ["sum"], pads=[2, 2, 2, 2]),
             helper.make_node("Sigmoid", ["sum"], ["depth"])]  # fmt: skip
    findings = check_model(save(tmp_path / "m.onnx", nodes), strangers)
    assert failed(findings) == set()
    assert states(findings)["depth direction"] == states(findings)["colour order"] == "undecided"


def test_a_slope_that_every_room_has_says_nothing_of_left_and_right(rooms: FrameFolder, tmp_path: Path) -> None:
    found = states(check_model(slope(tmp_path / "m.onnx"), rooms))
    assert (found["depth direction"], found["up-down"], found["left-right"]) == ("pass", "pass", "undecided")


@pytest.mark.parametrize("content", [b"", b"not a model", b"\x08\x0a", bytes(range(256))])
def test_what_is_no_model_is_one_sentence(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"not an ONNX model|is empty"):
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
        pytest.param("BGR", "prediction, fed BGR", marks=pytest.mark.slow),
        pytest.param("left-right", "truth left-right", marks=pytest.mark.slow),
        pytest.param("upside down", "truth up-down", marks=pytest.mark.slow),
        pytest.param("turned by 180 degrees", "truth turned 180", marks=pytest.mark.slow),
    ],
)
def test_the_picture_frames_the_mistake_in_red(mistake: str, heading: str, frames: FrameFolder, tmp_path: Path) -> None:
    path = MISTAKES[mistake](tmp_path / "model.onnx")
    names = evidence_frames(check_model(path, frames))
    assert 1 <= len(names) <= 3
    picture = draw_evidence(path, frames, names)
    assert picture.dtype == np.uint8
    assert framed(picture, 0) == {heading: RED}


def test_a_good_model_is_framed_green(good: Path, frames: FrameFolder) -> None:
    assert framed(draw_evidence(good, frames, frames.names[:1]), 0) == {"truth": GREEN}


def test_findings_as_json(tmp_path: Path, frames: FrameFolder) -> None:
    findings = check_model(inverse(tmp_path / "model.onnx"), frames)
    report = json.loads(
        json.dumps(findings_json(findings, model="model.onnx", model_sha256="0", edition="e"), allow_nan=False)
    )
    assert report["passed"] is False
    assert sum(report["counts"].values()) == len(report["findings"]) == len(ALL_NAMES)
    row = next(row for row in report["findings"] if row["name"] == "depth direction")
    assert (row["group"], row["state"], len(row["worst"])) == ("meaning", "fail", 3)
    assert [row["name"] for row in report["findings"]] == ALL_NAMES
    assert "inverse depth" in failures(findings)[0].sentence()


def test_a_name_that_is_no_text_is_refused(tmp_path: Path) -> None:
    """Protobuf hands it out as bytes, which nothing after it expects."""
    value = helper.make_tensor_value_info("imagX", TensorProto.FLOAT, [1])
    graph = helper.make_graph([helper.make_node("Relu", ["imagX"], ["y"])], "g", [value], [value])
    content = helper.make_model(graph).SerializeToString().replace(b"imagX", b"imag\xff")
    (tmp_path / "m.onnx").write_bytes(content)
    with pytest.raises(InputError, match=r"m\.onnx holds a \w+ that is no text"):
        open_runner(tmp_path / "m.onnx")


def test_a_refusal_without_a_word_is_no_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(model: object) -> None:
        raise ValueError

    monkeypatch.setattr(onnx.checker, "check_model", refuse)
    (valid,) = [one for one in interface_findings(onnx.ModelProto()) if one.name == "valid ONNX"]
    assert (valid.state, valid.found) == ("fail", "ValueError")
