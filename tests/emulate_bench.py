"""A small model, frames, and the words of `lpcv emulate`, for its tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import quantize_graphs as graphs
from conftest import SmallSet
from lpcv.hub_jobs.htp.estimate import NoEstimate
from lpcv.submission.npu import frames, rehearsal
from onnx import helper

S24 = "Samsung Galaxy S24"


def depth_model(path: Path, gain: float = 0.1) -> Path:
    """image (1, 3, 12, 16) -> a smoothed mixture of its channels (1, 1, 12, 16); fits in every precision."""
    node = helper.make_node
    nodes = [
        node("Mul", ["image", "small"], ["a"], name="scale"),
        node("Conv", ["a", "w"], ["b"], name="smooth", pads=[1] * 4),
        node("Relu", ["b"], ["c"], name="relu"),
        node("Conv", ["c", "v"], ["output_0"], name="mix"),
    ]
    constants = {
        "small": np.float32(1 / 255),
        "w": np.abs(graphs.chance(4, 3, 3, 3)),
        "v": np.full((1, 4, 1, 1), gain, np.float32),
    }
    return graphs.write(path, graphs.build(nodes, constants, [1, 1, 12, 16], fed=(1, 3, 12, 16)))


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, small: SmallSet) -> Path:
    """A model, three frames with truth, and a hub folder that a file's tests share; the path has a space."""
    root = tmp_path_factory.mktemp("a space")
    depth_model(root / "model.onnx")
    small.write_frames(root / "data")
    return root


@pytest.fixture(autouse=True)
def hub(place: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LPCV_HUB_FOLDER", str(place / "hub"))
    return place / "hub"


def words(place: Path, *more: str, data: bool = True, model: str = "model.onnx") -> list[str]:
    given = ["--data", str(place / "data")] if data else []
    return ["emulate", str(place / model), "--device", S24, *given, *more]


def by_row(told: dict[str, Any]) -> dict[tuple[str, str, int], dict[str, Any]]:
    return {(row["precision"], row["computed_by"], len(row["frames"])): row for row in told["rows"]}


def pretend(
    monkeypatch: pytest.MonkeyPatch, compute: Callable[[str, Any], Any] = lambda _, array: array.mean(1, keepdims=True)
) -> None:
    """Instead of the emulator, which takes a second to begin: (frame, its input) -> its output; and no estimate."""

    def run(compiled: Any, inputs: Any, limits: Any) -> Iterator[Any]:
        for name, array in inputs:
            yield name, compute(name, array)

    monkeypatch.setattr(frames, "run", run)
    monkeypatch.setattr(frames, "_is_whole", lambda file: False)  # what another test pretended is not taken
    no_estimate(monkeypatch)


def no_estimate(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rehearsal, "estimate", lambda *_, **__: NoEstimate("No latency is estimated in this test."))
