"""The organisers' guide as a plain script: the unmodified client, a TorchScript model, nothing but this machine.

The script (cases/organisers_guide.py) knows nothing of us; `QAIHUB_CLIENT_INI` alone sends it to a stand-in.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hub_fixtures import Served
from lpcv.contract import CURRENT as CONTRACT

GUIDE = Path(__file__).parent / "cases" / "organisers_guide.py"
ONLY_LOOPBACK = """
import socket
real = socket.getaddrinfo, socket.socket.connect
def lookup(host, *more, **named):
    assert host in ("127.0.0.1", "localhost", None), f"looked up {host}"
    return real[0](host, *more, **named)
def connect(self, address):
    assert self.family == socket.AF_UNIX or address[0] == "127.0.0.1", f"connected to {address}"
    return real[1](self, address)
socket.getaddrinfo, socket.socket.connect = lookup, connect
"""


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with model.pt, two frames as AI Hub's .h5, and what torch itself computes of them, expected.npy."""
    import torch

    folder = tmp_path_factory.mktemp("given")

    class Grey(torch.nn.Module):
        def forward(self, image: torch.Tensor) -> torch.Tensor:
            return torch.sigmoid(image.mean(1, keepdim=True) / 64 - 2)

    images = np.random.default_rng(3).uniform(0, 255, (2, *CONTRACT.input_shape)).astype(np.float32)
    images = np.round(images[:, :, :, ::40, ::40]).repeat(40, 3).repeat(40, 4)  # which compresses
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # the guide's way is an old one
        model: Any = torch.jit.trace(Grey(), torch.from_numpy(images[0]))
    model.save(str(folder / "model.pt"))
    np.save(folder / "expected.npy", np.stack([model(torch.from_numpy(image)).numpy() for image in images]))
    with h5py.File(folder / "frames.h5", "w") as h5:
        group = h5.create_group("data/0")
        group.attrs["name"], group.attrs["order"], group.attrs["batch_count"] = "image", 0, len(images)
        for index, image in enumerate(images):
            group.create_dataset(f"batch_{index}", data=image, compression="gzip")
    return folder


def surroundings(root: Path, ini: Path) -> dict[str, str]:
    """Of a script that can reach this machine alone: proxies lead to a dead port, everything else is refused."""
    (root / "home").mkdir(exist_ok=True)
    (root / "here").mkdir(exist_ok=True)
    (root / "here" / "sitecustomize.py").write_text(ONLY_LOOPBACK)
    dead = "http://127.0.0.1:9/"
    kept = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    return {
        **kept, "HOME": str(root / "home"), "QAIHUB_CLIENT_INI": str(ini), "PYTHONPATH": str(root / "here"),
        "HTTP_PROXY": dead, "HTTPS_PROXY": dead, "NO_PROXY": "127.0.0.1", "OMP_NUM_THREADS": "1",
    }  # fmt: skip


def run_guide(root: Path, ini: Path, given: Path) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-P", str(GUIDE), str(given / "model.pt"), str(given / "frames.h5")],
        capture_output=True, text=True, timeout=120, cwd=root, env=surroundings(root, ini),
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def demand_the_guides_answers(told: dict[str, Any], given: Path) -> None:
    expected = np.load(given / "expected.npy")
    assert [[shape, dtype] for shape, dtype, _ in told["outputs"]] == [[[1, 1, 480, 640], "float32"]] * 2
    np.testing.assert_allclose([mean for *_, mean in told["outputs"]], expected.mean((1, 2, 3, 4)), rtol=1e-5)
    assert told["name"].endswith("_LPCVC25")
    assert told["shared_with"] == [CONTRACT.sharing_address]
    assert told["profiled"] is True
    assert told["iterations"] == 20
    assert told["inference_time_us"] > 0


@contextmanager
def serving(root: Path, *words: str) -> Iterator[subprocess.Popen[str]]:
    """`lpcv hub serve`, until it is asked to end; killed where the test has not done that."""
    ini = root / "client.ini"
    before = ini.stat().st_mtime_ns if ini.exists() else 0
    server = subprocess.Popen(
        [sys.executable, "-P", "-m", "lpcv", "hub", "serve", "--root", str(root), *words],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # a background shell ignores it
    )  # fmt: skip
    try:
        while not (ini.exists() and ini.stat().st_mtime_ns > before and listens(ini)):
            assert server.poll() is None, server.communicate()
            time.sleep(0.05)
        yield server
    finally:
        server.kill()
        server.communicate()


def listens(ini: Path) -> bool:
    seen = json.loads((ini.parent / "server.json").read_text())
    with socket.socket() as asker:
        return asker.connect_ex(("127.0.0.1", seen["port"])) == 0


def listed(root: Path, ini: Path) -> list[list[str]]:
    """[id, name, state] of every job, newest first, as the client lists them."""
    script = (
        "import json, qai_hub; print(json.dumps([[each.job_id, each.name, each.status.code]"
        " for each in qai_hub.get_job_summaries()]))"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", script], capture_output=True, text=True, timeout=60, cwd=root,
        env=surroundings(root, ini),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_the_script_cannot_leave_this_machine(tmp_path: Path) -> None:
    """Else the tests below would prove less than they say."""
    ask = "import socket; socket.create_connection(('203.0.113.1', 80), timeout=1)"
    done = subprocess.run(
        [sys.executable, "-P", "-c", ask], capture_output=True, text=True, timeout=20,
        env=surroundings(tmp_path, tmp_path / "none.ini"),
    )  # fmt: skip
    assert "AssertionError: looked up 203.0.113.1" in done.stderr


@pytest.mark.slow
def test_the_guide_in_this_process(given: Path, tmp_path: Path) -> None:
    with Served(tmp_path / "hub") as hub:
        told = run_guide(tmp_path, hub.ini, given)
        demand_the_guides_answers(told, given)
        assert hub.submissions() == 3
        assert hub.hub.store.shared_with("jobs", told["compile_job"]) == [CONTRACT.sharing_address]


@pytest.mark.slow  # test_stand_in_lifetime.py stops and starts servers in the fast suite
def test_the_guide_and_a_server_that_is_stopped_and_goes_on(given: Path, tmp_path: Path) -> None:
    root = tmp_path / "stand-in"
    with serving(root) as server:
        told = run_guide(tmp_path, root / "client.ini", given)
        demand_the_guides_answers(told, given)
        before = listed(tmp_path, root / "client.ini")
        address = json.loads((root / "server.json").read_text())["url"]
        server.send_signal(signal.SIGINT)
        out, err = server.communicate(timeout=30)
    assert server.returncode == 0
    assert out == ""
    assert "this machine's CPU computes, no device is involved." in err
    assert f"QAIHUB_CLIENT_INI={root / 'client.ini'}" in err
    assert "unfinished jobs go on at its next start." in err
    assert "Traceback" not in err
    assert [state for *_, state in before] == ["SUCCESS"] * 3
    assert before[-1][:2] == [told["compile_job"], told["name"]]

    with serving(root) as server:
        assert json.loads((root / "server.json").read_text())["url"] == address
        assert listed(tmp_path, root / "client.ini") == before
        server.send_signal(signal.SIGTERM)
        _, err = server.communicate(timeout=30)
    assert server.returncode in (0, -signal.SIGTERM)
    assert "Traceback" not in err

    with serving(root):
        assert listed(tmp_path, root / "client.ini") == before
