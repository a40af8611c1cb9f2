"""study/smol_ship.py: what a run leaves, as package data."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="models need the extra 'train'")
pytest.importorskip("peft", reason="adapters need the extra 'train'")

from lcpo.engines import models  # noqa: E402
from lcpo.engines.models import built, card_block, resolve  # noqa: E402
from lcpo.errors import ConfigError  # noqa: E402
from lcpo.models.smol import adapters, base  # noqa: E402
from lcpo.recipes.recipe import read_recipe  # noqa: E402
from small_smol import adapt, assert_merged, small_base  # noqa: E402
from smol_ship import ship  # noqa: E402

ROW = {"kind": "exact", "method": "prompted", "chance": 0.05, "useless": 0.1, "filler": 0.0, "inert": 0.25}


def results(run: str) -> dict[str, Any]:
    """As much of results.json as a card reads."""
    row = {"run": run, "task": "pairs", **ROW}
    rows = [
        {**row, "budget": 160, "accuracy": 0.5, "tokens_mean": 150.0, "mare": 0.1, "over_budget": 0.4},
        {**row, "budget": 16, "accuracy": 0.125, "tokens_mean": 20.0, "mare": 0.3, "over_budget": 0.6},
        {**row, "budget": None, "accuracy": 0.25, "tokens_mean": 77.0, "kind": "none", "method": "unlimited"},
        {**row, "budget": 16, "accuracy": 0.25, "tokens_mean": 12.0, "mare": 0.2, "over_budget": 0.0, "kind": "max"},
        {**row, "budget": 16, "accuracy": 0.99, "tokens_mean": 12.0, "method": "s1"},
        {**row, "budget": 16, "accuracy": 0.99, "tokens_mean": 12.0, "run": "another"},
    ]
    return {"rows": rows, "dials": [{"run": run, **ROW, "task": "pairs", "rank_correlation": 0.97}]}


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A finished run over a small base in a cache of its own, as study/smol_gpu.py leaves it, and two evaluations."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(models, "ADAPTERS", tmp_path / "weights")
    small_base(built(base.NAME))
    run = tmp_path / "runs" / "smol-exact"
    adapt(built(base.NAME), run / "stages" / "supervised", seed=1)
    adapt(built(base.NAME), run / "adapter", seed=2)
    _, recipe = read_recipe("smol-exact")
    (run / "recipe.toml").write_text(recipe.toml())
    manifest = {
        "versions": {"lcpo": "0.1.0"},
        "machine": {"cpu": "a CPU", "cpus": 16, "gpu": "a GPU of 2026"},
        "model": {"source": "smollm2", "sha256": "another"},
        "stages": {"supervised": {"steps": 321}, "hindsight": [{"used": 1234}]},
    }
    (run / "manifest.json").write_text(json.dumps(manifest))
    line = {"step": 44, "tokens": 1_000_000, "reward": 0.1, "accuracy": 0.2, "rank_correlation": 0.9, "mare": 0.3}
    (run / "metrics.jsonl").write_text(json.dumps(line) + "\n")
    for name in ("smol-exact", "smol-supervised"):
        folder = run.parent / f"eval-{name}"
        folder.mkdir()
        (folder / "results.json").write_text(json.dumps(results(name)))
    return run


def test_a_run_becomes_three_names(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ship(run, tmp_path / "weights", told=tmp_path)
    assert "warning" in capsys.readouterr().err  # the manifest names other files
    cards = {
        name: (tmp_path / "weights" / name / "README.md").read_text() for name in ("smol", "smol-exact", "smol-max")
    }
    for name, text in cards.items():
        assert text.startswith("---\nlicense: apache-2.0\nbase_model: HuggingFaceTB/SmolLM2-135M-Instruct\n")
        assert f"\n# {name}\n" in text and "321 supervised steps" in text and "one a GPU of 2026" in text
        assert ("44 steps of LCPO" in text) == ("hindsight on 1,234 samples" in text) == (name != "smol")
        assert "0.99" not in text and str(tmp_path) not in text
        block = card_block(tmp_path / "weights" / name)
        assert block["base"]["weights_sha256"] == base.weights_sha256(built(base.NAME))
        assert block["evaluate"]["kind"] == ("max" if name == "smol-max" else "exact")
        assert block["task"]["name"] == "words" and block["budget"]["template"] == "l1"
        assert ("law" in block["budget"]) == (name != "smol")  # its training drew no budget
        none = "| pairs | none | - | - | - | - | 77.0 | 0.25 | 0.05 | 0% | 10% | 25% |"
        assert none in text
    exact = (
        "| pairs | exact | 16 to 160 | 0.97 | 20% | 50% | 20.0 to 150.0 | 0.12 to 0.50 | 0.05 | 0% | 10% | 25% to 25% |"
    )
    assert exact in cards["smol"] and exact in cards["smol-exact"] and exact not in cards["smol-max"]
    assert "| pairs | max | 16 | - | 20% | 0% | 12.0 | 0.25 |" in cards["smol-max"]
    config = json.loads((tmp_path / "weights" / "smol" / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == "smollm2"
    assert config["target_modules"] == sorted(config["target_modules"])
    done = [adapters.build(name) for name in ("smol", "smol-max")]
    for folder, left in zip(done, ("stages/supervised", "adapter"), strict=True):
        assert_merged(folder, built(base.NAME), run / left, [5, 60, 7, 8, 61, 9])
    assert resolve("smol-max").tables["budget"]["template"] == "l1"


def test_a_run_that_went_on_replaces_what_it_went_on_from(run: Path, tmp_path: Path) -> None:
    """The card tells of both runs, and so does the manifest, however often it is shipped; `smol` stays as it was."""
    weights, one = tmp_path / "weights", {"smol-exact": "adapter"}
    ship(run, weights, told=tmp_path)
    first = json.loads((tmp_path / "smol-exact.json").read_text())
    kept = (weights / "smol" / "README.md").read_bytes()
    (run / "recipe.toml").write_text('adapter = "smol-exact"\n' + (run / "recipe.toml").read_text())
    manifest = json.loads((run / "manifest.json").read_text())
    manifest["machine"] |= {"gpu": None}
    manifest["stages"] = {"hindsight": [{"used": 66}]}
    manifest["model"] |= {"adapter_sha256": first["adapter_sha256"]}
    (run / "manifest.json").write_text(json.dumps(manifest))
    adapt(built(base.NAME), run / "adapter", seed=3)
    for _ in range(2):
        ship(run, weights, folders=one, told=tmp_path)
    second = json.loads((tmp_path / "smol-exact.json").read_text())
    assert second["before"] == [first]
    assert second["adapter_sha256"] != first["adapter_sha256"]
    text = (weights / "smol-exact" / "README.md").read_text()
    assert "321 supervised steps, then hindsight on 1,300 samples of its own, then 44 steps of LCPO" in text
    assert "one a GPU of 2026, then on 16 CPU cores (a CPU)" in text
    assert (weights / "smol" / "README.md").read_bytes() == kept
    manifest["model"]["adapter_sha256"] = "unheard of"
    (run / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(ConfigError, match="went on with another adapter"):
        ship(run, weights, folders=one, told=tmp_path)


def test_pieces_are_put_together(run: Path, tmp_path: Path) -> None:
    ship(run, tmp_path / "whole", told=tmp_path)
    pieces = tmp_path / "pieces"
    pieces.mkdir()
    for name, left in (("smol", "stages/supervised"), ("smol-exact", "adapter")):
        data = (run / left / adapters.WEIGHTS).read_bytes()
        size = len(data) // 11 + 1  # piece 10 comes after piece 9
        for number, at in enumerate(range(0, len(data), size)):
            (pieces / f"{name}.safetensors.{number}").write_bytes(data[at : at + size])
    shutil.rmtree(run / "stages")
    (run / "adapter" / adapters.WEIGHTS).unlink()
    with pytest.raises(ConfigError, match="no adapter of smol"):
        ship(run, tmp_path / "weights", told=tmp_path)
    ship(run, tmp_path / "weights", pieces, told=tmp_path)
    for name in ("smol", "smol-exact", "smol-max"):
        for file in (adapters.WEIGHTS, "adapter_config.json", "README.md"):
            assert (tmp_path / "weights" / name / file).read_bytes() == (tmp_path / "whole" / name / file).read_bytes()


def test_a_run_from_another_base_is_refused(run: Path, tmp_path: Path) -> None:
    (run / "recipe.toml").write_text((run / "recipe.toml").read_text().replace('"smollm2"', '"smollm2-hub"'))
    with pytest.raises(ConfigError, match="trained smollm2-hub"):
        ship(run, tmp_path / "weights", told=tmp_path)
    assert not (tmp_path / "weights").exists()
