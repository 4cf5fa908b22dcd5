"""What is to be done, and its content key: the same order is never submitted twice."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from .connection import Connection

JobType = Literal["compile", "profile", "inference"]
InputSpec = dict[str, tuple[tuple[int, ...], str]]  # name -> shape, dtype

SHORT_KEY = 12  # hexadecimal digits in a job's name: 48 bits
LONGEST_TITLE = 60
MARK = "lpcv-"


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
    kept: what the ledger is to keep beside it, to know what comes back; not part of the key
    """

    type: JobType
    title: str
    model: ModelFile | CompiledModel
    device: str
    options: str
    input_spec: InputSpec | None = None
    dataset: DatasetFile | None = None
    nth: int = 0
    kept: dict[str, Any] = field(default_factory=dict)

    def base(self, connection: Connection) -> str:
        """SHA-256 of all that decides the result; the client's version is recorded, not keyed."""
        content = {
            "hub": connection.identity,
            "type": self.type,
            **self.model.identity,
            "input_spec": list(self.input_spec.items()) if self.input_spec else None,  # its order counts
            "device": self.device,
            "options": " ".join(self.options.split()),
            "dataset_sha256": self.dataset.sha256 if self.dataset else None,
        }
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
            **self.model.identity,
            **self.kept,
        }
