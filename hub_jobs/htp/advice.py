"""What to use instead of what does not fit the NPU: a literal table, each row tried on the compiler.

tests/test_htp_advice.py holds a small graph for each row, and the graph as its remedy says. For the Galaxy S24 the
first is refused with that remedy; the second compiles entirely in half precision and, emulated, computes what ONNX
Runtime makes of the first, or of the second where the remedy is another function. int64 at the border is taken here; AI
Hub, which refuses it, was not tried, and nor was what a row's source says comes from elsewhere.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

MEASURED = "onnxruntime-qnn 2.7.0, tried 2026-11-21"


@dataclass(frozen=True)
class NodeFinding:
    """What is wrong with a node. node: its name; reason, remedy: a sentence each; source: how the remedy is known."""

    node: str
    op_type: str
    reason: str
    remedy: str
    source: str = MEASURED

    @property
    def sentence(self) -> str:
        return f"{self.node} ({self.op_type}): {self.reason} {self.remedy}"


@dataclass(frozen=True)
class Advice:
    """op_type: an operator, "" for any; pattern: a regular expression in the compiler's reason; remedy: a sentence."""

    op_type: str
    pattern: str
    remedy: str
    source: str = MEASURED


def advice_for(op_type: str, reason: str) -> Advice | None:
    """The first row that fits a refused node; None where nobody has tried."""
    return next(
        (
            row
            for row in ADVICE
            if row.op_type in ("", op_type) and re.search(row.pattern, reason, re.IGNORECASE | re.DOTALL)
        ),
        None,
    )


ADVICE = (
    # Operators that fit in one form and not in another
    Advice(
        "GridSample",
        "mode (bi)?cubic",  # its name up to opset 19, and from 20 on
        "Sample with mode='bilinear', which fits, or resize with Resize mode cubic.",
    ),
    Advice(
        "Resize",
        "anti-?alias",
        "Export with antialias=False: Resize linear or cubic without it fits, and an average pooling, too, with other "
        "weights. To halve as it does, use an edge Pad of 1 and a depthwise Conv of stride 2 with weights 1, 3, 3, 1 "
        "(each over 8) along both axes. A Resize of a constant, such as a ViT's position embeddings, fits as it is.",
    ),
    Advice(
        "Resize",
        "nearest_mode",
        "Use nearest_mode 'floor' with 'asymmetric' coordinates, which is what torch's nearest exports: the "
        "same pixels as 'round_prefer_floor' when doubling, others than 'ceil' when enlarging.",
    ),
    Advice(
        "Einsum",
        "equation",
        "Write it as Transpose, MatMul and ReduceSum. The equations of attention, such as bhid,bhjd->bhij, fit.",
    ),
    Advice(
        "Clip",
        "dynamic min/max",
        "Make the bounds constants, or use Min and Max, which take a computed tensor.",
    ),
    Advice(
        "NonZero",
        "",
        "Multiply by the mask instead of collecting the pixels where it is true, so that every size stays fixed.",
    ),
    Advice(
        "NonMaxSuppression",
        "",
        "Do it outside of the model: its number of results is not known at compile time.",
        "onnxruntime-qnn 2.7.0: refused without static sizes",
    ),
    Advice(
        "DequantizeLinear",
        "standalone DQ op with per-channel",
        "Quantize the Conv, ConvTranspose or MatMul that uses it, too (its input and its output); for another "
        "operator, such as Add or Mul, give this constant one scale for the whole tensor. With aimet-torch, replace "
        "functional operations such as F.interpolate by modules before quantizing.",
        f"{MEASURED}; the sentence on aimet-torch: its release 2.42",
    ),
    Advice(
        "Cast",
        "Failed to create Cast",
        "Use DequantizeLinear instead of a Cast from 8-bit integers, which is exact.",
        "onnxruntime-qnn 2.7.0, tried 2026-11-21 (int8 is refused, uint8 computes something else)",
    ),
    # Operators that the NPU has not
    Advice(
        "Erf",
        "",
        "Use Gelu as one operator, or the pattern x * (1 + Erf(x / sqrt 2)) * 0.5, which is fused (with / 2 at its end "
        "it is not). For Erf alone write Tanh(1.12838 * x + 0.100912 * x * x * x), 0.001 off.",
    ),
    Advice(
        "Acos",
        "",
        "Write pi/2 - 2 * Atan(x / (1 + Sqrt(1 - x * x))), which holds at -1 and 1, too (Asin is refused, too).",
    ),
    Advice("Asin", "", "Write 2 * Atan(x / (1 + Sqrt(1 - x * x))), which holds at -1 and 1, too."),
    Advice("Cosh", "", "Write (Exp(x) + Exp(-x)) / 2."),
    Advice("Sinh", "", "Write (Exp(x) - Exp(-x)) / 2."),
    Advice("Acosh", "", "Write Log(x + Sqrt(x * x - 1))."),
    Advice("Softsign", "", "Write x / (1 + Abs(x))."),
    Advice("Celu", "", "Use Elu, which is the same for alpha = 1; else write alpha * Elu(x / alpha)."),
    Advice(
        "Mish",
        "",
        "Write x * Tanh(Softplus(x)), whose Softplus is coarse (0.01 off); as one operator beside others it is "
        "refused.",
    ),
    Advice("Hardmax", "", "Compare with the maximum: GreaterOrEqual(x, ReduceMax(x)), then a Cast."),
    Advice("ReduceProd", "", "Split the axis and multiply the parts with Mul."),
    Advice("Trilu", "", "Multiply by a constant triangle of ones and zeros."),
    Advice("Size", "", "The size is known at export: make it a constant."),
    Advice("Dropout", "", "Export in evaluation mode (model.eval()), where it does nothing and is left out."),
    Advice(
        "MeanVarianceNormalization",
        "",
        "Use InstanceNormalization (over height and width), or LayerNormalization, which fits over the last axis "
        "alone: put a Transpose or Reshape before it.",
    ),
    Advice(
        "DeformConv",
        "",
        "Use a plain Conv; or sample with GridSample bilinear, one point for each weight of the kernel, and follow "
        "with a Conv whose stride is the kernel's size, which is the same.",
    ),
    Advice(
        "MaxUnpool",
        "",
        "Enlarge with Resize nearest (asymmetric, floor) or ConvTranspose. Times the mask where MaxPool's input is not "
        "less than its enlarged output, it is the same.",
    ),
    Advice("Det", "", "Write the determinant of a small matrix out with Mul and Sub, or take it out of the model."),
    Advice("RandomNormal", "", "Take randomness out of the model: its output must depend on its input alone."),
    # Whatever the operator is
    Advice(
        "",
        "more than 5 dimensions",
        "Merge dimensions so that no tensor has more than 5; for a pixel shuffle use DepthToSpace (PixelShuffle), "
        "which fits.",
    ),
    Advice(
        "",
        "float64",
        "Export in float32 (model.float()); a float64 usually comes from a numpy constant.",
    ),
    Advice("", "bfloat16|map Onnx data type", "Export in float32; the compiler makes half precision of it itself."),
    Advice(
        "",
        "Cannot get shape|without a fixed size",
        "Export with fixed sizes, as `lpcv export` does: the NPU needs every size at compile time.",
    ),
    Advice(
        "",
        "int64",
        "Take int32 or float32 at the border and cast inside, or compile on AI Hub with --truncate_64bit_io.",
        "qualcomm/ai-hub-models#68; the emulator itself takes int64",
    ),
)
