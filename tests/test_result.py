"""What a scoring says: rows and their mean, the JSON and CSV of it, protocols side by side, groups, remarks."""

from __future__ import annotations

import csv
import json
import math
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lpcv import cli
from lpcv.data.images import write_png
from lpcv.evaluate.frame_score import FrameScore, mean_score
from lpcv.evaluate.official import GEOMETRY, OFFICIAL
from lpcv.evaluate.protocols import PROTOCOLS
from lpcv.evaluate.result import Score
from lpcv.evaluate.show import remarks
from lpcv.evaluate.statistics import LEAST_FRAMES

COLUMNS = list(OFFICIAL.metrics)
TWO = ("abs_rel", "f_score")  # as if a protocol had no more
NARROW = replace(OFFICIAL, metrics=TWO)
finite = st.floats(allow_nan=False, allow_infinity=False)


def row(name: str, abs_rel: float | None, f_score: float | None, **more: Any) -> FrameScore:
    return FrameScore(name, {"abs_rel": abs_rel, "f_score": f_score}, **more)


def score_of(*frames: FrameScore) -> Score:
    labels = {frame.frame: "all" for frame in frames}
    return Score.of(NARROW, "a model", "relative_depth", ("5" * 64, "6" * 64), frames, labels)


# One frame


def test_what_is_not_finite_becomes_null_with_its_reason() -> None:
    measured = {"abs_rel": np.float32(0.5), "rmse": math.nan, "mae": -math.inf, "f_score": math.inf}
    score = FrameScore.of("0003", measured, "it holds NaN", alignment={"scale": 2.0})
    assert score.values == {"abs_rel": 0.5, "rmse": None, "mae": None, "f_score": None}
    assert type(score.values["abs_rel"]) is float
    assert score.reasons == dict.fromkeys(("rmse", "mae", "f_score"), "it holds NaN")
    assert (score.stopped, score.alignment) == (None, {"scale": 2.0})


def test_a_stopped_frame_has_null_for_every_metric_and_no_reason_of_its_own() -> None:
    score = FrameScore.stop("0003", TWO, "no pixel")
    assert score.as_json() == {"frame": "0003", "abs_rel": None, "f_score": None, "stopped": "no pixel"}


texts = st.text(max_size=8)
rows = st.builds(
    lambda name, values, reasons, remarks, stopped, alignment, parts, size: row(
        name,
        *values,
        reasons=reasons,
        remarks=remarks,
        stopped=stopped,
        alignment=alignment,
        parts=parts,
        other_size=size,
    ),
    texts,
    st.tuples(st.none() | finite, st.none() | finite),
    st.dictionaries(st.sampled_from(TWO), texts),
    st.dictionaries(st.sampled_from(TWO), texts),
    st.none() | st.text(min_size=1),
    st.dictionaries(st.sampled_from(["scale", "shift"]), finite),
    st.dictionaries(texts, st.fixed_dictionaries({"pixels": st.integers(1), "mae": finite})),
    st.none() | st.just("16x12"),
)


@given(rows)
def test_a_row_comes_back_from_its_json_to_the_last_bit(score: FrameScore) -> None:
    told = json.dumps(score.as_json())
    back = FrameScore.from_json(json.loads(told), TWO)
    assert back == score
    assert json.dumps(back.as_json()) == told


def test_a_row_that_lacks_a_metric_is_no_row() -> None:
    with pytest.raises(KeyError, match="f_score"):
        FrameScore.from_json({"frame": "0000", "abs_rel": 1.0}, TWO)


# The mean


def test_one_frame_without_a_value_spoils_its_own_column_alone() -> None:
    frames = [row("0", 1.0, 10.0), row("1", None, 20.0), row("2", None, 60.0)]
    mean = mean_score(frames, TWO)
    assert mean.values == {"abs_rel": None, "f_score": 30.0}
    assert mean.reasons == {"abs_rel": "no finite value in 2 of 3 frames, the first is 1"}


def test_stopped_frames_have_no_part_in_the_mean() -> None:
    frames = [FrameScore.stop("0", TWO, "why"), row("1", 1.0, 20.0), row("2", 3.0, 60.0)]
    mean = mean_score(frames, TWO)
    assert (mean.values, mean.reasons) == ({"abs_rel": 2.0, "f_score": 40.0}, {})
    nothing = mean_score(frames[:1], TWO)
    assert nothing.values == dict.fromkeys(TWO)
    assert nothing.reasons == dict.fromkeys(TWO, "no frame could be scored")


@given(st.lists(st.floats(0, 100), min_size=1, max_size=20))
@settings(deadline=None)  # on a busy machine a bootstrap takes a while
def test_the_mean_is_the_mean_and_lies_within_its_interval(values: list[float]) -> None:
    score = score_of(*(row(f"{at:04d}", 1.0, value) for at, value in enumerate(values)))
    found = score.mean.values["f_score"]
    assert found is not None
    assert found == pytest.approx(sum(values) / len(values))
    interval = score.intervals["f_score"]
    assert (interval is None) == (len(values) < LEAST_FRAMES)
    if interval is not None:
        assert min(values) - 1e-9 <= interval[0] <= found + 1e-9
        assert found - 1e-9 <= interval[1] <= max(values) + 1e-9


# What is written


def test_the_csv_to_the_letter(tmp_path: Path) -> None:
    score = score_of(row("a", 0.1, 50.0), FrameScore.stop("b", TWO, "why"), row("c, d", None, 1e-7))
    beside = replace(score, protocol=replace(NARROW, name="other"))
    replace(score, beside=(beside,)).write_csv(tmp_path / "x.csv")
    assert (tmp_path / "x.csv").read_text() == (
        "frame,abs_rel,f_score,other:abs_rel,other:f_score,source\n"
        "a,0.1,50.0,0.1,50.0,a model\n"
        "b,,,,,a model\n"
        '"c, d",,1e-07,,1e-07,a model\n'
        "mean,,25.00000005,,25.00000005,a model\n"
    )


def test_the_json_holds_no_number_that_json_has_not(tmp_path: Path) -> None:
    score = score_of(FrameScore.of("a", {"abs_rel": math.nan, "f_score": math.inf}, "NaN"), row("b", 1.0, 2.0))
    score.write_json(tmp_path / "x.json")

    def refuse(word: str) -> None:
        raise AssertionError(word)

    told = json.loads((tmp_path / "x.json").read_text(), parse_constant=refuse)
    assert told["interval_95"] == {"abs_rel": None, "f_score": None}
    assert "beside" not in told


def test_flawless_is_a_value_for_every_frame_here_and_beside() -> None:
    good = score_of(row("a", 1.0, 2.0))
    stopped = score_of(row("a", 1.0, 2.0), FrameScore.stop("b", TWO, "why"))
    missing = score_of(FrameScore.of("a", {"abs_rel": math.nan, "f_score": 1.0}, "NaN"))
    misled = score_of(row("a", 1.0, 2.0, remarks={"abs_rel": "holes"}))
    assert [each.flawless for each in (good, misled, stopped, missing)] == [True, True, False, False]
    assert replace(good, beside=(misled,)).flawless
    assert not replace(good, beside=(misled, stopped)).flawless
    assert not replace(good, beside=(missing,)).flawless


def test_each_thing_that_must_be_known_is_one_line() -> None:
    frames = [
        FrameScore.of("0000", {"abs_rel": math.nan, "f_score": math.nan}, "it holds NaN"),
        FrameScore.of("0001", {"abs_rel": math.nan, "f_score": 1.0}, "its median is 0"),
        FrameScore.of("0002", {"abs_rel": math.inf, "f_score": 1.0}, "its median is 0"),
        row("0003", 400.0, 1.0, remarks={"abs_rel": "7 pixels"}),
        row("0004", 500.0, 1.0, remarks={"abs_rel": "8 pixels"}),
        FrameScore.stop("0005", TWO, "no pixel"),
        FrameScore.stop("0006", TWO, "no cloud"),
        FrameScore.stop("0007", TWO, "no pixel"),
    ]
    assert list(remarks(score_of(*frames))) == [
        "lpcvc-2025: NO score for 2 of 8 frames, left out of the mean (0005, 0007): no pixel.",
        "lpcvc-2025: NO score for 1 of 8 frames, left out of the mean (0006): no cloud.",
        "lpcvc-2025: abs_rel is not finite: no finite value in 3 of 5 frames, the first is 0000.",
        "lpcvc-2025: f_score is not finite: no finite value in 1 of 5 frames, the first is 0000.",
        "lpcvc-2025: in 0000 it holds NaN.",
        "lpcvc-2025: in 0001, 0002 its median is 0.",
        "lpcvc-2025: abs_rel misleads in 2 of 8 frames, e.g. 0003: 7 pixels.",
    ]
    assert list(remarks(score_of(row("a", 1.0, 2.0)))) == []


def test_one_frame_is_one_frame() -> None:
    stopped = score_of(FrameScore.stop("a", TWO, "why"))
    assert next(iter(remarks(stopped))) == "lpcvc-2025: NO score for 1 of 1 frame, left out of the mean (a): why."
    misled = score_of(row("a", 1.0, 2.0, remarks={"abs_rel": "holes"}, other_size="8x6"))
    size, line = remarks(misled)
    assert size.startswith("lpcvc-2025: the predictions of 1 of 1 frame are 8x6, and the contract asks for 640x480: ")
    assert line == "lpcvc-2025: abs_rel misleads in 1 of 1 frame, e.g. a: holes."


# Through `lpcv score`


def scored(source: Path, frames: Path, *more: str) -> dict[str, Any]:
    out = source.parent / "told.json"
    assert cli.run(["score", str(source), "--data", str(frames), "--json", str(out), *more]) == 0
    return json.loads(out.read_text())


def test_the_geometry_variant_is_shown_beside_the_official_score(
    small: Any, small_frames: Path, small_predictions: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    csv_file = tmp_path / "score.csv"
    told = scored(small_predictions, small_frames, "--protocol", GEOMETRY.name, "--csv", str(csv_file))
    shown = capsys.readouterr().out
    alone = scored(small_predictions, small_frames)
    (beside,) = told.pop("beside")
    assert told == alone
    assert (told["protocol"], beside["protocol"]) == ("lpcvc-2025", "lpcvc-2025-geometry")
    assert list(beside) == list(told)
    assert beside["frames"][0]["abs_rel"] == told["frames"][0]["abs_rel"]  # pixels have no rays
    assert beside["frames"][0]["chamfer_m"] != told["frames"][0]["chamfer_m"]
    head = next(line for line in shown.splitlines() if "metric" in line)
    assert re.match(r"\W+metric\W+lpcvc-2025\W+lpcvc-2025-geometry\W+unit; better", head)
    rows = list(csv.DictReader(csv_file.open()))
    assert list(rows[0]) == ["frame", *COLUMNS, *(f"lpcvc-2025-geometry:{key}" for key in COLUMNS), "source"]
    for row, first, second in zip(
        rows, [*told["frames"], told["mean"]], [*beside["frames"], beside["mean"]], strict=True
    ):
        assert [row[key] for key in COLUMNS] == [repr(first[key]) for key in COLUMNS]
        assert [row[f"lpcvc-2025-geometry:{key}"] for key in COLUMNS] == [repr(second[key]) for key in COLUMNS]


def test_protocols_of_other_metrics_share_one_table(
    small_frames: Path, small_predictions: Path, tmp_path: Path
) -> None:
    csv_file = tmp_path / "score.csv"
    names = ["scale-invariant", "lpcvc-2025"]
    options = [word for name in names for word in ("--protocol", name)]
    told = scored(small_predictions, small_frames, *options, "--csv", str(csv_file))
    assert [told["protocol"], *(each["protocol"] for each in told["beside"])] == names
    (first, *_) = csv.DictReader(csv_file.open())
    own = PROTOCOLS["scale-invariant"].metrics
    assert list(first) == ["frame", *own, *(f"lpcvc-2025:{key}" for key in COLUMNS), "source"]
    assert first["silog"] == repr(told["frames"][0]["silog"])
    assert first["lpcvc-2025:f_score"] == repr(told["beside"][0]["frames"][0]["f_score"])


def test_an_unknown_protocol_suggests_the_nearest(
    small_frames: Path, small_predictions: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(["score", str(small_predictions), "--data", str(small_frames), "--protocol", "nyu2"]) == 2
    assert "There is no protocol 'nyu2'. Did you mean 'nyuv2'? Known: diw, " in capsys.readouterr().err


def write_manifest(frames: Path, **columns: list[str]) -> None:
    names = ("0000", "0001", "0002")
    rows = [{"frame": name, **{key: values[at] for key, values in columns.items()}} for at, name in enumerate(names)]
    (frames / "manifest.json").write_text(json.dumps(rows))


def test_means_are_broken_down_by_condition(
    small_frames: Path, small_predictions: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_manifest(small_frames, place=["indoor", "outdoor", "indoor"], light=["low", "normal", "low"])
    write_png(small_frames / "depth_conf" / "0002.png", np.zeros((6, 8), np.uint8))
    told = scored(small_predictions, small_frames)
    assert list(told["groups"]) == ["indoor, low light", "outdoor, normal light"]
    inside, outside = told["groups"].values()
    assert (inside["frames"], inside["frames_stopped"]) == (2, 1)
    for group, row in ((inside, told["frames"][0]), (outside, told["frames"][1])):
        assert group["mean"] == {key: row[key] for key in COLUMNS}
    shown = capsys.readouterr().out
    assert "By group" in shown
    assert re.search(rf"indoor, low light\W+1 of 2\W+{told['frames'][0]['f_score']:.2f}", shown)
    assert re.search(rf"outdoor, normal light\W+1\W+{told['frames'][1]['f_score']:.2f}", shown)


def test_means_are_broken_down_by_a_key_of_ones_own(small_frames: Path, small_predictions: Path) -> None:
    write_manifest(small_frames, place=["indoor"] * 3, phone=["14 Pro", "12 Pro", "14 Pro"])
    told = scored(small_predictions, small_frames, "--group-by", "phone")
    assert {label: group["frames"] for label, group in told["groups"].items()} == {"12 Pro": 1, "14 Pro": 2}
    plain = scored(small_predictions, small_frames)
    assert list(plain["groups"]) == ["indoor, unknown light"]
    assert {**told, "groups": {}} == {**plain, "groups": {}}  # grouping changes no number


def test_a_key_that_no_frame_has_is_refused(
    small_frames: Path, small_predictions: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_manifest(small_frames, phone=["a", "b", "c"])
    assert cli.run(["score", str(small_predictions), "--data", str(small_frames), "--group-by", "telephone"]) == 2
    told = capsys.readouterr().err
    assert "has no manifest key 'telephone' to group by. It has: condition, " in told
    assert "phone" in told.partition("It has:")[2]


def test_one_group_needs_no_table(
    small_frames: Path, small_predictions: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scored(small_predictions, small_frames)
    assert "By group" not in capsys.readouterr().out
