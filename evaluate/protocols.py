"""The catalogue: every protocol by its name. docs/protocols.md says which published tables each can be set beside."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

from ..errors import UnknownNameError
from . import alignment
from .boundary import KEYS as BOUNDARY_KEYS
from .field import Benchmark, Box, Crop, Values, Way, protocol_of
from .official import GEOMETRY, OFFICIAL
from .pairs import DIW
from .protocol import Protocol

PIXELS = ("abs_rel", "sq_rel", "rmse", "rmse_log", "log10", "delta1", "delta2", "delta3", "silog", "mae")
KITTI_SERVER = ("silog", "sq_rel_kitti", "abs_rel", "irmse")
NEAR_M = 1e-3


def _whole(height: int, width: int) -> Box:
    return (0, height), (0, width)


def _eigen_nyu(height: int, width: int) -> Box:
    return (45, 471), (41, 601)


def _garg(height: int, width: int) -> Box:
    return (
        (int(0.40810811 * height), int(0.99189189 * height)),
        (int(0.03594771 * width), int(0.96405229 * width)),
    )


def _eigen_kitti(height: int, width: int) -> Box:
    top, left = height - 352, (width - 1216) // 2
    return (top + 117, top + 321), (left + 43, left + 1172)


def _make3d_centre(height: int, width: int) -> Box:
    return (17, 38) if height == 55 else (0, height), (0, width)


def _median(truth: Values, inverse: Values, near_m: float, far_m: float) -> alignment.Aligned:
    return alignment.median_in_depth(truth, 1 / inverse)


def _log_mean(truth: Values, inverse: Values, near_m: float, far_m: float) -> alignment.Aligned:
    return alignment.log_mean_in_depth(truth, 1 / inverse)


def _lsq_depth(truth: Values, pred: Values, near_m: float, far_m: float) -> alignment.Aligned:
    return alignment.least_squares_in_depth(truth, pred)


def _as_it_is(truth: Values, pred: Values, near_m: float, far_m: float) -> alignment.Aligned:
    return pred, {}


WHOLE = Crop("none", _whole)
EIGEN_NYU = Crop("Eigen's for NYUv2: rows 45 to 470, columns 41 to 600", _eigen_nyu, only_for=((480, 640),))
GARG = Crop("Garg's: rows 0.40810811 to 0.99189189, columns 0.03594771 to 0.96405229 of the size, rounded down", _garg)
EIGEN_KITTI = Crop(
    "KITTI's benchmark crop (the lowest 352 rows, the middle 1216 columns), of that Eigen's: rows 117 to 320, "
    "columns 43 to 1171",
    _eigen_kitti,
    least=(352, 1216),
)
MAKE3D_CENTRE = Crop(
    "the picture's central 2:1 part: rows 17 to 37 of the truth's 55; a truth of these 21 rows alone is taken whole",
    _make3d_centre,
    only_for=((55, 305), (21, 305)),
)

NYUV2 = Benchmark(
    "nyuv2", "rooms of NYU Depth v2", EIGEN_NYU, NEAR_M, 10.0, (NEAR_M, 10.0), "bilinear", PIXELS, "abs_rel",
    "Eigen et al. 2014 (crop); xapaxca/nimbled @ 3f73802, eval_nyuv2.py",
)  # fmt: skip
KITTI_EIGEN = Benchmark(
    "kitti-eigen", "streets of KITTI", GARG, NEAR_M, 80.0, (NEAR_M, 80.0), "bilinear", PIXELS,
    "abs_rel",
    "Eigen et al. 2014 (split), Garg et al. 2016 (crop); nianticlabs/monodepth2, evaluate_depth.py, evaluate",
)  # fmt: skip
KITTI_BENCHMARK = Benchmark(
    "kitti-eigen-benchmark", "KITTI with improved truth", WHOLE, 0.0, math.inf, (NEAR_M, 80.0),
    "bilinear", PIXELS, "abs_rel", "nianticlabs/monodepth2, evaluate_depth.py, evaluate, split eigen_benchmark",
)  # fmt: skip
KITTI_AS_ITS_SERVER = replace(
    KITTI_BENCHMARK, metrics=(*KITTI_SERVER, *PIXELS[1:8]), ranks="silog", clamp_m=(NEAR_M, math.inf),
    source="KITTI's depth devkit, cpp/evaluate_depth.cpp and io_depth.h, which clamp nothing",
)  # fmt: skip
KITTI_EIGEN_CROP = replace(
    KITTI_EIGEN, name="kitti-eigen-crop", purpose="KITTI as Marigold cuts it",
    crop=EIGEN_KITTI, source="fabiotosi92/ZipDepth @ b41dd20, zipdepth/evaluation, after prs-eth/Marigold",
)  # fmt: skip
MAKE3D = Benchmark(
    "make3d", "outdoor scenes of Make3D, C1", MAKE3D_CENTRE, 0.0, 70.0, (NEAR_M, 70.0), "nearest",
    ("abs_rel", "sq_rel", "rmse", "rmse_log10", "log10", "rmse_log"), "abs_rel",
    "Godard et al.'s script in nianticlabs/monodepth2 issue 89; xapaxca/nimbled @ 3f73802, eval_make3d.py",
)  # fmt: skip
SCALE_INVARIANT = Benchmark(
    "scale-invariant", "any depth, whatever its scale", WHOLE, 0.0, math.inf, (0.0, math.inf), "bilinear",
    ("silog", "si_rmse", *BOUNDARY_KEYS), "silog",
    "Eigen et al. 2014, equation 3; KITTI's depth devkit, cpp/evaluate_depth.cpp:113; Depth Pro's boundaries",
)  # fmt: skip

MEDIAN = Way(
    "", "median scale", "one scale, median(truth) / median(prediction), in depth", "relative_depth", True,
    _median, "Zhou et al. 2017 (alignment)",
)  # fmt: skip
LSQ_DEPTH = Way(
    "-lsq-depth", "least squares in depth", "scale and shift by least squares in depth", "relative_depth", False,
    _lsq_depth, "Ke et al. 2024 (Marigold; alignment)",
)  # fmt: skip
LSQ_INVERSE = Way(
    "-lsq-inverse", "least squares in inverse depth", "scale and shift by least squares in inverse depth",
    "affine_inverse_depth", True,
    alignment.least_squares_in_inverse_depth, "Ranftl et al. 2020 (MiDaS; alignment)", "inverse depth",
)  # fmt: skip
METRIC = Way(
    "-metric", "no alignment", "none: metres are taken at their word", "depth_m", False,
    _as_it_is, "DepthAnything/Depth-Anything-V2 @ 2cbc36a, metric_depth; cleinc/bts @ 094fe24, pytorch/bts_eval.py",
    "nothing",
)  # fmt: skip
LOG_MEAN = Way(
    "", "scale of the mean logarithm", "one scale, exp(mean(ln truth - ln prediction)), in depth", "relative_depth",
    True, _log_mean, "lambda = 1 throughout",
)  # fmt: skip

# Each benchmark with the ways that its papers use.
PROTOCOLS: Mapping[str, Protocol] = {
    each.name: each
    for each in (
        OFFICIAL,
        GEOMETRY,
        *(protocol_of(NYUV2, way) for way in (MEDIAN, LSQ_DEPTH, LSQ_INVERSE, METRIC)),
        *(protocol_of(KITTI_EIGEN, way) for way in (MEDIAN, LSQ_DEPTH, LSQ_INVERSE, METRIC)),
        *(protocol_of(KITTI_BENCHMARK, way) for way in (MEDIAN, LSQ_DEPTH, LSQ_INVERSE)),
        protocol_of(KITTI_AS_ITS_SERVER, METRIC),
        *(protocol_of(KITTI_EIGEN_CROP, way) for way in (LSQ_DEPTH, LSQ_INVERSE)),
        *(protocol_of(MAKE3D, way) for way in (MEDIAN, LSQ_DEPTH, LSQ_INVERSE)),
        DIW,
        protocol_of(SCALE_INVARIANT, LOG_MEAN),
    )
}


def chosen(names: Sequence[str]) -> tuple[Protocol, ...]:
    """The protocols of these names, each once; none named is the official one.

    The geometry variant never stands alone: the official protocol is put before it. Raises UnknownNameError.
    """
    protocols = [named(name) for name in names] or [OFFICIAL]
    if GEOMETRY in protocols:
        protocols = [OFFICIAL, *(each for each in protocols if each is not OFFICIAL)]
    return tuple(dict.fromkeys(protocols))


def named(name: str) -> Protocol:
    if name not in PROTOCOLS:
        raise UnknownNameError("protocol", name, PROTOCOLS)
    return PROTOCOLS[name]
