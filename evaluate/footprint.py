"""What a model costs here: stored numbers, bytes, and its time on THIS machine's CPU.

A CPU's time says which of two models is lighter on it and nothing of a phone: the device's own measurement is another
number, in another table.
"""

from __future__ import annotations

import platform
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InputError, first_line
from ..machine import usable_cores
from ..onnx_session import model_files, onnxruntime_version, open_session
from .predictions import OnnxModel

WARM_UP = 3
RUNS = 100
SECONDS = 10.0  # a slow model gets fewer runs, but at least LEAST_RUNS
LEAST_RUNS = 5


@dataclass(frozen=True)
class Latency:
    """Time of one frame, batch 1, in milliseconds: median, 10th and 90th percentile of `runs` runs, measured.

    threads: how many one operator was given
    """

    median_ms: float
    p10_ms: float
    p90_ms: float
    runs: int
    threads: int

    @property
    def frames_per_second(self) -> float:
        return 1000 / self.median_ms

    def as_json(self) -> dict[str, float]:
        return {**asdict(self), "frames_per_second": self.frames_per_second}


@dataclass(frozen=True)
class Footprint:
    """Of one .onnx model: how many numbers it stores, its bytes on disk, its latency on one core and on all.

    one_core, all_cores: None where no time was asked for
    """

    parameters: int
    file_bytes: int
    one_core: Latency | None
    all_cores: Latency | None


def footprint(model: OnnxModel, runs: int = RUNS) -> Footprint:
    """Count, weigh and time a model that has been opened; 0 runs leave the time out."""
    times = (latency(model, 1, runs), latency(model, usable_cores(), runs)) if runs else (None, None)
    return Footprint(*stored(model.path), *times)


def stored(path: Path) -> tuple[int, int]:
    """(numbers, bytes) of an .onnx file and of the files beside it that hold its weights.

    Numbers: the elements of every initializer and every Constant node, whatever their type. That is all weights and
    biases, and also what a training framework calls buffers (statistics of a BatchNorm that was not folded, mean and
    std of the normalisation, shapes), so it differs a little from the framework's own count.
    Raises InputError where it is not an ONNX file, or a file of weights is missing.
    """
    import onnx

    files = model_files(path)
    tensors = _tensors(onnx.load(str(path), load_external_data=False).graph)
    return sum(prod(tensor.dims) for tensor in tensors), sum(file.stat().st_size for file in files)


def _tensors(graph: Any) -> Iterator[Any]:
    """Every constant tensor of a graph and of the graphs within it (the branches of an If, the body of a Loop)."""
    yield from graph.initializer
    for node in graph.node:
        for attribute in node.attribute:
            if node.op_type == "Constant" and attribute.HasField("t"):
                yield attribute.t
            if attribute.HasField("g"):
                yield from _tensors(attribute.g)


def latency(model: OnnxModel, threads: int, runs: int = RUNS) -> Latency:
    """Time of one frame on the CPU with ONNX Runtime, which may rewrite the graph: warmed up, batch 1, a noise picture.

    Raises InputError where the model does not run.
    """
    session = open_session(model.path, threads, optimised=True)
    width, height = model.size
    image = np.random.default_rng(0).integers(0, 256, (1, 3, height, width)).astype(np.float32)
    times_ms: list[float] = []
    began = time.perf_counter()
    while len(times_ms) < WARM_UP + runs:
        if len(times_ms) >= WARM_UP + LEAST_RUNS and time.perf_counter() - began > SECONDS:
            break
        start = time.perf_counter()
        try:
            session.run(None, {model.input_name: image})
        except Exception as error:  # onnxruntime's exceptions share no base class but this one
            reason = first_line(error)
            raise InputError(f"ONNX Runtime cannot run {model.path} ({reason}).", "Run `lpcv check` on it.") from error
        times_ms.append(1000 * (time.perf_counter() - start))
    p10, median, p90 = np.percentile(times_ms[WARM_UP:], (10, 50, 90)).tolist()
    return Latency(median, p10, p90, len(times_ms) - WARM_UP, threads)


def environment() -> dict[str, Any]:
    """The machine and the versions that a measured time belongs to."""
    return {
        "cpu": _cpu(),
        "cores": usable_cores(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "numpy": np.__version__,
        "onnxruntime": onnxruntime_version(),
    }


def _cpu() -> str:
    """The processor's name as the system gives it."""
    listed = Path("/proc/cpuinfo")
    lines = listed.read_text().splitlines() if listed.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
