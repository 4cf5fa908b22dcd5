"""A run folder: where each thing of one training run lies."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from .errors import InputError, MissingStepError
from .files import sha256_file

CHECKPOINT_KEY = "checkpoint_sha256"


@dataclass(frozen=True)
class Run:
    """`runs/<name>/`; nothing need exist yet."""

    root: Path

    @property
    def config(self) -> Path:
        """The resolved recipe and the provenance of its inputs."""
        return self.root / "config.json"

    @property
    def metrics(self) -> Path:
        return self.root / "metrics.jsonl"

    @property
    def best(self) -> Path:
        """Folder of the checkpoint with the best validation: the student's `config.json` + `model.safetensors`."""
        return self.root / "checkpoints" / "best"

    @property
    def last(self) -> Path:
        """Folder of the newest checkpoint, with all that resuming needs."""
        return self.root / "checkpoints" / "last"

    @property
    def model(self) -> Path:
        return self.root / "model.onnx"

    @property
    def score(self) -> Path:
        return self.root / "score.json"

    @property
    def decisions(self) -> Path:
        """What a person decided at a submission: checks overridden and why, licences accepted by name."""
        return self.root / "decisions.json"

    @property
    def checkpoint(self) -> Path:
        """The weights that stand for this run. Raises MissingStepError where it has none yet."""
        weights = self.best / "model.safetensors"
        if not weights.is_file():
            raise MissingStepError(
                f"{self.root} has no best checkpoint yet: validation writes it, or the end of the training.",
                f"Go on with `lpcv train --out {self.root} --resume`.",
            )
        return weights

    def exported(self) -> Path:
        """The run's `model.onnx`. Raises MissingStepError where it has not been exported."""
        if not self.model.is_file():
            raise MissingStepError(f"{self.root} has no model.onnx yet.", f"Run `lpcv export {self.root}` first.")
        return self.model

    def demand_fresh(self, metadata: dict[str, str]) -> None:
        """Raises MissingStepError where the exported model's metadata names another checkpoint than the run's."""
        if metadata.get(CHECKPOINT_KEY) != sha256_file(self.checkpoint):
            raise MissingStepError(
                f"{self.model} was not exported from {self.checkpoint}, which has changed since.",
                f"Run `lpcv export {self.root}` again.",
            )


def is_run(path: Path) -> bool:
    return (path / "config.json").is_file() and (path / "checkpoints").is_dir()


def open_run(path: Path) -> Run:
    """Raises InputError where `path` is no run folder."""
    if not is_run(path):
        raise InputError(f"{path} is not a run folder.", "`lpcv train --data DIR --out runs/x` makes one.")
    return Run(path)
