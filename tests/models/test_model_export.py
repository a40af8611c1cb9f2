"""`lcpo models export`: what is written loads in plain transformers, says the same, and takes a budget."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from chat_templates import CHAT_TEMPLATES
from lcpo.budgets import prompt
from lcpo.cli import cli
from lcpo.engines.models import SHIPPED, card_tables, resolve
from lcpo.errors import ConfigError, EngineError
from lcpo.models.export import export
from lcpo.types import NO_BUDGET, Budget, Problem
from sums_model import EXACT

torch = pytest.importorskip("torch", reason="models need the extra 'train'")
pytest.importorskip("transformers", reason="models need the extra 'train'")

IDS = torch.tensor([[5, 60, 7, 8, 61, 9]])


def load(folder: Path) -> tuple[Any, Any]:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    return AutoModelForCausalLM.from_pretrained(folder).eval(), AutoTokenizer.from_pretrained(folder)


def logits(model: Any) -> Any:
    with torch.no_grad():
        return model(IDS).logits.float()


def asked(tokenizer: Any, text: str, **given: Any) -> str:
    messages = [{"role": "user", "content": text}]
    return str(tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True, **given))


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """A random model with a ChatML template and no card."""
    from transformers import Qwen3ForCausalLM

    from sums_model import configuration, save, tokenizer

    torch.manual_seed(0)
    save(Qwen3ForCausalLM(configuration(layers=2, width=32, heads=2, head=16)), tokenizer(), tmp_path / "base")
    return tmp_path / "base"


def adapt(base: Path, adapter: Path, **more: Any) -> Any:
    """Saves an adapter that is no identity; the model with it."""
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(1)
    model, _ = load(base)
    config = LoraConfig(r=4, target_modules="all-linear", init_lora_weights=False, task_type="CAUSAL_LM", **more)
    adapted = get_peft_model(model, config).eval()
    with torch.no_grad():
        for name, parameter in adapted.named_parameters():
            if "trainable_tokens_delta" in name:
                parameter.add_(torch.randn_like(parameter))
    adapted.save_pretrained(adapter)
    (adapter / "README.md").unlink(missing_ok=True)
    return adapted


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_model_goes_out_whole(name: str, tmp_path: Path) -> None:
    told = export(name, tmp_path / "out")
    (model, tokenizer), (before, plain) = load(tmp_path / "out"), load(SHIPPED[name])
    assert torch.equal(logits(model), logits(before))
    problem = Problem(id="", question="Which two of a48 b17 c93 add up closest to 100?", answers=("",), instruction="")
    for budget in (Budget("exact", 37), Budget("max", 8), NO_BUDGET):
        given = {} if budget.tokens is None else {"thinking_budget": budget.tokens, "thinking_budget_kind": budget.kind}
        assert asked(tokenizer, problem.question, **given) == asked(plain, prompt(problem, budget))
    kind = "max" if resolve(name).tables.get("evaluate", {}).get("kind") == "max" else "exact"
    assert told["kind"] == kind and told["reasoning_parser"] == "qwen3"
    assert asked(tokenizer, "x", thinking_budget=9) == asked(plain, prompt("x", Budget(kind, 9)).replace(BOXED, ""))
    assert card_tables(tmp_path / "out") == card_tables(SHIPPED[name])


BOXED = " Let's think step by step and output the final answer within \\boxed{}."


def test_an_adapter_is_merged_its_trained_tokens_too(base: Path, tmp_path: Path) -> None:
    adapted = adapt(base, tmp_path / "adapter", trainable_token_indices={"embed_tokens": [60, 61]})
    told = export(str(tmp_path / "adapter"), tmp_path / "out")
    model, _ = load(tmp_path / "out")
    torch.testing.assert_close(logits(model), logits(adapted), rtol=1e-4, atol=1e-4)
    assert (logits(model) - logits(load(base)[0])).abs().max() > 0.1
    assert not (model.get_input_embeddings().weight[60] == load(base)[0].get_input_embeddings().weight[60]).all()
    assert model.get_output_embeddings().weight is model.get_input_embeddings().weight
    assert told["merged"] and not list((tmp_path / "out").glob("adapter*"))
    assert str(tmp_path) not in (tmp_path / "out" / "README.md").read_text()


def test_the_adapter_of_a_run_belongs_to_what_its_recipe_says(base: Path, tmp_path: Path) -> None:
    run = tmp_path / "my-run"
    adapted = adapt(base, run / "adapter")
    (run / "recipe.toml").write_text(f'model = "{base}"\n[budget]\ntemplate = "use"\n[evaluate]\nkind = "max"\n')
    shutil.copytree(base, run / "model")
    (run / "model" / "README.md").write_text("# my-run\n")
    told = export(str(run / "adapter"), tmp_path / "out")
    model, tokenizer = load(tmp_path / "out")
    torch.testing.assert_close(logits(model), logits(adapted), rtol=1e-4, atol=1e-4)
    assert (told["model"], told["wording"], told["kind"]) == ("my-run", "use", "max")
    assert "x Use at most 9 tokens.<|im_end|>" in asked(tokenizer, "x", thinking_budget=9)
    assert (tmp_path / "out" / "README.md").read_text().startswith("# my-run\n")
    assert export(str(run), tmp_path / "whole")["merged"] is None
    assert torch.equal(logits(load(tmp_path / "whole")[0]), logits(load(base)[0]))


def test_an_adapter_whose_base_is_elsewhere_is_told(base: Path, tmp_path: Path) -> None:
    adapter = tmp_path / "adapter"
    adapt(base, adapter)
    base.rename(tmp_path / "moved")
    with pytest.raises(EngineError, match="not here; name it with --base"):
        export(str(adapter), tmp_path / "out")
    export(str(adapter), tmp_path / "out", base=str(tmp_path / "moved"))
    config = json.loads((adapter / "adapter_config.json").read_text())
    config["base_model_name_or_path"] = "/somebody/elses/tiny"
    (adapter / "adapter_config.json").write_text(json.dumps(config))
    with pytest.raises(EngineError, match=r"does not fit .*size mismatch"):  # looked up by name: another model
        export(str(adapter), tmp_path / "other")
    with pytest.raises(ConfigError, match="--base is for adapters"):
        export("tiny", tmp_path / "other", base="tiny")


@pytest.mark.parametrize("name", CHAT_TEMPLATES)
def test_a_folder_keeps_its_own_template(name: str, base: Path, tmp_path: Path) -> None:
    plain = CHAT_TEMPLATES[name]
    (base / "chat_template.jinja").write_text(plain)
    told = export(str(base), tmp_path / "out", dtype="bfloat16")
    model, tokenizer = load(tmp_path / "out")
    assert model.dtype == torch.bfloat16 and told["dtype"] == "bfloat16"
    assert told["reasoning_parser"] == ("deepseek_r1" if name == "r1" else "qwen3")
    assert asked(tokenizer, "x", thinking_budget=9) == asked(tokenizer, "x Think for 9 tokens.", chat_template=plain)
    again = export(str(tmp_path / "out"), tmp_path / "again", wording="answer")
    assert (again["dtype"], again["wording"]) == ("bfloat16", "answer")
    assert "x Answer in 9 tokens." in asked(load(tmp_path / "again")[1], "x", thinking_budget=9)


def test_what_cannot_be_exported_is_refused_and_leaves_nothing(base: Path, tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    for out, given, says in (
        ("full", {}, "is there and not empty"),
        ("full/file", {}, "is there and not empty"),
        ("new", {"dtype": "float31"}, "Did you mean 'float32'"),
        ("new", {"wording": "l2"}, "Did you mean 'l1'"),
    ):
        with pytest.raises(ConfigError, match=says):
            export(str(base), tmp_path / out, **given)
    with pytest.raises(ConfigError, match="is a server"):
        export("http://127.0.0.1:9/v1#m", tmp_path / "new")
    (base / "chat_template.jinja").write_text("{{ messages[0]['content'].split('?')[0] }}")
    with pytest.raises(EngineError, match="does not show the user's last message as it is"):
        export(str(base), tmp_path / "new")
    (base / "chat_template.jinja").unlink()
    with pytest.raises(EngineError, match="has no chat template"):
        export(str(base), tmp_path / "new")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["base", "full"]


def test_a_full_disk_leaves_nothing(tmp_path: Path) -> None:
    code = """
import resource, sys
from lcpo.cli import main
resource.setrlimit(resource.RLIMIT_FSIZE, (2**16, 2**16))
sys.argv = ["lcpo", "models", "export", "tiny", sys.argv[1]]
main()
"""
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "out")], capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.startswith(f"lcpo: cannot write {tmp_path / 'out'}: ") and "then export again" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_the_command_says_what_it_did(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    done = CliRunner().invoke(cli, ["models", "export", str(EXACT), str(tmp_path / "out")])
    assert done.exit_code == 0, done.exception
    for words in ("float32, into ", '" Think for N tokens."', '" Think for maximum N tokens."', "vllm serve "):
        assert words in done.stdout
    done = CliRunner().invoke(cli, ["models", "export", str(EXACT), str(tmp_path / "two"), "--kind", "max", "--json"])
    assert json.loads(done.stdout)["kind"] == "max"
    asks = CliRunner().invoke(cli, ["ask", str(tmp_path / "two"), "Add b48 c17.", "--budget", "12", "--json"])
    assert asks.exit_code == 0, asks.exception
    assert json.loads(asks.stdout)["budget"] == 12
