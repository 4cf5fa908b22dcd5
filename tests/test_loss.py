"""The losses: hand-made values, properties, and the conversion of inverse depth."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from lpcv.train import loss
from lpcv.train.inverse_depth import fit_inverse_depth
from lpcv.train.loss import Targets, total_loss
from lpcv.train.recipe import LossWeights
from torch import Tensor

SHAPE = (2, 1, 4, 5)


def maps(seed: int) -> tuple[Tensor, Tensor, Tensor]:
    draw = torch.Generator().manual_seed(seed)
    pred, truth = (torch.rand(SHAPE, generator=draw) * 5 + 0.5 for _ in range(2))
    return pred, truth, torch.rand(SHAPE, generator=draw) > 0.3


def full(value: float) -> Tensor:
    return torch.full((1, 1, 1, 4), value)


ALL = torch.ones(1, 1, 1, 4, dtype=torch.bool)


def test_scale_invariant_by_hand() -> None:
    """g = ln 2 everywhere: g^2 - lambda g^2."""
    assert loss.scale_invariant(full(2.0), full(1.0), ALL, 0.5).item() == pytest.approx(0.5 * math.log(2) ** 2)
    assert loss.scale_invariant(full(2.0), full(1.0), ALL, 1.0).item() == pytest.approx(0, abs=1e-7)
    half = torch.tensor([math.e, math.e, 1.0, 1.0]).view(1, 1, 1, 4)  # g = 1, 1, 0, 0
    assert loss.scale_invariant(half, full(1.0), ALL, 0.5).item() == pytest.approx(0.5 - 0.5 * 0.25)


def test_l1_and_distillation_by_hand() -> None:
    assert loss.l1(full(3.0), full(1.0), ALL).item() == 2.0
    assert loss.distillation(full(3.0), full(1.0), ALL).item() == 4.0


@given(st.integers(0, 1000), st.floats(0.1, 10.0))
def test_scale_invariance_with_lambda_one(seed: int, scale: float) -> None:
    pred, truth, mask = maps(seed)
    one = loss.scale_invariant(pred, truth, mask, 1.0)
    other = loss.scale_invariant(scale * pred, truth, mask, 1.0)
    assert other.item() == pytest.approx(one.item(), rel=1e-3, abs=1e-5)


@given(st.integers(0, 1000), st.floats(0.1, 10.0), st.floats(-5.0, 5.0))
def test_affine_invariance(seed: int, scale: float, shift: float) -> None:
    pred, teacher, mask = maps(seed)
    one = loss.affine_invariant(pred, teacher, mask)
    other = loss.affine_invariant(scale * pred + shift, teacher, mask)
    assert other.item() == pytest.approx(one.item(), rel=1e-2, abs=1e-4)


@given(st.integers(0, 1000))
def test_pixels_outside_the_mask_do_not_matter(seed: int) -> None:
    pred, truth, mask = maps(seed)
    spoiled = torch.where(mask, truth, torch.full_like(truth, 77.0))
    for part in (loss.scale_invariant, loss.l1, loss.distillation, loss.affine_invariant):
        assert part(pred, truth, mask).item() == part(pred, spoiled, mask).item()


@pytest.mark.parametrize("part", [loss.scale_invariant, loss.l1, loss.distillation, loss.affine_invariant])
def test_an_empty_mask_costs_nothing_and_has_a_gradient(part) -> None:
    pred = torch.rand(SHAPE, requires_grad=True)
    value = part(pred, torch.rand(SHAPE), torch.zeros(SHAPE, dtype=torch.bool))
    value.backward()
    assert value.item() == 0
    assert pred.grad is not None
    assert torch.isfinite(pred.grad).all()


@pytest.mark.parametrize("part", [loss.scale_invariant, loss.l1, loss.distillation, loss.affine_invariant])
def test_images_count_alike_whatever_their_pixels(part) -> None:
    pred, truth, mask = maps(3)
    apart = [part(pred[i : i + 1], truth[i : i + 1], mask[i : i + 1]).item() for i in range(2)]
    assert part(pred, truth, mask).item() == pytest.approx(sum(apart) / 2, rel=1e-5)


def test_total_is_the_weighted_sum_of_its_parts() -> None:
    relative, truth, mask = maps(1)
    relative = relative / 10
    teacher, _, other = maps(2)
    targets = Targets(truth, mask, teacher, other, teacher, ~mask)
    weights = LossWeights(scale_invariant=2.0, l1=3.0, distillation=5.0, affine_invariant=7.0)
    total, parts = total_loss(relative, targets, 10.0, weights)
    assert all(part > 0 for part in parts.values())
    expected = (
        2 * parts["scale_invariant"] + 3 * parts["l1"] + 5 * parts["distillation"] + 7 * parts["affine_invariant"]
    )
    assert total.item() == pytest.approx(expected.item(), rel=1e-6)


def test_loss_falls_towards_the_truth() -> None:
    _, truth, mask = maps(4)
    targets = Targets(truth, mask, truth, mask, 1 / truth, torch.zeros_like(mask))
    near, _ = total_loss(truth * 1.1 / 10, targets, 10.0, LossWeights())
    far, _ = total_loss(truth * 1.5 / 10, targets, 10.0, LossWeights())
    none, _ = total_loss(truth / 10, targets, 10.0, LossWeights())
    assert none.item() == pytest.approx(0, abs=1e-6)
    assert none < near < far


@given(st.floats(0.1, 5.0), st.floats(-0.05, 0.5), st.integers(0, 100))
def test_fit_recovers_scale_and_shift_in_inverse_depth(a: float, b: float, seed: int) -> None:
    draw = np.random.default_rng(seed)
    depth_m = draw.uniform(0.5, 8.0, (12, 16)).astype(np.float32)
    label = ((1 / depth_m - b) / a).astype(np.float32)
    fit = fit_inverse_depth(label, depth_m, depth_m > 0)
    assert fit is not None
    assert (fit.a, fit.b) == pytest.approx((a, b), rel=1e-3, abs=1e-3)
    assert np.allclose(fit.depth_m(label, 10.0), depth_m, rtol=1e-2)


def test_fit_is_not_moved_by_a_few_wild_pixels() -> None:
    draw = np.random.default_rng(0)
    depth_m = draw.uniform(0.5, 8.0, (24, 32)).astype(np.float32)
    label = ((1 / depth_m - 0.1) / 2).astype(np.float32)
    wild = depth_m.copy()
    wild.flat[::10] = 0.05
    fit = fit_inverse_depth(label, wild, wild > 0)
    assert fit is not None
    assert (fit.a, fit.b) == pytest.approx((2, 0.1), rel=1e-2)


@pytest.mark.parametrize("case", ["few pixels", "flat label", "contradiction"])
def test_fit_is_none_where_it_is_undetermined(case: str) -> None:
    depth_m = np.linspace(1, 5, 64, dtype=np.float32).reshape(8, 8)
    label, mask = (1 / depth_m).astype(np.float32), np.ones_like(depth_m, bool)
    if case == "few pixels":
        mask = mask & (np.arange(64).reshape(8, 8) < 5)
    elif case == "flat label":
        label = np.ones_like(label)
    else:
        label = depth_m
    assert fit_inverse_depth(label, depth_m, mask) is None


def test_converted_depth_is_clamped_to_the_range() -> None:
    depth_m = np.linspace(1, 5, 64, dtype=np.float32).reshape(8, 8)
    fit = fit_inverse_depth((1 / depth_m).astype(np.float32), depth_m, depth_m > 0)
    assert fit is not None
    found = fit.depth_m(np.array([1.0, 0.1001, 0.05, -1.0, 1000.0], np.float32), 10.0)
    assert found == pytest.approx([1.0, 9.99, 10.0, 10.0, 0.05], rel=1e-3)


@pytest.mark.parametrize("part", [loss.scale_invariant, loss.l1, loss.distillation, loss.affine_invariant])
@pytest.mark.parametrize("wild", [float("inf"), float("nan")])
def test_a_wild_pixel_outside_the_mask_leaves_the_gradient_finite(part, wild: float) -> None:
    pred, truth, mask = maps(6)
    pred.requires_grad_()
    part(pred, torch.where(mask, truth, torch.full_like(truth, wild)), mask).backward()
    assert pred.grad is not None
    assert torch.isfinite(pred.grad).all()
    assert (pred.grad[~mask] == 0).all()
