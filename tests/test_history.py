"""Records folded from events: after each step of a life, whatever stands between them, and what a day has cost."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lpcv.hub_jobs import history
from lpcv.hub_jobs.history import (
    TERMINAL,
    Record,
    latest,
    newest,
    record_of,
    record_of_job,
    records,
    spent_today,
    unfinished,
)
from lpcv.hub_jobs.ledger import Event, EventName, Ledger

HUB, KEY, JOB, URL = "https://hub.example", "k1", "jabcde", "https://hub.example/jobs/jabcde/"
AT = "2026-03-01T12:00:00+00:00"
Step = tuple[EventName, str | None, dict[str, Any]]

LIFE: list[tuple[Step, dict[str, Any]]] = [  # each event, and what it changes of the record
    (("intended", None, {"type": "compile", "title": "mine"}), {"intended": {"type": "compile", "title": "mine"}}),
    (("attempted", None, {}), {"in_doubt": True}),
    (("refused", None, {"status": 429, "reason": "later"}), {"in_doubt": False}),
    (("attempted", None, {}), {"in_doubt": True}),
    (
        ("submitted", JOB, {"url": URL, "known_by": "answer"}),
        {"in_doubt": False, "job_id": JOB, "url": URL, "submitted_at": AT, "submission": 5, "state": "CREATED"},
    ),
    (("state", JOB, {"state": "OPTIMIZING_MODEL", "reason": ""}), {"state": "OPTIMIZING_MODEL"}),
    (("state", JOB, {"state": "SUCCESS"}), {"state": "SUCCESS", "finished": True}),
    (("filed", JOB, {"set": "s"}), {"intended": {"type": "compile", "title": "mine", "set": "s"}}),
    (
        ("fetched", JOB, {"what": "model", "path": "a", "sha256": "1"}),
        {"fetched": {"model": {"what": "model", "path": "a", "sha256": "1"}}},
    ),
    (
        ("fetched", JOB, {"what": "model", "path": "b", "sha256": "2"}),
        {"fetched": {"model": {"what": "model", "path": "b", "sha256": "2"}}},
    ),
    (("shared", JOB, {"with": ["a@example.org"]}), {"shared": ("a@example.org",)}),
    (("shared", JOB, {"with": ["b@example.org", "c@example.org"]}), {"shared": ("b@example.org", "c@example.org")}),
    (("state", JOB, {"state": "GONE", "reason": "not found"}), {"state": "GONE", "reason": "not found"}),
]
FIELDS = ("intended", "in_doubt", "job_id", "url", "submitted_at", "submission", "adopted", "state", "reason",
          "fetched", "shared", "finished")  # fmt: skip
BEFORE: dict[str, Any] = dict.fromkeys(("job_id", "url", "submitted_at", "state")) | {
    "in_doubt": False, "submission": 0, "adopted": False, "reason": "", "fetched": {}, "shared": (), "finished": False,
}  # fmt: skip


def events_of(steps: list[Step], hub: str = HUB, key: str = KEY, first: int = 1) -> list[Event]:
    return [
        Event(first + index, AT, hub, key, name, job, facts) for index, (name, job, facts) in enumerate(steps)
    ]  # fmt: skip


@pytest.mark.parametrize("many", range(1, len(LIFE) + 1), ids=[f"{n}-{step[0]}" for n, (step, _) in enumerate(LIFE)])
def test_a_record_after_each_step_of_a_life(many: int) -> None:
    expected = dict(BEFORE)
    for _, change in LIFE[:many]:
        expected |= change
    record = record_of(events_of([step for step, _ in LIFE[:many]]))
    assert record is not None
    assert {name: getattr(record, name) for name in FIELDS} == expected
    assert (record.hub, record.key, record.intended_at, record.type) == (HUB, KEY, AT, "compile")


def test_there_is_no_record_before_an_intention() -> None:
    assert record_of([]) is None
    assert record_of(events_of([("uploaded", None, {"id": "m1", "expires_at": None}), ("expired", None, {})])) is None


@pytest.mark.parametrize("state", ["CREATED", "PROVISIONING_DEVICE", "SUCCESS", "FAILED", "GONE", "A_NEW_WORD", None])
def test_only_an_ended_job_is_finished(state: str | None) -> None:
    assert Record(HUB, KEY, {}, AT, state=state).finished is (state in {"SUCCESS", "FAILED", "GONE"})
    assert set(TERMINAL) == {"SUCCESS", "FAILED", "GONE"}


def test_the_first_intention_and_the_first_job_count() -> None:
    """Two commands that found the same job again both write it down; a duplicate does not take its place."""
    steps: list[Step] = [
        ("intended", None, {"type": "compile", "device": "first"}),
        ("intended", None, {"type": "compile", "device": "second"}),
        ("attempted", None, {}),
        ("submitted", JOB, {"url": URL}),
        ("submitted", JOB, {"url": URL}),
        ("submitted", "jother", {"url": "elsewhere"}),
    ]
    record = record_of(events_of(steps))
    assert record is not None
    assert (record.intended["device"], record.job_id, record.url) == ("first", JOB, URL)
    assert not record.in_doubt


def test_a_submission_found_again_does_not_set_the_state_back() -> None:
    steps: list[Step] = [
        ("intended", None, {"type": "compile"}), ("submitted", JOB, {"url": URL}),
        ("state", JOB, {"state": "SUCCESS"}), ("submitted", JOB, {"url": URL}),
    ]  # fmt: skip
    record = record_of(events_of(steps))
    assert record is not None
    assert record.state == "SUCCESS"


def test_a_clock_that_goes_back_changes_nothing(tmp_path: Path) -> None:
    """Events count in the order in which they were added; the time is only shown."""
    life = [step for step, _ in LIFE]
    forward = [Event(index, f"2026-01-{index + 1:02}", HUB, KEY, *step) for index, step in enumerate(life)]
    backward = [Event(index, f"2026-01-{28 - index:02}", HUB, KEY, *step) for index, step in enumerate(life)]
    one, other = record_of(forward), record_of(backward)
    assert one is not None
    assert other is not None
    assert {name: getattr(one, name) for name in FIELDS if name != "submitted_at"} == {
        name: getattr(other, name) for name in FIELDS if name != "submitted_at"
    }


def a_job(base: str, nth: int, state: str | None, submission: int = 1, hub: str = HUB) -> Record:
    job = f"j{base}{nth}" if submission else None
    return Record(hub, base, {"base": base, "nth": nth}, AT, job_id=job, submission=submission, state=state)


def test_the_newest_is_the_one_that_was_submitted_last() -> None:
    found = [a_job("a", 0, "SUCCESS", 9), a_job("b", 0, "SUCCESS", 4), a_job("c", 0, None, 0)]
    assert newest(found) == found[0]  # although it was intended first
    assert newest(found[2:]) is None


def test_what_is_to_be_waited_for() -> None:
    gone = a_job("a", 0, "GONE")
    found = [gone, a_job("b", 0, "SUCCESS"), a_job("c", 0, "FAILED"), a_job("d", 0, "CREATED"), a_job("e", 0, None, 0)]
    assert unfinished(found) == [gone, found[3]]
    assert unfinished([*found, a_job("a", 1, "SUCCESS")]) == [found[3]]  # ordered anew
    assert gone in unfinished([*found, a_job("a", 1, "SUCCESS", hub="another")])


def test_the_latest_turn_of_an_order() -> None:
    found = [a_job("a", 1, "SUCCESS"), a_job("a", 0, "GONE"), a_job("b", 7, "SUCCESS")]
    assert latest(found, "a") == found[0]
    assert latest(found, "c") is None


def sequences() -> st.SearchStrategy[list[Step]]:
    """Prefixes of lives, with refusals and re-attempts, and other states."""
    state = st.sampled_from(["OPTIMIZING_MODEL", "SUCCESS", "FAILED", "GONE"])
    retries = st.lists(st.sampled_from([LIFE[1][0], LIFE[2][0]]), max_size=4)
    states = st.lists(state.map(lambda each: ("state", JOB, {"state": each, "reason": each.lower()})), max_size=3)
    end = st.lists(st.sampled_from([step for step, _ in LIFE[7:]]), max_size=3)
    whole = st.tuples(retries, states, end).map(lambda parts: [LIFE[0][0], *parts[0], LIFE[4][0], *parts[1], *parts[2]])
    return st.tuples(whole, st.integers(0, 12)).map(lambda both: both[0][: both[1]])


@st.composite
def interleaved(draw: st.DrawFn) -> tuple[dict[tuple[str, str], list[Step]], list[tuple[tuple[str, str], Step]]]:
    """Lives of several keys at several hubs, and one order in which several processes may have written them."""
    owners = draw(st.lists(st.tuples(st.sampled_from("hg"), st.sampled_from("klm")), unique=True, min_size=1))
    lives = {owner: draw(sequences()) for owner in owners}
    left = {owner: list(steps) for owner, steps in lives.items()}
    order = draw(st.permutations([owner for owner, steps in lives.items() for _ in steps]))
    return lives, [(owner, left[owner].pop(0)) for owner in order]


@given(interleaved())
@settings(max_examples=70)
def test_records_do_not_depend_on_what_stands_between_their_events(
    drawn: tuple[dict[tuple[str, str], list[Step]], list[tuple[tuple[str, str], Step]]],
) -> None:
    lives, mixed = drawn
    written = [
        Event(number, AT, hub, key, name, job, facts)
        for number, ((hub, key), (name, job, facts)) in enumerate(mixed, start=1)
    ]

    class Written:
        """A ledger that was read."""

        def all(self) -> list[Event]:
            return written

    found = records(Written())  # type: ignore[arg-type]
    alone = [record_of([each for each in written if (each.hub, each.key) == owner]) for owner in lives]
    assert {(each.hub, each.key): each for each in found} == {(each.hub, each.key): each for each in alone if each}
    intentions = [(each.hub, each.key) for each in written if each.event == "intended"]
    assert [(each.hub, each.key) for each in found] == intentions


def test_records_of_a_ledger_leave_uploads_out_and_find_jobs(tmp_path: Path) -> None:
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        ledger.add("uploaded", HUB, "asset:1", facts={"id": "m1", "expires_at": None})
        for name, job, facts in [step for step, _ in LIFE]:
            ledger.add(name, HUB, KEY, job, facts)
        ledger.add("intended", "other hub", KEY, facts={"type": "profile"})
        assert [(each.hub, each.type) for each in records(ledger)] == [(HUB, "compile"), ("other hub", "profile")]
        assert record_of_job(ledger, JOB) == records(ledger)[0]
        assert record_of_job(ledger, "jnever") is None


@pytest.fixture
def new_york(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """This machine's clock is five hours behind UTC (four from March on), and summer time begins on 8 March 2026."""
    monkeypatch.setenv("TZ", "EST5EDT,M3.2.0,M11.1.0")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def it_is(monkeypatch: pytest.MonkeyPatch, utc: str) -> None:
    class Clock(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:
            moment = datetime.fromisoformat(utc).replace(tzinfo=UTC)
            return moment.astimezone(tz) if tz else moment.astimezone().replace(tzinfo=None)

    monkeypatch.setattr(history, "datetime", Clock)


def submitted(at: str | None, hub: str = HUB, state: str = "CREATED") -> Record:
    return Record(hub, KEY, {}, AT, submitted_at=at and f"{at}+00:00", state=state)


@pytest.mark.usefixtures("new_york")
@pytest.mark.parametrize(
    ("now", "at", "counts"),
    [
        ("2026-02-10T04:59:59", "2026-02-09T05:00:00", True),  # 23:59:59 of the 9th; 00:00:00 of the 9th
        ("2026-02-10T04:59:59", "2026-02-09T04:59:59", False),  # ... 23:59:59 of the 8th
        ("2026-02-10T05:00:00", "2026-02-10T04:59:59", False),  # a second later it is the 10th
        ("2026-02-10T05:00:00", "2026-02-10T05:00:00", True),
        ("2026-02-10T12:00:00", "2026-02-10T01:00:00", False),  # the same day in UTC, the day before here
        ("2026-03-09T03:30:00", "2026-03-08T05:30:00", True),  # the day on which summer time begins has 23 hours
        ("2026-03-09T04:00:00", "2026-03-09T03:59:59", False),
    ],
)
def test_today_begins_at_midnight_of_this_machine_s_clock(
    monkeypatch: pytest.MonkeyPatch, now: str, at: str, counts: bool
) -> None:
    it_is(monkeypatch, now)
    assert spent_today([submitted(at)], HUB) == int(counts)


@pytest.mark.usefixtures("new_york")
def test_only_submissions_to_this_hub_are_spent_however_they_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    it_is(monkeypatch, "2026-02-10T12:00:00")
    today, yesterday = "2026-02-10T11:00:00", "2026-02-09T11:00:00"
    found = [
        submitted(today), submitted(today, state="FAILED"), submitted(today, state="GONE"), submitted(yesterday),
        submitted(None), submitted(today, hub="stand-in:a"),
    ]  # fmt: skip
    assert spent_today(found, HUB) == 3
    assert spent_today(found, "stand-in:a") == 1
    assert spent_today(found, "nobody") == 0


def test_what_is_submitted_now_counts_today(tmp_path: Path) -> None:
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        ledger.add("intended", HUB, KEY, facts={"type": "compile"})
        ledger.add("submitted", HUB, KEY, JOB, {"url": URL})
        at = datetime.fromisoformat(ledger.all()[-1].at)
        found = records(ledger)
    if datetime.now().astimezone().date() == at.astimezone().date():  # not in the second around midnight
        assert spent_today(found, HUB) == 1
    assert datetime.now(UTC) - at < timedelta(hours=1)
