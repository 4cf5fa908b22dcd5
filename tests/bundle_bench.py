"""What tests of bundles share: a run with a small model, a ledger, and a hand that writes any zip."""

from __future__ import annotations

import json
import struct
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import onnx
from lpcv.contract import CURRENT as CONTRACT
from lpcv.files import sha256_file, sha256_files
from lpcv.hub_folder import HubFolder
from lpcv.hub_jobs.ledger import Ledger
from lpcv.prediction_folder import describe
from lpcv.runs import CHECKPOINT_KEY, Run
from onnx import TensorProto, helper

PRIVATE = "annlee"
WEIGHTS = b"weights of a student"
S24 = CONTRACT.devices[0]
HUB = "https://hub.example"


def build_model(
    checkpoint: bytes = WEIGHTS, output_name: str = "output_0", most: float = 255.0, **metadata: str
) -> Any:
    """Mean of the channels / `most`."""
    nodes = [
        helper.make_node("Constant", [], ["axes"], value_ints=[1]),
        helper.make_node("Constant", [], ["most"], value_float=most),
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


CONFIG: dict[str, Any] = {
    "recipe": {"name": "small", "optim": {"steps": 5}},
    "inputs": {"data": f"{PRIVATE}/frames", "frames": "0000-0016", "validation": f"C:\\Users\\{PRIVATE}\\held out",
               "labels": f"/home/{PRIVATE}/labels/teacher-1", "validation_frames": None},
    "provenance": {
        "git_sha": "a" * 40, "lpcv_version": "9.8.6", "python": "3.12.1", "torch": "6.4",
        "data": {"sha256": "d" * 64, "licences": {"MIT": 3}, "sources": [f"recorded to /home/{PRIVATE}/phone by hand"]},
        "validation": {"sha256": "e" * 64},
        "teacher": {"teacher": "depth-anything/Depth-Anything-V2-Large-hf", "licence": "CC-BY-NC-4.0"},
        "encoder_weights": {"source": f"~{PRIVATE}/w/imagenet.pth", "licence": "BSD-3-Clause"},
    },
}  # fmt: skip
ROWS = [{"frame": "0017", "mae": 0.25, "f_score": 70.5}, {"frame": "0018", "mae": 0.75, "f_score": 72.0},
        {"frame": "0019", "mae": None, "f_score": None, "stopped": "no pixel is left"}]  # fmt: skip
MEAN = {"mae": 0.5, "f_score": 71.25}


def score_json(source: str, source_sha256: str, rows: Sequence[Any] = ROWS) -> dict[str, Any]:
    """As `lpcv score` writes it, with two metrics."""
    return {
        "protocol": "lpcvc-2025", "source": source, "source_sha256": source_sha256, "data_sha256": "f" * 64,
        "frames_scored": 2, "frames_stopped": {"0019": "no pixel is left"}, "frames_trained_on": 0,
        "mean": dict(MEAN), "frames": list(rows),
    }  # fmt: skip


def make_run(root: Path, config: Mapping[str, Any] = CONFIG) -> Run:
    """A run with an export and a score."""
    run = Run(root)
    run.best.mkdir(parents=True)
    run.config.write_text(json.dumps(config))
    (run.best / "config.json").write_text(json.dumps({"working_size": [64, 48]}))
    (run.best / "model.safetensors").write_bytes(WEIGHTS)
    onnx.save(build_model(), run.model)
    write_score(run)
    return run


def write_score(run: Run) -> None:
    run.score.write_text(json.dumps(score_json(str(run.root), sha256_file(run.model))))


def bundled(path: Path) -> dict[str, bytes]:
    """As any zip tool reads it."""
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


class Book:
    """A hub folder with jobs of a model."""

    def __init__(self, root: Path, model_sha256: str) -> None:
        self.folder, self.model_sha256 = HubFolder(root), model_sha256

    def job(
        self, kind: str, job: str, *, rehearsal: bool = False, state: str = "SUCCESS", result: Path | None = None,
        **more: Any,
    ) -> None:  # fmt: skip
        told = {"type": kind, "title": f"{PRIVATE} mine", "name": f"{PRIVATE} mine lpcv-1", "device": S24,
                "options": "--target_runtime tflite", "rehearsal": rehearsal, "model_sha256": self.model_sha256,
                "client_version": "0.56.0", "lpcv_version": "0.1.0", "base": job, "nth": 0, "reached_by": "default",
                **more}  # fmt: skip
        with Ledger(self.folder.ledger) as ledger:
            ledger.add("intended", HUB, job, None, told)
            ledger.add("submitted", HUB, job, job, {"url": f"{HUB}/{PRIVATE}/{job}"})
            ledger.add("state", HUB, job, job, {"state": state, "hub_version": "aihub-2026.11"})
            if result is not None:
                place = result.relative_to(self.folder.root).as_posix()
                ledger.add("fetched", HUB, job, job, {"what": kind, "path": place, "sha256": sha256_file(result)})

    def profiled(self, job: str, latency_us: int, **more: Any) -> Path:
        file = self.folder.job(job) / "profile.json"
        file.parent.mkdir(parents=True)
        summary = {"estimated_inference_time": latency_us, "all_inference_times": [latency_us, latency_us + 100]}
        layers = [{"name": "conv", "type": "Conv", "compute_unit": "NPU", "execution_time": 9, "execution_cycles": 1}]
        file.write_text(json.dumps({"profile": {"execution_summary": summary, "execution_detail": layers}}))
        self.job("profile", job, result=file, compile_job="jcompile", **more)
        return file

    def inferred(self, job: str, **more: Any) -> dict[str, Any]:
        """Predictions of a job, and their score as `lpcv score JOB --json` writes it."""
        root = self.folder.predictions(f"set-{job}")
        root.mkdir(parents=True)
        names = [row["frame"] for row in ROWS]
        for name in names:
            (root / f"{name}.npy").write_bytes(f"{job} {name}".encode())
        describe(root, CONTRACT.output_kind, frames=names, computed_by=f"{S24} (AI Hub)")
        self.folder.job(job).mkdir(parents=True)
        self.folder.write_outputs(job, f"set-{job}")
        self.job("inference", job, compile_job="jcompile", **more)
        held = sha256_files(root, [root / f"{name}.npy" for name in names])
        return score_json(f"{job}, computed by {S24} (AI Hub)", held)


def emulated_json(model_sha256: str) -> dict[str, Any]:
    """As `lpcv emulate --json` writes it, with a row of each engine."""
    row = {"precision": "fp16", "frames": ["0017", "0018"], "mean": dict(MEAN), "frame_scores": ROWS[:2],
           "stopped": None}  # fmt: skip
    return {
        "model": f"/home/{PRIVATE}/runs/mine/model.onnx", "model_sha256": model_sha256, "device": S24,
        "soc_model": 57, "htp_arch": 75, "versions": {"qairt": "2.51.0"}, "whole": True, "finished": True,
        "data": f"/home/{PRIVATE}/frames", "data_sha256": "f" * 64, "seed": 0, "protocol": "lpcvc-2025",
        "estimated_latency": {"ms": 1.5}, "emulator_against_onnx_runtime": [], "written": [f"/home/{PRIVATE}/out"],
        "rows": [{**row, "precision": "float", "computed_by": "ONNX Runtime"},
                 {**row, "computed_by": "HTP emulator"},
                 {**row, "precision": "w8a8", "computed_by": "ONNX Runtime QDQ"}],
    }  # fmt: skip


@dataclass(frozen=True)
class Part:
    """One file of a zip, every field of which may lie. Those that are None are as they should be.

    in the directory: name, flags, method, packed, size, crc, attributes, offset, extra
    own_...: in the header before the content, by default the same
    """

    name: bytes
    content: bytes = b""
    flags: int = 0
    method: int = 0
    packed: int | None = None
    size: int | None = None
    crc: int | None = None
    attributes: int = 0o100644 << 16
    offset: int | None = None
    extra: bytes = b""
    own_name: bytes | None = None
    own_size: int | None = None
    needs: int = 20


def raw_zip(parts: Sequence[Part], *, prefix: bytes = b"", suffix: bytes = b"", **end: int) -> bytes:
    """The zip that says so. end: count, length, offset of the directory"""
    body, rows = prefix, b""
    for part in parts:
        size = len(part.content) if part.size is None else part.size
        packed = len(part.content) if part.packed is None else part.packed
        crc = zlib.crc32(part.content) if part.crc is None else part.crc
        offset = len(body) if part.offset is None else part.offset
        own_name = part.name if part.own_name is None else part.own_name
        own = (packed, size) if part.own_size is None else (part.own_size, part.own_size)
        when = (0, 1 << 5 | 1)
        head = struct.pack("<4s5H3I2H", b"PK\x03\x04", part.needs, part.flags, part.method, *when, crc, *own,
                           len(own_name), 0)  # fmt: skip
        if part.offset is None:
            body += head + own_name + part.content
        made = (3 << 8 | 20, part.needs, part.flags, part.method, *when)
        lengths = (len(part.name), len(part.extra), 0)
        row = (*made, crc, packed, size, *lengths, 0, 0, part.attributes, offset)
        rows += struct.pack("<4s6H3I5H2I", b"PK\x01\x02", *row)
        rows += part.name + part.extra
    count, length = end.get("count", len(parts)), end.get("length", len(rows))
    closing = struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, count, count, length, end.get("offset", len(body)), 0)
    return body + rows + closing + suffix


def parts_of(files: Mapping[str, bytes]) -> list[Part]:
    """What an honest bundle is made of."""
    return [Part(name.encode(), files[name]) for name in sorted(files)]


def with_part(files: Mapping[str, bytes], name: str, **changes: Any) -> list[Part]:
    """The same with lies about one file."""
    return [replace(part, **changes) if part.name == name.encode() else part for part in parts_of(files)]
