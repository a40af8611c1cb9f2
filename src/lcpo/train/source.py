"""Where a recipe's `model` comes from: shipped, a run folder, a Hugging Face folder, a hub id, or from scratch."""

from pathlib import Path
from typing import Any

from lcpo.errors import EngineError
from lcpo.recipes.recipe import Recipe
from lcpo.train import scratch
from lcpo.types import Problem


def base(recipe: Recipe, problems: list[Problem], run: Path) -> str:
    """The folder or hub id that training starts from. Raises ConfigError or EngineError."""
    if recipe.scratch is not None:
        out = run / "base"
        if not (out / "config.json").exists():
            texts = (text for problem in problems for text in (problem.question, *problem.answers))
            scratch.build(recipe.scratch, texts, recipe.seed, out)
        return str(out)
    from lcpo.engines.models import resolve

    return str(resolve(recipe.model).path)


def load(source: str, recipe: Recipe, cpu: bool) -> tuple[Any, Any]:
    """(model, tokenizer): fp32 weights unless trl.model_init_kwargs says otherwise. Raises EngineError."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    keywords = {"dtype": "float32"} | dict(recipe.trl.get("model_init_kwargs") or {})
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
    return model, tokenizer
