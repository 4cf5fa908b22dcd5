"""Interrupted scoring goes on where it stopped: kills, Ctrl-C, full disks, two at once; memory stays flat."""

from __future__ import annotations

import errno
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lpcv import cli, files
from lpcv.data.folder import FrameFolder, open_folder
from lpcv.data.resize import nearest
from lpcv.data.synthetic.make import make_scenes
from lpcv.evaluate import predictions
from lpcv.evaluate.journal import Journal, Rows
from lpcv.evaluate.score import score_source

NAMES = tuple(f"{index:04d}" for index in range(6))
LONG = 2000
# Counts predictions in a file, and kills itself at one of them.
DRIVER = """
import os, signal, sys
from pathlib import Path
from lpcv import cli
from lpcv.evaluate import predictions
asked, at, *words = sys.argv[1:]
real = predictions.read_prediction
def counted(path):
    with open(asked, "a") as stream:
        stream.write(path.stem + "\\n")
    if len(Path(asked).read_text().splitlines()) == int(at):
        os.kill(os.getpid(), signal.SIGKILL)
    return real(path)
predictions.read_prediction = counted
code = cli.run(words)
print(Path("/proc/self/status").read_text() if Path("/proc/self/status").exists() else "")
sys.exit(code)
"""


class Counted:
    """Predictions from memory, which remembers what it was asked for; `first` is called before each answer."""

    label, kind = "counted", "relative_depth"

    def __init__(self, small: Any, first: Callable[[str], object] = lambda name: None) -> None:
        self.small, self.first = small, first
        self.asked: list[str] = []

    def sha256(self) -> str:
        return "5" * 64

    def predict(self, name: str, rgb: Any) -> Any:
        self.asked.append(name)
        self.first(name)
        return self.small.prediction(int(name))


@pytest.fixture
def frames(small: Any, tmp_path: Path) -> FrameFolder:
    return open_folder(small.write_frames(tmp_path / "six", NAMES))


@pytest.fixture
def command(small: Any, tmp_path: Path) -> Callable[[str], list[str]]:
    """name -> `lpcv score` of six small frames with --json, the same source and data each time."""
    data, source = small.write_frames(tmp_path / "six", NAMES), small.write_predictions(tmp_path / "p", NAMES)
    return lambda name: ["score", str(source), "--data", str(data), "--json", str(tmp_path / name)]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The frames that are predicted in this process, as they are."""
    names: list[str] = []
    real = predictions.read_prediction

    def counted(path: Path) -> Any:
        names.append(path.stem)
        return real(path)

    monkeypatch.setattr(predictions, "read_prediction", counted)
    return names


def part(tmp_path: Path, name: str = "score.json") -> Path:
    return tmp_path / f"{name}.part.jsonl"


@pytest.mark.parametrize("workers", ["1", "2"])
def test_killed_and_typed_again_gives_the_same_bytes(
    workers: str, command: Callable[[str], list[str]], asked: list[str], tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    assert cli.run(command("undisturbed.json")) == 0
    words = [*command("score.json"), "--workers", workers]
    killed = subprocess.run([sys.executable, "-c", DRIVER, str(tmp_path / "asked"), "5", *words], capture_output=True)
    assert killed.returncode == -signal.SIGKILL
    assert not (tmp_path / "score.json").exists()
    done = len(part(tmp_path).read_bytes().splitlines())
    assert done == 4 if workers == "1" else 1 <= done <= 4
    asked.clear()
    capsys.readouterr()
    assert cli.run(words) == 0
    assert f"{done} frames are scored already ({part(tmp_path)}); going on." in capsys.readouterr().err
    assert sorted(asked) == list(NAMES[done:])
    assert (tmp_path / "score.json").read_bytes() == (tmp_path / "undisturbed.json").read_bytes()
    assert not part(tmp_path).exists()


@pytest.mark.parametrize("workers", ["1", "2"])
def test_ctrl_c_says_how_to_go_on(
    workers: str, command: Callable[[str], list[str]], asked: list[str], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    real, interrupted = predictions.read_prediction, threading.Event()

    def pressed(path: Path) -> Any:
        if path.stem == NAMES[5] and not interrupted.is_set():
            interrupted.set()
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.05)  # in a worker: the main thread must notice
        return real(path)

    monkeypatch.setattr(predictions, "read_prediction", pressed)
    words = [*command("score.json"), "--workers", workers]
    assert cli.run(words) == 130
    done = len(part(tmp_path).read_bytes().splitlines())
    told = capsys.readouterr()
    said = re.search(r"lpcv: Stopped; (\d) of 6 frames are scored\. Type the command again to go on\.", told.err)
    assert said
    assert int(said[1]) in (done, done - 1)  # Ctrl-C may come between the line and the count
    assert done == 5 if workers == "1" else done >= 2
    assert told.out == ""
    assert not (tmp_path / "score.json").exists()
    asked.clear()
    assert cli.run(words) == 0
    assert sorted(asked) == list(NAMES[done:])
    assert cli.run(command("undisturbed.json")) == 0
    assert (tmp_path / "score.json").read_bytes() == (tmp_path / "undisturbed.json").read_bytes()


def test_ctrl_c_without_a_journal_promises_nothing(
    command: Callable[[str], list[str]], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def pressed(path: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(predictions, "read_prediction", pressed)
    words = command("unused")[:-2]
    assert cli.run(words) == 130
    assert "again" not in capsys.readouterr().err


def test_a_finished_journal_needs_no_prediction(
    command: Callable[[str], list[str]], asked: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed between the last frame and the result."""

    def kill(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("lpcv.evaluate.result.Score.write_json", kill)
        assert cli.run(command("score.json")) == 130
    assert len(part(tmp_path).read_bytes().splitlines()) == 6
    asked.clear()
    assert cli.run(command("score.json")) == 0
    assert asked == []
    assert not part(tmp_path).exists()


@pytest.mark.parametrize("change", ["prediction", "truth", "protocol", "kind", "frames"])
def test_a_journal_of_something_else_is_not_continued(
    change: str, command: Callable[[str], list[str]], asked: list[str], tmp_path: Path, small: Any,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    def kill(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("lpcv.evaluate.result.Score.write_json", kill)
        assert cli.run(command("score.json")) == 130
    more: Sequence[str] = {
        "protocol": ["--protocol", "lpcvc-2025-geometry"],
        "kind": ["--kind", "depth_m"],
        "frames": ["--frames", "0001-0003"],
    }.get(change, [])
    if change == "prediction":
        np.save(tmp_path / "p" / "0005.npy", small.prediction(4))
    elif change == "truth":
        (tmp_path / "six" / "manifest.json").write_text('[{"frame": "0000", "depth_unit_m": 0.002}]')
    asked.clear()
    assert cli.run([*command("score.json"), *more]) == 0
    assert "holds no frame of this model, data and protocol: starting anew." in capsys.readouterr().err
    assert sorted(asked) == list(NAMES[1:4] if change == "frames" else NAMES)
    assert cli.run([*command("fresh.json"), *more]) == 0
    assert (tmp_path / "score.json").read_bytes() == (tmp_path / "fresh.json").read_bytes()


def test_a_bad_frame_leaves_no_journal(
    command: Callable[[str], list[str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    np.save(tmp_path / "p" / "0004.npy", np.ones((2, 3, 4), np.float32))
    assert cli.run([*command("score.json"), "--workers", "1"]) == 2
    assert "0004.npy is float32 of shape (2, 3, 4)" in capsys.readouterr().err
    assert not list(tmp_path.glob("score.json*"))


def test_a_full_disk_is_a_sentence_and_keeps_what_was_scored(
    command: Callable[[str], list[str]], asked: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    real, calls = os.fsync, iter(range(1000))

    def full(descriptor: int) -> None:
        if next(calls) >= 4:  # the first line takes two: the file and its folder
            raise OSError(errno.ENOSPC, "No space left on device")
        real(descriptor)

    with monkeypatch.context() as patch:
        patch.setattr(files.os, "fsync", full)
        assert cli.run([*command("score.json"), "--workers", "1"]) == 2
    assert "lpcv: No space left on device. Free some space and run the command again" in capsys.readouterr().err
    assert not (tmp_path / "score.json").exists()
    with part(tmp_path).open("rb+") as stream:
        stream.truncate(part(tmp_path).stat().st_size - 40)  # of the fourth line the disk took a part
    asked.clear()
    assert cli.run(command("score.json")) == 0
    assert sorted(asked) == list(NAMES[3:])
    assert cli.run(command("undisturbed.json")) == 0
    assert (tmp_path / "score.json").read_bytes() == (tmp_path / "undisturbed.json").read_bytes()


def test_two_scorings_at_once_both_finish(small: Any, frames: FrameFolder, tmp_path: Path) -> None:
    path, met = tmp_path / "x.part.jsonl", threading.Barrier(2, timeout=30)
    undisturbed = score_source(Counted(small), frames)
    told: list[Any] = []

    def score() -> None:
        first = Counted(small, lambda name: met.wait())  # both at the same frame at the same time
        told.append(score_source(first, frames, journal=path))

    threads = [threading.Thread(target=score) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert [score.as_json() for score in told] == [undisturbed.as_json()] * 2


# Frames in flight


@pytest.mark.parametrize("workers", [1, 2, 4])
def test_few_frames_are_in_flight_however_slow_the_disk(
    workers: int, small: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [f"{index:04d}" for index in range(24)]
    folder = open_folder(small.write_frames(tmp_path / "many", names))
    real, ahead, lock = Journal.append, [], threading.Lock()
    begun = appended = 0

    def begin(name: str) -> None:
        nonlocal begun
        with lock:
            begun += 1
            ahead.append(begun - appended)

    def slow(journal: Journal, rows: Rows) -> None:
        nonlocal appended
        time.sleep(0.005)
        real(journal, rows)
        with lock:
            appended += 1

    monkeypatch.setattr(Journal, "append", slow)
    score_source(Counted(small, begin), folder, workers=workers, journal=tmp_path / "x.part.jsonl")
    assert appended == len(names)
    assert max(ahead) <= 2 * workers if workers > 1 else max(ahead) == 1


def test_workers_work_at_the_same_time(small: Any, frames: FrameFolder) -> None:
    together = threading.Barrier(3, timeout=30)  # six frames in two rounds of three; fails where one is alone
    source = Counted(small, lambda name: together.wait())
    score = score_source(source, frames, workers=3)
    assert score.as_json() == score_source(Counted(small), frames).as_json()


def test_one_worker_is_the_calling_thread(small: Any, frames: FrameFolder) -> None:
    threads = set()
    score_source(Counted(small, lambda name: threads.add(threading.current_thread())), frames, workers=1)
    assert threads == {threading.current_thread()}


# A long set


def long_set(root: Path) -> tuple[Path, Path]:
    """2,000 frames, which are 25 scenes under many names, with a prediction of its own for each: (data, source)."""
    scenes = make_scenes(root / "scenes", 25, seed=11, workers=1)
    opened = open_folder(scenes)
    data, source = root / "data", root / "predictions"
    source.mkdir()
    truths = [np.where(depth_m > 0, depth_m, 3.0) for depth_m in map(opened.depth_m, opened.names)]
    down, right = np.mgrid[-1:1:90j, -1:1:120j].astype(np.float32)
    for index in range(LONG):
        scene, name = f"{index % 25:04d}.png", f"{index:04d}"
        for folder in ("image", "depth_raw", "depth_conf"):
            (data / folder).mkdir(parents=True, exist_ok=True)
            os.link(scenes / folder / scene, data / folder / f"{name}.png")
        bend, tilt = np.random.default_rng(index).normal(0, 0.1, 2)
        truth = nearest(truths[index % 25], (120, 90))
        np.save(source / name, (truth / 10 * np.exp(bend * right + tilt * down**2)).astype(np.float32))
    return data, source


def peak_memory_mib(told: str) -> float:
    return int(re.search(r"VmHWM:\s+(\d+) kB", told)[1]) / 1024  # type: ignore[index]


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peak memory is read from /proc")
def test_two_thousand_frames_killed_in_the_middle_and_resumed(tmp_path: Path) -> None:
    """About 80 s on two cores; the process that scores stays below 1 GiB."""
    data, source = long_set(tmp_path)

    def start(name: str) -> subprocess.Popen[str]:
        words = ["score", str(source), "--data", str(data), "--json", str(tmp_path / name), "--workers", "2"]
        words = [sys.executable, "-c", DRIVER, str(tmp_path / f"{name}.asked"), "0", *words]
        return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    undisturbed = start("undisturbed.json")
    told, _ = undisturbed.communicate()
    assert undisturbed.returncode == 0
    assert peak_memory_mib(told) < 1024
    killed = start("score.json")
    while not part(tmp_path).exists() or part(tmp_path).read_bytes().count(b"\n") < LONG // 2:
        assert killed.poll() is None
        time.sleep(0.1)
    killed.kill()
    killed.communicate()
    assert killed.returncode == -signal.SIGKILL
    done = part(tmp_path).read_bytes().count(b"\n")
    assert LONG // 2 <= done < LONG
    (tmp_path / "score.json.asked").unlink()
    resumed = start("score.json")
    told, said = resumed.communicate()
    assert resumed.returncode == 0
    assert f"{done} frames are scored already" in said
    assert len((tmp_path / "score.json.asked").read_text().splitlines()) == LONG - done
    assert (tmp_path / "score.json").read_bytes() == (tmp_path / "undisturbed.json").read_bytes()
    assert peak_memory_mib(told) < 1024
