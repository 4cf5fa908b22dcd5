"""What many tests share: small real frames, a small real run, the reference data where it is."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from lpcv.cli import run as run_cli
from lpcv.data.synthetic.make import make_scenes

TrainArguments = Callable[..., list[str]]


@pytest.fixture(scope="session")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight synthetic scenes; read only."""
    return make_scenes(tmp_path_factory.mktemp("frames") / "scenes", 8, seed=5, workers=1)


@pytest.fixture(scope="session")
def tiny_run(scenes: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished, exported run of a few steps; read only."""
    out = tmp_path_factory.mktemp("runs") / "tiny"
    assert run_cli([*plumbing_run(scenes, out), "--val", str(scenes)]) == 0
    assert run_cli(["export", str(out)]) == 0
    return out


@pytest.fixture
def own_run(tiny_run: Path, tmp_path: Path) -> Path:
    """A copy of the tiny run that a test may change."""
    return Path(shutil.copytree(tiny_run, tmp_path / "run"))


@pytest.fixture(scope="session")
def train_arguments() -> TrainArguments:
    """(data, out, steps) -> the words of a plumbing run: the real student at a small size, no downloads."""
    return plumbing_run


def plumbing_run(data: Path, out: Path, steps: int = 4) -> list[str]:
    return [
        "train", "--data", str(data), "--out", str(out), "--teacher", "none", "--encoder-weights", "none",
        "--recipe", "laptop", "--set", f"optim.steps={steps}", "--set", "optim.batch=2",
        "--set", "network.working_size=128x96", "--set", "rhythm.checkpoint_every=2",
        "--set", "rhythm.log_every=1", "--set", "rhythm.validate_frames=2",
    ]  # fmt: skip


@pytest.fixture(scope="session")
def reference_data() -> Path:
    """The folder that LPCV_REFERENCE_DATA names."""
    named = os.environ.get("LPCV_REFERENCE_DATA")
    if not named:
        pytest.skip("LPCV_REFERENCE_DATA is not set: the organisers' cases and the real frames are not here")
    return Path(named)


@pytest.fixture(scope="session")
def tiny_teacher(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A metric Depth Anything of 112x84 pixels with random weights, as `save_pretrained` leaves it."""
    import torch
    from lpcv.train.small_teacher import DepthAnything

    torch.manual_seed(1)
    folder = tmp_path_factory.mktemp("teachers") / "metric"
    DepthAnything((112, 84), hidden=32).save_teacher(folder)
    return folder


@pytest.fixture(scope="session")
def relative_teacher(tiny_teacher: Path) -> Path:
    """The same weights, said to be relative, as Depth Anything's plain models are."""
    from transformers import DepthAnythingForDepthEstimation, DPTImageProcessor

    folder = tiny_teacher.parent / "relative"
    model = DepthAnythingForDepthEstimation.from_pretrained(tiny_teacher)
    model.config.depth_estimation_type = "relative"
    model.save_pretrained(folder)
    DPTImageProcessor.from_pretrained(tiny_teacher).save_pretrained(folder)
    return folder
