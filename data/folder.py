"""Reader of the competition's folder layout: `image/`, `depth_raw/`, `depth_conf/`, paired by file name.

Also reads images alone: an `image/` folder without depth, or a plain folder of PNG and JPEG files.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..console import track
from ..contract import CURRENT as CONTRACT
from ..errors import InputError
from ..files import sha256_files
from .frame import DepthM, Frame, Record
from .images import IMAGE_SUFFIXES, read_confidence, read_depth_m, read_rgb
from .manifest import read_manifest

IMAGE, DEPTH, CONFIDENCE, MANIFEST = "image", "depth_raw", "depth_conf", "manifest.json"
SHAPE_TOLERANCE = 0.05  # small maps are rounded to whole pixels
LAYOUT_HINT = f"The layout is {IMAGE}/, {DEPTH}/, {CONFIDENCE}/ with equal file names; `lpcv data make` writes one."


@dataclass(frozen=True)
class FrameFolder:
    """The frames of one folder, by name in sorted order; files are read when a frame is asked for."""

    root: Path
    names: tuple[str, ...]
    images: dict[str, Path]
    depths: dict[str, Path]
    confidences: dict[str, Path]
    records: dict[str, Record]

    def __len__(self) -> int:
        return len(self.names)

    def __iter__(self) -> Iterator[Frame]:
        return (self.frame(name) for name in self.names)

    def depth_m(self, name: str) -> DepthM:
        """Read the depth of a frame that has one, in the unit that the manifest says."""
        return read_depth_m(self.depths[name], self.records.get(name, Record()).depth_unit_m)

    def frame(self, name: str) -> Frame:
        """Read one frame. Raises InputError where a file cannot be used or depth and confidence differ in size."""
        record = self.records.get(name, Record())
        depth_m = self.depth_m(name) if name in self.depths else None
        confidence = read_confidence(self.confidences[name]) if name in self.confidences else None
        if depth_m is not None and confidence is not None and depth_m.shape != confidence.shape:
            raise InputError(
                f"{self.confidences[name]} is {_size(confidence)}, but its depth is {_size(depth_m)}.",
                "Depth and confidence come from the same recording at the same size: copy the pair again.",
            )
        rgb = read_rgb(self.images[name])
        if depth_m is not None and not record.same_view and not _same_shape(rgb, depth_m):
            raise InputError(
                f"{self.images[name]} is {_size(rgb)}, but its depth is {_size(depth_m)}: not one view.",
                "Turn or crop them alike (a JPEG's orientation tag is applied, a depth PNG has none); where they are "
                f'one view and the depth\'s pixels are no squares, write "same_view": true in its row of {MANIFEST}.',
            )
        for pair in record.pairs:
            for column, row in (pair.a, pair.b):
                if column >= rgb.shape[1] or row >= rgb.shape[0]:
                    raise InputError(
                        f"{self.root / MANIFEST}: frame {name} has a point at column {column}, row {row}, outside its "
                        f"image of {_size(rgb)}.",
                        "Count pixels of the image from 0 (Depth in the Wild's own files count from 1, row first).",
                    )
        return Frame(name, rgb, depth_m, confidence, record)

    def subset(self, names: tuple[str, ...]) -> FrameFolder:
        """The same folder with only these frames. Raises InputError where a name is not in it."""
        missing = [name for name in names if name not in self.images]
        if missing:
            raise InputError(f"{self.root} has no frame {missing[0]}.", f"It has {self.names[0]} to {self.names[-1]}.")
        return FrameFolder(self.root, names, self.images, self.depths, self.confidences, self.records)

    def fingerprint(self) -> str:
        """SHA-256 over the names and contents of all files of these frames, and over what a manifest adds to truth."""
        kinds = (self.images, self.depths, self.confidences)
        total = sha256_files(self.root, [files[name] for files in kinds for name in self.names if name in files])
        known = [(name, self.records[name]) for name in self.names if name in self.records]
        truth = [
            (
                name,
                record.depth_unit_m,
                [vars(pair) for pair in record.pairs],
                record.intrinsics and vars(record.intrinsics),
            )
            for name, record in known
            if record.pairs or record.intrinsics or record.depth_unit_m != CONTRACT.depth_unit_m
        ]
        return hashlib.sha256(f"{total}{json.dumps(truth)}".encode()).hexdigest() if truth else total


def open_folder(root: Path, *, with_depth: bool = False) -> FrameFolder:
    """Open a folder of frames; `with_depth` insists on ground truth.

    Raises InputError where the folder is missing, empty, or holds an image, depth or confidence without its partner.
    """
    if not root.is_dir():
        raise InputError(f"{root} is not a folder.", LAYOUT_HINT)
    images = _files(root / IMAGE if (root / IMAGE).is_dir() else root, IMAGE_SUFFIXES)
    depths = _files(root / DEPTH, (".png",))
    confidences = _files(root / CONFIDENCE, (".png",))
    if not images:
        raise InputError(f"{root} holds no images.", LAYOUT_HINT)
    if with_depth and not depths:
        raise InputError(f"{root} has no {DEPTH}/ with ground truth.", LAYOUT_HINT)
    if depths:
        _demand_pairs(root, IMAGE, images, DEPTH, depths)
    if confidences:
        _demand_pairs(root, DEPTH, depths, CONFIDENCE, confidences)
    return FrameFolder(root, tuple(sorted(images)), images, depths, confidences, read_manifest(root / MANIFEST))


def select(folder: FrameFolder, frames: str | None) -> FrameFolder:
    """The frames that FIRST-LAST names, both ends included ("0000-0016"; one name alone is one frame); None is all."""
    if frames is None:
        return folder
    dashes = [at for at, letter in enumerate(frames) if letter == "-"]
    ends = [(frames, frames)] + [(frames[:at], frames[at + 1 :]) for at in dashes]
    # A name may hold a dash itself ("IMG-01-IMG-07"), so the ends are looked for among the names first.
    known = [pair for pair in ends if all(end in folder.images for end in pair)]
    first, last = (known or ends[1:2] or ends)[0]
    names = tuple(name for name in folder.names if first <= name <= last)
    if not names:
        raise InputError(
            f"{folder.root} has no frame within '{frames}'.", f"It has {folder.names[0]} to {folder.names[-1]}."
        )
    return folder.subset(names)


def spread(names: Sequence[str], most: int) -> list[str]:
    """At most `most` names, evenly over the sequence."""
    picked = np.linspace(0, len(names) - 1, min(most, len(names))).round().astype(int)
    return [str(names[index]) for index in picked]


def demand_usable(folder: FrameFolder, why: str, *, official: bool = False) -> None:
    """Read every file once, so that nothing turns up in the middle of hours of work.

    official: also insist on what the official score needs, depth and confidence of every frame.
    Raises InputError for the first file that cannot be read, or has depth or confidence without a usable pixel.
    """
    lacking = DEPTH if official and not folder.depths else CONFIDENCE if official and not folder.confidences else None
    if lacking:
        raise InputError(f"{folder.root} has no {lacking}/, which the official score needs.", LAYOUT_HINT)
    with ThreadPoolExecutor() as readers:  # OpenCV decodes outside the interpreter's lock
        for _ in track(readers.map(lambda name: _demand_usable(folder.frame(name), folder), folder.names),
                       f"checking frames for {why}", len(folder)):  # fmt: skip
            pass


def _demand_usable(frame: Frame, folder: FrameFolder) -> None:
    if frame.depth_m is not None and not frame.depth_m.any():
        raise InputError(
            f"{folder.depths[frame.name]} has no measurement in it: every pixel is 0.",
            f"Remove frame {frame.name} from all three folders, or record it again.",
        )
    if frame.confidence is not None and frame.confidence.max() < CONTRACT.pixel_confidence:
        raise InputError(
            f"{folder.confidences[frame.name]} has no pixel of confidence 1 or 2, where the official scorer stops.",
            f"Remove frame {frame.name} from all three folders, or record it again.",
        )


def _files(folder: Path, suffixes: tuple[str, ...]) -> dict[str, Path]:
    if not folder.is_dir():
        return {}
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() in suffixes and not path.name.startswith("."):
            if path.stem in found:
                raise InputError(f"{folder} has two files for frame {path.stem}.", "Keep one of them.")
            found[path.stem] = path
    return found


def _demand_pairs(root: Path, left: str, lefts: dict[str, Path], right: str, rights: dict[str, Path]) -> None:
    for here, there, mine, other in ((left, right, lefts, rights), (right, left, rights, lefts)):
        alone = sorted(set(mine) - set(other))
        if alone:
            raise InputError(
                f"{root}: {len(alone)} files of {here}/ have no partner in {there}/, the first is "
                f"{mine[alone[0]].name}.",
                f"Files are paired by name: add {there}/{alone[0]}.png or remove the file.",
            )


def _same_shape(rgb: Any, depth_m: Any) -> bool:
    ratio = (rgb.shape[1] / rgb.shape[0]) / (depth_m.shape[1] / depth_m.shape[0])
    return abs(ratio - 1) < SHAPE_TOLERANCE


def _size(pixels: Any) -> str:
    return f"{pixels.shape[1]}x{pixels.shape[0]}"
