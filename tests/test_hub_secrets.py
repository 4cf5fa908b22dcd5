"""The token is in the configuration, in the stand-in's own folder, and nowhere else, whatever happens."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import tempfile
import traceback
import urllib.parse
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import onnx
import pytest
from hub_bench import Clock, computed_once
from hub_faults import FILE, FORM, LIST, PART, SUBMIT, Endpoint, Fault, Faults, answers, dropped, half
from hub_fixtures import S24, Served, small_model
from hub_front import Front, own_place
from lpcv.cli import run
from lpcv.contract import CURRENT as CONTRACT
from lpcv.files import sha256_file, write_json
from lpcv.hub_jobs import dispatch
from lpcv.hub_jobs.ledger import Ledger
from lpcv.runs import CHECKPOINT_KEY
from onnx import helper
from starlette.requests import Request

TOKEN = "lpcvPlantedToken5d1f0c7b93"
SIGNED = "X-Amz-Signature=PlantedSignature77aa"
ECHO = f'no access with "Authorization: token {TOKEN}"'
ANYTHING = Endpoint("anything", "GET", ".*")
FORMS = (TOKEN, base64.b64encode(TOKEN.encode()).decode()[:30], TOKEN[::-1], SIGNED.partition("=")[2])


@pytest.fixture(scope="module")
def front() -> Front:
    return Front()


@pytest.fixture(scope="module")
def faults() -> Faults:
    return Faults()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, front: Front, faults: Faults) -> Iterator[Served]:
    """A stand-in whose token we know."""
    root = tmp_path_factory.mktemp("served") / "root"
    write_json(root / "identity.json", {"instance": "planted0", "token": TOKEN, "signing_key": "0" * 64})
    with computed_once(), Served(root, lambda app: faults(front(app))) as running:
        yield running


class Place:
    """Where commands run, and everything that they wrote and said."""

    def __init__(self, root: Path, served: Served, log: pytest.LogCaptureFixture) -> None:
        self.root, self.served, self.log, self.said = root, served, log, ""

    def run(self, *words: object) -> int:
        """With --debug too, where Python shows the traceback of what is raised."""
        every = [*map(str, words), "--hub", str(self.served.ini)]
        code = run(every)
        if code:
            try:
                run(["--debug", *every])
            except BaseException as error:
                self.said += "".join(traceback.format_exception(error))
        return code

    def leaks(self, said: str) -> list[str]:
        """Every file that holds the token, and "said" where it was printed, or logged loudly enough to be printed."""
        logged = "".join(record.getMessage() for record in self.log.records if record.levelname in PRINTED)
        found = ["said"] if any(form in said + self.said + logged for form in FORMS) else []
        for path in self.root.rglob("*"):
            held = path.name.encode() + (path.read_bytes() if path.is_file() else b"")
            if any(form.encode() in held for form in FORMS):
                found.append(str(path.relative_to(self.root)))
        return found


PRINTED = ("WARNING", "ERROR", "CRITICAL")  # Python prints these where nobody has set up logging


@pytest.fixture
def place(
    tmp_path: Path,
    served: Served,
    front: Front,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> Iterator[Place]:
    front.reset()
    (tmp_path / "temporary").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    monkeypatch.setattr(dispatch, "RATE_LIMIT_WAITS_S", ())
    Clock().installed(monkeypatch)
    with own_place(tmp_path):
        yield Place(tmp_path, served, caplog)
    front.reset()


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """Another one for each test: jobs of the same content are found again by their names."""
    model = onnx.load(small_model(tmp_path / "small.onnx", CONTRACT.input_shape))
    model.doc_string = str(tmp_path)
    onnx.save(model, tmp_path / "small.onnx")
    return tmp_path / "small.onnx"


def made_run(root: Path) -> Path:
    """What `lpcv` takes for a run that has been exported."""
    weights = root / "checkpoints" / "best" / "model.safetensors"
    weights.parent.mkdir(parents=True)
    weights.write_bytes(b"weights")
    write_json(weights.with_name("config.json"), {})
    write_json(root / "config.json", {"recipe": {}, "inputs": {}, "provenance": {}})
    model = onnx.load(small_model(root / "model.onnx", CONTRACT.input_shape))
    helper.set_model_props(model, {CHECKPOINT_KEY: sha256_file(weights)})
    onnx.save(model, root / "model.onnx")
    return root


def job_of(place: Place, kind: str) -> str:
    told = json.loads((place.root / f"{kind}.json").read_text())
    return (told[0] if isinstance(told, list) else told)["job_id"]


def test_the_search_finds_it(place: Place) -> None:
    (place.root / "hub").mkdir()
    (place.root / "hub" / "leak.bin").write_bytes(b"\0" + TOKEN.encode())
    assert place.leaks(f"... {TOKEN}") == ["said", "hub/leak.bin"]


def test_a_whole_rehearsal_leaves_it_nowhere(
    place: Place, small_frames: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mine, ledger = made_run(place.root / "mine"), place.root / "hub" / "ledger.sqlite"
    with Ledger(ledger):  # so that its write-ahead log stays, as after a crash
        assert place.run("compile", mine, "--device", S24, "--json", place.root / "compile.json") == 0
        assert place.run("profile", mine, "--options", "--max_profiler_iterations 2", "--json", "profile.json") == 0
        assert place.run("infer", mine, "--data", small_frames, "--limit", 1, "--json", "infer.json") == 0
        assert run(["score", job_of(place, "infer"), "--data", str(small_frames), "--json", "score.json"]) == 0
        assert place.run("jobs", "share", job_of(place, "compile"), "--yes") == 0
        for words in (["devices"], ["doctor"], ["jobs", "reconcile"], ["jobs", "wait"]):
            assert place.run(*words) == 0
        assert place.run("compile", mine, "--device", "x") == 2
        assert run(["jobs", "--json", "jobs.json"]) == 0
        assert run(["jobs", "show", job_of(place, "compile"), "--json", "job.json"]) == 0
        assert run(["package", str(mine), "-o", "bundle.zip"]) == 0
        with zipfile.ZipFile("bundle.zip") as bundle:
            bundle.extractall("unpacked")
        assert ledger.with_name("ledger.sqlite-wal").stat().st_size > 0
        assert place.leaks("".join(capsys.readouterr())) == []
    assert place.leaks("") == []
    assert TOKEN in place.served.ini.read_text()


SUBMITTING = ["compile", "MODEL", "--device", S24]
FAILING: dict[str, tuple[Endpoint, Fault, list[str]]] = {
    **{str(code): (ANYTHING, answers(code, detail=ECHO), SUBMITTING) for code in (400, 401, 403, 404, 426, 429, 500)},
    **{f"submit {code}": (SUBMIT, answers(code, detail=ECHO), SUBMITTING) for code in (400, 401, 403, 409, 429, 503)},
    "a page in place of an answer": (ANYTHING, answers(200, body=ECHO.encode()), SUBMITTING),
    "a submission's page": (SUBMIT, answers(200, body=ECHO.encode()), SUBMITTING),
    "part refused": (PART, answers(403, detail=ECHO), SUBMITTING),
    "part dropped": (PART, dropped(), SUBMITTING),
    "list refused": (LIST, answers(400, detail=ECHO), ["jobs", "reconcile"]),
    "doctor": (ANYTHING, answers(401, detail=ECHO), ["doctor"]),
    "devices": (ANYTHING, answers(500, detail=ECHO), ["devices"]),
    "file refused": (FILE, answers(403, detail=ECHO), SUBMITTING),
    "file dropped": (FILE, dropped(), SUBMITTING),
    "half a file": (FILE, half(), SUBMITTING),
}  # fmt: skip


ALWAYS = ("401", "500", "submit 401", "submit 403", "a page in place of an answer", "part dropped", "file dropped")


@pytest.mark.parametrize(
    "name", [name if name in ALWAYS else pytest.param(name, marks=pytest.mark.slow) for name in FAILING]
)
def test_a_server_that_repeats_it_is_not_quoted(
    name: str, place: Place, model: Path, faults: Faults, front: Front, capsys: pytest.CaptureFixture[str]
) -> None:
    where, fault, words = FAILING[name]
    front.change = sign_urls
    with faults.on(where, fault) as rule:
        code = place.run(*[str(model) if word == "MODEL" else word for word in words])
    assert rule.hits
    assert code in (1, 2)
    out, err = capsys.readouterr()
    assert place.leaks(out + err) == []
    assert "Traceback" not in out + err


def sign_urls(request: Request, body: bytes) -> bytes:
    """As S3 does it: whoever has the query may fetch or send the file."""
    from qai_hub import public_api_pb2 as pb

    path = request.scope["path"]
    if path.endswith(("/multipart_upload/", "/upload_url/")) and request.method == "GET":
        told = pb.FileUploadResponse.FromString(body)
        if told.HasField("url"):
            told.url.url += f"?{SIGNED}"
        else:
            told.multipart_url.urls[:] = [f"{url}?{SIGNED}" for url in told.multipart_url.urls]
        return told.SerializeToString()
    if path.endswith(("/download/", "/download_data/")):
        fetched = pb.FileDownloadResponse.FromString(body)
        fetched.url.url += f"?{SIGNED}"
        return fetched.SerializeToString()
    if "/artifact_list/" in path:
        logs = pb.NamedArtifactDownloadURLList.FromString(body)
        for artefact in logs.artifacts:
            artefact.url += f"?{SIGNED}"
        return logs.SerializeToString()
    return body


@pytest.mark.parametrize("fault", [answers(403, detail=ECHO), dropped()], ids=["refused", "dropped"])
def test_the_signed_address_of_an_upload_is_not_shown(
    fault: Fault,
    place: Place,
    model: Path,
    small_frames: Path,
    faults: Faults,
    front: Front,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert place.run("compile", model, "--device", S24) == 0
    front.change = sign_urls
    with faults.on(FORM, fault) as rule:
        assert place.run("infer", model, "--data", small_frames, "--limit", 1) == 2
    assert rule.hits
    assert place.leaks("".join(capsys.readouterr())) == []


def test_nobody_listens(place: Place, model: Path, capsys: pytest.CaptureFixture[str], tmp_path_factory: Any) -> None:
    ini = tmp_path_factory.mktemp("away") / "away.ini"
    ini.write_text(place.served.ini.read_text().replace(f":{place.served.port}/", ":9/"))
    for words in (["compile", str(model), "--device", S24], ["doctor"], ["devices"], ["jobs", "wait"]):
        assert run([*words, "--hub", str(ini)]) in (1, 2)
    assert place.leaks("".join(capsys.readouterr())) == []


def repeat(request: Request, body: bytes) -> bytes:
    """It stands in whatever the server tells."""
    from qai_hub import public_api_pb2 as pb

    path = request.scope["path"]
    message: Any
    if path.endswith("/devices/"):
        message = pb.DeviceList.FromString(body)
        for device in message.devices:
            device.attributes.append(f"vendor:{TOKEN}")
        if "name=" in str(request.url) and request.query_params["name"] == "":
            message.devices.add(name=f"Samsung Galaxy S24 {TOKEN}", os="14", attributes=[f"chipset:{TOKEN}"])
    elif path.endswith("/shared_access/") and request.method == "GET":
        message = pb.SharedAccess.FromString(body)
        message.email.append(f"{TOKEN}@example.org")
    elif path.endswith("/job_summaries/"):
        message = pb.JobSummaryList.FromString(body)
        for summary in message.job_summaries:
            summary.compile_job_summary.name += f" {TOKEN}"
    elif path.endswith("/result/"):
        message = pb.JobResult.FromString(body)
        for layer in message.inference_job_result.detail.layer_details:
            layer.name += f" {TOKEN}"
    elif "/jobs/" in path and request.method == "GET" and "/artifact_list/" not in path:
        message = pb.Job.FromString(body)
        detail = message.compile_job if message.HasField("compile_job") else message.inference_job
        detail.failure_reason += f" {TOKEN}" if detail.failure_reason else ""
    else:
        return body
    return message.SerializeToString()


def test_what_a_server_tells_is_kept_without_it(
    place: Place, model: Path, front: Front, capsys: pytest.CaptureFixture[str]
) -> None:
    front.change = repeat
    assert place.run("compile", model, "--device", S24, "--json", "compile.json") == 0
    assert place.run("profile", model, "--options", "--max_profiler_iterations 2", "--json", "profile.json") == 0
    assert place.run("jobs", "share", job_of(place, "compile"), "--yes") == 0
    for words in (["devices", "S24", "--json", "devices.json"], ["doctor"], ["jobs", "reconcile"]):
        assert place.run(*words) == 0
    assert place.run("compile", model, "--device", "Galaxy S24") == 2
    (place.root / "hub" / "ledger.sqlite").rename(place.root / "lost.sqlite")
    assert place.run("jobs", "reconcile") == 0  # lists names that are not ours
    out, err = capsys.readouterr()
    assert out.count("[token]") > 3  # it really came
    assert place.leaks(out + err) == []


def test_a_failed_jobs_reason_and_log_are_kept_without_it(
    place: Place, front: Front, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from lpcv.hub_jobs.stand_in import worker

    real: Callable[..., None] = worker._keep_log

    def telling(here: Path, folder: Path) -> None:
        with (here / "log.txt").open("a") as log:
            log.write(f"\nfetching https://storage.example/model?{SIGNED} for {TOKEN}\n")
        real(here, folder)

    monkeypatch.setattr(worker, "_keep_log", telling)
    front.change = repeat
    broken = small_model(place.root / "double.onnx", elem=onnx.TensorProto.DOUBLE)
    assert place.run("compile", broken, "--device", S24, "--json", "f.json") == 1
    out, err = capsys.readouterr()
    told = json.loads((place.root / "f.json").read_text())
    assert told["reason"].endswith("[token]")
    assert "for [token]" in told["log"][-1]
    (log,) = (place.root / "hub" / "jobs" / told["job_id"]).iterdir()
    assert "for [token]" in log.read_text()
    assert run(["jobs", "show", told["job_id"]]) == 0
    assert place.leaks(out + err + "".join(capsys.readouterr())) == []


def test_a_traceback_that_python_prints(place: Place, model: Path, faults: Faults) -> None:
    """In a process of its own, where nobody has set up logging either."""
    words = ["compile", str(model), "--device", S24, "--hub", str(place.served.ini)]
    with faults.on(SUBMIT, answers(403, detail=ECHO)):
        done = subprocess.run(
            [sys.executable, "-P", "-m", "lpcv", "--debug", *words], capture_output=True, text=True, timeout=60,
            env={**os.environ, "QAIHUB_CLIENT_INI": str(place.served.ini)},
        )  # fmt: skip
    assert done.returncode == 1
    assert "Traceback (most recent call last)" in done.stderr
    assert "RefusedError" in done.stderr
    assert "token [token]" in done.stderr
    assert place.leaks(done.stdout + done.stderr + urllib.parse.unquote(done.stderr)) == []
