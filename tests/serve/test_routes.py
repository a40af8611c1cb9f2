"""Responses and Messages with their own clients, completions, and what /metrics counts."""

import anthropic
import httpx
import openai
import pytest
from served import QUESTION, serving_script, serving_tiny

from lcpo.engines.base import Request
from sums_model import EXACT


def thinker(request: Request) -> str:
    return "42" if "</think>" in request.prefix.text else "<think>" + "x" * 30 + "</think>42"


def test_responses_with_openais_client() -> None:
    with serving_script(thinker) as url, openai.OpenAI(base_url=url + "/v1", api_key="none", max_retries=0) as client:
        given = {"model": "talker", "input": "?", "extra_body": {"thinking_token_budget": 7}}
        whole = client.responses.create(**given)
        events = list(client.responses.create(**given, stream=True))
        with client.responses.stream(**given) as stream:
            final = stream.get_final_response()
    reasoning, message = whole.output
    assert (reasoning.content[0].text, message.content[0].text, whole.output_text) == ("x" * 7, "42", "42")
    details = whole.usage.output_tokens_details
    assert (details.reasoning_tokens, details.model_extra["thinking_finish"]) == (7, "budget")
    assert whole.usage.output_tokens == 7 + 2 + 2 + 1
    assert "".join(e.delta for e in events if e.type == "response.output_text.delta") == "42"
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert (events[-1].type, events[-1].response.usage) == ("response.completed", whole.usage)
    assert (final.output_text, final.usage) == ("42", whole.usage)


def test_responses_take_instructions_and_items() -> None:
    prompts: list[str] = []

    def script(request: Request) -> str:
        prompts.append(request.prompt_text)
        return "done"

    with serving_script(script) as url:
        items = [
            {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "a"}]},
            {"type": "reasoning", "id": "rs_1", "summary": []},
            {"role": "assistant", "content": "b"},
            {"role": "user", "content": "c"},
        ]
        answer = httpx.post(url + "/v1/responses", json={"input": items, "instructions": "i", "max_output_tokens": 2})
    assert prompts == ["i\n\na\n\nb\n\nc"]
    assert (answer.json()["status"], answer.json()["incomplete_details"]["reason"]) == (
        "incomplete",
        "max_output_tokens",
    )


def test_messages_with_anthropics_client() -> None:
    with serving_script(thinker) as url, anthropic.Anthropic(base_url=url, api_key="none", max_retries=0) as client:
        given = {"model": "talker", "max_tokens": 100, "messages": [{"role": "user", "content": "?"}]}
        budget = {"thinking": {"type": "enabled", "budget_tokens": 7}}
        whole = client.messages.create(**given, **budget)
        with client.messages.stream(**given, **budget) as stream:
            final = stream.get_final_message()
        free = client.messages.create(
            **given, thinking={"type": "adaptive"}, extra_body={"thinking": {"type": "adaptive", "budget_tokens": 0}}
        )
        stopped = client.messages.create(**given, stop_sequences=["</think>"])
        cut = client.messages.create(**{**given, "max_tokens": 3})
    thought, text = whole.content
    assert (thought.thinking, text.text, whole.stop_reason) == ("x" * 7, "42", "end_turn")
    assert (whole.usage.output_tokens, whole.usage.output_tokens_details.thinking_tokens) == (12, 7)
    assert [block.model_dump() for block in final.content] == [block.model_dump() for block in whole.content]
    assert final.usage.output_tokens_details.thinking_tokens == 7
    assert free.usage.output_tokens_details.thinking_tokens == 30
    assert (stopped.stop_reason, stopped.stop_sequence, cut.stop_reason) == ("stop_sequence", "</think>", "max_tokens")


def test_a_thought_that_is_hidden_is_counted() -> None:
    with serving_script(thinker) as url:
        body = {"messages": [{"role": "user", "content": "?"}], "reasoning": {"max_tokens": 7, "exclude": True}}
        whole = httpx.post(url + "/v1/chat/completions", json=body)
        stream = httpx.post(url + "/v1/chat/completions", json={**body, "stream": True})
    assert "x" not in whole.json()["choices"][0]["message"].get("reasoning_content", "")
    assert "xx" not in stream.text and '"reasoning_tokens":7' in stream.text
    assert whole.json()["lcpo"]["reasoning_tokens"] == 7


@pytest.mark.parametrize("stream", [False, True])
def test_completions_give_the_text_as_it_was_written(stream: bool) -> None:
    with serving_script(thinker) as url, openai.OpenAI(base_url=url + "/v1", api_key="none", max_retries=0) as client:

        def text(prompt: str, **more: object) -> str:
            made = client.completions.create(model="talker", prompt=prompt, stream=stream, **more)
            return "".join(c.choices[0].text for c in made if c.choices) if stream else made.choices[0].text

        assert text("?", max_tokens=100) == "<think>" + "x" * 30 + "</think>42"
        assert text("?", extra_body={"thinking_budget": 3}) == "<think>xxx</think>42"
        assert text("?", stop=["</think>"], max_tokens=100) == "<think>" + "x" * 30


def test_metrics_count_what_was_asked_and_used() -> None:
    with serving_tiny() as url:
        body = {"messages": QUESTION, "thinking_token_budget": 30, "seed": 1}
        used = httpx.post(url + "/v1/chat/completions", json=body).json()["usage"]
        text = httpx.get(url + "/metrics").text
    lines = dict(line.rsplit(" ", 1) for line in text.splitlines() if line and not line.startswith("#"))
    label = f'_total{{model="{EXACT.name}"}}'
    assert float(lines["lcpo_budget_tokens" + label]) == 30
    assert float(lines["lcpo_completion_tokens" + label]) == used["completion_tokens"]
    assert float(lines["lcpo_budget_violations" + label]) == 0
    assert float(lines["lcpo_running"]) == 0
