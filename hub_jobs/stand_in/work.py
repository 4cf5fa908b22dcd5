"""The process of one job: reads order.json, leaves result.json and files, and writes its log to standard output.

It may crash, be killed or run out of memory without the server noticing more than that.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ...errors import LpcvError, first_line
from ...files import read_json, write_json
from ..children import end_with_the_parent
from .options import engine_of
from .settings import MIB, ran_on
from .speaking import JobError, log

STDIN = 0


def main(folder: Path) -> None:
    end_with_the_parent(STDIN)  # whose other end the server holds
    order = read_json(folder / "order.json")
    _limit_memory(order["memory_bytes"])
    log(f"{order['kind']} job '{order['name']}'. {ran_on(order['device'], _engine(order))}.")
    result = _result(order, folder)
    log(f"failed: {result['reason']}" if result["reason"] else "done")
    write_json(folder / "result.json", result)


def _result(order: dict[str, Any], folder: Path) -> dict[str, Any]:
    """What `compiling`, `quantizing` or `executing` gives, and "reason": None; or the reason alone."""
    try:
        return {**_work_of(order["kind"])(order, folder), "reason": None}
    except JobError as error:
        return {"reason": str(error)}
    except LpcvError as error:
        return {"reason": error.problem.replace(f"{folder}{os.sep}", "")}
    except MemoryError:
        limit = order["memory_bytes"] / MIB
        return {"reason": f"The job needed more memory than the stand-in allows ({limit:.0f} MiB)."}
    except Exception as error:
        traceback.print_exc(file=sys.stdout)
        return {"reason": f"The stand-in could not do it: {type(error).__name__}: {first_line(error)}"}


def _work_of(kind: str) -> Callable[[dict[str, Any], Path], dict[str, Any]]:
    """Only what the job needs is imported."""
    if kind == "compile":
        from .compiling import compile_model

        return compile_model
    if kind == "quantize":
        from .quantizing import quantize_model

        return quantize_model
    from .executing import run_model

    return run_model


def _engine(order: dict[str, Any]) -> str | None:
    if order["kind"] != "inference":
        return None
    return engine_of(order["options"], profiling=order["profiling"], with_data=bool(order["dataset"]))


def _limit_memory(limit_bytes: int) -> None:
    """Of the address space, where the system can; a hard limit that is lower already stays."""
    try:
        import resource
    except ImportError:  # Windows
        log("the job's memory is not limited on this system")
        return
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    limit = limit_bytes if hard == resource.RLIM_INFINITY else min(limit_bytes, hard)
    try:
        resource.setrlimit(resource.RLIMIT_AS, (limit, hard))
    except (ValueError, OSError) as error:  # macOS has the name, and may refuse
        log(f"the job's memory is not limited on this system ({error})")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
