"""Compiling for the NPU: whole or not at all, the same bytes everywhere, and never a hang."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import onnx
import pytest
from htp_graphs import S24, fitting, large, needs_emulator
from lpcv.errors import InputError, MissingStepError, UnknownNameError
from lpcv.hub_jobs.htp import compiler, door, process
from lpcv.hub_jobs.htp.compiler import compile_model
from lpcv.hub_jobs.htp.outcome import Compiled, Crashed, Limits, OutOfMemory, OutOfTime, Refused
from lpcv.hub_jobs.htp.target import Target, target_of
from lpcv.hub_jobs.precisions import PRECISIONS
from onnx import TensorProto, helper

FILES = {"context.onnx", "context_qnn.bin", "qnn_op_trace.json", "log.txt", "result.json"}


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Shared by the tests that only read from it."""
    return tmp_path_factory.mktemp("htp")


def compiled(outcome: object) -> Compiled:
    assert isinstance(outcome, Compiled), outcome
    return outcome


# Targets


@pytest.mark.parametrize(
    ("device", "soc_model", "arch"),
    [
        ("Samsung Galaxy S23", 43, "v73"),
        ("Samsung Galaxy S24", 57, "v75"),
        ("Samsung Galaxy S24 (Family)", 57, "v75"),
        ("Samsung Galaxy S25", 69, "v79"),
        ("Snapdragon 8 Elite Gen 5 QRD", 87, "v81"),
    ],
)
def test_the_number_of_a_devices_chip(device: str, soc_model: int, arch: str) -> None:
    assert target_of(device) == Target(device, soc_model, arch)


def test_a_mistyped_device_gets_its_neighbour() -> None:
    with pytest.raises(UnknownNameError, match="Samsung Galaxy S24"):
        target_of("galaxy s24")


def test_a_device_without_a_number_names_those_that_have_one() -> None:
    with pytest.raises(InputError, match="QCS8550") as caught:
        target_of("QCS8550 (Proxy)")
    assert "Samsung Galaxy S25" in caught.value.remedy
    assert "Google Pixel 3" not in caught.value.remedy


def test_v68_computes_integers_only() -> None:
    old = target_of("Samsung Galaxy S21")
    with pytest.raises(InputError, match="integers only"):
        old.demand("fp16")
    for precision in set(PRECISIONS) - {"fp16"}:
        old.demand(precision)
    for precision in PRECISIONS:
        S24.demand(precision)
    with pytest.raises(UnknownNameError, match="w8a8"):
        S24.demand("w8a7")


# Where it cannot run


@pytest.mark.parametrize(
    ("system", "machine", "says"),
    [("darwin", "arm64", "macOS on arm64"), ("linux", "aarch64", "Linux on aarch64"), ("win32", "AMD64", "Windows")],
)
def test_another_system_is_told_in_one_sentence(
    monkeypatch: pytest.MonkeyPatch, system: str, machine: str, says: str
) -> None:
    monkeypatch.setattr(sys, "platform", system)
    monkeypatch.setattr("platform.machine", lambda: machine)
    with pytest.raises(MissingStepError, match=says) as caught:
        door.demand_available()
    assert caught.value.problem.count(". ") == 0
    assert not door.is_available()


@pytest.mark.parametrize(("said", "has"), [("glibc 2.31", "glibc 2.31"), (None, "another C library")])
def test_an_old_c_library_is_told(monkeypatch: pytest.MonkeyPatch, said: str | None, has: str) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    monkeypatch.setattr(os, "confstr", lambda name: said)
    with pytest.raises(MissingStepError, match=has):
        door.demand_available()


def test_without_the_extra_its_command_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    monkeypatch.setattr(os, "confstr", lambda name: "glibc 2.39")
    monkeypatch.setattr(door, "find_spec", lambda name: None)
    with pytest.raises(MissingStepError, match=r"pip install 'lpcv\[emulator\]'"):
        compile_model(fitting(), S24, tmp_path)
    assert list(tmp_path.iterdir()) == []


@needs_emulator
def test_the_versions_are_told_without_loading_the_library() -> None:
    assert set(door.versions()) == {"onnxruntime", "onnxruntime-qnn", "qairt"}
    assert all(part.isdigit() for version in door.versions().values() for part in version.split(".")[:2])
    assert "onnxruntime_qnn" not in sys.modules


# What is compiled, and kept


@needs_emulator
def test_a_model_that_fits(cache: Path) -> None:
    result = compiled(compile_model(fitting(), S24, cache))
    assert {path.name for path in result.folder.iterdir()} == FILES
    assert result.inputs == {"image": ((1, 3, 16, 16), "float32")}
    assert result.outputs == {"output_0": ((1, 3, 16, 16), "float32")}
    assert (result.spill_bytes, result.target) == (0, S24)
    assert result.qnn_ops >= result.onnx_nodes >= 2
    assert result.context_bytes == (result.folder / "context_qnn.bin").stat().st_size > 1000
    assert "Every node fits" in result.sentence


@needs_emulator
def test_equal_bytes_from_two_processes_and_two_places(cache: Path, tmp_path: Path) -> None:
    first = compiled(compile_model(fitting(), S24, cache))
    (tmp_path / "elsewhere").mkdir()
    model = tmp_path / "elsewhere" / "another name.onnx"
    model.write_bytes(fitting())
    second = compiled(compile_model(model, S24, tmp_path / "cache"))
    assert second.folder.parent != first.folder.parent
    for name in ("context_qnn.bin", "context.onnx", "qnn_op_trace.json"):
        assert (second.folder / name).read_bytes() == (first.folder / name).read_bytes()
    assert second.key == first.key


@needs_emulator
def test_nothing_is_compiled_twice(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = compile_model(fitting(), S24, cache)

    def no_child(*arguments: object) -> None:
        raise AssertionError("it was in the cache")

    monkeypatch.setattr(compiler, "Child", no_child)
    assert compile_model(fitting(), S24, cache) == first
    family = target_of("Samsung Galaxy S24 (Family)")  # the same chip
    assert compiled(compile_model(fitting(), family, cache)).target == family
    with pytest.raises(AssertionError, match="cache"):  # another chip, and other tools, are another thing
        compile_model(fitting(), target_of("Samsung Galaxy S23"), cache)
    monkeypatch.setattr(compiler, "versions", lambda: {"qairt": "3.0"})
    with pytest.raises(AssertionError, match="cache"):
        compile_model(fitting(), S24, cache)


@needs_emulator
def test_what_is_damaged_is_made_again(cache: Path, tmp_path: Path) -> None:
    good = compiled(compile_model(fitting(), S24, cache))
    place = tmp_path / good.key
    shutil.copytree(good.folder, place)
    (place / "context_qnn.bin").write_bytes(b"half")
    again = compiled(compile_model(fitting(), S24, tmp_path))
    assert (again.folder, again.context_sha256) == (place, good.context_sha256)
    assert compiler._kept(place, S24, good.key) == again


@needs_emulator
@pytest.mark.parametrize("damage", ["", "{", "[]", '{"outcome": "Compiled"}'])
def test_a_damaged_record_is_no_result(tmp_path: Path, damage: str) -> None:
    place = tmp_path / "key"
    place.mkdir()
    (place / "result.json").write_text(damage)
    assert compiler._kept(place, S24, "key") is None
    assert not place.exists()


@needs_emulator
def test_what_cannot_be_read_for_now_is_not_damaged(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = compiled(compile_model(fitting(), S24, cache))
    place = tmp_path / good.key
    shutil.copytree(good.folder, place)

    def exhausted(path: Path) -> str:
        raise OSError(errno.EMFILE, "Too many open files")

    with monkeypatch.context() as patched:
        patched.setattr(compiler, "sha256_file", exhausted)
        with pytest.raises(InputError, match="Too many open files"):
            compiler._kept(place, S24, good.key)
        compiler._set_aside(place, S24, good.key)
    assert [path.name for path in tmp_path.iterdir()] == [good.key]
    assert compiler._kept(place, S24, good.key) == compiled(compile_model(fitting(), S24, tmp_path))


@needs_emulator
def test_what_another_process_has_mended_meanwhile_stays(cache: Path, tmp_path: Path) -> None:
    good = compiled(compile_model(fitting(), S24, cache))
    place = tmp_path / good.key
    shutil.copytree(good.folder, place)
    compiler._set_aside(place, S24, good.key)  # it was damaged when this process looked
    assert {path.name for path in place.iterdir()} == FILES
    compiler._set_aside(tmp_path / "gone", S24, "gone")
    assert [path.name for path in tmp_path.iterdir()] == [good.key]


@needs_emulator
def test_a_damaged_folder_that_came_first_does_not_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = compiler._compile

    def compile_slowly(*words: Any) -> Any:
        outcome = real(*words)
        place = tmp_path / words[6]
        place.mkdir()
        (place / "result.json").write_text("{}")
        return outcome

    monkeypatch.setattr(compiler, "_compile", compile_slowly)
    result = compiled(compile_model(fitting(), S24, tmp_path))
    assert {path.name for path in result.folder.iterdir()} == FILES
    assert [path.name for path in tmp_path.iterdir()] == [result.key]


@needs_emulator
def test_two_at_once_leave_one_folder(tmp_path: Path) -> None:
    with ThreadPoolExecutor(2) as both:
        first, second = both.map(lambda _: compiled(compile_model(fitting(), S24, tmp_path)), range(2))
    assert first.context_sha256 == second.context_sha256
    assert [path.name for path in tmp_path.iterdir()] == [first.key]


@needs_emulator
def test_weights_in_another_file_count(tmp_path: Path) -> None:
    model, path = onnx.load_from_string(fitting()), tmp_path / "model.onnx"
    onnx.save(model, path, save_as_external_data=True, location="model.data", size_threshold=0)
    first = compiled(compile_model(path, S24, tmp_path / "cache"))
    data = bytearray((tmp_path / "model.data").read_bytes())
    data[3] ^= 1
    (tmp_path / "model.data").write_bytes(data)
    second = compiled(compile_model(path, S24, tmp_path / "cache"))
    assert first.key != second.key
    assert first.context_sha256 != second.context_sha256
    (tmp_path / "model.data").unlink()
    with pytest.raises(InputError, match=r"model\.data"):
        compile_model(path, S24, tmp_path / "cache")


@needs_emulator
@pytest.mark.parametrize("content", [b"", b"no model at all"])
def test_what_is_no_model_is_told(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(InputError, match="the model"):
        compile_model(content, S24, tmp_path)
    with pytest.raises(InputError, match="does not exist"):
        compile_model(tmp_path / "none.onnx", S24, tmp_path)


@needs_emulator
def test_a_refusal_without_a_name_is_not_kept(tmp_path: Path) -> None:
    image, output = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in ("image", "output_0"))
    node = helper.make_node("Frobnicate", ["image"], ["output_0"], domain="mine")
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("mine", 1)]
    model = helper.make_model(helper.make_graph([node], "g", [image], [output]), opset_imports=opsets, ir_version=9)
    result = compile_model(model.SerializeToString(), S24, tmp_path)
    assert isinstance(result, Refused)
    assert "Frobnicate" in result.sentence
    assert list(tmp_path.iterdir()) == []


# What never ends, eats memory, or crashes


@needs_emulator
def test_a_graph_that_needs_more_memory_than_allowed(tmp_path: Path) -> None:
    result = compile_model(large(), S24, tmp_path, Limits(seconds=120, memory_mb=230))
    assert isinstance(result, OutOfMemory), result
    assert "230 MB" in result.sentence
    assert_nothing_left(tmp_path)


@needs_emulator
def test_a_graph_that_needs_more_time_than_allowed(tmp_path: Path) -> None:
    result = compile_model(large(), S24, tmp_path, Limits(seconds=0.3))
    assert isinstance(result, OutOfTime), result
    assert "0.3 s" in result.sentence
    assert_nothing_left(tmp_path)


def assert_nothing_left(cache: Path) -> None:
    """Neither a folder nor a process that works in one."""
    assert list(cache.iterdir()) == []
    assert working_in(cache) == []


def working_in(folder: Path) -> list[str]:
    """The ids of processes that were given a place in the folder."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "cmdline").read_bytes()
            except OSError:  # it has ended
                continue
            if f"{folder}{os.sep}".encode() in words:
                found.append(entry.name)
    return found


@pytest.mark.skipif(sys.platform != "linux", reason="memory is watched through /proc")
@pytest.mark.parametrize(
    ("program", "kind", "says"),
    [
        ("import time\nwhile True: time.sleep(1)", OutOfTime, "not done after 1.5 s"),
        ("held = []\nwhile True: held.append(bytearray(b'x' * 5_000_000))", OutOfMemory, "more than 300 MB"),
        ("import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)", Crashed, "SIGSEGV"),
        ("import sys\nsys.exit('it is broken')", Crashed, "with code 1, without an answer (it is broken)"),
        ("raise MemoryError", OutOfMemory, "300 MB"),
    ],
    ids=["never ends", "eats memory", "segmentation fault", "exits", "std::bad_alloc"],
)
def test_a_child_that_misbehaves_is_a_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: str, kind: type, says: str
) -> None:
    (tmp_path / "misbehaving.py").write_text(program)
    monkeypatch.setattr(process, "CHILD", "misbehaving")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    limits = Limits(seconds=1.5 if kind is OutOfTime else 60, memory_mb=300)
    with process.Child(tmp_path, {}, limits) as child:
        result = child.answer()
    assert isinstance(result, OutOfTime | OutOfMemory | Crashed), result
    assert isinstance(result, kind), result
    assert says in result.sentence
    assert child._process.poll() is not None


@needs_emulator
def test_killed_in_the_middle_nothing_half_is_kept(tmp_path: Path) -> None:
    """The process that asked is killed with -9: its child ends, too, and the next one starts anew."""
    (tmp_path / "large.onnx").write_bytes(large())
    cache = tmp_path / "cache"
    program = (
        "import sys; from pathlib import Path; from lpcv.hub_jobs.htp.compiler import compile_model\n"
        "from lpcv.hub_jobs.htp.target import target_of\n"
        "compile_model(Path(sys.argv[1]), target_of('Samsung Galaxy S24'), Path(sys.argv[2]))"
    )
    asker = subprocess.Popen([sys.executable, "-c", program, str(tmp_path / "large.onnx"), str(cache)])
    while not list(cache.glob(".*/log.txt")):
        assert asker.poll() is None
        time.sleep(0.01)
    asker.kill()
    asker.wait()
    while working_in(cache):
        time.sleep(0.01)
    assert not list(cache.glob("[!.]*"))
    result = compiled(compile_model(fitting(), S24, cache))
    assert [path.name for path in cache.glob("[!.]*")] == [result.key]


@needs_emulator
def test_what_an_attempt_left_behind_goes_after_a_day(tmp_path: Path) -> None:
    leftover = tmp_path / ".0123456789ab.x"
    leftover.mkdir()
    compile_model(fitting(), S24, tmp_path)
    assert leftover.exists()
    os.utime(leftover, (0, 0))
    compile_model(fitting(), target_of("Samsung Galaxy S25"), tmp_path)
    assert not leftover.exists()


def test_the_log_line_that_says_most(tmp_path: Path) -> None:
    log = tmp_path / "log.txt"
    log.write_text("")
    assert process.last_line(log) == ""
    log.write_text(" # LIBNATIVE: whatever\nfirst\nsecond\n")
    assert process.last_line(log) == "second"
    log.write_text(
        "\x1b[1;31m2026-11-21 14:08:22.1 [E:onnxruntime:, a.cc:1 F] Failed to create device.\x1b[m\nplain\n"
        "\x1b[1;31m2026-11-21 14:08:23.1 [E:onnxruntime:, b.cc:2 G] fallback to CPU EP has been explicitly disabled"
    )
    assert process.last_line(log) == "[E:onnxruntime:, a.cc:1 F] Failed to create device."
