"""Teachers: the real transformers classes, made small and saved by the test."""

from __future__ import annotations

import io
import json
import shutil
from pathlib import Path

import huggingface_hub
import numpy as np
import pytest
import torch
from lpcv.cli import run
from lpcv.data.folder import open_folder
from lpcv.data.labels import LabelStore
from lpcv.errors import InputError, UnreachableError
from lpcv.train.dataset import Examples, demand_fits
from lpcv.train.hub_weights import HubWeights, weights_sha256
from lpcv.train.labelling import default_store, label_frames
from lpcv.train.recipe import resolve
from lpcv.train.small_teacher import DepthAnything
from lpcv.train.teacher import Teacher, load_teacher
from lpcv.train.weights_licence import licence_of, warn_of_licence
from safetensors.torch import load_file, save_file

SIZE = (112, 84)


def test_metric_and_relative_are_told_apart(tiny_teacher: Path, relative_teacher: Path) -> None:
    assert load_teacher(str(tiny_teacher)).kind == "depth_m"
    assert load_teacher(str(relative_teacher)).kind == "affine_inverse_depth"


def test_source_is_recorded(tiny_teacher: Path, relative_teacher: Path) -> None:
    metric, relative = load_teacher(str(tiny_teacher)).source, load_teacher(str(relative_teacher)).source
    assert metric.teacher == "metric"  # no path of this machine
    assert metric.licence == "apache-2.0"  # of the card that was saved beside it
    assert relative.licence == "unknown"
    assert metric.input_size == SIZE
    assert metric.weights_sha256 == relative.weights_sha256
    torch.manual_seed(2)
    other = tiny_teacher.parent / "other"
    DepthAnything(SIZE, hidden=32).save_teacher(other)
    assert load_teacher(str(other)).source.weights_sha256 != metric.weights_sha256


def test_saved_teacher_predicts_what_the_network_predicts(tiny_teacher: Path) -> None:
    """Through the processor of the saved folder and through our own preprocessing: the same depth in metres."""
    from lpcv.train.raw_rgb import RawRgb

    torch.manual_seed(1)
    network = DepthAnything(SIZE, hidden=32).eval()
    rgb = np.random.default_rng(0).integers(0, 256, (SIZE[1], SIZE[0], 3), np.uint8)
    with torch.inference_mode():
        ours = (
            RawRgb(network, SIZE)(torch.from_numpy(rgb.transpose(2, 0, 1).copy())[None].float()) * network.max_depth_m
        )
    theirs = load_teacher(str(tiny_teacher)).predict(rgb)
    assert np.allclose(theirs, ours[0, 0].numpy(), atol=1e-3)


def test_batches_do_not_matter(tiny_teacher: Path) -> None:
    teacher = load_teacher(str(tiny_teacher))
    pictures = list(np.random.default_rng(0).integers(0, 256, (3, 48, 64, 3), np.uint8))
    together = teacher.predict_batch(pictures)
    for picture, label in zip(pictures, together, strict=True):
        assert np.allclose(teacher.predict(picture), label, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "licence"),
    [
        ("depth-anything/Depth-Anything-V2-Large-hf", "cc-by-nc-4.0"),
        ("depth-anything/Depth-Anything-V2-Small-hf", "apache-2.0"),
        ("teachers/Depth-Anything-V2-Base-hf", "cc-by-nc-4.0"),
    ],
)
def test_known_licences(name: str, licence: str) -> None:
    assert licence_of(name) == licence


@pytest.mark.parametrize(
    ("licence", "said"),
    [
        ("cc-by-nc-4.0", "non-commercial"), ("CC BY-NC 4.0", "non-commercial"), ("cc_by_nc_4.0", "non-commercial"),
        ("research use only", "non-commercial"), ("non-commercial", "non-commercial"), ("unknown", "nobody says"),
        ("other", "is not known here"), ("apache-2.0", ""),
    ],
)  # fmt: skip
def test_what_a_licence_means_is_said(licence: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    warn_of_licence("somebody/some", licence)
    warned = capsys.readouterr().err
    assert said in warned
    assert bool(warned) is bool(said)


def test_unreachable_teacher_names_the_local_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(UnreachableError, match="--local-dir"):
        load_teacher("depth-anything/Depth-Anything-V2-Small-hf")


def test_folder_without_a_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no transformers depth model"):
        load_teacher(str(tmp_path))


def test_model_of_another_kind_is_refused(tmp_path: Path) -> None:
    from transformers import BertConfig

    BertConfig().save_pretrained(tmp_path)
    with pytest.raises(InputError, match="bert"):
        load_teacher(str(tmp_path))


PLANTED = """
from pathlib import Path
Path(r"{witness}").write_text("run")
from transformers import {base}
class Planted({base}):
    model_type = "foo"
"""
AUTO = {
    "AutoConfig": "x.Planted", "AutoModelForDepthEstimation": "x.Planted", "AutoImageProcessor": "x.Planted",
}  # fmt: skip


@pytest.mark.parametrize("answer", ["y\n", "n\n", ""])
@pytest.mark.parametrize("place", ["config", "known config", "processor"])
def test_code_beside_the_weights_is_never_run_nor_asked_about(
    place: str, answer: str, tiny_teacher: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """transformers asks on the terminal by default, and takes "y" for consent."""
    folder, witness = tmp_path / "planted", tmp_path / "witness"
    shutil.copytree(tiny_teacher, folder)
    base = "BaseImageProcessor" if place == "processor" else "PretrainedConfig"
    (folder / "x.py").write_text(PLANTED.format(witness=witness, base=base))
    file = folder / ("preprocessor_config.json" if place == "processor" else "config.json")
    told = json.loads(file.read_text())
    changed = {"config": {"model_type": "foo"}, "known config": {}, "processor": {"image_processor_type": "Planted"}}
    file.write_text(json.dumps({**told, "auto_map": AUTO, **changed[place]}))
    monkeypatch.setattr("sys.stdin", io.StringIO(answer))
    if place == "known config":  # the library's own classes serve
        assert load_teacher(str(folder)).kind == "depth_m"
    else:
        with pytest.raises(InputError, match="code in it is never run"):
            load_teacher(str(folder))
    assert not witness.exists()
    assert "[y/N]" not in capsys.readouterr().out


def test_an_exception_without_a_message_is_told_by_its_name(tmp_path: Path) -> None:
    class Reader:
        @staticmethod
        def from_pretrained(*_: object, **__: object) -> None:
            raise KeyError

    given = HubWeights(str(tmp_path), "--teacher", "teacher", "files")
    with pytest.raises(InputError, match=r"is no teacher \(KeyError\)"):
        given.read(Reader)


def test_the_hash_is_of_names_and_values_in_any_order() -> None:
    one, two = torch.arange(3.0), torch.tensor(2)
    assert weights_sha256({"a": one, "b": two}) == weights_sha256({"b": two, "a": one})
    others = ({"a": one}, {"a": two, "b": one}, {"a": one + 1, "b": two}, {"a": one[None], "b": two})
    assert len({weights_sha256(each) for each in (*others, {"a": one, "b": two})}) == 5


def test_pickled_weights_are_not_read(tiny_teacher: Path, tmp_path: Path) -> None:
    for name in ("config.json", "preprocessor_config.json"):
        (tmp_path / name).write_bytes((tiny_teacher / name).read_bytes())
    torch.save({}, tmp_path / "pytorch_model.bin")
    with pytest.raises(InputError):
        load_teacher(str(tmp_path))


class Counting:
    """A teacher that counts what it is asked, and stops when it was asked too often."""

    def __init__(self, teacher: Teacher, most: int = 1000) -> None:
        self.teacher, self.most, self.asked = teacher, most, 0
        self.source = teacher.source

    def predict(self, rgb: np.ndarray) -> np.ndarray:
        return self.predict_batch([rgb])[0]

    def predict_batch(self, images: list[np.ndarray]) -> list[np.ndarray]:
        if self.asked + len(images) > self.most:
            raise RuntimeError("stopped")
        self.asked += len(images)
        return self.teacher.predict_batch(images)


def test_every_frame_is_labelled_once(tiny_teacher: Path, scenes: Path, tmp_path: Path) -> None:
    frames = open_folder(scenes)
    stopped = Counting(load_teacher(str(tiny_teacher)), most=5)
    with pytest.raises(RuntimeError):
        label_frames(frames, stopped, tmp_path / "labels")  # type: ignore[arg-type]
    again = Counting(load_teacher(str(tiny_teacher)))
    store = label_frames(frames, again, tmp_path / "labels", batch=2)  # type: ignore[arg-type]
    assert again.asked == len(frames) - 5
    third = Counting(load_teacher(str(tiny_teacher)))
    label_frames(frames, third, tmp_path / "labels")  # type: ignore[arg-type]
    assert third.asked == 0
    frame = frames.frame(frames.names[3])
    assert np.allclose(store.read(frame.name), again.predict(frame.rgb), atol=0.01)  # stored as float16


def test_label_command(tiny_teacher: Path, scenes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "labels"
    assert run(["label", str(scenes), "--teacher", str(tiny_teacher), "--out", str(out), "--batch", "4"]) == 0
    assert "8 labels, depth_m, licence apache-2.0" in capsys.readouterr().out
    assert LabelStore.open(out).source.kind == "depth_m"


def test_default_store_lies_beside_the_frames(tiny_teacher: Path, scenes: Path) -> None:
    teacher = load_teacher(str(tiny_teacher))
    path = default_store(open_folder(scenes), teacher)
    assert path.parent == scenes / "teacher_labels"
    assert teacher.source.weights_sha256[:8] in path.name


@pytest.mark.parametrize("damage", ["missing", "shape", "truncated", "estimation"])
def test_teacher_that_is_not_whole_is_refused(damage: str, tiny_teacher: Path, tmp_path: Path) -> None:
    """transformers fills missing weights with random numbers: such a teacher must not label a single frame."""
    folder = tmp_path / "teacher"
    shutil.copytree(tiny_teacher, folder)
    weights = folder / "model.safetensors"
    state = load_file(weights)
    first = next(iter(state))
    if damage == "missing":
        del state[first]
    elif damage == "shape":
        state[first] = torch.zeros(3)
    if damage == "truncated":
        weights.write_bytes(weights.read_bytes()[:1000])
    elif damage == "estimation":
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps({**config, "depth_estimation_type": "guess"}))
    else:
        save_file(state, weights, {"format": "pt"})
    with pytest.raises(InputError):
        load_teacher(str(folder))


def test_other_families_tell_their_size_too(tmp_path: Path) -> None:
    from transformers import GLPNConfig, GLPNForDepthEstimation, GLPNImageProcessor

    config = GLPNConfig(
        hidden_sizes=[8, 8, 8, 8], decoder_hidden_size=8, depths=[1, 1, 1, 1], num_attention_heads=[1] * 4
    )
    GLPNForDepthEstimation(config).save_pretrained(tmp_path)
    GLPNImageProcessor().save_pretrained(tmp_path)
    teacher = load_teacher(str(tmp_path))
    assert (teacher.kind, teacher.source.input_size) == ("depth_m", (640, 480))
    assert teacher.predict(np.zeros((480, 640, 3), np.uint8)).shape == (480, 640)


def test_a_teacher_that_contradicts_the_truth_is_refused(relative_teacher: Path, scenes: Path, tmp_path: Path) -> None:
    """Labels that are depth where inverse depth was promised: on most frames no increasing fit exists."""
    frames = open_folder(scenes)
    source = load_teacher(str(relative_teacher)).source
    store = LabelStore.create(tmp_path / "labels", source)
    for frame in frames:
        assert frame.depth_m is not None
        store.write(frame.name, frames.images[frame.name], frame.depth_m)
    with pytest.raises(InputError, match="contradicts the truth on 8 of 8"):
        demand_fits(Examples(frames, store, resolve("laptop")))


@pytest.mark.parametrize(
    "name",
    ["photo.png", "./teachers/nope", "./x", "../x", "x/.y", "-x/y", "/nowhere", "teachers/a/b", "models/student.onnx"],
)
def test_a_name_that_can_be_no_hub_id_is_not_looked_for(name: str) -> None:
    with pytest.raises(InputError, match="neither a folder nor a hub id"):
        load_teacher(name)
