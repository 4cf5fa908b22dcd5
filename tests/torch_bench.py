"""Small torch modules, saved in both of torch's forms: red is depth, as in tflite_bench."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from lpcv.contract import CURRENT as CONTRACT

FACTOR = 5 / 255 / 10  # red 255 is 5 m, and 10 m is 1


class Net(torch.nn.Module):
    """Red as depth, by a convolution and a buffer; `change` is what is wrong with it."""

    least: torch.Tensor

    def __init__(self, change: Callable[[torch.Tensor], Any] = lambda depth: depth) -> None:
        super().__init__()
        self.pick, self.change = torch.nn.Conv2d(3, 1, 1, bias=False), change
        self.pick.weight.data = torch.tensor([FACTOR, 0, 0]).reshape(1, 3, 1, 1)
        self.register_buffer("least", torch.tensor([0.01]))

    def forward(self, x: torch.Tensor) -> Any:
        return self.change(torch.maximum(self.pick(x), self.least))


PICTURE = torch.zeros(CONTRACT.input_shape)
Saver = Callable[..., Path]


def script(path: Path, net: torch.nn.Module, *example: torch.Tensor) -> Path:
    torch.jit.save(torch.jit.trace(net.eval(), example or (PICTURE,)), path)
    return path


def program(path: Path, net: torch.nn.Module, *example: torch.Tensor, **more: Any) -> Path:
    torch.export.save(torch.export.export(net.eval(), example or (PICTURE,), **more), path)
    return path


@pytest.fixture
def unconverted(monkeypatch: pytest.MonkeyPatch) -> None:
    """No conversion, which takes seconds: the border and the answers need none."""

    def export(*_: Any, **__: Any) -> None:
        raise RuntimeError("not today")

    monkeypatch.setattr("torch.onnx.export", export)


def rewritten(source: Path, target: Path, change: Callable[[str, bytes], bytes | None], **more: bytes) -> Path:
    """The archive with changed members (None removes one) and further ones."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for info in old.infolist():
            content = change(info.filename.partition("/")[2], old.read(info))
            if content is not None:
                new.writestr(info.filename, content)
        for name, content in more.items():
            new.writestr(f"m/{name}", content)
    return target
