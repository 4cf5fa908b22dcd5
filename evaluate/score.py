"""Score a source of predictions over a folder of frames, in parallel and resumable."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from ..console import Meter
from ..data.folder import CONFIDENCE, DEPTH, MANIFEST, FrameFolder, open_folder, select
from ..errors import InputError, Interrupted
from ..files import read_json
from ..runs import Run
from .breakdown import labels_of
from .frame_score import FrameScore
from .journal import Journal, Rows, identity
from .kinds import demand_kind
from .official import OFFICIAL
from .predictions import Source
from .protocol import Protocol
from .result import Score


def score_source(
    source: Source,
    frames: FrameFolder,
    protocols: Sequence[Protocol] = (OFFICIAL,),
    *,
    workers: int = 1,
    journal: Path | None = None,
    group_by: str | None = None,
) -> Score:
    """Score of every frame under the first protocol, with the others beside it.

    workers: frames at a time, in threads: reading, inference and scoring overlap. The numbers do not depend on it.
    journal: a file that keeps what has been scored; where it holds frames of the same model, data and protocols, they
        are taken from it. The caller removes it once the result is safe (`Journal.remove`, or unlink).
    group_by: a key of the manifest by which means are broken down; None is the condition

    Raises InputError for a frame without what a protocol needs, or a kind of prediction that it cannot take;
    Interrupted on Ctrl-C where there is a journal.
    """
    for protocol in protocols:
        demand_kind(source.kind, protocol.weakest_kind, f"protocol {protocol.name}")
        demand_needs(frames, protocol)
    labels = labels_of(frames, group_by)
    hashes = source.sha256(), frames.fingerprint()
    kept = Journal(journal, identity(protocols, source.kind, *hashes), protocols) if journal else None
    done = kept.resume() if kept else {}
    missing = [name for name in frames.names if name not in done]
    try:
        with Meter(f"scoring {source.label}", len(frames), len(done)) as meter:
            for rows in _scored(source, frames, protocols, missing, workers):
                if kept:
                    kept.append(rows)
                done[rows[0].frame] = rows
                meter.advance()
    except InputError:  # to be mended in the data or the model, to which the rows belong
        if kept:
            kept.remove()
        raise
    except KeyboardInterrupt:
        if kept is None:
            raise
        said = f"Stopped; {len(done)} of {len(frames)} frames are scored."
        raise Interrupted(said, "Type the command again to go on.") from None
    return _result(source, protocols, hashes, [done[name] for name in frames.names], labels)


def _scored(
    source: Source, frames: FrameFolder, protocols: Sequence[Protocol], names: Sequence[str], workers: int
) -> Iterator[Rows]:
    """The rows of each frame, in order; at most two frames a worker are in memory."""

    def one(name: str) -> Rows:
        frame = frames.frame(name)
        prediction = source.predict(name, frame.rgb)
        return tuple(protocol.score(frame, prediction, source.kind) for protocol in protocols)

    if workers == 1:  # in this thread: a network in training must not be called from another
        yield from map(one, names)
        return
    waiting: deque[Future[Rows]] = deque()
    with ThreadPoolExecutor(workers) as pool:
        try:
            for name in names:
                waiting.append(pool.submit(one, name))
                if len(waiting) == 2 * workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def _result(
    source: Source,
    protocols: Sequence[Protocol],
    hashes: tuple[str, str],
    rows: Sequence[Rows],
    labels: Mapping[str, str],
) -> Score:
    columns: list[tuple[FrameScore, ...]] = list(zip(*rows, strict=True))
    first, *others = (
        Score.of(protocol, source.label, source.kind, hashes, scored, labels)
        for protocol, scored in zip(protocols, columns, strict=True)
    )
    return first.with_beside(others)


def default_workers() -> int:
    """One for each core that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def demand_needs(frames: FrameFolder, protocol: Protocol) -> None:
    """Raises InputError where a frame lacks what the protocol needs."""
    there = {
        "depth": (f"{DEPTH}/", frames.depths),
        "confidence": (f"{CONFIDENCE}/", frames.confidences),
        "pairs": (f'"pairs" in its row of {MANIFEST}', {n for n, record in frames.records.items() if record.pairs}),
    }
    for need in protocol.needs:
        where, having = there[need]
        lacking = [name for name in frames.names if name not in having]
        if lacking:
            raise InputError(
                f"{frames.root} has no {need} for {len(lacking)} of {len(frames)} frames, the first is {lacking[0]}; "
                f"protocol {protocol.name} needs it.",
                f"Add {where}; `lpcv data make` writes a folder that has depth and confidence."
                if need != "pairs"
                else f"Add {where}.",
            )


def trained_on(run: Run, frames: FrameFolder) -> int:
    """How many of these frames the run was trained on, by folder and name."""
    content = read_json(run.config)
    inputs = content.get("inputs") if isinstance(content, dict) else None
    if not isinstance(inputs, dict) or not isinstance(inputs.get("data"), str):
        raise InputError(f"{run.config} does not name the run's inputs.", "Restore it, or start a new run.")
    if Path(inputs["data"]).resolve() != frames.root.resolve():
        return 0
    return len(set(select(open_folder(frames.root), inputs.get("frames")).names) & set(frames.names))
