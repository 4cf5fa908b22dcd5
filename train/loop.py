"""The distillation loop, on accelerate: resumable at any step, with the weights of an undisturbed run at the end."""

from __future__ import annotations

import json
import math
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from accelerate import Accelerator
from torch import nn

from ..console import Meter, note
from ..data.folder import FrameFolder, spread
from ..errors import InputError, Interrupted
from ..files import append_line, write_text
from ..runs import Run
from .checkpoint import State, load_state, restore, save_network, save_state
from .dataset import Example, Examples, make_loader, targets_of
from .loss import total_loss
from .material import Material
from .raw_rgb import RawRgb, to_size
from .recipe import Optimisation, Recipe
from .validation import brief, rank, validate

MOST_WORKERS = 8
RANDOM_STRIDE = 1_000_003


def train(run: Run, recipe: Recipe, network: nn.Module, material: Material) -> None:
    """Train from the run's last checkpoint (a new run has one of step 0) to the recipe's last step.

    Ctrl-C and SIGTERM save and raise Interrupted. Raises InputError where the loss is no longer finite.
    """
    accelerator = Accelerator(mixed_precision=precision(recipe))
    model = RawRgb(network, recipe.network.working_size)
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=recipe.optim.learning_rate, weight_decay=recipe.optim.weight_decay
    )
    state = load_state(run)
    restore(state, network, optimizer, run)
    loader = make_loader(
        Examples(material.frames, material.labels, recipe), recipe, state.step, accelerator.num_processes,
        workers=_workers(recipe, accelerator),
    )  # fmt: skip
    model, optimizer, loader = accelerator.prepare(model, optimizer, loader)
    for part in network.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.momentum = recipe.optim.batchnorm_momentum
    if accelerator.is_main_process:
        _forget_after(run, state.step)
    session = _Session(run, recipe, accelerator, network, optimizer, material, state)
    model.train()
    with stop_requests() as stop, Meter(f"training {run.root}", recipe.optim.steps, state.step) as meter:
        for batch in loader:
            # Whatever is random in a step depends on its number alone, so that a resumed run repeats it.
            torch.manual_seed(recipe.seed * RANDOM_STRIDE + state.step)
            for group in optimizer.param_groups:
                group["lr"] = learning_rate(recipe.optim, state.step)
            row = _step(model, optimizer, accelerator, batch, recipe)
            state.step += 1
            session.after_step(row)
            if accelerator.is_main_process:
                meter.advance(f"loss {session.shown_loss:.4f}")
            if _asked_anywhere(stop.requested, accelerator) and state.step < recipe.optim.steps:
                session.save()
                raise Interrupted(
                    f"Stopped at step {state.step} of {recipe.optim.steps}; everything is saved.",
                    f"Go on with `lpcv train --out {run.root} --resume`.",
                )
    session.finish()


def precision(recipe: Recipe) -> str:
    """auto: bfloat16 on a GPU that has it, else none."""
    if recipe.mixed_precision != "auto":
        return recipe.mixed_precision
    return "bf16" if torch.cuda.is_available() and torch.cuda.is_bf16_supported() else "no"


def learning_rate(optim: Optimisation, step: int) -> float:
    """Linear warm-up, then a cosine to zero at the last step."""
    warmup = max(1, round(optim.warmup_share * optim.steps))
    if step < warmup:
        return optim.learning_rate * (step + 1) / warmup
    progress = (step - warmup) / max(1, optim.steps - warmup)
    return optim.learning_rate * 0.5 * (1 + math.cos(math.pi * progress))


def _step(
    model: nn.Module, optimizer: torch.optim.Optimizer, accelerator: Accelerator, batch: Example, recipe: Recipe
) -> dict[str, torch.Tensor]:
    with accelerator.autocast():
        relative_depth = to_size(model(batch["image"].float()), recipe.network.working_size)
    # Squares and logarithms of metres lose too much in half precision.
    loss, parts = total_loss(relative_depth.float(), targets_of(batch), recipe.network.max_depth_m, recipe.loss)
    optimizer.zero_grad(set_to_none=True)
    accelerator.backward(loss)
    norm = accelerator.clip_grad_norm_(model.parameters(), recipe.optim.clip_norm)
    optimizer.step()
    return {"loss": loss.detach(), **parts, "gradient_norm": torch.as_tensor(norm)}


class _Session:
    """What happens beside the steps: the log, the checkpoints, the validation."""

    def __init__(self, run: Run, recipe: Recipe, accelerator: Accelerator, network: nn.Module,
                 optimizer: torch.optim.Optimizer, material: Material, state: State) -> None:  # fmt: skip
        self.run, self.recipe, self.accelerator, self.network = run, recipe, accelerator, network
        self.optimizer, self.state = optimizer, state
        limit = recipe.rhythm.validate_frames
        held_out = material.validation
        self.validation = held_out.subset(tuple(spread(held_out.names, limit))) if held_out else None
        self.began, self.began_at_step = time.monotonic(), state.step
        self.shown_loss = math.nan
        self._row: dict[str, torch.Tensor] = {}

    def after_step(self, row: dict[str, torch.Tensor]) -> None:
        self._row = row
        step, rhythm = self.state.step, self.recipe.rhythm
        last = step == self.recipe.optim.steps
        if step % rhythm.log_every == 0 or last or math.isnan(self.shown_loss):
            self._log()
        if self.validation and (step % rhythm.validate_every == 0 or last):
            self._validate(self.validation)
        if step % rhythm.checkpoint_every == 0 and not last:
            self.save()

    def save(self) -> None:
        """Network for people, state for resuming; by one process only, and never after a step that went wrong."""
        if self._row:
            self._finite_values()
        if self.accelerator.is_main_process:
            save_network(self.network, self.run.last)
            self.state.network = self.network.state_dict()
            self.state.optimizer = self.optimizer.state_dict()
            save_state(self.run, self.state)
        self.accelerator.wait_for_everyone()

    def finish(self) -> None:
        if self.validation is None and self.accelerator.is_main_process:
            note("There was no --val: the last checkpoint stands for the run.")
            save_network(self.network, self.run.best)
        self.save()

    def _log(self) -> None:
        values = self._finite_values()
        self.shown_loss = values["loss"]
        rate = (self.state.step - self.began_at_step) / (time.monotonic() - self.began)
        self._write(
            {**values, "learning_rate": learning_rate(self.recipe.optim, self.state.step - 1),
             "steps_per_second": round(rate, 3)}
        )  # fmt: skip

    def _finite_values(self) -> dict[str, float]:
        """The step's loss, its parts and its gradient. Raises InputError where loss or gradient is not finite."""
        values = {name: float(value) for name, value in self._row.items()}
        if not (math.isfinite(values["loss"]) and math.isfinite(values["gradient_norm"])):
            raise InputError(
                f"The loss is {values['loss']} and its gradient's norm {values['gradient_norm']} at step "
                f"{self.state.step}; the checkpoint before it is kept.",
                f"Start a new run with a lower --set optim.learning_rate (now {self.recipe.optim.learning_rate}).",
            )
        return values

    def _validate(self, frames: FrameFolder) -> None:
        if self.accelerator.is_main_process:
            # Not the prepared model: accelerate's wrapper would compute in bf16 what the export computes in float32.
            model = RawRgb(self.network, self.recipe.network.working_size).to(self.accelerator.device)
            score = validate(model, frames, self.accelerator.device)
            self._write({"validation": brief(score), "validation_frames": len(frames)})
            if self.state.best is None or rank(score) > tuple(self.state.best):
                self.state.best = rank(score)
                save_network(self.network, self.run.best)
        self.accelerator.wait_for_everyone()

    def _write(self, values: dict) -> None:
        if self.accelerator.is_main_process:
            append_line(self.run.metrics, json.dumps({"step": self.state.step, **values}))


@dataclass
class StopRequest:
    requested: bool = False


@contextmanager
def stop_requests() -> Iterator[StopRequest]:
    """Ctrl-C and SIGTERM ask for a stop after the current step; a second one ends at once."""
    stop = StopRequest()

    def ask(number: int, _: object) -> None:
        if stop.requested:
            raise KeyboardInterrupt
        stop.requested = True
        note("Stopping after this step (and its validation, if one is due), and saving. Once more ends at once.")

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _asked_anywhere(asked: bool, accelerator: Accelerator) -> bool:
    """Whether any process was asked to stop: all must leave after the same step, or the others wait for ever."""
    if accelerator.num_processes == 1:
        return asked
    return bool(accelerator.reduce(torch.tensor(int(asked), device=accelerator.device)))


def _workers(recipe: Recipe, accelerator: Accelerator) -> int:
    if recipe.data.workers >= 0:
        return recipe.data.workers
    return min(MOST_WORKERS, os.cpu_count() or 1) if accelerator.device.type == "cuda" else 0


def _forget_after(run: Run, step: int) -> None:
    """Drop the log's rows after the checkpoint: those steps are run, and logged, again."""
    if run.metrics.exists():
        lines = run.metrics.read_text().splitlines()
        kept = [line for line in lines if _step_of(line) <= step]
        write_text(run.metrics, "".join(f"{line}\n" for line in kept))


def _step_of(line: str) -> float:
    """Infinity for a row that a crash cut off, or that is none of ours."""
    try:
        row = json.loads(line)
    except ValueError:
        return math.inf
    return row["step"] if isinstance(row, dict) and isinstance(row.get("step"), int) else math.inf
