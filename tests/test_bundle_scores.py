"""Scores and jobs in a bundle: float, emulated and measured are never mixed, and each is of this very model."""

from __future__ import annotations

import json
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from bundle_bench import MEAN, ROWS, S24, Book, bundled, emulated_json, make_run, score_json, write_score
from lpcv import cli
from lpcv.errors import InputError, LpcvError, MissingStepError
from lpcv.evaluate.frame_score import FrameScore
from lpcv.evaluate.statistics import METHOD, mean_interval
from lpcv.files import sha256_file
from lpcv.runs import Run
from lpcv.submission.bundle.intake import take_in
from lpcv.submission.bundle.pack import package, run_files, with_manifest
from lpcv.submission.bundle.scores import rows_sha256
from lpcv.submission.bundle.verify import look_into, verify
from lpcv.submission.bundle.zipping import zip_bytes


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return make_run(tmp_path / "mine")


@pytest.fixture
def book(run: Run, tmp_path: Path) -> Book:
    return Book(tmp_path / "hub", sha256_file(run.model))


def scores(run: Run, book: Book | None = None) -> dict[str, Any]:
    return json.loads(run_files(run, book.folder if book else None)["scores.json"])


def saved(path: Path, content: Any) -> Path:
    path.write_text(json.dumps(content))
    return path


def test_every_kind_has_its_place_and_says_why_it_is_empty(run: Run, book: Book) -> None:
    held = scores(run, book)
    assert set(held) == {"float", "emulated", "measured"}
    assert (held["float"]["mean"], held["float"]["source"]) == (MEAN, "mine")
    assert held["float"]["frames_sha256"] == rows_sha256(ROWS)
    assert held["emulated"].startswith("none: ")
    assert {key: part[:6] for key, part in held["measured"].items()} == {"scores": "none: ", "latencies": "none: "}
    assert scores(run)["measured"]["latencies"] == "none: no ledger was read"
    assert not book.folder.root.exists()


def test_the_hash_of_rows_is_a_literal() -> None:
    assert rows_sha256([]) == "37517e5f3dc66819f61f5a7bb8ace1921282415f10551d2defa5c3eb0985b570"


def test_emulated_holds_the_emulators_rows_alone(run: Run, tmp_path: Path) -> None:
    file = saved(tmp_path / "e.json", emulated_json(sha256_file(run.model)))
    take_in(run, Book(tmp_path / "hub", "").folder, file, (), None)
    held = scores(run)["emulated"]
    assert [(row["precision"], row["computed_by"]) for row in held["rows"]] == [("fp16", "HTP emulator")]
    assert (held["device"], held["versions"], held["htp_arch"]) == (S24, {"qairt": "2.51.0"}, 75)
    assert "estimated" not in json.dumps(held)
    bundle = package(run, tmp_path / "b.zip")
    states = {one.name: one.state for one in look_into(bundle)}
    assert states["score, emulated"] == "pass"


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"model_sha256": "0" * 64}, "is of another model"),
        ({"finished": False}, "was cut off"),
        ({"rows": None}, "not what `lpcv emulate --json` writes"),
    ],
)
def test_another_models_emulation_is_refused(change: dict[str, Any], expected: str, run: Run, tmp_path: Path) -> None:
    wrong = {**emulated_json(sha256_file(run.model)), **change}
    file = saved(tmp_path / "e.json", wrong)
    with pytest.raises(LpcvError, match=expected):
        take_in(run, Book(tmp_path / "hub", "").folder, file, (), None)
    assert not (run.root / "emulated.json").exists()
    saved(run.root / "emulated.json", wrong)
    with pytest.raises(LpcvError, match=expected):
        package(run, tmp_path / "b.zip")


def test_an_emulation_without_frames_is_said(run: Run) -> None:
    told = emulated_json(sha256_file(run.model))
    saved(run.root / "emulated.json", {**told, "rows": told["rows"][:1]})
    assert scores(run)["emulated"] == "none: the emulator computed no frame of this model"


def test_latencies_are_those_that_a_device_measured(run: Run, book: Book) -> None:
    book.profiled("jfirst", 20_000)
    book.profiled("jfailed", 1_000, state="FAILED")
    book.profiled("jrehearsal", 1_000, rehearsal=True)
    book.profiled("jgone", 1_000).unlink()
    book.profiled("jother", 1_000, model_sha256="0" * 64)
    changed = book.profiled("jchanged", 9_000)
    changed.write_text(changed.read_text().replace("9000", "1000"))
    told = scores(run, book)["measured"]["latencies"]
    assert [(row["job_id"], row["latency_ms"]) for row in told] == [
        ("jfirst", 20.0),
        ("jgone", None),
        ("jchanged", None),
    ]
    first = told[0]
    assert (first["device"], first["compile_job"], first["options"]) == (S24, "jcompile", "--target_runtime tflite")
    assert first["versions"] == {"ai_hub": "aihub-2026.11", "client": "0.56.0", "lpcv": "0.1.0"}
    assert (first["iterations_ms"]["count"], first["iterations_ms"]["most"]) == (2, 20.1)
    assert first["layers_by_compute_unit"] == {"NPU": 1}
    assert "not kept" in told[1]["why"]


def test_a_measured_latency_is_shown_as_what_only_ai_hub_can_confirm(run: Run, book: Book, tmp_path: Path) -> None:
    book.profiled("jfirst", 20_000)
    bundle = package(run, tmp_path / "b.zip", book.folder)
    (found,) = [one for one in look_into(bundle) if one.name == "latency, measured"]
    assert (found.state, found.found[:12]) == ("undecided", "20.0 ms on S")
    files = {name: part for name, part in bundled(bundle).items() if name != "MANIFEST.json"}
    marked = files["jobs.json"].replace(b'"rehearsal": false', b'"rehearsal": true')
    assert marked != files["jobs.json"]
    bundle.write_bytes(zip_bytes(with_manifest({**files, "jobs.json": marked})))
    assert verify(bundle) == ["jfirst is no job of a device in jobs.json."]


def test_jobs_are_of_this_model_and_rehearsals_are_marked(run: Run, book: Book) -> None:
    book.job("compile", "jcompile")
    book.profiled("jrehearsal", 1_000, rehearsal=True)
    book.job("compile", "jother", model_sha256="0" * 64)
    before = book.folder.ledger.read_bytes()
    files = run_files(run, book.folder)
    rows = json.loads(files["jobs.json"])["jobs"]
    assert [(row["job_id"], row["type"], row["rehearsal"]) for row in rows] == [
        ("jcompile", "compile", False), ("jrehearsal", "profile", True),
    ]  # fmt: skip
    assert rows[0]["state"] == "SUCCESS"
    assert rows[0]["submitted_at"]
    assert not {"url", "title", "name", "hub", "reached_by"} & set(rows[0])
    assert f"lpcv compile model.onnx --device '{S24}'" in files["README.txt"].decode()
    assert book.folder.ledger.read_bytes() == before
    nothing = Book(book.folder.root.parent / "empty", "").folder
    assert json.loads(run_files(run, nothing)["jobs.json"])["jobs"] == "none: the ledger knows no job of this model"


def test_a_measured_score_is_tied_to_its_job_by_the_predictions(run: Run, book: Book, tmp_path: Path) -> None:
    file = saved(tmp_path / "anything.json", book.inferred("jdevice"))
    take_in(run, book.folder, None, (file,), None)
    assert (run.root / "measured" / "jdevice.json").is_file()
    (held,) = scores(run, book)["measured"]["scores"]
    assert (held["source"], held["mean"], held["job"]["job_id"]) == ("job jdevice", MEAN, "jdevice")
    assert scores(run, book)["float"]["source"] == "mine"
    bundle = package(run, tmp_path / "b.zip", book.folder)
    assert {one.name: one.state for one in look_into(bundle)}["score, measured"] == "pass"
    (book.folder.predictions("set-jdevice") / "0017.npy").write_bytes(b"changed")
    with pytest.raises(InputError, match="not the score of the predictions that jdevice gave"):
        package(run, tmp_path / "b.zip", book.folder)


def rehearsed(book: Book) -> dict[str, Any]:
    return book.inferred("jdevice", rehearsal=True)


def of_another_model(book: Book) -> dict[str, Any]:
    return book.inferred("jdevice", model_sha256="0" * 64)


def unfinished(book: Book) -> dict[str, Any]:
    return book.inferred("jdevice", state="FAILED")


def by_another_protocol(book: Book) -> dict[str, Any]:
    return {**book.inferred("jdevice"), "protocol": "other"}


def of_a_float_model(book: Book) -> dict[str, Any]:
    return score_json("runs/mine", book.model_sha256)


def of_a_profile(book: Book) -> dict[str, Any]:
    book.profiled("jprofile", 1_000)
    return score_json("jprofile, computed by it", "0")


def of_other_frames(book: Book) -> dict[str, Any]:
    return {**book.inferred("jdevice"), "frames": [{"frame": "../../x", "mae": 1, "f_score": 1}]}


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (rehearsed, "never counts as measured"),
        (of_another_model, "not the score of a job of this model"),
        (unfinished, "no finished inference job of a device"),
        (by_another_protocol, "not the official score"),
        (of_a_float_model, "not the score of a job of this model"),
        (of_a_profile, "no finished inference job of a device"),
        (of_other_frames, "not the score of the predictions"),
    ],
)
def test_what_no_device_computed_is_never_measured(
    make: Callable[[Book], dict[str, Any]], expected: str, run: Run, book: Book, tmp_path: Path
) -> None:
    file = saved(tmp_path / "s.json", make(book))
    with pytest.raises(InputError, match=expected):
        take_in(run, book.folder, None, (file,), None)
    assert not (run.root / "measured").exists()


def page(sha256: str, label: str = "runs/mine") -> str:
    return (f"<title>{label} on /home/annlee/my frames, p</title><script>a</b/c/d</script><p>a/b &amp; c</p>"
            f"<div><dt>predictions, SHA-256</dt><dd>{sha256}</dd></div>")  # fmt: skip


def test_a_report_is_of_this_model(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "report"
    folder.mkdir()
    (folder / "index.html").write_text(page(sha256_file(run.model), "/home/annlee/runs/mine"))
    take_in(run, Book(tmp_path / "hub", "").folder, None, (), folder)
    bundle = package(run, tmp_path / "b.zip")
    html = bundled(bundle)["report.html"].decode()
    assert "annlee" not in html
    assert "<script>a</b/c/d</script><p>a/b &amp; c</p>" in html
    assert verify(bundle) == []
    assert "report.html" in bundled(bundle)["README.txt"].decode()
    other = page("0" * 64)
    files = {key: part for key, part in bundled(bundle).items() if key != "MANIFEST.json"}
    bundle.write_bytes(zip_bytes(with_manifest({**files, "report.html": other.encode()})))
    assert verify(bundle) == ["report.html is the report of another model."]
    (run.root / "report" / "index.html").write_text(other)
    with pytest.raises(MissingStepError, match="report of another model"):
        package(run, bundle)
    with pytest.raises(InputError, match=r"holds no index\.html"):
        take_in(run, Book(tmp_path / "hub", "").folder, None, (), tmp_path / "nowhere")


def test_the_real_report_is_recognised(small: Any, small_frames: Path, tmp_path: Path) -> None:
    """By what `lpcv score --report` really writes."""
    from lpcv.submission.bundle.intake import is_of

    model = tmp_path / "model.onnx"
    small.write_model(model)
    folder = tmp_path / "report"
    assert cli.run(["score", str(model), "--data", str(small_frames), "--report", str(folder)]) == 0
    assert is_of((folder / "index.html").read_text(), sha256_file(model))
    assert not is_of((folder / "index.html").read_text(), "0" * 64)


def test_the_command_takes_files_in(
    run: Run, book: Book, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LPCV_HUB_FOLDER", str(book.folder.root))
    emulated = saved(tmp_path / "e.json", emulated_json(book.model_sha256))
    measured = saved(tmp_path / "m.json", book.inferred("jdevice"))
    (tmp_path / "index.html").write_text(page(book.model_sha256))
    words = ["package", str(run.root), "--emulated", str(emulated), "--measured", str(measured)]
    assert cli.run([*words, "--report", str(tmp_path / "index.html")]) == 0
    said = capsys.readouterr().err
    assert f"Kept {emulated} as {run.root / 'emulated.json'}" in said
    assert "shows pictures of frames" in said
    first = (run.root / "bundle.zip").read_bytes()
    assert cli.run(["package", str(run.root)]) == 0  # what was taken in stays
    assert (run.root / "bundle.zip").read_bytes() == first
    assert cli.run(["verify", str(run.root / "bundle.zip")]) == 0
    assert cli.run(["package", str(run.root), "--emulated", str(tmp_path / "nothing.json")]) == 2


def changed_score(run: Run, tmp_path: Path, change: Callable[[dict[str, Any]], object]) -> dict[str, tuple[str, str]]:
    """What a verification says of a bundle whose float score was changed, hashes and all."""
    files = run_files(run)
    held = json.loads(files["scores.json"])
    change(held["float"])
    files["scores.json"] = json.dumps(held).encode()
    told = json.loads(files["provenance.json"])
    told["scores_sha256"] = sha256(files["scores.json"]).hexdigest()
    files["provenance.json"] = json.dumps(told).encode()
    bundle = tmp_path / "changed.zip"
    bundle.write_bytes(zip_bytes(with_manifest(files)))
    return {one.name: (one.state, one.found) for one in look_into(bundle)}


def test_a_score_without_its_frames_fails(run: Run, tmp_path: Path) -> None:
    said = changed_score(run, tmp_path, lambda score: [score.pop(key) for key in ("frames", "frames_sha256")])
    assert said["score, float"] == (
        "fail", "scores.json, float: it has no rows for its frames ('frames'), which every score has",
    )  # fmt: skip


@pytest.fixture
def with_intervals(run: Run) -> Run:
    """A score as `lpcv score` writes it, of eight frames, one of which stopped."""
    values = [70.5, 72.0, 68.25, 75.0, 61.5, 80.0, 77.75]
    frames = [FrameScore(f"{number:04}", {"f_score": value}) for number, value in enumerate(values)]
    frames.append(FrameScore.stop("0009", ["f_score"], "no pixel is left"))
    told = score_json(str(run.root), sha256_file(run.model), [frame.as_json() for frame in frames])
    ends = mean_interval(values)
    assert ends is not None
    told |= {"mean": {"f_score": sum(values) / 7}, "interval_95": {"f_score": list(ends)}, "interval_method": METHOD,
             "frames_scored": 7, "frames_stopped": {"0009": "no pixel is left"}}  # fmt: skip
    saved(run.score, told)
    return run


@pytest.mark.parametrize(
    ("change", "state", "expected"),
    [
        ({}, "pass", "1 means agree with 7 frames, and so do their 95 % intervals"),
        ({"interval_95": {"f_score": [72.0, 72.5]}}, "fail", "its 95 % interval of f_score is [72.0, 72.5], its"),
        ({"interval_95": {"f_score": None}}, "fail", "its 95 % interval of f_score is None"),
        ({"interval_95": {"f_score": [72.0]}}, "fail", "its 95 % interval"),
        ({"interval_95": {"f_score": "ab"}}, "fail", "cannot be counted again (ValueError"),
        ({"interval_95": {"mae": [0, 1]}}, "fail", "intervals of other metrics"),
        ({"interval_95": 3}, "fail", "cannot be counted again (TypeError"),
        ({"interval_method": "by hand"}, "undecided", "are not counted again: this lpcv knows no 'by hand'"),
        ({"frames_stopped": {}}, "fail", "other frames that could not be scored"),
    ],
)
def test_intervals_are_counted_again(
    change: dict[str, Any], state: str, expected: str, with_intervals: Run, tmp_path: Path
) -> None:
    said = changed_score(with_intervals, tmp_path, lambda score: score.update(change))
    assert (said["score, float"][0], expected in said["score, float"][1]) == (state, True), said


def test_a_frame_that_counts_twice_fails(with_intervals: Run, tmp_path: Path) -> None:
    def twice(score: dict[str, Any]) -> None:
        score["frames"] *= 2
        score |= {"frames_sha256": rows_sha256(score["frames"]), "frames_scored": 14}

    assert "counted twice" in changed_score(with_intervals, tmp_path, twice)["score, float"][1]


def test_a_score_of_further_protocols_keeps_the_official_one(run: Run) -> None:
    write_score(run)
    told = json.loads(run.score.read_text())
    saved(run.score, {**told, "beside": [{"protocol": "other"}]})
    assert "beside" not in scores(run)["float"]
