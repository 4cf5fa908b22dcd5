"""A rehearsal's order is another one where the NPU's compiler joins or changes; a real one is not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from lpcv.hub_jobs.connection import Connection
from lpcv.hub_jobs.order import CompiledModel, ModelFile, Order
from lpcv.hub_jobs.stand_in.settings import npu_version

REAL = Connection("default", Path("client.ini"), "https://hub.example/", "https://hub.example/", "token")
LOCAL = replace(REAL, name="local", api_url="http://127.0.0.1:8000/a/", stand_in="abc")
COMPILE = Order("compile", "mine", ModelFile((), "aa11"), "Samsung Galaxy S24", "--target_runtime tflite")
PROFILE = Order("profile", "mine", CompiledModel("jc1", "aa11"), "Samsung Galaxy S24", "")
QUANTIZE = Order("quantize", "mine", ModelFile((), "aa11"), "", "", precision="w8a8")


def keys(order: Order, hub: Connection, patched: pytest.MonkeyPatch) -> list[str]:
    """With two versions of the compiler, with it switched off, and without it."""
    door, made = "lpcv.hub_jobs.htp.door", []
    for switch, there, version in (("on", True, "2.7.0"), ("on", True, "2.8.0"), ("off", True, "2.7.0"),
                                   ("on", False, "")):  # fmt: skip
        with patched.context() as here:
            here.setenv("LPCV_STAND_IN_NPU", switch)
            here.setattr(f"{door}.is_available", lambda there=there: there)
            here.setattr(f"{door}.versions", lambda version=version: {"onnxruntime-qnn": version})
            made.append(order.key(hub))
    return made


@pytest.mark.parametrize("order", [COMPILE, PROFILE], ids=["compile", "profile"])
def test_a_rehearsal_is_a_new_job_where_the_npu_joins_or_changes(order: Order, monkeypatch: pytest.MonkeyPatch) -> None:
    first, newer, off, absent = keys(order, LOCAL, monkeypatch)
    assert len({first, newer, off}) == 3
    assert off == absent  # nobody is asked in either


@pytest.mark.parametrize(("order", "hub"), [(COMPILE, REAL), (PROFILE, REAL), (QUANTIZE, LOCAL), (QUANTIZE, REAL)])
def test_other_orders_do_not_know_of_it(order: Order, hub: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(set(keys(order, hub, monkeypatch))) == 1


def test_a_real_orders_key_is_a_literal() -> None:
    """SHA-256 of its content in one line of JSON; another value means that every finished job is ordered once more."""
    assert PROFILE.key(REAL) == "601be1bdc1bc831c23715041fa78bead2b4e15462df5bba2406f9ba018bed1b0"


def test_the_switch_and_the_system_decide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lpcv.hub_jobs.htp.door.is_available", lambda: True)
    monkeypatch.delenv("LPCV_STAND_IN_NPU", raising=False)
    assert npu_version() is not None
    monkeypatch.setenv("LPCV_STAND_IN_NPU", "off")
    assert npu_version() is None
