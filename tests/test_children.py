"""A child process ends with its parent, however that ended, and leaves nothing behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from lpcv.hub_jobs import children

LONGEST_S = 60.0  # far more than it takes; a child that does not end would compute for ten minutes
EMULATING = """
import sys, time
from pathlib import Path
from lpcv.hub_jobs.htp import child

class Session:
    get_inputs = get_outputs = lambda self: []

    def run(self, names, feed):
        Path(sys.argv[0]).with_name("computing").touch()
        time.sleep(600)

child._session = lambda *words: Session()
child.main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
"""
ASKING = """
import sys, zipfile
from pathlib import Path
from lpcv.hub_jobs.htp import process
from lpcv.hub_jobs.htp.outcome import Limits

process.CHILD = "emulating"
work = Path(sys.argv[1]) / "work"
work.mkdir()
zipfile.ZipFile(work / "0.in.npz", "w").close()
with process.Child(work, {"kind": "run", "context": "", "options": {}}, Limits()) as child:
    child.tell("0")
    child.answer()
"""


def until(holds: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + LONGEST_S
    while not holds():
        assert time.monotonic() < end, f"never came: {what}"
        time.sleep(0.02)


def working_in(folder: Path) -> list[int]:
    """The processes that were given the folder."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            words = (entry / "cmdline").read_bytes() if entry.name.isdigit() else b""
        except OSError:  # it has ended
            continue
        if os.fsencode(folder) in words:
            found.append(int(entry.name))
    return found


@pytest.mark.skipif(sys.platform != "linux", reason="the emulator, and /proc, are Linux's")
@pytest.mark.parametrize("how", ["killed with -9", "told to end", "a job out of time"])
def test_an_emulation_ends_with_the_process_that_asked_for_it(
    how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It computes meanwhile. A stand-in's job out of time is killed with its group, and the child has another."""
    (tmp_path / "emulating.py").write_text(EMULATING)
    (tmp_path / "asking.py").write_text(ASKING)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    with (tmp_path / "out.txt").open("wb") as output:
        asker = children.start("asking", tmp_path, output)
    until((tmp_path / "computing").exists, "it computes")
    assert working_in(tmp_path / "work")
    if how == "a job out of time":
        children.kill(asker)
    else:
        asker.send_signal(signal.SIGKILL if "-9" in how else signal.SIGTERM)
    asker.wait()
    until(lambda: not (tmp_path / "work").exists(), "its folder is gone")
    until(lambda: not working_in(tmp_path / "work"), "the child has ended")


def test_a_child_ends_when_its_pipe_closes() -> None:
    program = (
        "import time; from lpcv.hub_jobs.children import end_with_the_parent as watch\n"
        "watch(0, lambda: print('the last')); time.sleep(600)"
    )
    child = subprocess.Popen([sys.executable, "-u", "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert child.stdin is not None
    assert child.stdout is not None
    child.stdin.close()
    assert child.wait(LONGEST_S) == 3
    assert child.stdout.read() == b"the last\n"
    child.stdout.close()
