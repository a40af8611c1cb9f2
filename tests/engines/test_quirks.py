"""`lcpo eval URL` against a server for each way in which servers differ from each other and from their manual."""

import email.utils
import json
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from spoken import Answer, Raw, speaking

import sums_model
from lcpo.cli import cli
from lcpo.decode import Ask, Response, method, run_methods
from lcpo.engines.base import Request, Segment, user
from lcpo.engines.openai import Connection, OpenAIEngine
from lcpo.errors import EngineError
from lcpo.evaluate.batch import votes_by_value
from lcpo.evaluate.records import read_samples
from lcpo.thinking import CLOSE
from lcpo.verifiers import grade

LIST = Path(__file__).resolve().parents[2].parent / "shared" / "cases" / "other.json"
QUESTIONS = [{"question": f"What is 1+{n}?", "answer": str(1 + n)} for n in range(1, 4)]


def right(request: Request) -> str:
    """A short thought and the right answer to the first question."""
    return "\\boxed{2}" if CLOSE in request.prefix.text else "<think>one and one</think>\\boxed{2}"


def hesitant(request: Request) -> str:
    """Thinks for too long; closes the thought of its own accord nowhere."""
    return " \\boxed{2}" if CLOSE in request.prefix.text else "<think>" + "so " * 90


def message(**changes: Any) -> Callable[[dict[str, Any], Answer], Answer]:
    """A quirk: the usual answer with another message."""

    def change(body: dict[str, Any], answer: Answer) -> Answer:
        answer["choices"][0]["message"] = {"role": "assistant", **changes}
        return answer

    return change


def choice(**changes: Any) -> Callable[[dict[str, Any], Answer], Answer]:
    """A quirk: the usual answer with another finish reason and the like."""

    def change(body: dict[str, Any], answer: Answer) -> Answer:
        answer["choices"][0] |= changes
        return answer

    return change


def dated(failure: Raw) -> Raw:
    """The failure with IN_A_MOMENT as the date that it is by now."""
    status, headers, body = failure
    date = email.utils.formatdate(time.time() + 3, usegmt=True)
    return status, {name: date if value == IN_A_MOMENT else value for name, value in headers.items()}, body


def said(reason: str, content: str | None, **more: Any) -> Callable[[dict[str, Any], Answer], Answer]:
    """A quirk: another message and finish reason."""
    return lambda body, answer: choice(finish_reason=reason)(body, message(content=content, **more)(body, answer))


def refused(words: str, status: int = 400) -> Raw:
    return status, {}, {"error": {"message": words}}


def usage(counts: Any) -> Callable[[dict[str, Any], Answer], Answer]:
    return lambda body, answer: {**answer, "usage": counts}


def refusing(name: str, words: str = "Unsupported parameter: '{}' is not supported with this model.") -> Any:
    """A quirk: HTTP 400 as long as a parameter is there."""

    def change(body: dict[str, Any], answer: Answer) -> Answer | Raw:
        return (400, {}, {"error": {"message": words.format(name)}}) if name in body else answer

    return change


def only_temperature_one(body: dict[str, Any], answer: Answer) -> Answer | Raw:
    said = "'temperature' does not support this value. Only the default (1) value is supported."
    return answer if body.get("temperature", 1) == 1 else (400, {}, {"error": {"message": said}})


def neither(body: dict[str, Any], answer: Answer) -> Answer | Raw:
    """Takes no temperature, and then no top_p."""
    for name in ("temperature", "top_p"):
        if name in body:
            return 400, {}, {"error": {"message": f"`{name}` is not supported by this model", "param": name}}
    return answer


def ignores_the_beginning(request: Request) -> str:
    return "<think>" + "so " * 9 + "</think>\\boxed{2}"


def parts(body: dict[str, Any], answer: Answer) -> Answer:
    content = [
        {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]},
        {"type": "text", "text": "\\boxed{2}"},
    ]
    return message(content=content)(body, answer)


def left_in(body: dict[str, Any], answer: Answer) -> Answer:
    """The stop stays in the text."""
    if body.get("stop") and "<think>" in answer["choices"][0]["message"]["content"]:
        answer["choices"][0]["message"]["content"] += CLOSE
    return answer


def unaware(body: dict[str, Any], answer: Answer) -> Answer:
    """A parser of thoughts is on, and takes all that follows a given beginning for thought."""
    if len(body["messages"]) > 1:
        return message(content=None, reasoning=answer["choices"][0]["message"]["content"])(body, answer)
    return answer


@dataclass
class Case:
    """A server's quirk, and what `lcpo eval` makes of it.

    ids: of the reported inputs. says: what the model says. failures: HTTP answers given first. quirk: see Server.
    more: further arguments. sample: fields of the first sample. calls: requests that the server sees. error: what the
    command ends with. told: what stands on stderr. seconds: that it takes at least. bare: the address ends before /v1.
    """

    ids: str = ""
    says: Callable[[Request], str] = right
    failures: list[Raw] = field(default_factory=list)
    quirk: Any = None
    more: tuple[str, ...] = ()
    sample: dict[str, Any] = field(default_factory=lambda: {"correct": 1.0, "answer": "2", "truncated": False})
    calls: int = 1
    error: str = ""
    told: str = ""
    seconds: float = 0.0
    bare: bool = False


def truncate(**given: Any) -> Case:
    return Case(more=("--methods", "truncate", "--budgets", "20"), **given)


def busy(status: int, *, wait: str = "0.1", body: Any = "busy", times: int = 1, **given: Any) -> Case:
    told = given.pop("told", f"HTTP {status}: .*trying again")
    return Case(failures=[(status, {"Retry-After": wait}, body)] * times, calls=1 + times, told=told, **given)


IN_A_MOMENT = "three seconds from now, as a date"


CUT = {"truncated": True, "finish_reason": "length"}
NO_ANSWER = {"no_answer": True, "correct": 0.0}
FAILED = {"code": 502, "message": "upstream died"}
EXTRA = {"loc": ["body", "seed"], "msg": "Extra inputs are not permitted"}
IN_TAGS = {"text": "<think>one</think>\\boxed{2}", "correct": 1.0}
XAI = {"prompt_tokens": 20, "completion_tokens": 9, "total_tokens": 149}
SGLANG = {"prompt_tokens": 20, "completion_tokens": 129, "total_tokens": 149, "reasoning_tokens": 120}
NOTHING = {"completion_tokens": None, "prompt_tokens": float("nan")}
STREAMED = 'data: {"choices": [{"delta": {"content": "\\\\boxed{2}"}, "finish_reason": "stop"}]}\n\n'
THOUGHT_120 = {"tokens": 129, "thinking_tokens": 120, "answer_tokens": 9}

CASES: dict[str, Case] = {
    "content is a list of parts": Case("e1", quirk=parts),
    "cut by another name": Case("e3", quirk=said("max_tokens", "<think>one a"), sample=CUT),
    "cut without tags and nobody says whether a thought was open": Case(
        "e29", quirk=said("length", "so \\boxed{2}, but"), sample={**CUT, **NO_ANSWER}
    ),
    "cut without tags where no thought is opened": Case(
        more=("--no-thought-opened",),
        quirk=said("length", "so \\boxed{2}, but"),
        sample={**CUT, "correct": 1.0},
    ),
    "ended without tags where a thought is opened": Case(
        more=("--thought-opened",), quirk=message(content="so \\boxed{2}"), sample=NO_ANSWER
    ),
    "a tool is called": Case(quirk=said("tool_calls", None), sample=NO_ANSWER),
    "the answer fails, empty": Case(
        "e5",
        quirk=choice(finish_reason="error", error=FAILED),
        calls=4,
        error="error 502 in an answer with HTTP 200: upstream died",
        told="trying again",
    ),
    "the answer fails half-way": Case(
        "e6",
        quirk=said("error", "<think>one a"),
        calls=4,
        error=r"the answer failed \(finish reason 'error'\)",
        told="trying again",
    ),
    "a filter keeps the answer back": Case(quirk=choice(finish_reason="content_filter"), error="keeps the answer back"),
    "an error in an answer with status 200": Case(
        "e8", failures=[(200, {}, {"error": FAILED})], calls=2, told="error 502.*trying again"
    ),
    "a rate limit in an answer with status 200": Case(
        "e9", failures=[(200, {}, {"choices": None, "error": {"code": 429}})], calls=2, told="error 429.*trying again"
    ),
    "overloaded, 529": busy(529, ids="e10"),
    "a rate limit, twice": busy(429, wait="0.6", times=2, ids="e13", seconds=1.2),
    "Retry-After with a fraction": busy(429, wait="1.5", ids="e14", seconds=1.5),
    "Retry-After as a date": busy(503, wait=IN_A_MOMENT, seconds=0.5),
    "a gateway's page": busy(502, body="<html>\n<h1>Bad Gateway</h1></html>", ids="e15"),
    "the money is gone": Case(
        failures=[(429, {}, {"error": {"code": "insufficient_quota", "message": "top up"}})], error="HTTP 429: top up"
    ),
    "the context is too short": Case(
        "e16",
        quirk=lambda b, a: refused("maximum context length is 64 tokens"),
        error="HTTP 400: maximum context length is 64 tokens",
    ),
    "a limit that is too large is not another name of it": Case(
        quirk=lambda b, a: refused("'max_tokens' or 'max_completion_tokens' is too large: 200"), error="is too large"
    ),
    "max_tokens has another name": Case(
        "e18", quirk=refusing("max_tokens", "{}: use max_completion_tokens instead"), calls=2
    ),
    "temperature and top_p are refused": Case("e19", quirk=neither, calls=3, told="does not take top_p"),
    "parameters are left out by request": Case("e19", quirk=neither, more=("--without", "temperature,top_p")),
    "only temperature 1": Case("e20", quirk=only_temperature_one),
    "another temperature than the only one": Case(
        quirk=only_temperature_one, more=("--temperature", "0.6"), calls=2, told="does not take temperature"
    ),
    "a body that is not as the server wants it": Case(
        quirk=lambda b, a: (422, {}, {"detail": [EXTRA]}) if "seed" in b else a,
        calls=2,
        told="does not take seed.*body.seed: Extra inputs",
    ),
    "no stops": truncate(ids="e22", quirk=refusing("stop"), error="'stop' is not supported"),
    "reasoning counted outside": Case(
        "e23", quirk=usage({**XAI, "completion_tokens_details": {"reasoning_tokens": 120}}), sample=THOUGHT_120
    ),
    "reasoning counted beside": Case("e24", quirk=usage(SGLANG), sample=THOUGHT_120),
    "counts with a point": Case("e26", quirk=usage({"completion_tokens": 12.0}), sample={"tokens": 12}),
    "no usage": Case("e27", quirk=usage(None), sample={"tokens": None, "correct": 1.0}),
    "usage without numbers": Case("e27", quirk=usage(NOTHING), sample={"tokens": None}),
    "reasoning_content": Case("e28", quirk=message(content="\\boxed{2}", reasoning_content="one"), sample=IN_TAGS),
    "reasoning": Case("e28", quirk=message(content="\\boxed{2}", reasoning="one"), sample=IN_TAGS),
    "nothing but a cut thought": Case(
        "e28", quirk=said("length", None, reasoning="\\boxed{2}"), sample={**CUT, **NO_ANSWER}
    ),
    "a thought that the prompt opened": Case("e31", quirk=message(content="one </think> \\boxed{2}")),
    "the stop is the end token": truncate(
        ids="e33", quirk=lambda b, a: choice(matched_stop=7, stop_reason=None)(b, said("stop", "\\boxed{2}.")(b, a))
    ),
    "no stop was met": truncate(ids="e35", says=lambda r: "It is \\boxed{2}."),
    "the stop stays in the text": truncate(
        ids="e36", quirk=left_in, sample={"text": "<think>one and one</think>\\boxed{2}"}, calls=2
    ),
    "no beginning with thoughts": truncate(
        ids="e39",
        says=hesitant,
        quirk=lambda b, a: a if len(b["messages"]) == 1 else refused("prefill is incompatible with thinking"),
        calls=2,
        error="HTTP 400: prefill is incompatible with thinking",
    ),
    "a beginning that is ignored": truncate(
        says=ignores_the_beginning, calls=2, error="ignores continue_final_message"
    ),
    "a beginning that a parser takes for thought": truncate(
        says=hesitant, quirk=unaware, calls=2, error="a reasoning parser is on"
    ),
    "an address without /v1": Case(
        "e40",
        failures=[(404, {}, {"detail": "Not Found"})],
        bare=True,
        error=r"Not Found; .* try http://127.0.0.1:\d+/v1$",
    ),
    "a wrong key": Case("e41", failures=[refused("no", 401)], error="HTTP 401: no; give the key with"),
    "an unknown model": Case("e41", failures=[refused("no model", 404)], error="HTTP 404: no model$"),
    "text in the place of JSON": Case("e41", failures=[(200, {}, "hello")], error="does not speak OpenAI's API"),
    "moved": Case(failures=[(308, {"Location": "https://b/v1"}, "")], error="HTTP 308: moved to https://b/v1"),
    "a stream in the place of JSON": Case("e41", failures=[(200, {"Content-Type": "text/event-stream"}, STREAMED)]),
    "a refusal": Case("e41", quirk=message(content=None, refusal="I will not."), sample=NO_ANSWER),
    "an empty answer": Case("e41", quirk=message(content=""), sample=NO_ANSWER),
    "s1 and a thought that is cut": Case(
        "e42",
        says=hesitant,
        more=("--methods", "s1:waits=0", "--budgets", "20"),
        calls=2,
        sample={"text": "<think>" + ("so " * 90)[:19] + "\n</think>\nFinal Answer: \\boxed{2}", "correct": 1.0},
    ),
    "s1_fair and a thought that is cut": Case(
        "e42",
        says=hesitant,
        more=("--methods", "s1_fair:waits=0", "--budgets", "20"),
        calls=2,
        sample={"text": "<think>" + ("so " * 90)[:19] + "\n</think>\n\n \\boxed{2}", "correct": 1.0},
    ),
    "truncate and a thought that is cut": truncate(
        ids="e42", says=hesitant, calls=2, sample={"text": "<think>" + ("so " * 90)[:19] + "\n</think>\n\n \\boxed{2}"}
    ),
}


def evaluate(case: Case, url: str, folder: Path, questions: int = 1) -> Result:
    """One sample of each question by the case's method."""
    (folder / "data.jsonl").write_text("".join(json.dumps(row) + "\n" for row in QUESTIONS[:questions]))
    arguments = ["--data", folder / "data.jsonl", "--out", folder / "e", "--samples", 1, "--cap", 200]
    arguments += [] if "--budgets" in case.more else ["--methods", "unlimited"]
    return CliRunner().invoke(cli, ["eval", f"{url}#talker", *map(str, arguments), *case.more])


@pytest.mark.parametrize("name", CASES)
def test_a_server_with_a_quirk_is_evaluated(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    case = CASES[name]
    with speaking(case.says) as server:
        server.failures, server.quirk = list(case.failures), case.quirk
        began = time.monotonic()
        ended = evaluate(case, server.url.removesuffix("/v1" if case.bare else "#"), tmp_path)
        seconds = time.monotonic() - began
    if case.error:
        assert isinstance(ended.exception, EngineError)
        message = str(ended.exception)
        assert re.search(case.error, message) and "\n" not in message
    else:
        assert ended.exception is None, ended.exception
        (sample,) = read_samples(tmp_path / "e")
        assert {name: getattr(sample, name) for name in case.sample} == case.sample
    assert len(server.bodies) == case.calls
    assert re.search(case.told, ended.stderr) and seconds >= case.seconds


def majority(votes: list[str], elected: str) -> Callable[[Path], None]:
    """Votes go by value."""

    def check(folder: Path) -> None:
        responses = [Response("q", Segment(None, f"\\boxed{{{vote}}}"), 1, "end", False, 1) for vote in votes]
        voted = votes_by_value(responses, ["0"], "math")
        winner = max(voted, key=voted.count)
        assert votes[voted.index(winner)] == elected and voted.count(winner) == 3

    return check


def the_options_own_text(folder: Path) -> None:
    row = {"question": "Which?", "options": ["frog", "carp", "whale", "hen"], "answer": "C"}
    (folder / "o.json").write_text(json.dumps([row]))
    with speaking(lambda request: "\\boxed{whale}") as server:
        ended = CliRunner().invoke(
            cli, ["eval", f"{server.url}#m", "--data", str(folder / "o.json"), "--methods", "chat", "--cap", "50",
                  "--samples", "1", "--out", str(folder / "e")]
        )  # fmt: skip
    assert ended.exception is None and [sample.correct for sample in read_samples(folder / "e")] == [True]


def a_tokenizer_whose_template_opens_the_thought(folder: Path) -> None:
    inner = sums_model.tokenizer()
    inner.chat_template = inner.chat_template.replace("assistant\\n'", "assistant\\n<think>\\n'")
    with speaking(lambda request: "so \\boxed{4}, " * 9) as server:
        engine = OpenAIEngine(server.url, "m", Connection(tokenizer=inner))
        (response,) = run_methods(engine, [method("unlimited").steps(Ask(user("q"), None, engine, 1, 30))])
    assert response.thinking is True and response.finish == "length"
    assert grade(response.response.text, "4", thinking=response.thinking).answer is None


OTHER: dict[str, Callable[[Path], None]] = {
    "e30": a_tokenizer_whose_template_opens_the_thought,
    "e43": majority(["3", "\\frac{1}{2}", "0.5", "\\dfrac12"], "\\frac{1}{2}"),
    "e44": majority(["7", "1,000", "1000", "1000.0"], "1,000"),
    "e46": the_options_own_text,
}
ELSEWHERE = {"e17": "test_requests", "e37": "test_openai_engine", "e38": "test_local", "e47": "test_requests"}
"""Reported inputs that have a check in another file."""


@pytest.mark.parametrize("name", OTHER)
def test_a_kind_of_input_that_was_reported(name: str, tmp_path: Path) -> None:
    OTHER[name](tmp_path)  # each of these functions makes its own assertions


def test_every_handed_input_about_servers_and_votes_has_a_check() -> None:
    if not LIST.is_file():
        pytest.skip("the list of reported inputs is not here")
    cases = json.loads(LIST.read_text(encoding="utf-8"))
    handed = {case["id"] for case in cases if re.match("server|majority|transformers", case["kind"])}
    assert handed <= {case.ids for case in CASES.values()} | set(OTHER) | set(ELSEWHERE)
