"""The stand-in under requests that no client of goodwill sends: clear status codes, no crash, nothing outside."""

from __future__ import annotations

import asyncio
import re
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hub_fixtures import S24, Served, call, offline, small_model
from hypothesis import given, settings
from hypothesis import strategies as st
from lpcv.hub_jobs.stand_in.settings import Settings
from qai_hub import public_api_pb2 as pb

LIMITS = Settings(part_bytes=1000, model_bytes=100_000, dataset_bytes=3000, message_bytes=2000)
OWN_FILES = re.compile(
    r"(client\.ini|identity\.json|server\.(json|lock)|stand_in\.sqlite(-wal|-shm)?|blobs/[md][a-z0-9]{7}(\.zip|\.npu\.onnx)?"
    r"|jobs/jlocal[a-z0-9]{7}/((\d+/)?(order|result)\.json|(\d+/)?log\.txt|(\d+/)?(source|model|npu)\.onnx|(trace|npu)\.json)"
    r"|npu/[0-9a-f]{64}/[a-z_]+\.(txt|json|onnx|bin))"
)


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    place = tmp_path_factory.mktemp("hostile")
    with offline(place), Served(place / "hub", settings=LIMITS) as running:
        yield running
        assert [path.name for path in place.iterdir()] == ["hub"]
        for path in running.root.rglob("*"):
            assert path.is_dir() or OWN_FILES.fullmatch(path.relative_to(running.root).as_posix()), path


@pytest.fixture(autouse=True)
def still_there(hub: Served) -> Iterator[None]:
    """After each test the server answers as ever."""
    yield
    assert call(hub, "GET", "api/v1/devices/?name=&os=&select=False")[0] == 200


@pytest.fixture(scope="module")
def uploaded(hub: Served, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The id of a model that can be compiled."""
    return hub.client().upload_model(str(small_model(tmp_path_factory.mktemp("m") / "m.onnx"))).model_id


def raw(hub: Served, request: bytes) -> int:
    """The status of whatever is sent; 0 where the server only closes the connection."""
    with socket.create_connection(("127.0.0.1", hub.port), timeout=30) as connection:
        connection.sendall(request)
        line = connection.makefile("rb").readline()
    return int(line.split()[1]) if line else 0


ENDPOINTS = [
    ("GET", "api/v1/devices/"), ("GET", "api/v1/frameworks/"), ("GET", "api/v1/users/auth/user/"),
    ("POST", "api/v1/models/"), ("GET", "api/v1/models/"), ("GET", "api/v1/models/m/"),
    ("GET", "api/v1/models/m/multipart_upload/"), ("POST", "api/v1/models/m/multipart_upload/"),
    ("GET", "api/v1/models/m/download/"), ("POST", "api/v1/datasets/"), ("GET", "api/v1/datasets/"),
    ("PATCH", "api/v1/datasets/d/"), ("GET", "api/v1/datasets/d/upload_url/"),
    ("GET", "api/v1/datasets/d/download_data/"),
    ("POST", "api/v1/jobs/"), ("GET", "api/v1/jobs/"), ("GET", "api/v1/jobs/j/"), ("PATCH", "api/v1/jobs/j/"),
    ("GET", "api/v1/jobs/j/result/"), ("GET", "api/v1/jobs/j/device_runs/latest/artifact_list/5/"),
    ("GET", "api/v1/job_summaries/"), ("PATCH", "api/v1/jobs/j/shared_access/"), ("GET", "private/lease/"),
    ("GET", "api/v1/nothing/"), ("GET", "api/"),
]  # fmt: skip


@pytest.mark.parametrize(("method", "path"), ENDPOINTS)
def test_without_the_token_nothing(hub: Served, method: str, path: str) -> None:
    for token in (None, "wrong", hub.token[:-1], hub.token + "x"):
        status, body = call(hub, method, path, token=token)
        assert status == 401
        assert b"token" in body
        assert hub.token.encode() not in body
    for header in ("", hub.token, f"Bearer {hub.token}", "token", "token é".encode().decode("latin-1")):
        assert call(hub, method, path, token=None, headers={"Authorization": header})[0] == 401


@pytest.mark.parametrize(
    "path",
    [
        "/", "/api/v1/devices/", "/0123456789abcdef0123/api/v1/devices/", "//etc/passwd", "/../../etc/passwd",
        "/%2e%2e/%2e%2e/etc/passwd", "/*", "/%00", "/%ff%fe",
    ],
)  # fmt: skip
def test_another_instance_is_nothing(hub: Served, path: str) -> None:
    assert call(hub, "GET", path)[0] == 404


@pytest.mark.parametrize(
    "path",
    [
        "../identity.json", "..%2fidentity.json", "api/v1/models/..%2f..%2fidentity.json/", "api/v1/models/../../x/",
        "api/v1/models/%2e%2e/download/", "api/v1/models/%00/", "api/v1/models/m%0d%0aX:y/", "api/v1/jobs/%C3%A9/",
        "api/v1/jobs/..\\..\\x/", "api/v1/etc/passwd/shared_access/", "api/v1/models/' OR 1=1 --/".replace(" ", "%20"),
        "blob/get/jobs/..%2f..%2fidentity.5/9999999999/0", "blob/get/models/..%2f..%2f..%2fetc%2fpasswd/9999999999/0",
        "jobs/..%2f..%2fx/", "models/<script>/", f"api/v1/jobs/{'j' * 5000}/",
        "api/v1/jobs/j/device_runs/latest/artifact_list/" + "9" * 5000 + "/", "api/v1/devices", "api/v1//devices/",
    ],
)  # fmt: skip
def test_paths_lead_nowhere(hub: Served, path: str) -> None:
    for method in ("GET", "PATCH", "DELETE", "PUT"):
        status, body = call(hub, method, path)
        assert status in (400, 403, 404, 405)
        assert b"signing_key" not in body


def test_signed_addresses_cannot_be_forged_or_turned(hub: Served, uploaded: str) -> None:
    url = pb.FileDownloadResponse.FromString(call(hub, "GET", f"api/v1/models/{uploaded}/download/")[1]).url.url
    path = "/" + url.split("/", 3)[3]
    assert call(hub, "GET", path, token=None)[0] == 200
    *before, until, signature = path.split("/")
    for changed in (
        [*before, until, "0" * len(signature)],
        [*before, str(int(until) + 1), signature],
        [*before, until, ""],
        [*before, "x", signature],
        [*before[:-1], "m0000000", until, signature],
        [*before[:-2], "datasets", uploaded, until, signature],
    ):
        assert call(hub, "GET", "/".join(changed), token=None)[0] in (403, 404)
    for method in ("PUT", "POST", "DELETE"):
        assert call(hub, method, path, b"x", token=None)[0] == 405
    old = int(time.time()) - 1
    late = f"blob/get/models/{uploaded}/{old}/{hub.hub.identity.sign('get', 'models', uploaded, old)}"
    status, body = call(hub, "GET", late, token=None)
    assert (status, b"too old" in body) == (403, True)


POSTS = [(method, path) for method, path in ENDPOINTS if method in ("POST", "PATCH")]


@pytest.mark.parametrize(("method", "path"), POSTS)
@pytest.mark.parametrize("body", [b"\xff\xff\xff", b"\x0a\xff\x01", b"\x0a\x02\xff\xfe", b"{}", b"\x00" * 50])
def test_malformed_messages(hub: Served, method: str, path: str, body: bytes) -> None:
    status, answered = call(hub, method, path, body)
    assert status in (400, 404)
    assert b'"detail"' in answered


@given(body=st.binary(max_size=400), endpoint=st.sampled_from(POSTS))
@settings(max_examples=60, deadline=None)
def test_random_messages_never_break_it(hub: Served, body: bytes, endpoint: tuple[str, str]) -> None:
    assert call(hub, *endpoint, body)[0] < 500


@pytest.mark.parametrize(("method", "path"), POSTS)
def test_messages_that_are_too_large(hub: Served, method: str, path: str) -> None:
    assert call(hub, method, path, bytes(2001))[0] == 413
    assert call(hub, method, path, bytes(3_000_000))[0] == 413
    assert call(hub, method, path, iter([bytes(1000)] * 10))[0] == 413
    # announced, never sent: refused before anything is read
    line = f"{method} /{hub.hub.identity.instance}/{path} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
    head = f"{line}Authorization: token {hub.token}\r\nContent-Length: 99999999999\r\n\r\n"
    assert raw(hub, head.encode()) == 413


@pytest.mark.parametrize(
    "query",
    [
        "models/?limit=-1", "models/?limit=x", "models/?limit=1001", "models/?limit=%C2%B2",
        "models/?offset=99999999999999999999",
        "datasets/?limit=1e3", "job_summaries/?state=x", "job_summaries/?state=1,,2", "job_summaries/?type=nonsense",
        "job_summaries/?offset=-5", "devices/?select=maybe", "devices/?os=[12", "devices/?os=[a,b)",
    ],
)  # fmt: skip
def test_queries_that_mean_nothing(hub: Served, query: str) -> None:
    status, body = call(hub, "GET", f"api/v1/{query}")
    assert status == 400
    assert b'"detail"' in body


def compile_message(model: str, **changes: Any) -> bytes:
    device = pb.DeviceList(devices=[pb.Device(name=changes.pop("device", S24))])
    job = pb.CompileJob(model=pb.Model(model_id=model), devices=device, **changes)
    return pb.Job(compile_job=job).SerializeToString()


def types(*shape: int, dtype: Any = pb.TENSOR_DTYPE_FLOAT32) -> pb.NamedTensorTypeList:
    return pb.NamedTensorTypeList(
        types=[pb.NamedTensorType(name="x", tensor_type=pb.TensorType(shape=shape, dtype=dtype))]
    )


def test_jobs_that_are_not_taken(hub: Served, uploaded: str) -> None:
    before = hub.submissions()
    begun = pb.Model(name="x", model_type=pb.MODEL_TYPE_ONNX).SerializeToString()
    unfinished = pb.CreateUpdateResponse.FromString(call(hub, "POST", "api/v1/models/", begun)[1]).id
    inference = pb.InferenceJob(model=pb.Model(model_id=uploaded), device=pb.Device(name=S24))
    bad: list[tuple[bytes, int]] = [
        (b"", 400),
        (pb.Job(hub_version="x").SerializeToString(), 400),
        (compile_message("m0000000"), 404),
        (compile_message("../../x"), 404),
        (compile_message("m" * 1000), 404),
        (compile_message(unfinished), 400),
        (compile_message(uploaded, device="Nobody's phone"), 400),
        (compile_message(uploaded, name="n" * 600), 400),
        (compile_message(uploaded, tensor_type_list=types(1, 0)), 400),
        (compile_message(uploaded, tensor_type_list=types(-1)), 400),
        (compile_message(uploaded, tensor_type_list=types(2**62)), 400),
        (compile_message(uploaded, tensor_type_list=types(1, dtype=pb.TENSOR_DTYPE_UNSPECIFIED)), 400),
        (compile_message(uploaded, calibration_dataset=pb.Dataset(dataset_id="d0000000")), 404),
        (pb.Job(compile_job=pb.CompileJob(model=pb.Model(model_id=uploaded))).SerializeToString(), 400),
        (pb.Job(inference_job=inference).SerializeToString(), 400),
        (pb.Job(link_job=pb.LinkJob()).SerializeToString(), 400),
        (pb.Job(profile_job=pb.ProfileJob()).SerializeToString(), 400),
    ]
    for body, status in bad:
        assert call(hub, "POST", "api/v1/jobs/", body)[0] == status, pb.Job.FromString(body)
    assert hub.submissions() == before


def test_another_name_for_this_machine_is_refused(hub: Served) -> None:
    """A page of the internet may make its own name mean 127.0.0.1, and then ask here with the reader's browser."""
    for host in ("evil.example", f"evil.example:{hub.port}", "127.0.0.1.evil.example", ""):
        assert call(hub, "GET", "api/v1/devices/", headers={"Host": host})[0] == 403
    assert call(hub, "GET", "api/v1/devices/", headers={"Host": f"localhost:{hub.port}"})[0] == 200


def test_what_is_hardly_http(hub: Served) -> None:
    instance = hub.hub.identity.instance
    for request in (
        b"\x00\x01\x02\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        f"GET /{instance}/ HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: -5\r\n\r\n".encode(),
        f"GET /{instance}/ HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: x\r\n\r\n".encode(),
        b"CONNECT 127.0.0.1:1 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    ):
        assert raw(hub, request) in (0, 400, 403, 404, 405, 431)


def test_two_hundred_at_once(hub: Served, uploaded: str) -> None:
    """Every one is answered; nothing is lost or mixed up."""
    held = hub.submissions()

    async def ask(index: int) -> tuple[int, bytes]:
        reader, writer = await asyncio.open_connection("127.0.0.1", hub.port)
        body = pb.Dataset(name=f"number {index}").SerializeToString()
        writer.write(
            f"POST /{hub.hub.identity.instance}/api/v1/datasets/ HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n"
            f"Authorization: token {hub.token}\r\nContent-Length: {len(body)}\r\n\r\n".encode()
            + body
        )
        answered = await reader.read()
        writer.close()
        head, _, content = answered.partition(b"\r\n\r\n")
        return int(head.split()[1]), content

    async def all_at_once() -> list[tuple[int, bytes]]:
        return await asyncio.gather(*(ask(index) for index in range(200)))

    answers = asyncio.run(all_at_once())
    assert {status for status, _ in answers} == {200}
    ids = [pb.CreateUpdateResponse.FromString(content).id for _, content in answers]
    assert len(set(ids)) == 200
    names = {hub.hub.store.get("datasets", one)["name"] for one in ids}  # type: ignore[index]
    assert names == {f"number {index}" for index in range(200)}
    # and held requests do not keep others from being answered
    with ThreadPoolExecutor(24) as pool:
        wanted = [f"api/v1/models/{uploaded}/", "api/v1/jobs/j/", "api/v1/devices/?select=True"] * 24
        assert {status for status, _ in pool.map(lambda path: call(hub, "GET", path), wanted)} == {200, 404}
    assert hub.submissions() == held


def test_it_listens_on_loopback_only_and_keeps_its_secrets(hub: Served) -> None:
    assert hub.url.startswith("http://127.0.0.1:")
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.2", hub.port), timeout=5)
    for name in ("client.ini", "identity.json", "server.json"):
        assert (hub.root / name).stat().st_mode & 0o077 == 0
    assert hub.root.stat().st_mode & 0o077 == 0
    for path in hub.root.rglob("*"):
        if path.is_file() and path.name not in ("client.ini", "identity.json"):
            assert hub.token.encode() not in path.read_bytes()


def test_what_a_client_calls_things_is_only_ever_text(hub: Served, uploaded: str) -> None:
    name = "../../x<script>\"'\x00\n.onnx"
    created = call(hub, "POST", "api/v1/jobs/", compile_message(uploaded, name=name, options="--target_runtime tflite"))
    job = pb.CreateUpdateResponse.FromString(created[1]).id
    call(hub, "GET", f"api/v1/jobs/{job}/")
    message = pb.Job.FromString(call(hub, "GET", f"api/v1/jobs/{job}/")[1]).compile_job
    assert (message.name, message.job_state) == (name, pb.JOB_STATE_DONE)
    url = call(hub, "GET", f"api/v1/models/{message.target_model.model_id}/download/")[1]
    assert pb.FileDownloadResponse.FromString(url).url.filename == "x_script_onnx_stand_in.onnx"
    page = call(hub, "GET", f"jobs/{job}/", token=None)[1]
    assert b"<script>" not in page
