"""A metric's value as text, the same in every table, sentence and page."""

from __future__ import annotations

from .metrics import FACTS
from .statistics import Interval

NOT_FINITE = "not finite"


def number(metric: str, value: float | None, absent: str = NOT_FINITE) -> str:
    """Two decimals of a score out of 100, four of everything else; what is not 0 does not look like it.

    So 0.00000081 is 8e-07, and an interval that ends at -8e-06 visibly excludes 0.
    """
    if value is None:
        return absent
    decimals = 2 if FACTS[metric].perfect == 100 else 4
    hidden = value != 0 and not round(value, decimals)
    return f"{value:.0e}" if hidden else f"{value:.2e}" if abs(value) >= 1e7 else f"{value:.{decimals}f}"


def interval_text(metric: str, interval: Interval | None) -> str:
    """ "[low, high]"; nothing where there is none."""
    return "" if interval is None else f"[{number(metric, interval[0])}, {number(metric, interval[1])}]"


def with_interval(metric: str, value: float | None, interval: Interval | None) -> str:
    """The value with its interval behind it."""
    return f"{number(metric, value)} {interval_text(metric, interval)}".rstrip()


def unit_and_direction(metric: str) -> str:
    return f"{FACTS[metric].unit}; {FACTS[metric].better}"
