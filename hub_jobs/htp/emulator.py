"""Running a compiled model on the NPU's emulator: seconds a frame, so results come one by one as they are ready."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ...errors import InputError, LpcvError
from .compiler import DEFAULT_LIMITS, options_for
from .door import demand_available
from .outcome import Compiled, Limits, Stopped
from .process import Child

Array = npt.NDArray[Any]


class EmulationStopped(LpcvError):
    """The emulator ended at a frame. outcome: why; name: the frame. What was yielded before it stands."""

    exit_code = 1

    def __init__(self, name: str, outcome: Stopped) -> None:
        remedy = "Give it more time or memory, fewer or smaller frames, or look at the model's warnings."
        super().__init__(f"The NPU's emulator did not finish frame {name}. {outcome.sentence}", remedy)
        self.name, self.outcome = name, outcome


def run(
    compiled: Compiled, inputs: Iterable[tuple[str, Array]], limits: Limits = DEFAULT_LIMITS
) -> Iterator[tuple[str, Array]]:
    """(name, its input) -> (name, the output), for a model of one input and one output; as run_all() otherwise."""
    if len(compiled.inputs) != 1 or len(compiled.outputs) != 1:
        raise InputError(
            f"The model has {len(compiled.inputs)} inputs and {len(compiled.outputs)} outputs, not one of each.",
            "Export it with the contract's input and output alone.",
        )
    (given,), (made,) = compiled.inputs, compiled.outputs
    for name, values in run_all(compiled, ((name, {given: array}) for name, array in inputs), limits):
        yield name, values[made]


def run_all(
    compiled: Compiled, feeds: Iterable[tuple[str, Mapping[str, Array]]], limits: Limits = DEFAULT_LIMITS
) -> Iterator[tuple[str, dict[str, Array]]]:
    """(name, {input: array}) -> (name, {output: array}), each as soon as it is there; one frame at a time.

    The next feed is asked for when the last result has been taken, so `feeds` may read files as it goes.
    limits: its seconds are for each frame
    Raises InputError for an array that is not the model's, EmulationStopped where the emulator ends early,
    MissingStepError where it is not installed.
    """
    demand_available()
    order = {"kind": "run", "context": str(compiled.context.resolve()), "options": options_for(compiled.target)}
    with tempfile.TemporaryDirectory(prefix="lpcv-htp-") as folder:
        work = Path(folder)
        with Child(work, order, limits) as child:
            for index, (name, feed) in enumerate(feeds):
                arrays = [_checked(name, feed, wanted, spec) for wanted, spec in compiled.inputs.items()]
                np.savez(work / f"{index}.in.npz", *arrays)
                child.tell(str(index))
                answer = child.answer()
                if not isinstance(answer, dict):
                    raise EmulationStopped(name, answer)
                with np.load(work / f"{index}.out.npz") as made:
                    outputs = {output: made[f"arr_{at}"] for at, output in enumerate(compiled.outputs)}
                for file in (f"{index}.in.npz", f"{index}.out.npz"):
                    (work / file).unlink()
                yield name, outputs


def _checked(frame: str, feed: Mapping[str, Array], name: str, spec: tuple[tuple[int, ...], str]) -> Array:
    shape, dtype = spec
    if name not in feed:
        raise InputError(f"Frame {frame} has no '{name}'.", f"The model's input is '{name}', {shape} {dtype}.")
    array = feed[name]
    if array.shape != shape or array.dtype != np.dtype(dtype):
        raise InputError(
            f"Frame {frame}: '{name}' is {array.shape} {array.dtype}, the model wants {shape} {dtype}.",
            "Give frames of the model's size and type.",
        )
    return np.ascontiguousarray(array)
