"""One frame's official score, all metrics, with scipy's k-d tree and with ours, side by side on the same frames.

The organisers' own loop is quadratic and is not timed here: it takes minutes for one frame.
"""

from __future__ import annotations

import json
import os
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
    if named := os.environ.get("LPCV_REFERENCE_DATA"):
        print(f"largest difference from the organisers' numbers, nine cases: {largest_difference(Path(named)):.1e}")
    return 0


def largest_difference(reference: Path) -> float:
    """Over the reference cases: absolute on the 0-100 scores, relative on the others."""
    folder, largest = reference / "official_scorer", 0.0
    names = {"a1": "delta1", "a2": "delta2", "a3": "delta3"}
    clouds = {"F-Score": "f_score", "IoU": "iou", "F-Score-20": "f_score_20cm", "IoU-20": "iou_20cm"}
    for row in json.loads((folder / "official.json").read_text()):
        case, official = np.load(folder / f"{row['case']}.npz"), row["official"]
        depth_m = case["depth_raw"].astype(np.float32) / np.float32(1000)
        ours = score_frame(row["case"], case["pred"], depth_m, case["depth_conf"]).values
        for key in ("abs_rel", "sq_rel", "rmse", "rmse_log", "a1", "a2", "a3"):
            largest = max(largest, abs((ours[names.get(key, key)] or np.nan) / official[key] - 1))
        cloud = official["pointcloud"]
        largest = max(largest, abs((ours["chamfer_m"] or np.nan) / cloud["Chamfer"] - 1))
        largest = max([largest, *(abs((ours[mine] or np.nan) - cloud[theirs]) for theirs, mine in clouds.items())])
    return largest


if __name__ == "__main__":
    sys.exit(main())
