"""Qualcomm AI Hub's own client behind a thin typed layer: typed answers, nothing submitted twice, no token let out."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urljoin

from ..errors import InputError, MissingStepError, UnknownNameError
from ..files import replacing, write_text
from .answers import Created, HubDevice, Status, SubmissionError, Summary, Uploaded
from .calling import NOT_AI_HUB, Caller, qai_hub_library, reason_of, requests_library
from .connection import Connection, own_surroundings
from .devices import nearest
from .faults import GoneError, UnavailableError
from .one_post import Post, only_one_post
from .order import InputSpec

if TYPE_CHECKING:
    import qai_hub

Answer = TypeVar("Answer")

PROBE_TIMEOUT_S = (3.05, 15.0)  # to connect; to answer
SUMMARIES_A_PAGE, MOST_SUMMARIES = 50, 1000  # the client's own page (client.py:4223); how far back jobs are looked for
RETRY_WAITS_S = (1.5, 3.0, 6.0)
LOG_LINES = 12  # of a failed job's log, shown and kept


class HubClient:
    """AI Hub, or the stand-in, as `connection` says. Use as a context manager: it keeps netrc and proxies away."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._call = Caller(connection)
        self._jobs: dict[str, Any] = {}
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> HubClient:
        self._stack.enter_context(own_surroundings(self.connection))
        return self

    def __exit__(self, *error: Any) -> None:
        self._stack.__exit__(*error)

    @cached_property
    def client(self) -> qai_hub.Client:
        """The unmodified client, made from this configuration and never from the module's global one."""
        library, where = qai_hub_library(), self.connection
        return library.Client(
            config=library.ClientConfig(
                api_token=where.token, api_url=where.api_url, web_url=where.web_url, verbose=False,
                default_project=where.default_project,
            )
        )  # fmt: skip

    def probe(self) -> None:
        """Is it there, and does it know us? Costs one request; the client alone would try for 46 to 339 s.

        Raises UnavailableError, UnauthorisedError or RefusedError.
        """
        requests = requests_library()
        url = urljoin(self.connection.api_url, "api/v1/frameworks/")
        asked = {"Authorization": f"token {self.connection.token}", "Content-Type": "application/x-protobuf"}
        try:
            answer = requests.get(url, headers=asked, timeout=PROBE_TIMEOUT_S)
        except requests.exceptions.RequestException as error:
            self._call.redacted(error)
            raise self._call.unavailable(f"cannot be reached ({self._call.plain(reason_of(error))})") from error
        if answer.status_code == 401:
            raise self._call.unauthorised()
        if answer.status_code >= 500 or answer.status_code == 429:
            raise self._call.unavailable(f"answers with {answer.status_code}")
        if answer.status_code >= 400:
            raise self._call.refused(answer.status_code, answer.text)
        if answer.headers.get("Content-Type") != "application/x-protobuf":
            raise self._call.unavailable(NOT_AI_HUB)

    def devices(self) -> list[HubDevice]:
        with self._call.calling():
            found = self.client.get_devices()
        plain = self._call.plain
        return [HubDevice(plain(each.name), plain(each.os), tuple(map(plain, each.attributes))) for each in found]

    def device(self, name: str) -> HubDevice:
        """The device of exactly that name, with its newest system. Raises UnknownNameError with the nearest names."""
        every = self.devices()
        named = [each for each in every if each.name == name]
        if not named:
            known = [each.name for each in every]
            raise UnknownNameError("device", name, nearest(name, known) or known)
        return max(named, key=lambda each: [int(part) for part in re.findall(r"\d+", each.os)])

    def upload_model(self, files: tuple[Path, ...], name: str) -> Uploaded:
        """Send a model; one that keeps tensors beside it goes as a folder, since the client would leave those out."""
        with tempfile.TemporaryDirectory() as scratch, self._call.calling():
            path = files[0] if len(files) == 1 else _as_folder(files, Path(scratch))
            return Uploaded(self.client.upload_model(str(path), name=name).model_id)

    def has_model(self, model_id: str) -> bool:
        return self._is_there(lambda: self.client.get_model(model_id))

    def upload_dataset(self, h5: Path, name: str) -> Uploaded:
        """Send an .h5 file. Raises InputError where it would be expired on arrival by this machine's clock."""
        with self._call.calling():
            dataset = self.client.upload_dataset(str(h5), name=name)
        expires = dataset.expiration_time
        if expires is not None and dataset.is_expired():
            raise InputError(
                f"{self.connection.called} keeps the dataset until {expires:%Y-%m-%d %H:%M}, which is past here.",
                "Set this machine's clock.",
            )
        return Uploaded(dataset.dataset_id, expires.timestamp() if expires else None)

    def has_dataset(self, dataset_id: str) -> bool:
        """Is it there, and not expired by this machine's clock (which the client asks, too)?"""
        return (
            self._is_there(lambda: self.client.get_dataset(dataset_id)) and not self._dataset(dataset_id).is_expired()
        )

    def submit_compile(self, model_id: str, device: str, name: str, options: str, spec: InputSpec | None) -> Created:
        """Raises SubmissionError: whether there is a job now is in its `post`."""
        model, on = self._model(model_id), self._device(device)
        return self._submitted(
            lambda: self.client.submit_compile_job(
                model, device=on, name=name, options=options, input_specs=dict(spec) if spec else None, retry=False
            )
        )

    def submit_inference(
        self, compile_job: str, device: str, name: str, options: str, dataset_id: str | None, *, profile: bool
    ) -> Created:
        """Run a compile job's target model. Raises SubmissionError as above, MissingStepError without such a model."""
        model, on = self._target_model(compile_job), self._device(device)
        inputs = self._dataset(dataset_id) if dataset_id else None
        return self._submitted(
            lambda: self.client.submit_inference_job(
                model, device=on, inputs=inputs, name=name, options=options, retry=False, profile=profile
            )
        )

    def submit_quantize(self, model_id: str, dataset_id: str, name: str, options: str, precision: str) -> Created:
        """precision: "w8a8" or "w8a16". Raises SubmissionError as above."""
        kinds = qai_hub_library().QuantizeDtype
        activations = {"w8a8": kinds.INT8, "w8a16": kinds.INT16}[precision]
        model, data = self._model(model_id), self._dataset(dataset_id)
        return self._submitted(
            lambda: self.client.submit_quantize_job(
                model, data, weights_dtype=kinds.INT8, activations_dtype=activations, name=name, options=options
            )
        )

    def status(self, job_id: str) -> Status:
        """Raises GoneError where the job is not known (any more)."""
        job = self._job(job_id)
        with self._call.calling():
            status = job.get_status()
        return Status(status.code, self._call.plain(status.message or ""), self._call.plain(job.hub_version or ""))

    def find(self, part: str) -> list[Summary]:
        """Jobs whose name holds `part`, newest first."""
        return [summary for summary in self.summaries() if part in summary.name]

    def summaries(self) -> Iterator[Summary]:
        """AI Hub's list of jobs, newest first, as far back as MOST_SUMMARIES."""
        for offset in range(0, MOST_SUMMARIES, SUMMARIES_A_PAGE):
            with self._call.calling():
                page = self.client.get_job_summaries(offset=offset, limit=SUMMARIES_A_PAGE)
            for each in page:
                name = self._call.plain(each.name)
                yield Summary(each.job_id, name, self._job_url(each.job_id), each.status.code)
            if len(page) < SUMMARIES_A_PAGE:
                return

    def download_model(self, compile_job: str, folder: Path) -> Path:
        """Download the model that a compile or quantize job has made into `folder`; whole or absent."""
        model = self._target_model(compile_job)
        return self._download(folder, lambda to: model.download(str(to)))

    def download_outputs(self, job_id: str, folder: Path) -> Path:
        """Download an inference job's output dataset (.h5) into `folder`; whole or absent."""
        job = self._job(job_id)
        with self._call.calling():
            dataset = job.get_output_dataset()
        if dataset is None:
            raise MissingStepError(f"{job_id} has no output.", f"See {self._job_url(job_id)}.")
        return self._download(folder, lambda to: dataset.download(str(to / "outputs")))

    def profile(self, job_id: str) -> dict[str, Any]:
        """The raw profile, as the client gives it: times in microseconds, memory in bytes."""
        job = self._job(job_id)
        with self._call.calling():
            raw = job.download_profile()
        return json.loads(self.connection.without_secrets(json.dumps(raw)))  # names of layers are anybody's words

    def npu_report(self, job_id: str) -> dict[str, Any] | None:
        """What a stand-in adds to a job's logs: what the NPU's compiler said. None where there is no such file."""
        job = self._job(job_id)
        with tempfile.TemporaryDirectory() as scratch:
            with self._call.calling():
                paths = [Path(path) for path in job.download_job_logs(scratch)]
            found = [path for path in paths if path.name.endswith("_npu.json")]
            return json.loads(self.connection.without_secrets(found[0].read_text(encoding="utf-8"))) if found else None

    def log_tail(self, job_id: str, folder: Path) -> tuple[str, ...]:
        """Keep the job's logs in `folder` and give the last lines of them; empty where it has none."""
        job, lines = self._job(job_id), list[str]()
        with tempfile.TemporaryDirectory() as scratch:
            with self._call.calling():
                paths = [Path(path) for path in job.download_job_logs(scratch)]
            for path in paths:
                text = self.connection.without_secrets(path.read_text(encoding="utf-8", errors="replace"))
                write_text(folder / self.connection.without_secrets(path.name), text)
                lines += [line for line in text.splitlines() if line.strip()]
        return tuple(self._call.plain(line) for line in lines[-LOG_LINES:])

    def share(self, job_id: str, addresses: list[str]) -> tuple[str, ...]:
        """Share a job and ALL its assets, then read back with whom it is shared now."""
        job = self._job(job_id)
        self._again(lambda: job.modify_sharing(add_emails=addresses))
        return self.sharing(job_id)

    def sharing(self, job_id: str) -> tuple[str, ...]:
        return tuple(map(self._call.plain, self._again(self._job(job_id).get_sharing)))

    def created(self, job_id: str) -> Created:
        return Created(job_id, self._job_url(job_id))

    def _job_url(self, job_id: str) -> str:
        return f"{self.connection.web_url.rstrip('/')}/jobs/{job_id}/"

    def _submitted(self, submit: Callable[[], Any]) -> Created:
        with only_one_post() as post:
            try:
                with self._call.calling():
                    submit()
            except Exception as error:
                created = _created_id(post)
                if created:  # what failed came after the submission
                    return self.created(created)
                raise SubmissionError(post, self._answered(post) or error) from error
        created = _created_id(post)
        if not created:
            raise RuntimeError("this version of qai_hub submits in a way that lpcv does not know")
        return self.created(created)

    def _answered(self, post: Post) -> Exception | None:
        """The sentence for what came back to the one POST; None where that is not what went wrong."""
        if post.status == 401:
            return self._call.unauthorised()
        if post.status is not None and 400 <= post.status < 500:
            return self._call.refused(post.status, post.body.decode(errors="replace"), post.retry_after_s)
        if post.status is not None and post.status >= 500:
            return self._call.unavailable(f"answers to the submission with {post.status}")
        return self._call.unavailable("did not answer to the submission") if post.sent and post.status is None else None

    def _job(self, job_id: str) -> Any:
        """The client's job; asked for once, then its status is asked for."""
        if job_id not in self._jobs:
            with self._call.calling():
                self._jobs[job_id] = self.client.get_job(job_id)
        return self._jobs[job_id]

    def _model(self, model_id: str) -> Any:
        with self._call.calling():
            return self.client.get_model(model_id)

    def _target_model(self, compile_job: str) -> Any:
        job = self._job(compile_job)
        with self._call.calling():
            model = job.get_target_model() if hasattr(job, "get_target_model") else None
        if model is None:
            raise MissingStepError(
                f"{compile_job} has no compiled model (it is a {job.job_type} job, or it has failed).",
                f"See {self._job_url(compile_job)}, or compile again.",
            )
        return model

    def _dataset(self, dataset_id: str) -> Any:
        with self._call.calling():
            return self.client.get_dataset(dataset_id)

    def _device(self, name: str) -> Any:
        return qai_hub_library().Device(name)

    def _is_there(self, ask: Callable[[], object]) -> bool:
        try:
            with self._call.calling():
                ask()
        except GoneError:
            return False
        return True

    def _download(self, folder: Path, download: Callable[[Path], str]) -> Path:
        """The client writes where it likes; what is whole is renamed into `folder` under the name that it chose."""
        folder.mkdir(parents=True, exist_ok=True)
        # a process was killed; `collect` sees to it that only one fetches a job
        for left in folder.glob(".download.*.part"):
            shutil.rmtree(left, ignore_errors=True)
        with tempfile.TemporaryDirectory(dir=folder, prefix=".download.", suffix=".part") as scratch:
            with self._call.calling():
                got = Path(download(Path(scratch)))
            wanted = folder / self.connection.without_secrets(got.name)
            with replacing(wanted) as temporary:
                got.replace(temporary)
        return wanted

    def _again(self, call: Callable[[], Answer]) -> Answer:
        """For calls that may be repeated without harm and that the client does not repeat itself."""
        for wait_s in RETRY_WAITS_S:
            try:
                with self._call.calling():
                    return call()
            except UnavailableError:
                time.sleep(wait_s)
        with self._call.calling():
            return call()


def client_version() -> str:
    from importlib.metadata import version

    return version("qai-hub")


def _created_id(post: Post) -> str | None:
    if not post.created:
        return None
    from google.protobuf.message import DecodeError
    from qai_hub.public_api_pb2 import CreateUpdateResponse

    answer = CreateUpdateResponse()
    try:
        answer.ParseFromString(post.body)
    except DecodeError:
        return None
    return answer.id or None


def _as_folder(files: tuple[Path, ...], scratch: Path) -> Path:
    """The one layout of a folder that the client takes (client.py:902): MODEL.onnx and at most one MODEL.data."""
    model, *beside = files
    if [file.suffix for file in beside] != [".data"]:
        raise InputError(
            f"{model} keeps its weights in {', '.join(file.name for file in beside)}; AI Hub takes one .data file.",
            "Save it as one file: `onnx.save(onnx.load(PATH), PATH)`.",
        )
    folder = scratch / model.stem
    folder.mkdir()
    for file in files:
        shutil.copyfile(file, folder / file.name)
    return folder
