"""`lpcv sensitivity`: a planted weak layer is found, numbers are those of an independent scoring, nothing twice."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import quantize_graphs as graphs
from conftest import SmallSet
from lpcv import cli
from lpcv.data.folder import open_folder
from lpcv.data.images import read_rgb
from lpcv.evaluate.official import OFFICIAL
from lpcv.evaluate.predictions import OnnxModel
from lpcv.evaluate.statistics import Difference
from lpcv.hub_jobs.quantize.calibration import calibrate
from lpcv.hub_jobs.quantize.layers import Layer, layers
from lpcv.hub_jobs.quantize.prepare import prepare
from lpcv.hub_jobs.quantize.quantizer import quantize
from lpcv.hub_jobs.quantize.variants import alone, kept_in_16_bits
from lpcv.onnx_session import open_session
from lpcv.submission.npu import sensitivity, sensitivity_show
from lpcv.submission.npu.sensitivity import LayerCost, Sensitivity
from onnx import helper

NAMES = tuple(f"{index:04}" for index in range(8))
Facts = dict[str, Any]


def weak_model(path: Path) -> Path:
    """Layer "lift" adds 300 to values from 0 to about 1: in 8 bits its steps are larger than all that it carries."""
    node = helper.make_node
    nodes = [
        node("Mul", ["image", "small"], ["a"], name="scale"),
        node("Conv", ["a", "w"], ["b"], name="smooth", pads=[1] * 4),
        node("Relu", ["b"], ["c"], name="relu"),
        node("Add", ["c", "much"], ["d"], name="lift"),
        node("Sub", ["d", "much"], ["e"], name="lower"),
        node("Conv", ["e", "v", "bias"], ["output_0"], name="mix"),
    ]
    constants = {
        "small": np.float32(1 / 255),
        "w": np.abs(graphs.chance(4, 3, 3, 3)),
        "v": np.full((1, 4, 1, 1), 0.1, np.float32),
        "much": np.float32(300),
        "bias": np.array([0.1], np.float32),
    }
    return graphs.write(path, graphs.build(nodes, constants, [1, 1, 12, 16], fed=(1, 3, 12, 16)))


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, small: SmallSet) -> Path:
    root = tmp_path_factory.mktemp("sensitivity")
    weak_model(root / "model.onnx")
    small.write_frames(root / "data", NAMES)
    return root


@pytest.fixture(autouse=True)
def at_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LPCV_HUB_FOLDER", str(tmp_path / "hub"))


def words(place: Path, facts: Path, *more: str) -> list[str]:
    return ["sensitivity", str(place / "model.onnx"), "--data", str(place / "data"), "--json", str(facts), *more]


def f_scores(model: Path, data: Path, *, optimised: bool) -> dict[str, float | None]:
    """Frame by frame, by hand."""
    opened = replace(OnnxModel.open(model), session=open_session(model, optimised=optimised))
    frames = open_folder(data)
    return {
        name: OFFICIAL.score(
            frames.frame(name), opened.predict(name, read_rgb(frames.images[name])), "relative_depth"
        ).values["f_score"]
        for name in frames.names
    }


def test_the_weak_layer_is_found_and_its_numbers_are_right(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    facts, picture = tmp_path / "s.json", tmp_path / "s.png"
    assert cli.run(words(place, facts, "--picture", str(picture))) == 0
    told, said = json.loads(facts.read_text()), capsys.readouterr()
    rows: list[Facts] = told["layers"]
    assert {row["layer"] for row in rows} == {"scale", "smooth", "lift", "lower", "mix"}
    costs = [row["cost"]["mean"] for row in rows]
    assert costs == sorted(costs, reverse=True)
    worst = rows[0]
    assert worst["layer"] in ("lift", "lower")  # either rounds the value 300
    assert worst["cost"]["mean"] > 5
    assert worst["cost"]["low"] > 0
    exact = f_scores(place / "model.onnx", place / "data", optimised=True)
    assert told["f_score_float"] == exact
    by_name = {row["layer"]: row for row in rows}
    lift = by_name["lift"]
    frames = open_folder(place / "data")
    calibrated = calibrate(prepare(place / "model.onnx", sixteen_bits=True), frames, samples=32, seed=0)
    layer = next(layer for layer in layers(calibrated.prepared) if layer.name == "lift")
    for key, content in {
        "f_score_alone": alone(calibrated, layer, "w8a8"),
        "f_score_kept_in_16_bits": kept_in_16_bits(calibrated, layer),
    }.items():
        (tmp_path / "one.onnx").write_bytes(content)
        assert lift[key] == f_scores(tmp_path / "one.onnx", place / "data", optimised=False)
    mean = np.mean([exact[name] - lift["f_score_alone"][name] for name in NAMES])  # type: ignore[operator]
    assert lift["cost"]["mean"] == pytest.approx(mean)
    everything = quantize(place / "model.onnx", frames, "w8a8", tmp_path / "w8a8.onnx").path
    assert told["f_score_quantized"] == f_scores(everything, place / "data", optimised=False)
    assert f"The worst when alone quantized: {worst['layer']}" in said.out
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_typed_again_nothing_is_scored_twice_and_a_damaged_line_is(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = tmp_path / "1.json", tmp_path / "2.json"
    scored: list[int] = []
    real = sensitivity._Kept._score

    def counting(self: Any, *arguments: Any, **more: Any) -> Any:
        scored.append(1)
        return real(self, *arguments, **more)

    monkeypatch.setattr(sensitivity._Kept, "_score", counting)
    assert cli.run(words(place, first, "--layers", "2")) == 0
    assert len(scored) == 2 + 2 * 2
    assert cli.run(words(place, second, "--layers", "2")) == 0
    assert len(scored) == 6
    assert first.read_bytes() == second.read_bytes()
    (kept,) = (tmp_path / "hub" / "htp" / "sensitivity").iterdir()
    lines = kept.read_text().splitlines()
    kept.write_text("\n".join([lines[0], lines[1][:30], *lines[2:]]) + "\n")
    assert cli.run(words(place, second, "--layers", "2")) == 0
    assert len(scored) == 7
    assert first.read_bytes() == second.read_bytes()
    told = json.loads(first.read_text())
    assert len(told["layers"]) == 2
    rest = [row["mean_output_change"] for row in told["layers_not_scored"]]
    assert len(rest) == 3
    assert max(rest) <= min(row["mean_output_change"] for row in told["layers"])


def test_ctrl_c_keeps_what_is_scored(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    facts, real, scored = tmp_path / "s.json", sensitivity._Kept._score, []
    stop_at: int | None = 5

    def interrupted(self: Any, *arguments: Any, **more: Any) -> Any:
        if len(scored) == stop_at:
            raise KeyboardInterrupt
        scored.append(1)
        return real(self, *arguments, **more)

    monkeypatch.setattr(sensitivity._Kept, "_score", interrupted)
    assert cli.run(words(place, facts, "--layers", "3")) == 130
    assert "1 of 3 layers are scored and kept" in capsys.readouterr().err
    assert not facts.exists()
    stop_at = None
    assert cli.run(words(place, facts, "--layers", "3")) == 0
    assert len(scored) == 2 + 2 * 3


def test_w8a16_has_nothing_to_keep_in_16_bits(place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    facts = tmp_path / "s.json"
    assert cli.run(words(place, facts, "--precision", "w8a16", "--layers", "2", "--limit", "2")) == 0
    told = json.loads(facts.read_text())
    assert all(row["regained_in_16_bits"] is None and row["f_score_kept_in_16_bits"] is None for row in told["layers"])
    assert told["frames"] == ["0000", "0007"]
    assert set(told["calibration"]["frames"]) == set(NAMES) - {"0000", "0007"}  # the others, as there are some
    assert "there is none below six" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["--data", "nowhere"], "is not a folder"),
        (["--picture", "s.jpg"], "is no .png file"),
        (["--frames", "9000-9001"], "has no frame within"),
        (["--calibration", "nowhere"], "is not a folder"),
    ],
)
def test_what_cannot_be_used_is_a_sentence(
    given: list[str], said: str, place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(words(place, tmp_path / "s.json", *given)) == 2
    assert said in capsys.readouterr().err


def test_frames_without_truth_are_refused(
    place: Path, small_frames: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for path in (small_frames / "depth_conf").iterdir():
        path.unlink()
    given = ["sensitivity", str(place / "model.onnx"), "--data", str(small_frames)]
    assert cli.run(given) == 2
    assert "has no confidence for 3 of 3 frames" in capsys.readouterr().err


def made_up(frames: Path, costs: list[tuple[str, Difference | None]]) -> Sensitivity:
    folder = open_folder(frames)
    prepared = prepare(weak_model(frames.parent / "m.onnx"), sixteen_bits=False)
    rows = tuple(LayerCost(Layer(name, "Conv", (name,), 9), 0.1, cost=cost) for name, cost in costs)
    calibrated = calibrate(prepared, folder, samples=2, seed=0)
    return Sensitivity(frames, "w8a8", folder, calibrated, {"0000": 50.0}, {"0000": 40.0}, rows, ())


def test_the_picture_names_the_three_worst(small_frames: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    costs: list[tuple[str, Difference | None]] = [
        ("head", None), ("neck", Difference(8.0, 6.0, 9.0, 8)), ("stem", Difference(2.0, -1.0, 4.0, 8)),
        ("tail", Difference(-1.0, -2.0, 0.5, 8)),
    ]  # fmt: skip
    found = made_up(small_frames, costs)
    written: list[str] = []
    real = sensitivity_show._write

    def noting(canvas: Any, text: str, *more: Any) -> None:
        written.append(text)
        real(canvas, text, *more)

    monkeypatch.setattr(sensitivity_show, "_write", noting)
    picture = sensitivity_show.draw(found)
    assert "1. head: a frame has no score" in written
    assert "2. neck: 8.00 [6.00, 9.00]" in written
    assert "3. stem: 2.00 [-1.00, 4.00], not told from 0" in written
    assert not any(text.startswith("4.") for text in written)
    orange = (picture == np.array(sensitivity_show.COST)).all(axis=2)
    top, row = sensitivity_show.TOP, sensitivity_show.ROW
    pixels = [int(orange[top + row * index : top + row * (index + 1)].sum()) for index in range(4)]
    assert pixels[0] == 0
    assert pixels[1] > 3 * pixels[2] > 0
    assert "not told from 0" in sensitivity_show.worst_line(found)
