"""Two gloo processes draw the rollouts, rewards and advantages of one, and end with its weights."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from sums_model import CONTROL

SCRIPT = """
import json, sys
from pathlib import Path
from lcpo.recipes.recipe import read_recipe
from lcpo.train.run import build, plan, train
from lcpo.train.trainer import LcpoTrainer

model, out, base = sys.argv[1:]
note = LcpoTrainer._replace_advantages
def noting(self, output, local, group):
    note(self, output, local, group)
    if self.accelerator.is_main_process:
        with open(out + ".jsonl", "a") as file:
            file.write(json.dumps([list(self._logs["advantages"]), self.rollouts]) + "\\n")
LcpoTrainer._replace_advantages = noting
_, recipe = read_recipe(base, [
    f"model={model}", "trl.max_steps=2", "trl.save_steps=2", "trl.max_completion_length=20", "budget.law.low=4",
    "budget.law.high=12", "budget.per_group=2", "group.size=4", "group.problems=4", "group.micro_batch=4",
    "task.problems=40", "objective={name='gated'}", "trl.use_cpu=true", "trl.learning_rate=1e-3",
])
train("test", recipe, Path(out), quiet=True)
"""


def run(small_model: Path, tmp_path: Path, processes: int) -> Path:
    script, out = tmp_path / "script.py", tmp_path / f"run-{processes}"
    script.write_text(SCRIPT)
    launch = [sys.executable]
    if processes > 1:
        launch += ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", str(processes)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    given = [str(small_model), str(out), CONTROL]
    done = subprocess.run([*launch, str(script), *given], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return out


@pytest.mark.slow
def test_two_processes_are_one(small_model: Path, tmp_path: Path) -> None:
    one, two = run(small_model, tmp_path, 1), run(small_model, tmp_path, 2)
    logs = [run.with_suffix(".jsonl").read_text().splitlines() for run in (one, two)]
    for first, second in zip(*logs, strict=True):
        advantages, rollouts = json.loads(first)
        others, others_rollouts = json.loads(second)
        assert [r["asked"] for r in rollouts] == [r["asked"] for r in others_rollouts]
        assert [r["text"] for r in rollouts] == [r["text"] for r in others_rollouts]
        assert others == pytest.approx(advantages, rel=1e-4, abs=1e-5)
    a, b = load_file(one / "model" / "model.safetensors"), load_file(two / "model" / "model.safetensors")
    for name, value in a.items():
        torch.testing.assert_close(b[name], value, rtol=1e-3, atol=1e-4)
