"""Kinds of predictions: who stands in for whom, who is refused, and with which sentence."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from lpcv.data.frame import Frame, Record
from lpcv.errors import InputError
from lpcv.evaluate.kinds import KINDS, MEANINGS, as_inverse_depth, demand_kind
from lpcv.evaluate.protocols import PROTOCOLS

TAKEN = {
    "depth_m": {"depth_m"},
    "relative_depth": {"depth_m", "relative_depth"},
    "affine_inverse_depth": set(KINDS),
}


@pytest.mark.parametrize("weakest", KINDS)
@pytest.mark.parametrize("kind", KINDS)
def test_a_stronger_kind_stands_in_for_a_weaker_one(kind: str, weakest: str) -> None:
    if kind in TAKEN[weakest]:
        demand_kind(kind, weakest, "protocol x")
        return
    sentence = f"The prediction is {kind} ({MEANINGS[kind]}), and protocol x needs {weakest} ({MEANINGS[weakest]})."
    with pytest.raises(InputError) as refused:
        demand_kind(kind, weakest, "protocol x")
    assert refused.value.problem == sentence
    assert "lpcv protocols" in refused.value.remedy


def test_an_unknown_kind_is_refused_with_the_known_ones() -> None:
    with pytest.raises(InputError, match=r"'disparity' is no kind of prediction\. Write one of: depth_m"):
        demand_kind("disparity", "affine_inverse_depth", "protocol x")


def test_depth_is_inverted_once_and_inverse_depth_never() -> None:
    values = np.array([[0.5, 2.0], [0.0, -4.0]], np.float32)
    assert as_inverse_depth(values, "depth_m").tolist() == [[2.0, 0.5], [np.inf, -0.25]]
    assert as_inverse_depth(values, "relative_depth").tolist() == [[2.0, 0.5], [np.inf, -0.25]]
    assert as_inverse_depth(values, "affine_inverse_depth") is values


def frame(seed: int) -> Frame:
    depth = np.random.default_rng(seed).uniform(0.5, 70, (60, 90)).astype(np.float32)
    return Frame("f", np.zeros((60, 90, 3), np.uint8), depth, None, Record())


@given(st.integers(0, 50))
def test_depth_scores_as_its_own_inverse_under_an_inverse_depth_protocol(seed: int) -> None:
    draw = np.random.default_rng(seed)
    prediction = draw.uniform(0.5, 9, (20, 30))
    for name in ("kitti-eigen-lsq-inverse", "kitti-eigen-benchmark-lsq-inverse", "make3d-lsq-inverse"):
        score = PROTOCOLS[name].score
        inverted = score(frame(seed), 1 / prediction, "affine_inverse_depth")
        for kind in ("depth_m", "relative_depth"):
            assert score(frame(seed), prediction, kind) == inverted, (name, kind)


@pytest.mark.parametrize("name", [name for name in PROTOCOLS if not name.startswith("lpcvc")])
def test_every_field_protocol_refuses_what_is_too_weak_for_it(name: str) -> None:
    protocol = PROTOCOLS[name]
    for kind in set(KINDS) - TAKEN[protocol.weakest_kind]:
        with pytest.raises(InputError, match=f"and protocol {name} needs {protocol.weakest_kind}"):
            protocol.score(frame(0), np.ones((6, 9)), kind)
