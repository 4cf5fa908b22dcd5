"""What the stand-in compiles, and how it refuses: the sentence names what is wrong."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import qai_hub
from hub_fixtures import S24, Served, offline, small_model
from lpcv.errors import InputError
from lpcv.hub_jobs.stand_in.compiling import compile_model
from lpcv.hub_jobs.stand_in.options import OptionsError, compile_options, run_options
from lpcv.hub_jobs.stand_in.speaking import JobError
from lpcv.onnx_session import open_session
from onnx import ModelProto, TensorProto, helper, numpy_helper


def compiled(
    tmp_path: Path, model: Path, options: str = "", inputs: list[Any] | None = None, source: str = "onnx"
) -> tuple[dict[str, Any], Path]:
    """What the job's process does, in this one."""
    order = {
        "model": str(model), "source": source, "options": options, "inputs": inputs or [], "name": "a.job",
        "device": S24, "unpacked_bytes": 10_000,
    }  # fmt: skip
    folder = tmp_path / "work"
    folder.mkdir(exist_ok=True)
    return compile_model(order, folder), folder


def saved(
    path: Path, nodes: list[Any], inputs: list[Any], outputs: list[Any], weights: Any = (), opset: int = 17
) -> Path:
    model = helper.make_model(
        helper.make_graph(nodes, "g", inputs, outputs, list(weights)),
        opset_imports=[helper.make_opsetid("", opset)],
        ir_version=9,
    )
    onnx.save(model, str(path))
    return path


def tensor(name: str, shape: Any, elem: int = TensorProto.FLOAT) -> Any:
    return helper.make_tensor_value_info(name, elem, shape)


def run(path: Path, **inputs: np.ndarray) -> dict[str, Any]:
    session = open_session(path, threads=1)
    return dict(zip([one.name for one in session.get_outputs()], session.run(None, inputs), strict=True))


def test_input_specs_fix_what_is_dynamic(tmp_path: Path) -> None:
    model = small_model(tmp_path / "m.onnx", ("batch", 3, "height", 6))
    result, folder = compiled(tmp_path, model, inputs=[["image", [1, 3, 4, 6], "float32"]])
    assert result == {
        "inputs": [["image", [1, 3, 4, 6], "float32"]],
        "outputs": [["output_0", [1, 1, 4, 6], "float32"]],
    }
    assert run(folder / "model.onnx", image=np.full((1, 3, 4, 6), 2, np.float32))["output_0"].mean() == 2


@pytest.mark.parametrize(
    ("shape", "specs", "sentence"),
    [
        (("n", 3, 4, 6), [], r"Input 'image' has a dynamic shape \(n, 3, 4, 6\), which is not supported"),
        ((1, 3, None, 6), [], r"dynamic shape \(1, 3, \?, 6\)"),
        (
            (1, 3, 4, 6),
            [["image", [1, 3, 8, 6], "float32"]],
            r"the shape \(1, 3, 8, 6\), but the model has \(1, 3, 4, 6\)",
        ),
        ((1, 3, 4, 6), [["image", [1, 3, 4], "float32"]], "3 dimensions, but the model has 4"),
        ((1, 3, 4, 6), [["image", [1, 3, 4, 6], "uint8"]], "says uint8 for input 'image', but the model has float32"),
        ((1, 3, 4, 6), [["img", [1, 3, 4, 6], "float32"]], "names 'img', but the model's inputs are 'image'"),
    ],
)
def test_shapes_and_specs_that_do_not_fit(tmp_path: Path, shape: Any, specs: list[Any], sentence: str) -> None:
    with pytest.raises(JobError, match=sentence):
        compiled(tmp_path, small_model(tmp_path / "m.onnx", shape), inputs=specs)


@pytest.mark.parametrize(("elem", "name"), [(TensorProto.DOUBLE, "float64"), (TensorProto.UINT32, "uint32")])
def test_unsupported_types_are_named(tmp_path: Path, elem: int, name: str) -> None:
    path = saved(
        tmp_path / "m.onnx",
        [helper.make_node("Identity", ["x"], ["y"])],
        [tensor("x", [1], elem)],
        [tensor("y", [1], elem)],
    )
    with pytest.raises(JobError, match=f"Input 'x' has the data type {name}, which is not supported"):
        compiled(tmp_path, path)


def test_an_output_whose_extent_depends_on_the_data(tmp_path: Path) -> None:
    nodes = [helper.make_node("NonZero", ["x"], ["y"]), helper.make_node("Cast", ["y"], ["z"], to=TensorProto.FLOAT)]
    path = saved(tmp_path / "m.onnx", nodes, [tensor("x", [4])], [tensor("z", None)])
    with pytest.raises(JobError, match=r"Output 'z' has a dynamic shape|Output 'z' has no shape\. Dynamic"):
        compiled(tmp_path, path)


@pytest.mark.parametrize("content", [b"", b"not a model", b"\x08\x09"], ids=["empty", "text", "no graph"])
def test_what_is_no_model(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "m.onnx").write_bytes(content)
    with pytest.raises(JobError, match="not a readable ONNX model"):
        compiled(tmp_path, tmp_path / "m.onnx")


def test_a_graph_that_refers_to_nothing(tmp_path: Path) -> None:
    nodes = [helper.make_node("Add", ["x", "missing"], ["y"])]
    path = saved(tmp_path / "m.onnx", nodes, [tensor("x", [1])], [tensor("y", [1])])
    with pytest.raises(JobError, match="not valid ONNX"):
        compiled(tmp_path, path)


def test_shapes_that_contradict_each_other(tmp_path: Path) -> None:
    nodes = [helper.make_node("MatMul", ["x", "w"], ["y"])]
    weights = [numpy_helper.from_array(np.zeros((5, 2), np.float32), "w")]
    path = saved(tmp_path / "m.onnx", nodes, [tensor("x", [1, 3])], [tensor("y", [1, 2])], weights)
    with pytest.raises((JobError, InputError), match=r"contradict|cannot load"):
        compiled(tmp_path, path)


def test_an_operator_that_onnx_runtime_lacks_is_its_own_sentence(tmp_path: Path) -> None:
    node = helper.make_node("Mystery", ["x"], ["y"], domain="nowhere")
    graph = helper.make_graph([node], "g", [tensor("x", [1])], [tensor("y", [1])])
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("nowhere", 1)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=9), str(tmp_path / "m.onnx"))
    with pytest.raises((JobError, InputError), match=r"Mystery|shape"):
        compiled(tmp_path, tmp_path / "m.onnx")


def test_weights_that_were_left_at_home(tmp_path: Path) -> None:
    path = conv(tmp_path / "m.onnx", beside="w.bin")
    with pytest.raises(JobError, match=r"keeps weights in w\.bin, which were not uploaded"):
        compiled(tmp_path, path)


def conv(path: Path, beside: str | None = None) -> Path:
    """image (1, 3, 2, 2) -> the sum of its channels."""
    weights = numpy_helper.from_array(np.ones((1, 3, 1, 1), np.float32), "w")
    nodes = [helper.make_node("Conv", ["image", "w"], ["output_0"])]
    saved(path, nodes, [tensor("image", [1, 3, 2, 2])], [tensor("output_0", [1, 1, 2, 2])], [weights])
    if beside:
        onnx.save(onnx.load(str(path)), str(path), save_as_external_data=True, location=beside, size_threshold=0)
    return path


@pytest.mark.parametrize("name", ["m.onnx/../../../escaped.data", "/escaped.data", "m.onnx/weights here.data"])
def test_names_in_an_archive_are_never_file_names(tmp_path: Path, name: str) -> None:
    conv(tmp_path / "source" / "m.onnx" if (tmp_path / "source").mkdir() is None else tmp_path, beside="any name.data")
    archive = tmp_path / "up.zip"
    with zipfile.ZipFile(archive, "w") as stream:
        stream.write(tmp_path / "source" / "m.onnx", "m.onnx/../../evil.onnx")
        stream.write(tmp_path / "source" / "any name.data", name)
    before = {path for path in tmp_path.rglob("*") if tmp_path / "work" not in path.parents}
    result, folder = compiled(tmp_path, archive, source="onnx_folder")
    assert result["outputs"] == [["output_0", [1, 1, 2, 2], "float32"]]
    assert run(folder / "model.onnx", image=np.ones((1, 3, 2, 2), np.float32))["output_0"].tolist() == [
        [[[3, 3], [3, 3]]]
    ]
    after = {path for path in tmp_path.rglob("*") if tmp_path / "work" not in path.parents}
    assert after - before == {tmp_path / "work"}
    assert {path.name for path in folder.iterdir()} == {
        "graph.onnx", "weights.data", "source.onnx", "model.onnx", "npu.onnx", "npu.json",
    }  # fmt: skip


def pack(path: Path, *names: str, content: bytes = b"x") -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as stream:
        for name in names:
            stream.writestr(name, content)
    return path


@pytest.mark.parametrize(
    ("names", "sentence"),
    [
        (["m.onnx/readme.txt"], "must hold one .onnx file"),
        (["m.onnx/a.onnx", "m.onnx/b.onnx"], "must hold one .onnx file"),
        (["m.onnx/a.onnx", "m.onnx/a.encodings"], "AIMET encodings are not offered"),
        (["m.onnx/a.onnx", "m.onnx/a.bin"], "compiled binary"),
        ([f"m.onnx/{index}.onnx" for index in range(20)], "holds 20 files"),
    ],
)
def test_folders_that_are_no_model(tmp_path: Path, names: list[str], sentence: str) -> None:
    with pytest.raises(JobError, match=sentence):
        compiled(tmp_path, pack(tmp_path / "up.zip", *names), source="onnx_folder")


def test_a_folder_that_unpacks_to_too_much(tmp_path: Path) -> None:
    bomb = pack(tmp_path / "up.zip", "m.onnx/a.onnx", content=bytes(20_000))
    assert bomb.stat().st_size < 1000
    with pytest.raises(JobError, match="larger than the stand-in takes"):
        compiled(tmp_path, bomb, source="onnx_folder")
    (tmp_path / "no.zip").write_bytes(b"PK")
    with pytest.raises(JobError, match="not a readable zip"):
        compiled(tmp_path, tmp_path / "no.zip", source="onnx_folder")


def test_outputs_are_renamed_wherever_they_are_used(tmp_path: Path) -> None:
    """The new name is already that of a value inside, and the old one is used inside, too."""
    nodes = [
        helper.make_node("Neg", ["x"], ["b"]),
        helper.make_node("Abs", ["b"], ["a"]),
        helper.make_node("Add", ["a", "b"], ["c"]),
    ]
    path = saved(tmp_path / "m.onnx", nodes, [tensor("x", [2])], [tensor("a", [2]), tensor("c", [2]), tensor("x", [2])])
    _, folder = compiled(tmp_path, path, "--output_names b,a,same")
    got = run(folder / "model.onnx", x=np.array([1, -2], np.float32))
    assert {name: values.tolist() for name, values in got.items()} == {"b": [1, 2], "a": [0, 4], "same": [1, -2]}
    for options, sentence in (("--output_names b", "gives 1 names"), ("--output_names x,y,z", "name of the input 'x'")):
        with pytest.raises(JobError, match=sentence):
            compiled(tmp_path, path, options)


def test_64_bit_integers_need_their_option_except_for_onnx(tmp_path: Path) -> None:
    nodes = [helper.make_node("Add", ["ids", "one"], ["next"])]
    one = [numpy_helper.from_array(np.array([1], np.int64), "one")]
    path = saved(
        tmp_path / "m.onnx",
        nodes,
        [tensor("ids", [2], TensorProto.INT64)],
        [tensor("next", [2], TensorProto.INT64)],
        one,
    )
    with pytest.raises(
        JobError, match=r"'ids' has the data type int64, which qnn_dlc does not take.*--truncate_64bit_io"
    ):
        compiled(tmp_path, path, "--target_runtime qnn_dlc")
    kept, _ = compiled(tmp_path, path, "--target_runtime onnx")
    assert kept["inputs"] == [["ids", [2], "int64"]]
    result, folder = compiled(tmp_path, path, "--target_runtime qnn_dlc --truncate_64bit_io")
    assert result == {"inputs": [["ids", [2], "int32"]], "outputs": [["next", [2], "int32"]]}
    assert run(folder / "model.onnx", ids=np.array([1, 2], np.int32))["next"].tolist() == [2, 3]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("--target_runtime coreml", "no runtime 'coreml'; known: tflite"),
        ("--target_runtme tflite", "Unknown option --target_runtme"),
        ("tflite", "Unknown option tflite"),
        ("--target_runtime", "--target_runtime needs a value"),
        ("--target_runtime --quantize_io", "--target_runtime needs a value"),
        ("--output_names a,,b", "different names"),
        ("--output_names 'a", "cannot be read"),
        ("--force_channel_last_input image", "changes the model's inputs"),
    ],
)
def test_options_that_are_refused(tmp_path: Path, text: str, sentence: str) -> None:
    with pytest.raises(OptionsError, match=sentence):
        compile_options(text)
    with pytest.raises(JobError, match=sentence):
        compiled(tmp_path, tmp_path / "not looked at.onnx", text)


def test_options_that_are_noted_but_not_imitated(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = small_model(tmp_path / "m.onnx")
    compiled(
        tmp_path, model, "--target_runtime=qnn_dlc --quantize_full_type w8a16 --quantize_io false --qairt_version=2"
    )
    log = capsys.readouterr().out
    for option in ("--quantize_full_type", "--quantize_io", "--qairt_version"):
        assert f"{option}: accepted, not imitated" in log
    compiled(tmp_path, model)
    assert "no --target_runtime: assumed tflite" in capsys.readouterr().out


def test_iterations_are_a_number() -> None:
    assert run_options("").iterations == 100
    assert run_options("--max_profiler_iterations=20 --compute_unit npu").iterations == 20
    for wrong in ("0", "-1", "many", "1e3", "9999999", "¹"):
        with pytest.raises(OptionsError, match="--max_profiler_iterations"):
            run_options(f"--max_profiler_iterations {wrong}")


def test_the_artefact_keeps_the_sources_metadata_and_adds_ours(tmp_path: Path) -> None:
    _, folder = compiled(tmp_path, small_model(tmp_path / "m.onnx"), "--target_runtime precompiled_qnn_onnx")
    model: ModelProto = onnx.load(str(folder / "model.onnx"))
    told = {entry.key: entry.value for entry in model.metadata_props}
    assert set(told) == {"checkpoint_sha256", "lpcv_stand_in"}
    assert "precompiled_qnn_onnx for Samsung Galaxy S24" in told["lpcv_stand_in"]
    assert zipfile.ZipFile(folder / "model.zip").namelist() == ["a_job_stand_in.onnx/model.onnx"]


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A TorchScript model of two inputs and two outputs."""
    import torch

    class Two(torch.nn.Module):
        def forward(self, a: torch.Tensor, b: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            return a + b, torch.relu(a)

    path = tmp_path_factory.mktemp("torch") / "two.pt"
    torch.jit.script(Two()).save(str(path))
    return path


X, Y = np.array([[-1, 2]], np.float32), np.array([[5, 6]], np.float32)
TWO_SPECS = [["x", [1, 2], "float32"], ["y", [1, 2], "float32"]]


def test_torchscript_becomes_onnx_with_the_names_of_its_specs(tmp_path: Path, two: Path) -> None:
    _, folder = compiled(tmp_path, two, inputs=TWO_SPECS, source="torchscript")
    got = run(folder / "model.onnx", x=X, y=Y)
    assert {name: values.tolist() for name, values in got.items()} == {"output_0": [[4, 8]], "output_1": [[0, 2]]}
    with pytest.raises(JobError, match="cannot be converted"):
        compiled(tmp_path, two, inputs=TWO_SPECS[:1], source="torchscript")
    with pytest.raises(JobError, match="needs input_specs"):
        compiled(tmp_path, two, source="torchscript")
    (tmp_path / "broken.pt").write_bytes(b"not a module")
    with pytest.raises(JobError, match="not a readable TorchScript model"):
        compiled(tmp_path, tmp_path / "broken.pt", inputs=TWO_SPECS, source="torchscript")


@pytest.mark.slow
def test_an_exported_program_becomes_onnx(tmp_path: Path) -> None:
    import torch

    class Mean(torch.nn.Module):
        def forward(self, image: torch.Tensor) -> torch.Tensor:
            return image.mean(1)

    program = torch.export.export(Mean(), (torch.zeros(1, 2),))
    torch.export.save(program, str(tmp_path / "mean.pt2"))
    result, folder = compiled(tmp_path, tmp_path / "mean.pt2", source="exported_program")
    assert result["outputs"] == [["output_0", [1], "float32"]]
    assert run(folder / "model.onnx", image=X)["output_0"].tolist() == [0.5]


@pytest.mark.slow
def test_torchscript_through_the_client(tmp_path: Path, two: Path) -> None:
    with offline(tmp_path), Served(tmp_path / "hub") as hub:
        client, device = hub.client(), qai_hub.Device(S24)
        uploaded = client.upload_model(str(two))
        job = client.submit_compile_job(uploaded, device, input_specs={"x": (1, 2), "y": (1, 2)})
        assert job.wait().success, job.get_status().message
        inputs = {"x": [X], "y": [Y]}
        following = client.submit_inference_job(job.get_target_model(), device, inputs=inputs, profile=False)
        assert following.download_output_data()["output_0"][0].tolist() == [[4, 8]]
        assert following.download_profile()["execution_detail"] == []


def test_without_torch_a_torchscript_job_fails_with_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "torch", None)
    with pytest.raises(JobError, match="torch is not installed where the stand-in runs"):
        compiled(tmp_path, tmp_path / "two.pt", inputs=[["x", [1], "float32"]], source="torchscript")
