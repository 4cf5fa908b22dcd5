"""`lpcv compare`: which differences are real, what a model costs, and the scatter."""

from __future__ import annotations

import json
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import pytest
from lpcv.cli import run as run_cli
from lpcv.data.folder import open_folder
from lpcv.data.images import write_png
from lpcv.data.resize import nearest
from lpcv.errors import InputError, UnknownNameError
from lpcv.evaluate import footprint as footprints
from lpcv.evaluate.baseline import ConstantDepth
from lpcv.evaluate.cli import compare
from lpcv.evaluate.compare import Against, labels_of_sources, open_sources
from lpcv.evaluate.compare_show import sentence
from lpcv.evaluate.official import METRICS, OFFICIAL
from lpcv.evaluate.predictions import OnnxModel
from lpcv.evaluate.scatter import BASELINE, EVEN, LEFT, OURS, SIDE, TOP, scatter
from lpcv.evaluate.statistics import Difference, mean_interval, paired_difference
from onnx import TensorProto, helper, numpy_helper

HEIGHT, WIDTH, FRAMES = 12, 16, 9
NAMES = [f"{index:04d}" for index in range(FRAMES)]
Predictor = Callable[[int, npt.NDArray[np.float32]], npt.NDArray[np.float32]]


def depth_mm(index: int) -> npt.NDArray[np.uint16]:
    """(6, 8) a slope from 1 to 4 m, different for each frame."""
    return np.linspace(1000 + 150 * index, 4000, 48).reshape(6, 8).astype(np.uint16)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("compare") / "data"
    for index, name in enumerate(NAMES):
        write_png(root / "image" / f"{name}.png", np.full((HEIGHT, WIDTH, 3), 20 * index, np.uint8))
        write_png(root / "depth_raw" / f"{name}.png", depth_mm(index))
        write_png(root / "depth_conf" / f"{name}.png", np.full((6, 8), 2, np.uint8))
    return root


def write_predictions(folder: Path, predict: Predictor) -> str:
    folder.mkdir()
    for index, name in enumerate(NAMES):
        truth_m = nearest((depth_mm(index) / 1000).astype(np.float32), (WIDTH, HEIGHT))
        np.save(folder / f"{name}.npy", predict(index, truth_m).astype(np.float32))
    return str(folder)


def noisy(size: float, seed: int = 0) -> Predictor:
    """The truth times a log-normal error of this size."""
    return lambda index, truth_m: (
        truth_m * np.exp(np.random.default_rng([seed, index]).normal(0, size, truth_m.shape)).astype(np.float32)
    )


@pytest.fixture
def good(tmp_path: Path) -> str:
    return write_predictions(tmp_path / "good", noisy(0.02))


@pytest.fixture
def bad(tmp_path: Path) -> str:
    return write_predictions(tmp_path / "bad", noisy(0.2, seed=1))


def run(*words: str | Path) -> None:
    compare.main([str(word) for word in words], standalone_mode=False)


def compared_json(*words: str | Path, into: Path) -> dict[str, Any]:
    """What `--json` holds; read without leave for NaN."""
    run(*words, "--json", into)

    def refused(literal: str) -> None:
        raise ValueError(literal)

    return json.loads(into.read_text(), parse_constant=refused)


def tiny_model(folder: Path, *, scale: float = 1.0, external: bool = False) -> Path:
    """An .onnx of 3 + 1 weights in a 1x1 convolution and a Constant node of 1 number."""
    weight = numpy_helper.from_array(np.full((1, 3, 1, 1), scale / 600, np.float32), "w")
    bias = numpy_helper.from_array(np.array([0.1], np.float32), "b")
    half = helper.make_tensor("half", TensorProto.FLOAT, (), [0.5])
    nodes = [
        helper.make_node("Conv", ["image", "w", "b"], ["mixed"]),
        helper.make_node("Constant", [], ["c"], value=half),
        helper.make_node("Mul", ["mixed", "c"], ["output_0"]),
    ]
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, (1, 3, HEIGHT, WIDTH))
    output = helper.make_tensor_value_info("output_0", TensorProto.FLOAT, (1, 1, HEIGHT, WIDTH))
    graph = helper.make_graph(nodes, "tiny", [image], [output], [weight, bias])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    folder.mkdir(exist_ok=True)
    path = folder / "model.onnx"
    beside = {"save_as_external_data": True, "location": "weights.bin", "size_threshold": 0} if external else {}
    onnx.save(model, str(path), **beside)
    return path


def test_a_truly_better_model_is_called_better(
    data: Path, good: str, bad: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    found = compared_json(bad, good, "--data", data, into=tmp_path / "a.json")
    there = capsys.readouterr().out
    back = compared_json(good, bad, "--data", data, into=tmp_path / "b.json")
    here = capsys.readouterr().out
    mine = found["protocols"]["lpcvc-2025"]["differences"]["good"]
    theirs = back["protocols"]["lpcvc-2025"]["differences"]["bad"]
    for metric in ("f_score", "abs_rel", "rmse", "iou"):
        assert mine[metric]["verdict"] == "better"
        assert theirs[metric]["verdict"] == "worse"
        assert mine[metric]["mean"] == pytest.approx(-theirs[metric]["mean"])
    gain = mine["f_score"]
    said = f"by {gain['mean']:.2f} f_score, 95 % [{gain['low']:.2f}, {gain['high']:.2f}] (over {FRAMES} frames)"
    assert f"good is better than bad {said}" in there
    assert "bad is worse than good by" in here
    assert gain["low"] > 0


def test_the_json_holds_the_numbers_of_the_score(data: Path, good: str, bad: str, tmp_path: Path) -> None:
    found = compared_json(good, bad, "--data", data, into=tmp_path / "compare.json")
    protocol = found["protocols"]["lpcvc-2025"]
    columns: dict[str, dict[str, list[float]]] = {}
    for label, source in (("good", good), ("bad", bad)):
        assert run_cli(["score", source, "--data", str(data), "--json", str(tmp_path / "s.json")]) == 0
        score = json.loads((tmp_path / "s.json").read_text())
        rows = {row["frame"]: row for row in score["frames"]}
        columns[label] = {key: [row[key] for row in rows.values()] for key in METRICS}
        for key in METRICS:
            mean = protocol["scores"][label]["mean"][key]
            assert mean["mean"] == score["mean"][key]
            assert (mean["low"], mean["high"]) == mean_interval(columns[label][key])
        for name in NAMES:
            assert protocol["scores"][label]["per_frame"][name] == {key: rows[name][key] for key in METRICS}
        assert found["models"][label]["source_sha256"] == score["source_sha256"]
    for key in METRICS:
        difference = paired_difference(columns["bad"][key], columns["good"][key])
        told = protocol["differences"]["bad"][key]
        assert (told["mean"], told["low"], told["high"]) == (difference.mean, difference.low, difference.high)
        assert (told["frames"], told["frames_left_out"]) == (FRAMES, 0)
    assert found["baseline"] == "good"
    assert found["frames"] == FRAMES
    assert protocol["ranks"] == "f_score"
    assert protocol["described"]["name"] == "lpcvc-2025"
    assert "BCa" in found["interval"]["method"]
    assert found["models"]["good"]["why_no_footprint"] == "predictions"
    assert found["latency_on_this_cpu"]["models"]["good"] == {"one_core": None, "all_cores": None}
    assert {"cpu", "cores", "system", "python", "numpy", "onnxruntime"} <= set(
        found["latency_on_this_cpu"]["environment"]
    )


def test_a_copy_has_no_difference(data: Path, good: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    copy = shutil.copytree(good, tmp_path / "copy")
    found = compared_json(good, copy, good, "--data", data, into=tmp_path / "compare.json")
    assert set(found["models"]) == {good, "copy", f"{good} (2)"}
    for label in ("copy", f"{good} (2)"):
        for told in found["protocols"]["lpcvc-2025"]["differences"][label].values():
            assert (told["mean"], told["low"], told["high"]) == (0.0, 0.0, 0.0)
            assert told["verdict"] == "not told apart"
    assert "not told apart: copy - " in capsys.readouterr().out


def test_few_frames_are_not_enough(data: Path, good: str, bad: str, capsys: pytest.CaptureFixture[str]) -> None:
    run(bad, good, "--data", data, "--frames", "0000-0002")
    assert "too few frames to tell: good - bad is" in capsys.readouterr().out
    run(bad, good, "--data", data, "--frames", "0000")
    assert "(over 1 frame)" in capsys.readouterr().out


def test_a_frame_without_a_value_is_left_out_and_counted(
    data: Path, good: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(index: int, truth_m: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        return np.full_like(truth_m, np.nan) if index == 4 else noisy(0.2)(index, truth_m)

    source = write_predictions(tmp_path / "broken", broken)
    found = compared_json(good, source, "--data", data, into=tmp_path / "compare.json")
    protocol = found["protocols"]["lpcvc-2025"]
    told = protocol["differences"]["broken"]["abs_rel"]
    assert (told["frames"], told["frames_left_out"], told["verdict"]) == (FRAMES - 1, 1, "worse")
    mean = protocol["scores"]["broken"]["mean"]["abs_rel"]
    assert (mean["mean"], mean["low"], mean["high"]) == (None, None, None)
    assert "0004" in mean["reason"]
    told_people = capsys.readouterr()
    assert "broken: lpcvc-2025: abs_rel" in told_people.err
    assert "not finite: no finite value in 1 of 9 frames, the first is 0004" in told_people.err
    assert "not finite" in told_people.out


def test_a_stopped_frame_is_said_and_left_out(
    data: Path, good: str, bad: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = shutil.copytree(data, tmp_path / "own")
    write_png(own / "depth_conf" / "0003.png", np.zeros((6, 8), np.uint8))
    found = compared_json(good, bad, "--data", own, into=tmp_path / "compare.json")
    protocol = found["protocols"]["lpcvc-2025"]
    assert list(protocol["scores"]["bad"]["frames_stopped"]) == ["0003"]
    assert protocol["scores"]["bad"]["frames_scored"] == FRAMES - 1
    assert protocol["differences"]["bad"]["f_score"]["frames"] == FRAMES - 1
    assert protocol["differences"]["bad"]["f_score"]["frames_left_out"] == 1
    told = capsys.readouterr()
    assert "bad: lpcvc-2025: NO score for 1 of 9 frames, left out of the mean (0003)" in told.err
    assert "(over 8 frames; 1 left out, where either has no value)" in told.out


def test_models_are_counted_weighed_and_timed(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one, other = tiny_model(tmp_path / "one"), tiny_model(tmp_path / "other", scale=2.0)
    found = compared_json(
        one, other, "constant", "--data", data, "--frames", "0001", "--runs", "6", into=tmp_path / "c"
    )
    assert list(found["models"]) == [str(one), str(other), "constant"]
    assert found["models"][str(one)]["parameters"] == 5
    assert found["models"][str(one)]["file_bytes"] == one.stat().st_size
    assert found["models"]["constant"]["why_no_footprint"] == "no model"
    for label in (str(one), str(other)):
        for cores in ("one_core", "all_cores"):
            time = found["latency_on_this_cpu"]["models"][label][cores]
            assert 0 < time["p10_ms"] <= time["median_ms"] <= time["p90_ms"]
            assert time["frames_per_second"] == pytest.approx(1000 / time["median_ms"])
            assert time["runs"] == 6
    out = capsys.readouterr().out
    assert "times measured on THIS CPU" in out
    assert "n/a (no model)" in out


def test_no_runs_leave_the_time_out(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = tiny_model(tmp_path / "one")
    run(model, model, "--data", data, "--frames", "0001", "--runs", "0")
    told = capsys.readouterr()
    assert "not timed" in told.out
    assert "timing" not in told.err


def test_one_core_is_one_thread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = OnnxModel.open(tiny_model(tmp_path / "one"))
    asked: list[int] = []
    real = footprints.open_session
    monkeypatch.setattr(
        footprints, "open_session", lambda path, threads, optimised: asked.append(threads) or real(path, threads)
    )
    monkeypatch.setattr(footprints, "usable_cores", lambda: 2)
    found = footprints.footprint(model, runs=2)
    assert asked == [1, 2]
    assert found.one_core is not None
    assert found.all_cores is not None
    assert (found.one_core.threads, found.all_cores.threads) == (1, 2)


def test_a_slow_model_gets_fewer_runs_but_some(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(footprints, "SECONDS", 0.0)
    model = OnnxModel.open(tiny_model(tmp_path / "one"))
    assert footprints.latency(model, 1, runs=30).runs == footprints.LEAST_RUNS


def test_weights_beside_the_model_are_weighed_too(tmp_path: Path) -> None:
    path = tiny_model(tmp_path / "apart", external=True)
    weights = path.parent / "weights.bin"
    numbers, size = footprints.stored(path)
    assert numbers == 5
    assert size == path.stat().st_size + weights.stat().st_size
    weights.unlink()
    with pytest.raises(InputError, match=r"weights\.bin"):
        footprints.stored(path)


def test_the_branches_of_a_model_count(tmp_path: Path) -> None:
    """An If with 2 numbers in one branch, 3 in the other, and its condition."""
    branches = {
        name: helper.make_graph(
            [helper.make_node("Identity", [f"{name}_v"], [f"{name}_o"])], name, [],
            [helper.make_tensor_value_info(f"{name}_o", TensorProto.FLOAT, (count,))],
            [helper.make_tensor(f"{name}_v", TensorProto.FLOAT, (count,), [1.0] * count)],
        )
        for name, count in (("then", 2), ("other", 3))
    }  # fmt: skip
    node = helper.make_node("If", ["yes"], ["y"], then_branch=branches["then"], else_branch=branches["other"])
    output = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    yes = helper.make_tensor("yes", TensorProto.BOOL, (), [True])
    onnx.save(helper.make_model(helper.make_graph([node], "g", [], [output], [yes])), str(tmp_path / "if.onnx"))
    assert footprints.stored(tmp_path / "if.onnx")[0] == 6


def test_what_is_no_model_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text.onnx").write_text("no model")
    with pytest.raises(InputError, match="not a readable ONNX file"):
        footprints.stored(tmp_path / "text.onnx")


def test_the_constant_baseline_knows_nothing(data: Path, good: str, tmp_path: Path) -> None:
    assert (ConstantDepth().predict("0000", np.zeros((12, 16, 3), np.uint8)) == 1).all()
    found = compared_json("constant", good, "--data", data, "--frames", "0000", into=tmp_path / "c.json")
    row = found["protocols"]["lpcvc-2025"]["scores"]["constant"]["per_frame"]["0000"]
    truth = nearest(depth_mm(0).astype(np.float32) / 1000, (640, 480))
    assert row["abs_rel"] == pytest.approx(np.mean(np.abs(truth - np.median(truth)) / truth), rel=1e-4)


def test_a_folder_may_be_called_constant(
    data: Path, good: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_predictions(tmp_path / "constant", noisy(0.02))
    monkeypatch.chdir(tmp_path)
    found = compared_json("./constant", good, "--data", data, into=tmp_path / "compare.json")
    assert found["models"]["constant"]["why_no_footprint"] == "predictions"
    assert found["protocols"]["lpcvc-2025"]["differences"]["good"]["f_score"]["mean"] == 0.0


def test_a_variant_stands_beside_the_official_score(data: Path, good: str, bad: str, tmp_path: Path) -> None:
    words = (good, bad, "--data", data, "--protocol", "lpcvc-2025-geometry")
    found = compared_json(*words, into=tmp_path / "compare.json")
    assert list(found["protocols"]) == ["lpcvc-2025", "lpcvc-2025-geometry"]
    one, other = (found["protocols"][name]["scores"]["bad"]["mean"] for name in found["protocols"])
    assert one["abs_rel"] == other["abs_rel"]
    assert one["chamfer_m"] != other["chamfer_m"]


@pytest.mark.parametrize(
    ("words", "error", "message"),
    [
        (["good"], InputError, "only one source"),
        (["good", "nowhere"], InputError, "nowhere is nothing that can be scored: it does not exist"),
        (["good", "data"], InputError, r"no \.npy predictions"),
        (["good", "bad", "--protocol", "lpcv-2025"], UnknownNameError, "lpcvc-2025"),
        (["good", "bad", "--kind", "disparity"], InputError, "no kind of prediction"),
        (["good", "bad", "--kind", "affine_inverse_depth"], InputError, "needs relative_depth"),
        (["good", "bad", "--frames", "x-y"], InputError, "no frame within"),
    ],
)
def test_what_cannot_be_compared_is_refused_before_anything_is_scored(
    words: list[str], error: type[InputError], message: str, data: Path, good: str, bad: str,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    places = {"good": good, "bad": bad, "data": str(data)}
    with pytest.raises(error, match=message):
        run(*(places.get(word, word) for word in words), "--data", data)
    assert "scoring" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("sources", "labels"),
    [
        (["runs/a", "runs/b/"], ["a", "b"]),
        (["runs/a/model.onnx", "runs/b/model.onnx"], ["runs/a/model.onnx", "runs/b/model.onnx"]),
        (["a/x.onnx", "b/x", "constant"], ["a/x.onnx", "b/x", "constant"]),
        (["runs/a", "runs/a", "c.onnx"], ["runs/a", "runs/a (2)", "c"]),
        (["a", "a", "a"], ["a", "a (2)", "a (3)"]),
        ([".", ".."], [".", ".."]),
    ],
)
def test_labels_differ(sources: list[str], labels: list[str]) -> None:
    assert labels_of_sources(sources) == labels


OVER = " (over 24 frames)"
LEFT_OUT = " (over 3 frames; 2 left out, where either has no value)"


@pytest.mark.parametrize(
    ("metric", "numbers", "left_out", "said"),
    [
        ("f_score", (0.8, 0.2, 1.5, 24), 0, "B is better than A by 0.80 f_score, 95 % [0.20, 1.50]" + OVER),
        ("f_score", (-0.8, -1.5, -0.2, 24), 0, "B is worse than A by 0.80 f_score, 95 % [0.20, 1.50]" + OVER),
        ("rmse", (-0.8, -1.5, -0.2, 24), 0, "B is better than A by 0.8000 rmse, 95 % [0.2000, 1.5000]" + OVER),
        ("rmse", (0.8, 0.2, 1.5, 24), 0, "B is worse than A by 0.8000 rmse, 95 % [0.2000, 1.5000]" + OVER),
        ("iou", (-0.1, -0.4, 0.6, 24), 0, "not told apart: B - A is -0.10 iou, 95 % [-0.40, 0.60]" + OVER),
        ("iou", (2.0, 1.0, 3.0, 3), 2, "too few frames to tell: B - A is 2.00 iou, 95 % [1.00, 3.00]" + LEFT_OUT),
        ("iou", (2.0, None, None, 1), 0, "too few frames to tell: B - A is 2.00 iou (over 1 frame)"),
        ("iou", None, 5, "too few frames to tell: no frame has a value of iou from both A and B"),
    ],
)
def test_a_difference_in_words(metric: str, numbers: Any, left_out: int, said: str) -> None:
    difference = Difference(*numbers) if numbers else None
    assert sentence(Against(metric, difference, left_out), "B", "A") == said


def place(x: float, y: float, low: float, high: float) -> tuple[int, int]:
    """(row, column) of a point, when the values reach from `low` to `high` and the axes a twentieth further."""
    margin = 0.05 * (high - low)
    share = [(value - low + margin) / (high - low + 2 * margin) for value in (x, y)]
    return round(TOP + SIDE - SIDE * share[1]), round(LEFT + SIDE * share[0])


def looks_like(pixel: npt.NDArray[np.uint8], colour: tuple[int, int, int]) -> bool:
    """The colour at 60 % on white."""
    return bool(np.abs(pixel - (0.6 * np.array(colour) + 0.4 * 255)).max() <= 2)


@pytest.mark.parametrize(("better", "above", "below"), [("higher", OURS, BASELINE), ("lower", BASELINE, OURS)])
def test_the_scatter_has_each_frame_in_its_place_and_colour(
    better: str, above: tuple[int, int, int], below: tuple[int, int, int]
) -> None:
    pairs = {"a": (13.0, 43.0), "b": (93.0, 23.0), "c": (0.0, 0.0), "d": (100.0, 100.0)}
    picture = scatter(pairs, ("A", "B"), "f_score", "of 100", better)
    assert looks_like(picture[place(13, 43, 0, 100)], above)
    assert looks_like(picture[place(93, 23, 0, 100)], below)
    assert (picture[place(51.5, 41.5, 0, 100)] < 60).all()  # the mean's cross
    assert (picture[place(73, 73, 0, 100)] < 140).all()  # the diagonal
    assert (picture[place(20, 60, 0, 100)] < 240).all()  # a grid line at the same tens on both axes
    assert (picture[place(13, 85, 0, 100)] == 255).all()  # paper


def test_equal_values_lie_grey_on_the_diagonal() -> None:
    picture = scatter({"a": (1.0, 1.0), "b": (3.0, 3.0), "c": (2.5, 2.5)}, ("A", "B"), "rmse", "m", "lower")
    row, column = place(2.5, 2.5, 1, 3)
    assert looks_like(picture[row - 3, column - 2], EVEN)
    within = picture[TOP : TOP + SIDE, LEFT : LEFT + SIDE].astype(int)
    assert (np.ptp(within, axis=2) <= 2).all()  # no colour anywhere


@pytest.mark.parametrize("pairs", [{}, {"only": (0.3, 0.3)}, {"zero": (0.0, 0.0)}, {"far": (1e-7, 4e8), "b": (2.0, 1)}])
def test_a_scatter_of_odd_values_is_still_a_picture(pairs: dict[str, tuple[float, float]]) -> None:
    picture = scatter(pairs, ("A" * 400, "ünicode/路径"), "abs_rel", "ratio", "lower")
    assert picture.dtype == np.uint8
    assert picture.shape == scatter({}, ("A", "B"), "rmse", "m", "lower").shape
    assert (picture < 100).all(axis=2).sum() > 100  # something is written on it


def test_outliers_are_named_and_their_names_cover_no_point() -> None:
    random = np.random.default_rng(0)
    crowd = {f"{index:04d}": (float(x), float(x) + 0.1) for index, x in enumerate(random.uniform(40, 90, 60))}
    lonely = scatter({**crowd, "odd one": (80.0, 45.0)}, ("A", "B"), "f_score", "of 100", "higher")
    row, column = place(80.0, 45.0, min(x for x, _ in crowd.values()), max(y for _, y in crowd.values()))
    beside = lonely[row - 8 : row + 8, column + 8 : column + 70]
    assert (beside < 100).all(axis=2).sum() > 30
    assert (beside == 255).all(axis=2).sum() > 300


def test_the_scatter_is_written_with_a_panel_per_model(data: Path, good: str, bad: str, tmp_path: Path) -> None:
    from lpcv.data.images import read_rgb

    run(good, bad, good, "--data", data, "--scatter", tmp_path / "scatter.png")
    panel = scatter({}, ("A", "B"), "f_score", "", "higher")
    assert read_rgb(tmp_path / "scatter.png").shape == (panel.shape[0], 2 * panel.shape[1], 3)


def test_a_run_tells_how_many_frames_it_was_trained_on(
    tiny_run: Path, scenes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("constant", tiny_run, "--data", scenes, "--frames", "0001", "--runs", "1")
    found = compared_json(*words, into=tmp_path / "compare.json")
    model = found["models"][tiny_run.name]
    assert model["frames_trained_on"] == 1
    assert 900_000 < model["parameters"] < 1_500_000
    assert model["file_bytes"] == (tiny_run / "model.onnx").stat().st_size
    assert "was TRAINED on 1 of these 1 frame" in capsys.readouterr().err


def test_a_kind_goes_to_those_sources_only_that_do_not_say_theirs(data: Path, good: str, bad: str) -> None:
    (Path(good) / "predictions.json").write_text('{"kind": "relative_depth"}')
    opened = open_sources(["constant", good, bad], open_folder(data), [OFFICIAL], "depth_m")
    assert [source.kind for source in opened] == ["relative_depth", "relative_depth", "depth_m"]


def test_the_json_says_what_each_source_holds(data: Path, good: str, bad: str, tmp_path: Path) -> None:
    (Path(good) / "predictions.json").write_text('{"kind": "relative_depth"}')
    found = compared_json(good, bad, "--data", data, "--kind", "depth_m", into=tmp_path / "compare.json")
    assert {name: each["source_kind"] for name, each in found["models"].items()} == {
        "good": "relative_depth", "bad": "depth_m",
    }  # fmt: skip


@pytest.mark.parametrize("last", ["says its kind", "does not", "constant"])
def test_the_next_command_can_be_pasted(
    last: str, data: Path, good: str, bad: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    if last == "says its kind":
        (Path(good) / "predictions.json").write_text('{"kind": "relative_depth"}')
    options = ["--kind", "depth_m", "--frames", "0001-0007", "--protocol", "scale-invariant"]
    sources = ["constant", "constant"] if last == "constant" else [bad, good, "constant"]
    run(*sources, "--data", data, *options)
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("Next: ")]
    monkeypatch.chdir(tmp_path)
    program, verb, source, *words = shlex.split(line.removeprefix("Next: "))
    assert (program, verb, source) == ("lpcv", "score", "constant" if last == "constant" else good)
    assert ("--kind" in words) == (last == "does not")
    assert run_cli([verb, source, *words, "--json", "score.json"]) == 0
    told = json.loads((tmp_path / "score.json").read_text())
    assert (told["protocol"], len(told["frames"])) == ("scale-invariant", 7)


@pytest.mark.parametrize(
    ("option", "name", "words"),
    [("--scatter", "x.jpg", "--scatter x.jpg is no .png file"), ("--json", ".", "--json . is a folder")],
)
def test_where_results_go_is_tried_first(option: str, name: str, words: str, data: Path, good: str, bad: str) -> None:
    with pytest.raises(InputError, match=words):
        run(good, bad, "--data", data, option, name)


def test_the_help_names_every_kind_of_source(capsys: pytest.CaptureFixture[str]) -> None:
    run("--help")
    text = capsys.readouterr().out
    assert all(word in text for word in (".onnx", "runs", "NNNN.npy", "constant", "95 %"))
