"""The model in training: loaded with its adapter, passed from stage to stage as a folder, saved whole at the end."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import torch

from lcpo.engines.models import ADAPTED, ADAPTERS
from lcpo.errors import ConfigError, EngineError, unknown
from lcpo.measure import files
from lcpo.recipes.recipe import Recipe

ADAPTER = "adapter_config.json"


def load(base: str, recipe: Recipe, cpu: bool, stage: Path | None = None) -> tuple[Any, Any]:
    """(model, tokenizer) of `base`, or of what an earlier stage left in its folder: whole weights, or an adapter on it.

    Weights are fp32 unless trl.model_init_kwargs says otherwise, those below an adapter bf16 on a GPU. Raises
    EngineError.
    """
    from transformers import AutoModelForCausalLM, AutoTokenizer

    adapted = stage is not None and (stage / ADAPTER).exists()
    source = base if stage is None or adapted else str(stage)
    keywords = {"dtype": "float32" if cpu or recipe.lora is None else "bfloat16"}
    keywords |= dict(recipe.trl.get("model_init_kwargs") or {})
    if cpu:
        keywords["dtype"] = "float32"
    try:
        tokenizer = AutoTokenizer.from_pretrained(source, padding_side="left")
        model = AutoModelForCausalLM.from_pretrained(source, **keywords)
    except (OSError, ValueError, KeyError) as error:
        reason = str(error).splitlines()[0]
        raise EngineError(
            f"cannot load a model from {source}: {reason}; give a folder or hub id of a causal LM"
        ) from None
    if adapted:
        from peft import PeftModel

        model = PeftModel.from_pretrained(model, stage, is_trainable=True)
        model.peft_config["default"].base_model_name_or_path = base  # peft looks there when it saves, or asks the hub
    return model, tokenizer


def with_adapter(model: Any, recipe: Recipe) -> Any:
    """The model with the adapter of [lora], as it begins, unless it has one or the recipe wants none."""
    config = lora(recipe)
    if config is None or hasattr(model, "peft_config"):
        return model
    from peft import get_peft_model

    torch.manual_seed(recipe.seed)
    return get_peft_model(model, config)


def adapter(recipe: Recipe) -> Path | None:
    """The folder of the adapter that training goes on with, None where it begins a new one. Raises ConfigError."""
    if recipe.adapter is None:
        return None
    folder = next(
        (path for path in (ADAPTERS / recipe.adapter, Path(recipe.adapter) / "adapter", Path(recipe.adapter))
         if (path / ADAPTER).is_file()), None,
    )  # fmt: skip
    if folder is None:
        raise ConfigError(
            f"adapter {recipe.adapter} has no {ADAPTER}; give a folder that has one, a run with adapter/, or a name: "
            f"{', '.join(ADAPTED)}"
        )
    given, r = json.loads((folder / ADAPTER).read_text(encoding="utf-8")), (recipe.lora or {}).get("r")
    if r is not None and r != given.get("r"):
        raise ConfigError(f"adapter {recipe.adapter} has rank {given.get('r')} and lora.r is {r}; make them the same")
    return folder


def lora(recipe: Recipe) -> Any:
    """The peft configuration of a recipe's [lora] table, None for full fine-tuning. Raises ConfigError."""
    if recipe.lora is None:
        return None
    from peft import LoraConfig

    names = {field.name for field in dataclasses.fields(LoraConfig) if field.init}
    for key in recipe.lora:
        if key not in names:
            raise unknown("key in [lora]", key, names)
    return LoraConfig(**({"task_type": "CAUSAL_LM", "target_modules": "all-linear"} | recipe.lora))


def without_cudnn_attention() -> None:
    """Leaves attention to torch's other kernels, which are as fast here.

    From torch 2.11 on, cuDNN's backward pass gives NaN for some masks and lengths on an H100 or H200, while the loss is
    finite (https://github.com/pytorch/pytorch/issues/196678).
    """
    torch.backends.cuda.enable_cudnn_sdp(False)


def plain(model: Any) -> Any:
    """The causal LM inside of a model with an adapter; other models as they are."""
    return model.get_base_model() if hasattr(model, "get_base_model") else model


def save(model: Any, tokenizer: Any, run: Path, card: str, state: Any = None) -> None:
    """model/ with weights, tokenizer, chat template, generation settings and card; LoRA: merged, with adapter/ kept.

    The model is merged in place, so this comes last. state: the weights, gathered, where every process holds a part.
    """
    if hasattr(model, "merge_and_unload"):
        files.write_folder(run / "adapter", lambda folder: _save_adapter(model, folder))
        model = model.merge_and_unload()

    def write(folder: Path) -> None:
        model.save_pretrained(folder, state_dict=state)
        tokenizer.save_pretrained(folder)
        (folder / "README.md").write_text(card, encoding="utf-8")

    files.write_folder(run / "model", write)


def save_stage(model: Any, tokenizer: Any, folder: Path) -> None:
    """What a stage leaves for the next one: the adapter alone, or whole weights; and the tokenizer."""

    def write(part: Path) -> None:
        _save_adapter(model, part) if hasattr(model, "peft_config") else model.save_pretrained(part)
        tokenizer.save_pretrained(part)

    files.write_folder(folder, write)


def _save_adapter(model: Any, folder: Path) -> None:
    model.save_pretrained(folder, selected_adapters=["default"])
    (folder / "README.md").unlink(missing_ok=True)  # peft's own card has nothing but blanks
