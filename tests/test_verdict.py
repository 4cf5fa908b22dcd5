"""The verdict: the contract's field in the right unit, nothing invented, no verdict from a rehearsal."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from lpcv.contract import CURRENT
from lpcv.errors import InputError
from lpcv.hub_jobs.verdict import Profile, Spread, as_json, show, verdict

FIELD, BUDGET_MS = CURRENT.latency_field, CURRENT.latency_budget_ms


def layer(name: str, unit: str, **cost: int) -> dict[str, Any]:
    return {"name": name, "type": "Conv", "compute_unit": unit, **cost}


def downloaded(latency_us: int = 33_950, **summary: Any) -> dict[str, Any]:
    """Shaped as qai_hub 0.56.0 gives it (client.py:98): microseconds and bytes."""
    return {
        "execution_summary": {
            "estimated_inference_time": latency_us,
            "estimated_inference_peak_memory": 50_000_000,
            "first_load_time": 421_000,
            "warm_load_time": 120_500,
            "inference_memory_peak_range": (0, 22_400_000),
            "all_inference_times": [34_500, 33_000, 33_950, 33_100, 33_900],
            **summary,
        },
        "execution_detail": [
            layer("stem", "NPU", execution_time=1_500),
            layer("resize", "CPU", execution_time=700),
            layer("head", "NPU", execution_time=0),
            layer("blur", "GPU", execution_time=20),
            layer("late", "CPU", execution_time=300),
        ],
    }


def judged(profile: Profile, **options: Any):
    return verdict(profile, BUDGET_MS, FIELD, **options)


def test_the_numbers_literally() -> None:
    profile = Profile.of(downloaded())
    assert profile.latency_ms == 33.95
    assert (profile.first_load_ms, profile.warm_load_ms) == (421, 120.5)
    assert profile.peak_memory_mb == (0, 22.4)
    assert profile.iterations is not None
    assert asdict(profile.iterations) == pytest.approx(
        {"count": 5, "median": 33.9, "p10": 33.04, "p90": 34.28, "least": 33.0, "most": 34.5}
    )
    units = {name: (unit.layers, unit.time_ms) for name, unit in profile.units.items()}
    assert list(units) == ["NPU", "CPU", "GPU"]
    assert units == {"NPU": (2, 1.5), "CPU": (2, 1.0), "GPU": (1, 0.02)}
    assert profile.fallbacks == ("resize", "blur", "late")


def test_the_client_s_own_conversion_is_understood() -> None:
    """Oracle: the dict comes out of the unmodified client's code, from the message that the service sends."""
    client = pytest.importorskip("qai_hub.client")
    pb = pytest.importorskip("qai_hub.public_api_pb2")
    detail = pb.ProfileDetail(major_version=1, minor_version=8, execution_time=2_640, warm_load_time=9_000)
    detail.all_execution_times.extend([2_640, 2_700])
    detail.execution_memory.peak.upper = 21_000_000
    detail.layer_details.add(name="a", layer_type_name="Conv", compute_unit=pb.COMPUTE_UNIT_NPU, execution_cycles=7)
    profile = Profile.of(client._profile_pb_to_python_dict(detail))
    assert profile.latency_ms == 2.64
    assert (profile.first_load_ms, profile.warm_load_ms) == (None, 9.0)
    assert profile.peak_memory_mb == (0, 21)
    assert profile.iterations is not None
    assert (profile.iterations.count, profile.iterations.median) == (2, 2.67)
    assert profile.units["NPU"].time_ms is None
    assert profile.units["NPU"].cycles == 7
    old = Profile.of(client._profile_pb_to_python_dict(pb.ProfileDetail(execution_time=5_000)))
    assert (old.latency_ms, old.iterations, old.peak_memory_mb, old.layers) == (5.0, None, None, ())


@pytest.mark.parametrize(
    ("latency_us", "state"), [(1, "pass"), (33_999, "pass"), (34_000, "pass"), (34_001, "fail"), (2_640_000, "fail")]
)
def test_at_most_the_budget_passes(latency_us: int, state: str) -> None:
    found = judged(Profile.of(downloaded(latency_us)))
    assert found.state == state
    assert f"{latency_us / 1000:.3f} ms" in found.sentence
    assert "34 ms" in found.sentence
    assert FIELD in found.sentence


def test_a_pass_whose_slow_runs_are_over_the_budget_says_so() -> None:
    assert "one run in ten took 34.280 ms" in judged(Profile.of(downloaded())).sentence
    steady = Profile.of(downloaded(all_inference_times=[33_000] * 9))
    assert "one run in ten" not in judged(steady).sentence


@pytest.mark.parametrize("latency_us", [1, 33_000, 99_000])
def test_a_rehearsal_has_no_verdict(latency_us: int, capsys: pytest.CaptureFixture[str]) -> None:
    profile = Profile.of(downloaded(latency_us))
    found = judged(profile, rehearsal=True)
    assert found.state == "none"
    assert "this machine's CPU and say nothing about a device" in found.sentence
    show(profile, found, "this CPU (stand-in), not a device")
    shown = capsys.readouterr().out
    assert shown.count("this CPU (stand-in), not a device") == 2  # in every table's title
    assert "Not on the NPU" not in shown
    assert "judged" not in shown
    said = as_json(profile, found, "this CPU (stand-in), not a device")
    assert (said["rehearsal"], said["verdict"], said["fallbacks"]) == (True, "none", None)


def test_what_a_profile_does_not_say_is_none_and_gets_no_verdict(capsys: pytest.CaptureFixture[str]) -> None:
    profile = Profile.of({"execution_summary": {}})
    assert profile == Profile(None, None, None, None, None, ())
    found = judged(profile)
    assert found.state == "none"
    assert FIELD in found.sentence
    show(profile, found, "Samsung Galaxy S24 (AI Hub)")
    shown = capsys.readouterr().out
    assert shown.count("not said") == 5
    assert "lists no layers" in shown


@pytest.mark.parametrize("wrong", [0, -5, None, "33950", True, float("nan"), float("inf"), [33_950]])
def test_what_is_no_number_of_microseconds_is_unknown(wrong: Any) -> None:
    """Zero is protobuf's word for a field that nobody filled."""
    profile = Profile.of(downloaded(wrong, warm_load_time=wrong, all_inference_times=[wrong]))
    assert (profile.latency_ms, profile.warm_load_ms, profile.iterations) == (None, None, None)
    assert Profile.of(downloaded(all_inference_times=wrong if wrong != [33_950] else 33_950)).iterations is None
    assert judged(profile).state == "none"


@pytest.mark.parametrize(
    ("peak", "expected"),
    [
        ((0, 22_400_000), (0, 22.4)),
        ([1_000_000, 2_000_000], (1, 2)),  # from JSON a tuple comes back as a list
        (None, (50, 50)),  # the one number of older profiles
        ((0, 0), None),
        ((5, 1), None),
        ((1,), None),
    ],
)
def test_peak_memory(peak: Any, expected: tuple[float, float] | None) -> None:
    assert Profile.of(downloaded(inference_memory_peak_range=peak)).peak_memory_mb == expected


@pytest.mark.parametrize(
    "wrong", [{}, None, [], {"execution_summary": 3}, {"execution_summary": {}, "execution_detail": 3}]
)
def test_no_profile_is_a_sentence(wrong: Any) -> None:
    with pytest.raises(InputError, match="execution_summary"):
        Profile.of(wrong)


def test_broken_layers_are_a_sentence() -> None:
    with pytest.raises(InputError, match="layers"):
        Profile.of({"execution_summary": {}, "execution_detail": ["Conv"]})


def test_a_unit_without_every_time_has_no_sum_and_unspecified_is_no_fallback() -> None:
    raw = downloaded()
    raw["execution_detail"] = [layer("a", "NPU", execution_time=5), layer("b", "NPU"), layer("c", "UNSPECIFIED")]
    profile = Profile.of(raw)
    assert profile.units["NPU"].time_ms is None
    assert profile.fallbacks == ()


def test_what_is_shown_names_the_device_and_the_fallbacks(capsys: pytest.CaptureFixture[str]) -> None:
    raw = downloaded()
    raw["execution_detail"] += [layer(f"cpu{index}", "CPU", execution_time=1) for index in range(12)]
    profile = Profile.of(raw)
    show(profile, judged(profile), "Samsung Galaxy S24 (AI Hub)")
    shown = capsys.readouterr().out
    assert "Not on the NPU: 15 of 17 layers: resize, blur, late, cpu0" in shown
    assert "cpu6 and 5 more." in shown
    assert "33.90 (p10 33.04 to p90 34.28; 33.00 to 34.50; 5 runs)" in shown
    assert "0.0 to 22.4" in shown
    assert shown.rstrip().endswith(judged(profile).sentence)


def test_cycles_are_shown_where_there_are_no_times(capsys: pytest.CaptureFixture[str]) -> None:
    raw = downloaded()
    raw["execution_detail"] = [layer("a", "NPU", execution_cycles=1_234_567)]
    profile = Profile.of(raw)
    show(profile, judged(profile), "a device")
    shown = capsys.readouterr().out
    assert "1,234,567" in shown
    assert "cycles" in shown


def test_json_is_json_and_agrees() -> None:
    profile = Profile.of(downloaded())
    said = json.loads(json.dumps(as_json(profile, judged(profile), "Samsung Galaxy S24 (AI Hub)"), allow_nan=False))
    assert said["latency_ms"] == 33.95
    assert said["iterations_ms"]["median"] == 33.9
    assert said["compute_units"]["CPU"] == {"layers": 2, "time_ms": 1.0, "cycles": None}
    assert said["fallbacks"] == ["resize", "blur", "late"]
    assert said["verdict"] == "pass"


@given(st.lists(st.floats(0.001, 1e4), min_size=1, max_size=60))
def test_the_spread_is_numpys(runs_ms: list[float]) -> None:
    spread = Spread.of(runs_ms)
    oracle = np.percentile(runs_ms, [0, 10, 50, 90, 100])
    assert np.allclose([spread.least, spread.p10, spread.median, spread.p90, spread.most], oracle)
    assert spread.count == len(runs_ms)
