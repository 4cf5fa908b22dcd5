"""Models for the matrix of `lpcv check`: good ones, and the same with one mistake planted.

A model knows the frames of its bench and gives the truth of each; see meaning_models.py.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import cv2
import numpy as np
import onnx
from lpcv.contract import CURRENT as CONTRACT
from lpcv.data.folder import FrameFolder
from lpcv.data.model_input import contract_input
from lpcv.submission.check.meaning_input import MEAN, STD
from meaning_models import HEIGHT, METRES_AT_ONE, WIDTH, Change, Tensor, as_it_is, recogniser
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

COARSE = (80, 60)


@dataclass(frozen=True)
class Bench:
    """Frames, and of each its truth as a model emits it: (H, W) float32, 0 to 1, holes filled with the median."""

    frames: FrameFolder
    maps: list[Tensor]

    def model(self, path: Path, own: Change = as_it_is, wanted: Change | None = None, emit: Change = as_it_is) -> Path:
        """own: what the model does to its input; wanted: what it was trained on, by default the same."""
        return recogniser(path, self.frames, [emit(one) for one in self.maps], own, wanted or own)

    @cached_property
    def good(self) -> bytes:
        with TemporaryDirectory() as folder:
            return self.model(Path(folder) / "good.onnx", normalised).read_bytes()


def bench(frames: FrameFolder) -> Bench:
    maps = []
    for frame in frames:
        assert frame.depth_m is not None
        full = cv2.resize(frame.depth_m, (WIDTH, HEIGHT), interpolation=cv2.INTER_NEAREST)
        full[full == 0] = np.median(full[full > 0])
        maps.append(np.clip(full / METRES_AT_ONE, 0, 1))
    return Bench(frames, maps)


Builder = Callable[[Bench, Path], Path]


def normalised(x: Tensor) -> Tensor:
    return (x / 255 - MEAN) / STD


def standard(x: Tensor) -> Tensor:
    return (x - MEAN) / STD


def emits(change: Change) -> Builder:
    return lambda bench, path: bench.model(path, normalised, emit=change)


def eats(own: Change, wanted: Change = normalised, emit: Change = as_it_is) -> Builder:
    return lambda bench, path: bench.model(path, own, wanted, emit)


def network(bench: Bench, path: Path) -> Path:
    """A graph of other operators: pooling, 1x1 convolutions around a softmax, a linear Resize."""
    keys = np.stack([normalised(contract_input(frame.rgb)).mean((2, 3))[0] for frame in bench.frames])
    sharp = 2000.0  # so that the softmax picks one frame
    coarse = np.stack([cv2.resize(one, COARSE, interpolation=cv2.INTER_AREA).ravel() for one in bench.maps])
    weights = {
        "mean": 255 * MEAN, "std": 255 * STD, "like": (2 * sharp * keys)[:, :, None, None],
        "unlike": -sharp * np.sum(keys**2, 1), "maps": coarse.T[:, :, None, None],
        "grid": np.array([1, 1, COARSE[1], COARSE[0]]), "size": np.array([1, 1, HEIGHT, WIDTH]),
        "least": np.float32(0), "most": np.float32(1),
    }  # fmt: skip
    nodes = [
        helper.make_node("Sub", ["image", "mean"], ["a"]), helper.make_node("Div", ["a", "std"], ["b"]),
        helper.make_node("GlobalAveragePool", ["b"], ["c"]), helper.make_node("Conv", ["c", "like", "unlike"], ["d"]),
        helper.make_node("Softmax", ["d"], ["e"], axis=1), helper.make_node("Conv", ["e", "maps"], ["f"]),
        helper.make_node("Reshape", ["f", "grid"], ["g"]),
        helper.make_node("Resize", ["g", "", "", "size"], ["h"], mode="linear"),
        helper.make_node("Clip", ["h", "least", "most"], ["output_0"]),
    ]  # fmt: skip
    graph = helper.make_graph(
        nodes, "network", [value("image", CONTRACT.input_shape)], [value("output_0", CONTRACT.output_shape)],
        [
            numpy_helper.from_array(one if one.dtype == np.int64 else np.asarray(one, np.float32), name)
            for name, one in weights.items()
        ],
    )  # fmt: skip
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10), path)
    return path


Edit = Callable[[ModelProto], None]
Shape = Sequence[int | str]


def value(name: str, shape: Shape, elem: int = TensorProto.FLOAT) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, elem, shape)


def edited(edit: Edit, **words: Any) -> Builder:
    """The good model, its file edited. words: for onnx.save"""

    def build(bench: Bench, path: Path) -> Path:
        model = onnx.load_model_from_string(bench.good)
        edit(model)
        onnx.save(model, path, **words)
        return path

    return build


def constant(name: str, values: object, dtype: type = np.float32) -> NodeProto:
    return helper.make_node("Constant", [], [name], value=numpy_helper.from_array(np.asarray(values, dtype), name))


def before(nodes: Sequence[NodeProto], shape: Shape = CONTRACT.input_shape, elem: int = TensorProto.FLOAT) -> Edit:
    """Nodes from `image`, of this shape and type, to `picture`, which the model sees instead."""

    def edit(model: ModelProto) -> None:
        for node in model.graph.node:
            node.input[:] = ["picture" if name == "image" else name for name in node.input]
        kept = [*nodes, *model.graph.node]
        del model.graph.node[:]
        model.graph.node.extend(kept)
        model.graph.input[0].CopyFrom(value("image", shape, elem))

    return edit


def after(nodes: Sequence[NodeProto], shape: Shape = CONTRACT.output_shape, elem: int = TensorProto.FLOAT) -> Edit:
    """Nodes from `depth`, which the model gave, to `output_0`, of this shape and type; `mean` is the picture's."""

    def edit(model: ModelProto) -> None:
        model.graph.node[-1].output[0] = "depth"
        model.graph.node.extend(nodes)
        model.graph.output[0].CopyFrom(value("output_0", shape, elem))

    return edit


def channels_last(model: ModelProto) -> None:
    turned = helper.make_node("Transpose", ["image"], ["picture"], perm=[0, 3, 1, 2])
    before([turned], (1, HEIGHT, WIDTH, 3))(model)


def taken_as(elem: int) -> Edit:
    return before([cast("image", "picture", TensorProto.FLOAT)], elem=elem)


def given_as(elem: int) -> Edit:
    return after([cast("depth", "output_0", elem)], elem=elem)


def cast(source: str, target: str, elem: int) -> NodeProto:
    return helper.make_node("Cast", [source], [target], to=elem)


def declared(*, image: Shape | None = None, depth: Shape | None = None) -> Edit:
    def edit(model: ModelProto) -> None:
        if image:
            model.graph.input[0].CopyFrom(value("image", image))
        if depth:
            model.graph.output[0].CopyFrom(value("output_0", depth))

    return edit


def renamed(old: str, new: str) -> Edit:
    def edit(model: ModelProto) -> None:
        for node in model.graph.node:
            node.input[:] = [new if name == old else name for name in node.input]
            node.output[:] = [new if name == old else name for name in node.output]
        for one in (*model.graph.input, *model.graph.output):
            one.name = new if one.name == old else one.name

    return edit


def version(*, ir: int | None = None, opset: int | None = None) -> Edit:
    def edit(model: ModelProto) -> None:
        model.ir_version = ir or model.ir_version
        if opset:
            model.opset_import[0].version = opset

    return edit


def a_second_input(model: ModelProto) -> None:
    model.graph.input.append(value("confidence", [1]))


def a_second_output(model: ModelProto) -> None:
    model.graph.node.append(helper.make_node("Identity", ["output_0"], ["output_1"]))
    model.graph.output.append(value("output_1", CONTRACT.output_shape))


def batch_of_two(model: ModelProto) -> None:
    before(
        [constant("frames", [0], np.int64), helper.make_node("ReduceMean", ["image", "frames"], ["picture"])],
        (2, *CONTRACT.input_shape[1:]),
    )(model)
    after([helper.make_node("Concat", ["depth", "depth"], ["output_0"], axis=0)], (2, *CONTRACT.output_shape[1:]))(
        model
    )


def unsorted(model: ModelProto) -> None:
    """ONNX Runtime accepts any order, the standard does not."""
    kept = list(model.graph.node)[::-1]
    del model.graph.node[:]
    model.graph.node.extend(kept)


def stops(model: ModelProto) -> None:
    """An index out of bounds that depends on the picture, so that loading the model cannot notice."""
    after(
        [
            constant("many", 1000.0), constant("row_of", [1], np.int64),
            helper.make_node("ReduceMax", ["mean"], ["brightest"], keepdims=0),
            helper.make_node("Add", ["brightest", "many"], ["beyond"]), cast("beyond", "index0", TensorProto.INT64),
            helper.make_node("Reshape", ["index0", "row_of"], ["index"]),
            helper.make_node("Gather", ["depth", "index"], ["output_0"], axis=0),
        ]
    )(model)  # fmt: skip


def nan_at(brightness: float) -> Edit:
    """(m - b) / (m - b) is 1, and NaN for the picture whose every value is b."""
    return after([
        constant("level", brightness), helper.make_node("Sub", ["mean", "level"], ["apart3"]),
        helper.make_node("ReduceMax", ["apart3"], ["apart"], keepdims=1),
        helper.make_node("Div", ["apart", "apart"], ["once"]), helper.make_node("Mul", ["depth", "once"], ["output_0"]),
    ])  # fmt: skip


NAN_WITHOUT_CONTRAST = after([
    helper.make_node("Sub", ["image", "mean"], ["contrast"]),
    helper.make_node("ReduceL2", ["contrast"], ["length"], keepdims=1),
    helper.make_node("Div", ["length", "length"], ["once"]), helper.make_node("Mul", ["depth", "once"], ["output_0"]),
])  # fmt: skip
"""As a normalisation by each picture's own deviation does: 0 / 0 on a picture of one colour."""

NEGATIVE_ON_BLACK = after([
    constant("dark", 1.0), constant("little", 0.5), helper.make_node("ReduceMax", ["mean"], ["bright"], keepdims=0),
    helper.make_node("Less", ["bright", "dark"], ["is_dark"]), cast("is_dark", "whether", TensorProto.FLOAT),
    helper.make_node("Mul", ["whether", "little"], ["off_by"]),
    helper.make_node("Sub", ["depth", "off_by"], ["output_0"]),
])  # fmt: skip

NOISY = after([
    helper.make_node("RandomUniform", [], ["noise"], high=0.005, shape=list(CONTRACT.output_shape)),
    constant("most_allowed", 1.0), helper.make_node("Add", ["depth", "noise"], ["noisy"]),
    helper.make_node("Min", ["noisy", "most_allowed"], ["output_0"]),
])  # fmt: skip

ANTIALIASED = after([
    constant("small", [1, 1, HEIGHT // 2, WIDTH // 2], np.int64), constant("large", CONTRACT.output_shape, np.int64),
    helper.make_node("Resize", ["depth", "", "", "small"], ["shrunk"], mode="linear", antialias=1),
    helper.make_node("Resize", ["shrunk", "", "", "large"], ["output_0"], mode="linear"),
])  # fmt: skip

ANTIALIASED_INSIDE = after([
    constant("size_s", [1, 1, HEIGHT // 2, WIDTH // 2], np.int64), constant("size_l", CONTRACT.output_shape, np.int64),
    constant("never", 999.0), helper.make_node("ReduceMax", ["mean"], ["light0"], keepdims=0),
    helper.make_node("Less", ["light0", "never"], ["usual"]),
    helper.make_node(
        "If", ["usual"], ["output_0"],
        then_branch=helper.make_graph([
            helper.make_node("Resize", ["depth", "", "", "size_s"], ["in_body"], mode="linear", antialias=1),
            helper.make_node("Resize", ["in_body", "", "", "size_l"], ["then_0"], mode="linear"),
        ], "then", [], [value("then_0", CONTRACT.output_shape)]),
        else_branch=helper.make_graph(
            [helper.make_node("Identity", ["depth"], ["else_0"])], "else", [], [value("else_0", CONTRACT.output_shape)]
        ),
    ),
])  # fmt: skip

TURNED_SHAPE = after([helper.make_node("Transpose", ["depth"], ["output_0"], perm=[0, 1, 3, 2])], (1, 1, WIDTH, HEIGHT))

HALF_SIZE = after(
    [
        constant("small", [1, 1, HEIGHT // 2, WIDTH // 2], np.int64),
        helper.make_node("Resize", ["depth", "", "", "small"], ["output_0"], mode="linear"),
    ],
    (1, 1, HEIGHT // 2, WIDTH // 2),
)


def then(*edits: Edit) -> Edit:
    def edit(model: ModelProto) -> None:
        for one in edits:
            one(model)

    return edit


def stretched(low: float, high: float) -> Change:
    return lambda depth: low + (high - low) * (depth - depth.min()) / (depth.max() - depth.min())


def between_percentiles(depth: Tensor) -> Tensor:
    """The first to the 99th of each frame, to 0.1 to 0.9: a range that no pixel but a plateau's reaches."""
    low, high = np.percentile(depth, (1, 99))
    return 0.1 + 0.8 * np.clip((depth - low) / (high - low), 0, 1)


def in_bgr(x: Tensor) -> Tensor:
    return normalised(x[:, ::-1])


def on_its_side(depth: Tensor) -> Tensor:
    return cv2.resize(np.ascontiguousarray(depth.T), (WIDTH, HEIGHT))


def near(depth: Tensor) -> Tensor:
    """Inverse depth, 1 at 0.2 m."""
    return np.minimum(0.02 / depth, 1)
