"""The networks that `lpcv train` can train, by name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from ..errors import InputError, UnknownNameError, first_line
from ..files import read_json
from .student import Student


def _depth_anything(**config: Any) -> nn.Module:
    from .small_teacher import DepthAnything  # and with it transformers, seconds that a student need not wait for

    return DepthAnything(**config)


NETWORKS: dict[str, Callable[..., nn.Module]] = {"mobilenet_v3_small": Student, "depth_anything": _depth_anything}


def build_network(name: str, working_size: tuple[int, int], max_depth_m: float) -> nn.Module:
    """Raises UnknownNameError for a name that is not in `NETWORKS`."""
    if name not in NETWORKS:
        raise UnknownNameError("network", name, NETWORKS)
    return NETWORKS[name](working_size=working_size, max_depth_m=max_depth_m)


def load_network(name: str, checkpoint: Path) -> nn.Module:
    """The network of a checkpoint folder (`config.json` + `model.safetensors`), in evaluation mode.

    Raises InputError where the files do not belong together.
    """
    if name not in NETWORKS:
        raise UnknownNameError("network", name, NETWORKS)
    config = read_json(checkpoint / "config.json")
    try:
        network = NETWORKS[name](**config)
        network.load_state_dict(load_file(checkpoint / "model.safetensors"))
    except (InputError, TypeError, RuntimeError, OSError, SafetensorError) as error:
        raise InputError(
            f"{checkpoint} does not hold a {name} network ({first_line(error)}).",
            "It may come from another version of lpcv: train again, or use the version named in the run's config.json.",
        ) from error
    return network.eval()
