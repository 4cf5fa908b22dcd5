"""Datasets that the stand-in takes: all data in the file itself, in the client's layout."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from lpcv.hub_jobs.stand_in.speaking import JobError
from lpcv.hub_jobs.stand_in.tensors import MOST_ENTRIES, read_dataset, write_dataset

INPUTS = [["x", [4], "float32"]]
VALUES = np.arange(4, dtype=np.float32)
Fill = Callable[[Any, Any], object]


def written(path: Path, fill: Fill) -> Path:
    """A dataset of one batch, of which `fill(file, group)` writes the data."""
    with h5py.File(path, "w") as file:
        group = file.create_group("data/0")
        group.attrs["name"], group.attrs["order"], group.attrs["batch_count"] = "x", 0, 1
        fill(file, group)
    return path


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    """What no job may read: as an .h5 file, and as bytes."""
    with h5py.File(tmp_path / "secret.h5", "w") as file:
        file["y"] = VALUES
    (tmp_path / "secret.bin").write_bytes(VALUES.tobytes())
    return tmp_path


def external(file: Any, group: Any, place: Path) -> None:
    group.create_dataset("batch_0", (4,), "f4", external=[(str(place / "secret.bin"), 0, 16)])


def virtual(file: Any, group: Any, place: Path) -> None:
    layout = h5py.VirtualLayout((4,), "f4")
    layout[:] = h5py.VirtualSource(str(place / "secret.h5"), "y", (4,))
    group.create_virtual_dataset("batch_0", layout)


def external_link(file: Any, group: Any, place: Path) -> None:
    group["batch_0"] = h5py.ExternalLink(str(place / "secret.h5"), "/y")


def external_group(file: Any, group: Any, place: Path) -> None:
    del file["data"]
    file["data"] = h5py.ExternalLink(str(place / "secret.h5"), "/")


def soft_link(file: Any, group: Any, place: Path) -> None:
    group["other"] = VALUES
    group["batch_0"] = h5py.SoftLink("/data/0/other")


def unused_link(file: Any, group: Any, place: Path) -> None:
    group["batch_0"] = VALUES
    file["more"] = h5py.ExternalLink(str(place / "nowhere.h5"), "/y")


def circle(file: Any, group: Any, place: Path) -> None:
    group["batch_0"] = file["/"]


@pytest.mark.parametrize(
    ("fill", "sentence"),
    [
        (external, "keeps /data/0/batch_0 in another file"),
        (virtual, "keeps /data/0/batch_0 in another file"),
        (external_link, "holds a link, /data/0/batch_0"),
        (external_group, "holds a link, /data"),
        (soft_link, "holds a link, /data/0/batch_0"),
        (unused_link, "holds a link, /more"),
        (circle, "groups in groups"),
    ],
)
def test_no_dataset_leads_out_of_its_file(elsewhere: Path, fill: Any, sentence: str) -> None:
    path = written(elsewhere / "d.h5", lambda file, group: fill(file, group, elsewhere))
    with pytest.raises(JobError, match=sentence):
        read_dataset(path, INPUTS)


def test_there_is_an_end_to_entries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert MOST_ENTRIES > 250 * 1000
    monkeypatch.setattr("lpcv.hub_jobs.stand_in.tensors.MOST_ENTRIES", 3)
    good = written(tmp_path / "good.h5", lambda file, group: group.create_dataset("batch_0", data=VALUES))
    assert read_dataset(good, INPUTS).count == 1
    more = written(tmp_path / "more.h5", lambda file, group: [group.create_group(str(n)) for n in range(2)])
    with pytest.raises(JobError, match="more than 3 entries"):
        read_dataset(more, INPUTS)


@pytest.mark.parametrize("packed", [None, "gzip"])
def test_what_the_client_writes_is_read_to_the_last_bit(tmp_path: Path, packed: str | None) -> None:
    path = written(
        tmp_path / "d.h5", lambda file, group: group.create_dataset("batch_0", data=VALUES, compression=packed)
    )
    (batch,) = read_dataset(path, INPUTS)
    np.testing.assert_array_equal(batch["x"], VALUES)
    write_dataset(tmp_path / "e.h5", ["x"], [batch, batch])
    assert [each["x"].tolist() for each in read_dataset(tmp_path / "e.h5", INPUTS)] == [VALUES.tolist()] * 2
