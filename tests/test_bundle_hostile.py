"""Hostile bundles: each refused with a sentence and exit code 2, nothing written, memory bounded."""

from __future__ import annotations

import io
import json
import struct
import tracemalloc
import zipfile
import zlib
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from bundle_bench import Part, build_model, make_run, parts_of, raw_zip, with_part
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lpcv import cli
from lpcv.contract import CURRENT as CONTRACT
from lpcv.errors import InputError
from lpcv.submission.bundle import watched
from lpcv.submission.bundle.pack import run_files, with_manifest
from lpcv.submission.bundle.probes import npy_bytes, read_answer
from lpcv.submission.bundle.verify import look_into, verify
from lpcv.submission.bundle.zipping import zip_bytes
from onnx import TensorProto, helper

Files = dict[str, bytes]
MB = 2**20
KEYS = st.sampled_from(
    ["float", "emulated", "measured", "scores", "latencies", "rows", "frames", "mean", "job", "jobs"]
)
JSON_FILES = ("scores.json", "jobs.json", "provenance.json", "config.json", "probes/probes.json", "contract.json")
MODE = 16  # bits by which a Unix mode is shifted in a zip's attributes


@pytest.fixture(scope="module")
def honest(tmp_path_factory: pytest.TempPathFactory) -> Files:
    return with_manifest(run_files(make_run(tmp_path_factory.mktemp("honest") / "mine")))


def beside(*parts: Part) -> Callable[[Files], bytes]:
    """An honest bundle with more files in it."""
    return lambda files: raw_zip([*parts_of(files), *parts])


def lying(name: str = "README.txt", **lies: object) -> Callable[[Files], bytes]:
    return lambda files: raw_zip(with_part(files, name, **lies))


def around(**how: object) -> Callable[[Files], bytes]:
    return lambda files: raw_zip(parts_of(files), **how)  # type: ignore[arg-type]


def manifest(content: bytes) -> Callable[[Files], bytes]:
    return lambda files: zip_bytes({**files, "MANIFEST.json": content})


def deflated(content: bytes, name: str = "README.txt") -> Callable[[Files], bytes]:
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = packer.compress(content) + packer.flush()
    lies = {"content": packed, "method": 8, "packed": len(packed), "size": len(content), "crc": zlib.crc32(content)}
    return lying(name, **lies)


def overlapping(files: Files) -> bytes:
    """Many names for one content, as in a zip bomb without recursion: each row points to the first file."""
    first, *_ = parts_of(files)
    return raw_zip([*parts_of(files), *(Part(f"copy{index}".encode(), first.content, offset=0) for index in range(9))])


def quine(files: Files) -> bytes:
    """A file whose content is the rest of the zip, directory and all."""
    whole = raw_zip(parts_of(files))
    last = parts_of(files)[-1]
    longer = Part(last.name, last.content, size=len(last.content) + 500, packed=len(last.content) + 500)
    assert len(whole) > 500
    return raw_zip([*parts_of(files)[:-1], longer])


def zip64(files: Files) -> bytes:
    whole = raw_zip(parts_of(files))
    locator = struct.pack("<4sIQI", b"PK\x06\x07", 0, 0, 1)
    return whole[:-22] + locator + whole[-22:]


def by_zipfile(name: str, content: bytes = b"x") -> Callable[[Files], bytes]:
    """As somebody makes one with Python's own library."""

    def make(files: Files) -> bytes:
        stream = io.BytesIO(zip_bytes(files))
        with zipfile.ZipFile(stream, "a") as archive:
            archive.writestr(name, content)
        return stream.getvalue()

    return make


HOSTILE: dict[str, tuple[Callable[[Files], bytes], str]] = {
    "absolute path": (beside(Part(b"/etc/evil")), "no plain relative file name"),
    "parent": (beside(Part(b"../evil")), "leaves the folder"),
    "parent in the middle": (beside(Part(b"a/../../evil")), "leaves the folder"),
    "by zipfile": (by_zipfile("../evil"), "leaves the folder"),
    "backslash": (beside(Part(b"a\\..\\evil")), "no plain relative file name"),
    "drive letter": (beside(Part(b"C:evil")), "no plain relative file name"),
    "NUL in a name": (beside(Part(b"good.txt\0.exe")), "name that is not plain text"),
    "escape codes in a name": (beside(Part(b"\x1b[2Jgone")), "name that is not plain text"),
    "UTF-8 trick": (beside(Part("e\u0301vil\u202etxt".encode(), flags=0x800)), "name that is not plain text"),
    "overlong UTF-8": (beside(Part(b"\xc0\xae\xc0\xae/evil")), "name that is not plain text"),
    "empty name": (beside(Part(b"")), "no plain relative file name"),
    "long name": (beside(Part(b"a" * 5000)), "directory is too long|no plain relative"),
    "blank at the end": (beside(Part(b"model.onnx ")), "no plain relative file name"),
    "dot in the middle": (beside(Part(b"./model.onnx")), "no plain relative file name"),
    "folder": (beside(Part(b"folder/")), "no plain relative file name"),
    "symbolic link": (beside(Part(b"link", b"/etc/passwd", attributes=0o120777 << MODE)), "link or a special file"),
    "device": (beside(Part(b"null", attributes=0o020666 << MODE)), "link or a special file"),
    "pipe": (beside(Part(b"pipe", attributes=0o010644 << MODE)), "link or a special file"),
    "set-user-id": (beside(Part(b"run", b"x", attributes=0o104755 << MODE)), "does not write"),
    "duplicate": (beside(Part(b"model.onnx", b"other")), "occurs more than once"),
    "duplicate but for case": (beside(Part(b"MODEL.ONNX", b"other")), "occurs more than once"),
    "file and folder": (beside(Part(b"model.onnx/x", b"x")), "is a file and also the folder"),
    "encrypted": (lying(flags=0x1), "is encrypted"),
    "unknown compression": (lying(method=99), "is compressed"),
    "ratio bomb": (deflated(bytes(50 * MB)), "is compressed"),
    "deflated": (deflated(b"as it should be"), "is compressed"),
    "huge declared size": (lying(size=3 * 2**30, packed=3 * 2**30), "says that it has 3221225472 bytes"),
    "huge JSON": (lying("jobs.json", size=2**25, packed=2**25), "says that it has 33554432 bytes"),
    "sizes that differ": (lying(packed=7), "sizes packed and unpacked differ"),
    "zip64 in a row": (lying(size=0xFFFFFFFF, packed=0xFFFFFFFF, extra=struct.pack("<2HQ", 1, 8, 5)), "zip64"),
    "zip64 at the end": (zip64, "is a zip64"),
    "zip64 counts": (around(count=0xFFFF), "is a zip64"),
    "overlap": (overlapping, "overlaps the file before it"),
    "quine": (quine, "overlap its directory"),
    "too many": (beside(*(Part(f"{index}".encode()) for index in range(65))), "a bundle at most 64"),
    "fewer than counted": (around(count=60), "directory is damaged"),
    "more than counted": (around(count=3), "lists more files than the 3"),
    "other name in the header": (lying(own_name=b"EVIL-E.txt"), "another name in its own header"),
    "other size in the header": (lying(own_size=7), "another size in its own header"),
    "other version": (lying(needs=45), "does not write"),
    "extra field": (lying(extra=b"\0" * 8), "does not write"),
    "prepended": (around(prefix=b"#!/bin/sh\nrm -rf .\n"), "nothing may stand before the first file"),
    "prepended zip": (around(prefix=raw_zip([Part(b"a", b"b")])), "leaves a gap"),
    "appended": (around(suffix=b"more"), "data or a comment stands behind"),
    "not its directory": (around(offset=10), "not where its end says"),
    "checksum": (lying(crc=7), "does not agree with the zip's checksum"),
    "deep JSON": (manifest(b'{"files":' * 1 + b"[" * 200_000 + b"]" * 200_000 + b"}"), "nested too deeply"),
    "infinite number": (manifest(b'{"files": {"a": {"bytes": 1e999, "sha256": ""}}}'), "too large"),
    "endless number": (manifest(b'{"files": {"a": {"bytes": ' + b"9" * 10_000 + b', "sha256": ""}}}'), "JSON"),
    "not a number": (manifest(b'{"files": {"a": {"bytes": NaN, "sha256": ""}}}'), "no JSON"),
    "truth for a number": (manifest(b'{"files": {"a": {"bytes": true, "sha256": ""}}}'), "no list of files"),
    "no JSON": (manifest(b"\xff\xfe{"), "not readable JSON"),
    "no list": (manifest(b"[]"), "no list of files"),
    "long list": (manifest(b'{"files": {%s}}' % b",".join(b'"%d": {"bytes": 0, "sha256": ""}' % i for i in range(65))),
                  "lists 65 files"),
    "no manifest": (lambda files: zip_bytes({"a.txt": b"x"}), "has no MANIFEST.json"),
    "empty zip": (lambda files: zip_bytes({}), "has no MANIFEST.json"),
    "nothing": (lambda files: b"", "not a readable zip"),
    "not a zip": (lambda files: b"PK is not enough to be a zip" * 9, "not a readable zip"),
    "cut in half": (lambda files: zip_bytes(files)[: 10**5], "its end is missing"),
    "last byte lost": (lambda files: zip_bytes(files)[:-1], "not a readable zip"),
    "first bytes lost": (lambda files: zip_bytes(files)[50:], "does not begin like one"),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_zips_are_refused_with_a_sentence(
    name: str, honest: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    make, expected = HOSTILE[name]
    path = tmp_path / "evil.zip"
    path.write_bytes(make(honest))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=expected) as refused:
        verify(path)
    assert refused.value.remedy
    assert str(refused.value).isprintable()
    assert cli.run(["verify", str(path), "--json", str(tmp_path / "out.json")]) == 2
    assert "Traceback" not in capsys.readouterr().err
    assert [each.name for each in tmp_path.iterdir()] == ["evil.zip"]


@pytest.mark.parametrize("name", ["ratio bomb", "huge declared size", "overlap", "quine", "deep JSON", "long list"])
def test_memory_is_bounded(name: str, honest: Files, tmp_path: Path) -> None:
    path = tmp_path / "evil.zip"
    path.write_bytes(HOSTILE[name][0](honest))
    tracemalloc.start()
    try:
        with pytest.raises(InputError):
            verify(path)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 8 * MB


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "nothing.zip", tmp_path, Path("/dev/zero")):
        with pytest.raises(InputError, match="does not exist"):
            verify(path)


def picture(width: int, height: int, depth: int = 8) -> bytes:
    """The beginning of a PNG that says so, and no pixels."""
    head = struct.pack(">IIBBBBB", width, height, depth, 2, 0, 0, 0)
    chunk = struct.pack(">I", len(head)) + b"IHDR" + head
    return b"\x89PNG\r\n\x1a\n" + chunk + struct.pack(">I", zlib.crc32(chunk[4:]))


def pickled() -> bytes:
    stream = io.BytesIO()
    np.save(stream, np.array([{"evil": 1}], object), allow_pickle=True)
    return stream.getvalue()


def array(values: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, values)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("probes/noise.png", picture(100_000, 100_000), "no 8-bit RGB PNG of 640x480"),
        ("probes/noise.png", picture(640, 480, 16), "no 8-bit RGB PNG of 640x480"),
        ("probes/noise.png", picture(640, 480), "is a damaged PNG"),
        ("probes/noise.png", b"GIF89a", "no 8-bit RGB PNG of 640x480"),
        ("probes/noise.npy", pickled(), "no .npy of 30 x 40 float32"),
        ("probes/noise.npy", array(np.zeros((30, 40))), "no .npy of 30 x 40 float32"),
        ("probes/noise.npy", array(np.zeros((40, 30), np.float32)), "no .npy of 30 x 40 float32"),
        ("probes/noise.npy", array(np.full((30, 40), np.nan, np.float32)), "holds NaN"),
        ("probes/noise.npy", b"\x93NUMPY\x01\x00\xff\xff{'descr': '<f4', 'shape': (9999999999,)}", "no .npy"),
        ("probes/probes.json", b'{"frames": {}}', "lists no probe frames"),
        ("probes/probes.json", b'{"frames": {"a": {"picture": "/etc/passwd", "answer": "x"}}}', "not in the bundle"),
        ("probes/probes.json", b'{"frames": {"a": {"picture": [], "answer": {}}}}', "not in the bundle"),
        ("probes/probes.json", b"{", "not readable JSON"),
    ],
)
def test_hostile_probe_frames_are_named(
    name: str, content: bytes, expected: str, honest: Files, tmp_path: Path
) -> None:
    files = {**{key: part for key, part in honest.items() if key != "MANIFEST.json"}, name: content}
    path = tmp_path / "evil.zip"
    path.write_bytes(zip_bytes(with_manifest(files)))
    (problem,) = verify(path)
    assert expected in problem


LEAF = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=9)
)
ANYTHING = st.recursive(LEAF, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4))


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(JSON_FILES), ANYTHING, st.booleans())
def test_no_content_ends_in_a_traceback(honest: Files, tmp_path: Path, name: str, value: Any, inside: bool) -> None:
    """Whatever JSON stands in a bundle whose hashes are right: sentences."""
    content = json.loads(honest[name])
    if inside:
        content[sorted(content)[hash(str(value)) % len(content)]] = value
    files = {**{key: part for key, part in honest.items() if key != "MANIFEST.json"}}
    files[name] = json.dumps(content if inside else value).encode()
    path = tmp_path / "evil.zip"
    path.write_bytes(zip_bytes(with_manifest(files)))
    assert all(one.found.isprintable() for one in look_into(path))


def looping(turns: int, most: float = 255.0) -> Any:
    """`build_model`, whose answer is added to nothing as often as `turns` says."""
    body = helper.make_graph(
        [helper.make_node("Identity", ["go"], ["still"]), helper.make_node("Identity", ["held"], ["kept"])], "body",
        [helper.make_tensor_value_info("i", TensorProto.INT64, []),
         helper.make_tensor_value_info("go", TensorProto.BOOL, []),
         helper.make_tensor_value_info("held", TensorProto.FLOAT, CONTRACT.output_shape)],
        [helper.make_tensor_value_info("still", TensorProto.BOOL, []),
         helper.make_tensor_value_info("kept", TensorProto.FLOAT, CONTRACT.output_shape)],
    )  # fmt: skip
    model = build_model(output_name="grey_map", most=most)
    model.graph.node.append(helper.make_node("Constant", [], ["turns"], value_int=turns))
    model.graph.node.append(helper.make_node("Loop", ["turns", "", "grey_map"], ["output_0"], body=body))
    model.graph.output[0].name = "output_0"
    onnx.checker.check_model(model)
    return model


def claimed(files: Files, model: Any, path: Path) -> Path:
    """A bundle that holds another model and says that it is the one; only the probe frames contradict."""
    content = model.SerializeToString()
    digest = sha256(content).hexdigest()
    scores, told = json.loads(files["scores.json"]), json.loads(files["provenance.json"])
    scores["float"]["source_sha256"] = digest
    scored = json.dumps(scores).encode()
    told |= {"model_sha256": digest, "scores_sha256": sha256(scored).hexdigest()}
    changed = {"model.onnx": content, "scores.json": scored, "provenance.json": json.dumps(told).encode()}
    kept = {key: part for key, part in files.items() if key != "MANIFEST.json"}
    path.write_bytes(zip_bytes(with_manifest({**kept, **changed})))
    return path


def test_a_model_that_runs_for_ever_is_stopped_and_fails(
    honest: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watched, "SECONDS", 1.0)
    path = claimed(honest, looping(2**62), tmp_path / "evil.zip")
    (problem,) = verify(path)
    assert "model.onnx did not answer on 4 probe frames within 1 s, and was stopped" in problem
    assert cli.run(["verify", str(path)]) == 1


def test_a_model_with_a_loop_that_ends_is_run_and_compared(honest: Files, tmp_path: Path) -> None:
    assert verify(claimed(honest, looping(3), tmp_path / "same.zip")) == []
    problems = verify(claimed(honest, looping(3, most=250.0), tmp_path / "other.zip"))
    assert len(problems) == 4
    assert all("the model differs by 0.0" in problem for problem in problems)


def test_a_model_that_wants_all_memory_is_refused(honest: Files, tmp_path: Path) -> None:
    """A quadrillion of numbers, asked for within a loop's body."""
    model = looping(1)
    body = model.graph.node[-1].attribute[0].g
    body.node.extend([
        helper.make_node("Constant", [], ["shape"], value_ints=[10**6, 10**9]),
        helper.make_node("ConstantOfShape", ["shape"], ["huge"]),
        helper.make_node("ReduceMax", ["huge"], ["one"], keepdims=0),
        helper.make_node("Add", ["one", "held"], ["sum"]),
    ])  # fmt: skip
    body.node[1].input[0] = "sum"
    nodes = [body.node[0], *body.node[2:], body.node[1]]
    kept = [onnx.NodeProto.FromString(node.SerializeToString()) for node in nodes]
    del body.node[:]
    body.node.extend(kept)
    (problem,) = verify(claimed(honest, model, tmp_path / "evil.zip"))
    assert "could not be run" in problem


@pytest.mark.parametrize(("scale", "gap", "said"), [(20, 5e-4, "pass"), (2000, 0.1, "pass"), (2000, 0.3, "fail")])
def test_probe_frames_are_always_spoken_of(scale: float, gap: float, said: str, honest: Files, tmp_path: Path) -> None:
    """Answers far above 1, that differ from the stored ones by more than 1e-4 and less than is allowed, or by more."""
    files = dict(honest)
    for name in honest:
        if name.endswith(".npy"):
            answer = read_answer(honest[name], name).astype(np.float64)
            files[name] = npy_bytes((answer * scale + gap).astype(np.float32))
    path = claimed(files, build_model(most=255.0 / scale), tmp_path / "b.zip")
    states = [one.state for one in look_into(path) if one.name == "probe frames"]
    assert states == [said] * (1 if said == "pass" else 4)
