"""The client's h5 datasets: group data/<i> per tensor with attributes name, batch_count and order; batch_<j> in it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .speaking import JobError, log

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Array = npt.NDArray[Any]

MOST_TENSORS = 256
MOST_BATCHES = 10_000_000
MOST_ENTRIES, DEEPEST = 20_000_000, 4  # of the h5 file; the client's has three levels


@dataclass(frozen=True)
class Batches:
    """A checked dataset; iterating it reads batch after batch, name -> array."""

    path: Path
    groups: dict[str, str]
    count: int

    def __iter__(self) -> Iterator[dict[str, Array]]:
        for index in range(self.count):
            yield self.read(index)

    def read(self, index: int) -> dict[str, Array]:
        import h5py
        import numpy as np

        with h5py.File(self.path, "r") as file:
            return {name: np.asarray(file[f"{group}/batch_{index}"]) for name, group in self.groups.items()}


def read_dataset(path: Path, inputs: list[Any]) -> Batches:
    """Names, shapes and types are checked before anything is computed. Raises JobError with what does not fit."""
    import h5py

    try:
        with h5py.File(path, "r") as file:
            _demand_plain(file)
            return _checked(path, file, inputs)
    except (OSError, KeyError, ValueError, TypeError, RuntimeError) as error:
        raise JobError(f"The dataset is not an h5 file as AI Hub's client writes it ({str(error)[:200]}).") from error


def _checked(path: Path, file: Any, inputs: list[Any]) -> Batches:
    groups: dict[str, str] = {}
    counts: dict[str, int] = {}
    if not 0 < len(file["data"]) <= MOST_TENSORS:
        raise JobError(f"The dataset holds {len(file['data'])} tensors.")
    for key in file["data"]:
        group = file[f"data/{key}"]
        name = str(group.attrs["name"])
        groups[name], counts[name] = f"data/{key}", int(group.attrs["batch_count"])
    wanted = [name for name, _, _ in inputs]
    if set(groups) != set(wanted):
        raise JobError(
            f"The dataset has the inputs {', '.join(map(repr, sorted(groups)))}, but the model takes "
            f"{', '.join(map(repr, sorted(wanted)))}."
        )
    count = next(iter(counts.values()))
    if len(set(counts.values())) != 1 or not 0 < count <= MOST_BATCHES:
        raise JobError(f"The dataset's inputs must have the same number of batches, at least one; they have {counts}.")
    for name, shape, dtype in inputs:
        for index in range(count):
            batch = file[f"{groups[name]}/batch_{index}"]
            if list(batch.shape) != shape or str(batch.dtype) != dtype:
                raise JobError(
                    f"Input '{name}' of batch {index} is {batch.dtype} {tuple(batch.shape)}, but the model takes "
                    f"{dtype} {tuple(shape)}."
                )
    log(f"dataset of {count} batches for {', '.join(wanted)}")
    return Batches(path, {name: groups[name] for name in wanted}, count)


def _demand_plain(file: Any) -> None:
    """Raises JobError where the file says that some of its data lie in another file, which would then be read."""
    import h5py

    groups, seen = [(file, 0)], 0
    while groups:
        group, depth = groups.pop()
        for name in group:
            seen += 1
            if seen > MOST_ENTRIES:
                raise JobError(f"The dataset has more than {MOST_ENTRIES:,} entries.")
            if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                raise JobError(f"The dataset holds a link, {group.name.rstrip('/')}/{name}; only data may be in it.")
            entry = group[name]
            if isinstance(entry, h5py.Group):
                if depth == DEEPEST:  # a hard link may also lead upwards, and so without end
                    raise JobError(f"The dataset has groups in groups, deeper than {DEEPEST}.")
                groups.append((entry, depth + 1))
            elif isinstance(entry, h5py.Dataset) and (entry.is_virtual or entry.external):
                raise JobError(f"The dataset keeps {entry.name} in another file; all data must be in it.")


def write_dataset(path: Path, names: list[str], batches: Iterable[dict[str, Array]]) -> None:
    """One h5 file as the client reads it. Raises JobError for an output that it cannot hold."""
    import h5py
    import numpy as np

    count = 0
    with h5py.File(path, "w") as file:
        groups = [file.create_group(f"data/{index}") for index in range(len(names))]
        for batch in batches:
            for name, group in zip(names, groups, strict=True):
                values = np.asarray(batch[name])
                if values.dtype.kind not in "fiub":
                    raise JobError(f"Output '{name}' holds {values.dtype}, which a dataset cannot hold.")
                packed = {"compression": "gzip", "compression_opts": 1} if values.ndim else {}
                group.create_dataset(f"batch_{count}", data=values, **packed)
            count += 1
        for index, (name, group) in enumerate(zip(names, groups, strict=True)):
            group.attrs["order"], group.attrs["name"], group.attrs["batch_count"] = index, name, count


def random_inputs(inputs: list[Any]) -> dict[str, Array]:
    """For a profile without data: uniform in [0, 1) or [0, 2), the same each time."""
    import numpy as np

    random = np.random.default_rng(0)
    made: dict[str, Array] = {}
    for name, shape, dtype in inputs:
        floating = np.issubdtype(np.dtype(dtype), np.floating)
        values: np.ndarray[Any, Any] = random.random(shape) if floating else random.integers(0, 2, shape)
        made[name] = values.astype(dtype)
    return made
