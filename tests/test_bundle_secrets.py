"""Nothing of the machine is in a bundle: no token, no user's or host's name, no path, wherever one was planted."""

from __future__ import annotations

import getpass
import json
import re
import socket
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import onnx
import pytest
from bundle_bench import CONFIG, PRIVATE, Book, build_model, bundled, emulated_json, make_run, write_score
from hypothesis import given, settings
from hypothesis import strategies as st
from lpcv.contract import CURRENT as CONTRACT
from lpcv.errors import InputError
from lpcv.evaluate.official import OFFICIAL
from lpcv.files import sha256_file
from lpcv.runs import Run
from lpcv.submission.bundle.ordinary import is_ordinary
from lpcv.submission.bundle.pack import package
from lpcv.submission.bundle.scrub import gives_away, machine_names, scrub, scrub_html
from lpcv.submission.bundle.verify import verify

TOKEN, HOST = "k3jf8s0d9vn2m4x6c8v0b1n3m5q7w9e1", "zebra-workstation"
HOME = f"/home/{PRIVATE}"
PLANTED = (
    f"[api]\napi_token = {TOKEN}\napi_url = https://app.example\n by {PRIVATE}@{HOST}:{HOME}/frames "
    f"from https://{PRIVATE}:{TOKEN}@hub.example/x?token={TOKEN}, see file://{HOME}/a and C:\\Users\\{PRIVATE}\\b"
)


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(getpass, "getuser", lambda: PRIVATE)
    monkeypatch.setattr(socket, "gethostname", lambda: f"{HOST}.lab.example")
    monkeypatch.setenv("HOME", HOME)


def planted_config() -> dict[str, Any]:
    config = json.loads(json.dumps(CONFIG))
    provenance = config["provenance"]
    provenance["data"] |= {"sources": [PLANTED], f"{HOME}/key": 1}
    provenance["teacher"] |= {"teacher": f"{HOME}/teachers/small", "api_token": TOKEN, "cache": PLANTED}
    provenance["encoder_weights"] |= {"token": TOKEN, "note": f"made on {HOST.upper()}"}
    config["inputs"] |= {"data": f"{HOME}/frames of {PRIVATE}", "labels": f"../{PRIVATE}/labels"}
    config["notes"] = [PLANTED, {"deep": {"password": TOKEN}}]
    return config


def test_nothing_that_was_planted_anywhere_is_in_any_byte(tmp_path: Path) -> None:
    run = make_run(tmp_path / f"home-of-{PRIVATE}" / "mine", planted_config())
    (run.best / "config.json").write_text(json.dumps({"working_size": [64, 48], "from": PLANTED}))
    sha256 = sha256_file(run.model)
    score = json.loads(run.score.read_text())
    row = {**score["frames"][0], "reasons": {"mae": PLANTED}, "remarks": {"mae": f"{HOME}/x"}}
    groups = {PLANTED: {"frames": 2}, f"{HOME}/group": {"frames": 1}}
    planted = {"source": f"{HOME}/runs/mine", "data": PLANTED, "groups": groups, "frames": [row, *score["frames"][1:]]}
    run.score.write_text(json.dumps({**score, **planted}))
    decided = {"model_sha256": sha256, "rehearsal": False, "reason": PLANTED, "despite": [], "licences_accepted": []}
    (run.root / "decisions.json").write_text(json.dumps(decided))
    (run.root / "emulated.json").write_text(json.dumps({**emulated_json(sha256), "not_scored": PLANTED}))
    report = run.root / "report" / "index.html"
    report.parent.mkdir()
    mark = f"<div><dt>predictions, SHA-256</dt><dd>{sha256}</dd></div>"
    report.write_text(f"<title>{HOME}/runs/mine on {HOME}/frames</title><h1>\n {HOME}/m </h1><p>{PLANTED}</p>{mark}")
    book = Book(tmp_path / "hub", sha256)
    book.job("compile", "jcompile", options=f"--x {HOME}/x --y {PRIVATE}", reached_by=f"{HOME}/client.ini", token=TOKEN)
    book.profiled("jprofile", 20_000, device=f"{HOST} phone")
    (run.root / "measured").mkdir()
    (run.root / "measured" / "jdevice.json").write_text(json.dumps(book.inferred("jdevice", lpcv_version=PLANTED)))

    bundle = package(run, tmp_path / "b.zip", book.folder)
    content = bundle.read_bytes()
    for secret in (TOKEN, PRIVATE, HOST, HOME, str(tmp_path), "hub.example/" + PRIVATE, "/home/"):
        where = [name for name, part in bundled(bundle).items() if secret.lower().encode() in part.lower()]
        assert (secret, where) == (secret, [])
        assert secret.lower().encode() not in content.lower()
    assert verify(bundle) == []
    told = json.loads(bundled(bundle)["config.json"])
    assert told["provenance"]["teacher"]["licence"] == "CC-BY-NC-4.0"
    assert told["inputs"]["validation"] == "held out"


def in_metadata(model: onnx.ModelProto, text: str) -> None:
    model.metadata_props.add(key="author", value=text)


def in_a_doc_string(model: onnx.ModelProto, text: str) -> None:
    model.graph.node[2].doc_string = text


def in_the_graphs_doc_string(model: onnx.ModelProto, text: str) -> None:
    model.graph.doc_string = text


def in_a_nodes_metadata(model: onnx.ModelProto, text: str) -> None:
    model.graph.node[0].metadata_props.add(key="x", value=text)


def in_the_producer(model: onnx.ModelProto, text: str) -> None:
    model.producer_name = text


def in_a_value(model: onnx.ModelProto, text: str) -> None:
    model.graph.input[0].doc_string = text


PLACES = (in_metadata, in_a_doc_string, in_the_graphs_doc_string, in_a_nodes_metadata, in_the_producer, in_a_value)


@pytest.mark.parametrize("plant", PLACES)
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"by {PRIVATE}", "a name of this machine or its user"),
        (f"on {HOST}", "a name of this machine or its user"),
        ("see /data/private/net.py", "the path /data/private/net.py"),
        (f"api_token={TOKEN}", "called a token"),
        ('File "net.py", line 3, in forward', "stack traces"),
    ],
)
def test_a_model_that_gives_its_maker_away_is_refused(
    plant: Callable[[onnx.ModelProto, str], None], text: str, expected: str, tmp_path: Path
) -> None:
    run = make_run(tmp_path / "mine")
    model = build_model()
    plant(model, text)
    onnx.save(model, run.model)
    write_score(run)
    with pytest.raises(InputError, match=expected):
        package(run, tmp_path / "b.zip")
    assert not (tmp_path / "b.zip").exists()


def test_names_that_half_of_all_machines_share_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(getpass, "getuser", lambda: "root")
    monkeypatch.setattr(socket, "gethostname", lambda: "localhost.localdomain")
    assert machine_names() == ("localhost.localdomain",)
    assert scrub({"optimiser": "root mean square"}) == {"optimiser": "root mean square"}


def test_a_container_without_a_user(monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody() -> str:
        raise KeyError("uid not found")

    monkeypatch.setattr(getpass, "getuser", nobody)
    assert machine_names() == (f"{HOST}.lab.example", HOST)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/home/ann lee/my frames", "my frames"),
        ("C:\\Users\\ann\\frames", "frames"),
        ("\\\\server\\ann\\frames", "frames"),
        ("file:///home/ann/frames", "frames"),
        ("~/frames/", "frames"),
        ("train --data /home/ann/x --val ~/y/z", "train --data x --val z"),
        ("copied from box:/home/ann/x", "copied from box:x"),
        ("owner/model-hf", "owner/model-hf"),
        ("https://example.org/a/b", "https://example.org/a/b"),
        ("https://me:secret@example.org/a?key=1&x=2 then", "https://example.org/a then"),
        ("indoor / outdoor, 0/1/2, and/or", "indoor / outdoor, 0/1/2, and/or"),
        ("a: b", "a: b"),
        ("api_token = abc123", "api_token=[removed]"),
        ("Authorization: Bearer abc123 next", "Authorization=[removed] next"),
        ("hf_abcdefghijklmnopqrst", "[removed]"),
        ("tokens: 77 of them", "tokens: 77 of them"),
        (f"by {PRIVATE.upper()}, not {PRIVATE}s", f"by [removed], not {PRIVATE}s"),
    ],
)
def test_texts(text: str, expected: str) -> None:
    assert scrub({"key": [text]}) == {"key": [expected]}


@settings(max_examples=40, deadline=None)
@given(
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats(allow_nan=False)
        | st.sampled_from(["depth_m", "CC-BY-4.0"]),
        lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["mean", "frames", "0017", "sha256"]), inner),
    )
)
def test_what_gives_nothing_away_is_unchanged(value: Any) -> None:
    assert scrub(value) == value


FOLDER = st.text("abz0-_ .", min_size=1, max_size=8).filter(lambda name: name.strip(" .") == name)


@given(
    st.sampled_from(["/", "/home/", "C:\\", "~/", "file:///", "\\\\server\\"]), st.lists(FOLDER, max_size=3), FOLDER,
    st.sampled_from(["inputs", "key"]),
)  # fmt: skip
def test_no_folder_of_an_absolute_path_survives(prefix: str, folders: list[str], last: str, key: str) -> None:
    slash = "\\" if "\\" in prefix else "/"
    assert scrub({key: prefix + slash.join([PRIVATE, *folders, last])}) == {key: last}


def known_as(monkeypatch: pytest.MonkeyPatch, user: str, host: str = "x") -> None:
    monkeypatch.setattr(getpass, "getuser", lambda: user)
    monkeypatch.setattr(socket, "gethostname", lambda: host)


@pytest.mark.parametrize(
    ("user", "host", "text", "expected"),
    [
        ("ann", "x", "by ann, for Ann's runs/ann/frames", "by [removed], for [removed]'s runs/[removed]/frames"),
        ("ann", "x", "planned an annual scan of hannah_ann", "planned an annual scan of hannah_[removed]"),
        ("bo", "x", "bo/frames, box", "[removed]/frames, box"),
        ("jörg", "x", "by Jörg, not jörgen", "by [removed], not jörgen"),
        (
            "x",
            "lab_box_3",
            "on lab_box_3, LAB-BOX-3.lan, lab_box_31",
            "on [removed], [removed].lan, lab_box_31",
        ),
        ("x", "ann-mac.local", "on ann_mac", "on [removed]"),
        ("model", "data", "the model of data", "the model of data"),
        ("model", "gpu", "model@gpu:/home/model/frames/x", "[removed]@[removed]:x"),
        ("train", "x", "see home/train/a", "see home/[removed]/a"),
        ("x", "x", "mail ann.lee+a@mail.example.org, please", "mail [removed], please"),
        ("x", "x", "owner/model@main, lpcv@1.2.3, a @ b", "owner/model@main, lpcv@1.2.3, a @ b"),
    ],
)
def test_names_of_all_kinds(user: str, host: str, text: str, expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    known_as(monkeypatch, user, host)
    assert scrub([text]) == [expected]


def words_of(value: Any) -> set[str]:
    """Of keys and texts, without numbers."""
    return {word for word in re.findall(r"[a-z0-9]+", json.dumps(value).lower()) if not word.isdigit()}


def test_a_user_who_is_called_like_a_word_of_the_records_spoils_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every word of recipes, contract and protocol, one after another."""
    from lpcv.train.recipe import RECIPES

    record = {
        "recipe": {name: asdict(make()) for name, make in RECIPES.items()}, "contract": CONTRACT.as_json(),
        "protocol": {key: part for key, part in OFFICIAL.described().items() if key != "source"},
        "mean": dict.fromkeys(OFFICIAL.metrics, 1.0), "licences": ["MIT", "CC-BY-SA-4.0", "Apache-2.0", "BSD-3-Clause"],
        "frames_scored": 1, "frames_stopped": {}, "frames_trained_on": 0, "interval_95": {}, "data_sha256": "",
    }  # fmt: skip
    unknown = {word for word in words_of(record) if not is_ordinary(word)}
    assert unknown == set()
    small = {key: record[key] for key in ("recipe", "mean", "licences")}
    for name in ("model", "data", "mit", "mae", "max", "demo", "by", "depth"):
        known_as(monkeypatch, name, name)
        assert scrub(small) == json.loads(json.dumps(small))


def test_a_model_with_an_address_is_refused() -> None:
    assert gives_away("author: ann@lab.example.org") == "the e-mail address ann@lab.example.org"


def test_a_page_keeps_its_tags_and_scripts() -> None:
    kept = "<!DOCTYPE html><a href='x'>a/b</a><style>p{}/*/x/y*/</style><script>if(a</b/c)d</script>\n<p>1 &lt; 2</p>"
    assert scrub_html(kept) == kept
    assert scrub_html(f"<p>\n  {HOME}/a &amp; b</p>") == "<p>\n  a &amp; b</p>"


@pytest.mark.parametrize("text", ["", "depth_m", "/2", "and/or", "y = a / b", "https://example.org/a/b", "0/1/2"])
def test_what_a_model_may_say(text: str) -> None:
    assert gives_away(text) is None


def test_a_run_folder_of_any_name(tmp_path: Path) -> None:
    """The run's own name is the score's source, and may be the user's."""
    run = make_run(tmp_path / PRIVATE)
    files = bundled(package(Run(run.root), tmp_path / "b.zip"))
    assert json.loads(files["scores.json"])["float"]["source"] == "[removed]"
