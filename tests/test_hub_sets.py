"""Orders for running frames on a device: one a slice, all of one set of predictions, named after what it is made of."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from lpcv.data.folder import FrameFolder, open_folder
from lpcv.data.images import write_png
from lpcv.hub_jobs.history import Record
from lpcv.hub_jobs.inference import orders_of
from lpcv.hub_jobs.order import CompiledModel

NAMES = ("a", "b", "c")


def write_frame(root: Path, name: str, seed: int) -> None:
    write_png(root / f"{name}.png", np.full((6, 8, 3), seed, np.uint8))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for seed, name in enumerate(NAMES):
        write_frame(tmp_path, name, seed)
    return tmp_path


@pytest.fixture
def folder(root: Path) -> FrameFolder:
    return open_folder(root)


BASE = Record(
    "hub", "k", {"type": "compile", "title": "mine", "device": "S24", "model_sha256": "aa"}, "", job_id="jabcde"
)


def test_orders_are_one_a_slice_all_of_one_set(folder: FrameFolder) -> None:
    orders = orders_of(BASE, folder, 2, None, "")
    assert [order.type for order in orders] == ["inference"] * 2
    assert [order.kept["frames"] for order in orders] == [("a", "b"), ("c",)]
    assert [order.kept["set_frames"] for order in orders] == [NAMES] * 2
    assert len({order.kept["set"] for order in orders}) == 1
    assert [order.title for order in orders] == ["mine a-b", "mine c-c"]
    assert {(order.model, order.device) for order in orders} == {(CompiledModel("jabcde", "aa"), "S24")}
    assert orders_of(BASE, folder, 2, "S23", "")[0].device == "S23"


def test_a_set_is_named_after_what_it_is_made_of(folder: FrameFolder, root: Path) -> None:
    def named(base: Record = BASE, frames: FrameFolder = folder, device: str | None = None, options: str = "") -> str:
        return orders_of(base, frames, 2, device, options)[0].kept["set"]

    sets = {named(), named(device="S23"), named(options="--x"), named(frames=folder.subset(("a", "b")))}
    write_frame(root, "c", 77)
    sets |= {named(frames=open_folder(root))}
    assert len(sets) == 5
    assert named(frames=folder.subset(("a",)), device="S24") == named(frames=folder.subset(("a",)))
    assert all(each.startswith("jabcde-") for each in sets)
