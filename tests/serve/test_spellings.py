"""Every spelling, on every route, streamed or not, in process and in front of a server: right, refused by its name, or
answered with a warning; never silently dropped.
"""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import httpx
import pytest
from served import serving_script
from upstreams import Double, in_front_of

from lcpo.engines.base import Request
from lcpo.serve.calls import ApiError
from lcpo.serve.spellings import EFFORT, SPELLINGS, Spelling, read, read_limit, split_model

ROUTES: dict[str, dict[str, Any]] = {
    "chat/completions": {"messages": [{"role": "user", "content": "?"}], "stream_options": {"include_usage": True}},
    "completions": {"prompt": "?", "stream_options": {"include_usage": True}},
    "responses": {"input": "?"},
    "messages": {"messages": [{"role": "user", "content": "?"}], "max_tokens": 500},
}
LEVELS = {"none": 0, "minimal": 2, "low": 7, "medium": 9, "high": 12, "xhigh": 15, "max": None}
THINKS = 30
"""Tokens of thought of both doubles, where nothing cuts it."""


def thinker(request: Request) -> str:
    return "42" if "</think>" in request.prefix.text else "<think>" + "x" * THINKS + "</think>42"


@pytest.fixture(scope="module")
def servers() -> Iterator[dict[str, tuple[str, Double | None]]]:
    double = Double()
    with ExitStack() as stack:
        local = stack.enter_context(serving_script(thinker, effort=LEVELS))
        upstream = stack.enter_context(in_front_of(double, effort=LEVELS))
        yield {"local": (local, None), "upstream": (upstream, double)}


def body_with(path: str, value: Any) -> dict[str, Any]:
    for name in reversed(path.split(".")):
        value = {name: value}
    return dict(value)


def values(spelling: Spelling) -> list[tuple[Any, Any]]:
    """(value, what it means: tokens of thought, "400", or "warning")."""
    numbers = [(7, 7), (0, 0), (-1, THINKS), (True, "400"), (7.0, "400"), ("7", "400"), (-2, "400")]
    words = [(word, THINKS if cap is None else cap) for word, cap in LEVELS.items()] + [("hgih", "400"), (3, "400")]
    if spelling.scope == "response" and spelling.reads == "tokens":
        return [(7, "response"), *numbers[1:]]
    return {
        "tokens": numbers,
        "level": words,
        "level or switch": [*words, (True, THINKS), (False, 0)],
        "switch": [(True, THINKS), (False, 0), ("yes", "400")],
        "type": [("enabled", THINKS), ("adaptive", THINKS), ("disabled", 0), ("on", "400")],
        "task": [({"type": "tokens", "total": 20}, "task"), ({"type": "dollars"}, "400"), (20, "400")],
        "hide": [(True, "hidden")],
        "show": [(False, "hidden")],
        "ours": [({"budget": 7}, 7), ({"budgte": 7}, "400"), ({"mode": "wal"}, "400"), (7, "400")],
        "nothing": [("x", "warning")],
    }[spelling.reads]


CASES = [(spelling.path, value, means) for spelling in SPELLINGS for value, means in values(spelling)]


def reports(text: str, stream: bool) -> dict[str, Any]:
    if not stream:
        return dict(json.loads(text)["lcpo"])
    events = [json.loads(line[6:]) for line in text.splitlines() if line.startswith("data: {")]
    return dict(next(one["lcpo"] for e in reversed(events) for one in (e, e.get("response", {})) if "lcpo" in one))


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("where", ["local", "upstream"])
def test_every_spelling(servers: dict[str, tuple[str, Double | None]], where: str, route: str, stream: bool) -> None:
    url, double = servers[where]
    with httpx.Client(timeout=30) as client:
        for path, value, means in CASES:
            body = {**ROUTES[route], "stream": stream, **body_with(path, value)}
            if path == "thinking.display":
                body["thinking"] = {"display": "omitted" if value is True else value}
            answer = client.post(f"{url}/v1/{route}", json=body)
            case = (where, route, stream, path, value, answer.text[:600])
            if means == "400":
                assert answer.status_code == 400, case
                assert answer.json()["error"]["param"].startswith(path), case
                continue
            assert answer.status_code == 200, case
            told = reports(answer.text, stream)
            if means == "warning":
                assert path in told["warnings"][0] and path in answer.headers["x-lcpo-warning"], case
            elif means == "task":
                assert told["asked_by"] == "output_config.task_budget" and told["limit"] == 20, case
            elif means == "response":
                assert told["limit"] == 7 and told["tokens"] <= 7, case
            elif means == "hidden":
                assert "xxx" not in answer.text and "t0 t1" not in answer.text, case
                assert told["reasoning_tokens"] == THINKS, case
            else:
                assert told["reasoning_tokens"] == means, case
                assert told["warnings"] == [], case
            if double is not None and isinstance(means, int):
                sent = double.bodies[-1]
                assert sent.get("thinking_token_budget") == (means if means < THINKS else None), case
                assert not set(sent) & {"reasoning_effort", "thinking", "reasoning", "think", "lcpo"}, case


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"thinking_budget": 5, "thinking_token_budget": 6}, "thinking_budget"),
        ({"thinking_budget": 5, "enable_thinking": False}, "thinking_budget"),
        ({"thinking": {"type": "disabled", "budget_tokens": 9}}, "thinking.budget_tokens"),
        ({"reasoning_effort": "low", "output_config": {"effort": "high"}}, "output_config.effort"),
    ],
)
def test_contradictions_are_refused(body: dict[str, Any], param: str) -> None:
    with pytest.raises(ApiError) as error:
        read(body, None, {}, EFFORT)
    assert error.value.param == param


@pytest.mark.parametrize(
    ("body", "tokens", "warnings"),
    [
        ({"thinking": {"type": "adaptive", "budget_tokens": 0}}, None, 0),
        ({"thinking": {"type": "enabled", "budget_tokens": 5}, "thinking_budget": 5}, 5, 0),
        ({"thinking_token_budget": None, "reasoning": None, "thinking": {}}, None, 0),
        ({"reasoning_effort": "high", "thinking_token_budget": 5}, 5, 1),
        ({"thinking_token_budget": 0, "enable_thinking": False}, 0, 0),
        ({"thinking_budget": "auto"}, None, 0),
    ],
)
def test_harmless_things_are_accepted(body: dict[str, Any], tokens: int | None, warnings: int) -> None:
    asked = read(body, None, {}, EFFORT)
    assert (asked.tokens, len(asked.warnings)) == (tokens, warnings)


@pytest.mark.parametrize(
    ("name", "model", "suffix"),
    [
        ("m", "m", None),
        ("m(512)", "m", "512"),
        ("m(high)", "m", "high"),
        ("m:low", "m", "low"),
        ("m(-1)", "m", "-1"),
        ("org/m:7b", "org/m:7b", None),
        ("k(2)", "k(2)", None),
    ],
)
def test_a_name_may_end_in_its_budget(name: str, model: str, suffix: str | None) -> None:
    assert split_model(name, ("m", "k(2)")) == (model, suffix)


def test_a_limit_has_many_names_and_one_value() -> None:
    assert read_limit({"max_tokens": 5, "num_predict": 5, "max_output_tokens": None}) == 5
    for body in ({"max_tokens": 5, "n_predict": 6}, {"max_tokens": True}, {"max_tokens": 1.5}, {"max_tokens": -1}):
        with pytest.raises(ApiError):
            read_limit(body)


def test_a_suffix_works_on_the_wire() -> None:
    with serving_script(thinker, effort=LEVELS) as url:
        for name, tokens in (("talker(7)", 7), ("talker(low)", 7), ("talker:none", 0), ("talker", THINKS)):
            answer = httpx.post(url + "/v1/chat/completions", json={**ROUTES["chat/completions"], "model": name})
            assert answer.json()["lcpo"]["reasoning_tokens"] == tokens
        bad = httpx.post(url + "/v1/chat/completions", json={**ROUTES["chat/completions"], "model": "talker(x)"})
    assert (bad.status_code, bad.json()["error"]["param"]) == (400, "model")


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"thinking": {"type": ["enabled"]}}, "thinking.type"),
        ({"thinking": "enabled"}, "thinking"),
        ({"reasoning": 7}, "reasoning"),
        ({"reasoning_effort": "hi\ud800gh"}, "reasoning_effort"),
        ({"lcpo": {"bud\ud800get": 7}}, "lcpo.bud\ud800get"),
        ({"lcpo": {"conversation": "\ud800"}}, "lcpo.conversation"),
        ({"output_config": {"task_budget": {"total": 20, "remaining": 0}}}, "output_config.task_budget.remaining"),
        ({"max_tokens": 10**30}, "max_tokens"),
    ],
)
def test_what_only_a_fuzzer_sends_is_refused_by_name(body: dict[str, Any], param: str) -> None:
    with serving_script(thinker) as url:
        content = json.dumps(ROUTES["chat/completions"] | body)
        answer = httpx.post(url + "/v1/chat/completions", content=content, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)
