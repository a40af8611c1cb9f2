"""verl's own code with lcpo's plug-in, without Ray: the same recorded ids and rewards as through TRL and the core."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from cpu_settings import RIG

from lcpo.advantages import advantage
from lcpo.cluster import launch
from lcpo.errors import ConfigError
from lcpo.measure import files
from lcpo.recipes.recipe import parse_recipe, read_recipe
from lcpo.types import Outcomes

L1 = ("l1-exact", "l1-exact-r1", "l1-max", "l1-max-r1")


def ask(document: dict) -> dict:
    """The probe's answer; it runs in a process of its own, where verl may warn and log as it likes."""
    done = subprocess.run(
        [sys.executable, str(RIG / "probe.py")], input=json.dumps(document), capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])


def recipe_of(model: Path, **more):
    """A dual recipe: exact rows by distance, max rows by eq. 2."""
    table = {
        "model": str(model),
        "task": {"name": "sums"},
        "budget": {"law": {"law": "uniform", "low": 4, "high": 24}, "kinds": {"exact": 0.5, "max": 0.5}},
        "objective": {
            "name": "mixed",
            "exact": {"name": "exact", "alpha": 0.01},
            "max": {"name": "max", "alpha": 0.05},
        },
        "group": {"size": 4, "problems": 8},
        "trl": {"max_steps": 2, "max_completion_length": 32},
    }
    return parse_recipe(table | more, "test")


def recorded(tokenizer) -> list[dict]:
    """Rollouts of every kind: right, wrong, cut off, without an answer, EOS alone, and with text after EOS."""
    texts = [
        "<think>3+4=7</think>7",
        "<think>3+4=8</think>8",
        "<think>3+4",
        "7",
        "<think></think>",
        "<think>x</think>7 é✓",
    ]
    rollouts = []
    for i, text in enumerate(texts * 2):
        ids = tokenizer.encode(text, add_special_tokens=False)
        if not text.endswith("4"):
            ids.append(tokenizer.eos_token_id)
        kind = ("exact", "max", "none")[i % 3]
        asked = {"tokens": 0 if kind == "none" else 3 + i, "kind": kind, "scope": "response"}
        rollouts.append({"ids": ids, "answers": ["7"], "asked": asked})
    rollouts.append({"ids": [tokenizer.eos_token_id], "answers": ["7"], "asked": rollouts[0]["asked"]})
    return rollouts


@pytest.mark.slow
def test_rewards_advantages_and_configurations_through_verl(cpu_rig, random_model, tmp_path):
    transformers = pytest.importorskip("transformers")
    from lcpo.cluster.launch import prepare
    from lcpo.train.reward import LcpoReward

    tokenizer = transformers.AutoTokenizer.from_pretrained(random_model)
    recipe = recipe_of(random_model)
    rollouts = recorded(tokenizer)
    rewards = np.random.default_rng(0).normal(size=(5, 4)).round(3)
    configs = {}
    data = tmp_path / "d.json"
    data.write_text(json.dumps([{"problem": f"p {i}", "answer": str(i)} for i in range(300)]))
    for name in L1:
        _, l1 = read_recipe(name, [f'task.data=["{data}"]', "model=owner/name", "evaluate.budgets=[512, 1024]"])
        configs[name] = prepare(name, l1, tmp_path / name).config
    found = ask(
        {
            "rewards": {
                "recipe": recipe.toml(),
                "verifier": "exact",
                "model": str(random_model),
                "rollouts": rollouts,
            },
            "advantages": {"rewards": rewards.tolist(), "padding": 3},
            "configs": [str(path) for path in configs.values()],
        }
    )
    assert found["missing"] == []
    _same_rewards(recipe, LcpoReward(recipe.objective, tokenizer, verifier="exact"), rollouts, found["rewards"])
    for name, values in found["advantages"].items():
        core = advantage(name)(rewards[None], np.zeros(rewards.shape, dtype=np.int64))
        np.testing.assert_allclose(values, core, rtol=2e-5, atol=2e-6)
    _paper_settings({name: found["configs"][str(path)] for name, path in configs.items()})


def _same_rewards(recipe, reward, rollouts, managed) -> None:
    columns = {f"budget_{name}": [one["asked"][name] for one in rollouts] for name in ("tokens", "kind", "scope")}
    columns |= {"answers": [one["answers"] for one in rollouts]}
    ids = [one["ids"] for one in rollouts]
    under_trl = reward(completion_ids=ids, **columns)
    o: Outcomes = reward.score(ids, columns).outcomes
    assert [one["length"] for one in managed] == [len(i) for i in ids] == o.length[0].tolist()
    assert [one["acc"] for one in managed] == o.correct[0].tolist()
    assert {0.0, 1.0} == set(o.correct[0].tolist()) and o.truncated.any()
    core = recipe.objective(o)[0]
    assert under_trl == core.tolist()
    assert [one["reward"] for one in managed] == [float(np.float32(r)) for r in core]


def _paper_settings(found) -> None:
    for name, one in found.items():
        maximum = "max" in name
        assert one == {
            "reference": True,
            "n": 16,
            "response_length": 4500 if maximum else 4096,
            "lr": 4e-6 if maximum else 1e-6,
            "mini_batch": 64,
            "kl": 0.001,
            "entropy": 0.001,
            "aggregation": "token-mean",
            "estimator": "grpo",
            "steps": 120 if maximum else 700,
            "gpus": 8,
            "save_freq": 60 if maximum else 20,
        }


@pytest.mark.parametrize("name", [*L1, "l1-exact-1gpu", "l1-max-1gpu"])
def test_every_l1_recipe_composes_with_trls_configuration(name, tmp_path):
    trl = pytest.importorskip("trl")
    from lcpo.train.settings import settings

    overrides = ["trl.use_cpu=true", "trl.bf16=false", "trl.use_vllm=false"]  # what asks for a GPU
    _, recipe = read_recipe(name, overrides)
    args = settings(recipe, tmp_path)
    assert isinstance(args, trl.GRPOConfig)
    assert (args.num_generations, args.beta, args.temperature, args.loss_type) == (16, 0.001, 0.6, "dapo")
    assert args.max_completion_length >= 4096
    problems = recipe.group.problems
    assert args.generation_batch_size == 16 * problems and args.steps_per_generation * args.per_device_train_batch_size


def test_what_only_trl_can_do_is_refused_in_one_line(random_model):
    from lcpo.cluster.settings import refuse

    for more in ({"hindsight": {}}, {"supervised": {"data": "x.jsonl"}}):
        with pytest.raises(ConfigError, match=f"{next(iter(more))} works with --engine trl only") as caught:
            refuse(recipe_of(random_model, **more))
        assert "\n" not in str(caught.value)
    with pytest.raises(ConfigError, match="'linear' has no counterpart in verl; take constant or cosine"):
        refuse(recipe_of(random_model, trl={"lr_scheduler_type": "linear", "max_steps": 1}))
    with pytest.raises(ConfigError, match="'sapo' has no counterpart in verl"):
        refuse(recipe_of(random_model, trl={"loss_type": "sapo", "max_steps": 1}))


def test_a_dry_run_writes_no_recipe_and_leaves_a_run_alone(random_model, tmp_path):
    recipe, run = recipe_of(random_model), tmp_path / "run"
    made = launch.train("t", recipe, run, dry_run=True)
    assert all(Path(path).exists() for path in made["files"])
    assert not (run / "recipe.toml").exists()
    files.write_json(run / "manifest.json", {})
    files.write_text(run / "recipe.toml", recipe_of(random_model, seed=5).toml())
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    with pytest.raises(ConfigError, match="exists already; go on with --resume"):
        launch.train("t", recipe, run, dry_run=True)
    with pytest.raises(ConfigError, match="seed: 5 -> 0"):
        launch.train("t", recipe, run, dry_run=True, resume=True)
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before


def test_the_last_exception_of_a_log_is_the_reason():
    from lcpo.cluster.launch import reason

    log = (
        "step:1 - actor/loss:0.1\n(TaskRunnerV1 pid=7) ValueError: early\n"
        "ray.exceptions.ActorDiedError: The actor died.\n\n"
        "Set the environment variable HYDRA_FULL_ERROR=1 for a complete stack trace.\n"
    )
    assert reason(log) == "ray.exceptions.ActorDiedError: The actor died."
    assert reason("\n") == "it wrote nothing" and reason("a\nb\n") == "b"
    assert len(reason("RuntimeError: " + "x" * 900)) < 320


def test_settings_merge_and_misspelt_keys():
    from lcpo.cluster.settings import expand, merge

    assert expand({"a.b": 1, "a": {"c": 2}}) == {"a": {"b": 1, "c": 2}}
    base = {"trainer": {"nnodes": 1, "free": {}}, "ray_kwargs": {"ray_init": {"num_cpus": None}}}
    assert merge(base, {"trainer": {"free": {"x": 1}}}, "verl")["trainer"] == {"nnodes": 1, "free": {"x": 1}}
    assert merge(base, {"ray_kwargs": {"ray_init": {"address": "auto"}}}, "verl")["ray_kwargs"]["ray_init"]["address"]
    with pytest.raises(ConfigError, match="Did you mean 'nnodes'"):
        merge(base, {"trainer": {"nnode": 2}}, "verl")


@pytest.mark.slow
def test_settings_that_would_spoil_a_run_and_the_self_check(cpu_rig, random_model, tmp_path, monkeypatch):
    from lcpo.cluster import launch

    with pytest.raises(ConfigError, match=r"capped at 8 tokens and the largest budget is 24"):
        launch.prepare("t", recipe_of(random_model, trl={"max_steps": 2, "max_completion_length": 8}), tmp_path / "a")
    colocated = {"trainer": {"v1": {"trainer_mode": "colocate_async"}}}
    with pytest.raises(ConfigError, match="'colocate_async' cannot give advantage 'pooled'"):
        launch.prepare("t", recipe_of(random_model, advantage="pooled", verl=colocated), tmp_path / "b")
    made = launch.prepare("t", recipe_of(random_model), tmp_path / "c")
    assert made.command[1:3] == ["-m", "verl.trainer.main_ppo"] and made.config.is_file()
    check = [sys.executable, "-m", "lcpo.cluster.check", str(made.config)]
    assert _says(check) == ""
    for name in ("VERL_PLATFORM", "VERL_USE_EXTERNAL_MODULES"):
        monkeypatch.delenv(name)
    assert "--engine verl needs a GPU and none is visible here; train with --engine trl" in _says(check)
    monkeypatch.setenv("VERL_USE_EXTERNAL_PLUGINS", "none")
    assert "verl runs without lcpo's plug-in (no agent loop, reward manager, advantage, trainer)" in _says(check)
    shutil.rmtree(tmp_path / "c")


def _says(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    said = [line for line in done.stdout.splitlines() if line.startswith("lcpo: ")]
    assert len(said) == done.returncode, done.stderr[-1000:]
    return said[0] if said else ""
