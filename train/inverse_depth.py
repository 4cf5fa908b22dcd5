"""From affine inverse depth to metres, by the frame's own truth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

ROUNDS = 5
LEAST_PIXELS = 16
LEAST_DEPTH_M = 0.05  # nearer than any phone can focus or measure
OUTLIER_SPREADS = 3.0
SPREAD_OF_MAD = 1.4826  # of a normal distribution: standard deviation / median absolute deviation


@dataclass(frozen=True)
class AffineFit:
    """1 / depth_m = a * label + b."""

    a: float
    b: float

    def depth_m(self, label: npt.NDArray[np.float32], max_depth_m: float) -> npt.NDArray[np.float32]:
        """Metres, clamped to [LEAST_DEPTH_M, max_depth_m]: an inverse that is too small, or negative, is far away."""
        inverse = np.clip(self.a * label + self.b, 1.0 / max_depth_m, 1.0 / LEAST_DEPTH_M)
        return (1.0 / inverse).astype(np.float32)


def fit_inverse_depth(
    label: npt.NDArray[np.float32], depth_m: npt.NDArray[np.float32], mask: npt.NDArray[np.bool_]
) -> AffineFit | None:
    """Robust least squares of 1 / depth_m against the label over the mask; None where it is undetermined.

    label, depth_m, mask: equal (h, w). Least squares in inverse depth after MiDaS (Ranftl et al. 2020, eq. 4), repeated
    without the pixels that are over three robust standard deviations off. None with fewer than 16 pixels, with a
    label without variation, or where the fitted slope is not positive (the teacher contradicts the truth).
    """
    x, y = label[mask].astype(np.float64), 1.0 / depth_m[mask].astype(np.float64)
    kept = np.isfinite(x) & np.isfinite(y)
    fit = None
    for _ in range(ROUNDS):
        if kept.sum() < LEAST_PIXELS or np.ptp(x[kept]) < 1e-6:
            return None
        slope, intercept = np.polyfit(x[kept], y[kept], 1)
        fit = AffineFit(float(slope), float(intercept))
        residual = np.abs(fit.a * x + fit.b - y)
        spread = SPREAD_OF_MAD * float(np.median(residual[kept]))
        renewed = residual <= max(OUTLIER_SPREADS * spread, 1e-9)
        if (renewed == kept).all():
            break
        kept = renewed
    return fit if fit and fit.a > 0 else None
