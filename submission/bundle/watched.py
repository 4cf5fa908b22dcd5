"""A model that may run for ever, run in a child process with a limit of time and memory.

`python -m lpcv.submission.bundle.watched FOLDER SECONDS` is the child: it reads model and pictures in FOLDER and writes
the answers beside them, or why there are none.
"""

from __future__ import annotations

import io
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ...console import count
from ...data.frame import Rgb
from ...errors import InputError
from ...files import write_bytes, write_text
from ...hub_jobs.children import end_with_the_parent, kill, start
from .layout import MODEL

if TYPE_CHECKING:
    from onnx import ModelProto

SECONDS = 120.0
"""For all probe frames of a model and the start of the child; a model of the competition takes about one."""
MOST_MEMORY_BYTES = 8 * 2**30
WHY = "why.txt"


def may_run_for_ever(model: ModelProto) -> bool:
    """Whether a node holds a graph of its own (Loop, Scan, If), or the model defines functions.

    The first may be computed any number of times; functions that call one another can grow without bound when loaded.
    """
    return bool(model.functions) or any(
        attribute.HasField("g") or attribute.graphs for node in model.graph.node for attribute in node.attribute
    )


def answers_of(model: bytes, pictures: Mapping[str, Rgb], called: str) -> dict[str, npt.NDArray[np.float32]]:
    """As `probes.answers_of`. Raises InputError also where the child is not done within `SECONDS`, or dies."""
    from .probes import read_answer

    with tempfile.TemporaryDirectory(prefix="lpcv-") as name, tempfile.TemporaryFile() as log:
        folder = Path(name)
        write_bytes(folder / MODEL, model)
        for number, rgb in enumerate(pictures.values()):
            stream = io.BytesIO()
            np.save(stream, rgb, allow_pickle=False)
            write_bytes(folder / f"picture-{number}.npy", stream.getvalue())
        # The child ends when its end of this pipe closes, however this process ends.
        child = start(__name__, folder, log, subprocess.PIPE, words=(str(int(SECONDS) + 1),))
        try:
            code = child.wait(SECONDS)
        except subprocess.TimeoutExpired:
            frames = count(len(pictures), "probe frame")
            raise InputError(
                f"{called} did not answer on {frames} within {SECONDS:g} s, and was stopped.",
                f"Run `lpcv check {called}`: a model without loops takes about a second.",
            ) from None
        finally:
            if child.poll() is None:
                kill(child)
                child.wait()
            if child.stdin:
                child.stdin.close()
        if code:
            why = folder / WHY
            said = why.read_text() if why.is_file() else f"Its process ended with code {code}."
            raise InputError(f"{called} could not be run: {said}", f"Run `lpcv check {called}`.")
        return {
            each: read_answer((folder / f"answer-{number}.npy").read_bytes(), each)
            for number, each in enumerate(pictures)
        }


def main(folder: Path, seconds: int) -> int:
    """In the child. Returns its exit code."""
    _limit(seconds)
    end_with_the_parent(sys.stdin.fileno())
    from .probes import computed, npy_bytes

    try:
        paths = sorted(folder.glob("picture-*.npy"))
        pictures = {path.name: np.load(path, allow_pickle=False) for path in paths}
        answers = computed((folder / MODEL).read_bytes(), pictures, MODEL)
        for name, answer in answers.items():
            write_bytes(folder / name.replace("picture", "answer"), npy_bytes(answer))
    except InputError as error:
        write_text(folder / WHY, error.problem)
        return 1
    except MemoryError:
        write_text(folder / WHY, f"It needs more than {MOST_MEMORY_BYTES >> 30} GiB of memory.")
        return 1
    return 0


def _limit(seconds: int) -> None:
    """Of this process: its processor time and its memory, where the system can."""
    if sys.platform == "win32":
        return
    import resource

    for what, most in ((resource.RLIMIT_CPU, seconds), (resource.RLIMIT_AS, MOST_MEMORY_BYTES)):
        hard = resource.getrlimit(what)[1]
        resource.setrlimit(what, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), int(sys.argv[2])))
