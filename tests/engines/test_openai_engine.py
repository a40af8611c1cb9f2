"""The client of OpenAI-compatible servers, against a real HTTP server that speaks the scripted engine's words."""

import socket

import openai
import pytest
from spoken import speaking

from lcpo.decode import Ask, Response, method, run_methods
from lcpo.engines.base import Request, Segment, user
from lcpo.engines.openai import OpenAIEngine
from lcpo.errors import ConfigError, EngineError
from lcpo.thinking import CLOSE
from lcpo.types import Budget
from sums_model import tokenizer

ASKED = Request(user("What is 3+4?"), 50, seed=1)


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
        engine = OpenAIEngine.connect(server.url, api_key="secret")
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
        engine = OpenAIEngine(server.url, "talker", parallel=8)
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
        engine = OpenAIEngine(server.url, "talker", tokenizer=tokenizer())
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
        found = run(OpenAIEngine(server.url, "talker", tokenizer=tokenizer()), "s1", 20)
    wait = len(tokenizer().encode("Wait", add_special_tokens=False))
    assert (found.response.text, found.tokens) == ("<think>abWaitcd</think>7", 4 + wait + 3 + 2)


def test_a_busy_server_is_tried_again() -> None:
    with speaking(lambda request: "7") as server:
        server.failures = [(503, {}, "busy"), (429, {"Retry-After": "0.01"}, {"error": {"message": "slow down"}})]
        (found,) = OpenAIEngine(server.url, "talker", pause=0.01).generate([ASKED])
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


def test_a_deadline_holds() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/v1"
        with pytest.raises(EngineError, match="did not answer within 0 s: ConnectError"):
            OpenAIEngine(url, "talker", deadline=0.2, pause=0.05).generate([ASKED])


def test_the_other_name_of_the_limit_is_learned() -> None:
    with speaking(lambda request: "7") as server:
        message = "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead."
        server.failures = [(400, {}, {"error": {"message": message}})]
        engine = OpenAIEngine(server.url, "talker")
        engine.generate([ASKED])
        engine.generate([ASKED])
    assert ["max_tokens" in body for body in server.bodies] == [True, False, False]
    assert server.bodies[2]["max_completion_tokens"] == 50


def test_keys_from_files_and_models_by_name(tmp_path: object) -> None:
    with pytest.raises(ConfigError, match="cannot read the API key"):
        OpenAIEngine.connect("http://127.0.0.1:9/v1#m", api_key=f"@{tmp_path}/absent")
    engine = OpenAIEngine.connect("http://127.0.0.1:9/v1#org/m")
    assert (engine.name, engine.url) == ("org/m", "http://127.0.0.1:9/v1")
    with pytest.raises(EngineError, match="text, not token ids"):
        engine.decode([1])
