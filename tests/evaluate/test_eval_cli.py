"""`lcpo eval`, `ask` and `methods` as they are used: defaults, errors, kill -9, real benchmarks, servers."""

import json
import os
import signal
import subprocess
import sys
import time
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from random_model import CARD, write

import lcpo
from lcpo.cli import cli
from lcpo.engines.models import SHIPPED, ModelSource, resolve
from lcpo.errors import ConfigError, LcpoError, TaskError
from lcpo.evaluate.plan import Options, identity, make_plan, run_names
from lcpo.evaluate.records import read_samples
from lcpo.measure.files import LARGE
from lcpo.tasks import TASKS
from sums_model import BASE, EXACT, MAX

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "test"


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("models") / "random")


@pytest.fixture(scope="session")
def long_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("models") / "long", card="# no defaults\n", context=16384, seed=1)


def run(*arguments: object) -> Result:
    return CliRunner().invoke(cli, [str(argument) for argument in arguments])


def error(*arguments: object) -> str:
    found = run(*arguments).exception
    assert isinstance(found, LcpoError), found
    return str(found)


def test_defaults_come_from_the_model_card(model: Path, tmp_path: Path) -> None:
    found = run("eval", model, "--out", tmp_path / "e", "--json")
    assert found.exit_code == 0, found.output
    result = json.loads(found.stdout)
    rows = result["rows"]
    assert [row["budget"] for row in rows] == [12, 16, 24]
    assert {(row["kind"], row["method"], row["temperature"], row["generation_cap"]) for row in rows} == {
        ("max", "prompted", 0.8, 60)
    }
    assert {row["samples"] for row in rows} == {12}
    assert [row["seen"] for row in rows] == [False, False, False]  # trained on exact budgets only
    assert result == json.loads((tmp_path / "e" / "results.json").read_text())
    assert (tmp_path / "e" / "report.html").exists()
    assert all(s.prompt.endswith(f"Think for maximum {s.budget} tokens.") for s in read_samples(tmp_path / "e"))


def test_the_command_line_comes_first(model: Path, tmp_path: Path) -> None:
    arguments = ["--kind", "exact", "--budgets", "16,12", "--methods", "prompted,s1_fair,unlimited,direct,majority"]
    more = ["--problems", 2, "--samples", 3, "--temperature", 0, "--wording", "use", "--cap", 40, "--seed", 5]
    found = run("eval", model, *arguments, *more, "--out", tmp_path / "e")
    assert found.exit_code == 0, found.output
    assert "random  prompted       12  " in found.stdout
    samples = list(read_samples(tmp_path / "e"))
    assert len(samples) == 2 * 3 * (3 * 2 + 2)
    prompted = [s for s in samples if s.method == "prompted"]
    assert {s.seen for s in prompted if s.budget == 16} == {True}
    assert {s.seen for s in prompted if s.budget == 12} == {False}
    assert all(f"Use exactly {s.budget} tokens." in s.prompt for s in prompted)
    assert {s.text for s in prompted if s.budget == 12 and s.problem == prompted[0].problem} == {prompted[0].text}
    for s in samples:
        assert s.tokens is not None and s.filler_tokens is not None
        assert s.length_source == "ids" and s.temperature == 0 and s.seed == 5


def test_all_methods_that_apply(model: Path) -> None:
    def methods(name: str) -> tuple[str, ...]:
        options = Options(models=(name,), methods=("all",), task="sums", budgets=(8,), problems=1)
        return make_plan(options).settings.subjects[0].methods

    assert methods(str(model)) == ("prompted", "unlimited", "truncate", "s1", "s1_fair", "direct", "majority")
    assert methods("http://localhost:8000/v1#m") == ("prompted", "unlimited", "majority", "chat")


def test_several_models_are_compared(model: Path, tmp_path: Path) -> None:
    second = write(tmp_path / "second", seed=3)
    found = run("eval", model, second, "--problems", 2, "--out", tmp_path / "e", "--json")
    result = json.loads(found.stdout)
    assert {row["run"] for row in result["rows"]} == {"random", "second"}
    assert {(c["a"], c["b"]) for c in result["comparisons"]} == {("random", "second")}


def run_folder(tmp_path: Path) -> Path:
    folder = tmp_path / "runs" / "mine"
    write(folder / "model", card="# trained\n")
    (folder / "recipe.toml").write_text(CARD.split("```toml\n")[1].split("```")[0])
    return folder


def test_a_run_folder_brings_its_recipe(tmp_path: Path) -> None:
    source = resolve(str(run_folder(tmp_path)))
    assert (source.kind, source.name, source.tables["evaluate"]["samples"]) == ("run", "mine", 2)
    assert resolve(str(tmp_path / "runs" / "mine" / "model")) == source
    options = Options(models=(str(tmp_path / "runs" / "mine"),))
    settings = make_plan(options).settings
    assert (settings.task, settings.problems, settings.samples, settings.cap) == ("sums", 6, 2, 60)
    assert make_plan(options).settings == settings
    (tmp_path / "runs" / "mine" / "model" / "config.json").unlink()
    with pytest.raises(ConfigError, match="a run without a finished model"):
        resolve(str(tmp_path / "runs" / "mine"))


def test_what_models_may_be(tmp_path: Path) -> None:
    assert resolve("http://localhost:8000/v1#m").name == "m"
    assert resolve("https://localhost:8000/v1").name == "localhost:8000"
    assert resolve("Qwen/Qwen3-0.6B").kind == "hub"
    with pytest.raises(ConfigError, match=r"unknown model 'tinny'.*Did you mean 'tiny'"):
        resolve("tinny")
    with pytest.raises(ConfigError, match=r"neither recipe.toml"):
        resolve(str(tmp_path))
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "README.md").write_text("```toml\n[evaluate\n```\n")
    with pytest.raises(ConfigError, match=r"toml block .* is malformed"):
        resolve(str(tmp_path))
    same = [resolve("http://a/v1#m"), resolve("http://b/v1#m")]
    assert run_names(same, ("http://a/v1#m", "http://b/v1#m")) == ["http://a/v1#m", "http://b/v1#m"]
    with pytest.raises(ConfigError, match=r"the model .* is given twice"):
        run_names([same[0], same[0]], ("http://a/v1#m", "http://a/v1#m"))


def test_what_tells_weights_apart(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "model.safetensors").write_bytes(b"weights")
    (tmp_path / "notes.md").write_text("not read")
    source = ModelSource("m", str(tmp_path), "folder")
    by_hand = sha256(b'["config.json", 2]{}["model.safetensors", 7]weights').hexdigest()
    assert identity(source) == "sha256:" + by_hand  # small files: whole, and as in every folder evaluated so far
    (tmp_path / "pytorch_model.bin").write_bytes(b"the same weights")
    assert identity(source) == "sha256:" + by_hand
    (tmp_path / "model.safetensors").unlink()
    before = identity(source)
    (tmp_path / "pytorch_model.bin").write_bytes(b"other of a size!")
    assert identity(source) != before


def test_paths_and_secrets_of_models_are_not_written_down(model: Path) -> None:
    given = (str(model), "http://me:secret@localhost:8000/v1#m")
    settings = make_plan(Options(given, task="sums", budgets=(8,), problems=1)).settings
    assert [each.path for each in settings.subjects] == ["random", "http://localhost:8000/v1#m"]
    assert "secret" not in json.dumps(settings.json()) and str(model) not in json.dumps(settings.json())


def test_large_weights_of_one_size_are_told_apart(tmp_path: Path) -> None:
    source = ModelSource("m", str(tmp_path), "folder")
    found = set()
    for place in (0, LARGE // 2, LARGE - 1):
        with (tmp_path / "model.safetensors").open("wb") as file:
            file.truncate(LARGE)
            file.seek(place)
            file.write(b"x" * min(LARGE - place, LARGE // 32))
        found.add(identity(source))
    assert len(found) == 3
    assert identity(source) in found


def test_a_folder_is_not_resumed_with_another_engine(model: Path, tmp_path: Path) -> None:
    out = ("--problems", 1, "--samples", 1, "--out", tmp_path / "e")
    assert run("eval", model, "--engine", "transformers", *out).exit_code == 0
    assert "'vllm'" in error("eval", model, "--engine", "vllm", "--resume", *out)
    assert "tokenizer: None -> 't'" in error("eval", model, "--tokenizer", "t", "--resume", *out)
    assert run("eval", model, "--resume", *out).exit_code == 0  # auto is transformers


def test_what_is_wrong_is_said_in_one_line(model: Path, long_model: Path, tmp_path: Path) -> None:
    out = ("--out", tmp_path / "e")
    assert "--task NAME or --data FILE" in error("eval", long_model, *out)
    assert "--budgets" in error("eval", long_model, "--task", "sums", "--cap", 50, *out)
    assert "give --cap" in error("eval", long_model, "--task", "sums", "--methods", "unlimited", *out)
    assert "Did you mean 'sums'" in error("eval", model, "--task", "sum", *out)
    assert "Did you mean 'truncate'" in error("eval", model, "--methods", "truncated", *out)
    assert "less than twice" in error("eval", model, "--cap", 30, *out)
    assert "positive whole numbers" in error("eval", model, "--budgets", "8,x", *out)
    assert "unknown template" in error("eval", model, "--wording", "l2", *out)
    assert "limits the thinking" in error("eval", model, "--wording", "thought", *out)
    assert "unknown protocol" in error("eval", model, "--protocol", "l2", *out)
    assert "are for servers" in error("eval", model, "--api-key", "k", *out)
    assert "given twice" in error("eval", model, model, *out)
    assert "context of 512" in error("eval", model, "--budgets", "300", "--cap", 600, *out)


def test_the_papers_protocol(long_model: Path) -> None:
    settings = make_plan(Options(models=(str(long_model),), task="sums", protocol="l1", problems=2)).settings
    assert (settings.samples, settings.temperature, settings.top_p, settings.cap) == (16, 0.6, 0.95, 8192)
    assert settings.subjects[0].budgets == (512, 1024, 2048, 3600)
    assert settings.box == "require"


@pytest.mark.slow
def test_kill_9_and_resume_equals_one_run(model: Path, tmp_path: Path) -> None:
    arguments = [str(model), "--methods", "prompted,s1_fair", "--samples", "8", "--batch", "18"]
    command = [sys.executable, "-m", "lcpo", "eval", *arguments, "--out"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run([*command, str(tmp_path / "whole")], check=True, capture_output=True, env=environment)
    cut = tmp_path / "cut"
    for nth, death in ((1, signal.SIGKILL), (2, signal.SIGINT)):
        more = ["--resume"] if nth > 1 else []
        process = subprocess.Popen(
            [*command, str(cut), *more],
            stderr=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
            text=True,
            preexec_fn=hear_ctrl_c,
        )
        while process.poll() is None and batches_done(cut) < 4 * nth:
            time.sleep(0.02)
        process.send_signal(death)
        _, told = process.communicate()
    assert process.returncode == 1
    assert "go on with the same command and --resume" in told
    assert "Traceback" not in told
    assert batches_done(cut) < batches_done(tmp_path / "whole")
    subprocess.run([*command, str(cut), "--resume"], check=True, capture_output=True, env=environment)
    assert (cut / "samples.jsonl").read_bytes() == (tmp_path / "whole" / "samples.jsonl").read_bytes()
    for name in ("rows", "dials", "comparisons"):
        assert results(cut)[name] == results(tmp_path / "whole")[name]


def hear_ctrl_c() -> None:
    """A child of a background job ignores Ctrl-C unless told otherwise."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def batches_done(folder: Path) -> int:
    marker = folder / "progress.json"
    return int(json.loads(marker.read_text())["batches"]) if marker.exists() else 0


def results(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "results.json").read_text())
    return found


@pytest.mark.parametrize(
    ("task", "file", "rows"),
    [
        ("math500", "math500.json", 500),
        ("gsm8k", "gsm8k.jsonl", 1319),
        ("amc", "amc.json", 83),
        ("aime2024", "aime2024.json", 30),
        ("aime2025", "aime2025.jsonl", 30),
        ("lsat_ar", "lsat_ar.jsonl", 230),
        ("mmlu", "mmlu.zip", 1000),  # the paper takes 1,000 of 14,042
    ],
)
def test_real_benchmarks_run_end_to_end(task: str, file: str, rows: int, long_model: Path, tmp_path: Path) -> None:
    if not (DATA / file).exists():
        pytest.skip(f"{file} is not here")
    arguments = ["--task", task, "--data", DATA / file, "--budgets", "8,16", "--problems", 3, "--samples", 2]
    found = run("eval", long_model, *arguments, "--methods", "prompted,s1_fair", "--out", tmp_path / "e", "--json")
    assert found.exit_code == 0, found.exception
    result = json.loads(found.stdout)
    assert len(result["rows"]) == 4
    for row in result["rows"]:
        assert (row["task"], row["problems"], row["samples"], row["chance"]) == (task, 3, 6, TASKS[task].chance)
        assert 0 <= row["accuracy"] <= 0.5
    for sample in read_samples(tmp_path / "e"):
        assert "\\boxed{}" in sample.prompt
        assert sample.tokens is not None and sample.tokens <= 2 * 16 + 4
    options = Options(models=(str(long_model),), task=task, data=(str(DATA / file),), budgets=(8,))
    assert make_plan(options).settings.problems == rows


def test_a_data_file_of_ones_own(long_model: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.csv").write_text("text,result\nWhat is 1+1?,2\nWhat is 2+2?,4\n")
    columns = ("--columns", "problem=text,answer=result")
    found = run(
        "eval", long_model, "--data", tmp_path / "mine.csv", *columns, "--budgets", 8, "--out", tmp_path / "e", "--json"
    )
    assert found.exit_code == 0, found.exception
    row = json.loads(found.stdout)["rows"][0]
    assert (row["problems"], row["samples"], row["temperature"]) == (2, 8, 1.0)
    with pytest.raises(TaskError):
        make_plan(Options(models=(str(long_model),), data=(str(tmp_path / "absent.json"),), budgets=(8,)))


def test_ask_says_what_it_used(model: Path) -> None:
    found = run("ask", model, "Add b12 c30.", "--budget", 14, "--kind", "max")
    assert found.exit_code == 0, found.exception
    assert "asked for at most 14 tokens, used " in found.stdout
    assert "\x1b" not in found.stdout
    answer = json.loads(run("ask", model, "Add b12 c30.", "--budget", 14, "--method", "truncate", "--json").stdout)
    assert answer["prompt"] == "Add b12 c30."
    assert answer["thinking_tokens"] <= 14
    assert answer["calls"] == 2 or answer["finish_reason"] == "stop"
    free = json.loads(run("ask", model, "Add b12 c30.", "--json").stdout)
    assert (free["budget"], free["kind"], free["method"]) == (None, "none", "unlimited")
    assert free["tokens"] <= 60
    assert "needs a budget" in error("ask", model, "q", "--method", "s1")
    assert "takes no budget" in error("ask", model, "q", "--method", "direct", "--budget", 8)
    assert "below the budget" in error("ask", model, "q", "--budget", 8, "--cap", 4)


def test_ask_keeps_to_the_models_context(model: Path) -> None:
    fits = lcpo.ask(str(model), "Add b12 c30.", 400)  # twice as many would not
    assert fits["tokens"] <= 512
    with pytest.raises(ConfigError, match=r"has room for \d+ tokens after this question, and 600 are asked for"):
        lcpo.ask(str(model), "Add b12 c30.", 600)


def test_ask_shows_what_was_sent_and_warns_of_what_a_world_does_not_know(model: Path, long_model: Path) -> None:
    asked = run("ask", model, "Add b12 c30.", "--budget", 14, "--kind", "exact")
    assert asked.stdout.startswith("> Add b12 c30. Think for 14 tokens.\n\n") and not asked.stderr
    other = run("ask", model, "What is the capital of France?")
    assert other.exit_code == 0 and "knows only questions like 'Add " in other.stderr
    real = run("ask", long_model, "Why?", "--cap", 8)
    assert real.stdout.startswith("> Why? Let's think step by step and output the final answer within \\boxed{}.\n")
    assert not real.stderr


def test_ask_takes_the_kind_that_the_model_was_trained_for() -> None:
    asked = ("Add b12 c30.", "--budget", 24, "--json")
    assert json.loads(run("ask", MAX, *asked).stdout)["kind"] == "max"
    assert json.loads(run("ask", MAX, *asked, "--kind", "exact").stdout)["kind"] == "exact"
    assert json.loads(run("ask", EXACT, *asked).stdout)["kind"] == "exact"


def test_methods_are_listed() -> None:
    found = run("methods")
    assert found.exit_code == 0
    assert len(found.stdout.splitlines()) == 10
    assert json.loads(run("methods", "--json").stdout)["majority"]["options"] == {"votes": 4, "of": "prompted"}


def test_shipped_models_say_what_they_were_made_for() -> None:
    for name in SHIPPED:
        source = resolve(name)
        assert source.kind == "shipped" and source.tables["task"]["name"] in TASKS


def test_models_that_share_a_task_need_not_be_told(tmp_path: Path) -> None:
    given = ["--methods", "unlimited", "--problems", "2", "--samples", "1", "--out", str(tmp_path / "out")]
    result = run("eval", BASE, EXACT, MAX, *given)
    assert result.exit_code == 0, result.output
    assert {row["task"] for row in results(tmp_path / "out")["rows"]} == {"sums"}
