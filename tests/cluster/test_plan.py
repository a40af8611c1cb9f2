"""The plan against hand-made figures and the two published runs."""

import json

import pytest
from click.testing import CliRunner

from lcpo.cluster.plan import SHAPES, Machine, plan, size_of
from lcpo.errors import ConfigError
from lcpo.recipes.recipe import read_recipe


def test_parameters_of_known_models():
    billions = {"0.5B": 0.494, "1.5B": 1.777, "7B": 7.616, "8B": 8.19, "32B": 32.76}  # as their cards say
    for size, wanted in billions.items():
        assert SHAPES[size].parameters / 1e9 == pytest.approx(wanted, rel=0.01)


def test_the_published_runs_lie_in_the_range():
    for name, hours in (("l1-exact", 48), ("l1-max", 4)):
        _, recipe = read_recipe(name)
        found = plan(recipe, "8xH100")
        assert found["hours"][0] < hours < found["hours"][1]
        assert found["fits"]
    _, recipe = read_recipe("l1-exact")
    assert plan(recipe, "8xH100")["calibration"]["hours_scaled"] == 48
    assert plan(recipe, "8xA100")["calibration"]["hours_scaled"] is None


def test_counts_by_hand():
    _, recipe = read_recipe("l1-exact")
    found = plan(recipe, "8xH100")
    assert found["generations"] == 700 and found["rollouts_per_generation"] == 2048
    assert found["tokens_per_generation"] == pytest.approx(2048 * 2050, rel=0.01)
    assert found["tokens_at_most"] == 2048 * 4096
    assert found["memory_gb"]["gradients and Adam (fp32)"] == pytest.approx(12 * 1.777 / 8, rel=0.01)
    _, recipe = read_recipe("l1-exact-1gpu")
    one = plan(recipe, "1xH100")
    assert one["fits"] and not plan(recipe, "1x4090")["fits"]
    assert one["generations"] == 2800


def test_what_doubles():
    _, recipe = read_recipe("l1-exact")
    grows = plan(recipe, "8xH100")["grows"]
    assert all(low > 1.5 for low, _ in (grows["budgets"], grows["group"], grows["layers"]))
    assert 0.5 <= grows["cards"][0] < 1


def test_errors_say_what_is_allowed():
    _, recipe = read_recipe("l1-exact")
    with pytest.raises(ConfigError, match=r"unknown GPU 'H10'. Did you mean 'H100'"):
        plan(recipe, "8xH10")
    with pytest.raises(ConfigError, match="8xH100, or 2x8xH100"):
        plan(recipe, "8 x H100")
    with pytest.raises(ConfigError, match="does not say its size; give --size"):
        size_of("runs/mine")
    assert (Machine.parse("2x8xH100").count, Machine.parse("H100").count) == (16, 1)
    assert size_of("deepseek-ai/DeepSeek-R1-Distill-Qwen-1.5B") == "1.5B" and size_of("Qwen/Qwen3-8B") == "8B"


def test_command_prints_a_table_or_json():
    from lcpo.cli.plan_command import command

    done = CliRunner().invoke(command, ["l1-exact", "--gpus", "8xH100"])
    assert done.exit_code == 0 and "Assumed, not measured" in done.output and "fits" in done.output
    done = CliRunner().invoke(command, ["l1-exact", "trl.max_steps=10", "--json"])
    assert json.loads(done.output)["generations"] == 5
