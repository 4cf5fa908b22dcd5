"""Interrupted scoring goes on where it stopped: kills, Ctrl-C, bad frames, full disks, two at once; memory is flat."""

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
from lpcv.evaluate.official import OFFICIAL
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


def parts(tmp_path: Path, name: str = "*") -> list[Path]:
    return sorted(tmp_path.glob(f"{name}.*.part.jsonl"))


def part(tmp_path: Path, name: str = "score.json") -> Path:
    (path,) = parts(tmp_path, name)
    return path


def kill(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


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
    left = part(tmp_path)
    assert cli.run(words) == 0
    assert f"Scored already: {done} frame{'' if done == 1 else 's'} ({left}); going on." in capsys.readouterr().err
    assert sorted(asked) == list(NAMES[done:])
    assert (tmp_path / "score.json").read_bytes() == (tmp_path / "undisturbed.json").read_bytes()
    assert parts(tmp_path) == []


@pytest.mark.usefixtures("keyboard")
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
    said = re.search(r"lpcv: Stopped; scored (\d) of 6 frames\. Type the command again to go on\.", told.err)
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
    with monkeypatch.context() as patch:
        patch.setattr("lpcv.evaluate.result.Score.write_json", kill)
        assert cli.run(command("score.json")) == 130
    assert len(part(tmp_path).read_bytes().splitlines()) == 6
    asked.clear()
    assert cli.run(command("score.json")) == 0
    assert asked == []
    assert parts(tmp_path) == []


@pytest.mark.parametrize("change", ["prediction", "truth", "model", "protocol", "kind", "frames", "source"])
def test_what_has_changed_is_scored_again_and_nothing_else(
    change: str, command: Callable[[str], list[str]], asked: list[str], tmp_path: Path, small: Any,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    first = command("score.json")
    if change == "model":
        first[1] = str(small.write_model(tmp_path / "m.onnx"))
    with monkeypatch.context() as patch:
        patch.setattr("lpcv.evaluate.result.Score.write_json", kill)
        assert cli.run(first) == 130
    left = part(tmp_path)
    more: Sequence[str] = {
        "protocol": ["--protocol", "lpcvc-2025-geometry"],
        "kind": ["--kind", "depth_m"],
        "frames": ["--frames", "0001-0003"],
    }.get(change, [])
    if change == "prediction":
        np.save(tmp_path / "p" / "0005.npy", small.prediction(4))
    elif change == "truth":
        (tmp_path / "six" / "manifest.json").write_text('[{"frame": "0000", "depth_unit_m": 0.002}]')
    elif change == "model":
        small.write_model(tmp_path / "m.onnx", metadata={"trained": "longer"})
    elif change == "source":
        first[1] = str(small.write_predictions(tmp_path / "p2", NAMES))
    asked.clear()
    capsys.readouterr()
    assert cli.run([*first, *more]) == 0
    told, again = capsys.readouterr().err, {"prediction": 1, "truth": 1, "model": 6}.get(change)
    said = f"Scored again: {again} frame{'' if again == 1 else 's'} in {left}, of another model, data or version."
    assert (said in told) == (again is not None)
    wanted = {"prediction": NAMES[5:], "truth": NAMES[:1], "frames": (), "model": ()}.get(change, NAMES)
    assert sorted(asked) == [*wanted]
    kept = {"frames": 3, "protocol": 6, "kind": 6, "source": 6}.get(change)  # what this command was not about
    assert [len(path.read_bytes().splitlines()) for path in parts(tmp_path)] == ([kept] if kept else [])
    assert cli.run([*first, *more, "--json", str(tmp_path / "fresh.json")]) == 0
    assert (tmp_path / "score.json").read_bytes() == (tmp_path / "fresh.json").read_bytes()


def test_weights_beside_a_model_are_part_of_it(
    small: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The .onnx file itself does not change when it is trained further."""
    data, model = small.write_frames(tmp_path / "six", NAMES), small.write_model(tmp_path / "m.onnx", op="weights")
    words = ["score", str(model), "--data", str(data), "--json"]
    with monkeypatch.context() as patch:
        patch.setattr("lpcv.evaluate.result.Score.write_json", kill)
        assert cli.run([*words, str(tmp_path / "score.json")]) == 130
    before, weights = model.read_bytes(), tmp_path / "m.onnx.data"
    weights.write_bytes(np.array([0.9, 0.05, 0.05], np.float32).tobytes())
    assert model.read_bytes() == before
    assert cli.run([*words, str(tmp_path / "score.json")]) == 0
    assert "6 frames in " in capsys.readouterr().err
    assert cli.run([*words, str(tmp_path / "fresh.json")]) == 0
    assert (tmp_path / "score.json").read_bytes() == (tmp_path / "fresh.json").read_bytes()


def test_a_bad_frame_costs_only_itself(
    command: Callable[[str], list[str]], asked: list[str], tmp_path: Path, small: Any,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    np.save(tmp_path / "p" / "0004.npy", np.ones((2, 3, 4), np.float32))
    words = [*command("score.json"), "--workers", "1"]
    assert cli.run(words) == 2
    told = capsys.readouterr().err
    assert "0004.npy is float32 of shape (2, 3, 4)" in told
    assert "Scored 4 of 6 frames, which are kept for when the command is typed again." in told
    assert not (tmp_path / "score.json").exists()
    np.save(tmp_path / "p" / "0004.npy", small.prediction(4))
    asked.clear()
    assert cli.run(words) == 0
    assert asked == list(NAMES[4:])
    assert parts(tmp_path) == []


def test_two_interrupted_scorings_with_one_json_both_go_on(
    command: Callable[[str], list[str]], asked: list[str], tmp_path: Path, small: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = command("score.json"), command("score.json")
    other[1] = str(small.write_predictions(tmp_path / "other", NAMES[::-1]))
    with monkeypatch.context() as patch:
        patch.setattr("lpcv.evaluate.result.Score.write_json", kill)
        assert cli.run(one) == 130
        assert cli.run(other) == 130
    assert len(parts(tmp_path, "score.json")) == 2
    asked.clear()
    assert cli.run(other) == 0
    assert cli.run(one) == 0
    assert asked == []
    assert parts(tmp_path) == []


@pytest.mark.parametrize("option", ["--csv", "--sheet", "--report"])
def test_any_output_has_a_journal_beside_it(
    option: str, command: Callable[[str], list[str]], asked: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = {"--sheet": "out.png"}.get(option, "out")
    words = [*command("unused")[:-2], option, str(tmp_path / name)]
    with monkeypatch.context() as patch:
        patch.setattr("lpcv.evaluate.show.show", kill)
        assert cli.run(words) == 130
    assert len(part(tmp_path, name).read_bytes().splitlines()) == 6
    asked.clear()
    with monkeypatch.context() as patch:  # pictures are drawn from predictions that are asked for again
        patch.setattr("lpcv.evaluate.score._scored", lambda *given: iter(()) if not given[3] else kill())
        assert cli.run(words) == 0
    assert parts(tmp_path) == []
    assert (tmp_path / name).exists()


@pytest.mark.parametrize("option", ["--json", "--scatter"])
def test_comparing_goes_on_too(
    option: str, small: Any, asked: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    data, name = small.write_frames(tmp_path / "six", NAMES), {"--json": "c.json", "--scatter": "c.png"}[option]
    sources = [str(small.write_predictions(tmp_path / "p", NAMES)), str(small.write_model(tmp_path / "m.onnx"))]
    sources.append(str(small.write_predictions(tmp_path / "q", NAMES[::-1])))
    words = ["compare", *sources, "--data", str(data), "--runs", "0", "--workers", "1", option]
    real = predictions.read_prediction

    def pressed(path: Path) -> Any:
        return kill() if path.parent.name == "q" and path.stem == NAMES[2] else real(path)

    with monkeypatch.context() as patch:
        patch.setattr(predictions, "read_prediction", pressed)
        assert cli.run([*words, str(tmp_path / name)]) == 130
    assert "Stopped; scored 2 of 6 frames. Type the command again to go on." in capsys.readouterr().err
    assert sorted(len(path.read_bytes().splitlines()) for path in parts(tmp_path, name)) == [2, 6, 6]
    asked.clear()
    assert cli.run([*words, str(tmp_path / name)]) == 0
    assert asked == list(NAMES[2:])
    assert parts(tmp_path) == []
    resumed = capsys.readouterr().out
    assert cli.run([*words, str(tmp_path / f"fresh.{name}")]) == 0
    assert capsys.readouterr().out == resumed
    assert (tmp_path / name).read_bytes() == (tmp_path / f"fresh.{name}").read_bytes()


def test_a_full_disk_is_a_sentence_and_keeps_what_was_scored(
    command: Callable[[str], list[str]], asked: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    real, calls = os.fsync, iter(range(1000))

    def full(descriptor: int) -> None:
        if next(calls) >= 3:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(descriptor)

    with monkeypatch.context() as patch:
        patch.setattr(files.os, "fsync", full)
        assert cli.run([*command("score.json"), "--workers", "1"]) == 2
    assert "lpcv: No space left on device. Free some space and run the command again" in capsys.readouterr().err
    assert not (tmp_path / "score.json").exists()
    with part(tmp_path).open("rb+") as stream:
        stream.truncate(part(tmp_path).stat().st_size - 40)  # of the fourth line the disk took a part
    assert part(tmp_path).read_bytes().count(b"\n") == 3
    asked.clear()
    assert cli.run(command("score.json")) == 0
    assert sorted(asked) == list(NAMES[3:])
    assert cli.run(command("undisturbed.json")) == 0
    assert (tmp_path / "score.json").read_bytes() == (tmp_path / "undisturbed.json").read_bytes()


def test_two_scorings_at_once_both_finish(small: Any, frames: FrameFolder, tmp_path: Path) -> None:
    met = threading.Barrier(2, timeout=30)
    undisturbed = score_source(Counted(small), frames)
    told: list[Any] = []

    def score() -> None:
        first = Counted(small, lambda name: met.wait())  # both at the same frame at the same time
        told.append(score_source(first, frames, journal=Journal.beside(tmp_path / "x", first, frames, [OFFICIAL])))

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

    def slow(journal: Journal, identity: str, rows: Rows) -> None:
        nonlocal appended
        time.sleep(0.005)
        real(journal, identity, rows)
        with lock:
            appended += 1

    monkeypatch.setattr(Journal, "append", slow)
    source = Counted(small, begin)
    journal = Journal.beside(tmp_path / "x", source, folder, [OFFICIAL])
    score_source(source, folder, workers=workers, journal=journal)
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
    while not parts(tmp_path) or part(tmp_path).read_bytes().count(b"\n") < LONG // 2:
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
    assert f"Scored already: {done:,} frames" in said
    assert len((tmp_path / "score.json.asked").read_text().splitlines()) == LONG - done
    assert (tmp_path / "score.json").read_bytes() == (tmp_path / "undisturbed.json").read_bytes()
    assert peak_memory_mib(told) < 1024
