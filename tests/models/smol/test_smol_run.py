"""A few steps of the real model: the supervised stage and RL through one adapter; where `make smol` has been run."""

import json
from pathlib import Path

import pytest

from lcpo.engines.models import built
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
