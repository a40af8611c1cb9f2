"""A randomly initialised Qwen3-architecture model and a byte-level BPE tokenizer trained on the problems themselves.

For trying a whole training path on real data where no model is at hand; nothing is expected to be learned.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from lcpo.recipes.recipe import Scratch

CHAT_TEMPLATE = (
    "{%- for message in messages %}"
    "{%- set content = message['content'] %}"
    "{%- if message['role'] == 'assistant' and '</think>' in content %}"
    "{%- set content = content.split('</think>')[-1].lstrip('\\n') %}"
    "{%- endif %}"
    "{{- '<|im_start|>' + message['role'] + '\\n' + content + '<|im_end|>' + '\\n' }}"
    "{%- endfor %}"
    "{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}"
    "{%- if enable_thinking is defined and enable_thinking is false %}{{- '<think>\\n\\n</think>\\n\\n' }}{%- endif %}"
    "{%- endif %}"
)
"""ChatML as Qwen3 uses it: earlier thoughts are dropped, `enable_thinking=false` closes an empty one in the prompt."""


def tokenizer(texts: Iterable[str], vocabulary: int) -> Any:
    """A byte-level BPE tokenizer of at most `vocabulary` tokens, trained on `texts`; the same for the same texts."""
    from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    raw = Tokenizer(models.BPE())
    split = Regex(r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s+")
    raw.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(split, "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    raw.decoder = decoders.ByteLevel()
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary - 2, special_tokens=special, initial_alphabet=alphabet, show_progress=False
    )
    raw.train_from_iterator(texts, trainer)
    raw.add_tokens([AddedToken(tag, special=False, normalized=False) for tag in ("<think>", "</think>")])
    fast = PreTrainedTokenizerFast(
        tokenizer_object=raw,
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        additional_special_tokens=["<|im_start|>"],
        padding_side="left",
        clean_up_tokenization_spaces=False,
    )
    fast.chat_template = CHAT_TEMPLATE
    return fast


def build(table: Scratch, texts: Iterable[str], seed: int, out: Path) -> None:
    """Writes model and tokenizer as a Hugging Face folder; the same for the same texts and seed."""
    import torch
    from transformers import Qwen3Config, Qwen3ForCausalLM

    fast = tokenizer(texts, table.vocabulary)
    config = Qwen3Config(
        vocab_size=-(-len(fast) // 16) * 16,
        hidden_size=table.width,
        intermediate_size=3 * table.width,
        num_hidden_layers=table.layers,
        num_attention_heads=table.heads,
        num_key_value_heads=table.heads,
        head_dim=table.head,
        max_position_embeddings=table.context,
        tie_word_embeddings=True,
        eos_token_id=fast.eos_token_id,
        pad_token_id=fast.pad_token_id,
        bos_token_id=None,
        dtype="float32",
    )
    torch.manual_seed(seed)
    model = Qwen3ForCausalLM(config)
    model.generation_config.eos_token_id = fast.eos_token_id
    model.generation_config.pad_token_id = fast.pad_token_id
    model.save_pretrained(out)
    fast.save_pretrained(out)
