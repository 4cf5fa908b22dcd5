"""Whether a model's file can be given away as it is: one file, and nothing of the machine it was exported on in it.

Its bytes cannot be scrubbed, since every score and every job is of this very file.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from ...errors import InputError
from ...onnx_session import external_files
from ...runs import Run
from ..check.interface import parse_model
from .scrub import gives_away

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto

_STACK_TRACE = re.compile(r'File "[^"]+", line \d+')


def demand_portable(content: bytes, run: Run) -> None:
    """Raises InputError for a model that keeps weights elsewhere, or tells where or by whom it was made."""
    model = parse_model(content, str(run.model))
    if others := external_files(model):
        raise InputError(f"{run.model} keeps weights in {others[0]}.", f"Run `lpcv export {run.root}` again.")
    again = f"Run `lpcv export {run.root}` again, which leaves them out."
    for where, text in _texts(model):
        if _STACK_TRACE.search(text):
            raise InputError(
                f"{run.model} carries stack traces with paths of the machine it was exported on ({where}).", again
            )
        if given := gives_away(text):
            raise InputError(f"{run.model} carries {given} ({where}).", again)
    home = _home()
    if home.count("/") + home.count("\\") >= 2 and home.encode() in content:
        raise InputError(f"{run.model} carries the path of your home folder.", again)


def _home() -> str:
    try:
        return str(Path.home())
    except RuntimeError:  # a container's user may have none
        return ""


def _texts(model: ModelProto) -> Iterator[tuple[str, str]]:
    """(where, text) of everything in a model that a person or an exporter may write freely."""
    yield "its producer", f"{model.producer_name} {model.producer_version} {model.domain}"
    yield from _of("the model", model)
    yield from _of_graph(model.graph)
    for function in model.functions:
        yield from _of(f"function {function.name}", function)
        for node in function.node:
            yield from _of(f"node {node.name}", node)


def _of_graph(graph: GraphProto) -> Iterator[tuple[str, str]]:
    yield from _of(f"graph {graph.name}", graph)
    for tensor in graph.initializer:
        yield from _of(f"tensor {tensor.name}", tensor)
    for value in (*graph.input, *graph.output, *graph.value_info):
        yield from _of(f"value {value.name}", value)
    for node in graph.node:
        yield from _of(f"node {node.name}", node)
        for attribute in node.attribute:
            yield f"attribute {attribute.name}", attribute.doc_string
            for inner in (*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs):
                yield from _of_graph(inner)


def _of(where: str, part: object) -> Iterator[tuple[str, str]]:
    yield f"the doc string of {where}", getattr(part, "doc_string", "")
    for entry in getattr(part, "metadata_props", ()):
        yield f"the metadata of {where}", f"{entry.key}: {entry.value}"
