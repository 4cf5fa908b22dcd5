"""The contract: complete, frozen, and the only place of its numbers."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path

import pytest
from lpcv.cli import run
from lpcv.contract import EDITIONS, LPCVC_2025, Edition, Fact

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ("data", "train", "evaluate", "submission", "hub_jobs")


@pytest.mark.parametrize("edition", EDITIONS.values(), ids=lambda edition: edition.name)
def test_every_field_has_a_fact_with_a_source(edition: Edition) -> None:
    names = {field.name for field in dataclasses.fields(edition)} - {"facts"}
    assert set(edition.facts) == names
    for name, fact in edition.facts.items():
        assert fact.source
        assert fact.value == getattr(edition, name)
        assert (fact.value is None) == (fact.reason is not None)


def test_the_rules_literally() -> None:
    assert LPCVC_2025.input_shape == (1, 3, 480, 640)
    assert LPCVC_2025.output_shape == (1, 1, 480, 640)
    assert (LPCVC_2025.input_name, LPCVC_2025.output_name) == ("image", "output_0")
    assert LPCVC_2025.latency_budget_ms == 34
    assert LPCVC_2025.sharing_address == "lowpowervision@gmail.com"
    assert LPCVC_2025.intrinsics_px == ((1591.1095, 0, 945.64465), (0, 1591.1095, 722.8234), (0, 0, 1))


def test_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        LPCVC_2025.latency_budget_ms = 100  # type: ignore[misc]


def test_a_missing_or_unknown_fact_is_refused() -> None:
    facts = dict(LPCVC_2025.facts)
    with pytest.raises(ValueError, match="colour"):
        Edition.of(**{**facts, "colour": Fact("RGB", "", "nowhere")})
    del facts["image_size"]
    with pytest.raises(ValueError, match="image_size"):
        Edition.of(**facts)


@pytest.mark.parametrize(("value", "source", "reason"), [(None, "rules", None), (1, "rules", "why"), (1, "", None)])
def test_a_fact_needs_a_source_and_a_reason_exactly_where_it_is_silent(value: object, source: str, reason: str) -> None:
    with pytest.raises(ValueError, match="fact"):
        Fact(value, "", source, reason)


NUMBERS = (
    r"1591\.1",
    r"945\.64",
    r"722\.82",
    "lowpowervision",
    "max_profiler_iterations",
    "estimated_inference_time",
    "output_0",
)


@pytest.mark.parametrize("number", NUMBERS)
def test_nothing_repeats_a_number_of_the_contract(number: str) -> None:
    code = [*ROOT.glob("*.py"), *(path for room in ROOMS for path in (ROOT / room).glob("*.py"))]
    holders = {path.relative_to(ROOT).name for path in code if re.search(number, path.read_text())}
    assert holders == {"contract.py"}


def test_command_prints_and_writes_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["contract", "--json", str(tmp_path / "c.json")]) == 0
    printed = capsys.readouterr().out
    assert "output_0" in printed
    assert "34.0" in printed
    assert json.loads((tmp_path / "c.json").read_text())


def test_unknown_edition_names_the_known(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["contract", "--edition", "lpcvc-2052"]) == 2
    assert "lpcvc-2025" in capsys.readouterr().err
