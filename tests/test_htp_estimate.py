"""The estimated latency: the compiler's own simulation, scaled by published latencies, and called estimated."""

from __future__ import annotations

import json
import statistics
from pathlib import Path

import numpy as np
import pytest
from htp_graphs import S24, after_relu, fitting, needs_emulator
from lpcv.errors import InputError, UnknownNameError
from lpcv.hub_jobs.htp import estimate as room
from lpcv.hub_jobs.htp.estimate import Calibration, Estimate, NoEstimate, Simulated, calibration_of, estimate, scaled
from lpcv.hub_jobs.htp.outcome import Limits, OutOfTime
from lpcv.hub_jobs.htp.target import target_of

RIGHT_TOOLS = {"onnxruntime-qnn": "2.7.0", "qairt": "2.51.0"}
PLAIN = Calibration("Samsung Galaxy S24", 57, "tflite", "fp16", 51, 1.5, 1.2, 2.0)


def test_every_factor_is_what_the_reference_data_give(reference_data: Path) -> None:
    """The published condensation, computed again: the median factor, and leave-one-out ratios."""
    rows = json.loads((reference_data / "htp_estimates.json").read_text())["rows"]
    for row in room.record()["calibrations"]:
        factors = [
            one["published_ms"][row["device"]][row["runtime"]] / (one["simulated_us"] / 1000)
            for one in rows
            if one["soc_model"] == room.record()["soc_model"] and row["runtime"] in one["published_ms"][row["device"]]
        ]
        ratios = []
        for index, factor in enumerate(factors):
            predicted = statistics.median(factors[:index] + factors[index + 1 :]) / factor
            ratios.append(max(predicted, 1 / predicted))
        assert row["n"] == len(factors)
        found = (statistics.median(factors), np.median(ratios), np.percentile(ratios, 90))
        assert (row["k"], row["median_ratio"], row["p90_ratio"]) == pytest.approx(found, abs=1e-4)


def test_the_table_literally() -> None:
    assert calibration_of(S24, "onnx") == Calibration(
        "Samsung Galaxy S24", 57, "onnx", "fp16", 51, 1.3838, 1.0663, 1.501
    )
    assert len(room.record()["calibrations"]) == 6
    for row in room.record()["calibrations"]:
        assert target_of(row["device"]).soc_model == row["soc_model"]


def test_the_scaling_literally() -> None:
    found = scaled(Simulated(2000.0, 1500.0, 2600.0, 0.0, RIGHT_TOOLS), PLAIN)
    assert (found.ms, found.low_ms, found.high_ms) == (3.0, 1.5, 6.0)
    assert found.basis == (
        "estimated, not measured: 1.500 x 2.000 ms, which the HTP compiler (QAIRT 2.51.0) simulates for soc_model 72; "
        "calibrated on 51 networks published for the Samsung Galaxy S24 with tflite (fp16), half of them within a "
        "factor of 1.20, nine of ten within 2.00"
    )


def test_what_weakens_an_estimate_is_said() -> None:
    other = scaled(Simulated(2000.0, 1500.0, 2600.0, 3.0, {"onnxruntime-qnn": "2.8.0", "qairt": "2.52.0"}), PLAIN)
    assert "3 operations without a known cost are left out" in other.basis
    assert "calibrated with onnxruntime-qnn 2.7.0, and this is 2.8.0" in other.basis


@pytest.mark.parametrize(
    ("device", "runtime", "precision"),
    [
        ("Samsung Galaxy S23", "tflite", "fp16"),
        ("Samsung Galaxy S24", "qnn_context_binary", "fp16"),
        ("Samsung Galaxy S24", "tflite", "w8a8"),
    ],
)
def test_what_is_not_calibrated_has_no_estimate(device: str, runtime: str, precision: str) -> None:
    found = estimate(fitting(), device, runtime, precision=precision)
    assert isinstance(found, NoEstimate)
    for word in (device, runtime, precision, "Samsung Galaxy S24 and Samsung Galaxy S25", "onnx, qnn_dlc, tflite"):
        assert word in found.sentence


def test_an_unknown_device_is_told() -> None:
    with pytest.raises(UnknownNameError, match="Samsung Galaxy S24"):
        estimate(fitting(), "Galaxy S24", "tflite")


def test_a_profile_of_another_version_is_told(tmp_path: Path) -> None:
    profile = tmp_path / "profile.csv"
    profile.write_text("Time,Event Identifier\n1618,Simulated (Accelerator exec time us)\n")
    with pytest.raises(InputError, match="lower estimate"):
        room._finalize_rows(profile)


@needs_emulator
def test_a_family_is_estimated_like_its_phone() -> None:
    simulated = room.simulate(fitting())
    assert isinstance(simulated, Simulated)
    assert 0 < simulated.lower_us <= simulated.simulated_us <= simulated.upper_us < 10_000
    found = estimate(fitting(), "Samsung Galaxy S24 (Family)", "tflite")
    assert isinstance(found, Estimate)
    assert found.ms == pytest.approx(1.4829 * simulated.simulated_us / 1000)
    assert found.low_ms < found.ms < found.high_ms


@needs_emulator
def test_a_misfit_and_a_stopped_attempt_have_no_estimate() -> None:
    refused = estimate(after_relu("Acos", "/net/Acos"), "Samsung Galaxy S24", "tflite")
    assert isinstance(refused, NoEstimate)
    assert "/net/Acos" in refused.sentence
    assert isinstance(room.simulate(fitting(), Limits(seconds=0.05)), OutOfTime)
    stopped = estimate(fitting(), "Samsung Galaxy S24", "tflite", limits=Limits(seconds=0.05))
    assert isinstance(stopped, NoEstimate)
    assert "0.05 s" in stopped.sentence
