"""Whether the model in a bundle is the one that everything else in it is of."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from hashlib import sha256
from typing import Any

from ...errors import InputError
from ...onnx_session import external_files, open_session
from ...runs import CHECKPOINT_KEY
from ..check.findings import failures
from ..check.interface import interface_findings, parse_model
from . import probes
from .intake import is_of
from .layout import CONFIG, FLOAT, MODEL, PROBES, PROVENANCE, REPORT, SCORES
from .opening import REMEDY
from .origin import provenance
from .record_claims import Records
from .show import Checked
from .watched import may_run_for_ever

MOST_PROBES = 16


def model_claims(records: Records, contents: Mapping[str, bytes]) -> Iterator[Checked]:
    """It loads and fits the contract; provenance, scores and report are of it; it answers as stored.

    records: the JSON files; contents: all files
    """
    try:
        model = parse_model(contents[MODEL], MODEL)
        # Before the model is loaded: ONNX Runtime would look for such files in the current folder.
        if others := external_files(model):
            yield Checked("model", "fail", f"{MODEL} keeps weights in {others[0][:80]}, outside the bundle.")
            return
        wrong = [f"{MODEL}, {finding.sentence()}" for finding in failures(interface_findings(model))]
        checkpoint = next((entry.value for entry in model.metadata_props if entry.key == CHECKPOINT_KEY), None)
        if not may_run_for_ever(model):  # such a one is loaded where it is run, in a process of its own
            open_session(contents[MODEL], threads=1, optimised=False)  # folding constants would already compute
    except InputError as error:
        yield Checked("model", "fail", str(error))
        return
    yield from (Checked("model", "fail", problem) for problem in wrong)
    if not wrong:
        yield Checked("model", "pass", "its names, types and shapes fit the contract")
    yield from _provenance(records, contents, checkpoint)
    if wrong:
        yield Checked("probe frames", "undecided", "not run: the model does not fit the contract")
    else:
        yield from _probes(records[PROBES], contents)


def _provenance(records: Records, contents: Mapping[str, bytes], checkpoint: str | None) -> Iterator[Checked]:
    """Whether provenance, scores and report are of the model, and of the data, that are in the bundle."""
    told, model = records[PROVENANCE], sha256(contents[MODEL]).hexdigest()
    expected = provenance(
        records[CONFIG], {CHECKPOINT_KEY: checkpoint or ""}, model, sha256(contents[SCORES]).hexdigest()
    )
    wrong = []
    if told.get("model_sha256") != model:
        wrong.append(f"{PROVENANCE} is of another model: it names {str(told.get('model_sha256'))[:64]}.")
    if checkpoint is None or told.get(CHECKPOINT_KEY) != checkpoint:
        named = str(told.get(CHECKPOINT_KEY))[:64]
        wrong.append(f"{PROVENANCE} names the checkpoint {named}, {MODEL} says {str(checkpoint)[:64]}.")
    if told.get("scores_sha256") != expected["scores_sha256"]:
        wrong.append(f"{SCORES} is not the one that {PROVENANCE} names.")
    for key in sorted(expected.keys() - {"model_sha256", CHECKPOINT_KEY, "scores_sha256", "export"}):
        if told.get(key) != expected[key]:
            wrong.append(f"{PROVENANCE} and {CONFIG} differ in '{key}'.")
    score = records[SCORES].get(FLOAT)
    if isinstance(score, dict) and score.get("source_sha256") != model:
        wrong.append(f"The float score in {SCORES} is the score of another model.")
    if REPORT in contents and not is_of(contents[REPORT].decode(errors="replace"), model):
        wrong.append(f"{REPORT} is the report of another model.")
    yield from (Checked("provenance", "fail", problem) for problem in wrong)
    if not wrong:
        yield Checked(
            "provenance", "pass", "it names this model, its checkpoint, these scores and what the config does"
        )


def _probes(told: dict[str, Any], contents: Mapping[str, bytes]) -> Iterator[Checked]:
    """told: of `PROBES`"""
    name, worst, wrong = "probe frames", 0.0, False
    try:
        stored = _stored(told, contents)
        pictures = {each: probes.decoded(contents[picture], picture) for each, (picture, _) in stored.items()}
        answers = probes.answers_of(contents[MODEL], pictures, MODEL)
        for each, (_, answer) in stored.items():
            gap, allowed = probes.difference(answers[each], probes.read_answer(contents[answer], answer))
            worst = max(worst, gap / allowed)
            if not gap <= allowed:
                wrong = True
                found = f"On the probe frame {each} the model differs by {gap:.3g} from the stored answer"
                yield Checked(name, "fail", f"{found}, at most {allowed:.3g} are allowed.")
    except InputError as error:
        yield Checked(name, "fail", str(error))
        return
    if not wrong:
        found = f"the model answers as stored on {len(stored)} frames; differences reach {worst:.0%} of what is allowed"
        yield Checked(name, "pass", found)


def _stored(told: dict[str, Any], contents: Mapping[str, bytes]) -> dict[str, tuple[str, str]]:
    """Name -> entries of picture and answer. Raises InputError where the list is not as `probes` writes it."""
    frames = told.get("frames")
    if not isinstance(frames, dict) or not 1 <= len(frames) <= MOST_PROBES:
        raise InputError(f"{PROBES} lists no probe frames.", REMEDY)
    found = {}
    for name, row in frames.items():
        picture, answer = (row.get("picture"), row.get("answer")) if isinstance(row, dict) else (None, None)
        if not isinstance(picture, str) or not isinstance(answer, str) or not {picture, answer} <= contents.keys():
            raise InputError(f"{PROBES} names a picture or answer of {name[:40]!r} that is not in the bundle.", REMEDY)
        found[name[:40]] = (picture, answer)
    return found
