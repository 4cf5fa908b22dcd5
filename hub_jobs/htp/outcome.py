"""How a compilation or an emulation ended: one of these, each with a sentence of its own."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...console import count
from .target import Target

QDQ = ("QuantizeLinear", "DequantizeLinear")


@dataclass(frozen=True)
class Limits:
    """What one child process may use. seconds: for a compilation, or for each frame that it emulates."""

    seconds: float = 600.0
    memory_mb: float = 8192.0


@dataclass(frozen=True)
class Compiled:
    """Every node fits. The files lie in `folder`, which nobody changes.

    context_bytes, context_sha256: of the compiled binary; spill_bytes: activations that do not fit the NPU's fast
    memory at one time; onnx_nodes, qnn_ops: how many nodes after ONNX Runtime's simplification, and how many
    operations of the NPU they became; inputs, outputs: name -> (shape, dtype); seconds, peak_memory_mb: of the
    compiler on this computer, when it ran
    """

    target: Target
    key: str
    folder: Path
    context_bytes: int
    context_sha256: str
    spill_bytes: int
    onnx_nodes: int
    qnn_ops: int
    inputs: dict[str, tuple[tuple[int, ...], str]]
    outputs: dict[str, tuple[tuple[int, ...], str]]
    seconds: float
    peak_memory_mb: float
    versions: dict[str, str] = field(default_factory=dict)
    log_line: str = ""

    @property
    def context(self) -> Path:
        """The ONNX file that stands for the compiled binary beside it."""
        return self.folder / "context.onnx"

    @property
    def sentence(self) -> str:
        return f"Every node fits the NPU of the {self.target.device}: {count(self.qnn_ops, 'operation')}."


@dataclass(frozen=True)
class Unsupported:
    """A node that the compiler refused, as it says so. node: its name, or "Acos:y" for a nameless one that makes y."""

    node: str
    op_type: str
    reason: str


@dataclass(frozen=True)
class Refused:
    """The compiler does not take the graph. unsupported: the nodes that it names, () where it names none."""

    target: Target
    reason: str
    unsupported: tuple[Unsupported, ...]
    versions: dict[str, str] = field(default_factory=dict)
    log_line: str = ""

    @property
    def causes(self) -> tuple[Unsupported, ...]:
        """Those nodes without the QuantizeLinear and DequantizeLinear that are refused with the operator between them.

        The compiler takes such a group as one, and gives each node of it the operator's reason.
        """
        theirs = {one.reason for one in self.unsupported if one.op_type not in QDQ}
        return tuple(one for one in self.unsupported if one.op_type not in QDQ or one.reason not in theirs)

    @property
    def sentence(self) -> str:
        found = self.causes
        if not found:
            return f"The NPU's compiler refused the graph and named no node: {self.reason}"
        nodes = ", ".join(f"{one.node} ({one.op_type})" for one in found[:3])
        more = f" and {len(found) - 3} more" if len(found) > 3 else ""
        these = "This node does" if len(found) == 1 else "These nodes do"
        return f"{these} not fit the NPU of the {self.target.device}: {nodes}{more}."


@dataclass(frozen=True)
class OutOfMemory:
    """The process grew past its limit and was stopped."""

    limit_mb: float
    log_line: str = ""

    @property
    def sentence(self) -> str:
        return f"Stopped: it needed more than {self.limit_mb:g} MB of memory."


@dataclass(frozen=True)
class OutOfTime:
    """The process worked past its limit and was stopped."""

    limit_s: float
    log_line: str = ""

    @property
    def sentence(self) -> str:
        return f"Stopped: it was not done after {self.limit_s:g} s."


@dataclass(frozen=True)
class Crashed:
    """The process ended without an answer. how: "by signal SIGSEGV" or "with code 1"."""

    how: str
    log_line: str = ""

    @property
    def sentence(self) -> str:
        said = f" ({self.log_line})" if self.log_line else ""
        return f"The process of Qualcomm's library ended {self.how}, without an answer{said}."


Stopped = OutOfMemory | OutOfTime | Crashed
Outcome = Compiled | Refused | Stopped
Specs = dict[str, tuple[tuple[int, ...], str]]


def specs_of(rows: Any) -> Specs:
    """[[name, shape, dtype], ...], as JSON holds it -> name -> (shape, dtype)."""
    return {name: (tuple(shape), dtype) for name, shape, dtype in rows}
