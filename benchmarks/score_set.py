"""A test set of the organisers' size, end to end: `lpcv score` of an exported student on 2,000 frames, all cores.

25 synthetic scenes stand under 2,000 names (their bytes are read and decoded each time). The student has random
weights: what it computes takes the same time as a trained one's. Give a model to score that instead, and a number of
frames for a shorter look:

    python benchmarks/score_set.py [MODEL.onnx] [FRAMES]
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from environment import environment
from lpcv.contract import CURRENT as CONTRACT
from lpcv.data.folder import CONFIDENCE, DEPTH, IMAGE
from lpcv.data.synthetic.make import make_scenes

SCENES = 25
SECONDS_A_FRAME, MOST_KIB = 8 * 60 / 2000, 1 << 20  # the targets: 8 minutes on two cores, 1 GiB; else exit code 1


def main(model: Path | None, count: int) -> int:
    print(environment("lpcv", "numpy", "numba", "onnxruntime"))
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        make_scenes(root / "scenes", SCENES, seed=7, workers=None)
        data = repeated(root / "scenes", root / "data", count)
        model = model or random_student(root / "student.onnx")
        words = ["score", str(model), "--data", str(data), "--json", str(root / "score.json")]
        began = time.perf_counter()
        process = subprocess.Popen([sys.executable, "-m", "lpcv", *words], stdout=subprocess.DEVNULL)
        peaks: list[int] = []
        watching = threading.Thread(target=watch, args=(process, peaks))
        watching.start()
        code = process.wait()
        taken = time.perf_counter() - began
        watching.join()
        if code:
            return code
        frames = len(json.loads((root / "score.json").read_text())["frames"])
    print(f"{frames} frames in {taken:.0f} s, {1000 * taken / frames:.0f} ms a frame, all cores, everything included")
    print(f"peak memory {max(peaks) / 1024:.0f} MiB" if peaks else "peak memory unknown: there is no /proc here")
    return 0 if taken / frames <= SECONDS_A_FRAME and max(peaks, default=0) < MOST_KIB else 1


def repeated(scenes: Path, data: Path, count: int) -> Path:
    """`count` names for the same files, without their bytes."""
    for kind in (IMAGE, DEPTH, CONFIDENCE):
        files = sorted((scenes / kind).iterdir())
        (data / kind).mkdir(parents=True)
        for index in range(count):
            os.link(files[index % len(files)], data / kind / f"{index:04d}{files[0].suffix}")
    return data


def random_student(path: Path) -> Path:
    from lpcv.submission.export import to_onnx
    from lpcv.submission.wrapper import WrappedModel
    from lpcv.train.student import Student

    path.write_bytes(to_onnx(WrappedModel(Student(CONTRACT.image_size), CONTRACT.image_size).eval(), {}))
    return path


def watch(process: subprocess.Popen[bytes], peaks: list[int]) -> None:
    """The kernel's own high-water mark of the process's memory, KiB; read until it has ended."""
    status = Path(f"/proc/{process.pid}/status")
    while process.poll() is None:
        try:
            marks = [line.split()[1] for line in status.read_text().splitlines() if line.startswith("VmHWM")]
        except OSError:
            return
        peaks.extend(map(int, marks))
        time.sleep(0.5)


if __name__ == "__main__":
    given = sys.argv[1:]
    models = [Path(word) for word in given if not word.isdigit()]
    counts = [int(word) for word in given if word.isdigit()]
    sys.exit(main(models[0] if models else None, counts[0] if counts else CONTRACT.test_images))
