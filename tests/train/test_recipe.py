"""Recipes: every shipped one loads, survives a round trip through TOML, and nonsense is refused in one line."""

import math
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
import tomli_w

from lcpo import recipes
from lcpo.errors import ConfigError
from lcpo.recipes.recipe import Ramp, Recipe, changed, parse_recipe, read_recipe, unknown_keys
from sums_model import CONTROL, RECIPE


@pytest.mark.parametrize("name", recipes.names())
def test_shipped_recipe_loads_and_survives_toml(name: str) -> None:
    found, recipe = read_recipe(name)
    assert found == name
    assert recipe.about
    assert parse_recipe(tomllib.loads(recipe.toml()), name) == recipe


@pytest.mark.parametrize("name", [RECIPE, "tiny-exact", "tiny-max"], ids=lambda name: Path(name).stem)
def test_most_evaluated_budgets_are_never_drawn(name: str) -> None:
    recipe = read_recipe(name)[1]
    budgets, law = recipe.evaluate.budgets, recipe.budget.law
    assert law.low <= min(budgets) < max(budgets) <= law.high  # type: ignore[union-attr]
    assert sum(not recipe.budget.seen(tokens) for tokens in budgets) * 2 >= len(budgets)
    assert recipe.evaluate.generation_cap >= 2 * max(budgets)  # type: ignore[operator]


@pytest.mark.parametrize("name", ["lcpo-exact", "lcpo-max"])
def test_sizes_follow_from_the_budgets(name: str) -> None:
    for low, high in ((256, 4096), (16, 200), (8, 10)):
        _, recipe = read_recipe(name, [f"budget.law.low={low}", f"budget.law.high={high}"])
        asked = recipe.evaluate.budgets
        assert recipe.trl["max_completion_length"] == math.ceil(1.5 * high)
        assert recipe.evaluate.generation_cap == 2 * high
        assert low <= min(asked) < max(asked) <= high and (len(asked) == 8) == (high > 10)
        assert recipe.evaluate.kind == name.removeprefix("lcpo-")
    given = ["trl.max_completion_length=999", "evaluate.budgets=[9]", "evaluate.generation_cap=1000"]
    _, recipe = read_recipe(name, ["budget.law.high=500", *given])
    assert recipe.trl["max_completion_length"] == 999
    assert (recipe.evaluate.budgets, recipe.evaluate.generation_cap) == ((9,), 1000)
    assert parse_recipe(tomllib.loads(recipe.toml()), name) == recipe


def test_sizes_of_a_list_of_budgets_and_of_none(recipe: Callable[..., Recipe]) -> None:
    fixed = recipe(budget={"law": {"law": "fixed", "tokens": [9, 4]}}, trl={"max_completion_length": 20})
    assert fixed.evaluate.budgets == (4, 9)
    assert recipe(budget={"kinds": {"none": 1.0}}).evaluate.budgets == ()


@pytest.mark.parametrize("name", ["lcpo-exact", "lcpo-max"])
def test_recipes_for_any_model_are_commented_line_by_line(name: str) -> None:
    lines = [line for line in recipes.text(name).splitlines() if "=" in line]
    assert all("#" in line and len(line) <= 130 for line in lines)


def test_overrides_are_toml_values() -> None:
    _, recipe = read_recipe(RECIPE, ["objective.sharpness=3.5", "budget.law.high=48", "model=abc", "trl.max_steps=5"])
    assert recipe.objective.sharpness == 3.5  # type: ignore[attr-defined]
    assert recipe.budget.law.high == 48  # type: ignore[union-attr]
    assert recipe.model == "abc"
    assert recipe.trl["max_steps"] == 5


def test_extends_states_only_what_differs() -> None:
    base, other = recipes.tables(RECIPE)[1], recipes.tables(CONTROL)[1]
    assert (other.pop("objective"), base.pop("objective")["name"]) == ({"name": "correct"}, "gated")
    assert other["trl"].pop("max_steps") == 450 < base["trl"].pop("max_steps")
    assert other["budget"].pop("law") == base["budget"].pop("law") | {"low": 8}
    assert other["budget"] == base["budget"] and other["group"] == base["group"]


def test_without_leaves_out_tables_and_keys() -> None:
    left = recipes.extended({"extends": RECIPE, "without": ["schedule", "trl.lr_scheduler_kwargs"]})
    whole = recipes.tables(RECIPE)[1]
    assert whole.pop("schedule")
    assert whole["trl"].pop("lr_scheduler_kwargs")
    assert left == whole


@pytest.mark.parametrize("name", ["schedules", "trl.lr_scheduler_kwarg", "model.name", "no.such.key"])
def test_without_refuses_what_is_not_there(name: str) -> None:
    with pytest.raises(ConfigError, match=f"'{name}'"):
        recipes.extended({"extends": RECIPE, "without": [name]})


def test_a_preset_takes_changes() -> None:
    table = {"model": "x", "task": {"name": "sums"}, "budget": {"law": {"law": "fixed", "tokens": [8]}}}
    recipe = parse_recipe({**table, "objective": {"preset": "l1_exact", "alpha": 0.1}}, "test")
    assert recipe.objective.alpha == 0.1  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("given", "overrides", "says"),
    [
        ("tiny-exat", [], "Did you mean 'tiny-exact'"),
        (RECIPE, ["objective.sharpnes=3"], "Did you mean 'objective.sharpness'"),
        (RECIPE, ["budget.law.hihg=9"], "unknown key 'budget.law.hihg'. Did you mean 'budget.law.high'"),
        (RECIPE, ["schedule=[{key='floor', frist=1.0, last=2.0, end=3}]"], "Did you mean 'schedule.0.first'"),
        (RECIPE, ["hindsight.sample=3"], "Did you mean 'hindsight.samples'"),
        (RECIPE, ["supervised={}"], "supervised.data must be given"),
        ("math-smoke", ["budget={}", "group.size=x"], "budget.law must be given; group.size"),
        (RECIPE, ["objective.name=gatd"], "Did you mean 'gated'"),
        (RECIPE, ["advantage=per_budgets"], "Did you mean 'per_budget'"),
        (RECIPE, ["group.sise=8"], "Did you mean 'group.size'"),
        (RECIPE, ["bugdet.per_group=2"], "Did you mean 'budget'"),
        (RECIPE, ["budget.template=l2"], "Did you mean 'l1'"),
        (RECIPE, ["group.size=6"], "does not hold budget.per_group 4"),
        (RECIPE, ["budget.per_group=16"], "needs two rollouts of each budget"),
        (RECIPE, ["budget.kinds={exact=0.5, max=0.5}"], "take another objective: max, mixed, ceiling, correct"),
        (RECIPE, ["objective.name=ceiling", "objective.floor=0.1"], "has a rule for max only"),
        (RECIPE, ["budget.kinds={none=1.0}"], "[hindsight] teaches budgets"),
        (RECIPE, ["lora={r=4}"], "take 'adamw'"),
        (RECIPE, ["task.data=x.json"], "one of the two"),
        (RECIPE, ["objective.preset=l1_exat"], "Did you mean 'l1_exact'"),
        (RECIPE, ["trl"], "not key=value"),
        ("no/such/file.toml", [], "cannot read"),
    ],
)
def test_nonsense_is_refused_in_one_line(given: str, overrides: list[str], says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read_recipe(given, overrides)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_ramps_move_a_number_of_the_objective(recipe: Callable[..., Recipe]) -> None:
    ramp = Ramp(key="sharpness", first=1.0, last=4.0, start=10, end=20, law="log")
    assert [ramp.at(step) for step in (0, 10, 15, 20, 99)] == pytest.approx([1.0, 1.0, 2.0, 4.0, 4.0])
    assert changed(recipe().objective, "sharpness", ramp.at(15)).sharpness == pytest.approx(2.0)  # type: ignore[attr-defined]
    with pytest.raises(ConfigError, match="sharpness"):
        recipe(schedule=[{"key": "sharpnes", "first": 1.0, "last": 2.0, "end": 5}])


def test_data_beside_the_recipe_is_read_wherever_the_run_is_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/own.json").write_text("[]")
    (tmp_path / "here.json").write_text("[]")
    (tmp_path / "mine/here.json").write_text("[]")
    table = {
        "model": "m",
        "task": {"data": ["own.json", "here.json", "nowhere.json"], "exclude": "own.json"},
        "budget": {"law": {"law": "uniform", "low": 8, "high": 16}},
        "objective": {"preset": "l1_exact"},
    }
    (tmp_path / "mine/r.toml").write_text(tomli_w.dumps(table))
    monkeypatch.chdir(tmp_path)
    _, recipe = read_recipe("mine/r.toml")
    assert recipe.task.data == ("mine/own.json", "here.json", "nowhere.json")
    assert recipe.task.exclude == ("mine/own.json",)
    _, changed_ = read_recipe("mine/r.toml", ["task.data=own.json"])
    assert changed_.task.data == ("mine/own.json",)


def test_all_that_is_missing_is_named_at_once() -> None:
    with pytest.raises(ConfigError, match=r"recipe mine: model, task, budget, objective must be given$"):
        parse_recipe({}, "recipe mine")


def test_a_recipe_extends_a_file_beside_it(tmp_path: Path) -> None:
    (tmp_path / "base.toml").write_text('extends = "tiny-exact"\nseed = 4\n')
    (tmp_path / "mine.toml").write_text('extends = "base.toml"\nabout = "mine"\n')
    name, recipe = read_recipe(str(tmp_path / "mine.toml"))
    assert (name, recipe.seed, recipe.about) == ("mine", 4, "mine")


def test_keys_of_earlier_versions_are_named_and_ignored() -> None:
    table = tomllib.loads(read_recipe(RECIPE)[1].toml())
    assert unknown_keys(table) == []
    table["budget"]["shuffled"] = False
    assert unknown_keys(table | {"answer_tokens": 8, "controller": {}}) == [
        "budget.shuffled", "answer_tokens", "controller",
    ]  # fmt: skip
    assert unknown_keys(table | {"advantage": "gone"}) == ["budget.shuffled"]


def test_generations_are_the_same_for_every_engine(recipe: Callable[..., Recipe]) -> None:
    epochs = recipe(group={"problems": 16}, trl={"max_steps": -1, "num_train_epochs": 1})
    assert epochs.generations(100) == 7
    assert recipe(group={"updates": 2}, trl={"max_steps": 5, "save_steps": 2}).generations(100) == 3
    with pytest.raises(ConfigError, match="num_train_epochs"):
        recipe(trl={"max_steps": 0}).generations(100)
    assert recipe(trl={"max_steps": 0}, hindsight={}).generations(100) == 0
