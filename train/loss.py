"""The losses, as pure functions, and their weighted sum.

Shapes: B batch, h w working size. `pred_m`, `truth_m`, `teacher_m` are (B, 1, h, w) float32 metres, `mask` is
(B, 1, h, w) bool. Each loss is the mean over images that have a pixel in the mask, and 0 where none has.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .recipe import LossWeights

LEAST_DEPTH_M = 1e-3


@dataclass(frozen=True)
class Targets:
    """What one batch is to be like; every map is (B, 1, h, w).

    truth_m, truth_mask: ground truth, within the student's range and confident enough
    teacher_m, teacher_mask: the teacher's depth in metres, within the student's range
    teacher_inverse, affine_mask: the teacher's affine inverse depth, on frames without truth to fit it by
    """

    truth_m: Tensor
    truth_mask: Tensor
    teacher_m: Tensor
    teacher_mask: Tensor
    teacher_inverse: Tensor
    affine_mask: Tensor


def scale_invariant(pred_m: Tensor, truth_m: Tensor, mask: Tensor, variance_focus: float = 0.5) -> Tensor:
    """mean(g^2) - lambda * mean(g)^2 with g = ln(pred) - ln(truth), per image.

    Eigen et al. 2014 (arXiv 1406.2283), eq. 4; lambda = variance_focus, 0.5 there; 1 ignores scale altogether.
    """
    known_m = _within(truth_m, mask)
    gap = torch.log(pred_m.clamp(min=LEAST_DEPTH_M)) - torch.log(known_m.clamp(min=LEAST_DEPTH_M))
    per_image = _mean(gap**2, mask) - variance_focus * _mean(gap, mask) ** 2
    return _over_images(per_image, mask)


def l1(pred_m: Tensor, truth_m: Tensor, mask: Tensor) -> Tensor:
    """mean |pred - truth|, metres, per image."""
    return _over_images(_mean((pred_m - _within(truth_m, mask)).abs(), mask), mask)


def distillation(pred_m: Tensor, teacher_m: Tensor, mask: Tensor) -> Tensor:
    """mean (pred - teacher)^2, square metres, per image."""
    return _over_images(_mean((pred_m - _within(teacher_m, mask)) ** 2, mask), mask)


def affine_invariant(pred_inverse: Tensor, teacher_inverse: Tensor, mask: Tensor) -> Tensor:
    """mean |p - t| after each map's median is taken off and its mean absolute deviation divided out, per image.

    The scale-and-shift-invariant loss of MiDaS (Ranftl et al. 2020, arXiv 1907.01341, eq. 5 to 7), untrimmed.
    """
    teacher = _within(teacher_inverse, mask)
    distance = (_standardised(pred_inverse, mask) - _standardised(teacher, mask)).abs()
    return _over_images(_mean(distance, mask), mask)


def total_loss(
    relative_depth: Tensor, targets: Targets, max_depth_m: float, weights: LossWeights
) -> tuple[Tensor, dict[str, Tensor]]:
    """The weighted sum and its unweighted parts, for the network's (B, 1, h, w) output in [0, 1]."""
    pred_m = relative_depth * max_depth_m
    inverse = 1.0 / pred_m.clamp(min=LEAST_DEPTH_M)
    parts = {
        "scale_invariant": scale_invariant(pred_m, targets.truth_m, targets.truth_mask, weights.variance_focus),
        "l1": l1(pred_m, targets.truth_m, targets.truth_mask),
        "distillation": distillation(pred_m, targets.teacher_m, targets.teacher_mask),
        "affine_invariant": affine_invariant(inverse, targets.teacher_inverse, targets.affine_mask),
    }
    total = torch.stack([getattr(weights, name) * part for name, part in parts.items()]).sum()
    return total, {name: part.detach() for name, part in parts.items()}


def _within(values: Tensor, mask: Tensor) -> Tensor:
    """The values, 1 outside the mask: what is masked out may be infinite, and infinity times 0 makes a gradient NaN."""
    return torch.where(mask, values, 1.0)


def _mean(values: Tensor, mask: Tensor) -> Tensor:
    """(B,): the masked mean of each image, 0 where its mask is empty."""
    counted = mask.sum(dim=(1, 2, 3)).clamp(min=1)
    return torch.where(mask, values, 0.0).sum(dim=(1, 2, 3)) / counted


def _over_images(per_image: Tensor, mask: Tensor) -> Tensor:
    has_pixels = mask.flatten(1).any(dim=1)
    return torch.where(has_pixels, per_image, 0.0).sum() / has_pixels.sum().clamp(min=1)


def _standardised(values: Tensor, mask: Tensor) -> Tensor:
    holed = torch.where(mask, values, torch.nan).flatten(1)
    median = holed.nanmedian(dim=1).values.nan_to_num()[:, None, None, None]
    deviation = _mean((values - median).abs(), mask)[:, None, None, None]
    return (values - median) / deviation.clamp(min=1e-6)
