"""Every command and every piece of Python in README runs; long commands are shortened by an override stated here."""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()
COMMANDS = [
    line.split(" #")[0].strip()
    for block in re.findall(r"```bash\n(.*?)```", README, re.DOTALL)
    for line in block.splitlines()
    if line.split("#")[0].strip()
]
PYTHON = re.findall(r"```python\n(.*?)```", README, re.DOTALL)

SHORTER = {
    "lcpo eval tiny-exact --budgets 15,31,66 --problems 100": ["--problems", "4", "--samples", "1"],
    "lcpo train math-smoke": ["trl.max_steps=1"],
}
"""What a command is given beside what README says, so that it takes seconds."""

DEMO = [
    "trl.max_steps=2",
    "trl.save_steps=1",
    "group.problems=2",
    "hindsight.rounds=1",
    "hindsight.steps=4",
    "hindsight.samples=300",
]
"""`make demo` with a two-step run in place of the full one."""


def problems(path: Path, start: int) -> None:
    rows = [{"problem": f"What is {start + i} plus {i}?", "answer": str(start + 2 * i)} for i in range(40)]
    path.write_text(json.dumps(rows))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty folder with the problem files that README's commands name."""
    folder = tmp_path_factory.mktemp("readme")
    for start, name in enumerate(("math_train.json", "aime.json", "math500.json")):
        problems(folder / name, 100 * start)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("command", [command for command in COMMANDS if command.startswith("lcpo ")])
def test_commands(command: str, folder: Path) -> None:
    extra = next((extra for start, extra in SHORTER.items() if command.startswith(start)), [])
    done = subprocess.run(
        [sys.executable, "-m", *shlex.split(command), *extra], capture_output=True, text=True, cwd=folder, timeout=300
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


def test_there_is_no_command_that_no_test_runs() -> None:
    assert [command for command in COMMANDS if not command.startswith("lcpo ")] == ["make demo", "make test"]


@pytest.mark.slow
def test_make_demo(tmp_path: Path) -> None:
    if not (ROOT / ".venv" / "ready").exists():
        pytest.skip("make demo would set up .venv from nothing; under `make test` it is there")
    arguments = " ".join([*DEMO, f"--out {tmp_path / 'run'}"])
    done = subprocess.run(["make", "demo", f"ARGS={arguments}"], capture_output=True, text=True, cwd=ROOT, timeout=400)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "run" / "model" / "config.json").exists()


def test_make_test_runs_every_check() -> None:
    said = subprocess.run(["make", "-n", "-B", "test"], capture_output=True, text=True, cwd=ROOT).stdout
    assert all(tool in said for tool in ("ruff check", "ruff format --check", "mypy", "lint-imports", "pytest"))
    assert "make test" in (ROOT / ".ci" / "run").read_text()


def test_ten_lines_of_python(capsys: pytest.CaptureFixture[str]) -> None:
    exec(compile(PYTHON[0], "README.md", "exec"), {})
    out = capsys.readouterr().out
    assert "tokens=512" in out and "correct=True" in out and "0.8836" in out


@pytest.mark.slow
def test_three_lines_in_a_trl_script(tmp_path: Path) -> None:
    names: dict[str, Any] = trl_script(tmp_path)
    shorter = PYTHON[1].replace("low=100, high=4000", "low=4, high=16")
    assert shorter != PYTHON[1]
    exec(compile(shorter, "README.md", "exec"), names)
    names["trainer"].train()
    assert names["trainer"].record["reward"] is not None


def trl_script(tmp_path: Path) -> dict[str, Any]:
    """What stands in a TRL script before README's lines: a model, its tokenizer, a config and a data set."""
    from datasets import Dataset
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from trl import GRPOConfig

    from lcpo.engines.models import SHIPPED

    rows = [{"prompt": [{"role": "user", "content": f"What is {i} plus {i}?"}], "answer": str(2 * i)} for i in range(8)]
    return {
        "model": AutoModelForCausalLM.from_pretrained(SHIPPED["tiny"]),
        "tokenizer": AutoTokenizer.from_pretrained(SHIPPED["tiny"], padding_side="left"),
        "dataset": Dataset.from_list(rows),
        "config": GRPOConfig(
            output_dir=str(tmp_path),
            use_cpu=True,
            bf16=False,
            gradient_checkpointing=False,
            per_device_train_batch_size=4,
            num_generations=2,
            max_completion_length=16,
            max_steps=1,
            report_to="none",
        ),
    }
