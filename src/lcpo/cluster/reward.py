"""verl's reward manager with lcpo's objective: the same lengths, grades and rewards as under TRL."""

from pathlib import Path
from typing import Any

from verl.experimental.reward_loop.reward_manager import register
from verl.experimental.reward_loop.reward_manager.base import RewardManagerBase

from lcpo.cluster.setup import Setup
from lcpo.errors import EngineError
from lcpo.train.reward import LcpoReward


@register("lcpo")
class LcpoRewardManager(RewardManagerBase):  # type: ignore[misc]
    """Rewards one rollout at a time: length from its ids, correctness from lcpo's graders, which work in any thread."""

    def __init__(self, config: Any, tokenizer: Any, compute_score: Any = None, **_: Any) -> None:
        """config: verl's, with lcpo's table. Raises ConfigError without one."""
        super().__init__(config, tokenizer, compute_score)
        self.setup = Setup.of(config)
        model = config.actor_rollout_ref.model.path
        recipe = self.setup.recipe
        self.reward = LcpoReward(
            recipe.objective,
            tokenizer,
            verifier=self.setup.verifier,
            eos=generation_eos(model),
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
        answers = [str(answer) for answer in fields["reward_model"]["ground_truth"]]
        columns = {f"budget_{name}": [asked[name]] for name in ("tokens", "kind", "scope")} | {"answers": [answers]}
        scored = await self.loop.run_in_executor(None, lambda: self.reward.score([ids], columns))
        o = scored.outcomes
        reward = float(self.setup.objective(int(fields["global_steps"]))(o)[0, 0])
        extra = {
            "acc": float(o.correct[0, 0]),
            "length": int(o.length[0, 0]),
            "budget": int(o.budget[0, 0]),
            "kind": str(o.kind[0, 0]),
            "truncated": float(o.truncated[0, 0]),
            "no_answer": float(scored.no_answer[0]),
            "tokens": count,
            "row": int(fields["extra_info"]["index"]),
        }
        if asked["tokens"]:
            extra["length_error"] = abs(extra["length"] - asked["tokens"]) / asked["tokens"]
        return {"reward_score": reward, "reward_extra_info": extra}


def generation_eos(model: str) -> tuple[int, ...]:
    """The ids that end a response by the model's generation config, beside the tokenizer's; () where it has none.

    verl reads models from a local folder or the hub, and so does this.
    """
    from transformers import GenerationConfig

    if Path(model).is_dir() and not (Path(model) / "generation_config.json").is_file():
        return ()
    try:
        eos = GenerationConfig.from_pretrained(model).eos_token_id
    except OSError:
        return ()
    return () if eos is None else tuple(eos) if isinstance(eos, list) else (int(eos),)
