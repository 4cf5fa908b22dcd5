"""What a run was made from, written beside its recipe."""

from __future__ import annotations

import platform
import subprocess
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from .. import __version__
from ..errors import InputError
from ..files import read_json, write_json
from ..runs import Run
from .encoder_weights import EncoderWeights
from .material import Material
from .recipe import Recipe, from_dict


@dataclass(frozen=True)
class Inputs:
    """The folders a run reads, so that --resume needs none of them again, from whichever folder it is typed."""

    data: str
    frames: str | None
    validation: str | None
    validation_frames: str | None
    labels: str | None


def write_config(run: Run, recipe: Recipe, inputs: Inputs, material: Material, start: EncoderWeights) -> None:
    """RUN/config.json: the resolved recipe, the inputs, and the provenance."""
    frames, labels = material.frames, material.labels
    records = [frames.records.get(name) for name in frames.names]
    licences = Counter(record.licence if record else "unknown" for record in records)
    sources = sorted({record.source.split(", scene")[0] if record else "unknown" for record in records})
    provenance = {
        "lpcv_version": __version__,
        "git_sha": git_sha(),
        "python": platform.python_version(),
        "torch": str(torch.__version__),
        "data": {
            "sha256": frames.fingerprint(), "frames": len(frames), "licences": dict(licences), "sources": sources,
        },
        "validation": {"sha256": material.validation.fingerprint()} if material.validation else None,
        "teacher": asdict(labels.source) if labels else None,
        "encoder_weights": asdict(start),
    }  # fmt: skip
    config = {"recipe": asdict(recipe), "inputs": asdict(inputs), "provenance": provenance}
    write_json(run.config, config)


def read_recipe(run: Run) -> Recipe:
    """The recipe a run was started with. Raises InputError where its config is damaged."""
    return from_dict(_part(run, "recipe"), str(run.config))


def read_inputs(run: Run) -> Inputs:
    """The folders a run reads. Raises InputError where the config is damaged."""
    try:
        return Inputs(**_part(run, "inputs"))
    except TypeError:
        raise InputError(f"{run.config} does not name the run's inputs.", "Start a new run.") from None


def demand_same_data(run: Run, material: Material) -> None:
    """Raises InputError where the frames are not those that the run was started with."""
    provenance = _part(run, "provenance")
    for part, frames in (("data", material.frames), ("validation", material.validation)):
        recorded = provenance.get(part) or {}
        if frames is not None and recorded.get("sha256") != frames.fingerprint():
            raise InputError(
                f"{frames.root} is not what {run.root} was started with.", "Restore the data, or start a new run."
            )


def git_sha() -> str | None:
    """Of the checkout that this package lies in, "-dirty" appended where it is changed; None outside one."""
    here = Path(__file__).resolve().parent.parent
    if not (here / ".git").exists():
        return None  # an installed wheel may lie inside somebody else's repository
    try:
        found = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"],
            cwd=here, capture_output=True, text=True, check=True,
        )  # fmt: skip
    except (OSError, subprocess.CalledProcessError):
        return None
    return found.stdout.strip()


def _part(run: Run, part: str) -> dict[str, Any]:
    content = read_json(run.config)
    if not isinstance(content, dict) or not isinstance(content.get(part), dict):
        raise InputError(f"{run.config} has no '{part}'.", "It may come from another version: start a new run.")
    return content[part]
