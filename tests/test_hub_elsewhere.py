"""The same order from another folder, with a lost ledger, or by another account: found again, or kept apart."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path

from hub_bench import IMAGE, Bench, bench, compiling, place, told  # noqa: F401
from hub_faults import JOB, LIST, SUBMIT, answers
from lpcv.hub_jobs.history import spent_today


def move(bench: Bench) -> None:
    """As if the command were typed on another machine: the ledger and all that was fetched are gone."""
    shutil.rmtree(bench.folder.root)


def test_from_another_folder_the_job_is_found_by_its_mark(bench: Bench) -> None:
    command = compiling(bench.model())
    assert bench.type(*command).code == 0
    (first,) = bench.records()
    move(bench)
    ended = bench.type(*command)
    assert ended.code == 0, ended.err
    assert "found by its mark: ordered from another folder or ledger" in ended.err
    assert (bench.jobs, bench.uploads) == (1, 1)
    (found,) = bench.records()
    assert found.job_id == first.job_id
    assert bench.events("submitted")[-1].facts["known_by"] == "mark"
    assert list(bench.folder.job(str(found.job_id)).iterdir())
    looked = bench.faults.count(LIST)
    assert "was submitted before; it is used again" in bench.type(*command).err
    assert bench.faults.count(LIST) == looked  # from now on the ledger knows it
    assert spent_today(bench.records(), found.hub) == 0


def test_one_look_at_the_list_is_enough_for_all_jobs_of_a_command(bench: Bench) -> None:
    model = bench.compiled(IMAGE)
    infer = ["infer", model, "--data", bench.images(2), "--frames-per-job", 1]
    looked = bench.faults.count(LIST)
    assert bench.type(*infer).code == 0
    assert bench.faults.count(LIST) == looked + 1
    predicted = {path.name: path.read_bytes() for path in bench.folder.root.glob("predictions/*/*.npy")}
    move(bench)
    assert bench.type(*compiling(model)).code == 0
    ended = bench.type(*infer)
    assert ended.code == 0, ended.err
    assert ended.err.count("found by its mark") == 2
    assert (bench.jobs, bench.uploads) == (2, 2)
    assert {path.name: path.read_bytes() for path in bench.folder.root.glob("predictions/*/*.npy")} == predicted


def test_again_orders_another_beside_all_that_bear_the_mark(bench: Bench) -> None:
    command = compiling(bench.model())
    assert bench.type(*command).code == 0
    for jobs in (2, 3):
        move(bench)
        ended = bench.type(*command, "--again")
        assert ended.code == 0, ended.err
        assert ended.err.count("found by its mark") == jobs - 1
        assert bench.jobs == jobs
    assert [record.intended["nth"] for record in bench.records()] == [0, 1, 2]


def test_where_nobody_can_look_nothing_is_sent(bench: Bench) -> None:
    command = compiling(bench.model())
    with bench.faults.on(LIST, answers(503)):
        assert "answers with 503" in told(bench.type(*command))
    assert (bench.jobs, bench.uploads) == (0, 0)
    assert bench.type(*command).code == 0
    assert bench.jobs == 1


def test_reconcile_says_how_a_stranger_is_taken_over(bench: Bench) -> None:
    assert bench.type(*compiling(bench.model())).code == 0
    job = str(bench.records()[0].job_id)
    move(bench)
    out = bench.type("jobs", "reconcile").out
    assert "not in this ledger: type its command again, which takes it over" in out
    assert job in out


def test_a_job_that_was_gone_is_asked_for_again(bench: Bench) -> None:
    """A 404 may have come from in between: `jobs wait` does not take it for an end."""
    command = compiling(bench.model())
    with bench.faults.on(JOB, answers(404)):
        ended = bench.type(*command)
    assert ended.code == 1
    assert "not known there any more" in ended.out
    assert f"or belongs to another account (it was ordered with --hub {bench.served.ini})" in ended.err
    assert bench.records()[0].state == "GONE"
    ended = bench.type("jobs", "wait")
    assert ended.code == 0, ended.said
    assert "succeeded" in ended.out
    assert bench.records()[0].state == "SUCCESS"


def test_a_job_that_was_ordered_anew_is_not_waited_for(bench: Bench) -> None:
    command = compiling(bench.model())
    with bench.faults.on(JOB, answers(401)):
        told(bench.type(*command))
    job = bench.records()[0].job_id
    store = bench.served.hub.store
    while store.rows("SELECT 1 FROM jobs WHERE id = ? AND finished IS NULL", job):
        time.sleep(0.005)
    store.run("DELETE FROM jobs WHERE id = ?", job)
    assert bench.type(*command).code == 1
    assert bench.type("jobs", "wait").code == 1  # nobody knows what became of it
    assert bench.type(*command, "--again").code == 0
    ended = bench.type("jobs", "wait")
    assert ended.code == 0
    assert "Every job of this hub has ended." in ended.err


def test_a_token_that_is_refused_is_an_outcome_too(bench: Bench, tmp_path: Path) -> None:
    command = [*compiling(bench.model()), "--json", str(tmp_path / "told.json")]
    for where in (SUBMIT, JOB):
        with bench.faults.on(where, answers(401)):
            sentence = told(bench.type(*command))
        written = json.loads((tmp_path / "told.json").read_text())
        assert written["outcome"] == "Unauthorised"
        assert written["reason"] in sentence
        assert "does not accept the token" in written["reason"]
    with bench.faults.on(JOB, answers(401)):
        assert "does not accept the token" in told(bench.type("jobs", "wait"))
    assert bench.type(*command).code == 0
    assert bench.jobs == 1
