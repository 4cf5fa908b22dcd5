"""The journal of a scoring: rows come back to the last bit or not at all, whatever happened to the file."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lpcv.data.folder import open_folder
from lpcv.data.images import write_png
from lpcv.evaluate.baseline import ConstantDepth
from lpcv.evaluate.frame_score import FrameScore
from lpcv.evaluate.journal import Journal, Rows, identities
from lpcv.evaluate.official import GEOMETRY, OFFICIAL
from lpcv.evaluate.predictions import PredictionFolder
from lpcv.evaluate.protocols import PROTOCOLS

NAMES = tuple(f"{index:04d}" for index in range(6))
PROTOCOL_PAIR = (OFFICIAL, PROTOCOLS["scale-invariant"])
MODEL, OTHER = "0" * 64, "2" * 64


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


def journal_at(path: Path, of: str = MODEL, names: tuple[str, ...] = NAMES) -> Journal:
    """Of one model, to score these of all frames."""
    return Journal(path, PROTOCOL_PAIR, lambda name: f"{name} by {of}", names, frozenset(NAMES) - frozenset(names))


def add(journal: Journal, rows: Rows) -> None:
    journal.append(journal.identity(rows[0].frame), rows)


ALL = {name: rows_of(name) for name in NAMES}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The bytes of a journal of all frames."""
    path = tmp_path_factory.mktemp("journal") / "x.part.jsonl"
    for rows in ALL.values():
        add(journal_at(path), rows)
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
            add(journal_at(path), ALL[name])
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
    said = f"Scored again: 6 frames in {path}, of another model, data or version."
    assert said in capsys.readouterr().err
    assert journal_at(path).resume() == ALL  # another's look costs nothing
    assert path.read_bytes() == whole


def test_only_the_frame_that_changed_is_scored_again(whole: bytes, tmp_path: Path) -> None:
    path = tmp_path / "x.part.jsonl"
    path.write_bytes(whole)
    before = journal_at(path).identity
    now = replace(journal_at(path), identity=lambda name: before(name) + " mended" * (name == NAMES[2]))
    assert now.resume() == {name: rows for name, rows in ALL.items() if name != NAMES[2]}
    add(now, rows_of(NAMES[2], seed=1))
    assert now.resume() == ALL | {NAMES[2]: rows_of(NAMES[2], seed=1)}


def test_frames_that_are_not_asked_for_stay(whole: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An interrupted scoring of all, and one of a few in between."""
    path = tmp_path / "x.part.jsonl"
    path.write_bytes(whole)
    few = journal_at(path, names=NAMES[1:3])
    assert list(few.resume()) == list(NAMES[1:3])
    few.finish()
    assert f"{path} still holds 4 frames outside these." in capsys.readouterr().err
    assert list(journal_at(path).resume()) == [NAMES[0], *NAMES[3:]]
    journal_at(path).finish()
    assert not path.exists()
    journal_at(path).finish()


def test_a_finished_scoring_leaves_nothing_of_frames_that_are_gone(whole: bytes, tmp_path: Path) -> None:
    path = tmp_path / "x.part.jsonl"
    path.write_bytes(whole)
    replace(journal_at(path, names=NAMES[:5]), others=frozenset()).finish()
    assert not path.exists()


def test_only_frames_that_it_holds_are_looked_at(whole: bytes, tmp_path: Path) -> None:
    path = tmp_path / "x.part.jsonl"
    path.write_bytes(b"".join(whole.splitlines(keepends=True)[:3]) * 2)
    looked: list[str] = []
    before = journal_at(path).identity
    counting = replace(journal_at(path), identity=lambda name: looked.append(name) or before(name))
    assert list(counting.resume()) == list(NAMES[:3])
    assert looked == list(NAMES[:3])


def test_a_row_of_another_scoring_in_ones_own_file_is_ignored(whole: bytes, tmp_path: Path) -> None:
    """Two models scored into one --json at the same time: neither takes the other's numbers for its own."""
    path = tmp_path / "x.part.jsonl"
    path.write_bytes(whole)
    add(journal_at(path, OTHER), rows_of(NAMES[0], seed=1))
    assert journal_at(path).resume() == ALL
    add(journal_at(path, OTHER), rows_of(NAMES[0], seed=1))
    assert journal_at(path, OTHER).resume() == {NAMES[0]: rows_of(NAMES[0], seed=1)}


@dataclass(frozen=True)
class Model(ConstantDepth):
    """As one whose file has this hash."""

    told: str = MODEL

    def sha256(self) -> str:
        return self.told


@pytest.mark.parametrize(
    "changed",
    [
        {"protocols": PROTOCOL_PAIR[:1]},
        {"protocols": PROTOCOL_PAIR[::-1]},
        {"protocols": (replace(OFFICIAL, cap="none"), PROTOCOL_PAIR[1])},
        {"protocols": (GEOMETRY, PROTOCOL_PAIR[1])},
        {"source": Model(kind="depth_m")},
        {"source": Model(told=OTHER)},
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_all_that_decides_the_numbers_is_in_the_identity(changed: dict[str, Any], small_frames: Path) -> None:
    same = {"source": Model(), "frames": open_folder(small_frames), "protocols": PROTOCOL_PAIR}
    before = identities(**same)
    assert before("0001") == identities(**same)("0001")
    assert identities(**{**same, **changed})("0001") != before("0001")


@pytest.mark.parametrize("changed", ["image", "depth_raw", "depth_conf", "prediction", "depth_unit_m", "intrinsics",
                                     "pairs"])  # fmt: skip
def test_each_file_of_a_frame_is_in_its_identity_and_in_no_others(
    changed: str, small: Any, small_frames: Path, small_predictions: Path
) -> None:
    def looked() -> list[str]:
        frames = open_folder(small_frames)
        return [*map(identities(PredictionFolder(small_predictions, frames), frames, PROTOCOL_PAIR), small.names)]

    before = looked()
    rows = {
        "depth_unit_m": 0.002,
        "intrinsics": {"fx": 9, "fy": 9, "cx": 8, "cy": 6},
        "pairs": [{"a": [1, 2], "b": [3, 4], "nearer": "a"}],
    }
    if changed in rows:
        (small_frames / "manifest.json").write_text(json.dumps([{"frame": "0001", changed: rows[changed]}]))
    elif changed == "prediction":
        np.save(small_predictions / "0001.npy", small.prediction(0))
    else:
        pixels = {"image": np.zeros((12, 16, 3), np.uint8), "depth_raw": small.depth_mm(2)}
        write_png(small_frames / changed / "0001.png", pixels.get(changed, np.ones((6, 8), np.uint8)))
    assert [one == other for one, other in zip(before, looked(), strict=True)] == [True, False, True]


def test_scorings_that_differ_do_not_meet_in_one_file(small: Any, small_frames: Path, tmp_path: Path) -> None:
    frames, out = open_folder(small_frames), tmp_path / "score.json"
    other_data = open_folder(small.write_frames(tmp_path / "other"))
    scorings = [
        (Model(), frames, PROTOCOL_PAIR),
        (Model(label="another"), frames, PROTOCOL_PAIR),
        (Model(kind="depth_m"), frames, PROTOCOL_PAIR),
        (Model(), frames, PROTOCOL_PAIR[:1]),
        (Model(), other_data, PROTOCOL_PAIR),
    ]
    paths = [Journal.beside(out, *scoring).path for scoring in scorings]
    assert len(set(paths)) == len(scorings)
    for path in paths:
        assert path.parent == tmp_path
        assert re.fullmatch(r"score\.json\.[0-9a-f]{8}\.part\.jsonl", path.name)
    part = Journal.beside(out, Model(told=OTHER), frames.subset(("0001",)), PROTOCOL_PAIR)
    assert (part.path, part.names, part.others) == (paths[0], ("0001",), {"0000", "0002"})


def test_beside_the_folder_that_one_is_in(small_frames: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here" / "below").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "here" / "below")
    frames = open_folder(small_frames)
    for folder, beside in ((".", "here"), ("..", "."), ("report", "here/below")):
        path = Journal.beside(Path(folder), Model(), frames, PROTOCOL_PAIR).path
        assert path.resolve().parent == (tmp_path / beside).resolve()


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, len(NAMES))), max_size=24))
def test_two_at_once_never_take_a_wrong_row(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[int, int]]
) -> None:
    """Any order of appending and resuming by two scorings of the same file; the first to finish removes it."""
    path = tmp_path_factory.getbasetemp() / "two.part.jsonl"
    path.unlink(missing_ok=True)
    both = (journal_at(path), journal_at(path, OTHER))
    right = (ALL, {name: rows_of(name, seed=1) for name in NAMES})
    for who, what in steps:
        if what < len(NAMES):
            add(both[who], right[who][NAMES[what]])
        else:
            assert both[who].resume().items() <= right[who].items()
    both[0].finish()
    assert both[1].resume() == {}
