"""The devices of AI Hub as recorded from public sources, and how the service matches a query with them.

The stand-in answers from this list, and a mistyped name gets its nearest neighbours. The real service's own list is
longer and changes: what it says is what counts, wherever it can be asked.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from ..errors import InputError

RECORD = Path(__file__).with_name("devices.json")

# How AI Hub spells them in attributes; source: attributes that public repositories recorded from the service.
_OS_SPELLING = {"Android": "android", "Windows": "windows", "Qualcomm Linux": "qc_linux"}
_ABI = {"Android": "aarch64-android", "Windows": "aarch64-windows", "Qualcomm Linux": "aarch64-oe-linux-gcc11"}
_MAKERS = ("google", "samsung", "xiaomi")  # whoever is not named first in the device's name is Qualcomm itself


@dataclass(frozen=True)
class Device:
    """One entry of AI Hub's list.

    os: "Android", "Windows" or "Qualcomm Linux"; os_version: "14", which is what the client calls `Device.os`
    chipset, chipset_also: the service's names, "qualcomm-snapdragon-8gen3" and ("sm8650",)
    htp_arch: the NPU's instruction set, "v75"; soc_model: the HTP compiler's number; None where not recorded
    htp_fp16: whether the NPU computes in half precision; frameworks: runtimes that can be run on it
    """

    name: str
    os: str
    os_version: str
    form_factor: str
    chipset: str
    chipset_also: tuple[str, ...]
    htp_arch: str | None
    soc_model: int | None
    htp_fp16: bool | None
    frameworks: tuple[str, ...]

    @property
    def attributes(self) -> tuple[str, ...]:
        """As AI Hub writes them, sorted: "chipset:sm8650", "framework:tflite", "hexagon:v75", "os:android"..."""
        first_word = self.name.split()[0].lower()
        pairs = [
            ("abi", _ABI[self.os]),
            ("format", self.form_factor.lower()),
            ("os", _OS_SPELLING[self.os]),
            ("vendor", first_word if first_word in _MAKERS else "qualcomm"),
            *(("chipset", chipset) for chipset in (self.chipset, *self.chipset_also)),
            *(("framework", framework) for framework in self.frameworks),
        ]
        if self.htp_arch is not None:
            pairs.append(("hexagon", self.htp_arch))
        if self.soc_model is not None:
            pairs.append(("soc-model", str(self.soc_model)))
        if self.htp_fp16:
            pairs.append(("htp-supports-fp16", "true"))
        return tuple(sorted(f"{key}:{value}" for key, value in pairs))


@cache
def recorded() -> tuple[Device, ...]:
    """Every recorded device, in the order of the record."""
    rows = json.loads(RECORD.read_text(encoding="utf-8"))["devices"]
    return tuple(
        Device(**{**row, "chipset_also": tuple(row["chipset_also"]), "frameworks": tuple(row["frameworks"])})
        for row in rows
    )


def matching(
    devices: Iterable[Device], name: str = "", os: str = "", attributes: Sequence[str] = (), select: bool = False
) -> list[Device]:
    """What a server answers to a query; "" and () match everything.

    name: exact; os: an exact version "14" or a right-open interval "[13,15)", either side of which may be empty;
    attributes: all must be present; select: only the one to run on, which is the newest system's first entry.
    Source: the client's documentation of `Device` and `get_devices` (qai_hub 0.56.0, client.py:693 to 758, 3478).
    Raises InputError for an interval or a version that cannot be read.
    """
    covers = _os_query(os)
    wanted = set(attributes)
    found = [
        device
        for device in devices
        if (not name or device.name == name) and covers(device.os_version) and wanted <= set(device.attributes)
    ]
    if not select:
        return found
    newest = max((_version(device.os_version) for device in found), default=())
    return [device for device in found if _version(device.os_version) == newest][:1]


def same_chip(device: str, devices: Sequence[str]) -> bool:
    """Whether a device is one of these, or has the chip of one: AI Hub lists one phone under several names."""
    chips = {one.name: one.chipset for one in recorded()}
    return device in devices or (device in chips and chips[device] in {chips.get(name) for name in devices})


def nearest(name: str, known: Iterable[str], most: int = 4) -> list[str]:
    """The known names that someone who typed `name` may have meant, likeliest first; [] where none is near.

    Each typed word counts by its best match among a name's words; a model number ("S24") must be right or nearly so,
    since S23 is another device. Of equally good names the one with the fewest words that were not typed comes first.
    """
    names = list(dict.fromkeys(known))
    typed = _words(name)
    scored = []
    for candidate in names:
        words = _words(candidate)
        if not typed or not words:
            continue
        best = [max(_likeness(word, other) for other in words) for word in typed]
        weights = [2 if _is_number(word) else 1 for word in typed]
        found = sum(weight * value for weight, value in zip(weights, best, strict=True)) / sum(weights)
        untyped = sum(max(_likeness(word, other) for other in typed) < 0.75 for word in words)
        if found >= 0.6:
            scored.append((-round(found, 3), untyped, candidate))
    if not scored:  # perhaps words that were run together: "galaxys24"
        whole = {"".join(_words(candidate)): candidate for candidate in names}
        return [whole[close] for close in difflib.get_close_matches("".join(typed), whole, n=most, cutoff=0.7)]
    top = min(score for score, _, _ in scored)
    return [candidate for score, _, candidate in sorted(scored) if score <= top + 0.25][:most]


def _os_query(os: str) -> Callable[[str], bool]:
    """A test of an os version. Raises InputError."""
    if not os:
        return lambda version: True
    if not os.startswith("["):
        return lambda version: version == os
    interval = re.fullmatch(r"\[\s*([^,\s]*)\s*,\s*([^,\s]*)\s*\)", os)
    if interval is None:
        raise InputError(f"'{os}' is no interval of system versions.", 'Write it right-open: "[13,15)" or "[13,)".')
    low, high = (_version(side) if side else None for side in interval.groups())
    return lambda version: (low is None or low <= _version(version)) and (high is None or _version(version) < high)


def _version(text: str) -> tuple[int, ...]:
    """ "1.10" -> (1, 10), "14.0" -> (14,), so that versions compare as numbers."""
    if not re.fullmatch(r"\d+(\.\d+)*", text, flags=re.ASCII):
        raise InputError(f"'{text}' is no version of a system.", 'Write numbers with dots: "14" or "1.6".')
    parts = [int(part) for part in text.split(".")]
    while len(parts) > 1 and parts[-1] == 0:
        parts.pop()
    return tuple(parts)


def _words(text: str) -> list[str]:
    """Lower-case words; a number is cut from a word that follows it ("S24ultra"), a plus is a word ("S24+")."""
    return re.findall(r"[a-z]*\d+|[a-z]+|\+", text.lower())


def _is_number(word: str) -> bool:
    return any(character.isdigit() for character in word)


def _likeness(word: str, other: str) -> float:
    """0 to 1. Two model numbers are not alike by sharing digits, only a little by being of one series (S24, S23)."""
    if word == other:
        return 1.0
    if _is_number(word) or _is_number(other):
        return 0.3 if word.rstrip("0123456789") == other.rstrip("0123456789") else 0.0
    return difflib.SequenceMatcher(None, word, other).ratio()
