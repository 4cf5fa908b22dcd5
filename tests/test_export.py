"""The export: the contract's interface, torch's numbers, nothing of this machine, staleness noticed."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from lpcv.cli import run
from lpcv.contract import CURRENT as CONTRACT
from lpcv.data.folder import open_folder
from lpcv.data.model_input import contract_input
from lpcv.files import sha256_file
from lpcv.hub_jobs.htp.traps import warnings
from lpcv.onnx_session import open_session, session_metadata
from lpcv.runs import CHECKPOINT_KEY, Run
from lpcv.submission import export
from lpcv.submission.wrapper import WrappedModel
from lpcv.train.networks import load_network
from lpcv.train.small_teacher import DepthAnything
from lpcv.train.student import Student
from lpcv.train.validation import InTraining
from onnx import numpy_helper


def test_interface_is_the_contracts(tiny_run: Path) -> None:
    session = open_session(tiny_run / "model.onnx")
    (one,), (out,) = session.get_inputs(), session.get_outputs()
    assert (one.name, tuple(one.shape), one.type) == ("image", (1, 3, 480, 640), "tensor(float)")
    assert (out.name, tuple(out.shape), out.type) == ("output_0", (1, 1, 480, 640), "tensor(float)")
    assert list(tiny_run.glob("*.data")) == []


def test_metadata_names_the_checkpoint_and_the_versions(tiny_run: Path) -> None:
    metadata = session_metadata(open_session(tiny_run / "model.onnx"))
    assert metadata[CHECKPOINT_KEY] == sha256_file(Run(tiny_run).checkpoint)
    assert metadata["torch_version"] == str(torch.__version__)
    assert metadata["output_kind"] == "relative_depth"
    Run(tiny_run).demand_fresh(metadata)


def test_numbers_are_torchs_on_real_frames(tiny_run: Path, scenes: Path) -> None:
    network = load_network("mobilenet_v3_small", Run(tiny_run).best)
    wrapped = WrappedModel(network, (128, 96)).eval()
    session = open_session(tiny_run / "model.onnx")
    for frame in open_folder(scenes):
        image = contract_input(frame.rgb)
        with torch.inference_mode():
            wanted = wrapped(torch.from_numpy(image)).numpy()
        (found,) = session.run(None, {"image": image})
        assert np.abs(found - wanted).max() < 1e-5
        in_training = InTraining(wrapped.model, torch.device("cpu")).predict(frame.name, frame.rgb)
        assert np.array_equal(in_training, wanted[0, 0])


def test_graph_is_clean_and_portable(tiny_run: Path) -> None:
    content = (tiny_run / "model.onnx").read_bytes()
    assert str(Path.home()).encode() not in content
    assert b"site-packages" not in content
    graph = onnx.load_from_string(content).graph
    kinds = {node.op_type for node in graph.node}
    assert kinds <= {
        "Add", "Clip", "Conv", "Div", "HardSigmoid", "HardSwish", "Mul", "ReduceMean", "Relu", "Resize",
        "Sigmoid", "Sub",
    }  # fmt: skip
    # three in the decoder, one back to the image, one on the way in since the run works at 128x96
    assert [node.op_type for node in graph.node].count("Resize") == 5


def test_stale_export_is_noticed(own_run: Path, scenes: Path, capsys: pytest.CaptureFixture[str]) -> None:
    weights = Run(own_run).checkpoint
    weights.write_bytes((own_run / "checkpoints" / "last" / "model.safetensors").read_bytes() + b" ")
    for command in (["check", str(own_run)], ["score", str(own_run), "--data", str(scenes)], ["package", str(own_run)]):
        assert run(command) == 2
        assert f"lpcv export {own_run}" in capsys.readouterr().err


def test_missing_export_names_the_command(own_run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (own_run / "model.onnx").unlink()
    assert run(["check", str(own_run)]) == 2
    assert f"lpcv export {own_run}" in capsys.readouterr().err


def test_a_graph_that_differs_from_torch_is_not_written(
    own_run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sha256_file(own_run / "model.onnx")
    another = onnx.load(str(own_run / "model.onnx"))
    (bias,) = [each for each in another.graph.initializer if each.name.endswith("head.bias")]
    bias.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(bias) + 1, bias.name))
    monkeypatch.setattr(export, "to_onnx", lambda model, metadata: another.SerializeToString())
    assert run(["export", str(own_run)]) == 2
    assert "differs from torch" in capsys.readouterr().err
    assert sha256_file(own_run / "model.onnx") == before


@pytest.mark.slow
def test_two_exports_are_the_same_bytes_and_parity_without_the_training_frames_is_said(
    own_run: Path, capsys: pytest.CaptureFixture[str]
) -> None:

    first = sha256_file(own_run / "model.onnx")
    config = json.loads((own_run / "config.json").read_text())
    config["inputs"]["data"] = "/gone"
    (own_run / "config.json").write_text(json.dumps(config))
    assert run(["export", str(own_run)]) == 0
    told = capsys.readouterr()
    assert "random frames only" in told.err
    assert "0 real" in told.out
    assert sha256_file(own_run / "model.onnx") == first


@pytest.mark.slow
def test_other_networks_export_too() -> None:
    model = WrappedModel(DepthAnything((56, 42), hidden=16), (56, 42)).eval()
    exported = export.to_onnx(model, {})
    assert export.compare(model, exported, []).largest < 1e-4
    # its metric head ends in a sigmoid, right after a convolution (submission/npu/form.py)
    assert [node.op_type for node in onnx.load_from_string(exported).graph.node].count("Sigmoid") == 1
    assert not [one for one in warnings(exported) if one.op_type == "Sigmoid"]


@pytest.mark.slow
@pytest.mark.parametrize("size", [CONTRACT.image_size, (256, 192)])
def test_nothing_is_resized_twice(size: tuple[int, int]) -> None:
    """Three resizes in the decoder and one back to the image; one on the way in where the size is another."""
    exported = export.to_onnx(WrappedModel(Student(size), size).eval(), {})
    resizes = sum(node.op_type == "Resize" for node in onnx.load_from_string(exported).graph.node)
    assert resizes == (4 if size == CONTRACT.image_size else 5)


def test_a_score_of_the_model_before_is_said(
    own_run: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "export_run", lambda run: export.Parity(1, 0, 0.0))
    (own_run / "score.json").write_text('{"source_sha256": "another"}')
    assert run(["export", str(own_run)]) == 0
    assert "score.json is of the model before" in capsys.readouterr().err
    (own_run / "score.json").write_text(json.dumps({"source_sha256": sha256_file(own_run / "model.onnx")}))
    assert run(["export", str(own_run)]) == 0
    assert "of the model before" not in capsys.readouterr().err
