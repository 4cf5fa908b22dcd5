"""Teacher labels on disk: computed once per frame, read by training.

A store is a folder: `store.json` (whose labels these are) and one `NAME.safetensors` per frame, which carries the
SHA-256 of the image it was computed from, so that a changed image is labelled anew.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from ..errors import InputError
from ..files import read_json, sha256_file, write_bytes, write_json

LabelKind = Literal["depth_m", "affine_inverse_depth"]
HEADER = "store.json"


@dataclass(frozen=True)
class LabelSource:
    """Who labelled: the teacher's kind of output, its id, its weights' hash, its licence and its input size."""

    kind: LabelKind
    teacher: str
    weights_sha256: str
    licence: str
    input_size: tuple[int, int]


class LabelStore:
    """Labels of one teacher: (h, w) float16 at the teacher's own output size."""

    def __init__(self, root: Path, source: LabelSource) -> None:
        self.root, self.source = root, source

    @classmethod
    def open(cls, root: Path) -> LabelStore:
        """Raises InputError where `root` is no store."""
        header = read_json(root / HEADER)
        try:
            source = LabelSource(**{**header, "input_size": tuple(header["input_size"])})
        except (TypeError, KeyError):
            raise InputError(f"{root / HEADER} does not describe teacher labels.", "Label the frames again.") from None
        if source.kind not in get_args(LabelKind):
            raise InputError(f"{root / HEADER} names an unknown kind '{source.kind}'.", "Label the frames again.")
        return cls(root, source)

    @classmethod
    def create(cls, root: Path, source: LabelSource) -> LabelStore:
        """Open the store, or begin it. Raises InputError where it holds another teacher's labels."""
        if (root / HEADER).exists():
            store = cls.open(root)
            if store.source != source:
                raise InputError(f"{root} holds labels of {store.source.teacher}.", "Choose another folder for labels.")
            return store
        write_json(root / HEADER, asdict(source))
        return cls(root, source)

    def has(self, name: str, image: Path) -> bool:
        """Whether the frame has a whole label that was computed from this very image file."""
        try:
            with safe_open(self._path(name), "np") as stored:
                return (stored.metadata() or {}).get("image_sha256") == sha256_file(image)
        except (FileNotFoundError, SafetensorError):
            return False

    def write(self, name: str, image: Path, label: npt.NDArray[np.floating]) -> None:
        """Store an (h, w) label of the frame whose image file is `image`; whole or not at all.

        Raises InputError for a label that is not finite.
        """
        with np.errstate(over="ignore"):
            half = np.ascontiguousarray(label, np.float16)
        if not np.isfinite(half).all():
            raise InputError(
                f"The teacher's label of frame {name} is not finite, or too large for 16 bits.",
                "Check the teacher on that image with `lpcv predict`.",
            )
        write_bytes(self._path(name), save({"label": half}, {"image_sha256": sha256_file(image)}))

    def read(self, name: str) -> npt.NDArray[np.float32]:
        """(h, w) float32, in the unit of the store's kind. Raises InputError where there is none."""
        try:
            with safe_open(self._path(name), "np") as stored:
                return stored.get_tensor("label").astype(np.float32)
        except (FileNotFoundError, SafetensorError) as error:
            raise InputError(
                f"{self._path(name)} is not a teacher label ({error}).", "Run `lpcv label` on the data again."
            ) from None

    def _path(self, name: str) -> Path:
        return self.root / f"{name}.safetensors"
