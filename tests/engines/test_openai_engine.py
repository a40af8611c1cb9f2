"""The client of OpenAI-compatible servers, against a real HTTP server that speaks the scripted engine's words."""

import asyncio
import socket
import time
from dataclasses import replace
from typing import Any

import openai
import pytest
from spoken import speaking

from lcpo.decode import Ask, Response, method, run_methods
from lcpo.engines.base import Delta, Request, Segment, user
from lcpo.engines.openai import Connection, OpenAIEngine
from lcpo.errors import ConfigError, EngineError, RequestError
from lcpo.thinking import CLOSE
from lcpo.types import Budget
from sums_model import tokenizer

FAST = Connection(pause=0.01)
ASKED = Request(user("What is 3+4?"), 50, seed=1)


class BosTokenizer:
    """A tokenizer whose template writes `<s>`; adds: it also puts it before every text."""

    bos_token, bos_token_id = "<s>", 1

    def __init__(self, inner: Any) -> None:
        self.inner, self.adds = inner, True
        self.chat_template = inner.chat_template

    def apply_chat_template(self, *arguments: Any, **options: Any) -> str:
        return self.bos_token + str(self.inner.apply_chat_template(*arguments, **options))

    def encode(self, text: str, add_special_tokens: bool = True) -> list[int]:
        ids = list(self.inner.encode(text, add_special_tokens=False))
        return [1, *ids] if self.adds and add_special_tokens else ids


def run(engine: OpenAIEngine, spec: str, budget: int | None = None) -> Response:
    ask = Ask(user("What is 3+4?"), Budget("exact", budget) if budget else None, engine, seed=3, cap=100)
    (found,) = run_methods(engine, [method(spec).steps(ask)])
    return found


def test_our_test_server_speaks_what_the_real_client_understands() -> None:
    with speaking(lambda request: "It is 7.") as server:
        client = openai.OpenAI(base_url=server.url, api_key="k", max_retries=0)
        found = client.chat.completions.create(
            model="talker", messages=[{"role": "user", "content": "hi"}], max_tokens=5, seed=1
        )
        assert found.choices[0].message.content == "It is"
        assert found.choices[0].finish_reason == "length"
        assert found.usage is not None and found.usage.completion_tokens == 5
        assert [model.id for model in client.models.list()] == ["talker"]
        client.close()


def test_a_chat_call_and_what_it_reports() -> None:
    with speaking(lambda request: "<think>3+4</think>7") as server:
        engine = OpenAIEngine.connect(server.url, Connection(api_key="secret"))
        (found,) = engine.generate([ASKED])
    assert engine.name == "talker"
    assert found.written == Segment(None, "<think>3+4</think>7")
    assert (found.finish, found.tokens, found.prompt_tokens) == ("end", 7, len("What is 3+4?"))
    assert server.headers[0]["Authorization"] == "Bearer secret"
    body = server.bodies[0]
    assert (body["max_tokens"], body["temperature"], body["top_p"]) == (50, 1.0, 1.0)
    assert "stop" not in body and "min_tokens" not in body


def test_many_requests_keep_their_order() -> None:
    with speaking(lambda request: request.prompt_text.upper()) as server:
        engine = OpenAIEngine(server.url, "talker", Connection(parallel=8))
        found = engine.generate([Request(user(f"q{i}"), 50, seed=i) for i in range(40)])
    assert [one.written.text for one in found] == [f"Q{i}" for i in range(40)]
    assert len({body["seed"] for body in server.bodies}) == 40
    assert engine.generate([]) == []


def test_a_stop_is_put_back_whoever_says_so() -> None:
    with speaking(lambda request: "<think>3+4</think>7") as server:
        engine = OpenAIEngine(server.url, "talker")
        asked = Request(user("q"), 50, seed=1, stop=(CLOSE,))
        (told,) = engine.generate([asked])
        server.stop_reason = False
        (untold,) = engine.generate([asked])
    assert told == untold
    assert (told.written.text, told.kept.text, told.finish) == ("<think>3+4</think>", "<think>3+4", "stop")


def test_reasoning_apart_from_content_is_joined_and_counted() -> None:
    with speaking(lambda request: "<think>3+4</think>7") as server:
        server.reasoning = True
        engine = OpenAIEngine(server.url, "talker")
        found = run(engine, "prompted", 9)
        assert server.bodies[0]["messages"] == [{"role": "user", "content": "What is 3+4? Think for 9 tokens."}]
    assert found.response.text == "<think>3+4</think>7"
    assert (found.tokens, found.reasoning, found.from_ids) == (7, 3, False)


def test_without_usage_lengths_are_unknown() -> None:
    with speaking(lambda request: "7") as server:
        server.usage = False
        assert run(OpenAIEngine(server.url, "talker"), "chat").tokens is None


def test_truncate_goes_on_with_an_assistants_message() -> None:
    def script(request: Request) -> str:
        return "7" if request.prefix.text else "<think>" + "x" * 99

    with speaking(script) as server:
        found = run(OpenAIEngine(server.url, "talker"), "truncate", 5)
        second = server.bodies[1]
    assert found.response.text == "<think>xxxx\n</think>\n\n7"
    # 5 generated, then "\n</think>\n\n" is seen in the growth of the prompt, then 7 and EOS
    assert (found.tokens, found.calls) == (5 + 4 + 2, 2)
    assert second["messages"][1] == {"role": "assistant", "content": "<think>xxxx\n</think>\n\n"}
    assert second["continue_final_message"] is True and second["add_generation_prompt"] is False


def test_a_character_cut_in_two_is_not_sent() -> None:
    def script(request: Request) -> str:
        return "7" if request.prefix.text else "<think>ab🙂"

    with speaking(script) as server:
        run(OpenAIEngine(server.url, "talker"), "s1:waits=0", 5)
        assert server.bodies[1]["messages"][1]["content"].startswith("<think>ab")
        engine = OpenAIEngine(server.url, "talker")
        engine.generate([Request(user("q"), 5, seed=1, prefix=Segment(None, "ab\ufffd"))])
        assert server.bodies[-1]["messages"][1]["content"] == "ab"


def test_with_a_tokenizer_the_template_is_rendered_here() -> None:
    with speaking(lambda request: "7") as server:
        engine = OpenAIEngine(server.url, "talker", Connection(tokenizer=tokenizer()))
        found = run(engine, "direct")
        body = server.bodies[0]
    assert body["prompt"] == "<|im_start|>user\nWhat is 3+4?<|im_end|>\n<|im_start|>assistant\n<think></think>"
    # the two tags are inserted and counted by the tokenizer, 7 and EOS by the server
    assert (found.response.text, found.tokens) == ("<think></think>7", 4)


def test_direct_without_a_tokenizer_has_no_length() -> None:
    with speaking(lambda request: "7") as server:
        assert run(OpenAIEngine(server.url, "talker"), "direct").tokens is None


def test_what_is_put_in_the_place_of_a_stop_is_counted() -> None:
    said = {
        "": "<think>ab</think>8",
        "<think>abWait": "cd</think>9",
        "<think>abWaitcd</think>": "7",
    }
    with speaking(lambda request: said[request.prefix.text]) as server:
        found = run(OpenAIEngine(server.url, "talker"), "s1", 20)
    # <think> a b </think> | W a i t | c d </think> | 7 EOS: as the same response counts by ids
    assert (found.response.text, found.tokens) == ("<think>abWaitcd</think>7", 4 + 4 + 3 + 2)
    said = {"": "<think>ab", "<think>abWait": "c", "<think>abWaitc\n</think>\n\n": "7"}
    with speaking(lambda request: said[request.prefix.text]) as server:
        found = run(OpenAIEngine(server.url, "talker"), "s1_fair", 20)
    # <think> a b EOS | W a i t | c EOS | \n </think> \n \n | 7 EOS
    assert (found.calls, found.tokens) == (3, 4 + 4 + 2 + 4 + 2)


def test_with_a_tokenizer_what_is_inserted_is_counted_by_it() -> None:
    def script(request: Request) -> str:
        if request.prompt_text.endswith("</think>"):
            return "7"
        return "cd</think>" if request.prompt_text.endswith("Wait") else "<think>ab</think>"

    with speaking(script) as server:
        found = run(OpenAIEngine(server.url, "talker", Connection(tokenizer=tokenizer())), "s1", 20)
    wait = len(tokenizer().encode("Wait", add_special_tokens=False))
    assert (found.response.text, found.tokens) == ("<think>abWaitcd</think>7", 4 + wait + 3 + 2)


def test_a_busy_server_is_tried_again() -> None:
    with speaking(lambda request: "7") as server:
        server.failures = [(503, {}, "busy"), (429, {"Retry-After": "0.01"}, {"error": {"message": "slow down"}})]
        (found,) = OpenAIEngine(server.url, "talker", FAST).generate([ASKED])
        assert found.written.text == "7"
        assert len(server.bodies) == 3


def test_a_refusal_is_final_and_says_why() -> None:
    with speaking(lambda request: "7") as server:
        server.failures = [(404, {}, {"error": {"message": "model `talker` does not exist"}})]
        with pytest.raises(EngineError, match="HTTP 404: model `talker` does not exist"):
            OpenAIEngine(server.url, "talker").generate([ASKED])
        server.failures = [(200, {}, "<html>hello</html>")]
        with pytest.raises(EngineError, match="does not speak OpenAI's API"):
            OpenAIEngine(server.url, "talker").generate([ASKED])
        server.failures = [(200, {}, {"choices": []})]
        with pytest.raises(EngineError, match="no choices"):
            OpenAIEngine(server.url, "talker").generate([ASKED])


def test_where_nothing_listens_nobody_waits() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
        began = time.monotonic()
        with pytest.raises(EngineError, match=r"nothing answers there .*is the server running\?$"):
            OpenAIEngine(url, "talker").generate([ASKED])
        with pytest.raises(EngineError, match="nothing answers there"):
            OpenAIEngine.connect(url)
    assert time.monotonic() - began < 20  # seconds; with patience it would be 300


def test_the_other_name_of_the_limit_is_learned() -> None:
    with speaking(lambda request: "7") as server:
        message = "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead."
        server.failures = [(400, {}, {"error": {"message": message}})]
        engine = OpenAIEngine(server.url, "talker")
        engine.generate([ASKED])
        engine.generate([ASKED])
    assert ["max_tokens" in body for body in server.bodies] == [True, False, False]
    assert server.bodies[2]["max_completion_tokens"] == 50


async def deltas(engine: OpenAIEngine, request: Request) -> list[Delta]:
    try:
        return [delta async for delta in engine.stream(request)]
    finally:
        await engine.aclose()


@pytest.mark.parametrize("reasoning", [False, True])
def test_a_stream_comes_in_pieces_and_ends_in_what_one_answer_says(reasoning: bool) -> None:
    with speaking(lambda request: "<think>3+4 is</think>It is 7.") as server:
        server.reasoning = reasoning
        engine = OpenAIEngine(server.url, "talker")
        (whole,) = engine.generate([ASKED])
        pieces = asyncio.run(deltas(engine, ASKED))
        first = asyncio.run(anext(engine.stream(ASKED)))
    assert len(pieces) > 4 and first == pieces[0]
    assert "".join(delta.text for delta in pieces) == whole.kept.text == "<think>3+4 is</think>It is 7."
    assert [delta.generation for delta in pieces] == [None] * (len(pieces) - 1) + [whole]
    assert server.bodies[1]["stream_options"] == {"include_usage": True} and "stream" not in server.bodies[0]


def test_a_stream_holds_back_what_may_be_a_stop() -> None:
    with speaking(lambda request: "<think>3 </th 4</think>7") as server:
        server.quirk = lambda body, answer: {
            **answer, "choices": [{**answer["choices"][0], "message": {"content": "<think>3 </th 4</think>"}}]
        }  # fmt: skip
        pieces = asyncio.run(deltas(OpenAIEngine(server.url, "talker"), replace(ASKED, stop=(CLOSE,))))
    assert "".join(delta.text for delta in pieces) == "<think>3 </th 4"
    last = pieces[-1].generation
    assert last is not None and (last.written.text, last.finish) == ("<think>3 </th 4</think>", "stop")


def test_a_stream_that_breaks_off_is_no_answer_and_one_that_has_not_begun_is_tried_again() -> None:
    started = 'data: {"choices": [{"delta": {"content": "It"}}]}\n\n'
    failing = started + 'data: {"error": {"code": 502, "message": "gone"}}\n\n'
    sse = {"Content-Type": "text/event-stream"}
    with speaking(lambda request: "7") as server:
        engine = OpenAIEngine(server.url, "talker", FAST)
        for body, words in ((started, "the answer broke off"), (failing, "gone")):
            server.failures = [(200, sse, body)]
            with pytest.raises(RequestError, match=words):
                asyncio.run(deltas(engine, ASKED))
        server.failures = [(200, sse, 'data: {"error": {"code": 502}}\n\n')]
        assert "".join(delta.text for delta in asyncio.run(deltas(engine, ASKED))) == "7"


def test_who_hangs_up_is_asked_again() -> None:
    with speaking(lambda request: "7") as server:
        server.quirk = lambda body, answer: None if len(server.bodies) < 3 else answer
        (generation,) = OpenAIEngine(server.url, "talker", FAST).generate([ASKED])
    assert (generation.kept.text, len(server.bodies)) == ("7", 3)


def test_what_fails_for_good_says_so_and_a_request_of_its_own_is_told_apart(capsys: pytest.CaptureFixture[str]) -> None:
    with speaking(lambda request: "7") as server:
        engine = OpenAIEngine(server.url, "talker", replace(FAST, deadline=0.2))
        server.quirk = lambda body, answer: (503, {}, "down")
        with pytest.raises(EngineError, match=r"HTTP 503: down \(tried \d times\)") as down:
            engine.generate([ASKED])
        assert not isinstance(down.value, RequestError)  # nobody was answered: it is the server
        server.failures, server.quirk = [(503, {"Retry-After": "9"}, "later")], None
        with pytest.raises(EngineError, match="HTTP 503: later; it asks to wait 9 s"):  # longer than anybody waits
            engine.generate([ASKED])
        poison = Request(user("poison"), 9, seed=1)
        server.quirk = lambda body, answer: (500, {}, "oh") if "poison" in str(body) else answer
        engine.generate([ASKED])
        assert "HTTP 503: down; trying again in 0.0 s" in capsys.readouterr().err

        async def beside() -> None:
            failing = asyncio.create_task(engine.complete(poison))
            while not failing.done():
                await engine.complete(ASKED)
            try:
                with pytest.raises(RequestError, match="HTTP 500: oh"):
                    await failing
            finally:
                await engine.aclose()

        asyncio.run(beside())


def test_a_tokenizer_that_writes_bos_and_adds_it_sends_it_not() -> None:
    doubled = BosTokenizer(tokenizer())
    with speaking(lambda request: "7") as server:
        run(OpenAIEngine(server.url, "talker", Connection(tokenizer=doubled)), "direct")
        doubled.adds = False
        run(OpenAIEngine(server.url, "talker", Connection(tokenizer=doubled)), "direct")
    prompt = "<|im_start|>user\nWhat is 3+4?<|im_end|>\n<|im_start|>assistant\n<think></think>"
    assert [body["prompt"] for body in server.bodies] == [prompt, "<s>" + prompt]


def test_keys_from_the_environment_and_in_no_message(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "swordfish")
    with speaking(lambda request: "7") as server:
        server.failures = [(400, {}, "swordfish is no key of Bearer swordfish")]
        with pytest.raises(EngineError, match=r"HTTP 400: \*\*\* is no key of Bearer \*\*\*"):
            OpenAIEngine(server.url.replace("://", "://me:hush@"), "talker").generate([ASKED])
        OpenAIEngine(server.url, "talker").generate([ASKED])
        monkeypatch.setenv("LCPO_API_KEY", "own")
        OpenAIEngine(server.url, "talker").generate([ASKED])
        OpenAIEngine(server.url, "talker", Connection(api_key="given")).generate([ASKED])
    sent = [headers["Authorization"].removeprefix("Bearer ") for headers in server.headers]
    assert sent[1:] == ["swordfish", "own", "given"]
    with pytest.raises(ConfigError, match="holds characters that no key has"):
        OpenAIEngine("http://127.0.0.1:9/v1", "m", Connection(api_key="a\nb"))


def test_parameters_to_leave_out_are_known_ones() -> None:
    with pytest.raises(ConfigError, match="Did you mean 'temperature'"):
        OpenAIEngine("http://127.0.0.1:9/v1", "m", Connection(without=("temprature",)))


def test_models_by_name() -> None:
    engine = OpenAIEngine.connect("http://127.0.0.1:9/v1#org/m")
    assert (engine.name, engine.where) == ("org/m", "http://127.0.0.1:9/v1")
    with pytest.raises(EngineError, match="text, not token ids"):
        engine.decode([1])
    with pytest.raises(ConfigError, match="is no URL") as wrong:
        OpenAIEngine.connect("http://me:swordfish@127.0.0.1:nine/v1#m")
    assert "swordfish" not in str(wrong.value) + repr(Connection(api_key="swordfish"))
