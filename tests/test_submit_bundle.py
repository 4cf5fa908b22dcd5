"""The bundle of what `lpcv submit` sends: packaged on the way, never written over another's, its scores listed."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest
from hub_bench import Bench, place, told  # noqa: F401 (place is a fixture)
from hub_fixtures import S24
from lpcv.files import sha256_file
from lpcv.runs import Run
from lpcv.submission.bundle.pack import package
from lpcv.submission.submit.record import Submissions
from lpcv.submission.submit.scores import cell, summary
from submit_bench import (  # noqa: F401 (fixtures)
    WHY,
    bench,
    compile_run,
    in_bundle,
    make_run,
    planned,
    rows,
    run,
    shared_with,
    typed,
    write_score,
)
from test_hub_rehearsal import Two, places, two  # noqa: F401 (two fixtures)


def test_a_bundle_that_is_damaged_or_of_another_model_blocks(bench: Bench, run: Run, tmp_path: Path) -> None:
    compile_run(bench, run)
    bundle = run.root / "bundle.zip"
    other = package(make_run(tmp_path / "runs" / "other"), tmp_path / "other.zip")
    of_other = sha256_file(other)
    plan = planned(bench, run, "--bundle", other)
    assert "holds another model than" in plan["lines"]["bundle"]["found"]
    with zipfile.ZipFile(run.root / "not.zip", "w") as archive:
        archive.writestr("../out", b"x")
    plan = planned(bench, run, "--bundle", run.root / "not.zip")
    assert plan["blocked"] == ["bundle"]
    assert "Give --bundle another name" in plan["lines"]["bundle"]["remedy"]
    ended = bench.type("submit", run.root, "--yes", "--bundle", other, "--despite", "bundle", "--reason", WHY)
    assert (ended.code, "--despite bundle" in ended.err) == (1, False)
    assert sha256_file(other) == of_other
    assert "Next:" not in plan["said"]
    content = bytearray(bundle.read_bytes())
    content[len(content) // 2] ^= 1
    bundle.write_bytes(content)
    assert planned(bench, run)["blocked"] == ["bundle"]
    assert bundle.read_bytes() == content


def test_a_bundle_that_is_not_there_is_packaged_on_the_way(bench: Bench, run: Run) -> None:
    job = compile_run(bench, run)
    bundle = run.root / "bundle.zip"
    content = package(run, bundle, bench.folder).read_bytes()
    bundle.unlink()
    plan = planned(bench, run)
    assert (plan["blocked"], plan["lines"]["bundle"]["state"], plan["bundle_sha256"]) == ([], "pass", None)
    assert not bundle.exists()
    assert bench.type("submit", run.root, "--yes").code == 0
    assert bundle.read_bytes() == content  # as `lpcv package` packs it
    assert not run.decisions.exists()
    (kept,) = Submissions(bench.folder).all()
    lines = {item["name"]: item["state"] for item in kept.intended["checklist"]}
    assert (kept.compile_job, kept.intended["bundle_sha256"]) == (job, sha256_file(bundle))
    assert lines["bundle"] == "pass"


def test_an_older_bundle_of_this_model_is_replaced_and_that_is_said(bench: Bench, run: Run) -> None:
    compile_run(bench, run)
    write_score(run, 72.5)
    assert "will be replaced" in planned(bench, run)["lines"]["bundle"]["found"]
    ended = bench.type("submit", run.root, "--yes")
    assert ended.code == 0
    assert "which replaces the one that is there" in ended.err
    (kept,) = Submissions(bench.folder).all()
    assert kept.intended["scores"]["float"][0]["f_score"] == 72.5


def test_each_kind_of_score_is_recorded_and_listed_in_a_column_of_its_own(bench: Bench, run: Run) -> None:
    """Out of the bundle, which is the one source."""
    compile_run(bench, run)
    row = {
        "computed_by": "HTP emulator",
        "precision": "w8a16",
        "frames": ["0000", "0001"],
        "frame_scores": rows(70.5, 2),
    }
    told = {"model_sha256": sha256_file(run.model), "finished": True, "device": S24,
            "rows": [{**row, "mean": {"f_score": 70.5}}]}  # fmt: skip
    (run.root / "emulated.json").write_text(json.dumps(told))
    assert bench.type("submit", run.root, "--yes").code == 0
    (kept,) = Submissions(bench.folder).all()
    scores = kept.intended["scores"]
    assert [(each["f_score"], each["frames"]) for each in scores["float"]] == [(71.25, 24)]
    assert [(each["f_score"], each["frames"], each["precision"]) for each in scores["emulated"]] == [(70.5, 2, "w8a16")]
    assert scores["measured"] == []
    assert in_bundle(run.root / "bundle.zip", "scores.json")["emulated"]["rows"][0]["mean"]["f_score"] == 70.5
    listed = typed("submissions").out
    assert [word in listed for word in ("71.25", "70.50", "w8a16")] == [True] * 3


def test_a_devices_score_stands_beside_its_job_and_never_in_anothers_place() -> None:
    score = {"mean": {"f_score": 69.125}, "frames_scored": 24, "frames_trained_on": 3, "protocol": "lpcvc-2025"}
    jobs = {"job": {"job_id": "jabcd1234", "device": S24}}
    found = summary({"float": "none: not scored", "emulated": "none: no file",
                     "measured": {"scores": [{**score, **jobs}], "latencies": "none: no profile"}})  # fmt: skip
    assert found == {
        "float": [], "emulated": [],
        "measured": [{"f_score": 69.125, "frames": 24, "frames_trained_on": 3, "protocol": "lpcvc-2025",
                      "data_sha256": None, "job": "jabcd1234", "device": S24}],
    }  # fmt: skip
    assert [cell(found, kind) for kind in found] == ["none", "none", "69.12 on 24 frames, 3 trained on"]
    assert cell(None, "float") == "none"  # a record of another version


def test_what_is_no_bundle_is_never_written_over(bench: Bench, run: Run) -> None:
    job = compile_run(bench, run)
    over = ["--yes", "--despite", "bundle", "--reason", WHY]
    config = run.config.read_bytes()
    assert "which is read here" in told(bench.type("submit", run.root, "--bundle", run.config, *over))
    text = run.root / "notes.txt"
    text.write_text("mine")
    assert bench.type("submit", run.root, "--bundle", text, *over).code == 1
    assert text.read_text() == "mine"
    assert run.config.read_bytes() == config
    assert shared_with(bench, job) == []


def test_a_run_that_cannot_be_packaged_blocks_with_the_reason(bench: Bench, run: Run) -> None:
    compile_run(bench, run)
    run.score.write_text(json.dumps({**json.loads(run.score.read_text()), "source_sha256": "of another"}))
    plan = planned(bench, run)
    assert plan["blocked"] == ["bundle"]
    assert "score of another model" in plan["lines"]["bundle"]["found"]


def test_a_bundle_that_fails_all_the_same_is_overruled_by_name(
    bench: Bench, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = compile_run(bench, run)
    monkeypatch.setattr("lpcv.submission.submit.bundling.verify", lambda _: ["model.onnx, output name: is wrong."])
    (run.root / "bundle.zip").unlink()
    assert "Nothing was shared" in told(bench.type("submit", run.root, "--yes"))
    assert shared_with(bench, job) == []
    assert bench.type("submit", run.root, "--yes", "--despite", "bundle", "--reason", WHY).code == 0
    assert bench.type("submit", run.root, "--yes", "--despite", "bundle", "--reason", WHY).code == 0
    (kept,) = Submissions(bench.folder).all()
    assert (kept.intended["despite"], kept.intended["reason"]) == (["bundle"], WHY)
    assert len(list(Submissions(bench.folder).root.glob("*/*.json"))) == 2
    assert not run.decisions.exists()  # whoever verifies the bundle sees it
