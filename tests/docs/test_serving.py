"""Every example of docs/serving.md, run against a real `lcpo serve`."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from lcpo.serve.ledger import read_keys
from lcpo.serve.spellings import SPELLINGS
from server_process import lcpo_serve

PAGE = (Path(__file__).parents[2] / "docs" / "serving.md").read_text()
HERE = "http://127.0.0.1:8000"


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with lcpo_serve("tiny-exact") as (process, address):
        yield address
        process.terminate()
        assert process.wait(20) in (0, -15)


@pytest.mark.slow
def test_every_example_runs(url: str) -> None:
    (curl,) = blocks("bash")
    told = json.loads(subprocess.run(curl.replace(HERE, url), shell=True, check=True, capture_output=True).stdout)
    assert told["lcpo"]["budget"] == 20 and told["lcpo"]["reasoning_tokens"] <= 20
    openai, anthropic = (
        subprocess.run(
            [sys.executable, "-c", code.replace(HERE, url)], check=True, capture_output=True, text=True
        ).stdout
        for code in blocks("python")
    )
    assert "budget_tokens=20" in openai and "'enforced': 'engine'" in openai
    assert re.match(r"\['thinking', 'text'\] \d+\n", anthropic)
    assert httpx.get(url + "/").status_code == httpx.get(url + "/metrics").status_code == 200


def test_the_file_of_keys_is_one(tmp_path: Path) -> None:
    (tmp_path / "keys.toml").write_text(blocks("toml")[0])
    assert read_keys(tmp_path / "keys.toml")["alice"].tokens_per_day == 100000


def test_spellings_of_the_page_exist() -> None:
    known = {spelling.path for spelling in SPELLINGS}
    table = PAGE.split("## Spellings")[1].split("##")[0]
    first = [name for row in table.splitlines() if row.startswith("| `") for name in re.findall(r"`([\w.]+)`", row)]
    assert {name for name in first if "." in name or "budget" in name or "thinking" in name} <= known
