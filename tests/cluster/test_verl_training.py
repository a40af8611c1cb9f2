"""verl's real trainer on Ray, on a CPU: one worker, killed and resumed; two workers with several budgets in a group."""

import json
import math
import os
import signal
import threading
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
from cpu_settings import verl_on_cpu

from lcpo.advantages import advantage
from lcpo.errors import ConfigError, EngineError
from lcpo.recipes.recipe import parse_recipe
from lcpo.types import Outcomes

pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.timeout(900)]
MIXED = {"name": "mixed", "exact": {"name": "exact", "alpha": 0.01}, "max": {"name": "max", "alpha": 0.05}}


def recipe_of(model: Path, workers: int, steps: int, **more):
    table = {
        "model": str(model),
        "seed": 3,
        "task": {"name": "sums", "problems": 64},
        "budget": {"law": {"law": "log_uniform", "low": 4, "high": 16}, "kinds": {"exact": 0.5, "max": 0.5}},
        "objective": MIXED,
        "group": {"size": 4, "problems": 8},
        "log": {"rollouts_every": 1, "rollouts": 32},
        "evaluate": {"budgets": [8, 16]},
        "trl": {"max_steps": steps, "max_completion_length": 40, "learning_rate": 1e-4, "save_steps": 1, "beta": 0.01},
        "verl": verl_on_cpu(workers),
    }
    return parse_recipe(table | more, "test")


def rollouts_of(run: Path) -> dict[int, list[dict]]:
    """The rollouts kept, by step; every one of them, as the recipe asks for."""
    files = sorted((run / "rollouts").glob("step-*.jsonl"))
    return {int(f.stem[5:]): [json.loads(line) for line in f.read_text().splitlines()] for f in files}


def outcomes_of(rows: list[dict], group: int) -> Outcomes:
    def grid(name, kind):
        return np.array([row[name] for row in rows]).astype(kind).reshape(-1, group)

    return Outcomes(
        grid("correct", "f8"), grid("length", "i8"), grid("budget", "i8"), grid("kind", str), grid("truncated", "?")
    )


def check_rollouts(run: Path, recipe, tokenizer) -> None:
    """Prompts, budgets, caps, rewards and advantages of every rollout that verl trained on, against the core."""
    group, steps = recipe.group.size, rollouts_of(run)
    assert steps
    for step, rows in steps.items():
        assert len(rows) == recipe.group.rollouts
        o = outcomes_of(rows, group)
        for place, row in enumerate(rows):
            drawn = recipe.budget.sampler.draw(recipe.seed, step - 1, row["row"], group)[place % group]
            assert (drawn.kind, drawn.tokens) == (row["kind"], row["budget"]) and row["asked"] == drawn.tokens
            sentence = " Think for maximum {} tokens." if drawn.kind == "max" else " Think for {} tokens."
            assert sentence.format(drawn.tokens) + "<|im_end|>\n<|im_start|>assistant\n" in row["prompt"]
            cap = min(40, recipe.objective.cap(drawn) or 40)
            assert row["length"] <= cap and row["truncated"] == (not row["text"].endswith("<|im_end|>"))
            assert row["length"] == cap or not row["truncated"]
            assert len(tokenizer.encode(row["text"], add_special_tokens=False)) <= row["length"] or "�" in row["text"]
        np.testing.assert_array_equal(recipe.objective(o).ravel(), [row["reward"] for row in rows])
        core = advantage(recipe.advantage)(recipe.objective.terms(o), o.budget)
        np.testing.assert_allclose([row["advantage"] for row in rows], core.ravel(), rtol=2e-5, atol=2e-6)
    capped = [row for rows in steps.values() for row in rows if row["kind"] == "max" and row["truncated"]]
    assert any(row["length"] == math.ceil(row["budget"] + 10) < 40 for row in capped)  # delta/alpha = 10 tokens


def lines_of(run: Path) -> list[dict]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def kill_when(run: Path, step: int, victim: str) -> threading.Thread:
    """Kills verl's Ray process whose name holds `victim` once the metrics have `step` lines."""

    def wait_and_kill():
        for _ in range(4000):
            time.sleep(0.2)
            path = run / "metrics.jsonl"
            if path.is_file() and len(path.read_text().splitlines()) >= step:
                for process in psutil.process_iter(["cmdline"]):
                    if victim in " ".join(process.info["cmdline"] or []) and _is_ours(process):
                        os.kill(process.pid, signal.SIGKILL)
                return

    thread = threading.Thread(target=wait_and_kill, daemon=True)
    thread.start()
    return thread


def _is_ours(process: psutil.Process) -> bool:
    """Whether a process descends from this test."""
    try:
        return os.getpid() in [parent.pid for parent in process.parents()]
    except psutil.Error:
        return False


def test_a_killed_worker_stops_the_run_in_one_line_and_the_run_resumes(cpu_rig, random_model, tmp_path):
    transformers = pytest.importorskip("transformers")
    from lcpo.cluster import launch

    run, recipe = tmp_path / "run", recipe_of(random_model, 1, 6)
    killer = kill_when(run, 2, "WorkerDict")
    with pytest.raises(EngineError) as caught:
        launch.train("test", recipe, run, quiet=True)
    killer.join(5)
    said = str(caught.value)
    assert "\n" not in said and "verl stopped with exit code" in said and "--resume" in said and "died" in said.lower()
    done = launch.latest(run)
    assert 1 <= done < 6 and not (run / "model").exists()
    with pytest.raises(ConfigError, match="exists already; go on with --resume"):
        launch.train("test", recipe, run)

    result = launch.train("test", recipe, run, resume=True, quiet=True)
    assert [line["step"] for line in lines_of(run)] == [1, 2, 3, 4, 5, 6]
    tokens = [line["tokens"] for line in lines_of(run)]
    assert tokens == sorted(tokens) and result["tokens"] == tokens[-1]
    assert all(line["kl"] is not None and line["entropy"] > 0 for line in lines_of(run))
    assert "Resuming from" in (run / "verl.log").read_text(errors="replace")
    assert "lcpo/mare" in (run / "verl.log").read_text(errors="replace")  # in verl's own training log

    tokenizer = transformers.AutoTokenizer.from_pretrained(run / "model")
    check_rollouts(run, recipe, tokenizer)
    _is_a_model(run, random_model, transformers, tokenizer)


def _is_a_model(run: Path, before: Path, transformers, tokenizer) -> None:
    """model/ is in Hugging Face format with template and card, and differs from what training began with."""
    import torch

    from lcpo.engines.models import resolve

    assert resolve(str(run)).path == str(run / "model") and (run / "model" / "README.md").is_file()
    after = transformers.AutoModelForCausalLM.from_pretrained(run / "model", dtype=torch.float32)
    old = transformers.AutoModelForCausalLM.from_pretrained(before, dtype=torch.float32)
    pairs = list(zip(after.state_dict().items(), old.state_dict().items(), strict=True))
    assert any(not torch.equal(a, b) for (_, a), (_, b) in pairs)
    assert all((a - b).abs().max() < 0.05 for (_, a), (_, b) in pairs)
    for text in ("x\ny  z", "<think>3+4</think>"):
        assert tokenizer.decode(tokenizer.encode(text)) == text
    assert tokenizer.chat_template


def test_two_workers_with_several_budgets_in_a_group(cpu_rig, random_model, tmp_path):
    transformers = pytest.importorskip("transformers")
    from lcpo.cluster import launch

    budget = {"law": {"law": "log_uniform", "low": 4, "high": 16}, "kinds": {"exact": 0.5, "max": 0.5}, "per_group": 2}
    recipe = recipe_of(random_model, 2, 2, advantage="pooled", budget=budget)
    recipe.verl["trainer"]["test_freq"] = 2
    launch.train("test", recipe, tmp_path / "run", quiet=True)
    check_rollouts(tmp_path / "run", recipe, transformers.AutoTokenizer.from_pretrained(random_model))
    lines = lines_of(tmp_path / "run")
    assert [line["step"] for line in lines] == [1, 2]
    assert "val-core/sums/acc/mean@1" in (tmp_path / "run" / "verl.log").read_text(errors="replace")
    record = json.loads((tmp_path / "run" / "manifest.json").read_text())
    assert (record["engine"], record["steps"]) == ("verl", 2) and record["versions"]["verl"] == "0.9.1"
