"""What `lpcv submit` writes where, and what it keeps: inputs untouched, decisions of this model, sharing since when."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hub_bench import Bench, place, told  # noqa: F401 (place is a fixture)
from hub_fixtures import S24
from lpcv.contract import CURRENT as CONTRACT
from lpcv.errors import InputError
from lpcv.files import sha256_file, write_json
from lpcv.hub_folder import HubFolder
from lpcv.hub_jobs.history import Record
from lpcv.runs import Run
from lpcv.submission.bundle.origin import Decisions, decided, decisions, licences
from lpcv.submission.submit import bundling, items, show
from lpcv.submission.submit.checklist import Checklist, Item, Overrides
from lpcv.submission.submit.decisions import decide, in_bundle, settled
from lpcv.submission.submit.jobs import Jobs, chosen_jobs
from lpcv.submission.submit.plan import Wanted, demand_nothing_lost
from lpcv.submission.submit.record import DECISION, Submissions
from submit_bench import (  # noqa: F401 (fixtures)
    ADDRESS,
    DEVICE,
    WHY,
    bench,
    compile_run,
    make_run,
    shared_with,
    typed,
)

OWNER, JOB = "somebody at a hub", "jabcd1234"
FORMER = {"outcome": "not sent", "dry_run": True, "blocked": [], "checklist": []}
TFLITE, ONNX = "--target_runtime tflite", "--target_runtime onnx --x 1"


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """With an export that nobody looks into."""
    found = Run(tmp_path / "runs" / "mine")
    found.best.mkdir(parents=True)
    found.config.write_text("{}")
    found.model.write_bytes(b"a model")
    return found


PLACES = ["config.json", "model.onnx", "score.json", "decisions.json", "emulated.json", "measured/a.json",
          "checkpoints/best/x.json", "report/index.html", "notes.txt", "../../hub/ledger.sqlite",
          "../../hub/submissions/new.json"]  # fmt: skip


@pytest.mark.parametrize("name", PLACES)
def test_a_result_never_takes_the_place_of_an_input(run: Run, tmp_path: Path, name: str) -> None:
    wanted, folder = Wanted(run, run.root / "bundle.zip"), HubFolder(tmp_path / "hub")
    (run.root / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match="which is read here"):
        demand_nothing_lost(wanted, run.root / name, folder, None)
    if name != "notes.txt":  # which is looked into, and found to be no bundle
        with pytest.raises(InputError, match=r"--bundle .* which is read here"):
            demand_nothing_lost(dataclasses.replace(wanted, bundle=run.root / name), None, folder, None)


def test_our_own_json_of_before_may_be_written_over(run: Run, tmp_path: Path) -> None:
    wanted, folder = Wanted(run, run.root / "bundle.zip"), HubFolder(tmp_path / "hub")
    here = run.root / "told.json"
    demand_nothing_lost(wanted, here, folder, "local")
    write_json(here, FORMER)
    demand_nothing_lost(wanted, here, folder, None)
    link = tmp_path / "told.json"
    link.symlink_to(run.model)
    with pytest.raises(InputError, match=r"model\.onnx, which is read here"):
        demand_nothing_lost(wanted, link, folder, None)
    ini = tmp_path / "client.ini"
    ini.touch()
    with pytest.raises(InputError, match="which is read here"):
        demand_nothing_lost(wanted, ini, folder, str(ini))


def test_with_the_very_command(bench: Bench, tmp_path: Path) -> None:
    run = make_run(tmp_path / "runs" / "typed")
    before = sha256_file(run.score)
    assert "score.json, which is read here" in told(bench.type("submit", run.root, "--dry-run", "--json", run.score))
    assert sha256_file(run.score) == before
    assert "which is read here" in told(typed("submissions", "--json", bench.folder.ledger))


def test_decisions_are_of_one_model_and_a_rehearsals_accept_nothing(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    mine = Decisions(sha256_file(run.model), False, ("check",), WHY, ("CC-BY-NC-4.0",))
    nothing = Decisions(mine.model_sha256, False)
    assert settled(run, nothing)
    decide(run, nothing)
    assert not run.decisions.exists()
    decide(run, mine)
    assert (decided(run), decisions(run), in_bundle(run, mine)) == (mine, mine.as_json(), True)
    assert licences({}, decisions(run))["accepted"] == ["CC-BY-NC-4.0"]
    rehearsed = dataclasses.replace(mine, rehearsal=True)
    assert not in_bundle(run, rehearsed)
    decide(run, rehearsed)
    assert licences({}, decisions(run))["accepted"].startswith("none: only in a rehearsal")
    run.model.write_bytes(b"another model")
    assert decisions(run) is None
    assert "decided for another model" in capsys.readouterr().err
    assert in_bundle(run, Decisions(sha256_file(run.model), True))
    assert not settled(run, Decisions(sha256_file(run.model), True))
    run.decisions.write_text(json.dumps({"despite": [], "reason": "", "licences_accepted": ["CC-BY-NC-4.0"]}))
    assert decisions(run) is None  # what does not say of which model it is


def intended(run: str = "mine", **more: Any) -> dict[str, Any]:
    return {**dict.fromkeys(DECISION, ""), "run": run, "compile_job": JOB, "despite": [], **more}


def shared(run: str, since: str) -> dict[str, Any]:
    return {"run": run, "config_sha256": "", "with": [ADDRESS], "since": since, "at_latest": False}


def test_what_was_shared_stays_so_whatever_is_decided_after(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    kept = Submissions(HubFolder(tmp_path))
    kept.add(OWNER, JOB, "intended", intended(edition="lpcvc-2025"))
    assert kept.of(OWNER, JOB)[0].shared_at is None
    kept.add(OWNER, JOB, "shared", shared("mine", "2025-03-01T10:00:00"))
    kept.add(OWNER, JOB, "intended", intended(reason=WHY, edition="lpcvc-2025"))
    (cut_off,) = kept.of(OWNER, JOB)
    assert (cut_off.shared_at, cut_off.shared_with) == ("2025-03-01T10:00:00", (ADDRESS,))
    assert (cut_off.intended["reason"], cut_off.read_back) == (WHY, False)
    show.show_submissions([cut_off])
    assert "NOT SHARED" not in (listed := capsys.readouterr().out)
    assert [word in listed for word in ("2025-03-01", "newer")] == [True, True]
    kept.add(OWNER, JOB, "shared", shared("mine", "2025-03-01T10:00:00"))
    assert kept.of(OWNER, JOB)[0].read_back


def test_two_runs_of_one_model_are_two_lines(tmp_path: Path) -> None:
    kept = Submissions(HubFolder(tmp_path))
    for name in ("mine", "copy"):
        kept.add(OWNER, JOB, "intended", intended(name))
        kept.add(OWNER, JOB, "shared", shared(name, "2025-03-01T10:00:00"))
    assert [(each.intended["run"], each.read_back) for each in kept.all()] == [("mine", True), ("copy", True)]
    assert {each.shared_at for each in kept.all()} == {"2025-03-01T10:00:00"}


def test_a_copy_of_another_bundle_is_none(tmp_path: Path) -> None:
    bundle = tmp_path / "bundle.zip"
    bundle.write_bytes(b"as it was")
    kept, sha256 = Submissions(HubFolder(tmp_path / "hub")), sha256_file(bundle)
    copy = tmp_path / "hub" / kept.keep(OWNER, JOB, bundle, sha256)
    bundle.write_bytes(b"later")
    assert kept.keep(OWNER, JOB, bundle, sha256) == copy.relative_to(tmp_path / "hub").as_posix()
    assert copy.read_bytes() == b"as it was"
    with pytest.raises(InputError, match="changed meanwhile"):
        kept.keep(OWNER, JOB, bundle, "f" * 64)
    assert len(list(copy.parent.iterdir())) == 1


def test_an_earlier_job_of_the_model_is_said_before_asking_and_an_earlier_sharing_counts(
    bench: Bench, tmp_path: Path
) -> None:
    run = make_run(tmp_path / "runs" / "typed")
    first = compile_run(bench, run)
    assert bench.type("jobs", "share", first, "--yes").code == 0
    (event,) = bench.events("shared")
    assert bench.type("submit", run.root, "--yes").code == 0
    (kept,) = Submissions(bench.folder).all()
    assert (kept.shared_at, kept.at_latest) == (event.at, False)
    second = compile_run(bench, run, DEVICE, "--again")
    ended = bench.type("submit", run.root, "--dry-run", "--despite", "check", "--reason", WHY)
    assert f"{first}, of this very model, was submitted before: shared with {ADDRESS} since" in ended.err
    assert f"then {second} belongs in the form" in ended.err
    assert "--despite check: check did not fail; nothing was overridden." in ended.err
    assert shared_with(bench, second) == []
    older = bench.type("submit", run.root, "--dry-run", "--job", first)
    assert f"the newer {second} has finished" in " ".join(older.out.replace("\u2502", "").split())


def test_what_had_failed_when_it_was_typed_is_recorded_though_packaging_mends_it(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make_run(tmp_path / "runs" / "typed")
    compile_run(bench, run)
    found = [["README.txt: is not what its manifest says."]]
    verified = bundling.verify
    monkeypatch.setattr(bundling, "verify", lambda path: found.pop() if found else verified(path))
    ended = bench.type("submit", run.root, "--yes", "--despite", "bundle", "--reason", WHY)
    assert ended.code == 0, ended.err
    (kept,) = Submissions(bench.folder).all()
    assert (kept.intended["despite"], kept.intended["reason"]) == (["bundle"], WHY)


def test_a_line_against_which_no_reason_helps() -> None:
    firm = Item("job", "fail", "none", "compile", "lpcv compile", firm=True)
    listed = Checklist((firm, Item("bundle", "pass", "whole")), Overrides(("job", "bundle"), WHY))
    assert (listed.blocking, listed.overridden, listed.in_vain) == ([firm], [], ["bundle"])
    plan: Any = SimpleNamespace(checklist=listed)
    assert "--despite" not in show.blocked(plan)
    assert show.mending(plan, "again") == "lpcv compile"
    over = Item("edition", "fail", "over", "ask")
    plan = SimpleNamespace(checklist=Checklist((over, Item("licences", "fail", "x", "y"))))
    assert show.mending(plan, "again") is None  # never what was just refused


def record(job: str, submission: int, options: str, device: str = DEVICE, state: str = "SUCCESS") -> Record:
    told = {"type": "compile", "model_sha256": "m", "device": device, "options": options}
    return Record(OWNER, job, told, "", job_id=job, submission=submission, state=state)


@pytest.mark.parametrize(
    ("known", "named", "chosen", "running", "finished", "state"),
    [
        ([record("jold", 1, TFLITE), record("jonnx", 2, ONNX)], None, "jold", None, None, "pass"),
        ([record("jonnx", 2, ONNX)], None, "jonnx", None, None, "fail"),
        ([record("jnone", 2, "--x tflite")], None, "jnone", None, None, "fail"),
        ([record("jis", 2, "--target_runtime=tflite")], None, "jis", None, None, "pass"),
        ([record("jold", 1, TFLITE), record("jnew", 2, TFLITE, S24)], "jold", "jold", None, "jnew", "pass"),
        ([record("jold", 1, TFLITE), record("jnew", 2, TFLITE, state="CREATED")], None, "jold", "jnew", None, "pass"),
        ([record("jonnx", 3, ONNX), record("jold", 1, TFLITE)], "jonnx", "jonnx", None, None, "fail"),
    ],
)
def test_the_job_is_of_the_contracts_runtime(
    known: list[Record], named: str | None, chosen: str, running: str | None, finished: str | None, state: str
) -> None:
    by_id = {each.job_id: each for each in known}
    desk: Any = SimpleNamespace(records=lambda: known, record=by_id.get)
    jobs = chosen_jobs(desk, "m", CONTRACT, named)
    ids = [each and each.job_id for each in (jobs.chosen, jobs.running, jobs.finished)]
    assert ids == [chosen, running, finished]
    item = items.job_item(Path("runs/x"), jobs, CONTRACT, None)
    assert (item.state, item.firm) == (state, False)
    assert item.command == ("" if state == "pass" else f"lpcv compile runs/x --device '{DEVICE}'")
    for each in (running, finished):
        assert each is None or f"the newer {each} " in item.found


def test_a_profile_that_does_not_tell_its_latency_is_not_over_the_budget(tmp_path: Path) -> None:
    path = tmp_path / "profile.json"
    write_json(path, {"profile": {"execution_summary": {"first_load_time": 9}, "execution_detail": []}})
    profiled = dataclasses.replace(
        record("jprofile", 3, ""), intended={"rehearsal": False, "options": CONTRACT.profile_options}
    )
    desk: Any = SimpleNamespace(kept=lambda *_: path, way=None, connection=SimpleNamespace(rehearsal=False))
    jobs = Jobs(record("jold", 1, TFLITE), None, profiled)
    item, judged, _ = items.profile_item(Path("runs/x"), desk, jobs, CONTRACT)
    assert (item.state, judged and judged.state, item.command) == ("fail", "none", "lpcv profile jold --again")
    assert "has no execution_summary.estimated_inference_time" in item.found
    assert "budget is not ranked" not in item.remedy
    none, _, _ = items.profile_item(Path("runs/x"), desk, Jobs(None, None, None), CONTRACT)
    assert none.command == f"lpcv compile runs/x --device '{DEVICE}'"


def test_the_edition_says_that_it_is_over() -> None:
    assert (CONTRACT.over, CONTRACT.facts["over"].source != "") == (True, True)
