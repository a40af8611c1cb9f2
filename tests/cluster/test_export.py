"""The exported rows against the paper's data script, and what the agent loop makes of them."""

import json

import pytest

from lcpo.cluster import export
from lcpo.cluster.settings import Setup
from lcpo.errors import ConfigError
from lcpo.recipes.recipe import read_recipe
from lcpo.types import Budget, Problem

pq = pytest.importorskip("pyarrow.parquet")
INSTRUCTION = "Let's think step by step and output the final answer within \\boxed{}."


def paper_row(question: str, answer: str, index: int, num_tokens: int) -> dict:
    """What scripts/data/deepscaler_dataset.py of the paper's code writes for one problem and one draw."""
    text = f"{question} {INSTRUCTION}"
    if num_tokens < -1:
        text += f" Think for maximum {abs(num_tokens)} tokens."
    elif num_tokens != -1:
        text += f" Think for {num_tokens} tokens."
    return {
        "data_source": "",
        "prompt": [{"role": "user", "content": text}],
        "ability": "math",
        "reward_model": {"style": "rule", "ground_truth": answer, "num_tokens": num_tokens},
        "extra_info": {"split": "train", "index": index},
    }


def signed(kind: str, tokens: int) -> int:
    """The paper's one number for a budget."""
    return {"exact": tokens, "max": -tokens, "none": -1}[kind]


def as_paper(row: dict) -> dict:
    """Our row in the paper's shape."""
    info = row["extra_info"]
    (answer,) = row["reward_model"]["ground_truth"]
    return {
        "data_source": "",
        "prompt": row["prompt"],
        "ability": row["ability"],
        "reward_model": {
            "style": row["reward_model"]["style"],
            "ground_truth": answer,
            "num_tokens": signed(info["kinds"][0], info["budgets"][0]),
        },
        "extra_info": {"split": info["split"], "index": info["index"]},
    }


@pytest.fixture
def data(tmp_path):
    """A data file of 700 problems, more than one of them awkward."""
    rows = [{"problem": f"What is {i} plus \\frac{{1}}{{2}}? é ✓\nShow it.", "answer": f"{i}.5"} for i in range(700)]
    path = tmp_path / "problems.json"
    path.write_text(json.dumps(rows), encoding="utf-8")
    return path


@pytest.mark.parametrize("name", ["l1-exact", "l1-exact-r1", "l1-max", "l1-max-r1", "l1-exact-1gpu", "l1-max-1gpu"])
def test_rows_equal_the_papers(name, data, tmp_path):
    _, recipe = read_recipe(name, [f'task.data=["{data}"]'])
    exported = export.export(recipe, tmp_path / "verl")
    rows = pq.read_table(exported.train).to_pylist()
    problems = {p.id: p for p in exported.task.problems("train", None, recipe.seed)}
    assert exported.rows == len(rows) == len(problems) > 600
    kinds = set()
    for index, row in enumerate(rows):
        (budget,) = recipe.budget.sampler.draw(0, 0, index, 1)
        problem = problems[row["extra_info"]["id"]]
        wanted = paper_row(problem.question, problem.answers[0], index, signed(budget.kind, budget.tokens))
        assert as_paper(row) == wanted
        assert 100 <= budget.tokens <= 4000
        kinds.add(budget.kind)
    assert kinds == ({"exact"} if "exact" in name else {"exact", "max"})
    tokens = [row["extra_info"]["budgets"][0] for row in rows]
    assert min(tokens) < 200 and max(tokens) > 3900  # the whole range of the paper
    assert abs(sum(tokens) / len(tokens) - 2050) < 200


def test_a_static_budget_is_the_same_in_every_epoch_and_a_fresh_one_is_trls_draw():
    _, recipe = read_recipe("l1-exact", ['task.data=["x.json"]'])
    setup = Setup(recipe, "math", "")
    static = {"budgets": [123], "kinds": ["max"], "scope": "response", "index": 4}
    assert setup.budgets(static, 1, 4) == setup.budgets(static, 99, 4) == [Budget("max", 123)] * 4
    fresh = {"budgets": [], "kinds": [], "scope": "response", "index": 4}
    _, recipe = read_recipe("l1-exact", ['task.data=["x.json"]', "budget.redraw=each_step", "budget.per_group=4"])
    setup = Setup(recipe, "math", "")
    # generation 3 begins at optimizer step 4, as there are two updates in each
    assert setup.budgets(fresh, 3, 16) == recipe.budget.sampler.draw(0, 4, 4, 16)
    assert len(set(setup.budgets(fresh, 3, 16))) == 4


def test_several_static_budgets_stand_in_a_row_and_are_shared_out(data, tmp_path):
    _, recipe = read_recipe("l1-exact", [f'task.data=["{data}"]', "budget.per_group=4"])
    row = export.train_rows(recipe, "t", [Problem("a", "q", ("1",))])[0]
    assert len(set(row["extra_info"]["budgets"])) == 4
    assert row["prompt"][0]["content"].endswith(" Think for 4000 tokens.")  # the longest, for verl's length filter
    given = Setup(recipe, "math", "").budgets(row["extra_info"], 1, 16)
    assert [budget.tokens for budget in given] == row["extra_info"]["budgets"] * 4


def test_too_few_problems_are_refused(data, tmp_path):
    _, recipe = read_recipe("l1-exact", [f'task.data=["{data}"]', "task.problems=20"])
    with pytest.raises(ConfigError, match=r"20 problems and a generation takes group\.problems = 128"):
        export.export(recipe, tmp_path)


def test_the_schedule_moves_with_verls_steps():
    _, recipe = read_recipe(
        "l1-exact", ['task.data=["x.json"]', "schedule=[{key='alpha', first=0.1, last=0.3, end=4}]"]
    )
    setup = Setup(recipe, "math", "")
    assert [round(setup.objective(step).alpha, 3) for step in (1, 2, 3, 9)] == [0.1, 0.2, 0.3, 0.3]
