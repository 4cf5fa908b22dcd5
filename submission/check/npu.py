"""Findings on the NPU: operators that do not fit it, and forms that compile and compute something else.

With a device and Qualcomm's compiler at hand, the compiler itself is asked. Else the operators are looked up in the
table of what it is known to refuse, which can find fault and never clear a model. What "resize antialias", "resize
align_corners" and the findings on inputs and outputs name is not named a second time.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from onnx import ModelProto, NodeProto, TensorProto

from ...console import some
from ...errors import InputError, UnknownNameError
from ...hub_folder import HubFolder
from ...hub_jobs.htp.advice import ADVICE, Advice, advice_for
from ...hub_jobs.htp.compiler import compile_model
from ...hub_jobs.htp.door import is_available
from ...hub_jobs.htp.door import versions as door_versions
from ...hub_jobs.htp.fit import MOST_DIMENSIONS, Misfit, findings
from ...hub_jobs.htp.graph import Graph, attribute
from ...hub_jobs.htp.outcome import Compiled, Refused
from ...hub_jobs.htp.target import Target, target_of
from ...hub_jobs.htp.traps import Deviation, warnings
from ...onnx_session import is_quantized
from .findings import Finding, State, state_of
from .graph import called, computed_nodes, counts, graph_of

MOST_SENTENCES = 3
REFUSED_ALWAYS = {row.op_type: row for row in ADVICE if row.op_type and not row.pattern}
FLOAT64, BFLOAT16 = TensorProto.DOUBLE, TensorProto.BFLOAT16
ROUNDINGS_REFUSED = ("round_prefer_floor", "ceil")  # with "asymmetric"; source: tests/htp_tried.py, on the compiler
ASK = "Give --device NAME where lpcv[emulator] is installed, and the compiler itself answers."
ELSEWHERE_NAMED = re.compile(r"anti-?alias|^The (input|output) '", re.IGNORECASE)
"""Reasons of the compiler, and of `fit`, that a finding of another name tells."""
WHY = (
    "What the NPU has not is computed on the phone's CPU, copied there and back, or the whole model is refused when it "
    "is compiled."
)
TRAPPED = "What compiles may still compute something else, and then the score on the device is not that on the CPU."


@dataclass(frozen=True)
class Listed:
    """A node that the table knows. certain: refused wherever it was tried, or only in some forms or neighbourhoods"""

    node: str
    op_type: str
    certain: bool
    advice: Advice


def npu_findings(
    model: ModelProto, path: Path, device: str | None = None, *, graph: Graph | None = None, cache: Path | None = None
) -> list[Finding]:
    """ "fits the NPU" and "NPU traps".

    device: AI Hub's name; the compiler is asked where one is given and the compiler is installed. cache: where compiled
    models are kept, by default where `lpcv emulate` keeps them.
    Raises UnknownNameError for a device that is not recorded, InputError where weights beside the model are missing.
    """
    graph = graph or graph_of(model)
    return [_fits(path, device, graph, cache or HubFolder().htp / "compiled"), _traps(path)]


def listed(graph: Graph) -> list[Listed]:
    """What of the graph the table of advice knows, in the graph's order; constants, which are folded, left out."""
    nodes = computed_nodes(graph)
    computed = set(graph.inputs).union(*(node.output for node in nodes))
    return [row for node in nodes if (row := _listed(graph, node, computed)) is not None]


def _fits(path: Path, device: str | None, graph: Graph, cache: Path) -> Finding:
    target: Target | None = None
    unasked = "no device is given" if device is None else ""
    if device is not None:
        try:
            target = target_of(device)
        except UnknownNameError:
            raise
        except InputError as error:  # its chip is not recorded
            unasked = error.problem
        if target is not None and not is_available():
            unasked = "Qualcomm's compiler is not installed"
    if target is None or unasked:
        return _by_list(listed(graph), unasked.rstrip("."))
    return _by_compiler(path, target, cache)


def _by_compiler(path: Path, target: Target, cache: Path) -> Finding:
    expected = f"every node fits the NPU of the {target.device}"
    result = compile_model(path, target, cache)
    told = findings(path, result)
    if not isinstance(result, Compiled | Refused) and not told:  # out of time or memory, or crashed
        return _fit("undecided", expected, result.sentence)
    versions = ", ".join(f"{name} {version}" for name, version in door_versions().items())
    misfits = [one for one in told if not ELSEWHERE_NAMED.search(one.reason)]
    if misfits:
        first = misfits[0]
        found = f"{counts(one.op_type for one in misfits)}: {some([one.node for one in misfits])} ({versions})"
        return _fit("fail", expected, found, remedy=_remedies(misfits), why=f"{first.reason} {WHY}")
    if told:
        return _fit("undecided", expected, "nothing else is in the way than what other findings name; mend that first")
    return _fit(state_of(isinstance(result, Compiled)), expected, f"{result.sentence} ({versions})")


def _by_list(rows: list[Listed], unasked: str) -> Finding:
    expected = "no operator that the NPU's compiler is known to refuse"
    certain = [row for row in rows if row.certain]
    shown = certain or rows
    if not shown:
        return _fit("undecided", expected, f"none of those known; the compiler was not asked: {unasked}", remedy=ASK)
    kinds = counts(row.op_type for row in shown)
    names = some([row.node for row in shown])
    first = shown[0].advice
    remedy = " ".join(dict.fromkeys(row.advice.remedy for row in shown))
    if certain:
        return _fit("fail", expected, f"{kinds}: {names}", remedy=remedy, why=f"Refused ({first.source}). {WHY}")
    found = f"{kinds}, which fit in some forms only: {names}; the compiler was not asked: {unasked}"
    return _fit("undecided", expected, found, remedy=f"{ASK} {remedy}", why=f"Known from {first.source}. {WHY}")


def _listed(graph: Graph, node: NodeProto, computed: set[str]) -> Listed | None:
    certain, advice = False, None
    if row := REFUSED_ALWAYS.get(node.op_type):
        certain, advice = not (node.op_type == "Erf" and _in_gelu(graph, node)), row
    elif node.op_type == "GridSample" and "cubic" in str(attribute(node, "mode", "")):
        certain, advice = True, advice_for("GridSample", "mode cubic")
    elif node.op_type == "Clip" and any(name in computed for name in node.input[1:]):
        certain, advice = True, advice_for("Clip", "dynamic min/max")
    elif node.op_type == "Einsum":
        advice = advice_for("Einsum", "equation")
    elif node.op_type == "Resize" and _refused_rounding(node):
        advice = advice_for("Resize", "nearest_mode")
    else:
        certain, advice = _by_tensors(graph, node, computed)
    return Listed(called(node), node.op_type, certain, advice) if advice else None


def _by_tensors(graph: Graph, node: NodeProto, computed: set[str]) -> tuple[bool, Advice | None]:
    """Types that the NPU has not are refused; more than 5 dimensions are not where the node is fused away."""
    border = {*graph.inputs, *graph.outputs}
    around = {name: tensor for name, tensor in graph.around(node) if name in computed}
    types = {tensor.elem for name, tensor in around.items() if name not in border}
    if FLOAT64 in types:
        return True, advice_for("", "float64")
    if BFLOAT16 in types:
        return True, advice_for("", "bfloat16")
    many = any(tensor.shape is not None and len(tensor.shape) > MOST_DIMENSIONS for tensor in around.values())
    return False, advice_for("", "more than 5 dimensions") if many else None


def _in_gelu(graph: Graph, node: NodeProto) -> bool:
    """Whether 1 is added to it, as in the pattern that is fused to one Gelu."""
    users = graph.users.get(node.output[0], [])
    return len(users) == 1 and users[0].op_type == "Add" and any(name in graph.constants for name in users[0].input)


def _refused_rounding(node: NodeProto) -> bool:
    return (
        attribute(node, "mode", "nearest") == "nearest"
        and attribute(node, "coordinate_transformation_mode", "half_pixel") == "asymmetric"
        and attribute(node, "nearest_mode", "round_prefer_floor") in ROUNDINGS_REFUSED
    )


def npu_undecided(reason: str, remedy: str) -> list[Finding]:
    """Both findings of a model whose graph cannot be looked at."""
    fits = _fit("undecided", "every node fits the NPU", reason, remedy=remedy)
    return [fits, _trap("undecided", reason, TRAPPED, remedy)]


def _traps(path: Path) -> Finding:
    """Undecided where there are any: they were seen on the emulator, and nobody has looked on a phone."""
    found = [one for one in warnings(path, half_precision=not is_quantized(path)) if not _is_named_elsewhere(one)]
    if not found:
        compare = "Compare outputs, too: `lpcv emulate MODEL --device NAME`."
        return _trap("pass", "none of those known", TRAPPED, compare)
    kinds = counts(one.op_type for one in found)
    return _trap(
        "undecided",
        f"{kinds}: {some([one.node for one in found])}; a phone may do as the emulator",
        _sentences([f"{one.reason} ({one.source})" for one in found]),
        _sentences([one.remedy for one in found]),
    )


def _trap(state: State, found: str, why: str, remedy: str) -> Finding:
    return Finding("NPU traps", state, "no form that the NPU's emulator computes differently", found, why, remedy)


def _is_named_elsewhere(one: Deviation) -> bool:
    return one.op_type == "Resize" and "align_corners" in one.reason


def _remedies(misfits: list[Misfit]) -> str:
    return _sentences([f"{one.op_type}: {one.remedy} (known from {one.source})" for one in misfits])


def _sentences(texts: list[str]) -> str:
    """The first few that differ."""
    return " ".join(list(dict.fromkeys(texts))[:MOST_SENTENCES])


def _fit(state: State, expected: str, found: str, *, why: str = WHY, remedy: str = "") -> Finding:
    return Finding("fits the NPU", state, expected, found, why, remedy or "`lpcv emulate MODEL` tells it node by node.")
