"""`lpcv quantize --on hub`: AI Hub's quantize job, through the ledger, and its model as one file of our own naming."""

from __future__ import annotations

import shutil
import tempfile
import zipfile
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import onnx

from ...console import table
from ...contract import CURRENT as CONTRACT
from ...data.folder import FrameFolder
from ...errors import InputError
from ...files import replacing, sha256_file, write_bytes
from ...onnx_session import external_files, open_session, point_external
from ..collect import computed_by
from ..frames import dataset_of
from ..models import model_of, title_of
from ..order import Order
from .calibration import choose, shape_text
from .prepare import LARGEST_BYTES, demand_float, demand_interface, shape_of

if TYPE_CHECKING:
    from ..history import Record

AGAIN = "Remove it and type the command again: it is fetched anew."


def order_of(target: Path, frames: FrameFolder, precision: str, *, samples: int, seed: int, out: Path) -> Order:
    """A quantize job for a run or float .onnx, calibrated with the frames that `--on local` would take.

    out: where the model will be written, for the next command
    Raises InputError where there is no frame, the model is not there, or it is none that can be quantized so.
    """
    model = model_of(target)
    _demand_takes_frames(model.files[0])
    names = choose(list(frames.names), samples, seed)
    if not names:
        raise InputError("There is no frame to calibrate with.", "Give --data a folder with images.")
    dataset = dataset_of(frames.subset(names))
    kept = {"calibration_frames": list(names), "calibration_seed": seed, "out": str(out)}
    title = f"{title_of(target)} {precision}"
    return Order("quantize", title, model, "", "", dataset=dataset, precision=precision, kept=kept)


def _demand_takes_frames(path: Path) -> None:
    """Raises InputError for a model that a job would fail on, before model and frames are sent and a job is spent."""
    graph = onnx.load(str(path), load_external_data=False)
    demand_float(graph, path)
    fed = demand_interface(graph, path)
    if (fed.name, shape_of(fed)) != (CONTRACT.input_name, CONTRACT.input_shape):
        raise InputError(
            f"{path} takes {fed.name} of {shape_text(shape_of(fed))}, but what is sent to AI Hub is "
            f"{CONTRACT.input_name} of {shape_text(CONTRACT.input_shape)}.",
            "Quantize it --on local, which feeds pictures of any size, or export it with the contract's input.",
        )
    open_session(path, optimised=False)


def unpack(fetched: Path, out: Path) -> list[Path]:
    """Write the job's model as `out`, in one file; above what one file can hold, its weights beside it.

    AI Hub hands ONNX out as a zipped folder with MODEL.onnx and at most one MODEL.data, or as the file itself. The
    weights' own name is not kept: all archives have the same, and the float model beside `out` may, too.
    Returns what was written, the graph first. Raises InputError where there is no such model in it.
    """
    if not zipfile.is_zipfile(fetched):
        write_bytes(out, fetched.read_bytes())
        return [out]
    with tempfile.TemporaryDirectory(prefix=".unpacked-", dir=fetched.parent) as folder:
        graph, weights = _extracted(fetched, Path(folder))
        if weights is None:
            write_bytes(out, graph.read_bytes())
            return [out]
        if graph.stat().st_size + weights.stat().st_size <= LARGEST_BYTES:
            write_bytes(out, _read(graph, fetched, weights=True).SerializeToString(deterministic=True))
            return [out]
        # Known by their content: nothing else is overwritten, and a graph never stands beside another's weights.
        beside = out.with_name(f"{out.stem}.{sha256_file(weights)[:12]}.data")
        model = _read(graph, fetched, weights=False)
        point_external(model, beside.name)
        with replacing(beside) as temporary:
            shutil.copyfile(weights, temporary)
        write_bytes(out, model.SerializeToString(deterministic=True))
        return [out, beside]


def _extracted(fetched: Path, folder: Path) -> tuple[Path, Path | None]:
    """The graph, and the file with its weights, if it keeps some in one. Raises InputError."""
    try:
        with zipfile.ZipFile(fetched) as archive:
            entries = {Path(entry.filename).name: entry for entry in archive.infolist() if not entry.is_dir()}
            graphs = [name for name in entries if name.endswith(".onnx")]
            beside = [name for name in entries if name.endswith(".data")]
            if len(graphs) != 1 or len(beside) > 1:
                raise InputError(f"{fetched} holds {', '.join(entries) or 'nothing'}, not one .onnx file.", AGAIN)
            for name in (*graphs, *beside):
                with archive.open(entries[name]) as packed, (folder / name).open("wb") as stream:
                    shutil.copyfileobj(packed, stream)
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise InputError(f"{fetched} is damaged ({error}).", AGAIN) from error
    named = external_files(_read(folder / graphs[0], fetched, weights=False))
    if missing := [name for name in named if name not in beside]:
        raise InputError(f"{fetched} holds no {missing[0]}, in which the model keeps weights.", AGAIN)
    return folder / graphs[0], folder / named[0] if named else None


def _read(graph: Path, fetched: Path, *, weights: bool) -> onnx.ModelProto:
    try:
        return onnx.load(str(graph), load_external_data=weights)
    except Exception as error:  # protobuf's own, or weights that end too early
        raise InputError(f"{fetched} holds no readable ONNX model ({error}).", AGAIN) from error


def conclude(record: Record, fetched: Path, out: Path) -> tuple[dict[str, Any], int]:
    """Unpack a fetched model and say what it is; facts for a machine, and the exit code."""
    files = unpack(fetched, out)
    told = record.intended
    frames, seed = told["calibration_frames"], told["calibration_seed"]
    size = sum(file.stat().st_size for file in files)
    digest = sha256_file(out)
    where = computed_by(record)
    rows = [
        ("precision", told["precision"]),
        ("quantized by", where),
        ("size", f"{size / 1e6:.2f} MB"),
        ("sha256", digest),
        ("calibrated with", f"{len(frames)} frames, seed {seed}, dataset {told['dataset_sha256']}"),
    ]
    table(f"{out}", ("what", "value"), rows)
    facts = {
        "model": str(out), "sha256": digest, "precision": told["precision"], "quantized_on": where,
        "source_sha256": told["model_sha256"],
        "calibration": {"frames": frames, "sha256": told["dataset_sha256"], "seed": seed},
    }  # fmt: skip
    return facts, 0
