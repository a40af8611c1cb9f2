"""Log-probabilities of responses, with each prompt read once for all of its rollouts.

TRL runs prompt + response for every rollout, so a prompt of 40 tokens with 4 rollouts of 35 costs 300 token passes;
here it costs 180. The keys and values of the prompt pass are dealt out to the rollouts inside the graph, so that
gradients are the same as those of the plain computation, up to rounding.
"""

from collections.abc import Mapping
from typing import Any

import torch
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

LARGEST = 2**26
"""Logits (rows x tokens x vocabulary) above which TRL's computation in tiles is the better one."""
WORTH = 0.75
"""Share of different prompts in a batch above which sharing does not pay."""


SHARED = ("prompt_ids", "prompt_mask", "completion_ids", "completion_mask")


def shareable(model: Any) -> bool:
    """Whether every layer is plain full attention by torch's own kernel, so that keys and values can be dealt out."""
    plain = all(type(layer) is DynamicLayer for layer in DynamicCache(config=model.config).layers)
    return plain and getattr(model.config, "_attn_implementation", "") == "sdpa"


def distinct(prompts: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """(rows of the first of each different prompt, which of them each row has), [U] and [B]."""
    place: dict[bytes, int] = {}
    firsts: list[int] = []
    which: list[int] = []
    for i, row in enumerate(prompts.cpu().numpy()):
        key = row.tobytes()
        if key not in place:
            place[key] = len(firsts)
            firsts.append(i)
        which.append(place[key])
    return torch.tensor(firsts, device=prompts.device), torch.tensor(which, device=prompts.device)


def logprobs(
    model: Any,
    batch: Mapping[str, torch.Tensor],
    temperature: float,
    shares: tuple[torch.Tensor, torch.Tensor],
    entropy_graph: bool = False,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Log-probabilities of the response tokens and entropies at them, nats, [B, T]; 0 where the mask is 0.

    batch: the tensors SHARED of TRL's output; prompts [B, P] are padded on the left, responses [B, T] on the right.
    shares: what `distinct(prompts)` returned.
    entropy_graph: whether a gradient flows through the entropies.
    """
    prompts, prompt_mask, responses, response_mask = (batch[name] for name in SHARED)
    firsts, which = shares
    cache = DynamicCache(config=model.config)
    mask = prompt_mask[firsts]
    positions = (mask.cumsum(1) - 1).clamp(min=0)
    backbone = model.base_model
    hidden = backbone(
        input_ids=prompts[firsts], attention_mask=mask, position_ids=positions, past_key_values=cache, use_cache=True
    ).last_hidden_state
    for layer in cache.layers:
        layer.keys, layer.values = layer.keys.index_select(0, which), layer.values.index_select(0, which)
    first = hidden[:, -1:].index_select(0, which)
    width = responses.shape[1] - 1
    if width:
        causal = torch.ones(width, width, dtype=torch.bool, device=responses.device).tril()
        prompt = mask[which].bool()[:, None, :].expand(len(which), width, mask.shape[1])
        seen = torch.cat([prompt, causal.expand(len(which), width, width)], dim=2)
        at = mask.sum(1)[which][:, None] + torch.arange(width, device=responses.device)
        rest = backbone(
            input_ids=responses[:, :-1],
            attention_mask=seen[:, None],
            position_ids=at,
            past_key_values=cache,
            use_cache=True,
        ).last_hidden_state
        first = torch.cat([first, rest], dim=1)
    kept = response_mask.bool()
    logits = model.get_output_embeddings()(first[kept]).float() / temperature
    logs = torch.log_softmax(logits, dim=-1)
    chosen = logs.gather(1, responses[kept][:, None])[:, 0]
    given = logs if entropy_graph else logs.detach()
    entropy = -(given.exp() * given).sum(dim=-1)
    blank = chosen.new_zeros(responses.shape)
    return blank.masked_scatter(kept, chosen), blank.masked_scatter(kept, entropy)
