"""What lies in a folder of predictions: `NAME.npy` for each frame, and `predictions.json`, which says what they are.

`lpcv predict` and the jobs of AI Hub write such folders, `lpcv score` reads them. The description is written before the
first prediction, with the names of all frames of the set: so a set that was interrupted is known as such.
"""

from __future__ import annotations

from pathlib import Path
from tokenize import TokenError
from typing import Any

import numpy as np
import numpy.typing as npt

from .errors import InputError
from .files import read_json, replacing, write_json

DESCRIPTION = "predictions.json"
Values = npt.NDArray[np.floating[Any]]


def write_prediction(path: Path, values: npt.NDArray[Any]) -> None:
    """Write one frame's prediction as (1, 1, h, w) float32; the file is whole or absent.

    values: (h, w) or (1, 1, h, w) floating, in the unit of the folder's kind
    Raises InputError for anything else.
    """
    stored = np.ascontiguousarray(_one_map(values, path), np.float32)[None, None]
    with replacing(path) as temporary, temporary.open("wb") as stream:
        np.save(stream, stored)


def read_prediction(path: Path) -> Values:
    """(H, W) floating, in the dtype of the file. Raises InputError for anything else."""
    try:
        with path.open("rb") as stream:  # not np.load: it opens zip archives and recommends unpickling
            stored = np.lib.format.read_array(stream, allow_pickle=False)
    except (ValueError, OSError, EOFError, MemoryError, TokenError) as error:
        raise InputError(f"{path} is not a readable .npy array ({error}).", "Write it with numpy.save.") from None
    return _one_map(stored, path)


def _one_map(values: npt.NDArray[Any], path: Path) -> Values:
    shape, dtype = values.shape, values.dtype
    if values.ndim == 4 and shape[:2] == (1, 1):
        values = values[0, 0]
    if values.ndim != 2 or 0 in shape or dtype.kind != "f" or dtype.itemsize > 8:
        raise InputError(
            f"{path} is {dtype} of shape {shape}, but a prediction is float16, float32 or float64, (1, 1, H, W) or "
            "(H, W).",
            "Save one frame's relative depth per file.",
        )
    return values


def describe(root: Path, kind: str, **facts: Any) -> None:
    """Write `predictions.json`: kind and facts, in place of what it said before.

    kind: what the predictions are, one of `evaluate.kinds.KINDS`
    facts: JSON values. Known to readers: frames = the names of all frames of the set; made_from = SHA-256 or id of the
        model; computed_by = the device, in words; images_sha256 = frame -> SHA-256 of its image file
    Raises InputError where the folder is described as holding another kind.
    """
    held = described(root)
    if held is not None and held["kind"] != kind:
        raise InputError(f"{root} holds predictions of another kind than {kind}.", "Choose another --out.")
    write_json(root / DESCRIPTION, {"kind": kind, **facts})


def described(root: Path) -> dict[str, Any] | None:
    """What `predictions.json` says, None where there is none.

    "kind" is a text, and, where they are there, "frames" a list of texts, "made_from" and "computed_by" texts,
    "images_sha256" texts by name.
    Raises InputError where it says anything else.
    """
    path = root / DESCRIPTION
    if not path.exists():
        return None
    told = read_json(path)
    if not isinstance(told, dict) or not isinstance(told.get("kind"), str):
        raise InputError(f"{path} names no kind of prediction.", "Predict again, or remove it.")
    frames = told.get("frames", [])
    if not isinstance(frames, list) or not all(isinstance(name, str) for name in frames):
        raise InputError(f'{path}: "frames" is no list of names.', "Predict again, or remove it.")
    for key in ("made_from", "computed_by"):
        if not isinstance(told.get(key, ""), str):
            raise InputError(f'{path}: "{key}" is no text.', "Predict again, or remove it.")
    images = told.get("images_sha256", {})
    if not isinstance(images, dict) or not all(isinstance(value, str) for value in images.values()):
        raise InputError(f'{path}: "images_sha256" names no hashes.', "Predict again, or remove it.")
    return told
