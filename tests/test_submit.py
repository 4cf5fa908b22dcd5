"""`lpcv submit` and `lpcv submissions` end to end: shared once, read back, recorded, gone on with after a kill."""

from __future__ import annotations

import itertools
import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hub_bench import Bench, place, told  # noqa: F401 (place is a fixture)
from hub_faults import GET_SHARING, SHARE, answers, dropped, silent
from hub_fixtures import offline
from hub_processes import Processes, processes
from lpcv.cli import run as run_cli
from lpcv.contract import CURRENT as CONTRACT
from lpcv.files import sha256_file
from lpcv.hub_jobs.client import HubClient
from lpcv.hub_jobs.desk import Desk
from lpcv.runs import Run
from lpcv.submission.submit import bundling, form, show
from lpcv.submission.submit.record import Submissions
from submit_bench import (  # noqa: F401 (fixtures)
    ADDRESS,
    DEVICE,
    WHY,
    bench,
    checks_as,
    compile_run,
    hashes,
    in_bundle,
    run,
    shared_with,
    typed,
)


def test_with_hub_local_end_to_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: Run) -> None:
    """The very command, the check and the stand-in in a process of its own."""
    hub = tmp_path / "hub"
    monkeypatch.setenv("LPCV_HUB_FOLDER", str(hub))
    with offline(tmp_path / "home"):
        assert run_cli(["compile", str(run.root), "--device", DEVICE, "--hub", "local"]) == 0
        ended = typed("submit", run.root, "--hub", "local", "--yes", "--json", tmp_path / "told.json")
    assert ended.code == 0, ended.said
    written = json.loads((tmp_path / "told.json").read_text())
    job = written["compile_job"]
    assert f"{job} is shared with {ADDRESS} (read back from the stand-in)." in ended.out
    assert "Sharing a job shares EVERY asset of it" in ended.err
    assert "REHEARSAL" in ended.err
    assert written["form"]["link"] == form.FORMS[CONTRACT.name].link.value
    assert written["form"]["values"][0]["value"] == job
    assert written["scores"]["float"][0]["f_score"] == 71.25
    assert (written["outcome"], written["latency_ms_measured"]) == ("sent", None)
    listed = typed("submissions", "--json", tmp_path / "list.json")
    assert listed.code == 0
    assert job in listed.out
    assert "rehearsal" in listed.out
    (each,) = json.loads((tmp_path / "list.json").read_text())
    assert each["shared_with"] == [ADDRESS]
    assert each["shared_at"] > each["intended_at"]


def test_a_dry_run_changes_nothing(bench: Bench, run: Run) -> None:
    job = compile_run(bench, run)
    before = hashes(bench.folder.root, run.root)
    asked = len(bench.faults.asked)
    ended = bench.type("submit", run.root, "--dry-run")
    assert ended.code == 0, ended.said
    assert str(bench.folder.ledger) in before
    assert hashes(bench.folder.root, run.root) == before
    assert bench.faults.asked[asked:] == []
    assert shared_with(bench, job) == []
    assert f"Would be shared at the stand-in with {ADDRESS}: compile job {job}" in ended.out
    assert "Nothing was sent or written." in ended.err
    assert f"Next: lpcv submit {run.root} --hub {bench.served.ini}" in ended.err
    assert "The form:" not in ended.out


def test_submitting_asks_and_a_closed_edition_is_said(bench: Bench, run: Run) -> None:
    job = compile_run(bench, run)
    before = hashes(run.root)
    ended = bench.type("submit", run.root, "--json", bench.root / "told.json")
    assert json.loads((bench.root / "told.json").read_text())["outcome"] == "not sent"
    assert hashes(run.root) == before
    assert told(ended) == "Submitting asks first, and there is nobody to ask. Add --yes."
    assert ended.said.count("is over") == 1
    assert shared_with(bench, job) == []
    assert Submissions(bench.folder).all() == []


def test_typed_twice_it_shares_and_records_once(bench: Bench, run: Run) -> None:
    job = compile_run(bench, run)
    patches = bench.faults.count(SHARE)
    assert bench.type("submit", run.root, "--yes").code == 0
    before = hashes(bench.folder.root)
    again = bench.type("submit", run.root, "--yes")
    assert again.code == 0
    assert "nothing was shared again" in again.err
    assert f"Compile Job Id (rehearsal): {job}" in again.out  # the form's values are there again
    assert bench.faults.count(SHARE) == patches + 1
    assert {name: each for name, each in hashes(bench.folder.root).items() if "locks" not in name} == {
        name: each for name, each in before.items() if "locks" not in name
    }


def test_what_was_taken_back_there_is_shared_and_recorded_anew(bench: Bench, run: Run) -> None:
    job = compile_run(bench, run)
    assert bench.type("submit", run.root, "--yes").code == 0
    bench.served.hub.store.share("jobs", job, [], [ADDRESS])
    assert shared_with(bench, job) == []
    ended = bench.type("submit", run.root, "--yes")
    assert ended.code == 0
    assert "nothing was shared again" not in ended.err
    assert shared_with(bench, job) == [ADDRESS]
    assert [path.name for path in sorted(Submissions(bench.folder).root.glob("*/*"))] == [
        "0001-intended.json", "0002-shared.json", "0003-shared.json",
        f"bundle-{sha256_file(run.root / 'bundle.zip')[:8]}.zip",
    ]  # fmt: skip


def test_sharing_that_cannot_be_read_back_is_no_submission(bench: Bench, run: Run) -> None:
    job = compile_run(bench, run)
    with bench.faults.on(GET_SHARING, answers(403)):
        told(bench.type("submit", run.root, "--yes"))
    (kept,) = Submissions(bench.folder).all()
    assert kept.shared_at is None
    assert "NOT SHARED" in typed("submissions").out
    assert bench.type("submit", run.root, "--yes").code == 0
    (kept,) = Submissions(bench.folder).all()
    assert (kept.compile_job, kept.shared_with) == (job, (ADDRESS,))


class Killed(BaseException):
    """As sudden as a kill: nobody catches it."""


def dies_at(patched: pytest.MonkeyPatch, owner: Any, name: str, nth: int, before: bool) -> None:
    """Just before or just after the nth call of a step."""
    real, calls = getattr(owner, name), itertools.count(1)

    def step(*args: Any, **named: Any) -> Any:
        mine = next(calls) == nth
        if mine and before:
            raise Killed
        value = real(*args, **named)
        if mine:
            raise Killed
        return value

    patched.setattr(owner, name, step)


STEPS = {
    "decisions": (bundling, "decide", 1),
    "bundle": (bundling, "package", 1),
    "verification": (bundling, "verify", 1),
    "intention": (Submissions, "add", 1),
    "first look": (HubClient, "sharing", 1),
    "second look": (HubClient, "sharing", 2),
    "sharing itself": (HubClient, "share", 1),
    "reading back": (HubClient, "sharing", 3),
    "the ledger": (Desk, "add", 1),
    "outcome": (Submissions, "add", 2),
    "form": (show, "show_form", 1),
}


# Before a step is after the one before it, so these strike once between any two; the others may take their time.
QUICK = [("decisions", "before"), ("bundle", "before"), ("intention", "before"), ("sharing itself", "before"),
         ("sharing itself", "after"), ("the ledger", "after"), ("outcome", "after")]  # fmt: skip
KILLS = [
    pytest.param(step, when == "before", id=f"{when} {step}", marks=() if (step, when) in QUICK else pytest.mark.slow)
    for step in STEPS
    for when in ("before", "after")
]


@pytest.mark.parametrize(("step", "before"), KILLS)
def test_a_kill_between_any_two_steps_is_resumed_without_sharing_twice(
    bench: Bench, run: Run, monkeypatch: pytest.MonkeyPatch, step: str, before: bool
) -> None:
    checks_as(monkeypatch, "fail")
    job = compile_run(bench, run)
    patches = bench.faults.count(SHARE)
    owner, name, nth = STEPS[step]
    submitting = ["submit", run.root, "--yes", "--despite", "check", "--reason", WHY]
    with pytest.MonkeyPatch.context() as patched:
        dies_at(patched, owner, name, nth, before)
        with pytest.raises(Killed):
            bench.type(*submitting)
    kept = Submissions(bench.folder).all()
    if kept and kept[0].shared_at:  # what is recorded as shared was shared
        assert shared_with(bench, job) == [ADDRESS]
    goes_on(bench, run, job, submitting)
    assert bench.faults.count(SHARE) == patches + 1
    assert [event.facts["with"] for event in bench.events("shared")] == [[ADDRESS]]
    assert in_bundle(run.root / "bundle.zip", "decisions.json")["reason"] == WHY


def goes_on(bench: Bench, run: Run, job: str, submitting: list[Any]) -> None:
    """Typed again, it ends well, shared once and recorded once, and typed a third time nothing changes."""
    ended = bench.type(*submitting)
    assert ended.code == 0, ended.err
    assert f"Compile Job Id (rehearsal): {job}" in ended.out
    assert shared_with(bench, job) == [ADDRESS]
    (kept,) = Submissions(bench.folder).all()
    assert (kept.shared_with, kept.intended["bundle_sha256"]) == ((ADDRESS,), sha256_file(run.root / "bundle.zip"))
    assert [path.name for path in sorted(Submissions(bench.folder).root.glob("*/*"))] == [
        "0001-intended.json", "0002-shared.json", f"bundle-{sha256_file(run.root / 'bundle.zip')[:8]}.zip",
    ]  # fmt: skip
    before = hashes(run.root, Submissions(bench.folder).root)
    assert bench.type(*submitting).code == 0
    assert hashes(run.root, Submissions(bench.folder).root) == before


def test_an_answer_to_the_sharing_that_is_lost(bench: Bench, run: Run) -> None:
    job = compile_run(bench, run)
    with bench.faults.on(SHARE, dropped(handled=True)):
        told(bench.type("submit", run.root, "--yes"))
    assert shared_with(bench, job) == [ADDRESS]
    assert Submissions(bench.folder).all()[0].shared_at is None
    patches = bench.faults.count(SHARE)
    goes_on(bench, run, job, ["submit", run.root, "--yes"])
    assert bench.faults.count(SHARE) == patches
    assert Submissions(bench.folder).all()[0].at_latest  # nobody wrote down when
    listed = typed("submissions").out
    assert ("before" in listed, "NOT SHARED" in listed) == (True, False)


@pytest.fixture(scope="module")
def started(place: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Processes]:
    with processes(tmp_path_factory.mktemp("processes")) as running:
        yield running


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="kill -9 and fork")
@pytest.mark.parametrize("when", ["before", "after"])
def test_killed_with_9_around_the_ledgers_word(bench: Bench, run: Run, started: Processes, when: str) -> None:
    job = compile_run(bench, run)
    submitting = ["submit", run.root, "--yes"]
    assert started.run(bench.words(*submitting), bench.folder.root, **{when: 1}) == -signal.SIGKILL
    assert shared_with(bench, job) == [ADDRESS]
    assert Submissions(bench.folder).all()[0].shared_at is None
    patches = bench.faults.count(SHARE)
    goes_on(bench, run, job, submitting)
    assert bench.faults.count(SHARE) == patches


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="kill -9 and fork")
def test_killed_with_9_while_the_sharing_is_on_its_way(bench: Bench, run: Run, started: Processes) -> None:
    job = compile_run(bench, run)
    submitting = ["submit", run.root, "--yes"]
    with bench.faults.on(SHARE, silent(handled=True)) as rule:
        process = started.start(bench.words(*submitting), bench.folder.root)
        assert rule.reached.wait(60), process.said
        until = time.monotonic() + 30
        while not shared_with(bench, job) and time.monotonic() < until:
            time.sleep(0.01)
        process.kill()
        assert started.ended(process) == -signal.SIGKILL
    goes_on(bench, run, job, submitting)
    assert bench.faults.count(SHARE) >= 1


def test_a_record_half_written_is_absent_and_a_damaged_one_is_a_sentence(bench: Bench, run: Run) -> None:
    compile_run(bench, run)
    assert bench.type("submit", run.root, "--yes").code == 0
    (place,) = Submissions(bench.folder).root.iterdir()
    (place / ".0003-shared.x.part.json").write_text('{"at":')
    assert len(Submissions(bench.folder).all()) == 1
    (place / "0001-intended.json").write_text("{}")
    assert "0001-intended.json is no record of a submission" in told(typed("submissions"))


def test_no_submission_is_an_answer_and_leaves_nothing(bench: Bench) -> None:
    ended = typed("submissions")
    assert ended.code == 0
    assert "0 submissions" in ended.out
    assert not bench.folder.root.exists()


def test_no_is_an_answer_and_shares_nothing(bench: Bench, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    job = compile_run(bench, run)
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("click.confirm", lambda *_, **__: False)
    ended = bench.type("submit", run.root)
    assert (ended.code, "Not submitted: nothing was sent." in ended.err) == (1, True)
    assert shared_with(bench, job) == []
    assert Submissions(bench.folder).all() == []
