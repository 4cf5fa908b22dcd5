"""Make a data set of synthetic scenes in the competition's layout: the pipeline's default data.

The same seed gives the same bytes with any number of workers, and scene i does not depend on how many are made. (Bytes
are promised for one machine and one set of versions: another CPU or numpy may round the last bit another way.)
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from ...console import track
from ...contract import CURRENT as CONTRACT
from ...errors import InputError
from ...files import read_json, write_json
from ...machine import usable_cores
from ..frame import Confidence, Intrinsics, Rgb
from ..images import write_png
from .raycast import cast, look
from .raycast import light as lit
from .scene import Scene
from .scenes import conditions, draw_scene
from .sensor import RANGE_M, RELIABLE_M, judge_confidence, measure_depth, photograph
from .view import View, scaled

GENERATOR = 1
MARK = "scenes.json"
MANIFEST = "manifest.json"
FOLDERS = ("image", "depth_raw", "depth_conf")
LICENCE = "Apache-2.0"
MAX_SCENES = 10_000
ATTEMPTS = 20
NEAREST_M = 0.35


def make_scenes(out: Path, scenes: int, seed: int, workers: int | None = None) -> Path:
    """Write frames "0000" to `scenes - 1` and `manifest.json` into `out`; returns `out`.

    A second run adds what is missing. `workers`: processes, by default one for each usable core; with more than one, a
    script that calls this needs the usual `if __name__ == "__main__":`. Raises InputError where `out` holds anything
    else, or scenes of another seed or generator.
    """
    if not 1 <= scenes <= MAX_SCENES:
        raise InputError(f"{scenes} scenes cannot be made.", f"Ask for 1 to {MAX_SCENES}.")
    if seed < 0:
        raise InputError(f"The seed {seed} is negative.", "Give 0 or more.")
    if workers is not None and workers < 1:
        raise InputError(f"{workers} workers cannot work.", "Give 1 or more, or leave it out.")
    _claim(out, seed)
    missing = [index for index in range(scenes) if not all(path.exists() for path in frame_paths(out, index))]
    if missing:
        processes = min(workers or usable_cores(), len(missing))
        for _ in track(_done(partial(write_scene, out, seed), missing, processes), "Making scenes", len(missing)):
            pass
    made = [index for index in range(MAX_SCENES) if index < scenes or all(p.exists() for p in frame_paths(out, index))]
    write_json(out / MANIFEST, [manifest_row(seed, index) for index in made])
    return out


def frame_paths(out: Path, index: int) -> tuple[Path, Path, Path]:
    """Image, depth and confidence of scene `index`."""
    image, depth, confidence = (out / folder / f"{index:04d}.png" for folder in FOLDERS)
    return image, depth, confidence


def write_scene(out: Path, seed: int, index: int) -> None:
    for path, pixels in zip(frame_paths(out, index), make_frame(seed, index), strict=True):
        write_png(path, pixels)


def make_frame(seed: int, index: int) -> tuple[Rgb, npt.NDArray[np.uint16], Confidence]:
    """(480, 640, 3) uint8 RGB, (192, 256) uint16 millimetres and (192, 256) uint8 confidence of one scene."""
    scene = choose_scene(seed, index)
    photo_rng, depth_rng = (np.random.default_rng((seed, index, MAX_SCENES, part)) for part in (0, 1))
    view = View.of(scene.camera, camera_intrinsics(), CONTRACT.image_size)
    rgb = photograph(lit(scene, view, look(scene, view)), scene.light == "low", photo_rng)
    seen = look(scene, _depth_view(scene, CONTRACT.depth_size))
    measured = measure_depth(seen.depth_m, depth_rng)
    confidence = judge_confidence(seen.depth_m, seen.incidence, seen.albedo.mean(axis=2), measured, depth_rng)
    return rgb, measured, confidence


def choose_scene(seed: int, index: int) -> Scene:
    """The first drawing of the scene whose view shows something near, nothing in the lens, and depth that varies."""
    scene = draw_scene(seed, index)
    for attempt in range(1, ATTEMPTS):
        if _is_worth_seeing(scene):
            break
        scene = draw_scene(seed, index, attempt)
    return scene


def camera_intrinsics() -> Intrinsics:
    """The contract's camera on an image of the contract's size."""
    (fx, _, cx), (_, fy, cy), _ = CONTRACT.intrinsics_px
    return scaled(Intrinsics(fx, fy, cx, cy), CONTRACT.image_size[0] / CONTRACT.intrinsics_image_size[0])


def manifest_row(seed: int, index: int) -> dict[str, Any]:
    place, light = conditions(seed, index)
    return {
        "frame": f"{index:04d}",
        "place": place,
        "light": light,
        "source": f"lpcv synthetic scenes, seed {seed}, scene {index}",
        "licence": LICENCE,
        "intrinsics": asdict(camera_intrinsics()),
    }


def _is_worth_seeing(scene: Scene) -> bool:
    depth_m, _ = cast(scene.shapes, _depth_view(scene, (64, 48)))
    in_range = depth_m[depth_m < RANGE_M[1]]
    if in_range.size < 0.4 * depth_m.size or in_range.min() < NEAREST_M:
        return False
    near, far = np.percentile(in_range, (10, 90))
    return bool(far / near > 2.0 and (in_range < 0.8 * RELIABLE_M).sum() > 0.2 * depth_m.size)


def _depth_view(scene: Scene, size: tuple[int, int]) -> View:
    return View.of(scene.camera, scaled(camera_intrinsics(), size[0] / CONTRACT.image_size[0]), size)


def _claim(out: Path, seed: int) -> None:
    """Mark `out` as ours before anything is written into it, or find our mark."""
    if out.exists() and not out.is_dir():
        raise InputError(f"{out} is not a folder.", "Give a folder to write into.")
    mark = {"generator": GENERATOR, "seed": seed}
    if (out / MARK).exists():
        found = read_json(out / MARK)
        if found != mark:
            raise InputError(f"{out} holds scenes of {found}, not of {mark}.", "Use that seed, or give another folder.")
        return
    if out.exists() and any(out.iterdir()):
        raise InputError(f"{out} holds other data.", "Give an empty or a new folder, so that nothing is overwritten.")
    write_json(out / MARK, mark)


def _done(work: Callable[[int], None], indices: list[int], processes: int) -> Iterator[None]:
    if processes == 1:
        threads = cv2.getNumThreads()
        cv2.setNumThreads(1)
        try:
            yield from map(work, indices)
        finally:
            cv2.setNumThreads(threads)
        return
    # Forking a process that has threads (OpenCV's, torch's) can hang, and Windows cannot fork at all.
    with ProcessPoolExecutor(processes, get_context("spawn"), initializer=_begin_worker) as pool:
        try:
            yield from pool.map(work, indices)
        finally:  # when stopped, finish the frames in hand and begin no others
            pool.shutdown(wait=False, cancel_futures=True)


def _begin_worker() -> None:
    cv2.setNumThreads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent alone answers it
