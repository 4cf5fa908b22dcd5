"""Frames as datasets of AI Hub, in slices that survive an unsteady line, and back from outputs to predictions."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from ..contract import CURRENT as CONTRACT
from ..data.folder import FrameFolder
from ..data.model_input import contract_input
from ..errors import InputError
from ..files import sha256_file
from ..prediction_folder import write_prediction
from .options import FRAMES_PER_JOB
from .order import DatasetFile


@dataclass(frozen=True)
class Slice:
    """Some frames in order, and the dataset that they make."""

    names: tuple[str, ...]
    dataset: DatasetFile


def slices(folder: FrameFolder, frames_per_job: int = FRAMES_PER_JOB) -> list[Slice]:
    """The folder's frames, in order, at most `frames_per_job` together."""
    parts = [folder.names[at : at + frames_per_job] for at in range(0, len(folder), frames_per_job)]
    return [Slice(names, dataset_of(folder.subset(names))) for names in parts]


def dataset_of(folder: FrameFolder) -> DatasetFile:
    """The dataset of these frames as the contract's model takes them."""
    content = [f"{name} {sha256_file(folder.images[name])}" for name in folder.names]
    told = "\n".join([CONTRACT.input_name, str(CONTRACT.input_shape), *content])
    return DatasetFile(hashlib.sha256(told.encode()).hexdigest(), partial(write_inputs, folder))


def write_inputs(folder: FrameFolder, path: Path) -> None:
    """Write the frames as AI Hub's .h5, one (1, 3, H, W) float32 batch a frame; never more than one in memory."""
    import h5py

    with h5py.File(path, "w") as h5:
        group = h5.create_group("data/0")
        group.attrs["name"], group.attrs["order"], group.attrs["batch_count"] = CONTRACT.input_name, 0, len(folder)
        for index, frame in enumerate(folder):
            group.create_dataset(f"batch_{index}", data=contract_input(frame.rgb), compression="gzip")


def write_outputs(h5_file: Path, names: Sequence[str], folder: Path) -> None:
    """Write `FOLDER/NAME.npy` for each frame of a job from its output dataset.

    Raises InputError where the outputs are not one (1, 1, H, W) map for each frame.
    """
    for name, output in _outputs(h5_file, names):
        write_prediction(folder / f"{name}.npy", output)


def _outputs(h5_file: Path, names: Sequence[str]) -> Iterator[tuple[str, Any]]:
    """(name, (1, 1, H, W) floating) of each frame, one at a time."""
    import h5py

    again = "Remove it and type the command again: it is fetched anew."
    try:
        with h5py.File(h5_file, "r") as h5:
            group = _output(h5["data"], h5_file)
            if group.attrs["batch_count"] != len(names):
                raise InputError(
                    f"{h5_file} holds {group.attrs['batch_count']} outputs for {len(names)} frames.", again
                )
            for index, name in enumerate(names):
                output = group[f"batch_{index}"][()]
                if not _is_one_map(output):
                    raise InputError(
                        f"{h5_file}: the output for frame {name} is {output.dtype} of shape {output.shape}, "
                        "not floating (1, 1, H, W).",
                        "The model must give one map: `lpcv check MODEL` says what the contract asks for.",
                    )
                yield name, output
    except (OSError, KeyError, ValueError, AttributeError, TypeError) as error:
        raise InputError(f"{h5_file} is no output dataset ({error}).", again) from error


def _is_one_map(output: Any) -> bool:
    return output.ndim in (2, 4) and output.shape[:-2] in ((), (1, 1)) and output.size > 0 and output.dtype.kind == "f"


def _output(data: Any, h5_file: Path) -> Any:
    """The contract's output, or the only one. Raises InputError where it cannot be told."""
    groups = {group.attrs["name"]: group for group in data.values()}
    if not groups:
        raise KeyError("it holds no output at all")
    if CONTRACT.output_name in groups:
        return groups[CONTRACT.output_name]
    if len(groups) == 1:
        return next(iter(groups.values()))
    raise InputError(
        f"The job gives {', '.join(sorted(groups))}, none of which is {CONTRACT.output_name}.",
        f"Name the model's output {CONTRACT.output_name}: the organisers read that.",
    )
