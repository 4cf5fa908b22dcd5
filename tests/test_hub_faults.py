"""Whatever AI Hub answers, and wherever: a sentence, and the same command typed again ends well, with one job."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hub_bench import QUICK, Bench, Ended, bench, bench_at, compiling, impatience, ordering, place, told  # noqa: F401
from hub_faults import (
    CREATE_DATASET,
    CREATE_MODEL,
    DATASET_DONE,
    DEVICES,
    FILE,
    FORM,
    FORM_URL,
    GET_DATASET,
    GET_MODEL,
    GET_SHARING,
    JOB,
    LIST,
    MODEL_URL,
    OUTPUT_URL,
    PART,
    PART_URLS,
    PARTS_DONE,
    PROBE,
    RESULT,
    SHARE,
    SUBMIT,
    WORDS,
    Endpoint,
    Fault,
    Faults,
    answers,
    dropped,
    first,
    half,
    late,
    once,
    postponed,
    silent,
)  # fmt: skip
from hub_fixtures import Served

PAGE = b"<!DOCTYPE html><html>Please log in</html>"
STATUSES = (401, 403, 404, 409, 413, 426, 429, 500, 502, 503, 504)
FAULTS: dict[str, Fault] = {
    **{str(status): answers(status) for status in STATUSES},
    "400": answers(400),
    "429-after-7": answers(429, retry_after="7"),
    "503-after-7": answers(503, retry_after="7"),
    "502-handled": answers(502, handled=True),
    "504-handled": answers(504, handled=True),
    "dropped": dropped(),
    "dropped-handled": dropped(handled=True),
    "half": half(),
    "page": answers(200, body=PAGE),
}
HANDLED = {"502-handled", "504-handled", "dropped-handled", "half"}
FEW = ("401", "404", "429", "503", "dropped-handled", "half", "page")
STAGES = {
    "compile": (PROBE, DEVICES, CREATE_MODEL, PART_URLS, PART, PARTS_DONE, GET_MODEL, LIST, SUBMIT, JOB, MODEL_URL,
                FILE),
    "infer": (CREATE_DATASET, FORM_URL, FORM, DATASET_DONE, GET_DATASET, SUBMIT, RESULT, OUTPUT_URL, FILE),
    "profile": (SUBMIT, RESULT),
}  # fmt: skip
STORAGE = (PART, FORM, FILE)  # of its refusals the client shows the status alone
NO_BODY = {(PART, "half"), (FORM, "half")}  # half of nothing is no fault
TURNS = 16  # of which one is always run: with those at the submission about a fifth, without waiting for minutes
SHARING_ALWAYS = {(GET_SHARING, "401"), (SHARE, "403"), (SHARE, "dropped-handled")}


def _cases() -> Iterator[object]:
    """All of them; always those at the first submission, and some of each other stage, different ones."""
    turn = 0
    for verb, stages in STAGES.items():
        for stage in stages:
            for name in FAULTS if verb == "compile" or stage == SUBMIT else FEW:
                always = (verb, stage) == ("compile", SUBMIT)
                if not always:
                    turn += 1
                    always = turn % TURNS == 0
                yield pytest.param(
                    verb, stage, name, id=f"{verb}-{stage}-{name}", marks=() if always else pytest.mark.slow
                )


def ends_well(bench: Bench, ended: Ended, uploads: int = 1) -> None:
    assert ended.code == 0, ended.said
    assert (bench.jobs, bench.uploads) == (1, uploads)
    assert [event.event for event in bench.events()][-1] == "fetched"


@pytest.mark.parametrize(("verb", "stage", "name"), list(_cases()))
def test_a_lasting_fault_and_the_same_command_again(bench: Bench, verb: str, stage: Endpoint, name: str) -> None:
    command = ordering(bench, verb)
    with bench.faults.on(stage, FAULTS[name]) as rule:
        ended = bench.type(*command)
    assert rule.hits
    uploads = int(verb != "profile")
    if (stage, name) in NO_BODY or (stage == SUBMIT and name in HANDLED):
        ends_well(bench, ended, uploads)  # the job is found, or there was nothing to lose
        return
    if (stage, name) == (JOB, "404"):
        assert ended.code == 1
        assert "is not known there any more" in ended.out
    else:
        sentence = told(ended)
        if name == "401":
            assert "does not accept the token" in sentence
        elif name[0] == "4" and stage not in STORAGE and len(name) == 3 and name != "429":
            assert WORDS in sentence or (name == "404" and "could not be found" in sentence)  # the client's own words
    assert bench.served.token not in ended.said
    # an upload that was completed but never confirmed is not known to anybody
    lost = stage in (PARTS_DONE, DATASET_DONE) and name in HANDLED
    ends_well(bench, bench.type(*command), uploads + lost)
    keys = [event.key for event in bench.events("uploaded")]
    assert len(keys) == len(set(keys))


@pytest.mark.parametrize(
    ("stage", "name"),
    [
        pytest.param(
            stage, name, marks=() if (stage, name) in SHARING_ALWAYS else pytest.mark.slow, id=f"{stage}-{name}"
        )
        for stage in (GET_SHARING, SHARE)
        for name in (*FEW, "403", "413")
    ],
)
def test_a_fault_while_sharing(bench: Bench, stage: Endpoint, name: str) -> None:
    bench.type(*compiling(bench.model()))
    (record,) = bench.records()
    sharing = ["jobs", "share", record.job_id, "--with", "a@example.org", "--with", "b@example.org", "--yes"]
    with bench.faults.on(stage, FAULTS[name]):
        told(bench.type(*sharing))
    ended = bench.type(*sharing)
    assert ended.code == 0, ended.err
    assert set(bench.served.hub.store.shared_with("jobs", str(record.job_id))) == {"a@example.org", "b@example.org"}
    assert set(bench.records()[0].shared) == {"a@example.org", "b@example.org"}
    assert len(bench.events("shared")) == 1


@pytest.mark.parametrize("stage", [SHARE, GET_SHARING], ids=str)
def test_sharing_is_tried_again_where_the_client_does_not(bench: Bench, stage: Endpoint) -> None:
    bench.type(*compiling(bench.model()))
    (record,) = bench.records()
    with bench.faults.on(stage, answers(503), times=1 if stage == SHARE else 7):
        assert bench.type("jobs", "share", record.job_id, "--with", "a@example.org", "--yes").code == 0


@pytest.mark.parametrize(
    ("fault", "times", "jobs_sent"),
    [(answers(503), 1, 2), (answers(500), 2, 3), (dropped(), 2, 3), (dropped(handled=True), 1, 1)],
    ids=["503", "500-twice", "dropped-twice", "dropped-handled"],
)
def test_a_passing_fault_at_the_submission_needs_no_second_command(
    bench: Bench, fault: Fault, times: int, jobs_sent: int
) -> None:
    before = bench.faults.count(SUBMIT)
    with bench.faults.on(SUBMIT, fault, times=times):
        ends_well(bench, bench.type(*compiling(bench.model())))
    assert bench.faults.count(SUBMIT) - before == jobs_sent


@pytest.mark.parametrize(
    ("retry_after", "waits"),
    [(None, [20, 40]), ("7", [7, 7]), ("0.5", [0.5, 0.5]), ("9999", [600, 600]), ("-1", [20, 40]), ("nan", [20, 40]),
     ("Wed, 21 Oct 2026 07:28:00 GMT", [20, 40])],
)  # fmt: skip
def test_a_rate_limit_is_waited_for(bench: Bench, retry_after: str | None, waits: list[float]) -> None:
    with bench.faults.on(SUBMIT, answers(429, retry_after=retry_after), times=2):
        ended = bench.type(*compiling(bench.model()))
    ends_well(bench, ended)
    assert [seconds for seconds in bench.clock.slept if seconds in (7, 0.5, 600, 20, 40)] == waits
    assert ended.err.count("Ctrl-C is safe") == 2


@pytest.mark.parametrize("fault", [silent(handled=True), dropped(handled=True), answers(504, handled=True)],
                         ids=["silent", "dropped", "504"])  # fmt: skip
def test_neither_answer_nor_list_and_the_job_is_found_the_next_time(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, fault: Fault
) -> None:
    impatience(monkeypatch, 0.8)
    command = compiling(bench.model())
    with bench.faults.on(SUBMIT, fault) as rule, bench.faults.on(LIST, once(rule, answers(503))):
        told(bench.type(*command))
    assert bench.events()[-1].event == "attempted"
    ended = bench.type(*command)
    ends_well(bench, ended)
    assert "cut off" in ended.err


def test_a_job_that_appears_late_is_waited_for(bench: Bench) -> None:
    appears = threading.Event()
    looked = iter(range(100))
    with (
        bench.faults.on(SUBMIT, postponed(appears, 504)),
        bench.faults.on(LIST, first(lambda: next(looked) == 3 and appears.set())),
    ):
        ends_well(bench, bench.type(*compiling(bench.model())))
    assert next(looked) > 4


def test_a_job_that_appears_after_the_command_gave_up_is_found(bench: Bench) -> None:
    appears = threading.Event()
    command = compiling(bench.model())
    with bench.faults.on(SUBMIT, dropped()), bench.faults.on(SUBMIT, postponed(appears, 504), times=1):
        told(bench.type(*command))
    assert bench.jobs == 0
    appears.set()
    while bench.jobs == 0:
        time.sleep(0.005)
    ends_well(bench, bench.type(*command))


@pytest.mark.parametrize(
    ("where", "fault", "times"),
    [
        (SUBMIT, silent(handled=True), 1),
        (SUBMIT, silent(), 1),
        (JOB, silent(), 2),
        pytest.param(PROBE, late(0.01), 1, marks=pytest.mark.slow),
        pytest.param(CREATE_MODEL, silent(handled=True), 1, marks=pytest.mark.slow),
        pytest.param(PART, silent(), 1, marks=pytest.mark.slow),
        pytest.param(PARTS_DONE, silent(handled=True), 1, marks=pytest.mark.slow),
        (FILE, half(then_silent=True), 1),
        pytest.param(MODEL_URL, silent(), 1, marks=pytest.mark.slow),
    ],
)
def test_silence_past_the_clients_patience(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, where: Endpoint, fault: Fault, times: int
) -> None:
    impatience(monkeypatch, 0.8)
    with bench.faults.on(where, fault, times=times) as rule:
        ends_well(bench, bench.type(*compiling(bench.model())))
    assert rule.hits == times


def test_a_submission_that_is_never_answered(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    command = compiling(bench.model())
    with pytest.MonkeyPatch.context() as patched, bench.faults.on(SUBMIT, silent()) as rule:
        impatience(patched, 0.4)
        sentence = told(bench.type(*command))
    assert "did not answer" in sentence
    assert rule.hits == 3  # and each time the list was searched first
    ends_well(bench, bench.type(*command))


@pytest.mark.parametrize(
    "where", [None, PART, pytest.param(SUBMIT, marks=pytest.mark.slow), JOB, pytest.param(FILE, marks=pytest.mark.slow)]
)
def test_the_server_goes_and_comes_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: object, where: Endpoint | None
) -> None:
    faults, root = Faults(), tmp_path / "server"
    with Served(root, faults, QUICK) as served:
        bench = bench_at((served, faults), tmp_path, monkeypatch)
        command = compiling(bench.model())
        if where is not None:

            def stop() -> None:
                served._server.should_exit = True

            with faults.on(where, first(stop, dropped())):
                sentence = told(bench.type(*command))
    if where is None:
        sentence = told(bench.type(*command))
        assert not bench.folder.root.exists() or not bench.events()
        assert bench.clock.slept == []  # nobody waits for a server that is not there
        assert "cannot be reached" in sentence
    assert "Type the same command again" in sentence
    with Served(root, faults, QUICK) as bench.served:
        ends_well(bench, bench.type(*command))
