"""docs/vllm.md as far as it can be tried without vLLM; `make test-vllm` runs all of it against a real one."""

import ast
import contextlib
import json
import re
import shlex
import subprocess
from pathlib import Path

import pytest
from test_pages import commands, parse

from lcpo.budgets import render
from lcpo.types import Budget

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "vllm.md").read_text(encoding="utf-8")


def test_its_commands_are_commands_of_lcpo(tmp_path: Path) -> None:
    ours = [command for command in commands("vllm.md") if command.startswith("lcpo ")]
    assert [command.split()[1] for command in ours] == ["models", "serve", "eval"]
    with contextlib.chdir(tmp_path):
        for command in ours:
            parse(shlex.split(command)[1:])


def test_the_processor_is_where_the_page_says() -> None:
    ((module, name),) = set(re.findall(r"--logits-processors ([\w.]+):(\w+)", PAGE))
    tree = ast.parse((ROOT / "src" / Path(*module.split("."))).with_suffix(".py").read_text(encoding="utf-8"))
    assert name in [node.name for node in tree.body if isinstance(node, ast.ClassDef)]
    assert "vllm.logits_processors" not in (ROOT / "pyproject.toml").read_text(encoding="utf-8")


def test_its_requests_are_json_and_its_sentences_ours() -> None:
    bodies = [json.loads(body) for body in re.findall(r"-d '(\{.*?\})'", PAGE, re.DOTALL)]
    assert [next(iter(set(body) - {"model", "messages"})) for body in bodies] == ["chat_template_kwargs", "vllm_xargs"]
    for kind in ("exact", "max"):
        assert f'"{render(Budget(kind, 20))}"' in PAGE


def test_make_has_the_target() -> None:
    said = subprocess.run(["make", "-n", "test-vllm"], cwd=ROOT, capture_output=True, text=True).stdout
    assert "tests/vllm_cpu/vllm_server.py" in said
    with pytest.raises(ImportError):
        import lcpo.engines.vllm_limit  # noqa: F401  (it is imported by vLLM alone)
