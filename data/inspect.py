"""What a folder of frames holds, in numbers and as a picture."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import cv2
import numpy as np

from ..console import track
from .folder import demand_usable, open_folder, spread
from .frame import Level, Rgb
from .images import read_confidence
from .pictures import Scale, sheet

SHEET_ROWS = 8
TILE = (320, 240)


def summarise(root: Path) -> dict[str, object]:
    """What there is, by name. Reads every file; raises InputError for the first that cannot be used."""
    folder = open_folder(root)
    demand_usable(folder, "the summary")
    counts: Counter[str] = Counter()
    medians, high_shares = [], []
    for frame in track(folder, "reading", len(folder)):
        counts[f"images of {frame.rgb.shape[1]}x{frame.rgb.shape[0]}"] += 1
        counts[f"{frame.record.place}, {frame.record.light} light"] += 1
        counts[f"licence {frame.record.licence}"] += 1
        if frame.depth_m is not None:
            medians.append(float(np.median(frame.depth_m[frame.depth_m > 0])))
        if frame.confidence is not None:
            high_shares.append(float((frame.confidence == Level.HIGH).mean()))
    summary: dict[str, object] = {"frames": len(folder), **dict(sorted(counts.items()))}
    if medians:
        least, middle, most = np.percentile(medians, (0, 50, 100))
        summary |= {"least median depth, m": round(least, 2), "middle median depth, m": round(middle, 2)}
        summary["greatest median depth, m"] = round(most, 2)
    if high_shares:
        summary["mean share of confidence 2"] = round(float(np.mean(high_shares)), 3)
    return summary | {"sha256": folder.fingerprint()}


def draw_sheet(root: Path) -> Rgb:
    """RGB | depth | confidence of up to eight frames spread over the folder, one depth scale for all."""
    folder = open_folder(root, with_depth=True)
    names = spread(folder.names, SHEET_ROWS)
    far = max(float(np.percentile(folder.depth_m(name), 99)) for name in names)
    scale, levels = Scale(0.0, far, "m"), Scale(0.0, float(Level.HIGH), "", cv2.COLORMAP_VIRIDIS)
    rows = []
    for name in names:
        frame = folder.frame(name)
        assert frame.depth_m is not None  # with_depth saw to it
        confidence = read_confidence(folder.confidences[name]) if name in folder.confidences else None
        trust = np.full(frame.depth_m.shape, np.nan) if confidence is None else confidence.astype(np.float32)
        rows.append((name, [frame.rgb, scale.paint(frame.depth_m, frame.depth_m > 0), levels.paint(trust)]))
    return sheet(rows, ("RGB", "depth, metres", "confidence"), (scale, levels), TILE)
