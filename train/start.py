"""From what a person typed to a run that is ready to train, and from there on, as often as it is interrupted."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import torch
from accelerate import PartialState
from filelock import FileLock, Timeout
from torch import nn

from ..console import note
from ..data.folder import demand_usable, open_folder, select
from ..data.labels import LabelStore
from ..errors import InputError
from ..runs import Run
from .checkpoint import State, save_network, save_state
from .dataset import Examples, demand_fits
from .encoder_weights import DEFAULT_ENCODER_WEIGHTS, EncoderWeights, load_encoder_weights
from .labelling import label_frames
from .loop import train
from .material import Material
from .networks import build_network, load_network
from .provenance import Inputs, demand_same_data, read_inputs, read_recipe, write_config
from .recipe import Recipe
from .student import Student


@dataclass(frozen=True)
class Choices:
    """What `lpcv train` was asked for; `encoder_weights` None leaves the choice to the network's own default."""

    data: Path
    frames: str | None
    validation: Path | None
    validation_frames: str | None
    teacher: str | None
    labels: Path | None
    encoder_weights: str | None


def start(run: Run, recipe: Recipe, choices: Choices) -> None:
    """A new run. Raises InputError where the folder already holds one, or an input cannot be used."""
    processes = PartialState()
    if processes.is_main_process:
        if run.config.exists():
            raise InputError(
                f"{run.root} already holds a run.", "Add --resume to go on with it, or choose another --out."
            )
        _prepare(run, recipe, choices)
    processes.wait_for_everyone()
    _train(run)


def resume(run: Run) -> None:
    """Go on where the run stopped. Raises InputError where its frames have changed since."""
    if PartialState().is_main_process:
        demand_same_data(run, _material(read_inputs(run)))
    _train(run)


def _prepare(run: Run, recipe: Recipe, choices: Choices) -> None:
    """Check the inputs, label, build the network, and write the checkpoint of step 0, the config last."""
    inputs = Inputs(
        str(choices.data.resolve()), choices.frames,
        str(choices.validation.resolve()) if choices.validation else None, choices.validation_frames, None,
    )  # fmt: skip
    material = _material(inputs)
    frames = material.frames
    if choices.teacher is None and not frames.depths:
        raise InputError(
            f"{choices.data} has no depth, and there is no teacher.", "Give --teacher, or frames with truth."
        )
    demand_usable(frames, "training")
    if material.validation:
        demand_usable(material.validation, "validation", official=True)
        same = material.validation.root == frames.root
        if shared := set(material.validation.names) & set(frames.names) if same else set():
            note(f"{len(shared)} of {len(material.validation)} validation frames are TRAINED on: choose others.")
    torch.manual_seed(recipe.seed)
    network = build_network(recipe.network.name, recipe.network.working_size, recipe.network.max_depth_m)
    begun = _begin(network, recipe, choices.encoder_weights)
    if choices.teacher is not None:
        from .teacher import load_teacher

        labels = label_frames(frames, load_teacher(choices.teacher), choices.labels)
        demand_fits(Examples(frames, labels, recipe))
        inputs = replace(inputs, labels=str(labels.root.resolve()))
        material = replace(material, labels=labels)
    save_network(network, run.last)
    save_state(run, State(0, network.state_dict(), {}, None))
    write_config(run, recipe, inputs, material, begun)
    note(f"{run.root}: {len(frames)} frames, {recipe.optim.steps} steps of {recipe.optim.batch} images")


def _begin(network: nn.Module, recipe: Recipe, choice: str | None) -> EncoderWeights:
    if isinstance(network, Student):
        return load_encoder_weights(network.encoder, choice or DEFAULT_ENCODER_WEIGHTS)
    if choice not in (None, "none"):
        raise InputError(
            f"--encoder-weights {choice} is for the student, not for {recipe.network.name}.", "Leave it out."
        )
    note(f"{recipe.network.name} starts from random weights.")
    return EncoderWeights("none: random", "Apache-2.0")


def _train(run: Run) -> None:
    recipe, material = read_recipe(run), _material(read_inputs(run))
    network = load_network(recipe.network.name, run.last)
    if not PartialState().is_main_process:
        train(run, recipe, network, material)
        return
    try:
        with FileLock(run.root / ".lock", timeout=0):  # released by the system when the process dies, however it dies
            train(run, recipe, network, material)
    except Timeout:
        raise InputError(f"{run.root} is being trained by another process.", "Wait for it, or stop it.") from None


def _material(inputs: Inputs) -> Material:
    return Material(
        select(open_folder(Path(inputs.data)), inputs.frames),
        LabelStore.open(Path(inputs.labels)) if inputs.labels else None,
        select(open_folder(Path(inputs.validation), with_depth=True), inputs.validation_frames)
        if inputs.validation
        else None,
    )
