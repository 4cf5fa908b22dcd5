"""Where what belongs to AI Hub lies, and how a job's predictions are found there."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lpcv.errors import InputError, MissingStepError
from lpcv.hub_folder import HubFolder, is_job_id

JOB, KEY = "jgzr4x9o5", "3f2a"


@pytest.fixture
def hub(tmp_path: Path) -> HubFolder:
    """One job whose outputs are there."""
    hub = HubFolder(tmp_path / "hub")
    hub.predictions(KEY).mkdir(parents=True)
    hub.write_outputs(JOB, KEY)
    return hub


def test_the_default_is_in_the_current_directory_and_a_variable_moves_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("LPCV_HUB_FOLDER", raising=False)
    assert HubFolder().root == Path("runs/aihub")
    monkeypatch.setenv("LPCV_HUB_FOLDER", "")
    assert HubFolder().root == Path("runs/aihub")
    monkeypatch.setenv("LPCV_HUB_FOLDER", str(tmp_path / "elsewhere"))
    assert HubFolder().root == tmp_path / "elsewhere"
    assert HubFolder(tmp_path).root == tmp_path


def test_every_place_is_below_the_root() -> None:
    hub = HubFolder(Path("a"))
    assert [hub.ledger, hub.locks, hub.stand_in, hub.job(JOB), hub.predictions(KEY)] == [
        Path("a/ledger.sqlite"), Path("a/locks"), Path("a/stand-in"), Path("a/jobs", JOB), Path("a/predictions", KEY),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "looks"),
    [(JOB, True), ("jlocalab12x9z", True), ("j1234", True), ("j123", False), ("Jgzr4x9o5", False), ("", False),
     ("jgzr-4x9o5", False), ("mgzr4x9o5", False), ("jgzr4x9o5\n", False), ("jgzr4x9o5/..", False),
     ("jgzr4x9٣5", False)],
)  # fmt: skip
def test_what_looks_like_a_jobs_id(text: str, looks: bool) -> None:
    assert is_job_id(text) == looks
    if not looks:
        with pytest.raises(InputError, match="is not the id of an AI Hub job"):
            HubFolder().job(text)


@given(st.text(max_size=12))
def test_no_text_leads_outside(text: str) -> None:
    root = Path("hub").resolve()
    for place in (HubFolder(root).job, HubFolder(root).predictions):
        try:
            made = place(text)
        except (InputError, ValueError):
            continue
        assert made.resolve().parent.parent == root


def test_the_predictions_of_a_job_are_found(hub: HubFolder) -> None:
    assert hub.predictions_of(JOB) == hub.predictions(KEY)
    assert json.loads((hub.job(JOB) / "outputs.json").read_text()) == {"predictions": f"../../predictions/{KEY}"}


def test_the_folder_may_be_moved_or_be_relative(
    hub: HubFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.move(hub.root, tmp_path / "new")
    monkeypatch.chdir(tmp_path)
    assert HubFolder(Path("new")).predictions_of(JOB) == Path("new/predictions", KEY)
    (tmp_path / "link").symlink_to("new")
    assert HubFolder(Path("link")).predictions_of(JOB) == Path("link/predictions", KEY)


def test_an_unknown_job_names_the_folder_that_was_searched(hub: HubFolder) -> None:
    with pytest.raises(InputError) as told:
        hub.predictions_of("jother")
    assert told.value.problem == f"'jother' is no file or folder, and {hub.root} knows no job of that id."
    assert "`lpcv jobs`" in told.value.remedy
    assert "LPCV_HUB_FOLDER=DIR" in told.value.remedy


def test_a_job_without_outputs_names_the_command_that_fetches_them(hub: HubFolder) -> None:
    hub.job("jrunning").mkdir()
    with pytest.raises(MissingStepError, match="Job jrunning has no predictions here yet") as told:
        hub.predictions_of("jrunning")
    assert "`lpcv jobs wait jrunning`" in told.value.remedy


@pytest.mark.parametrize(
    "to", ["../../../outside", "/", "../..", "../../predictions", "../../predictions/../../outside", ""]
)
def test_outputs_that_lead_outside_are_refused(to: str, hub: HubFolder) -> None:
    (hub.root.parent / "outside").mkdir()
    (hub.job(JOB) / "outputs.json").write_text(json.dumps({"predictions": to}))
    with pytest.raises(InputError, match="leads outside"):
        hub.predictions_of(JOB)


def test_a_link_that_leads_outside_is_refused(hub: HubFolder) -> None:
    (hub.root.parent / "outside").mkdir()
    hub.predictions(KEY).rmdir()
    hub.predictions(KEY).symlink_to(hub.root.parent / "outside")
    with pytest.raises(InputError, match="leads outside"):
        hub.predictions_of(JOB)


@pytest.mark.parametrize("content", ["[]", "{}", '{"predictions": 3}', '{"predictions": null}', "{"])
def test_damaged_outputs_are_a_sentence(content: str, hub: HubFolder) -> None:
    (hub.job(JOB) / "outputs.json").write_text(content)
    with pytest.raises(InputError, match=r"outputs\.json (names no folder|is not valid JSON)"):
        hub.predictions_of(JOB)


def test_predictions_that_are_gone_are_a_sentence(hub: HubFolder) -> None:
    hub.predictions(KEY).rmdir()
    with pytest.raises(InputError, match=f"The predictions of job {JOB} are gone") as told:
        hub.predictions_of(JOB)
    assert f"`lpcv jobs wait {JOB}` fetches them again" in told.value.remedy
