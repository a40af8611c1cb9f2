"""The stages before RL: each goes on where it was interrupted, hands on its model, and says what it left out."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from lcpo.errors import ConfigError, EngineError, TaskError
from lcpo.measure import files
from lcpo.recipes.recipe import Recipe
from lcpo.train.run import STAGES, train

Make = Callable[..., Recipe]
LAW = {"law": {"law": "log_uniform", "low": 1, "high": 24}}
HINDSIGHT: dict[str, Any] = {"samples": 24, "steps": 6, "batch": 4, "bins": 4, "lr": 1e-2, "filler": 1.0}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Twenty rows to learn from, one of them empty and one too long."""
    rows = [{"prompt": f"Add b{i + 10} c11.", "response": f"<think> {i}</think>{i + 21}"} for i in range(18)]
    rows += [{"prompt": "x", "response": ""}, {"prompt": [{"role": "user", "content": "y"}], "response": "7 " * 600}]
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def weights(run: Path, name: str = "model") -> dict[str, torch.Tensor]:
    return dict(load_file(run / name / "model.safetensors"))


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def test_each_stage_starts_from_the_one_before(recipe: Make, data: Path, tmp_path: Path) -> None:
    table = {"data": str(data), "epochs": 2, "batch": 6, "lr": 1e-2}
    made = recipe(supervised=table, hindsight=HINDSIGHT, budget=LAW, trl={"max_steps": 1})
    run = train("test", made, tmp_path / "run", quiet=True).run
    assert not list((run / STAGES).glob("*.partial"))
    told = json.loads((run / "manifest.json").read_text())["stages"]
    assert told["supervised"]["rows"] == 18
    assert told["supervised"]["steps"] == 6
    assert told["supervised"]["dropped"] == {"empty": 1, "longer than the context of 512 tokens": 1}
    (first,) = told["hindsight"]
    assert first["samples"] == 24 == first["used"] + first["cut"] + first["filtered"] + first["outside"]
    alone = recipe(supervised=table, trl={"max_steps": 0})
    only = train("test", alone, tmp_path / "only", quiet=True)
    assert only.complete
    assert only.steps == 0
    assert same(weights(only.run), weights(run / STAGES, "supervised"))
    onward = recipe(model=str(only.run / "model"), hindsight=HINDSIGHT, budget=LAW, trl={"max_steps": 1})
    assert same(weights(train("test", onward, tmp_path / "onward", quiet=True).run), weights(run))


@pytest.mark.parametrize("after", ["samples", "steps"])
def test_a_killed_stage_goes_on(recipe: Make, tmp_path: Path, after: str) -> None:
    """Killed while it samples, or while it learns: what was drawn is not drawn again, and the end is the same."""
    changes = {"hindsight": {**HINDSIGHT, "samples": 1100, "steps": 40, "save_every": 5}, "budget": LAW}
    made = recipe(**changes, trl={"max_steps": 0})
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    train("test", made, whole, quiet=True)
    (tmp_path / "r.toml").write_text(made.toml())
    command = [sys.executable, "-m", "lcpo", "train", str(tmp_path / "r.toml"), "--out", str(killed), "--quiet"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        work = killed / STAGES / "hindsight.partial"
        watched = work / ("samples-1-0.jsonl" if after == "samples" else "hindsight-1.pt")
        while process.poll() is None and not (watched.exists() and watched.stat().st_size):
            time.sleep(0.001)
        os.kill(process.pid, signal.SIGKILL)
    drawn = len(files.read_lines(work / "samples-1-0.jsonl"))
    assert drawn == 1100 if after == "steps" else drawn > 0
    train("test", made, killed, resume=True, quiet=True)
    assert same(weights(killed), weights(whole))


def test_ctrl_c_in_a_stage_saves_and_resumes(recipe: Make, tmp_path: Path) -> None:
    made = recipe(hindsight={**HINDSIGHT, "steps": 400, "save_every": 400}, budget=LAW, trl={"max_steps": 0})
    run = tmp_path / "run"

    def interrupt() -> None:
        while not (run / STAGES / "hindsight.partial" / "samples-1-0.jsonl").exists():
            time.sleep(0.001)
        time.sleep(0.3)
        os.kill(os.getpid(), signal.SIGINT)

    watcher = threading.Thread(target=interrupt)
    watcher.start()
    with pytest.raises(EngineError, match=r"stopped, .* kept; go on with --resume"):
        train("test", made, run, quiet=True)
    watcher.join()
    assert train("test", made, run, resume=True, quiet=True).complete
    again = train("test", made, tmp_path / "again", quiet=True)
    assert same(weights(run), weights(again.run))


def test_an_adapter_goes_through_all_stages(recipe: Make, data: Path, tmp_path: Path) -> None:
    """The adapter is the same one from stage to stage; the base below it never changes."""
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    made = recipe(
        supervised={"data": str(data), "lr": 1e-2}, hindsight=HINDSIGHT, budget=LAW, lora={"r": 4},
        trl={"max_steps": 1, "beta": 0.1},
    )  # fmt: skip
    run = train("test", made, tmp_path / "run", quiet=True).run
    adapters = [load_file(folder / "adapter_model.safetensors") for folder in
                (run / STAGES / "supervised", run / STAGES / "hindsight", run / "adapter")]  # fmt: skip
    assert adapters[0].keys() == adapters[1].keys() == adapters[2].keys()
    assert not same(adapters[0], adapters[1])
    assert not same(adapters[1], adapters[2])
    assert {path.name for path in (run / "adapter").iterdir()} == {"adapter_config.json", "adapter_model.safetensors"}
    base = AutoModelForCausalLM.from_pretrained(made.model)
    adapted = PeftModel.from_pretrained(base, run / "adapter").eval()
    merged = AutoModelForCausalLM.from_pretrained(run / "model").eval()
    ids = torch.tensor([[5, 6, 7, 8]])
    torch.testing.assert_close(adapted(ids).logits, merged(ids).logits, rtol=1e-4, atol=1e-4)


def test_training_goes_on_with_an_adapter(recipe: Make, data: Path, tmp_path: Path) -> None:
    """The next run begins with its weights, writes an adapter of the same base, and knows it by its hash."""
    first = train(
        "test", recipe(supervised={"data": str(data), "lr": 1e-2}, lora={"r": 4}, trl={"max_steps": 0}),
        tmp_path / "first", quiet=True,
    ).run  # fmt: skip
    onward = recipe(adapter=str(first), lora={"r": 4}, trl={"max_steps": 1, "learning_rate": 1e-30})
    run = train("test", onward, tmp_path / "onward", quiet=True).run
    assert same(weights(run), weights(first))
    with_adapter = recipe(
        adapter=str(first / "adapter"), lora={"r": 4}, hindsight=HINDSIGHT, budget=LAW, trl={"max_steps": 0}
    )
    learned = train("test", with_adapter, tmp_path / "learned", quiet=True).run
    before, after = (load_file(each / "adapter" / "adapter_model.safetensors") for each in (first, learned))
    assert before.keys() == after.keys()
    assert not same(before, after)
    told = json.loads((run / "manifest.json").read_text())["model"]
    assert told["adapter_sha256"] == files.model_sha256(first / "adapter")


def test_hindsight_keeps_what_is_done_without_a_budget(recipe: Make, tmp_path: Path) -> None:
    kinds, models = {**LAW, "kinds": {"exact": 0.5, "none": 0.5}}, []
    for share in (0.0, 0.5):
        table = {**HINDSIGHT, "unasked": share, "asked": True}
        made = recipe(hindsight=table, budget=kinds, objective={"name": "mixed"}, trl={"max_steps": 0})
        models.append(weights(train("test", made, tmp_path / str(share), quiet=True).run))
    assert not same(*models)


def test_an_adapter_that_does_not_fit_is_refused(recipe: Make, data: Path, tmp_path: Path) -> None:
    folder = tmp_path / "given"
    folder.mkdir()
    with pytest.raises(ConfigError, match=r"has no adapter_config\.json; give a folder .* smol, smol-exact"):
        train("test", recipe(adapter=str(folder), lora={"r": 4}), tmp_path / "a", quiet=True)
    (folder / "adapter_config.json").write_text('{"r": 8}')
    with pytest.raises(ConfigError, match=r"has rank 8 and lora\.r is 4"):
        train("test", recipe(adapter=str(folder), lora={"r": 4}), tmp_path / "b", quiet=True)
    with pytest.raises(ConfigError, match=r"add \[lora\]"):
        recipe(adapter=str(folder))


def test_wrong_rows_are_named(recipe: Make, tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    made = recipe(supervised={"data": str(path)}, trl={"max_steps": 0})
    with pytest.raises(TaskError, match="cannot read"):
        train("test", made, tmp_path / "a", quiet=True)
    path.write_text('{"prompt": "x", "response": "y"}\n{"prompt": "x", "answer": "y"}\n')
    with pytest.raises(TaskError, match="line 2: give"):
        train("test", made, tmp_path / "b", quiet=True)


def test_no_stage_and_no_steps_is_refused(recipe: Make, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="num_train_epochs"):
        train("test", recipe(trl={"max_steps": 0}), tmp_path / "a", quiet=True)


def test_phases_and_coverage_are_said(recipe: Make, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = recipe(hindsight=HINDSIGHT, budget=LAW, trl={"max_steps": 1})
    train("test", made, tmp_path / "run")
    said = capsys.readouterr().err
    assert [line for line in said.splitlines() if line.endswith(" done")] == [
        "1/3 sampling own answers: 0 of 24 done", "2/3 hindsight: 0 of 6 done", "3/3 LCPO: 0 of 1 done",
    ]  # fmt: skip
    assert "24 own samples: " in said
    assert "  tokens       samples   right" in said


SCRIPT = """
import sys
from pathlib import Path
from lcpo.recipes.recipe import read_recipe
from lcpo.train.run import train
_, recipe = read_recipe(sys.argv[1])
train("test", recipe, Path(sys.argv[2]), quiet=True)
"""


@pytest.mark.slow
def test_two_processes_make_the_samples_and_weights_of_one(recipe: Make, data: Path, tmp_path: Path) -> None:
    made = recipe(
        supervised={"data": str(data), "batch": 6, "lr": 1e-2}, hindsight={**HINDSIGHT, "rounds": 2}, budget=LAW,
        trl={"max_steps": 0},
    )  # fmt: skip
    (tmp_path / "r.toml").write_text(made.toml())
    (tmp_path / "script.py").write_text(SCRIPT)
    runs = []
    for processes in (1, 2):
        launch = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", str(processes)]
        runs.append(tmp_path / str(processes))
        done = subprocess.run(
            [sys.executable, *launch, str(tmp_path / "script.py"), str(tmp_path / "r.toml"), str(runs[-1])],
            capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr[-3000:]
    one, two = (json.loads((run / "manifest.json").read_text())["stages"]["hindsight"] for run in runs)
    assert one[0]["bins"] == two[0]["bins"]
    for name, value in weights(runs[0]).items():
        torch.testing.assert_close(weights(runs[1])[name], value, rtol=1e-3, atol=1e-4)


def test_a_second_process_in_the_run_folder_is_refused(recipe: Make, tmp_path: Path) -> None:
    code = "from pathlib import Path; from lcpo.measure.files import locked\n"
    code += f"with locked(Path({str(tmp_path)!r}) / 'run'): print(flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=-1, stdout=-1) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        with pytest.raises(ConfigError, match="another process is writing into"):
            train("test", recipe(), tmp_path / "run", resume=True, quiet=True)
        holder.communicate(b"\n")
    assert train("test", recipe(), tmp_path / "run", resume=True, quiet=True).complete
