"""A rehearsal is never used as a real job, nor the other way round: one ledger, one model, two hubs."""

from __future__ import annotations

import configparser
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hub_bench import IMAGE, QUICK, Bench, Ended, bench_at, compiling, shared_stand_in, told
from hub_faults import JOB, App, Faults, answers
from hub_fixtures import Served
from lpcv.cli import run

REAL_NAME = "aihub.example"


@dataclass(frozen=True)
class Two:
    """The same desk at a stand-in, and at a server that lpcv must take for the real one."""

    rehearsal: Bench
    real: Bench


def under_its_own_name(app: App) -> App:
    """A stand-in answers to 127.0.0.1 only; here it is called by another name."""

    async def renamed(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            headers = [(key, b"127.0.0.1" if key == b"host" else value) for key, value in scope["headers"]]
            scope = {**scope, "headers": headers}
        await app(scope, receive, send)

    return renamed


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[tuple[Served, Faults], Served]]:
    """A stand-in, and one without the section that makes it one, under a name that is not this machine's."""
    root = tmp_path_factory.mktemp("two")
    with shared_stand_in(root) as place, Served(root / "real", under_its_own_name, QUICK) as real:
        ini = configparser.ConfigParser()
        ini.read(real.ini)
        ini.remove_section("lpcv")
        for key in ("api_url", "web_url"):
            ini["api"][key] = ini["api"][key].replace("127.0.0.1", REAL_NAME)
        real.ini = root / "real.ini"
        with real.ini.open("w") as stream:
            ini.write(stream)
        yield place, real


@pytest.fixture
def two(places: tuple[tuple[Served, Faults], Served], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Two:
    resolve = socket.getaddrinfo

    def getaddrinfo(host: Any, *args: Any, **kwargs: Any) -> Any:
        assert host in ("127.0.0.1", "localhost", REAL_NAME)
        return resolve("127.0.0.1" if host == REAL_NAME else host, *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    place, real = places
    rehearsal = bench_at(place, tmp_path, monkeypatch)
    return Two(rehearsal, Bench(real, place[1], rehearsal.clock, tmp_path))


def jobs(two: Two) -> tuple[int, int]:
    return two.rehearsal.jobs, two.real.jobs


@pytest.mark.parametrize("first_is_real", [True, False])
def test_each_hub_gets_a_job_of_its_own(two: Two, first_is_real: bool) -> None:
    one, other = (two.real, two.rehearsal) if first_is_real else (two.rehearsal, two.real)
    command = compiling(one.model())
    assert one.type(*command).code == 0
    assert (one.jobs, other.jobs) == (1, 0)
    ended = other.type(*command)
    assert ended.code == 0, ended.err
    assert "used again" not in ended.err
    assert jobs(two) == (1, 1)
    assert (one.uploads, other.uploads) == (1, 1)  # what was uploaded is not shared either
    for bench in (one, other):
        assert "used again" in bench.type(*command).err
    assert jobs(two) == (1, 1)
    assert len({(record.key, record.hub) for record in one.records()}) == 2
    assert {record.intended["rehearsal"] for record in one.records()} == {True, False}


@pytest.mark.parametrize("verb", ["profile", "infer"])
def test_a_rehearsals_compile_job_is_not_run_on_a_device_nor_the_other_way_round(two: Two, verb: str) -> None:
    more = ["--data", two.real.images(1)] if verb == "infer" else []
    for here, there in ((two.rehearsal, two.real), (two.real, two.rehearsal)):
        model = here.compiled(IMAGE)
        sentence = told(there.type(verb, model, *more))
        assert "has no compile job" in sentence
        assert there.jobs == 0


def test_a_job_of_one_hub_is_not_asked_of_the_other(two: Two, capsys: pytest.CaptureFixture[str]) -> None:
    ids = {}
    for bench in (two.rehearsal, two.real):
        assert bench.type(*compiling(bench.model(IMAGE))).code == 0
        ids[bench.served.ini] = bench.records()[-1].job_id
    for bench in (two.rehearsal, two.real):
        assert bench.type("jobs", "last", "compile").out.split() == [ids[bench.served.ini]]
    assert run(["jobs", "last", "compile"]) == 0
    assert capsys.readouterr().out.split() == [ids[two.real.served.ini]]  # the newest of all
    before = jobs(two)
    for here, there in ((two.rehearsal, two.real), (two.real, two.rehearsal)):
        job = ids[here.served.ini]
        for words in (
            ["jobs", "wait", job],
            ["jobs", "share", job, "--yes"],
            ["profile", job],
            ["infer", job, "--data", here.images(1)],
        ):
            sentence = told(there.type(*words))
            assert f"Job {job} belongs to" in sentence, words
    assert jobs(two) == before
    assert two.real.served.hub.store.rows("SELECT * FROM shares") == []


def test_what_is_printed_and_kept_says_which_it_was(two: Two) -> None:
    model = two.real.model(IMAGE)
    said: dict[bool, Ended] = {}
    for bench in (two.rehearsal, two.real):
        assert bench.type(*compiling(model)).code == 0
        said[bench is two.real] = bench.type("profile", model)
    assert "not a device" in said[False].out
    assert "No verdict" in said[False].out
    assert said[False].code == 0
    assert "not a device" not in said[True].out
    assert "No verdict" not in said[True].out
    kept = [path.read_text() for path in two.real.folder.root.glob("jobs/*/profile.json")]
    assert sorted('"rehearsal": true' in text for text in kept) == [False, True]


def test_waiting_for_all_jobs_asks_only_this_hubs(two: Two) -> None:
    with two.rehearsal.faults.on(JOB, answers(401)):
        told(two.rehearsal.type(*compiling(two.rehearsal.model())))  # submitted, and not followed
    assert two.real.type(*compiling(two.real.model()), "--no-wait").code == 0
    assert two.real.type("jobs", "wait").code == 0
    states = {record.intended["rehearsal"]: record.state for record in two.real.records()}
    assert states[False] == "SUCCESS"
    assert states[True] != "SUCCESS"


def test_a_dry_run_says_what_it_would_spend_at_each(two: Two) -> None:
    command = compiling(two.rehearsal.model())
    assert two.rehearsal.type(*command).code == 0
    assert "is used again" in two.rehearsal.type(*command, "--dry-run").out
    assert "a new job" in two.real.type(*command, "--dry-run").out
    assert jobs(two) == (1, 0)
