"""What values a model's tensors take for one input, measured by ONNX Runtime in float32."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ...errors import InputError, first_line
from ...onnx_session import open_session
from ..value_ranges import add_range_outputs
from .graph import FLOAT, Graph, load


def value_ranges(model: Path | bytes, feed: Mapping[str, npt.NDArray[Any]]) -> dict[str, tuple[float, float]]:
    """Every float32 value of the top graph -> (least, greatest), the inputs' among them.

    Raises InputError where `model` cannot be run with that feed.
    """
    import onnx

    loaded = load(model)
    known = Graph(loaded)
    if isinstance(model, Path):
        onnx.load_external_data_for_model(loaded, str(model.parent))
    names = [name for node in known.nodes for name in node.output if name and known.tensor(name).elem == FLOAT]
    made = add_range_outputs(loaded, names)
    session = open_session(loaded.SerializeToString())
    try:
        values = [float(np.asarray(value)) for value in session.run(made, dict(feed))]
    except Exception as error:  # onnxruntime's exceptions share no base class but this one
        reason = first_line(error)
        raise InputError(f"The model cannot be run on that input ({reason}).", "Give one frame of its size.") from error
    ranges = {name: (values[2 * at], values[2 * at + 1]) for at, name in enumerate(names)}
    given = {name: array for name, array in feed.items() if array.dtype == np.float32}
    return ranges | {name: (float(array.min()), float(array.max())) for name, array in given.items()}
