"""Reader of `manifest.json`: a list of rows, one per frame, each with what is known of it."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any, get_args

from ..contract import CURRENT as CONTRACT
from ..errors import InputError
from ..files import read_json
from .frame import Intrinsics, Light, Place, PointPair, Record

TEXTS = ("place", "light", "source", "licence")
KEYS = ("frame", *TEXTS, "intrinsics", "depth_unit_m", "same_view", "pairs")
RESERVED = "condition"  # what `--group-by condition` means
PAIRS_HINT = 'Write a list of {"a": [column, row], "b": [column, row], "nearer": "a" or "b"}, whole pixels from 0.'


def read_manifest(path: Path) -> dict[str, Record]:
    """The records by frame; none where there is no such file. Raises InputError, naming file and frame."""
    if not path.exists():
        return {}
    rows: Any = read_json(path)
    named = isinstance(rows, list) and all(isinstance(row, dict) and isinstance(row.get("frame"), str) for row in rows)
    if not named:
        raise InputError(f"{path} is not a list of rows with a text under 'frame' each.", "Mend it, or remove it.")
    records = {row["frame"]: _record(row, path) for row in rows}
    if len(records) < len(rows):
        raise InputError(f"{path} has two rows for one frame.", "Keep one of them.")
    return records


def _record(row: dict[str, Any], path: Path) -> Record:
    """Of the keys that we do not know the texts, numbers and truth values are kept, for grouping."""
    if RESERVED in row:
        raise InputError(
            f"{path}: frame {row['frame']} has the key '{RESERVED}', which stands for place and light together.",
            "Write 'place' and 'light', or give the key another name.",
        )
    texts = {key: row[key] for key in TEXTS if row.get(key) is not None}
    for key, value in texts.items():
        known = {"place": get_args(Place), "light": get_args(Light)}.get(key)
        if not isinstance(value, str) or (known and value not in known):
            raise InputError(
                f"{path}: frame {row['frame']} has the {key} {value!r}.",
                f"Write one of: {', '.join(known)}." if known else "Write a text.",
            )
    others = {key: value for key, value in row.items() if key not in KEYS}
    return Record(
        **texts,
        intrinsics=_intrinsics(row, path),
        depth_unit_m=_depth_unit_m(row, path),
        same_view=_same_view(row, path),
        pairs=_pairs(row, path),
        extra={
            key: value if isinstance(value, str) else json.dumps(value)
            for key, value in others.items()
            if isinstance(value, str | int | float)  # a truth value is an int, too
        },
    )


def _intrinsics(row: dict[str, Any], path: Path) -> Intrinsics | None:
    camera = row.get("intrinsics")
    if camera is None:
        return None
    try:
        fx, fy, cx, cy = (float(camera[key]) for key in ("fx", "fy", "cx", "cy"))
        if not (fx > 0 and fy > 0 and all(map(math.isfinite, (fx, fy, cx, cy)))):
            raise ValueError
    except (TypeError, KeyError, ValueError, OverflowError):
        raise InputError(
            f"{path}: the intrinsics of frame {row['frame']} are not fx, fy, cx, cy in pixels, fx and fy above 0.",
            "Mend or remove them.",
        ) from None
    return Intrinsics(fx, fy, cx, cy)


def _depth_unit_m(row: dict[str, Any], path: Path) -> float:
    unit = row.get("depth_unit_m")
    if unit is None:
        return CONTRACT.depth_unit_m
    if isinstance(unit, bool) or not isinstance(unit, int | float) or not math.isfinite(unit) or unit <= 0:
        raise InputError(
            f"{path}: frame {row['frame']} has the depth_unit_m {unit!r}.",
            "Write the metres of one count: 0.001 for millimetres, 0.00390625 (1 / 256) for KITTI's files.",
        )
    return float(unit)


def _same_view(row: dict[str, Any], path: Path) -> bool:
    said = row.get("same_view")
    if said is not None and not isinstance(said, bool):
        raise InputError(
            f"{path}: frame {row['frame']} has the same_view {said!r}.",
            "Write true where depth and image show the same view though their aspects differ, or remove it.",
        )
    return bool(said)


def _pairs(row: dict[str, Any], path: Path) -> tuple[PointPair, ...]:
    given = row.get("pairs")
    if given is None:
        return ()
    try:
        if not isinstance(given, list):
            raise TypeError
        return tuple(PointPair(_point(pair["a"]), _point(pair["b"]), _nearer(pair)) for pair in given)
    except (TypeError, KeyError, ValueError):
        raise InputError(f"{path}: the pairs of frame {row['frame']} are not pairs of points.", PAIRS_HINT) from None


def _point(given: Any) -> tuple[int, int]:
    column, row = given
    if any(isinstance(at, bool) or not isinstance(at, int) or at < 0 for at in (column, row)):
        raise ValueError
    return column, row


def _nearer(pair: dict[str, Any]) -> Any:
    if pair["nearer"] not in ("a", "b") or pair["a"] == pair["b"]:
        raise ValueError
    return pair["nearer"]
