"""Exact nearest neighbours in torch, for a GPU: tile against tile as in tiles.py, all tiles at once.

The only module of this room that imports torch. Nothing here rounds differently from the compiled path: differences,
squares and the two sums are operations of their own in float32, and minima are exact in any order.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from ..errors import first_line

Points = npt.NDArray[np.float32]
TILE = 32
GRID_BITS = 10
FIRST_LOOK = 4  # tiles that every tile meets before the rest is sifted
PAIRS_AT_ONCE = {"cuda": 1 << 16, "cpu": 1 << 11}  # 1,024 distances each, 4 bytes and three passes


class Tiled(NamedTuple):
    order: torch.Tensor  # (N,) place of each point in the cloud
    tiles: torch.Tensor  # (T, 3, TILE)
    low: torch.Tensor  # (T, 3)
    high: torch.Tensor  # (T, 3)


def demand_device(device: str) -> str | None:
    """None where torch can compute there, else why not."""
    try:
        torch.zeros(1, device=device).cpu()
    except (RuntimeError, AssertionError, NotImplementedError) as error:  # torch raises any of them
        return first_line(error)
    return None


@torch.inference_mode()
def nearest_both_ways(one: Points, other: Points, device: str = "cpu") -> tuple[Points, Points]:
    """Distance of each point to the nearest of the other cloud, (N,) and (M,) float32.

    one, other: (N, 3) and (M, 3) float32, finite, at least one point each.
    """
    left, right = (torch.from_numpy(np.ascontiguousarray(cloud)).to(device) for cloud in (one, other))
    grid = _extent(torch.cat([left, right]))
    tiled = _tiled(left, *grid), _tiled(right, *grid)
    return _distances(*tiled), _distances(*tiled[::-1])


def _extent(points: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    spread = _spread(points)
    low, high = spread.amin(0), spread.amax(0)
    return low, ((high - low)[:2].amax() / (1 << GRID_BITS)).clamp_min(1e-6)


def _spread(points: torch.Tensor) -> torch.Tensor:
    """(N, 3) x/z, y/z, log z, in which a camera's points are evenly spread; what lies behind it is put at one place."""
    ahead = points[:, 2:].clamp_min(1e-6)
    return torch.cat([points[:, :2] / ahead, ahead.log()], 1).clamp(-20, 20)


def _tiled(points: torch.Tensor, low: torch.Tensor, step: torch.Tensor) -> Tiled:
    cells = ((_spread(points) - low) / step).long().clamp(0, (1 << 2 * GRID_BITS) - 1)
    key = torch.zeros(len(points), dtype=torch.long, device=points.device)
    for bit in range(2 * GRID_BITS):  # a Z-curve: the bits of the three cells, interleaved
        for axis in range(3):
            key |= ((cells[:, axis] >> bit) & 1) << (3 * bit + axis)
    order = key.argsort()
    short = -len(points) % TILE
    padded = torch.cat([order, order[-1:].expand(short)]) if short else order
    tiles = points[padded].reshape(-1, TILE, 3).transpose(1, 2).contiguous()
    return Tiled(order, tiles, tiles.amin(2), tiles.amax(2))


def _distances(asking: Tiled, asked: Tiled) -> Points:
    best = torch.full((len(asking.tiles), TILE), torch.inf, device=asking.tiles.device)
    rows = max(1, (1 << 26) // max(len(asked.tiles), 1))
    for start in range(0, len(asking.tiles), rows):
        chosen = slice(start, start + rows)
        gaps = _gaps(asking.low[chosen], asking.high[chosen], asked.low, asked.high)
        first = gaps.topk(min(FIRST_LOOK, gaps.shape[1]), largest=False).indices
        here = torch.arange(start, start + len(gaps), device=best.device)
        _meet(asking, asked, here.repeat_interleave(first.shape[1]), first.flatten(), best)
        near = gaps < best[chosen].amax(1, keepdim=True)
        near.scatter_(1, first, False)
        mine, theirs = near.nonzero(as_tuple=True)
        _meet(asking, asked, mine + start, theirs, best)
    squares = torch.empty(len(asking.order), device=best.device)
    squares[asking.order] = best.flatten()[: len(asking.order)]
    return np.sqrt(squares.cpu().numpy())  # torch's own square root is off by a last bit on some CPUs


def _gaps(low: torch.Tensor, high: torch.Tensor, lows: torch.Tensor, highs: torch.Tensor) -> torch.Tensor:
    """(S, T) squared distances between boxes (S, 3) and (T, 3), never more than between points in them."""
    total = torch.zeros(len(low), len(lows), device=low.device)
    for axis in range(3):
        ahead = low[:, axis, None] - highs[None, :, axis]
        behind = lows[None, :, axis] - high[:, axis, None]
        total += torch.maximum(ahead, behind).clamp_min_(0).square_()
    return total


def _meet(asking: Tiled, asked: Tiled, mine: torch.Tensor, theirs: torch.Tensor, best: torch.Tensor) -> None:
    """Lower `best` (T, TILE) by the distances of each pair of tiles (mine[p], theirs[p])."""
    at_once = PAIRS_AT_ONCE["cuda" if best.is_cuda else "cpu"]
    for start in range(0, len(mine), at_once):
        left, right = mine[start : start + at_once], theirs[start : start + at_once]
        total = torch.zeros(len(left), TILE, TILE, device=best.device)
        for axis in range(3):
            total += (asking.tiles[left, axis, :, None] - asked.tiles[right, axis, None, :]).square_()
        best.scatter_reduce_(0, left[:, None].expand(-1, TILE), total.amin(2), "amin")
