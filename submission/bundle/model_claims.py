"""Whether the model in a bundle is the one that everything else in it is of."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256
from typing import TYPE_CHECKING

from ...errors import InputError
from ...onnx_session import external_files, open_session
from ...runs import CHECKPOINT_KEY
from ..check.findings import failures
from ..check.interface import interface_findings, parse_model
from . import probes
from .checked import Checked, json_in
from .layout import CONFIG, MODEL, NOT_RECORDED, PROBES, PROVENANCE, REPORT, SCORES
from .opening import REMEDY, parse_json
from .report import is_of

if TYPE_CHECKING:
    from onnx import FunctionProto, GraphProto, ModelProto

LOOPS = {"Loop", "Scan"}
MOST_PROBES = 16


def model_claims(contents: dict[str, bytes]) -> Iterator[Checked]:
    """It loads and fits the contract; provenance, scores and report are of it; it answers as stored."""
    try:
        model = parse_model(contents[MODEL], MODEL)
        # Before the model is loaded: ONNX Runtime would look for such files in the current folder.
        if others := external_files(model):
            yield Checked("model", "fail", f"{MODEL} keeps weights in {others[0][:80]}, outside the bundle.")
            return
        wrong = [f"{MODEL}, {finding.sentence()}" for finding in failures(interface_findings(model))]
        operators = _operators(model)
        checkpoint = next((entry.value for entry in model.metadata_props if entry.key == CHECKPOINT_KEY), None)
        open_session(contents[MODEL], threads=1, optimised=False)  # folding constants would already compute
    except InputError as error:
        yield Checked("model", "fail", str(error))
        return
    yield from (Checked("model", "fail", problem) for problem in wrong)
    if not wrong:
        yield Checked("model", "pass", "it loads, and its names, types and shapes fit the contract")
    yield from _provenance(contents, checkpoint)
    yield from _probes(contents, operators, wrong)


def _provenance(contents: dict[str, bytes], checkpoint: str | None) -> Iterator[Checked]:
    """Whether provenance, scores and report are of the model, and of the data, that are in the bundle."""
    told = json_in(contents, PROVENANCE)
    told = told if isinstance(told, dict) else {}
    config = json_in(contents, CONFIG)
    recorded = config.get("provenance") if isinstance(config, dict) else None
    data = recorded.get("data") if isinstance(recorded, dict) else None
    model = sha256(contents[MODEL]).hexdigest()
    wrong = []
    if told.get("model_sha256") != model:
        wrong.append(f"{PROVENANCE} is of another model: it names {str(told.get('model_sha256'))[:64]}.")
    if checkpoint is None or told.get(CHECKPOINT_KEY) != checkpoint:
        named = str(told.get(CHECKPOINT_KEY))[:64]
        wrong.append(f"{PROVENANCE} names the checkpoint {named}, {MODEL} says {str(checkpoint)[:64]}.")
    if told.get("scores_sha256") != sha256(contents[SCORES]).hexdigest():
        wrong.append(f"{SCORES} is not the one that {PROVENANCE} names.")
    if told.get("data") != (data or NOT_RECORDED):
        wrong.append(f"{PROVENANCE} and {CONFIG} name different data.")
    scores = json_in(contents, SCORES)
    score = scores.get("float") if isinstance(scores, dict) else None
    if isinstance(score, dict) and score.get("source_sha256") != model:
        wrong.append(f"The float score in {SCORES} is the score of another model.")
    if REPORT in contents and not is_of(contents[REPORT].decode(errors="replace"), model):
        wrong.append(f"{REPORT} is the report of another model.")
    yield from (Checked("provenance", "fail", problem) for problem in wrong)
    if not wrong:
        yield Checked("provenance", "pass", "it names this model, its checkpoint, these scores and the config's data")


def _probes(contents: dict[str, bytes], operators: set[str], wrong: list[str]) -> Iterator[Checked]:
    name = "probe frames"
    if wrong:
        yield Checked(name, "undecided", "not run: the model does not fit the contract")
        return
    if loops := sorted(operators & LOOPS):
        yield Checked(name, "undecided", f"not run: the model holds {loops[0]}, which may run for ever")
        return
    try:
        stored = _stored(contents)
        pictures = {each: probes.decoded(contents[picture], picture) for each, (picture, _) in stored.items()}
        answers = probes.answers_of(contents[MODEL], pictures, MODEL)
        worst = 0.0
        for each, (_, answer) in stored.items():
            gap, allowed = probes.difference(answers[each], probes.read_answer(contents[answer], answer))
            worst = max(worst, gap)
            if not gap <= allowed:
                found = f"On the probe frame {each} the model differs by {gap:.3g} from the stored answer"
                yield Checked(name, "fail", f"{found}, at most {allowed:.3g} are allowed.")
    except InputError as error:
        yield Checked(name, "fail", str(error))
        return
    if worst <= probes.TOLERANCE:
        yield Checked(
            name, "pass", f"the model answers as stored on {len(stored)} frames; largest difference {worst:.2g}"
        )


def _stored(contents: dict[str, bytes]) -> dict[str, tuple[str, str]]:
    """Name -> entries of picture and answer. Raises InputError where the list is not as `probes` writes it."""
    told = parse_json(contents[PROBES], PROBES)
    frames = told.get("frames") if isinstance(told, dict) else None
    if not isinstance(frames, dict) or not 1 <= len(frames) <= MOST_PROBES:
        raise InputError(f"{PROBES} lists no probe frames.", REMEDY)
    found = {}
    for name, row in frames.items():
        picture, answer = (row.get("picture"), row.get("answer")) if isinstance(row, dict) else (None, None)
        if not isinstance(picture, str) or not isinstance(answer, str) or not {picture, answer} <= contents.keys():
            raise InputError(f"{PROBES} names a picture or answer of {name[:40]!r} that is not in the bundle.", REMEDY)
        found[name[:40]] = (picture, answer)
    return found


def _operators(model: ModelProto) -> set[str]:
    waiting: list[GraphProto | FunctionProto] = [model.graph, *model.functions]
    found = set()
    while waiting:
        for node in waiting.pop().node:
            found.add(node.op_type)
            for attribute in node.attribute:
                waiting += [*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs]
    return found
