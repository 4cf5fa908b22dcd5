"""How sure a mean is, and whether a difference of two means is real: bootstrap over frames.

The interval is the bias-corrected and accelerated one (BCa; Efron 1987, "Better Bootstrap Confidence Intervals",
JASA 82:171) of the mean, from 5,000 resamples with a fixed seed: the same values give the same interval.
`scipy.stats.bootstrap` defines the same numbers (a test demands it) but takes 1.7 s for 13 metrics of 2,000 frames
where this takes 0.2: the draws depend on the number of frames alone, so all metrics of a set share them.

Three things to keep in mind when reading an interval. It assumes that frames are INDEPENDENT draws of the scenes one
cares for: neighbouring frames of one video are not, and their interval is too narrow. It holds for ONE metric of ONE
pair: of twenty differences that are truly zero, one interval excludes zero by chance. And with few frames it is too
narrow: of simulated normal values it holds the true mean in 89 % of cases with 8 frames, 93 % with 24, 94 % with 100.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

Interval = tuple[float, float]

LEVEL = 0.95
RESAMPLES = 5000  # an end of the interval is then known to 2 % of its half width
SEED = 20250
# Even if every frame says the same, fewer than six have that by chance in more than 5 % (sign test, 2 / 2**n).
LEAST_FRAMES = 6
FEW_FRAMES = 20  # below this an interval is known to be too narrow (see above), and whoever prints one says so
BLOCK = 250  # resamples that are drawn or summed at once: a few MB at 2,000 frames
METHOD = f"BCa bootstrap of the mean over frames, {RESAMPLES} resamples, seed {SEED}"


@dataclass(frozen=True)
class Difference:
    """The mean of `ours - baseline` over the frames that both have; its 95 % interval, None below LEAST_FRAMES."""

    mean: float
    low: float | None
    high: float | None
    frames: int

    @property
    def real(self) -> bool:
        """The interval excludes 0."""
        return self.low is not None and self.high is not None and (self.low > 0 or self.high < 0)


def mean_interval(values: Sequence[float]) -> Interval | None:
    """The 95 % interval of the mean of `values`, one per frame.

    None for fewer than LEAST_FRAMES, of which nothing so sure can be said, and where a value is not finite: the mean is
    not finite then either.
    """
    sample = np.asarray(values, np.float64)
    if len(sample) < LEAST_FRAMES or not np.isfinite(sample).all():
        return None
    mean = float(sample.mean())
    deviation = sample - mean
    largest = float(np.abs(deviation).max())
    if largest <= 1e-12 * abs(mean):  # all the same, but for the mean's own rounding
        return mean, mean
    low, high = _bca(deviation / largest)
    return mean + largest * low, mean + largest * high


def paired_difference(ours: Sequence[float], baseline: Sequence[float]) -> Difference:
    """Mean and interval of `ours[i] - baseline[i]`, where i is the same frame in both.

    Pairing removes what makes a frame hard for everybody, so it sees differences that two separate intervals hide.
    Raises ValueError where the lengths differ, there is no frame, or a value is not finite.
    """
    differences = np.asarray(ours, np.float64) - np.asarray(baseline, np.float64)
    if len(ours) != len(baseline) or not len(differences) or not np.isfinite(differences).all():
        raise ValueError("a paired difference needs finite values of the same frames")
    low, high = mean_interval(differences.tolist()) or (None, None)
    return Difference(float(differences.mean()), low, high, len(differences))


def _bca(deviation: npt.NDArray[np.float64]) -> Interval:
    """The interval of the mean of deviations (n,), which are of order 1, not all equal, and whose mean is 0."""
    from scipy.special import ndtr, ndtri

    means = _resampled_means(deviation)
    tied = np.abs(means) < 1e-12  # mirrored draws of two frames are ties but for rounding
    below = float(np.mean((means < 0) & ~tied) + np.mean(tied) / 2)
    bias = ndtri(below)
    # The mean without one frame moves in proportion to that frame's deviation, so the jackknife has a closed form.
    acceleration = np.sum(deviation**3) / (6 * np.sum(deviation**2) ** 1.5)
    tail = bias + ndtri([(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    shares = ndtr(bias + tail / (1 - acceleration * tail))
    low, high = np.quantile(means, shares)
    return float(low), float(high)


def _resampled_means(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """(RESAMPLES,): the mean of n draws with replacement, each time."""
    counts = _counts(len(values))
    # einsum and not a matrix product: BLAS sums in another order with another number of threads.
    blocks = [np.einsum("rn,n->r", counts[at : at + BLOCK].astype(np.float64), values) for at in _starts()]
    return np.concatenate(blocks) / len(values)


@lru_cache(maxsize=4)
def _counts(frames: int) -> npt.NDArray[np.uint8]:
    """(RESAMPLES, frames) how often each resample draws each frame; about 1, never near 255."""
    generator = np.random.default_rng(SEED)
    counts = np.empty((RESAMPLES, frames), np.uint8)
    for at in _starts():
        drawn = generator.integers(0, frames, (min(BLOCK, RESAMPLES - at), frames))
        drawn += np.arange(len(drawn))[:, None] * frames
        flat = np.bincount(drawn.ravel(), minlength=drawn.size)
        counts[at : at + BLOCK] = np.minimum(flat, 255).reshape(drawn.shape)
    counts.setflags(write=False)
    return counts


def _starts() -> range:
    return range(0, RESAMPLES, BLOCK)
