"""Small pages for a person who follows the link that the client prints. The unguessable address is their key."""

from __future__ import annotations

import time
from html import escape

from qai_hub import public_api_pb2 as pb
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from .downloads import page_of
from .job_views import engine_of
from .npu import REPORT
from .settings import VERSION, ran_on
from .state import found, state_of
from .store import Row, read_json
from .worker import TERMINAL

LOG_LINES = 60
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
STYLE = """body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
table { border-collapse: collapse } td, th { text-align: left; padding: .2rem 1rem .2rem 0; vertical-align: top }
pre { white-space: pre-wrap; background: #8882; padding: 1rem }
.note { border-left: .3rem solid #c80; padding-left: 1rem }
:root { color-scheme: light dark }"""


async def show_jobs(request: Request) -> Response:
    rows, total = page_of(request, "jobs", "1", [])
    lines = [("Job", "Kind", "State", "Name", "Device named", "Submitted")]
    body = "".join(
        f"<tr><td><a href='jobs/{job['id']}/'>{job['id']}</a></td>"
        + "".join(
            f"<td>{escape(text)}</td>"
            for text in (job["kind"], _state(job), job["name"], job["device"], _when(job["created"]))
        )
        + "</tr>"
        for job in rows
    )
    head = "".join(f"<th>{text}</th>" for text in lines[0])
    return _page("Jobs", f"<p>{total} in all, newest first.</p><table><tr>{head}</tr>{body}</table>")


async def show_job(request: Request) -> Response:
    job = found(request, "jobs")
    rows = [
        ("Kind", job["kind"]),
        ("State", _state(job)),
        ("Name", job["name"]),
        ("Device named", job["device"] or "none"),
        ("Model", job["model"]),
        ("Dataset", job["dataset"] or "none"),
        ("Options", _options(job) or "none"),
        ("Submitted", _when(job["created"])),
        ("Ended", _when(job["finished"])),
    ]
    if job["reason"]:
        rows.append(("Reason", job["reason"]))
    made = read_json(job["result"]) or {}
    if report := _report(request, job):
        rows.append(("The NPU, by its offline compiler", report))
    if profile := made.get("profile"):
        times = profile["all_execution_times"]
        rows.append(
            (
                "This CPU's time",
                f"{profile['execution_time'] / 1000:.3f} ms, median of {len(times)} "
                f"({min(times) / 1000:.3f} to {max(times) / 1000:.3f} ms)",
            )
        )
    note = f"<p class='note'>{escape(ran_on(job['device'], engine_of(job)))}. Its times say nothing about a device.</p>"
    return _page(f"Job {job['id']}", f"{note}{_table(rows)}<h2>Log</h2><pre>{escape(_log(request, job))}</pre>")


async def show_model(request: Request) -> Response:
    model = found(request, "models")
    kind = pb.ModelType.Name(model["type"]).removeprefix("MODEL_TYPE_")
    maker = model["producer"]
    rows = [
        ("Name", model["name"]),
        ("Type", f"{kind}, in truth an ONNX file" if maker else kind),
        ("Made by", f"job {maker}" if maker else "uploaded"),
        ("Complete", "yes" if model["complete"] else "no"),
        ("Created", _when(model["created"])),
    ]
    for title, column in (("Inputs", "input_spec"), ("Outputs", "output_spec")):
        specs = read_json(model[column]) or []
        if specs:
            rows.append((title, "; ".join(f"{name} {tuple(shape)} {dtype}" for name, shape, dtype in specs)))
    return _page(f"Model {model['id']}", _table(rows))


def _page(title: str, body: str) -> Response:
    document = (
        f"<!doctype html><html lang='en'><meta charset='utf-8'><title>{escape(title)}, stand-in</title>"
        f"<meta name='viewport' content='width=device-width'><style>{STYLE}</style>"
        f"<h1>{escape(title)}</h1>{body}<p>{escape(VERSION)}</p></html>"
    )
    return HTMLResponse(document, headers=HEADERS)


def _table(rows: list[tuple[str, str]]) -> str:
    lines = (f"<tr><th>{escape(title)}</th><td>{escape(text)}</td></tr>" for title, text in rows)
    return f"<table>{''.join(lines)}</table>"


def _state(job: Row) -> str:
    name = pb.JobState.Name(job["state"]).removeprefix("JOB_STATE_").lower().replace("_", " ")
    return name if job["state"] in TERMINAL else f"{name}..."


def _options(job: Row) -> str:
    message = pb.Job.FromString(job["request"])
    return getattr(message, f"{job['kind']}_job").options


def _when(seconds: float | None) -> str:
    return "not yet" if seconds is None else time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))


def _report(request: Request, job: Row) -> str:
    path = state_of(request).store.jobs / job["id"] / REPORT
    return read_json(path.read_text(encoding="utf-8"))["sentence"] if path.is_file() else ""


def _log(request: Request, job: Row) -> str:
    path = state_of(request).store.jobs / job["id"] / "log.txt"
    if not path.is_file():
        return "(written when the job has ended)"
    return "\n".join(path.read_text(encoding="utf-8", errors="replace").splitlines()[-LOG_LINES:])
