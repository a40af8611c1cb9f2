"""The runner on the scripted engine: what is written, resumed, refused; and how much memory it takes."""

import json
import re
import tracemalloc
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from lcpo.engines.base import Engine, Generation, Request, sub_seed
from lcpo.engines.scripted import ScriptedEngine
from lcpo.errors import ConfigError, EngineError, TaskError
from lcpo.evaluate.plan import EvaluatedModel, Settings, batches, cells, check, problems_sha256
from lcpo.evaluate.records import SAMPLES, read_samples
from lcpo.evaluate.run import PROGRESS, finish, run
from lcpo.measure.filler import token_texts
from lcpo.types import Problem

PROBLEMS = [Problem(f"p{i}", f"What is {i}+1?", (str(i + 1),), instruction="") for i in range(7)]
SUBJECT = EvaluatedModel(
    "one", "one", "nowhere", "sha256:0", "exact", "l1", (8, 16), (True, False), ("prompted", "truncate")
)
SETTINGS = Settings(
    subjects=(SUBJECT, replace(SUBJECT, run="two", methods=("unlimited", "s1_fair"))),
    task="plus",
    verifier="exact",
    split="test",
    problems=7,
    problems_sha256=problems_sha256(PROBLEMS),
    samples=3,
    seed=11,
    temperature=1.0,
    top_p=1.0,
    cap=64,
    box="prefer",
    batch=20,
)


def script(request: Request) -> str:
    """Thinks for about as long as the seed says, and is right now and then."""
    if request.prefix.text.endswith("</think>"):
        return "5"
    number = sub_seed(request.seed, request.prompt_text)
    right = int(re.search(r"is (\d+)", request.prompt_text)[1]) + 1  # type: ignore[index]
    thought = "xyz"[number % 3] * (number % 30)
    full = f"<think>{thought}</think>{right if number % 2 else 0}"
    return full[len(request.prefix.text) :] if full.startswith(request.prefix.text) else "ab</think>"


def load(subject: EvaluatedModel) -> Engine:
    return ScriptedEngine(script)


def contents(out: Path) -> dict[str, object]:
    found = json.loads((out / "results.json").read_text())
    return {name: found[name] for name in ("rows", "dials", "comparisons")}


def go(
    out: Path, settings: Settings = SETTINGS, resume: bool = False, load: Callable[[EvaluatedModel], Engine] = load
) -> None:
    state = run(settings, PROBLEMS, load, out, resume=resume)
    finish(out, state, {}, {"plus": 0.1})


def test_what_is_written(tmp_path: Path) -> None:
    go(tmp_path / "out")
    samples = list(read_samples(tmp_path / "out"))
    assert len(samples) == 7 * 3 * (4 + 3)
    assert len({(s.run, s.method, s.budget, s.problem, s.sample) for s in samples}) == len(samples)
    by_method = {s.method: s for s in samples}
    assert (by_method["unlimited"].budget, by_method["unlimited"].kind) == (None, "none")
    assert (by_method["truncate"].scope, by_method["truncate"].kind, by_method["truncate"].seen) == (
        "thinking",
        "exact",
        None,
    )
    assert {s.seen for s in samples if s.method == "prompted"} == {True, False}
    for s in samples:
        assert s.seed == 11
        assert s.generation_cap == 64
        assert s.thinking_tokens is not None and s.answer_tokens is not None and s.tokens is not None
        assert s.tokens >= s.thinking_tokens + s.answer_tokens
        if s.method == "truncate":
            assert s.thinking_tokens <= (s.budget or 0)
        if s.method in ("prompted", "unlimited"):
            assert s.tokens == s.thinking_tokens + s.answer_tokens + 3  # two tags and EOS
            assert s.correct == (s.text.split("</think>")[1] == s.gold)
    found = json.loads((tmp_path / "out" / "results.json").read_text())
    assert len(found["rows"]) == 7
    assert found["manifest"]["tokens_generated"] < found["manifest"]["tokens_unshared"]
    assert found["manifest"]["settings"]["seed"] == 11
    assert (tmp_path / "out" / "curve.csv").read_text().count("\n") == 8


def test_the_same_settings_give_the_same_samples_whatever_the_batches(tmp_path: Path) -> None:
    go(tmp_path / "a")
    go(tmp_path / "b")
    go(tmp_path / "c", replace(SETTINGS, batch=1000))
    texts = {name: (tmp_path / name / SAMPLES).read_text() for name in "abc"}
    assert texts["a"] == texts["b"]
    assert sorted(texts["a"].splitlines()) == sorted(texts["c"].splitlines())
    assert contents(tmp_path / "a") == contents(tmp_path / "b")


class Dies(ScriptedEngine):
    """Is interrupted at its nth call."""

    def __init__(self, calls: list[int]) -> None:
        super().__init__(script)
        self.calls = calls

    def generate(self, requests: Sequence[Request]) -> list[Generation]:
        self.calls[0] -= 1
        if self.calls[0] < 0:
            raise KeyboardInterrupt
        return super().generate(requests)


@pytest.mark.parametrize("after", [0, 1, 5, 11])
def test_interrupted_and_resumed_equals_one_run(tmp_path: Path, after: int) -> None:
    go(tmp_path / "whole")
    calls = [after]
    with pytest.raises(KeyboardInterrupt):
        go(tmp_path / "cut", load=lambda subject: Dies(calls))
    with (tmp_path / "cut" / SAMPLES).open("a") as file:
        file.write('{"half a line')
    go(tmp_path / "cut", resume=True)
    assert (tmp_path / "cut" / SAMPLES).read_bytes() == (tmp_path / "whole" / SAMPLES).read_bytes()
    assert contents(tmp_path / "cut") == contents(tmp_path / "whole")


def test_a_finished_evaluation_loads_no_model_again(tmp_path: Path) -> None:
    go(tmp_path)
    before = (tmp_path / SAMPLES).read_bytes()

    def never(subject: EvaluatedModel) -> Engine:
        raise AssertionError

    go(tmp_path, resume=True, load=never)
    assert (tmp_path / SAMPLES).read_bytes() == before


def test_settings_are_never_mixed(tmp_path: Path) -> None:
    go(tmp_path / "out")
    with pytest.raises(ConfigError, match="add --resume"):
        go(tmp_path / "out")
    with pytest.raises(ConfigError, match=r"never mixed: samples: 3 -> 4"):
        go(tmp_path / "out", replace(SETTINGS, samples=4), resume=True)
    other = replace(SETTINGS, subjects=(replace(SUBJECT, identity="sha256:1"), SETTINGS.subjects[1]))
    with pytest.raises(ConfigError, match=r"subjects\[0\].identity"):
        go(tmp_path / "out", other, resume=True)
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "diary.txt").write_text("mine")
    with pytest.raises(ConfigError, match="holds no evaluation"):
        go(tmp_path / "notes")
    (tmp_path / "file").write_text("")
    for resume in (False, True):
        with pytest.raises(ConfigError, match="is a file, and an evaluation goes into a folder; choose another --out"):
            go(tmp_path / "file", resume=resume)
    with pytest.raises((TaskError, ConfigError)):
        go(tmp_path / "file" / "below")


def test_another_engine_or_tokenizer_is_refused_but_not_a_folder_from_before_they_were_noted(tmp_path: Path) -> None:
    go(tmp_path / "new")
    for change, complaint in (({"engine": "vllm"}, "engine: None -> 'vllm'"), ({"tokenizer": "t"}, "tokenizer: None")):
        with pytest.raises(ConfigError, match=complaint):
            go(tmp_path / "new", replace(SETTINGS, **change), resume=True)  # type: ignore[arg-type]
    calls = [5]
    with pytest.raises(KeyboardInterrupt):
        go(tmp_path / "old", load=lambda subject: Dies(calls))
    marked = json.loads((tmp_path / "old" / PROGRESS).read_text())
    del marked["settings"]["engine"], marked["settings"]["tokenizer"], marked["served"]
    (tmp_path / "old" / PROGRESS).write_text(json.dumps(marked))
    with pytest.raises(ConfigError, match="'vllm'"):
        go(tmp_path / "old", replace(SETTINGS, engine="vllm"), resume=True)
    go(tmp_path / "old", resume=True)
    assert (tmp_path / "old" / SAMPLES).read_bytes() == (tmp_path / "new" / SAMPLES).read_bytes()


def test_a_server_that_now_serves_another_model_is_refused(tmp_path: Path) -> None:
    calls = [5]
    with pytest.raises(KeyboardInterrupt):
        go(tmp_path, load=lambda subject: Dies(calls))

    def another(subject: EvaluatedModel) -> Engine:
        engine = ScriptedEngine(script)
        engine.name = "another"
        return engine

    with pytest.raises(ConfigError, match="was made with 'scripted', and nowhere now serves 'another'"):
        go(tmp_path, resume=True, load=another)
    go(tmp_path, resume=True)


def test_a_write_error_is_one_line_and_loses_nothing(tmp_path: Path) -> None:
    calls = [3]
    with pytest.raises(KeyboardInterrupt):
        go(tmp_path / "out", load=lambda subject: Dies(calls))
    marked = json.loads((tmp_path / "out" / PROGRESS).read_text())
    (tmp_path / "out" / f".{PROGRESS}.part").mkdir()  # the next mark cannot be written
    with pytest.raises(TaskError, match="what was done is kept"):
        go(tmp_path / "out", resume=True)
    assert json.loads((tmp_path / "out" / PROGRESS).read_text()) == marked
    (tmp_path / "out" / f".{PROGRESS}.part").rmdir()
    go(tmp_path / "out", resume=True)
    go(tmp_path / "whole")
    assert (tmp_path / "out" / SAMPLES).read_bytes() == (tmp_path / "whole" / SAMPLES).read_bytes()


class Mute(ScriptedEngine):
    """Gives text without ids."""

    def __init__(self) -> None:
        super().__init__(script)
        self.marks = None


def test_what_an_engine_cannot_do_is_refused(tmp_path: Path) -> None:
    by_ids = replace(SETTINGS, subjects=(replace(SUBJECT, methods=("s1_l1",)),))
    with pytest.raises(EngineError, match="works on token ids"):
        go(tmp_path / "a", by_ids, load=lambda subject: Mute())


def test_batches_hold_every_cell_of_their_rows() -> None:
    plan = list(batches(SETTINGS))
    assert len({place for batch in plan for place in batch}) == sum(map(len, plan)) == 7 * 3 * (4 + 3)
    assert all(len(batch) <= 20 for batch in plan)
    held = [{place.cell for place in batch} for batch in plan]
    assert held == [set(cells(SETTINGS.subjects[0]))] * 5 + [set(cells(SETTINGS.subjects[1]))] * 4


def test_seen_is_of_the_budget_that_the_prompt_says(tmp_path: Path) -> None:
    methods = ("prompted", "filler", "filler:mark=-", "majority", "truncate")
    subject = replace(SUBJECT, methods=methods)
    seen = {spec: {cell.seen for cell in cells(subject) if cell.method == spec} for spec in methods}
    told, not_told = {True, False}, {None}  # majority's prompts say a share of the budget
    assert list(seen.values()) == [told, told, told, not_told, not_told]
    go(tmp_path, replace(SETTINGS, subjects=(subject,), samples=1))
    for s in read_samples(tmp_path):
        assert (s.seen is not None) == s.prompt.endswith(f"Think for {s.budget} tokens.")


def test_senseless_settings_are_refused() -> None:
    with pytest.raises(ConfigError, match="less than twice the largest budget"):
        check(replace(SETTINGS, cap=31))
    with pytest.raises(ConfigError, match="says no budgets of its own"):
        check(replace(SETTINGS, subjects=(replace(SUBJECT, budgets=()),)))
    with pytest.raises(ConfigError, match="needs a budget"):
        check(replace(SETTINGS, subjects=(replace(SUBJECT, kind="none"),)))
    with pytest.raises(ConfigError, match="at least one model"):
        check(replace(SETTINGS, subjects=()))
    check(replace(SETTINGS, cap=4, subjects=(replace(SUBJECT, budgets=(), methods=("unlimited",)),)))


def test_token_texts_join_to_the_text_even_where_characters_are_split() -> None:
    engine = ScriptedEngine(script)
    text = "<think>aé🙂b</think>7"
    ids = engine.encode(text).ids or ()
    known: dict[int, str] = {}
    pieces = token_texts(ids, engine.decode, known)
    assert len(pieces) == len(ids)
    assert "".join(pieces) == text
    assert token_texts(ids, engine.decode, known) == pieces
    assert token_texts(ids[:5], engine.decode, known)[-1] == "\ufffd"


@pytest.mark.slow
def test_a_hundred_thousand_samples_in_bounded_memory(tmp_path: Path) -> None:
    """Memory grows with a few whole numbers per sample, not with the texts (here 250 MB)."""
    many = replace(SETTINGS, subjects=(replace(SUBJECT, methods=("prompted",)),), samples=1)
    go(tmp_path / "seed", many)
    lines = (tmp_path / "seed" / SAMPLES).read_text().splitlines()
    with (tmp_path / "seed" / SAMPLES).open("w") as file:
        for i in range(100_000):
            sample = json.loads(lines[i % len(lines)])
            sample |= {"problem": f"p{i // 8}", "sample": i % 4, "text": sample["text"] + " words" * 400}
            file.write(json.dumps(sample) + "\n")
    state = run(many, PROBLEMS, load, tmp_path / "other")
    tracemalloc.start()
    finish(tmp_path / "seed", state, {}, {})
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 120e6
    assert (
        sum(row["samples"] for row in json.loads((tmp_path / "seed" / "results.json").read_text())["rows"]) == 100_000
    )
