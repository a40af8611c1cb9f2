r"""The user message: question, instruction, budget sentence; and the budget read back from such a message.

The `l1` template is the paper's, to the letter (arXiv:2503.04697, section 3, and its data script):
    {question} Let's think step by step and output the final answer within \boxed{}. Think for {n} tokens.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from lcpo.errors import ConfigError, unknown
from lcpo.types import NO_BUDGET, Budget, Problem, Scope

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_INSTRUCTION = "Let's think step by step and output the final answer within \\boxed{}."
_CHOICE = "Let's think step by step and output the final answer (eg, {letters}) within \\boxed{{}}."
_HAS_INSTRUCTION = re.compile(r"\\+boxed\s*\{\s*\}")


@dataclass(frozen=True)
class Template:
    """A wording: the two budget sentences, each with its leading space and `{n}`, and the instruction before them."""

    exact: str
    max: str
    instruction: str = _INSTRUCTION
    choice_instruction: str = _CHOICE
    scope: Scope = "response"


TEMPLATES: Mapping[str, Template] = {
    "l1": Template(" Think for {n} tokens.", " Think for maximum {n} tokens."),
    "use": Template(" Use exactly {n} tokens.", " Use at most {n} tokens."),
    "answer": Template(" Answer in {n} tokens.", " Answer in {n} tokens or fewer."),
    "budget": Template(" Token budget: {n}.", " Token limit: {n}."),
    "thought": Template(" Make the thought {n} tokens long.", " Keep the thought under {n} tokens.", scope="thinking"),
}


def template_named(name: str) -> Template:
    """The template called `name`. Raises ConfigError naming those that exist."""
    if name not in TEMPLATES:
        raise unknown("template", name, TEMPLATES)
    return TEMPLATES[name]


def render(budget: Budget, template: str = "l1") -> str:
    """The budget sentence with its leading space, "" for no budget. Raises ConfigError where the scope differs."""
    wording = template_named(template)
    if budget.kind == "none":
        return ""
    if budget.scope != wording.scope:
        raise ConfigError(f"template '{template}' speaks of scope {wording.scope}, the budget's is {budget.scope}")
    sentence = wording.exact if budget.kind == "exact" else wording.max
    return sentence.format(n=budget.tokens)


def prompt(problem: Problem | str, budget: Budget, template: str = "l1") -> str:
    """The whole user message: question, options, instruction, budget sentence.

    An instruction that already stands in the question (anything with an empty box) is not repeated; for a budget
    sentence that is already there see add_budget. Raises ConfigError as it does.
    """
    if isinstance(problem, str):
        problem = Problem(id="", question=problem, answers=())
    question, _ = parse(problem.question)
    message = _with_instruction(problem, question, template_named(template))
    return add_budget(message + problem.question[len(question) :], budget, template)


def add_budget(message: str, budget: Budget, template: str = "l1") -> str:
    """The message with the budget sentence at its end; one that is already there is kept if it says the same.

    Raises ConfigError if it says something else.
    """
    sentence = render(budget, template)
    text, present = parse(message)
    if present.kind == "none" or not sentence:
        return message + sentence
    if present != budget:
        asked = f"{present.kind} {present.tokens} tokens"
        raise ConfigError(f"the question already asks for {asked}; leave out one of the two")
    return text + sentence


def _with_instruction(problem: Problem, question: str, wording: Template) -> str:
    if problem.options:
        names = LETTERS[: len(problem.options)]
        listed = "\n".join(f"{letter}. {text}" for letter, text in zip(names, problem.options, strict=True))
        instruction = wording.choice_instruction.format(letters=", ".join(names))
        if problem.instruction is not None:
            instruction = problem.instruction
        return f"{question}\n\nOptions:\n{listed}\n\n\n{instruction}".rstrip()
    instruction = wording.instruction if problem.instruction is None else problem.instruction
    if not instruction or _HAS_INSTRUCTION.search(question):
        return question
    return f"{question} {instruction}"


def _pattern(sentence: str) -> re.Pattern[str]:
    before, after = sentence.split("{n}")
    return re.compile(re.escape(before) + r"([1-9][0-9]*)" + re.escape(after) + r"\Z", re.ASCII)


_PATTERNS = [
    (_pattern(getattr(template, kind)), kind, template.scope)
    for template in TEMPLATES.values()
    for kind in ("exact", "max")
]


def parse(text: str) -> tuple[str, Budget]:
    """(question, budget) of a user message that ends in a budget sentence of any template; (text, none) otherwise."""
    for pattern, kind, scope in _PATTERNS:
        match = pattern.search(text)
        if match:
            return text[: match.start()], Budget("exact" if kind == "exact" else "max", int(match[1]), scope)
    return text, NO_BUDGET
