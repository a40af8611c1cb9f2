"""The reward callable: the core's rewards, picklable, and at home in a TRL script of one's own."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lcpo.errors import ConfigError
from lcpo.objectives import Exact, Max, objective
from lcpo.tasks import task
from lcpo.train import LcpoReward
from lcpo.train.reward import filler_share, opens_thought
from lcpo.types import Outcomes
from real_tokenizers import build, encode


@pytest.fixture(scope="module")
def tokenizer(small_model: Path) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(small_model)


def ids(tokenizer: Any, text: str, end: bool = True) -> list[int]:
    return tokenizer.encode(text, add_special_tokens=False) + ([tokenizer.eos_token_id] if end else [])


COLUMNS: dict[str, Any] = {
    "answers": [["83"], ["83"], ["83"], ["83"], ["83"]],
    "budget_tokens": [8, 8, 4, 8, 0],
    "budget_kind": ["exact", "max", "max", "exact", "none"],
    "budget_scope": ["response"] * 5,
}


def rollouts(tokenizer: Any) -> list[list[int]]:
    texts = [
        "<think> a48</think>83",
        "<think></think>83",
        "<think> a48 b65</think>83",
        "<think> a48 b65 c",
        "<think></think>7",
    ]
    return [ids(tokenizer, text, end=i != 3) for i, text in enumerate(texts)]


@pytest.mark.parametrize("preset", ["l1_exact", "l1_max", "l1_dual", "gated", "relative", "ceiling", "correct"])
def test_rewards_are_the_cores(tokenizer: Any, preset: str) -> None:
    made = rollouts(tokenizer)
    reward = LcpoReward(preset, tokenizer, verifier="exact")
    logged: dict[str, list[Any]] = {}
    got = reward(completion_ids=made, log_extra=lambda name, values: logged.update({name: values}), **COLUMNS)
    outcomes = Outcomes(
        correct=np.array([[1.0, 1.0, 1.0, 0.0, 0.0]]),
        length=np.array([[len(made[i]) for i in range(5)]]),
        budget=np.array([[8, 8, 4, 8, 0]]),
        kind=np.array([COLUMNS["budget_kind"]]),
        truncated=np.array([[False, False, False, True, False]]),
    )
    assert got == objective(preset)(outcomes)[0].tolist()
    assert logged["length"] == [len(one) for one in made]
    assert logged["truncated"] == [False, False, False, True, False]
    assert logged["no_answer"] == [False, False, False, True, False]
    assert logged["failed"] == [False] * 5


def test_it_survives_pickling(tokenizer: Any) -> None:
    reward = pickle.loads(pickle.dumps(LcpoReward(Exact(alpha=0.01), tokenizer, verifier="exact")))
    assert reward(completion_ids=rollouts(tokenizer), **COLUMNS) == pytest.approx(
        [1.0, 0.97, 0.94, -0.01, 0.0], abs=0.03
    )
    assert reward.__name__ == "lcpo"


def test_scope_thinking_counts_the_thought_alone(tokenizer: Any) -> None:
    reward = LcpoReward(Max(alpha=0.1), tokenizer, verifier="exact")
    columns = COLUMNS | {"budget_scope": ["thinking"] * 5}
    scored = reward.score(rollouts(tokenizer), columns)
    assert scored.outcomes.length[0].tolist() == [3, 0, 6, 7, 0]
    assert scored.tokens.tolist() == [len(one) for one in rollouts(tokenizer)]


def test_a_template_that_opens_the_thought_is_noticed(tokenizer: Any) -> None:
    assert opens_thought(tokenizer) == "auto"
    opened = pickle.loads(pickle.dumps(tokenizer))
    opened.chat_template = tokenizer.chat_template.replace("assistant\\n'", "assistant\\n<think>'")
    reward = LcpoReward("correct", opened, verifier="exact")
    assert reward.thinking is True
    made = [ids(tokenizer, " a48</think>83"), ids(tokenizer, "83")]
    columns = {name: values[:2] for name, values in COLUMNS.items()}
    assert reward(completion_ids=made, **columns) == [1.0, 0.0]


def test_missing_columns_are_named(tokenizer: Any) -> None:
    reward = LcpoReward("l1_exact", tokenizer)
    with pytest.raises(ConfigError, match="with_budgets"):
        reward(completion_ids=[[1]], answers=[["1"]])
    with pytest.raises(ConfigError, match="'answers' or 'answer'"):
        reward(completion_ids=[[1]], budget_kind=["exact"], budget_tokens=[3])


def test_three_lines_in_a_script_of_ones_own(small_model: Path, tokenizer: Any, tmp_path: Path) -> None:
    import datasets
    from trl import GRPOConfig, GRPOTrainer

    from lcpo.tasks import task
    from lcpo.train import LcpoReward, with_budgets

    problems = task("sums").problems("train", 8)
    rows = [{"prompt": [{"role": "user", "content": p.question}], "answer": p.answers[0]} for p in problems]
    data = with_budgets(datasets.Dataset.from_list(rows), low=4, high=12)
    assert all("Think for" in row["prompt"][0]["content"] for row in data)
    args = GRPOConfig(
        output_dir=str(tmp_path), use_cpu=True, bf16=False, gradient_checkpointing=False, report_to="none", max_steps=1,
        num_generations=4, per_device_train_batch_size=8, max_completion_length=24, disable_tqdm=True, logging_steps=1,
        dataloader_pin_memory=False, save_strategy="no",
    )  # fmt: skip
    reward = LcpoReward("l1_exact", tokenizer, verifier="exact")
    trainer = GRPOTrainer(str(small_model), reward_funcs=reward, args=args, train_dataset=data)
    trainer.train()
    logged = trainer.state.log_history[0]
    assert "rewards/lcpo/mean" in logged
    assert "length_error" in logged


def test_the_trainer_in_a_script_of_ones_own(small_model: Path, tokenizer: Any, tmp_path: Path) -> None:
    import datasets
    from trl import GRPOConfig

    from lcpo.budgets import BudgetSampler, LogUniform
    from lcpo.tasks import task
    from lcpo.train import LcpoTrainer

    problems = task("sums").problems("train", 8)
    rows = [{"prompt": [{"role": "user", "content": p.question}], "answer": p.answers[0]} for p in problems]
    args = GRPOConfig(
        output_dir=str(tmp_path), use_cpu=True, bf16=False, gradient_checkpointing=False, report_to="none", max_steps=1,
        num_generations=4, per_device_train_batch_size=8, max_completion_length=24, disable_tqdm=True, logging_steps=1,
        dataloader_pin_memory=False, save_strategy="no",
    )  # fmt: skip
    trainer = LcpoTrainer(
        model=str(small_model), processing_class=tokenizer, args=args, train_dataset=datasets.Dataset.from_list(rows),
        objective="l1_exact", budget=BudgetSampler(law=LogUniform(low=4, high=12)), verifier="exact",
    )  # fmt: skip
    trainer.train()
    assert trainer.state.log_history[0]["lcpo/mare"] > 0
    assert len(trainer.rollouts) == 8


def test_an_answer_behind_too_much_filler_counts_as_wrong(tokenizer: Any) -> None:
    said_again = ids(tokenizer, "<think> a48 b65 b65 b65 c83</think>83")
    said_once = ids(tokenizer, "<think> a48 b65 c83</think>83")
    columns = {name: values[:2] for name, values in COLUMNS.items()}
    share = filler_share(tokenizer, said_again[:-1])
    assert 0.05 < share < 0.5 and filler_share(tokenizer, said_once[:-1]) == 0
    for limit, right in ((1.0, [1.0, 1.0]), (share, [1.0, 1.0]), (0.05, [0.0, 1.0])):
        reward = LcpoReward("correct", tokenizer, verifier="exact", filler=limit)
        assert reward(completion_ids=[said_again, said_once], **columns) == right


def test_steps_that_are_worth_nothing_are_counted_and_not_paid_for(tokenizer: Any) -> None:
    question = {"question": ["Add a48 b17 c93."] * 2}
    invented = ids(tokenizer, "<think> a48 b65 c58 d63 e69</think>58")
    plain = ids(tokenizer, "<think> a48 b65 c58</think>58")
    columns = {name: values[:1] * 2 for name, values in COLUMNS.items()} | question | {"answers": [["58"], ["58"]]}
    asked = LcpoReward("correct", tokenizer, verifier="exact", task=task("sums"))
    share = asked.score([invented, plain], columns).useless
    assert share[0] == pytest.approx(6 / (len(invented) - 1)) and share[1] == 0
    for limit, right in ((1.0, [1.0, 1.0]), (share[0], [1.0, 1.0]), (0.1, [0.0, 1.0])):
        reward = LcpoReward("correct", tokenizer, verifier="exact", task=task("sums"), useless=limit)
        assert reward(completion_ids=[invented, plain], **columns) == right
    assert LcpoReward("correct", tokenizer, verifier="exact").score([plain, plain], columns).useless == [None, None]


@pytest.mark.parametrize("closing", ["</think>", "</think>\n\n", ".</think>\n\n\n"])
def test_a_closing_tag_that_is_merged_with_its_neighbours_is_counted_and_read(closing: str) -> None:
    tokenizer = build("qwen")
    thought, answer = encode(tokenizer, "So 12 + 7 = 19 and 19 + 2 = 21"), encode(tokenizer, "It is 21")
    response = [*encode(tokenizer, "So 12 + 7 = 19 and 19 + 2 = 21" + closing + "It is 21"), tokenizer.eos_token_id]
    columns = {"answer": ["21"], "budget_tokens": [9], "budget_kind": ["exact"], "budget_scope": ["thinking"]}
    scored = LcpoReward("l1_exact", tokenizer).score([response], columns)
    assert scored.outcomes.length.tolist() == [[len(thought)]]
    assert scored.outcomes.correct.tolist() == [[1.0]]
    assert len(thought) + len(answer) < scored.tokens[0] == len(response)


def test_golds_of_a_row_are_any_number_of_texts_or_numbers_and_never_nothing(tokenizer: Any) -> None:
    reward = LcpoReward("l1_exact", tokenizer, verifier="exact")
    columns = {"budget_tokens": [8], "budget_kind": ["exact"], "budget_scope": ["response"]}
    response = [ids(tokenizer, "<think></think>83")]
    for golds in (
        {"answer": ["83"]},
        {"answer": [83]},
        {"answer": [["7", "83"]]},
        {"answers": [["83"]]},
        {"answers": ["83"]},
    ):
        assert reward.score(response, {**golds, **columns}).outcomes.correct.item() == 1.0
    assert reward.score(response, {"answers": ["38"], **columns}).outcomes.correct.item() == 0.0
    for nothing in ({"answer": [None]}, {"answer": [[None]]}, {"answers": [[]]}):
        with pytest.raises(ConfigError, match="gold answer"):
            reward.score(response, {**nothing, **columns})
