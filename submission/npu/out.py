"""What a rehearsal leaves in --out: quantized models, and for each precision a folder of emulated predictions.

Such a folder holds the predictions of one model alone. What an earlier rehearsal left there is removed first; what
anybody else left there is not, and is in the way.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ...data.folder import FrameFolder
from ...errors import InputError
from ...files import sha256_file, write_bytes
from ...hub_jobs.htp.target import Target
from ...hub_jobs.models import model_of
from ...prediction_folder import DESCRIPTION, describe, described, write_prediction
from .fit import Fit
from .frames import Emulation
from .rows import EMULATOR

ELSEWHERE = "Choose another --out."


def demand_replaceable(root: Path) -> None:
    """Raises InputError where a folder holds predictions that are not an earlier rehearsal's, of which none may go."""
    held = described(root)
    there = sorted(path.stem for path in root.glob("*.npy"))
    if held is not None and not held.get("computed_by", "").startswith(f"{EMULATOR} of "):
        who = held.get("computed_by", "another command")
        raise InputError(f"{root} holds predictions that were computed by {who}, which are not replaced.", ELSEWHERE)
    ours = frozenset(held.get("frames", ()) if held else ())
    if foreign := [name for name in there if name not in ours]:
        raise InputError(
            f"{root / foreign[0]}.npy is not of an emulation, and would be taken for one of its predictions.", ELSEWHERE
        )


def clear(root: Path) -> None:
    """Remove what an earlier rehearsal left in the folder, and nothing else. Raises as demand_replaceable()."""
    demand_replaceable(root)
    held = described(root)
    if held is None:
        return
    for path in root.glob("*.npy"):  # all of which are in the description
        path.unlink()
    (root / DESCRIPTION).unlink()  # last, so that what an interruption leaves is still known as ours


def write_predictions(root: Path, target: Target, one: Fit, done: Emulation, frames: FrameFolder, kind: str) -> None:
    """A folder that `lpcv score` and `lpcv compare` take, in place of what an earlier rehearsal left there.

    kind: what the model's output is, one of `evaluate.kinds.KINDS`
    Raises InputError where the output is not one map, or as demand_replaceable().
    """
    if one.model is None:
        raise ValueError("what was emulated has a model")
    clear(root)
    names = sorted(done.files)
    by = f"{EMULATOR} of the {target.device}, {one.precision} (emulated, not a device)"
    images = {name: sha256_file(frames.images[name]) for name in names}
    # As any writer of such folders: names before the first prediction, the model once all of them are its own.
    describe(root, kind, frames=names, computed_by=by, images_sha256=images)
    for name in names:
        write_prediction(root / f"{name}.npy", done.compute(name))
    made_from = model_of(one.model).sha256
    describe(root, kind, frames=names, computed_by=by, images_sha256=images, made_from=made_from)


def write_models(root: Path, fits: Sequence[Fit]) -> tuple[Path, ...]:
    """The quantized models; where they lie now."""
    made = [one.quantized.path for one in fits if one.quantized is not None]
    for path in made:
        write_bytes(root / path.name, path.read_bytes())
    return tuple(root / path.name for path in made)
