"""A few steps of the real model: smol's stages, and those of lcpo-exact; where `make smol` has been run."""

import json
from pathlib import Path

import pytest

from lcpo.engines.models import built, unready
from lcpo.models.smol import thoughts

pytest.importorskip("trl", reason="training needs the extra 'train'")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not (built("smollm2") / "config.json").is_file(), reason="smollm2 is not built on this machine: make smol"
    ),
]


def test_a_few_steps_of_smol(tmp_path: Path) -> None:
    from lcpo.recipes.recipe import read_recipe
    from lcpo.train.run import train

    thoughts.write(tmp_path / "rows.jsonl", 4)
    (tmp_path / "short.toml").write_text('extends = "smol-exact-cpu"\nwithout = ["hindsight", "schedule"]\n')
    name, recipe = read_recipe(
        str(tmp_path / "short.toml"),
        [
            *(f"supervised.data={str(tmp_path / 'rows.jsonl')!r}", "supervised.steps=2", "supervised.batch=2"),
            *("group.problems=1", "group.size=4", "group.micro_batch=4", "budget.per_group=2", "task.problems=10"),
            *("budget.law.high=40", "trl.max_completion_length=44", "trl.max_steps=1", "trl.save_steps=1"),
            "trl.lr_scheduler_kwargs={num_decay_steps=1}",
        ],
    )
    run = tmp_path / "run"
    result = train(name, recipe, run, quiet=True)
    assert result.complete
    assert 1 < result.manifest["stages"]["supervised"]["loss"] < 4
    weights = "adapter_model.safetensors"
    assert (run / "stages" / "supervised" / weights).is_file() and (run / "adapter" / weights).is_file()
    config = json.loads((run / "adapter" / "adapter_config.json").read_text(encoding="utf-8"))
    assert (config["r"], config["lora_alpha"]) == (32, 64)
    assert (run / "model" / "config.json").is_file()
    assert result.lines[0]["accuracy"] >= 0


@pytest.mark.skipif(unready("smol") is not None, reason="smol is not built on this machine: make smol")
def test_lcpo_exact_runs_on_a_real_model(tmp_path: Path) -> None:
    """Both rounds of hindsight and RL, from `smol`, which thinks and has no dial."""
    from lcpo.recipes.recipe import read_recipe
    from lcpo.train.run import train

    name, recipe = read_recipe(
        "lcpo-exact",
        [
            *("model=smol", 'task={name="words", problems=200, filler=1.0}', "budget.law.low=10", "budget.law.high=60"),
            *("hindsight.samples=48", "hindsight.steps=3", "hindsight.batch=6", "hindsight.lr=1e-3", "lora.r=8"),
            *("group.problems=1", "group.size=8", "trl.max_steps=2", "trl.save_steps=2", "trl.bf16=true", "threads=1"),
            *("trl.use_cpu=true", "trl.lr_scheduler_kwargs.num_decay_steps=1"),
        ],
    )
    run = tmp_path / "run"
    result = train(name, recipe, run, quiet=True)
    assert result.complete
    first, second = result.manifest["stages"]["hindsight"]
    assert first["used"] > 10 and second["used"] > 10
    assert 0 < second["loss"] < 2
    line = result.lines[0]
    assert line["length"] > 5 and line["accuracy"] is not None
    assert (run / "adapter" / "adapter_model.safetensors").is_file()
