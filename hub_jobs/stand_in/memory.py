"""How much memory this process has taken, by stages."""

from __future__ import annotations

import sys
from pathlib import Path


class MemoryMeter:
    """Peaks since the process began; a stage's increase is what it added to the peak before it."""

    def __init__(self) -> None:
        self._before = peak_bytes()

    def stage(self) -> dict[str, int] | None:
        """peak and increase in bytes, since the last call; None where the system does not tell."""
        peak = peak_bytes()
        if peak is None or self._before is None:
            return None
        increase, self._before = peak - self._before, peak
        return {"peak": peak, "increase": max(0, increase)}


def peak_bytes() -> int | None:
    """The most memory that this process had resident. None on systems that do not tell (Windows)."""
    status = Path("/proc/self/status")
    if status.exists():  # getrusage counts what the parent had before exec, too
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    try:
        import resource
    except ImportError:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
