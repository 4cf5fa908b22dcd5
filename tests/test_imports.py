"""Who may import whom, and what may be imported when."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import plumbing_run

ROOT = Path(__file__).resolve().parent.parent
FOUNDATION = {
    "contract", "errors", "files", "console", "runs", "onnx_session", "machine", "prediction_folder", "hub_folder",
    "__init__",
}  # fmt: skip
ROOMS = {
    "data": FOUNDATION,
    "evaluate": FOUNDATION | {"data"},
    "train": FOUNDATION | {"data", "evaluate"},
    "hub_jobs": FOUNDATION | {"data"},
    "submission": FOUNDATION | {"data", "evaluate", "train", "hub_jobs"},
}
# A library that only one room may import, and a library that a room may never import.
ONLY_IN = {"transformers": "train", "qai_hub": "hub_jobs", "onnxruntime_qnn": "hub_jobs"}
NEVER_IN = {"hub_jobs": {"torch", "onnxruntime_qnn"}, "data": {"torch"}, "evaluate": {"torch"}}
# The one module of its room that may, imported late; hub_jobs' runs in a process of its own.
DOORS = {
    "torch": {"evaluate/neighbours_torch.py", "hub_jobs/stand_in/torchscript.py"},
    "onnxruntime_qnn": {"hub_jobs/htp/child.py"},
}
FOUNDATION_ORDER = {
    "contract": set(),
    "errors": set(),
    "console": set(),
    "machine": set(),
    "files": {"errors"},
    "onnx_session": {"errors"},
    "runs": {"errors", "files"},
    "prediction_folder": {"errors", "files"},
    "hub_folder": {"errors", "files"},
}


def modules() -> list[Path]:
    return [path for room in ROOMS for path in sorted((ROOT / room).rglob("*.py"))]


class WithoutTypes(ast.NodeTransformer):
    """Removes what only a type checker imports."""

    def visit_If(self, node: ast.If) -> ast.AST | None:
        return None if ast.unparse(node.test) == "TYPE_CHECKING" else self.generic_visit(node)


def imported(path: Path, *, types: bool = True) -> Iterator[str]:
    """Our modules as "room.module" (absolute inside the package), others by their top name.

    types: also what only a type checker imports
    """
    parts, tree = path.relative_to(ROOT).with_suffix("").parts, ast.parse(path.read_text())
    for node in ast.walk(tree if types else WithoutTypes().visit(tree)):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield (node.module or "").split(".")[0]
        elif isinstance(node, ast.ImportFrom):
            base = parts[: len(parts) - node.level]
            names = [node.module] if node.module else [alias.name for alias in node.names]
            yield from ("lpcv:" + ".".join((*base, *(name or "").split("."))) for name in names)


def test_every_room_has_modules() -> None:
    assert {path.relative_to(ROOT).parts[0] for path in modules()} == set(ROOMS)


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_rooms_import_only_what_lies_below(path: Path) -> None:
    inside = path.relative_to(ROOT).as_posix()
    room = inside.split("/")[0]
    for name in imported(path):
        if name.startswith("lpcv:"):
            top = name.removeprefix("lpcv:").split(".")[0].replace("__version__", "__init__")
            assert top == room or top in ROOMS[room], f"{path} imports {name}"
        else:
            assert name != "lpcv", f"{path} imports lpcv absolutely; use a relative import"
            assert ONLY_IN.get(name, room) == room, f"{path} imports {name}"
            assert name not in NEVER_IN.get(room, set()) or inside in DOORS.get(name, ()), f"{path} imports {name}"


def test_every_package_is_shipped() -> None:
    shipped = set(tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"])
    folders = {path.parent.relative_to(ROOT) for room in ROOMS for path in (ROOT / room).rglob("__init__.py")}
    assert shipped == {"lpcv", *(".".join(("lpcv", *folder.parts)) for folder in folders)}


@pytest.mark.parametrize("name", sorted(FOUNDATION_ORDER))
def test_foundation_imports_no_room(name: str) -> None:
    ours = {entry.removeprefix("lpcv:") for entry in imported(ROOT / f"{name}.py") if entry.startswith("lpcv:")}
    assert ours <= FOUNDATION_ORDER[name]


def test_package_init_imports_nothing() -> None:
    assert list(imported(ROOT / "__init__.py")) == []


def loaded_after(arguments: list[str]) -> set[str]:
    """Top-level modules that `lpcv ARGUMENTS` has loaded by its end, in a process of its own."""
    program = (
        "import sys; from lpcv.cli import run; code = run(sys.argv[1:]); print('\\n', *sys.modules); sys.exit(code)"
    )
    done = subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=True)
    return {name.split(".")[0] for name in done.stdout.splitlines()[-1].split()}


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["train", "--help"], ["contract"], ["recipes"], ["protocols"], ["score", "--help"]],
    ids=" ".join,
)
def test_light_commands_do_not_import_torch(arguments: list[str]) -> None:
    loaded = loaded_after(arguments)
    assert "click" in loaded  # the probe sees modules at all
    assert not loaded & {"torch", "torchvision", "transformers", "onnxruntime", "qai_hub", "numba"}


@pytest.mark.slow
def test_a_student_is_trained_without_transformers(scenes: Path, tmp_path: Path) -> None:
    """Which takes seconds to import, in every process."""
    loaded = loaded_after(plumbing_run(scenes, tmp_path / "run", 1))
    assert (tmp_path / "run" / "checkpoints").is_dir()
    assert "torch" in loaded
    assert "transformers" not in loaded


def test_package_folder_is_dropped_from_the_path(tmp_path: Path) -> None:
    """In the repository's root, `import evaluate` by a third party must not find our folder."""
    program = (
        "import runpy, sys; sys.argv = ['lpcv', '--version']\ntry: runpy.run_module('lpcv', run_name='__main__')\n"
    )
    program += "except SystemExit: pass\nimport importlib.util; print(importlib.util.find_spec('submission'))"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "None"


def test_telemetry_is_off_before_onnxruntime_is_imported(tmp_path: Path) -> None:
    program = (
        "import os; os.environ.pop('ORT_DISABLE_TELEMETRY', None)\n"
        "from pathlib import Path; from lpcv.onnx_session import open_session\n"
        "try: open_session(b'no model')\nexcept Exception: pass\n"
        "import sys; print('onnxruntime' in sys.modules, os.environ['ORT_DISABLE_TELEMETRY'])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "1"]


def test_onnxruntime_is_imported_behind_one_door_and_in_the_emulators_process() -> None:
    doors = {ROOT / "onnx_session.py", ROOT / "hub_jobs" / "htp" / "child.py"}
    offenders = [
        path
        for path in (*modules(), *ROOT.glob("*.py"))
        if path not in doors and "onnxruntime" in set(imported(path, types=False))
    ]
    assert offenders == []
