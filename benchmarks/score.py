"""One frame's official score, all metrics, with scipy's k-d tree and with ours, side by side on the same frames.

The organisers' own loop is quadratic and is not timed here: it takes minutes for one frame.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from environment import environment
from lpcv.data.folder import open_folder
from lpcv.data.resize import nearest
from lpcv.data.synthetic.make import make_scenes
from lpcv.evaluate import pointcloud
from lpcv.evaluate.official import score_frame
from scipy.spatial import KDTree

FRAMES, ROUNDS = 4, 2


def with_scipy(tree_points: pointcloud.Cloud, points: pointcloud.Cloud) -> np.ndarray:
    return KDTree(tree_points).query(points, workers=-1)[0].astype(np.float32)


def main() -> int:
    print(environment("lpcv", "numpy", "scipy", "pykdtree"))
    queries = {"scipy": with_scipy, "ours": pointcloud._query}
    times: dict[str, list[float]] = {name: [] for name in queries}
    with tempfile.TemporaryDirectory() as folder:
        frames = list(open_folder(make_scenes(Path(folder) / "scenes", FRAMES, seed=3, workers=1)))
    chance = np.random.default_rng(0)
    for _ in range(ROUNDS):
        for frame in frames:
            assert frame.depth_m is not None
            assert frame.confidence is not None
            prediction = nearest(frame.depth_m, (640, 480)) * chance.normal(1, 0.1, (480, 640)).astype(np.float32)
            scores = []
            for name, query in queries.items():
                pointcloud._query = query
                began = time.perf_counter()
                scores.append(score_frame(frame.name, prediction, frame.depth_m, frame.confidence).values)
                times[name].append(time.perf_counter() - began)
            assert all(abs(scores[0][key] - scores[1][key]) <= 1e-3 for key in ("f_score", "iou", "f_score_20cm"))
    ratios = [slow / fast for slow, fast in zip(times["scipy"], times["ours"], strict=True)]
    for name, taken in times.items():
        print(f"{name:6} median {statistics.median(taken):5.2f} s a frame, {len(taken)} frames of 640x480, 10 % noise")
    low, high = min(ratios), max(ratios)
    print(f"scipy / ours, frame by frame: median {statistics.median(ratios):.1f}, from {low:.1f} to {high:.1f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
