"""What a licence's name says of commercial use: one rule for teachers, weights and data."""

from __future__ import annotations

import re
from typing import Literal

Terms = Literal["commercial", "non-commercial", "unknown"]
NON_COMMERCIAL = re.compile(
    r"(?<![a-z])nc(?![a-z])|non-?\s?commercial|research[- ]((use|purposes?)[- ])?only|academic[- ](use|research|only)",
    re.IGNORECASE,
)
COMMERCIAL = re.compile(
    r"(apache([- ]license)?(,?[- ](version|v))?([- ]?2(\.0)?)?|mit|(new )?bsd([- ][0-4][- ]clause)?|isc|zlib|unlicense|"
    r"mpl-2\.0|cc0(-1\.0)?|public[- ]domain|cc[- ]by([- ]sa)?([- ][1-4]\.0)?)( license)?( \(torchvision\))?",
    re.IGNORECASE,
)
"""Licences that allow commercial use, as whole texts (`train.encoder_weights` adds torchvision); else unknown."""


def terms_of(licence: str) -> Terms:
    """ "unknown" where it is no name that is known here; an underscore is a hyphen, upper and lower case are one."""
    name = licence.strip().replace("_", "-")
    if NON_COMMERCIAL.search(name):
        return "non-commercial"
    return "commercial" if COMMERCIAL.fullmatch(name) else "unknown"
