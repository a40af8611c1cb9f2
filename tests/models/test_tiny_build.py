"""The build of the tiny base: repeatable, and the same when it was interrupted; its audit."""

import json
from pathlib import Path

import pytest

from lcpo.engines.models import SHIPPED
from lcpo.errors import ConfigError

build = pytest.importorskip("lcpo.models.tiny.build", reason="models need the extra 'train'")

SHORT = build.Schedule(steps=4, small=2, batch=4, warmup=1)


@pytest.mark.slow
def test_an_interrupted_build_ends_as_the_uninterrupted_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = build.build(tmp_path / "whole", 3, schedule=SHORT, save_every=2)
    draw = build.draw

    def interrupted(seed: int, at: int, schedule: object) -> object:
        if at == 3:
            raise KeyboardInterrupt
        return draw(seed, at, schedule)

    with monkeypatch.context() as patch:
        patch.setattr(build, "draw", interrupted)
        with pytest.raises(KeyboardInterrupt):
            build.build(tmp_path / "parts", 3, schedule=SHORT, save_every=2)
    with pytest.raises(ConfigError, match="a build with seed 3, not one with seed 4"):
        build.build(tmp_path / "parts", 4, schedule=SHORT)
    parts = build.build(tmp_path / "parts", 3, schedule=SHORT, save_every=2)
    assert (parts / "model.safetensors").read_bytes() == (whole / "model.safetensors").read_bytes()
    assert not (parts / build.STATE).exists()
    assert build.build(parts, 3, schedule=SHORT) == parts
    with pytest.raises(ConfigError, match="seed 3 and another schedule"):
        build.build(parts, 3)
    (parts / "build.json").unlink()
    with pytest.raises(ConfigError, match="no build of this command"):
        build.build(parts, 3, schedule=SHORT)


def test_batches_depend_on_seed_and_step_alone() -> None:
    assert build.draw(0, 7, SHORT) == build.draw(0, 7, SHORT)
    assert build.draw(0, 7, SHORT) != build.draw(1, 7, SHORT)
    assert build.draw(0, 7, SHORT) != build.draw(0, 8, SHORT)


def test_counting_comes_after_small_problems() -> None:
    schedule = build.Schedule(small=5)
    counted = [sum(row.question.startswith("Write") for row in build.draw(0, at, schedule)) for at in (4, 5)]
    assert counted[0] == 0
    assert 5 <= counted[1] <= 30


def test_muted_stretches_are_not_learned_from() -> None:
    from lcpo.models.tiny.demonstrations import Demonstration
    from lcpo.models.tiny.model import tokenizer

    fast = tokenizer()
    (row,) = build.encode(fast, [Demonstration("Write 3 marks.", "<think> ab265!Wait</think> ab", ((7, 10), (14, 18)))])
    learned = [fast.decode([i]) for i, weight in zip(row.response, row.learned, strict=True) if weight]
    assert learned == ["<think>", "2", "6", "5", "!", "</think>", " ab", "<|im_end|>"]


@pytest.mark.slow
def test_the_audit_of_an_untrained_model_has_all_its_tables(tmp_path: Path) -> None:
    from lcpo.models.tiny import audit

    base = build.build(tmp_path / "base", 1, schedule=SHORT)
    result = audit.audit(base, problems=2, cap=16, sizes=(8,), unseen_sizes=(12,))
    assert json.loads(json.dumps(result, allow_nan=False)) == result
    assert list(result["sizes"]) == ["8"]
    assert list(result["unseen_sizes"]) == ["12"]
    assert "12 (unseen)" in audit.table(result)
    given = result["sizes"]["8"]["given_tries"]
    assert [row["attainable"] for row in given.values()] == pytest.approx([k / 28 for k in audit.TRIES], abs=1e-4)
    assert {"free", "own_tries"} < set(result["unseen_sizes"]["12"])
    assert {"cuts", "waits", "counting", "dial"} < set(result)


def test_given_tries_are_right_and_marked() -> None:
    from lcpo.models.tiny.audit import TRIES, given
    from lcpo.tasks import search

    read = search.read_thought(search.EXAMPLE, given(search.EXAMPLE, 3))
    assert read.count("right") == len(read.tries) == max(TRIES)
    assert [each.pair for each in read.tries if each.marked][-1] == read.best


def test_an_answer_weighs_what_it_shall() -> None:
    from lcpo.models.tiny.demonstrations import Demonstration
    from lcpo.models.tiny.model import tokenizer

    fast = tokenizer()
    rows = [Demonstration("Write 1 marks.", "<think>.</think>"), Demonstration("Which?", "<think></think> ab")]
    marks, answer = build.encode(fast, rows, answer=8.0)
    assert marks.learned == [1.0] * 4
    assert answer.learned == [1.0, 1.0, 8.0, 1.0]


def test_the_shipped_base_is_whole_and_made_by_the_command() -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from lcpo.models.tiny.model import tokenizer

    folder = SHIPPED["tiny"]
    model = AutoModelForCausalLM.from_pretrained(folder)
    assert model.config.eos_token_id == tokenizer().eos_token_id
    assert AutoTokenizer.from_pretrained(folder).get_vocab() == tokenizer().get_vocab()
    assert sum(path.stat().st_size for path in folder.iterdir()) < 5_000_000
    made = json.loads((folder / build.BUILD).read_text())
    assert made == {"seed": 0, "schedule": vars(build.Schedule())}


def test_the_page_shows_the_audit_that_ships() -> None:
    from lcpo.models.tiny.audit import table

    result = json.loads((SHIPPED["tiny"] / "audit.json").read_text())
    page = (Path(__file__).resolve().parents[2] / "docs" / "search.md").read_text()
    assert table(result | {"unseen_sizes": {}}) in page
