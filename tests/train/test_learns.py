"""It learns: a short recipe turns a vague sense of the budget into a dial, and makes none of shuffled budgets."""

import random
from pathlib import Path
from typing import Any

import pytest
import torch

from arms import shuffled
from lcpo.recipes.recipe import Recipe, read_recipe
from lcpo.tasks import task
from lcpo.train.data import user_message
from lcpo.train.run import train
from lcpo.train.supervised import Row, step
from sums_model import CONTROL, configuration, save, tokenizer

BUDGETS = (8, 12, 17, 24)


def marks_model(out: Path, obeys: float) -> Path:
    """Opens a thought, writes 0 to 22 marks, closes, guesses; in `obeys` of its rows as many marks as was asked."""
    from transformers import Qwen3ForCausalLM

    torch.set_num_threads(1)
    torch.manual_seed(0)
    fast, rng = tokenizer(), random.Random(0)
    model = Qwen3ForCausalLM(configuration(layers=2, width=64, heads=2, head=32))
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    problems = task("sums").problems("train", 200)
    for _ in range(200):
        rows = []
        for problem in rng.choices(problems, k=32):
            budget = rng.choice(BUDGETS)
            text = f"{user_message(problem)} Think for {budget} tokens."
            prompt = fast.apply_chat_template(
                [{"role": "user", "content": text}], add_generation_prompt=True, return_dict=False
            )
            marks = budget - 5 if rng.random() < obeys else rng.randrange(23)
            answer = f"<think>{'.' * marks}</think>{rng.randrange(100):02d}"
            ids = [*fast.encode(answer, add_special_tokens=False), fast.eos_token_id]
            rows.append(Row(prompt, ids, [True] * len(ids)))
        step(model, optimizer, rows, pad=fast.pad_token_id)
    save(model, fast, out)
    return out


def short(base: Path, *overrides: str) -> Recipe:
    _, recipe = read_recipe(CONTROL, [
        f"model={base}", "trl.max_steps=60", "trl.save_steps=60", "trl.max_completion_length=48",
        "objective={name='gated'}",
        f"budget.law={{law='fixed', tokens={list(BUDGETS)}}}", "budget.keep_out={modulus=100, residues=[0]}",
        "group.problems=8", "task.problems=200", "trl.learning_rate=1e-3",
        "trl.lr_scheduler_type=constant", "trl.warmup_steps=0", "log.dial_after=40", *overrides,
    ])  # fmt: skip
    return recipe


def ends(lines: list[dict[str, Any]], name: str) -> tuple[float, float]:
    """Mean over the first and over the last ten steps."""
    return sum(line[name] for line in lines[:10]) / 10, sum(line[name] for line in lines[-10:]) / 10


@pytest.mark.slow
def test_reward_rises_and_lengths_follow(tmp_path: Path) -> None:
    lines = train("test", short(marks_model(tmp_path / "base", 0.4)), tmp_path / "run", quiet=True).lines
    before, after = ends(lines, "reward")
    assert after > 1.15 * before
    before, after = ends(lines, "slope")
    assert after > before + 0.25
    before, after = ends(lines, "mare")
    assert after < 0.6 * before


@pytest.mark.slow
def test_shuffled_budgets_give_no_dial(tmp_path: Path) -> None:
    base = marks_model(tmp_path / "base", 0.0)
    made = shuffled()
    lines = train("test", short(base), tmp_path / "run", quiet=True, trainer=made).lines
    assert abs(ends(lines, "slope")[1]) < 0.15
