"""What to use instead of what does not fit the NPU: a literal table, each row tried on the compiler.

The refusals and the replacements marked MEASURED were tried one by one on onnxruntime-qnn 2.7.0 (QAIRT 2.51.0) for the
Snapdragon 8 Gen 3 on 2026-11-21: the left side was refused, and what the advice names compiled and computed right.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

MEASURED = "onnxruntime-qnn 2.7.0, tried 2026-11-21"


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
    Advice("GridSample", "bicubic", "Sample with mode='bilinear', which fits, or resize with Resize mode cubic."),
    Advice(
        "Resize",
        "anti-?alias",
        "Export with antialias=False: Resize linear or cubic without it fits. To shrink by a whole number, use an "
        "average pooling of that size; resize a ViT's position embeddings once before exporting.",
    ),
    Advice(
        "Resize",
        "nearest_mode",
        "Use nearest_mode 'floor' with 'asymmetric' coordinates, which is what torch's nearest exports.",
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
        "Quantize the operator that uses it, too (its input and its output), or give this constant one scale for the "
        "whole tensor. Replace functional operations such as F.interpolate by modules before quantizing.",
    ),
    Advice(
        "Cast",
        "",
        "Use DequantizeLinear instead of a Cast from 8-bit integers, which is exact.",
        "onnxruntime-qnn 2.7.0, tried 2026-11-21 (int8 is refused, uint8 computes something else)",
    ),
    # Operators that the NPU has not
    Advice("Erf", "", "Use Gelu as one operator, or the usual pattern x * (1 + Erf(x / sqrt 2)) / 2, which is fused."),
    Advice("Acos", "", "Write pi/2 - Atan(x / Sqrt(1 - x * x)): Atan, Sqrt and Div fit (Asin is refused, too)."),
    Advice("Asin", "", "Write Atan(x / Sqrt(1 - x * x)): Atan, Sqrt and Div fit."),
    Advice("Cosh", "", "Write (Exp(x) + Exp(-x)) / 2."),
    Advice("Sinh", "", "Write (Exp(x) - Exp(-x)) / 2."),
    Advice("Acosh", "", "Write Log(x + Sqrt(x * x - 1))."),
    Advice("Softsign", "", "Write x / (1 + Abs(x))."),
    Advice("Celu", "", "Use Elu, which is the same for alpha = 1."),
    Advice(
        "Mish",
        "",
        "Write x * Tanh(Softplus(x)), whose Softplus is coarse (0.01 off); as one operator it is refused.",
    ),
    Advice("Hardmax", "", "Compare with the maximum: GreaterOrEqual(x, ReduceMax(x)), then a Cast."),
    Advice("ReduceProd", "", "Split the axis and multiply the parts with Mul."),
    Advice("Trilu", "", "Multiply by a constant triangle of ones and zeros."),
    Advice("Size", "", "The size is known at export: make it a constant."),
    Advice("Dropout", "", "Export in evaluation mode (model.eval()), where it does nothing and is left out."),
    Advice(
        "MeanVarianceNormalization",
        "",
        "Use InstanceNormalization or LayerNormalization, whichever axes it normalises.",
    ),
    Advice("DeformConv", "", "Use a plain Conv, or sample with GridSample bilinear and follow with a Conv."),
    Advice("MaxUnpool", "", "Enlarge with Resize nearest (asymmetric, floor) or ConvTranspose."),
    Advice("Det", "", "Write the determinant of a small matrix out with Mul and Sub, or take it out of the model."),
    Advice("RandomNormalLike", "", "Take randomness out of the model: its output must depend on its input alone."),
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
