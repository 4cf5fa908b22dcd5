"""Score a source of predictions over a folder of frames, in parallel and resumable."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace

from ..console import Meter, count, note
from ..data.folder import CONFIDENCE, DEPTH, MANIFEST, FrameFolder
from ..errors import InputError, Interrupted
from .breakdown import labels_of
from .frame_score import FrameScore
from .journal import Journal, Rows
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
    journal: Journal | None = None,
    group_by: str | None = None,
) -> Score:
    """Score of every frame under the first protocol, with the others beside it.

    workers: frames at a time, in threads: reading, inference and scoring overlap. The numbers do not depend on it.
    journal: keeps what has been scored, and gives what it holds of the same model, data and protocols. The caller
        finishes it once the result is safe; whatever stops the scoring before, it stays.
    group_by: a key of the manifest by which means are broken down; None is the condition

    Raises InputError for a frame without what a protocol needs, or a kind of prediction that it cannot take;
    Interrupted on Ctrl-C where there is a journal.
    """
    for protocol in protocols:
        demand_kind(source.kind, protocol.weakest_kind, f"protocol {protocol.name}")
        demand_needs(frames, protocol)
    labels = labels_of(frames, group_by)
    hashes = source.sha256(), frames.fingerprint()
    done = journal.resume() if journal else {}
    missing = [name for name in frames.names if name not in done]
    of_all = count(len(frames), "frame")
    try:
        with Meter(f"scoring {source.label}", len(frames), len(done)) as meter:
            for identity, rows in _scored(source, frames, protocols, missing, workers, journal):
                if journal:
                    journal.append(identity, rows)
                done[rows[0].frame] = rows
                meter.advance()
    except InputError:
        if journal and done:
            note(f"Scored {len(done)} of {of_all}, which are kept for when the command is typed again.")
        raise
    except KeyboardInterrupt:
        if journal is None:
            raise
        said = f"Stopped; scored {len(done)} of {of_all}."
        raise Interrupted(said, "Type the command again to go on.") from None
    return _result(source, protocols, hashes, [done[name] for name in frames.names], labels)


def _scored(
    source: Source,
    frames: FrameFolder,
    protocols: Sequence[Protocol],
    names: Sequence[str],
    workers: int,
    journal: Journal | None,
) -> Iterator[tuple[str, Rows]]:
    """What the journal knows each frame by, and its rows, in order; at most two frames a worker are in memory."""

    def one(name: str) -> tuple[str, Rows]:
        # Before the files are read: one that changes meanwhile then has rows that no later look takes for its own.
        identity = journal.identity(name) if journal else ""
        frame = frames.frame(name)
        prediction = source.predict(name, frame.rgb)
        return identity, tuple(protocol.score(frame, prediction, source.kind) for protocol in protocols)

    if workers == 1:  # in this thread: a network in training must not be called from another
        yield from map(one, names)
        return
    waiting: deque[Future[tuple[str, Rows]]] = deque()
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
    return replace(first, beside=tuple(others))


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
                f"{frames.root} has no {need} for {len(lacking)} of {count(len(frames), 'frame')}, the first is "
                f"{lacking[0]}; protocol {protocol.name} needs it.",
                f"Add {where}; `lpcv data make` writes a folder that has depth and confidence."
                if need != "pairs"
                else f"Add {where}.",
            )
