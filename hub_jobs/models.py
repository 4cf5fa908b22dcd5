"""What a command's first word stands for: a run, an .onnx file, or a job of the ledger."""

from __future__ import annotations

from pathlib import Path

from ..errors import InputError, MissingStepError
from ..files import sha256_joined
from ..hub_folder import is_job_id
from ..onnx_session import model_files, open_session, session_metadata
from ..runs import Run, is_run
from .desk import Desk
from .ending import at
from .history import FAILED, GONE, Record, newest
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
    return ModelFile(tuple(files), sha256_joined(files))


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
        for record in desk.records()
        if record.type == "compile"
        and record.job_id
        and record.intended["model_sha256"] == model.sha256
        and device in (None, record.intended["device"])
    ]
    usable = newest(record for record in found if record.state not in (FAILED, GONE))
    if usable:
        return usable
    lost, wanted = newest(found), device or (found[-1].intended["device"] if found else "NAME")
    command = f'lpcv compile {target} --device "{wanted}"{at(desk.way)}'
    if lost:
        what = f"FAILED: {lost.reason or 'AI Hub gives no reason'}" if lost.state == FAILED else "is not known there"
        raise MissingStepError(
            f"{target} was compiled at {desk.connection.called}, and its compile job {lost.job_id} {what}.",
            f"See `lpcv jobs show {lost.job_id}`; `{command} --again` compiles it once more.",
        )
    raise MissingStepError(
        f"{target} as it is now has no compile job{f' for {device}' if device else ''} "
        f"at {desk.connection.called} in {desk.folder.ledger}.",
        f"Run `{command}` first.",
    )


def compiled(record: Record) -> CompiledModel:
    """What a finished compile job made."""
    return CompiledModel(record.job_id or "", record.intended["model_sha256"])
