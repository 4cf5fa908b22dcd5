"""The student is what the design says, and what it says it is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from lpcv.errors import InputError, UnknownNameError, UnreachableError
from lpcv.train import encoder_weights
from lpcv.train.checkpoint import save_network
from lpcv.train.encoder_weights import load_encoder_weights
from lpcv.train.networks import build_network, load_network
from lpcv.train.raw_rgb import IMAGENET_MEAN, IMAGENET_STD, RawRgb, to_contract, to_size
from lpcv.train.small_teacher import DepthAnything
from lpcv.train.student import Student
from safetensors.torch import save_file
from torchvision.models import mobilenet_v3_small


@pytest.fixture(scope="module")
def student() -> Student:
    torch.manual_seed(0)
    return Student((128, 96)).eval()


def test_about_a_million_parameters_and_the_layers_of_the_design(student: Student) -> None:
    assert sum(parameter.numel() for parameter in student.parameters()) == 985_697
    assert (student.tail_wide.in_channels, student.tail_wide.out_channels) == (576, 64)
    assert (student.tail_narrow.in_channels, student.tail_narrow.out_channels) == (96, 64)
    assert (student.skip_16.in_channels, student.skip_8.in_channels) == (48, 24)
    assert (student.head.in_channels, student.head.out_channels) == (32, 1)


@pytest.mark.parametrize(("width", "height"), [(640, 480), (256, 192), (128, 96)])
def test_output_has_a_quarter_of_the_size_and_the_range(width: int, height: int) -> None:
    with torch.inference_mode():
        output = Student((width, height)).eval()(torch.randn(2, 3, height, width))
    assert output.shape == (2, 1, height // 4, width // 4)
    assert output.min() >= 0
    assert output.max() <= 1


def test_size_that_is_no_multiple_of_32_is_refused() -> None:
    with pytest.raises(InputError, match="multiple of 32"):
        Student((320, 200))


def test_is_a_hub_model(student: Student, tmp_path: Path) -> None:
    """`save_pretrained` / `from_pretrained` of huggingface_hub, as anybody else would use them."""
    student.save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    assert config == {"working_size": [128, 96], "max_depth_m": 10.0}
    again = Student.from_pretrained(tmp_path).eval()
    picture = torch.randn(1, 3, 96, 128)
    with torch.inference_mode():
        assert torch.equal(again(picture), student(picture))


def test_our_checkpoint_is_the_same_as_the_hubs(student: Student, tmp_path: Path) -> None:
    save_network(student, tmp_path)
    picture = torch.randn(1, 3, 96, 128)
    with torch.inference_mode():
        for again in (Student.from_pretrained(tmp_path).eval(), load_network("mobilenet_v3_small", tmp_path)):
            assert torch.equal(again(picture), student(picture))


def test_checkpoint_of_another_network_is_refused(student: Student, tmp_path: Path) -> None:
    save_network(student, tmp_path)
    with pytest.raises(InputError, match="depth_anything"):
        load_network("depth_anything", tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"damaged")
    with pytest.raises(InputError, match="does not hold"):
        load_network("mobilenet_v3_small", tmp_path)


def test_unknown_network_suggests_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="mobilenet_v3_small"):
        build_network("mobilenet_v3", (128, 96), 10.0)


def test_preprocessing_is_imagenets() -> None:
    class Passing(torch.nn.Module):
        def forward(self, image: torch.Tensor) -> torch.Tensor:
            return image

    picture = torch.full((1, 3, 96, 128), 255.0)
    normalised = RawRgb(Passing(), (128, 96))(picture)
    expected = (1 - torch.tensor([0.485, 0.456, 0.406])) / torch.tensor([0.229, 0.224, 0.225])
    assert torch.allclose(normalised[0, :, 0, 0], expected, atol=1e-5)
    assert [round(value / 255, 3) for value in (*IMAGENET_MEAN, *IMAGENET_STD)] == [
        0.485, 0.456, 0.406, 0.229, 0.224, 0.225,
    ]  # fmt: skip


def test_resizing_uses_half_pixel_centres_and_leaves_equal_sizes_alone() -> None:
    ramp = torch.arange(4.0).view(1, 1, 1, 4)
    assert to_size(ramp, (4, 1)) is ramp
    assert to_size(ramp, (2, 1)).flatten().tolist() == [0.5, 2.5]
    assert to_contract(torch.full((1, 1, 96, 128), 1.5)).max() == 1


def test_small_teacher_is_the_real_class() -> None:
    network = DepthAnything().eval()
    assert type(network.model).__name__ == "DepthAnythingForDepthEstimation"
    with torch.inference_mode():
        output = network(torch.randn(1, 3, 126, 168))
    assert output.shape == (1, 1, 126, 168)
    assert 0 <= output.min() <= output.max() <= 1


@pytest.mark.parametrize(("size", "range_m"), [((225, 168), 10.0), ((224, 168), 10.5)])
def test_small_teacher_refuses_what_it_cannot_be(size: tuple[int, int], range_m: float) -> None:
    with pytest.raises(InputError):
        DepthAnything(size, range_m)


@pytest.mark.parametrize("whole", [True, False], ids=["classifier", "encoder"])
@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_encoder_weights_from_a_file(whole: bool, suffix: str, tmp_path: Path) -> None:
    classifier = mobilenet_v3_small(weights=None)
    state = classifier.state_dict() if whole else classifier.features.state_dict()
    path = tmp_path / f"weights{suffix}"
    save_file(state, path) if suffix == ".safetensors" else torch.save(state, path)
    student = Student((128, 96))
    begun = load_encoder_weights(student.encoder, str(path))
    assert begun.name == path.name
    assert begun.sha256
    first = next(iter(classifier.features.state_dict().values()))
    assert torch.equal(next(iter(student.encoder.state_dict().values())), first)


def test_encoder_weights_that_do_not_fit(tmp_path: Path) -> None:
    save_file({"features.0.0.weight": torch.zeros(1)}, tmp_path / "w.safetensors")
    with pytest.raises(InputError, match="does not fit"):
        load_encoder_weights(Student((128, 96)).encoder, str(tmp_path / "w.safetensors"))
    (tmp_path / "w.pth").write_bytes(b"not torch")
    with pytest.raises(InputError, match="no plain tensors"):
        load_encoder_weights(Student((128, 96)).encoder, str(tmp_path / "w.pth"))
    with pytest.raises(InputError, match="is no file"):
        load_encoder_weights(Student((128, 96)).encoder, "imagenett")


def test_imagenet_weights_out_of_reach_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """Never silently random: the user is told, and decides."""

    def unreachable(*_: object, **__: object) -> None:
        raise encoder_weights.URLError("no route to host")

    monkeypatch.setattr(encoder_weights.torch.hub, "load_state_dict_from_url", unreachable)
    with pytest.raises(UnreachableError, match="--encoder-weights none"):
        load_encoder_weights(Student((128, 96)).encoder, "imagenet")
