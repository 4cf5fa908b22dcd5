"""Every remedy was tried: the graph that holds the misfit is refused, the one it advises fits and computes right."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from htp_graphs import S24, needs_emulator, on_cpu, picture
from htp_tried import ITSELF, TRAPS, TRIED, Tried, of
from lpcv.hub_jobs.htp.advice import ADVICE
from lpcv.hub_jobs.htp.compiler import compile_model
from lpcv.hub_jobs.htp.emulator import run
from lpcv.hub_jobs.htp.fit import findings
from lpcv.hub_jobs.htp.outcome import Compiled, Refused
from lpcv.hub_jobs.htp.ranges import value_ranges
from lpcv.hub_jobs.htp.traps import warnings

pytestmark = [pytest.mark.slow, needs_emulator]

Array = npt.NDArray[Any]


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("htp")


def named(cases: tuple[Tried, ...]) -> list[Any]:
    return [pytest.param(case, id=f"{at}-{case.name}") for at, case in enumerate(cases)]


def emulated(model: bytes, image: Array, cache: Path) -> Array:
    result = compile_model(model, S24, cache)
    assert isinstance(result, Compiled), result
    ((_, made),) = run(result, [("frame", image)])
    return made


def wanted(case: Tried) -> Array:
    image = picture() if case.image is None else case.image
    if callable(case.wanted):
        return case.wanted(image)
    if case.wanted is ITSELF:
        return on_cpu(case.instead, image if case.its is None else case.its)
    return on_cpu(case.misfit, image)


def assert_the_remedy_is_right(case: Tried, cache: Path) -> None:
    image = next(one for one in (case.its, case.image, picture()) if one is not None)
    made = emulated(case.instead, image, cache)
    if case.outside is not None:
        made = on_cpu(case.outside, made)
    right = wanted(case)
    assert made.shape == right.shape
    assert np.isfinite(right).all()
    np.testing.assert_allclose(made, right, rtol=0, atol=case.tolerance * float(np.abs(right).max()))


def test_every_row_was_tried() -> None:
    assert {(case.op_type, case.pattern) for case in TRIED} == {(row.op_type, row.pattern) for row in ADVICE}


@pytest.mark.parametrize("case", named(TRIED))
def test_the_misfit_is_refused_with_the_remedy_of_its_row(case: Tried, cache: Path) -> None:
    result = compile_model(case.misfit, S24, cache)
    assert isinstance(result, Compiled if case.fits else Refused)
    (misfit,) = [one for one in findings(case.misfit, result) if one.node == "misfit"]
    (row,) = [row for row in ADVICE if (row.op_type, row.pattern) == (case.op_type, case.pattern)]
    assert (misfit.remedy, misfit.on_hub_only) == (row.remedy, case.fits)


@pytest.mark.parametrize("case", named(TRIED))
def test_what_the_remedy_names_fits_and_computes_right(case: Tried, cache: Path) -> None:
    assert_the_remedy_is_right(case, cache)


@pytest.mark.parametrize("case", named(TRAPS))
def test_the_trap_computes_something_else_and_is_warned_of(case: Tried, cache: Path) -> None:
    image = picture() if case.image is None else case.image
    (found,) = [
        one for one in warnings(case.misfit, value_ranges(case.misfit, {"image": image})) if one.node == "misfit"
    ]
    assert (found.op_type, case.pattern in found.reason) == (case.op_type, True)
    right = on_cpu(case.misfit, image)
    made = emulated(case.misfit, image, cache)
    assert np.abs(made - right).max() > 0.01 * np.abs(right).max()


def test_a_pad_before_a_pool_is_made_a_padded_pool_again(cache: Path) -> None:
    """Why the remedy is a Conv: ONNX Runtime fuses the two. If this fails, a Pad node has become a remedy."""
    model = of("a = Pad(image, around); output_0 = AveragePool<kernel_shape = [2,2]>(a)")
    right = on_cpu(model, picture())
    assert np.abs(emulated(model, picture(), cache) - right).max() > 0.01 * np.abs(right).max()


@pytest.mark.parametrize("case", named(TRAPS))
def test_what_the_warning_advises_is_not_warned_of_and_computes_right(case: Tried, cache: Path) -> None:
    image = next(one for one in (case.its, case.image, picture()) if one is not None)
    assert warnings(case.instead, value_ranges(case.instead, {"image": image})) == []
    assert_the_remedy_is_right(case, cache)
