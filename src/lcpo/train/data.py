"""From problems to the rows that a trainer reads, and budgets into their prompts."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from lcpo.budgets import BudgetSampler, parse, render
from lcpo.budgets import prompt as prompt_of
from lcpo.errors import ConfigError, TaskError
from lcpo.recipes.recipe import Recipe, TaskTable
from lcpo.tasks import Loaded, Task, excluding, task, training
from lcpo.types import NO_BUDGET, Budget, Dropped, Problem

SURROUNDINGS = 256
"""Tokens, at most, of what stands around a question in its prompt: template, instruction, budget."""


def load(table: TaskTable, seed: int) -> tuple[Task, Loaded]:
    """The task that a recipe names or describes, and its training problems. Raises TaskError where there are none."""
    if table.name is not None:
        found = excluding(task(table.name), table.exclude)
        found = replace(found, verifier=table.verifier) if table.verifier else found
    else:
        columns = table.columns or None
        found = training(list(table.data), columns, table.verifier, exclude=table.exclude, seed=seed)
    loaded = found.load("train", table.problems, seed)
    if not loaded.problems:
        raise TaskError(f"task {found.name} has no training problems (left out: {loaded.dropped})")
    return found, loaded


def fitting(loaded: Loaded, recipe: Recipe, model: str, cap: int) -> Loaded:
    """The problems whose prompts leave room for a response of `cap` tokens in the model's context; others are counted.

    Raises ConfigError where there is none. Nothing is left out where the hub cannot be asked for the model's config.
    """
    from transformers import AutoConfig, AutoTokenizer

    try:
        context = getattr(AutoConfig.from_pretrained(model), "max_position_embeddings", None)
        tokenizer = AutoTokenizer.from_pretrained(model)
    except (OSError, ValueError, KeyError):
        return loaded
    if context is None:
        return loaded
    template, budget = recipe.budget.template, longest_budget(recipe)
    doubtful = [p for p in loaded.problems if len(p.question.encode()) + SURROUNDINGS > context - cap]
    if not doubtful:
        return loaded
    prompts = encode(tokenizer, [ask(user_message(p, template), budget, template) for p in doubtful])
    long = {p.id for p, prompt in zip(doubtful, prompts, strict=True) if len(prompt) > context - cap}
    if len(long) == len(loaded.problems):
        raise ConfigError(
            f"{recipe.model} has a context of {context:,} tokens, and no prompt leaves room in it for "
            f"trl.max_completion_length {cap:,}; lower that"
        )
    if not long:
        return loaded
    counts = {**loaded.dropped.counts, f"longer than the context of {context:,} tokens": len(long)}
    return replace(loaded, problems=[p for p in loaded.problems if p.id not in long], dropped=Dropped(counts))


def longest_budget(recipe: Recipe) -> Budget:
    """The longest budget sentence that can be drawn."""
    if recipe.budget.largest is None:
        return NO_BUDGET
    return Budget("max" if "max" in recipe.budget.kinds else "exact", recipe.budget.largest, recipe.budget.scope)


def order(problems: int, visits: int, seed: int) -> list[int]:
    """Which problem each visit takes: one seeded shuffle of all problems after the other, [visits]."""
    rounds = -(-visits // problems)
    drawn = [np.random.default_rng([seed, 7, round_]).permutation(problems) for round_ in range(rounds)]
    return [int(i) for i in np.concatenate(drawn)[:visits]]


def user_message(problem: Problem, template: str = "l1") -> str:
    """The user message of a problem, instruction included, without a budget sentence; training draws its own.

    Raises ConfigError where the question names a budget already.
    """
    _, present = parse(problem.question)
    if present.kind != "none":
        raise ConfigError(
            f"problem {problem.id} asks for {present.kind} {present.tokens} tokens itself, and training draws budgets "
            "of its own; take the sentence out of the data"
        )
    return prompt_of(problem, NO_BUDGET, template)


def encode(tokenizer: Any, prompts: Sequence[Any]) -> list[list[int]]:
    """The ids of prompts (texts, or messages), through the chat template if there is one, ready for a response."""
    if getattr(tokenizer, "chat_template", None) is None:
        return [list(ids) for ids in tokenizer(list(prompts))["input_ids"]]
    chats = [[{"role": "user", "content": each}] if isinstance(each, str) else each for each in prompts]
    texts = tokenizer.apply_chat_template(chats, add_generation_prompt=True, tokenize=False)
    return [list(ids) for ids in tokenizer(texts, add_special_tokens=False)["input_ids"]]


def rows(problems: Sequence[Problem], template: str, chat: bool) -> Any:
    """The data set of problems: `prompt` without a budget (messages, or plain text where not chat), `answers`, `id`,
    `question`."""
    import datasets

    texts = [user_message(problem, template) for problem in problems]
    return datasets.Dataset.from_dict(
        {
            "prompt": [[{"role": "user", "content": text}] if chat else text for text in texts],
            "answers": [list(problem.golds) for problem in problems],
            "id": [problem.id for problem in problems],
            "question": [problem.question for problem in problems],
        }
    )


def ask(prompt: Any, budget: Budget, template: str) -> Any:
    """A prompt (text, or messages whose last one is the user's) with the budget sentence appended."""
    sentence = render(budget, template)
    if isinstance(prompt, str):
        return prompt + sentence
    if not prompt or not isinstance(prompt[-1].get("content"), str) or prompt[-1].get("role") != "user":
        raise ConfigError("a prompt is a text, or messages that end with a user's message in plain text")
    return [*prompt[:-1], {**prompt[-1], "content": prompt[-1]["content"] + sentence}]


def with_budgets(
    dataset: Any,
    low: int,
    high: int,
    *,
    kinds: dict[Any, float] | None = None,
    template: str = "l1",
    seed: int = 0,
    sampler: BudgetSampler | None = None,
) -> Any:
    """A data set with a static budget in every row's `prompt`, and the columns that LcpoReward reads.

    Uniform whole numbers from low to high, as the paper has it (100-4000), unless a sampler says otherwise.
    """
    if sampler is None:
        law = {"law": "uniform", "low": low, "high": high}
        sampler = BudgetSampler.read({"law": law, "kinds": kinds or {"exact": 1.0}}, "with_budgets")
    alone = sampler.model_copy(update={"per_group": 1})
    drawn = [alone.draw(seed, 0, row, 1)[0] for row in range(len(dataset))]

    def add(example: dict[str, Any], index: int) -> dict[str, Any]:
        budget = drawn[index]
        return {"prompt": ask(example["prompt"], budget, template), **columns(budget)}

    return dataset.map(add, with_indices=True)


def columns(budget: Budget) -> dict[str, Any]:
    """The columns that carry a budget to the reward."""
    return {"budget_tokens": budget.tokens or 0, "budget_kind": budget.kind, "budget_scope": budget.scope}
