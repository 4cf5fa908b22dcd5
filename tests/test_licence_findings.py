"""Licences: what is non-commercial is named with its precedent, what is unknown stays undecided, a person decides."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lpcv.data.licences import terms_of
from lpcv.errors import InputError
from lpcv.runs import Run
from lpcv.submission.check.licences import PARTS, licence_findings, licences_in_file, to_accept

LARGE = {"teacher": "depth-anything/Depth-Anything-V2-Large-hf", "licence": "CC-BY-NC-4.0"}
GOOD: dict[str, Any] = {
    "teacher": {"teacher": "depth-anything/Depth-Anything-V2-Small-hf", "licence": "apache-2.0"},
    "encoder_weights": {"name": "torchvision MobileNet_V3_Small", "licence": "BSD-3-Clause (torchvision)"},
    "data": {"licences": {"MIT": 3, "Apache-2.0": 2}, "sources": ["phone", "lpcv synthetic scenes"]},
}


def run_of(root: Path, without: str = "", **changes: Any) -> Run:
    recorded = {key: value for key, value in {**GOOD, **changes}.items() if key != without}
    root.mkdir(exist_ok=True)
    (root / "config.json").write_text(json.dumps({"provenance": recorded}))
    return Run(root)


def states(run: Run | None, *accepted: str) -> list[str]:
    found = licence_findings(run, accepted)
    assert tuple(one.name for one in found) == PARTS
    return [one.state for one in found]


@pytest.mark.parametrize(
    "licence",
    ["CC-BY-NC-4.0", "cc-by-nc-sa-4.0", "CC BY-NC 4.0", "cc_by_nc_4.0", "NonCommercial", "non-commercial use",
     "for non commercial purposes", "non_commercial", "CC-BY-NC4.0", "research use only", "for research purposes only",
     "research only", "research-use-only", "academic use"],
)  # fmt: skip
def test_non_commercial_ones(licence: str) -> None:
    assert terms_of(licence) == "non-commercial"


@pytest.mark.parametrize(
    "licence",
    ["Apache-2.0", "apache-2.0", "Apache License 2.0", "Apache License, Version 2.0", "MIT", "MIT License",
     "BSD-3-Clause (torchvision)", "CC-BY-4.0", "CC-BY-SA-4.0", "CC0-1.0", "Unlicense", "public domain",
     "apache_2.0"],
)  # fmt: skip
def test_commercial_ones(licence: str) -> None:
    assert terms_of(licence) == "commercial"


@pytest.mark.parametrize(
    "licence",
    ["unknown", "other", "", "proprietary", "openrail", "MIT or something", "MIT (see below)", "permitted",
     "CC-BY-ND-4.0", "synced", "Academic Free License"],
)  # fmt: skip
def test_the_rest_is_unknown(licence: str) -> None:
    assert terms_of(licence) == "unknown"


@given(st.text(max_size=40))
def test_nothing_with_nc_in_it_is_ever_commercial(text: str) -> None:
    assert terms_of(f"{text}-NC-{text}") != "commercial"


def test_a_good_run_passes(tmp_path: Path) -> None:
    run = run_of(tmp_path)
    assert states(run) == ["pass"] * 3
    assert to_accept(run) == {}
    assert licence_findings(run)[2].found == "Apache-2.0, MIT: phone, lpcv synthetic scenes"


def test_a_teacher_is_for_a_person_to_decide(tmp_path: Path) -> None:
    run = run_of(tmp_path, teacher=LARGE)
    assert states(run) == ["undecided", "pass", "pass"]
    teacher = licence_findings(run)[0]
    assert teacher.found == "CC-BY-NC-4.0: depth-anything/Depth-Anything-V2-Large-hf; non-commercial: CC-BY-NC-4.0"
    assert "Depth-Anything-V2-Base" in teacher.why
    assert "unsettled" in teacher.why
    assert "--accept-license CC-BY-NC-4.0;" in teacher.remedy
    assert to_accept(run) == {"CC-BY-NC-4.0": ("teacher (depth-anything/Depth-Anything-V2-Large-hf)",)}


def test_weights_in_the_model_fail(tmp_path: Path) -> None:
    run = run_of(tmp_path, encoder_weights={"name": "mine.pth", "licence": "CC-BY-NC-4.0"})
    assert states(run) == ["pass", "fail", "pass"]
    assert "in the model" in licence_findings(run)[1].why


def test_each_data_set_counts(tmp_path: Path) -> None:
    run = run_of(tmp_path, data={"licences": {"MIT": 9, "CC-BY-NC-SA-4.0": 1}, "sources": ["a", "b"]}, teacher=LARGE)
    assert states(run) == ["undecided", "pass", "undecided"]
    assert set(to_accept(run)) == {"CC-BY-NC-4.0", "CC-BY-NC-SA-4.0"}
    assert states(run, "CC-BY-NC-SA-4.0") == ["undecided", "pass", "pass"]


def test_accepting_is_by_name_in_any_case_and_is_told(tmp_path: Path) -> None:
    run = run_of(tmp_path, teacher=LARGE)
    assert states(run, "cc-by-nc-4.0") == ["pass"] * 3
    assert "accepted by a person: CC-BY-NC-4.0" in licence_findings(run, ["CC-BY-NC-4.0"])[0].found
    assert to_accept(run, ["cc-by-nc-4.0"]) == {}
    assert states(run, "CC-BY-NC") == ["undecided", "pass", "pass"], "a part of the name is not the name"


def test_unknown_licences_are_undecided_until_accepted(tmp_path: Path) -> None:
    run = run_of(tmp_path, data={"licences": {"unknown": 4, "MIT": 1}, "sources": ["unknown"]})
    assert states(run) == ["pass", "pass", "undecided"]
    assert to_accept(run) == {}
    assert states(run, "unknown") == ["pass"] * 3


@pytest.mark.parametrize("part", ["teacher", "encoder_weights", "data"])
def test_what_is_not_recorded_is_undecided(tmp_path: Path, part: str) -> None:
    expected = ["undecided" if key == part else "pass" for key in ("teacher", "encoder_weights", "data")]
    assert states(run_of(tmp_path, without=part)) == expected


def test_nothing_that_went_in_needs_no_licence(tmp_path: Path) -> None:
    run = run_of(tmp_path, teacher=None, encoder_weights={"name": "none: random", "licence": "Apache-2.0"})
    assert states(run) == ["pass"] * 3
    assert [one.found for one in licence_findings(run)[:2]] == ["none: trained without a teacher", "none: random"]


def test_a_model_without_a_run_is_undecided() -> None:
    assert states(None) == ["undecided"] * 3


@pytest.mark.parametrize(
    ("metadata", "state", "said"),
    [
        ({"weights_licence": "cc-by-nc-4.0", "weights": "a/Base"}, "fail", "cc-by-nc-4.0: a/Base; non-commercial"),
        ({"weights_licence": "apache-2.0", "weights": "a/Small"}, "pass", "apache-2.0: a/Small"),
        ({"weights_licence": "unknown", "weights": "mine"}, "undecided", "unknown: mine"),
        ({"weights_licence": "none: random weights", "lpcv_random_weights": "seed 0"}, "pass", "none: random weights"),
        ({"weights_licence": "none: random weights", "weights": "random"}, "undecided", "is not known here"),
        ({"weights_licence": " \x1b[2J\n" + "x" * 999}, "undecided", "[2J " + "x" * 70),
        ({}, "undecided", "not recorded: a model's file does not say"),
    ],
)
def test_a_file_tells_its_weights_licence_alone(metadata: dict[str, str], state: str, said: str) -> None:
    teacher, weights, data = licences_in_file(metadata)
    assert (teacher.state, weights.state, data.state) == ("undecided", state, "undecided")
    assert said in weights.found
    assert "\x1b" not in weights.found
    assert len(weights.found) < 250
    if state == "fail":
        assert "in the model" in weights.why
        assert "Depth-Anything-V2-Base" in weights.why
        assert "--accept-license" not in weights.remedy


@pytest.mark.parametrize("content", ["[]", '{"provenance": 3}', "{", "{}"])
def test_a_damaged_config_is_said(tmp_path: Path, content: str) -> None:
    (tmp_path / "config.json").write_text(content)
    with pytest.raises(InputError, match=r"config\.json"):
        licence_findings(Run(tmp_path))
