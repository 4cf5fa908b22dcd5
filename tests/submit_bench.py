"""What tests of `lpcv submit` share: a run with a small model, and the bench at which its job is compiled."""

from __future__ import annotations

import hashlib
import itertools
import json
import zipfile
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import onnx
import pytest
from hub_bench import Bench, Ended, bench_at
from lpcv import cli
from lpcv.contract import CURRENT as CONTRACT
from lpcv.runs import CHECKPOINT_KEY, Run
from lpcv.submission.bundle import probes
from lpcv.submission.bundle.pack import package
from lpcv.submission.check.findings import Finding
from onnx import TensorProto, helper

DEVICE = CONTRACT.devices[0]
ADDRESS = CONTRACT.sharing_address
WEIGHTS = b"weights of a student"
APACHE = {"name": "none: random", "licence": "Apache-2.0"}
FREE = {"data": {"licences": {"MIT": 3}}, "teacher": None, "encoder_weights": APACHE}
OF_LARGE = {"teacher": "depth-anything/Depth-Anything-V2-Large-hf", "licence": "CC-BY-NC-4.0"}
ANSWERS: dict[str, Any] = {}  # by `probed_once`
numbers = itertools.count()
WHY = "the organisers agreed by mail"


@pytest.fixture
def bench(place: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    checks_as(monkeypatch)
    return bench_at(place, tmp_path, monkeypatch)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return make_run(tmp_path / "runs" / "mine")


def passing(state: Any = "pass") -> list[Finding]:
    """Findings as the check gives them, one in that state."""
    return [Finding("runs", "pass", "it runs", "it runs", "why", "how"),
            Finding("depth, not inverse", state, "depth", "seen so", "why", "how")]  # fmt: skip


def checks_as(patched: pytest.MonkeyPatch, state: Any = "pass") -> None:
    """The pre-flight check has tests of its own; here only what it says counts."""
    probed_once(patched)
    patched.setattr("lpcv.submission.submit.plan.check_model", lambda *_: passing(state))


def probed_once(patched: pytest.MonkeyPatch) -> None:
    """What a model answers to the bundle's probe frames is asked once: those have tests of their own."""
    decoded, answers_of = cache(probes.decoded), probes.answers_of

    def answers(content: bytes, pictures: Any, called: str) -> Any:
        key = sha256(content).hexdigest()
        if key not in ANSWERS:
            ANSWERS[key] = answers_of(content, pictures, called)
        return ANSWERS[key]

    patched.setattr(probes, "decoded", decoded)
    patched.setattr(probes, "answers_of", answers)


def model(remark: str) -> onnx.ModelProto:
    """Mean of the channels / 255; another file for each remark."""
    nodes = [
        helper.make_node("Constant", [], ["axes"], value_ints=[1]),
        helper.make_node("Constant", [], ["most"], value_float=255.0),
        helper.make_node("ReduceMean", ["image", "axes"], ["grey"]),
        helper.make_node("Div", ["grey", "most"], ["output_0"]),
    ]
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, CONTRACT.input_shape)
    depth = helper.make_tensor_value_info("output_0", TensorProto.FLOAT, CONTRACT.output_shape)
    graph = helper.make_graph(nodes, "g", [image], [depth])
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    helper.set_model_props(made, {CHECKPOINT_KEY: sha256(WEIGHTS).hexdigest(), "remark": remark})
    return made


def make_run(root: Path, provenance: dict[str, Any] | None = None) -> Run:
    """A run with export, score and bundle."""
    run = Run(root)
    run.best.mkdir(parents=True)
    run.config.write_text(json.dumps({"recipe": {}, "provenance": FREE if provenance is None else provenance}))
    (run.best / "config.json").write_text(json.dumps({"working_size": [64, 48]}))
    (run.best / "model.safetensors").write_bytes(WEIGHTS)
    onnx.save(model(sha256(f"{root} {next(numbers)}".encode()).hexdigest()), run.model)
    write_score(run, 71.25)
    package(run, root / "bundle.zip")
    return run


def rows(f_score: float, number: int) -> list[dict[str, Any]]:
    """As many frames, each with that score."""
    return [{"frame": f"{frame:04d}", "f_score": f_score} for frame in range(number)]


def write_score(run: Run, f_score: float) -> None:
    """Of 24 frames, as `lpcv score` writes it, of the model as it is now."""
    made_of = sha256(run.model.read_bytes()).hexdigest()
    score = {"source": "mine", "source_sha256": made_of, "protocol": "lpcvc-2025", "frames_scored": 24}
    told = {"frames_trained_on": 0, "mean": {"f_score": f_score}, "frames": rows(f_score, 24)}
    run.score.write_text(json.dumps({**score, **told}))


def in_bundle(bundle: Path, name: str) -> Any:
    """A JSON file of a bundle."""
    with zipfile.ZipFile(bundle) as archive:
        return json.loads(archive.read(name))


def compile_run(bench: Bench, run: Run, device: str = DEVICE, *more: str) -> str:
    """The id of its finished compile job."""
    ended = bench.type("compile", run.root, "--device", device, *more)
    assert ended.code == 0, ended.err
    return str(bench.records()[-1].job_id)


def typed(*words: object) -> Ended:
    """`lpcv WORDS`, without --hub."""
    import contextlib
    import io

    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = cli.run([str(word) for word in words])
    return Ended(code, out.getvalue(), err.getvalue())


def shared_with(bench: Bench, job: str) -> list[str]:
    """What the server itself says."""
    return bench.served.hub.store.shared_with("jobs", job)


def hashes(*folders: Path) -> dict[str, str]:
    """Of every file below."""
    found = (path for folder in folders for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in found}


def planned(bench: Bench, run: Run, *words: object) -> dict[str, Any]:
    """A dry run's plan, and its lines by name."""
    path = bench.root / "plan.json"
    ended = bench.type("submit", run.root, "--dry-run", "--json", path, *words)
    plan = json.loads(path.read_text())
    assert ended.code == (1 if plan["blocked"] else 0), ended.said
    return {**plan, "lines": {item["name"]: item for item in plan["checklist"]}, "said": ended.said}
