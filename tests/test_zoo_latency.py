"""`lpcv zoo estimate` on small graphs in place of the zoo's, with the real compiler; and its words without one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from htp_graphs import content, fitting, needs_emulator, node
from lpcv.cli import run as run_cli
from lpcv.files import read_json
from lpcv.hub_jobs.htp import door
from lpcv.submission.zoo import latency
from lpcv.submission.zoo.latency import STEPS, Estimated
from lpcv.submission.zoo.show import show_estimates
from lpcv.train.zoo.variants import ZOO, Variant

S24 = "Samsung Galaxy S24"
NAMES = ("second", "third")


@pytest.fixture
def in_place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """`third` is a graph with an operator that the NPU has not, every other one a graph that fits."""

    def build(variant: Variant, weights: str | None, out: Path, begin: Callable[[str], None]) -> None:
        assert weights == "random"
        for step in range(latency.BUILDING):
            begin(f"building, {step}")
        misfit = content([node("Acos", ["image"], ["output_0"], "/net/Acos")])
        out.write_bytes(misfit if variant.name == "third" else fitting())

    monkeypatch.setattr(latency, "build", build)
    monkeypatch.setenv("LPCV_HUB_FOLDER", str(tmp_path / "hub"))
    return tmp_path


@needs_emulator
def test_estimated_and_measured_stand_in_columns_of_their_own(
    in_place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told = in_place / "told.json"
    words = ["zoo", "estimate", *NAMES, "--device", S24, "--runtime", "onnx", "--json", str(told)]
    assert run_cli(words) == 1  # one does not fit
    said = capsys.readouterr()
    assert f"Step {2 * STEPS - 1} of {2 * STEPS}: compiling third for the {S24}" in said.err
    assert "third: /net/Acos (Acos): " in said.err
    assert said.err.count("Basis: estimated, not measured: 1.384 x ") == 1
    content_of = read_json(told)
    assert (content_of["device"], content_of["runtime"]) == (S24, "onnx")
    second, third = content_of["models"]
    assert (second["fits"], third["fits"]) == (True, False)
    assert 0 < second["estimated_latency"]["low_ms"] < second["estimated_latency"]["ms"]
    assert second["published"] == {
        "who": "second place", "source": "the second-place team's published solution", "f_score": None,
        "latency_ms": 28.6, "device": "Snapdragon 8 Elite QRD",
    }  # fmt: skip
    assert third["estimated_latency"] is None
    assert "/net/Acos" in third["sentence"]
    header = next(line for line in said.out.splitlines() if "ESTIMATED" in line)
    assert header.index("ESTIMATED") < header.index("MEASURED")


@needs_emulator
def test_where_nothing_is_published_to_calibrate_with_there_is_no_number(
    in_place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_cli(["zoo", "estimate", "second", "--device", "Samsung Galaxy S23", "--runtime", "onnx"]) == 0
    said = capsys.readouterr()
    assert "second: No latency can be estimated" in said.err
    assert "Basis" not in said.err


def test_without_the_compiler_it_says_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(door, "find_spec", lambda name: None)
    assert run_cli(["zoo", "estimate", "second", "--device", S24]) == 2
    assert "lpcv[emulator]" in capsys.readouterr().err


def test_what_stopped_is_told_and_gets_no_estimate(capsys: pytest.CaptureFixture[str]) -> None:
    from lpcv.hub_jobs.htp.outcome import OutOfMemory

    one, other = (Estimated(ZOO[name], OutOfMemory(8192.0), (), None) for name in NAMES)
    show_estimates([one, other], S24, "tflite")
    assert one.fits is False
    assert one.as_json()["estimated_latency"] is None
    said = capsys.readouterr()
    assert "second: Stopped: it needed more than 8192 MB of memory." in said.err
    assert "28.6 (Snapdragon 8 Elite QRD)" in said.out
    assert "33.1 (device not published)" in said.out


@pytest.mark.parametrize(
    ("words", "said"),
    [(["secnd"], "Did you mean 'second'"), (["second", "second"], "given twice"), (["second", "--device", "X"], "'X'")],
)
def test_wrong_words_are_sentences(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    given = words if "--device" in words else [*words, "--device", S24]
    assert run_cli(["zoo", "estimate", *given]) == 2
    assert said in capsys.readouterr().err
