"""`lpcv score`, `compare` and `cloud` of what a job computed: which frames, who computed them, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lpcv import cli
from lpcv.data.folder import open_folder
from lpcv.data.images import write_png
from lpcv.evaluate.compare import labels_of_sources
from lpcv.evaluate.jobs import job_of
from lpcv.files import sha256_file
from lpcv.hub_folder import HubFolder
from lpcv.prediction_folder import describe, write_prediction

JOB, KEY = "jlocalab12x9z", "3f2a"
CPU = "this CPU (stand-in), not a device"


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> HubFolder:
    monkeypatch.setenv("LPCV_HUB_FOLDER", str(tmp_path / "hub"))
    return HubFolder()


@pytest.fixture
def job(hub: HubFolder, small: Any, small_frames: Path) -> Path:
    """The predictions of a job that was given the frames 0000 and 0002 of three."""
    images = open_folder(small_frames).images
    folder, names = hub.predictions(KEY), ["0000", "0002"]
    hashes = {name: sha256_file(images[name]) for name in names}
    describe(folder, "relative_depth", frames=names, computed_by=CPU, images_sha256=hashes)
    for name in names:
        write_prediction(folder / f"{name}.npy", small.prediction(int(name)))
    hub.write_outputs(JOB, KEY)
    return folder


def score(data: Path, *more: str, source: str = JOB) -> int:
    return cli.run(["score", source, "--data", str(data), *more])


def frames_in(path: Path) -> list[str]:
    return [row["frame"] for row in json.loads(path.read_text())["frames"]]


@pytest.mark.usefixtures("job")
def test_the_frames_that_the_job_was_given_are_scored_and_no_others(
    small: Any, small_frames: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "job.json"
    assert score(small_frames, "--json", str(out)) == 0
    told = capsys.readouterr()
    assert f"2 frames of 3: those that job {JOB}, computed by {CPU}, was given." in told.err
    assert told.out.startswith(f"{JOB}, computed by {CPU} on 2 frames of {small_frames}: mean")
    assert f"Next: lpcv score {JOB} --data {small_frames} --report report" in told.err
    assert json.loads(out.read_text())["source"] == f"{JOB}, computed by {CPU}"
    assert frames_in(out) == ["0000", "0002"]
    # The same predictions as a folder of one's own, of the same frames, have the same score.
    few = small.write_predictions(tmp_path / "few", ("0000", "0001", "0002"))
    assert score(small_frames, "--json", str(tmp_path / "all.json"), source=str(few)) == 0
    by_folder = {row["frame"]: row for row in json.loads((tmp_path / "all.json").read_text())["frames"]}
    for row in json.loads(out.read_text())["frames"]:
        assert row == by_folder[row["frame"]]


@pytest.mark.usefixtures("job")
def test_frames_narrow_it_further(small_frames: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "job.json"
    assert score(small_frames, "--frames", "0001-0002", "--json", str(out)) == 0
    assert "1 frame of 2: those that job" in capsys.readouterr().err
    assert frames_in(out) == ["0002"]
    assert score(small_frames, "--frames", "0001") == 2
    told = capsys.readouterr().err
    assert f"None of the frames chosen in {small_frames} is one that job {JOB}" in told
    assert "It was given 0000, 0002." in told


def test_a_frame_without_its_prediction_names_the_command(
    job: Path, small_frames: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (job / "0002.npy").unlink()
    assert score(small_frames, "--json", str(tmp_path / "job.json")) == 2
    told = capsys.readouterr().err
    assert f"Job {JOB} has no prediction yet for 1 of 2 frames, the first is 0002." in told
    assert "`lpcv infer`" in told
    (job / "0000.npy").rename(job / "z.npy")  # never paired by sorted order
    np.save(job / "y.npy", np.load(job / "z.npy"))
    assert score(small_frames) == 2
    assert "SORTED ORDER" not in capsys.readouterr().err
    assert not (tmp_path / "job.json").exists()


@pytest.mark.usefixtures("job")
def test_other_pictures_of_the_same_names_are_refused(
    small_frames: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_png(small_frames / "image" / "0002.png", np.zeros((12, 16, 3), np.uint8))
    assert score(small_frames, "--json", str(tmp_path / "job.json")) == 2
    assert f"0002.png is another picture than the frame 0002 that job {JOB} was given." in capsys.readouterr().err
    assert score(small_frames, "--frames", "0000-0001") == 0


@pytest.mark.usefixtures("job")
def test_frames_of_the_job_that_the_data_lack_are_said(small_frames: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for path in small_frames.rglob("0002.png"):
        path.unlink()
    assert score(small_frames) == 0
    assert f"Job {JOB} was also given 1 frame that {small_frames} has not: 0002." in capsys.readouterr().err


def test_a_job_whose_outputs_were_not_fetched_names_the_command(
    hub: HubFolder, small_frames: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert score(small_frames) == 2
    assert f"'{JOB}' is no file or folder, and {hub.root} knows no job of that id." in capsys.readouterr().err
    hub.job(JOB).mkdir(parents=True)
    assert score(small_frames) == 2
    assert f"Run `lpcv jobs wait {JOB}`, which fetches them." in capsys.readouterr().err


@pytest.mark.parametrize("facts", [{}, {"frames": ["0000"]}, {"computed_by": CPU}, {"frames": [], "computed_by": CPU}])
def test_predictions_that_do_not_say_what_they_are_are_refused(
    facts: dict[str, Any], job: Path, small_frames: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    describe(job, "relative_depth", **facts)
    assert score(small_frames) == 2
    assert f"does not say which frames job {JOB} was given, and what computed them" in capsys.readouterr().err


@pytest.mark.usefixtures("job")
def test_a_file_or_folder_of_that_name_goes_first(
    small: Any, small_frames: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert (job_of(JOB), job_of(Path(JOB)), job_of("constant"), job_of("model.onnx")) == (JOB, None, None, None)
    small.write_predictions(tmp_path / JOB)
    assert job_of(JOB) is None
    assert score(small_frames) == 0
    assert capsys.readouterr().out.startswith(f"{JOB} on 3 frames of")


@pytest.mark.usefixtures("job")
def test_a_job_is_compared_over_its_frames(
    small: Any, small_frames: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model, out = small.write_model(tmp_path / "m.onnx"), tmp_path / "compare.json"
    words = ["compare", str(model), JOB, "--data", str(small_frames), "--runs", "0", "--json", str(out)]
    assert cli.run(words) == 0
    said = capsys.readouterr()
    assert f"2 frames of 3: those that job {JOB}, computed by {CPU}, was given." in said.err
    assert f"{JOB} (this CPU) - m, paired by frame" in said.out
    told = json.loads(out.read_text())
    assert told["frames"] == 2
    assert told["models"][f"{JOB} (this CPU)"]["source"] == f"{JOB}, computed by {CPU}"
    for each in told["protocols"]["lpcvc-2025"]["scores"].values():
        assert list(each["per_frame"]) == ["0000", "0002"]


@pytest.mark.parametrize(
    ("by", "label"),
    [
        ("Samsung Galaxy S24 (Family) (AI Hub)", f"{JOB} (Samsung Galaxy S24 (Family))"),
        ("this CPU (stand-in for Samsung Galaxy S24), not a device", f"{JOB} (this CPU)"),
    ],
)
def test_a_jobs_label_says_what_computed_it(job: Path, by: str, label: str) -> None:
    describe(job, "relative_depth", frames=["0000"], computed_by=by)
    assert labels_of_sources([JOB, "runs/a"]) == [label, "a"]


@pytest.mark.usefixtures("job")
def test_a_cloud_of_a_frame_of_the_job(small_frames: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "a.ply"
    words = ["cloud", JOB, "--data", str(small_frames), "--out", str(out), "--frame"]
    assert cli.run([*words, "0002"]) == 0
    assert out.read_bytes().startswith(b"ply")
    assert f"Next: lpcv score {JOB} --data {small_frames} --report report" in capsys.readouterr().err
    assert cli.run([*words, "0001"]) == 2
    assert f"Job {JOB} was not given frame 0001. It was given 0000, 0002." in capsys.readouterr().err
