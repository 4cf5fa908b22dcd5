"""Recipes: functions that return frozen dataclasses; `--set part.field=value` changes one value."""

from __future__ import annotations

import json
import math
import types
import typing
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, fields, is_dataclass, replace
from pathlib import Path
from typing import Any

from ..contract import CURRENT as CONTRACT
from ..errors import InputError, UnknownNameError
from ..files import read_json


@dataclass(frozen=True)
class NetworkChoice:
    """name: of `train/networks.py`; working_size: (width, height); max_depth_m: metres at an output of 1."""

    name: str = "mobilenet_v3_small"
    working_size: tuple[int, int] = CONTRACT.image_size
    max_depth_m: float = 10.0


@dataclass(frozen=True)
class LossWeights:
    """L = scale_invariant * SI + l1 * L1 + distillation * KD + affine_invariant * SSI, each of `train/loss.py`."""

    scale_invariant: float = 1.0
    l1: float = 0.1
    distillation: float = 0.1
    affine_invariant: float = 1.0
    variance_focus: float = 0.5


@dataclass(frozen=True)
class Optimisation:
    """AdamW with a linear warm-up and a cosine to zero.

    batch: images per process and step; batchnorm_momentum: weight of a step's statistics in the running ones
    (torchvision's MobileNetV3 comes with 0.01, with which a run of some hundred steps ends on stale statistics).
    """

    steps: int = 50_000
    batch: int = 16
    learning_rate: float = 1e-3
    weight_decay: float = 1e-2
    warmup_share: float = 0.05
    clip_norm: float = 1.0
    batchnorm_momentum: float = 0.1


@dataclass(frozen=True)
class DataUse:
    """confidence_floor: least confidence of a pixel of truth; workers: loader processes, -1 = as the machine allows."""

    confidence_floor: int = 1
    mirror_share: float = 0.5
    colour_jitter: float = 0.2
    workers: int = -1


@dataclass(frozen=True)
class Rhythm:
    """How often, in steps; validation scores at most `validate_frames` frames officially."""

    log_every: int = 20
    checkpoint_every: int = 500
    validate_every: int = 2500
    validate_frames: int = 200


@dataclass(frozen=True)
class Recipe:
    """All that decides a training run beside its data."""

    name: str
    seed: int = 0
    mixed_precision: str = "auto"
    network: NetworkChoice = field(default_factory=NetworkChoice)
    loss: LossWeights = field(default_factory=LossWeights)
    optim: Optimisation = field(default_factory=Optimisation)
    data: DataUse = field(default_factory=DataUse)
    rhythm: Rhythm = field(default_factory=Rhythm)

    def __post_init__(self) -> None:
        limits: list[tuple[str, bool]] = [
            ("mixed_precision must be auto, no or bf16", self.mixed_precision in ("auto", "no", "bf16")),
            ("seed must lie between 0 and 2^31", 0 <= self.seed < 2**31),
            ("network.working_size must be at least 64x64", min(self.network.working_size) >= 64),
            ("network.max_depth_m must be positive", self.network.max_depth_m > 0),
            ("optim.steps must be at least 1", self.optim.steps >= 1),
            ("optim.batch must be at least 1", self.optim.batch >= 1),
            ("optim.learning_rate must be positive", self.optim.learning_rate > 0),
            ("optim.weight_decay must be 0 or more", self.optim.weight_decay >= 0),
            ("optim.warmup_share must lie between 0 and 1", 0 <= self.optim.warmup_share < 1),
            ("optim.clip_norm must be positive", self.optim.clip_norm > 0),
            ("optim.batchnorm_momentum must lie between 0 and 1", 0 < self.optim.batchnorm_momentum <= 1),
            ("data.confidence_floor must be 0, 1 or 2", self.data.confidence_floor in (0, 1, 2)),
            ("data.mirror_share must lie between 0 and 1", 0 <= self.data.mirror_share <= 1),
            ("data.colour_jitter must be 0 or more", self.data.colour_jitter >= 0),
            ("data.workers must be -1 or more", self.data.workers >= -1),
            ("rhythm.* must be at least 1", min(asdict(self.rhythm).values()) >= 1),
            ("loss.* must be 0 or more", min(asdict(self.loss).values()) >= 0),
        ]
        for demand, holds in limits:
            if not holds:
                raise InputError(f"The recipe's {demand}.", "Mend the value in --set or in the recipe's file.")


def default() -> Recipe:
    """A GPU for a day: full resolution, where nothing is resized on the way in."""
    return Recipe("default")


def laptop() -> Recipe:
    """Two cores for an evening: a quarter of the pixels, fewer steps."""
    return Recipe(
        "laptop",
        network=NetworkChoice(working_size=(256, 192)),
        optim=Optimisation(steps=4000, batch=8),
        rhythm=Rhythm(log_every=20, checkpoint_every=100, validate_every=500, validate_frames=32),
    )


def demo() -> Recipe:
    """The student of `lpcv demo`: two cores, about two minutes, no pretrained weights."""
    return Recipe(
        "demo",
        network=NetworkChoice(working_size=(256, 192)),
        optim=Optimisation(steps=700, batch=8, learning_rate=3e-3),
        rhythm=Rhythm(log_every=20, checkpoint_every=100, validate_every=500, validate_frames=8),
    )


def demo_teacher() -> Recipe:
    """The teacher of `lpcv demo`: a small metric Depth Anything, trained on truth alone."""
    return Recipe(
        "demo-teacher",
        network=NetworkChoice("depth_anything", working_size=(168, 126)),
        optim=Optimisation(steps=300, batch=8, learning_rate=3e-3, warmup_share=0.1),
        rhythm=Rhythm(log_every=20, checkpoint_every=100, validate_every=500, validate_frames=8),
    )


RECIPES: dict[str, Callable[[], Recipe]] = {
    "default": default,
    "laptop": laptop,
    "demo": demo,
    "demo-teacher": demo_teacher,
}


def resolve(name: str, changes: Sequence[str] = ()) -> Recipe:
    """The recipe of that name, or of a JSON file (a run's config.json too), with `part.field=value` changes.

    Raises UnknownNameError for an unknown recipe or key, InputError for a value of the wrong type or range.
    """
    if name in RECIPES:
        recipe = RECIPES[name]()
    elif name.endswith(".json"):
        content = read_json(Path(name))
        recipe = from_dict(content["recipe"] if isinstance(content, dict) and "recipe" in content else content, name)
    else:
        raise UnknownNameError("recipe", name, RECIPES)
    for change in changes:
        key, equals, text = change.partition("=")
        if not equals:
            raise InputError(f"--set {change} has no '='.", "Write --set optim.steps=1000.")
        recipe = _changed(recipe, key.split("."), key, _parsed(text))
    return recipe


def from_dict(content: Any, origin: str) -> Recipe:
    """The recipe of its `asdict`; every key must be known and every value of its type."""
    recipe = Recipe("")
    if not isinstance(content, dict):
        raise InputError(f"{origin} holds no recipe.", "Write the object that a run's config.json has under 'recipe'.")
    for part, values in content.items():
        if isinstance(values, dict):
            for key, value in values.items():
                recipe = _changed(recipe, [part, key], f"{part}.{key}", value)
        else:
            recipe = _changed(recipe, [part], part, values)
    return recipe


def _changed(node: Any, path: list[str], key: str, value: Any) -> Any:
    hints = typing.get_type_hints(type(node))
    if path[0] not in hints:
        raise UnknownNameError("recipe key", key, _keys(Recipe("")))
    current = getattr(node, path[0])
    if is_dataclass(current) != (len(path) > 1):
        raise UnknownNameError("recipe key", key, _keys(Recipe("")))
    if len(path) > 1:
        return replace(node, **{path[0]: _changed(current, path[1:], key, value)})
    return replace(node, **{path[0]: _typed(value, hints[path[0]], key)})


def _typed(value: Any, wanted: Any, key: str) -> Any:
    if wanted is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if isinstance(value, float) and not math.isfinite(value):
        raise InputError(f"The recipe's {key} is {value}, not a finite number.", f"Write --set {key}=VALUE with one.")
    kinds = typing.get_args(wanted)
    if typing.get_origin(wanted) is tuple and isinstance(value, (list, tuple)) and len(value) == len(kinds):
        return tuple(_typed(item, kind, key) for item, kind in zip(value, kinds, strict=True))
    plain = wanted if isinstance(wanted, type) and not isinstance(wanted, types.GenericAlias) else None
    if plain is None or not isinstance(value, plain) or (isinstance(value, bool) and plain is not bool):
        name = getattr(wanted, "__name__", str(wanted))
        raise InputError(f"The recipe's {key} is a {name}, not {value!r}.", f"Write --set {key}=VALUE with a {name}.")
    return value


def _parsed(text: str) -> Any:
    """JSON where it is JSON (numbers, lists), WIDTHxHEIGHT as a size, else the text itself."""
    width, times, height = text.partition("x")
    if times and width.isdigit() and height.isdigit():
        return [int(width), int(height)]
    try:
        return json.loads(text)
    except ValueError:
        return text


def _keys(recipe: Recipe) -> list[str]:
    keys = []
    for entry in fields(recipe):
        value = getattr(recipe, entry.name)
        keys += [f"{entry.name}.{inner.name}" for inner in fields(value)] if is_dataclass(value) else [entry.name]
    return keys
