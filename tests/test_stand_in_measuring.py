"""What the stand-in's profile counts, and what not."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from hub_fixtures import small_model

# In a process of its own, where nothing has imported ONNX Runtime yet, as a job's process is.
PROGRAM = """
import json, sys
from pathlib import Path
from lpcv.hub_jobs.stand_in import executing, memory

def here():
    return "onnxruntime.capi.onnxruntime_pybind11_state" in sys.modules

assert not here()
seen = []
timed, meter = executing._timed, executing.MemoryMeter
executing._timed = lambda work: seen.append(["time", here()]) or timed(work)
executing.MemoryMeter = lambda: seen.append(["memory", here()]) or meter()
order = {"options": "", "model": sys.argv[1], "dataset": None, "profiling": True, "profile_seconds": 0.1}
executing.run_model(order, Path(sys.argv[2]))
print(json.dumps(seen[:3]))
"""


def test_the_first_load_is_the_models_and_not_the_librarys(tmp_path: Path) -> None:
    model = small_model(tmp_path / "m.onnx")
    command = [sys.executable, "-c", PROGRAM, str(model), str(tmp_path)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout.splitlines()[-1]) == [["memory", True], ["time", True], ["time", True]]
