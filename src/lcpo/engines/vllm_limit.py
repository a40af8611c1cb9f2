"""A budget of the whole response inside of vLLM: thought, closing tag, answer and EOS together.

    vllm serve MODEL --logits-processors lcpo.engines.vllm_limit:ResponseBudget
    {"vllm_xargs": {"response_budget": 64}, ...}

vLLM's own thinking_token_budget limits the thought alone. This is the interface of its V1 model runner
(VLLM_USE_V2_MODEL_RUNNER=0); V2 has another one and refuses such a class, and V1 takes none with speculative decoding.
It is named on the command line and is no plug-in, so that lcpo changes nothing of other servers beside it.
"""

from typing import Any

from vllm.sampling_params import SamplingParams
from vllm.v1.sample.logits_processor import AdapterLogitsProcessor

from lcpo.engines.limit import ResponseLimit, Tags

ARGUMENT = "response_budget"


class ResponseBudget(AdapterLogitsProcessor):  # type: ignore[misc]
    """Keeps every request that names `response_budget` in vllm_xargs to so many tokens."""

    def __init__(self, vllm_config: Any, device: Any, is_pin_memory: bool) -> None:
        super().__init__(vllm_config, device, is_pin_memory)
        from transformers import AutoTokenizer

        model = vllm_config.model_config
        self.tags = Tags.of(AutoTokenizer.from_pretrained(model.tokenizer, revision=model.tokenizer_revision))

    @classmethod
    def validate_params(cls, sampling_params: SamplingParams) -> None:
        """Raises ValueError, which vLLM answers with a 400, for what is no number of tokens."""
        budget = _budget(sampling_params)
        if budget is not None and (isinstance(budget, bool) or not isinstance(budget, int) or budget < 2):
            raise ValueError(f"{ARGUMENT} is a whole number of tokens from 2 on, given {budget!r}")

    def is_argmax_invariant(self) -> bool:
        """It changes which token is the likeliest."""
        return False

    def new_req_logits_processor(self, params: SamplingParams) -> ResponseLimit | None:
        """What keeps one request to its budget, None where it has none."""
        budget = _budget(params)
        return None if budget is None else ResponseLimit(budget, self.tags)


def _budget(params: SamplingParams) -> Any:
    return (params.extra_args or {}).get(ARGUMENT)
