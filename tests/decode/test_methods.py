"""Every method token by token, on the scripted engine."""

from dataclasses import replace

import pytest

from lcpo.decode import METHODS, Ask, Response, method, options, run_method, run_methods
from lcpo.decode.base import same_text
from lcpo.engines.base import ON_LINES, Format, Message, Request, Segment, run_async, user
from lcpo.engines.scripted import EOS, ScriptedEngine
from lcpo.errors import ConfigError
from lcpo.types import Budget, Scope


def ask(
    engine: ScriptedEngine,
    budget: int | None = None,
    cap: int = 200,
    format: Format | None = None,
    scope: Scope = "response",
) -> Ask:
    engine.format = format or engine.format
    asked = None if budget is None else Budget("exact", budget, scope)
    return Ask(user("What is 3+4?"), asked, engine, seed=5, cap=cap)


def decode(spec: str, script: object, budget: int | None = None, **more: object) -> tuple[Response, ScriptedEngine]:
    engine = ScriptedEngine(script, opened=bool(more.pop("opened", False)))  # type: ignore[arg-type]
    chosen = method(spec)  # asked as the plan asks it: with a budget of its own scope
    (found,) = run_methods(engine, [chosen.steps(ask(engine, budget, scope=chosen.scope, **more))])  # type: ignore[arg-type]
    return found, engine


def natural(text: str) -> object:
    """A model that always means to write `text`, and goes on with it from wherever it stands; else it answers 7."""

    def script(request: Request) -> str:
        if text.startswith(request.prefix.text):
            return text[len(request.prefix.text) :]
        return "7"

    return script


def test_prompted_asks_once_with_the_sentence() -> None:
    found, engine = decode("prompted", natural("<think>3+4=7</think>7"), budget=9)
    assert found.prompt == "What is 3+4? Think for 9 tokens."
    assert (found.response.text, found.tokens, found.calls) == ("<think>3+4=7</think>7", 9, 1)
    assert (found.finish, found.forced) == ("end", False)
    assert engine.requests[0].max_tokens == 200


def test_prompted_is_cut_by_the_cap_alone() -> None:
    found, _ = decode("prompted", natural("<think>" + "x" * 500), budget=9, cap=30)
    assert (found.tokens, found.finish, found.forced) == (30, "length", False)


def test_unlimited_has_no_sentence() -> None:
    found, _ = decode("unlimited", natural("<think>3+4=7</think>7"))
    assert found.prompt == "What is 3+4?"


def test_truncate_cuts_closes_and_answers() -> None:
    found, engine = decode("truncate", natural("<think>abcdefghij</think>8"), budget=4)
    assert found.response.text == "<think>abcd</think>7"
    # <think> a b c d | </think> | 7 EOS
    assert (found.tokens, found.calls, found.forced, found.finish) == (8, 2, True, "end")
    assert [request.max_tokens for request in engine.requests] == [5, 200 - 6]
    assert engine.requests[1].prefix.ids == engine.encode("<think>abcd</think>").ids


def test_truncate_leaves_a_short_thought_alone() -> None:
    found, _ = decode("truncate", natural("<think>abc</think>7"), budget=50)
    assert (found.response.text, found.tokens, found.forced) == ("<think>abc</think>7", 7, False)


def test_a_thought_that_nobody_opened_is_cut_as_exactly() -> None:
    found, engine = decode("truncate", natural("abcdefghij"), budget=4)
    assert found.response.text == "abcd</think>7"
    assert (found.tokens, engine.requests[1].prefix.ids) == (4 + 1 + 2, engine.encode("abcd</think>").ids)


def test_truncate_closes_in_the_models_own_way() -> None:
    found, _ = decode("truncate", natural("abcdefgh"), budget=4, format=Format(ON_LINES.open, ON_LINES.close, True))
    assert found.response.text == "abcd\n</think>\n\n7"
    assert found.thinking is True


def test_an_answer_without_a_thought_stays_one() -> None:
    found, _ = decode("truncate", natural("7"), budget=4)
    assert (found.response.text, found.calls, found.forced) == ("7", 1, False)


def test_s1_stops_early_and_goes_on_with_wait() -> None:
    def script(request: Request) -> str:
        said = request.prefix.text
        return {"": "<think>ab</think>8", "<think>abWait": "cd</think>9", "<think>abWaitcd</think>": "7"}[said]

    found, engine = decode("s1", script, budget=20)
    assert found.response.text == "<think>abWaitcd</think>7"
    # <think> a b </think> | W a i t | c d </think> | 7 EOS: the stop that was dropped was generated, and counts
    assert (found.tokens, found.calls, found.forced) == (4 + 4 + 3 + 2, 3, True)
    # 20 tokens of thought and the opening tag; then a, b and "Wait" are spent
    assert [request.max_tokens for request in engine.requests] == [21, 21 - 3 - 4, 200 - 11]
    assert [request.min_tokens for request in engine.requests] == [0, 1, 0]


def test_s1_never_stops_and_is_cut_with_final_answer() -> None:
    found, _ = decode("s1", natural("<think>" + "z" * 999), budget=6)
    assert found.response.text == "<think>zzzzzz\n</think>\nFinal Answer:7"
    assert found.tokens == 7 + len("\n\nFinal Answer:") + 1 + 2
    assert (found.forced, found.finish) == (True, "end")


def test_s1_adds_no_second_line_break() -> None:
    found, _ = decode("s1", natural("<think>ab\ncd"), budget=3)
    assert found.response.text == "<think>ab\n</think>\nFinal Answer:7"


def test_s1_closes_twice_and_wait_comes_once() -> None:
    def script(request: Request) -> str:
        said = request.prefix.text
        return {"": "<think>ab</think>8", "<think>abWait": "</think>8", "<think>abWait</think>": "7"}[said]

    found, _ = decode("s1", script, budget=20)
    assert (found.response.text, found.calls) == ("<think>abWait</think>7", 3)


def test_s1_with_more_waits_spends_them_all() -> None:
    def script(request: Request) -> str:
        return "7" if request.prefix.text.endswith("</think>") else "a</think>"

    found, _ = decode("s1:waits=3", script, budget=50)
    assert found.response.text == "aWaitaWaitaWaita</think>7"


def test_s1_ends_inside_a_character_and_goes_on_there() -> None:
    found, engine = decode("s1_fair", natural("<think>aé🙂b</think>8"), budget=5)
    # a, two bytes of é, two of the four of 🙂
    assert engine.requests[1].prefix.ids == (256, ord("a"), *"é".encode(), *"🙂".encode()[:2], 257)
    assert found.response.text == "<think>aé�</think>7"
    assert found.tokens == 6 + 1 + 2


def test_s1_wait_that_fills_the_budget_is_the_cut() -> None:
    found, engine = decode("s1_fair", natural("<think>abc</think>"), budget=7)
    assert found.response.text == "<think>abcWait</think>7"
    assert len(engine.requests) == 2


def test_s1_drops_an_end_without_a_closing_tag() -> None:
    def script(request: Request) -> str:
        said = request.prefix.text
        return {"": "<think>ab" + EOS, "<think>abWait": "c" + EOS, "<think>abWaitc</think>": "7"}[said]

    found, _ = decode("s1_fair", script, budget=20)
    assert found.response.text == "<think>abWaitc</think>7"
    assert found.tokens == 4 + 4 + 2 + 1 + 2


def test_s1_fair_without_waits_is_truncate() -> None:
    script = natural("<think>abcdefghij</think>8")
    assert decode("s1_fair:waits=0", script, budget=4)[0] == decode("truncate", script, budget=4)[0]


def test_s1_l1_as_it_was_run() -> None:
    def script(request: Request) -> str:
        said = request.prefix.text
        if said.endswith("The final Answer is:"):
            return " 7\nmore"
        return {"": "a<b", "aWait": "c</think>d" + EOS, "aWaitc</think>dWait": "efgh"}[said]

    class OtherWords(ScriptedEngine):
        """The stops are ordinary tokens of this vocabulary, as they are of DeepSeek's."""

        def encode(self, text: str) -> Segment:
            return super().encode("<" if text == "<|im_start|><|im_end|>" else text)

    engine = OtherWords(script)
    (found,) = run_methods(engine, [method("s1_l1").steps(ask(engine, 8))])
    assert found.prompt == "<｜begin▁of▁sentence｜><｜User｜>\nWhat is 3+4?<｜Assistant｜><think>\n"
    closing = "\n<｜User｜>The final Answer is:"
    assert found.response.text == "aWaitc</think>dWaitef" + closing + " 7\n"
    # a < | c </think> d EOS | e f: 8 generated tokens, dropped stops included; the two "Wait" do not count among them
    assert [request.max_tokens for request in engine.requests] == [8, 6, 2, 20]
    assert [request.temperature for request in engine.requests] == [1.0, 1.0, 1.0, 0.0]
    assert found.tokens == 8 + 2 * 4 + len(closing.encode()) + 3
    assert (found.thinking, found.graded) == (False, found.prompt + found.response.text)
    assert all(isinstance(request.prompt, Segment) for request in engine.requests)


def test_s1_l1_gives_up_after_its_waits() -> None:
    found, engine = decode("s1_l1:waits=3", lambda request: "", budget=50)
    assert found.response.text.startswith("WaitWaitWait\n<｜User｜>")
    assert len(engine.requests) == 5


def test_direct_puts_an_empty_thought() -> None:
    found, _ = decode("direct", natural("<think></think>7"))
    assert (found.response.text, found.tokens, found.calls, found.forced) == ("<think></think>7", 4, 1, True)
    found, _ = decode("direct", lambda request: "7", opened=True)
    assert found.response.text == "</think>7"


def test_filler_puts_marks_in_the_place_of_the_thought() -> None:
    found, engine = decode("filler", natural("<think>....</think>7"), budget=4)
    assert (found.response.text, found.calls, found.forced) == ("<think>....</think>7", 1, True)
    assert found.tokens == 1 + 4 + 1 + 2
    assert engine.requests[0].prompt_text.endswith("Think for 4 tokens.")
    found, _ = decode("filler:mark=-", lambda request: "7", budget=3, opened=True)
    assert found.response.text == "---</think>7"


def test_majority_votes_among_short_samples_and_pays_for_all() -> None:
    answers = iter(["8", "7", "9", "7"])

    def script(request: Request) -> str:
        assert request.prompt_text.endswith("Think for 10 tokens.")
        return f"<think>x</think>{next(answers)}"

    found, engine = decode("majority", script, budget=40)
    assert found.response.text == "<think>x</think>7"
    assert (found.tokens, found.calls, len(found.others)) == (4 * 5, 4, 3)
    assert len({request.seed for request in engine.requests}) == 4


def test_majority_of_truncated_samples_and_ties() -> None:
    answers = iter(["8", "9"])
    found, _ = decode(
        "majority:votes=2:of=truncate", lambda r: next(answers) if r.prefix.text else "<think>" + "x" * 99, budget=10
    )
    assert found.response.text == "<think>xxxxx</think>8"


def test_an_unclosed_thought_has_no_vote_also_where_the_template_opens_it() -> None:
    thoughts = iter(["so 8", "so 8", "so 8", "x</think>7"])
    found, _ = decode("majority", lambda request: next(thoughts), budget=40, opened=True)
    assert found.response.text == "x</think>7"
    assert same_text([found]) == ["7"]
    unclosed, _ = decode("unlimited", lambda request: "so 8", opened=True)
    assert same_text([unclosed]) == [None]


def test_votes_are_counted_as_the_ask_says() -> None:
    answers = iter(["0.5", "1/2", "3", "3."])
    engine = ScriptedEngine(lambda request: next(answers))
    values = {"0.5": 0.5, "1/2": 0.5, "3": 3.0, "3.": None}
    asked = replace(ask(engine, 40), votes=lambda responses: [values[each.response.text] for each in responses])
    (found,) = run_methods(engine, [method("majority").steps(asked)])
    assert found.response.text == "0.5"


def test_the_budget_goes_to_the_users_last_message() -> None:
    turns = (Message("system", "Be brief."), *user("Hello."), Message("assistant", "Hello!"), *user("What is 3+4?"))
    engine = ScriptedEngine(lambda request: "7")
    asked = replace(ask(engine, 9), conversation=turns)
    (found,) = run_methods(engine, [method("prompted").steps(asked)])
    assert engine.requests[0].prompt == (*turns[:3], *user("What is 3+4? Think for 9 tokens."))
    assert found.prompt == "Be brief.\n\nHello.\n\nHello!\n\nWhat is 3+4? Think for 9 tokens."
    with pytest.raises(ConfigError, match="a message of the user"):
        run_methods(engine, [method("prompted").steps(replace(asked, conversation=turns[:1]))])


@pytest.mark.parametrize("spec", sorted(set(METHODS) - {"s1_l1"}))
def test_from_an_event_loop_as_from_a_batch(spec: str) -> None:
    def run(streamed: bool, text: str) -> tuple[Response, str]:
        engine, chosen, pieces = ScriptedEngine(natural(text)), method(spec), list[str]()  # type: ignore[arg-type]
        steps = chosen.steps(ask(engine, 8 if chosen.budgeted else None, scope=chosen.scope))
        if not streamed:
            return run_methods(engine, [steps])[0], ""
        return run_async(run_method(engine, steps, pieces.append)), "".join(pieces)

    for text in ("<think>3+4 is 7</think>7", "<think>a</think>8", "no thought at all"):
        whole, (response, told) = run(False, text)[0], run(True, text)
        assert response == whole
        assert response.response.text in (told, told[:8] + told[9:])  # a limit met once the generation is over


def test_chat_is_one_plain_call() -> None:
    found, _ = decode("chat", lambda request: "It is 7.")
    assert (found.prompt, found.response.text, found.calls) == ("What is 3+4?", "It is 7.", 1)


def test_specs_name_options_and_refuse_unknown_ones() -> None:
    assert method("s1:waits=4").name == "s1:waits=4"
    assert options(METHODS["majority"]) == {"votes": 4, "of": "prompted"}
    with pytest.raises(ConfigError, match=r"unknown method 'truncat'.*Did you mean 'truncate'"):
        method("truncat")
    with pytest.raises(ConfigError, match=r"unknown option .wait.*waits"):
        method("s1:wait=4")
    with pytest.raises(ConfigError, match="whole number"):
        method("s1:waits=many")
    with pytest.raises(ConfigError, match="votes is 2 or more"):
        decode("majority:votes=1", lambda request: "7", budget=8)
