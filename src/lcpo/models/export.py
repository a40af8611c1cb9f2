"""A model that leaves lcpo: adapters merged, Hugging Face format, and a chat template that takes a budget.

What is written loads in plain transformers and in vLLM, with nothing of lcpo installed beside them.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lcpo.budgets.chat_template import with_budget, without_budget
from lcpo.budgets.prompting import add_budget, template_named
from lcpo.config import read_toml
from lcpo.engines.formats import format_of, ids_of
from lcpo.engines.models import BUILT, SHIPPED, ModelSource, card_tables, resolve
from lcpo.errors import ConfigError, EngineError, MissingExtra, unknown
from lcpo.measure import files
from lcpo.measure.portable import portable
from lcpo.thinking import Marks
from lcpo.types import Budget, Kind

DTYPES = ("float32", "bfloat16", "float16")
PROBE = "Think for 64 tokens.\n\n  12 + 19 =\t?\n<think>\n31, so é\n</think>\n\n31"
"""A text that a tokenizer must read the same once it is saved and loaded again."""


@dataclass(frozen=True)
class Origin:
    """What is exported: a model in Hugging Face format, and the adapter that is merged into it, if there is one."""

    source: ModelSource
    adapter: str | None = None


def export(
    model: str,
    folder: Path,
    *,
    base: str | None = None,
    dtype: str | None = None,
    wording: str | None = None,
    kind: Kind | None = None,
) -> dict[str, Any]:
    """Writes `model` to `folder`, whole or not at all, and says what it did.

    model: a shipped name, a run, a folder, a hub id, or an adapter of any of these. base: what an adapter belongs to,
    where it does not say that itself. dtype: of the weights; None: the model's own. wording, kind: of the budget that
    the chat template writes; None: what the model was trained on, else l1 and exact. Raises ConfigError, EngineError.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConfigError(f"{folder} is there and not empty; give another DIR, or empty it")
    if dtype is not None and dtype not in DTYPES:
        raise unknown("dtype", dtype, DTYPES)
    origin = origin_of(model, base)
    tables = origin.source.tables
    wording = wording or tables.get("budget", {}).get("template", "l1")
    kind = kind or ("max" if tables.get("evaluate", {}).get("kind") == "max" else "exact")
    template_named(wording)
    weights, tokenizer = load(origin, dtype)
    take_budget(tokenizer, origin.source.name, wording, kind)
    told = {
        "model": origin.source.name,
        "folder": str(folder),
        "parameters": sum(parameter.numel() for parameter in weights.parameters()),
        "dtype": str(weights.dtype).removeprefix("torch."),
        "merged": None if origin.adapter is None else portable(origin.adapter),
        "wording": wording,
        "kind": kind,
        "reasoning_parser": parser_of(tokenizer),
    }

    def write(part: Path) -> None:
        weights.save_pretrained(part)
        tokenizer.save_pretrained(part)
        _check_saved(tokenizer, part)
        (part / "README.md").write_text(card(origin, told), encoding="utf-8")

    with files.writing(str(folder), "make room, then export again"):
        files.write_folder(folder, write)
    return told


def origin_of(model: str, base: str | None = None) -> Origin:
    """What `model` names, an adapter with what it belongs to. Raises ConfigError and EngineError."""
    from transformers.utils.peft_utils import find_adapter_config_file

    path = Path(model)
    if not (path / "adapter_config.json").is_file():
        source = resolve(model)
        if source.kind == "server":
            raise ConfigError(f"{model} is a server, and its weights are not here; give a folder or a hub id")
        if source.kind != "hub" or find_adapter_config_file(source.path) is None:
            if base is not None:
                raise ConfigError(f"--base is for adapters, and {model} is a whole model; leave it out")
            return Origin(source)
        path = Path(source.path)
    run = path.parent / "recipe.toml"
    tables = read_toml(run) if run.is_file() else card_tables(path)
    below = resolve(base or (str(tables["model"]) if run.is_file() else _named_base(str(path))))
    name = path.resolve().parent.name if run.is_file() else path.name
    return Origin(replace(below, name=name, tables=tables), str(path))


def _named_base(adapter: str) -> str:
    """The model that an adapter says it belongs to; a model that lcpo builds goes by its name on every machine.

    Raises EngineError where it is not here.
    """
    try:
        from peft import PeftConfig
    except ImportError:
        raise MissingExtra("peft", "train") from None
    named = str(PeftConfig.from_pretrained(adapter).base_model_name_or_path)
    last = Path(named).name
    if Path(named).is_absolute() and not Path(named).is_dir():
        if last not in (*SHIPPED, *BUILT):
            raise EngineError(f"{adapter} belongs to {named}, which is not here; name it with --base")
        return last
    return named


def load(origin: Origin, dtype: str | None = None) -> tuple[Any, Any]:
    """(model, tokenizer), merged in float32, in `dtype` or the base's own type. Raises EngineError."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer
    from transformers.utils import logging

    logging.disable_progress_bar()
    path, adapter = origin.source.path, origin.adapter
    try:
        config = AutoConfig.from_pretrained(path)
        wanted = getattr(torch, dtype) if dtype else getattr(config, "dtype", None) or torch.float32
        has_tokenizer = adapter is not None and (Path(adapter) / "tokenizer_config.json").is_file()
        tokenizer = AutoTokenizer.from_pretrained(adapter if has_tokenizer else path)
        model = AutoModelForCausalLM.from_pretrained(path, dtype=wanted if adapter is None else torch.float32)
    except (OSError, ValueError, KeyError) as error:
        raise EngineError(f"cannot load a model from {path}: {str(error).splitlines()[0]}") from None
    if adapter is not None:
        from peft import PeftModel

        try:
            adapted = PeftModel.from_pretrained(model, adapter)
        except (RuntimeError, ValueError) as error:
            reason = str(error).splitlines()[-1].strip()
            raise EngineError(
                f"the adapter {adapter} does not fit {path}: {reason}; name its base with --base"
            ) from None
        if not hasattr(adapted, "merge_and_unload"):
            raise EngineError(f"{adapter} is an adapter that cannot be merged into weights; LoRA can")
        model = adapted.merge_and_unload(safe_merge=True).to(wanted)
    return model.eval(), tokenizer


def take_budget(tokenizer: Any, name: str, wording: str, kind: Kind) -> None:
    """Gives a tokenizer the chat template that takes a budget, and checks what it writes. Raises EngineError."""
    plain = tokenizer.chat_template
    if isinstance(plain, Mapping):  # several, by name: that for tools is another
        plain = plain.get("default")
    if not plain:
        raise EngineError(f"{name} has no chat template, and a budget stands in one; add a chat_template.jinja to it")
    plain = without_budget(plain)
    tokenizer.chat_template = with_budget(plain, wording, kind)
    kinds: tuple[Kind, ...] = ("exact", "max")
    for before in ([], [{"role": "user", "content": "1+1?"}, {"role": "assistant", "content": "2"}]):
        for each in kinds:
            budget = Budget(each, 64, template_named(wording).scope)
            asked = [*before, {"role": "user", "content": "2+2?"}]
            written = [*before, {"role": "user", "content": add_budget("2+2?", budget, wording)}]
            ours = _rendered(tokenizer, asked, thinking_budget=64, thinking_budget_kind=each)
            if ours != _rendered(tokenizer, written, chat_template=plain) or written[-1]["content"] not in ours:
                raise EngineError(f"the chat template of {name} does not show the user's last message as it is")


def _rendered(tokenizer: Any, messages: list[dict[str, str]], **given: Any) -> str:
    text: str = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True, **given)
    return text


def _check_saved(tokenizer: Any, folder: Path) -> None:
    """Raises EngineError where a saved tokenizer reads otherwise than the one that was saved."""
    from transformers import AutoTokenizer

    saved = AutoTokenizer.from_pretrained(folder)
    if ids_of(saved, PROBE) != ids_of(tokenizer, PROBE) or saved.chat_template != tokenizer.chat_template:
        raise EngineError(
            "the tokenizer, once saved, reads text otherwise than before; transformers of another version"
        )


def parser_of(tokenizer: Any) -> str | None:
    """vLLM's parser of the thought, None where the tags are no tokens of their own: it needs such."""
    marks = Marks.of(lambda text: ids_of(tokenizer, text), (), tokenizer.decode)
    if not (marks.open and marks.close):
        return None
    return "deepseek_r1" if format_of(tokenizer).opened else "qwen3"


def command(told: Mapping[str, Any]) -> str:
    """The command that serves what was exported."""
    parser = f" --reasoning-parser {told['reasoning_parser']}" if told["reasoning_parser"] else ""
    return f"vllm serve {told['folder']}{parser}"


def card(origin: Origin, told: Mapping[str, Any]) -> str:
    """The model's own card, or a short one, and how a budget is given to what was exported."""
    own = [Path(each) / "README.md" for each in (origin.adapter, origin.source.path) if each is not None]
    if origin.adapter is not None:
        own.insert(1, Path(origin.adapter).parent / "model" / "README.md")
    text = next((each.read_text(encoding="utf-8") for each in own if each.is_file()), None)
    if text is None:
        text = f"---\ntags: [lcpo, token-budget]\npipeline_tag: text-generation\n---\n\n# {origin.source.name}\n"
        if origin.source.kind == "hub":
            text = text.replace("---\n", f"---\nbase_model: {origin.source.path}\n", 1)
    words = template_named(told["wording"])
    exact, most = (sentence.strip().format(n="N") for sentence in (words.exact, words.max))
    shown = json.dumps({"thinking_budget": 64, "thinking_budget_kind": told["kind"]})
    return f"""{text.rstrip()}

## Budgets per request

Written by `lcpo models export`: weights merged, in {told["dtype"]}. The chat template takes `thinking_budget`, a number
of tokens, and `thinking_budget_kind`: `exact` ("{exact}") or `max` ("{most}"), {told["kind"]} where a request does
not say. The sentence ends the user's last message.

```bash
{command({**told, "folder": "."})}
```

```json
{{"messages": [{{"role": "user", "content": "..."}}], "chat_template_kwargs": {shown}}}
```
"""
