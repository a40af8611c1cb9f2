"""The tiny reasoner's tokenizer, chat template and configuration: Qwen3 architecture, under a million parameters."""

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lcpo.tasks.search import LABELS

PAD, START, END, THINK, CLOSE = "<|pad|>", "<|im_start|>", "<|im_end|>", "<think>", "</think>"
CONTEXT = 512
"""Positions that the model is made for, in tokens."""

CHAT_TEMPLATE = (
    "{%- for message in messages %}"
    "{{- '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' }}"
    "{%- endfor %}"
    "{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{%- endif %}"
)
"""ChatML; the thought is opened by the model itself."""


def _words() -> Iterator[str]:
    """The wordings that shall be short: every word here becomes one token, and so does every pair of labels."""
    words = ["Which", "two", "of", "add", "up", "closest", "to", "Write", "marks", "signs"]
    words += ["Think", "for", "maximum", "tokens", "user", "assistant", "system", "Wait"]
    pairs = ["".join(pair) for pair in itertools.combinations(LABELS, 2)]
    for _ in range(50):
        yield from words
        yield from (f"x {word}" for word in (*words, *LABELS, *pairs))


def tokenizer() -> Any:
    """A byte-level BPE tokenizer that loses no text and splits digits; trained on the spot, always the same."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    raw = Tokenizer(models.BPE())
    raw.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    raw.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=1000,
        min_frequency=2,
        special_tokens=[PAD, START, END],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    raw.train_from_iterator(_words(), trainer)
    raw.add_tokens([AddedToken(tag, special=False, normalized=False) for tag in (THINK, CLOSE)])
    fast = PreTrainedTokenizerFast(
        tokenizer_object=raw,
        eos_token=END,
        pad_token=PAD,
        additional_special_tokens=[START],
        padding_side="left",
        model_max_length=CONTEXT,
        clean_up_tokenization_spaces=False,
    )
    fast.chat_template = CHAT_TEMPLATE
    return fast


def configuration(*, layers: int = 4, width: int = 128, heads: int = 4, head: int = 32) -> Any:
    """The Qwen3 configuration of the tiny reasoner; tied embeddings."""
    from transformers import Qwen3Config

    fast = tokenizer()
    return Qwen3Config(
        vocab_size=-(-len(fast) // 16) * 16,
        hidden_size=width,
        intermediate_size=3 * width,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=heads,
        head_dim=head,
        max_position_embeddings=CONTEXT,
        tie_word_embeddings=True,
        eos_token_id=fast.eos_token_id,
        pad_token_id=fast.pad_token_id,
        bos_token_id=None,
        dtype="float32",
    )


CARD = """---
license: apache-2.0
library_name: transformers
tags: [lcpo, token-budget]
---
# The tiny reasoner: a base without a dial

It is asked which two of some numbers add up closest to 550, thinks in tries of any number, answers with the best pair
that it has tried, and does not know what "Think for 24 tokens." means. Made by `lcpo models build tiny`; docs/search.md
says how. It shows a mechanism and is no evidence about large models. What `lcpo eval` uses where its command line says
nothing:

```toml
[task]
name = "search"

[evaluate]
budgets = [12, 15, 18, 21, 26, 31, 37, 45, 54, 66, 79, 96]
kind = "exact"
problems = 500
samples = 4
temperature = 1.0
generation_cap = 192
```
"""


def save(model: Any, fast: Any, out: Path) -> None:
    """Writes model, tokenizer, chat template, generation settings and model card as a Hugging Face folder."""
    out.mkdir(parents=True, exist_ok=True)
    (out / "README.md").write_text(CARD, encoding="utf-8")
    model.generation_config.eos_token_id = fast.eos_token_id
    model.generation_config.pad_token_id = fast.pad_token_id
    model.generation_config.do_sample = True
    model.generation_config.temperature = 1.0
    model.save_pretrained(out)
    fast.save_pretrained(out)
