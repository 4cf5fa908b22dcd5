"""The checklist before a submission: one line for each thing that has cost a participant a score."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from ...errors import InputError, UnknownNameError
from ..check.findings import State

EDITION, JOB, CHECK, PROFILE, LICENCES, BUNDLE = "edition", "job", "check", "profile", "licences", "bundle"
NAMES = (CHECK, JOB, PROFILE, LICENCES, BUNDLE, EDITION)
BY_NAME = "A licence is accepted by its own name: --accept-license NAME."


@dataclass(frozen=True)
class Item:
    """One line of the checklist.

    state: "undecided" where nothing can be said of it; such a line does not block, and is never called passed
    command: what mends it, as it is typed; empty where no command does
    firm: it failed, and no reason helps against that
    """

    name: str
    state: State
    found: str
    remedy: str = ""
    command: str = ""
    firm: bool = False

    def __post_init__(self) -> None:
        if self.name not in NAMES:
            raise ValueError(f"'{self.name}' is no line of the checklist")
        if self.state != "pass" and not self.remedy:
            raise ValueError(f"the line '{self.name}' must say what to do")


@dataclass(frozen=True)
class Overrides:
    """Failed lines that a person sends a model in spite of, and why; both are recorded."""

    despite: tuple[str, ...] = ()
    reason: str = ""

    def __post_init__(self) -> None:
        """Raises InputError or UnknownNameError where there is no reason, nothing to give one for, or no such line."""
        allowed = [name for name in NAMES if name != LICENCES]
        for name in self.despite:
            if name == LICENCES:
                raise InputError("--despite licences is not how a licence is accepted.", BY_NAME)
            if name not in allowed:
                raise UnknownNameError("line of the checklist called", name, allowed)
        if self.despite and not self.reason.strip():
            raise InputError("--despite needs a reason, which is recorded.", 'Add --reason "...".')
        if self.reason and not self.despite:
            raise InputError("--reason gives a reason for nothing.", "Add --despite CHECK.")


@dataclass(frozen=True)
class Checklist:
    """All lines, and those that were overridden.

    failed: those that had failed when it was typed, and have been mended since
    """

    items: tuple[Item, ...]
    overrides: Overrides = field(default_factory=Overrides)
    failed: tuple[str, ...] = ()

    def __getitem__(self, name: str) -> Item:
        return next(item for item in self.items if item.name == name)

    def with_item(self, item: Item) -> Checklist:
        """That line as it is now; that it had failed is not forgotten."""
        items = tuple(item if each.name == item.name else each for each in self.items)
        return replace(self, items=items, failed=tuple(each.name for each in self.items if self._failed(each)))

    @property
    def blocking(self) -> list[Item]:
        """Failed, and not overridden."""
        return [
            item
            for item in self.items
            if item.state == "fail" and (item.firm or item.name not in self.overrides.despite)
        ]

    @property
    def overridden(self) -> list[str]:
        """Names of lines that had failed when it was typed, and are sent all the same; no others."""
        despite = self.overrides.despite
        return [item.name for item in self.items if self._failed(item) and not item.firm and item.name in despite]

    @property
    def in_vain(self) -> list[str]:
        """Named after --despite, and not failed."""
        failed = {item.name for item in self.items if self._failed(item)}
        return [name for name in dict.fromkeys(self.overrides.despite) if name not in failed]

    def said(self, item: Item) -> str:
        """The word for a line in the table."""
        return "FAIL, sent all the same" if item.name in self.overridden and item.state == "fail" else item.state

    def _failed(self, item: Item) -> bool:
        return item.state == "fail" or item.name in self.failed

    def as_json(self) -> dict[str, Any]:
        """For the record: the lines, what was overridden, and why."""
        overridden = self.overridden
        return {
            "items": [{key: value for key, value in asdict(item).items() if key != "firm"} for item in self.items],
            "despite": overridden,
            "reason": self.overrides.reason if overridden else "",
        }


def names_of(items: Sequence[Item]) -> str:
    return ", ".join(item.name for item in items)
