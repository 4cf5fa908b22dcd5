"""What tests of a page's shell blocks share: the blocks with their marks, and a shell that sees this machine alone."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
AWAY = ("LPCV_HUB_FOLDER", "QAIHUB_CLIENT_INI", "NETRC", "PYTHONPATH")
HEADING = re.compile(r"^## (.+)$", re.MULTILINE)
BLOCK = re.compile(r"(?:<!-- ([^\n]+?) -->\n)?```bash\n(.*?)```", re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A shell block. mark: the HTML comment on the line before it, "" without; section: the heading above it"""

    section: str
    mark: str
    commands: str


def sections(page: str) -> dict[str, str]:
    """Heading -> what stands below it; "" -> what stands before the first."""
    _, *parts = re.split(HEADING, page)
    return {"": page.split("\n## ")[0], **dict(zip(parts[::2], parts[1::2], strict=True))}


def blocks(page: str) -> list[Block]:
    """All shell blocks, in order."""
    found = [
        Block(title, mark, commands) for title, text in sections(page).items() for mark, commands in BLOCK.findall(text)
    ]
    if len(found) != page.count("```bash"):
        raise ValueError("a shell block of this page is not understood")
    return found


def logical_lines(commands: str) -> list[str]:
    """Continuation lines joined; comments and empty lines dropped."""
    joined = commands.replace("\\\n", " ").splitlines()
    return [line for line in (line.split("  #")[0].strip() for line in joined) if line and not line.startswith("#")]


def in_shell(commands: str, here: Path, **more: str) -> subprocess.CompletedProcess[str]:
    """Run them as one POSIX shell script that stops at the first failure; no proxy or settings of the machine."""
    words = Path(sys.executable).parent
    if not (words / "lpcv").exists():
        raise AssertionError("the package is not installed in the environment of these tests")
    away = {*AWAY, *(name for name in os.environ if name.lower().endswith("_proxy"))}
    env = {name: value for name, value in os.environ.items() if name not in away}
    env |= {"PATH": f"{words}{os.pathsep}{os.environ['PATH']}", "HOME": str(here), "COLUMNS": "200", **more}
    return subprocess.run(
        ["bash", "-euo", "pipefail", "-c", commands], cwd=here, env=env, capture_output=True, text=True, check=False
    )
