"""What a run is trained on and measured by."""

from __future__ import annotations

from dataclasses import dataclass

from ..data.folder import FrameFolder
from ..data.labels import LabelStore


@dataclass(frozen=True)
class Material:
    """Training frames, their teacher labels (None: truth alone), held-out frames (None: no validation)."""

    frames: FrameFolder
    labels: LabelStore | None
    validation: FrameFolder | None
