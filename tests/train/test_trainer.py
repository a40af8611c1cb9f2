"""The trainer: each copy has its own budget, advantages are the core's, and how rows are batched changes nothing."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lcpo.advantages import advantage
from lcpo.budgets import BudgetSampler, parse
from lcpo.errors import ConfigError, EngineError
from lcpo.recipes.recipe import Recipe
from lcpo.train.batches import micro_batches
from lcpo.train.data import rows
from lcpo.train.logprobs import distinct
from lcpo.train.run import build, plan
from lcpo.train.trainer import LcpoTrainer
from lcpo.types import Outcomes

Make = Callable[..., Recipe]


def trainer_of(recipe: Recipe, out: Path) -> LcpoTrainer:
    torch.set_num_threads(1)
    made = plan("test", recipe, out)
    return build(made)


def one_generation(trainer: LcpoTrainer) -> dict[str, Any]:
    trainer.model.train()
    batch = next(iter(trainer.get_train_dataloader()))
    return trainer._generate_and_score_completions(batch)


def weights(trainer: LcpoTrainer) -> dict[str, torch.Tensor]:
    return {name: value.detach().clone() for name, value in trainer.model.named_parameters()}


@pytest.mark.parametrize("name", ["grpo", "per_budget", "decoupled", "no_std", "pooled", "batch_std"])
def test_advantages_are_the_cores(recipe: Make, tmp_path: Path, name: str) -> None:
    trainer = trainer_of(recipe(advantage=name, objective={"name": "relative"}), tmp_path)
    output = one_generation(trainer)
    rollouts = trainer.rollouts

    def grid(key: str, kind: Any) -> Any:
        return np.array([one[key] for one in rollouts], dtype=kind).reshape(4, 4)

    outcomes = Outcomes(grid("correct", float), grid("length", int), grid("budget", int),
                        np.full((4, 4), "exact"), grid("truncated", bool))  # fmt: skip
    expected = advantage(name)(trainer.reward.objective.terms(outcomes), outcomes.budget)
    np.testing.assert_allclose(output["advantages"].numpy(), expected.ravel(), rtol=1e-5, atol=1e-6)
    assert list(trainer._logs["advantages"]) == pytest.approx(expected.ravel().tolist(), rel=1e-5, abs=1e-6)
    assert [one["reward"] for one in rollouts] == pytest.approx(trainer.reward.objective(outcomes).ravel().tolist())
    lengths = output["completion_mask"].sum(1).tolist()
    assert lengths == [one["length"] for one in rollouts]


def test_every_copy_has_its_own_budget_in_its_prompt(recipe: Make, tmp_path: Path) -> None:
    trainer = trainer_of(recipe(), tmp_path)
    one_generation(trainer)
    for start in range(0, 16, 4):
        group = trainer.rollouts[start : start + 4]
        questions = {parse(one["prompt"])[0] for one in group}
        asked = [parse(one["prompt"])[1].tokens for one in group]
        assert len(questions) == 1
        assert asked[0] == asked[1] != asked[2] == asked[3]
        assert asked == [one["budget"] for one in group] == [one["asked"] for one in group]


def test_budgets_follow_from_seed_step_and_row(recipe: Make, tmp_path: Path) -> None:
    first, second = trainer_of(recipe(), tmp_path / "a"), trainer_of(recipe(), tmp_path / "b")
    one_generation(first)
    one_generation(second)
    assert first.rollouts == second.rollouts
    second.state.global_step = 1
    one_generation(second)
    assert [one["asked"] for one in first.rollouts] != [one["asked"] for one in second.rollouts]
    static = trainer_of(recipe(budget={"redraw": "once"}), tmp_path / "c")
    one_generation(static)
    before = [one["asked"] for one in static.rollouts]
    static.state.global_step = 1
    one_generation(static)
    assert before == [one["asked"] for one in static.rollouts]


def test_cap_of_a_maximum_stops_a_rollout(recipe: Make, tmp_path: Path) -> None:
    made = recipe(
        budget={"kinds": {"max": 1.0}, "law": {"law": "fixed", "tokens": [6]}, "per_group": 1},
        objective={"name": "max", "alpha": 0.5, "delta": 0.5},
        advantage="grpo",
    )
    trainer = trainer_of(made, tmp_path)
    one_generation(trainer)
    assert max(one["length"] for one in trainer.rollouts) == 7  # ceil(6 + 0.5/0.5)


@pytest.mark.parametrize("updates", [1, 2])
def test_micro_batches_change_nothing(recipe: Make, tmp_path: Path, updates: int) -> None:
    """1 x 8 = 8 x 1: the weights after a generation's updates are those of one big batch, and of TRL's own passes."""
    results = []
    for micro, shares in ((16 // updates, True), (1, True), (4, False)):
        made = recipe(
            group={"micro_batch": micro, "updates": updates}, trl={"max_steps": updates, "save_strategy": "no"}
        )
        trainer = trainer_of(made, tmp_path / f"{micro}-{shares}")
        assert trainer.shares_prompts
        trainer.shares_prompts = shares
        trainer.train()
        results.append(weights(trainer))
    for other in results[1:]:
        for name, value in results[0].items():
            torch.testing.assert_close(other[name], value, rtol=1e-3, atol=1e-5)


def test_shared_prompts_give_the_plain_logprobs_and_gradients(recipe: Make, tmp_path: Path) -> None:
    trainer = trainer_of(recipe(trl={"temperature": 0.7}), tmp_path)
    output = one_generation(trainer)
    ids = torch.cat([output["prompt_ids"], output["completion_ids"]], 1)
    mask = torch.cat([output["prompt_mask"], output["completion_mask"]], 1)
    kept = output["completion_mask"].float()
    found = []
    for shares in (True, False):
        trainer.shares_prompts = shares
        trainer.model.zero_grad()
        logps, entropy, _ = trainer._get_per_token_logps_and_entropies(
            trainer.model, ids, mask, output["completion_ids"].shape[1], compute_entropy=True
        )
        (logps * kept * output["advantages"][:, None]).sum().backward()
        grads = {name: value.grad.clone() for name, value in trainer.model.named_parameters() if value.grad is not None}
        found.append(((logps * kept).detach(), (entropy * kept).detach(), grads))
        with torch.no_grad():  # as TRL asks for old and reference log-probabilities: in parts
            parts, _, _ = trainer._get_per_token_logps_and_entropies(
                trainer.model, ids, mask, output["completion_ids"].shape[1], batch_size=4
            )
        torch.testing.assert_close(parts * kept, (logps * kept).detach(), rtol=1e-4, atol=1e-5)
    assert len(distinct(output["prompt_ids"])[0]) == 8
    torch.testing.assert_close(found[0][0], found[1][0], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(found[0][1], found[1][1], rtol=1e-4, atol=1e-5)
    for name, value in found[1][2].items():
        torch.testing.assert_close(found[0][2][name], value, rtol=1e-3, atol=1e-4)


def test_micro_batches_keep_every_rollout_once() -> None:
    torch.manual_seed(0)
    lengths = torch.randint(1, 9, (12,))
    mask = (torch.arange(8)[None] < lengths[:, None]).long()
    output = {
        "prompt_ids": torch.arange(12)[:, None].expand(12, 3) // 2, "prompt_mask": torch.ones(12, 3, dtype=torch.long),
        "completion_ids": torch.arange(12)[:, None] * mask, "completion_mask": mask, "advantages": torch.arange(12.0),
        "num_items_in_batch": mask.sum(),
    }  # fmt: skip
    batches = micro_batches(output, 2, 3)
    assert len(batches) == 6
    assert sorted(torch.cat([one["advantages"] for one in batches]).tolist()) == list(range(12))
    for one in batches:
        assert one["completion_mask"].shape[1] == one["completion_mask"].sum(1).max()
        assert one["num_items_in_batch"] == mask.sum()
        assert one["completion_ids"].max(1).values.tolist() == one["advantages"].tolist()


def test_a_schedule_moves_the_objective(recipe: Make, tmp_path: Path) -> None:
    ramp = {"key": "sharpness", "first": 1.0, "last": 3.0, "end": 2}
    trainer = trainer_of(recipe(schedule=[ramp]), tmp_path)
    for step, sharpness in ((0, 1.0), (1, 2.0), (2, 3.0)):
        trainer.state.global_step = step
        one_generation(trainer)
        assert trainer.reward.objective.sharpness == pytest.approx(sharpness)
        assert trainer.record["objective"] == {"sharpness": pytest.approx(sharpness)}


def test_a_further_reward_function_is_a_term(recipe: Make, tmp_path: Path) -> None:
    made = recipe()
    planned = plan("test", made, tmp_path)
    from lcpo.train import data, policy
    from lcpo.train.trainer import Options

    def brief(completion_ids: list[list[int]], **_: Any) -> list[float]:
        return [float(len(ids) % 2) for ids in completion_ids]

    model, tokenizer = policy.load(made.model, made, True)
    trainer = LcpoTrainer(
        model, objective=made.objective, budget=made.budget.sampler, verifier="exact",
        options=Options(advantage="no_std"),
        processing_class=tokenizer, reward_funcs=[brief], args=planned.args,
        train_dataset=data.rows(planned.loaded.problems, "l1", True),
    )  # fmt: skip
    one_generation(trainer)
    for one in trainer.rollouts:
        own = np.exp(-2 * abs(np.log((one["length"] + 1) / (one["budget"] + 1)))) * (0.3 + 0.7 * one["correct"])
        assert one["reward"] == pytest.approx(own + one["length"] % 2)


def test_a_maximum_caps_nothing_that_another_reward_still_reads(recipe: Make, tmp_path: Path) -> None:
    made = plan("test", recipe(budget={"kinds": {"max": 1.0}}, objective={"name": "max", "alpha": 0.1}), tmp_path)

    def shape(completion_ids: list[list[int]], **_: Any) -> list[float]:
        return [float(len(ids) % 2) for ids in completion_ids]

    trainer = LcpoTrainer(
        str(made.recipe.model), objective=made.recipe.objective, budget=made.recipe.budget.sampler, verifier="exact",
        args=made.args, train_dataset=rows(made.loaded.problems, "l1", True), reward_funcs=shape,
    )  # fmt: skip
    one_generation(trainer)
    assert set(trainer._caps) == {24}


def test_an_eval_dataset_is_refused(recipe: Make, tmp_path: Path) -> None:
    made = plan("test", recipe(), tmp_path)
    data = rows(made.loaded.problems, "l1", True)
    with pytest.raises(ConfigError, match="lcpo eval"):
        LcpoTrainer(
            str(made.recipe.model), objective="gated", budget=made.recipe.budget.sampler, args=made.args,
            train_dataset=data, eval_dataset=data,
        )  # fmt: skip


def test_budgets_without_a_rule_or_beyond_the_cap_are_refused(recipe: Make, tmp_path: Path) -> None:
    made = plan("test", recipe(), tmp_path)
    data = rows(made.loaded.problems, "l1", True)
    budget = BudgetSampler.read({"law": {"law": "fixed", "tokens": [8]}}, "test")
    with pytest.raises(ConfigError, match="objective 'max' has a rule for max only"):
        LcpoTrainer(made.base, objective="l1_max", budget=budget, args=made.args, train_dataset=data)
    beyond = BudgetSampler.read({"law": {"law": "fixed", "tokens": [25]}}, "test")
    with pytest.raises(ConfigError, match="max_completion_length 24 is below the largest budget 25"):
        LcpoTrainer(made.base, objective="l1_exact", budget=beyond, args=made.args, train_dataset=data)


def test_few_budgets_a_step_are_pooled_until_there_is_a_dial(recipe: Make, tmp_path: Path) -> None:
    trainer = trainer_of(recipe(budget={"per_group": 1}, advantage="grpo"), tmp_path)
    found = []
    for step in range(6):
        trainer.state.global_step = step
        one_generation(trainer)
        found.append(trainer.record["rank_correlation"])
        budgets = {n for asked, _ in trainer.pool for n in asked}
        assert (found[-1] is None) == (len(budgets) < 8)
    assert found[0] is None
    assert found[-1] is not None
    assert len(trainer.pool) < 6


def test_trls_own_sampling_works_too(recipe: Make, tmp_path: Path) -> None:
    trainer = trainer_of(recipe(sampler="trl"), tmp_path)
    output = one_generation(trainer)
    assert not trainer.own_sampler
    assert output["advantages"].shape == (16,)


def test_a_loss_that_is_not_a_number_ends_the_run(recipe: Make, tmp_path: Path) -> None:
    trainer = trainer_of(recipe(trl={"save_strategy": "no"}), tmp_path)
    with torch.no_grad():
        next(trainer.model.parameters()).fill_(float("nan"))
    with pytest.raises(EngineError, match="learning_rate"):
        trainer.train()
