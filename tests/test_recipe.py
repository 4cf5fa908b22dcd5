"""Recipes: every shipped one loads, every key can be changed, every mistake is named."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import pytest
from lpcv.cli import run
from lpcv.errors import InputError, LpcvError, UnknownNameError
from lpcv.train.recipe import RECIPES, Recipe, from_dict, resolve


@pytest.mark.parametrize("name", RECIPES)
def test_shipped_recipes_load_and_survive_json(name: str, tmp_path: Path) -> None:
    recipe = resolve(name)
    assert recipe.name == name
    assert RECIPES[name].__doc__
    path = tmp_path / "recipe.json"
    path.write_text(json.dumps(asdict(recipe)))
    assert resolve(str(path)) == recipe
    path.write_text(json.dumps({"recipe": asdict(recipe), "provenance": {}}))
    assert resolve(str(path)) == recipe


def test_changes() -> None:
    recipe = resolve(
        "default",
        [
            "optim.steps=7",
            "optim.learning_rate=3e-4",
            "network.working_size=256x192",
            "mixed_precision=no",
            "loss.l1=1",
        ],
    )
    assert recipe.optim.steps == 7
    assert recipe.optim.learning_rate == 3e-4
    assert recipe.network.working_size == (256, 192)
    assert recipe.mixed_precision == "no"
    assert recipe.loss.l1 == 1.0
    assert isinstance(recipe.loss.l1, float)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("optim.step=7", "optim.steps"),
        ("optim=7", "Known"),
        ("seed.x=7", "Known"),
        ("optim.steps", "no '='"),
        ("optim.steps=many", "optim.steps is a int"),
        ("optim.steps=1.5", "optim.steps is a int"),
        ("optim.steps=true", "optim.steps is a int"),
        ("optim.steps=0", "at least 1"),
        ("optim.learning_rate=-1", "positive"),
        ("data.confidence_floor=3", "0, 1 or 2"),
        ("data.mirror_share=1.5", "between 0 and 1"),
        ("network.working_size=256", "working_size"),
        ("network.working_size=[1,2,3]", "working_size"),
        ("mixed_precision=fp16", "bf16"),
        ("network.working_size=32x32", "64x64"),
        ("network.max_depth_m=Infinity", "finite"),
        ("loss.l1=NaN", "finite"),
        ("optim.weight_decay=-1", "0 or more"),
        ("data.workers=-5", "-1 or more"),
        ("seed=99999999999999999999", "between 0 and"),
        ("loss.l1=-0.1", "0 or more"),
        ("rhythm.log_every=0", "at least 1"),
    ],
)
def test_mistakes_are_named(change: str, told: str) -> None:
    with pytest.raises(LpcvError, match=told):
        resolve("default", [change])


def test_unknown_recipe_suggests_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'laptop'"):
        resolve("labtop")


def test_a_file_with_an_unknown_key_is_refused() -> None:
    with pytest.raises(UnknownNameError, match=r"optim\.speed"):
        from_dict({"name": "x", "optim": {"speed": 1}}, "file")
    with pytest.raises(InputError, match="no recipe"):
        from_dict([1], "file")


def test_command_prints_what_train_reads(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["recipes", "laptop", "--set", "optim.steps=9"]) == 0
    path = tmp_path / "mine.json"
    path.write_text(capsys.readouterr().out)
    assert resolve(str(path)) == resolve("laptop", ["optim.steps=9"])
    assert run(["recipes"]) == 0
    listed = capsys.readouterr().out
    assert all(name in listed for name in RECIPES)


def test_every_recipe_seed_is_free() -> None:
    assert resolve("demo", ["seed=5"]) == Recipe(**{**vars(resolve("demo")), "seed": 5})
