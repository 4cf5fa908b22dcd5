"""Looking at jobs: one of them (held until it ends), lists, results; and what can be changed of one."""

from __future__ import annotations

from typing import Any

from qai_hub import public_api_pb2 as pb
from starlette.requests import Request
from starlette.responses import Response

from . import options
from .downloads import artefacts_of, dataset_message, model_message, page_of
from .profiles import profile_message
from .settings import EMAIL, ran_on
from .state import ServerState, found, state_of
from .store import Row, read_json
from .uploads import checked_name
from .wire import answer, read_message, refuse, tensor_types, timestamp, updated

USER = pb.User(id=1, first_name="Stand-in", last_name="", email=EMAIL)
MAKING = ("compile", "quantize")  # they have a target model
JOB_TYPES = ("compile", "inference", "quantize", "link")


async def get_job(request: Request) -> Response:
    """Answers when the job has ended or the hold is over, but at once to the first GET of a job that makes a model:

    that one is part of the client's submit, reads the target model, and its caller is not waiting for the job.
    """
    hub = state_of(request)
    job = found(request, "jobs")
    if job["kind"] in MAKING and not job["asked"]:
        hub.store.change("jobs", job["id"], asked=1)
    else:
        await hub.until_finished(job["id"])
        job = found(request, "jobs")
    return answer(job_message(hub, job))


async def list_jobs(request: Request) -> Response:
    rows, total = page_of(request, "jobs", "1", [])
    hub = state_of(request)
    return answer(pb.JobList(jobs=[job_message(hub, job) for job in rows], total_query_count=total))


async def get_result(request: Request) -> Response:
    job = found(request, "jobs")
    if job["state"] != pb.JOB_STATE_DONE:
        ended = "failed" if job["state"] == pb.JOB_STATE_FAILED else "has not ended"
        raise refuse(404, f"Job {job['id']} {ended}, so it has no result.")
    if job["kind"] == "compile":
        return answer(pb.JobResult(compile_job_result=pb.CompileJobResult(compile_job_id=job["id"])))
    if job["kind"] == "quantize":
        return answer(pb.JobResult(quantize_job_result=pb.QuantizeJobResult(quantize_job_id=job["id"])))
    result = pb.InferenceJobResult(inference_job_id=job["id"], output_dataset_id=job["output_dataset"] or "")
    if profile := read_json(job["result"])["profile"]:  # emulated frames have none
        result.detail.CopyFrom(profile_message(profile))
    return answer(pb.JobResult(inference_job_result=result))


async def rename_job(request: Request) -> Response:
    hub = state_of(request)
    message = await read_message(request, pb.JobPublicUpdate, hub.settings.message_bytes)
    job = found(request, "jobs")
    hub.store.change("jobs", job["id"], name=checked_name(message.name, job["name"]))
    return updated(job["id"], job["created"])


async def list_summaries(request: Request) -> Response:
    """Newest first; filtered by creator, states "10,30" and type."""
    where, values = ["1"], []
    query = request.query_params
    if query.get("creator", EMAIL) != EMAIL:
        where.append("0")
    if query.get("state"):
        states = query["state"].split(",")
        if not all(state.isascii() and state.isdigit() and len(state) <= 4 for state in states):
            raise refuse(400, "'state' must be numbers of states with commas between them.")
        where.append(f"state IN ({', '.join('?' * len(states))})")
        values += map(int, states)
    if query.get("type"):
        if query["type"] not in JOB_TYPES:
            raise refuse(400, f"'type' must be one of {', '.join(JOB_TYPES)}.")
        where.append("kind = ?")
        values.append(query["type"])
    rows, total = page_of(request, "jobs", " AND ".join(where), values)
    return answer(pb.JobSummaryList(job_summaries=map(_summary, rows), total_query_count=total))


def job_message(hub: ServerState, job: Row) -> pb.Job:
    """The submitted message, with what has become of it."""
    message = pb.Job.FromString(job["request"])
    made = read_json(job["result"]) or {}
    message.hub_version = ran_on(job["device"], engine_of(job))
    message.available_artifacts.extend(artefacts_of(hub, job))  # type: ignore[arg-type]
    if job["kind"] == "compile":
        detail = message.compile_job
        detail.compile_job_id = job["id"]
        if target := hub.store.get("models", job["target_model"]):
            detail.target_model.CopyFrom(model_message(target))
            detail.target_tensor_type_list.CopyFrom(tensor_types(read_json(target["input_spec"])))
    elif job["kind"] == "quantize":
        detail = message.quantize_job
        detail.quantize_job_id = job["id"]
        detail.tensor_type_list.CopyFrom(tensor_types(made.get("inputs")))
        if target := hub.store.get("models", job["target_model"]):
            detail.target_model.CopyFrom(model_message(target))
        if dataset := hub.store.get("datasets", job["dataset"]):
            detail.calibration_dataset.CopyFrom(dataset_message(dataset))
    else:
        detail = message.inference_job
        detail.inference_job_id = job["id"]
        if job["dataset"] and (dataset := hub.store.get("datasets", job["dataset"])):
            detail.dataset.CopyFrom(dataset_message(dataset))
        if made:
            detail.tensor_type_list.CopyFrom(tensor_types(made["inputs"]))
            detail.execution_time = (made["profile"] or {}).get("execution_time", 0)
    if source := hub.store.get("models", job["model"]):
        detail.model.CopyFrom(model_message(source))
    detail.user.CopyFrom(USER)
    detail.name = job["name"]
    detail.job_state = job["state"]
    detail.creation_time.CopyFrom(timestamp(job["created"]))
    if job["finished"] is not None:
        detail.completion_time.CopyFrom(timestamp(job["finished"]))
    if job["reason"]:
        detail.failure_reason = job["reason"]
    return message


def engine_of(job: Row) -> str | None:
    """What computed it, or will; None for the CPU."""
    if job["result"] or job["kind"] != "inference":
        return (read_json(job["result"]) or {}).get("engine")
    detail = pb.Job.FromString(job["request"]).inference_job
    return options.engine_of(detail.options, profiling=detail.is_profiling_on, with_data=bool(job["dataset"]))


def _summary(job: Row) -> pb.JobSummary:
    summary = pb.JobSummary()
    detail: Any = getattr(summary, f"{job['kind']}_job_summary")
    detail.job_id = job["id"]
    detail.user.CopyFrom(USER)
    detail.name = job["name"]
    detail.job_state = job["state"]
    if job["kind"] != "quantize":
        detail.device_name = job["device"]
    detail.creation_time.CopyFrom(timestamp(job["created"]))
    if job["kind"] == "inference":
        detail.is_profiling_on = pb.Job.FromString(job["request"]).inference_job.is_profiling_on
        if profile := (read_json(job["result"]) or {}).get("profile"):
            detail.execution_time = profile["execution_time"]
            if profile["execution_memory"]:
                peak = profile["execution_memory"]["peak"]
                detail.execution_peak_memory.CopyFrom(pb.Range(lower=peak, upper=peak))
    return summary
