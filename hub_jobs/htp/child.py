"""The child process: the only place where Qualcomm's library is loaded, and where it may crash.

`python -m lpcv.hub_jobs.htp.child FOLDER REPORTS PARENT` reads FOLDER/order.json, works in FOLDER and answers in JSON
lines on the file descriptor REPORTS. Where PARENT, a pipe's reading end, closes, its parent is gone: it removes FOLDER
and ends. Orders: "compile" and "estimate" (model.onnx -> files and one answer) and "run" (a compiled context;
then for each name on standard input NAME.in.npz -> NAME.out.npz, and an answer when that is written).
Source of the calls and options: onnxruntime-qnn 2.7.0 as tried; the option names are the execution provider's own.
"""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ...errors import first_line
from ...files import read_json, replacing
from ..children import end_with_the_parent

MODEL, CONTEXT, PROFILE = "model.onnx", "context.onnx", "profile.csv"
MOST_REFUSED = 4000  # characters: what refuses names the node, whose name may be long
DTYPES = {
    "float": "float32", "float16": "float16", "double": "float64", "bool": "bool", "int8": "int8", "int16": "int16",
    "int32": "int32", "int64": "int64", "uint8": "uint8", "uint16": "uint16", "uint32": "uint32",
}  # fmt: skip


def main(folder: Path, reports: int, parent: int) -> None:
    import json

    # Nobody else knows of the folder then: without this, what a killed command leaves would stay.
    end_with_the_parent(parent, lambda: shutil.rmtree(folder, ignore_errors=True))
    order = read_json(folder / "order.json")

    def report(answer: dict[str, Any]) -> None:
        os.write(reports, (json.dumps(answer) + "\n").encode())

    if order["kind"] == "run":
        _run(order, folder, report)
    else:
        report(_compile(order, folder))


def _compile(order: dict[str, Any], folder: Path) -> dict[str, Any]:
    """{"refused": None, "inputs", "outputs", ...}, or {"refused": what ONNX Runtime says}."""
    options = {"enable_framework_op_trace": "1", "framework_op_trace_dir": str(folder)}
    if order["kind"] == "estimate":
        options |= {"profiling_level": "detailed", "profiling_file_path": str(folder / PROFILE)}
        options |= {"enable_htp_prepare_only": "1"}
    else:
        options |= {"enable_htp_spill_fill_buffer": "1"}
    entries = {
        "ep.context_enable": "1", "ep.context_file_path": str(folder / CONTEXT), "ep.context_embed_mode": "0",
    }  # fmt: skip
    if order["weights_in"]:
        entries["session.model_external_initializers_file_folder_path"] = order["weights_in"]
    began = time.monotonic()
    try:
        # As bytes: from a file, the graph's name, and so the compiled binary, would depend on the file's path.
        session = _session((folder / MODEL).read_bytes(), {**order["options"], **options}, entries)
    except Exception as error:  # onnxruntime's exceptions share no base class but this one
        return {"refused": first_line(error, MOST_REFUSED), "peak_memory_mb": _peak_memory_mb()}
    return {
        "refused": None,
        "inputs": [_spec(one) for one in session.get_inputs()],
        "outputs": [_spec(one) for one in session.get_outputs()],
        "seconds": round(time.monotonic() - began, 3),
        "peak_memory_mb": _peak_memory_mb(),
    }


def _run(order: dict[str, Any], folder: Path, report: Callable[[dict[str, Any]], None]) -> None:
    import numpy as np

    session = _session(order["context"], order["options"], {})
    inputs = [one.name for one in session.get_inputs()]
    names = [one.name for one in session.get_outputs()]
    for line in sys.stdin:  # ends when the parent does
        name = line.strip()
        with np.load(folder / f"{name}.in.npz") as given:  # by position: a tensor may be called anything
            feed = {wanted: given[f"arr_{index}"] for index, wanted in enumerate(inputs)}
        began = time.monotonic()
        values = session.run(names, feed)
        seconds = time.monotonic() - began
        with replacing(folder / f"{name}.out.npz") as temporary, temporary.open("wb") as stream:
            np.savez(stream, *values)
        report({"name": name, "seconds": seconds})


def _session(model: bytes | str, options: dict[str, str], entries: dict[str, str]) -> Any:
    """A session on the NPU's compiler and emulator alone: what does not fit is refused, never computed elsewhere."""
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # before the import
    import onnxruntime
    import onnxruntime_qnn

    name = onnxruntime_qnn.get_ep_name()
    onnxruntime.register_execution_provider_library(name, onnxruntime_qnn.get_library_path())
    device = [one for one in onnxruntime.get_ep_devices() if one.ep_name == name][:1]
    session_options = onnxruntime.SessionOptions()
    session_options.add_provider_for_devices(device, {"backend_path": onnxruntime_qnn.get_qnn_htp_path(), **options})
    session_options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
    for key, value in entries.items():
        session_options.add_session_config_entry(key, value)
    # Without enable_fallback=0 an option that is not understood silently gives a session on the CPU.
    return onnxruntime.InferenceSession(model, session_options, enable_fallback=0)


def _spec(one: Any) -> list[Any]:
    kind = one.type.removeprefix("tensor(").removesuffix(")")
    return [one.name, list(one.shape), DTYPES.get(kind, kind)]


def _peak_memory_mb() -> float:
    import resource

    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6, 1)  # Linux counts in KiB


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
    sys.stdout.flush()
    os._exit(0)  # the library's own destructors sometimes end in "free(): double free"
