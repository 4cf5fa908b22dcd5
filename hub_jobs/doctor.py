"""Is everything here for AI Hub? Each thing named, with what helps; the token itself is never shown."""

from __future__ import annotations

import platform
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal

from .. import __version__
from ..contract import CURRENT as CONTRACT
from ..errors import LpcvError
from ..hub_folder import HubFolder
from .client import HubClient
from .connection import DEFAULT, LOCAL, Connection, config_path, connected, has_token, read_connection

TRIED_CLIENT = "0.56"  # the version whose protocol was read and run
ENOUGH_DISK_GB = 5.0  # 2,000 frames as datasets, one at a time, and their outputs
EXTRA = "`pip install 'lpcv[hub]'`"
State = Literal["ok", "note", "fail"]


@dataclass(frozen=True)
class Finding:
    """What was looked at; `fail` stops commands of AI Hub, `note` does not."""

    what: str
    state: State
    found: str
    remedy: str = ""

    @property
    def row(self) -> tuple[str, str, str, str]:
        return (self.what, self.state, self.found, self.remedy)


def examine(hub: str | None, folder: HubFolder, device: str | None) -> list[Finding]:
    """Everything that can be looked at; what cannot be reached does not stop the rest.

    hub: what `--hub` says; device: the one to resolve, None for the contract's
    """
    findings = [*_software(hub == LOCAL), _disk(folder.root)]
    if hub == LOCAL:
        findings.append(Finding("configuration", "ok", f"the stand-in's own, {folder.stand_in / 'client.ini'}"))
        findings.append(_token(True))
    else:
        path = config_path(hub)
        try:
            connection = read_connection(path, hub or DEFAULT)
        except LpcvError as error:
            findings.append(Finding("configuration", "fail", error.problem, error.remedy))
            findings.append(_token(has_token(path)))
            return findings
        findings += [Finding("configuration", "ok", str(path)), _token(True)]
        if connection.rehearsal:
            findings.append(Finding("service", "note", "a stand-in: its numbers say nothing of a device"))
    try:
        with connected(hub, folder.stand_in) as connection, HubClient(connection) as opened:
            findings += _service(connection, opened, device)
    except LpcvError as error:
        findings.append(Finding("server", "fail", error.problem, error.remedy))
    return findings


def _service(connection: Connection, opened: HubClient, device: str | None) -> Iterator[Finding]:
    opened.probe()
    yield Finding("server", "ok", f"{connection.called} at {connection.api_url} answers and knows the token")
    for name in (device,) if device else CONTRACT.devices:
        try:
            found = opened.device(name)
        except LpcvError as error:
            yield Finding("device", "fail", error.problem, error.remedy)
        else:
            yield Finding("device", "ok", f"{found.name}, system {found.os}")


def _token(present: bool) -> Finding:
    return Finding("token", "ok", "present, not shown") if present else Finding("token", "fail", "missing")


def _software(rehearses: bool) -> Iterator[Finding]:
    yield Finding("Python", "ok", f"{platform.python_version()} on {platform.system()} {platform.machine()}")
    yield Finding("lpcv", "ok", __version__)
    torch = _version("torch")
    yield Finding(
        "torch", "ok" if torch else "note", torch or "not installed",
        "" if torch else "Only training, export and TorchScript need it: `pip install torch torchvision`.",
    )  # fmt: skip
    client = _version("qai-hub")
    if client is None:
        yield Finding("client", "fail", "qai-hub is not installed", EXTRA)
    elif not client.startswith(f"{TRIED_CLIENT}."):
        yield Finding("client", "note", f"qai-hub {client}", f"lpcv was tried with {TRIED_CLIENT} only.")
    else:
        yield Finding("client", "ok", f"qai-hub {client}")
    for what, packages, why, needed in (
        ("datasets", ("h5py",), "`lpcv infer` needs it", True),
        ("stand-in", ("starlette", "uvicorn"), "`--hub local` and `lpcv hub serve` need it", rehearses),
    ):
        there = {package: _version(package) for package in packages}
        missing = [package for package, found in there.items() if found is None]
        if missing:
            state = "fail" if needed else "note"
            yield Finding(what, state, f"{', '.join(missing)} is not installed; {why}", EXTRA)
        else:
            yield Finding(what, "ok", ", ".join(f"{package} {found}" for package, found in there.items()))
    yield _emulator()


def _emulator() -> Finding:
    """Only rehearsals and `lpcv emulate` ask for it."""
    from .htp.door import demand_available, versions
    from .stand_in.settings import NPU_SWITCH, Settings

    try:
        demand_available()
    except LpcvError as error:
        without = "A rehearsal (--hub local) then cannot say whether a model fits the NPU, nor emulate or estimate it"
        return Finding("NPU emulator", "note", error.problem, f"{without}. {error.remedy}")
    said = ", ".join(f"{name} {number}" for name, number in versions().items())
    if not Settings().npu:
        return Finding("NPU emulator", "note", f"{said}; rehearsals do not use it", f"{NPU_SWITCH} is set; unset it.")
    return Finding("NPU emulator", "ok", said)


def _disk(root: Path) -> Finding:
    there = next(parent for parent in (root.absolute(), *root.absolute().parents) if parent.exists())
    free_gb = shutil.disk_usage(there).free / 1e9
    if free_gb < ENOUGH_DISK_GB:
        return Finding("disk", "note", f"{free_gb:.1f} GB free at {root}", "A whole test set may take more: free some.")
    return Finding("disk", "ok", f"{free_gb:.0f} GB free at {root}")


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
