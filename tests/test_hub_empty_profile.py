"""A profile that says nothing is not kept: the same command asks again, and orders no second job."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hub_bench import Bench, bench, place, told  # noqa: F401
from hub_faults import RESULT, App, Fault
from qai_hub import public_api_pb2 as pb


def answer(result: pb.JobResult) -> Fault:
    body = result.SerializeToString()

    async def fault(app: App, scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200,
                    "headers": [(b"content-type", b"application/x-protobuf")]})  # fmt: skip
        await send({"type": "http.response.body", "body": body})

    return fault


def without_a_number() -> pb.JobResult:
    result = pb.JobResult()
    result.inference_job_result.detail.major_version = 1
    return result


@pytest.mark.parametrize("result", [pb.JobResult(), without_a_number()], ids=["nothing", "no number"])
def test_an_empty_profile_is_asked_for_again(bench: Bench, result: pb.JobResult) -> None:
    command = ["profile", bench.compiled()]
    with bench.faults.on(RESULT, answer(result)) as rule:
        sentence = told(bench.type(*command))
    assert rule.hits
    (record,) = bench.records()[1:]
    assert sentence.startswith(f"the stand-in has no profile of job {record.job_id} yet. Type the command again")
    assert record.fetched == {}
    assert not list(bench.folder.job(record.job_id or "").glob("*"))
    assert bench.type(*command).code == 0
    assert bench.jobs == 1


def test_an_empty_profile_that_was_kept_is_fetched_anew(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """As earlier versions kept it."""
    command = ["profile", bench.compiled()]
    with monkeypatch.context() as patched, bench.faults.on(RESULT, answer(pb.JobResult())):
        patched.setattr("lpcv.hub_jobs.collect._says_something", lambda raw: True)
        bench.type(*command)
    (record,) = bench.records()[1:]
    kept = bench.folder.root / record.fetched["profile"]["path"]
    assert json.loads(kept.read_text())["profile"] == {}
    assert bench.type(*command).code == 0
    assert json.loads(kept.read_text())["profile"]["execution_summary"]
    assert bench.jobs == 1
