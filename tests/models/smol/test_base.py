"""The base of smol: which file it is made from, its two tags, and how its tokenizer writes."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from lcpo.cli.models_command import command
from lcpo.engines.models import built, resolve
from lcpo.errors import ConfigError, EngineError
from lcpo.models.smol import base

HERE = (built(base.NAME) / "config.json").is_file()
needs_base = pytest.mark.skipif(not HERE, reason="smollm2 is not built on this machine: make smol")


def test_a_file_that_is_another_one_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("gguf", reason="needs the extra 'smol'")
    with pytest.raises(EngineError, match="is not there"):
        base.build(tmp_path / "x.gguf", out=tmp_path / "out")
    (tmp_path / "x.gguf").write_bytes(b"GGUF")
    with pytest.raises(EngineError, match="has sha256"):
        base.build(tmp_path / "x.gguf", out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_model_that_is_not_built_says_how(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(EngineError, match="lcpo models build smollm2"):
        resolve("smollm2")
    listed = json.loads(CliRunner().invoke(command, ["--json"]).stdout)
    reasons = {row["name"]: (row["here"], row["reason"]) for row in listed}
    assert reasons["tiny"] == (True, None)
    assert reasons["smollm2"] == (False, "is not on this machine yet; run  lcpo models build smollm2")
    result = CliRunner().invoke(command, ["build", "smolm2"])
    assert isinstance(result.exception, ConfigError)
    assert "Did you mean 'smollm2'?" in str(result.exception)


def test_without_the_hub_its_weights_are_missed_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    constants = pytest.importorskip("huggingface_hub.constants", reason="needs the extra 'train'")
    pytest.importorskip("transformers", reason="needs the extra 'train'")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    with pytest.raises(EngineError, match="cannot read HuggingFaceTB/SmolLM2-135M-Instruct"):
        base.build(hub=True, out=tmp_path / "out")
    assert "not rounded to four bits" in capsys.readouterr().err


@needs_base
def test_the_tokenizer_of_the_base() -> None:
    transformers = pytest.importorskip("transformers", reason="needs the extra 'train'")
    from lcpo.engines.formats import format_of
    from lcpo.thinking import Marks, split_ids

    source = resolve("smollm2")
    assert source.kind == "built"
    tokenizer = transformers.AutoTokenizer.from_pretrained(source.path)

    def encode(text: str) -> list[int]:
        return list(tokenizer(text, add_special_tokens=False)["input_ids"])

    assert len(tokenizer) == 49_152
    assert [tokenizer.decode([token]) for token in encode("48+17=65!\n")] == [*"48+17=65!\n"]
    assert len(encode("<think>")) == len(encode("</think>")) == 1
    marks = Marks.of(encode, {tokenizer.eos_token_id}, tokenizer.decode)
    ids = encode("<think>48+17=65!</think>48 and 17<|im_end|>")
    parts = split_ids(ids, marks)
    assert (parts.thinking, parts.answer, parts.closed, parts.ended) == (9, 6, True, True)
    assert tokenizer.decode(ids, skip_special_tokens=True) == "<think>48+17=65!</think>48 and 17"
    chat = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "<think>b</think>c"}]
    text = tokenizer.apply_chat_template([*chat, chat[0]], tokenize=False, add_generation_prompt=True)
    assert "<think>" not in text and text.endswith("<|im_end|>\n<|im_start|>assistant\n")
    form = format_of(tokenizer)
    assert (form.open, form.close, form.opened) == ("<think>", "</think>", False)


@needs_base
def test_the_weights_of_the_base() -> None:
    torch = pytest.importorskip("torch", reason="needs the extra 'train'")
    from safetensors import safe_open

    with safe_open(built(base.NAME) / "model.safetensors", "pt") as weights:
        rows = weights.get_tensor("model.embed_tokens.weight")
    assert rows.shape == (49_152, 576) and rows.dtype == torch.bfloat16
    near = torch.nn.functional.cosine_similarity(rows[12:17].float(), rows[14].float()[None])
    assert near[:3].min() > 0.99  # reserved tokens that the model never saw are all alike
    assert near[3:].max() < 0.8  # the two that became tags are not
    logits = torch.nn.functional.normalize(rows.float(), dim=1) @ rows[15:17].float().T
    assert logits.argmax(0).tolist() == [15, 16]  # each can be preferred to every other token
