"""The zoo's networks: what each choice computes, on a tiny Depth Anything of the same classes."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from lpcv.contract import CURRENT as CONTRACT
from lpcv.errors import InputError, UnknownNameError
from lpcv.submission.wrapper import WrappedModel
from lpcv.train.zoo.network import BatchNormRgb, Emitting, Flipped, Stretched, fix_positions
from lpcv.train.zoo.variants import ZOO, variant_of, variants_of
from lpcv.train.zoo.weights import small_config
from transformers import AutoModelForDepthEstimation, DepthAnythingForDepthEstimation
from zoo_bench import answer, metric, picture, relative, variant  # noqa: F401 (fixtures)


def library(folder: Path) -> DepthAnythingForDepthEstimation:
    return AutoModelForDepthEstimation.from_pretrained(folder).eval()


# What is in the dictionary


def test_the_published_numbers_are_those_of_the_competitions_table() -> None:
    """device: "" where none was named."""
    told = {
        one.name: (one.size, one.published.f_score, one.published.latency_ms, one.published.device)
        for one in ZOO.values()
    }
    s24, qrd = "Samsung Galaxy S24 (Family)", "Snapdragon 8 Elite QRD"
    assert told == {
        "baseline": (518, None, 241.8, s24),
        "baseline-inverted": (518, None, None, ""),
        "third-first-try": (350, 71.67, 26.7, ""),
        "third": (336, 79.16, 33.1, ""),
        "second": (350, None, 28.6, qrd),
        "second-stock-attention": (350, None, 56.5, qrd),
        "second-subtract-divide": (350, None, 29.4, qrd),
        "second-one-pass": (350, None, None, ""),
        "second-518": (518, None, 88.9, qrd),
    }


def test_what_is_compared_differs_in_one_choice_alone() -> None:
    second = ZOO["second"].as_json()
    for name, key in {
        "second-stock-attention": "heads", "second-subtract-divide": "normalisation", "second-one-pass": "flip",
        "second-518": "size",
    }.items():  # fmt: skip
        other = ZOO[name].as_json()
        changed = {one for one in second if second[one] != other[one]}
        assert changed == {key, "name", "published", "teaches"}, name


@pytest.mark.parametrize(
    ("choices", "said"),
    [({"size": 350 + 1}, "multiple of 14"), ({"output": "min-max"}, "metric weights"), ({"size": 0}, "multiple")],
)
def test_a_variant_that_cannot_be_is_refused(choices: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        variant(**choices)


def test_an_unknown_name_gets_the_nearest_and_a_repeated_one_a_sentence() -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'baseline'"):
        variant_of("basline")
    with pytest.raises(InputError, match="given twice"):
        variants_of(("third", "third"))
    assert [one.name for one in variants_of(("third", "baseline"))] == ["third", "baseline"]
    assert variants_of(()) == list(ZOO.values())


def test_the_small_configuration_is_the_published_one() -> None:
    with torch.device("meta"):
        model = DepthAnythingForDepthEstimation(small_config("metric"))
    # 24.8 M in Depth Anything V2's table; 24,785,089 is the published Small's number of weights.
    assert sum(one.numel() for one in model.parameters()) == 24_785_089
    assert model.backbone.embeddings.position_embeddings.shape == (1, 37 * 37 + 1, 384)


# What each choice computes


def test_metric_is_the_librarys_depth_over_its_range(metric: Path, picture: torch.Tensor) -> None:
    """Against the library itself, with its own attention and its own resizing of the positions for each picture."""

    class Library(torch.nn.Module):
        def forward(self, image: torch.Tensor) -> torch.Tensor:
            return network(pixel_values=image).predicted_depth[:, None] / 10

    network = library(metric)
    with torch.inference_mode():
        wanted = WrappedModel(Library(), (154, 154)).eval()(picture)
    torch.testing.assert_close(answer(metric, picture, size=154), wanted, rtol=0, atol=1e-5)


@pytest.mark.parametrize("flip", [False, True])
def test_split_heads_are_the_stock_ones(metric: Path, picture: torch.Tensor, flip: bool) -> None:
    stock, split = (answer(metric, picture, heads=heads, flip=flip) for heads in ("stock", "split"))
    assert float((stock - split).abs().max()) <= 1e-5
    assert float(stock.std()) > 1e-3  # a constant would be equal, too


@pytest.mark.parametrize("heads", ["stock", "split"])
def test_attention_is_the_librarys_own(metric: Path, heads: str) -> None:
    """On sharp attention: the tiny model's own is nearly even, and would hide a wrong scale."""
    made: dict[str, torch.Tensor] = {}
    for name in ("eager", "lpcv_heads_together" if heads == "stock" else "lpcv_heads_apart"):
        network = library(metric)
        network.set_attn_implementation(name)
        layer = network.backbone.encoder.layer[0].attention
        torch.manual_seed(0)
        with torch.no_grad():
            for parameter in layer.parameters():
                parameter.normal_()
            made[name] = layer(torch.randn(2, 65, 32))[0]
    eager, mine = made.values()
    torch.testing.assert_close(mine, eager, rtol=1e-5, atol=1e-4)


def test_batchnorm_is_subtracting_and_dividing(metric: Path, picture: torch.Tensor) -> None:
    plain, folded = (
        answer(metric, picture, normalisation=one) for one in ("subtract-divide", "batchnorm")
    )  # fmt: skip
    assert float((plain - folded).abs().max()) <= 1e-5
    front = BatchNormRgb(torch.nn.Identity(), (640, 480)).eval()
    white = front(torch.full(CONTRACT.input_shape, 255.0))[0, :, 0, 0]
    torch.testing.assert_close(white, torch.tensor([2.2489, 2.4286, 2.6400]), rtol=0, atol=1e-4)  # ImageNet's


def test_mirrored_is_the_mean_of_both_answers() -> None:
    """The network answers the left neighbour, so that mirroring matters; literal and by definition."""
    shifted = Flipped(torch.nn.ZeroPad2d((1, -1, 0, 0)))
    row = torch.tensor([[[[1.0, 2.0, 4.0, 8.0]]]])
    assert shifted(row).flatten().tolist() == [1.0, 2.5, 5.0, 2.0]


def test_a_mirrored_picture_gets_the_mirrored_answer(metric: Path, picture: torch.Tensor) -> None:
    plain, mirrored = (answer(metric, one, flip=True) for one in (picture, picture.flip(-1)))
    torch.testing.assert_close(mirrored.flip(-1), plain, rtol=0, atol=5e-5)
    alone, other = (answer(metric, one) for one in (picture, picture.flip(-1)))
    assert float((other.flip(-1) - alone).abs().max()) > 1e-3  # not so without averaging
    torch.testing.assert_close(plain, (alone + other.flip(-1)) / 2, rtol=0, atol=5e-5)


@pytest.mark.parametrize("output", ["min-max", "1 - min-max"])
def test_stretching_reaches_both_ends_and_inverts(output: str) -> None:
    ramp = torch.linspace(3, 7, 480 * 640).view(1, 1, 480, 640)
    found = Stretched(torch.nn.Identity(), output)(ramp).flatten()  # type: ignore[arg-type]
    ends = (float(found[0]), float(found[-1]))
    assert ends == ((0.0, 1.0) if output == "min-max" else (1.0, 0.0))
    torch.testing.assert_close(found[120 * 640], torch.tensor(0.25 if output == "min-max" else 0.75), atol=1e-4, rtol=0)
    constant = Stretched(torch.nn.Identity(), output)(torch.full((1, 1, 480, 640), 5.0))  # type: ignore[arg-type]
    assert torch.isfinite(constant).all()


def test_positions_are_resized_once_as_the_library_does(metric: Path) -> None:
    network, untouched = library(metric), library(metric)
    tokens = torch.zeros(1, 11 * 11 + 1, 32)
    wanted = untouched.backbone.embeddings.interpolate_pos_encoding(tokens, 154, 154)
    fix_positions(network, 154)
    embeddings = network.backbone.embeddings
    assert embeddings.position_embeddings.shape == (1, 122, 32)
    torch.testing.assert_close(embeddings.position_embeddings, wanted, rtol=0, atol=0)
    # What stays in the graph is the constant itself.
    assert embeddings.interpolate_pos_encoding(tokens, 154, 154) is embeddings.position_embeddings


def test_relative_emits_as_the_library_and_metric_divides(metric: Path, relative: Path) -> None:
    image = torch.randn(1, 3, 112, 112)
    with torch.inference_mode():
        for folder, most in ((metric, 10.0), (relative, 1.0)):
            network = library(folder)
            wanted = network(pixel_values=image).predicted_depth[:, None] / most
            torch.testing.assert_close(Emitting(network)(image), wanted)
