"""A saved `torch.export` program without the parts that run a stranger's code when they are read.

`torch.export.load` (torch 2.15) unpickles without restriction: the example inputs where the restricted reader stops
(`deserialize_torch_artifact`), weights and constants marked `use_pickle`, and objects that are no tensors. It evaluates
sizes that are formulas (`sympy.sympify`), looks up any attribute below `torch` as an operator, imports modules that a
tree of inputs names, writes names into Python source that it then runs, and loads compiled libraries. None of this is
needed for a program of tensors: what is needed is copied, the rest is left out or refused.
"""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Iterator
from keyword import iskeyword
from pathlib import Path
from typing import Any

from ...errors import InputError

GRAPH, SAMPLES = "models/model.json", "data/sample_inputs/model.pt"
CONFIGS = ("data/weights/model_weights_config.json", "data/constants/model_constants_config.json")
HEADER = ("archive_format", "archive_version", "byteorder", ".data/version")
TENSORS = re.compile(r"data/(weights/weight|constants/tensor)_\d+")
NATIVE = "data/aotinductor/"
OPERATORS = re.compile(
    r"torch\.ops\.(aten|prims|higher_order)\.\w+(\.\w+)?|torch\.sym_\w+"
    r"|_operator\.(getitem|add|sub|mul|floordiv|truediv|mod|neg|pos|eq|ne|lt|le|gt|ge|and_|or_)"
)
"""torch's own operators. aten has none that reaches a file but these two, which are refused:"""
REACH_A_FILE = re.compile(r"aten\.(save|from_file)\b")
SYMBOL = re.compile(r"[su]\d+|Symbol\('[su]\d+'(, \w+=(True|False))*\)")
TREES = {None, "builtins.tuple", "builtins.list", "builtins.dict", "collections.OrderedDict"}
REMEDY = (
    "Save it again with torch.export.save of torch 2.9 or newer; inputs and weights must be tensors of fixed sizes."
)


def harmless(path: Path) -> io.BytesIO:
    """The program as an archive in memory that `torch.export.load` reads without running anything.

    Raises InputError where the file is no such archive, or cannot do without what is left out.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = _members(archive, path)
            return _archive({name: _content(archive, info, name, path) for name, info in members.items()})
    except (zipfile.BadZipFile, EOFError, OSError, NotImplementedError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is a damaged archive ({error}).", "Copy or download it again.") from None


def _members(archive: zipfile.ZipFile, path: Path) -> dict[str, zipfile.ZipInfo]:
    """Name inside the archive's one folder -> member, of what is needed."""
    inside = {info.filename.partition("/")[2]: info for info in archive.infolist()}
    if any(name.startswith(NATIVE) for name in inside):
        raise _refused(path, "it holds compiled libraries, which are not run here")
    if missing := [name for name in (GRAPH, *CONFIGS) if name not in inside]:
        raise _refused(path, f"it has no {missing[0]}: an older torch has saved it, as a pickle")
    known = (GRAPH, *CONFIGS, *HEADER)
    wanted = {name: info for name, info in inside.items() if name in known or TENSORS.fullmatch(name)}
    for info in wanted.values():
        if info.compress_type != zipfile.ZIP_STORED:  # torch stores; packed ones might not fit the memory
            raise _refused(path, f"its {info.filename} is packed")
    return wanted


def _content(archive: zipfile.ZipFile, info: zipfile.ZipInfo, name: str, path: Path) -> bytes:
    content = archive.read(info)
    if not name.endswith(".json"):
        return content
    try:
        parsed = json.loads(content)
    except (ValueError, RecursionError):
        raise _refused(path, f"{name} is no JSON") from None
    if name == GRAPH:
        parsed = _without_extras(parsed)
        for problem in _dangers(parsed):
            raise _refused(path, problem)
    else:
        for tensor, entry in parsed["config"].items():
            if entry.get("use_pickle") or not TENSORS.fullmatch(f"{name.rpartition('/')[0]}/{entry.get('path_name')}"):
                raise _refused(path, f"{tensor} is pickled")
    return json.dumps(parsed).encode()


def _without_extras(node: Any) -> Any:
    """Without guards, which are Python source, and without what the tracer noted of the user's files."""
    if isinstance(node, list):
        return [_without_extras(one) for one in node]
    if not isinstance(node, dict):
        return node
    empty = {"guards_code": [], "metadata": {}}
    return {key: empty[key] if key in empty else _without_extras(value) for key, value in node.items()}


def _dangers(node: Any) -> Iterator[str]:
    if isinstance(node, list):
        for one in node:
            yield from _dangers(one)
    if not isinstance(node, dict):
        return
    for key, value in node.items():
        if value is None:
            continue
        if key in ("target", "as_operator") and not _is_operator(value):
            yield f"it calls {value}, which is no operator of torch's own"
        elif key == "name" and value != "" and not _is_name(value):
            yield f"{value!r} is no name"
        elif key == "expr_str" and not (isinstance(value, str) and SYMBOL.fullmatch(value)):
            yield f"a size is the formula {value}"
        elif key == "range_constraints" and not all(SYMBOL.fullmatch(symbol) for symbol in value):
            yield "a range is of a formula"
        elif key in ("in_spec", "out_spec") and not _is_plain_tree(value):
            yield "its inputs or outputs are more than tensors in tuples, lists and dictionaries"
        elif key == "forward_arg_names" and not all(map(_is_name, value)):
            yield "an input's name is no name"
        elif key == "as_custom_obj" or key.startswith("as_opaque"):
            yield "it holds an object that is no tensor"
        else:
            yield from _dangers(value)


def _is_operator(value: object) -> bool:
    return isinstance(value, str) and bool(OPERATORS.fullmatch(value)) and not REACH_A_FILE.search(value)


def _is_name(value: object) -> bool:
    return isinstance(value, str) and value.isidentifier() and not iskeyword(value)


def _is_plain_tree(spec: object) -> bool:
    """Whether a pytree's specification is of Python's own containers, with names as keys."""
    try:
        version, tree = json.loads(str(spec))
        return version == 1 and _is_plain(tree)
    except (ValueError, TypeError, KeyError):
        return False


def _is_plain(tree: dict[str, Any]) -> bool:
    context = tree["context"]
    keys = json.loads(context) if isinstance(context, str) else context
    plain = keys is None or (isinstance(keys, list) and all(map(_is_name, keys)))
    return tree["type"] in TREES and plain and all(map(_is_plain, tree["children_spec"]))


def _archive(members: dict[str, bytes]) -> io.BytesIO:
    """In torch's form; no example inputs, which are an empty file."""
    place = io.BytesIO()
    with zipfile.ZipFile(place, "w", zipfile.ZIP_STORED) as archive:
        for name, content in {**members, SAMPLES: b""}.items():
            archive.writestr(f"program/{name}", content)
    place.seek(0)
    return place


def _refused(path: Path, reason: str) -> InputError:
    return InputError(f"{path} is not opened, because opening it could run a stranger's code: {reason}.", REMEDY)
