"""Small .tflite files, written with the schema that LiteRT ships: no TensorFlow."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lpcv.contract import CURRENT as CONTRACT

OPERATORS = {"MUL": "MulOptions", "RESHAPE": "ReshapeOptions", "MAXIMUM": "MaximumMinimumOptions",
             "SLICE": "SliceOptions", "QUANTIZE": "QuantizeOptions"}  # fmt: skip
TYPES = {"float32": "FLOAT32", "int32": "INT32", "int8": "INT8"}


class Tflite:
    """Tensors and operators as they are added; the number that `tensor` gives stands for it."""

    def __init__(self) -> None:
        pytest.importorskip("ai_edge_litert", reason="LiteRT has no wheel here")
        import flatbuffers
        from ai_edge_litert import schema_py_generated as schema

        self._builder, self.schema = flatbuffers.Builder(1024), schema
        self._model: Any = schema.ModelT()
        self._model.version, self._model.operatorCodes, self._model.buffers = 3, [], [schema.BufferT()]
        self._graph: Any = schema.SubGraphT()
        self._graph.tensors, self._graph.operators = [], []

    def tensor(
        self, name: str, shape: Sequence[int], dtype: str = "float32", values: object = None, scale: float = 0.0,
        signature: Sequence[int] | None = None,
    ) -> int:  # fmt: skip
        tensor: Any = self.schema.TensorT()
        tensor.name, tensor.shape, tensor.type = name, list(shape), getattr(self.schema.TensorType, TYPES[dtype])
        tensor.shapeSignature = None if signature is None else list(signature)
        if scale:
            tensor.quantization = self.schema.QuantizationParametersT()
            tensor.quantization.scale, tensor.quantization.zeroPoint = [scale], [-128]
        if values is not None:
            buffer: Any = self.schema.BufferT()
            buffer.data = np.frombuffer(np.asarray(values, dtype).tobytes(), np.uint8)
            tensor.buffer = len(self._model.buffers)
            self._model.buffers.append(buffer)
        self._graph.tensors.append(tensor)
        return len(self._graph.tensors) - 1

    def add(self, kind: str, inputs: Sequence[int], output: int) -> int:
        code: Any = self.schema.OperatorCodeT()
        code.builtinCode = code.deprecatedBuiltinCode = getattr(self.schema.BuiltinOperator, kind)
        code.version = 1
        operator: Any = self.schema.OperatorT()
        operator.opcodeIndex, operator.inputs, operator.outputs = len(self._model.operatorCodes), list(inputs), [output]
        operator.builtinOptionsType = getattr(self.schema.BuiltinOptions, OPERATORS[kind])
        operator.builtinOptions = getattr(self.schema, f"{OPERATORS[kind]}T")()
        self._model.operatorCodes.append(code)
        self._graph.operators.append(operator)
        return output

    def save(self, path: Path, image: int, outputs: Sequence[int], names: tuple[str, ...] = ()) -> Path:
        """names: of the input and the outputs in the signature; none is written without them."""
        self._graph.inputs, self._graph.outputs = [image], list(outputs)
        self._model.subgraphs = [self._graph]
        if names:
            signature: Any = self.schema.SignatureDefT()
            signature.signatureKey, signature.subgraphIndex = "serving_default", 0
            maps = [self.schema.TensorMapT() for _ in names]
            for one, name, index in zip(maps, names, [image, *outputs], strict=True):
                one.name, one.tensorIndex = name, index
            signature.inputs, signature.outputs = maps[:1], maps[1:]
            self._model.signatureDefs = [signature]
        self._builder.Finish(self._model.Pack(self._builder), b"TFL3")
        path.write_bytes(bytes(self._builder.Output()))
        return path


def red_is_depth(
    path: Path, factor: float, *, size: tuple[int, int] = CONTRACT.image_size, channels_last: bool = False,
    outputs: int = 1, quantized: bool = False, names: tuple[str, str] = ("image", "output_0"),
    signed: bool = False, free_batch: bool = False,
) -> Path:  # fmt: skip
    """max(red * factor, 0.01). size: (width, height); signed: the names are the signature's, the tensors have others"""
    (width, height), made = size, Tflite()
    shape = (1, height, width, 3) if channels_last else (1, 3, height, width)
    red = (1, height, width, 1) if channels_last else (1, 1, height, width)
    own = ("serving_default_x:0", "PartitionedCall:0") if signed else names
    image = made.tensor(own[0], shape, signature=(-1, *shape[1:]) if free_batch else None)
    begin, extent = (made.tensor(name, (4,), "int32", values) for name, values in (("b", [0] * 4), ("e", red)))
    picked = made.add("SLICE", (image, begin, extent), made.tensor("picked", red))
    scaled = made.add("MUL", (picked, made.tensor("f", (1,), values=[factor])), made.tensor("scaled", red))
    small, target = made.tensor("small", (1,), values=[0.01]), made.tensor("t", (4,), "int32", (1, 1, height, width))
    made.add("MAXIMUM", (scaled, small), deep := made.tensor("deep", red))
    ends = []
    for at in range(outputs):
        name = own[1] if at == 0 else f"output_{at}"
        if quantized:
            flat = made.add("RESHAPE", (deep, target), made.tensor("flat", (1, 1, height, width)))
            end = made.tensor(name, (1, 1, height, width), "int8", scale=1 / 255)
            ends.append(made.add("QUANTIZE", (flat,), end))
        else:
            ends.append(made.add("RESHAPE", (deep, target), made.tensor(name, (1, 1, height, width))))
    called = (names[0], names[1], *(f"output_{at}" for at in range(1, outputs)))
    return made.save(path, image, ends, called if signed else ())
