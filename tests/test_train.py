"""Training: the same weights whether or not it was interrupted, nothing lost, bad input named at once."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import made_once
from filelock import FileLock
from lpcv.cli import run
from lpcv.data.folder import open_folder
from lpcv.data.images import read_depth_m, write_png
from lpcv.data.labels import LabelSource, LabelStore
from lpcv.files import read_json, sha256_file, write_json
from lpcv.runs import Run
from lpcv.train import loop
from lpcv.train.checkpoint import STATE
from lpcv.train.dataset import Draw, DrawOrder, Examples
from lpcv.train.loop import learning_rate
from lpcv.train.networks import load_network
from lpcv.train.raw_rgb import RawRgb
from lpcv.train.recipe import Optimisation, resolve
from lpcv.train.validation import validate

STEPS = 6
TrainArguments = Callable[..., list[str]]
WEIGHTS = "checkpoints/last/model.safetensors"


@pytest.fixture(scope="session")
def undisturbed(train_arguments: TrainArguments, scenes: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of all steps in a process of its own; read only."""

    def make(out: Path) -> None:
        launch(train_arguments(scenes, out, STEPS)).wait()
        assert rows(out)[-1]["step"] == STEPS

    return made_once(tmp_path_factory, "undisturbed", make)


def launch(arguments: list[str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-m", "lpcv", *arguments], stderr=subprocess.PIPE)


def rows(out: Path) -> list[dict]:
    path = out / "metrics.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def wait_for_step(process: subprocess.Popen[bytes], out: Path, step: int) -> None:
    while process.poll() is None and not any(row["step"] >= step for row in rows(out)):
        time.sleep(0.005)
    assert process.poll() is None, "the run ended before the test could disturb it"


def test_killed_and_resumed_gives_the_weights_of_an_undisturbed_run(
    train_arguments: TrainArguments, undisturbed: Path, scenes: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    process = launch(train_arguments(scenes, out, STEPS))
    step = random.randint(1, STEPS - 3)
    print(f"killed after step {step}")  # pytest shows it where the test fails
    wait_for_step(process, out, step)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert launch(["train", "--out", str(out), "--resume"]).wait() == 0
    assert sha256_file(out / WEIGHTS) == sha256_file(undisturbed / WEIGHTS)
    assert [row["step"] for row in rows(out)] == list(range(1, STEPS + 1))


@pytest.mark.slow
def test_sigterm_saves_and_says_how_to_go_on(
    train_arguments: TrainArguments, undisturbed: Path, scenes: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    process = launch(train_arguments(scenes, out, STEPS))
    wait_for_step(process, out, 3)
    process.terminate()
    told = process.communicate()[1].decode()
    assert process.returncode == 130
    assert f"lpcv train --out {out} --resume" in told
    stopped_at = rows(out)[-1]["step"]
    assert torch.load(out / "checkpoints" / "last" / STATE, weights_only=True)["step"] == stopped_at
    assert launch(["train", "--out", str(out), "--resume"]).wait() == 0
    assert sha256_file(out / WEIGHTS) == sha256_file(undisturbed / WEIGHTS)


@pytest.mark.parametrize("step", ["network", "state"])
def test_a_fault_while_saving_keeps_the_checkpoint_before(
    train_arguments: TrainArguments,
    undisturbed: Path,
    step: str,
    scenes: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The disk fills up at the second checkpoint, between or within its two files; resuming still works."""
    out, real, calls = tmp_path / "run", getattr(loop, f"save_{step}"), []

    def full(*arguments: object) -> None:
        calls.append(step)
        if len(calls) == 2:
            raise OSError(28, "No space left on device")
        real(*arguments)

    monkeypatch.setattr(loop, f"save_{step}", full)
    assert run(train_arguments(scenes, out, STEPS)) == 2
    monkeypatch.undo()
    assert run(["train", "--out", str(out), "--resume"]) == 0
    assert sha256_file(out / WEIGHTS) == sha256_file(undisturbed / WEIGHTS)


def test_resume_of_a_finished_run_changes_nothing(tiny_run: Path, own_run: Path) -> None:
    out = own_run
    assert run(["train", "--out", str(out), "--resume"]) == 0
    assert sha256_file(out / WEIGHTS) == sha256_file(tiny_run / WEIGHTS)
    assert rows(out) == rows(tiny_run)


def test_a_run_is_not_overwritten(
    train_arguments: TrainArguments, tiny_run: Path, scenes: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sha256_file(tiny_run / "config.json")
    assert run(train_arguments(scenes, tiny_run)) == 2
    assert "--resume" in capsys.readouterr().err
    assert sha256_file(tiny_run / "config.json") == before


def test_validation_scores_officially_and_keeps_the_best(tiny_run: Path) -> None:
    validations = [row for row in rows(tiny_run) if "validation" in row]
    assert [row["step"] for row in validations] == [4]
    assert validations[0]["validation"]["f_score"] > 0
    assert (tiny_run / "checkpoints" / "best" / "model.safetensors").exists()


def test_config_is_resolved_and_says_where_all_comes_from(tiny_run: Path, scenes: Path) -> None:
    config = read_json(tiny_run / "config.json")
    assert config["recipe"]["optim"]["steps"] == 4
    assert config["provenance"]["data"]["sha256"] == open_folder(scenes).fingerprint()
    assert config["provenance"]["data"]["licences"] == {"Apache-2.0": 8}
    assert config["provenance"]["teacher"] is None
    assert resolve(str(tiny_run / "config.json")).network.working_size == (128, 96)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--resume"], "Add --out"),
        ([], "Add --data"),
        (["--data", "/nowhere"], "/nowhere is not a folder"),
        (["--data", "SCENES", "--recipe", "labtop"], "Did you mean 'laptop'"),
        (["--data", "SCENES", "--set", "optim.stepz=3"], "optim.steps"),
        (["--data", "SCENES", "--frames", "0100-0200"], "0000 to 0007"),
        (["--data", "SCENES", "--teacher", "none", "--encoder-weights", "nofile"], "is no file"),
        (["--data", "SCENES", "--resume", "--out", "OUT"], "--data cannot change a run"),
        (["--resume", "--out", "OUT"], "is not a run folder"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_bad_input_is_named_and_nothing_is_written(
    options: list[str], told: str, scenes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    words = [{"SCENES": str(scenes), "OUT": str(out)}.get(option, option) for option in options]
    if "--resume" not in words:
        words += ["--out", str(out)]
    assert run(["train", *words]) == 2
    assert told in capsys.readouterr().err
    assert not out.exists()


@pytest.mark.parametrize("damage", ["all-zero depth", "all-zero confidence"])
def test_a_frame_without_truth_is_named_before_training(
    train_arguments: TrainArguments, damage: str, scenes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "data"
    shutil.copytree(scenes, data, ignore=shutil.ignore_patterns("teacher_labels"))
    folder, dtype = ("depth_raw", np.uint16) if "depth" in damage else ("depth_conf", np.uint8)
    write_png(data / folder / "0003.png", np.zeros((192, 256), dtype))
    assert run(train_arguments(data, tmp_path / "run")) == 2
    assert f"{folder}/0003.png" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_resume_refuses_other_data(
    tiny_run: Path, scenes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, data = tmp_path / "run", tmp_path / "data"
    shutil.copytree(scenes, data, ignore=shutil.ignore_patterns("teacher_labels"))
    shutil.copytree(tiny_run, out)
    config = read_json(out / "config.json")
    config["inputs"]["data"] = str(data)
    write_json(out / "config.json", config)
    assert run(["train", "--out", str(out), "--resume"]) == 0
    write_png(data / "image" / "0000.png", np.zeros((480, 640, 3), np.uint8))
    assert run(["train", "--out", str(out), "--resume"]) == 2
    assert "is not what" in capsys.readouterr().err


@pytest.mark.parametrize(("damage", "told"), [("format", "format 99"), ("bytes", "is no checkpoint")])
def test_checkpoint_of_another_version_or_damaged(
    damage: str, told: str, tiny_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    shutil.copytree(tiny_run, out)
    path = out / "checkpoints" / "last" / STATE
    if damage == "format":
        torch.save({**torch.load(path, weights_only=True), "format": 99}, path)
    else:
        path.write_bytes(path.read_bytes()[:1000])
    assert run(["train", "--out", str(out), "--resume"]) == 2
    assert told in capsys.readouterr().err


def test_a_loss_that_is_not_finite_stops_the_run_and_is_not_saved(
    train_arguments: TrainArguments,
    scenes: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """At step 4, which is a step to save at but not to log at."""
    real, calls, out = loop.total_loss, [], tmp_path / "run"

    def broken(*arguments: object) -> object:
        calls.append(1)
        total, parts = real(*arguments)  # type: ignore[arg-type]
        return total * (float("nan") if len(calls) >= 4 else 1.0), parts

    monkeypatch.setattr(loop, "total_loss", broken)
    assert run([*train_arguments(scenes, out, 6), "--set", "rhythm.log_every=100"]) == 2
    assert "learning_rate" in capsys.readouterr().err
    state = torch.load(out / "checkpoints" / "last" / STATE, weights_only=True)
    assert state["step"] == 2
    assert all(torch.isfinite(value).all() for value in state["network"].values())


def test_schedule_warms_up_and_ends_at_zero() -> None:
    optim = Optimisation(steps=100, learning_rate=1.0, warmup_share=0.1)
    rates = [learning_rate(optim, step) for step in range(100)]
    assert rates[0] == pytest.approx(0.1)
    assert max(rates) == rates[10] == 1.0
    assert sorted(rates[:11]) == rates[:11]
    assert sorted(rates[10:], reverse=True) == rates[10:]
    assert rates[-1] < 1e-3


def test_order_can_be_entered_at_any_step() -> None:
    whole = list(DrawOrder(7, 3, 0, 20, seed=4))
    for first in (1, 6, 13):
        assert list(DrawOrder(7, 3, first, 20, seed=4)) == whole[first:]
    drawn = [draw.frame for batch in whole for draw in batch]
    assert [sorted(drawn[start : start + 7]) for start in range(0, 56, 7)] == [list(range(7))] * 8
    assert drawn[:7] != drawn[7:14]
    assert [draw.frame for batch in DrawOrder(7, 3, 0, 20, seed=5) for draw in batch] != drawn


def test_examples_carry_what_each_kind_of_label_says(scenes: Path, tmp_path: Path) -> None:
    """Metres as they are; inverse depth fitted where there is truth, and kept as it is where there is none."""
    frames = open_folder(scenes)
    recipe = resolve("laptop", ["data.mirror_share=0", "data.colour_jitter=0", "network.working_size=256x192"])
    truth_m = read_depth_m(frames.depths["0000"])
    inverse = np.where(truth_m > 0, (1 / np.maximum(truth_m, 0.1) - 0.05) / 3, 0)
    stores = {}
    for kind, label in (("depth_m", truth_m * 1.1), ("affine_inverse_depth", inverse)):
        source = LabelSource(kind, "test", "0" * 64, "apache-2.0", (64, 48))  # type: ignore[arg-type]
        stores[kind] = LabelStore.create(tmp_path / kind, source)
        stores[kind].write("0000", frames.images["0000"], label)
    metric = Examples(frames, stores["depth_m"], recipe)[Draw(0, 0)]
    assert metric["image"].shape == (3, 480, 640)
    assert metric["image"].dtype == torch.uint8
    inside = metric["truth_mask"] & metric["teacher_mask"]
    assert inside.float().mean() > 0.2
    assert torch.allclose(metric["teacher_m"][inside], metric["truth_m"][inside] * 1.1, rtol=2e-3)
    assert not metric["affine_mask"].any()
    relative = Examples(frames, stores["affine_inverse_depth"], recipe)[Draw(0, 0)]
    inside = relative["truth_mask"] & relative["teacher_mask"]
    assert torch.allclose(relative["teacher_m"][inside], relative["truth_m"][inside], rtol=0.05)
    shutil.copytree(scenes / "image", tmp_path / "alone" / "image")
    alone = Examples(open_folder(tmp_path / "alone"), stores["affine_inverse_depth"], recipe)[Draw(0, 0)]
    assert alone["affine_mask"].all()
    assert not alone["teacher_mask"].any()
    assert not alone["truth_mask"].any()


def test_truth_is_masked_by_confidence_and_range(scenes: Path) -> None:
    frames = open_folder(scenes)
    size = ["network.working_size=256x192", "data.mirror_share=0"]
    frame = frames.frame("0001")
    assert frame.depth_m is not None
    assert frame.confidence is not None
    for floor in (0, 1, 2):
        recipe = resolve("laptop", [*size, f"data.confidence_floor={floor}", "network.max_depth_m=4"])
        mask = Examples(frames, None, recipe)[Draw(1, 0)]["truth_mask"][0].numpy()
        assert np.array_equal(mask, (frame.depth_m > 0) & (frame.depth_m <= 4) & (frame.confidence >= floor))


def test_mirrored_examples_stay_aligned(scenes: Path) -> None:
    frames = open_folder(scenes)
    plain, mirrored = (
        Examples(frames, None, resolve("laptop", [f"data.mirror_share={share}", "data.colour_jitter=0"]))[Draw(2, 0)]
        for share in (0, 1)
    )
    for name in ("image", "truth_m", "truth_mask"):
        assert torch.equal(plain[name].flip(-1), mirrored[name])


def test_training_on_images_alone_needs_a_teacher(
    train_arguments: TrainArguments, scenes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(scenes / "image", tmp_path / "alone" / "image")
    assert run(train_arguments(tmp_path / "alone", tmp_path / "run")) == 2
    assert "Give --teacher" in capsys.readouterr().err


@pytest.mark.slow
def test_two_processes_train_together(train_arguments: TrainArguments, scenes: Path, tmp_path: Path) -> None:
    """Two CPU processes through accelerate's launcher: one run folder, finished, loadable."""
    out = tmp_path / "run"
    arguments = train_arguments(scenes, out)
    launcher = [sys.executable, "-m", "accelerate.commands.launch", "--cpu", "--num_processes", "2", "-m", "lpcv"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    assert subprocess.run([*launcher, *arguments], env=environment, check=False).returncode == 0
    assert [row["step"] for row in rows(out)] == [1, 2, 3, 4]
    assert Run(out).checkpoint.exists()


@pytest.mark.parametrize("content", ["5", '{"a": 1}', '{"step": "x"}', '{"step": 1'])
def test_rows_of_the_log_that_are_none_are_dropped(content: str, own_run: Path) -> None:
    before = rows(own_run)
    with (own_run / "metrics.jsonl").open("a") as log:
        log.write(content + "\n")
    assert run(["train", "--out", str(own_run), "--resume"]) == 0
    assert rows(own_run) == before


@pytest.mark.parametrize("damage", ["lacks a weight", "lacks a part", "no inputs", "no provenance"])
def test_damaged_run_files_are_named(damage: str, own_run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = own_run / "checkpoints" / "last" / STATE
    state, config = torch.load(path, weights_only=True), read_json(own_run / "config.json")
    if damage == "lacks a weight":
        state["network"].pop("head.weight")
    elif damage == "lacks a part":
        state.pop("step")
    elif damage == "no inputs":
        config["inputs"] = {"frames": None}
    else:
        config["provenance"] = {}
    torch.save(state, path)
    write_json(own_run / "config.json", config)
    assert run(["train", "--out", str(own_run), "--resume"]) == 2
    told = capsys.readouterr().err
    assert str(own_run) in told
    assert "Traceback" not in told


def test_two_processes_do_not_train_one_run(own_run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with FileLock(own_run / ".lock"):
        assert run(["train", "--out", str(own_run), "--resume"]) == 2
    assert "another process" in capsys.readouterr().err


def test_resume_from_another_folder(own_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["train", "--out", str(own_run), "--resume"]) == 0


def test_encoder_weights_for_another_network_are_refused(
    train_arguments: TrainArguments, scenes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = train_arguments(scenes, tmp_path / "run")
    words[words.index("none", words.index("--encoder-weights"))] = "imagenet"
    words += ["--set", "network.name=depth_anything", "--set", "network.working_size=84x70"]
    assert run(words) == 2
    assert "is for the student" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_validation_computes_in_float32_whatever_training_does(train_arguments: TrainArguments, scenes: Path,
                                                               tmp_path: Path) -> None:  # fmt: skip
    out = tmp_path / "run"
    words = [*train_arguments(scenes, out), "--val", str(scenes), "--set", "mixed_precision=bf16"]
    assert launch(words).wait() == 0  # accelerate keeps one precision per process
    network = load_network("mobilenet_v3_small", out / "checkpoints" / "best")
    frames = open_folder(scenes)
    validated = [row["validation"] for row in rows(out) if "validation" in row][-1]
    again = validate(RawRgb(network, (128, 96)), frames.subset(("0000", "0007")), torch.device("cpu"))
    assert again.mean.values["abs_rel"] == pytest.approx(validated["abs_rel"], rel=1e-6)


def test_a_damaged_image_is_named_before_training(
    train_arguments: TrainArguments, scenes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "data"
    shutil.copytree(scenes, data, ignore=shutil.ignore_patterns("teacher_labels"))
    image = data / "image" / "0003.png"
    image.write_bytes(image.read_bytes()[:3000])
    assert run(train_arguments(data, tmp_path / "run")) == 2
    assert "image/0003.png" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_one_folder_is_split_into_training_and_validation(
    train_arguments: TrainArguments, scenes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, words = tmp_path / "run", ["--frames", "0000-0004", "--val", str(scenes)]
    assert run([*train_arguments(scenes, out, 2), *words, "--val-frames", "0005-0007"]) == 0
    assert "TRAINED on" not in capsys.readouterr().err
    assert [row["validation_frames"] for row in rows(out) if "validation" in row] == [2]
    assert run([*train_arguments(scenes, tmp_path / "other", 2), *words]) == 0
    assert "5 of 8 validation frames are TRAINED on" in capsys.readouterr().err
