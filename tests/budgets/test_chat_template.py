"""The chat template that takes a budget writes what lcpo.budgets writes, byte for byte."""

from typing import Any

import pytest

from chat_templates import CHAT_TEMPLATES
from lcpo.budgets import TEMPLATES, prompt, render
from lcpo.budgets.chat_template import with_budget, without_budget
from lcpo.errors import ConfigError
from lcpo.types import NO_BUDGET, Budget, Problem
from real_tokenizers import build

pytest.importorskip("transformers", reason="chat templates are rendered by transformers")
pytest.importorskip("tokenizers", reason="and need a tokenizer")

BUDGETS = [Budget("exact", 1), Budget("exact", 64), Budget("max", 64), Budget("max", 4096), NO_BUDGET]
PROBLEM = Problem(id="", question="How many primes are below 30?\n", answers=("10",))
Messages = list[dict[str, Any]]


def conversations(last: Any) -> list[Messages]:
    """Conversations whose last user message is `last`."""
    asked, user = {"role": "user", "content": "What is 2+2?"}, {"role": "user", "content": last}
    said = {"role": "assistant", "content": "<think>\n2+2=4\n</think>\n\nIt is 4."}
    system = {"role": "system", "content": "Be brief."}
    return [[user], [system, user], [asked, said, user], [system, asked, said, user, said]]


def render_chat(template: str, messages: Messages, **given: Any) -> str:
    tokenizer = build("qwen")
    return str(
        tokenizer.apply_chat_template(
            messages, chat_template=template, tokenize=False, add_generation_prompt=True, **given
        )
    )


def arguments(budget: Budget) -> dict[str, Any]:
    return {} if budget.kind == "none" else {"thinking_budget": budget.tokens, "thinking_budget_kind": budget.kind}


@pytest.mark.parametrize("name", CHAT_TEMPLATES)
@pytest.mark.parametrize("wording", TEMPLATES)
def test_what_it_writes_is_what_lcpo_writes(name: str, wording: str) -> None:
    plain, scope = CHAT_TEMPLATES[name], TEMPLATES[wording].scope
    taking = with_budget(plain, wording)
    for given in BUDGETS:
        budget = Budget(given.kind, given.tokens, scope)
        asked, written = prompt(PROBLEM, NO_BUDGET, wording), prompt(PROBLEM, budget, wording)
        assert written == asked + render(budget, wording)
        for without, ours in zip(conversations(asked), conversations(written), strict=True):
            assert render_chat(taking, without, **arguments(budget)) == render_chat(plain, ours)


@pytest.mark.parametrize("name", CHAT_TEMPLATES)
def test_the_last_user_message_is_the_one_that_gets_it_and_the_messages_stay(name: str) -> None:
    messages = conversations("And 3+3?")[3]
    text = render_chat(with_budget(CHAT_TEMPLATES[name]), messages, thinking_budget=20)
    assert text.count(" Think for 20 tokens.") == 1 and "And 3+3? Think for 20 tokens." in text
    assert messages[3]["content"] == "And 3+3?"


def test_a_sentence_that_is_there_is_not_repeated() -> None:
    taking = with_budget(CHAT_TEMPLATES["chatml"])
    (messages,) = conversations("1+1? Think for 20 tokens.")[:1]
    assert render_chat(taking, messages, thinking_budget=20) == render_chat(CHAT_TEMPLATES["chatml"], messages)


def test_parts_get_one_more_part() -> None:
    parts = [{"type": "text", "text": "1+1?"}]
    plain = CHAT_TEMPLATES["llama3"]
    text = render_chat(with_budget(plain), [{"role": "user", "content": parts}], thinking_budget=20)
    assert text == render_chat(plain, [{"role": "user", "content": "1+1? Think for 20 tokens."}])


@pytest.mark.parametrize(
    "given", [{}, {"thinking_budget": None}, {"thinking_budget": -1}, {"thinking_budget_kind": "max"}]
)
def test_no_budget_changes_nothing(given: dict[str, Any]) -> None:
    for template in (*CHAT_TEMPLATES.values(), "\n  {{ messages[0]['content'] }}\n", " x\n{% if true %}y{% endif %}"):
        for messages in conversations("1+1?"):
            assert render_chat(with_budget(template), messages, **given) == render_chat(template, messages)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"thinking_budget": 0}, "from 1 on"),
        ({"thinking_budget": -2}, "from 1 on"),
        ({"thinking_budget": "64"}, "from 1 on, or -1 for none; given 64"),
        ({"thinking_budget": 6.5}, "from 1 on"),
        ({"thinking_budget": True}, "from 1 on"),
        ({"thinking_budget": 8, "thinking_budget_kind": "about"}, "exact or max; given about"),
    ],
)
def test_what_is_no_budget_is_refused_by_the_template(given: dict[str, Any], says: str) -> None:
    from jinja2 import TemplateError

    with pytest.raises(TemplateError, match=says):
        render_chat(with_budget(CHAT_TEMPLATES["chatml"]), conversations("1+1?")[0], **given)
    with pytest.raises(TemplateError, match="needs a user message"):
        render_chat(with_budget(CHAT_TEMPLATES["chatml"]), [{"role": "system", "content": "x"}], thinking_budget=8)


def test_kind_and_wording_can_be_the_models_own() -> None:
    taking = with_budget(CHAT_TEMPLATES["chatml"], "use", "max")
    text = render_chat(taking, conversations("1+1?")[0], thinking_budget=8)
    assert "1+1? Use at most 8 tokens.<|im_end|>" in text
    with pytest.raises(ConfigError, match="Did you mean 'use'"):
        with_budget("", "uses")


def test_it_is_put_in_once_and_can_be_taken_out() -> None:
    for template in (*CHAT_TEMPLATES.values(), "\n{{ 1 }}"):
        once = with_budget(template)
        assert with_budget(once, "l1") == once and without_budget(once) == template


def test_servers_see_the_names_of_both_arguments() -> None:
    from jinja2 import meta
    from transformers.utils.chat_template_utils import _compile_jinja_template

    environment = _compile_jinja_template("").environment
    names = meta.find_undeclared_variables(environment.parse(with_budget(CHAT_TEMPLATES["qwen3"])))
    assert {"thinking_budget", "thinking_budget_kind"} <= names
