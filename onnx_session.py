"""ONNX Runtime behind one door: telemetry off before the import, errors as sentences."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from .errors import InputError

if TYPE_CHECKING:
    import onnxruntime


def open_session(model: Path | bytes, threads: int | None = None) -> onnxruntime.InferenceSession:
    """An ONNX Runtime session on the CPU. Raises InputError where the model cannot be loaded.

    threads: how many one operator may use; None leaves the choice to ONNX Runtime (one per physical core).
    """
    # ONNX Runtime 1.31 sends telemetry from Linux unless this is set before its first import.
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    import onnxruntime

    if isinstance(model, Path) and not model.is_file():
        raise InputError(f"{model} does not exist.", "`lpcv export RUN` writes RUN/model.onnx.")
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors only: warnings about unused initializers frighten without cause
    if threads is not None:
        options.intra_op_num_threads = threads
    try:
        return onnxruntime.InferenceSession(
            model if isinstance(model, bytes) else str(model), options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:  # onnxruntime's exceptions share no base class but this one
        name = model if isinstance(model, Path) else "the model"
        first_line = str(error).strip().splitlines()[0]
        raise InputError(f"ONNX Runtime cannot load {name} ({first_line}).", "Export the model again.") from error


def onnxruntime_version() -> str:
    from importlib.metadata import version

    return version("onnxruntime")


def session_metadata(session: onnxruntime.InferenceSession) -> dict[str, str]:
    """The key-value pairs that the exporter wrote into the model."""
    return dict(session.get_modelmeta().custom_metadata_map)
