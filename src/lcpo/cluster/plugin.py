"""What verl loads in its driver and in every Ray worker, through the entry point `verl.plugins`.

Importing it registers lcpo's agent loop, reward manager, advantage and trainer in verl's tables, and mends one import
of verl. It is the one module of lcpo that acts when it is imported, because verl imports an entry point and calls
nothing of it. lcpo.cluster.check says whether that worked.
"""

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import torch
from verl.experimental.agent_loop.agent_loop import register as register_agent_loop
from verl.experimental.agent_loop.single_turn_agent_loop import SingleTurnAgentLoop
from verl.experimental.reward_loop.reward_manager import register as register_reward_manager
from verl.experimental.reward_loop.reward_manager.base import RewardManagerBase
from verl.trainer.ppo.core_algos import register_adv_est

from lcpo.advantages import advantage
from lcpo.budgets import render
from lcpo.cluster.settings import Setup
from lcpo.cluster.trainer import LcpoVerlTrainer, groups
from lcpo.errors import EngineError
from lcpo.thinking import eos_ids
from lcpo.train.reward import LcpoReward

__all__ = ["BudgetLoop", "LcpoRewardManager", "LcpoVerlTrainer", "batch_std"]


@register_agent_loop("lcpo")
class BudgetLoop(SingleTurnAgentLoop):  # type: ignore[misc]
    """One question, one answer, with the budget that belongs to `session_id` (the rollout's place in its group).

    All rollouts of a problem share one uid in verl, so they form one group, whatever budgets they were asked for.
    """

    async def run(self, sampling_params: dict[str, Any], priority: int = 0, **kwargs: Any) -> Any:
        """Renders the budget, caps the generation where the objective proves that nothing later counts, generates."""
        setup = Setup.of(self.config)
        info, step = kwargs["extra_info"], int(kwargs["global_steps"])
        training = info["split"] == "train"
        group = self.rollout_config.n if training else self.rollout_config.val_kwargs.n
        budget = setup.budgets(info, step, int(group))[int(kwargs["session_id"])]
        limit = setup.objective(step).cap(budget) if training else None
        cap = self.response_length if limit is None else min(limit, self.response_length)
        content = info["message"] + render(budget, setup.recipe.budget.template)
        kwargs["raw_prompt"] = [{"role": "user", "content": content}]
        output = await super().run({**sampling_params, "max_tokens": cap}, priority=priority, **kwargs)
        output.extra_fields["lcpo"] = {"tokens": budget.tokens or 0, "kind": budget.kind, "scope": budget.scope}
        return output


@register_reward_manager("lcpo")
class LcpoRewardManager(RewardManagerBase):  # type: ignore[misc]
    """Rewards one rollout at a time: length from its ids, correctness from lcpo's graders, which work in any thread."""

    def __init__(self, config: Any, tokenizer: Any, compute_score: Any = None, **_: Any) -> None:
        """config: verl's, with lcpo's table. Raises ConfigError without one."""
        super().__init__(config, tokenizer, compute_score)
        self.setup = Setup.of(config)
        recipe = self.setup.recipe
        self.reward = LcpoReward(
            recipe.objective,
            tokenizer,
            verifier=self.setup.verifier,
            eos=generation_eos(config.actor_rollout_ref.model.path),
            box=recipe.task.box,
            filler=recipe.task.filler,
        )

    async def run_single(self, data: Any) -> dict[str, Any]:
        """{"reward_score", "reward_extra_info"} of the last sequence in `data`, as verl wants it."""
        item = data[-1:][0]
        width = item.batch["responses"].shape[-1]
        count = int(item.batch["attention_mask"][-width:].sum())
        ids = item.batch["responses"][:count].tolist()
        fields = item.non_tensor_batch
        asked = dict(fields.get("tool_extra_fields") or {}).get("lcpo")
        if asked is None:
            raise EngineError("a rollout has no budget: rollout.agent.default_agent_loop must be 'lcpo'")
        row = {f"budget_{name}": [asked[name]] for name in ("tokens", "kind", "scope")}
        row["answers"] = [[str(answer) for answer in fields["reward_model"]["ground_truth"]]]
        scored = await self.loop.run_in_executor(None, lambda: self.reward.score([ids], row))
        extra: dict[str, Any] = {name: values[0] for name, values in scored.columns().items() if name != "useless"}
        extra |= {"acc": extra["correct"], "tokens": count, "asked": asked["tokens"]}
        extra["row"] = int(fields["extra_info"]["index"])
        if asked["tokens"]:
            extra["length_error"] = abs(extra["length"] - asked["tokens"]) / asked["tokens"]
        reward = self.setup.objective(int(fields["global_steps"]))(scored.outcomes)
        return {"reward_score": float(reward[0, 0]), "reward_extra_info": extra}


def generation_eos(model: str) -> tuple[int, ...]:
    """The ids that end a response by the generation config of a folder or hub id; () where it has none."""
    from transformers import GenerationConfig

    try:
        eos = GenerationConfig.from_pretrained(model).eos_token_id
    except OSError:
        return ()
    return tuple(eos_ids(eos))


@register_adv_est("lcpo_batch_std")  # type: ignore[untyped-decorator]
def batch_std(
    token_level_rewards: torch.Tensor, response_mask: torch.Tensor, index: Any, config: Any = None, **_: Any
) -> tuple[torch.Tensor, torch.Tensor]:
    """lcpo.advantages.batch_std on rewards [B, T]; rows with an empty mask (padding) are left out and get 0.

    `grpo` and `no_std` are verl's own (unbiased std + 1e-6, as the paper ran it).
    """
    rows = torch.nonzero(response_mask.sum(dim=1) > 0).flatten().tolist()
    places = groups([str(index[i]) for i in rows], rows)
    if not places.size:
        raise EngineError("no group of this batch is complete: its rollouts failed; the log says why")
    rewards = token_level_rewards.sum(dim=1).double().cpu().numpy()
    values = np.zeros(len(rewards), dtype=np.float32)
    values[places] = advantage("batch_std")(rewards[places][None], np.zeros(places.shape, dtype=np.int64))
    spread = torch.from_numpy(values).to(response_mask.device).unsqueeze(1) * response_mask
    return spread, spread


def _without_value_head() -> None:
    """verl 0.9.1's FSDP worker imports TRL's value-head model, for critics, whenever TRL is installed.

    TRL 1.16 no longer has it, and every worker would die on the import. LCPO has no critic: there verl is told that
    TRL is missing.
    """
    trl = importlib.util.find_spec("trl")
    if trl and trl.origin and not (Path(trl.origin).parent / "experimental" / "ppo").is_dir():
        from verl.models.transformers import monkey_patch

        monkey_patch.is_trl_available = lambda: False


_without_value_head()
