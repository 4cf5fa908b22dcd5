"""`lpcv sensitivity`: a planted weak layer is found, numbers are those of an independent scoring, nothing twice."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
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
from onnx import helper, numpy_helper

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
    costing = [row for row in rows if row["cost"]["mean"] > 1e-9]
    assert len(costing) == 2
    assert f"Of the 5 scored when alone quantized, 2 cost something: {worst['layer']} (" in said.out
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


def test_weights_in_another_file_count_and_are_found(place: Path, tmp_path: Path) -> None:
    """The graph's file is the same whatever lies in the other: scores must not be taken from one for another."""
    told = {}
    for name, bias in (("first", 0.1), ("second", 9.0)):
        model = onnx.load(str(place / "model.onnx"))
        for tensor in model.graph.initializer:
            if tensor.name == "bias":
                tensor.CopyFrom(numpy_helper.from_array(np.array([bias], np.float32), "bias"))
        path = tmp_path / name / "model.onnx"
        path.parent.mkdir()
        onnx.save(model, str(path), save_as_external_data=True, location="weights.bin", size_threshold=0)
        facts = tmp_path / f"{name}.json"
        more = ["--layers", "1", "--limit", "2", "--json", str(facts)]
        assert cli.run(["sensitivity", str(path), "--data", str(place / "data"), *more]) == 0
        told[name] = json.loads(facts.read_text())
        wanted = f_scores(path, place / "data", optimised=True)
        assert told[name]["f_score_float"] == {frame: wanted[frame] for frame in ("0000", "0007")}
    assert (tmp_path / "first/model.onnx").read_bytes() == (tmp_path / "second/model.onnx").read_bytes()
    assert told["first"]["f_score_float"] != told["second"]["f_score_float"]


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


def made_up(frames: Path, costs: list[tuple[str, Difference | None]], unscored: int = 0) -> Sensitivity:
    folder = open_folder(frames)
    prepared = prepare(weak_model(frames.parent / "m.onnx"), sixteen_bits=False)
    rows = tuple(LayerCost(Layer(name, "Conv", (name,), 9), 0.1, cost=cost) for name, cost in costs)
    calibrated = calibrate(prepared, folder, samples=2, seed=0)
    rest = tuple(LayerCost(Layer(f"other {index}", "Conv", (), 9), 0.01) for index in range(unscored))
    return Sensitivity(
        prepared.source, "w8a8", folder, calibrated, {"0000": 50.0}, {"0000": 40.0}, rows, rest
    )  # fmt: skip


def cost(mean: float, low: float, high: float) -> Difference:
    return Difference(mean, low, high, 8)


FOUR: list[tuple[str, Difference | None]] = [
    ("head", None), ("neck", cost(8, 6, 9)), ("stem", cost(2, -1, 4)), ("tail", cost(-1, -2, 0.5)),
]  # fmt: skip


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is written into a picture."""
    found: list[str] = []
    real = sensitivity_show._write

    def noting(canvas: Any, text: str, *more: Any) -> None:
        found.append(text)
        real(canvas, text, *more)

    monkeypatch.setattr(sensitivity_show, "_write", noting)
    return found


def test_the_picture_names_the_three_worst(small_frames: Path, written: list[str]) -> None:
    found = made_up(small_frames, FOUR, unscored=7)
    picture = sensitivity_show.draw(found)
    assert written[0].startswith("What w8a8 costs, layer by layer: ")
    assert written[0].endswith("m.onnx")
    assert written[1] == "f_score (of 100) on 3 frames of data; 4 of 11 layers scored"
    assert written[2] == "The three that cost most of the 4 scored:"
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


def test_a_long_path_keeps_its_end_and_its_place(small_frames: Path, written: list[str]) -> None:
    found = replace(made_up(small_frames, FOUR), model=Path("/somewhere" * 20) / "runs/mine/model.onnx")
    sensitivity_show.draw(found)
    assert written[0].endswith("runs/mine/model.onnx")
    assert sensitivity_show._width(written[0], sensitivity_show.LARGE) < 900


@pytest.mark.parametrize(
    ("costs", "said"),
    [
        (FOUR[1:], "Of the 3 scored when alone quantized, 2 cost something: neck (8.00 [6.00, 9.00]), stem (2.00 "),
        (FOUR[1:2], "Of the 1 scored when alone quantized, 1 costs something: neck"),
        (FOUR[3:], "Of the 1 scored when alone quantized, none costs anything."),
        ([("a", cost(1e-12, 0, 0))], "none costs anything."),
    ],
)
def test_what_gains_is_not_among_the_worst(
    costs: list[tuple[str, Difference | None]], said: str, small_frames: Path, written: list[str]
) -> None:
    found = made_up(small_frames, costs)
    assert said in sensitivity_show.worst_line(found)
    assert "tail" not in sensitivity_show.worst_line(found)
    sensitivity_show.draw(found)
    assert not any(text.startswith(("1. tail", "2. tail", "3.")) for text in written)


def test_without_a_score_of_the_float_model_no_cost_is_known(small_frames: Path) -> None:
    found = replace(made_up(small_frames, FOUR[:1]), exact={"0000": None})
    assert sensitivity_show.worst_line(found) == "A frame has no score in float, so no layer's cost is known."
