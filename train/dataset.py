"""Frames and teacher labels as training examples, in an order that any step can be re-entered at."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from ..console import note, track
from ..contract import CURRENT as CONTRACT
from ..data.augment import jitter_colour, mirror
from ..data.folder import FrameFolder
from ..data.frame import Frame
from ..data.labels import LabelStore
from ..data.resize import nearest, picture, smooth
from ..errors import InputError
from .inverse_depth import AffineFit, fit_inverse_depth
from .loss import Targets
from .recipe import Recipe

Example = dict[str, Tensor]
Map = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Draw:
    """One draw of one frame: `number` counts all draws of the run, so that it seeds the augmentation."""

    frame: int
    number: int


class DrawOrder:
    """Batches of draws, step by step: every epoch a new permutation that depends on the seed and the epoch alone.

    A run that re-enters at a later step draws exactly what an undisturbed run draws there.
    """

    drop_last = False  # with batch_size, what accelerate asks of a batch sampler

    def __init__(self, frames: int, batch_size: int, first: int, last: int, seed: int) -> None:
        self.frames, self.batch_size, self.first, self.last, self.seed = frames, batch_size, first, last, seed
        self._epoch, self._order = -1, np.empty(0, np.int64)

    def __len__(self) -> int:
        return self.last - self.first

    def __iter__(self) -> Iterator[list[Draw]]:
        for index in range(self.first, self.last):
            yield [self._draw(number) for number in range(index * self.batch_size, (index + 1) * self.batch_size)]

    def _draw(self, number: int) -> Draw:
        epoch, place = divmod(number, self.frames)
        return Draw(int(self._permutation(epoch)[place]), number)

    def _permutation(self, epoch: int) -> npt.NDArray[np.int64]:
        if self._epoch != epoch:
            self._epoch, self._order = epoch, np.random.default_rng((self.seed, epoch)).permutation(self.frames)
        return self._order


class Examples(Dataset[Example]):
    """A draw -> `image` (3, 480, 640) uint8 and the maps of `Targets`, each (1, h, w) at the working size."""

    def __init__(self, frames: FrameFolder, labels: LabelStore | None, recipe: Recipe) -> None:
        self.frames, self.labels, self.recipe = frames, labels, recipe
        self.size, self.max_depth_m = recipe.network.working_size, recipe.network.max_depth_m

    def __getitem__(self, draw: Draw) -> Example:
        frame = self.frames.frame(self.frames.names[draw.frame])
        truth_m, truth_mask = self.truth(frame)
        maps = [
            picture(frame.rgb, CONTRACT.image_size),
            truth_m,
            truth_mask,
            *self._teacher(frame.name, truth_m, truth_mask),
        ]
        chance = np.random.default_rng((self.recipe.seed, draw.number, 1))
        if chance.random() < self.recipe.data.mirror_share:
            maps = mirror(maps)
        rgb = jitter_colour(maps[0], chance, self.recipe.data.colour_jitter)
        names = ("truth_m", "truth_mask", "teacher_m", "teacher_mask", "teacher_inverse", "affine_mask")
        targets = {name: torch.from_numpy(values)[None] for name, values in zip(names, maps[1:], strict=True)}
        return {"image": torch.from_numpy(np.ascontiguousarray(rgb.transpose(2, 0, 1))), **targets}

    def truth(self, frame: Frame) -> tuple[Map, npt.NDArray[np.bool_]]:
        """(h, w) metres and where they count: confident enough, within the student's range."""
        empty = np.zeros((self.size[1], self.size[0]), np.float32)
        if frame.depth_m is None:
            return empty, empty > 0
        truth_m = nearest(frame.depth_m, self.size)
        mask = (truth_m > 0) & (truth_m <= self.max_depth_m)
        if frame.confidence is not None:
            mask &= nearest(frame.confidence, self.size) >= self.recipe.data.confidence_floor
        return truth_m, mask

    def _teacher(self, name: str, truth_m: Map, truth_mask: npt.NDArray[np.bool_]) -> tuple[npt.NDArray, ...]:
        """teacher_m and its mask, teacher_inverse and its mask: at most one of the two masks holds a pixel."""
        empty = np.zeros_like(truth_m)
        nothing = empty > 0
        if self.labels is None:
            return empty, nothing, empty, nothing
        label = smooth(self.labels.read(name), self.size)
        if self.labels.source.kind == "depth_m":
            return label, (label > 0) & (label <= self.max_depth_m), empty, nothing
        if not truth_mask.any():
            return empty, nothing, label, np.isfinite(label)
        fit = self.fit(name, truth_m, truth_mask)
        if fit is None:
            return empty, nothing, empty, nothing
        return fit.depth_m(label, self.max_depth_m), ~nothing, empty, nothing

    def fit(self, name: str, truth_m: Map, truth_mask: npt.NDArray[np.bool_]) -> AffineFit | None:
        """How this frame's affine inverse depth becomes metres; None where the truth does not determine it."""
        assert self.labels is not None  # asked only for frames with labels
        return fit_inverse_depth(smooth(self.labels.read(name), self.size), truth_m, truth_mask)


def demand_fits(examples: Examples) -> None:
    """Say on how many frames an affine teacher cannot be brought to metres; they are trained without it.

    Raises InputError where that is more than half of them: then the teacher's output is not what its config says.
    """
    labels, folder = examples.labels, examples.frames
    if labels is None or labels.source.kind == "depth_m":
        return
    without = 0
    for frame in track(folder, "fitting the teacher to truth", len(folder)):
        truth_m, mask = examples.truth(frame)
        without += bool(mask.any()) and examples.fit(frame.name, truth_m, mask) is None
    if without:
        note(f"The teacher does not follow the truth on {without} of {len(folder)} frames: they train without it.")
    if without > len(folder) / 2:
        raise InputError(
            f"{labels.source.teacher} contradicts the truth on {without} of {len(folder)} frames.",
            "Is its output depth, not inverse depth? Use a Depth Anything V2 teacher, or --teacher none.",
        )


def make_loader(
    examples: Examples, recipe: Recipe, first_step: int, processes: int, workers: int
) -> DataLoader[Example]:
    """Batches from `first_step` to the recipe's last step, `processes` batches a step (accelerate deals them out)."""
    steps = (first_step * processes, recipe.optim.steps * processes)
    order = DrawOrder(len(examples.frames), recipe.optim.batch, *steps, recipe.seed)
    return DataLoader(examples, batch_sampler=order, num_workers=workers)  # type: ignore[arg-type]


def targets_of(batch: Example) -> Targets:
    return Targets(**{name: value for name, value in batch.items() if name != "image"})
