"""A tiny random model on disk, for tests of what runs around a model."""

from pathlib import Path

CARD = """# random

```toml
[task]
name = "sums"

[budget]
law = {law = "log_uniform", low = 12, high = 48}
keep_out = {modulus = 3, residues = [0]}

[evaluate]
budgets = [12, 16, 24]
kind = "max"
problems = 6
samples = 2
temperature = 0.8
generation_cap = 60
```
"""


def write(folder: Path, card: str = CARD, context: int = 512, seed: int = 0) -> Path:
    """Writes a random model of the tiny reasoner's kind, in Hugging Face format."""
    import torch
    from transformers import AutoModelForCausalLM

    from sums_model import configuration, save, tokenizer

    torch.manual_seed(seed)
    config = configuration(layers=1, width=32, heads=1, head=32)
    config.max_position_embeddings = context
    folder.mkdir(parents=True, exist_ok=True)
    words = tokenizer()
    words.model_max_length = context
    save(AutoModelForCausalLM.from_config(config), words, folder)
    (folder / "README.md").write_text(card)
    return folder
