"""Findings on latency, two that are never mixed: ESTIMATED by the compiler here, and MEASURED by a job on AI Hub.

Only a measurement is held against the contract's budget. Nothing is asked of AI Hub: the ledger of this folder is read.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...contract import CURRENT as CONTRACT
from ...errors import InputError, UnknownNameError
from ...files import read_json, sha256_joined
from ...hub_folder import HubFolder
from ...hub_jobs.devices import same_chip
from ...hub_jobs.history import Record, is_measured, kept_file, newest, of_model, records
from ...hub_jobs.htp.door import is_available
from ...hub_jobs.htp.estimate import NoEstimate, estimate
from ...hub_jobs.htp.target import target_of
from ...hub_jobs.ledger import Ledger
from ...hub_jobs.verdict import Profile, milliseconds, verdict
from ...onnx_session import is_quantized, model_files
from .findings import Finding, State

ESTIMATED, MEASURED = "latency, estimated", "latency, measured"
PROFILE = "profile"  # a job's type, and what the ledger calls what was fetched of it
STATES: dict[str, State] = {"pass": "pass", "fail": "fail", "none": "undecided"}
BUDGET_MS = CONTRACT.latency_budget_ms
NO_BUDGET = "An estimate is off by a factor that its basis tells, so no budget is held against it."
NOT_RANKED = f"A model that takes more than {BUDGET_MS:g} ms ({CONTRACT.latency_field} of a profile job) is not ranked."


def latency_findings(
    path: Path, device: str | None = None, *, folder: HubFolder | None = None, runtime: str = CONTRACT.target_runtime
) -> list[Finding]:
    """ "latency, estimated" and "latency, measured" of the very model in `path`.

    device: AI Hub's name; without it nothing is estimated, and the measurement may be of any recorded device
    folder: where the ledger lies; it is only read. runtime: of AI Hub's, for the estimate
    Raises UnknownNameError for a device that is not recorded, InputError where the ledger cannot be read or weights
    beside the model are missing.
    """
    return [_estimated(path, device, runtime), _measured(path, device, folder or HubFolder())]


def latency_undecided(reason: str, remedy: str) -> list[Finding]:
    """Both findings of a model that has no .onnx file to look it up by."""
    whys = ((ESTIMATED, NO_BUDGET), (MEASURED, NOT_RANKED))
    return [_finding(name, "undecided", reason, why, remedy) for name, why in whys]


def _estimated(path: Path, device: str | None, runtime: str) -> Finding:
    """Always undecided: an estimate neither passes nor fails a budget."""
    why = NO_BUDGET
    remedy = "Measure it: `lpcv compile MODEL --device NAME`, then `lpcv profile MODEL --device NAME`."
    if device is None:
        found, remedy = "not estimated: no device is given", f"Give --device NAME. {remedy}"
        return _finding(ESTIMATED, "undecided", found, why, remedy)
    try:
        target_of(device)
    except UnknownNameError:
        raise
    except InputError as error:  # its chip is not recorded
        return _finding(ESTIMATED, "undecided", f"not estimated: {error.problem}", why, remedy)
    if not is_available():
        found = "not estimated: Qualcomm's compiler is not installed"
        return _finding(ESTIMATED, "undecided", found, why, f"pip install 'lpcv[emulator]'. {remedy}")
    # Calibrated for half precision alone: of integers, whichever they are, the estimate says that it has none.
    told = estimate(path, device, runtime, precision="w8a8" if is_quantized(path) else "fp16")
    if isinstance(told, NoEstimate):
        return _finding(ESTIMATED, "undecided", f"not estimated: {told.sentence}", why, remedy)
    interval = f"{milliseconds(told.low_ms)} to {milliseconds(told.high_ms)}"
    found = f"estimated {milliseconds(told.ms)} ms ({interval}) on the {device} with {runtime}"
    return _finding(ESTIMATED, "undecided", found, f"{why} Basis: {told.basis}.", remedy)


@dataclass(frozen=True)
class _Measurement:
    record: Record
    told: dict[str, Any]
    """What was kept beside the profile."""
    profile: Profile


def _measured(path: Path, device: str | None, folder: HubFolder) -> Finding:
    why = NOT_RANKED
    name = device or CONTRACT.devices[0]
    remedy = f'`lpcv compile MODEL --device "{name}"`, then `lpcv profile MODEL --device "{name}"`.'
    done = _finished(path, device, folder)
    record = newest(done)
    if record is None:
        on = f" on the {device}" if device else ""
        return _finding(MEASURED, "undecided", f"no finished profile job of this very model{on} here", why, remedy)
    measurement = _fetched(record, folder)
    if measurement is None:
        found = f"job {record.job_id} has finished, and its profile is not here"
        return _finding(MEASURED, "undecided", found, why, f"`lpcv jobs wait {record.job_id}` fetches it.")
    judged = verdict(measurement.profile, BUDGET_MS, CONTRACT.latency_field)
    state = STATES[judged.state]
    found = f"{milliseconds(measurement.profile.latency_ms)} ms measured {_circumstances(measurement)}"
    if state != "undecided" and not same_chip(record.intended["device"], CONTRACT.devices):
        state, found = "undecided", f"{found}; the rules measure on the {CONTRACT.devices[0]}"
    slower = "Work at a smaller size inside, or with fewer channels where the maps are large, and measure again."
    remedy = slower if judged.state == "fail" else remedy
    return _finding(MEASURED, state, found, f"{why} {judged.sentence}", remedy)


def _finished(path: Path, device: str | None, folder: HubFolder) -> list[Record]:
    """Profile jobs of this model that ended well on a device, those on the contract's chip alone if there are any."""
    sha256 = sha256_joined(model_files(path))
    with Ledger(folder.ledger, read_only=True) as ledger:
        known = records(ledger)
    found = [
        record
        for record in of_model(known, sha256)
        if is_measured(record, PROFILE) and (device is None or same_chip(record.intended["device"], (device,)))
    ]
    return [record for record in found if same_chip(record.intended["device"], CONTRACT.devices)] or found


def _fetched(record: Record, folder: HubFolder) -> _Measurement | None:
    """None where the profile was not fetched, is gone or was changed since."""
    file = kept_file(record, PROFILE, folder.root)
    if file is None:
        return None
    told = read_json(file)
    return _Measurement(record, told, Profile.of(told[PROFILE]))


def _circumstances(measurement: _Measurement) -> str:
    """Device, options, runs and versions: a latency without them is a rumour."""
    record, told, runs = measurement.record, measurement.told, measurement.profile.iterations
    spread = f", {runs.count} runs of {milliseconds(runs.least)} to {milliseconds(runs.most)} ms" if runs else ""
    client = told.get("client_version") or record.intended.get("client_version") or "not recorded"
    return (
        f"on the {record.intended['device']} (job {record.job_id}, ordered {record.submitted_at or 'at no known time'}"
        f"{spread}; options '{record.intended['options']}', AI Hub {record.hub_version or 'of no known version'}, "
        f"client {client}, lpcv {record.intended.get('lpcv_version') or 'not recorded'})"
    )


def _finding(name: str, state: State, found: str, why: str, remedy: str) -> Finding:
    expected = f"at most {BUDGET_MS:g} ms" if name == MEASURED else "an estimate, which decides nothing"
    return Finding(name, state, expected, found, why, remedy)
