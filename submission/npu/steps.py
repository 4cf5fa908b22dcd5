"""Which step of how many has begun, for a command that takes minutes in each of them."""

from __future__ import annotations

from ...console import note


class Steps:
    """Counts the steps of a command as they begin, on stderr."""

    def __init__(self, total: int) -> None:
        self.total, self.begun = total, 0

    def begin(self, what: str) -> None:
        self.begun += 1
        note(f"Step {self.begun} of {self.total}: {what}")

    def remain(self, number: int) -> None:
        """So many are still to come, where it turned out to be fewer than were planned."""
        self.total = self.begun + number
