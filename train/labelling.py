"""Teacher labels for a folder of frames: each frame once, resumed where it stopped."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ..console import Meter
from ..data.folder import FrameFolder
from ..data.images import read_rgb
from ..data.labels import LabelStore

if TYPE_CHECKING:
    from .teacher import Teacher

LABELS = "teacher_labels"


def default_store(frames: FrameFolder, teacher: Teacher) -> Path:
    """`DATA/teacher_labels/<teacher>-<short hash of its weights>`."""
    short = teacher.source.teacher.rsplit("/", 1)[-1]
    return frames.root / LABELS / f"{short}-{teacher.source.weights_sha256[:8]}"


def label_frames(frames: FrameFolder, teacher: Teacher, root: Path | None = None, batch: int = 1) -> LabelStore:
    """Label every frame that has no label of this teacher and this image yet.

    Raises InputError where `root` holds another teacher's labels.
    """
    store = LabelStore.create(root or default_store(frames, teacher), teacher.source)
    waiting = [name for name in frames.names if not store.has(name, frames.images[name])]
    with Meter(f"labelling with {teacher.source.teacher}", len(frames), len(frames) - len(waiting)) as meter:
        for start in range(0, len(waiting), batch):
            names = waiting[start : start + batch]
            images = [read_rgb(frames.images[name]) for name in names]
            same = all(image.shape == images[0].shape for image in images)
            labels = teacher.predict_batch(images) if same else [teacher.predict(image) for image in images]
            for name, label in zip(names, labels, strict=True):
                store.write(name, frames.images[name], label)
                meter.advance()
    return store
