"""Whether the records in a bundle agree with one another: contract, licences, README.

What `lpcv package` derives from other records is derived again and compared: licences and README say nothing of their
own, and a README's commands are copied by people.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from ...contract import EDITIONS
from .layout import CONFIG, CONTRACT_FACTS, DECISIONS, JOBS, LICENCES, MANIFEST, PROVENANCE, README, SCORES
from .origin import licences
from .reproduce import readme
from .show import Checked

Records = Mapping[str, dict[str, Any]]


def contract_claims(facts: dict[str, Any]) -> Iterator[Checked]:
    """facts: of `CONTRACT_FACTS`, which must be those of an edition that is known here."""
    named = facts.get("name")
    name = named.get("value") if isinstance(named, dict) else None
    if not isinstance(name, str) or name not in EDITIONS:
        yield Checked("contract", "fail", f"{CONTRACT_FACTS} names no edition that this lpcv knows ({str(name)[:40]}).")
    # Through JSON, since tuples come back as lists.
    elif facts != json.loads(json.dumps(EDITIONS[name].as_json())):
        found = f"{CONTRACT_FACTS} differs from what this lpcv knows of {name}: compare the versions of lpcv."
        yield Checked("contract", "fail", found)
    else:
        yield Checked("contract", "pass", f"{CONTRACT_FACTS} is that of {name}")


def record_claims(records: Records, text: bytes, names: Collection[str]) -> Iterator[Checked]:
    """Decisions, licences and README. text: the README as it is; names: of all files in the bundle"""
    decided = records.get(DECISIONS)
    if decided is not None and decided.get("model_sha256") != records[PROVENANCE].get("model_sha256"):
        yield Checked("decisions", "fail", f"{DECISIONS} is of another model than {PROVENANCE}.")
    try:
        expected = licences(records[CONFIG], decided)
    except (KeyError, TypeError, AttributeError):
        yield Checked("licences", "fail", f"{DECISIONS} is no record of decisions.")
        expected = licences(records[CONFIG], None)
    if wrong := sorted(
        key for key in {*expected, *records[LICENCES]} if expected.get(key) != records[LICENCES].get(key)
    ):
        found = f"{LICENCES} is not what {CONFIG} and {DECISIONS} give: {', '.join(map(str, wrong))[:80]} differs."
        yield Checked("licences", "fail", found)
    else:
        yield Checked("licences", "pass", "they are those of the config, and those that were accepted")
    if text == _readme(records, names):
        yield Checked("README", "pass", "it is what this lpcv writes for these files")
    else:
        found = (
            f"{README} is not what this lpcv writes for these files: type none of its commands. Compare the versions."
        )
        yield Checked("README", "fail", found)


def _readme(records: Records, names: Collection[str]) -> bytes | None:
    """None where the records are not such that one could be written."""
    present = [name for name in names if name not in (README, MANIFEST)]
    try:
        return readme(records[CONFIG], records[SCORES], records[JOBS]["jobs"], present).encode()
    except (KeyError, TypeError, ValueError, AttributeError):
        return None
