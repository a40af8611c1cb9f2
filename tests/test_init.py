"""`lcpo init`: a recipe from a model and a data file that a dry run accepts, and what was guessed."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from lcpo.cli import cli
from lcpo.errors import ConfigError, TaskError
from lcpo.recipes.recipe import read_recipe


def lcpo(*given: object) -> Result:
    return CliRunner().invoke(cli, list(map(str, given)))


def write(path: Path, **columns: Any) -> Path:
    """40 rows of columns; a callable is called with the row's number."""
    rows = [{name: make(n) if callable(make) else make for name, make in columns.items()} for n in range(40)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def question(n: int) -> str:
    return f"Which number is {n} + 2?"


def test_what_is_written_is_accepted_by_a_dry_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = write(tmp_path / "mine.jsonl", ask=question, result=lambda n: str(n + 2))
    made = lcpo("init", tmp_path / "own.toml", "--model", "tiny", "--data", data, "--kind", "max")
    assert made.exception is None, made.exception
    assert "columns by their contents, of ask, result" in made.stdout and "as the model's card says" in made.stdout
    _, recipe = read_recipe(str(tmp_path / "own.toml"))
    assert recipe.task.columns == {"problem": "ask", "answer": "result"}
    assert (recipe.task.verifier, recipe.objective.name, recipe.budget.largest) == ("math", "mixed", 64)
    assert recipe.lora is None and recipe.hindsight is not None and recipe.evaluate.kind == "max"
    monkeypatch.chdir(tmp_path.parent)  # the data are found from the recipe's folder
    dry = lcpo("train", tmp_path / "own.toml", "--dry-run", "--out", tmp_path / "run")
    assert dry.exception is None, dry.exception
    assert "problems (left out: nothing); stages:" in dry.stdout


def test_options_and_usual_names_are_recognised_and_context_limits_budgets(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text('{"max_position_embeddings": 4096}')
    data = write(tmp_path / "c.jsonl", question=question, options=lambda n: ["1", "2", str(n + 3)], answer="B")
    made = lcpo("init", tmp_path / "own.toml", "--model", tmp_path / "model", "--data", data, "--json")
    guesses = json.loads(made.stdout)["guesses"]
    assert "verifier choice: 40 of 40 problems have options" in guesses
    assert "budgets of 32 to 512 tokens: an eighth of 4,096 positions at most" in guesses
    _, recipe = read_recipe(str(tmp_path / "own.toml"))
    assert (recipe.task.columns, recipe.task.verifier, recipe.trl["max_completion_length"]) == ({}, "choice", 768)
    _, shipped = read_recipe("lcpo-exact")
    assert (recipe.objective, recipe.lora, recipe.schedule) == (shipped.objective, shipped.lora, shipped.schedule)
    assert recipe.trl | {"max_completion_length": 6144} == shipped.trl and recipe.budget.kinds == shipped.budget.kinds


def test_what_cannot_be_made_is_said(tmp_path: Path) -> None:
    data = write(tmp_path / "d.jsonl", question=question, answer="2")
    (tmp_path / "here.toml").write_text("")
    for file, model, words in (
        ("here.toml", "tiny", "is there already"),
        ("own.json", "tiny", r"ends in \.toml"),
        ("own.toml", "tinny", "Did you mean 'tiny'"),
        ("own.toml", "http://127.0.0.1:9/v1#m", "cannot be trained"),
    ):
        with pytest.raises(ConfigError, match=words):
            raise lcpo("init", tmp_path / file, "--model", model, "--data", data).exception or AssertionError
    with pytest.raises(TaskError, match="no column 'nope'"):
        raise (
            lcpo(
                "init", tmp_path / "own.toml", "--model", "tiny", "--data", data, "--columns", "problem=nope"
            ).exception
            or AssertionError
        )
    assert not (tmp_path / "own.toml").exists()
