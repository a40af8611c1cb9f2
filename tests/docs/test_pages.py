"""Every command of README and the pages in docs is run; what cannot run here is parsed instead, each with its reason.

A command is a line of a ```bash block, or an indented line that begins with the name of a program. The pages of a
session are run from top to bottom in one folder, so a command may use what one above it left behind.
"""

import contextlib
import csv
import json
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from lcpo import grade
from lcpo.cli import cli
from lcpo.tasks.benchmarks import BENCHMARKS

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
pytestmark = pytest.mark.skipif(not DOCS.is_dir(), reason="docs are not part of an installed package")
OWN_TESTS = {"serving.md", "vllm.md"}
"""Pages with a test of their own beside this one."""
SESSIONS = [
    ("training.md", "report.md", "../README.md"),
    *((path.name,) for path in sorted(DOCS.glob("*.md")) if path.name not in OWN_TESTS | {"training.md", "report.md"}),
]
MODEL = "Qwen/Qwen3-0.6B"
"""The model of the examples that is not on this machine; `tiny` takes its place."""

SHORTER = {
    "lcpo train mine.toml": [
        *("hindsight.rounds=1", "hindsight.samples=60", "hindsight.steps=4", "group.problems=2"),
        *("trl.max_steps=2", "trl.save_steps=2"),
    ],
    "lcpo eval": ["--problems", "4", "--samples", "1"],
}
"""What a command is given beside what the page says, so that it takes seconds."""

PARSED = {
    "lcpo ask smol": "a model of 98 MB; tests/models asks a small one",
    "lcpo demo": "five minutes; it has a test of its own",
    "lcpo eval http:": "a server; tests/evaluate and tests/engines start some",
    "lcpo eval runs/l1": "a model trained on 8 GPUs",
    "lcpo eval runs/smol": "a trained model of 135M",
    "lcpo eval smol": "the same",
    "lcpo models audit": "minutes; tests/models audits a small one",
    "lcpo models build": "an hour, or 98 MB; tests/models builds a small one",
    "lcpo models export smol": "a model of 135M; tests/models exports small ones",
    "lcpo train l1-exact --engine verl": "8 GPUs; tests/cluster trains a small model under verl",
    "lcpo train lcpo-exact": "a GPU; tests/train reads every recipe",
    "lcpo train smol-exact": "a GPU, or hours; tests/train trains the real model for a few steps",
    "lcpo train study/arms/smol": "hours",
    "torchrun": "minutes; tests/train/test_two_processes.py starts it",
}
"""What is not run, by its beginning, and why."""


def commands(page: str) -> list[str]:
    """The commands of a page, without comments."""
    text = (DOCS / page).read_text(encoding="utf-8")
    fenced = re.findall(r"```bash\n(.*?)```", text, re.DOTALL)
    rest = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    lines = [line.strip() for block in fenced for line in block.splitlines()]
    lines += [line.strip() for line in rest.splitlines() if re.match(r" {4}(lcpo|make|python|pip|torchrun) ", line)]
    return [part for line in lines if line for part in line.split(" #")[0].strip().split(" && ")]


def write_problems(folder: Path) -> None:
    """The files that the pages name."""
    rows = [(f"What is {i} plus {3 * i + 1}?", str(4 * i + 1)) for i in range(60)]
    for name, heads in {
        "problems.csv": ("question", "answer"), "test.csv": ("question", "answer"), "odd.csv": ("text", "result"),
    }.items():  # fmt: skip
        with (folder / name).open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([heads, *rows])
    told = [{"problem": question, "answer": answer} for question, answer in rows]
    (folder / "key.txt").write_text("no key of anybody\n", encoding="utf-8")
    (folder / "math500.json").write_text(json.dumps(told), encoding="utf-8")


def parse(words: list[str]) -> None:
    """Raises click's error where a command of lcpo does not exist or does not take what it is given."""
    command: click.Command = cli
    context = click.Context(cli, info_name="lcpo")
    while isinstance(command, click.Group):
        name, found, words = command.resolve_command(context, words)
        assert name is not None and found is not None, words
        command, context = found, click.Context(found, parent=context, info_name=name)
    command.make_context(command.name, words)


def run(command: str, folder: Path) -> None:
    """Runs or parses one command of a page."""
    words = shlex.split(command.replace(MODEL, str(ROOT / "tests" / "fixtures" / "sums-base")))
    if words[0] == "make":
        said = subprocess.run(["make", "-n", *words[1:]], cwd=ROOT, capture_output=True, text=True)
        assert said.returncode == 0, said.stderr
    elif words[0] == "pip":
        extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
        assert set(",".join(re.findall(r"lcpo\[(.*?)\]", command)).split(",")) <= {*extras, ""}
    elif words[0] == "python":
        script = (ROOT / words[1]).read_text(encoding="utf-8")
        assert all(f'"{word}"' in script for word in words[2:] if word.startswith("--"))
    elif any(command.startswith(start) for start in PARSED):
        with contextlib.chdir(folder):
            parse(words[words.index("lcpo") + 1 :])
    elif command.startswith("lcpo eval"):  # in this process, which loads torch once for all of them
        with contextlib.chdir(folder):
            told = CliRunner().invoke(cli, [*words[1:], *SHORTER["lcpo eval"]], catch_exceptions=False)
        assert told.exit_code == 0 and told.stdout.strip(), command
    else:
        extra = next((extra for start, extra in SHORTER.items() if command.startswith(start)), [])
        line = [sys.executable, "-m", *words, *extra]
        said = subprocess.run(line, cwd=folder, capture_output=True, text=True, timeout=600)
        assert said.returncode == 0, f"{command}\n{said.stderr}"
        assert said.stdout.strip(), command


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("pages", SESSIONS, ids=lambda pages: pages[0])
def test_commands(pages: tuple[str, ...], tmp_path: Path) -> None:
    write_problems(tmp_path)
    said = dict.fromkeys(command for page in pages for command in commands(page))
    assert said, f"{pages} show no command"
    for command in said:
        run(command, tmp_path)  # asserts what it can of each kind of command


@pytest.mark.slow
def test_the_scripts_of_the_training_page(tmp_path: Path) -> None:
    ours, trls = re.findall(r"```python\n(.*?)```", (DOCS / "training.md").read_text(encoding="utf-8"), re.DOTALL)
    names = trl_script(tmp_path)
    for script in (ours, trls):
        shorter = re.sub(r"low=100, high=4000", "low=4, high=16", script)
        assert shorter != script
        exec(compile(shorter, "training.md", "exec"), names)
        names["trainer"].train()
        assert names["trainer"].state.global_step == 1


def trl_script(tmp_path: Path) -> dict[str, Any]:
    """What stands in a TRL script before the page's lines: a model, its tokenizer, a config and a data set."""
    from datasets import Dataset
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from trl import GRPOConfig, GRPOTrainer

    from lcpo.engines.models import SHIPPED

    rows = [{"prompt": [{"role": "user", "content": f"What is {i} plus {i}?"}], "answer": str(2 * i)} for i in range(8)]
    return {
        "GRPOTrainer": GRPOTrainer,
        "model": AutoModelForCausalLM.from_pretrained(SHIPPED["tiny"]),
        "tokenizer": AutoTokenizer.from_pretrained(SHIPPED["tiny"], padding_side="left"),
        "dataset": Dataset.from_list(rows),
        "args": GRPOConfig(
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


def test_nothing_but_commands_stands_in_their_blocks() -> None:
    programs = {command.split()[0] for pages in SESSIONS for page in pages for command in commands(page)}
    assert programs <= {"lcpo", "make", "python", "pip", "torchrun"}


def test_the_table_of_grades_is_what_the_grader_says() -> None:
    text = (DOCS / "grading.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| ([^|]+) \| ([^|]+) \| (right|wrong)", text, re.MULTILINE)
    assert len(rows) == 10
    for gold, answer, said in rows:
        assert grade(rf"so \boxed{{{answer}}}", gold).correct == (said == "right"), (gold, answer)


def test_the_benchmarks_are_those_that_exist() -> None:
    text = (DOCS / "data.md").read_text(encoding="utf-8").split("- **To evaluate**")[1].split("\n\n")[0]
    assert set(re.findall(r"`(\w+)`", text)) == {each.name for each in BENCHMARKS}
