"""What the stand-in refuses at a model's border is named with the node that stands there."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from htp_graphs import graph, node
from lpcv.hub_jobs.stand_in.graphs import narrow_64bit, specs_of
from lpcv.hub_jobs.stand_in.speaking import JobError
from onnx import ModelProto, TensorProto

LONG, FLOAT = TensorProto.INT64, TensorProto.FLOAT


def narrowed(model: ModelProto) -> None:
    narrow_64bit(model, truncate=False, runtime="tflite")


def specified(model: ModelProto) -> None:
    specs_of(model.graph)


READ, MADE = "The first node that reads it is {}.", "The node that makes it is {}."
REFUSED: dict[str, tuple[ModelProto, Callable[[ModelProto], None], str, str]] = {
    "a dynamic axis": (
        graph([node("Relu", ["image"], ["output_0"], "/net/Relu")], shape=("n", 3, 4, 6)),
        specified, "Input 'image' has a dynamic shape (n, 3, 4, 6)", READ.format("/net/Relu (Relu)"),
    ),
    "a nameless node": (
        graph([node("Relu", ["image"], ["output_0"])], shape=("n", 3, 4, 6)),
        specified, "dynamic shape", READ.format("Relu:output_0 (Relu)"),
    ),
    "a data type": (
        graph([node("Relu", ["image"], ["output_0"], "/net/Relu")], kind=TensorProto.DOUBLE),
        specified, "data type float64", READ.format("/net/Relu (Relu)"),
    ),
    "an int64 input": (
        graph([node("Cast", ["image"], ["output_0"], "/net/Cast", to=FLOAT)], kind=LONG, out_kind=FLOAT),
        narrowed, "'image' has the data type int64", READ.format("/net/Cast (Cast)"),
    ),
    "an int64 output": (
        graph([node("ArgMax", ["image"], ["output_0"], "/net/ArgMax")], out_kind=LONG),
        narrowed, "'output_0' has the data type int64", MADE.format("/net/ArgMax (ArgMax)"),
    ),
    "an output's shape": (
        graph([node("NonZero", ["image"], ["output_0"], "/net/NonZero")], out_kind=LONG, out_shape=(4, "n")),
        specified, "Output 'output_0' has a dynamic shape (4, n)", MADE.format("/net/NonZero (NonZero)"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_the_node_at_the_border_is_named(name: str) -> None:
    model, refuse, problem, at = REFUSED[name]
    with pytest.raises(JobError) as caught:
        refuse(model)
    assert problem in str(caught.value)
    assert str(caught.value).endswith(at)


def test_an_input_that_nobody_reads_is_told_all_the_same() -> None:
    model = graph([node("Relu", ["other"], ["output_0"])], shape=("n", 3))
    with pytest.raises(JobError, match=r"fixed shape\.$"):
        specified(model)
