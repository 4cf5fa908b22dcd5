"""From what was typed to a model that can be run, by what the file is."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path

from ...errors import InputError
from ...onnx_session import open_session, session_metadata
from ...runs import Run, is_run
from .model import FROM_ONNX, ON_A_DEVICE, OnnxRunner, Runner

HEAD_BYTES = 16
TFLITE = (4, b"TFL3")  # a flatbuffer's identifier; source: TensorFlow Lite's schema.fbs, `file_identifier`
ZIP, PICKLE, CONTAINER = b"PK", b"\x80", b"{"
ONNX = b"\x08"  # protobuf's mark of the first field, the IR version, which every exporter writes first
TO_ONNX = "Export the model with `lpcv export RUN`, and check the .onnx file."
KINDS = "Give a run, an .onnx or .tflite file, a TorchScript file or an exported program."


def open_runner(path: Path) -> Runner:
    """Raises InputError where the file is missing, of no known kind, or cannot be loaded."""
    if path.is_dir():
        raise _no_run(path)
    if not path.is_file():
        raise InputError(f"{path} does not exist.", "`lpcv export RUN` writes RUN/model.onnx.")
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
    if not head:
        raise InputError(f"{path} is empty.", "Copy, download or export it again.")
    return _kind(path, head)(path)


def model_file(model: Path) -> Path:
    """The file itself, or a run's fresh export.

    Raises InputError for a folder that is no run, MissingStepError where the export is missing or stale.
    """
    if model.is_dir() and not is_run(model):
        raise _no_run(model)
    if not is_run(model):
        return model
    run = Run(model)
    path = run.exported()
    run.demand_fresh(session_metadata(open_session(path)))
    return path


def _kind(path: Path, head: bytes) -> Callable[[Path], Runner]:
    """By content: people rename files, and AI Hub's downloads have suffixes of their own."""
    at, word = TFLITE
    if head[at : at + len(word)] == word:
        from .tflite import TfliteRunner

        return TfliteRunner
    if head.startswith(ZIP):
        return _archived(path)
    if head[8:9] == CONTAINER and int.from_bytes(head[:8], "little") < path.stat().st_size:
        raise InputError(f"{path} holds weights (safetensors) and no network.", TO_ONNX)
    if head.startswith(PICKLE):
        raise InputError(f"{path} is a pickle, which is not opened: it could run a stranger's code.", TO_ONNX)
    if path.suffix in (".dlc", ".bin") and not head.startswith(ONNX):
        raise _only_a_device(path)
    return OnnxRunner


def _archived(path: Path) -> Callable[[Path], Runner]:
    """TorchScript, an exported program, or one of the zip files that are no model to run."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise InputError(f"{path} is a damaged archive ({error}).", "Copy or download it again.") from None
    inside = {name.partition("/")[2] for name in names}
    if "constants.pkl" in inside and any(name.startswith("code/") for name in inside):
        from .torch_models import ScriptRunner

        return ScriptRunner
    if "archive_format" in inside or "models/model.json" in inside or "serialized_exported_program.json" in names:
        from .torch_models import ProgramRunner

        return ProgramRunner
    if "data.pkl" in inside:
        raise InputError(f"{path} is a checkpoint of torch: weights without a network, in a pickle.", TO_ONNX)
    if "MANIFEST.json" in names:
        raise InputError(f"{path} is a bundle, and no model.", f"`lpcv verify {path}` checks it.")
    if path.suffix == ".dlc" or "model.params" in names:
        raise _only_a_device(path)
    if any(name.endswith(".onnx") for name in names):
        raise InputError(f"{path} is an archive with an .onnx file in it.", "Unpack it, and check that file.")
    raise InputError(f"{path} is an archive, and no model that is known here.", KINDS)


def _only_a_device(path: Path) -> InputError:
    return InputError(f"{path} {ON_A_DEVICE}", FROM_ONNX)


def _no_run(path: Path) -> InputError:
    return InputError(f"{path} is a folder, but no run.", KINDS)
