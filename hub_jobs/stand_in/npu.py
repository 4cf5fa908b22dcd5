"""The NPU in a job's process: does the model fit it, what does its emulator compute, which latency is estimated?

Needs the `emulator` extra; without it, or switched off (LPCV_STAND_IN_NPU=off), every answer is a sentence.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import LpcvError
from ...onnx_session import is_quantized
from .settings import DO_NOT_FIT, NPU_SWITCH
from .speaking import JobError, log

if TYPE_CHECKING:
    from ..htp.outcome import Compiled, Limits, Outcome
    from ..htp.target import Target

MODEL = "npu.onnx"  # what the NPU's compiler was given: a job's folder holds it, and the target model keeps it
REPORT = "npu.json"
FINDINGS_TOLD = 3  # of the misfits, in the one sentence; the log has all
OFF = f"The NPU's compiler is switched off ({NPU_SWITCH})."
CPU_ONLY = "--options '--compute_unit cpu' rehearses without the NPU."


def compile_for(order: Mapping[str, Any], path: Path, units: Sequence[str]) -> dict[str, Any]:
    """Compile the model for the NPU of each device of the order.

    units: of --compute_unit; () and ("npu",) demand that every node fits, others with "npu" or "all" in them only try
    Gives {"sentence", "fits": True, False or None where nobody knows, "compiled": [facts for each NPU]}.
    Raises JobError where it does not fit, or the compiler stops.
    """
    if units and not {"npu", "all"} & set(units):
        return _not_compiled(f"--compute_unit is {','.join(units)}, so nothing is compiled for the NPU.")
    strict = set(units) <= {"npu"}
    refused = _refusal(order)
    if refused:
        return _not_compiled(f"Not compiled for the NPU, so nobody knows whether it fits: {refused}")
    compiled, sentences = [], []
    targets = _targets(order["devices"])
    for target in targets:
        if target.integers_only and not is_quantized(path):
            _misfit(
                f"The NPU of the {target.device} ({target.htp_arch}) computes integers only, and the model has "
                "floating-point tensors. Quantize it first (lpcv quantize), or choose a device with half precision.",
                strict, sentences,
            )  # fmt: skip
            continue
        outcome = _compiled(order, path, target)
        problem = _problem(path, outcome)
        if problem:
            _misfit(problem, strict, sentences)
            continue
        _say_warnings(path)
        compiled.append(_facts(outcome))
        sentences.append(outcome.sentence)
    sentences = sentences or ["The chip's number for the compiler is not recorded, so nothing was compiled for it."]
    fits = len(compiled) == len(targets) if targets else None
    return {"sentence": " ".join(sentences), "fits": fits, "compiled": compiled}


def ready_to_run(order: Mapping[str, Any]) -> Compiled:
    """The compiled model for the emulator, from the compile job's cache where it has it. Raises JobError."""
    from ..htp.outcome import Compiled

    asked = "The job asks for the NPU (--compute_unit npu)"
    if refused := _refusal(order):
        raise JobError(f"{asked}, and its emulator cannot run here. {refused}")
    if order["npu_model"] is None:
        raise JobError(f"{asked}, and the model was compiled by a stand-in that kept nothing for it; compile it again.")
    targets = _targets([order["device"]])
    if not targets:
        raise JobError(f"{asked}, and the number of the chip in the {order['device']} is not recorded.")
    path = Path(order["npu_model"])
    outcome = _compiled(order, path, targets[0])
    if not isinstance(outcome, Compiled):
        raise JobError(f"{asked}. {_problem(path, outcome)}")
    return outcome


def estimated(order: Mapping[str, Any]) -> dict[str, Any]:
    """{"estimated": {"ms", "low_ms", "high_ms", "basis"} or None, "sentence"}: of the device, never of this CPU."""
    from ..htp.estimate import Estimate, estimate
    from ..verdict import milliseconds

    if refused := _refusal(order):
        return {"estimated": None, "sentence": f"No latency is estimated for the device: {refused}"}
    if order["npu_model"] is None:
        return {"estimated": None, "sentence": "No latency is estimated: compile the model again, with this version."}
    path = Path(order["npu_model"])
    precision = "integers" if is_quantized(path) else "fp16"
    try:
        found = estimate(path, order["device"], order["runtime"], precision=precision, limits=_limits(order))
    except LpcvError as error:
        return {"estimated": None, "sentence": error.problem}
    if not isinstance(found, Estimate):
        return {"estimated": None, "sentence": found.sentence}
    told = {"ms": found.ms, "low_ms": found.low_ms, "high_ms": found.high_ms, "basis": found.basis}
    ms, low, high = (milliseconds(value) for value in (found.ms, found.low_ms, found.high_ms))
    sentence = f"ESTIMATED for the {order['device']}: {ms} ms ({low} to {high})"
    return {"estimated": told, "sentence": f"{sentence}; {found.basis}"}


def keep_model(path: Path, place: Path) -> None:
    """Write the graph with its weights into one file, which is what the NPU's compiler gets now and later."""
    import onnx

    onnx.save(onnx.load(str(path)), str(place))


def _refusal(order: Mapping[str, Any]) -> str:
    """Why the NPU cannot be asked here; "" where it can."""
    if order.get("npu") is None:
        return OFF
    from ..htp.door import demand_available

    try:
        demand_available()
    except LpcvError as error:
        return str(error)
    return ""


def _not_compiled(sentence: str) -> dict[str, Any]:
    log(sentence)
    return {"sentence": sentence, "fits": None, "compiled": []}


def _targets(devices: Sequence[str]) -> list[Target]:
    """One for each NPU; a device whose chip is not recorded is left out, and the log says so."""
    from ..htp.target import target_of

    found: dict[int, Target] = {}
    for device in devices:
        try:
            target = target_of(device)
        except LpcvError as error:
            log(f"not compiled for the NPU: {error.problem}")
        else:
            found.setdefault(target.soc_model, target)
    return list(found.values())


def _limits(order: Mapping[str, Any]) -> Limits:
    from ..htp.outcome import Limits

    return Limits(order["npu"]["seconds"], order["npu"]["memory_mb"])


def _compiled(order: Mapping[str, Any], path: Path, target: Target) -> Outcome:
    from ..htp.compiler import compile_model

    log(f"compiling for the NPU of the {target.device} (soc_model {target.soc_model}, {target.htp_arch})")
    outcome = compile_model(path, target, Path(order["npu"]["cache"]), _limits(order))
    log(outcome.sentence)
    if outcome.log_line:
        log(f"the compiler's last line: {outcome.log_line}")
    return outcome


def _problem(path: Path, outcome: Outcome) -> str:
    """Why the model does not run on the NPU, the nodes named with what to use instead; "" where it does."""
    from ...console import count
    from ..htp.fit import findings
    from ..htp.outcome import Compiled, Refused

    found = findings(path, outcome)
    for one in found:
        log(f"{'AI Hub refuses' if one.on_hub_only else 'does not fit'}: {one.sentence}")
    if isinstance(outcome, Compiled):
        return ""
    named = [one.sentence for one in found if not one.on_hub_only]
    if not isinstance(outcome, Refused) or not named:
        return f"{outcome.sentence} {CPU_ONLY}"
    rest = len(named) - FINDINGS_TOLD
    more = f" And {count(rest, 'more node')}; the log has {'it' if rest == 1 else 'them'}." if rest > 0 else ""
    told = " ".join(named[:FINDINGS_TOLD])
    return f"{count(len(named), 'node')} {DO_NOT_FIT} the {outcome.target.device}. {told}{more}"


def _misfit(problem: str, strict: bool, sentences: list[str]) -> None:
    if strict:
        log("the real service fails in words of its own, which are not known here")
        raise JobError(problem)
    log(f"{problem} --compute_unit allows other units, so the job goes on without the NPU.")
    sentences.append(problem)


def _say_warnings(path: Path) -> None:
    from ..htp.traps import warnings

    for one in warnings(path, half_precision=not is_quantized(path)):
        log(f"WARNING: {one.sentence}")


def _facts(outcome: Any) -> dict[str, Any]:
    from ...console import count

    nodes, operations = count(outcome.onnx_nodes, "node"), count(outcome.qnn_ops, "operation")
    tools = ", ".join(f"{name} {version}" for name, version in outcome.versions.items())
    log(
        f"context {outcome.context_bytes / 1e6:.2f} MB, spill {outcome.spill_bytes} bytes, "
        f"{nodes} became {operations}; {tools}"
    )
    return {
        "device": outcome.target.device, "soc_model": outcome.target.soc_model, "htp_arch": outcome.target.htp_arch,
        "context_bytes": outcome.context_bytes, "context_sha256": outcome.context_sha256,
        "spill_bytes": outcome.spill_bytes, "onnx_nodes": outcome.onnx_nodes, "qnn_ops": outcome.qnn_ops,
        "versions": outcome.versions,
    }  # fmt: skip
