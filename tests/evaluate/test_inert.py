"""Inert thought: on engines of which one knows what their answers follow from, and on a trained model."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from lcpo.engines.base import Engine, Request, sub_seed
from lcpo.engines.local import LocalEngine
from lcpo.engines.scripted import ScriptedEngine
from lcpo.errors import ConfigError, EngineError
from lcpo.evaluate.batch import run_batch
from lcpo.evaluate.inert import further_requests
from lcpo.evaluate.plan import EvaluatedModel, Options, Settings, batches, check, make_plan, problems_sha256
from lcpo.evaluate.records import read_samples
from lcpo.evaluate.results import results
from lcpo.evaluate.run import finish, run
from lcpo.measure.statistics import binomial_interval, binomial_upper
from lcpo.tasks import task
from lcpo.tasks.sums import parse, read_thought
from lcpo.types import Problem
from sums_model import EXACT

MANY = [Problem(f"p{i:03d}", f"Which is {i}?", (f"w{i}",), instruction="", size=str(i % 2)) for i in range(120)]
MODEL = EvaluatedModel("m", "m", "nowhere", "sha256:0", "exact", "l1", (8, 16), None, ("prompted", "direct"))
SETTINGS = Settings(
    subjects=(MODEL,), task="which", verifier="exact", split="test", problems=120, samples=2, seed=0, temperature=1.0,
    problems_sha256=problems_sha256(MANY), top_p=1.0, cap=100, box="prefer", batch=90, inert=120,
)  # fmt: skip


def thinker(answer: Callable[[str], str]) -> Callable[[Request], str]:
    """Thinks eight words that only this problem has, then answers what `answer` makes of the thought that stands."""

    def script(request: Request) -> str:
        if request.prefix.text.endswith("</think>"):
            return answer(request.prefix.text[len("<think>") : -len("</think>")])
        words = " ".join(f"w{sub_seed(0, request.prompt_text, i) % 10**6}" for i in range(8))
        return f"<think>{words}</think>{words.split()[-1]}"

    return script


def measured(tmp_path: Path, answer: Callable[[str], str], settings: Settings = SETTINGS) -> list[dict[str, object]]:
    def load(model: EvaluatedModel) -> Engine:
        return ScriptedEngine(thinker(answer))

    state = run(settings, MANY, load, tmp_path, quiet=True)
    return list(finish(tmp_path, state, {}, {})["rows"])


def test_a_quarter_that_nothing_follows_from_is_inert(tmp_path: Path) -> None:
    for row in measured(tmp_path, lambda thought: (thought.split() or ["none"])[-1]):
        if row["method"] == "direct":
            assert row["inert"] is row["inert_quarters"] is row["inert_swapped"] is row["inert_by_size"] is None
            continue
        assert (row["inert"], row["inert_at_most"], row["inert_samples"]) == (0.75, 0.75, 120)
        assert [quarter["changed"] for quarter in row["inert_quarters"]] == [0, 0, 0, 1]  # type: ignore[attr-defined]
        assert row["inert_swapped"] == {"changed": 1, "ci95": binomial_interval(120, 120)}
        by_size = row["inert_by_size"]
        assert isinstance(by_size, dict) and set(by_size) == {"0", "1"}
        assert (by_size["0"]["inert"], by_size["0"]["inert_at_most"], by_size["0"]["inert_samples"]) == (0, 0.75, 60)
    samples = list(read_samples(tmp_path))
    assert all((s.changed is not None) == (s.method == "prompted" and s.sample == 0) for s in samples)


def test_an_answer_that_does_not_look_at_the_thought(tmp_path: Path) -> None:
    rows = [row for row in measured(tmp_path, lambda thought: "7") if row["method"] == "prompted"]
    for row in rows:
        assert row["inert"] == row["inert_at_most"] == 1
        assert row["inert_swapped"] == {"changed": 0, "ci95": binomial_interval(0, 120)}


def test_every_answer_that_needs_the_whole_thought(tmp_path: Path) -> None:
    rows = [
        row for row in measured(tmp_path, lambda thought: f"w{len(thought.split())}") if row["method"] == "prompted"
    ]
    assert {row["inert_at_most"] for row in rows} == {0}  # eight words become six
    swapped = {row["inert_swapped"]["changed"] for row in rows}  # type: ignore[index]
    assert swapped == {0}  # as many words as before


def test_few_samples_show_nothing_and_it_is_said(tmp_path: Path) -> None:
    few = replace(SETTINGS, inert=20)
    assert "1,... " not in further_requests(few)
    assert further_requests(SETTINGS).startswith(
        "--inert 120: up to 1,440 further answers (120 samples of each of 2 rows"
    )
    assert "fewer than 99 samples cannot show" in further_requests(few)
    assert "fewer than" not in further_requests(SETTINGS)
    rows = [row for row in measured(tmp_path, lambda thought: "7", few) if row["method"] == "prompted"]
    assert {(row["inert"], row["inert_at_most"], row["inert_samples"]) for row in rows} == {(0, 1, 20)}


def test_what_cannot_be_measured_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="method prompted"):
        check(replace(SETTINGS, subjects=(replace(MODEL, methods=("truncate",)),)))

    def mute(model: EvaluatedModel) -> Engine:
        engine = ScriptedEngine(thinker(str))
        engine.marks = None
        return engine

    with pytest.raises(EngineError, match="--inert works on token ids"):
        run(SETTINGS, MANY, mute, tmp_path, quiet=True)


def test_bounds_of_a_rate() -> None:
    assert binomial_upper(0, 99, 0.95) == pytest.approx(1 - 0.05 ** (1 / 99))  # below 3 %
    assert binomial_upper(0, 98, 0.95) > 0.03
    assert binomial_upper(3, 3, 0.95) == 1
    assert binomial_interval(5, 50) == pytest.approx([0.03328, 0.21814], abs=1e-5)  # Clopper and Pearson's
    assert binomial_interval(0, 10) == pytest.approx([0, 0.30850], abs=1e-5)
    assert binomial_interval(0, 0) is None


SUM = parse("Add b48 c17 d93 e25.")


@pytest.mark.parametrize(
    ("thought", "right", "useless"),
    [
        (" c65 d58 e83", 3, []),
        (" c+17=65 d65+93=58 e+25:13,8=83", 3, []),
        (" e83", 1, []),  # three terms in the head
        (" c66 d58", 1, ["c66"]),
        (" c65 d58 e83Wait e25 d18 c35 b83", 6, []),
        (" c65 d58 e83Wait d93 e18 b66 c83", 6, []),  # around the end
        (" c65 d58 e83 e83", 3, ["e83"]),
        (" c65Wait b48 c65", 1, ["c65"]),
        (" c65Wait k25 j48", 1, ["k25", "j48"]),
        (" c65Wait d25 e50", 1, ["d25", "e50"]),  # a term that is not there, and what follows from it
        ("", 0, []),
    ],
)
def test_steps_of_a_sum(thought: str, right: int, useless: list[str]) -> None:
    steps = read_thought(SUM, thought)
    assert (steps.right, [thought[start:end] for start, end in steps.useless]) == (right, useless)


def test_steps_of_a_search() -> None:
    search = task("search")
    (problem,) = search.problems("validation", 1)
    a, b, c = problem.id.removeprefix("search-").split("-")[:3]
    total = f"{int(a[1:]) + int(b[1:]):03d}"
    steps = search.steps(problem, f" {a[0]}{b[0]}{total}! {b[0]}{a[0]}{total} {a[0]}{c[0]}999")
    assert steps is not None and (steps.right, len(steps.useless)) == (1, 2)
    assert task("gsm8k").steps(problem, "1 + 1 = 2") is None


@pytest.mark.slow
def test_a_trained_model_thinks_on_without_effect() -> None:
    """Of 4-term sums at 96 tokens, another problem's second half of the thought changes next to no answer."""
    plan = make_plan(Options((str(EXACT),), budgets=(24, 96), problems=150, samples=1, inert=150, cap=200))
    engine = LocalEngine.load(str(EXACT))
    samples = [
        sample
        for batch in batches(plan.settings)
        for sample in run_batch(plan.settings, batch, plan.loaded.problems, engine, plan.task)
    ]
    short, long = results(samples, {}, resamples=5)["rows"]
    swapped = [row["inert_by_size"]["4"]["inert_swapped"]["changed"] for row in (short, long)]
    assert swapped[0] > 0.5 and swapped[1] < 0.1
    assert long["inert_by_size"]["4"]["inert_at_most"] >= 0.5
    of_four = [s for s in samples if s.size == "4" and s.budget == 96]
    useless = sum(s.useless_tokens or 0 for s in of_four) / sum(s.thinking_tokens or 0 for s in of_four)
    assert useless > 0.1
    assert json.dumps(results(samples, {}, resamples=5), allow_nan=False)
