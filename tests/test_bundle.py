"""Bundles: all that a third person needs, the same bytes each time, and every contradiction named."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import onnx
import pytest
from bundle_bench import CONFIG, WEIGHTS, Book, build_model, bundled, make_run, write_score
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lpcv import cli
from lpcv.contract import CURRENT as CONTRACT
from lpcv.errors import InputError, MissingStepError
from lpcv.runs import CHECKPOINT_KEY, Run
from lpcv.submission.bundle.layout import MANIFEST, REQUIRED
from lpcv.submission.bundle.pack import package, run_files, with_manifest
from lpcv.submission.bundle.verify import look_into, verify
from lpcv.submission.bundle.zipping import zip_bytes
from onnx import TensorProto

PROBES = {f"probes/{name}.{kind}" for name in ("noise", "gradient", "stripes", "scene") for kind in ("png", "npy")}
Files = dict[str, bytes]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return make_run(tmp_path / "mine")


@pytest.fixture(scope="module")
def honest(tmp_path_factory: pytest.TempPathFactory) -> Files:
    """The files of one bundle, to be spoiled."""
    return with_manifest(run_files(make_run(tmp_path_factory.mktemp("honest") / "mine")))


def written(files: Files, tmp_path: Path) -> Path:
    path = tmp_path / "bundle.zip"
    path.write_bytes(zip_bytes(files))
    return path


def test_a_bundle_holds_what_it_should_and_verifies(run: Run, tmp_path: Path) -> None:
    files = bundled(package(run, tmp_path / "bundle.zip"))
    assert set(files) == {*REQUIRED, *PROBES, "MANIFEST.json"}
    assert files["model.onnx"] == run.model.read_bytes()
    provenance = json.loads(files["provenance.json"])
    assert provenance[CHECKPOINT_KEY] == sha256(WEIGHTS).hexdigest()
    assert provenance["model_sha256"] == sha256(files["model.onnx"]).hexdigest()
    assert provenance["scores_sha256"] == sha256(files["scores.json"]).hexdigest()
    assert (provenance["git_sha"], provenance["data"]["sha256"]) == ("a" * 40, "d" * 64)
    environment = json.loads(files["environment.json"])
    assert environment["training"] == {"lpcv_version": "9.8.6", "python_version": "3.12.1", "torch_version": "6.4"}
    assert (environment["export"]["lpcv_version"], environment["export"]["torch_version"]) == ("9.8.7", "6.5")
    assert environment["export"]["onnxruntime_version"] == "not recorded"
    licences = json.loads(files["licences.json"])
    assert (licences["teacher"], licences["encoder_weights"]) == ("CC-BY-NC-4.0", "BSD-3-Clause")
    assert licences["data"] == {"MIT": 3}
    assert licences["accepted"].startswith("none: ")
    assert json.loads(files["contract.json"])["input_name"]["value"] == CONTRACT.input_name
    for name, row in json.loads(files["MANIFEST.json"])["files"].items():
        assert row == {"bytes": len(files[name]), "sha256": sha256(files[name]).hexdigest()}
    assert verify(tmp_path / "bundle.zip") == []
    states = {one.name: one.state for one in look_into(tmp_path / "bundle.zip")}
    assert states == {
        "files": "pass", "contract": "pass", "model": "pass", "provenance": "pass", "probe frames": "pass",
        "licences": "pass", "README": "pass",
        "score, float": "pass", "score, emulated": "undecided", "score, measured": "undecided",
    }  # fmt: skip


def test_two_packagings_are_byte_identical_wherever_and_whenever(run: Run, tmp_path: Path) -> None:
    first = package(run, tmp_path / "one.zip").read_bytes()
    elsewhere = tmp_path / "another" / run.root.name
    shutil.copytree(run.root, elsewhere)
    for path in elsewhere.rglob("*"):
        os.utime(path, (1e9, 1e9))
        if path.is_file():
            path.chmod(0o600)
    assert package(Run(elsewhere), tmp_path / "deep" / "two.zip").read_bytes() == first
    assert package(run, tmp_path / "one.zip").read_bytes() == first
    script = (
        "import sys; from pathlib import Path; from lpcv.runs import Run; "
        "from lpcv.submission.bundle.pack import package; package(Run(Path(sys.argv[1])), Path(sys.argv[2]))"
    )
    third = tmp_path / "three.zip"
    surroundings = {**os.environ, "PYTHONHASHSEED": "7", "TZ": "Asia/Tokyo", "LC_ALL": "C"}
    subprocess.run(
        [sys.executable, "-c", script, str(run.root), str(third)], check=True, cwd=tmp_path, env=surroundings
    )
    assert third.read_bytes() == first


def test_any_zip_tool_reads_it(run: Run, tmp_path: Path) -> None:
    with zipfile.ZipFile(package(run, tmp_path / "bundle.zip")) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == sorted(archive.namelist())
        for entry in archive.infolist():
            assert (entry.date_time, entry.external_attr >> 16, entry.compress_type) == (
                (1980, 1, 1, 0, 0, 0), 0o100644, zipfile.ZIP_STORED,
            )  # fmt: skip


def test_a_run_without_a_fresh_export_is_refused(run: Run, tmp_path: Path) -> None:
    out = tmp_path / "bundle.zip"
    (run.best / "model.safetensors").write_bytes(b"newer weights")
    with pytest.raises(MissingStepError, match=r"lpcv export .* again"):
        package(run, out)
    run.model.unlink()
    with pytest.raises(MissingStepError, match=r"no model\.onnx yet"):
        package(run, out)
    assert not out.exists()


def test_missing_provenance_is_called_not_recorded(run: Run, tmp_path: Path) -> None:
    run.config.write_text(json.dumps({"recipe": {}}))
    files = bundled(package(run, tmp_path / "bundle.zip"))
    assert json.loads(files["licences.json"])["teacher"] == "not recorded"
    assert json.loads(files["provenance.json"])["git_sha"] == "not recorded"
    assert json.loads(files["environment.json"])["training"]["torch_version"] == "not recorded"
    assert verify(tmp_path / "bundle.zip") == []
    run.config.write_text(json.dumps({"provenance": {"teacher": None}}))
    files = bundled(package(run, tmp_path / "bundle.zip"))
    assert json.loads(files["provenance.json"])["teacher"] == "none: trained without a teacher"
    assert "--teacher none" in files["README.txt"].decode()


def test_decisions_of_a_submission_are_inside(run: Run, tmp_path: Path) -> None:
    decided = {
        "model_sha256": sha256(run.model.read_bytes()).hexdigest(),
        "rehearsal": False,
        "despite": ["profile"],
        "reason": "measured in /home/ann/lab by hand",
        "licences_accepted": ["CC-BY-NC-4.0"],
    }
    run.decisions.write_text(json.dumps({**decided, "more": 1}))
    files = bundled(package(run, tmp_path / "bundle.zip"))
    assert json.loads(files["decisions.json"]) == {**decided, "reason": "measured in lab by hand"}
    assert json.loads(files["licences.json"])["accepted"] == ["CC-BY-NC-4.0"]
    assert verify(tmp_path / "bundle.zip") == []
    for damaged in ("[]", '{"despite": "profile"}', '{"reason": 3}', '{"licences_accepted": [1]}'):
        run.decisions.write_text(damaged)
        with pytest.raises(InputError, match="no record of decisions"):
            package(run, tmp_path / "bundle.zip")


def test_the_readme_names_every_file_and_its_commands_are_real(run: Run, tmp_path: Path) -> None:
    files = bundled(package(run, tmp_path / "bundle.zip", Book(tmp_path / "hub", "").folder))
    text = files["README.txt"].decode()
    assert all(name in text for name in (*REQUIRED, MANIFEST) if name != "README.txt")
    assert "d" * 64 in text
    assert "e" * 64 in text
    assert "2 frames, 0 of which it was trained on" in text
    assert "measured latencies: no profile job of this model" in text
    commands = [shlex.split(line) for line in text.splitlines() if line.startswith("  lpcv ")]
    assert [words[1] for words in commands] == [
        "verify", "check", "score", "train", "export", "score", "package", "compile", "profile",
    ]  # fmt: skip
    verbs = {name: target for group in cli.COMMANDS.values() for name, target in group.items()}
    for words in commands:
        module, name = verbs[words[1]].split(":")
        command = getattr(__import__(f"lpcv.{module}", fromlist=[name]), name)
        with command.make_context(words[1], words[2:]):
            pass
    assert commands[5] == ["lpcv", "score", "RUN", "--data", "SCORED"]
    train = next(words for words in commands if words[1] == "train")
    assert train[2:] == [
        "--recipe", "config.json", "--data", "DATA", "--frames", "0000-0016", "--val", "VALIDATION", "--teacher",
        "depth-anything/Depth-Anything-V2-Large-hf", "--out", "RUN",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("provenance", "expected"),
    [
        ({"encoder_weights": {"name": "none: random"}}, "--encoder-weights none"),
        ({"encoder_weights": {"name": "mine.pth", "sha256": "b" * 64}}, "--encoder-weights mine.pth"),
        ({"encoder_weights": {"name": "torchvision"}, "teacher": None}, "--teacher none --out RUN"),
        ({"data": {"sha256": "f" * 64}}, "lpcv score RUN --data DATA"),
        ({"validation": {"sha256": "f" * 64}}, "lpcv score RUN --data VALIDATION"),
    ],
)
def test_the_readme_follows_the_runs_records(provenance: dict[str, Any], expected: str, run: Run) -> None:
    run.config.write_text(json.dumps({"recipe": {}, "provenance": provenance}))
    assert expected in run_files(run)["README.txt"].decode()


@pytest.mark.parametrize("name", [*REQUIRED, "probes/noise.png", "probes/scene.npy"])
def test_every_changed_lost_or_added_file_is_named(name: str, honest: Files, tmp_path: Path) -> None:
    same_length = honest[name][:-1] + bytes([honest[name][-1] ^ 1])
    for changed in (same_length, honest[name] + b" "):
        assert [name in problem for problem in verify(written({**honest, name: changed}, tmp_path))] == [True]
    lost = {key: content for key, content in honest.items() if key != name}
    assert verify(written(lost, tmp_path)) == [f"{name} is missing."]
    assert verify(written({**honest, "extra.txt": b"x"}, tmp_path)) == ["extra.txt is not listed in MANIFEST.json."]


def external_model() -> bytes:
    model = build_model()
    table = model.graph.initializer.add(name="t", data_type=TensorProto.FLOAT, dims=[1])
    table.data_location = TensorProto.EXTERNAL
    table.external_data.add(key="location", value="../secret.bin")
    return model.SerializeToString()


def swapped(content: bytes, *, owned: bool) -> Callable[[Files], Files]:
    """Another model; owned: provenance and scores claim it too, which only the probe frames contradict."""

    def change(files: Files) -> Files:
        sha = sha256(content).hexdigest()
        if not owned:
            return {**files, "model.onnx": content}
        scores = json.loads(files["scores.json"])
        scores["float"]["source_sha256"] = sha
        told = json.dumps(scores).encode()
        provenance = {**json.loads(files["provenance.json"]), "model_sha256": sha}
        provenance["scores_sha256"] = sha256(told).hexdigest()
        return {
            **files,
            "model.onnx": content,
            "scores.json": told,
            "provenance.json": json.dumps(provenance).encode(),
        }

    return change


def edited(name: str, *path: str, to: Any) -> Callable[[Files], Files]:
    """One value in a JSON file of the bundle; where it is in scores.json, provenance is told of it."""

    def change(files: Files) -> Files:
        content = json.loads(files[name])
        part = content
        for key in path[:-1]:
            part = part[key]
        part[path[-1]] = to
        changed = {**files, name: json.dumps(content).encode()}
        if name == "scores.json":
            digest = sha256(changed[name]).hexdigest()
            return edited("provenance.json", "scores_sha256", to=digest)(changed)
        return changed

    return change


LIGHTER = build_model(most=256.0).SerializeToString()
UNKNOWN = "https://evil.example/x\x1b[2J"


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (swapped(LIGHTER, owned=False), "provenance.json is of another model"),
        (swapped(LIGHTER, owned=False), "On the probe frame noise the model differs by 0.00"),
        (swapped(LIGHTER, owned=True), "On the probe frame stripes the model differs by 0.00"),
        (swapped(build_model(output_name="depth").SerializeToString(), owned=True), "output name"),
        (swapped(build_model(b"other weights").SerializeToString(), owned=True), "names the checkpoint"),
        (swapped(b"no model at all", owned=True), "not an ONNX model"),
        (swapped(build_model(remark="abcd").SerializeToString().replace(b"abcd", b"\xe0bcd"), owned=True), "no text"),
        (swapped(external_model(), owned=True), "outside the bundle"),
        (lambda files: {**files, "provenance.json": b"{}"}, "names the checkpoint"),
        (lambda files: {**files, "provenance.json": b"[]"}, "provenance.json is damaged: it is no JSON object"),
        (lambda files: {**files, "environment.json": b"{"}, "environment.json is damaged: it is not readable JSON"),
        (lambda files: {**files, "decisions.json": b"[1]"}, "decisions.json is damaged"),
        (lambda files: {**files, "decisions.json": b"{}"}, "decisions.json is of another model"),
        (lambda files: {**files, "evil.sh": b"rm"}, "evil.sh is no file of a bundle"),
        (lambda files: {**files, "probes/evil.png": b"x"}, "probes/evil.png is no file of a bundle"),
        (lambda files: {**files, "README.txt": b"Type:\n  rm -rf .\n"}, "README.txt is not what this lpcv writes"),
        (
            edited("licences.json", "teacher", to="MIT"),
            "licences.json is not what config.json and decisions.json give: teacher",
        ),
        (edited("licences.json", "accepted", to=["CC-BY-NC-4.0"]), "give: accepted differs"),
        (edited("provenance.json", "git_sha", to="b" * 40), "differ in 'git_sha'"),
        (edited("provenance.json", "teacher", to="none: trained without a teacher"), "differ in 'teacher'"),
        (lambda files: {**files, "scores.json": b"{}"}, "not the three kinds"),
        (edited("jobs.json", "jobs", to=3), "lists no jobs"),
        (edited("provenance.json", "data", "sha256", to="0" * 64), "differ in 'data'"),
        (edited("provenance.json", "model_sha256", to=UNKNOWN), "it names https://evil.example/x?[2J"),
        (lambda files: {**files, "scores.json": files["scores.json"].replace(b"71.25", b"81.25")}, "is not the one"),
        (edited("scores.json", "float", "mean", "f_score", to=81.25), "is 81.25, its frames give 71.25"),
        (edited("scores.json", "float", "frames_scored", to=9), "says that 9 frames were scored, there are 2"),
        (edited("scores.json", "float", "frames", to=[]), "not those whose hash stands beside them"),
        (edited("scores.json", "float", "source_sha256", to="0"), "score of another model"),
        (edited("scores.json", "float", to=3), "it is no score"),
        (edited("scores.json", "measured", "latencies", to=[{"job_id": "jmade"}]), "jmade is no job of a device"),
        (edited("scores.json", "measured", "latencies", to=[3]), "nothing is no job of a device"),
        (edited("scores.json", "measured", "scores", to=[{"job": "x"}]), "nothing is no job of a device"),
        (edited("scores.json", "measured", to=3), "neither 'scores' nor says why"),
        (lambda files: {**files, "scores.json": b"[]"}, "no JSON object"),
        (lambda files: {**files, "jobs.json": b"[]"}, "no JSON object"),
        (lambda files: {**files, "contract.json": b"{}"}, "names no edition"),
        (lambda files: {**files, "contract.json": b'{"name": {"value": ["x"]}}'}, "names no edition"),
        (lambda files: {**files, "contract.json": files["contract.json"].replace(b"640", b"641")}, "differs"),
    ],
)
def test_a_bundle_that_is_whole_but_contradicts_itself(
    change: Callable[[Files], Files], expected: str, honest: Files, tmp_path: Path
) -> None:
    files = with_manifest({name: content for name, content in change(honest).items() if name != MANIFEST})
    problems = verify(written(files, tmp_path))
    assert any(expected in problem for problem in problems), problems
    assert all(problem.isprintable() for problem in problems)


def test_what_nobody_can_catch_is_said_and_not_claimed(honest: Files, tmp_path: Path) -> None:
    """Frames, mean and hashes forged together agree with one another: the manifest is not signed."""
    from lpcv.submission.bundle.scores import rows_sha256

    rows = [{"frame": "0017", "f_score": 99.0, "mae": 0.0}]
    score = {**json.loads(honest["scores.json"])["float"], "mean": {"f_score": 99.0, "mae": 0.0}, "frames": rows}
    score |= {"frames_scored": 1, "frames_sha256": rows_sha256(rows), "frames_stopped": {}}
    forged = edited("scores.json", "float", to=score)(honest)
    del forged[MANIFEST]
    forged["README.txt"] = forged["README.txt"].replace(b"is of 2 frames", b"is of 1 frames")
    assert verify(written(with_manifest(forged), tmp_path)) == []
    assert "not signed" in honest["README.txt"].decode()


@pytest.fixture(scope="module")
def whole_bundle(honest: Files, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(honest, tmp_path_factory.mktemp("fuzz"))


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_one_flipped_bit_anywhere_is_caught(whole_bundle: Path, honest: Files, data: st.DataObject) -> None:
    content = bytearray(whole_bundle.read_bytes())
    # Most of the bytes are pictures: every second flip is in what is small, names and headers and the end.
    small = [index for name in sorted(honest) for index in _around(content, name)]
    place = data.draw(st.integers(0, len(content) - 1) | st.sampled_from(small))
    content[place] ^= 1 << data.draw(st.integers(0, 7))
    path = whole_bundle.with_name("damaged.zip")
    path.write_bytes(content)
    try:
        problems = verify(path)
    except InputError:
        return
    assert problems


def _around(content: bytes | bytearray, name: str) -> list[int]:
    first, last = content.index(name.encode()), content.rindex(name.encode())
    return [
        *range(first - 30, first + len(name)),
        *range(last - 46, last + len(name)),
        *range(len(content) - 22, len(content)),
    ]


def test_the_commands(run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: Any) -> None:
    monkeypatch.setenv("LPCV_HUB_FOLDER", str(tmp_path / "hub"))
    assert cli.run(["package", str(run.root)]) == 0
    said = capsys.readouterr()
    bundle = run.root / "bundle.zip"
    assert sha256(bundle.read_bytes()).hexdigest() in said.out
    for name in ("emulated", "measured scores", "measured latencies", "jobs", "report", "decisions"):
        assert f"Not inside, {name}: " in said.err
    assert "Not inside, float score" not in said.err
    assert "2 frames, 0 of which it was trained on" in said.err
    assert f"Next: lpcv verify {bundle}" in said.err
    assert not (tmp_path / "hub").exists()

    told = tmp_path / "verified.json"
    assert cli.run(["verify", str(bundle), "--json", str(told)]) == 0
    assert "not signed" in capsys.readouterr().err
    content = json.loads(told.read_text())
    assert (content["verified"], content["bundle"]) == (True, "bundle.zip")
    assert [one["state"] for one in content["checked"]].count("fail") == 0

    spoiled = bundle.read_bytes().replace(b"Low-Power", b"Low-power")
    bundle.write_bytes(spoiled)
    assert cli.run(["verify", str(bundle), "--json", str(told)]) == 2  # the zip's own checksum
    files = bundled_anyway(spoiled)
    bundle.write_bytes(zip_bytes(files))
    assert cli.run(["verify", str(bundle), "--json", str(told)]) == 1
    assert "WRONG README.txt is damaged or changed" in capsys.readouterr().out
    assert json.loads(told.read_text())["verified"] is False
    for name in ("config.json", "model.onnx", "score.json"):
        assert cli.run(["package", str(run.root), "-o", str(run.root / name)]) == 2
    assert onnx.load(run.model).graph.node


def test_what_is_no_bundle_is_never_written_over(run: Run, tmp_path: Path, capsys: Any) -> None:
    weights, notes, empty = run.best / "model.safetensors", tmp_path / "notes.txt", tmp_path / "empty.zip"
    notes.write_text("mine")
    empty.write_bytes(zip_bytes({}))
    other = tmp_path / "other.zip"
    other.write_bytes(zip_bytes({"a.txt": b"x"}))
    cut = tmp_path / "cut.zip"
    cut.write_bytes(package(run, tmp_path / "whole.zip").read_bytes()[:-9])
    nowhere = tmp_path / "link.zip"
    nowhere.symlink_to(tmp_path / "gone")
    for place in (weights, notes, empty, other, cut, run.root / "config.json", nowhere):
        before = place.read_bytes() if place.exists() else None
        with pytest.raises(InputError, match="is no bundle, so nothing is written over it"):
            package(run, place)
        assert cli.run(["package", str(run.root), "-o", str(place)]) == 2
        assert (place.read_bytes() if place.exists() else None) == before
    assert "Traceback" not in capsys.readouterr().err


def test_a_bundle_that_is_replaced_is_said_and_how_it_differs(run: Run, capsys: Any, monkeypatch: Any) -> None:
    monkeypatch.setenv("LPCV_HUB_FOLDER", str(run.root.parent / "hub"))
    words = ["package", str(run.root)]
    assert cli.run(words) == 0
    assert "Replaced" not in capsys.readouterr().err
    assert cli.run(words) == 0
    assert "Replaced the bundle that was there, which was the same, byte for byte." in capsys.readouterr().err
    run.score.unlink()
    assert cli.run(words) == 0
    said = capsys.readouterr().err
    assert "Replaced the bundle that was there, which differed in README.txt, provenance.json, scores.json." in said


def test_a_result_is_never_written_over_what_is_read(run: Run, tmp_path: Path, capsys: Any) -> None:
    bundle = package(run, tmp_path / "bundle.zip")
    before = bundle.read_bytes()
    linked = tmp_path / "linked.json"
    linked.symlink_to(bundle)
    for place in (bundle, linked, tmp_path / "x" / ".." / "bundle.zip"):
        assert cli.run(["verify", str(bundle), "--json", str(place)]) == 2
        assert "which is read here" in " ".join(capsys.readouterr().err.split())
    assert bundle.read_bytes() == before
    told = tmp_path / "told.json"
    told.write_text("{}")
    for option in ("--emulated", "--measured"):
        assert cli.run(["package", str(run.root), option, str(told), "-o", str(told)]) == 2
        assert "which is read here" in capsys.readouterr().err
    page = tmp_path / "report" / "index.html"
    assert cli.run(["package", str(run.root), "--report", str(page.parent), "-o", str(page)]) == 2
    assert "which is read here" in capsys.readouterr().err
    for name in ("emulated.json", "report/index.html"):
        assert cli.run(["package", str(run.root), "-o", str(run.root / name)]) == 2
        assert "which is read here" in capsys.readouterr().err
    assert told.read_text() == "{}"
    assert not (run.root / "emulated.json").exists()


def bundled_anyway(content: bytes) -> Files:
    """Contents of a zip whose checksums do not agree."""
    import io

    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        found = {}
        for entry in archive.infolist():
            stream = archive.open(entry)
            stream._expected_crc = None  # type: ignore[attr-defined]
            found[entry.filename] = stream.read()
        return found


def test_without_a_score_it_is_said(run: Run, tmp_path: Path) -> None:
    onnx.save(build_model(torch_version="7.0"), run.model)
    with pytest.raises(MissingStepError, match="score of another model"):
        package(run, tmp_path / "bundle.zip")
    run.score.unlink()
    files = bundled(package(run, tmp_path / "bundle.zip"))
    assert json.loads(files["scores.json"])["float"] == "none: the run has not been scored"
    assert verify(tmp_path / "bundle.zip") == []
    write_score(run)
    assert json.loads(run_files(run)["scores.json"])["float"]["mean"] == {"mae": 0.5, "f_score": 71.25}
    assert CONFIG["provenance"]["git_sha"] == "a" * 40
