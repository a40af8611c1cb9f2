"""In front of another server: caps in its words, counts, and what it does wrong."""

import asyncio
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from served import QUESTION, serving, serving_tiny
from upstreams import ANSWER, THOUGHT, Double, in_front_of

from lcpo.errors import ConfigError, EngineError
from lcpo.serve.app import Server, make_app
from lcpo.serve.kinds import KINDS, detect
from lcpo.serve.plan import Served
from lcpo.serve.upstream import UpstreamBackend
from sums_model import EXACT

CHAT: dict[str, Any] = {"messages": [{"role": "user", "content": "?"}]}


def ask(url: str, stream: bool = False, **body: Any) -> tuple[str, str, Any]:
    """(thought, answer, last chunk or document)."""
    given = {"model": "up", **CHAT, "extra_body": body}
    with openai.OpenAI(base_url=url + "/v1", api_key="client-key", max_retries=0) as client:
        if not stream:
            whole = client.chat.completions.create(**given)
            message = whole.choices[0].message
            return (message.model_extra or {}).get("reasoning_content", ""), message.content or "", whole
        thought = answer = ""
        for chunk in client.chat.completions.create(**given, stream=True, stream_options={"include_usage": True}):
            for choice in chunk.choices:
                thought += (choice.delta.model_extra or {}).get("reasoning_content", "")
                answer += choice.delta.content or ""
    return thought, answer, chunk


@pytest.mark.parametrize("stream", [False, True])
def test_a_cap_is_passed_in_the_upstreams_words(stream: bool) -> None:
    double = Double()
    with in_front_of(double, wording="l1") as url:
        thought, answer, last = ask(url, stream, reasoning={"max_tokens": 7}, seed=5, top_k=3, custom={"a": 1})
        (model,) = httpx.get(url + "/v1/models").json()["data"]
    (body,) = double.bodies
    assert (thought, answer) == ("".join(THOUGHT[:7]), "".join(ANSWER))
    assert body["thinking_token_budget"] == 7 and "reasoning" not in body
    assert body["messages"] == [{"role": "user", "content": "? Think for 7 tokens."}]
    assert (body["seed"], body["top_k"], body["custom"]) == (5, 3, {"a": 1}) and "temperature" not in body
    details = last.usage.completion_tokens_details
    assert (details.reasoning_tokens, details.model_extra["thinking_finish"]) == (7, "budget")
    assert last.model_extra["lcpo"]["enforced"] == model["enforced"] == "upstream"
    assert double.headers[0]["authorization"] == "Bearer sk-up"
    assert "client-key" not in str(double.headers)


@pytest.mark.parametrize("kind", [name for name, facts in KINDS.items() if facts.cap])
def test_every_kind_with_a_cap_is_sent_it(kind: str) -> None:
    double = Double(cap=KINDS[kind].cap)
    with in_front_of(double, kind) as url:
        _, _, last = ask(url, thinking_budget=7)
    told = last.model_extra["lcpo"]
    assert told["enforced"] == "upstream"
    if KINDS[kind].least <= 7:
        assert told["reasoning_tokens"] == 7
    else:
        assert "no cap below" in told["warnings"][0]


def test_no_more_is_asked_for_than_the_upstreams_context_holds() -> None:
    double = Double(context=512)
    with in_front_of(double) as url:
        ask(url, thinking_budget=7)
        ask(url, thinking_budget=7, max_tokens=600)
    assert [body["max_tokens"] for body in double.bodies] == [512 - 64, 600]  # its prompt is "?"


def test_an_unknown_upstream_is_measured() -> None:
    for cap in ("thinking_budget", None):
        double = Double(cap=cap, version=False)
        with in_front_of(double) as url:
            (model,) = httpx.get(url + "/v1/models").json()["data"]
            _, _, last = ask(url, thinking_token_budget=7)
        assert (model["cap"], model["measured"], model["upstream"]) == (cap, cap is not None, "other")
        assert last.model_extra["lcpo"]["enforced"] == ("upstream" if cap else "no")
        assert bool(last.model_extra["lcpo"]["warnings"]) == (cap is None)
        assert last.usage.completion_tokens_details.reasoning_tokens == (7 if cap else 30)


@pytest.mark.parametrize("parsed", [False, True])
@pytest.mark.parametrize("stream", [False, True])
def test_where_nothing_enforces_two_calls_do(stream: bool, parsed: bool) -> None:
    double = Double(cap=None, parsed=parsed)
    with in_front_of(double, "two-calls") as url:
        thought, answer, last = ask(url, stream, thinking_token_budget=7)
        free = ask(url, stream, thinking_token_budget=100)
    first, second, third = double.bodies
    assert first["max_tokens"] == 7
    assert second["messages"][-1] == {"role": "assistant", "content": "<think>" + "".join(THOUGHT[:7]) + "</think>"}
    assert second["continue_final_message"] is True and third["max_tokens"] == 100
    assert (thought, answer) == ("".join(THOUGHT[:7]), "".join(ANSWER))
    told = last.model_extra["lcpo"]
    assert (told["enforced"], told["thinking_finish"], told["reasoning_tokens"]) == ("two calls", "budget", 7)
    assert told["forced_tokens"] >= 1 and told["tokens"] == 7 + told["forced_tokens"] + 2
    assert free[:2] == ("".join(THOUGHT), "".join(ANSWER))


def test_a_level_stays_a_level_where_the_upstream_has_levels() -> None:
    double = Double(cap=None)
    with in_front_of(double, "openai") as url:
        _, _, level = ask(url, reasoning_effort="low")
        _, _, number = ask(url, thinking_token_budget=512)
    assert double.bodies[0]["reasoning_effort"] == "low"
    assert "reasoning_effort" not in double.bodies[1] and double.bodies[1]["max_completion_tokens"] > 512
    assert level.model_extra["lcpo"]["warnings"] == []
    assert "no cap on thoughts" in number.model_extra["lcpo"]["warnings"][0]


def test_the_templates_own_argument_takes_the_place_of_the_sentence() -> None:
    double = Double()
    with in_front_of(double, wording="l1", template_argument="thinking_budget") as url:
        ask(url, thinking_token_budget=9, lcpo={"mode": "both"}, chat_template_kwargs={"other": 1})
    assert double.bodies[0]["chat_template_kwargs"] == {"other": 1, "thinking_budget": 9}
    assert double.bodies[0]["messages"] == CHAT["messages"]


def test_tools_images_and_formats_are_passed_through() -> None:
    double = Double()
    parts = [{"type": "text", "text": "?"}, {"type": "image_url", "image_url": {"url": "data:x"}}]
    with in_front_of(double, wording="l1") as url:
        body = {"messages": [{"role": "user", "content": parts}], "tools": [{"type": "function"}], "thinking_budget": 5}
        answer = httpx.post(
            url + "/v1/chat/completions", json=body | {"response_format": {"type": "json_object"}}
        ).json()
    sent = double.bodies[0]
    assert sent["messages"][0]["content"] == [*parts, {"type": "text", "text": " Think for 5 tokens."}]
    assert sent["tools"] and sent["response_format"]
    assert answer["choices"][0]["message"]["tool_calls"][0]["function"]["name"] == "f"


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("route", "body"),
    [("chat/completions", CHAT), ("messages", {**CHAT, "max_tokens": 9}), ("responses", {"input": "?"})],
)
def test_what_a_route_cannot_pass_on_is_refused_by_name(route: str, body: dict[str, Any], stream: bool) -> None:
    asked: dict[str, Any] = {"n": 2}
    if route != "chat/completions":
        asked |= {"tools": [{"type": "function", "name": "f"}], "text": {"format": {"type": "json_object"}}}
    double = Double()
    with in_front_of(double) as url:
        for name, value in asked.items():
            answer = httpx.post(f"{url}/v1/{route}", json={**body, name: value, "stream": stream})
            assert (answer.status_code, answer.json()["error"]["param"]) == (400, name)
            assert answer.json()["error"]["message"].startswith(f"{name} ")
        assert double.bodies == []
        allowed = httpx.post(f"{url}/v1/{route}", json={**body, "n": 1, "stream": stream, "text": {}})
    assert allowed.status_code == 200


@pytest.mark.parametrize(
    ("trouble", "status", "text"),
    [
        ("html", 502, "does not speak"),
        ("401", 502, "refused the server's key"),
        ("429", 429, "refused the request"),
        ("500", 502, "refused the request"),
    ],
)
def test_an_upstream_that_fails_is_said_to(trouble: str, status: int, text: str) -> None:
    double = Double(trouble=trouble)
    with in_front_of(double) as url:
        answer = httpx.post(url + "/v1/chat/completions", json=CHAT)
        double.trouble = None
        assert httpx.post(url + "/v1/chat/completions", json=CHAT).status_code == 200
    assert (answer.status_code, text in answer.text) == (status, True)
    assert trouble != "401" or "sk-up" not in answer.text


@pytest.mark.parametrize("trouble", ["breaks", "fails"])
@pytest.mark.parametrize(
    ("route", "body", "sign"),
    [
        ("chat/completions", CHAT, '"error":{'),
        ("messages", {**CHAT, "max_tokens": 99}, "event: error\n"),
        ("responses", {"input": "?"}, "event: response.failed\n"),
    ],
)
def test_a_stream_that_breaks_off_ends_with_an_error(trouble: str, route: str, body: dict[str, Any], sign: str) -> None:
    double = Double(trouble=trouble)
    with in_front_of(double) as url:
        text = httpx.post(f"{url}/v1/{route}", json=body | {"stream": True}).text
        double.trouble = None
        assert httpx.post(url + "/v1/chat/completions", json=CHAT).status_code == 200
    assert "t0 " in text and sign in text
    assert "the upstream failed: out of memory" in text if trouble == "fails" else "broke off" in text


def test_an_upstream_that_is_killed_and_comes_back(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-c", f"import sys; sys.path.append('..'); import upstreams; upstreams.run({port})"]

    def start() -> subprocess.Popen[bytes]:
        process = subprocess.Popen(command, cwd=Path(__file__).parent)
        end = time.monotonic() + 60
        while time.monotonic() < end:
            try:
                if httpx.get(f"http://127.0.0.1:{port}/v1/models").status_code == 200:
                    return process
            except httpx.TransportError:
                time.sleep(0.05)
        raise AssertionError("the double did not start")

    first = start()
    found = asyncio.run(detect(f"http://127.0.0.1:{port}/v1", None))
    backend = UpstreamBackend(found, {"up": Served("up")})
    with serving(make_app(Server(backend))) as url:
        with httpx.stream("POST", url + "/v1/chat/completions", json=CHAT | {"stream": True}, timeout=30) as stream:
            text = ""
            for part in stream.iter_text():
                text += part
                if "t3 " in text:
                    first.kill()
        gone = httpx.post(url + "/v1/chat/completions", json=CHAT)
        gone_stream = httpx.post(url + "/v1/chat/completions", json=CHAT | {"stream": True})
        second = start()
        back = httpx.post(url + "/v1/chat/completions", json=CHAT)
    assert '"error":{' in text and text.endswith("data: [DONE]\n\n")
    assert (gone.status_code, gone_stream.status_code, back.status_code) == (502, 502, 200)
    for process in (first, second):
        process.kill()
        process.wait()


def test_who_hangs_up_here_hangs_up_there() -> None:
    double = Double(trouble="slow")
    with in_front_of(double) as url:
        with httpx.stream("POST", url + "/v1/chat/completions", json=CHAT | {"stream": True}) as stream:
            next(stream.iter_lines())
            assert double.open == 1
        end = time.monotonic() + 60
        while double.open and time.monotonic() < end:
            time.sleep(0.01)
        assert double.open == 0


def test_counts_that_an_upstream_does_not_give_are_unknown() -> None:
    double = Double(usage=False, parsed=False)
    with in_front_of(double, "other") as url:
        whole = httpx.post(url + "/v1/chat/completions", json=CHAT).json()
    assert whole["usage"] is None and whole["lcpo"]["reasoning_tokens"] is None
    assert whole["choices"][0]["message"]["reasoning_content"] == "".join(THOUGHT)


def test_what_is_no_upstream() -> None:
    with pytest.raises(EngineError, match="cannot reach"):
        asyncio.run(detect("http://127.0.0.1:9/v1", None))
    with pytest.raises(ConfigError, match="Did you mean 'vllm'"):
        asyncio.run(detect("http://127.0.0.1:9/v1", None, "vlm"))


def test_in_front_of_ourselves() -> None:
    with serving_tiny() as up:
        found = asyncio.run(detect(up + "/v1", None))
        backend = UpstreamBackend(found, {EXACT.name: Served(EXACT.name)})
        with serving(make_app(Server(backend))) as url:
            body = {
                "messages": QUESTION,
                "thinking_token_budget": 20,
                "seed": 1,
            }
            answer = httpx.post(url + "/v1/chat/completions", json=body).json()
            direct = httpx.post(up + "/v1/chat/completions", json=body).json()
    assert found.kind == "lcpo"
    assert answer["usage"] == direct["usage"]
    assert answer["choices"][0]["message"] == direct["choices"][0]["message"]
