"""The checklist of `lpcv submit`: what blocks, what is undecided and never passed, and what a person may overrule."""

from __future__ import annotations

import dataclasses
import json
import zipfile
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hub_bench import Bench, bench_at, place, told  # noqa: F401 (place is a fixture)
from hub_faults import JOB, answers
from hub_fixtures import S24
from lpcv.contract import CURRENT as CONTRACT
from lpcv.errors import InputError, UnknownNameError
from lpcv.hub_jobs.verdict import milliseconds
from lpcv.runs import Run
from lpcv.submission.bundle.pack import package
from lpcv.submission.submit import form, items
from lpcv.submission.submit.checklist import NAMES, Checklist, Item, Overrides
from lpcv.submission.submit.licences import licences_of, to_accept, use_of
from lpcv.submission.submit.record import Submissions
from submit_bench import DEVICE, FREE, OF_LARGE, checks_as, compile_run, make_run, passing, shared_with, typed, wired
from test_hub_rehearsal import Two, places, two  # noqa: F401 (two fixtures)

WHY = "the organisers agreed by mail"


@pytest.fixture
def bench(place: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    wired(monkeypatch)
    checks_as(monkeypatch)
    return bench_at(place, tmp_path, monkeypatch)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return make_run(tmp_path / "runs" / "mine")


def planned(bench: Bench, run: Run, *words: object) -> dict[str, Any]:
    """A dry run's plan, and its lines by name."""
    path = bench.root / "plan.json"
    ended = bench.type("submit", run.root, "--dry-run", "--json", path, *words)
    plan = json.loads(path.read_text())
    assert ended.code == (1 if plan["blocked"] else 0), ended.said
    return {**plan, "lines": {item["name"]: item for item in plan["checklist"]}, "said": ended.said}


def test_a_good_run_has_nothing_that_blocks(bench: Bench, run: Run) -> None:
    job = compile_run(bench, run)
    plan = planned(bench, run)
    assert plan["blocked"] == []
    assert {name: line["state"] for name, line in plan["lines"].items()} == {
        "check": "pass", "job": "pass", "profile": "undecided", "licences": "pass", "bundle": "pass",
        "edition": "undecided",
    }  # fmt: skip
    assert (plan["compile_job"], plan["bundle_sha256"] is not None) == (job, True)
    assert set(plan["lines"]) == set(NAMES)


def test_a_failed_check_blocks_until_somebody_says_why(bench: Bench, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    job = compile_run(bench, run)
    checks_as(monkeypatch, "fail")
    ended = bench.type("submit", run.root, "--yes")
    assert ended.code == 1
    assert "1 findings fail: depth, not inverse" in ended.err
    assert '--despite check --reason "..."' in ended.err
    assert shared_with(bench, job) == []
    assert not Submissions(bench.folder).root.exists()
    ended = bench.type("submit", run.root, "--yes", "--despite", "check", "--reason", WHY)
    assert ended.code == 0, ended.err
    (kept,) = Submissions(bench.folder).all()
    assert (kept.intended["despite"], kept.intended["reason"]) == (["check"], WHY)
    assert kept.intended["checklist"][0]["state"] == "fail"
    assert "check" in typed("submissions").out
    assert WHY in next((bench.folder.root / "submissions").glob("*/0001*")).read_text()


def test_meaning_without_frames_is_undecided_and_never_called_passed() -> None:
    item = items.check_item(Path("runs/x"), passing("undecided"))
    assert (item.state, "1 are undecided: depth, not inverse" in item.found) == ("undecided", True)
    assert items.check_item(Path("runs/x"), passing()).state == "pass"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--despite", "check"], "--despite needs a reason"),
        (["--despite", "check", "--reason", "  "], "--despite needs a reason"),
        (["--reason", WHY], "--reason gives a reason for nothing"),
        (["--despite", "chekc", "--reason", WHY], "Did you mean 'check'?"),
        (["--despite", "licences", "--reason", WHY], "accepted by its own name"),
        (["--accept-license", "MTI"], "Did you mean 'MIT'?"),
    ],
)
def test_a_slip_is_no_decision(bench: Bench, run: Run, words: list[str], sentence: str) -> None:
    assert sentence in told(bench.type("submit", run.root, "--yes", *words))


def test_a_line_that_passes_is_not_called_overridden() -> None:
    listed = Checklist((Item("bundle", "pass", "whole"),), Overrides(("bundle",), WHY))
    assert listed.as_json()["despite"] == []
    assert listed.as_json()["reason"] == ""
    assert listed.blocking == []


def test_a_non_commercial_teacher_is_accepted_by_name_and_recorded(bench: Bench, tmp_path: Path) -> None:
    run = make_run(tmp_path / "runs" / "nc", {**FREE, "teacher": OF_LARGE})
    job = compile_run(bench, run)
    plan = planned(bench, run)
    assert plan["blocked"] == ["licences"]
    assert '--accept-license "CC-BY-NC-4.0"' in plan["lines"]["licences"]["remedy"]
    assert "Depth-Anything-V2-Base" in plan["lines"]["licences"]["remedy"]  # the precedent
    ended = bench.type("submit", run.root, "--yes", "--accept-license", "MIT")  # another's name is no acceptance
    assert ended.code == 1
    assert shared_with(bench, job) == []
    ended = bench.type("submit", run.root, "--yes", "--accept-license", "cc-by-nc-4.0")
    assert ended.code == 0, ended.err
    (kept,) = Submissions(bench.folder).all()
    assert kept.intended["licences_accepted"] == ["CC-BY-NC-4.0"]
    assert "accepted by name: CC-BY-NC-4.0" in ended.out.replace("\n", " ")


def test_licences_are_what_the_records_say(tmp_path: Path) -> None:
    run = make_run(tmp_path / "a", {**FREE, "teacher": OF_LARGE})
    found = {licence.part: licence for licence in licences_of(run)}
    assert found["teacher"].of == OF_LARGE["teacher"]
    assert {part: each.use for part, each in found.items()} == {
        "teacher": "non-commercial", "encoder weights": "commercial", "data": "commercial",
    }  # fmt: skip
    assert [each.part for each in to_accept(licences_of(run), [])] == ["teacher"]
    assert [each.part for each in licences_of(make_run(tmp_path / "b"))] == ["encoder weights", "data"]
    silent = licences_of(make_run(tmp_path / "c", {}))
    assert {(each.part, each.name, each.use) for each in silent} == {
        (part, "not recorded", "unknown") for part in ("teacher", "encoder weights", "data")
    }
    assert items.licences_item(silent, []).state == "undecided"


@pytest.mark.parametrize(
    ("name", "use"),
    [
        ("CC-BY-NC-4.0", "non-commercial"), ("cc-by-nc-sa-3.0", "non-commercial"), ("research only", "non-commercial"),
        ("Apache-2.0", "commercial"), ("BSD-3-Clause (torchvision)", "commercial"), ("MIT", "commercial"),
        ("CC-BY-4.0", "commercial"), ("unknown", "unknown"), ("not recorded", "unknown"), ("Sync-1.0", "unknown"),
    ],
)  # fmt: skip
def test_what_a_name_says_of_use(name: str, use: str) -> None:
    assert use_of(name) == use


def test_the_bundle_is_whole_and_of_this_model(bench: Bench, run: Run, tmp_path: Path) -> None:
    compile_run(bench, run)
    bundle = run.root / "bundle.zip"
    content = bytearray(bundle.read_bytes())
    bundle.unlink()
    assert planned(bench, run)["blocked"] == ["bundle"]
    other = package(make_run(tmp_path / "runs" / "other"), tmp_path / "other.zip")
    plan = planned(bench, run, "--bundle", other)
    assert "holds another model than" in plan["lines"]["bundle"]["found"]
    with zipfile.ZipFile(run.root / "not.zip", "w") as archive:
        archive.writestr("../out", b"x")
    assert "leaves the folder" in planned(bench, run, "--bundle", run.root / "not.zip")["lines"]["bundle"]["found"]
    content[len(content) // 2] ^= 1
    bundle.write_bytes(content)
    assert planned(bench, run)["blocked"] == ["bundle"]


def test_which_job_is_submitted(bench: Bench, run: Run) -> None:
    assert planned(bench, run)["blocked"] == ["job", "profile"]
    over = ["--yes", "--despite", "job", "--despite", "profile", "--reason", WHY]
    assert "There is no job to share" in told(bench.type("submit", run.root, *over))
    elsewhere = compile_run(bench, run, S24)
    assert planned(bench, run)["blocked"] == ["job", "profile"]  # another device's does not count by itself
    plan = planned(bench, run, "--job", elsewhere)
    assert (plan["blocked"], plan["compile_job"]) == (["job"], elsewhere)
    first = compile_run(bench, run)
    assert planned(bench, run)["compile_job"] == first
    second = compile_run(bench, run, DEVICE, "--again")
    assert second != first
    assert planned(bench, run)["compile_job"] == second  # the newest
    with bench.faults.on(JOB, answers(401)):  # submitted, and not followed
        told(bench.type("compile", run.root, "--device", DEVICE, "--again"))
    running = planned(bench, run)
    assert running["compile_job"] == second
    assert "has not ended" in running["lines"]["job"]["found"]


def test_a_job_of_another_model_or_kind_is_refused(bench: Bench, run: Run, tmp_path: Path) -> None:
    job = compile_run(bench, run)
    other = compile_run(bench, make_run(tmp_path / "runs" / "other"))
    assert "another model" in told(bench.type("submit", run.root, "--job", other, "--yes"))
    assert bench.type("profile", job).code == 0
    profile = str(bench.records()[-1].job_id)
    assert "organisers take compile jobs" in told(bench.type("submit", run.root, "--job", profile, "--yes"))
    assert "does not know job" in told(bench.type("submit", run.root, "--job", "jabcdefgh", "--yes"))
    (run.best / "model.safetensors").write_bytes(b"newer weights")
    assert "lpcv export" in told(bench.type("submit", run.root, "--yes"))


def test_a_rehearsals_profile_never_counts_and_a_devices_does(
    two: Two,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    wired(monkeypatch)
    checks_as(monkeypatch)
    run = make_run(tmp_path / "runs" / "mine")
    for bench in (two.rehearsal, two.real):
        job = compile_run(bench, run)
        if bench is two.real:
            plan = planned(bench, run)
            assert plan["blocked"] == ["profile"]  # the rehearsal's stands in the same ledger
            assert "was never profiled" in plan["lines"]["profile"]["found"]
        assert bench.type("profile", job).code in (0, 1)
    rehearsed = planned(two.rehearsal, run)
    assert rehearsed["lines"]["profile"]["state"] == "undecided"
    assert "never counts as measured" in rehearsed["lines"]["profile"]["found"]
    assert rehearsed["latency_ms_measured"] is None
    real = planned(two.real, run)
    latency = real["latency_ms_measured"]
    assert latency > 0
    within = latency <= CONTRACT.latency_budget_ms
    assert real["lines"]["profile"]["state"] == ("pass" if within else "fail")
    rehearsal_job = rehearsed["compile_job"]
    assert "belongs to" in told(two.real.type("submit", run.root, "--yes", "--job", rehearsal_job))
    why = [] if within else ["--despite", "profile", "--reason", WHY]
    sent = two.real.type("submit", run.root, "--yes", *why)
    assert sent.code == 0, sent.err
    assert not [word for word in ("REHEARSAL", "(rehearsal)", "stand-in") if word in sent.said]
    assert f"  Compile Job Id: {real['compile_job']}\n" in sent.out
    assert f"latency, measured: {milliseconds(latency)} ms" in sent.out
    assert shared_with(two.real, real["compile_job"]) == [CONTRACT.sharing_address]
    assert shared_with(two.rehearsal, rehearsal_job) == []
    tight = dataclasses.replace(CONTRACT, latency_budget_ms=latency / 2)
    monkeypatch.setattr("lpcv.contract.CURRENT", tight)
    assert planned(two.real, run)["blocked"] == ["profile"]
    profiles = two.real.folder.root.glob("jobs/*/profile.json")
    kept = next(path for path in profiles if '"rehearsal": false' in path.read_text())
    kept.write_text("{}")
    assert "is not kept here" in planned(two.real, run)["lines"]["profile"]["found"]


def test_another_reason_is_another_decision_and_shares_nothing_again(
    bench: Bench, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    compile_run(bench, run)
    checks_as(monkeypatch, "fail")
    for reason in (WHY, "another"):
        ended = bench.type("submit", run.root, "--yes", "--despite", "check", "--reason", reason)
        assert ended.code == 0
    assert "nothing was shared again" in ended.err
    (kept,) = Submissions(bench.folder).all()
    assert kept.intended["reason"] == "another"
    assert len(list(Submissions(bench.folder).root.glob("*/*"))) == 4


@pytest.mark.parametrize(
    ("closing", "state", "said"),
    [
        (None, "undecided", "the 2025 edition is over"),
        ("2025-04-01", "fail", "closed on 2025-04-01"),
        ("2025-04-02", "pass", "open until 2025-04-02"),
        ("2025-04-03", "pass", "open until 2025-04-03"),
    ],
)
def test_a_closed_edition_is_said(closing: str | None, state: str, said: str) -> None:
    item = items.edition_item(dataclasses.replace(CONTRACT, closing_date=closing), date(2025, 4, 2))
    assert item.state == state
    assert said in item.found


def test_the_form_of_an_edition_that_we_do_not_know_is_not_made_up() -> None:
    assert form.link(CONTRACT) == "https://lpcv.ai/2025LPCVC/submission/track3"
    later = dataclasses.replace(CONTRACT, name="lpcvc-2031")
    assert form.link(later) == "not recorded for lpcvc-2031: see the rules page"
    assert form.as_json(later, [])["link"] is None


def test_a_line_without_a_remedy_cannot_be_made() -> None:
    with pytest.raises(ValueError, match="what to do"):
        Item("check", "fail", "found")
    with pytest.raises(InputError):
        Overrides(("check",))
    with pytest.raises(UnknownNameError):
        Overrides(("nothing",), WHY)
