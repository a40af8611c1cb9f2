"""The weights that generate, where those in training do not serve: fp32 on a GPU, or with an adapter beside them."""

import copy
from typing import Any

import torch

from lcpo.errors import EngineError

LARGE = 50_000_000
"""Parameters from which on a copy is bf16 on a CPU as well; smaller models are faster in fp32 there."""


def is_large(model: Any) -> bool:
    """Whether a model has LARGE parameters or more."""
    return sum(int(parameter.numel()) for parameter in model.parameters()) >= LARGE


def fast_bf16() -> bool:
    """Whether this machine's CPU computes in bf16 itself; others are slower in it than in fp32."""
    known: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
    return bool(known.get("avx512_bf16") or known.get("amx_bf16") or known.get("bf16"))


def wants_copy(model: Any) -> bool:
    """Whether a model generates faster from a copy of its weights."""
    return hasattr(model, "get_base_model") or (model.device.type == "cuda" and model.dtype == torch.float32)


class GenerationCopy:
    """A plain bf16 model with the weights of a live one, adapters merged; `refresh` follows the live weights."""

    def __init__(self, live: Any) -> None:
        self.live = live
        base = live.get_base_model() if hasattr(live, "get_base_model") else live
        dtype = torch.bfloat16 if is_large(base) or live.device.type == "cuda" else live.dtype
        with torch.device(live.device):
            self.model = type(base)(copy.deepcopy(base.config)).to(dtype).eval().requires_grad_(False)
        self.model.generation_config = base.generation_config
        self.base = base
        self.refresh()

    @torch.no_grad()
    def refresh(self) -> None:
        """Copies the live weights as they are now. Raises EngineError for an adapter that it cannot merge."""
        live = {_plain(name): parameter for name, parameter in self.base.named_parameters()}
        for path, module in self.base.named_modules():
            if getattr(module, "active_adapters", None) and hasattr(module, "get_merged_weights"):
                live[_plain(f"{path}.weight")] = module.get_merged_weights(module.active_adapters)
            elif getattr(module, "active_adapters", None) and hasattr(module, "get_delta_weight"):
                live[f"{path}.weight"] = _merged(module)
        own = dict(self.model.named_parameters())
        missing = sorted(own.keys() - live.keys())
        if missing:
            raise EngineError(f"cannot merge this adapter: it hides {missing[0]}; train with LoRA, or without one")
        torch._foreach_copy_(list(own.values()), [live[name] for name in own])


def _plain(name: str) -> str:
    """The name of a parameter without what adapters put around it."""
    for part in (".base_layer", ".token_adapter", ".original_module"):
        name = name.replace(part, "")
    return name.replace(".modules_to_save.default", "")


def _merged(module: Any) -> torch.Tensor:
    """The weight of an adapted layer with its adapters added."""
    weight: torch.Tensor = module.get_base_layer().weight
    for adapter in module.active_adapters:
        weight = weight + module.get_delta_weight(adapter).to(weight.dtype)
    return weight
