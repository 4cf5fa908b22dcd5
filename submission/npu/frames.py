"""What is fed to a model, and what the NPU's emulator makes of it, kept so that no frame is emulated twice."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from ...console import Meter, count, note
from ...contract import CURRENT as CONTRACT
from ...data.folder import FrameFolder
from ...data.frame import Rgb
from ...data.images import read_rgb
from ...data.model_input import contract_input
from ...errors import InputError, Interrupted
from ...evaluate.protocol import Prediction
from ...files import replacing, sha256_file
from ...hub_jobs.htp.emulator import EmulationStopped, run
from ...hub_jobs.htp.graph import FLOAT, Graph, load
from ...hub_jobs.htp.outcome import Compiled, Limits
from ...prediction_folder import read_prediction

Array = npt.NDArray[Any]
Compute = Callable[[str], Array]  # frame -> the model's output
FLAT = (0.0, 255.0)


class Feed(Protocol):
    """What a model is fed, by name."""

    @property
    def names(self) -> tuple[str, ...]:
        """All there are, in order."""
        ...

    def array(self, name: str) -> Array:
        """As the model takes it, float32."""
        ...


@dataclass(frozen=True)
class Pictures:
    """The images of a folder, at the size (W, H) that the model takes."""

    frames: FrameFolder
    size: tuple[int, int]

    @property
    def names(self) -> tuple[str, ...]:
        return self.frames.names

    def array(self, name: str) -> Array:
        return contract_input(read_rgb(self.frames.images[name]), self.size)


@dataclass(frozen=True)
class MadeUp:
    """Without frames: noise over the contract's range, and after the first of it two flat inputs."""

    shape: tuple[int, ...]
    seed: int
    number: int

    @property
    def names(self) -> tuple[str, ...]:
        flat = tuple(f"flat {value:g}" for value in FLAT)
        noise = tuple(f"noise {index}" for index in range(max(self.number - len(flat), 1)))
        return (noise[:1] + flat + noise[1:])[: self.number]

    def array(self, name: str) -> Array:
        kind, _, value = name.partition(" ")
        if kind == "flat":
            return np.full(self.shape, float(value), np.float32)
        low, high = CONTRACT.input_range
        return np.random.default_rng([self.seed, int(value)]).uniform(low, high, self.shape).astype(np.float32)


@dataclass(frozen=True)
class Emulation:
    """files: frame -> where its output lies, for the frames that are done; stopped: why there are no more, or None."""

    compiled: Compiled
    files: Mapping[str, Path]
    stopped: str | None

    def compute(self, name: str) -> Array:
        return np.load(self.files[name], allow_pickle=False)


@dataclass(frozen=True)
class EmulatedPredictions:
    """An emulation as a source of predictions that can be scored."""

    label: str
    kind: str
    emulation: Emulation

    def sha256(self) -> str:
        total = hashlib.sha256()
        for name in sorted(self.emulation.files):
            total.update(f"{name}\0{self.sha256_of(name)}\n".encode("utf-8", "surrogateescape"))
        return total.hexdigest()

    def sha256_of(self, name: str) -> str:
        return sha256_file(self.emulation.files[name])

    def predict(self, name: str, rgb: Rgb) -> Prediction:
        return read_prediction(self.emulation.files[name])


def input_shape(model: Path) -> tuple[int, ...] | None:
    """Of the one float32 input of fixed size; None for any other model, which nothing here can feed."""
    graph = Graph(load(model))
    tensors = [graph.tensor(name) for name in graph.inputs]
    if len(tensors) != 1 or tensors[0].elem != FLOAT or tensors[0].shape is None or len(graph.outputs) != 1:
        return None
    fixed = tuple(side for side in tensors[0].shape if side is not None)
    return fixed if len(fixed) == len(tensors[0].shape) else None


def picture_size(model: Path, shape: tuple[int, ...] | None) -> tuple[int, int]:
    """(W, H) of the pictures that a model takes. Raises InputError where it does not take one picture."""
    if shape is None or len(shape) != 4 or shape[:2] != (1, 3):
        raise InputError(
            f"{model} does not take one image of fixed shape, so frames cannot be fed to it.",
            "Leave --data away to see whether it fits the NPU, or export it with the contract's input.",
        )
    return shape[3], shape[2]


def emulate_frames(
    compiled: Compiled, feed: Feed, names: Sequence[str], kept: Path, limits: Limits, what: str
) -> Emulation:
    """The outputs of the named frames. Each is kept below `kept` by what decides it, the moment it is there.

    Raises Interrupted on Ctrl-C; an emulator that ends early is told in the result.
    """
    files = {name: kept / compiled.key / f"{_sha256(feed.array(name))}.npy" for name in names}
    missing = [name for name in names if not _is_whole(files[name])]
    if len(missing) < len(names):
        note(f"Emulated before: {count(len(names) - len(missing), 'frame')} in {what} ({kept}).")
    stopped = None
    try:
        with Meter(f"emulating {what}", len(names), len(names) - len(missing)) as meter:
            began = time.monotonic()
            for name, output in run(compiled, ((name, feed.array(name)) for name in missing), limits):
                with replacing(files[name]) as temporary, temporary.open("wb") as stream:
                    np.save(stream, output)
                now = time.monotonic()
                meter.advance(f"({now - began:.1f} s for {name})")
                began = now
    except EmulationStopped as error:
        stopped = error.problem
    except KeyboardInterrupt:
        done = sum(_is_whole(file) for file in files.values())
        said = f"Stopped; emulated {done} of {count(len(names), 'frame')} in {what}, which are kept."
        raise Interrupted(said, "Type the command again to go on.") from None
    return Emulation(compiled, {name: file for name, file in files.items() if file.is_file()}, stopped)


def _sha256(array: Array) -> str:
    return hashlib.sha256(f"{array.dtype.str}{array.shape}".encode() + array.tobytes()).hexdigest()


def _is_whole(file: Path) -> bool:
    """A damaged file is removed, and its frame emulated again."""
    try:
        np.load(file, allow_pickle=False)
    except FileNotFoundError:
        return False
    except (ValueError, OSError, EOFError):
        file.unlink()
        return False
    return True
