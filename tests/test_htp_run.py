"""Frames through the NPU's emulator: right, one by one, the same in every process, and whole until the end comes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from htp_graphs import S24, content, fitting, graph, needs_emulator, node, on_cpu, picture
from lpcv.errors import InputError
from lpcv.hub_jobs.htp import process
from lpcv.hub_jobs.htp.compiler import compile_model
from lpcv.hub_jobs.htp.emulator import EmulationStopped, run, run_all
from lpcv.hub_jobs.htp.outcome import Compiled, Crashed, Limits, OutOfTime
from lpcv.hub_jobs.htp.target import target_of

pytestmark = needs_emulator


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Compiled:
    return compiled(fitting(), tmp_path_factory.mktemp("htp"))


def compiled(content: bytes, cache: Path, device: str = S24.device) -> Compiled:
    result = compile_model(content, target_of(device), cache)
    assert isinstance(result, Compiled), result
    return result


def test_half_precision_is_near_float_and_not_float(model: Compiled) -> None:
    ((name, emulated),) = run(model, [("0000", picture())])
    expected = on_cpu(fitting(), picture())
    assert (name, emulated.dtype, emulated.shape) == ("0000", np.float32, expected.shape)
    difference = np.abs(emulated - expected)
    assert 0 < difference.max() < 2e-3 * np.abs(expected).max()


def test_a_literal_result(tmp_path: Path) -> None:
    """(x + 1) * 0.5, to one step of half precision: even these numbers, which it holds exactly, come out so."""
    nodes = [node("Add", ["image", "one"], ["a"]), node("Mul", ["a", "half"], ["output_0"])]
    built = content(nodes, {"one": np.float32(1), "half": np.float32(0.5)}, shape=(1, 4), out_shape=(1, 4))
    ((_, made),) = run(compiled(built, tmp_path), [("x", np.array([[-1, 0, 1, 254]], np.float32))])
    np.testing.assert_allclose(made, [[0, 0.5, 1, 127.5]], rtol=2**-10, atol=1e-6)


def test_the_same_numbers_in_two_processes_and_from_two_caches(model: Compiled, tmp_path: Path) -> None:
    frames = [(str(seed), picture(seed)) for seed in range(2)]
    first = dict(run(model, frames))
    second = dict(run(compiled(fitting(), tmp_path), reversed(frames)))
    assert first.keys() == second.keys()
    for name in first:
        assert first[name].tobytes() == second[name].tobytes()


def test_frames_are_read_as_they_are_needed(model: Compiled) -> None:
    read: list[int] = []

    def frames() -> Iterator[tuple[str, npt.NDArray[np.float32]]]:
        for index in range(3):
            read.append(index)
            yield str(index), picture(index)

    results = run(model, frames())
    assert next(results)[0] == "0"
    assert read == [0]
    assert next(results)[0] == "1"
    assert read == [0, 1]
    results.close()  # type: ignore[attr-defined]


def test_no_frames_are_no_results(model: Compiled) -> None:
    assert list(run(model, [])) == []


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (picture()[:, :1], r"\(1, 1, 16, 16\) float32"),
        (picture().astype(np.float64), "float64"),
        (picture().transpose(0, 2, 3, 1), r"\(1, 16, 16, 3\)"),
    ],
    ids=["channels", "dtype", "NHWC"],
)
def test_an_array_that_is_not_the_models(model: Compiled, wrong: npt.NDArray[np.generic], says: str) -> None:
    with pytest.raises(InputError, match=says):
        list(run(model, [("frame", wrong)]))


def test_an_array_that_lies_otherwise_in_memory(model: Compiled) -> None:
    frame = np.asfortranarray(picture())
    ((_, made),) = run(model, [("frame", frame)])
    ((_, expected),) = run(model, [("frame", picture())])
    assert made.tobytes() == expected.tobytes()


def test_several_outputs_and_names_of_any_kind(tmp_path: Path) -> None:
    nodes = [node("Relu", ["image"], ["file"]), node("Neg", ["image"], ["/net/out:1"])]
    built = graph(nodes, outputs=["file", "/net/out:1"]).SerializeToString()
    result = compiled(built, tmp_path)
    ((_, made),) = run_all(result, [("frame", {"image": np.full((1, 3, 16, 16), 2, np.float32)})])
    assert list(made) == ["file", "/net/out:1"]
    assert [float(array.mean()) for array in made.values()] == pytest.approx([2.0, -2.0], rel=2**-10)
    with pytest.raises(InputError, match="2 outputs"):
        next(run(result, [("frame", picture())]))
    with pytest.raises(InputError, match="has no 'image'"):
        next(run_all(result, [("frame", {"picture": picture()})]))


def test_an_emulator_that_ends_early_keeps_what_is_done(
    model: Compiled, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The real child, made to crash before it computes the second frame."""
    program = (
        "import os, sys\nfrom lpcv.hub_jobs.htp import child\nfrom pathlib import Path\n"
        "class Second:\n"
        "    def __iter__(self):\n"
        "        lines = iter(sys.__stdin__)\n"
        "        yield next(lines)\n        next(lines)\n        os.abort()\n"
        "sys.stdin = Second()\nchild.main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))\n"
    )
    (tmp_path / "crashing.py").write_text(program)
    monkeypatch.setattr(process, "CHILD", "crashing")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=":")
    done = []

    def take_all() -> None:
        for name, _ in run(model, [(str(seed), picture(seed)) for seed in range(3)]):
            done.append(name)

    with pytest.raises(EmulationStopped, match="frame 1") as caught:
        take_all()
    assert done == ["0"]
    assert isinstance(caught.value.outcome, Crashed)
    assert "SIGABRT" in caught.value.problem


def test_a_frame_that_takes_too_long(model: Compiled) -> None:
    with pytest.raises(EmulationStopped, match="frame 0000") as caught:
        list(run(model, [("0000", picture())], Limits(seconds=0.05)))
    assert caught.value.outcome == OutOfTime(0.05, caught.value.outcome.log_line)


@pytest.mark.parametrize("device", ["Samsung Galaxy S23", "Samsung Galaxy S25"])
def test_other_phones_compute_nearly_the_same(model: Compiled, tmp_path: Path, device: str) -> None:
    other = compiled(fitting(), tmp_path, device)
    assert other.context_sha256 != model.context_sha256
    ((_, made),) = run(other, [("frame", picture())])
    expected = on_cpu(fitting(), picture())
    assert np.abs(made - expected).max() < 2e-3 * np.abs(expected).max()
