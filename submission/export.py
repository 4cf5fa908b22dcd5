"""From a run's best checkpoint to `model.onnx`: one file, static shapes, proved equal to torch.

The exporter is torch's dynamo-based one. On this student it gives 146 nodes where the older one, through TorchScript,
gives 214: 43 Identity and 23 Constant nodes more (`benchmarks/export.py` lists both).
"""

from __future__ import annotations

import platform
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import torch
from torch import nn

from .. import __version__
from ..console import note
from ..contract import CURRENT as CONTRACT
from ..data.folder import open_folder, select, spread
from ..data.images import read_rgb
from ..data.model_input import contract_input
from ..errors import InputError
from ..files import sha256_file, write_bytes
from ..onnx_session import onnxruntime_version, open_session
from ..runs import CHECKPOINT_KEY, Run
from ..train.networks import load_network
from ..train.provenance import read_inputs, read_recipe
from .npu.form import keep_activations_apart
from .wrapper import WrappedModel

OPSET = 18  # the least that torch's exporter writes; AI Hub and its runtimes take it
MOST_DIFFERENCE = 1e-4  # of an output in [0, 1]: float32 with another order of sums, far below a uint8 step
PARITY_FRAMES = 4


@dataclass(frozen=True)
class Parity:
    """How far ONNX Runtime and torch differ, of an output in [0, 1]."""

    real_frames: int
    random_frames: int
    largest: float


def export_run(run: Run) -> Parity:
    """Write RUN/model.onnx from the best checkpoint.

    Raises MissingStepError where there is none, InputError where ONNX Runtime disagrees with torch.
    """
    recipe = read_recipe(run)
    checkpoint = run.checkpoint
    network = load_network(recipe.network.name, run.best)
    model = WrappedModel(network, recipe.network.working_size).eval()
    metadata = {
        CHECKPOINT_KEY: sha256_file(checkpoint),
        **versions(),
        "edition": CONTRACT.name,
        "output_kind": CONTRACT.output_kind,
        "max_depth_m": str(recipe.network.max_depth_m),
    }
    exported = to_onnx(model, metadata)
    parity = compare(model, exported, _real_images(run))
    demand_parity(parity, "The exported graph")
    write_bytes(run.model, exported)
    return parity


def versions() -> dict[str, str]:
    """Of what an export comes from, for the file's metadata."""
    return {
        "lpcv_version": __version__,
        "python_version": platform.python_version(),
        "torch_version": str(torch.__version__),
        "onnx_version": onnx.__version__,
        "onnxruntime_version": onnxruntime_version(),
    }


def demand_parity(parity: Parity, what: str, most: float = MOST_DIFFERENCE) -> None:
    """Raises InputError, whose subject is `what`, where ONNX Runtime and torch differ by more (or by NaN)."""
    if not parity.largest <= most:
        raise InputError(
            f"{what} differs from torch by {parity.largest:.2g}, more than {most:.0g}.",
            "Nothing was written; report this with the versions of torch and onnxruntime.",
        )


def to_onnx(model: nn.Module, metadata: dict[str, str]) -> bytes:
    """The ONNX file, with the contract's names and shapes; metadata goes into it, paths of this machine do not.

    Its activations are kept from the NPU compiler's inexact fusion (`npu.form`), without another value in float32.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # torch's own, about its internals
        warnings.simplefilter("ignore", DeprecationWarning)
        program = torch.onnx.export(
            model, (torch.zeros(CONTRACT.input_shape),), input_names=[CONTRACT.input_name],
            output_names=[CONTRACT.output_name], opset_version=OPSET, dynamo=True, verbose=False,
        )  # fmt: skip
    assert program is not None  # the dynamo exporter always gives one
    graph = program.model_proto
    # The exporter writes stack traces, with this machine's paths, into every node.
    for holder in (*graph.graph.node, *graph.graph.initializer, *graph.graph.value_info, *graph.functions):
        holder.ClearField("metadata_props")
        holder.ClearField("doc_string")
    for value in (*graph.graph.input, *graph.graph.output):
        value.ClearField("metadata_props")
    graph.graph.ClearField("metadata_props")
    graph.graph.ClearField("doc_string")
    del graph.metadata_props[:]
    keep_activations_apart(graph)
    onnx.helper.set_model_props(graph, metadata)
    onnx.checker.check_model(graph, full_check=True)
    return graph.SerializeToString(deterministic=True)


def compare(model: nn.Module, exported: bytes, real: list[np.ndarray]) -> Parity:
    """Largest absolute difference over real frames ((1, 3, H, W) float32) and two random ones."""
    session = open_session(exported)
    chance = np.random.default_rng(0)
    random = [chance.uniform(*CONTRACT.input_range, CONTRACT.input_shape).astype(np.float32) for _ in range(2)]
    largest = 0.0
    for image in (*real, *random):
        (found,) = session.run(None, {CONTRACT.input_name: image})
        with torch.inference_mode():
            wanted = model(torch.from_numpy(image)).numpy()
        largest = float(np.maximum(largest, np.abs(found - wanted).max()))  # np.maximum keeps a NaN, max() may not
    return Parity(len(real), len(random), largest)


def _real_images(run: Run) -> list[np.ndarray]:
    inputs = read_inputs(run)
    try:
        frames = select(open_folder(Path(inputs.data)), inputs.frames)
    except InputError:
        note(f"{inputs.data} is not here any more: parity with torch is checked on random frames only.")
        return []
    names = spread(frames.names, PARITY_FRAMES)
    return [contract_input(read_rgb(frames.images[name])) for name in names]
