"""`lpcv compile`, `profile`, `jobs`, `devices` end to end: the real commands, the real client, a stand-in."""

from __future__ import annotations

import dataclasses
import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import pytest
from hub_fixtures import S24, Served, small_model
from hub_front import Front, contents, front, hub, own_place, served  # noqa: F401
from lpcv.cli import run
from lpcv.files import sha256_file
from lpcv.hub_jobs import profiling
from lpcv.hub_jobs.connection import Connection
from lpcv.runs import CHECKPOINT_KEY
from onnx import TensorProto, helper

QUICK = ("--options", "--max_profiler_iterations 3")
CPU = f"this CPU (stand-in for {S24}), not a device"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_model(tmp_path_factory.mktemp("models") / "small.onnx")


@pytest.fixture(scope="module")
def once(served: Served, model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A hub folder with one finished compile job; copied, never changed."""
    with own_place(tmp_path_factory.mktemp("once")) as folder:
        assert run(["compile", str(model), "--device", S24, "--hub", str(served.ini)]) == 0
    return folder


@pytest.fixture
def compiled(once: Path, hub: Path) -> str:
    """The id of that job, in a hub folder that the test may change."""
    shutil.copytree(once, hub)
    (job,) = (hub / "jobs").iterdir()
    return job.name


@pytest.fixture
def lpcv(served: Served, hub: Path) -> Callable[..., int]:
    """A command at the served stand-in."""
    return lambda *words: run([str(word) for word in words] + ["--hub", str(served.ini)])


def another(model: Path, root: Path) -> Path:
    """The same graph under another hash: what any ledger has ordered at the shared stand-in is found by its mark."""
    copy = onnx.load(model)
    copy.doc_string = str(root)
    onnx.save(copy, root / "another.onnx")
    return root / "another.onnx"


def test_compile_keeps_the_model_and_says_results_on_stdout(
    lpcv: Callable[..., int], served: Served, compiled: str, model: Path, hub: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = served.submissions()
    assert lpcv("compile", model, "--device", S24, "--json", hub / "told.json") == 0
    out, err = capsys.readouterr()
    assert served.submissions() == before
    job, path = out.splitlines()
    assert job.startswith(f"{compiled} succeeded: {served.url}jobs/{compiled}/")
    assert Path(path).parent == hub / "jobs" / compiled
    assert path.endswith("_stand_in.onnx")
    assert "A rehearsal: the stand-in computes on this CPU." in err
    assert f"compile job {compiled} was submitted before; it is used again." in err
    told = json.loads((hub / "told.json").read_text())
    assert (told["outcome"], told["job_id"], told["fetched"]) == ("Succeeded", compiled, path)
    assert (told["rehearsal"], told["computed_by"]) == (True, CPU)
    assert told["options"] == "--target_runtime tflite"


def test_a_hint_stays_at_the_same_hub(
    lpcv: Callable[..., int], served: Served, compiled: str, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert lpcv("compile", model, "--device", S24) == 0
    assert capsys.readouterr().err.splitlines()[-1] == f"Next: lpcv profile {compiled} --hub {served.ini}"


@pytest.mark.parametrize(
    ("command", "there"),
    [("compile", False), ("compile", True), ("profile", True), ("infer", False), ("share", True)],
)
def test_a_dry_run_changes_not_a_byte_and_asks_nobody(
    command: str,
    there: bool,
    lpcv: Callable[..., int],
    model: Path,
    once: Path,
    hub: Path,
    front: Front,
    small_frames: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    job = next((once / "jobs").iterdir()).name
    if there or command != "compile":
        shutil.copytree(once, hub)
    words = {
        "compile": ["compile", model, "--device", S24 if there else "Samsung Galaxy S23"],
        "profile": ["profile", job if there else model],
        "infer": ["infer", job if there else model, "--data", small_frames, "--frames-per-job", 2],
        "share": ["jobs", "share", job],
    }[command]
    before, asked = contents(hub.parent), len(front.asked)
    assert lpcv(*words, "--dry-run") == 0
    out, err = capsys.readouterr()
    assert contents(hub.parent) == before
    assert len(front.asked) == asked
    assert "othing was sent or written." in err
    expected = {
        "compile": f"none: {job} is used again (success)" if there else "a new job", "profile": "a new job",
        "infer": "small 0002-0002", "share": "",
    }[command]  # fmt: skip
    assert expected in out


def test_profile_calls_its_numbers_what_they_are(
    lpcv: Callable[..., int], compiled: str, hub: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    picture = tmp_path / "bars.png"
    assert lpcv("profile", compiled, *QUICK, "--json", tmp_path / "p.json", "--picture", picture) == 0
    out, _ = capsys.readouterr()
    assert f"Profile, measured on {CPU}" in out
    assert f"Layers by compute unit, on {CPU}" in out
    assert "latency, ms (of this CPU)" in out
    assert "No verdict: these numbers are of this machine's CPU" in out
    told = json.loads((tmp_path / "p.json").read_text())
    assert (told["where"], told["computed_by"], told["rehearsal"]) == (CPU, CPU, True)
    assert (told["verdict"], told["fallbacks"], told["iterations_ms"]["count"]) == ("none", None, 3)
    assert told["iterations_ms"]["least"] <= told["latency_ms"] <= told["iterations_ms"]["most"]
    folder = hub / "jobs" / told["job_id"]
    assert told["pictures"] == [str(folder / "layers.png"), str(picture)]
    assert picture.read_bytes() == (folder / "layers.png").read_bytes()
    kept = json.loads((folder / "profile.json").read_text())
    assert kept["computed_by"] == CPU
    # The file keeps the client's microseconds, what we write has milliseconds.
    assert kept["profile"]["execution_summary"]["estimated_inference_time"] == pytest.approx(told["latency_ms"] * 1e3)


def test_exit_code_tells_whether_a_device_keeps_the_budget(
    lpcv: Callable[..., int],
    model: Path,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    hub: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """As if it were the real service: an .ini without our section, at an address that is not this machine's."""
    monkeypatch.setattr(Connection, "rehearsal", False)
    model = another(model, tmp_path)
    assert lpcv("compile", model, "--device", S24) == 0
    assert "This spends 1 job at http://127.0.0.1" in capsys.readouterr().err
    assert lpcv("profile", model, *QUICK) == 0
    assert "Pass: execution_summary.estimated_inference_time is" in capsys.readouterr().out
    monkeypatch.setattr(profiling, "CONTRACT", dataclasses.replace(profiling.CONTRACT, latency_budget_ms=1e-4))
    assert lpcv("profile", model, *QUICK) == 1
    out, err = capsys.readouterr()
    assert "over the budget of 0.0001 ms" in out
    assert "Not on the NPU: 2 of 2 layers: relu, mean." in out
    assert f"{S24} (AI Hub)" in out
    assert "This spends" not in err  # the second one spends nothing


@pytest.mark.parametrize(("answer", "code"), [("n\n", 130), ("y\n", 0)])
def test_before_a_real_job_is_spent_a_person_is_asked(
    answer: str,
    code: int,
    lpcv: Callable[..., int],
    served: Served,
    model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    import io

    model = another(model, tmp_path)
    monkeypatch.setattr(Connection, "rehearsal", False)
    typed = io.StringIO(answer)
    monkeypatch.setattr(typed, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stdin", typed)
    before = served.submissions()
    assert lpcv("compile", model, "--device", S24) == code
    assert "This spends 1 job at" in capsys.readouterr().err
    assert served.submissions() == before + (code == 0)


def test_an_unknown_device_gives_the_nearest_names(
    lpcv: Callable[..., int], served: Served, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = served.submissions()
    assert lpcv("compile", model, "--device", "Galaxy S24") == 2
    err = capsys.readouterr().err
    assert "There is no device 'Galaxy S24'. Did you mean 'Samsung Galaxy S24'?" in err
    assert "Samsung Galaxy S24 (Family)" in err
    assert served.submissions() == before


def test_a_failed_job_says_why_and_exits_with_1(
    lpcv: Callable[..., int], served: Served, hub: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = small_model(tmp_path / "double.onnx", elem=TensorProto.DOUBLE)
    before = served.submissions()
    assert lpcv("compile", broken, "--device", S24, "--json", tmp_path / "f.json") == 1
    out, err = capsys.readouterr()
    told: dict[str, Any] = json.loads((tmp_path / "f.json").read_text())
    assert (told["outcome"], told["rehearsal"]) == ("Failed", True)
    assert "float64" in told["reason"]
    assert f"{told['job_id']} FAILED: {told['reason']}" in out
    assert told["log"][-1] in err
    assert f"{told['job_id']}/" in err
    assert lpcv("compile", broken, "--device", S24) == 1  # the same again, and no second job
    capsys.readouterr()
    for target in (told["job_id"], broken):  # a dry run says what the command says
        assert lpcv("profile", target) == 2
        said = capsys.readouterr().err.splitlines()[-1]
        assert f"ompile job {told['job_id']} FAILED: {told['reason']}" in said
        assert lpcv("profile", target, "--dry-run") == 2
        assert capsys.readouterr().err.splitlines()[-1] == said
    assert "--again` compiles it once more." in said
    assert run(["jobs", "last", "compile"]) == 2  # one that failed is of no use to another command
    assert served.submissions() == before + 1
    capsys.readouterr()
    assert run(["jobs", "show", told["job_id"]]) == 0
    out, err = capsys.readouterr()
    assert "float64" in out
    assert err.splitlines()[-1] == f"Next: lpcv compile RUN --device '{S24}' --again --hub {served.ini}"


def test_a_dry_run_knows_a_stand_ins_devices_and_writes_the_plan(
    lpcv: Callable[..., int],
    compiled: str,
    model: Path,
    hub: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = ("compile", model, "--dry-run", "--json", tmp_path / "plan.json", "--device")
    assert lpcv(*words, "Galaxy S24") == 2
    assert "There is no device 'Galaxy S24'. Did you mean 'Samsung Galaxy S24'?" in capsys.readouterr().err
    assert not (tmp_path / "plan.json").exists()
    assert lpcv(*words, "Samsung Galaxy S23") == 0
    told = json.loads((tmp_path / "plan.json").read_text())
    assert (told["type"], told["device"], told["new_job"]) == ("compile", "Samsung Galaxy S23", True)
    assert lpcv(*words, S24) == 0
    told = json.loads((tmp_path / "plan.json").read_text())
    assert (told["job_id"], told["new_job"]) == (compiled, False)
    monkeypatch.setattr(Connection, "rehearsal", False)
    assert lpcv(*words, "Galaxy S24") == 0
    assert "Whether AI Hub has the device was not asked." in capsys.readouterr().err


def test_options_of_the_list_are_not_passed_over(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert run(["jobs", "--json", str(tmp_path / "x.json"), "show", "jabcde"]) == 2
    assert "--json and --all before `show` are options of the list." in capsys.readouterr().err


def test_bad_words(
    lpcv: Callable[..., int], served: Served, compiled: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = served.submissions()
    assert lpcv("compile", tmp_path / "none.onnx", "--device", S24) == 2
    assert "does not exist" in capsys.readouterr().err
    model = small_model(tmp_path / "m.onnx")
    assert lpcv("compile", model, "--device", S24, "--options", "--target_runtime onnx") == 2
    assert "Use --runtime." in capsys.readouterr().err
    assert lpcv("compile", model, "--device", S24, "--json", tmp_path) == 2
    assert lpcv("profile", compiled, "--picture", tmp_path / "bars.jpg") == 2
    assert lpcv("profile", "jnotmine") == 2
    assert "does not know job jnotmine" in capsys.readouterr().err
    assert run(["profile", compiled, "--hub", "nobody"]) == 2
    assert "There is no AI Hub configuration at" in capsys.readouterr().err
    assert served.submissions() == before


def made_run(root: Path) -> Path:
    """What `lpcv` takes for a run that has been exported."""
    weights = root / "checkpoints" / "best" / "model.safetensors"
    weights.parent.mkdir(parents=True)
    weights.write_bytes(b"weights")
    (root / "config.json").write_text("{}")
    model = onnx.load(small_model(root / "model.onnx"))
    helper.set_model_props(model, {CHECKPOINT_KEY: sha256_file(weights)})
    onnx.save(model, root / "model.onnx")
    return root


def test_the_model_is_the_one_that_was_compiled(
    lpcv: Callable[..., int], served: Served, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run_folder, before = made_run(tmp_path / "mine"), served.submissions()
    assert lpcv("profile", run_folder) == 2
    assert f'Run `lpcv compile {run_folder} --device "NAME"' in capsys.readouterr().err
    assert lpcv("compile", run_folder, "--device", S24, "--no-wait") == 0
    model = onnx.load(run_folder / "model.onnx")
    model.doc_string = "exported again"
    onnx.save(model, run_folder / "model.onnx")
    assert lpcv("profile", run_folder) == 2
    err = capsys.readouterr().err
    assert "as it is now has no compile job" in err
    assert f'Run `lpcv compile {run_folder} --device "NAME"' in err
    (run_folder / "model.onnx").unlink()
    assert lpcv("compile", run_folder, "--device", S24) == 2
    assert f"Run `lpcv export {run_folder}` first." in capsys.readouterr().err
    assert served.submissions() == before + 1
