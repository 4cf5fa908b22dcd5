"""The bundle's README: what is in it, what is not, and the commands of this very run."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from ...contract import CURRENT as CONTRACT
from .layout import (
    CONFIG,
    CONTRACT_FACTS,
    DECISIONS,
    EMULATED,
    ENVIRONMENT,
    FLOAT,
    JOBS,
    LICENCES,
    MANIFEST,
    MEASURED,
    MODEL,
    PROBES,
    PROVENANCE,
    REPORT,
    SCORES,
    STUDENT,
    is_none,
    why_none,
)

FILES = {
    MODEL: "the model: one file, raw RGB in, relative depth out",
    CONTRACT_FACTS: "the rules it was made for, each with unit and source",
    CONFIG: "the resolved recipe and what went in; paths are cut to their last component",
    STUDENT: "the network's own configuration",
    PROVENANCE: "hashes of model, checkpoint, data and scores; git commit of the training; teacher",
    ENVIRONMENT: "versions at training and export",
    LICENCES: "of teacher, encoder weights and data, as recorded at training; those accepted by name",
    SCORES: "three kinds that are never mixed: float, emulated, measured; an absent one says why",
    JOBS: "AI Hub jobs of this very model, rehearsals marked",
    PROBES: "probe frames (pictures of nobody) and what the model answers, for `lpcv verify`",
    REPORT: "the score's report; it shows pictures of frames",
    DECISIONS: "checks that were overridden at submission, and why; licences that were accepted",
}
NOT_SIGNED = f"{MANIFEST} is not signed: compare the SHA-256 of the whole zip with what its maker told you, too."
DATA_PLACE, VALIDATION_PLACE, SCORED_PLACE, RUN_PLACE = "DATA", "VALIDATION", "SCORED", "RUN"


def readme(config: Mapping[str, Any], scores: Mapping[str, Any], jobs: Any, present: Sequence[str]) -> str:
    """config, scores, jobs: as they are in the bundle; present: names of its files, without README and manifest."""
    lines = ["A submission to the Low-Power Computer Vision Challenge, packaged by lpcv.", ""]
    width = max(map(len, FILES)) + 2
    lines += [f"{name:{width}}{what}" for name, what in FILES.items() if name in present]
    lines += [f"{MANIFEST:{width}}size and SHA-256 of every other file", ""]
    absent = _absent(scores, jobs, present)
    if absent:
        lines += ["What is not there:", *(f"- {each}" for each in absent), ""]
    lines += ["Check this bundle (no data needed):", "  lpcv verify bundle.zip", f"  {NOT_SIGNED}", ""]
    lines += ["Check and score its model on frames of yours:"]
    lines += [f"  lpcv check {MODEL} --data {DATA_PLACE}", f"  lpcv score {MODEL} --data {DATA_PLACE}"]
    lines += [*_scored_on(scores), "", *_made_again(config, scores[FLOAT]), "", *_on_hub(jobs)]
    return "\n".join(lines).rstrip() + "\n"


def _absent(scores: Mapping[str, Any], jobs: Any, present: Sequence[str]) -> list[str]:
    measured = scores[MEASURED]
    parts = {
        "float score": scores[FLOAT], "emulated scores": scores[EMULATED], "measured scores": measured["scores"],
        "measured latencies": measured["latencies"], "jobs": jobs,
    }  # fmt: skip
    found = [f"{name}: {why_none(part)}" for name, part in parts.items() if is_none(part)]
    if REPORT not in present:
        found.append("report: the run had none of this model")
    if DECISIONS not in present:
        found.append("decisions: it was packaged before a submission, or nothing was overridden or accepted")
    return found


def _scored_on(scores: Mapping[str, Any]) -> list[str]:
    score = scores[FLOAT]
    if not isinstance(score, Mapping):
        return []
    trained = score.get("frames_trained_on")
    seen = "" if trained is None else f", {trained} of which it was trained on"
    return [
        f"  The float score is of {score.get('frames_scored', 'an unknown number of')} frames{seen}; "
        f"SCORED, their SHA-256: {score.get('data_sha256', 'not recorded')}"
    ]


def _made_again(config: Mapping[str, Any], score: Any) -> list[str]:
    """score: the float score, which tells on which frames it was counted"""
    recorded, inputs = _part(config, "provenance"), _part(config, "inputs")
    lines = [
        f"Make it again: install what {ENVIRONMENT} names, at the git commit of {PROVENANCE}, and get",
        f"  {DATA_PLACE} = the frames with the SHA-256 {_hash(recorded.get('data'))}",
    ]
    words = ["lpcv", "train", "--recipe", CONFIG, "--data", DATA_PLACE]
    words += _option("--frames", inputs.get("frames"))
    if inputs.get("validation"):
        lines.append(f"  {VALIDATION_PLACE} = the frames with the SHA-256 {_hash(recorded.get('validation'))}")
        words += ["--val", VALIDATION_PLACE, *_option("--val-frames", inputs.get("validation_frames"))]
    teacher = recorded.get("teacher", "")
    if teacher is None:
        words += ["--teacher", "none"]
    elif isinstance(teacher, Mapping):
        words += _option("--teacher", teacher.get("teacher"))
    weights = recorded.get("encoder_weights")
    named = str(weights.get("name", "")) if isinstance(weights, Mapping) else ""
    if named.startswith("none"):
        words += ["--encoder-weights", "none"]
    elif isinstance(weights, Mapping) and weights.get("sha256"):  # a file of somebody's own
        lines.append(f"  {named} = the encoder's weights with the SHA-256 {_hash(weights)}")
        words += ["--encoder-weights", named]
    lines.append(f"  {shlex.join([*words, '--out', RUN_PLACE])}")
    place = _place_of(score, recorded)
    lines += [f"  lpcv export {RUN_PLACE}", f"  lpcv score {RUN_PLACE} --data {place}"]
    return [*lines, f"  lpcv package {RUN_PLACE}"]


def _place_of(score: Any, recorded: Mapping[str, Any]) -> str:
    """What the README calls the frames that were scored."""
    held = score.get("data_sha256") if isinstance(score, Mapping) else None
    known = {_hash(recorded.get("data")): DATA_PLACE, _hash(recorded.get("validation")): VALIDATION_PLACE}
    return known.get(str(held), SCORED_PLACE)


def _on_hub(jobs: Any) -> list[str]:
    """The devices and options of the jobs that there are, else of the contract."""
    lines = ["Compile and measure it on AI Hub (each is a job of your account):"]
    compiled = [job for job in jobs if job["type"] == "compile"] if isinstance(jobs, list) else []
    devices = list(dict.fromkeys(job.get("device") or CONTRACT.devices[0] for job in compiled)) or CONTRACT.devices
    for device in devices:
        lines += [f"  {shlex.join(['lpcv', verb, MODEL, '--device', device])}" for verb in ("compile", "profile")]
    return lines


def _part(config: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    found = config.get(key)
    return found if isinstance(found, Mapping) else {}


def _option(name: str, value: Any) -> list[str]:
    return [name, str(value)] if value else []


def _hash(part: Any) -> str:
    return str(part.get("sha256", "not recorded")) if isinstance(part, Mapping) else "not recorded"
