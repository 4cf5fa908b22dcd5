"""How many synthetic frames one core makes in a second, PNG files included: `python benchmarks/scenes.py [N]`."""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from environment import environment
from lpcv.data.synthetic.make import make_scenes


def main() -> None:
    print(environment("lpcv", "numpy", "opencv-python-headless"))
    frames = int(sys.argv[1]) if len(sys.argv) > 1 else 24
    with tempfile.TemporaryDirectory() as folder:
        make_scenes(Path(folder) / "warm-up", scenes=1, seed=1, workers=1)
        began, began_cpu = time.perf_counter(), time.process_time()
        make_scenes(Path(folder) / "scenes", scenes=frames, seed=0, workers=1)
        wall_s, cpu_s = time.perf_counter() - began, time.process_time() - began_cpu
    print(f"{frames} frames: {frames / wall_s:.1f} per second by the clock, {frames / cpu_s:.1f} of processor time")


if __name__ == "__main__":
    main()
