"""Under which licence published weights stand, and what that means for a submission."""

from __future__ import annotations

from pathlib import Path

from ..console import note
from ..data.licences import terms_of

UNKNOWN = "unknown"
PERMISSIVE = "depth-anything/Depth-Anything-V2-Small-hf"
# The model cards of huggingface.co/depth-anything: Small is Apache-2.0, Base, Large and Giant are CC-BY-NC-4.0.
KNOWN_LICENCES = {
    "Depth-Anything-V2-Small": "apache-2.0",
    "Depth-Anything-V2-Base": "cc-by-nc-4.0",
    "Depth-Anything-V2-Large": "cc-by-nc-4.0",
    "Depth-Anything-V2-Metric-Indoor-Small": "apache-2.0",
    "Depth-Anything-V2-Metric-Outdoor-Small": "apache-2.0",
    "Depth-Anything-V2-Metric-Indoor-Base": "cc-by-nc-4.0",
    "Depth-Anything-V2-Metric-Outdoor-Base": "cc-by-nc-4.0",
    "Depth-Anything-V2-Metric-Indoor-Large": "cc-by-nc-4.0",
    "Depth-Anything-V2-Metric-Outdoor-Large": "cc-by-nc-4.0",
}


def known_licence(name: str) -> str | None:
    """Of published weights, by the last part of a hub id or folder; None where they are not listed here."""
    return KNOWN_LICENCES.get(name.rsplit("/", 1)[-1].removesuffix("-hf"))


def licence_of(name: str) -> str:
    """The licence of known weights, else of the model card of this hub id or folder; `UNKNOWN` where there is none."""
    if known := known_licence(name):
        return known
    from huggingface_hub import ModelCard  # late: `lpcv zoo` lists what is known without it

    card = Path(name) / "README.md"
    try:
        loaded = ModelCard.load(card if Path(name).is_dir() else name)
    except Exception:  # no card, no network, no front matter: all mean that nobody said
        return UNKNOWN
    return str(loaded.data.to_dict().get("license") or UNKNOWN)


def warn_of_licence(name: str, licence: str) -> None:
    """Say aloud what a licence means for a submission."""
    terms = terms_of(licence)
    if terms == "non-commercial":
        note(
            f"Licence: {name} is {licence}, which is non-commercial. Whether a student inherits that is unsettled, and "
            f"a prize winner rejected such weights. It is recorded with the result; {PERMISSIVE} is Apache-2.0."
        )
    elif licence == UNKNOWN:
        note(f"Licence: nobody says under which licence {name} stands. That is recorded with the result.")
    elif terms == "unknown":
        note(f"Licence: {name} is {licence}, and what that allows is not known here. It is recorded with the result.")
