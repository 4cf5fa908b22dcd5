"""Exact nearest neighbours between two clouds of a depth camera, compiled by numba.

Why our own: a general k-d tree asks for each point alone. Here the points of a cloud lie on surfaces, 300 thousand of
them, and every one is asked, so that neighbouring questions can share their work:

1. Points are ordered along a Z-curve through (x/z, y/z, log z), in which a camera's points are evenly spread, and cut
   into tiles of 32 by splitting each run of 128 at its medians. Each tile has a bounding box; 16 boxes have one box.
2. A whole tile of questions walks the boxes of the other cloud, nearest first, and leaves out every box that is no
   nearer than the farthest of its 32 answers so far. The walk begins with the 16 tiles at its own place of the curve.
3. Tile against tile is 1,024 distances in a loop that the compiler turns into vector instructions.

Exact to the last bit: a distance is computed as ((dx * dx + dy * dy) + dz * dz) in float32 without contraction, as a
loop over all pairs would; rounding keeps order, so the gap to a box, computed by the same formula, is never larger
than the distance to a point in it. What is left out can not have won.

Distances squared are compared through their bits as integers: for numbers that are not negative the order is the same,
and integer minima vectorise where float ones do not (NaN). Measured against the alternatives: benchmarks/score.py.
Layout: T tiles, tile[t, axis, point]; boxes[node, 0:3 low | 3:6 high, child].
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

TILE = 32
FAN = 16
RUN = 128
GRID_BITS = 7  # of x/z and of y/z; log z has three more: keys of 24 bits
RADIX_BITS = 12  # two passes sort them
SAMPLE = 10_000  # points that lay out the grid
WIDEST = np.float32(100)  # x/z of a ray 89 degrees off the axis: what lies beyond has no say in it
INFINITE = np.int32(np.float32(np.inf).view(np.int32))

Points = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Grid:
    """Where the Z-curve's cells begin and how wide they are; any values give the same distances, at another speed."""

    low_x: np.float32
    low_y: np.float32
    step: np.float32
    low_bits: np.int32
    shift: np.int32


@dataclass(frozen=True)
class Tiled:
    """A cloud in tiles. The last tile repeats the last point; `order[k]` is the place of point k in the cloud."""

    order: npt.NDArray[np.int32]
    tiles: Points
    low: Points
    high: Points
    keys: npt.NDArray[np.uint32]
    boxes: Points
    first: npt.NDArray[np.int64]


def nearest_both_ways(one: Points, other: Points) -> tuple[Points, Points]:
    """Distance of each point to the nearest of the other cloud, (N,) and (M,) float32.

    one, other: (N, 3) and (M, 3) float32, finite, at least one point each.
    """
    grid = _grid(one, other)
    left, right = _tiled(one, grid), _tiled(other, grid)
    return _distances(left, right), _distances(right, left)


def _grid(one: Points, other: Points) -> Grid:
    low_x, low_y, width, middle = _extent(one, other)
    step = np.float32(max(width / (1 << GRID_BITS), 1e-6))
    # The bits of a float grow by 2^23 an octave, nearly evenly: a logarithm for free.
    shift = int(np.clip(np.log2(step / np.log(2)) + 23, 0, 20))
    low_bits = int(np.float32(middle).view(np.int32)) - (1 << (GRID_BITS + 2 + shift))
    return Grid(np.float32(low_x), np.float32(low_y), step, np.int32(max(low_bits, 0)), np.int32(shift))


def _tiled(points: Points, grid: Grid) -> Tiled:
    order, keys = _ordered(points, grid.low_x, grid.low_y, grid.step, grid.low_bits, grid.shift)
    run = np.take(points, order, axis=0)
    _split(run, order)
    tiles, low, high = _boxed(run)
    sizes = [len(tiles)]
    while len(sizes) < 2 or sizes[-1] > 1:
        sizes.append(-(-sizes[-1] // FAN))
    first = np.cumsum([0, *sizes]).astype(np.int64)
    return Tiled(order, tiles, low, high, keys[::TILE].copy(), _tree(low, high, first), first)


def _distances(asking: Tiled, asked: Tiled) -> Points:
    questions = asking.tiles, asking.low, asking.high, asking.keys
    bits = _search(*questions, asked.tiles, asked.keys, asked.boxes, asked.first)
    distances = np.empty(len(asking.order), np.float32)
    distances[asking.order] = np.sqrt(bits.view(np.float32)[: len(asking.order)])
    return distances


def _compiled(function: Any) -> Any:
    try:
        return njit(cache=True, nogil=True)(function)
    except RuntimeError:  # there is no folder that the machine code could be kept in: each process compiles anew
        return njit(nogil=True)(function)


def _inlined(function: Any) -> Any:
    return njit(inline="always")(function)


@_inlined
def _lesser(a, b):
    return a if a < b else b


@_inlined
def _larger(a, b):
    return a if a > b else b


@_inlined
def _bits(dx, dy, dz):
    """The squared length as an integer of the same order."""
    return np.float32(dx * dx + dy * dy + dz * dz).view(np.int32)


@_inlined
def _outside(value, low, high):
    """How far a value, or the near end of an interval, lies outside [low, high]."""
    return _larger(_larger(low - value, value - high), np.float32(0))


@_compiled
def _extent(one, other):
    """Least x/z and y/z, the larger of their widths, and a middle z, of a sample in front of the camera."""
    low_x = low_y = np.float32(np.inf)
    high_x = high_y = np.float32(-np.inf)
    total, count = 0.0, 0
    for points in (one, other):
        for k in range(0, len(points), 1 + len(points) // SAMPLE):
            z = points[k, 2]
            if z > 0 and max(abs(points[k, 0]), abs(points[k, 1])) < WIDEST * z:
                x, y = points[k, 0] / z, points[k, 1] / z
                low_x, high_x = _lesser(low_x, x), _larger(high_x, x)
                low_y, high_y = _lesser(low_y, y), _larger(high_y, y)
                total += np.log2(z)
                count += 1
    if count == 0:
        return np.float32(0), np.float32(0), np.float32(1), np.float32(1)
    return low_x, low_y, _larger(high_x - low_x, high_y - low_y), np.float32(2 ** (total / count))


@_inlined
def _apart(value):
    """Eight bits with two zeros between each."""
    value = (value | (value << np.uint32(8))) & np.uint32(0x00F00F)
    value = (value | (value << np.uint32(4))) & np.uint32(0x0C30C3)
    return (value | (value << np.uint32(2))) & np.uint32(0x249249)


@_compiled
def _ordered(points, low_x, low_y, step, low_bits, shift):
    """The order along the Z-curve, and the sorted keys; a radix sort in two passes."""
    count = len(points)
    keys, order = np.empty(count, np.uint32), np.empty(count, np.int32)
    last, last_z = np.float32((1 << GRID_BITS) - 1), np.int32((1 << (GRID_BITS + 3)) - 1)
    per_step = np.float32(1) / step
    for k in range(count):
        z = points[k, 2]
        x = y = np.float32(0)
        across = np.int32(0)
        if z > 0:
            x = _lesser(_larger((points[k, 0] / z - low_x) * per_step, np.float32(0)), last)
            y = _lesser(_larger((points[k, 1] / z - low_y) * per_step, np.float32(0)), last)
            across = _lesser(_larger((np.float32(z).view(np.int32) - low_bits) >> shift, np.int32(0)), last_z)
        cell = np.uint32(across)
        near, far = cell & np.uint32((1 << GRID_BITS) - 1), cell >> np.uint32(GRID_BITS)
        keys[k] = (
            _apart(np.uint32(np.int32(x)))
            | (_apart(np.uint32(np.int32(y))) << np.uint32(1))
            | (_apart(near) << np.uint32(2))
            | (far << np.uint32(3 * GRID_BITS))
        )
    next_keys, next_order = np.empty(count, np.uint32), np.empty(count, np.int32)
    digits = np.uint32((1 << RADIX_BITS) - 1)
    for each in range(2):
        at = np.uint32(RADIX_BITS * each)
        starts = np.zeros((1 << RADIX_BITS) + 1, np.int64)
        for k in range(count):
            starts[np.int64((keys[k] >> at) & digits) + 1] += 1
        for digit in range(1 << RADIX_BITS):
            starts[digit + 1] += starts[digit]
        for k in range(count):
            digit = np.int64((keys[k] >> at) & digits)
            place = starts[digit]
            starts[digit] = place + 1
            next_keys[place] = keys[k]
            next_order[place] = order[k] if each else k
        keys, next_keys = next_keys, keys
        order, next_order = next_order, order
    return order, keys


@_compiled
def _split(run, order):
    """Within each RUN of points, halve along the widest side at a multiple of TILE until a tile is left; in place."""
    begins, ends = np.empty(64, np.int64), np.empty(64, np.int64)
    for start in range(0, len(order), RUN):
        begins[0], ends[0] = start, min(len(order), start + RUN)
        top = 1
        while top:
            top -= 1
            begin, end = begins[top], ends[top]
            tiles = (end - begin + TILE - 1) // TILE
            if tiles <= 1:
                continue
            middle = begin + (tiles + 1) // 2 * TILE
            _select(run, order, begin, end, middle, _widest(run, begin, end))
            begins[top], ends[top] = begin, middle
            begins[top + 1], ends[top + 1] = middle, end
            top += 2


@_inlined
def _widest(run, begin, end):
    low_x = high_x = run[begin, 0]
    low_y = high_y = run[begin, 1]
    low_z = high_z = run[begin, 2]
    for k in range(begin + 1, end):
        low_x, high_x = _lesser(low_x, run[k, 0]), _larger(high_x, run[k, 0])
        low_y, high_y = _lesser(low_y, run[k, 1]), _larger(high_y, run[k, 1])
        low_z, high_z = _lesser(low_z, run[k, 2]), _larger(high_z, run[k, 2])
    x, y, z = high_x - low_x, high_y - low_y, high_z - low_z
    return (0 if x >= z else 2) if x >= y else (1 if y >= z else 2)


@_compiled
def _select(run, order, begin, end, middle, axis):
    """Hoare's selection: afterwards no point before `middle` is larger than one behind it."""
    left, right = begin, end - 1
    while right > left:
        pivot = run[(left + right) >> 1, axis]
        i, j = left, right
        while i <= j:
            while run[i, axis] < pivot:
                i += 1
            while run[j, axis] > pivot:
                j -= 1
            if i <= j:
                order[i], order[j] = order[j], order[i]
                for side in range(3):
                    run[i, side], run[j, side] = run[j, side], run[i, side]
                i += 1
                j -= 1
        if middle <= j:
            right = j
        elif middle >= i:
            left = i
        else:
            return


@_compiled
def _boxed(run):
    """(T, 3, TILE) tiles and their boxes' (T, 3) low and high corners."""
    count = (len(run) + TILE - 1) // TILE
    tiles = np.empty((count, 3, TILE), np.float32)
    low, high = np.empty((count, 3), np.float32), np.empty((count, 3), np.float32)
    for t in range(count):
        for side in range(3):
            least = most = run[t * TILE, side]
            for k in range(TILE):
                value = run[min(t * TILE + k, len(run) - 1), side]
                tiles[t, side, k] = value
                least, most = _lesser(least, value), _larger(most, value)
            low[t, side], high[t, side] = least, most
    return tiles, low, high


@_compiled
def _tree(low, high, first):
    """The boxes of the children of each inner node, level by level; a child that is not there is beyond everything.

    first[l]: the number of the first node of level l, tiles being level 0 and the root the last node.
    """
    tiles, total = first[1], first[-1]
    boxes = np.empty((total - tiles, 6, FAN), np.float32)
    level = 1
    for node in range(tiles, total):
        while node >= first[level + 1]:
            level += 1
        begin = first[level - 1] + (node - first[level]) * FAN
        for child in range(FAN):
            for side in range(3):
                least, most = np.float32(np.inf), np.float32(-np.inf)
                at = begin + child
                if at < first[level]:
                    if level == 1:
                        least, most = low[at, side], high[at, side]
                    else:
                        for grandchild in range(FAN):
                            least = _lesser(least, boxes[at - tiles, side, grandchild])
                            most = _larger(most, boxes[at - tiles, 3 + side, grandchild])
                boxes[node - tiles, side, child], boxes[node - tiles, 3 + side, child] = least, most
    return boxes


@njit
def _meet(tiles, t, others, n, best):
    """Every point of tile t against every point of the other's tile n; four at a time spare three of four stores."""
    for k in range(0, TILE, 4):
        x0, y0, z0 = others[n, 0, k], others[n, 1, k], others[n, 2, k]
        x1, y1, z1 = others[n, 0, k + 1], others[n, 1, k + 1], others[n, 2, k + 1]
        x2, y2, z2 = others[n, 0, k + 2], others[n, 1, k + 2], others[n, 2, k + 2]
        x3, y3, z3 = others[n, 0, k + 3], others[n, 1, k + 3], others[n, 2, k + 3]
        for i in range(TILE):
            x, y, z = tiles[t, 0, i], tiles[t, 1, i], tiles[t, 2, i]
            near = _lesser(_bits(x - x0, y - y0, z - z0), _bits(x - x1, y - y1, z - z1))
            far = _lesser(_bits(x - x2, y - y2, z - z2), _bits(x - x3, y - y3, z - z3))
            best[i] = _lesser(_lesser(near, far), best[i])


@njit
def _farthest(best):
    farthest = np.int32(0)
    for i in range(TILE):
        farthest = _larger(farthest, best[i])
    return farthest


@njit
def _any_gains(tiles, t, boxes, node, child, best):
    """Whether the child's box is nearer to any point of tile t than that point's answer so far."""
    low_x, low_y, low_z = boxes[node, 0, child], boxes[node, 1, child], boxes[node, 2, child]
    high_x, high_y, high_z = boxes[node, 3, child], boxes[node, 4, child], boxes[node, 5, child]
    gain = np.int32(-1)
    for i in range(TILE):
        dx = _outside(tiles[t, 0, i], low_x, high_x)
        dy = _outside(tiles[t, 1, i], low_y, high_y)
        dz = _outside(tiles[t, 2, i], low_z, high_z)
        gain = _larger(gain, np.int32(best[i] - _bits(dx, dy, dz)))
    return gain > 0


@_inlined
def _gap(boxes, node, child, low, high, t):
    """Between the box of tile t and that of the child."""
    zero = np.float32(0)
    dx = _larger(_larger(low[t, 0] - boxes[node, 3, child], boxes[node, 0, child] - high[t, 0]), zero)
    dy = _larger(_larger(low[t, 1] - boxes[node, 4, child], boxes[node, 1, child] - high[t, 1]), zero)
    dz = _larger(_larger(low[t, 2] - boxes[node, 5, child], boxes[node, 2, child] - high[t, 2]), zero)
    return _bits(dx, dy, dz)


@njit
def _near_children(boxes, node, low, high, t, farthest):
    """One bit for each child whose box is nearer than the farthest answer so far."""
    mask = np.int32(0)
    for child in range(FAN):
        mask |= (np.int32(1) << np.int32(child)) if _gap(boxes, node, child, low, high, t) < farthest else np.int32(0)
    return mask


@_compiled
def _search(tiles, low, high, keys, others, other_keys, boxes, first):
    """(T * TILE,) int32: the bits of each point's least squared distance."""
    count, levels = len(others), len(first) - 1
    bits, best = np.empty(len(tiles) * TILE, np.int32), np.empty(TILE, np.int32)
    stack, stack_gap = np.empty(levels * FAN + 2, np.int64), np.empty(levels * FAN + 2, np.int32)
    near, near_gap = np.empty(FAN, np.int64), np.empty(FAN, np.int32)
    same_place = 0
    for t in range(len(tiles)):
        while same_place + 1 < count and other_keys[same_place + 1] <= keys[t]:
            same_place += 1
        best[:] = INFINITE
        farthest = INFINITE
        start = first[1] + same_place // FAN
        stack[0], stack_gap[0] = first[levels - 1], np.int32(-1)
        stack[1], stack_gap[1] = start, np.int32(-1)
        top = 2
        begun = False  # the start comes again from above and is passed over then
        while top:
            top -= 1
            if stack_gap[top] >= farthest:
                continue
            if stack[top] == start:
                if begun:
                    continue
                begun = True
            node = stack[top] - count
            mask = _near_children(boxes, node, low, high, t, farthest)
            found, child = 0, 0
            while mask:
                if mask & 1:
                    gap = _gap(boxes, node, child, low, high, t)
                    at = found
                    while at > 0 and near_gap[at - 1] > gap:
                        near[at], near_gap[at] = near[at - 1], near_gap[at - 1]
                        at -= 1
                    near[at], near_gap[at] = child, gap
                    found += 1
                mask >>= 1
                child += 1
            level = 1
            while stack[top] >= first[level + 1]:
                level += 1
            begin = first[level - 1] + (stack[top] - first[level]) * FAN
            if level > 1:
                for k in range(found - 1, -1, -1):  # the nearest on top
                    stack[top], stack_gap[top] = begin + near[k], near_gap[k]
                    top += 1
                continue
            for k in range(found):
                if near_gap[k] >= farthest:
                    break
                if _any_gains(tiles, t, boxes, node, near[k], best):
                    _meet(tiles, t, others, begin + near[k], best)
                    farthest = _farthest(best)
        bits[t * TILE : (t + 1) * TILE] = best
    return bits
