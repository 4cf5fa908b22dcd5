"""What the stand-in allows, and what it calls itself."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field

from ... import __version__

MIB = 2**20
VERSION = f"lpcv stand-in {__version__}"
EMAIL = "stand-in@localhost"  # the one user
NPU_SWITCH = "LPCV_STAND_IN_NPU=off"  # in the environment of the server, which is that of the command that starts it
CPU = "this machine's CPU"
EMULATOR = "the NPU's emulator"
DO_NOT_FIT = "of the model cannot run on the NPU of"  # how the sentence of a misfit goes on; `ending` knows it by that
SUFFIX = "_stand_in"  # of every download, so that no file passes for a device's


@dataclass(frozen=True)
class Settings:
    """Limits and rhythms; sizes in bytes, times in seconds."""

    part_bytes: int = 8 * MIB  # one PUT of a model upload
    model_bytes: int = 2048 * MIB  # more than a protobuf, which an ONNX file is, can hold
    dataset_bytes: int = 4096 * MIB
    message_bytes: int = 1 * MIB  # one protobuf request
    dataset_days: float = 30.0  # as on AI Hub
    url_seconds: float = 24 * 3600.0  # how long an upload or download URL is good
    hold_seconds: float = 15.0  # a GET of an unfinished job waits; the client gives up after 28 s of silence
    job_seconds: float = 3600.0
    job_memory_bytes: int = 16 * 1024 * MIB  # address space of a job's process, where the system can limit it
    profile_seconds: float = 20.0  # when to stop measuring, however many iterations were asked for
    npu: bool = field(default_factory=lambda: os.environ.get(NPU_SWITCH.split("=")[0]) != "off")
    npu_seconds: float = 600.0  # a compilation for the NPU, or a frame on its emulator
    npu_memory_mb: float = 8192.0  # of the process of either
    abandoned_seconds: float = 24 * 3600.0  # an upload that was never finished is forgotten


def ran_on(device: str, engine: str | None = None) -> str:
    """Said wherever a number or a file of the stand-in is shown. engine: EMULATOR, None for the CPU."""
    return f"{VERSION}: ran on {engine or CPU}, not on {device or 'AI Hub'}"


def engine_said(told: str) -> str | None:
    """The engine in what `ran_on` gave, as a server says it of a job; None for the CPU, and for other texts."""
    found = re.search(r": ran on (.+?), not on ", told)
    return found[1] if found and found[1] != CPU else None


def npu_version() -> str | None:
    """Of Qualcomm's compiler where a stand-in that is started here uses it; None where it is off or cannot run."""
    from ..htp.door import PACKAGE, is_available, versions

    return versions().get(PACKAGE, "unknown") if Settings().npu and is_available() else None


def plain(name: str, otherwise: str) -> str:
    """A client's name as a stem: at most 60 of [A-Za-z0-9_-]; no dots, after which the client sees suffixes."""
    return re.sub(r"[^A-Za-z0-9_-]+", "_", name)[:60].strip("_") or otherwise
