"""Hindsight: samples are told the length they have, evenly over lengths, and kept-out budgets stay unseen."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lcpo.errors import ConfigError, EngineError
from lcpo.recipes.recipe import HindsightTable, parse_recipe
from lcpo.types import NO_BUDGET, Budget, Problem

hindsight = pytest.importorskip("lcpo.train.hindsight", reason="training needs the extra 'train'")
from lcpo.train.data import ask, encode, user_message  # noqa: E402

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
    return hindsight.SelfSample(PROBLEM, [1] * length, length, correct)


def test_kept_out_lengths_are_never_relabelled(warm: dict[str, Any]) -> None:
    recipe = parse_recipe(warm, "test")
    found = hindsight.bins([own(n) for n in range(1, 60)], HindsightTable(bins=4), recipe)
    lengths = sorted(own.length for each in found for own in each.every)
    assert lengths == [n for n in range(1, 25) if n % 3]


def test_bins_are_even_in_the_logarithm(warm: dict[str, Any]) -> None:
    recipe = parse_recipe(warm, "test")
    found = hindsight.bins([own(n, n > 5) for n in (1, 2, 4, 5, 11, 22)], HindsightTable(bins=4), recipe)
    assert [(each.low, each.high) for each in found] == [(1, 2), (4, 4), (5, 11), (13, 23)]
    assert [[own.length for own in each.every] for each in found] == [[1, 2], [4], [5, 11], [22]]
    assert [[own.length for own in each.right] for each in found] == [[], [], [11], [22]]


def test_a_maximum_lies_above_the_length_and_is_never_kept_out(warm: dict[str, Any]) -> None:
    warm["budget"]["kinds"] = {"exact": 0.5, "max": 0.5}
    warm["objective"] = {"name": "mixed"}
    recipe, rng = parse_recipe(warm, "test"), np.random.default_rng(0)
    told = [hindsight.relabel(17, HindsightTable(slack=0.2), recipe, rng) for _ in range(200)]
    assert {(budget.kind, budget.tokens) for budget in told} == {("exact", 17), ("max", 17), ("max", 19), ("max", 20)}


def test_a_margin_keeps_maxima_away_from_the_length(warm: dict[str, Any]) -> None:
    """And a length above which no maximum is drawn is told an exact budget alone."""
    warm["budget"]["kinds"] = {"exact": 0.5, "max": 0.5}
    warm["objective"] = {"name": "mixed"}
    recipe, rng, table = parse_recipe(warm, "test"), np.random.default_rng(0), HindsightTable(margin=0.25, slack=0.5)
    told = {hindsight.relabel(12, table, recipe, rng).tokens for _ in range(200)}
    assert hindsight.kept(13, "max", table, recipe) == [17, 19]
    assert {budget.tokens for budget in (hindsight.relabel(13, table, recipe, rng) for _ in range(200))} == {13, 17, 19}
    assert told == {16, 17}
    assert hindsight.kept(23, "max", table, recipe) == []
    assert hindsight.relabel(23, table, recipe, rng) == Budget("exact", 23)
    with pytest.raises(ConfigError, match=r"margin 0\.3 is above hindsight\.slack 0\.2.*raise slack"):
        parse_recipe({**warm, "hindsight": {"margin": 0.3}}, "test")


def test_jitter_tells_neighbours_and_never_a_kept_out_budget(warm: dict[str, Any]) -> None:
    recipe, rng = parse_recipe(warm, "test"), np.random.default_rng(0)
    table = HindsightTable(jitter=0.1)
    for length, near in ((12, {11, 13}), (13, {13, 14}), (20, {19, 20, 22})):
        assert {hindsight.relabel(length, table, recipe, rng).tokens for _ in range(200)} == near
    assert hindsight.kept(3, "exact", table, recipe) == []  # no neighbour within a tenth


def test_a_share_of_rows_names_no_budget(warm: dict[str, Any]) -> None:
    """They are the samples that were drawn without one, of any length; with no share, every row has a budget."""
    recipe, unasked = parse_recipe(warm, "test"), [own(59), own(3)]
    binned = hindsight.bins([own(n) for n in (5, 11)], HindsightTable(), recipe)
    for share in (0.0, 0.25):
        told = hindsight.relabelled(binned, 2, HindsightTable(unasked=share, batch=400), recipe, 0, unasked)
        assert {sample.length for sample, budget in told if budget == NO_BUDGET} == ({3, 59} if share else set())
        assert sum(budget == NO_BUDGET for _, budget in told) == pytest.approx(800 * share, abs=50)


def test_no_usable_length_is_said(warm: dict[str, Any]) -> None:
    with pytest.raises(EngineError, match=r"widen budget\.law"):
        hindsight.bins([own(3), own(60)], HindsightTable(), parse_recipe(warm, "test"))


def test_the_prompt_names_the_length(small_model: Path) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(small_model)
    (ids,) = encode(tokenizer, [ask(user_message(PROBLEM), Budget("exact", 17), "l1")])
    assert "Add b48 c17. Think for 17 tokens.<|im_end|>" in tokenizer.decode(ids)


def test_coverage_says_what_is_missing_and_what_to_do(warm: dict[str, Any]) -> None:
    recipe, table = parse_recipe(warm, "test"), HindsightTable(bins=4)
    binned = hindsight.bins([own(n, n > 5) for n in (1, 2, 5, 11, 59)], table, recipe)
    told = hindsight.coverage(binned, {"samples": 9, "cap": 24, "cut": 3, "filtered": 1}, table)
    assert (told["used"], told["outside"]) == (4, 1)
    assert [(each["samples"], each["right"]) for each in told["bins"]] == [(2, 0), (0, 0), (2, 1), (0, 0)]
    first, *_, warning = hindsight.coverage_text(told)
    assert first.startswith("9 own samples: 3 cut at 24 tokens, 1 with filler, 1 of no length")
    assert "no own sample has 4, 13-23 tokens" in warning
    assert "hindsight.samples" in warning


def test_the_cap_follows_from_the_law(warm: dict[str, Any]) -> None:
    recipe = parse_recipe(warm, "test")
    assert hindsight.default_cap(HindsightTable(), recipe) == 24
    assert hindsight.default_cap(HindsightTable(jitter=0.1), recipe) == 24  # no more than RL may write
    roomy = parse_recipe({**warm, "trl": {**warm["trl"], "max_completion_length": 100}}, "test")
    assert hindsight.default_cap(HindsightTable(jitter=0.1), roomy) == 27
