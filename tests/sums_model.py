"""Models of the sums world ("Add b48 c17 d93 e25."): three trained ones in fixtures/, and random ones of any size."""

import shutil
from pathlib import Path
from typing import Any

FIXTURES = Path(__file__).parent / "fixtures"
BASE, EXACT, MAX = (FIXTURES / f"sums-{name}" for name in ("base", "exact", "max"))
"""0.4 M parameters each: a base without a dial, what LCPO made of it, and what LCPO made of that for maxima."""
RECIPE, CONTROL = (str(FIXTURES / f"sums-{name}.toml") for name in ("exact", "control"))
"""The recipe that made EXACT, and a short one that pays for correctness alone; who uses them gives the model."""


def tokenizer() -> Any:
    """The tokenizer of the three, left-padded; it loses no text and splits digits."""
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(BASE)


def configuration(*, layers: int, width: int, heads: int, head: int = 32) -> Any:
    """The configuration of the three in another size."""
    from transformers import Qwen3Config

    return Qwen3Config.from_pretrained(
        BASE,
        hidden_size=width,
        intermediate_size=3 * width,
        num_hidden_layers=layers,
        layer_types=["full_attention"] * layers,
        num_attention_heads=heads,
        num_key_value_heads=heads,
        head_dim=head,
    )


def save(model: Any, fast: Any, out: Path) -> None:
    """Writes a model in Hugging Face format, with the base's generation settings and model card."""
    model.save_pretrained(out)
    fast.save_pretrained(out)
    for name in ("generation_config.json", "README.md"):
        shutil.copyfile(BASE / name, out / name)
