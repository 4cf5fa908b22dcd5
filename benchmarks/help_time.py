"""How long `lpcv --help` takes, beside a bare interpreter and beside importing torch; must stay under half a second."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

from environment import environment

BUDGET_S, RUNS = 0.5, 7
COMMANDS = {
    "python -c pass": ["-c", "pass"],
    "lpcv --help": ["-m", "lpcv", "--help"],
    "import torch": ["-c", "import torch"],
}


def main() -> int:
    print(environment("lpcv", "click"))
    times: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(RUNS + 1):  # the first round warms the caches and is not counted
        for name, words in COMMANDS.items():
            began = time.perf_counter()
            subprocess.run([sys.executable, *words], check=True, stdout=subprocess.DEVNULL)
            times[name].append(time.perf_counter() - began)
    bare = statistics.median(times["python -c pass"][1:])
    for name, taken in times.items():
        median = statistics.median(taken[1:])
        print(f"{name:16} median {median * 1000:6.0f} ms of {RUNS} runs, {median / bare:5.1f} x a bare interpreter")
    kept = statistics.median(times["lpcv --help"][1:]) < BUDGET_S
    print(f"lpcv --help within {BUDGET_S} s: {'yes' if kept else 'NO'}")
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
