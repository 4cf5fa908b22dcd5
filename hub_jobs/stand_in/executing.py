"""An inference job, with or without profiling: ONNX Runtime on this CPU, or the NPU's emulator where asked for."""

from __future__ import annotations

import json
import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...console import count
from ...files import write_json
from ...onnx_session import onnxruntime_version, open_session, warm_up
from . import npu
from .emulating import emulate
from .memory import MemoryMeter
from .options import OptionsError, engine_of, run_options
from .settings import VERSION
from .speaking import JobError, log
from .tensors import Batches, random_inputs, read_dataset, write_dataset

if TYPE_CHECKING:
    import onnxruntime

LAYER_RUNS = 5  # with ONNX Runtime's own profiler on, which slows it: apart from the measured ones
ORT_TYPES = {
    "tensor(float)": "float32", "tensor(float16)": "float16", "tensor(bool)": "bool", "tensor(int8)": "int8",
    "tensor(int16)": "int16", "tensor(int32)": "int32", "tensor(int64)": "int64", "tensor(uint8)": "uint8",
    "tensor(uint16)": "uint16",
}  # fmt: skip


def run_model(order: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Leaves `outputs.h5` where a dataset was given and `trace.json` where profiling was on; gives the profile.

    With profiling also the report of what is estimated for the device.

    Raises JobError where the data do not fit the model, InputError where ONNX Runtime cannot load it.
    """
    try:
        options = run_options(order["options"])
    except OptionsError as error:
        raise JobError(str(error)) from None
    for option in options.not_imitated:
        log(f"{option}: accepted, not imitated")
    engine = engine_of(order["options"], profiling=order["profiling"], with_data=bool(order["dataset"]))
    if engine:
        inputs = emulate(order, folder)
        if not order["profiling"]:
            return {"inputs": inputs, "profile": None, "engine": engine}
    elif order["dataset"]:
        log("this CPU computes; with --compute_unit npu the NPU's emulator does, at seconds a frame")
    if "npu" in options.units and order["profiling"]:
        log("--compute_unit npu: times are this CPU's all the same; those of the emulator say nothing of a device")
    model = Path(order["model"])
    warm_up()  # else the first load would be that of the library
    meter = MemoryMeter()
    session, cold = _timed(lambda: open_session(model))
    cold_memory = meter.stage()
    inputs = _specs(session)
    batches = read_dataset(Path(order["dataset"]), inputs) if order["dataset"] else None
    warm_session, warm = _timed(lambda: open_session(model))
    del warm_session
    warm_memory = meter.stage()
    times: list[int] = []
    if batches is not None and not engine:
        times = _run_all(session, batches, folder / "outputs.h5")
    if order["profiling"]:
        given = next(iter(batches)) if batches is not None else random_inputs(inputs)
        if batches is None:
            log("no dataset: random inputs")
        times = _measure(session, given, options.iterations, order["profile_seconds"])
    execution_memory = meter.stage()
    layers = []
    if order["profiling"]:
        layers = _layers(model, given, folder / "trace.json")
        report = npu.estimated(order)
        log(report["sentence"])
        write_json(folder / npu.REPORT, report)
    log(f"median {statistics.median(times) / 1000:.3f} ms of {len(times)} runs ON THIS CPU")
    profile = {
        "execution_time": round(statistics.median(times)),
        "all_execution_times": times,
        "cold_load_time": cold,
        "warm_load_time": warm,
        "cold_load_memory": cold_memory,
        "warm_load_memory": warm_memory,
        "execution_memory": execution_memory,
        "layers": layers,
        "tools": {"stand-in": VERSION, "onnxruntime": onnxruntime_version()},
    }
    return {"inputs": inputs, "profile": profile, "engine": engine}


def _timed(work: Callable[[], Any]) -> tuple[Any, int]:
    """What it gives, and how many microseconds it took."""
    began = time.perf_counter_ns()
    made = work()
    return made, max(1, round((time.perf_counter_ns() - began) / 1000))


def _specs(session: onnxruntime.InferenceSession) -> list[Any]:
    """[[name, shape, dtype], ...] of the inputs. Raises JobError for a dynamic shape."""
    specs = []
    for one in session.get_inputs():
        if one.type not in ORT_TYPES or not all(isinstance(extent, int) for extent in one.shape):
            raise JobError(f"Input '{one.name}' is {one.type} {one.shape}; compile the model to fixed shapes first.")
        specs.append([one.name, list(one.shape), ORT_TYPES[one.type]])
    return specs


def _run_all(session: onnxruntime.InferenceSession, batches: Batches, place: Path) -> list[int]:
    """Every batch once, its outputs into the h5 file; gives the microseconds of each."""
    times = []
    names = [one.name for one in session.get_outputs()]

    def outputs() -> Any:
        for batch in batches:
            values, took = _timed(lambda batch=batch: session.run(names, batch))
            times.append(took)
            yield dict(zip(names, values, strict=True))

    write_dataset(place, names, outputs())
    log(f"{count(len(times), 'batch', 'es')} computed")
    return times


def _measure(
    session: onnxruntime.InferenceSession, given: Mapping[str, Any], iterations: int, most_seconds: float
) -> list[int]:
    """Microseconds of each run; fewer than asked for where time is up. One run before them is not counted."""
    session.run(None, dict(given))
    times = []
    end = time.monotonic() + most_seconds
    while len(times) < iterations and (not times or time.monotonic() < end):
        times.append(_timed(lambda: session.run(None, dict(given)))[1])
    if len(times) < iterations:
        log(f"{iterations} iterations asked for, {len(times)} done: it measures for {most_seconds:g} s at most")
    return times


def _layers(model: Path, given: Mapping[str, Any], trace: Path) -> list[dict[str, Any]]:
    """Median microseconds of each node, from ONNX Runtime's own profiler, in the order in which they ran."""
    session = open_session(model, profile_to=trace.with_suffix(""))
    for _ in range(LAYER_RUNS + 1):
        session.run(None, dict(given))
    written = Path(session.end_profiling())
    events = json.loads(written.read_text(encoding="utf-8"))
    written.replace(trace)
    times: defaultdict[tuple[str, str], list[int]] = defaultdict(list)
    for event in events:
        if event.get("cat") == "Node" and event["name"].endswith("_kernel_time"):
            times[event["name"].removesuffix("_kernel_time"), event["args"].get("op_name", "")].append(event["dur"])
    return [
        {"name": name, "type": kind, "execution_time": round(statistics.median(runs[1:] or runs))}
        for (name, kind), runs in times.items()
    ]
