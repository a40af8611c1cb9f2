"""Kill -9 ten times, also while it saves: resumed, metrics and model are those of the run that nobody touched."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from lcpo.train.checkpoint import MARKER
from sums_model import CONTROL

STEPS = 120
KILLS = 10


def command(small_model: Path, out: Path, *more: str) -> list[str]:
    return [
        sys.executable, "-c", "from lcpo.cli import main; main()", "train", CONTROL, f"model={small_model}",
        f"trl.max_steps={STEPS}", "trl.save_steps=2", "trl.max_completion_length=20", "budget.law.low=4",
        "budget.law.high=12", "budget.per_group=2", "group.size=4", "group.problems=2", "group.micro_batch=8",
        "task.problems=40", "trl.learning_rate=1e-3", "--quiet", "--out", str(out), *more,
    ]  # fmt: skip


def metrics(run: Path) -> list[dict[str, Any]]:
    found = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [{name: value for name, value in line.items() if not name.startswith("seconds")} for line in found]


def lines(run: Path) -> int:
    path = run / "metrics.jsonl"
    return path.read_bytes().count(b"\n") if path.exists() else 0


def saving(run: Path) -> bool:
    """Whether a checkpoint is being written right now."""
    return any(not (path / MARKER).exists() for path in run.glob("checkpoint-*"))


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_ten_kills_change_nothing(small_model: Path, tmp_path: Path) -> None:
    untouched, killed = tmp_path / "untouched", tmp_path / "killed"
    subprocess.run(command(small_model, untouched), check=True, capture_output=True)
    rng = random.Random(0)
    in_save = 0
    for number in range(KILLS):
        with (tmp_path / "stderr").open("w") as said:
            process = subprocess.Popen(command(small_model, killed, "--resume"), stdout=said, stderr=said)
        before = lines(killed)
        while process.poll() is None and lines(killed) <= before:
            time.sleep(0.005)
        if number % 3 == 1:
            while process.poll() is None and not saving(killed):
                time.sleep(0.0005)
            in_save += saving(killed)
        else:
            time.sleep(rng.random() * 0.4)
        assert process.poll() is None, (number, (tmp_path / "stderr").read_text())
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    assert in_save
    assert lines(killed) < STEPS
    subprocess.run(command(small_model, killed, "--resume"), check=True, capture_output=True)
    assert metrics(killed) == metrics(untouched)
    weights = [(run / "model" / "model.safetensors").read_bytes() for run in (killed, untouched)]
    assert weights[0] == weights[1]
