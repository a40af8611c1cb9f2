"""What lcpo exports, in a real vLLM: every command of docs/vllm.md. Run by `make test-vllm`, not by plain pytest."""

import json
import os
import re
import shlex
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from transformers import AutoTokenizer

ROOT = Path(__file__).resolve().parents[2]
BLOCKS = re.findall(r"^```bash\n(.*?)^```", (ROOT / "docs" / "vllm.md").read_text(), re.DOTALL | re.MULTILINE)
BIN = ROOT / ".venv-vllm" / "bin"
CPU = ["--dtype", "float32", "--max-model-len", "512", "--enforce-eager", "--host", "127.0.0.1"]
ENVIRONMENT = {
    "VLLM_USE_V2_MODEL_RUNNER": "0", "VLLM_CPU_KVCACHE_SPACE": "1", "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1",
    "VLLM_NO_USAGE_STATS": "1", "PATH": f"{BIN}:{Path(sys.executable).parent}:{os.environ['PATH']}",
}  # fmt: skip
STARTING = 1800
"""Seconds that a server may take to start."""
QUESTION = [{"role": "user", "content": "Which two of b048 c217 e393 f125 h461 i308 k279 l010 add up closest to 550?"}]


def command(start: str) -> str:
    """The command of the page that begins so."""
    return next(line for block in BLOCKS for line in block.split("\n") if line.startswith(start))


def free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])


def serving(given: list[str], folder: Path, port: int, ready: str) -> Iterator[str]:
    """The address of a server that this command starts; it is ended afterwards."""
    log = folder / f"{port}.log"
    with log.open("w") as written:
        process = subprocess.Popen(
            given, cwd=folder, env=os.environ | ENVIRONMENT, stdout=written, stderr=subprocess.STDOUT
        )
    url = f"http://127.0.0.1:{port}"
    try:
        for _ in range(STARTING):
            assert process.poll() is None, log.read_text()[-3000:]
            try:
                if httpx.get(url + ready).status_code == 200:
                    break
            except httpx.TransportError:
                pass
            time.sleep(1)
        yield url
    finally:
        process.terminate()
        process.wait(60)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where `lcpo models export` of the page has been run."""
    folder = tmp_path_factory.mktemp("vllm")
    subprocess.run([sys.executable, "-m", *shlex.split(command("lcpo models export"))], cwd=folder, check=True)
    return folder


@pytest.fixture(scope="module")
def vllm(folder: Path) -> Iterator[str]:
    """vLLM with the exported folder and the logits processor: the longer of the page's two commands."""
    port = free_port()
    longer = max((line for block in BLOCKS for line in block.split("\n") if line.startswith("vllm serve")), key=len)
    yield from serving([*shlex.split(longer), *CPU, "--port", str(port)], folder, port, "/v1/models")


@pytest.fixture(scope="module")
def proxy(vllm: str, folder: Path) -> Iterator[str]:
    """`lcpo serve` in front of it."""
    port = free_port()
    given = command("lcpo serve").replace("http://127.0.0.1:8000", vllm).replace("8001", str(port))
    yield from serving([sys.executable, "-m", *shlex.split(given)], folder, port, "/v1/models")


def ask(url: str, **more: Any) -> dict[str, Any]:
    body = {"model": "exported", "messages": QUESTION, "seed": 1, **more}
    answer = httpx.post(url + "/v1/chat/completions", json=body, timeout=120)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def used(answer: dict[str, Any]) -> int:
    return int(answer["usage"]["completion_tokens"])


def test_every_budget_reaches_the_prompt_to_the_letter(vllm: str, folder: Path) -> None:
    from lcpo.budgets import render
    from lcpo.types import Budget

    tokenizer = AutoTokenizer.from_pretrained(folder / "exported")
    for budget in (Budget("exact", 20), Budget("max", 37), Budget("none")):
        given = {} if budget.tokens is None else {"thinking_budget": budget.tokens, "thinking_budget_kind": budget.kind}
        body = {"model": "exported", "messages": QUESTION, "chat_template_kwargs": given}
        ids = httpx.post(vllm + "/tokenize", json=body, timeout=60).json()["tokens"]
        assert tokenizer.decode(ids) == (
            f"<|im_start|>user\n{QUESTION[0]['content']}{render(budget)}<|im_end|>\n<|im_start|>assistant\n"
        )


def test_the_trained_dial_is_obeyed(vllm: str) -> None:
    for budget in (12, 20, 37, 66):
        answer = ask(vllm, chat_template_kwargs={"thinking_budget": budget}, temperature=0)
        assert abs(used(answer) - budget) <= max(3, 0.15 * budget)


@pytest.mark.parametrize("wrong", [0, -2, "64", 6.5, True])
def test_what_is_no_budget_is_a_400(vllm: str, wrong: Any) -> None:
    body = {"model": "exported", "messages": QUESTION, "chat_template_kwargs": {"thinking_budget": wrong}}
    answer = httpx.post(vllm + "/v1/chat/completions", json=body, timeout=60)
    assert answer.status_code == 400 and "thinking_budget is a whole number" in answer.text


def test_vllms_own_wall_stands_behind_the_sentence(vllm: str) -> None:
    given = {"chat_template_kwargs": {"thinking_budget": 66}, "thinking_token_budget": 10}
    assert ask(vllm, **given)["usage"]["completion_tokens_details"]["reasoning_tokens"] <= 10


@pytest.mark.parametrize("budget", [6, 8, 16, 30])
def test_the_processor_limits_the_whole_response(vllm: str, budget: int) -> None:
    for seed in range(4):
        given = {"chat_template_kwargs": {"thinking_budget": 66}, "vllm_xargs": {"response_budget": budget}}
        answer = ask(vllm, **given, seed=seed)
        message = answer["choices"][0]["message"]
        assert used(answer) <= budget and message["content"] and "think>" not in message["content"]
        assert answer["choices"][0]["finish_reason"] == "stop"


def test_requests_with_and_without_the_processor_run_side_by_side(vllm: str) -> None:
    from concurrent.futures import ThreadPoolExecutor

    def one(i: int) -> int:
        limit = {"vllm_xargs": {"response_budget": 12}} if i % 2 else {}
        return used(ask(vllm, chat_template_kwargs={"thinking_budget": 66}, seed=i, **limit))

    with ThreadPoolExecutor(8) as pool:
        counts = list(pool.map(one, range(16)))
    assert max(counts[1::2]) <= 12 < 40 < min(counts[::2])


@pytest.mark.parametrize("wrong", [1, 0, -3, "8", 7.5])
def test_what_is_no_limit_is_a_400(vllm: str, wrong: Any) -> None:
    body = {"model": "exported", "messages": QUESTION, "vllm_xargs": {"response_budget": wrong}}
    answer = httpx.post(vllm + "/v1/chat/completions", json=body, timeout=60)
    assert answer.status_code == 400 and "response_budget is a whole number" in answer.text


def test_the_curl_commands_of_the_page(vllm: str) -> None:
    asks = [block for block in BLOCKS if block.startswith("curl")]
    for block, most in zip(asks, (26, 24), strict=True):
        given = block.replace("http://127.0.0.1:8000", vllm)
        done = subprocess.run(["bash", "-c", given], capture_output=True, text=True, timeout=120)
        assert 0 < used(json.loads(done.stdout)) <= most, done


def test_lcpo_serve_in_front(proxy: str) -> None:
    (model,) = httpx.get(proxy + "/v1/models").json()["data"]
    assert (model["id"], model["upstream"], model["cap"]) == ("exported", "vllm", "thinking_token_budget")
    answer = ask(proxy, thinking_token_budget=20)
    details = answer["usage"]["completion_tokens_details"]
    assert details["reasoning_tokens"] <= 20 == details["budget_tokens"] and answer["lcpo"]["enforced"] == "upstream"


def test_lcpo_eval_against_it(vllm: str, folder: Path) -> None:
    given = command("lcpo eval").replace("http://127.0.0.1:8000", vllm)
    done = subprocess.run(
        [sys.executable, "-m", *shlex.split(given), "--json"], cwd=folder, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stderr
    for row in json.loads(done.stdout)["rows"]:
        assert row["mare"] < 0.2 and row["requests_failed"] == 0
