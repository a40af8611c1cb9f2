"""The scripts under examples/ put the sentence and the cap where they belong."""

import asyncio
import importlib.util
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from served import serving
from upstreams import Double, double_app

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def load(name: str) -> Any:
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_sglang_gets_the_sentence_and_its_own_cap() -> None:
    double = Double(cap="custom_params.thinking_budget")
    with serving(double_app(double)) as url:
        answer = load("sglang_budget").ask(url + "/v1", "up", "1+1?", 12)
    assert answer == {"answer": "forty-two", "asked": 12, "used": 12}
    (body,) = double.bodies
    assert body["messages"] == [{"role": "user", "content": "1+1? Think for 12 tokens."}]


@pytest.fixture
def callback(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The LiteLLM callback; where LiteLLM is not installed, on a base class as empty as LiteLLM's own."""
    if importlib.util.find_spec("litellm") is None:
        for name in ("litellm", "litellm.integrations", "litellm.integrations.custom_logger"):
            monkeypatch.setitem(sys.modules, name, ModuleType(name))
        sys.modules["litellm.integrations.custom_logger"].__dict__["CustomLogger"] = object
    return load("litellm_callback").budgets


def test_litellm_gets_the_sentence_and_says_what_was_asked(callback: Any) -> None:
    turns = [{"role": "user", "content": "1+1?"}, {"role": "assistant", "content": "2"}]
    data = {"thinking_token_budget": 12, "messages": [*turns, {"role": "user", "content": "2+2?"}]}
    sent = asyncio.run(callback.async_pre_call_hook(None, None, data, "completion"))
    assert [turn["content"] for turn in sent["messages"]] == ["1+1?", "2", "2+2? Think for 12 tokens."]
    response = SimpleNamespace(usage=SimpleNamespace(completion_tokens_details=SimpleNamespace(reasoning_tokens=11)))
    asyncio.run(callback.async_post_call_success_hook(data, None, response))
    assert response.usage.completion_tokens_details.budget_tokens == 12


@pytest.mark.parametrize("budget", [None, 0, -1, "12", True])
def test_litellm_leaves_what_is_no_budget_alone(callback: Any, budget: Any) -> None:
    data = {"thinking_token_budget": budget, "messages": [{"role": "user", "content": "1+1?"}]}
    sent = asyncio.run(callback.async_pre_call_hook(None, None, data, "completion"))
    assert sent["messages"] == [{"role": "user", "content": "1+1?"}]
