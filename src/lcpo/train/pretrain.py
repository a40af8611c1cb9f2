"""Pre-training of the tiny base: reasoning first, then reasoning and counting in equal parts; resumable to the step.

The batch of a step is a pure function of (seed, step). Matrices are trained by Muon, the rest by AdamW: on this
world Muon needs several times fewer steps.
"""

import json
import os
import random
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from lcpo.budgets import prompt
from lcpo.errors import ConfigError
from lcpo.tiny import demonstrations
from lcpo.tiny.demonstrations import Demonstration
from lcpo.tiny.model import configuration, save, tokenizer
from lcpo.train.checkpoint import write_json
from lcpo.train.supervised import Optimizers, Row, rate, step
from lcpo.types import NO_BUDGET

BUILD = "build.json"
"""The file that says with which seed and schedule a finished base was built."""


@dataclass(frozen=True)
class Schedule:
    """How long and how fast the base is trained. steps, reasoning and warmup count optimizer steps, batch rows.

    reasoning: steps without counting, which come first (counting first leaves reasoning at chance); counting: its
    share of the rows after that; lr, lr_embedding: peak learning rates of Muon and AdamW.
    """

    steps: int = 4000
    reasoning: int = 1500
    counting: float = 0.5
    batch: int = 64
    warmup: int = 100
    lr: float = 4e-3
    lr_embedding: float = 4e-3


def draw(seed: int, at: int, schedule: Schedule) -> list[Demonstration]:
    """The demonstrations of step `at`: worked problems, half of them with a budget that means nothing, and counting."""
    rng = random.Random(f"tiny-{seed}-{at}")
    rows = []
    for _ in range(schedule.batch):
        if at >= schedule.reasoning and rng.random() < schedule.counting:
            rows.append(demonstrations.count(rng))
            continue
        one = demonstrations.problem(rng)
        budget = demonstrations.draw_budget(rng) or NO_BUDGET
        question = prompt(one.question, budget) if budget.tokens else one.question
        suffix = question.removeprefix(prompt(one.question, NO_BUDGET)) if budget.tokens else ""
        rows.append(demonstrations.solve(rng, one, suffix=suffix))
    return rows


def encode(fast: Any, rows: list[Demonstration]) -> list[Row]:
    """Demonstrations as token ids; muted stretches of a response are not learned from."""
    before, after = fast.apply_chat_template(
        [{"role": "user", "content": "@"}], add_generation_prompt=True, tokenize=False
    ).split("@")
    prompts = fast([before + row.question + after for row in rows])["input_ids"]
    responses = fast([row.response for row in rows], return_offsets_mapping=True)
    encoded = []
    for row, asked, ids, places in zip(rows, prompts, responses["input_ids"], responses["offset_mapping"], strict=True):
        learned = [not any(start < to and at < end for start, end in row.muted) for at, to in places]
        encoded.append(Row(asked, [*ids, fast.eos_token_id], [*learned, True]))
    return encoded


def build(
    out: Path,
    seed: int = 0,
    *,
    schedule: Schedule | None = None,
    threads: int = 1,
    resume: bool = True,
    save_every: int = 250,
) -> Path:
    """Makes the tiny base from nothing and writes it to `out` in Hugging Face format; continues what it finds there.

    threads: CPU threads. save_every: steps between two states that a build can go on from. Progress (step, loss in
    nats, tokens/s, minutes left) goes to stderr. Raises ConfigError where `out` holds a build with other settings.
    """
    from transformers import AutoModelForCausalLM

    schedule = schedule or Schedule()
    if (out / "config.json").exists():
        if not resume:
            raise ConfigError(f"{out} holds a model already; give another --out, or remove it")
        if not (out / "build.pt").exists():
            return _finished(out, seed, schedule)
    torch.set_num_threads(threads)
    fast = tokenizer()
    torch.manual_seed(seed)
    model = AutoModelForCausalLM.from_config(configuration())
    optimizers = Optimizers(model, schedule.lr, schedule.lr_embedding)
    state = out / "build.pt"
    first = _restore(state, seed, schedule, model, optimizers) if resume else 0
    out.mkdir(parents=True, exist_ok=True)
    model.train()
    begun, seen, total = time.monotonic(), 0, 0.0
    for at in range(first, schedule.steps):
        optimizers.set_rate(rate(at, schedule.steps, warmup=schedule.warmup))
        rows = encode(fast, draw(seed, at, schedule))
        total += step(model, optimizers, rows, pad=fast.pad_token_id, tokens=1024)
        seen += sum(map(len, rows))
        if (at + 1) % save_every == 0 or at + 1 == schedule.steps:
            _save_state(state, seed, schedule, at + 1, model, optimizers)
            done, spent = at + 1 - first, time.monotonic() - begun
            left = spent / done * (schedule.steps - at - 1) / 60
            print(
                f"step {at + 1}/{schedule.steps}  loss {total / save_every:.4f}  {seen / spent:.0f} tokens/s"
                f"  {left:.0f} min left",
                file=sys.stderr,
                flush=True,
            )
            total = 0.0
    save(model, fast, out)
    write_json(out / BUILD, {"seed": seed, "schedule": vars(schedule)})
    state.unlink()
    return out


def _finished(out: Path, seed: int, schedule: Schedule) -> Path:
    """`out`, where it holds the finished build of these settings. Raises ConfigError where it does not say so."""
    path = out / BUILD
    made = json.loads(path.read_text(encoding="utf-8")) if path.exists() else None
    if made != {"seed": seed, "schedule": vars(schedule)}:
        other = "a model that is no finished build" if made is None else f"a build with seed {made['seed']}"
        other += " and another schedule" if made is not None and made["seed"] == seed else ""
        raise ConfigError(f"{out} holds {other}, not one with seed {seed}; give another --out, or remove it")
    return out


def _save_state(path: Path, seed: int, schedule: Schedule, at: int, model: Any, optimizers: Optimizers) -> None:
    partial = path.with_suffix(".partial")
    torch.save(
        {
            "seed": seed,
            "schedule": vars(schedule),
            "step": at,
            "model": model.state_dict(),
            "optimizers": optimizers.state_dict(),
        },
        partial,
    )
    os.replace(partial, path)


def _restore(path: Path, seed: int, schedule: Schedule, model: Any, optimizers: Optimizers) -> int:
    if not path.exists():
        return 0
    held = torch.load(path, weights_only=True)
    if held["seed"] != seed or held["schedule"] != vars(schedule):
        raise ConfigError(f"{path.parent} holds a build with other settings; give another --out, or remove it")
    model.load_state_dict(held["model"])
    optimizers.load_state_dict(held["optimizers"])
    return int(held["step"])
