"""`lpcv quantize --on hub`: AI Hub's quantize job, through the ledger, and its model as one file of our own naming."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...console import table
from ...data.folder import FrameFolder
from ...errors import InputError
from ...files import sha256_file, write_bytes
from ..collect import computed_by
from ..frames import dataset_of
from ..models import model_of, title_of
from ..order import Order
from .calibration import choose

if TYPE_CHECKING:
    from ..history import Record


def order_of(target: Path, frames: FrameFolder, precision: str, *, samples: int, seed: int, out: Path) -> Order:
    """A quantize job for a run or float .onnx, calibrated with the frames that `--on local` would take.

    out: where the model will be written, for the next command
    Raises InputError where there is no frame, or the model is not there.
    """
    names = choose(list(frames.names), samples, seed)
    if not names:
        raise InputError("There is no frame to calibrate with.", "Give --data a folder with images.")
    dataset = dataset_of(frames.subset(names))
    kept = {"calibration_frames": list(names), "calibration_seed": seed, "out": str(out)}
    title = f"{title_of(target)} {precision}"
    return Order("quantize", title, model_of(target), "", "", dataset=dataset, precision=precision, kept=kept)


def unpack(fetched: Path, out: Path) -> list[Path]:
    """Write the job's model as `out`, with its weights beside it under the name that the model knows them by.

    AI Hub hands ONNX out as a zipped folder with MODEL.onnx and at most one MODEL.data, or as the file itself.
    Raises InputError where there is no such model in it.
    """
    if not zipfile.is_zipfile(fetched):
        write_bytes(out, fetched.read_bytes())
        return [out]
    try:
        with zipfile.ZipFile(fetched) as archive:
            entries = {Path(entry.filename).name: entry for entry in archive.infolist() if not entry.is_dir()}
            graphs = [name for name in entries if name.endswith(".onnx")]
            beside = [name for name in entries if name.endswith(".data")]
            if len(graphs) != 1 or len(beside) > 1:
                raise InputError(f"{fetched} holds {', '.join(entries) or 'nothing'}, not one .onnx file.", AGAIN)
            written = []
            for name in beside:  # first, so that a whole graph never stands without its weights
                written.append(out.with_name(name))
                write_bytes(written[-1], archive.read(entries[name]))
            write_bytes(out, archive.read(entries[graphs[0]]))
    except (zipfile.BadZipFile, EOFError) as error:
        raise InputError(f"{fetched} is damaged ({error}).", AGAIN) from error
    return [out, *written]


AGAIN = "Remove it and type the command again: it is fetched anew."


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
