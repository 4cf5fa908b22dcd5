"""Sharing a job, proved by reading it back."""

from __future__ import annotations

from collections.abc import Sequence

from ..errors import InputError
from .desk import Desk
from .history import Record


def share(desk: Desk, record: Record, addresses: Sequence[str]) -> tuple[str, ...]:
    """Share with `addresses` those who are not among the sharers yet; gives everybody it is shared with now.

    Sharing twice is harmless, so a command that was cut off is just typed again. Upper case is no other address.
    Raises InputError where AI Hub says yes and the address is not in its list afterwards.
    """
    job_id = record.job_id or ""
    now = desk.hub.sharing(job_id)
    missing = _absent(addresses, now)
    if missing:
        now = desk.hub.share(job_id, missing)
    absent = _absent(addresses, now)
    if absent:
        raise InputError(
            f"{job_id} was shared with {', '.join(absent)}, but reading it back does not show that.",
            f"Look at {record.url} and share it there by hand.",
        )
    if tuple(now) != record.shared:
        desk.add("shared", record.key, job_id, **{"with": list(now)})
    return now


def _absent(addresses: Sequence[str], sharers: Sequence[str]) -> list[str]:
    known = {sharer.casefold() for sharer in sharers}
    return [address for address in addresses if address.casefold() not in known]
