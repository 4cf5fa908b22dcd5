"""Writing that is whole or absent, reading that names the file, and hashes. Used by every room."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .errors import InputError


@contextmanager
def replacing(path: Path, *, private: bool = False) -> Iterator[Path]:
    """Yield a temporary path beside `path`; on success it is fsynced and renamed over it, on failure removed.

    private: for the owner's eyes alone (0600), from its first byte on
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}.", suffix=f".part{path.suffix}")
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        with temporary.open("rb+") as written:
            os.fsync(written.fileno())
        if not private:  # which mkstemp's file is
            temporary.chmod(0o666 & ~_umask())
        temporary.replace(path)
        _fsync_folder(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def write_bytes(path: Path, content: bytes) -> None:
    with replacing(path) as temporary:
        temporary.write_bytes(content)


def write_text(path: Path, content: str) -> None:
    write_bytes(path, content.encode())


def write_json(path: Path, content: Any) -> None:
    """JSON with a final newline; NaN and infinity are refused, since JSON has neither."""
    write_text(path, json.dumps(content, indent=2, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    """Raises InputError where the file is missing or is not JSON."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path} does not exist.", "Check the path.") from None
    except (ValueError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is not valid JSON ({error}).", "Restore it, or make it again.") from None


def append_line(path: Path, line: str) -> None:
    """Append one line and fsync it, so that a row is whole once it is there."""
    with path.open("a") as stream:
        stream.write(line + "\n")
        stream.flush()
        os.fsync(stream.fileno())


def sha256_file(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def sha256_joined(paths: Sequence[Path]) -> str:
    """One hash for files that make one thing, in this order: that of the only one, else over the hashes of all."""
    hashes = [sha256_file(path) for path in paths]
    return hashes[0] if len(hashes) == 1 else hashlib.sha256("\n".join(hashes).encode()).hexdigest()


def sha256_files(root: Path, paths: Iterable[Path]) -> str:
    """One hash for a set of files: of their relative names and contents, in sorted order."""
    total = hashlib.sha256()
    for path in sorted(paths):
        total.update(f"{path.relative_to(root).as_posix()}\0{sha256_file(path)}\n".encode("utf-8", "surrogateescape"))
    return total.hexdigest()


def demand_writable(outputs: Mapping[str, Path | None], pictures: Iterable[str] = ()) -> None:
    """Try the places of results before hours of work, so that none is lost at the end.

    outputs: option -> the file that it will write, or None; pictures: the options whose file must be a .png
    Raises InputError, naming option and path, for a place that cannot be written, or that two of them want.
    """
    wanted = {option: path for option, path in outputs.items() if path is not None}
    for option, path in wanted.items():
        if option in pictures and path.suffix.lower() != ".png":
            raise InputError(f"{option} {path} is no .png file.", f"Write {option} NAME.png.")
        _demand_file(option, path)
    taken: dict[Path, str] = {}
    for option, path in wanted.items():
        place = path.resolve()
        for other, whose in taken.items():
            if place == other or place in other.parents or other in place.parents:
                raise InputError(f"{whose} and {option} both write to {path}.", "Give each a place of its own.")
        taken[place] = option


def demand_apart(option: str, path: Path | None, inputs: Iterable[Path]) -> None:
    """Raises InputError where a result would take the place of an input, or lie in a folder that is one.

    option: which names the result; path: None where nothing is written; a hard link to an input is that input
    """
    if path is None:
        return
    place = path.resolve()
    for each in inputs:
        same = place == each.resolve() or (path.exists() and each.exists() and path.samefile(each))
        if same or each.resolve() in place.parents:
            what = f"is {each}" if same else f"lies in {each}"
            raise InputError(f"{option} {path} {what}, which is read here.", f"Give {option} another name.")


def _demand_file(option: str, path: Path) -> None:
    if path.is_dir():
        raise InputError(f"{option} {path} is a folder, but a file is to be written.", f"Write {option} {path}/NAME.")
    if path.exists() and not path.is_file():
        raise InputError(f"{option} {path} is no plain file.", "Choose another name.")
    # lexists: a link that leads nowhere is in the way, too
    folder = next(parent for parent in path.absolute().parents if os.path.lexists(parent))
    if not folder.is_dir():
        raise InputError(f"{option} {path} cannot be written: {folder} is no folder.", "Choose another place.")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise InputError(
            f"{option} {path} cannot be written: you may not write into {folder}.",
            "Choose another place, or change the permissions.",
        )


def _fsync_folder(folder: Path) -> None:
    if os.name == "nt":  # Windows cannot open a folder; its rename is durable enough
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
