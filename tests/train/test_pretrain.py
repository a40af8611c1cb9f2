"""The build of the tiny base: repeatable, and the same when it was interrupted."""

from pathlib import Path

import pytest

from lcpo.errors import ConfigError

pretrain = pytest.importorskip("lcpo.train.pretrain", reason="training needs the extra 'train'")
torch = pytest.importorskip("torch")

SHORT = pretrain.Schedule(steps=4, reasoning=2, batch=4, warmup=1)


def test_an_interrupted_build_ends_as_the_uninterrupted_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = pretrain.build(tmp_path / "whole", 3, schedule=SHORT, save_every=2)
    draw = pretrain.draw

    def interrupted(seed: int, at: int, schedule: object) -> object:
        if at == 3:
            raise KeyboardInterrupt
        return draw(seed, at, schedule)

    with monkeypatch.context() as patch:
        patch.setattr(pretrain, "draw", interrupted)
        with pytest.raises(KeyboardInterrupt):
            pretrain.build(tmp_path / "parts", 3, schedule=SHORT, save_every=2)
    with pytest.raises(ConfigError, match="other settings"):
        pretrain.build(tmp_path / "parts", 4, schedule=SHORT)
    parts = pretrain.build(tmp_path / "parts", 3, schedule=SHORT, save_every=2)
    assert (parts / "model.safetensors").read_bytes() == (whole / "model.safetensors").read_bytes()
    assert not (parts / "build.pt").exists()
    assert pretrain.build(parts, 3, schedule=SHORT) == parts
    with pytest.raises(ConfigError, match="a build with seed 3, not one with seed 4"):
        pretrain.build(parts, 4, schedule=SHORT)
    with pytest.raises(ConfigError, match="seed 3 and another schedule"):
        pretrain.build(parts, 3)
    (parts / "build.json").unlink()
    with pytest.raises(ConfigError, match="no finished build"):
        pretrain.build(parts, 3, schedule=SHORT)


def test_batches_depend_on_seed_and_step_alone() -> None:
    assert pretrain.draw(0, 7, SHORT) == pretrain.draw(0, 7, SHORT)
    assert pretrain.draw(0, 7, SHORT) != pretrain.draw(1, 7, SHORT)
    assert pretrain.draw(0, 7, SHORT) != pretrain.draw(0, 8, SHORT)


def test_counting_comes_after_reasoning() -> None:
    def counted(at: int) -> int:
        return sum(row.question.startswith("Write") for row in pretrain.draw(0, at, pretrain.Schedule(reasoning=5)))

    assert counted(4) == 0
    assert 16 <= counted(5) <= 48


def test_the_shipped_base_is_whole() -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from lcpo.tiny import shipped
    from lcpo.tiny.model import tokenizer

    folder = shipped("tiny")
    model = AutoModelForCausalLM.from_pretrained(folder)
    assert model.config.eos_token_id == tokenizer().eos_token_id
    assert AutoTokenizer.from_pretrained(folder).get_vocab() == tokenizer().get_vocab()
    assert sum(path.stat().st_size for path in folder.iterdir()) < 4_000_000
