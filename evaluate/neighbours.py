"""The distance of each point to the nearest of another cloud: one definition, two ways to compute it.

On the CPU by compiled tiles (tiles.py); on a GPU, or where numba is not installed, by torch (neighbours_torch.py). Both
give the bits of the plain loop over all pairs: sqrt of the least ((dx * dx + dy * dy) + dz * dz), all in float32.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec

import numpy as np
import numpy.typing as npt

from ..console import note
from ..errors import InputError

Points = npt.NDArray[np.float32]
BothWays = Callable[[Points, Points], tuple[Points, Points]]


def both_ways(one: Points, other: Points) -> tuple[Points, Points]:
    """(N, 3) and (M, 3) float32, finite, neither empty -> distances (N,) and (M,) float32, on the CPU."""
    return _on_cpu()(one, other)


def on_device(device: str) -> BothWays:
    """The same on "cpu", or by torch on "cuda" or one of several ("cuda:1").

    Raises InputError for another word, or where torch has no such device.
    """
    if device == "cpu":
        return both_ways
    if not re.fullmatch(r"(cpu|cuda)(:\d+)?", device):
        raise InputError(
            f"There is no device '{device}': it is cpu or cuda.", "Use --device cpu: the numbers are equal."
        )
    from .neighbours_torch import demand_device, nearest_both_ways

    if (problem := demand_device(device)) is not None:
        raise InputError(f"There is no device '{device}' here ({problem}).", "Use --device cpu: the numbers are equal.")
    return partial(nearest_both_ways, device=device)


def nearest_distances(one: Points, other: Points, search: BothWays = both_ways) -> tuple[Points, Points]:
    """As `both_ways`, for clouds that need not be finite: what the organisers' script says of them.

    A cloud with a NaN gives NaN for both, so that no point counts as near: a NaN anywhere in a prediction makes its
    median, and with it every point, NaN. A point at infinity is infinitely far and nobody's neighbour.
    """
    if len(one) and len(other) and np.isfinite(one).all() and np.isfinite(other).all():
        return search(one, other)
    if np.isnan(one).any() or np.isnan(other).any():
        return np.full(len(one), np.nan, np.float32), np.full(len(other), np.nan, np.float32)
    here, there = np.isfinite(one).all(1), np.isfinite(other).all(1)
    from_one, from_other = np.full(len(one), np.inf, np.float32), np.full(len(other), np.inf, np.float32)
    if here.any() and there.any():
        from_one[here], from_other[there] = search(one[here], other[there])
    return from_one, from_other


_told = False


def _on_cpu() -> BothWays:
    global _told
    if find_spec("numba") is None:
        if not _told:
            note("numba is not installed: nearest neighbours by torch, equal numbers, many times slower.")
            _told = True
        from .neighbours_torch import nearest_both_ways

        return nearest_both_ways
    from .tiles import nearest_both_ways as compiled

    return compiled
