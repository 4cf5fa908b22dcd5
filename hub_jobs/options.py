"""Options that several commands of AI Hub share, and what they default to; `lpcv --help` loads it, so it is light."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click

FILE = click.Path(path_type=Path)
# 0.9 GB of float32 before compression: a broken upload costs minutes, and 2,000 frames cost 8 jobs
FRAMES_PER_JOB = 250
Command = TypeVar("Command", bound=Callable[..., Any])

hub_option = click.option(
    "--hub",
    metavar="PROFILE|local",
    help="A profile of ~/.qai_hub, an .ini file, or `local` for a rehearsal. Default: your AI Hub configuration.",
)
timeout_option = click.option(
    "--timeout",
    "timeout_s",
    type=click.FloatRange(0),
    help="Stop waiting for a job after so many seconds; the stand-in may answer some 15 s later.",
)

_OF_A_JOB = (
    hub_option,
    click.option(
        "--wait/--no-wait", "wait", default=True, show_default=True,
        help="Follow the job; Ctrl-C is safe. A compile job that the command needs is waited for in any case.",
    ),
    timeout_option,
    click.option("--again", is_flag=True, help="Order the same once more, if the last one has ended."),
    click.option("--yes", is_flag=True, help="Do not ask before a job is spent; without a terminal nothing is asked."),
    click.option("--dry-run", is_flag=True, help="Show what would be done; send nothing, write only --json."),
    click.option("--json", "json_file", type=FILE, help="Write what came of it, or would be done, as JSON."),
)  # fmt: skip


@dataclass(frozen=True)
class How:
    """What the options of `of_a_job` said."""

    hub: str | None
    wait: bool
    timeout_s: float | None
    again: bool
    yes: bool
    dry_run: bool
    json_file: Path | None


def of_a_job(command: Command) -> Command:
    """The options that every command has that orders jobs; their values are the fields of `How`."""
    for option in reversed(_OF_A_JOB):
        command = option(command)
    return command
