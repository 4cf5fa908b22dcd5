"""What does not fit the NPU or goes wrong on it, as small graphs, and each as its remedy says: literal cases.

"Right" is what ONNX Runtime computes in float32 of the graph with the misfit; where `wanted` is ITSELF, the remedy is
another function (bilinear for bicubic, say), and right is then what ONNX Runtime computes of that one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx.parser
from htp_graphs import SHAPE, content, picture
from onnx import TensorProto

Array = npt.NDArray[Any]
Wanted = bytes | Callable[[Array], Array] | None
ITSELF = b"what is advised is another function, and right is what ONNX Runtime computes of it"
TOLERANCE = 3e-3  # of the greatest magnitude: a few roundings of 2^-11 each, one after the other
RNG = np.random.default_rng(0)


def between(low: float, high: float, shape: tuple[int, ...] = SHAPE) -> npt.NDArray[np.float32]:
    return np.linspace(low, high, int(np.prod(shape)), dtype=np.float32).reshape(shape)


def regular_grid(size: int) -> Array:
    """GridSample's places for a plain resize to size x size, (1, size, size, 2)."""
    at = between(-1 + 1 / size, 1 - 1 / size, (size,))
    return np.stack(np.meshgrid(at, at), -1)[None]


def kernel_places() -> Array:
    """For each of 16x16 pixels a block of 3x3 places, the pixel and its neighbours: (1, 48, 48, 2)."""
    pixel, weight = np.divmod(np.arange(48), 3)
    at = ((pixel + weight - 1) * 2 + 1) / 16 - 1
    return np.stack(np.meshgrid(at, at), -1)[None].astype(np.float32)


def real_pixels_ratio() -> Array:
    """9 over the number of real pixels under a 3x3 window at each of 32x32 places."""
    line = np.full(32, 3.0)
    line[[0, -1]] = 2
    return (9 / np.outer(line, line)).astype(np.float32)


def int8(shape: tuple[int, ...], largest: int) -> npt.NDArray[np.int8]:
    return RNG.integers(-largest, largest, shape).astype(np.int8)


THIRDS = int8(SHAPE, 42)
FLOATS: dict[str, float] = {
    "zero": 0, "one": 1, "two": 2, "half": 0.5, "right": np.pi / 2, "root2": np.sqrt(2), "pixels": 768,
    "erf1": 1.12838, "erf3": 0.100912, "thousand": 1e3, "thousandth": 1e-3, "millionth": 1e-6, "far": 80,
    "point3": 0.3, "of_pixels": 2 / 16, "s_in": 3 / 255, "s_conv": 60 / 255, "s_mat": 40 / 255, "s_up": 16 / 255,
}  # fmt: skip
INTEGERS: dict[str, list[int]] = {
    "n8": [1, 3, 8, 8], "n16": [1, 3, 16, 16], "n24": [1, 3, 24, 24], "n32": [1, 3, 32, 32], "flat": [192],
    "around": [0, 0, 1, 1, 0, 0, 1, 1], "axis1": [1], "axis2": [2], "axes01": [0, 1], "five_boxes": [5],
    "boxes192": [1, 192, 4], "matrices": [192, 2, 2], "rows4": [192, 4], "all_values": [1, 768],
    "six": [1, 3, 8, 2, 8, 2], "five": [3, 8, 2, 8, 2], "n12": [1, 12, 8, 8], "to_shuffle": [1, 3, 2, 2, 8, 8],
    "offset_parts": [3, 3, 2, 16, 16], "flip": [1, 0], "places_shape": [1, 48, 48, 2], "box_and_score": [4, 1],
}  # fmt: skip
CONSTANTS: dict[str, Array] = {
    **{name: np.asarray(value, np.float32) for name, value in FLOATS.items()},
    **{name: np.asarray(value, np.int64) for name, value in INTEGERS.items()},
    "scattered": RNG.uniform(-1, 1, (1, 16, 16, 2)).astype(np.float32),
    "grid24": regular_grid(24),
    "places": kernel_places(),
    "weights": RNG.normal(size=(3, 3, 3, 3)).astype(np.float32),
    "to_offsets": RNG.normal(size=(18, 3, 1, 1)).astype(np.float32),
    "no_offsets": np.zeros((1, 18, 16, 16), np.float32),
    "blur": np.tile(np.outer([1, 3, 3, 1], [1, 3, 3, 1]) / 64, (3, 1, 1, 1)).astype(np.float32),
    "quarter": np.full((3, 1, 2, 2), 1 / 4, np.float32),
    "ninth": np.full((8, 1, 3, 3), 1 / 9, np.float32),
    "ratio": real_pixels_ratio(),
    "ones4": np.ones((3, 1, 2, 2), np.float32),
    "triangle": np.tril(np.ones((16, 16), np.float32)),
    "embedding": RNG.normal(size=(1, 3, 37, 37)).astype(np.float32),
    "table": RNG.normal(size=(3, 16)).astype(np.float32),
    "gain3": np.ones(3, np.float32), "gain16": np.ones(16, np.float32), "gain768": np.ones(768, np.float32),
    "bias3": np.zeros(3, np.float32),
    "point3_double": np.asarray(0.3, np.float64),
    "q_conv": int8((3, 3, 3, 3), 100), "q_mat": int8((16, 3), 100), "q_up": int8((3, 3, 2, 2), 100), "q_add": THIRDS,
    "q_one_scale": THIRDS * np.array([1, 2, 3], np.int8)[:, None, None],
    "s3": np.array([0.01, 0.02, 0.03], np.float32), "s1": np.asarray(0.01, np.float32), "z3": np.zeros(3, np.int8),
    "z1": np.asarray(0, np.int8),
    **{f"u{value}": np.asarray(value, np.uint8) for value in (0, 85, 128)},
}  # fmt: skip


def of(text: str, **words: Any) -> bytes:
    """image -> output_0, from nodes in ONNX's own notation; the constants are those that the text names."""
    nodes = [onnx.parser.parse_node(line.strip()) for line in text.split(";")]
    used = {name: CONSTANTS[name] for node in nodes for name in node.input if name in CONSTANTS}
    return content(nodes, used, **{"out_shape": None, **words})


def quantized(weights: str, operator: str, scale: str, axis: int) -> bytes:
    """An operator whose input, weights (a scale for each channel) and output are all in integers."""
    return of(
        "i = QuantizeLinear(image, s_in, u85); a = DequantizeLinear(i, s_in, u85);"
        f"w = DequantizeLinear<axis = {axis}>({weights}, s3, z3); b = {operator};"
        f"o = QuantizeLinear(b, {scale}, u128); output_0 = DequantizeLinear(o, {scale}, u128)"
    )


@dataclass(frozen=True)
class Tried:
    """op_type, pattern: of the row. misfit, instead: graphs, the first with a node named "misfit".

    image, its: what the first and the second are given, where it is no picture(); tolerance: of the greatest magnitude;
    fits: the emulator takes the misfit, too, and AI Hub does not; outside: what the CPU makes of the second's output
    """

    op_type: str
    pattern: str
    misfit: bytes
    instead: bytes
    wanted: Wanted = None
    image: Array | None = None
    its: Array | None = None
    tolerance: float = TOLERANCE
    fits: bool = False
    outside: bytes | None = None

    @property
    def name(self) -> str:
        return f"{self.op_type or 'any'} {self.pattern}".strip()


NEAREST = 'mode = "nearest", coordinate_transformation_mode = "asymmetric", nearest_mode'
PER_CHANNEL = "standalone DQ op with per-channel"
UNIT = between(-1, 1)
DISTINCT = RNG.permutation(768).astype(np.float32).reshape(SHAPE)
QUANTIZED = ((RNG.integers(0, 256, SHAPE) - 85) * 3 / 255).astype(np.float32)
NUMBERS = RNG.integers(0, 100, SHAPE)
CATEGORY = np.array([2, 0, 1, 1])

BICUBIC = of('[misfit] output_0 = GridSample<mode = "bicubic", padding_mode = "border">(image, grid24)')
ANTIALIASED = of('[misfit] output_0 = Resize<mode = "linear", antialias = 1>(image, , , n8)')
EINSUM = of('[misfit] output_0 = Einsum<equation = "bhid,bhjd->ij">(image, image)')
CLIP = of(
    "low = ReduceMean<keepdims = 0>(image); top = ReduceMax<keepdims = 0>(image); high = Mul(top, half);"
    "[misfit] output_0 = Clip(image, low, high)"
)
BOXES = "g = Sigmoid(image); boxes = Reshape(g, boxes192); s = ReduceMax(boxes, axis2);"
SUPPRESSION = (
    "scores = Transpose<perm = [0,2,1]>(s); [misfit] n = NonMaxSuppression(boxes, scores, five_boxes, point3, half);"
    "output_0 = Cast<to = 1>(n)"
)
LONE_CONV = of("[misfit] w = DequantizeLinear<axis = 0>(q_conv, s3, z3); output_0 = Conv<pads = [1,1,1,1]>(image, w)")
LONE_MATMUL = of("[misfit] w = DequantizeLinear<axis = 1>(q_mat, s3, z3); output_0 = MatMul(image, w)")
LONE_UP = of(
    "[misfit] w = DequantizeLinear<axis = 1>(q_up, s3, z3); output_0 = ConvTranspose<strides = [2,2]>(image, w)"
)
LONE_ADD = of("[misfit] w = DequantizeLinear<axis = 1>(q_add, s3, z3); output_0 = Add(image, w)")
GELU = of("a = Div(image, root2); [misfit] e = Erf(a); p = Add(e, one); q = Mul(image, p); output_0 = Div(q, two)")
HALF_ANGLE = "xx = Mul(image, image); d = Sub(one, xx); s = Sqrt(d); w = Add(one, s); q = Div(image, w); t = Atan(q);"
MVN = "[misfit] output_0 = MeanVarianceNormalization<axes = [{}]>(image)"
DEFORMED = of(
    "o = Conv(image, to_offsets);"
    "[misfit] output_0 = DeformConv<kernel_shape = [3,3], pads = [1,1,1,1]>(image, weights, o)"
)
POOLED = "m = MaxPool<kernel_shape = [2,2], strides = [2,2]>(image); n = Neg(m);"
UNPOOLED = of(
    "m, i = MaxPool<kernel_shape = [2,2], strides = [2,2]>(image); n = Neg(m);"
    "[misfit] output_0 = MaxUnpool<kernel_shape = [2,2], strides = [2,2]>(n, i)"
)
SQUARED = of("a = Cast<to = 16>(image); [misfit] b = Mul(a, a); output_0 = Cast<to = 1>(b)")
INT8, INT32, INT64, BYTE = (
    {"kind": kind, "out_kind": TensorProto.FLOAT}
    for kind in (TensorProto.INT8, TensorProto.INT32, TensorProto.INT64, TensorProto.UINT8)
)
GATHERED = of("[misfit] output_0 = Gather(table, image)", shape=(4,), **INT64)
HALVED = "a = Cast<to = 1>(image); output_0 = Mul(a, half)"

TRIED = (
    Tried("GridSample", "mode (bi)?cubic", BICUBIC, of('output_0 = GridSample<mode = "bilinear">(image, scattered)'),
          ITSELF),
    Tried("GridSample", "mode (bi)?cubic", BICUBIC, of('output_0 = Resize<mode = "cubic">(image, , , n24)')),
    Tried("Resize", "anti-?alias", ANTIALIASED, of('output_0 = Resize<mode = "linear">(image, , , n8)'), ITSELF),
    Tried("Resize", "anti-?alias", ANTIALIASED, of('output_0 = Resize<mode = "cubic">(image, , , n8)'), ITSELF),
    Tried("Resize", "anti-?alias", ANTIALIASED,
          of("output_0 = AveragePool<kernel_shape = [2,2], strides = [2,2]>(image)"), ITSELF),
    Tried("Resize", "anti-?alias", ANTIALIASED,
          of('a = Relu(image); b = Pad<mode = "edge">(a, around); output_0 = Conv<group=3, strides=[2,2]>(b, blur)'),
          image=np.abs(picture())),
    Tried("Resize", "anti-?alias", ANTIALIASED,
          of('e = Resize<mode = "cubic", antialias = 1>(embedding, , , n16); output_0 = Add(image, e)'), ITSELF),
    Tried("Resize", "nearest_mode", of(f'[misfit] output_0 = Resize<{NEAREST} = "round_prefer_floor">(image, , , n32)'),
          of(f'output_0 = Resize<{NEAREST} = "floor">(image, , , n32)')),
    Tried("Resize", "nearest_mode", of(f'[misfit] output_0 = Resize<{NEAREST} = "ceil">(image, , , n24)'),
          of(f'output_0 = Resize<{NEAREST} = "floor">(image, , , n24)'), ITSELF),
    Tried("Einsum", "equation", EINSUM,
          of("t = Transpose<perm = [0,1,3,2]>(image); m = MatMul(image, t);"
             "output_0 = ReduceSum<keepdims = 0>(m, axes01)")),
    Tried("Einsum", "equation", EINSUM, of('output_0 = Einsum<equation = "bhid,bhjd->bhij">(image, image)'), ITSELF),
    Tried("Clip", "dynamic min/max", CLIP,
          of("low = ReduceMean<keepdims = 0>(image); top = ReduceMax<keepdims = 0>(image); high = Mul(top, half);"
             "a = Max(image, low); output_0 = Min(a, high)")),
    Tried("Clip", "dynamic min/max", CLIP, of("output_0 = Clip(image, zero, one)"), ITSELF),
    Tried("NonZero", "",
          of("m = Greater(image, half); [misfit] at = NonZero(m); rows = Transpose(at); kept = GatherND(image, rows);"
             "output_0 = ReduceSum<keepdims = 0>(kept)"),
          of("m = Greater(image, half); f = Cast<to = 1>(m); kept = Mul(image, f);"
             "output_0 = ReduceSum<keepdims = 0>(kept)")),
    Tried("NonMaxSuppression", "", of(BOXES + SUPPRESSION), of(f"{BOXES} output_0 = Concat<axis = 2>(boxes, s)"),
          outside=of(f"boxes, s = Split<axis = 2>(image, box_and_score); {SUPPRESSION}", shape=(1, 192, 5))),
    Tried("DequantizeLinear", PER_CHANNEL, LONE_CONV,
          quantized("q_conv", "Conv<pads = [1,1,1,1]>(a, w)", "s_conv", 0), image=QUANTIZED, tolerance=6e-3),
    Tried("DequantizeLinear", PER_CHANNEL, LONE_MATMUL,
          quantized("q_mat", "MatMul(a, w)", "s_mat", 1), image=QUANTIZED, tolerance=6e-3),
    Tried("DequantizeLinear", PER_CHANNEL, LONE_UP,
          quantized("q_up", "ConvTranspose<strides = [2,2]>(a, w)", "s_up", 1), image=QUANTIZED, tolerance=6e-3),
    Tried("DequantizeLinear", PER_CHANNEL, LONE_ADD,
          of("w = DequantizeLinear(q_one_scale, s1, z1); output_0 = Add(image, w)")),
    Tried("Cast", "Failed to create Cast", of(f"[misfit] {HALVED}", **INT8),
          of("a = DequantizeLinear(image, one, z1); output_0 = Mul(a, half)", **INT8), image=NUMBERS.astype(np.int8)),
    Tried("Erf", "", GELU, of("output_0 = Gelu(image)", opset=20)),
    Tried("Erf", "", GELU,
          of("a = Div(image, root2); e = Erf(a); p = Add(e, one); q = Mul(image, p); output_0 = Mul(q, half)")),
    Tried("Erf", "", of("[misfit] output_0 = Erf(image)"),
          of("xx = Mul(image, image); a = Mul(xx, erf3); b = Add(a, erf1); c = Mul(b, image); output_0 = Tanh(c)"),
          image=between(-6, 6)),
    Tried("Acos", "", of("[misfit] output_0 = Acos(image)"),
          of(f"{HALF_ANGLE} u = Add(t, t); output_0 = Sub(right, u)"), image=UNIT),
    Tried("Asin", "", of("[misfit] output_0 = Asin(image)"), of(f"{HALF_ANGLE} output_0 = Add(t, t)"), image=UNIT),
    Tried("Cosh", "", of("[misfit] output_0 = Cosh(image)"),
          of("a = Exp(image); m = Neg(image); b = Exp(m); c = Add(a, b); output_0 = Mul(c, half)")),
    Tried("Sinh", "", of("[misfit] output_0 = Sinh(image)"),
          of("a = Exp(image); m = Neg(image); b = Exp(m); c = Sub(a, b); output_0 = Mul(c, half)")),
    Tried("Acosh", "", of("[misfit] output_0 = Acosh(image)"),
          of("xx = Mul(image, image); d = Sub(xx, one); s = Sqrt(d); a = Add(image, s); output_0 = Log(a)"),
          image=between(1, 6)),
    Tried("Softsign", "", of("[misfit] output_0 = Softsign(image)"),
          of("a = Abs(image); b = Add(one, a); output_0 = Div(image, b)")),
    Tried("Celu", "", of("[misfit] output_0 = Celu(image)"), of("output_0 = Elu(image)")),
    Tried("Celu", "", of("[misfit] output_0 = Celu<alpha = 2.0>(image)"),
          of("a = Div(image, two); b = Elu(a); output_0 = Mul(b, two)")),
    Tried("Mish", "", of("a = Relu(image); [misfit] output_0 = Mish(a)", opset=18),
          of("a = Relu(image); s = Softplus(a); t = Tanh(s); output_0 = Mul(a, t)"), tolerance=8e-3),
    Tried("Hardmax", "", of("[misfit] output_0 = Hardmax<axis = 1>(image)"),
          of("m = ReduceMax(image, axis1); b = GreaterOrEqual(image, m); output_0 = Cast<to = 1>(b)"), image=DISTINCT),
    Tried("ReduceProd", "", of("[misfit] output_0 = ReduceProd(image, axis1)"),
          of("a, b, c = Split<axis = 1, num_outputs = 3>(image); d = Mul(a, b); output_0 = Mul(d, c)")),
    Tried("Trilu", "", of("[misfit] output_0 = Trilu<upper = 0>(image)"), of("output_0 = Mul(image, triangle)")),
    Tried("Size", "", of("[misfit] n = Size(image); f = Cast<to = 1>(n); output_0 = Div(image, f)"),
          of("output_0 = Div(image, pixels)")),
    Tried("Dropout", "", of("[misfit] a, kept = Dropout(image); f = Cast<to = 1>(kept); output_0 = Mul(a, f)"),
          of("output_0 = Mul(image, one)")),
    Tried("MeanVarianceNormalization", "", of(MVN.format("0,2,3")),
          of("output_0 = InstanceNormalization(image, gain3, bias3)")),
    Tried("MeanVarianceNormalization", "", of(MVN.format("3")),
          of("output_0 = LayerNormalization<axis = -1>(image, gain16)")),
    Tried("MeanVarianceNormalization", "", of(MVN.format("1")),
          of("t = Transpose<perm = [0,2,3,1]>(image); u = LayerNormalization<axis = -1>(t, gain3);"
             "output_0 = Transpose<perm = [0,3,1,2]>(u)"), image=DISTINCT, tolerance=6e-3),
    Tried("MeanVarianceNormalization", "", of(MVN.format("1,2,3")),
          of("t = Reshape(image, all_values); u = LayerNormalization<axis = -1>(t, gain768);"
             "output_0 = Reshape(u, n16)")),
    Tried("DeformConv", "", of("[misfit] output_0 = DeformConv<pads = [1,1,1,1]>(image, weights, no_offsets)"),
          of("output_0 = Conv<pads = [1,1,1,1]>(image, weights)")),
    Tried("DeformConv", "", DEFORMED,
          of("o = Conv(image, to_offsets); a = Reshape(o, offset_parts); b = Transpose<perm = [3,0,4,1,2]>(a);"
             "yx = Reshape(b, places_shape); xy = Gather<axis = 3>(yx, flip); d = Mul(xy, of_pixels);"
             'grid = Add(d, places); s = GridSample<mode = "bilinear">(image, grid);'
             "output_0 = Conv<strides = [3,3]>(s, weights)"),
          tolerance=1e-2),  # half precision holds a place between two pixels to 1/256 of a pixel
    Tried("MaxUnpool", "", UNPOOLED,
          of(f'{POOLED} y = Resize<{NEAREST} = "floor">(n, , , n16); big = Resize<{NEAREST} = "floor">(m, , , n16);'
             "b = GreaterOrEqual(image, big); f = Cast<to = 1>(b); output_0 = Mul(y, f)"), image=DISTINCT),
    Tried("MaxUnpool", "", UNPOOLED, of(f'{POOLED} output_0 = Resize<{NEAREST} = "floor">(n, , , n16)'), ITSELF),
    Tried("MaxUnpool", "", UNPOOLED,
          of(f"{POOLED} output_0 = ConvTranspose<group = 3, strides = [2,2]>(n, ones4)"), ITSELF),
    Tried("Det", "", of("m = Reshape(image, matrices); [misfit] output_0 = Det(m)"),
          of("m = Reshape(image, rows4); a, b, c, d = Split<axis = 1, num_outputs = 4>(m); e = Mul(a, d);"
             "g = Mul(b, c); h = Sub(e, g); output_0 = Reshape(h, flat)")),
    Tried("RandomNormal", "", of("[misfit] r = RandomNormal<shape = [1,3,16,16]>(); output_0 = Add(image, r)"),
          of("output_0 = Mul(image, one)"), lambda image: image),
    Tried("", "more than 5 dimensions",
          of("a = Reshape(image, six); [misfit] b = Transpose<perm = [0,1,3,5,2,4]>(a); output_0 = Reshape(b, n12)"),
          of("a = Reshape(image, five); b = Transpose<perm = [0,2,4,1,3]>(a); output_0 = Reshape(b, n12)")),
    Tried("", "more than 5 dimensions",
          of("a = Reshape(image, to_shuffle); [misfit] b = Transpose<perm = [0,1,4,2,5,3]>(a); c = Relu(b);"
             "output_0 = Reshape(c, n16)", shape=(1, 12, 8, 8)),
          of('a = DepthToSpace<blocksize = 2, mode = "CRD">(image); output_0 = Relu(a)', shape=(1, 12, 8, 8)),
          image=between(-1, 2, (1, 12, 8, 8))),
    Tried("", "float64", of("[misfit] output_0 = Mul(image, point3_double)", kind=TensorProto.DOUBLE),
          of("output_0 = Mul(image, point3)"), image=picture().astype(np.float64), its=picture()),
    Tried("", "bfloat16|map Onnx data type", SQUARED, of("output_0 = Mul(image, image)"), lambda image: image * image),
    Tried("", "Cannot get shape|without a fixed size",
          of("[misfit] output_0 = Relu(image)", shape=("batch", 3, 16, 16)), of("output_0 = Relu(image)")),
    Tried("", "int64", GATHERED,
          of("i = Cast<to = 7>(image); output_0 = Gather(table, i)", shape=(4,), **INT32),
          image=CATEGORY, its=CATEGORY.astype(np.int32), fits=True),
    Tried("", "int64", GATHERED, of("i = Cast<to = 7>(image); output_0 = Gather(table, i)", shape=(4,)),
          image=CATEGORY, its=CATEGORY.astype(np.float32), fits=True),
)  # fmt: skip

POOL = "[misfit] output_0 = AveragePool<kernel_shape = [{0},{0}], pads = [1,1,1,1], count_include_pad = {1}>(image)"
MANY: dict[str, Any] = {"shape": (1, 8, 32, 32)}
EDGE = '[misfit] a = Pad<mode = "edge">(image, around);'
CAST = of(f"[misfit] {HALVED}", **BYTE)
MIN_MAX = (
    "low = ReduceMin(image); high = ReduceMax(image); a = Sub(image, low); b = Sub(high, low);"
    "[misfit] output_0 = Div(a, b)"
)
BYTES = RNG.integers(0, 256, SHAPE).astype(np.uint8)
PHOTO = np.abs(picture())

TRAPS = (  # `pattern` is of the warning's reason
    Tried("AveragePool", "padded", of(POOL.format(2, 1)),
          of("output_0 = Conv<group = 3, pads = [1,1,1,1]>(image, quarter)")),
    Tried("AveragePool", "padded", of(POOL.format(3, 0), **MANY),
          of("b = Conv<group = 8, pads = [1,1,1,1]>(image, ninth); output_0 = Mul(b, ratio)", **MANY),
          image=between(-1, 2, (1, 8, 32, 32))),
    Tried("Resize", "nearest", of('[misfit] output_0 = Resize<mode = "nearest">(image, , , n8)'),
          of(f'output_0 = Resize<{NEAREST} = "floor">(image, , , n8)')),
    Tried("Resize", "nearest", of('[misfit] output_0 = Resize<mode = "nearest">(image, , , n24)'),
          of(f'output_0 = Resize<{NEAREST} = "floor">(image, , , n24)'), ITSELF),
    Tried("Cast", "uint8", CAST,
          of("a = DequantizeLinear(image, one, u0); output_0 = Mul(a, half)", **BYTE), image=BYTES),
    Tried("Cast", "uint8", CAST, of("output_0 = Mul(image, half)"), image=BYTES, its=BYTES.astype(np.float32)),
    Tried("Pad", "edge", of(f"{EDGE} output_0 = Mul(a, half)"),
          of('a = Mul(image, half); output_0 = Pad<mode = "edge">(a, around)')),
    Tried("Pad", "edge", of(f"{EDGE} output_0 = Conv(a, weights)"),
          of('r = Relu(image); a = Pad<mode = "edge">(r, around); output_0 = Conv(a, weights)'), image=PHOTO),
    Tried("Pad", "edge", of(f"{EDGE} output_0 = Conv(a, weights)"),
          of('a = Pad<mode = "reflect">(image, around); output_0 = Conv(a, weights)'), ITSELF),
    Tried("Mul", "half precision", of("a = Mul(image, thousand); [misfit] b = Mul(a, a); output_0 = Mul(b, millionth)"),
          of("a = Mul(image, thousand); b = Mul(a, thousandth); output_0 = Mul(b, b)")),
    Tried("Div", "Min-max", of(MIN_MAX), of("output_0 = Div(image, far)"), ITSELF, 0.5 + 1e-3 * PHOTO),
)  # fmt: skip
