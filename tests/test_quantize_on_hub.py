"""`lpcv quantize --on hub` without a hub: what is refused before it costs a job, and what a job's archive becomes."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import quantize_graphs as graphs
from lpcv import cli
from lpcv.contract import CURRENT as CONTRACT
from lpcv.data.folder import open_folder
from lpcv.errors import InputError
from lpcv.files import sha256_file
from lpcv.hub_jobs.quantize import on_hub
from lpcv.hub_jobs.quantize.on_hub import order_of, unpack
from lpcv.onnx_session import model_files, open_session
from onnx import ModelProto, TensorProto, helper

WEIGHTS = "model.data"  # what AI Hub calls them in every archive


def scaled(by: float, shape: tuple[int, ...] = (1, 3, 4, 4), name: str = "image") -> ModelProto:
    """`name` times `by`, which is a tensor of the input's shape."""
    values = np.full(shape, by, np.float32)
    model = graphs.build(
        [helper.make_node("Mul", [name, "by"], ["output_0"], name="mul")], {"by": values}, shape, fed=shape
    )
    model.graph.input[0].name = name
    return model


def beside(path: Path, model: ModelProto) -> Path:
    """The model, its weights in another file, under a name that says nothing of the model's."""
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, str(path), save_as_external_data=True, location=WEIGHTS, size_threshold=0)
    return path


def archive(path: Path, model: ModelProto) -> Path:
    """As AI Hub hands it out."""
    graph = beside(path.with_suffix("") / "model.onnx", model)
    with zipfile.ZipFile(path, "w") as made:
        for file in (graph, graph.with_name(WEIGHTS)):
            made.write(file, f"job_optimized_onnx/{file.name}")
    return path


def output(model: Path) -> float:
    (found,) = open_session(model).run(None, {"image": np.ones((1, 3, 4, 4), np.float32)})
    return float(np.unique(np.asarray(found)).item())


@pytest.mark.parametrize(("largest", "files"), [(None, 1), (100, 2)])
def test_two_archives_in_one_folder_leave_each_other_and_the_float_model_alone(
    largest: int | None, files: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also above what one file can hold, where the weights stand beside the graph."""
    if largest:
        monkeypatch.setattr(on_hub, "LARGEST_BYTES", largest)
    place = tmp_path / "runs"
    source = beside(place / "model.onnx", scaled(1))
    before = sha256_file(place / WEIGHTS)
    found = {}
    for by, precision in ((2, "w8a8"), (3, "w8a16")):
        found[by] = unpack(archive(tmp_path / f"{precision}.onnx.zip", scaled(by)), place / f"model.{precision}.onnx")
        assert len(found[by]) == files
        assert found[by] == model_files(place / f"model.{precision}.onnx")
    assert sha256_file(place / WEIGHTS) == before
    assert {by: output(written[0]) for by, written in found.items()} == {2: 2, 3: 3}
    assert output(source) == 1
    assert len(list(place.iterdir())) == 2 + 2 * files
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_what_is_one_file_is_written_as_it_came(tmp_path: Path) -> None:
    content = scaled(2).SerializeToString()
    (tmp_path / "plain.onnx").write_bytes(content)
    with zipfile.ZipFile(tmp_path / "one.zip", "w") as made:
        made.writestr("one.onnx", content)
    for fetched in ("plain.onnx", "one.zip"):
        assert unpack(tmp_path / fetched, tmp_path / "b.onnx") == [tmp_path / "b.onnx"]
        assert (tmp_path / "b.onnx").read_bytes() == content


def without_weights(path: Path) -> None:
    graph = beside(path.with_suffix("") / "model.onnx", scaled(2))
    with zipfile.ZipFile(path, "w") as made:
        made.write(graph, "model.onnx")


def with_short_weights(path: Path) -> None:
    graph = beside(path.with_suffix("") / "model.onnx", scaled(2))
    with zipfile.ZipFile(path, "w") as made:
        made.write(graph, "model.onnx")
        made.writestr(WEIGHTS, b"few")


def damaged_inside(path: Path) -> None:
    archive(path, scaled(2))
    content = bytearray(path.read_bytes())
    content[60] ^= 255
    path.write_bytes(content)


def holding(**files: bytes) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        with zipfile.ZipFile(path, "w") as made:
            for name, content in files.items():
                made.writestr(name.replace("_", "."), content)

    return make


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (holding(readme=b""), "holds readme, not one .onnx file"),
        (holding(a_onnx=b"a", b_onnx=b"b"), "not one .onnx file"),
        (holding(a_onnx=b"no graph"), "holds no readable ONNX model"),
        (without_weights, "holds no model.data, in which the model keeps weights"),
        (with_short_weights, "holds no readable ONNX model"),
        (damaged_inside, "is damaged"),
    ],
)
def test_what_is_no_archive_of_a_model_leaves_nothing(
    make: Callable[[Path], None], sentence: str, tmp_path: Path
) -> None:
    make(tmp_path / "job.zip")
    with pytest.raises(InputError, match=sentence.replace(".", r"\.")) as caught:
        unpack(tmp_path / "job.zip", tmp_path / "out" / "made.onnx")
    assert "fetched anew" in str(caught.value)
    assert not (tmp_path / "out").exists()


def quantized(path: Path) -> ModelProto:
    nodes = [
        helper.make_node("QuantizeLinear", ["image", "scale"], ["q"], name="round"),
        helper.make_node("DequantizeLinear", ["q", "scale"], ["output_0"], name="back"),
    ]
    return graphs.build(nodes, {"scale": np.array(1, np.float32)}, CONTRACT.input_shape, fed=CONTRACT.input_shape)


def two_inputs(path: Path) -> ModelProto:
    model = scaled(1, CONTRACT.input_shape)
    model.graph.input.append(helper.make_tensor_value_info("depth", TensorProto.FLOAT, [1]))
    return model


def broken(path: Path) -> ModelProto:
    model = scaled(1, CONTRACT.input_shape)
    model.graph.node[0].input[1] = "nowhere"
    return model


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (quantized, "is already quantized: its node round is a QuantizeLinear"),
        (two_inputs, "has 2 inputs (image, depth)"),
        (lambda _: scaled(1, (1, 3, 12, 16)), "takes image of 1 x 3 x 12 x 16"),
        (lambda _: scaled(1, CONTRACT.input_shape, "pixels"), "takes pixels of 1 x 3 x 480 x 640"),
        (broken, "nowhere"),
    ],
    ids=["quantized", "two inputs", "another size", "another name", "broken"],
)
@pytest.mark.parametrize("more", [[], ["--dry-run"]], ids=["ordered", "dry run"])
def test_what_cannot_work_costs_no_job(
    make: Callable[[Path], ModelProto], sentence: str, more: list[str], small_frames: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.setenv("LPCV_HUB_FOLDER", str(tmp_path / "hub"))
    model = graphs.write(tmp_path / "model.onnx", make(tmp_path))
    words = ["quantize", str(model), "--data", str(small_frames), "--precision", "w8a8", "--on", "hub"]
    assert cli.run([*words, "--hub", "local", *more]) == 2
    told = capsys.readouterr().err
    assert sentence in told
    assert ("--on local" in told) == ("takes" in sentence)
    assert not (tmp_path / "hub").exists()


def test_weights_in_another_file_are_ordered_with_the_model(small_frames: Path, tmp_path: Path) -> None:
    model = beside(tmp_path / "model.onnx", scaled(1, CONTRACT.input_shape))
    order = order_of(model, open_folder(small_frames), "w8a8", samples=2, seed=0, out=tmp_path / "out.onnx")
    assert [path.name for path in order.model.files] == ["model.onnx", WEIGHTS]  # type: ignore[union-attr]
