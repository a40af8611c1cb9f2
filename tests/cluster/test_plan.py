"""The plan against hand-made figures and the two published runs."""

import json
import shutil

import pytest
from click.testing import CliRunner

from lcpo.cluster.plan import SHAPES, parse_gpus, plan, shape_of
from lcpo.engines.models import SHIPPED
from lcpo.errors import ConfigError
from lcpo.recipes.recipe import read_recipe


def test_parameters_of_known_models():
    billions = {
        "0.5B": 0.494,
        "0.6B": 0.596,
        "1.5B": 1.777,
        "1.7B": 1.721,
        "4B": 4.022,
        "7B": 7.616,
        "8B": 8.19,
        "32B": 32.76,
    }  # as their cards say
    for size, wanted in billions.items():
        assert SHAPES[size].parameters / 1e9 == pytest.approx(wanted, rel=0.01)


def test_the_published_runs_lie_in_the_range():
    for name, hours in (("l1-exact", 48), ("l1-max", 4)):
        _, recipe = read_recipe(name)
        found = plan(recipe, "8xH100")
        assert found["hours"][0] < hours < found["hours"][1]
        assert found["fits"]


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


def test_more_of_anything_takes_longer():
    def least(*overrides: str, gpus: str = "8xH100") -> float:
        _, recipe = read_recipe("l1-exact", overrides)
        return plan(recipe, gpus)["hours"][0]

    assert least("group.size=32") > 1.5 * least() > 2.5 * least(gpus="16xH100") / 1.1
    assert least("budget.law.high=2000") < least()
    _, recipe = read_recipe("tiny-exact")
    assert plan(recipe, "1xH100")["seconds_generate"][0] > 0.1  # a small model waits for its kernels


def test_an_adapter_and_stages_before_rl_are_counted():
    _, recipe = read_recipe("lcpo-exact")
    one, eight = plan(recipe, "1xH100"), plan(recipe, "8xH100")
    shape, rank = SHAPES["0.6B"], 64
    assert one["model"]["read_from"] == "its name, as 0.6B"
    trained = rank * 28 * ((1024 + 2048) * 2 + (1024 + 1024) * 2 + (1024 + 3072) * 3)
    assert one["memory_gb"]["weights, the reference's too"] == pytest.approx((2 * shape.parameters + 4 * trained) / 1e9)
    assert one["memory_gb"]["gradients and Adam (fp32)"] == pytest.approx(12 * trained / 1e9)
    assert one["memory_gb"] == eight["memory_gb"] and one["fits"]  # the stages need whole weights on every card
    assert one["seconds_before"][0] > 0 and one["hours"][0] > eight["hours"][0]
    more = plan(read_recipe("lcpo-exact", ["hindsight.samples=8000", "hindsight.steps=900"])[1], "1xH100")
    assert more["seconds_before"][0] > 2 * one["seconds_before"][0]
    assert plan(read_recipe("l1-exact")[1], "8xH100")["seconds_before"] == (0, 0)
    wider = plan(read_recipe("lcpo-exact", ["budget.law.high=8192"])[1], "1xH100")
    assert wider["hours"][0] > 1.5 * one["hours"][0] and wider["tokens_at_most"] == 2 * one["tokens_at_most"]


def test_a_model_of_the_hub_is_read_from_the_cache_if_it_is_there(tmp_path, monkeypatch):
    hub = pytest.importorskip("huggingface_hub")
    (tmp_path / "config.json").write_text((SHIPPED["tiny"] / "config.json").read_text())
    monkeypatch.setattr(hub, "try_to_load_from_cache", lambda name, file: str(tmp_path / file))
    assert shape_of("somebody/mine") == (shape_of("tiny")[0], "config.json of somebody/mine")


def test_errors_say_what_is_allowed():
    _, recipe = read_recipe("l1-exact")
    with pytest.raises(ConfigError, match=r"unknown GPU 'H10'. Did you mean 'H100'"):
        plan(recipe, "8xH10")
    with pytest.raises(ConfigError, match="8xH100, or 2x8xH100"):
        plan(recipe, "8 x H100")
    with pytest.raises(ConfigError, match="does not say its size; give --size"):
        shape_of("somebody/mine")
    with pytest.raises(ConfigError, match=r"unknown model size '1B'"):
        shape_of("tiny", "1B")
    assert (parse_gpus("2x8xH100"), parse_gpus("h100")) == (("H100", 16), ("H100", 1))
    assert shape_of("deepseek-ai/DeepSeek-R1-Distill-Qwen-1.5B")[0] == SHAPES["1.5B"]
    assert shape_of("Qwen/Qwen3-8B")[0] == SHAPES["8B"]


def test_a_model_that_is_here_is_read_from_its_config(tmp_path):
    from safetensors import safe_open

    shipped, source = shape_of("tiny")
    with safe_open(SHIPPED["tiny"] / "model.safetensors", "np") as weights:
        counted = sum(weights.get_tensor(name).size for name in weights.keys())  # noqa: SIM118 (it is no mapping)
    assert shipped.parameters == pytest.approx(counted, rel=0.01) and source == "config.json of tiny"
    run = tmp_path / "run"
    shutil.copytree(SHIPPED["tiny"], run / "model")
    (run / "recipe.toml").write_text("")
    assert shape_of(str(run))[0] == shape_of(str(run / "model"))[0] == shipped
    _, recipe = read_recipe("tiny-exact")
    assert plan(recipe, "1xL4")["model"]["parameters"] == shipped.parameters


def test_what_a_config_does_not_say_is_named(tmp_path):
    config = json.loads((SHIPPED["tiny"] / "config.json").read_text())
    for changed, message in (({"hidden_size": None}, "does not say 'hidden_size'; give --size"),
                             ({"num_experts": 8}, "mixture of experts")):  # fmt: skip
        table = {key: value for key, value in (config | changed).items() if value is not None}
        (tmp_path / "config.json").write_text(json.dumps(table))
        with pytest.raises(ConfigError, match=message):
            shape_of(str(tmp_path))
    (tmp_path / "config.json").write_text(json.dumps({"text_config": config}))
    assert shape_of(str(tmp_path))[0] == shape_of("tiny")[0]


def test_command_prints_a_table_or_json():
    from lcpo.cli.plan_command import command

    done = CliRunner().invoke(command, ["l1-exact", "--gpus", "8xH100"])
    assert (
        done.exit_code == 0
        and "Assumed, never measured" in done.output
        and "48 h" in done.output
        and "fits" in done.output
    )
    done = CliRunner().invoke(command, ["l1-exact", "trl.max_steps=10", "--json"])
    assert json.loads(done.output)["generations"] == 5
