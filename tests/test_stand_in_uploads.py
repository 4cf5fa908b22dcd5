"""Uploads that are not what was announced: too large, too small, torn, repeated, forged; and the form."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from io import BytesIO
from itertools import pairwise

import pytest
from hub_fixtures import Served, call, offline
from hypothesis import given, settings
from hypothesis import strategies as st
from lpcv.hub_jobs.stand_in.forms import FormError, _Reader
from lpcv.hub_jobs.stand_in.settings import Settings
from qai_hub import public_api_pb2 as pb


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    place = tmp_path_factory.mktemp("uploads")
    limits = Settings(part_bytes=1000, model_bytes=100_000, dataset_bytes=3000)
    with offline(place), Served(place / "hub", settings=limits) as running:
        yield running
        assert [path.name for path in place.iterdir()] == ["hub"]


def begin_model(hub: Served) -> str:
    body = pb.Model(name="../../etc/x", model_type=pb.MODEL_TYPE_ONNX).SerializeToString()
    return pb.CreateUpdateResponse.FromString(call(hub, "POST", "api/v1/models/", body)[1]).id


@pytest.mark.parametrize("size", ["", "0", "-1", "1.5", "x", "9" * 400, "100001", "%D9%A1"])
def test_sizes_that_cannot_be(hub: Served, size: str) -> None:
    status, _ = call(hub, "GET", f"api/v1/models/{begin_model(hub)}/multipart_upload/?file_size={size}")
    assert status == (413 if size == "100001" else 400)


def test_parts_that_are_not_what_was_announced(hub: Served) -> None:
    model = begin_model(hub)
    announced = call(hub, "GET", f"api/v1/models/{model}/multipart_upload/?file_size=1500")[1]
    upload = pb.FileUploadResponse.FromString(announced).multipart_url
    first, second = ("/" + url.split("/", 3)[3] for url in upload.urls)
    assert call(hub, "PUT", first, bytes(1001), token=None)[0] == 413
    assert call(hub, "PUT", first, bytes(999), token=None)[0] == 400
    assert call(hub, "PUT", first.replace("/0/", "/1/"), bytes(500), token=None)[0] == 403
    complete = f"api/v1/models/{model}/multipart_upload/"

    def finish(upload_id: str, etags: list[str]) -> int:
        message = pb.FileMultipartUploadComplete(upload_id=upload_id, etags=etags)
        return call(hub, "POST", complete, message.SerializeToString())[0]

    assert finish(upload.upload_id, []) == 400
    # a connection that breaks in the middle of a part
    with socket.create_connection(("127.0.0.1", hub.port)) as connection:
        connection.sendall(
            f"PUT {first} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1000\r\n\r\n".encode() + bytes(500)
        )
    assert call(hub, "PUT", second, bytes(500), token=None)[0] == 200
    etag = hub.hub.store.rows("SELECT etag FROM parts WHERE model = ? AND number = 1", model)[0]["etag"]
    assert finish(upload.upload_id, [etag]) == 400  # of two parts
    assert finish(upload.upload_id, ["x", etag]) == 400
    assert call(hub, "PUT", first, bytes(1000), token=None)[0] == 200
    etags = [row["etag"] for row in hub.hub.store.rows("SELECT etag FROM parts WHERE model = ? ORDER BY number", model)]
    assert finish("another", etags) == 400
    assert finish(upload.upload_id, etags) == 200
    assert finish(upload.upload_id, etags) == 200  # a repeated POST does no harm
    assert call(hub, "PUT", first, bytes(1000), token=None)[0] == 409
    assert call(hub, "GET", f"{complete}?file_size=5")[0] == 409
    assert hub.hub.store.blob(model).stat().st_size == 1500


def test_forms_that_are_not_what_was_announced(hub: Served) -> None:
    created = call(hub, "POST", "api/v1/datasets/", pb.Dataset(name="d").SerializeToString())[1]
    dataset = pb.CreateUpdateResponse.FromString(created).id
    assert call(hub, "GET", f"api/v1/datasets/{dataset}/upload_url/?file_size=3001")[0] == 413
    url = pb.FileUploadResponse.FromString(
        call(hub, "GET", f"api/v1/datasets/{dataset}/upload_url/?file_size=5")[1]
    ).url.url
    path = "/" + url.split("/", 3)[3]

    def post(body: bytes, kind: str = "multipart/form-data; boundary=b") -> int:
        return call(hub, "POST", path, body, token=None, headers={"Content-Type": kind})[0]

    def form(content: bytes, name: str = "file") -> bytes:
        head = f'Content-Disposition: form-data; name="{name}"; filename="../../../evil"'
        return b"--b\r\n" + head.encode() + b"\r\n\r\n" + content + b"\r\n--b--\r\n"

    confirm = pb.Dataset(file_upload_complete=True).SerializeToString()
    assert post(b"", "text/plain") == 400
    assert post(b"") == 400
    assert post(form(b"x", "other")) == 400
    assert post(form(b"x" * 5)[:-9]) == 400
    assert post(b"--b\r\nX: " + b"y" * 70_000) == 400
    assert post(form(bytes(3001))) == 413
    assert call(hub, "PATCH", f"api/v1/datasets/{dataset}/", confirm)[0] == 409
    assert post(form(b"first")) == 204
    assert post(form(b"again")) == 204
    assert call(hub, "PATCH", f"api/v1/datasets/{dataset}/", confirm)[0] == 200
    assert post(form(b"later")) == 409
    assert hub.hub.store.blob(dataset).read_bytes() == b"again"


@given(content=st.binary(max_size=60), cuts=st.lists(st.integers(0, 200), max_size=6), noise=st.booleans())
@settings(max_examples=150, deadline=None)
def test_a_form_is_read_alike_however_it_is_cut(content: bytes, cuts: list[int], noise: bool) -> None:
    content = content.replace(b"\r\n--b", b"") + (b"\r\n--" if noise else b"")  # nearly a boundary
    other = b'--b\r\ncontent-disposition: form-data; name="key"\r\n\r\nvalue\r\n'
    head = (
        b'--b\r\nContent-Type: application/x-hdf5\r\nContent-Disposition: form-data; name="file"; filename="x"\r\n\r\n'
    )
    body = other + head + content + b"\r\n--b--\r\nepilogue"
    stream = BytesIO()
    reader = _Reader(b"b", "file", 1000, stream)
    edges = [0, *sorted(min(cut, len(body)) for cut in cuts), len(body)]
    for start, end in pairwise(edges):
        reader.feed(body[start:end])
    assert (reader.complete, stream.getvalue(), reader.size) == (True, content, len(content))


def test_a_header_without_end_is_given_up() -> None:
    reader = _Reader(b"b", "file", 10, BytesIO())
    with pytest.raises(FormError, match="too long a header"):
        reader.feed(b"--b\r\n" + b"x" * 70_000)
