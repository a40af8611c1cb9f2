"""`lcpo demo`, made a few seconds long by OVERRIDES: stopped and gone on with, it ends as one that ran through."""

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from lcpo.cli.demo_text import WORDS
from lcpo.recipes.recipe import read_recipe

OVERRIDES = [
    "task.problems=40",
    "hindsight.samples=300",
    "hindsight.steps=6",
    "hindsight.batch=8",
    "trl.max_steps=2",
    "trl.save_steps=1",
    "group.problems=2",
    "group.micro_batch=32",
    "evaluate.problems=4",
    "evaluate.samples=1",
]
"""What takes the demo's minutes, left out; the tables say nothing of the model then."""


def command(out: Path, *more: str) -> list[str]:
    return [sys.executable, "-c", "from lcpo.cli import main; main()", "demo", *OVERRIDES, "--out", str(out), *more]


def demo(out: Path, *more: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(command(out, *more), capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stderr
    return done


def stopped_in(phase: str, out: Path) -> str:
    """What the demo says that gets Ctrl-C as soon as a phase is named."""
    said = ""
    with subprocess.Popen(command(out), stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as process:
        assert process.stderr is not None
        for line in process.stderr:
            said += line
            if phase in line and process.poll() is None:
                process.send_signal(signal.SIGINT)
                break
        said += process.stderr.read()
    assert process.returncode == 1, said
    return said


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_stopped_in_every_phase_it_ends_with_the_same_tables(tmp_path: Path) -> None:
    through, cut = tmp_path / "through", tmp_path / "cut"
    whole = demo(through)
    assert all(f"\n  {word} " in whole.stderr for word in WORDS)
    for phase in ("1/3 sampling own answers", "2/3 hindsight", "3/3 LCPO"):
        assert phase in whole.stderr
        said = stopped_in(phase, cut)
        assert "the same command goes on" in said.splitlines()[-1] and "--resume" not in said, said
        assert "Traceback" not in said
    assert demo(cut).stdout.replace(str(cut), str(through)) == whole.stdout
    again = demo(cut, "--json")
    assert "3/3" not in again.stderr  # nothing is done twice
    check(json.loads(again.stdout), whole.stdout)


def check(result: dict[str, Any], text: str) -> None:
    """The table gives the results, which are of budgets that training never draws, and the page shows all three."""
    base = read_recipe("demo")[1].model
    for row in result["before"]["rows"] + result["after"]["rows"]:
        assert row["seen"] is (None if row["model"] == base else False)
        assert f"{row['tokens_mean']:.1f}" in text and f"asked {row['budget']:>3}  before" in text
    page = Path(result["page"]).read_text()
    assert base in page and "trained" in page and "training step" in page
    assert all(line in text for line in ("To go on:\n  lcpo ask ", "\n  lcpo serve ", "\n  lcpo init ", "\n  dial: "))
