"""Bundles: the same bytes each time, nothing of the machine inside, tampering named, unsafe archives refused."""

from __future__ import annotations

import json
import os
import shutil
import zipfile
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lpcv.contract import CURRENT as CONTRACT
from lpcv.errors import InputError, MissingStepError
from lpcv.runs import CHECKPOINT_KEY, Run
from lpcv.submission.bundle import pack as packing
from lpcv.submission.bundle.pack import REQUIRED, package, run_files, with_manifest, zip_bytes
from lpcv.submission.bundle.scrub import scrub
from lpcv.submission.bundle.verify import MOST_FILES, verify
from onnx import TensorProto, helper

PRIVATE = "annlee"
WEIGHTS = b"weights of a student"


def build_model(checkpoint: bytes = WEIGHTS, output_name: str = "output_0", **metadata: str) -> onnx.ModelProto:
    """Mean of the channels / 255."""
    nodes = [
        helper.make_node("Constant", [], ["axes"], value_ints=[1]),
        helper.make_node("Constant", [], ["most"], value_float=255.0),
        helper.make_node("ReduceMean", ["image", "axes"], ["grey"]),
        helper.make_node("Div", ["grey", "most"], [output_name]),
    ]
    graph = helper.make_graph(
        nodes, "g", [helper.make_tensor_value_info("image", TensorProto.FLOAT, CONTRACT.input_shape)],
        [helper.make_tensor_value_info(output_name, TensorProto.FLOAT, CONTRACT.output_shape)],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    props = {
        CHECKPOINT_KEY: sha256(checkpoint).hexdigest(),
        "lpcv_version": "9.8.7",
        "torch_version": "6.5",
        **metadata,
    }
    helper.set_model_props(model, props)
    return model


CONFIG = {
    "recipe": {"name": "small", "optim": {"steps": 5}},
    "inputs": {"data": f"{PRIVATE}/frames", "frames": "0000-0016", "validation": f"C:\\Users\\{PRIVATE}\\held out",
               "labels": f"/home/{PRIVATE}/labels/teacher-1"},
    "provenance": {
        "git_sha": "a" * 40,
        "data": {"sha256": "d" * 64, "licences": {"MIT": 3}, "sources": [f"recorded to /home/{PRIVATE}/phone by hand"]},
        "teacher": {"teacher": "depth-anything/Depth-Anything-V2-Large-hf", "licence": "CC-BY-NC-4.0"},
        "encoder_weights": {"source": f"~{PRIVATE}/w/imagenet.pth", "licence": "BSD-3-Clause"},
    },
}  # fmt: skip


def make_run(root: Path) -> Run:
    run = Run(root)
    run.best.mkdir(parents=True)
    run.config.write_text(json.dumps(CONFIG))
    (run.best / "config.json").write_text(json.dumps({"working_size": [64, 48]}))
    (run.best / "model.safetensors").write_bytes(WEIGHTS)
    onnx.save(build_model(), run.model)
    write_score(run)
    return run


def write_score(run: Run) -> None:
    score = {"source": str(run.root), "source_sha256": sha256(run.model.read_bytes()).hexdigest(), "mean": {"mae": 0.5}}
    run.score.write_text(json.dumps(score))


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return make_run(tmp_path / f"home-of-{PRIVATE}" / "mine")


def bundled(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_a_bundle_holds_what_it_should_and_verifies(run: Run, tmp_path: Path) -> None:
    files = bundled(package(run, tmp_path / "bundle.zip"))
    assert set(files) == {*REQUIRED, "score.json", "MANIFEST.json"}
    assert files["model.onnx"] == run.model.read_bytes()
    provenance = json.loads(files["provenance.json"])
    assert provenance["export"]["lpcv_version"] == "9.8.7"
    assert provenance["export"]["torch_version"] == "6.5"
    assert provenance["export"]["onnxruntime_version"] == "not recorded"
    assert provenance[CHECKPOINT_KEY] == sha256(WEIGHTS).hexdigest()
    assert provenance["training"]["git_sha"] == "a" * 40
    assert provenance["data"]["sha256"] == "d" * 64
    licences = json.loads(files["licences.json"])
    assert (licences["teacher"], licences["encoder_weights"]) == ("CC-BY-NC-4.0", "BSD-3-Clause")
    assert licences["data"] == {"MIT": 3}
    assert json.loads(files["contract.json"])["input_name"]["value"] == CONTRACT.input_name
    for name, row in json.loads(files["MANIFEST.json"])["files"].items():
        assert row == {"bytes": len(files[name]), "sha256": sha256(files[name]).hexdigest()}
    assert verify(tmp_path / "bundle.zip") == []


def test_two_packagings_are_byte_identical_wherever_and_whenever(run: Run, tmp_path: Path) -> None:
    first = package(run, tmp_path / "one.zip").read_bytes()
    elsewhere = tmp_path / "another" / run.root.name
    shutil.copytree(run.root, elsewhere)
    for path in elsewhere.rglob("*"):
        os.utime(path, (1e9, 1e9))
        if path.is_file():
            path.chmod(0o600)
    assert package(Run(elsewhere), tmp_path / "deep" / "two.zip").read_bytes() == first
    assert package(run, tmp_path / "one.zip").read_bytes() == first


def test_nothing_of_the_machine_is_inside(run: Run, tmp_path: Path) -> None:
    files = bundled(package(run, tmp_path / "bundle.zip"))
    assert not [name for name, content in files.items() if PRIVATE.encode() in content]
    assert not [name for name, content in files.items() if str(tmp_path).encode() in content]
    inputs = json.loads(files["config.json"])["inputs"]
    assert inputs == {"data": "frames", "frames": "0000-0016", "validation": "held out", "labels": "teacher-1"}
    config = json.loads(files["config.json"])
    assert config["provenance"]["teacher"]["teacher"] == "depth-anything/Depth-Anything-V2-Large-hf"
    assert config["provenance"]["data"]["sources"] == ["recorded to phone by hand"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/home/ann lee/my frames", "my frames"),
        ("C:\\Users\\ann\\frames", "frames"),
        ("\\\\server\\ann\\frames", "frames"),
        ("file:///home/ann/frames", "frames"),
        ("~/frames/", "frames"),
        ("train --data /home/ann/x --val ~/y/z", "train --data x --val z"),
        ("owner/model-hf", "owner/model-hf"),
        ("https://example.org/a/b", "https://example.org/a/b"),
        ("indoor / outdoor, 0/1/2, and/or", "indoor / outdoor, 0/1/2, and/or"),
        ("a: b", "a: b"),
    ],
)
def test_absolute_paths_are_cut_to_their_last_component(text: str, expected: str) -> None:
    assert scrub({"key": [text]}) == {"key": [expected]}


FOLDER = st.text("abz0-_ .", min_size=1, max_size=8).filter(lambda name: name.strip(" .") == name)


@given(
    st.sampled_from(["/", "/home/", "C:\\", "~/", "file:///", "\\\\server\\"]), st.lists(FOLDER, max_size=3), FOLDER,
    st.sampled_from(["inputs", "key"]),
)  # fmt: skip
def test_no_folder_of_an_absolute_path_survives(prefix: str, folders: list[str], last: str, key: str) -> None:
    slash = "\\" if "\\" in prefix else "/"
    assert scrub({key: prefix + slash.join([PRIVATE, *folders, last])}) == {key: last}


def test_a_run_without_a_fresh_export_is_refused(run: Run, tmp_path: Path) -> None:
    out = tmp_path / "bundle.zip"
    (run.best / "model.safetensors").write_bytes(b"newer weights")
    with pytest.raises(MissingStepError, match=r"lpcv export .* again"):
        package(run, out)
    run.model.unlink()
    with pytest.raises(MissingStepError, match=r"no model\.onnx yet"):
        package(run, out)
    assert not out.exists()


def test_the_score_of_another_model_is_refused(run: Run, tmp_path: Path) -> None:
    onnx.save(build_model(torch_version="7.0"), run.model)
    with pytest.raises(MissingStepError, match="score of another model"):
        package(run, tmp_path / "bundle.zip")
    run.score.unlink()
    assert "score.json" not in bundled(package(run, tmp_path / "bundle.zip"))


def test_a_model_that_tells_where_it_was_exported_is_refused(run: Run, tmp_path: Path) -> None:
    model = build_model()
    model.graph.node[2].metadata_props.add(
        key="stack_trace", value=f'File "/home/{PRIVATE}/net.py", line 3, in forward'
    )
    onnx.save(model, run.model)
    run.score.unlink()
    with pytest.raises(InputError, match="stack traces"):
        package(run, tmp_path / "bundle.zip")


def test_missing_provenance_is_called_not_recorded(run: Run, tmp_path: Path) -> None:
    run.config.write_text(json.dumps({"recipe": {}}))
    files = bundled(package(run, tmp_path / "bundle.zip"))
    assert json.loads(files["licences.json"])["teacher"] == "not recorded"
    assert json.loads(files["provenance.json"])["training"]["git_sha"] == "not recorded"
    run.config.write_text(json.dumps({"provenance": {"teacher": None}}))
    files = bundled(package(run, tmp_path / "bundle.zip"))
    assert json.loads(files["provenance.json"])["teacher"] == "none: trained without a teacher"


@pytest.mark.parametrize("name", [*REQUIRED, "score.json"])
def test_every_changed_lost_or_added_file_is_named(name: str, run: Run, tmp_path: Path) -> None:
    path = tmp_path / "bundle.zip"
    files = with_manifest(run_files(run))
    same_length = files[name][:-1] + bytes([files[name][-1] ^ 1])
    for changed in (same_length, files[name] + b" "):
        path.write_bytes(zip_bytes({**files, name: changed}))
        assert [name in problem for problem in verify(path)] == [True]
    path.write_bytes(zip_bytes({key: content for key, content in files.items() if key != name}))
    assert verify(path) == [f"{name} is missing."]
    path.write_bytes(zip_bytes({**files, "extra.txt": b"x"}))
    assert verify(path) == ["extra.txt is not listed in MANIFEST.json."]


@pytest.mark.parametrize("manifest", [None, b"", b"{", b"[]", b'{"files": 3}', b'{"files": {"a": 1}}'])
def test_a_damaged_manifest_is_named(manifest: bytes | None, run: Run, tmp_path: Path) -> None:
    files = run_files(run) if manifest is None else {**run_files(run), "MANIFEST.json": manifest}
    (tmp_path / "bundle.zip").write_bytes(zip_bytes(files))
    (problem,) = verify(tmp_path / "bundle.zip")
    assert "MANIFEST.json" in problem


def external_model() -> bytes:
    model = build_model()
    table = model.graph.initializer.add(name="t", data_type=TensorProto.FLOAT, dims=[1])
    table.data_location = TensorProto.EXTERNAL
    table.external_data.add(key="location", value="../secret.bin")
    return model.SerializeToString()


def replaced_model(content: bytes) -> Callable[[dict[str, bytes]], dict[str, bytes]]:
    def change(files: dict[str, bytes]) -> dict[str, bytes]:
        provenance = {**json.loads(files["provenance.json"]), "model_sha256": sha256(content).hexdigest()}
        kept = {name: part for name, part in files.items() if name != "score.json"}
        return {**kept, "model.onnx": content, "provenance.json": json.dumps(provenance).encode()}

    return change


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (replaced_model(build_model(output_name="depth").SerializeToString()), "output name"),
        (replaced_model(build_model(b"other weights").SerializeToString()), "names the checkpoint"),
        (replaced_model(b"no model at all"), "not an ONNX model"),
        (replaced_model(external_model()), "outside the bundle"),
        (lambda files: {**files, "provenance.json": b"[]"}, "names the checkpoint"),
        (lambda files: {**files, "score.json": b'{"source_sha256": "0"}'}, "score of another model"),
        (lambda files: {**files, "contract.json": b"{}"}, "names no edition"),
        (lambda files: {**files, "contract.json": files["contract.json"].replace(b"640", b"641")}, "differs"),
    ],
)
def test_a_bundle_that_is_whole_but_contradicts_itself(
    change: Callable[[dict[str, bytes]], dict[str, bytes]], expected: str, run: Run, tmp_path: Path
) -> None:
    (tmp_path / "bundle.zip").write_bytes(zip_bytes(with_manifest(change(run_files(run)))))
    assert any(expected in problem for problem in verify(tmp_path / "bundle.zip"))


def entry(name: str, mode: int = 0o100644, compress: int = zipfile.ZIP_STORED) -> zipfile.ZipInfo:
    made = zipfile.ZipInfo("x")
    made.filename = name  # after the constructor, which tidies names up
    made.create_system, made.external_attr, made.compress_type = 3, mode << 16, compress
    return made


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        ([(entry("../evil"), b"x")], "plain relative|leaves"),
        ([(entry("a/../../evil"), b"x")], "leaves"),
        ([(entry("/etc/evil"), b"x")], "plain relative"),
        ([(entry("C:\\evil"), b"x")], "plain relative"),
        ([(entry("a\\..\\evil"), b"x")], "plain relative"),
        ([(entry("folder/"), b"")], "plain relative"),
        ([(entry("link", 0o120777), b"/etc/passwd")], "link"),
        ([(entry("pipe", 0o010644), b"")], "special file"),
        ([(entry("twice"), b"1"), (entry("twice"), b"2")], "more than once"),
        ([(entry("Twice"), b"1"), (entry("twice"), b"2")], "more than once"),
        ([(entry("bomb", compress=zipfile.ZIP_DEFLATED), bytes(10**6))], "200 times"),
        ([(entry("odd", compress=zipfile.ZIP_LZMA), b"x" * 99)], "compressed in a way"),
        ([(entry(f"{index}"), b"") for index in range(MOST_FILES + 1)], "at most 64"),
    ],
)
def test_unsafe_archives_are_refused(
    entries: list[tuple[zipfile.ZipInfo, bytes]], expected: str, run: Run, tmp_path: Path
) -> None:
    path = package(run, tmp_path / "bundle.zip")
    with zipfile.ZipFile(path, "a") as archive:
        for made, content in entries:
            archive.writestr(made, content)
    with pytest.raises(InputError, match=expected):
        verify(path)


def test_declared_sizes_beyond_the_limit_are_refused_unread(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = package(run, tmp_path / "bundle.zip")
    monkeypatch.setattr("lpcv.submission.bundle.verify.MOST_OTHER_BYTES", 10)
    with pytest.raises(InputError, match="at most 10 are allowed"):
        verify(path)


def test_encrypted_entries_are_refused(run: Run, tmp_path: Path) -> None:
    path = package(run, tmp_path / "bundle.zip")
    content = bytearray(path.read_bytes())
    content[content.index(b"PK\x01\x02") + 8] |= 1  # general purpose flags of the first entry in the directory
    path.write_bytes(content)
    with pytest.raises(InputError, match="encrypted"):
        verify(path)


def test_what_is_no_zip_or_is_cut_off_is_refused(run: Run, tmp_path: Path) -> None:
    whole = package(run, tmp_path / "bundle.zip").read_bytes()
    path = tmp_path / "part.zip"
    for content in (b"", b"PK", b"not a zip", whole[:100], whole[: len(whole) // 2], whole[:-1], whole[50:]):
        path.write_bytes(content)
        with pytest.raises(InputError, match="readable zip"):
            verify(path)
    with pytest.raises(InputError, match="does not exist"):
        verify(tmp_path / "nothing.zip")


@pytest.fixture(scope="module")
def whole_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("fuzz")
    return package(make_run(root / "run"), root / "bundle.zip")


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_no_damage_ends_in_a_traceback(whole_bundle: Path, data: st.DataObject) -> None:
    """Any few bytes changed: sentences, or InputError, never another exception; content is never accepted changed."""
    content = bytearray(whole_bundle.read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = whole_bundle.with_name("damaged.zip")
    path.write_bytes(content)
    try:
        problems = verify(path)
    except InputError:
        return
    if not problems:
        assert bundled(path) == bundled(whole_bundle)


def test_the_readme_names_every_file_of_the_bundle() -> None:
    assert all(name in packing.TEXT for name in (*REQUIRED, "score.json", "MANIFEST.json") if name != "README.txt")
