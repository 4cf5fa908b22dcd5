"""`lpcv check` of every kind of model: good ones pass, mistakes are named, and nothing a stranger wrote runs."""

from __future__ import annotations

import gc
import json
import pickle
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
import pytest
import torch
from lpcv.cli import run
from lpcv.contract import CURRENT as CONTRACT
from lpcv.data.folder import FrameFolder, open_folder
from lpcv.data.images import write_png
from lpcv.errors import InputError
from lpcv.onnx_session import open_session
from lpcv.submission.check.border import file_undecided
from lpcv.submission.check.findings import Finding, exit_code
from lpcv.submission.check.model import Runner
from lpcv.submission.check.opening import open_runner
from lpcv.submission.check.preflight import check_model
from meaning_models import by_name, failed, recogniser, relative, scene, write_scenes
from onnx import TensorProto, helper
from tflite_bench import red_is_depth
from torch_bench import FACTOR, PICTURE, Net, Saver, program, script, unconverted  # noqa: F401

WIDTH, HEIGHT = CONTRACT.image_size
INTERFACE = [
    "valid ONNX", "one file", "one input", "one output", "input name", "output name", "input type", "output type",
    "input shape", "output shape",
]  # fmt: skip


@pytest.fixture(scope="module")
def frames(tmp_path_factory: pytest.TempPathFactory) -> FrameFolder:
    """Red is depth; green and blue are something else."""
    root = tmp_path_factory.mktemp("frames")
    for index in range(3):
        depth_m = scene(index)
        red, *others = (np.rint(scene(seed) / 5 * 255).astype(np.uint8) for seed in (index, 90 + index, 190 + index))
        small = cv2.resize(depth_m, CONTRACT.depth_size, interpolation=cv2.INTER_AREA)
        write_png(root / "image" / f"{index:04d}.png", np.dstack([red, *others]))
        write_png(root / "depth_raw" / f"{index:04d}.png", np.rint(small * 1000).astype(np.uint16))
        write_png(root / "depth_conf" / f"{index:04d}.png", np.full(small.shape, 2, np.uint8))
    return open_folder(root)


TORCH: dict[str, tuple[Saver, str]] = {"TorchScript": (script, "m.pt"), "exported program": (program, "m.pt2")}
each_torch = pytest.mark.parametrize("kind", TORCH)


def saved(kind: str, folder: Path, net: torch.nn.Module, *example: torch.Tensor) -> Path:
    save, name = TORCH[kind]
    return save(folder / name, net, *example)


def undecided(findings: list[Finding]) -> set[str]:
    return {one.name for one in findings if one.state == "undecided"}


def test_a_good_tflite_passes(tmp_path: Path, frames: FrameFolder) -> None:
    path = red_is_depth(tmp_path / "m.tflite", FACTOR)
    findings = check_model(path, frames)
    assert [one.name for one in findings][: len(INTERFACE)] == INTERFACE
    assert (failed(findings), exit_code(findings)) == (set(), 0)
    meaning = ("depth direction", "colour order", "left-right", "up-down", "input range", "normalisation")
    assert {by_name(findings)[name].state for name in (*INTERFACE[1:], "runs", "range", *meaning)} == {"pass"}
    runner = open_runner(path)
    assert (runner.graph, runner.onnx_path, runner.metadata()) == (None, None, {})
    assert "LiteRT" in runner.note


def test_a_tflite_answers_what_its_graph_says(tmp_path: Path) -> None:
    tensor = np.random.default_rng(1).uniform(0, 255, CONTRACT.input_shape).astype(np.float32)
    answer = open_runner(red_is_depth(tmp_path / "m.tflite", FACTOR)).answer(tensor)
    np.testing.assert_allclose(answer, np.maximum(tensor[:, :1] * FACTOR, 0.01), rtol=1e-6)


PLANTED: dict[str, tuple[dict[str, Any], set[str], str]] = {
    "another size": ({"size": (320, 240)}, {"input shape", "output shape"}, "fixed"),
    "channels last": ({"channels_last": True}, {"input shape"}, "without --force_channel_last_input"),
    "free batch": ({"free_batch": True}, {"input shape"}, "no dynamic axes"),
    "two outputs": ({"outputs": 2}, {"one output"}, "Remove the rest"),
    "int8 output": ({"quantized": True}, {"output type"}, "without --quantize_io"),
    "another input name": ({"names": ("x", "output_0")}, {"input name"}, "Name it 'image'"),
    "another output name": ({"names": ("image", "y"), "signed": True}, {"output name"}, "Name it 'output_0'"),
}  # fmt: skip


@pytest.mark.parametrize("mistake", PLANTED)
def test_each_mistake_in_a_tflite_is_named(mistake: str, tmp_path: Path) -> None:
    how, expected, remedy = PLANTED[mistake]
    findings = check_model(red_is_depth(tmp_path / "m.tflite", FACTOR, **how))
    assert failed(findings) == expected
    for name in expected:
        assert remedy in by_name(findings)[name].remedy


def test_names_in_a_signature_alone_are_names(tmp_path: Path) -> None:
    findings = check_model(red_is_depth(tmp_path / "m.tflite", FACTOR, signed=True))
    assert failed(findings) == set()
    assert by_name(findings)["input name"].found == "image"


def test_without_litert_its_installation_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = red_is_depth(tmp_path / "m.tflite", FACTOR)
    monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", None)
    with pytest.raises(InputError, match=r"lpcv\[tflite\]"):
        open_runner(path)


@pytest.mark.parametrize("kind", ["TorchScript", pytest.param("exported program", marks=pytest.mark.slow)])
def test_a_good_torch_model_passes(kind: str, tmp_path: Path, frames: FrameFolder) -> None:
    findings = check_model(saved(kind, tmp_path, Net()), frames)
    assert [one.name for one in findings][: len(INTERFACE)] == INTERFACE
    assert (failed(findings), exit_code(findings)) == (set(), 0)
    decided = ("runs", "depth direction", "colour order", "operator set", "parameters", "MACs", "resize antialias")
    assert {by_name(findings)[name].state for name in (*INTERFACE, *decided)} == {"pass"}
    assert "--input_specs" in by_name(findings)["output name"].found


@pytest.mark.parametrize("kind", ["TorchScript", pytest.param("exported program", marks=pytest.mark.slow)])
def test_the_conversion_agrees_with_torch(kind: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    layers = (torch.nn.Conv2d(3, 4, 3, 2, 1), torch.nn.BatchNorm2d(4), torch.nn.ReLU6(), torch.nn.Conv2d(4, 1, 1))
    net = torch.nn.Sequential(*layers, torch.nn.Sigmoid(), torch.nn.Upsample(scale_factor=2, mode="bilinear")).eval()
    tensor = np.random.default_rng(2).uniform(0, 255, CONTRACT.input_shape).astype(np.float32)
    with torch.no_grad():
        truth = net(torch.from_numpy(tensor)).numpy()
    with open_runner(saved(kind, tmp_path, net)) as runner:
        np.testing.assert_allclose(runner.answer(tensor), truth, atol=1e-5)
        assert runner.onnx_path is not None
        converted = open_session(runner.onnx_path).run(["output_0"], {"image": tensor})[0]
    np.testing.assert_allclose(np.asarray(converted), truth, atol=1e-5)
    assert np.ptp(truth) > 0.1


WRONG: dict[str, tuple[Callable[[torch.Tensor], Any], set[str]]] = {
    "two outputs": (lambda depth: (depth, depth + 0), {"one output"}),
    "small output": (lambda depth: depth[:, :, ::2, ::2], {"output shape"}),
    "half precision": (lambda depth: depth.half(), {"output type"}),
    "channels last out": (lambda depth: depth.permute(0, 2, 3, 1), {"output shape"}),
    "negative": (lambda depth: depth - 0.02, {"range"}),
}


@pytest.mark.parametrize(
    ("kind", "mistake"),
    [
        pytest.param(kind, mistake, marks=[pytest.mark.slow] if kind != "TorchScript" else [])
        for kind in TORCH
        for mistake in WRONG
    ],
)
@pytest.mark.usefixtures("unconverted")
def test_each_mistake_in_a_torch_model_is_named(kind: str, mistake: str, tmp_path: Path) -> None:
    change, expected = WRONG[mistake]
    assert failed(check_model(saved(kind, tmp_path, Net(change)))) == expected


def test_torchscript_for_channels_last_does_not_run(tmp_path: Path) -> None:
    class Last(Net):
        def forward(self, x: torch.Tensor) -> Any:
            return super().forward(x.permute(0, 3, 1, 2))

    findings = check_model(script(tmp_path / "m.pt", Last(), torch.zeros(1, HEIGHT, WIDTH, 3)))
    assert failed(findings) == {"runs"}
    assert {"input shape", "output shape", "valid ONNX", "finite"} <= undecided(findings)
    assert "does not run on the contract's input, see runs" in by_name(findings)["output shape"].found
    stops = by_name(findings)["runs"].found
    assert stops.startswith("stops: ")
    assert "channels" in stops  # the last line of TorchScript's traceback, which says what is wrong
    assert "Traceback" not in stops
    assert [one.found for one in findings].count(stops) == 1
    assert not any(".." in one.sentence() for one in findings)


@pytest.mark.slow
@pytest.mark.usefixtures("unconverted")
def test_a_program_for_another_input_fails_by_its_shape(tmp_path: Path) -> None:
    class Last(Net):
        def forward(self, x: torch.Tensor) -> Any:
            return super().forward(x.permute(0, 3, 1, 2))

    findings = check_model(program(tmp_path / "m.pt2", Last(), torch.zeros(1, HEIGHT, WIDTH, 3)))
    assert failed(findings) == {"input shape"}
    assert by_name(findings)["runs"].found == "not run, see input shape"


@pytest.mark.slow
@pytest.mark.usefixtures("unconverted")
def test_a_programs_free_batch_is_named(tmp_path: Path) -> None:
    free = {"x": {0: torch.export.Dim("batch", min=1, max=8)}}
    path = program(tmp_path / "m.pt2", Net(), torch.zeros(2, 3, HEIGHT, WIDTH), dynamic_shapes=free)
    assert failed(check_model(path)) == {"input shape", "output shape"}


@pytest.mark.usefixtures("unconverted")
@each_torch
def test_a_second_input_is_named(kind: str, tmp_path: Path) -> None:
    class Two(Net):
        def forward(self, x: torch.Tensor, confidence: torch.Tensor) -> Any:  # type: ignore[override]
            return super().forward(x) + 0 * confidence.sum()

    findings = check_model(saved(kind, tmp_path, Two(), PICTURE, torch.zeros(1)))
    assert failed(findings) == {"one input"}
    assert by_name(findings)["runs"].found == "not run, see one input"


def test_what_torch_cannot_convert_is_undecided_in_one_sentence(tmp_path: Path) -> None:
    runner = open_runner(script(tmp_path / "m.pt", Net(lambda depth: torch.special.i0e(depth))))
    assert (runner.graph, runner.onnx_path) == (None, None)
    reason, remedy = runner.no_graph
    assert reason.startswith("torch 2")
    assert "cannot convert it to ONNX" in reason
    assert "\n" not in reason
    assert by_name(runner.interface())["valid ONNX"].state == "undecided"
    assert {(one.state, one.found, one.remedy) for one in file_undecided(reason, remedy)} == {
        ("undecided", reason, remedy)
    }


def test_undecided_findings_are_those_of_an_onnx_file(tmp_path: Path) -> None:
    """Name, order: the table of a .tflite has the same rows as that of an .onnx file."""
    maps = [scene(1)]
    onnx_file = recogniser(tmp_path / "m.onnx", write_scenes(tmp_path / "scenes", maps), relative(maps))
    names = [one.name for one in check_model(onnx_file)]
    start = names.index("IR version")
    expected = [one.name for one in file_undecided("reason", "remedy")]
    assert names[start : start + len(expected)] == expected


@pytest.fixture
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "scratch"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.mark.parametrize("how", ["closed", "forgotten", "failed"])
def test_the_scratch_folder_goes(how: str, tmp_path: Path, scratch: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = script(tmp_path / "m.pt", Net())
    runner: Runner | None = open_runner(path)
    assert runner is not None
    if how == "failed":
        monkeypatch.setattr("torch.onnx.export", lambda *_, **__: (scratch / "half").write_text("") and None)
        assert runner.graph is None
        (scratch / "half").unlink()
    else:
        assert runner.graph is not None
        assert [one.name[:11] for one in scratch.iterdir()] == ["lpcv-check-"]
    if how == "closed":
        runner.close()
        runner.close()
    elif how == "forgotten":
        del runner
        gc.collect()
    assert list(scratch.iterdir()) == []


def zipped(path: Path, *names: str) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            archive.writestr(name, "x")


def write_weights(path: Path) -> None:
    from safetensors.numpy import save_file

    save_file({"w": np.zeros(3, np.float32)}, path)


NO_MODELS: dict[str, tuple[str, Callable[[Path], object], str, str]] = {
    "nothing": ("m.onnx", lambda path: None, "does not exist", "lpcv export"),
    "an empty file": ("m.tflite", lambda path: path.touch(), "is empty", "again"),
    "a folder": ("runs", lambda path: path.mkdir(), "is a folder, but no run", "Give a run"),
    "a checkpoint": ("m.pt", lambda path: torch.save({"w": PICTURE}, path), "is a checkpoint", "lpcv export"),
    "an old checkpoint": (
        "m.pth", lambda path: torch.save({}, path, _use_new_zipfile_serialization=False), "pickle", "lpcv export",
    ),
    "a pickle": ("m.onnx", lambda path: path.write_bytes(pickle.dumps({"w": 1})), "is a pickle", "lpcv export"),
    "safetensors": ("m.safetensors", write_weights, "holds weights", "lpcv export"),
    "a bundle": ("b.zip", lambda path: zipped(path, "MANIFEST.json", "model.onnx"), "is a bundle", "lpcv verify"),
    "an archived .onnx": ("m.onnx.zip", lambda path: zipped(path, "m/m.onnx", "m/m.data"), "archive", "Unpack"),
    "a .dlc": ("m.dlc", lambda path: zipped(path, "model", "model.params"), "only a device runs it", "Check the .onnx"),
    "a context binary": ("m.bin", lambda path: path.write_bytes(b"\1\2" * 99), "only a device", "Check the .onnx"),
    "a cut archive": ("m.pt", lambda path: path.write_bytes(b"PK\3\4" + bytes(60)), "damaged", "again"),
    "another archive": ("m.zip", lambda path: zipped(path, "a.txt"), "no model that is known", "Give a run"),
    "a cut .tflite": ("m.tflite", lambda path: path.write_bytes(b"\x1c\0\0\0TFL3" + bytes(9)), "cannot load", "again"),
    "TorchScript without its code": (
        "m.pt", lambda path: zipped(path, "m/constants.pkl", "m/code/x.py"), "cannot load", "torch.jit.save",
    ),
    "text": ("m.txt", lambda path: path.write_text("hello"), "is not an ONNX model", "lpcv export"),
}  # fmt: skip


@pytest.mark.parametrize("what", NO_MODELS)
def test_what_is_no_model_is_one_sentence_and_exit_2(
    what: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    name, make, problem, remedy = NO_MODELS[what]
    make(tmp_path / name)
    with pytest.raises(InputError) as caught:
        open_runner(tmp_path / name)
    assert problem in caught.value.problem
    assert remedy in caught.value.remedy
    assert run(["check", str(tmp_path / name)]) == 2
    assert problem.split()[-1] in " ".join(capfd.readouterr().err.split())


def test_a_compiled_onnx_is_for_a_device(tmp_path: Path) -> None:
    """What AI Hub calls precompiled_qnn_onnx: a context binary in an .onnx file."""
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in ("image", "output_0")]
    node = helper.make_node("EPContext", ["image"], ["output_0"], domain="com.microsoft", embed_mode=1)
    onnx.save(helper.make_model(helper.make_graph([node], "g", values[:1], values[1:])), tmp_path / "m.onnx")
    with pytest.raises(InputError, match="only a device runs it"):
        open_runner(tmp_path / "m.onnx")


def test_the_kind_is_told_by_content(tmp_path: Path) -> None:
    """AI Hub's downloads, and people, have suffixes of their own."""
    renamed = red_is_depth(tmp_path / "model.onnx", FACTOR)
    assert "LiteRT" in open_runner(renamed).note
    assert "torch" in open_runner(script(tmp_path / "model.tflite", Net())).note


def test_a_tflite_on_the_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["check", str(red_is_depth(tmp_path / "m.tflite", FACTOR)), "--json", "f.json"]) == 0
    told = json.loads((tmp_path / "f.json").read_text())
    assert (told["model"], told["passed"]) == ("m.tflite", True)
    assert run(["check", str(red_is_depth(tmp_path / "n.tflite", FACTOR, outputs=2))]) == 1


@pytest.mark.parametrize("arguments", [["--help"], ["check", "--help"]], ids=" ".join)
def test_help_imports_neither_torch_nor_litert(arguments: list[str]) -> None:
    program = "import sys; from lpcv.cli import run; run(sys.argv[1:]); print('\\n', *sys.modules)"
    done = subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=True)
    loaded = {name.split(".")[0] for name in done.stdout.splitlines()[-1].split()}
    assert "click" in loaded
    assert not loaded & {"torch", "ai_edge_litert", "onnxruntime", "onnx"}
