"""The made-up thoughts: right, of all lengths, told by nothing in the prompt, and never about a held-out problem."""

import importlib.util
import json
import math
from pathlib import Path

import numpy as np
import pytest

from lcpo.budgets import parse
from lcpo.engines.models import built
from lcpo.measure.statistics import spearman
from lcpo.models.smol import thoughts
from lcpo.tasks import chains, pairs
from lcpo.thinking import split_text

ROWS = list(thoughts.rows(3000, seed=5))
IS_SEARCH = ["100" in row["prompt"] for row in ROWS]


def parts(row: dict[str, str]) -> tuple[str, str]:
    thought, answer = split_text(row["response"])
    assert answer is not None
    return thought, answer


def test_rows_are_a_function_of_seed_and_place() -> None:
    assert list(thoughts.rows(20, seed=5)) == ROWS[:20]
    assert list(thoughts.rows(20, seed=6)) != ROWS[:20]


def test_every_problem_is_of_the_training_split_and_in_a_known_wording() -> None:
    for row, is_search in zip(ROWS, IS_SEARCH, strict=True):
        if is_search:
            assert pairs.split_of(pairs.parse(row["prompt"])) == "train"
            assert not row["prompt"].startswith("Choose two of these")
        else:
            assert chains.split_of(chains.parse(row["prompt"])) == "train"
            assert "bus" not in row["prompt"]


def test_no_prompt_has_a_budget_sentence() -> None:
    assert all(parse(row["prompt"])[1].kind == "none" and "token" not in row["prompt"] for row in ROWS)


def test_tries_are_right_none_comes_twice_and_the_best_is_the_answer() -> None:
    for row, is_search in zip(ROWS, IS_SEARCH, strict=True):
        if is_search:
            problem, (thought, answer) = pairs.parse(row["prompt"]), parts(row)
            tries = pairs.read_thought(problem, thought)
            assert all(end == len(thought) for _, end in tries.wasted), thought  # where it was cut inside a try
            assert answer == (tries.best or pairs.spoken(problem.best))
            best = math.inf
            for each in tries.tries[:-1]:
                a, b = map(int, each.pair.split(" and "))
                assert each.marked == (pairs.distance((a, b)) < best)
                best = min(best, pairs.distance((a, b)))


def test_chains_end_in_the_right_answer() -> None:
    assert all(
        parts(row)[1] == chains.parse(row["prompt"]).answer
        for row, is_search in zip(ROWS, IS_SEARCH, strict=True)
        if not is_search
    )


@pytest.mark.parametrize("searches", [True, False])
def test_all_lengths_are_there_and_nothing_in_the_prompt_tells_them(searches: bool) -> None:
    own = [row for row, is_search in zip(ROWS, IS_SEARCH, strict=True) if is_search == searches]
    lengths = np.array([thoughts.tokens(parts(row)[0]) for row in own])
    counts = np.histogram(lengths, [8, 16, 32, 64, 128, 250])[0]
    assert counts.min() > 0.08 * len(own)
    assert 0.03 < (lengths == 0).mean() < 0.12
    numbers = [np.array([int(n) for n in row["prompt"].replace(",", " ").split() if n.isdigit()]) for row in own]
    for told in ([each.sum() for each in numbers], [each[0] for each in numbers], [len(each) for each in numbers]):
        assert abs(spearman(np.array(told, float), lengths.astype(float)) or 0.0) < 0.15


@pytest.mark.parametrize("level", range(4))
def test_costs_are_those_of_the_levels(level: int) -> None:
    assert thoughts.tokens(thoughts.try_pair(level, 48, 17, marked=True)) <= thoughts.PAIR_COSTS[level] + 1
    assert thoughts.tokens(thoughts.take_step(level, 34, 17)) <= thoughts.STEP_COSTS[level] + 1


def test_steps_by_hand() -> None:
    assert thoughts.take_step(3, 51, -25) == "51 minus 25: tens 30, ones -4, so 26."
    assert thoughts.take_step(2, 51, -25) == "51 less 25 is 26."
    assert thoughts.take_step(1, 51, -25) == "51-25=26"
    assert thoughts.try_pair(3, 48, 17, marked=False) == "48 plus 17: tens 50, ones 15, so 65, 35 off."


def test_a_file_of_rows(tmp_path: Path) -> None:
    thoughts.write(tmp_path / "rows.jsonl", 5, seed=5)
    assert [json.loads(line) for line in (tmp_path / "rows.jsonl").read_text().splitlines()] == ROWS[:5]


@pytest.mark.skipif(not built("smollm2").is_dir(), reason="smollm2 is not built on this machine: make smol")
@pytest.mark.skipif(importlib.util.find_spec("transformers") is None, reason="needs the extra 'train'")
def test_tokens_are_counted_as_the_tokenizer_does() -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(built("smollm2"))
    texts = [parts(row)[0] for row in ROWS[:300]]
    real = [len(tokenizer(text, add_special_tokens=False)["input_ids"]) for text in texts]
    counted = [thoughts.tokens(text) for text in texts]
    assert sum(abs(a - b) for a, b in zip(real, counted, strict=True)) < 0.002 * sum(real)
