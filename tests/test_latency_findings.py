"""Latency: an estimate decides nothing; a measurement is of this very model, on the right chip, and not a rehearsal."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from htp_graphs import fitting, needs_emulator
from lpcv.errors import InputError, UnknownNameError
from lpcv.files import sha256_file
from lpcv.hub_folder import HubFolder
from lpcv.hub_jobs.htp.estimate import Estimate
from lpcv.hub_jobs.ledger import Ledger
from lpcv.submission.check import latency as module
from lpcv.submission.check.findings import Finding
from lpcv.submission.check.latency import latency_findings

S24, FAMILY, S25, PIXEL = "Samsung Galaxy S24", "Samsung Galaxy S24 (Family)", "Samsung Galaxy S25", "Google Pixel 3"
HUB = "https://hub.example"


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "model.onnx"
    path.write_bytes(fitting())
    return path


class Book:
    """A ledger with profile jobs."""

    def __init__(self, root: Path) -> None:
        self.folder = HubFolder(root)

    def profiled(
        self, sha256: str, latency_us: int, *, device: str = S24, job: str = "jabcde", state: str = "SUCCESS",
        rehearsal: bool = False, fetched: bool = True, kind: str = "profile",
    ) -> Path:  # fmt: skip
        told = {"type": kind, "title": "mine", "device": device, "options": "--max_profiler_iterations 20",
                "rehearsal": rehearsal, "model_sha256": sha256, "client_version": "0.56.0", "lpcv_version": "0.1.0",
                "base": job, "nth": 0, "reached_by": "default"}  # fmt: skip
        summary = {"estimated_inference_time": latency_us, "all_inference_times": [latency_us, latency_us + 100]}
        file = self.folder.job(job) / "profile.json"
        file.parent.mkdir(parents=True)
        profile: dict[str, Any] = {"execution_summary": summary, "execution_detail": []}
        file.write_text(json.dumps({"client_version": "0.56.0", "profile": profile}))
        with Ledger(self.folder.ledger) as ledger:
            ledger.add("intended", HUB, job, None, told)
            ledger.add("submitted", HUB, job, job, {"url": f"{HUB}/{job}"})
            ledger.add("state", HUB, job, job, {"state": state, "hub_version": "aihub-2026.11"})
            if fetched:
                place = file.relative_to(self.folder.root).as_posix()
                ledger.add("fetched", HUB, job, job, {"what": "profile", "path": place, "sha256": sha256_file(file)})
        return file


@pytest.fixture
def book(tmp_path: Path) -> Book:
    return Book(tmp_path / "aihub")


def measured(model: Path, book: Book, device: str | None = None) -> Finding:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(module, "is_available", lambda: False)
        _, found = latency_findings(model, device, folder=book.folder)
    assert found.name == "latency, measured"
    return found


def test_without_a_ledger_nothing_is_measured_and_none_is_made(model: Path, book: Book) -> None:
    found = measured(model, book)
    assert (found.state, "no finished profile job" in found.found) == ("undecided", True)
    assert f'lpcv profile MODEL --device "{FAMILY}"' in found.remedy
    assert not book.folder.root.exists()


@pytest.mark.parametrize(("latency_us", "state"), [(33_999, "pass"), (34_000, "pass"), (34_001, "fail")])
def test_the_budget_to_the_microsecond(model: Path, book: Book, latency_us: int, state: str) -> None:
    book.profiled(sha256_file(model), latency_us)
    before = book.folder.ledger.read_bytes()
    found = measured(model, book)
    assert (found.state, found.expected) == (state, "at most 34 ms")
    for fact in (
        S24,
        "jabcde",
        "2 runs",
        "--max_profiler_iterations 20",
        "aihub-2026.11",
        "client 0.56.0",
        "lpcv 0.1.0",
    ):
        assert fact in found.found
    assert book.folder.ledger.read_bytes() == before


@pytest.mark.parametrize(
    "changes",
    [{"rehearsal": True}, {"state": "FAILED"}, {"state": "RUNNING_INFERENCE"}, {"kind": "inference"}],
    ids=str,
)
def test_what_is_no_finished_measurement_is_passed_over(model: Path, book: Book, changes: dict[str, Any]) -> None:
    book.profiled(sha256_file(model), 1_000, **changes)
    assert "no finished profile job" in measured(model, book).found


def test_another_model_does_not_count(model: Path, book: Book) -> None:
    book.profiled("0" * 64, 1_000)
    assert "no finished profile job" in measured(model, book).found


def test_the_newest_counts_not_the_best(model: Path, book: Book) -> None:
    book.profiled(sha256_file(model), 20_000, job="jfirst")
    book.profiled(sha256_file(model), 40_000, job="jsecond")
    found = measured(model, book)
    assert (found.state, "jsecond" in found.found) == ("fail", True)


def test_the_contracts_chip_comes_first_and_another_decides_nothing(model: Path, book: Book) -> None:
    book.profiled(sha256_file(model), 50_000, device=FAMILY, job="jfamily")
    book.profiled(sha256_file(model), 10_000, device=S25, job="jother")
    assert (measured(model, book).state, "jfamily" in measured(model, book).found) == ("fail", True)
    other = measured(model, book, S25)
    assert (other.state, "10.00 ms measured" in other.found) == ("undecided", True)
    assert f"the rules measure on the {FAMILY}" in other.found
    same = measured(model, book, S24)  # the same chip under its other name
    assert (same.state, "jfamily" in same.found) == ("fail", True)
    assert "no finished profile job" in measured(model, book, "Samsung Galaxy S22 5G").found


@pytest.mark.parametrize("damage", ["never fetched", "gone", "changed"])
def test_a_profile_that_is_not_here_is_not_made_up(model: Path, book: Book, damage: str) -> None:
    file = book.profiled(sha256_file(model), 10_000, fetched=damage != "never fetched")
    if damage == "gone":
        file.unlink()
    if damage == "changed":
        file.write_text(file.read_text().replace("10000", "9999"))
    found = measured(model, book)
    assert (found.state, found.remedy) == ("undecided", "`lpcv jobs wait jabcde` fetches it.")


def test_what_is_no_ledger_is_said(model: Path, book: Book) -> None:
    book.folder.root.mkdir()
    book.folder.ledger.write_text("this is no database, and long enough to be looked at as one" * 20)
    with pytest.raises(InputError):
        measured(model, book)


def estimated(model: Path, book: Book, device: str | None) -> Finding:
    found, _ = latency_findings(model, device, folder=book.folder)
    assert (found.name, found.state) == ("latency, estimated", "undecided")
    return found


def test_no_device_no_chip_and_no_compiler_no_estimate(
    model: Path, book: Book, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert estimated(model, book, None).found == "not estimated: no device is given"
    assert "soc_model" in estimated(model, book, PIXEL).found
    with pytest.raises(UnknownNameError):
        estimated(model, book, "Samsung Galaxy S42")
    monkeypatch.setattr(module, "is_available", lambda: False)
    assert "not installed" in estimated(model, book, S24).found


def test_an_estimate_over_the_budget_does_not_fail(model: Path, book: Book, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "is_available", lambda: True)
    monkeypatch.setattr(module, "estimate", lambda *_, **__: Estimate(99.0, 62.0, 158.0, "estimated, not measured: x"))
    found = estimated(model, book, S24)
    assert found.found == f"estimated 99.00 ms (62.00 to 158.0) on the {S24} with tflite"
    assert "Basis: estimated, not measured: x." in found.why


@needs_emulator
def test_the_compiler_estimates(model: Path, book: Book) -> None:
    found = estimated(model, book, FAMILY)
    assert found.found.startswith("estimated 0.")
    assert "QAIRT" in found.why
