"""What many tests share: small real frames, a small real run, the reference data where it is."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import pytest
from filelock import FileLock
from lpcv.cli import run as run_cli
from lpcv.data.images import write_png
from lpcv.data.resize import nearest
from lpcv.data.synthetic.make import make_scenes
from onnx import TensorProto, helper, numpy_helper

TrainArguments = Callable[..., list[str]]


@pytest.fixture(scope="session")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight synthetic scenes; read only."""
    return made_once(tmp_path_factory, "scenes", lambda place: make_scenes(place, 8, seed=5, workers=1))


@pytest.fixture(scope="session")
def tiny_run(scenes: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished, exported run of a few steps; read only."""

    def make(out: Path) -> None:
        assert run_cli([*plumbing_run(scenes, out), "--val", str(scenes)]) == 0
        assert run_cli(["export", str(out)]) == 0

    return made_once(tmp_path_factory, "tiny", make)


def made_once(tmp_path_factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """A folder that all processes of this test session share, made by the first that wants it; read only."""
    own = tmp_path_factory.getbasetemp()
    root = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "made_once"
    root.mkdir(exist_ok=True)
    with FileLock(root / f"{name}.lock"):
        if not (root / f"{name}.done").exists():
            make(root / name)
            (root / f"{name}.done").touch()
    return root / name


@pytest.fixture
def own_run(tiny_run: Path, tmp_path: Path) -> Path:
    """A copy of the tiny run that a test may change."""
    return Path(shutil.copytree(tiny_run, tmp_path / "run"))


@pytest.fixture
def keyboard() -> Iterator[None]:
    """Ctrl-C as in a terminal: a shell that starts tests in the background has them ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


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


class SmallSet:
    """Frames of 16x12 pixels with truth of 8x6, made in microseconds, and predictions and models of that size."""

    names = ("0000", "0001", "0002")
    width, height = 16, 12

    def depth_mm(self, index: int) -> npt.NDArray[np.uint16]:
        """(6, 8) a slope from 1 to 4 m, different for each frame."""
        return np.linspace(1000 + 100 * index, 4000, 48).reshape(6, 8).astype(np.uint16)

    def prediction(self, index: int) -> npt.NDArray[np.float32]:
        """(12, 16) the truth of frame `index`, grown, bent a little, at another scale."""
        grown = nearest(self.depth_mm(index).astype(np.float32), (self.width, self.height))
        return ((grown / 9000) ** (1.0 + 0.1 * (index + 1))).astype(np.float32)

    def write_frames(self, root: Path, names: Sequence[str] = names) -> Path:
        for index, name in enumerate(names):
            rgb = np.random.default_rng(index).integers(0, 256, (self.height, self.width, 3), np.uint8)
            write_png(root / "image" / f"{name}.png", rgb)
            write_png(root / "depth_raw" / f"{name}.png", self.depth_mm(index))
            write_png(root / "depth_conf" / f"{name}.png", np.full((6, 8), 2, np.uint8))
        return root

    def write_predictions(self, root: Path, names: Sequence[str] = names) -> Path:
        root.mkdir()
        for index, name in enumerate(names):
            np.save(root / f"{name}.npy", self.prediction(index)[None, None])
        return root

    def write_model(
        self, path: Path, *, metadata: dict[str, str] | None = None, elem: int = TensorProto.FLOAT, op: str = "mean"
    ) -> Path:
        """image (1, 3, 12, 16) -> the mean of the channels (1, 1, 12, 16), and wrong ones.

        "weights" has three of them, in a file beside it, whose name ends on .data.
        """
        nodes = {
            "mean": [helper.make_node("ReduceMean", ["image"], ["output_0"], axes=[1], keepdims=1)],
            "weights": [helper.make_node("Conv", ["image", "w"], ["output_0"])],
            "all channels": [helper.make_node("Identity", ["image"], ["output_0"])],
            "no batch": [helper.make_node("ReduceMean", ["image"], ["output_0"], axes=[1], keepdims=0)],
            "integers": [
                helper.make_node("ReduceMean", ["image"], ["mean"], axes=[1], keepdims=1),
                helper.make_node("Cast", ["mean"], ["output_0"], to=TensorProto.INT64),
            ],
        }[op]
        image = helper.make_tensor_value_info("image", elem, [1, 3, self.height, self.width])
        output = helper.make_tensor_value_info("output_0", TensorProto.INT64 if op == "integers" else elem, None)
        weights = [numpy_helper.from_array(np.full((1, 3, 1, 1), 1 / 3, np.float32), "w")] if op == "weights" else []
        graph = helper.make_graph(nodes, "g", [image], [output], weights)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
        if metadata:
            helper.set_model_props(model, metadata)
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = {"save_as_external_data": True, "location": f"{path.name}.data", "size_threshold": 0}
        onnx.save(model, path, **(beside if weights else {}))
        return path


@pytest.fixture(scope="session")
def small() -> SmallSet:
    return SmallSet()


@pytest.fixture
def small_frames(small: SmallSet, tmp_path: Path) -> Path:
    """Three frames that a test may change."""
    return small.write_frames(tmp_path / "data")


@pytest.fixture
def small_predictions(small: SmallSet, tmp_path: Path) -> Path:
    """Their predictions, which a test may change."""
    return small.write_predictions(tmp_path / "predictions")
