"""The checklist of `lpcv submit`: what blocks, what is undecided and never passed, and what a person may overrule."""

from __future__ import annotations

import dataclasses
import json
import os
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hub_bench import Bench, place, told  # noqa: F401 (place is a fixture)
from hub_faults import JOB, answers
from hub_fixtures import S24
from lpcv.contract import CURRENT as CONTRACT
from lpcv.errors import InputError, UnknownNameError
from lpcv.files import sha256_file
from lpcv.hub_folder import HubFolder
from lpcv.hub_jobs.devices import same_chip
from lpcv.hub_jobs.verdict import milliseconds
from lpcv.runs import Run
from lpcv.submission.bundle.pack import package
from lpcv.submission.bundle.verify import verify
from lpcv.submission.check.findings import Finding
from lpcv.submission.check.licences import PARTS, licence_findings
from lpcv.submission.check.preflight import Circumstances
from lpcv.submission.submit import form, items, plan
from lpcv.submission.submit.checklist import NAMES, Checklist, Item, Overrides
from lpcv.submission.submit.jobs import same_phone
from lpcv.submission.submit.record import Submissions
from submit_bench import (  # noqa: F401 (fixtures)
    DEVICE,
    FREE,
    OF_LARGE,
    WHY,
    bench,
    checks_as,
    compile_run,
    in_bundle,
    make_run,
    passing,
    planned,
    run,
    shared_with,
    typed,
)
from test_hub_rehearsal import Two, places, two  # noqa: F401 (two fixtures)

ASKED = [(True, 2**26, True), (True, 2**26 + 1, False), (False, 9, False)]


def test_a_good_run_has_nothing_that_blocks(bench: Bench, run: Run) -> None:
    job = compile_run(bench, run)
    plan = planned(bench, run)
    assert plan["blocked"] == []
    assert {name: line["state"] for name, line in plan["lines"].items()} == {
        "check": "pass", "job": "pass", "profile": "undecided", "licences": "pass",
        "bundle": "pass", "edition": "undecided",
    }  # fmt: skip
    assert (plan["compile_job"], plan["bundle_sha256"]) == (job, None)
    assert (
        "will be replaced by one with README.txt, jobs.json, provenance.json, scores.json as it is now"
        in plan["lines"]["bundle"]["found"]
    )
    package(run, run.root / "bundle.zip", bench.folder)
    plan = planned(bench, run)
    assert plan["lines"]["bundle"]["state"] == "pass"
    assert plan["bundle_sha256"] == sha256_file(run.root / "bundle.zip")
    assert set(plan["lines"]) == set(NAMES)


def test_a_failed_check_blocks_until_somebody_says_why(bench: Bench, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    job = compile_run(bench, run)
    checks_as(monkeypatch, "fail")
    ended = bench.type("submit", run.root, "--yes", "--json", bench.root / "told.json")
    assert ended.code == 1
    assert f"Next: lpcv check {run.root}" in ended.err
    assert json.loads((bench.root / "told.json").read_text())["outcome"] == "blocked"
    assert ended.said.count("1 finding fails") == 1
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
    bundle = run.root / "bundle.zip"
    assert in_bundle(bundle, "decisions.json") == {
        "model_sha256": sha256_file(run.model), "rehearsal": True, "despite": ["check"], "reason": WHY,
        "licences_accepted": [],
    }  # fmt: skip
    assert verify(bundle) == []
    assert kept.intended["bundle_sha256"] == sha256_file(bundle)
    assert f"Writing {run.decisions}, which goes into the bundle." in ended.err


@pytest.mark.parametrize(
    ("installed", "bytes_", "asked"), [(True, 2**26, True), (True, 2**26 + 1, False), (False, 9, False)]
)
def test_the_compiler_is_asked_where_it_takes_seconds_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, installed: bool, bytes_: int, asked: bool
) -> None:
    run, folder = Run(tmp_path / "run"), HubFolder(tmp_path / "hub")
    run.root.mkdir()
    run.model.touch()
    os.truncate(run.model, bytes_)  # takes no room on the disk
    seen: list[Any] = []

    def check(model: Path, frames: object, given: Circumstances) -> list[Finding]:
        assert given.folder
        (given.folder.htp / "compiled").mkdir()  # as the compiler does
        seen.append((model, given.device, given.run, given.folder.ledger))
        return passing()

    monkeypatch.setattr(plan, "check_model", check)
    monkeypatch.setattr(plan, "is_available", lambda: installed)
    wanted = plan.Wanted(run, run.root / "bundle.zip")
    plan.findings_of(folder, wanted, plan.asked_about(wanted, CONTRACT))
    assert seen == [(run.model, DEVICE if asked else None, run, folder.ledger)]
    assert not folder.root.exists()


def test_meaning_without_frames_is_undecided_and_never_called_passed() -> None:
    item = items.check_item(Path("runs/x"), passing("undecided"), data=None, device=None)
    assert item.remedy == "Give real frames with truth: --data DIR."
    of_data = items.check_item(Path("runs/x"), passing("undecided"), data=Path("a b"), device=DEVICE)
    assert of_data.command == f"lpcv check runs/x --data 'a b' --device '{DEVICE}'"
    assert of_data.command in of_data.remedy
    assert (item.state, "1 is undecided: depth, not inverse" in item.found) == ("undecided", True)
    assert items.check_item(Path("runs/x"), passing(), data=None, device=None).state == "pass"


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
    assert "--accept-license CC-BY-NC-4.0" in plan["lines"]["licences"]["remedy"]
    assert "Depth-Anything-V2-Base" in plan["lines"]["licences"]["remedy"]  # the precedent
    assert plan["said"].rstrip().endswith("--accept-license CC-BY-NC-4.0")  # the next step
    ended = bench.type("submit", run.root, "--yes", "--accept-license", "MIT")  # another's name is no acceptance
    assert ended.code == 1
    assert shared_with(bench, job) == []
    ended = bench.type("submit", run.root, "--yes", "--accept-license", "cc-by-nc-4.0")
    assert ended.code == 0, ended.err
    (kept,) = Submissions(bench.folder).all()
    assert kept.intended["licences_accepted"] == ["CC-BY-NC-4.0"]
    assert in_bundle(run.root / "bundle.zip", "decisions.json") == {
        "model_sha256": sha256_file(run.model), "rehearsal": True, "despite": [], "reason": "",
        "licences_accepted": ["CC-BY-NC-4.0"],
    }  # fmt: skip
    accepted = in_bundle(run.root / "bundle.zip", "licences.json")["accepted"]
    assert accepted == "none: only in a rehearsal, which accepts nothing: CC-BY-NC-4.0"


def test_the_licences_line_says_what_the_records_say(tmp_path: Path) -> None:
    blocked = items.licences_item(make_run(tmp_path / "a", {**FREE, "teacher": OF_LARGE}), [])
    assert blocked.state == "fail"
    assert blocked.found == "non-commercial: CC-BY-NC-4.0: teacher (depth-anything/Depth-Anything-V2-Large-hf)"
    assert blocked.remedy.endswith("--accept-license CC-BY-NC-4.0")
    good = items.licences_item(make_run(tmp_path / "b"), [])
    assert good.state == "pass"
    assert good.found.startswith("teacher licence: none: trained without a teacher; encoder weights licence: none")
    silent = items.licences_item(make_run(tmp_path / "c", {}), [])
    assert silent.state == "undecided"
    assert silent.found.count("not recorded") == len(PARTS)


def test_a_licence_fails_one_line_and_accepted_none(tmp_path: Path) -> None:
    run = make_run(tmp_path / "a", {**FREE, "encoder_weights": {"name": "mine.pth", "licence": "CC-BY-NC-4.0"}})
    findings = [*passing(), *licence_findings(run)]
    assert [finding.state for finding in findings].count("fail") == 1
    assert items.check_item(run.root, findings, data=Path("d"), device=None).state == "pass"
    assert items.licences_item(run, []).state == "fail"
    assert items.licences_item(run, ["cc-by-nc-4.0"]).state == "pass"


@pytest.mark.slow
def test_which_job_is_submitted(bench: Bench, run: Run) -> None:
    assert planned(bench, run)["blocked"] == ["job", "profile"]
    ended = bench.type("submit", run.root, "--yes", "--despite", "job", "--despite", "profile", "--reason", WHY)
    assert ended.code == 1
    assert "Not submitted: job failed" in ended.err
    assert "--despite job" not in ended.err  # no reason helps against that
    assert f"Next: lpcv compile {run.root} --device '{DEVICE}' --hub {bench.served.ini}" in ended.err
    elsewhere = compile_run(bench, run, "Samsung Galaxy S23")
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


@pytest.mark.slow
def test_the_contracts_phone_counts_under_its_other_names(bench: Bench, run: Run) -> None:
    job = compile_run(bench, run, S24)
    assert S24 not in CONTRACT.devices
    plan = planned(bench, run)
    assert (plan["blocked"], plan["compile_job"], plan["device"]) == ([], job, S24)
    assert f"{S24}, " in plan["lines"]["job"]["found"]
    assert f"the chip of the contract's {DEVICE}" in plan["lines"]["job"]["found"]


@pytest.mark.parametrize(
    ("compiled", "profiled", "counts"),
    [(S24, DEVICE, True), (DEVICE, S24, True), (S24, "Samsung Galaxy S23", False), ("Samsung Galaxy S23", S24, False)],
)
def test_a_profile_counts_on_the_same_phone(compiled: str, profiled: str, counts: bool) -> None:
    assert same_phone(compiled, profiled, CONTRACT.devices) == counts
    assert same_chip(compiled, CONTRACT.devices) == (compiled != "Samsung Galaxy S23")


@pytest.mark.slow
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
    checks_as(monkeypatch)
    run = make_run(tmp_path / "runs" / "mine")
    for one in (two.rehearsal, two.real):
        job = compile_run(one, run)
        if one is two.real:
            plan = planned(one, run)
            assert plan["blocked"] == ["profile", "edition"]  # the rehearsal's stands in the same ledger
            assert "was never profiled" in plan["lines"]["profile"]["found"]
        assert one.type("profile", job).code in (0, 1)
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
    why = ["--despite", "edition", *([] if within else ["--despite", "profile"]), "--reason", WHY]
    sent = two.real.type("submit", run.root, "--yes", *why)
    assert sent.code == 0, sent.err
    assert not [word for word in ("REHEARSAL", "(rehearsal)", "stand-in") if word in sent.said]
    assert f"  Compile Job Id: {real['compile_job']}\n" in sent.out
    assert f"latency, measured: {milliseconds(latency)} ms" in sent.out
    assert shared_with(two.real, real["compile_job"]) == [CONTRACT.sharing_address]
    assert shared_with(two.rehearsal, rehearsal_job) == []
    tight = dataclasses.replace(CONTRACT, latency_budget_ms=latency / 2)
    monkeypatch.setattr("lpcv.contract.CURRENT", tight)
    assert planned(two.real, run)["blocked"] == ["profile", "edition"]
    profiles = two.real.folder.root.glob("jobs/*/profile.json")
    kept = next(path for path in profiles if '"rehearsal": false' in path.read_text())
    kept.write_text("{}")
    assert "is not kept here" in planned(two.real, run)["lines"]["profile"]["found"]


def test_another_reason_is_another_decision_and_shares_nothing_again(
    bench: Bench, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    compile_run(bench, run)
    checks_as(monkeypatch, "fail")
    times: list[str | None] = []
    for reason in (WHY, "another"):
        ended = bench.type("submit", run.root, "--yes", "--despite", "check", "--reason", reason)
        assert ended.code == 0
        times = [*times, Submissions(bench.folder).all()[0].shared_at]
    assert "nothing was shared again" in ended.err
    (kept,) = Submissions(bench.folder).all()
    assert kept.intended["reason"] == "another"
    assert times == [kept.shared_at] * 2  # a deadline is judged by the first
    copies = sorted(Submissions(bench.folder).root.glob("*/bundle-*.zip"))
    assert sorted(in_bundle(path, "decisions.json")["reason"] for path in copies) == sorted((WHY, "another"))
    assert sha256_file(bench.folder.root / kept.intended["bundle_copy"]) == kept.intended["bundle_sha256"]
    assert f"A copy of it is kept: {bench.folder.root / kept.intended['bundle_copy']}" in ended.out
    assert len(list(Submissions(bench.folder).root.glob("*/*.json"))) == 4


@pytest.mark.parametrize(
    ("over", "closing", "state", "said"),
    [
        (True, None, "fail", "lpcvc-2025 is over"),
        (False, None, "undecided", "not recorded in our sources"),
        (False, "2025-04-01", "fail", "over: it closed on 2025-04-01"),
        (False, "2025-04-02", "pass", "open until 2025-04-02"),
        (False, "2025-04-03", "pass", "open until 2025-04-03"),
        (True, "2025-04-03", "fail", "over: it closed on 2025-04-03"),
    ],
)
def test_a_closed_edition_blocks_what_is_meant_in_earnest(
    over: bool, closing: str | None, state: str, said: str
) -> None:
    edition = dataclasses.replace(CONTRACT, closing_date=closing, over=over)
    item = items.edition_item(edition, date(2025, 4, 2), rehearsal=False)
    assert (item.state, said in item.found) == (state, True)
    rehearsed = items.edition_item(edition, date(2025, 4, 2), rehearsal=True)
    assert rehearsed.state == ("undecided" if state == "fail" else state)
    assert ("it would block" in rehearsed.found) == (state == "fail")


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
