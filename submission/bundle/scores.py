"""Scores of a model in three places that are never mixed: float, emulated, measured.

float: of the exported model, by ONNX Runtime (`lpcv score RUN`). emulated: what Qualcomm's NPU emulator computed
(`lpcv emulate --json`). measured: what a device of AI Hub computed or took. Each is demanded to be of this very model.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

from ...errors import InputError, LpcvError, MissingStepError
from ...evaluate.official import OFFICIAL
from ...files import read_json, sha256_files
from ...hub_folder import HubFolder
from ...hub_jobs.history import Record, is_measured
from ...runs import Run
from ..npu.rows import EMULATOR
from .jobs import INFERENCE, job_row, latencies
from .layout import json_bytes, none
from .scrub import last_component, scrub

ROWS, ROWS_SHA256 = "frames", "frames_sha256"
EMULATED_KEPT = (
    "device", "soc_model", "htp_arch", "versions", "data_sha256", "seed", "protocol", "whole", "not_scored",
    "not_computed", "emulator_against_onnx_runtime",
)  # fmt: skip


def rows_sha256(rows: Any) -> str:
    """Of the per-frame values, however the file that holds them is laid out."""
    return sha256(json_bytes(rows)).hexdigest()


def float_score(run: Run, model_sha256: str) -> Any:
    """RUN/score.json, with the hash of its rows. Raises MissingStepError where it is of another model."""
    if not run.score.exists():
        return none("the run has not been scored")
    score = _score(run.score)
    if score.get("source_sha256") != model_sha256:
        raise MissingStepError(
            f"{run.score} is the score of another model than {run.model}.",
            f"Run `lpcv score {run.root} --data DIR` again, or remove {run.score}.",
        )
    return _with_hash({**score, "source": last_component(str(score.get("source", run.root.name)))})


def emulated_scores(file: Path | None, model_sha256: str) -> Any:
    """What `lpcv emulate --json` wrote, cut to what the emulator itself computed: neither ONNX Runtime's rows, which
    stand for the integers on more frames, nor the estimated latency.

    file: None where the run keeps none
    Raises InputError where it is no such file, MissingStepError where it is of another model or not finished.
    """
    if file is None:
        return none(
            "nothing emulated was given; `lpcv emulate RUN --json FILE`, then `lpcv package RUN --emulated FILE`"
        )
    told = read_json(file)
    if not isinstance(told, dict) or not isinstance(told.get("rows"), list) or "model_sha256" not in told:
        raise InputError(f"{file} is not what `lpcv emulate --json` writes.", "Give that file.")
    if told["model_sha256"] != model_sha256:
        raise MissingStepError(
            f"{file} is of another model.", f"Run `lpcv emulate --json {file}` on this run, or remove it."
        )
    if not told.get("finished"):
        raise MissingStepError(f"{file} is of an emulation that was cut off.", "Type that `lpcv emulate` again.")
    rows = [row for row in told["rows"] if isinstance(row, dict) and row.get("computed_by") == EMULATOR]
    if not rows:
        return none("the emulator computed no frame of this model")
    clean = scrub({**{key: told.get(key) for key in EMULATED_KEPT}, "rows": rows})
    return {**clean, "rows": [{**row, ROWS_SHA256: rows_sha256(row.get("frame_scores"))} for row in clean["rows"]]}


def measured(files: Sequence[Path], found: Sequence[Record], folder: HubFolder | None) -> dict[str, Any]:
    """Official scores of predictions that devices gave, and latencies that they measured.

    files: of `lpcv score JOB --json FILE`; found: the jobs of this model; folder: None where no ledger is read, so that
    nothing can be tied to a job
    Raises InputError where a file is of no such job.
    """
    if folder is None:
        return {"scores": none("no ledger was read"), "latencies": none("no ledger was read")}
    scores = [measured_score(file, found, folder) for file in files]
    timed = latencies(found, folder)
    how = "`lpcv score JOB --data DIR --json FILE`, then `lpcv package RUN --measured FILE`"
    return {
        "scores": scores or none(f"no score of a device's predictions was given; {how}"),
        "latencies": timed or none("no profile job of this model has run on a device; rehearsals do not count"),
    }


def measured_score(file: Path, found: Sequence[Record], folder: HubFolder) -> dict[str, Any]:
    """Tied to its job by the predictions themselves, whose hash the score holds."""
    score = _score(file)
    job_id = str(score.get("source", "")).split(",")[0]
    record = next((each for each in found if each.job_id == job_id), None)
    if record is None:
        raise InputError(
            f"{file} is not the score of a job of this model that this folder's ledger knows (its source is "
            f"'{job_id}').",
            "Give what `lpcv score JOB --data DIR --json FILE` wrote for an inference job of this very model.",
        )
    if not is_measured(record, INFERENCE):
        raise InputError(
            f"{job_id} is no finished inference job of a device, so {file} is not measured.",
            "A rehearsal never counts as measured; run `lpcv infer` without --hub local.",
        )
    if score.get("protocol") != OFFICIAL.name:
        raise InputError(f"{file} is not the official score.", "Leave --protocol away when scoring the job.")
    try:
        root = folder.predictions_of(job_id)
        held = sha256_files(root, [root / f"{row['frame']}.npy" for row in score[ROWS]])
    except (LpcvError, OSError, KeyError, TypeError):
        held = None
    if held is None or held != score.get("source_sha256"):
        raise InputError(
            f"{file} is not the score of the predictions that {job_id} gave, as they lie here.",
            f"Run `lpcv score {job_id} --data DIR --json {file}` again.",
        )
    return _with_hash({**score, "source": f"job {job_id}", "job": job_row(record)})


def _score(file: Path) -> dict[str, Any]:
    score = read_json(file)
    if not isinstance(score, dict) or "source_sha256" not in score or "mean" not in score:
        raise InputError(f"{file} is no score.", "Give, or make again, what `lpcv score` writes.")
    return {key: value for key, value in score.items() if key != "beside"}  # other protocols: not what is claimed


def _with_hash(score: dict[str, Any]) -> dict[str, Any]:
    clean = scrub(score)
    return {**clean, ROWS_SHA256: rows_sha256(clean[ROWS])} if ROWS in clean else clean
