"""Whether the map lies on its side: transposed, or turned by a quarter, then resized to the picture's shape.

Such a map has the right shape, so nothing stops it. It is judged beside the four views of meaning.py, and before them:
a map on its side may by chance look mirrored or inverted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from ...data.frame import Frame
from .findings import Finding, State
from .meaning import CONSISTENT_SHARE, KNOWS_DEPTH, KNOWS_VIEW, MOST_WORST, VIEW_MARGIN, FrameMeaning
from .meaning_compare import Map, rank_correlation, sample, shrink, varied

NAME = "not on its side"
TURNED: dict[str, Callable[[Map], Map]] = {
    "transposed": lambda values: values.T,
    "turned left": np.rot90,
    "turned right": lambda values: np.rot90(values, -1),
    "transposed and turned by 180 degrees": lambda values: values.T[::-1, ::-1],
}


def turned_ranks(frame: Frame, prediction: Map) -> dict[str, float]:
    """View of `TURNED` -> rank correlation of the prediction, (H, W) and finite, with the truth turned that way.

    Empty where the frame says nothing; see meaning_compare.varied.
    """
    found = varied(frame)
    if found is None:
        return {}
    truth, mask = found
    plain = shrink(prediction)
    ranks = {}
    for view, turn in TURNED.items():
        where = sample(turn(mask))
        ranks[view] = rank_correlation(sample(turn(truth))[where], plain[where])
    return ranks


def turned_finding(evidence: Sequence[FrameMeaning], turned: Sequence[Mapping[str, float]], basis: str) -> Finding:
    """evidence, turned: of the same frames, at least one; basis: on what it rests, in words."""
    upright = {view: float(np.mean([one.rank[view] for one in evidence])) for view in evidence[0].rank}
    sideways = {view: float(np.mean([one[view] for one in turned])) for view in TURNED}
    standing, best = (max(means, key=lambda view: abs(means[view])) for means in (upright, sideways))
    gain = abs(sideways[best]) - abs(upright[standing])
    better = np.mean([abs(two[best]) > abs(one.rank[standing]) for one, two in zip(evidence, turned, strict=True)])
    found = f"rank correlation {upright[standing]:+.2f} {standing}, {sideways[best]:+.2f} {best} {basis}"
    if gain >= VIEW_MARGIN and abs(sideways[best]) >= KNOWS_VIEW and better >= CONSISTENT_SHARE:
        worst = sorted(evidence, key=lambda one: abs(one.rank[standing]))[:MOST_WORST]
        return finding("fail", f"{best}: {found}", tuple(one.name for one in worst))
    if abs(upright[standing]) >= KNOWS_DEPTH and -gain >= VIEW_MARGIN:
        return finding("pass", found)
    weak = abs(upright[standing]) < KNOWS_DEPTH
    return finding("undecided", f"{found}: {'the model' if weak else 'the difference'} is too weak to tell")


def finding(state: State, found: str, worst: tuple[str, ...] = ()) -> Finding:
    return Finding(
        NAME,
        state,
        "rows are rows and columns are columns",
        found,
        "A map on its side puts every object at the wrong place, and the scorer compares place by place; "
        "even one and the same depth everywhere scores 32 on varied frames, the truth 98.",
        "Look for an exchange of height and width: resize takes (width, height), arrays are (height, width); or for an "
        "orientation mark of the photo (EXIF) that was applied to the picture and not to its depth.",
        worst,
    )
