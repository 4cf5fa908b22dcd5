"""An inference job on the NPU's emulator: seconds a frame, so it is done only where --compute_unit npu asks for it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .npu import REPORT, ready_to_run
from .settings import EMULATOR, VERSION
from .speaking import JobError, log
from .tensors import read_dataset, write_dataset


def emulate(order: dict[str, Any], folder: Path) -> list[Any]:
    """Leaves `outputs.h5` and the report in `folder`; gives the inputs. Emulated times are nobody's, so none are kept.

    Raises JobError where the emulator cannot run here, the model or the data do not fit, or it would take too long.
    """
    from ...console import count
    from ...files import write_json
    from ..htp.emulator import run_all
    from ..htp.outcome import Limits

    compiled = ready_to_run(order)
    inputs = [[name, list(shape), dtype] for name, (shape, dtype) in compiled.inputs.items()]
    batches = read_dataset(Path(order["dataset"]), inputs)
    limits = Limits(order["npu"]["seconds"], order["npu"]["memory_mb"])
    began = time.monotonic()

    def outputs() -> Iterator[dict[str, Any]]:
        feeds = ((str(index), batch) for index, batch in enumerate(batches))
        last = time.monotonic()
        for done, (_, values) in enumerate(run_all(compiled, feeds, limits), start=1):
            now = time.monotonic()
            log(f"batch {done} of {batches.count} emulated in {now - last:.1f} s")
            _demand_time((now - began) / done * batches.count, order["job_seconds"], batches.count)
            last = now
            yield values

    write_dataset(folder / "outputs.h5", list(compiled.outputs), outputs())
    sentence = f"{count(batches.count, 'batch', 'es')} computed by {EMULATOR} for the {compiled.target.device}."
    log(sentence)
    write_json(folder / REPORT, {"sentence": sentence, "versions": {"stand-in": VERSION, **compiled.versions}})
    return inputs


def _demand_time(needed_s: float, allowed_s: float, batches: int) -> None:
    from ...console import count

    if needed_s > allowed_s:
        raise JobError(
            f"The emulator needs about {count(round(needed_s / 60), 'minute')} for {count(batches, 'batch', 'es')}, "
            f"and the stand-in allows {allowed_s / 60:.0f}. Give fewer frames (--limit, --frames-per-job)."
        )
