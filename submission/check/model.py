"""The model under check, run as the organisers run it: the contract's input, under the model's own names."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from onnx import ModelProto

from ...contract import CURRENT as CONTRACT
from ...data.frame import Rgb
from ...data.model_input import contract_input
from ...errors import InputError, first_line
from ...onnx_session import open_session
from .findings import Finding
from .interface import chosen, demand_complete, interface_findings, model_inputs, parse_model

Map = npt.NDArray[Any]
ON_A_DEVICE = "is compiled for an NPU, and only a device runs it: `lpcv profile` and `lpcv infer` ask one."
FROM_ONNX = "Check the .onnx that it was compiled from."


class Runner(ABC):
    """A model that answers the contract's input, whatever file it came from.

    `with open_runner(path) as runner` gives back at once what it holds; else that happens when nobody has it any more.
    """

    note = ""
    """What a person should know of how the file is read; empty for an .onnx file, which is read as it is."""
    _release: Callable[[], Any] | None = None

    @property
    def graph(self) -> ModelProto | None:
        """What the findings on the graph look at; None where there is none, and `no_graph` then says why."""
        return None

    @property
    def onnx_path(self) -> Path | None:
        """The .onnx file that says the same as the model; None where there is none."""
        return None

    @property
    def no_graph(self) -> tuple[str, str]:
        """Why there is no graph, and what to do: for `file_undecided`. Empty where there is one."""
        return "", ""

    def close(self) -> None:
        """Give back what lies outside this process's memory. Twice does no harm."""
        if self._release is not None:
            self._release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @abstractmethod
    def interface(self) -> list[Finding]:
        """What the file shows without running it: names, types, shapes; see interface.py."""

    @abstractmethod
    def answer(self, tensor: npt.NDArray[np.float32]) -> Map:
        """The output for any tensor of the contract's shape. Raises whatever the library that runs it raises."""

    def metadata(self) -> dict[str, str]:
        """What the exporter wrote into the file beside the graph."""
        return {} if self.graph is None else {entry.key: entry.value for entry in self.graph.metadata_props}

    def raw(self, rgb: Rgb) -> Map:
        """The output as the model gives it. Raises as `answer` does."""
        return self.answer(contract_input(rgb))

    def answer_map(self, tensor: npt.NDArray[np.float32]) -> Map | None:
        """(H, W) float32; None where the model stops or does not give one finite map."""
        try:
            output = self.answer(tensor)
        except Exception:  # a probe outside the contract's range may stop a model, which is no fault
            return None
        return as_map(output) if is_one_finite_map(output) else None

    def predict(self, rgb: Rgb) -> Map:
        """(H, W) float32 relative depth. Raises InputError where the model does not run or gives no single map."""
        try:
            output = self.raw(rgb)
        except Exception as error:  # onnxruntime's exceptions share no base class but this one
            raise InputError(
                f"The model does not run on the contract's input ({first_line(error)}).", "Check it."
            ) from None
        if output.ndim < 2 or output.size != output.shape[-1] * output.shape[-2]:
            raise InputError(f"The model gives an output of shape {output.shape}, not one map.", "Check it.")
        return output.reshape(output.shape[-2:]).astype(np.float32)


class OnnxRunner(Runner):
    """An .onnx file in ONNX Runtime."""

    def __init__(self, path: Path) -> None:
        """Raises InputError where the file is no ONNX model, lacks its weights, or ONNX Runtime cannot load it."""
        if not path.is_file():
            raise InputError(f"{path} does not exist.", "`lpcv export RUN` writes RUN/model.onnx.")
        self._graph, self._path = parse_model(path.read_bytes(), str(path)), path
        demand_complete(self._graph, path)
        if any(node.op_type == "EPContext" for node in self._graph.graph.node):
            raise InputError(f"{path} {ON_A_DEVICE}", FROM_ONNX)
        self._session = open_session(path)
        image = chosen(model_inputs(self._graph), CONTRACT.input_name)
        depth = chosen(list(self._graph.graph.output), CONTRACT.output_name)
        self._input, self._output = (value.name if value else "" for value in (image, depth))

    @property
    def graph(self) -> ModelProto:
        return self._graph

    @property
    def onnx_path(self) -> Path:
        return self._path

    def interface(self) -> list[Finding]:
        return interface_findings(self._graph, self._path)

    def answer(self, tensor: npt.NDArray[np.float32]) -> Map:
        return np.asarray(self._session.run([self._output], {self._input: tensor})[0])


def is_one_finite_map(output: Map) -> bool:
    return output.ndim >= 2 and output.size == output.shape[-1] * output.shape[-2] and bool(np.isfinite(output).all())


def as_map(output: Map) -> Map:
    return output.reshape(output.shape[-2:]).astype(np.float32)
