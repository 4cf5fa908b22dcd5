"""The pre-flight check: everything that can be known of a model before a device sees it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...console import note, track
from ...contract import CURRENT as CONTRACT
from ...data.folder import FrameFolder, spread
from ...data.frame import Frame, Rgb
from ...data.model_input import contract_input
from ...errors import first_line
from ...hub_folder import HubFolder
from ...runs import Run
from ...train.zoo.variants import RANDOM_WEIGHTS_KEY
from .behaviour import BEHAVIOUR, Behaviour, behaviour_findings, difference, stretching
from .border import file_undecided
from .budget import budget_findings
from .findings import Finding, State, failures
from .graph import graph_findings, graph_of
from .interface import COMPILED_ONCE, shape_text
from .latency import latency_findings
from .licences import licence_findings, licences_in_file
from .meaning_evidence import Evidence, gain_on, undecided
from .meaning_evidence import findings as meaning_findings
from .model import Runner, as_map, is_one_finite_map
from .npu import npu_findings
from .opening import open_runner

MOST_FRAMES = 24
INPUT_FINDINGS = ("one input", "input type", "input shape")


@dataclass(frozen=True)
class Circumstances:
    """What is known beside the model's file.

    device: AI Hub's name, for what the compiler says; run: whose records tell the licences
    folder: where the ledger lies, which is only read
    """

    device: str | None = None
    run: Run | None = None
    folder: HubFolder | None = None


def check_model(
    path: Path,
    frames: FrameFolder | None = None,
    circumstances: Circumstances | None = None,
    *,
    most_frames: int = MOST_FRAMES,
) -> list[Finding]:
    """All findings on a model, in the order of the table.

    frames: real frames, with truth if the output's meaning is to be judged; at most `most_frames` of them, spread over
    the folder, are run. Raises InputError where the model cannot be loaded, or a frame cannot be read; UnknownNameError
    for a device that is not recorded.
    """
    given = circumstances or Circumstances()
    with open_runner(path) as runner:
        if runner.note:
            note(runner.note)
        licences = licence_findings(given.run) if given.run else licences_in_file(runner.metadata())
        return [*_answers(runner, frames, most_frames), *_file_findings(runner, given), *licences]


def synthetic_pictures() -> dict[str, Rgb]:
    """Name -> (H, W, 3) uint8 at the contract's size: noise of a fixed seed, black, white, one grey."""
    width, height = CONTRACT.image_size
    noise = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    plain = {"black": 0, "white": 255, "grey": 128}
    return {"random": noise} | {name: np.full_like(noise, value) for name, value in plain.items()}


def _answers(runner: Runner, frames: FrameFolder | None, most_frames: int) -> list[Finding]:
    """The interface, what the model does with pictures, and what its answers mean."""
    interface = runner.interface()
    random = synthetic_pictures()["random"]
    try:
        first = runner.raw(random)
    except Exception as error:  # what runs a model has exceptions of its own, which share no base class but this one
        return [*interface, *_not_run(interface, first_line(error))]
    behaviour, evidence = _observe(runner, frames, most_frames)
    behaviour.repeat_difference = difference(first, runner.raw(random))
    interface = [_with_given_shape(finding, behaviour.shape) for finding in interface]
    ran = _ran("pass", f"runs on {behaviour.pictures} pictures")
    return [*interface, ran, *behaviour_findings(behaviour), *_meaning(behaviour, frames, evidence, runner)]


def _observe(runner: Runner, frames: FrameFolder | None, most_frames: int) -> tuple[Behaviour, Evidence]:
    """Run every picture once, and the frames with truth again with red and blue exchanged; some with other changes.

    Random weights have no meaning to look for, so each frame is run once.
    """
    behaviour, evidence = Behaviour(), Evidence()
    meant = RANDOM_WEIGHTS_KEY not in runner.metadata()
    for name, rgb in synthetic_pictures().items():
        behaviour.add(name, runner.raw(rgb))
    for frame in _chosen_frames(frames, most_frames):
        picture = contract_input(frame.rgb)
        output = runner.answer(picture)
        behaviour.add(frame.name, output, frame)
        if frame.depth_m is None or not meant or not is_one_finite_map(output):
            continue
        evidence.seen += 1
        swapped = runner.raw(np.ascontiguousarray(frame.rgb[..., ::-1]))
        if is_one_finite_map(swapped):
            evidence.add(frame, as_map(output), as_map(swapped), picture, runner.answer_map)
    return behaviour, evidence


def _chosen_frames(frames: FrameFolder | None, most: int) -> Iterator[Frame]:
    if frames is None:
        return iter(())
    names = spread(frames.names, most)
    return track((frames.frame(name) for name in names), "checking frames", len(names))


def _not_run(interface: list[Finding], reason: str) -> list[Finding]:
    """The later findings of a model that does not run on the contract's input."""
    blamed = [finding.name for finding in failures(interface) if finding.name in INPUT_FINDINGS]
    ran = _ran("undecided", f"not run, see {', '.join(blamed)}") if blamed else _ran("fail", f"stops: {reason}")
    why_not = "the model does not run on the contract's input"
    return [ran, *(make("undecided", why_not) for make in BEHAVIOUR.values()), *undecided(why_not)]


def _meaning(seen: Behaviour, frames: FrameFolder | None, evidence: Evidence, runner: Runner) -> list[Finding]:
    if RANDOM_WEIGHTS_KEY in runner.metadata():
        return undecided("random weights: what they answer has no meaning")
    if frames is None:
        return undecided("no frames given, use --data")
    if not frames.depths:
        return undecided(f"{frames.root.name} has no depth to compare with")
    if seen.not_finite:
        return undecided("the output is not finite")
    if not evidence.seen:
        return undecided("the output is not one map")
    if seen.shape != CONTRACT.output_shape:
        return undecided("see output shape: the map is not the one that is scored")
    if seen.whole_numbers:
        return undecided("see output type: a map from 0 to 1 has few whole numbers")
    if not seen.answers:
        return undecided("see answers the picture: one map for all says nothing of them")
    hidden = "see no stretching: each map has its own zero" if stretching(seen.ranges)[0] == "fail" else ""
    return meaning_findings(evidence, gain_on(frames, lambda frame: runner.predict(frame.rgb)), hidden)


def _file_findings(runner: Runner, given: Circumstances) -> list[Finding]:
    """The graph, the NPU, the budget and the latency; undecided where the file shows no graph."""
    if runner.graph is None or runner.onnx_path is None:
        return file_undecided(*runner.no_graph)
    graph = graph_of(runner.graph)
    folder = given.folder or HubFolder()
    return [
        *graph_findings(runner.graph, runner.onnx_path, graph),
        *npu_findings(runner.graph, runner.onnx_path, given.device, graph=graph, cache=folder.htp / "compiled"),
        *budget_findings(runner.graph, graph),
        *latency_findings(runner.onnx_path, given.device, folder=folder),
    ]


def _with_given_shape(finding: Finding, shape: tuple[int, ...]) -> Finding:
    """The output's shape is judged by what was given as well as by what the file declares."""
    if finding.name != "output shape" or shape == CONTRACT.output_shape:
        return finding
    given = shape_text(shape)
    found = given if finding.found == given else f"declared {finding.found}, given {given}"
    return Finding(finding.name, "fail", finding.expected, found, COMPILED_ONCE, finding.remedy)


def _ran(state: State, found: str) -> Finding:
    return Finding(
        "runs",
        state,
        f"runs on {CONTRACT.tensor_dtype} {shape_text(CONTRACT.input_shape)}, 0 to 255, {CONTRACT.colour_order}",
        found,
        "A model that stops on the organisers' input is not scored at all.",
        "Export again with `lpcv export RUN`, which compares the result with torch.",
    )
