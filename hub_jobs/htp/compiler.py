"""Compiling a model for the NPU of a device, in a child process, kept by content so that it is done once.

cache/KEY/context.onnx + context_qnn.bin, qnn_op_trace.json, log.txt and result.json are there together or not at all.
KEY is a hash over the model's bytes, the target, the compiler's options and the versions of the tools.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
import tempfile
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import InputError
from ...files import read_json, sha256_file, write_bytes, write_json
from ...onnx_session import model_files
from .child import CONTEXT, MODEL
from .door import demand_available, versions
from .graph import load
from .outcome import Compiled, Limits, Outcome, Refused, Unsupported, specs_of
from .process import GENERIC, LOG, Child, last_line
from .target import Target

if TYPE_CHECKING:
    from onnx import ModelProto

BINARY, TRACE, RESULT = "context_qnn.bin", "qnn_op_trace.json", "result.json"
OPTIONS = {"enable_htp_fp16_precision": "1", "htp_graph_finalization_optimization_mode": "2"}
DEFAULT_LIMITS = Limits()
LEFTOVER_S = 86400.0  # a folder of an attempt that was killed goes after a day
_DAMAGE = (FileNotFoundError, NotADirectoryError, ValueError, KeyError, TypeError, AttributeError)
_PREFIX = re.compile(r"^\[ONNXRuntimeError\] : \d+ : \w+ : ")


def options_for(target: Target) -> dict[str, str]:
    """The execution provider's options, which a compiled binary needs again when it is run."""
    return {"soc_model": str(target.soc_model), **OPTIONS}


def compile_model(
    model: Path | bytes,
    target: Target,
    cache: Path,
    limits: Limits = DEFAULT_LIMITS,
) -> Outcome:
    """Compile for the target's NPU, or say why not.

    What fits is kept, and so is a refusal that names nodes. A stopped attempt, or a refusal without a name, may have
    come from this computer (a full disk, say) and is tried again the next time.
    Raises MissingStepError where the compiler is not installed, InputError where `model` is no ONNX model.
    """
    demand_available()
    loaded = load(model)
    options = options_for(target)
    tools = versions()
    key = _key(model, [options, tools])
    place = cache / key
    if (kept := _kept(place, target, key)) is not None:
        return kept
    cache.mkdir(parents=True, exist_ok=True)
    _sweep(cache)
    work = Path(tempfile.mkdtemp(dir=cache, prefix=f".{key[:12]}."))
    try:
        outcome = _compile(loaded, model, target, work, limits, options, key, tools)
        if not isinstance(outcome, Compiled) and not (isinstance(outcome, Refused) and outcome.unsupported):
            return outcome
        found = _publish(work, place, target, key)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    if found is None:
        raise InputError(f"{place} is damaged or cannot be written.", "Remove it and compile again.")
    return found


def order_for(
    kind: str, loaded: ModelProto, model: Path | bytes, work: Path, options: Mapping[str, str]
) -> dict[str, Any]:
    """The child's order, whose model is written into its folder."""
    write_bytes(work / MODEL, loaded.SerializeToString(deterministic=True))
    weights_in = str(model.resolve().parent) if isinstance(model, Path) and len(model_files(model)) > 1 else None
    return {"kind": kind, "options": dict(options), "weights_in": weights_in}


def refusal(work: Path, target: Target, said: str, tools: dict[str, str]) -> Refused:
    """What the compiler left behind of its reasons."""
    line = last_line(work / LOG)
    said = _PREFIX.sub("", said)
    if GENERIC in said and line:
        said = line.partition("] ")[2] or line
    return Refused(target, said, _unsupported(work, (work / LOG).read_text(errors="replace")), tools, line)


def _compile(
    loaded: ModelProto, model: Path | bytes, target: Target, work: Path, limits: Limits, options: Mapping[str, str],
    key: str, tools: dict[str, str],
) -> Outcome:  # fmt: skip
    """Leaves the folder `work` as it is to be kept."""
    with Child(work, order_for("compile", loaded, model, work, options), limits) as child:
        answer = child.answer()
    if not isinstance(answer, dict):
        return answer
    (work / MODEL).unlink()
    (work / "order.json").unlink()
    outcome: Compiled | Refused
    if answer["refused"] is not None:
        outcome = refusal(work, target, answer["refused"], tools)
        for leftover in (work / CONTEXT, work / BINARY):  # of the nodes that would have fitted
            leftover.unlink(missing_ok=True)
    else:
        summary = read_json(work / TRACE)["summary"]
        outcome = Compiled(
            target, key, work, (work / BINARY).stat().st_size, sha256_file(work / BINARY), _spill_bytes(work / CONTEXT),
            summary["total_onnx_nodes"], summary["total_qnn_ops"], specs_of(answer["inputs"]),
            specs_of(answer["outputs"]), answer["seconds"], answer["peak_memory_mb"], tools, last_line(work / LOG),
        )  # fmt: skip
    row = {name: value for name, value in asdict(outcome).items() if name not in ("folder", "target", "key")}
    for name in ("inputs", "outputs"):
        if name in row:
            row[name] = [[tensor, *spec] for tensor, spec in row[name].items()]
    write_json(work / RESULT, {"outcome": type(outcome).__name__, **row})
    return outcome


def _publish(work: Path, place: Path, target: Target, key: str) -> Compiled | Refused | None:
    """Make the folder appear whole; somebody else's equal one that came first stays. None where that cannot be."""
    for path in work.iterdir():
        with path.open("rb+") as stream:
            os.fsync(stream.fileno())
    work.chmod(0o755)
    for _ in range(2):  # what is in the way may be damaged: looked at, it is put aside
        with contextlib.suppress(OSError):
            work.rename(place)
        if (found := _kept(place, target, key)) is not None:
            return found
    return None


def _sweep(cache: Path) -> None:
    for path in cache.glob(".*"):
        with contextlib.suppress(FileNotFoundError):  # its owner has removed it
            if path.is_dir() and time.time() - path.stat().st_mtime > LEFTOVER_S:
                shutil.rmtree(path, ignore_errors=True)


def _kept(place: Path, target: Target, key: str) -> Compiled | Refused | None:
    """What the cache has; None where it has nothing, or something damaged, which is removed.

    Raises InputError where it cannot be read for now (too many open files, say), which is no damage.
    """
    try:
        return _read(place, target, key)
    except _DAMAGE:
        return _set_aside(place, target, key) if place.is_dir() else None
    except OSError as error:
        raise InputError(
            f"{place} cannot be read ({error.strerror}).", "Mend that and type the command again."
        ) from None


def _set_aside(place: Path, target: Target, key: str) -> None:
    """Remove something damaged: first renamed, so that nobody reads the half of it, and only if it still is damaged.

    Between the look at it and the renaming another process may have put a whole one there, which is put back.
    """
    aside = Path(tempfile.mkdtemp(dir=place.parent, prefix=f".{place.name[:12]}."))
    try:
        place.rename(aside)
    except OSError:  # another process was quicker
        aside.rmdir()
        return
    try:
        _read(aside, target, key)
        damaged = False
    except _DAMAGE:
        damaged = True
    except OSError:  # it cannot be read for now
        damaged = False
    if not damaged:
        with contextlib.suppress(OSError):  # there is a new one by now
            aside.rename(place)
    shutil.rmtree(aside, ignore_errors=True)


def _read(place: Path, target: Target, key: str) -> Compiled | Refused:
    """Raises one of _DAMAGE where it is not there or not whole, another OSError where it cannot be read."""
    row = json.loads((place / RESULT).read_text(encoding="utf-8"))
    kind = row.pop("outcome")
    if kind == "Refused":
        nodes = tuple(Unsupported(**node) for node in row.pop("unsupported"))
        return Refused(target=target, unsupported=nodes, **row)
    row |= {"inputs": specs_of(row["inputs"]), "outputs": specs_of(row["outputs"])}
    kept = Compiled(target=target, key=key, folder=place, **row)
    kept.context.stat()
    if sha256_file(place / BINARY) != kept.context_sha256:
        raise ValueError(f"{place / BINARY} is not what was written")
    return kept


def _key(model: Path | bytes, rest: list[Any]) -> str:
    total = hashlib.sha256(json.dumps(rest, sort_keys=True).encode())
    for content in [model] if isinstance(model, bytes) else model_files(model):
        digest = hashlib.sha256(content).hexdigest() if isinstance(content, bytes) else sha256_file(content)
        total.update(digest.encode())
    return total.hexdigest()


def _unsupported(work: Path, log: str) -> tuple[Unsupported, ...]:
    """From the trace, with reasons; and those that only the log names (a function that became nodes afterwards)."""
    trace = read_json(work / TRACE)["unsupported_nodes"] if (work / TRACE).is_file() else []
    found = {
        row["node_name"]: Unsupported(row["node_name"], row["op_type"], row["reason"])
        for row in trace
        if not row["op_type"].startswith("QNNExecutionProvider")  # a part that had been compiled already
    }
    for line in log.splitlines():
        if "Unsupported nodes in QNN EP:" in line:
            for name, kind in re.findall(r"\{ name: (.*?), type: (\S+?) \}", line):
                if not kind.startswith("QNNExecutionProvider"):
                    found.setdefault(name, Unsupported(name, kind, "The compiler's log names it, without a reason."))
    return tuple(found.values())


def _spill_bytes(context: Path) -> int:
    """The largest `max_size` of the file's EPContext nodes: the buffer for what leaves the fast memory."""
    import onnx

    nodes = onnx.load(str(context), load_external_data=False).graph.node
    sizes = [one.i for node in nodes for one in node.attribute if one.name == "max_size"]
    return max(sizes, default=0)
