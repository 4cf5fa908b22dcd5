"""An order's key: changed by all that decides the result, and by nothing else; and the name that carries it."""

from __future__ import annotations

import itertools
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from lpcv.hub_jobs.connection import Connection
from lpcv.hub_jobs.order import (
    LONGEST_TITLE,
    MARK,
    SHORT_KEY,
    CompiledModel,
    DatasetFile,
    InputSpec,
    ModelFile,
    Order,
    owner,
    set_of,
)

TOKEN = "planted-token-4711"
HUB = Connection("default", Path("client.ini"), "https://hub.example/", "https://hub.example/", TOKEN)
PROFILES = Path("~/.qai_hub").expanduser()
WORK = replace(HUB, name="work", config_file=PROFILES / "work.ini")
LOCAL = replace(HUB, name="local", api_url="http://127.0.0.1:8000/a/", stand_in="abc")
SPEC: InputSpec = {"image": ((1, 3, 480, 640), "float32")}


def dataset(sha256: str) -> DatasetFile:
    return DatasetFile(sha256, Path.touch)


ORDER = Order(
    "compile", "mine", ModelFile((Path("a/model.onnx"),), "aa11"), "Samsung Galaxy S24", "--target_runtime tflite",
    input_spec=SPEC, dataset=dataset("dd"),
)  # fmt: skip

OTHERS: dict[str, tuple[Order, Connection]] = {
    "none": (ORDER, HUB),
    "another hub": (ORDER, replace(HUB, api_url="https://other.example/")),
    "a rehearsal": (ORDER, LOCAL),
    "another stand-in": (ORDER, replace(LOCAL, stand_in="abd")),
    "a named profile": (ORDER, WORK),
    "another named profile": (ORDER, replace(HUB, name="home", config_file=PROFILES / "home.ini")),
    "a named file": (ORDER, replace(HUB, name="work.ini", config_file=Path("work.ini"))),
    "a project": (ORDER, replace(HUB, default_project="depth")),
    "type": (replace(ORDER, type="profile"), HUB),
    "model": (replace(ORDER, model=ModelFile((Path("a/model.onnx"),), "aa12")), HUB),
    "compiled": (replace(ORDER, model=CompiledModel("jabcde", "aa11")), HUB),
    "compiled by another job": (replace(ORDER, model=CompiledModel("jabcdf", "aa11")), HUB),
    "compiled from another model": (replace(ORDER, model=CompiledModel("jabcde", "aa12")), HUB),
    "device": (replace(ORDER, device="Samsung Galaxy S23"), HUB),
    "device's letters": (replace(ORDER, device="samsung galaxy s24"), HUB),
    "options": (replace(ORDER, options="--target_runtime onnx"), HUB),
    "no options": (replace(ORDER, options=""), HUB),
    "order of options": (replace(ORDER, options="tflite --target_runtime"), HUB),
    "no spec": (replace(ORDER, input_spec=None), HUB),
    "input's name": (replace(ORDER, input_spec={"input": SPEC["image"]}), HUB),
    "shape": (replace(ORDER, input_spec={"image": ((1, 3, 640, 480), "float32")}), HUB),
    "dtype": (replace(ORDER, input_spec={"image": ((1, 3, 480, 640), "uint8")}), HUB),
    "another input": (replace(ORDER, input_spec=SPEC | {"mask": ((1,), "float32")}), HUB),
    "another input first": (replace(ORDER, input_spec={"mask": ((1,), "float32")} | SPEC), HUB),
    "dataset": (replace(ORDER, dataset=dataset("de")), HUB),
    "no dataset": (replace(ORDER, dataset=None), HUB),
    "again": (replace(ORDER, nth=1), HUB),
    "and again": (replace(ORDER, nth=2), HUB),
}


def test_each_thing_that_decides_the_result_changes_key_and_name() -> None:
    keys = {what: order.key(hub) for what, (order, hub) in OTHERS.items()}
    names = {what: order.name(hub) for what, (order, hub) in OTHERS.items()}
    for one, other in itertools.combinations(OTHERS, 2):
        assert keys[one] != keys[other], f"{one} and {other} have one key"
        assert names[one] != names[other], f"{one} and {other} have one name"


def test_the_order_of_inputs_counts_although_the_key_s_json_is_sorted() -> None:
    """The client sends a list of tensors, and a model's inputs are matched by place: `base` keys a list, too."""
    mask: InputSpec = {"mask": ((1,), "float32")}
    one, other = replace(ORDER, input_spec=SPEC | mask), replace(ORDER, input_spec=mask | SPEC)
    assert one.input_spec == other.input_spec
    assert one.key(HUB) != other.key(HUB)


@pytest.mark.parametrize(
    ("order", "hub"),
    [
        (replace(ORDER, title="another"), HUB),
        (replace(ORDER, kept={"set": "x", "frames": ["0000"]}), HUB),
        (replace(ORDER, model=ModelFile((Path("elsewhere/net.onnx"),), "aa11")), HUB),
        (replace(ORDER, dataset=DatasetFile("dd", Path.mkdir)), HUB),
        (replace(ORDER, options="  --target_runtime\t\n tflite "), HUB),
        (ORDER, replace(HUB, config_file=Path("elsewhere.ini"))),
        (ORDER, replace(HUB, name="client", config_file=PROFILES / "client.ini")),
        (ORDER, replace(HUB, token="a new token", web_url="https://web.example/")),
        (ORDER, replace(HUB, api_url="HTTPS://HUB.Example")),
    ],
    ids=["title", "kept", "model's place", "writer", "blanks", "file", "client.ini", "token", "letters of the URL"],
)
def test_nothing_else_changes_the_key(order: Order, hub: Connection) -> None:
    assert order.key(hub) == ORDER.key(HUB)


def test_an_owner_is_a_hub_and_what_tells_accounts_apart() -> None:
    assert owner(HUB) == "https://hub.example"
    assert owner(WORK) == "https://hub.example (profile work)"
    assert owner(replace(WORK, name=str(WORK.config_file))) == owner(WORK)  # the same file, by its path
    assert owner(replace(WORK, default_project="depth")) == "https://hub.example (project depth, profile work)"
    named = replace(HUB, name="a.ini", config_file=Path("a.ini"))
    assert owner(named) == owner(replace(named, config_file=Path("a.ini").resolve()))
    assert owner(replace(LOCAL, name="x.ini", config_file=Path("x.ini"))) == "stand-in:abc"


def test_each_way_of_ordering_again_has_a_set_of_its_own() -> None:
    assert set_of("made", [0, 0]) == "made"
    assert set_of("made", [2, 2]) == set_of("made", [2]) == "made-2"
    assert len({set_of("made", turns) for turns in ([0, 0], [1, 0], [0, 1], [1, 1], [1, 2], [1, 0, 0], [12, 0])}) == 7
    again = replace(ORDER, kept={"set": "made", "frames": ["a"]}).in_turn(1)
    assert (again.nth, again.kept) == (1, {"set": "made-1", "frames": ["a"]})
    assert ORDER.in_turn(0) == ORDER


def test_the_scheme_s_own_port_does_not_change_the_key() -> None:
    assert ORDER.key(replace(HUB, api_url="https://hub.example:443/")) == ORDER.key(HUB)


def test_a_rehearsal_keeps_its_key_over_a_change_of_port() -> None:
    moved = replace(LOCAL, api_url="http://127.0.0.1:9999/a/", web_url="http://127.0.0.1:9999/a/")
    assert ORDER.key(moved) == ORDER.key(LOCAL)


def test_an_empty_spec_is_none_and_lists_are_tuples() -> None:
    listed: Any = {"image": [[1, 3, 480, 640], "float32"]}
    assert replace(ORDER, input_spec={}).key(HUB) == replace(ORDER, input_spec=None).key(HUB)
    assert replace(ORDER, input_spec=listed).key(HUB) == ORDER.key(HUB)


def test_the_client_s_and_our_version_are_recorded_and_not_keyed() -> None:
    old, new = ORDER.facts(HUB, "0.50.0", "0.3"), ORDER.facts(HUB, "0.56.0", "0.4")
    assert (new["client_version"], new["lpcv_version"]) == ("0.56.0", "0.4")
    changed = {key for key in old if old[key] != new[key]}
    assert changed == {"client_version", "lpcv_version"}


def test_again_shares_its_base_with_the_first() -> None:
    again = replace(ORDER, nth=3)
    assert again.base(HUB) == ORDER.base(HUB) == ORDER.key(HUB)
    assert again.facts(HUB, "", "")["base"] == ORDER.key(HUB)
    assert again.facts(HUB, "", "")["nth"] == 3


def test_the_key_of_today_is_the_key_of_tomorrow() -> None:
    """Another value here means that every finished job is ordered once more.

    SHA-256 of {"dataset_sha256": "dd", "device": "Samsung Galaxy S24", "hub": "https://hub.example", "input_spec":
    [["image", [[1, 3, 480, 640], "float32"]]], "model_sha256": "aa11", "options": "--target_runtime tflite", "type":
    "compile"} in one line, and of that and " again 1".
    """
    assert ORDER.key(HUB) == "66a9bf6f276981ab48de8ef9b4275f880b1472a57549e4f0b999784dda631e69"
    assert replace(ORDER, nth=1).key(HUB) == "154758dd034e03f3fe0e7331be652d8e5b8a066b8bab113a3e3bacc4f98d582f"


def test_facts_are_json_and_hold_neither_token_nor_paths() -> None:
    for order, hub in OTHERS.values():
        written = json.dumps(replace(order, kept={"set": "x"}).facts(hub, "0.56.0", "0.4"))
        assert TOKEN not in written
        assert "model.onnx" not in written
        assert '"set": "x"' in written
        assert json.loads(written)["rehearsal"] is hub.rehearsal


@given(title=st.text(max_size=200))
def test_a_name_ends_with_the_mark_however_long_the_title(title: str) -> None:
    name = replace(ORDER, title=title).name(HUB)
    assert name.endswith(f" {MARK}{ORDER.key(HUB)[:SHORT_KEY]}")
    assert len(name) <= LONGEST_TITLE + 1 + len(MARK) + SHORT_KEY
    assert name.startswith(title[:LONGEST_TITLE])


WORDS = st.lists(st.text(st.characters(codec="ascii", categories=["L", "N", "P"]), min_size=1, max_size=8), max_size=4)


@given(words=WORDS, blanks=st.lists(st.sampled_from([" ", "  ", "\t", "\n", " \r\n"]), min_size=5, max_size=5))
def test_blanks_between_options_never_count(words: list[str], blanks: list[str]) -> None:
    spread = blanks[0] + "".join(word + blank for word, blank in zip(words, blanks[1:], strict=False))
    assert replace(ORDER, options=spread).key(HUB) == replace(ORDER, options=" ".join(words)).key(HUB)


@given(one=WORDS, other=WORDS)
def test_other_options_are_another_key(one: list[str], other: list[str]) -> None:
    assume(one != other)
    assert replace(ORDER, options=" ".join(one)).key(HUB) != replace(ORDER, options=" ".join(other)).key(HUB)


@given(st.text(max_size=20), st.text(max_size=20), st.text(max_size=20), st.text(max_size=20))
def test_text_does_not_move_from_one_field_to_another(a: str, b: str, c: str, d: str) -> None:
    """Fields are joined as JSON, so that no field's text can pass for another's."""
    assume((a, b) != (c, d))
    one = replace(ORDER, model=CompiledModel(a, b), device="x").key(HUB)
    other = replace(ORDER, model=CompiledModel(c, d), device="x").key(HUB)
    assert one != other
    assert re.fullmatch(r"[0-9a-f]{64}", one)
