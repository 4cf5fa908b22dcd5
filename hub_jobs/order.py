"""What is to be done, and its content key: the same order is never submitted twice."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from .connection import CONFIG_FOLDER, DEFAULT, Connection
from .stand_in.settings import npu_version

JobType = Literal["compile", "profile", "inference", "quantize"]
InputSpec = dict[str, tuple[tuple[int, ...], str]]  # name -> shape, dtype

SHORT_KEY = 12  # hexadecimal digits in a job's name: 48 bits
LONGEST_TITLE = 60
MARK = "lpcv-"


def owner(connection: Connection) -> str:
    """Whose jobs are meant: the hub, and the project and the profile where they are named, as each may be an account.

    No part of the token: it is renewed, and the jobs stay. So accounts that take turns in one file are not told apart.
    """
    named = [f"project {connection.default_project}"] if connection.default_project else []
    file, folder = connection.config_file, CONFIG_FOLDER.expanduser()
    if connection.stand_in is None and connection.name != DEFAULT and file != folder / "client.ini":
        named.append(f"profile {file.stem if file.parent == folder else file.resolve()}")
    return connection.identity + (f" ({', '.join(named)})" if named else "")


def set_of(made: str, turns: Sequence[int]) -> str:
    """The folder of a set of predictions: each way in which its slices were ordered again has one of its own.

    So no job's numbers ever pass for another's. turns: of each slice, how often it was ordered again
    """
    if len(set(turns)) > 1:
        return f"{made}-{hashlib.sha256(repr(list(turns)).encode()).hexdigest()[:SHORT_KEY]}"
    return f"{made}-{turns[0]}" if turns[0] else made


@dataclass(frozen=True)
class ModelFile:
    """A model on this disk, and what it is made of.

    files: the .onnx first, then what it keeps beside it; sha256: over their contents
    """

    files: tuple[Path, ...]
    sha256: str

    @property
    def identity(self) -> dict[str, str]:
        return {"model_sha256": self.sha256}


@dataclass(frozen=True)
class CompiledModel:
    """The target model of a compile job; what a profile or inference job runs."""

    compile_job: str
    source_sha256: str

    @property
    def identity(self) -> dict[str, str]:
        return {"compile_job": self.compile_job, "model_sha256": self.source_sha256}


@dataclass(frozen=True)
class DatasetFile:
    """Inputs of a job, written to disk only when they have to be uploaded.

    sha256: of what goes in (names, order, tensors' sources), not of the file, whose bytes depend on the writer
    """

    sha256: str
    write: Callable[[Path], None]


@dataclass(frozen=True)
class Order:
    """A job that somebody wants, before anything was sent.

    nth: how often the same content was ordered again on purpose (`--again`)
    device: "" for a quantize job, which has none; precision: of such a job, "w8a8" or "w8a16"
    kept: what the ledger is to keep beside it, to know what comes back; not part of the key
    """

    type: JobType
    title: str
    model: ModelFile | CompiledModel
    device: str
    options: str
    input_spec: InputSpec | None = None
    dataset: DatasetFile | None = None
    precision: str | None = None
    nth: int = 0
    kept: dict[str, Any] = field(default_factory=dict)

    def in_turn(self, nth: int) -> Order:
        """This order, made for the nth time again."""
        kept = {**self.kept, "set": set_of(self.kept["set"], [nth])} if "set" in self.kept else self.kept
        return replace(self, nth=nth, kept=kept)

    def base(self, connection: Connection) -> str:
        """SHA-256 of all that decides the result; the client's version is recorded, not keyed."""
        content: dict[str, Any] = {
            "hub": owner(connection),
            "type": self.type,
            **self.model.identity,
            "input_spec": list(self.input_spec.items()) if self.input_spec else None,  # its order counts
            "device": self.device,
            "options": " ".join(self.options.split()),
            "dataset_sha256": self.dataset.sha256 if self.dataset else None,
        }
        if self.precision:
            content["precision"] = self.precision
        elif connection.rehearsal:  # whether the NPU is asked, too, and which compiler answers for it
            content["npu"] = npu_version()
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()

    def key(self, connection: Connection) -> str:
        base = self.base(connection)
        return hashlib.sha256(f"{base} again {self.nth}".encode()).hexdigest() if self.nth else base

    def name(self, connection: Connection) -> str:
        """The job's name on AI Hub; its end finds it again when a crash ate the answer."""
        return f"{self.title[:LONGEST_TITLE]} {MARK}{self.key(connection)[:SHORT_KEY]}"

    def facts(self, connection: Connection, client_version: str, lpcv_version: str) -> dict[str, Any]:
        """What the ledger keeps of the intention."""
        return {
            "type": self.type,
            "title": self.title,
            "name": self.name(connection),
            "base": self.base(connection),
            "nth": self.nth,
            "device": self.device,
            "options": self.options,
            "input_spec": self.input_spec,
            "dataset_sha256": self.dataset.sha256 if self.dataset else None,
            "rehearsal": connection.rehearsal,
            "reached_by": connection.name,
            "client_version": client_version,
            "lpcv_version": lpcv_version,
            **({"precision": self.precision} if self.precision else {}),
            **self.model.identity,
            **self.kept,
        }
