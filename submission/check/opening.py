"""From what was typed to a model that can be run, by what the file is."""

from __future__ import annotations

from pathlib import Path

from ...errors import InputError
from ...onnx_session import open_session, session_metadata
from ...runs import Run, is_run
from .model import OnnxRunner, Runner


def open_runner(path: Path) -> Runner:
    """Raises InputError where the file is missing, of no known kind, or cannot be loaded."""
    return OnnxRunner(path)


def model_file(model: Path) -> Path:
    """The file itself, or a run's fresh export.

    Raises InputError for a folder that is no run, MissingStepError where the export is missing or stale.
    """
    if model.is_dir() and not is_run(model):
        raise InputError(f"{model} is a folder, but no run.", "Give an .onnx file, or a run of `lpcv train`.")
    if not is_run(model):
        return model
    run = Run(model)
    path = run.exported()
    run.demand_fresh(session_metadata(open_session(path)))
    return path
