"""Checkpoints: the network for people, the state for resuming; each file is whole or absent."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor, nn

from ..errors import InputError, MissingStepError, first_line
from ..files import write_bytes, write_json
from ..runs import Run

FORMAT = 1
STATE = "state.pt"


@dataclass
class State:
    """All that an undisturbed run would have at `step`; optimizer and network as their state_dicts."""

    step: int
    network: dict[str, Tensor]
    optimizer: dict[str, Any]
    best: tuple[float, float] | None


def save_network(network: nn.Module, folder: Path) -> None:
    """`config.json` + `model.safetensors`, as `from_pretrained` of the hub mixin reads them."""
    write_json(folder / "config.json", json.loads(json.dumps(network._hub_mixin_config)))
    write_bytes(folder / "model.safetensors", save(_plain(network.state_dict())))


def save_state(run: Run, state: State) -> None:
    """One file that holds everything resuming needs, so that no crash can leave halves of two steps."""
    content = io.BytesIO()
    torch.save({"format": FORMAT, **vars(state)}, content)
    write_bytes(run.last / STATE, content.getvalue())


def load_state(run: Run) -> State:
    """Raises MissingStepError where there is none, InputError where it is of another version or damaged."""
    path = run.last / STATE
    if not path.is_file():
        raise MissingStepError(f"{run.root} has no checkpoint to resume from.", "Start it again without --resume.")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
        if content["format"] == FORMAT:
            return State(**{part.name: content[part.name] for part in fields(State)})
    except Exception as error:  # torch.load raises many kinds for a damaged file
        reason = first_line(error)
        raise InputError(f"{path} is no checkpoint ({reason}).", "Start a new run: choose another --out.") from error
    raise InputError(
        f"{path} is a checkpoint of format {content['format']}, this lpcv reads format {FORMAT}.",
        "Resume with the lpcv version named in the run's config.json, or start a new run.",
    )


def restore(state: State, network: nn.Module, optimizer: torch.optim.Optimizer, run: Run) -> None:
    """Raises InputError where the state belongs to another network."""
    try:
        network.load_state_dict(state.network)
        if state.optimizer:  # a new run has none yet
            optimizer.load_state_dict(state.optimizer)
    except (RuntimeError, ValueError, KeyError, AttributeError) as error:
        reason = first_line(error)
        raise InputError(
            f"{run.last / STATE} does not fit the run's recipe ({reason}).", "Start a new run: choose another --out."
        ) from error


def _plain(state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {key: value.detach().cpu().contiguous() for key, value in state.items()}
