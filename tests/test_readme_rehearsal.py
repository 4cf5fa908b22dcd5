"""The README's rehearsal of AI Hub, as it stands there, line by line in a shell, on a small run."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import pytest
from page_bench import in_shell

README = Path(__file__).resolve().parent.parent / "README.md"
S24 = "Samsung Galaxy S24"

pytestmark = [
    pytest.mark.skipif(os.name != "posix", reason="the README's block is for a POSIX shell"),
    pytest.mark.slow,  # test_guide.py runs the same commands in the fast suite
]


def block() -> str:
    """The commands between the two marks."""
    _, marked, _ = README.read_text().split("<!-- rehearsal -->")
    (commands,) = re.findall(r"```bash\n(.*?)```", marked, re.DOTALL)
    return commands


def test_the_block_as_it_stands_in_the_readme(tiny_run: Path, scenes: Path, tmp_path: Path) -> None:
    (tmp_path / "demo" / "runs").mkdir(parents=True)
    shutil.copytree(tiny_run, tmp_path / "demo" / "runs" / "student")
    (tmp_path / "demo" / "held_out").symlink_to(scenes)
    ended = in_shell(block(), tmp_path)
    said = ended.stdout + ended.stderr
    assert ended.returncode == 0, said
    assert "Traceback" not in said
    token = re.search(r"api_token = (\S+)", (tmp_path / "runs/aihub/stand-in/client.ini").read_text())
    assert token
    assert token[1] not in said

    # What was measured and scored is said to be of this CPU, wherever a number stands.
    by = f"this CPU (stand-in for {S24}), not a device"
    ids = dict(re.findall(r"(compile|profile|inference) job (jlocal[a-z0-9]+) submitted", ended.stderr))
    assert f"Profile, measured on {by}" in ended.stdout
    _, scored = ended.stdout.split(f"{ids['inference']}, computed by {by} on 4 frames of demo/held_out: mean")
    assert re.search(r"f_score \(ranks\)\W+\d", scored)
    # Every job is in the list, once, and as a rehearsal's.
    _, listed = scored.split("3 jobs in runs/aihub/ledger.sqlite\n")
    rows = [re.findall(r"[^│]+", line) for line in listed.splitlines() if line.startswith("│")]
    assert [(job.strip(), kind.strip(), state.strip()) for job, kind, state, *_ in rows] == [
        (ids[kind], kind, "stand-in, success") for kind in ("inference", "profile", "compile")
    ]
