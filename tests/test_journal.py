"""The journal of a scoring: rows come back to the last bit or not at all, whatever happened to the file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lpcv.evaluate.frame_score import FrameScore
from lpcv.evaluate.journal import Journal, Rows, identity
from lpcv.evaluate.official import GEOMETRY, OFFICIAL
from lpcv.evaluate.protocols import PROTOCOLS

NAMES = tuple(f"{index:04d}" for index in range(6))
PROTOCOL_PAIR = (OFFICIAL, PROTOCOLS["scale-invariant"])
IDENTITY = identity(PROTOCOL_PAIR, "relative_depth", "0" * 64, "1" * 64)
OTHER = identity(PROTOCOL_PAIR, "relative_depth", "2" * 64, "1" * 64)


def rows_of(name: str, seed: int = 0) -> Rows:
    """Rows with everything that a row may have, numbers of all lengths included."""
    draw = np.random.default_rng([seed, *name.encode()])
    rows = []
    for protocol in PROTOCOL_PAIR:
        values: dict[str, float | None] = {
            key: float(draw.normal() * 10.0 ** draw.integers(-9, 9)) for key in protocol.metrics
        }
        blank = protocol.metrics[0]
        values[blank] = None
        parts = {"truth 1-2 m": {"pixels": int(draw.integers(1, 99)), "abs_rel": float(draw.random())}}
        rows.append(
            FrameScore(name, values, {blank: "it holds \u201cNaN\u201d"}, {}, None, {"scale": draw.random()}, parts)
        )
    if name == NAMES[-1]:
        rows[0] = FrameScore.stop(name, OFFICIAL.metrics, "no pixel")
    return tuple(rows)


def journal_at(path: Path, of: str = IDENTITY) -> Journal:
    return Journal(path, of, PROTOCOL_PAIR)


ALL = {name: rows_of(name) for name in NAMES}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The bytes of a journal of all frames."""
    path = tmp_path_factory.mktemp("journal") / "x.part.jsonl"
    for rows in ALL.values():
        journal_at(path).append(rows)
    return path.read_bytes()


# The file


def test_a_line_for_each_frame_survives_to_the_last_bit(whole: bytes, tmp_path: Path) -> None:
    assert len(whole.splitlines()) == len(NAMES)
    path = tmp_path / "x.part.jsonl"
    path.write_bytes(whole)
    assert journal_at(path).resume() == ALL
    assert path.read_bytes() == whole


def goes_on(content: bytes, folder: Path) -> dict[str, Rows]:
    """What is taken from such a file; what is missing is added, and all of it must then be there."""
    path = folder / "damaged.part.jsonl"
    path.write_bytes(content)
    done = journal_at(path).resume()
    for name in NAMES:
        if name not in done:
            journal_at(path).append(ALL[name])
    assert journal_at(path).resume() == ALL
    path.unlink()
    return done


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_a_cut_anywhere_loses_at_most_the_last_frame(
    data: st.DataObject, whole: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    cut = data.draw(st.integers(0, len(whole)))
    done = goes_on(whole[:cut], tmp_path_factory.getbasetemp())
    lines = whole[:cut].count(b"\n")
    assert list(done) in (list(NAMES[:lines]), list(NAMES[: lines + 1]))  # a line may lack its end alone
    assert all(ALL[name] == rows for name, rows in done.items())


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_a_damaged_byte_costs_frames_and_never_changes_a_number(
    data: st.DataObject, whole: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    at = data.draw(st.integers(0, len(whole) - 1))
    value = data.draw(st.one_of(st.integers(0, 255), st.sampled_from(b'0123456789.-e\n\r"],')))
    done = goes_on(whole[:at] + bytes([value]) + whole[at + 1 :], tmp_path_factory.getbasetemp())
    assert len(done) >= len(NAMES) - 2  # a line's end joins two
    assert all(ALL[name] == rows for name, rows in done.items())


@pytest.mark.parametrize(
    "content",
    [b"", b"\n", b"\0" * 4096, b"null\n[]\n3\n{}\n", b'{"sha256": "x", "rows": 3}\n', b"[" * 100_000, b"\xff\xfe{}\n",
     b'{"sha256": null, "rows": [NaN]}\n', b'{"sha256": "x", "rows": [1' + b"0" * 5000 + b"]}\n"],
    ids=["empty", "no line", "zeros", "no rows", "rows of nothing", "deep", "no text", "NaN", "long"],
)  # fmt: skip
def test_what_is_no_journal_is_begun_anew(content: bytes, tmp_path: Path) -> None:
    assert goes_on(content, tmp_path) == {}


def test_zeros_where_the_disk_lost_a_block_cost_the_frames_in_it(whole: bytes, tmp_path: Path) -> None:
    lines = whole.splitlines(keepends=True)
    lines[2] = lines[2][:100] + bytes(len(lines[2]) - 101) + b"\n"
    assert list(goes_on(b"".join(lines), tmp_path)) == [name for name in NAMES if name != NAMES[2]]


def test_anothers_rows_are_ignored_and_that_is_said(
    whole: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "x.part.jsonl"
    path.write_bytes(whole)
    assert journal_at(path, OTHER).resume() == {}
    assert f"{path} holds no frame of this model, data and protocol: starting anew." in capsys.readouterr().err
    assert not path.exists()


def test_a_row_of_another_scoring_in_ones_own_file_is_ignored(whole: bytes, tmp_path: Path) -> None:
    """Two models scored into one --json at the same time: neither takes the other's numbers for its own."""
    path = tmp_path / "x.part.jsonl"
    path.write_bytes(whole)
    journal_at(path, OTHER).append(rows_of(NAMES[0], seed=1))
    assert journal_at(path).resume() == ALL
    journal_at(path, OTHER).append(rows_of(NAMES[0], seed=1))
    assert journal_at(path, OTHER).resume() == {NAMES[0]: rows_of(NAMES[0], seed=1)}


@pytest.mark.parametrize(
    "changed",
    [
        {"protocols": PROTOCOL_PAIR[:1]},
        {"protocols": PROTOCOL_PAIR[::-1]},
        {"protocols": (replace(OFFICIAL, cap="none"), PROTOCOL_PAIR[1])},
        {"protocols": (GEOMETRY, PROTOCOL_PAIR[1])},
        {"kind": "depth_m"},
        {"source_sha256": "3" * 64},
        {"data_sha256": "3" * 64},
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_all_that_decides_the_numbers_is_in_the_identity(changed: dict[str, Any]) -> None:
    same = {"protocols": PROTOCOL_PAIR, "kind": "relative_depth", "source_sha256": "0" * 64, "data_sha256": "1" * 64}
    assert identity(**same) == IDENTITY
    assert identity(**{**same, **changed}) != IDENTITY


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, len(NAMES))), max_size=24))
def test_two_at_once_never_take_a_wrong_row(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[int, int]]
) -> None:
    """Any order of appending, resuming and removing by two scorings of the same file."""
    path = tmp_path_factory.getbasetemp() / "two.part.jsonl"
    path.unlink(missing_ok=True)
    both = (journal_at(path), journal_at(path, OTHER))
    right = (ALL, {name: rows_of(name, seed=1) for name in NAMES})
    for who, what in steps:
        if what < len(NAMES):
            both[who].append(right[who][NAMES[what]])
        else:
            assert both[who].resume().items() <= right[who].items()
    both[0].remove()
    assert both[1].resume() == {}
