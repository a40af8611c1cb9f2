"""/v1/chat/completions with OpenAI's client."""

import json

import httpx
import openai
import pytest
from served import QUESTION, serving_script, serving_tiny

from lcpo.engines.base import Request
from sums_model import EXACT


def thinker(request: Request) -> str:
    return "42" if "</think>" in request.prefix.text else "<think>" + "x" * 30 + "</think>42"


def test_a_budget_is_asked_kept_and_reported() -> None:
    with serving_tiny() as url, openai.OpenAI(base_url=url + "/v1", api_key="none", max_retries=0) as client:
        raw = client.chat.completions.with_raw_response.create(
            model=EXACT.name, messages=QUESTION, extra_body={"thinking_token_budget": 20}, seed=1
        )
        answer = raw.parse()
    message = answer.choices[0].message
    assert message.content == "83"
    assert message.model_extra["reasoning_content"] == message.model_extra["reasoning"]
    details = answer.usage.completion_tokens_details
    assert details.reasoning_tokens <= 20
    assert details.model_extra["budget_tokens"] == 20
    assert details.model_extra["thinking_finish"] == raw.headers["x-lcpo-thinking-finish"]
    assert answer.model_extra["lcpo"]["sentence"] == "Think for 20 tokens."
    assert raw.headers["x-lcpo-enforced"] == answer.model_extra["lcpo"]["enforced"] == "engine"


def test_a_stream_says_what_the_document_says() -> None:
    with serving_tiny() as url, openai.OpenAI(base_url=url + "/v1", api_key="none", max_retries=0) as client:
        given = {"model": EXACT.name, "messages": QUESTION, "extra_body": {"thinking_budget": 9}, "seed": 3}
        whole = client.chat.completions.create(**given)
        chunks = list(client.chat.completions.create(**given, stream=True, stream_options={"include_usage": True}))
    assert chunks[-1].usage == whole.usage and chunks[-1].model_extra["lcpo"] == whole.model_extra["lcpo"]
    deltas = [chunk.choices[0].delta for chunk in chunks if chunk.choices]
    assert "".join(delta.content or "" for delta in deltas) == whole.choices[0].message.content
    thought = "".join(delta.model_extra.get("reasoning_content", "") for delta in deltas)
    assert thought == whole.choices[0].message.model_extra["reasoning_content"]


def test_three_modes_on_a_model_that_was_trained_and_one_that_was_not() -> None:
    def ask(url: str, mode: str) -> dict:
        body = {"messages": [{"role": "user", "content": "?"}], "thinking_token_budget": 7, "lcpo": {"mode": mode}}
        return httpx.post(url + "/v1/chat/completions", json=body).json()["lcpo"]

    prompts: list[str] = []

    def script(request: Request) -> str:
        prompts.append(request.prompt_text)
        return thinker(request)

    with serving_script(script, wording="l1") as url:
        told = {mode: ask(url, mode) for mode in ("sentence", "wall", "both")}
    assert [told[mode]["reasoning_tokens"] for mode in told] == [30, 7, 7]
    assert [told[mode]["thinking_finish"] for mode in told] == ["natural", "budget", "budget"]
    assert [told[mode]["sentence"] for mode in told] == ["Think for 7 tokens.", None, "Think for 7 tokens."]
    assert sorted(set(prompts)) == ["?", "? Think for 7 tokens."]
    with serving_script(script) as url:
        assert "trained on no budget sentence" in ask(url, "both")["warnings"][0]


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "wizard", "content": "?"}]}, "messages"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, "messages"),
        ({"temperature": -1}, "temperature"),
        ({"tools": [{"type": "function"}]}, "tools"),
        ({"n": 2}, "n"),
        ({"response_format": {"type": "json_object"}}, "response_format"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_tokens": 5, "max_completion_tokens": 6}, "max_tokens"),
        ({"continue_final_message": True}, "continue_final_message"),
        ({"messages": [{"role": "assistant", "content": "4"}], "continue_final_message": True}, "messages"),
        ({"model": "other"}, "model"),
    ],
)
def test_what_cannot_be_done_is_refused_by_name(change: dict, param: str) -> None:
    with serving_script(thinker) as url:
        answer = httpx.post(
            url + "/v1/chat/completions", json={"messages": [{"role": "user", "content": "?"}]} | change
        )
    assert answer.status_code == (404 if param == "model" else 400), answer.text
    assert answer.json()["error"]["param"] == param


def test_a_prompt_beyond_the_context_is_refused_and_a_limit_beyond_it_lowered() -> None:
    with serving_tiny() as url:
        long = httpx.post(url + "/v1/chat/completions", json={"messages": [{"role": "user", "content": "a" * 2000}]})
        body = {"messages": QUESTION, "max_tokens": 4000, "thinking_token_budget": 12}
        lowered = httpx.post(url + "/v1/chat/completions", json=body)
    assert (long.status_code, long.json()["error"]["param"]) == (400, "messages")
    assert lowered.json()["lcpo"]["warnings"] and lowered.json()["lcpo"]["limit"] < 512
    assert "context" in lowered.headers["x-lcpo-warning"]


def test_a_message_is_gone_on_with() -> None:
    with serving_script(thinker) as url:
        messages = [{"role": "user", "content": "?"}, {"role": "assistant", "content": "<think>abc</think>"}]
        body = {"messages": messages, "continue_final_message": True, "add_generation_prompt": False}
        answer = httpx.post(url + "/v1/chat/completions", json=body).json()
    assert answer["choices"][0]["message"]["content"] == "42"
    assert json.dumps(answer["usage"]["completion_tokens_details"]["reasoning_tokens"]) == "0"


def test_models_and_health() -> None:
    with serving_tiny() as url:
        (model,) = httpx.get(url + "/v1/models").json()["data"]
        assert httpx.get(url + "/health").json() == {"status": "ok"}
    assert (model["id"], model["enforced"], model["max_model_len"]) == (EXACT.name, "engine", 512)
