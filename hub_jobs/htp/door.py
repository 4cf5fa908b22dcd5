"""Whether Qualcomm's compiler and emulator can run here, and which versions they are. Nothing is imported for it."""

from __future__ import annotations

import ast
import os
import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

from ...errors import MissingStepError
from ...onnx_session import onnxruntime_version

PACKAGE = "onnxruntime-qnn"
LEAST_GLIBC = (2, 35)  # source: the wheel's tag, manylinux_2_35 (2.7.0)
ELSEWHERE = "Every other command works here; AI Hub itself, or a Linux x86-64 computer, can tell what the NPU does."


def demand_available() -> None:
    """Raises MissingStepError, with one sentence of what is missing."""
    machine = platform.machine()
    if sys.platform != "linux" or machine.lower() not in ("x86_64", "amd64"):
        system = {"darwin": "macOS", "win32": "Windows", "linux": "Linux"}.get(sys.platform, sys.platform)
        raise MissingStepError(
            f"Qualcomm's NPU emulator exists for Linux on x86-64 only, and this is {system} on {machine}.", ELSEWHERE
        )
    if (found := _glibc()) is None or found < LEAST_GLIBC:
        has = "another C library" if found is None else f"glibc {found[0]}.{found[1]}"
        raise MissingStepError(
            f"Qualcomm's NPU emulator needs glibc {LEAST_GLIBC[0]}.{LEAST_GLIBC[1]} or later; this system has {has}.",
            ELSEWHERE,
        )
    if find_spec("onnxruntime_qnn") is None:
        raise MissingStepError(
            "Qualcomm's NPU compiler and emulator are not installed (the package onnxruntime-qnn; the licence is "
            "Qualcomm's own).",
            "Run: pip install 'lpcv[emulator]'",
        )


def is_available() -> bool:
    """Whether demand_available() would be content."""
    try:
        demand_available()
    except MissingStepError:
        return False
    return True


def versions() -> dict[str, str]:
    """{"onnxruntime-qnn": "2.7.0", "qairt": "2.51.0", "onnxruntime": "1.31.1"}; what does not tell is left out.

    An estimate, an emulation or a refusal belongs to these versions and to no others.
    """
    found = {"onnxruntime": onnxruntime_version()}
    try:
        found[PACKAGE] = version(PACKAGE)
    except PackageNotFoundError:
        return found
    qairt = _qairt_version()
    return found if qairt is None else {**found, "qairt": qairt}


def _glibc() -> tuple[int, int] | None:
    """(2, 36); None where the C library is another one."""
    try:
        words = (os.confstr("CS_GNU_LIBC_VERSION") or "").split()
    except (ValueError, OSError):
        return None
    numbers = words[1].split(".") if len(words) == 2 and words[0] == "glibc" else []
    return (int(numbers[0]), int(numbers[1])) if len(numbers) >= 2 else None


def _qairt_version() -> str | None:
    """What the package's own record of its build says; it is read, not run."""
    spec = find_spec("onnxruntime_qnn")
    if spec is None or spec.origin is None:
        return None
    record = Path(spec.origin).with_name("build_and_package_info.py")
    if not record.is_file():
        return None
    for statement in ast.parse(record.read_text(encoding="utf-8")).body:
        if (
            isinstance(statement, ast.Assign)
            and ast.unparse(statement.targets[0]) == "qnn_version"
            and isinstance(statement.value, ast.Constant)
        ):
            return str(statement.value.value)
    return None
