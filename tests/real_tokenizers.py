"""Small real tokenizers, built in a second, that write `<think>` and `</think>` in the ways that real ones do."""

import functools
from collections.abc import Sequence
from typing import Any

import pytest

from lcpo.thinking import CLOSE, OPEN, Marks, eos_ids

KINDS = ("qwen", "added", "whole", "llama", "gpt2")
"""How they write the tags, see build."""

QWEN = r" ?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+"
"""How Qwen's tokenizers cut a text before they merge: line breaks go with the signs before them."""
SENTENCES = ["So 12 = 19.</think>\n\nIt is 19.", "<think>\nLet us see. ", "(a)</think>\n\n\n4", "8\n</think>\n\n"]
TAGS = ["</think>\n\n", "</think>\n\n", "</think>", "<think>", "<think>\n", "x"]


@functools.cache
def build(kind: str) -> Any:
    """A small real tokenizer that writes the tags in its own way.

    qwen: byte-level BPE that merges `>` with line breaks, and `<` with what stands before it. added: the same with tags
    that are tokens of their own. whole: a tag is one token of BPE, which goes on to merge. gpt2: byte-level BPE in
    GPT-2's pieces. llama: SentencePiece's spaces, and bytes for what it does not know.
    """
    tokenizers = pytest.importorskip("tokenizers", reason="real tokenizers are built by the package tokenizers")
    transformers = pytest.importorskip("transformers", reason="and wrapped by transformers")
    from tokenizers import decoders, models, pre_tokenizers, trainers

    special = ["<|end|>", *([OPEN, CLOSE] if kind == "added" else [])]
    if kind == "llama":
        special += [f"<0x{byte:02X}>" for byte in range(256)]
        tokenizer = tokenizers.Tokenizer(models.BPE(byte_fallback=True, unk_token="<0x00>"))
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
        tokenizer.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Metaspace()])
        trainer = trainers.BpeTrainer(vocab_size=330, special_tokens=special)
    else:
        tokenizer = tokenizers.Tokenizer(models.BPE())
        cut = [pre_tokenizers.Split(tokenizers.Regex(QWEN), "isolated")] if kind in ("qwen", "added") else []
        to_bytes = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=kind == "gpt2")
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence([*cut, to_bytes])
        tokenizer.decoder = decoders.ByteLevel()
        trainer = trainers.BpeTrainer(
            vocab_size=320 if kind == "whole" else 420,
            special_tokens=special,
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        )
    tokenizer.train_from_iterator((TAGS if kind == "whole" else SENTENCES) * 20, trainer)
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token="<|end|>", clean_up_tokenization_spaces=False
    )


def encode(tokenizer: Any, text: str) -> list[int]:
    return list(tokenizer.encode(text, add_special_tokens=False))


def decode(tokenizer: Any, ids: Sequence[int]) -> str:
    return str(tokenizer.decode(list(ids), skip_special_tokens=False))


def marks_of(tokenizer: Any) -> Marks:
    return Marks.of(
        functools.partial(encode, tokenizer), eos_ids(tokenizer.eos_token_id), functools.partial(decode, tokenizer)
    )
