"""The whole path, offline: scenes -> teacher -> labels -> student -> export -> check -> score -> picture -> bundle.

Every step is the code that the commands run. Typed again, it goes on where it stopped.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path

from ..console import note, table
from ..contract import CURRENT as CONTRACT
from ..data.folder import IMAGE, FrameFolder, open_folder, spread
from ..data.frame import Rgb
from ..data.images import write_png
from ..data.resize import smooth
from ..data.synthetic.make import make_scenes
from ..errors import InputError
from ..evaluate.baseline import ConstantDepth
from ..evaluate.contact import MOST_ROWS, contact_sheet
from ..evaluate.official import METRICS
from ..evaluate.predictions import OnnxModel, Prediction, PredictionFolder, Source
from ..evaluate.result import Score
from ..evaluate.score import score_source
from ..files import read_json, write_json
from ..runs import Run
from ..train.networks import load_network
from ..train.recipe import Recipe, demo, demo_teacher
from ..train.small_teacher import DepthAnything
from ..train.start import Choices, resume, start
from ..train.teacher import Teacher, load_teacher
from .bundle.pack import package
from .bundle.verify import verify
from .check.findings import Finding, failures
from .check.preflight import check_model
from .export import export_run
from .predict import predict_all

HELD_OUT_SEED_STEP = 1_000_000  # far from every seed that people type, so no held-out scene is ever trained on


@dataclass(frozen=True)
class Size:
    """What decides a demo: the seed of scenes and training, how many scenes, how many steps."""

    seed: int = 0
    scenes: int = 300
    held_out: int = 24
    teacher_steps: int = demo_teacher().optim.steps
    student_steps: int = demo().optim.steps


@dataclass(frozen=True)
class Outcome:
    """The scores by name (constant, teacher, student), the check, and what was written."""

    scores: dict[str, Score]
    findings: list[Finding]
    sheet: Path
    bundle: Path
    student: Run


@dataclass(frozen=True)
class AtContractSize:
    """A teacher of metres that predicts at the contract's size: the official score depends on a prediction's size."""

    teacher: Teacher
    kind: str = "depth_m"

    def predict(self, rgb: Rgb) -> Prediction:
        return smooth(self.teacher.predict(rgb), CONTRACT.image_size)


def run_demo(out: Path, size: Size) -> Outcome:
    """Everything under `out`. Raises InputError where it holds a demo of another size or seed."""
    _claim(out, size)
    note("1/7 scenes")
    scenes = make_scenes(out / "scenes", size.scenes, size.seed)
    held_out = open_folder(make_scenes(out / "held_out", size.held_out, size.seed + HELD_OUT_SEED_STEP))
    note("2/7 teacher: a small Depth Anything, trained on truth")
    teacher_run = _trained(
        Run(out / "runs" / "teacher"), _sized(demo_teacher(), size.teacher_steps, size), scenes, None
    )
    teacher_folder = _save_teacher(teacher_run, out / "teacher")
    note("3/7 student: labels, then distillation")
    student = _trained(
        Run(out / "runs" / "student"), _sized(demo(), size.student_steps, size), scenes, str(teacher_folder)
    )
    note("4/7 export")
    parity = export_run(student)
    note(f"ONNX Runtime and torch differ by at most {parity.largest:.1e}")
    note("5/7 check")
    findings = check_model(student.model, held_out)
    note("6/7 score on held-out scenes")
    taught = out / "teacher_predictions"
    labeller = load_teacher(str(teacher_folder))
    predict_all(AtContractSize(labeller), held_out.root / IMAGE, taught, made_from=labeller.source.weights_sha256)
    sources: dict[str, Source] = {
        "constant": ConstantDepth(),
        "teacher": PredictionFolder(taught, held_out),
        "student": OnnxModel.open(student.model, "student"),
    }
    scores = {name: _scored(source, held_out, out / f"score_{name}.json") for name, source in sources.items()}
    replace(scores["student"], trained_on=0).write_json(student.score)
    sheet = out / "sheet.png"
    shown = {name: sources[name] for name in ("teacher", "student")}
    write_png(sheet, contact_sheet(held_out, spread(held_out.names, MOST_ROWS), shown))
    note("7/7 package")
    bundle = package(student, out / "bundle.zip")
    problems = verify(bundle)
    if problems:
        raise InputError(f"{bundle} does not verify: {problems[0]}", "This is a fault of lpcv: please report it.")
    return Outcome(scores, findings, sheet, bundle, student)


def show(outcome: Outcome, held_out: int) -> None:
    """The table of scores, and how the student stands to the baseline."""

    def cell(name: str, key: str) -> str:
        value = outcome.scores[name].mean.values[key]
        return "NaN" if value is None else f"{value:.3f}"

    rows = [(key, *(cell(name, key) for name in outcome.scores)) for key in METRICS]
    table(f"Official score on {held_out} held-out synthetic scenes", ("metric", *outcome.scores), rows, numbers=True)
    drop = improvement(outcome)
    note(f"abs_rel of the student is {abs(drop):.0%} {'below' if drop >= 0 else 'ABOVE'} the constant-depth baseline.")
    for finding in failures(outcome.findings):
        note(f"FAILED {finding.sentence()}")
    note("These scenes are synthetic and the training is minutes long: a plumbing run, no statement about real frames.")


def passed(outcome: Outcome) -> bool:
    """No check failed, and the student is better than a constant."""
    return not failures(outcome.findings) and improvement(outcome) > 0


def improvement(outcome: Outcome) -> float:
    """By which share the student's abs_rel lies below the baseline's."""
    student, constant = (outcome.scores[name].mean.values["abs_rel"] for name in ("student", "constant"))
    if student is None or constant is None:
        raise InputError("abs_rel is officially NaN.", "See score_student.json for the reason.")
    return 1 - student / constant


def _sized(recipe: Recipe, steps: int, size: Size) -> Recipe:
    return replace(recipe, seed=size.seed, optim=replace(recipe.optim, steps=steps))


def _trained(run: Run, recipe: Recipe, scenes: Path, teacher: str | None) -> Run:
    if run.config.exists():
        resume(run)
    else:
        start(run, recipe, Choices(scenes, None, None, None, teacher, None, "none"))
    return run


def _save_teacher(run: Run, folder: Path) -> Path:
    network = load_network("depth_anything", run.best)
    assert isinstance(network, DepthAnything)  # the name says so
    network.save_teacher(folder)
    return folder


def _scored(source: Source, held_out: FrameFolder, path: Path) -> Score:
    score = score_source(source, held_out)
    score.write_json(path)
    return score


def _claim(out: Path, size: Size) -> None:
    mark = out / "demo.json"
    if mark.exists() and read_json(mark) != asdict(size):
        raise InputError(f"{out} holds a demo of another size or seed.", "Remove it, or choose another --out.")
    if not mark.exists() and out.exists() and any(out.iterdir()):
        raise InputError(f"{out} is not empty and holds no demo.", "Choose another --out.")
    write_json(mark, asdict(size))
