"""Hindsight: a model learns a dial from its own samples, each told afterwards that it was asked for the length it has.

A policy that ignores the number in its prompt gives RL nothing to reward. But each of its responses is right for
*some* budget: its own length (cf. hindsight experience replay, arXiv:1707.01495). Sample, relabel, draw evenly over
length, train as supervised; in a second round the samples come from the model that the first one made.
"""

import math
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from pydantic import Field

from lcpo.budgets import LogUniform, Uniform, length
from lcpo.config import Config
from lcpo.engines.base import Request, Segment, sub_seed
from lcpo.engines.local import LocalEngine
from lcpo.errors import ConfigError, EngineError
from lcpo.recipes.recipe import Recipe
from lcpo.tasks import Task
from lcpo.train import source
from lcpo.train.data import ask, task_of, user_message
from lcpo.train.reward import filler_share, marks, opens_thought
from lcpo.train.supervised import Optimizers, Row, rate, step
from lcpo.types import NO_BUDGET, Budget, Kind, Problem
from lcpo.verifiers import grade_many


class Hindsight(Config):
    """The [hindsight] table of a recipe."""

    rounds: int = Field(default=1, ge=1)
    """Times that samples are drawn and learned from; from the second on they are drawn with budgets asked."""
    asked: bool = False
    """Whether the first round asks for budgets too: for a model that has a dial already, in other words."""
    slack: float = Field(default=0.2, ge=0)
    """A sample of kind max is told a budget up to so much above its length: any such budget it has kept."""
    jitter: float = Field(default=0.0, ge=0)
    """A sample of kind exact is told a budget up to so much above or below its length: exactness is left to RL, and a
    number that is never drawn is read like its neighbours."""
    samples: int = Field(default=8000, ge=1)
    """Own samples of a round."""
    steps: int = Field(default=500, ge=1)
    """Supervised steps of a round."""
    batch: int = Field(default=64, ge=1)
    """Rows of a supervised step."""
    optimizer: Literal["adamw", "muon"] = "adamw"
    """muon: Muon for the matrices inside the layers, which a model trained from scratch learns faster with."""
    lr: float = Field(default=1e-3, gt=0)
    """Peak learning rate."""
    later_steps: int | None = Field(default=None, ge=1)
    """Supervised steps of the rounds after the first; None: as many as the first."""
    bins: int = Field(default=16, ge=1)
    """Bins of the logarithm of length; every bin is drawn equally often."""
    prefer_correct: float = Field(default=0.8, ge=0, le=1)
    """Chance that a row is drawn from the right answers of its bin, where there are any."""
    filler: float = Field(default=0.05, ge=0, le=1)
    """Samples with a larger share of filler are left out."""
    cap: int = Field(default=192, ge=1)
    """Tokens after which a sample is given up."""
    micro_tokens: int = Field(default=1024, ge=1)
    """Padded tokens of a forward pass; changes memory and speed, not results."""


@dataclass(frozen=True)
class Own:
    """One sample of the model itself: its problem, its ids with EOS, its length as the budget counts it."""

    problem: Problem
    ids: list[int]
    length: int
    correct: bool


def warm_start(recipe: Recipe, task: Task, base: str, out: Path, *, quiet: bool = False) -> Path:
    """The folder of the warm-started model, made once. Raises ConfigError or EngineError."""
    from accelerate import PartialState

    if recipe.hindsight is None:
        raise ConfigError("the recipe has no [hindsight] table; add one, or train without a warm start")
    table = Hindsight.read(recipe.hindsight, "recipe: hindsight")
    with PartialState().main_process_first():
        if not (out / "config.json").exists():
            partial = out.with_name(out.name + ".partial")
            _make(table, recipe, task_of(recipe.task, recipe.seed) if task is None else task, base, partial, quiet)
            os.replace(partial, out)
    return out


def _make(table: Hindsight, recipe: Recipe, task: Task, base: str, out: Path, quiet: bool) -> None:
    cpu = bool(recipe.trl.get("use_cpu")) or not torch.cuda.is_available()
    model, tokenizer = source.load(base, recipe, cpu)
    if not cpu:
        model = model.to("cuda")
    problems = task.problems("train", recipe.task.problems, recipe.seed)
    for round_ in range(table.rounds):
        drawn = draw(model, tokenizer, table, recipe, task, problems, round_)
        learn(model, tokenizer, table, recipe, drawn, round_, quiet=quiet)
    out.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(out)
    tokenizer.save_pretrained(out)


def draw(
    model: Any, tokenizer: Any, table: Hindsight, recipe: Recipe, task: Task, problems: Sequence[Problem], round_: int
) -> list[Own]:
    """Own samples of one round that ended by themselves, graded; asked without a budget in the first round."""
    rng = np.random.default_rng([recipe.seed, 11, round_])
    chosen = [problems[int(i)] for i in rng.integers(len(problems), size=table.samples)]
    sampler = recipe.budget.sampler
    asked = [
        NO_BUDGET
        if round_ == 0 and not table.asked
        else sampler.draw(recipe.seed, 10**6 + round_, i, sampler.per_group)[int(rng.integers(sampler.per_group))]
        for i in range(table.samples)
    ]
    prompts = [
        encode(tokenizer, problem, budget, recipe.budget.template)
        for problem, budget in zip(chosen, asked, strict=True)
    ]
    engine = LocalEngine(model, tokenizer)
    requests = [
        Request(Segment(tuple(ids), ""), table.cap, seed=sub_seed(recipe.seed, "rollout", -1 - round_, i, 0))
        for i, ids in enumerate(prompts)
    ]
    found = {i: list(each.written.ids or ()) for i, each in enumerate(engine.generate(requests))}
    ended = [i for i in sorted(found) if found[i][-1] in engine.eos]
    texts = [tokenizer.decode(found[i][:-1], skip_special_tokens=False) for i in ended]
    thinking, verifier = opens_thought(tokenizer), recipe.task.verifier or task.verifier
    golds = [chosen[i].answers for i in ended]
    grades = grade_many(texts, golds, verifier, thinking=thinking, box=recipe.task.box)
    ruler, scope = marks(tokenizer), recipe.budget.scope
    return [
        Own(chosen[i], found[i], length(found[i], ruler, scope), grade.correct)
        for i, grade in zip(ended, grades, strict=True)
        if filler_share(tokenizer, found[i][:-1], thinking) <= table.filler
    ]


def encode(tokenizer: Any, problem: Problem, budget: Budget, template: str) -> list[int]:
    """The prompt ids of a problem with its budget sentence, through the chat template if there is one."""
    text = ask(user_message(problem, template), budget, template)
    if getattr(tokenizer, "chat_template", None) is None:
        return list(tokenizer(text)["input_ids"])
    chat = [{"role": "user", "content": text}]
    written = tokenizer.apply_chat_template(chat, add_generation_prompt=True, tokenize=False)
    return list(tokenizer(written, add_special_tokens=False)["input_ids"])


def bins(samples: Sequence[Own], table: Hindsight, recipe: Recipe) -> list[tuple[list[Own], list[Own]]]:
    """(all, right) samples by bin of log length; only those that have kept a budget that training may draw.

    Raises EngineError if there are none.
    """
    law = recipe.budget.law
    kinds: list[Kind] = [kind for kind in recipe.budget.kinds if kind != "none"]
    usable = [own for own in samples if all(kept(own.length, kind, table, recipe) for kind in kinds)]
    if not usable:
        raise EngineError("hindsight: no own sample has a length that the budgets ask for; widen budget.law")
    logs = [math.log(own.length) for own in usable]
    low, high = (law.low, law.high) if isinstance(law, (Uniform, LogUniform)) else (min(law.tokens), max(law.tokens))
    edges = np.linspace(math.log(low), math.log(high + 1), table.bins + 1)[1:-1]
    places = np.searchsorted(edges, logs, side="right")
    found = [[own for own, place in zip(usable, places, strict=True) if place == i] for i in range(table.bins)]
    return [(each, [own for own in each if own.correct]) for each in found if each]


def kept(length_: int, kind: Kind, table: Hindsight, recipe: Recipe) -> list[int]:
    """The budgets that training may draw and that a sample of this length has kept, as nearly as the table asks."""
    below, above = (table.jitter, table.jitter) if kind == "exact" else (0.0, table.slack)
    near = range(math.ceil(length_ / (1 + below)), math.floor(length_ * (1 + above)) + 1)
    return [n for n in near if recipe.budget.sampler.seen(n)]


def relabel(length_: int, table: Hindsight, recipe: Recipe, rng: np.random.Generator) -> Budget:
    """A budget that a sample of this length has kept: the length itself, or a maximum above; kinds as in training."""
    kinds: list[Kind] = [kind for kind in recipe.budget.kinds if kind != "none"]
    weights = np.array([recipe.budget.kinds[kind] for kind in kinds])
    kind = kinds[0] if len(kinds) == 1 else kinds[int(rng.choice(len(kinds), p=weights / weights.sum()))]
    near = kept(length_, kind, table, recipe)
    return Budget(kind, near[int(rng.integers(len(near)))], recipe.budget.scope)


def learn(
    model: Any, tokenizer: Any, table: Hindsight, recipe: Recipe, samples: Sequence[Own], round_: int, *, quiet: bool
) -> None:
    """Supervised steps on relabelled samples: prompt with a budget that the sample has kept -> the sample."""
    binned = bins(samples, table, recipe)
    steps = table.steps if round_ == 0 else table.later_steps or table.steps
    if table.optimizer == "muon":
        optimizer = Optimizers(model, table.lr, table.lr)
    else:
        adam = torch.optim.AdamW(model.parameters(), lr=table.lr, betas=(0.9, 0.98), weight_decay=0.0)
        optimizer = Optimizers.of(adam, table.lr)
    rng = np.random.default_rng([recipe.seed, 12, round_])
    model.train()
    begun, total = time.monotonic(), 0.0
    for at in range(steps):
        optimizer.set_rate(rate(at, steps, warmup=20, decay=0.5))
        rows = []
        for _ in range(table.batch):
            every, right = binned[int(rng.integers(len(binned)))]
            pool = right if right and rng.random() < table.prefer_correct else every
            own = pool[int(rng.integers(len(pool)))]
            budget = relabel(own.length, table, recipe, rng)
            prompt = encode(tokenizer, own.problem, budget, recipe.budget.template)
            rows.append(Row(prompt, own.ids, [True] * len(own.ids)))
        total += step(model, optimizer, rows, pad=tokenizer.pad_token_id, tokens=table.micro_tokens)
        if (at + 1) % 100 == 0 and not quiet:
            spent = time.monotonic() - begun
            print(
                f"hindsight round {round_ + 1}/{table.rounds}  step {at + 1}/{steps}  loss {total / 100:.4f}"
                f"  {spent / (at + 1) * (steps - at - 1):.0f} s left",
                file=sys.stderr,
                flush=True,
            )
            total = 0.0
