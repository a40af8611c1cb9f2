"""Other people's clients set a budget and read back what was used."""

import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.clients, pytest.mark.timeout(1200)]
QUESTION = "Which two of b048 c217 e393 f125 h461 i308 k279 l010 add up closest to 550?"
BUDGET = 20
BIN = Path(sys.executable).parent


def metric(server: str, name: str) -> float:
    """A counter of /metrics, over all models."""
    with urllib.request.urlopen(server + "/metrics") as response:
        lines = response.read().decode().splitlines()
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(name))


def langchain(server: str, **given: Any) -> Any:
    from langchain_openai import ChatOpenAI

    return ChatOpenAI(base_url=server + "/v1", api_key="none", model="tiny-exact", max_retries=0, **given)  # type: ignore[arg-type]


def test_langchain_chat_streams(server: str) -> None:
    model = langchain(server, extra_body={"thinking_token_budget": BUDGET}, stream_usage=True)
    whole = model.invoke(QUESTION)
    *deltas, last = model.stream(QUESTION)
    told = whole.response_metadata["token_usage"]["completion_tokens_details"]
    assert (told["budget_tokens"], told["thinking_finish"]) == (BUDGET, told["thinking_finish"])
    assert whole.content and "".join(delta.content for delta in deltas)
    for message in (whole, sum(deltas[1:], deltas[0]) + last):
        assert 0 < message.usage_metadata["output_token_details"]["reasoning"] <= BUDGET


@pytest.mark.parametrize("given", [{"reasoning": {"effort": "low"}}, {"extra_body": {"thinking_budget": BUDGET}}])
def test_langchain_responses(server: str, given: dict[str, Any]) -> None:
    model = langchain(server, use_responses_api=True, **given)
    before = metric(server, "lcpo_reasoning_tokens_total")
    whole = model.invoke(QUESTION)
    used = metric(server, "lcpo_reasoning_tokens_total") - before
    *deltas, last = model.stream(QUESTION)
    kinds = [block["type"] for block in whole.content]
    assert kinds == ["reasoning", "text"]
    assert whole.usage_metadata["output_token_details"]["reasoning"] == used > 0
    assert (sum(deltas[1:], deltas[0]) + last).usage_metadata["output_token_details"]["reasoning"] > 0
    assert "reasoning" in given or used <= BUDGET


@pytest.mark.parametrize("stream", [[], ["--no-stream"]])
@pytest.mark.parametrize(("name", "option"), [("tiny-exact(20)", ""), ("tiny-exact", "-o reasoning_effort low")])
def test_llm(server: str, tmp_path: Path, name: str, option: str, stream: list[str]) -> None:
    model = {"model_id": "tiny", "model_name": name, "api_base": server + "/v1", "reasoning": True}
    (tmp_path / "extra-openai-models.yaml").write_text(json.dumps([model]))
    environment = os.environ | {"LLM_USER_PATH": str(tmp_path)}
    command = [str(BIN / "llm"), "-m", "tiny", QUESTION, "--usage", "--no-log", *option.split(), *stream]
    run = subprocess.run(command, env=environment, check=True, capture_output=True, text=True, timeout=120)
    details = json.loads(run.stderr[run.stderr.index("{") :])["completion_tokens_details"]
    assert run.stdout.strip()
    assert 0 < details["reasoning_tokens"] <= details["budget_tokens"]
    assert option or details["budget_tokens"] == BUDGET


def test_lm_eval(server: str, tmp_path: Path) -> None:
    import lm_eval

    rows = [{"question": QUESTION, "answer": "ci"}] * 3
    (tmp_path / "sums.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    task = {
        "task": "sums",
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": {"test": str(tmp_path / "sums.jsonl")}, "cache_dir": str(tmp_path / "cache")},
        "test_split": "test",
        "doc_to_text": "{{question}}",
        "doc_to_target": "{{answer}}",
        "output_type": "generate_until",
        "generation_kwargs": {"until": [], "max_gen_toks": 100, "thinking_token_budget": BUDGET},
        "metric_list": [{"metric": "exact_match"}],
    }
    before = {name: metric(server, f"lcpo_{name}_total") for name in ("budget_tokens", "reasoning_tokens")}
    address = f"base_url={server}/v1/chat/completions,model=tiny-exact,tokenizer_backend=None,num_concurrent=1"
    results = lm_eval.simple_evaluate(
        model="local-chat-completions", model_args=address, tasks=[task], apply_chat_template=True, bootstrap_iters=0
    )
    used = {name: metric(server, f"lcpo_{name}_total") - value for name, value in before.items()}
    assert used["budget_tokens"] == 3 * BUDGET and 0 < used["reasoning_tokens"] <= 3 * BUDGET
    assert [sample["resps"][0][0] != "" for sample in results["samples"]["sums"]] == [True] * 3


def counts(usage: Any) -> dict[str, Any]:
    """Our counts of a usage, however the client holds it."""
    details = usage if isinstance(usage, dict) else usage.model_dump()
    details = details["completion_tokens_details"]
    return {
        name: details.get(name) for name in ("reasoning_tokens", "budget_tokens", "thinking_finish", "forced_tokens")
    }


def check(told: dict[str, Any]) -> None:
    assert told["budget_tokens"] == BUDGET and 0 < told["reasoning_tokens"] <= BUDGET
    assert told["thinking_finish"] in ("natural", "budget") and isinstance(told["forced_tokens"], int)


@pytest.mark.parametrize("route", ["openai", "hosted_vllm"])
def test_litellm_as_a_library(server: str, route: str) -> None:
    import litellm

    litellm.suppress_debug_info = True
    ask: Callable[..., Any] = litellm.completion
    given = {"model": f"{route}/tiny-exact", "api_base": server + "/v1", "api_key": "none", "num_retries": 0}
    given |= {"messages": [{"role": "user", "content": QUESTION}], "thinking_token_budget": BUDGET}
    whole = ask(**given)
    *_, last = ask(**given, stream=True, stream_options={"include_usage": True})
    assert whole.choices[0].message.reasoning_content and whole.choices[0].message.content
    for answer in (whole, last):
        check(counts(answer.usage))


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("route", ["openai", "hosted_vllm"])
def test_litellms_proxy_in_front_of_us(litellm_proxy: str, route: str, stream: bool) -> None:
    import openai

    client = openai.OpenAI(base_url=litellm_proxy + "/v1", api_key="sk-test", max_retries=0)
    given: dict[str, Any] = {"model": route, "messages": [{"role": "user", "content": QUESTION}]}
    given |= {"extra_body": {"thinking_token_budget": BUDGET}}
    if stream:
        given |= {"stream": True, "stream_options": {"include_usage": True}}
    raw = client.chat.completions.with_raw_response.create(**given)
    answer = raw.parse()
    chunks = list(answer) if stream else [answer]
    check(counts(next(chunk.usage for chunk in reversed(chunks) if chunk.usage)))
    assert raw.headers["llm_provider-x-lcpo-budget"] == str(BUDGET)
    assert raw.headers["llm_provider-x-lcpo-enforced"] == "engine"
