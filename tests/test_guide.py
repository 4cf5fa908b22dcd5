"""docs/guide.md: every step of the organisers' guide and sample has its section, and every command of it was run."""

from __future__ import annotations

import json
import os
import re
import shlex
from hashlib import sha256
from pathlib import Path

import onnx
import pytest
from htp_graphs import needs_emulator
from hub_bench import Ended
from hub_fixtures import offline
from lpcv.contract import CURRENT as CONTRACT
from lpcv.hub_jobs.stand_in.settings import NPU_SWITCH
from lpcv.runs import CHECKPOINT_KEY, Run
from lpcv.submission.submit import form
from meaning_models import recogniser, relative, scene, write_scenes
from page_bench import ROOT, Block, blocks, in_shell, logical_lines, sections
from submit_bench import FREE, WEIGHTS, hashes, typed
from test_docs import lines_of, parse

PAGE = (ROOT / "docs" / "guide.md").read_text()
BLOCKS = blocks(PAGE)
AI_HUB, BY_HAND = "AI Hub", "by hand"  # needs an account; runs until Ctrl-C: both are only parsed
SLOW, REFUSED, EMULATOR = "slow", "slow, exit code 1", "emulator"
SWITCH, OFF = NPU_SWITCH.split("=")
MARKS = {"", AI_HUB, BY_HAND, SLOW, REFUSED, EMULATOR}

# Every step of lpcvai/25LPCVC_AIHub_Guide (README.md, "Step 1" to "Step 6"), lpcvai/25LPCVC_Track3_Sample_Solution
# (README.md, sections 2 to 4; demo_run.py, "Step 0" to "Step 4") and lpcvai/25LPCVC_Evaluations, with the file that
# does it: what must stand in one heading, and the command that must stand below it.
STEPS = [
    ("Guide, step 1: register", "README.md", "lpcv doctor"),
    ("Guide, step 2: create your model", "README.md", "lpcv check"),
    ("Guide, step 3: compile your model", "compile_model.py", "lpcv compile"),
    ("Guide, step 4: upload your dataset", "upload_dataset.py", "lpcv data check"),
    ("Guide, step 5: run inference", "run_inference.py", "lpcv infer"),
    ("Guide, step 6: profile model performance", "run_profile.py", "lpcv profile"),
    ("sample, section 2", "dpt.py", "lpcv score"),
    ("Sample, section 3", "demo_run.py, steps 0 and 1", "lpcv export"),
    ("compile", "demo_run.py, step 2", "lpcv compile"),
    ("profile", "demo_run.py, step 3", "lpcv profile"),
    ("run inference", "demo_run.py, step 4", "lpcv infer"),
    ("Sample, section 4: submit models for ranking", "README.md", "lpcv submit"),
]
OF_THE_SCORER = ("evaluate_track3.py", "run_profile.py")
LAST_STEP = ["lpcv package", "lpcv verify", "lpcv submit", "lpcv submit", "lpcv submissions", "lpcv jobs"]


def verb(line: str) -> str:
    return " ".join(line.split()[:2])


def commands_under(title: str) -> list[str]:
    return [line for block in BLOCKS if block.section == title for line in lines_of(block.commands)]


def rehearsed() -> list[Block]:
    return [block for block in BLOCKS if block.mark not in (AI_HUB, BY_HAND)]


@pytest.mark.parametrize(("title", "file", "command"), STEPS)
def test_every_step_of_theirs_has_a_section_that_does_it(title: str, file: str, command: str) -> None:
    (found,) = [each for each in sections(PAGE) if title in each and file in each]
    assert any(line.startswith(command) for line in commands_under(found))
    assert "\nThere: " in sections(PAGE)[found]


@pytest.mark.parametrize("file", sorted({file.split(",")[0] for _, file, _ in STEPS} | set(OF_THE_SCORER)))
def test_the_table_names_every_file_of_theirs(file: str) -> None:
    table = [line.split("|")[2] for line in sections(PAGE)[""].splitlines() if line.startswith("| ")]
    assert any(file in cell for cell in table)
    assert any(file in title for title in sections(PAGE))


def test_every_section_of_a_step_says_what_goes_wrong_there() -> None:
    said = [title for title, text in sections(PAGE).items() if "goes wrong there" in text]
    assert [title for title in sections(PAGE) if title.startswith("Guide, step") and title not in said] == []


def test_marks_are_known_and_the_submission_comes_whole_and_in_order() -> None:
    assert {block.mark for block in BLOCKS} <= MARKS
    (last,) = [block for block in BLOCKS if "section 4" in block.section and not block.mark]
    assert [verb(line) for line in lines_of(last.commands)] == LAST_STEP


@pytest.mark.parametrize("line", dict.fromkeys(line for block in BLOCKS for line in lines_of(block.commands)))
def test_every_command_is_spelt_right(line: str) -> None:
    parse(line)


def test_the_real_service_takes_the_same_commands_without_hub_local() -> None:
    """No rehearsed command can reach AI Hub, no real one stays here, and nothing else is different."""
    here = [line for block in rehearsed() for line in lines_of(block.commands)]
    there = [line for block in BLOCKS if block.mark == AI_HUB for line in lines_of(block.commands)]
    asks = tuple(
        f"lpcv {each} " for each in ("doctor", "devices", "compile", "infer", "profile", "submit", "jobs last")
    )
    for line in here:
        assert ("--hub local" in line) == line.startswith(asks), line
    bare = {line.replace(" --hub local", "").replace(" --yes", "") for line in here}
    same = {re.sub(r" --(json|measured) device\.json", "", line) for line in there}  # no rehearsal's score is measured
    assert same <= bare
    assert not [line for line in there if "--hub" in line]
    for real in ("lpcv compile", "lpcv infer", "lpcv profile", "lpcv submit"):
        assert any(line.startswith(real) for line in there)


def demo_of_a_model_that_knows_the_frames(root: Path) -> None:
    """What the page says lies there, small: a run whose model passes every check on three frames."""
    depths = [scene(seed) for seed in range(3)]
    frames = write_scenes(root / "demo" / "held_out", depths)
    write_scenes(root / "demo" / "scenes", [scene(9)])
    run = Run(root / "demo" / "runs" / "student")
    run.best.mkdir(parents=True)
    config = {"recipe": {}, "provenance": FREE, "inputs": {"data": "demo/scenes"}}
    run.config.write_text(json.dumps(config))
    (run.best / "config.json").write_text(json.dumps({"working_size": [64, 48]}))
    (run.best / "model.safetensors").write_bytes(WEIGHTS)
    made = onnx.load(recogniser(run.model, frames, relative(depths)))
    onnx.helper.set_model_props(made, {CHECKPOINT_KEY: sha256(WEIGHTS).hexdigest()})
    onnx.save(made, run.model)


class Typist:
    """Types lines of the page in this process and remembers what each said."""

    def __init__(self) -> None:
        self.said: dict[str, Ended] = {}

    def type(self, line: str) -> str:
        """Run one line, and `$(lpcv ...)` in it before; what it printed."""
        filled = re.sub(r"\$\((lpcv [^)]*)\)", lambda inner: self.type(inner[1]).strip(), line)
        name, *words = shlex.split(filled)
        assert name == "lpcv", line
        ended = self.said[line] = typed(*words)
        assert ended.code == 0, f"{line}\n{ended.said}"
        assert "Traceback" not in ended.said
        return ended.out

    def of(self, start: str) -> Ended:
        """What the only line that starts so said."""
        (found,) = [ended for line, ended in self.said.items() if line.startswith(start)]
        return found


def ours(root: Path) -> dict[str, str]:
    """The hash of every file that this side of a rehearsal wrote; the stand-in's own come and go with its process."""
    return {path: each for path, each in hashes(root / "runs", root / "demo").items() if "/stand-in/" not in path}


def demand_a_submission(root: Path, job: str, submitted: str, everything: str) -> None:
    """The very compile job was shared, read back, recorded; its id is what is to be pasted; no token was shown."""
    assert f"{job} is shared with {CONTRACT.sharing_address} (read back from the stand-in)." in submitted
    assert f"The form: {form.FORMS[CONTRACT.name].link.value}" in submitted
    assert f"{form.FORMS[CONTRACT.name].job_field.value} (rehearsal): {job}" in submitted
    assert (root / "demo/runs/student/bundle.zip").is_file()
    assert (root / "report/index.html").is_file()
    assert (root / "one_picture/0000.npy").is_file()
    (token,) = re.findall(r"api_token = (\S+)", (root / "runs/aihub/stand-in/client.ini").read_text())
    assert token not in everything


def test_the_page_from_top_to_bottom(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every command that takes less than a minute, on a small model, with `--hub local` as it stands there."""
    demo_of_a_model_that_knows_the_frames(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LPCV_HUB_FOLDER", raising=False)
    monkeypatch.setenv(SWITCH, OFF)
    monkeypatch.setenv("COLUMNS", "200")
    typist = Typist()
    with offline(tmp_path / "home"):
        for line in (line for block in BLOCKS if not block.mark for line in logical_lines(block.commands)):
            before = ours(tmp_path)
            typist.type(line)
            assert before == ours(tmp_path) or "--dry-run" not in line, f"{line} wrote something"
    assert " 0 fail" in typist.of("lpcv check").err
    assert re.search(r"f_score \(ranks\)\W+\d", typist.of("lpcv score $").out)
    assert "no verdict" in typist.of("lpcv profile").said.lower()
    job = typist.of("lpcv jobs last compile").out.strip()
    (submitted,) = [
        ended.out for line, ended in typist.said.items() if line.startswith("lpcv submit ") and "--yes" in line
    ]
    demand_a_submission(tmp_path, job, submitted, "".join(ended.said for ended in typist.said.values()))
    assert job in typist.of("lpcv submissions").out
    assert "3 jobs in " in typist.said["lpcv jobs"].out


def as_script(block: Block) -> str:
    """Its commands; where the page says that the only one ends with 1, so that anything else stops the script."""
    if block.mark != REFUSED:
        return block.commands
    (line,) = logical_lines(block.commands)
    return f"refused=0; {line} || refused=$?; test $refused -eq 1\n"


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="the page's blocks are for a POSIX shell")
@pytest.mark.parametrize("npu", ["without the emulator", pytest.param("with the emulator", marks=needs_emulator)])
def test_the_page_as_it_stands_in_a_shell(npu: str, tmp_path: Path) -> None:
    """On what a small `lpcv demo` leaves, the long blocks too: one script, stopped by the first failure."""
    small = "--scenes 40 --held-out 6 --teacher-steps 4 --student-steps 120"
    made = in_shell(f"lpcv demo {small}", tmp_path, OMP_NUM_THREADS="1")
    assert made.returncode == 0, made.stdout + made.stderr
    emulated = npu == "with the emulator"
    chosen = [block for block in rehearsed() if emulated or block.mark != EMULATOR]
    settings = {} if emulated else {SWITCH: OFF}
    ended = in_shell("".join(as_script(block) for block in chosen), tmp_path, OMP_NUM_THREADS="1", **settings)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "Traceback" not in ended.stdout + ended.stderr
    (job,) = re.findall(r"compile job (jlocal[a-z0-9]+) submitted", ended.stderr)
    demand_a_submission(tmp_path, job, ended.stdout, ended.stdout + ended.stderr)
    assert ("fp16: HTP emulator" in ended.stdout) == emulated
    assert (
        ended.stderr.count("FAILED no stretching") == 1
    )  # the organisers' sample, by exactly the finding that names it
    assert ended.stderr.count("FAILED ") == 1
