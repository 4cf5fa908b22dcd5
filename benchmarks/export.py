"""Which exporter gives the cleaner graph: torch's dynamo-based one, or the older one through TorchScript."""

from __future__ import annotations

import logging
import sys
import tempfile
import warnings
from collections import Counter
from pathlib import Path

import onnx
import torch
from environment import environment
from lpcv.contract import CURRENT as CONTRACT
from lpcv.submission.export import OPSET, to_onnx
from lpcv.submission.wrapper import WrappedModel
from lpcv.train.student import Student


def main() -> int:
    print(environment("lpcv", "torch", "onnx", "onnxscript"))
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    model = WrappedModel(Student(CONTRACT.image_size), CONTRACT.image_size).eval()
    names = {"input_names": [CONTRACT.input_name], "output_names": [CONTRACT.output_name], "opset_version": OPSET}
    with tempfile.TemporaryDirectory() as folder:
        dynamo, script = Path(folder) / "dynamo.onnx", Path(folder) / "script.onnx"
        dynamo.write_bytes(to_onnx(model, {}))
        torch.onnx.export(model, (torch.zeros(CONTRACT.input_shape),), str(script), dynamo=False, **names)
        for name, path in (("dynamo", dynamo), ("TorchScript", script)):
            kinds = Counter(node.op_type for node in onnx.load(path).graph.node)
            listed = ", ".join(f"{kind} {count}" for kind, count in kinds.most_common())
            print(f"{name}: {kinds.total()} nodes: {listed}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
