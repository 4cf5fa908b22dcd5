"""What a command's first word stands for: a run, an .onnx file, or a job of the ledger."""

from __future__ import annotations

import hashlib
from pathlib import Path

from ..errors import InputError, MissingStepError
from ..files import sha256_file
from ..hub_folder import is_job_id
from ..onnx_session import model_files, open_session, session_metadata
from ..runs import Run, is_run
from .desk import Desk
from .history import FAILED, GONE, Record, records
from .order import CompiledModel, ModelFile


def model_of(target: Path) -> ModelFile:
    """The model of a run or an .onnx file. Raises InputError or MissingStepError, with the command that makes it."""
    if is_run(target):
        run = Run(target)
        path = run.exported()
        run.demand_fresh(session_metadata(open_session(path)))
    elif target.suffix == ".onnx" and target.is_file():
        path = target
    else:
        raise InputError(
            f"{target} is neither a run nor an .onnx file{'' if target.exists() else ': it does not exist'}.",
            "Give a run that has been exported, or a model.onnx.",
        )
    files = model_files(path)
    hashes = [sha256_file(file) for file in files]
    total = hashes[0] if len(hashes) == 1 else hashlib.sha256("\n".join(hashes).encode()).hexdigest()
    return ModelFile(tuple(files), total)


def title_of(target: Path) -> str:
    """What jobs of a run or a file are called."""
    path = target.resolve()
    return path.stem if path.is_file() else path.name


def compile_record(desk: Desk, target: str, device: str | None) -> Record:
    """The compile job that a profile or inference job is to run.

    target: a compile job's id, or a run or .onnx file, which stands for its newest compile job (for `device`)
    Raises InputError, or MissingStepError with the command that makes one.
    """
    if is_job_id(target) and not Path(target).exists():
        record = desk.record(target)
        if record.type != "compile":
            raise InputError(
                f"{target} is a {record.type} job.", f"Give its compile job, {record.intended['compile_job']}."
            )
        return record
    model = model_of(Path(target))
    found = [
        record
        for record in records(desk.ledger)
        if record.type == "compile"
        and record.hub == desk.connection.identity
        and record.job_id
        and record.state not in (FAILED, GONE)
        and record.intended["model_sha256"] == model.sha256
        and device in (None, record.intended["device"])
    ]
    if not found:
        where = " --hub local" if desk.connection.name == "local" else ""
        raise MissingStepError(
            f"{target} as it is now has no compile job{f' for {device}' if device else ''} "
            f"at {desk.connection.called} in {desk.folder.ledger}.",
            f'Run `lpcv compile {target} --device "{device or "NAME"}"{where}` first.',
        )
    return found[-1]


def compiled(record: Record) -> CompiledModel:
    """What a finished compile job made."""
    return CompiledModel(record.job_id or "", record.intended["model_sha256"])
