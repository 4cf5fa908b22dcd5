"""Score a source of predictions over a folder of frames, in parallel and resumable."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from threading import Lock

from ..console import Meter, note
from ..contract import CURRENT as CONTRACT
from ..data.folder import CONFIDENCE, DEPTH, MANIFEST, FrameFolder, open_folder, select
from ..errors import InputError, Interrupted
from ..files import read_json
from ..runs import Run, is_run
from .baseline import CONSTANT
from .breakdown import labels_of
from .frame_score import FrameScore
from .journal import Journal, Rows
from .kinds import demand_kind
from .official import OFFICIAL
from .predictions import Source
from .protocol import Prediction, Protocol
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
    try:
        with Meter(f"scoring {source.label}", len(frames), len(done)) as meter:
            for identity, rows in _scored(source, frames, protocols, missing, workers, journal):
                if journal:
                    journal.append(identity, rows)
                done[rows[0].frame] = rows
                meter.advance()
    except InputError:
        if journal and done:
            note(f"{len(done)} of {len(frames)} frames are scored and kept for when the command is typed again.")
        raise
    except KeyboardInterrupt:
        if journal is None:
            raise
        said = f"Stopped; {len(done)} of {len(frames)} frames are scored."
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
    size_told = Lock()  # taken by the first frame of another size than the contract's, which says so, and kept

    def one(name: str) -> tuple[str, Rows]:
        # Before the files are read: one that changes meanwhile then has rows that no later look takes for its own.
        identity = journal.identity(name) if journal else ""
        frame = frames.frame(name)
        prediction = source.predict(name, frame.rgb)
        if _other_size(prediction, protocols) and size_told.acquire(blocking=False):
            note(_size_sentence(source.label, prediction))
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


def _other_size(prediction: Prediction, protocols: Sequence[Protocol]) -> bool:
    official = any(protocol.name == OFFICIAL.name for protocol in protocols)
    return official and prediction.shape != (CONTRACT.image_size[1], CONTRACT.image_size[0])


def _size_sentence(label: str, prediction: Prediction) -> str:
    return (
        f"{label} predicts {prediction.shape[1]}x{prediction.shape[0]}, and the contract asks for "
        f"{CONTRACT.image_size[0]}x{CONTRACT.image_size[1]}: the official rays, and with them the F-Score, depend on "
        "the size, so these numbers cannot be set beside others."
    )


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


def with_training(score: Score, source: str | Path, frames: FrameFolder) -> Score:
    """The score of a run with how many of these frames it was trained on, which is said; any other as it is.

    source: as `open_source` takes it
    """
    if source == CONSTANT or not is_run(Path(source)):
        return score
    count = trained_on(Run(Path(source)), frames)
    if count:
        note(f"{source} was TRAINED on {count} of these {len(frames)} frames: this is no held-out score.")
    beside = [replace(each, trained_on=count) for each in score.beside]
    return replace(score, trained_on=count, beside=tuple(beside))


def kept_in(source: str | Path, protocols: Sequence[Protocol]) -> Path | None:
    """Where a run keeps its official score; None for what is no run, or where that score is not asked for."""
    official = any(protocol.name == OFFICIAL.name for protocol in protocols)
    return Run(Path(source)).score if official and source != CONSTANT and is_run(Path(source)) else None


def keep_official(score: Score, path: Path) -> None:
    """Write the official one of these scores; say so where it replaces a score of other frames."""
    official = next(each for each in (score, *score.beside) if each.protocol.name == OFFICIAL.name)
    try:
        before = read_json(path)
        count = len(before["frames"]) if before["data_sha256"] != official.data_sha256 else 0
    except (InputError, LookupError, TypeError):  # none, or damaged: it goes either way
        count = 0
    if count:
        note(f"{path} now holds the score of these {len(official.frames)} frames; before, that of {count} others.")
    replace(official, beside=()).write_json(path)


def trained_on(run: Run, frames: FrameFolder) -> int:
    """How many of these frames the run was trained on, by folder and name."""
    content = read_json(run.config)
    inputs = content.get("inputs") if isinstance(content, dict) else None
    if not isinstance(inputs, dict) or not isinstance(inputs.get("data"), str):
        raise InputError(f"{run.config} does not name the run's inputs.", "Restore it, or start a new run.")
    if Path(inputs["data"]).resolve() != frames.root.resolve():
        return 0
    return len(set(select(open_folder(frames.root), inputs.get("frames")).names) & set(frames.names))
