"""Where predictions come from: a folder of `.npy` files, an `.onnx` model, an exported run, an AI Hub job, none."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np

from ..console import count, note
from ..contract import CURRENT as CONTRACT
from ..data.folder import FrameFolder
from ..data.frame import Rgb
from ..data.model_input import contract_input
from ..errors import InputError, first_line
from ..files import sha256_file, sha256_files, sha256_joined
from ..onnx_session import model_files, open_session, session_metadata
from ..prediction_folder import DESCRIPTION, described, read_prediction
from ..runs import CHECKPOINT_KEY, Run, is_run
from .baseline import CONSTANT, ConstantDepth
from .jobs import job_of, predictions_of
from .kinds import KINDS, demand_kind
from .protocol import Prediction


class Source(Protocol):
    """Gives the relative depth of a frame."""

    @property
    def label(self) -> str:
        """What pictures and progress call it."""
        ...

    @property
    def kind(self) -> str:
        """One of `kinds.KINDS`."""
        ...

    def sha256(self) -> str:
        """Of the model file, or over the prediction files."""
        ...

    def predict(self, name: str, rgb: Rgb) -> Prediction:
        """(H, W) floating, of `kind`. Called from several threads at once."""
        ...


@runtime_checkable
class HashedByFrame(Protocol):
    """A source of which a part decides a frame's prediction."""

    def sha256_of(self, name: str) -> str:
        """Of what this frame's prediction depends on. Called from several threads at once."""
        ...


class PredictionFolder:
    """`NAME.npy` files, (1, 1, H, W) or (H, W), paired with the frames by name.

    Only where NO name matches they are paired by sorted order, as the organisers do, and that is said aloud.
    """

    def __init__(
        self,
        root: Path,
        frames: FrameFolder,
        kind: str | None = None,
        label: str | None = None,
        *,
        insist: bool = True,
    ) -> None:
        self.root, self.label = root, label or str(root)
        self.kind = _kind(root, _described_kind(root), kind, insist)
        files = {path.stem: path for path in sorted(root.glob("*.npy"))}
        if not files:
            raise InputError(f"{root} holds no .npy predictions.", "Give a folder of NNNN.npy, an .onnx file or a run.")
        missing = [name for name in frames.names if name not in files]
        if len(missing) < len(frames):
            if missing:
                raise InputError(
                    f"{root} has no prediction for {len(missing)} of {count(len(frames), 'frame')}, the first is "
                    f"{missing[0]}.",
                    "Predict them too, or choose the frames with --frames FIRST-LAST.",
                )
            self.files = {name: files[name] for name in frames.names}
        elif len(files) == len(frames):
            note(f"No name in {root} matches a frame: predictions are paired with frames by SORTED ORDER.")
            self.files = dict(zip(frames.names, files.values(), strict=True))
        else:
            raise InputError(
                f"{root} has {count(len(files), 'prediction')} for {count(len(frames), 'frame')} and no name in "
                "common.",
                "Name each prediction like its frame.",
            )

    def sha256(self) -> str:
        return sha256_files(self.root, self.files.values())

    def sha256_of(self, name: str) -> str:
        return sha256_file(self.files[name])

    def predict(self, name: str, rgb: Rgb) -> Prediction:
        return read_prediction(self.files[name])


def _kind(source: Path, said: str | None, claimed: str | None, insist: bool) -> str:
    """What the source says of itself, else what was claimed, else what the contract asks for."""
    if said and claimed and insist and claimed != said:
        raise InputError(f"{source} says that it holds {said}, not {claimed}.", "Leave --kind away.")
    return said or claimed or CONTRACT.output_kind


def _described_kind(root: Path) -> str | None:
    told = described(root)
    if told is None:
        return None
    if told["kind"] not in KINDS:
        raise InputError(f"{root / DESCRIPTION} names no kind of prediction.", "Predict again, or remove it.")
    return told["kind"]


def _exported_kind(session: Any) -> str | None:
    """Of a model that `lpcv export` wrote; any other does not say."""
    metadata = session_metadata(session)
    return metadata.get("output_kind", CONTRACT.output_kind) if CHECKPOINT_KEY in metadata else None


@dataclass(frozen=True)
class OnnxModel:
    """A model that fulfils the contract's interface: raw RGB in, relative depth out."""

    path: Path
    label: str
    session: Any
    input_name: str
    size: tuple[int, int]
    kind: str = CONTRACT.output_kind

    @classmethod
    def open(
        cls,
        path: Path,
        label: str | None = None,
        threads: int | None = None,
        kind: str | None = None,
        *,
        insist: bool = True,
    ) -> OnnxModel:
        """Raises InputError where the model is not one image in, one map out."""
        session = open_session(path, threads)
        inputs = session.get_inputs()
        shape = inputs[0].shape if len(inputs) == 1 else None
        if shape is None or len(shape) != 4 or not all(isinstance(side, int) for side in shape) or shape[1] != 3:
            raise InputError(
                f"{path} does not take one image of fixed shape (its inputs: {[(i.name, i.shape) for i in inputs]}).",
                f"Run `lpcv check {path}` to see what the contract asks for.",
            )
        kind = _kind(path, _exported_kind(session), kind, insist)
        return cls(path, label or str(path), session, inputs[0].name, (shape[3], shape[2]), kind)

    def sha256(self) -> str:
        """Of the file; where it keeps weights in others, over all of them."""
        return sha256_joined(model_files(self.path))

    def predict(self, name: str, rgb: Rgb) -> Prediction:
        """Raises InputError where the model does not run or the output is not one map."""
        try:
            output = self.session.run(None, {self.input_name: contract_input(rgb, self.size)})[0]
        except Exception as error:  # onnxruntime's exceptions share no base class but this one
            reason = first_line(error)
            raise InputError(
                f"ONNX Runtime cannot run {self.path} ({reason}).", f"Run `lpcv check {self.path}`."
            ) from error
        if output.ndim != 4 or output.shape[:2] != (1, 1) or not np.issubdtype(output.dtype, np.floating):
            raise InputError(
                f"{self.path} gives {output.dtype} of shape {output.shape}, not floating (1, 1, H, W).",
                f"Run `lpcv check {self.path}`.",
            )
        return output[0, 0]


def open_source(
    source: str | Path,
    frames: FrameFolder,
    kind: str | None = None,
    threads: int | None = None,
    *,
    insist: bool = True,
) -> PredictionFolder | OnnxModel | ConstantDepth:
    """A run, an `.onnx` file, a folder of predictions, the id of an AI Hub job, or the word `constant`.

    source: id and word are texts; a folder of that name is a Path, or the text "./constant"
    kind: what a model or folder holds that does not say so itself; None is the contract's kind
    threads: how many one operator of a model may use
    insist: where the source says itself what it holds, another `kind` is an error; else what it says goes first
    Raises InputError or MissingStepError for anything else.
    """
    if kind is not None:
        demand_kind(kind, KINDS[-1], "any protocol")
    if source == CONSTANT:
        constant = ConstantDepth()
        _kind(Path(CONSTANT), constant.kind, kind, insist)
        return constant
    if job := job_of(source):
        root, label = predictions_of(job, frames)
        return PredictionFolder(root, frames, kind, label, insist=insist)
    path = Path(source)
    if is_run(path):
        run = Run(path)
        model = OnnxModel.open(run.exported(), str(path), threads, kind, insist=insist)
        run.demand_fresh(session_metadata(model.session))
        return model
    if path.is_dir():
        return PredictionFolder(path, frames, kind, insist=insist)
    if path.suffix == ".onnx":
        return OnnxModel.open(path, None, threads, kind, insist=insist)
    raise InputError(
        f"{path} is nothing that can be scored{'' if path.exists() else ': it does not exist'}.",
        f"Give an .onnx file, a run, a folder of NNNN.npy, the id of an AI Hub job, or the word `{CONSTANT}`.",
    )
