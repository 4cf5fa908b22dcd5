"""Probe frames: pictures of nobody, and what the model answers, so that anybody can see whether it still does.

A picture is as large as the contract says. Of the answer (H, W) every 16th pixel is kept, from the 8th on in both
directions, rounded to 6 decimals: (H / 16, W / 16) float32 as `.npy`. ONNX Runtime runs on one thread, so two
packagings on one machine are byte-identical; other versions and processors differ in the last digits, hence TOLERANCE.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import PurePosixPath
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from ...contract import CURRENT as CONTRACT
from ...data.frame import Rgb
from ...data.model_input import contract_input
from ...errors import InputError, first_line
from ...onnx_session import open_session
from ..check.interface import parse_model
from . import watched
from .layout import PROBES, json_bytes

Answer = npt.NDArray[np.float32]
GRID_PX, FIRST_PX, DECIMALS = 16, 8, 6
TOLERANCE = 1e-4
"""Of the answer's largest value, or of 1 where that is larger. The export keeps to the same bound against torch."""
FOLDER = str(PurePosixPath(PROBES).parent)
SEED = 0
WIDTH, HEIGHT = CONTRACT.image_size
GRID = ((HEIGHT - FIRST_PX - 1) // GRID_PX + 1, (WIDTH - FIRST_PX - 1) // GRID_PX + 1)
"""(rows, columns) of an answer."""
PNG_HEAD = b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sIIBB", 13, b"IHDR", WIDTH, HEIGHT, 8, 2)


def noise() -> Rgb:
    """(H, W, 3) uint8: squares of 16 pixels, each of a colour of its own."""
    squares = np.random.default_rng(SEED).integers(0, 256, (HEIGHT // 16, WIDTH // 16, 3), np.uint8)
    return np.kron(squares, np.ones((16, 16, 1), np.uint8))


def gradient() -> Rgb:
    """(H, W, 3) uint8: red grows to the right, green downwards, blue falls to the right: no two axes alike."""
    across = np.linspace(0, 255, WIDTH).astype(np.uint8)[None].repeat(HEIGHT, 0)
    down = np.linspace(0, 255, HEIGHT).astype(np.uint8)[:, None].repeat(WIDTH, 1)
    return np.dstack([across, down, 255 - across])


def stripes() -> Rgb:
    """(H, W, 3) uint8: black and white, narrower to the right: edges at every scale."""
    phase = np.cumsum(np.linspace(1 / 160, 1 / 8, WIDTH))
    row = np.where(phase % 1 < 0.5, 0, 255).astype(np.uint8)
    return np.broadcast_to(row[None, :, None], (HEIGHT, WIDTH, 3)).copy()


def scene() -> Rgb:
    """(H, W, 3) uint8: a synthetic scene, as a camera of `data.synthetic` would see it."""
    from ...data.synthetic.make import make_frame

    return make_frame(SEED, 0)[0]


PICTURES: Mapping[str, Callable[[], Rgb]] = {
    "noise": noise, "gradient": gradient, "stripes": stripes, "scene": scene,
}  # fmt: skip
ENTRIES = frozenset(f"{FOLDER}/{name}.{kind}" for name in PICTURES for kind in ("png", "npy"))
"""Names in the bundle, besides `PROBES`."""


@cache
def picture_files() -> Mapping[str, bytes]:
    """Name -> PNG; the same in every packaging on one machine."""
    found = {}
    for name, make in PICTURES.items():
        done, encoded = cv2.imencode(".png", cv2.cvtColor(make(), cv2.COLOR_RGB2BGR))
        if not done:
            raise ValueError(f"the probe {name} cannot be written as PNG")
        found[name] = encoded.tobytes()
    return found


def probe_files(model: bytes, called: str) -> dict[str, bytes]:
    """Entries of the bundle: pictures, answers and what they are. Runs the model.

    called: the model's name for errors. Raises InputError where it does not run, or an answer is not finite.
    """
    pictures = picture_files()
    found, frames = dict[str, bytes](), dict[str, Any]()
    answers = answers_of(model, {name: decoded(content, name) for name, content in pictures.items()}, called)
    for name, answer in answers.items():
        if not np.isfinite(answer).all():
            raise InputError(
                f"{called} gives NaN or infinity on the probe frame {name}.", f"Run `lpcv check {called}`."
            )
        frames[name] = {"picture": f"{FOLDER}/{name}.png", "answer": f"{FOLDER}/{name}.npy"}
        found |= {frames[name]["picture"]: pictures[name], frames[name]["answer"]: npy_bytes(answer)}
    return {**found, PROBES: _described(frames)}


def _described(frames: dict[str, Any]) -> bytes:
    return json_bytes(
        {
            "frames": frames,
            "picture_size_px": [WIDTH, HEIGHT],
            "grid": {"step_px": GRID_PX, "first_px": FIRST_PX, "rows": GRID[0], "columns": GRID[1]},
            "decimals": DECIMALS,
            "tolerance": TOLERANCE,
            "tolerance_of": "the answer's largest value, or of 1 where that is larger",
            "computed_by": "ONNX Runtime on a CPU, one thread",
            "note": "Made by formulas and by lpcv's synthetic scenes: no picture of anybody.",
        }
    )


def answers_of(model: bytes, pictures: Mapping[str, Rgb], called: str) -> dict[str, Answer]:
    """Name -> `GRID` float32, rounded. Raises InputError where the model does not load or run, or its answer is no map.

    One that may run for ever is run in a child process, and stopped where it does not end.
    """
    run = watched.answers_of if watched.may_run_for_ever(parse_model(model, called)) else computed
    return run(model, pictures, called)


def computed(model: bytes, pictures: Mapping[str, Rgb], called: str) -> dict[str, Answer]:
    """As `answers_of`, in this very process."""
    session = open_session(model, threads=1)
    found = {}
    for name, rgb in pictures.items():
        try:
            (output,) = session.run([CONTRACT.output_name], {CONTRACT.input_name: contract_input(rgb)})
        except Exception as error:  # onnxruntime's exceptions share no base class but this one
            reason = first_line(error)
            raise InputError(f"ONNX Runtime cannot run {called} ({reason}).", f"Run `lpcv check {called}`.") from None
        found[name] = sampled(np.asarray(output), called)
    return found


def sampled(output: npt.NDArray[Any], called: str) -> Answer:
    """The grid of a model's output (1, 1, H, W). Raises InputError for another shape."""
    if output.shape != CONTRACT.output_shape:
        raise InputError(
            f"{called} gives {output.shape}, the contract asks for {CONTRACT.output_shape}.",
            f"Run `lpcv check {called}`.",
        )
    grid = output[0, 0, FIRST_PX::GRID_PX, FIRST_PX::GRID_PX].astype(np.float64)
    return np.round(grid, DECIMALS).astype(np.float32)


def difference(found: Answer, stored: Answer) -> tuple[float, float]:
    """(largest absolute difference, what is allowed); NaN counts as infinitely far."""
    gap = np.abs(found.astype(np.float64) - stored)
    return float(np.where(np.isnan(gap), np.inf, gap).max()), TOLERANCE * max(1.0, float(np.abs(stored).max()))


def npy_bytes(answer: Answer) -> bytes:
    """`answer` as .npy, format 1.0."""
    stream = io.BytesIO()
    np.lib.format.write_array(stream, np.ascontiguousarray(answer, "<f4"), version=(1, 0), allow_pickle=False)
    return stream.getvalue()


def read_answer(content: bytes, name: str) -> Answer:
    """`GRID` float32, finite. Raises InputError for any other .npy: its header is compared, never interpreted."""
    head = npy_bytes(np.zeros(GRID, np.float32))[: -4 * GRID[0] * GRID[1]]
    if not content.startswith(head) or len(content) != len(head) + 4 * GRID[0] * GRID[1]:
        raise InputError(f"{name} is no .npy of {GRID[0]} x {GRID[1]} float32.", "Package the run again.")
    answer = np.frombuffer(content, "<f4", offset=len(head)).reshape(GRID).astype(np.float32)
    if not np.isfinite(answer).all():
        raise InputError(f"{name} holds NaN or infinity.", "Package the run again.")
    return answer


def decoded(content: bytes, name: str) -> Rgb:
    """(H, W, 3) uint8. Raises InputError for another size or kind, which is read before anything is decoded."""
    if not content.startswith(PNG_HEAD):
        raise InputError(f"{name} is no 8-bit RGB PNG of {WIDTH}x{HEIGHT}.", "Package the run again.")
    try:
        pixels = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error:
        pixels = None
    if pixels is None or pixels.shape != (HEIGHT, WIDTH, 3):
        raise InputError(f"{name} is a damaged PNG.", "Package the run again.")
    return cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB).astype(np.uint8, copy=False)
