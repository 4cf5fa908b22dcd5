"""TorchScript and exported programs: answered by torch, and converted to ONNX for the findings on the graph."""

from __future__ import annotations

import logging
import shutil
import tempfile
import warnings
import weakref
from abc import abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import ModelProto

from ...contract import CURRENT as CONTRACT
from ...errors import InputError, first_line
from .border import VALID, Border, border_findings, file_findings, undecided
from .findings import Finding
from .interface import interface_findings
from .model import Map, Runner
from .program_archive import harmless
from .script_archive import EXPORT, tensors_only

OPSET = 17
"""As the stand-in service converts TorchScript; a program is converted at torch's own choice."""
NAMED_BY_HUB = "AI Hub takes the inputs' names from --input_specs and calls the outputs output_0, output_1"
NOT_RUN = "it does not run on the contract's input, see runs"


class TorchRunner(Runner):
    """A model that torch runs. It is converted when the findings first ask for the graph, in a folder of its own."""

    def __init__(self, path: Path) -> None:
        import torch

        self._torch = torch
        self.note = (
            f"{path.name} runs here in torch {torch.__version__}, which also converts it to ONNX for the findings on "
            f"the graph; AI Hub has a converter of its own. {NAMED_BY_HUB}."
        )

    @property
    def graph(self) -> ModelProto | None:
        return self._converted[0]

    @property
    def onnx_path(self) -> Path | None:
        return self._converted[1]

    @property
    def no_graph(self) -> tuple[str, str]:
        return (self._converted[2], EXPORT) if self._converted[2] else ("", "")

    def metadata(self) -> dict[str, str]:
        return {}  # neither format has a place that every exporter writes to

    def interface(self) -> list[Finding]:
        valid = None
        if self.graph is not None:
            valid = next(one for one in interface_findings(self.graph, self.onnx_path) if one.name == VALID)
            valid = replace(valid, found=f"converted: {valid.found}")
        return [*file_findings(valid, *self.no_graph), *map(_named_by_hub, self._border())]

    def answer(self, tensor: npt.NDArray[np.float32]) -> Map:
        try:
            with self._torch.inference_mode():
                outputs = _tensors(self._call(self._torch.from_numpy(np.array(tensor))))
        except RuntimeError as error:
            raise ValueError(_said(error)) from None
        if not outputs:
            raise ValueError("the model gives no tensor")
        return outputs[0].numpy()

    @abstractmethod
    def _call(self, *inputs: Any) -> Any: ...

    @abstractmethod
    def _border(self) -> list[Finding]:
        """ "one input" to "output shape"."""

    @abstractmethod
    def _export(self, place: Path) -> None:
        """Write the model as ONNX. Raises whatever torch raises."""

    @cached_property
    def _converted(self) -> tuple[ModelProto | None, Path | None, str]:
        """The graph and its file, or the sentence that says why there are none."""
        folder = tempfile.mkdtemp(prefix="lpcv-check-")
        self._release = weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        place = Path(folder) / "converted.onnx"
        try:
            with _quiet():
                self._export(place)
            return onnx.load(place), place, ""
        except Exception as error:  # torch's converters let through whatever their parts raise
            self.close()
            reason = f"{type(error).__name__}: {first_line(error)}"
            return None, None, f"torch {self._torch.__version__} cannot convert it to ONNX ({reason})"

    def _names(self, count: int) -> dict[str, Any]:
        return {"output_names": [f"output_{index}" for index in range(count)]}


class ScriptRunner(TorchRunner):
    """What `torch.jit.save` wrote: TorchScript. It names neither types nor shapes: they are seen by running it."""

    def __init__(self, path: Path) -> None:
        """Raises InputError where torch cannot load it, or it would reach other files."""
        super().__init__(path)
        try:
            content = tensors_only(path)
            with _quiet():  # TorchScript is deprecated in torch, and what AI Hub takes
                self._module = self._torch.jit.load(content, map_location="cpu")
            arguments = self._module.forward.schema.arguments[1:]  # the first is the module itself
        except InputError:
            raise
        except Exception as error:
            raise InputError(
                f"torch cannot load {path} as TorchScript ({_said(error)}).", "Save it again with torch.jit.save."
            ) from None
        self._inputs = [one.name for one in arguments if not one.has_default_value()]
        self._stops, self._outputs = "", []
        try:
            with self._torch.inference_mode():
                self._outputs = _tensors(self._module(self._torch.zeros(CONTRACT.input_shape)))
        except Exception as error:
            self._stops = _said(error)

    def _call(self, *inputs: Any) -> Any:
        return self._module(*inputs)

    def _border(self) -> list[Finding]:
        inputs = [Border(name, CONTRACT.tensor_dtype, CONTRACT.input_shape) for name in self._inputs]
        findings = border_findings(inputs, [_border_of(one, f"output_{at}") for at, one in enumerate(self._outputs)])
        if not self._stops:
            return findings
        seen = ("one input", "input name", "output name")
        return [one if one.name in seen else undecided(one, NOT_RUN, EXPORT) for one in findings]

    @property
    def no_graph(self) -> tuple[str, str]:
        return (NOT_RUN, EXPORT) if self._stops else super().no_graph

    @cached_property
    def _converted(self) -> tuple[ModelProto | None, Path | None, str]:
        return (None, None, NOT_RUN) if self._stops else super()._converted

    def _export(self, place: Path) -> None:
        example = (self._torch.zeros(CONTRACT.input_shape),)
        names = {"input_names": [CONTRACT.input_name], **self._names(len(self._outputs))}
        with self._torch.no_grad():
            self._torch.onnx.export(self._module, example, str(place), dynamo=False, opset_version=OPSET, **names)


class ProgramRunner(TorchRunner):
    """What `torch.export.save` wrote, read without what could run a stranger's code: see program_archive.py."""

    def __init__(self, path: Path) -> None:
        """Raises InputError where torch cannot load it, or it cannot be read safely."""
        super().__init__(path)
        content = harmless(path)
        try:
            with _quiet():
                self._program = self._torch.export.load(content)
                self._module = self._program.module()
        except Exception as error:
            raise InputError(
                f"torch cannot load {path} as an exported program ({first_line(error)}).",
                f"Save it again with torch.export.save of torch {self._torch.__version__}.",
            ) from None

    def _call(self, *inputs: Any) -> Any:
        return self._module(*inputs)

    def _border(self) -> list[Finding]:
        signature = self._program.graph_signature
        values = {node.name: node.meta.get("val") for node in self._program.graph.nodes}
        inputs = [_border_of(values.get(str(name)), str(name)) for name in signature.user_inputs]
        outputs = [values.get(str(name)) for name in signature.user_outputs]
        tensors = [one for one in outputs if isinstance(one, self._torch.Tensor)]
        return border_findings(inputs, [_border_of(one, f"output_{at}") for at, one in enumerate(tensors)])

    def _export(self, place: Path) -> None:
        names = self._names(len(self._program.graph_signature.user_outputs))
        self._torch.onnx.export(
            self._program, (), str(place), dynamo=True, external_data=False, verbose=False,
            input_names=[CONTRACT.input_name], **names,
        )  # fmt: skip


def _said(error: Exception) -> str:
    """What went wrong: TorchScript's interpreter says so after a traceback of its own, behind `RuntimeError: `."""
    lines = [line for line in str(error).splitlines() if line.startswith("RuntimeError: ")]
    return lines[-1].partition(": ")[2] if lines else first_line(error)


@contextmanager
def _quiet() -> Iterator[None]:
    """Without torch's own warnings about somebody else's code; its failures are exceptions, and told."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        level = logging.root.manager.disable
        logging.disable(logging.WARNING)
        try:
            yield
        finally:
            logging.disable(level)


def _named_by_hub(finding: Finding) -> Finding:
    """Names are not the file's to give; the rest of the border is."""
    if finding.name not in ("input name", "output name"):
        return finding
    return replace(finding, state="pass", found=NAMED_BY_HUB, remedy="Give --input_specs when it is compiled.")


def _border_of(value: Any, name: str) -> Border:
    """Of a tensor, fake or real; a size that is not fixed has a name."""
    if not hasattr(value, "shape"):
        return Border(name, type(value).__name__, None)
    shape = tuple(extent if isinstance(extent, int) else str(extent) for extent in value.shape)
    return Border(name, str(value.dtype).removeprefix("torch."), shape)


def _tensors(outputs: Any) -> list[Any]:
    """All tensors of an output, in the order in which a converter writes them."""
    if isinstance(outputs, list | tuple):
        return [one for each in outputs for one in _tensors(each)]
    if isinstance(outputs, dict):
        return [one for each in outputs.values() for one in _tensors(each)]
    return [outputs] if hasattr(outputs, "dtype") else []
