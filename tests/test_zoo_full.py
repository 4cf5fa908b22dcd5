"""The zoo at its real sizes with random weights: it exports, checks, compiles on the stand-in, and is estimated."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from htp_graphs import needs_emulator
from lpcv.cli import run as run_cli
from lpcv.contract import CURRENT as CONTRACT
from lpcv.data.images import write_png
from lpcv.files import read_json
from lpcv.train.zoo.network import ZooModel
from lpcv.train.zoo.variants import ZOO, Variant
from lpcv.train.zoo.weights import load_weights

DEVICE = "Samsung Galaxy S24"
pytestmark = pytest.mark.slow


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty folder to work in, with its own ledger."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LPCV_HUB_FOLDER", raising=False)
    before = signal.getsignal(signal.SIGTERM)
    yield tmp_path
    signal.signal(signal.SIGTERM, before)


@pytest.mark.parametrize("name", ZOO)
def test_it_exports_checks_and_compiles(name: str, here: Path) -> None:
    for index in range(2):
        noise = np.random.default_rng(index).integers(0, 256, (480, 640, 3), np.uint8)
        write_png(here / "frames" / "image" / f"{index:04}.png", noise)
    assert run_cli(["zoo", "build", name, "--weights", "random", "--out", "model.onnx"]) == 0
    assert [path.name for path in here.glob("model*")] == ["model.onnx"]
    operators = {node.op_type for node in onnx.load("model.onnx").graph.node}
    assert not operators & {"Shape", "Where", "IsNaN", "Expand", "ConstantOfShape", "Range", "If", "Loop"}
    stretched = ZOO[name].kind == "relative"
    words = ["check", "model.onnx", "--data", "frames", "--json", "found.json"]
    assert run_cli(words) == int(stretched)
    found = {one["name"]: one for one in read_json(here / "found.json")["findings"]}
    failed = [name for name, one in found.items() if one["state"] == "fail"]
    assert failed == (["no stretching"] if stretched else [])
    assert "random weights" in found["depth direction"]["found"]
    assert found["encoder weights licence"]["found"] == "none: random weights"
    assert found["answers the picture"]["state"] == "pass"
    assert 24.2 < float(found["parameters"]["found"].split(" M")[0]) < 24.8  # positions of fewer patches
    assert run_cli(["compile", "model.onnx", "--device", DEVICE, "--hub", "local"]) == 0


@pytest.mark.parametrize("change", [{"heads": "stock"}, {"normalisation": "subtract-divide"}])
def test_the_rewrites_change_no_value_at_real_size(change: dict[str, str]) -> None:
    picture = torch.from_numpy(np.random.default_rng(5).uniform(0, 255, CONTRACT.input_shape).astype(np.float32))

    def answer(variant: Variant) -> torch.Tensor:
        with torch.inference_mode():
            return ZooModel(variant, load_weights(variant, "random")[0])(picture)

    second = ZOO["second-one-pass"]
    rewritten, plain = answer(second), answer(replace(second, **change))  # type: ignore[arg-type]
    assert float(plain.std()) > 0.01
    assert float((rewritten - plain).abs().max()) <= 1e-4


@needs_emulator
def test_estimates_of_split_and_stock_heads_stand_beside_what_was_measured(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = ["second", "second-stock-attention"]
    words = ["zoo", "estimate", *names, "--device", DEVICE, "--runtime", "onnx", "--json", "told.json"]
    assert run_cli(words) == 0
    said = capsys.readouterr()
    assert "ESTIMATED" in said.out
    assert "MEASURED" in said.out
    assert "Step 10 of 10" in said.err
    assert "Basis: estimated, not measured" in said.err
    split, stock = read_json(here / "told.json")["models"]
    assert (split["name"], stock["name"]) == tuple(names)
    assert split["fits"] is stock["fits"] is True
    assert split["estimated_latency"]["ms"] < stock["estimated_latency"]["ms"]
    assert split["compiling_peak_memory_mb"] < 8192
    assert (split["published"]["latency_ms"], stock["published"]["latency_ms"]) == (28.6, 56.5)
