"""Hindsight: samples are told the length they have, evenly over lengths, and kept-out budgets stay unseen."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lcpo.errors import ConfigError, EngineError
from lcpo.recipes.recipe import parse_recipe
from lcpo.tasks import sums, task
from lcpo.types import Budget, Problem

hindsight = pytest.importorskip("lcpo.train.hindsight", reason="training needs the extra 'train'")

PROBLEM = Problem("p", "Add b48 c17.", ("65",), instruction="")


@pytest.fixture
def warm(table: dict[str, Any]) -> dict[str, Any]:
    table["hindsight"] = {"samples": 40, "steps": 2, "batch": 4, "cap": 24, "bins": 4}
    table["budget"] = {
        "law": {"law": "log_uniform", "low": 1, "high": 24},
        "keep_out": {"modulus": 3, "residues": [0]},
    }
    return table


def own(length: int, correct: bool = True) -> Any:
    return hindsight.Own(PROBLEM, [1] * length, length, correct)


def test_kept_out_lengths_are_never_relabelled(warm: dict[str, Any]) -> None:
    recipe = parse_recipe(warm, "test")
    found = hindsight.bins([own(n) for n in range(1, 60)], hindsight.Hindsight(bins=4), recipe)
    lengths = sorted(each.length for every, _ in found for each in every)
    assert lengths == [n for n in range(1, 25) if n % 3]


def test_bins_are_even_in_the_logarithm(warm: dict[str, Any]) -> None:
    recipe = parse_recipe(warm, "test")
    found = hindsight.bins([own(n, n > 5) for n in (1, 2, 4, 5, 11, 22)], hindsight.Hindsight(bins=4), recipe)
    assert [[each.length for each in every] for every, _ in found] == [[1, 2], [4], [5, 11], [22]]
    assert [[each.length for each in right] for _, right in found] == [[], [], [11], [22]]


def test_a_maximum_lies_above_the_length_and_is_never_kept_out(warm: dict[str, Any]) -> None:
    warm["budget"]["kinds"] = {"exact": 0.5, "max": 0.5}
    warm["objective"] = {"name": "mixed"}
    recipe, rng = parse_recipe(warm, "test"), np.random.default_rng(0)
    told = [hindsight.relabel(17, hindsight.Hindsight(slack=0.2), recipe, rng) for _ in range(200)]
    assert {(budget.kind, budget.tokens) for budget in told} == {("exact", 17), ("max", 17), ("max", 19), ("max", 20)}


def test_jitter_tells_neighbours_and_never_a_kept_out_budget(warm: dict[str, Any]) -> None:
    recipe, rng = parse_recipe(warm, "test"), np.random.default_rng(0)
    table = hindsight.Hindsight(jitter=0.1)
    for length, near in ((12, {11, 13}), (13, {13, 14}), (20, {19, 20, 22})):
        assert {hindsight.relabel(length, table, recipe, rng).tokens for _ in range(200)} == near
    assert hindsight.kept(3, "exact", table, recipe) == []  # no neighbour within a tenth


def test_no_usable_length_is_said(warm: dict[str, Any]) -> None:
    with pytest.raises(EngineError, match=r"widen budget\.law"):
        hindsight.bins([own(3), own(60)], hindsight.Hindsight(), parse_recipe(warm, "test"))


def test_the_prompt_names_the_length(small_model: Path) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(small_model)
    ids = hindsight.encode(tokenizer, PROBLEM, Budget("exact", 17), "l1")
    assert "Add b48 c17. Think for 17 tokens.<|im_end|>" in tokenizer.decode(ids)


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_warm_start_is_made_once_and_repeatable(
    warm: dict[str, Any], small_model: Path, tmp_path: Path, optimizer: str
) -> None:
    warm["hindsight"] |= {"optimizer": optimizer, "rounds": 2, "later_steps": 1, "filler": 1.0, "lr": 1e-2}
    recipe = parse_recipe(warm, "test")
    first = hindsight.warm_start(recipe, task("sums"), str(small_model), tmp_path / "a", quiet=True)
    weights = (first / "model.safetensors").read_bytes()
    assert weights != (small_model / "model.safetensors").read_bytes()
    assert hindsight.warm_start(recipe, task("sums"), "nowhere", tmp_path / "a", quiet=True) == first
    again = hindsight.warm_start(recipe, task("sums"), str(small_model), tmp_path / "b", quiet=True)
    assert (again / "model.safetensors").read_bytes() == weights


def test_unknown_settings_are_refused(warm: dict[str, Any], small_model: Path, tmp_path: Path) -> None:
    warm["hindsight"] = {"sample": 3}
    recipe = parse_recipe(warm, "test")
    with pytest.raises(ConfigError, match="samples"):
        hindsight.warm_start(recipe, task("sums"), str(small_model), tmp_path / "w")


def test_training_problems_alone_are_sampled(warm: dict[str, Any], small_model: Path) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(small_model, dtype="float32")
    tokenizer = AutoTokenizer.from_pretrained(small_model)
    recipe, chosen = parse_recipe(warm, "test"), hindsight.Hindsight(samples=64, cap=24, filler=1.0)
    problems = task("sums").problems("train", 100)
    drawn = hindsight.draw(model, tokenizer, chosen, recipe, task("sums"), problems, 0)
    assert drawn
    for each in drawn:
        words = each.problem.question.removeprefix("Add ").removesuffix(".").split()
        assert sums.split_of([int(word[1:]) for word in words]) == "train"
        assert each.length == len(each.ids) <= 24
        assert each.ids[-1] == tokenizer.eos_token_id
