"""A golden short run: two steps, compared with what they were when last looked at.

Budgets and prompts must agree to the letter. Rollouts are sampled from a random model, where rounding may tip a token
on another processor, so most of their lengths must agree, and means to a few per cent. Where a change is meant,
`python tests/train/test_golden_run.py` writes the file anew.
"""

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "short_run.json"

TABLES: dict[str, Any] = {
    "advantage": "per_budget",
    "threads": 1,
    "task": {"name": "sums", "problems": 50},
    "budget": {"law": {"law": "log_uniform", "low": 12, "high": 24}, "per_group": 4},
    "objective": {"name": "gated"},
    "group": {"size": 16, "problems": 4, "micro_batch": 16},
    "log": {"rollouts_every": 1, "rollouts": 64},
    "trl": {"max_steps": 2, "learning_rate": 1e-3, "max_completion_length": 48, "save_steps": 2, "use_cpu": True},
}


def record(model: Path, out: Path) -> dict[str, Any]:
    """What the two steps do."""
    from lcpo.recipes.recipe import parse_recipe
    from lcpo.train.run import train

    recipe = parse_recipe({"model": str(model), **TABLES}, "golden")
    lines = train("golden", recipe, out, quiet=True).lines
    kept = [(out / "rollouts" / f"step-{step:06d}.jsonl").read_text(encoding="utf-8") for step in (1, 2)]
    rollouts = [json.loads(line) for text in kept for line in text.splitlines()]
    return {
        "prompts": [one["prompt"] for one in rollouts][::8],
        "asked": [one["asked"] for one in rollouts],
        "lengths": [one["length"] for one in rollouts],
        "metrics": [{name: line[name] for name in ("reward", "length", "mare", "entropy")} for line in lines],
    }


def test_the_short_run_is_what_it_was(small_model: Path, tmp_path: Path) -> None:
    golden, now = json.loads(GOLDEN.read_text(encoding="utf-8")), record(small_model, tmp_path / "run")
    assert now["prompts"] == golden["prompts"]
    assert now["asked"] == golden["asked"]
    same = sum(a == b for a, b in zip(now["lengths"], golden["lengths"], strict=True))
    assert same >= 0.9 * len(golden["lengths"])
    for line, expected in zip(now["metrics"], golden["metrics"], strict=True):
        assert line == {name: pytest.approx(value, rel=0.05) for name, value in expected.items()}


if __name__ == "__main__":
    import torch
    from transformers import Qwen3ForCausalLM

    from sums_model import configuration, save, tokenizer

    with tempfile.TemporaryDirectory() as scratch:
        torch.manual_seed(0)
        small = Path(scratch) / "small"
        save(Qwen3ForCausalLM(configuration(layers=1, width=32, heads=2, head=16)), tokenizer(), small)
        made = record(small, Path(scratch) / "run")
    GOLDEN.write_text(json.dumps(made, indent=1) + "\n", encoding="utf-8")
    print(f"wrote {GOLDEN}", file=sys.stderr)
