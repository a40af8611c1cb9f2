"""Recipes: every shipped one loads, survives a round trip through TOML, and nonsense is refused in one line."""

import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lcpo import recipes
from lcpo.errors import ConfigError
from lcpo.recipes.recipe import Ramp, Recipe, changed, dumps, parse_recipe, read_recipe


@pytest.mark.parametrize("name", recipes.names())
def test_shipped_recipe_loads_and_survives_toml(name: str) -> None:
    found, recipe = read_recipe(name)
    assert found == name
    assert recipe.about
    assert parse_recipe(tomllib.loads(recipe.toml()), name) == recipe


@pytest.mark.parametrize("name", [name for name in recipes.names() if name.startswith("tiny-")])
def test_tiny_recipes_share_law_and_held_out_budgets(name: str) -> None:
    _, recipe = read_recipe(name)
    compared = "tiny-exact" if name in ("tiny-exact", "tiny-max") else "tiny-exact-450"
    law, shared = recipe.budget.law, read_recipe(compared)[1].budget.law
    if name != "tiny-l1":  # its alpha is stated for a range of its own
        assert (law.low, law.high) == (shared.low, shared.high)  # type: ignore[union-attr]
    assert law.low <= min(recipe.evaluate.budgets) < max(recipe.evaluate.budgets) <= law.high  # type: ignore[union-attr]
    unseen = [tokens for tokens in recipe.evaluate.budgets if not recipe.budget.seen(tokens)]
    assert len(unseen) * 2 >= len(recipe.evaluate.budgets)
    assert recipe.evaluate.generation_cap >= 2 * max(recipe.evaluate.budgets)  # type: ignore[operator]


@pytest.mark.parametrize("name", ["tiny-l1", "tiny-absolute"])
def test_absolute_arms_keep_the_scaled_alpha(name: str) -> None:
    _, recipe = read_recipe(name)
    law = recipe.budget.law
    assert recipe.reward.alpha * (law.high - law.low) == pytest.approx(1.17, rel=1e-4)  # type: ignore[attr-defined, union-attr]


def test_paper_arm_has_the_papers_group() -> None:
    _, recipe = read_recipe("tiny-l1")
    assert (recipe.group.size, recipe.group.updates, recipe.budget.per_group) == (16, 2, 1)
    assert recipe.hindsight is None


def test_overrides_are_toml_values() -> None:
    _, recipe = read_recipe(
        "tiny-exact", ["objective.sharpness=3.5", "budget.law.high=48", "model=abc", "trl.max_steps=5"]
    )
    assert recipe.reward.sharpness == 3.5  # type: ignore[attr-defined]
    assert recipe.budget.law.high == 48  # type: ignore[union-attr]
    assert recipe.model == "abc"
    assert recipe.trl["max_steps"] == 5


def test_extends_states_only_what_differs() -> None:
    base, arm = recipes.extended(recipes.table("tiny-exact-450")), recipes.extended(recipes.table("tiny-one-budget"))
    assert arm.pop("about") != base.pop("about")
    assert arm["budget"].pop("per_group") == 1
    assert base["budget"].pop("per_group") == 4
    assert arm == base
    assert arm["trl"]["max_steps"] == 450 < recipes.extended(recipes.table("tiny-exact"))["trl"]["max_steps"]


def test_without_leaves_out_tables_and_keys() -> None:
    left = recipes.extended({"extends": "tiny-exact", "without": ["schedule", "trl.lr_scheduler_kwargs"]})
    whole = recipes.extended(recipes.table("tiny-exact"))
    assert whole.pop("schedule")
    assert whole["trl"].pop("lr_scheduler_kwargs")
    assert left == whole


@pytest.mark.parametrize("name", ["schedules", "trl.lr_scheduler_kwarg", "model.name", "no.such.key"])
def test_without_refuses_what_is_not_there(name: str) -> None:
    with pytest.raises(ConfigError, match=f"'{name}'"):
        recipes.extended({"extends": "tiny-exact", "without": [name]})


def test_a_preset_takes_changes() -> None:
    table = {"model": "x", "task": {"name": "sums"}, "budget": {"law": {"law": "fixed", "tokens": [8]}}}
    recipe = parse_recipe({**table, "objective": {"preset": "l1_exact", "alpha": 0.1}}, "test")
    assert recipe.reward.alpha == 0.1  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("given", "overrides", "says"),
    [
        ("tiny-exat", [], "Did you mean 'tiny-exact'"),
        ("tiny-exact", ["objective.sharpnes=3"], "Did you mean 'sharpness'"),
        ("tiny-exact", ["objective.name=gatd"], "Did you mean 'gated'"),
        ("tiny-exact", ["advantage=per_budgets"], "Did you mean 'per_budget'"),
        ("tiny-exact", ["group.sise=8"], "Did you mean 'group.size'"),
        ("tiny-exact", ["bugdet.per_group=2"], "Did you mean 'budget'"),
        ("tiny-exact", ["budget.template=l2"], "Did you mean 'l1'"),
        ("tiny-exact", ["group.size=6"], "does not hold budget.per_group 4"),
        ("tiny-exact", ["budget.per_group=16"], "needs two rollouts of each budget"),
        ("tiny-exact", ["budget.kinds={exact=0.5, max=0.5}"], "objective.name='mixed'"),
        ("tiny-exact", ["objective.name=ceiling", "objective.floor=0.1"], "only knows a maximum"),
        ("tiny-exact", ["model=scratch"], "[scratch]"),
        ("tiny-exact", ["task.data=x.json"], "one of the two"),
        ("tiny-exact", ["objective.preset=l1_exat"], "Did you mean 'l1_exact'"),
        ("tiny-exact", ["trl"], "not key=value"),
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
    assert changed(recipe().reward, "sharpness", ramp.at(15)).sharpness == pytest.approx(2.0)  # type: ignore[attr-defined]
    with pytest.raises(ConfigError, match="sharpness"):
        recipe(schedule=[{"key": "sharpnes", "first": 1.0, "last": 2.0, "end": 5}])


def test_dumps_writes_every_kind_of_value(tmp_path: Path) -> None:
    table: dict[str, Any] = {
        "a": 1, "b": -1.5e-9, "c": True, "d": 'quote " \\ and ü', "e": [1, 2], "f": {"g": {"h.i": "x"}},
        "j": [{"k": 1}, {"k": 2, "l": {"m": [0.5]}}],
    }  # fmt: skip
    assert tomllib.loads(dumps(table)) == table


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
    (tmp_path / "mine/r.toml").write_text(dumps(table))
    monkeypatch.chdir(tmp_path)
    _, recipe = read_recipe("mine/r.toml")
    assert recipe.task.data == ("mine/own.json", "here.json", "nowhere.json")
    assert recipe.task.exclude == ("mine/own.json",)
    _, changed_ = read_recipe("mine/r.toml", ["task.data=own.json"])
    assert changed_.task.data == ("mine/own.json",)
