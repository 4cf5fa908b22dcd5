"""Torch models that somebody else made: read without running a line of theirs, or refused in a sentence."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lpcv.cli import run
from lpcv.contract import CURRENT as CONTRACT
from lpcv.errors import InputError
from lpcv.submission.check.opening import open_runner
from lpcv.submission.check.preflight import check_model
from meaning_models import failed
from torch_bench import PICTURE, Net, program, rewritten, script, unconverted  # noqa: F401

WIDTH, HEIGHT = CONTRACT.image_size


class Exploit:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.mark,)


def pickled(mark: Path) -> bytes:
    place = io.BytesIO()
    torch.save((Exploit(mark), {}), place)
    return place.getvalue()


@pytest.fixture(scope="module")
def good_program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return program(tmp_path_factory.mktemp("program") / "m.pt2", Net())


@pytest.mark.usefixtures("unconverted")
def test_example_inputs_are_not_unpickled(good_program: Path, tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    path = rewritten(
        good_program, tmp_path / "m.pt2",
        lambda name, content: pickled(mark) if name == "data/sample_inputs/model.pt" else content,
    )  # fmt: skip
    torch.export.load(path)  # the trap is one: this is what must not be done with somebody's file
    assert mark.exists()
    mark.unlink()
    assert failed(check_model(path)) == set()
    assert not mark.exists()


def replaced(member: str, *changes: tuple[str, str]) -> Callable[[Path], Callable[[str, bytes], bytes | None]]:
    def change_for(mark: Path) -> Callable[[str, bytes], bytes | None]:
        def change(name: str, content: bytes) -> bytes | None:
            if name != member:
                return content
            text = content.decode()
            for old, new in changes:
                assert old in text, old
                text = text.replace(old, new.replace("MARK", str(mark)), 1)
            return text.encode()

        return change

    return change_for


MODEL, WEIGHTS = "models/model.json", "data/weights/model_weights_config.json"
TUPLE, DEFAULT = '{\\"type\\": \\"builtins.tuple\\"', '{\\"type\\": \\"collections.defaultdict\\"'
EVALUATED = '{"as_expr": {"expr_str": "open(\'MARK\', \'w\')"}}'
HOSTILE = {
    "pickled weights": (replaced(WEIGHTS, ('"use_pickle": false', '"use_pickle": true')), "pickled"),
    "an object for a weight": (replaced(WEIGHTS, ('"weight_0"', '"opaque_obj_0"')), "pickled"),
    "a path for a weight": (replaced(WEIGHTS, ('"weight_0"', '"../../x"')), "pickled"),
    "a function for an operator": (replaced(MODEL, ("torch.ops.aten.conv2d.default", "torch.os.system")), "operator"),
    "an operator that writes": (replaced(MODEL, ("torch.ops.aten.conv2d.default", "torch.ops.aten.save")), "operator"),
    "a formula": (replaced(MODEL, ('{"as_int": 480}', EVALUATED)), "formula"),
    "source for a name": (replaced(MODEL, ('"name": "x"', '"name": "x=open(\'MARK\',\'w\')"')), "no name"),
    "a tree that imports": (replaced(MODEL, (TUPLE, DEFAULT)), "more than tensors"),
    "an old pickle of weights": (lambda _: lambda name, content: None if name == WEIGHTS else content, "older torch"),
    "no JSON": (lambda _: lambda name, content: b"{" if name == MODEL else content, "no JSON"),
}  # fmt: skip


@pytest.mark.parametrize("attack", HOSTILE)
def test_a_hostile_program_is_refused_in_a_sentence(attack: str, good_program: Path, tmp_path: Path) -> None:
    change, word = HOSTILE[attack]
    mark = tmp_path / "ran"
    with pytest.raises(InputError, match=word) as caught:
        open_runner(rewritten(good_program, tmp_path / "m.pt2", change(mark)))
    assert "\n" not in str(caught.value)
    assert not mark.exists()


def test_a_program_that_torch_cannot_read_is_one_sentence(
    good_program: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """And not the traceback that torch logs."""
    change = replaced(MODEL, ("torch.ops.aten.conv2d.default", "torch.ops.aten.no_such.default"))
    path = rewritten(good_program, tmp_path / "m.pt2", change(tmp_path))
    assert run(["check", str(path)]) == 2
    told = capfd.readouterr().err
    assert "as an exported program" in told
    assert "Traceback" not in told


def test_compiled_libraries_are_refused(good_program: Path, tmp_path: Path) -> None:
    more = {"data/aotinductor/model/x.so": b"\x7fELF"}
    with pytest.raises(InputError, match="compiled libraries"):
        open_runner(rewritten(good_program, tmp_path / "m.pt2", lambda _, content: content, **more))


def test_guards_do_not_run(good_program: Path, tmp_path: Path) -> None:
    mark = tmp_path / "ran"

    def change(name: str, content: bytes) -> bytes:
        if name != MODEL:
            return content
        return json.dumps(json.loads(content) | {"guards_code": [f"open({str(mark)!r}, 'w')"]}).encode()

    path = rewritten(good_program, tmp_path / "m.pt2", change)
    torch.export.load(path).module()(PICTURE)
    assert mark.exists()  # the trap is one
    mark.unlink()
    assert open_runner(path).raw(np.zeros((HEIGHT, WIDTH, 3), np.uint8)).shape == CONTRACT.output_shape
    assert not mark.exists()


def test_torchscript_that_reads_files_is_refused(tmp_path: Path) -> None:
    class Reads(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x + torch.from_file("secret", size=1)

    torch.jit.script(Reads()).save(str(tmp_path / "m.pt"))
    with pytest.raises(InputError, match=r"reaches beyond tensors \(from_file\)"):
        open_runner(tmp_path / "m.pt")


def test_torchscript_that_calls_another_library_is_refused(tmp_path: Path) -> None:
    def change(_: str, content: bytes) -> bytes:
        return content.replace(b"torch._convolution", b"ops.image.write_file")

    good = script(tmp_path / "m.pt", Net())
    with pytest.raises(InputError, match="reaches beyond tensors"):
        open_runner(rewritten(good, tmp_path / "bad.pt", change))


CALLS = {
    "ops.aten": "ops.aten.save(image, {mark!r})", "torch": "torch.save(image, {mark!r})",
    "continued": "ops.aten.\\\nsave(image, {mark!r})", "continued library": "ops.\\\nimage.write_file({mark!r}, image)",
    "another name": "other.save(image, {mark!r})", "escapes": 'getattr(torch, "\\x73ave")(image, {mark!r})',
}  # fmt: skip


HIDDEN: dict[str, Callable[[str], str]] = {
    "as it is": lambda name: name,
    "suffix in capitals": lambda name: name.removesuffix(".py") + ".PY" if name.endswith(".py") else name,
    "folder in capitals": lambda name: name.replace("/code/", "/CODE/"),
    "another root": lambda name: f"x{name}" if name.endswith(".py") else name,
}


class Mean(torch.nn.Module):
    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return torch.mean(image, [1], True)


@pytest.fixture(scope="module")
def scripted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("script") / "m.pt"
    torch.jit.script(Mean()).save(str(path))
    return path


def hostile_script(source: Path, target: Path, call: str, rename: Callable[[str], str]) -> Path:
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for info in old.infolist():
            content = old.read(info)
            if info.filename.endswith(".py"):
                wrong = f"    other = torch\n    _9 = {call}\n    return".encode()
                assert b"    return" in content
                content = content.replace(b"    return", wrong, 1)
            new.writestr(rename(info.filename), content)
        new.writestr(f"{old.namelist()[0].split('/')[0]}/code/x.py", b"")
    return target


@pytest.mark.parametrize("hidden", HIDDEN)
def test_torchscript_that_writes_a_file_is_refused_wherever_its_code_lies(
    hidden: str, scripted: Path, tmp_path: Path
) -> None:
    mark = tmp_path / "ran"
    path = hostile_script(scripted, tmp_path / "m.pt", CALLS["ops.aten"].format(mark=str(mark)), HIDDEN[hidden])
    if hidden != "another root":
        torch.jit.load(path)(PICTURE)  # the trap is one
        assert mark.exists()
        mark.unlink()
    with pytest.raises(InputError, match="is not opened") as caught:
        open_runner(path)
    assert "\n" not in str(caught.value)
    assert not mark.exists()


@pytest.mark.parametrize("spelling", CALLS)
def test_torchscript_that_writes_a_file_is_refused_however_it_is_spelt(
    spelling: str, scripted: Path, tmp_path: Path
) -> None:
    mark = tmp_path / "ran"
    path = hostile_script(scripted, tmp_path / "m.pt", CALLS[spelling].format(mark=str(mark)), lambda name: name)
    with pytest.raises(InputError, match="reaches beyond tensors"):
        open_runner(path)
    assert not mark.exists()


def test_of_two_members_alike_none_is_taken(scripted: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(scripted) as old:
        inside = next(name.partition("/")[2] for name in old.namelist() if name.endswith(".py"))
    path = rewritten(scripted, tmp_path / "m.pt", lambda _, content: content)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(f"m/{inside.replace('code', 'Code')}", b"")
    with pytest.raises(InputError, match="may be taken for one another"):
        open_runner(path)


def test_other_torchscript_is_read(scripted: Path, tmp_path: Path) -> None:
    """Submodules whose names are numbers, further files, no positions of the source."""
    net = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 1), torch.nn.ReLU(), torch.nn.Conv2d(4, 1, 1)).eval()
    torch.jit.save(torch.jit.script(net), tmp_path / "m.pt", _extra_files={"notes.txt": b"mine"})
    with torch.no_grad():
        truth = net(PICTURE).numpy()
    np.testing.assert_allclose(open_runner(tmp_path / "m.pt").answer(PICTURE.numpy()), truth, atol=1e-6)
    assert open_runner(scripted).answer(PICTURE.numpy()).shape == CONTRACT.output_shape
