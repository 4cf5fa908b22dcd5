"""A quantize job: ONNX Runtime's quantizer, as `lpcv quantize --on local` has it, with the job's dataset."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ...onnx_session import onnxruntime_version
from .settings import SUFFIX, VERSION, plain
from .sources import load_source, zip_model
from .speaking import JobError, log
from .tensors import Batches, read_dataset


class Frames(Mapping[str, Any]):
    """The batches of a dataset for a model's one input, each by its number; one is read at a time."""

    def __init__(self, batches: Batches, name: str) -> None:
        self._batches, self._name = batches, name

    def __getitem__(self, key: str) -> Any:
        return self._batches.read(int(key))[self._name]

    def __iter__(self) -> Iterator[str]:
        return (f"{index:06d}" for index in range(len(self)))

    def __len__(self) -> int:
        return self._batches.count


def quantize_model(order: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Leaves `model.onnx` and `model.zip` in `folder`; gives inputs and outputs.

    Raises JobError where model or data do not fit, InputError where the quantizer cannot take the graph.
    """
    import onnx

    from ..quantize.quantizer import quantize
    from .graphs import specs_of

    if order["options"].strip():
        raise JobError(f"The stand-in knows no options of quantize jobs: {order['options'].strip()[:80]}")
    model, path = load_source(order, folder)
    inputs, outputs = specs_of(model.graph)
    batches = read_dataset(Path(order["dataset"]), inputs)
    if len(inputs) != 1:
        raise JobError(f"The stand-in quantizes models of one input; this one has {len(inputs)}.")
    log(f"{order['precision']}: ONNX Runtime {onnxruntime_version()} quantizes; the real service has its own quantizer")
    place = folder / "model.onnx"
    frames = Frames(batches, inputs[0][0])
    made = quantize(path, frames, order["precision"], place, samples=batches.count)
    log(f"calibrated with {len(made.calibration.names)} batches, sha256 {made.calibration.sha256}")
    log(f"difference from float: mean {made.mean_difference:.3g}, largest {made.largest_difference:.3g}")
    held = onnx.load(str(place))
    onnx.helper.set_model_props(
        held,
        {entry.key: entry.value for entry in held.metadata_props}
        | {"lpcv_stand_in": f"{VERSION}: quantized by ONNX Runtime {onnxruntime_version()}"},
    )
    onnx.save(held, str(place))
    zip_model(place, folder / "model.zip", plain(order["name"], "model") + SUFFIX)
    return {"inputs": inputs, "outputs": outputs}
