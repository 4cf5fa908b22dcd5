"""The README and the help are true to the code."""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from lpcv.cli import COMMANDS, lpcv
from lpcv.errors import LpcvError
from lpcv.hub_jobs.htp.advice import ADVICE, Advice
from lpcv.submission.check.findings import GROUPS

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text()
SHELL_BLOCK = re.compile(r"```(?:bash|sh|console)\n(.*?)```", re.DOTALL)


def commands(group: click.Group, prefix: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        yield (*prefix, name), command
        if isinstance(command, click.Group):
            yield from commands(command, (*prefix, name))


ALL = dict(commands(lpcv))
LEAVES = {path: command for path, command in ALL.items() if not isinstance(command, click.Group)}


def lines_of(text: str) -> list[str]:
    """The `lpcv ...` commands of a shell text, continuation lines joined, comments dropped."""
    joined = text.replace("\\\n", " ")
    inside = re.compile(r"\$\((lpcv [^)]*)\)")  # a command whose output is a word of another
    lines = [*inside.sub("WORD", joined).splitlines(), *inside.findall(joined)]
    parts = (part.strip() for line in lines for part in re.split(r"&&|\|", line.split(" #")[0]))
    return [part for part in parts if part.startswith("lpcv ")]


def parse(line: str) -> None:
    """Parse a command line against the real CLI, without running it. Raises where click would refuse it."""
    words = shlex.split(line)[1:]
    group: click.Command = lpcv
    context = click.Context(lpcv, info_name="lpcv")
    while isinstance(group, click.Group) and words and not words[0].startswith("-"):
        found = group.get_command(context, words[0])
        assert found is not None, f"there is no command '{words[0]}' in: {line}"
        group, words = found, words[1:]
    if words not in (["--help"], ["--version"]):
        group.make_context(group.name or "lpcv", list(words))


PAGES = [README, *(path.read_text() for path in sorted((ROOT / "docs").glob("*.md")))]
PAGES_COMMANDS = [line for page in PAGES for block in SHELL_BLOCK.findall(page) for line in lines_of(block)]


def test_pages_have_commands() -> None:
    assert len(PAGES_COMMANDS) > 40


@pytest.mark.parametrize("line", dict.fromkeys(PAGES_COMMANDS))
def test_commands_on_the_pages_parse(line: str) -> None:
    parse(line)


@pytest.mark.parametrize("line", ["lpcv trian --data x", "lpcv score --data x", "lpcv score x --dta y"])
def test_the_parser_of_these_tests_refuses(line: str) -> None:
    with pytest.raises((click.ClickException, LpcvError, AssertionError)):
        parse(line)


@pytest.mark.parametrize("path", ALL, ids=" ".join)
def test_every_command_has_help_and_a_place_in_the_readme(path: tuple[str, ...]) -> None:
    assert ALL[path].help
    assert f"lpcv {' '.join(path)}" in README


@pytest.mark.parametrize("path", LEAVES, ids=" ".join)
def test_every_command_shows_examples_that_parse(path: tuple[str, ...]) -> None:
    examples = [line for line in lines_of(LEAVES[path].help or "") if line.startswith(f"lpcv {' '.join(path)}")]
    assert examples
    for line in examples:
        parse(line.replace("...", ""))


@pytest.mark.parametrize("path", LEAVES, ids=" ".join)
def test_every_option_has_help(path: tuple[str, ...]) -> None:
    for parameter in LEAVES[path].params:
        if isinstance(parameter, click.Option):
            assert parameter.help, f"{parameter.name} of {path}"


def test_every_verb_is_in_one_stage() -> None:
    verbs = [verb for stage in COMMANDS.values() for verb in stage]
    assert len(verbs) == len(set(verbs))


def tree_entries() -> dict[str, str]:
    """Path -> clause, of the README's tree."""
    block = README.split("<!-- tree -->")[1]
    entries, folder = {}, ""
    for line in block.splitlines():
        found = re.match(r"^( *)([\w./-]+) +(.+)$", line)
        if found:
            indent, name, clause = found.groups()
            folder = folder if indent else (name if name.endswith("/") else "")
            path = f"{folder}{name}" if indent else name
            entries[path] = clause
    return entries


def test_readme_tree_matches_the_repository() -> None:
    tracked = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    sources = {
        path for path in tracked
        if path.endswith(".py") and not path.startswith(("tests/", "benchmarks/")) and Path(path).name != "__init__.py"
    }  # fmt: skip
    entries = tree_entries()
    listed = {path for path in entries if path.endswith(".py") and Path(path).name != "__init__.py"}
    assert listed == sources
    for path, clause in entries.items():
        assert (ROOT / path).exists(), path
        assert len(clause) > 5


def test_every_finding_of_the_check_stands_on_its_page() -> None:
    page = (ROOT / "docs" / "check.md").read_text().split("## Every finding")[1]
    named = [
        name
        for row in re.findall(r"^\| (?!\*\*|---|finding)([^|]+) \|", page, re.MULTILINE)
        for name in row.split(", ")
    ]
    latencies = ["latency, estimated", "latency, measured"]  # their names have a comma
    assert [*named[: named.index("latency")], *latencies, *named[named.index("latency") + 4 :]] == [
        name for names in GROUPS.values() for name in names
    ]


@pytest.mark.parametrize("row", ADVICE, ids=lambda row: f"{row.op_type}-{row.pattern}")
def test_what_to_use_instead_stands_on_its_page(row: Advice) -> None:
    page = (ROOT / "docs" / "npu.md").read_text()
    assert f"| {row.remedy} |" in page
    assert f"| {row.op_type or 'any'} |" in page


def test_changelog_names_the_version() -> None:
    from lpcv import __version__

    assert f"## {__version__}" in (ROOT / "CHANGELOG.md").read_text()
