"""A run: its folder, its repetition, its interruption, and what goes wrong in one line."""

import json
import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner

from lcpo.cli import cli
from lcpo.errors import ConfigError, EngineError, LcpoError
from lcpo.measure import files
from lcpo.recipes.recipe import Recipe, read_recipe
from lcpo.train import checkpoint
from lcpo.train.data import load
from lcpo.train.run import plan, train
from sums_model import CONTROL, RECIPE

Make = Callable[..., Recipe]


def lines(run: Path) -> list[dict[str, Any]]:
    """Metrics without what a clock says."""
    found = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [{name: value for name, value in line.items() if not name.startswith("seconds")} for line in found]


def same_weights(one: Path, other: Path) -> bool:
    from safetensors.torch import load_file

    a, b = load_file(one / "model.safetensors"), load_file(other / "model.safetensors")
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, small_model: Path) -> Path:
    """A finished run of 4 steps."""
    run = tmp_path_factory.mktemp("runs") / "whole"
    train("test", recipe_of(small_model), run, quiet=True)
    return run


def recipe_of(small_model: Path, *overrides: str) -> Recipe:
    """The sums world's recipe, shortened to 4 steps of 4 x 4 rollouts of the small model."""
    short = (
        f"model={small_model}", "trl.max_steps=4", "trl.save_steps=2", "trl.max_completion_length=24",
        "budget.law.low=4", "budget.kinds={exact=1.0}",
        "budget.law.high=12", "budget.per_group=2", "group.size=4", "group.problems=4", "group.micro_batch=8",
        "task.problems=40", "log.rollouts_every=2", "log.rollouts=8", "trl.learning_rate=1e-3", "log.dial_after=2",
        "hindsight.optimizer=adamw",
    )  # fmt: skip
    _, made = read_recipe(RECIPE, [*short, *overrides])
    return made.model_copy(update={"hindsight": None})


def test_the_run_folder(whole: Path, small_model: Path) -> None:
    present = {path.name for path in whole.iterdir()}
    assert {
        "recipe.toml",
        "manifest.json",
        "metrics.jsonl",
        "tensorboard",
        "rollouts",
        "checkpoint-4",
        "model",
    } <= present
    metrics = lines(whole)
    assert [line["step"] for line in metrics] == [1, 2, 3, 4]
    wanted = {"reward", "accuracy", "length", "slope", "mare", "bins", "kl", "entropy", "tokens", "loss", "objective"}
    assert wanted <= metrics[-1].keys()
    assert metrics[-1]["tokens"] > metrics[0]["tokens"] > 0
    assert sum(one["rollouts"] for one in metrics[0]["bins"]) == 16
    record = json.loads((whole / "manifest.json").read_text())
    assert record["steps"] == 4
    assert record["cpu_seconds"] > 0
    assert record["data"]["problems"] == 40
    assert record["versions"]["trl"]
    assert len(record["model"]["sha256"]) == 64
    rollouts = [json.loads(line) for line in (whole / "rollouts" / "step-000001.jsonl").read_text().splitlines()]
    assert len(rollouts) == 8
    assert {"prompt", "text", "asked", "length", "correct", "reward", "advantage", "gold", "truncated"} <= rollouts[
        0
    ].keys()
    assert sorted(path.name for path in (whole / "rollouts").iterdir()) == ["step-000001.jsonl", "step-000003.jsonl"]


def test_the_model_loads_elsewhere_with_its_card(whole: Path, small_model: Path) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from lcpo.engines.models import resolve

    AutoModelForCausalLM.from_pretrained(whole / "model")
    made, base = AutoTokenizer.from_pretrained(whole / "model"), AutoTokenizer.from_pretrained(small_model)
    text = "Add a48 b17. Think for 12 tokens.\n <think> b65</think>65"
    assert made.encode(text) == base.encode(text)
    assert made.chat_template == base.chat_template
    assert made.decode(made.encode(text)) == text
    card = (whole / "model" / "README.md").read_text()
    assert "| budget (mean) | tokens used |" in card
    assert not same_weights(whole / "model", small_model)
    source = resolve(str(whole))
    assert source.tables["budget"]["per_group"] == 2
    alone = whole.parent / "copied"
    (whole / "model").rename(alone)
    try:
        assert resolve(str(alone)).tables["budget"]["law"]["high"] == 12
    finally:
        alone.rename(whole / "model")


def test_same_seed_same_run(whole: Path, small_model: Path, tmp_path: Path) -> None:
    result = train("test", recipe_of(small_model), tmp_path / "again", quiet=True)
    assert result.complete
    assert lines(result.run) == lines(whole)
    assert same_weights(result.run / "model", whole / "model")
    other = train("test", recipe_of(small_model, "seed=1"), tmp_path / "other", quiet=True)
    assert lines(other.run) != lines(whole)


def test_resumed_is_uninterrupted(whole: Path, small_model: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    train("test", recipe_of(small_model), run, quiet=True)
    import shutil

    shutil.rmtree(run / "model")
    shutil.rmtree(run / "checkpoint-4")
    (run / "checkpoint-3").mkdir()  # half written: no marker
    with (run / "metrics.jsonl").open("a") as file:
        file.write('{"step": 5, "rewa')
    result = train("test", recipe_of(small_model), run, resume=True, quiet=True)
    assert result.complete
    assert lines(run) == lines(whole)
    assert same_weights(run / "model", whole / "model")
    assert not (run / "checkpoint-3").exists()


def test_resuming_a_finished_run_does_nothing(whole: Path, small_model: Path) -> None:
    before = (whole / "model" / "model.safetensors").stat().st_mtime_ns
    assert train("test", recipe_of(small_model), whole, resume=True, quiet=True).complete
    assert (whole / "model" / "model.safetensors").stat().st_mtime_ns == before


def test_a_model_of_an_earlier_stop_is_replaced(whole: Path, small_model: Path, tmp_path: Path) -> None:
    """Stopped at step 2, resumed, every step made, and killed while model/ was to be saved."""
    import shutil

    run = tmp_path / "run"
    shutil.copytree(whole, run)
    shutil.rmtree(run / "model")
    shutil.copytree(small_model, run / "model")
    record = json.loads((run / "manifest.json").read_text())
    files.write_json(run / "manifest.json", {**record, "steps": 2})
    assert train("test", recipe_of(small_model), run, resume=True, quiet=True).complete
    assert same_weights(run / "model", whole / "model")


@pytest.mark.parametrize("what", ["data", "model"])
def test_other_data_or_another_base_is_refused(whole: Path, small_model: Path, tmp_path: Path, what: str) -> None:
    import shutil

    run = tmp_path / "run"
    shutil.copytree(whole, run)
    record = json.loads((run / "manifest.json").read_text())
    changed = {"data": {**record["data"], "sha256": {"a.json": "1"}}, "model": {**record["model"], "sha256": "2"}}
    files.write_json(run / "manifest.json", {**record, "steps": 2, what: changed[what]})
    with pytest.raises(ConfigError, match=f"started with other {what}"):
        train("test", recipe_of(small_model), run, resume=True, quiet=True)


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("model=/no/such/model", "unknown model"),
        ("lora={rank = 8}", "unknown key in"),
        ("trl.eval_strategy=steps", "does not evaluate"),
        ("trl.learning_rate=fast", "should be a valid number"),
        ("trl.max_completion_length=100000", "has a context of 512 tokens"),
    ],
)
def test_a_dry_run_finds_what_would_fail_later(small_model: Path, tmp_path: Path, override: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        plan("test", recipe_of(small_model, override), tmp_path)


def test_an_existing_run_or_another_recipe_is_refused(whole: Path, small_model: Path) -> None:
    with pytest.raises(ConfigError, match="--resume"):
        train("test", recipe_of(small_model), whole, quiet=True)
    with pytest.raises(ConfigError, match=r"objective\.sharpness: [0-9.]+ -> 9"):
        train("test", recipe_of(small_model, "objective.sharpness=9.0"), whole, resume=True, quiet=True)


def test_an_unwritable_folder_is_one_line(small_model: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="is no folder, or may not be written; choose another --out"):
        train("test", recipe_of(small_model), tmp_path / "file" / "run", quiet=True)


@pytest.mark.parametrize("what", ["metrics", "marker", "checkpoint", "model"])
def test_a_failed_write_is_one_line_and_loses_nothing(
    whole: Path, small_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    """The disk fills up at step 4; with room again, --resume gives the run that never failed."""
    run = tmp_path / "run"
    full = OSError(28, "No space left on device")
    write_text, save = files.write_text, torch.save

    def fails(path: Any) -> bool:
        names = {
            "metrics": "step-000003",
            "marker": "checkpoint-4/lcpo.json",
            "checkpoint": "checkpoint-4",
            "model": "?",
        }
        return names[what] in str(path)

    def failing_text(path: Path, text: str) -> None:
        if fails(path):
            raise full
        write_text(path, text)

    def failing_save(value: Any, path: Any, *args: Any, **kwargs: Any) -> None:
        if what == "checkpoint" and fails(path):
            raise RuntimeError("PytorchStreamWriter failed writing file data/0: file write failed")
        save(value, path, *args, **kwargs)

    with monkeypatch.context() as broken:
        broken.setattr(files, "write_text", failing_text)
        broken.setattr("lcpo.train.recorder.write_text", failing_text)
        broken.setattr(torch, "save", failing_save)
        if what == "model":
            from transformers import PreTrainedTokenizerFast

            def failing_tokenizer(self: Any, folder: Any, **_: Any) -> None:
                if "model" in Path(folder).name:
                    raise full

            broken.setattr(PreTrainedTokenizerFast, "save_pretrained", failing_tokenizer)
        with pytest.raises(LcpoError) as caught:
            train("test", recipe_of(small_model), run, quiet=True)
    assert isinstance(caught.value, EngineError)
    assert "--resume" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert train("test", recipe_of(small_model), run, resume=True, quiet=True).complete
    assert lines(run) == lines(whole)
    assert same_weights(run / "model", whole / "model")


def test_ctrl_c_saves_and_resumes(whole: Path, small_model: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"

    def interrupt() -> None:
        while not (run / "metrics.jsonl").exists():
            pass
        os.kill(os.getpid(), signal.SIGINT)

    watcher = threading.Thread(target=interrupt)
    watcher.start()
    result = train("test", recipe_of(small_model), run, quiet=True)
    watcher.join()
    if not result.complete:
        assert (run / f"checkpoint-{result.steps}" / checkpoint.MARKER).exists()
        assert (run / "model" / "config.json").exists()
        train("test", recipe_of(small_model), run, resume=True, quiet=True)
    assert lines(run) == lines(whole)
    assert same_weights(run / "model", whole / "model")


def test_lora_keeps_the_adapter_and_merges(small_model: Path, tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM

    made = recipe_of(small_model, "lora={r=4, lora_alpha=8}", "trl.learning_rate=1e-2")
    run = train("test", made, tmp_path / "run", quiet=True).run
    assert (run / "adapter" / "adapter_config.json").exists()
    assert not (run / "model" / "adapter_config.json").exists()
    from peft import PeftModel

    base = AutoModelForCausalLM.from_pretrained(small_model)
    adapted = PeftModel.from_pretrained(base, run / "adapter").eval()
    merged = AutoModelForCausalLM.from_pretrained(run / "model").eval()
    ids = torch.tensor([[5, 6, 7, 8]])
    torch.testing.assert_close(adapted(ids).logits, merged(ids).logits, rtol=1e-4, atol=1e-4)
    with pytest.raises(ConfigError, match="Did you mean 'lora_alpha'"):
        train("test", recipe_of(small_model, "lora={lora_alfa=8}"), tmp_path / "other", quiet=True)


def test_checkpoints_rotate_only_behind_a_marker(tmp_path: Path) -> None:
    for step in (2, 4, 6, 10):
        (tmp_path / f"checkpoint-{step}").mkdir()
        if step != 6:
            (tmp_path / f"checkpoint-{step}" / checkpoint.MARKER).write_text("{}")
    assert [step for step, _ in checkpoint.checkpoints(tmp_path)] == [2, 4, 10]
    checkpoint.rotate(tmp_path, 2)
    assert [step for step, _ in checkpoint.checkpoints(tmp_path)] == [4, 10]
    checkpoint.discard_broken(tmp_path, 4)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoint-4"]


def test_the_command_prints_a_table(small_model: Path, tmp_path: Path) -> None:
    short = [f"model={small_model}", "trl.max_steps=2", "trl.save_steps=2", "trl.max_completion_length=24",
             "budget.law.low=4", "budget.law.high=12", "group.problems=2", "task.problems=20"]  # fmt: skip
    out = tmp_path / "run"
    done = CliRunner().invoke(cli, ["train", CONTROL, *short, "--out", str(out)], catch_exceptions=False)
    assert done.exit_code == 0
    assert "| budget (mean) | tokens used | off by | accuracy |" in done.stdout
    assert "LCPO: 2/2  accuracy" in done.stderr
    shown = CliRunner().invoke(cli, ["show", str(out)], catch_exceptions=False)
    assert "asked   exact" in shown.stdout
    plain = CliRunner().invoke(cli, ["train", CONTROL, *short, "--dry-run", "--json"], catch_exceptions=False)
    told = json.loads(plain.stdout)
    assert told["takes"]["rollouts"] == 64
    assert told["resolved"]["trl.max_grad_norm"] == "1.0"
    assert told["resolved"]["trl.gradient_checkpointing"] == "False"
    for more, says in (([], "exists already"), (["--resume", "seed=3"], "seed: 0 -> 3")):
        done = CliRunner().invoke(cli, ["train", CONTROL, *short, *more, "--dry-run", "--out", str(out)])
        assert says in str(done.exception)


def test_prompts_that_leave_no_room_are_left_out_and_counted(small_model: Path, tmp_path: Path) -> None:
    questions = [f"{i}+{i}?" for i in range(20)] + [f"What is {i}" + "+1" * 230 + "?" for i in range(20)]
    (tmp_path / "d.json").write_text(json.dumps([{"question": q, "answer": "2"} for q in questions]))
    data = f'task={{data=["{tmp_path / "d.json"}"], verifier="exact"}}'
    recipe = recipe_of(small_model, data)
    every, made = load(recipe.task, recipe.seed)[1].problems, plan("test", recipe, tmp_path)
    kept = made.loaded.problems
    assert kept == [problem for problem in every if len(problem.question) < 100]
    assert made.loaded.dropped.counts["longer than the context of 512 tokens"] == len(every) - len(kept) > 10


def test_the_warning_says_what_to_try(small_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recipe = recipe_of(small_model, "budget.law.high=20", "group.problems=8")
    train("test", recipe, tmp_path / "run")
    said = capsys.readouterr().err
    assert said.count("lengths do not follow the budgets") == 1
    assert "[hindsight]" in said
