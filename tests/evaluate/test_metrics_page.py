"""What docs/metrics.md says of the fields of results.json, with an example, is what the code makes of it."""

import re
from pathlib import Path

import pytest

from lcpo.evaluate.behaviour import WORDS
from lcpo.evaluate.detectors import Thresholds
from lcpo.evaluate.records import Sample
from lcpo.evaluate.results import results

PAGE = Path(__file__).parents[2] / "docs" / "metrics.md"
pytestmark = pytest.mark.skipif(not PAGE.is_file(), reason="docs are not part of an installed package")


def answer(problem: str, number: int, tokens: int, text: str) -> Sample:
    return Sample(
        run="demo", model="demo", task="demo", method="prompted", kind="exact", scope="response", wording="l1",
        budget=10, seen=True, problem=problem, size=None, sample=number, seed=0, temperature=1.0, generation_cap=64,
        prompt="...", text="<think>...</think>" + text, tokens=tokens, thinking_tokens=tokens - 4, answer_tokens=1,
        filler_tokens=0, length_source="ids", finish_reason="stop", truncated=False, forced=False, no_answer=False,
        correct=text == "4", answer=text, gold="4", calls=1,
    )  # fmt: skip


def test_the_example() -> None:
    four = [answer("p1", 0, 5, "4"), answer("p1", 1, 15, "5"), answer("p2", 0, 5, "4"), answer("p2", 1, 15, "4")]
    (row,) = results(four, manifest={})["rows"]
    row["pass_at_k"] = row["pass_at_k"]["2"]
    said = re.findall(r"^\| `(\w+)`.* \| ([\d.]+) \|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert len(said) == 14
    assert {name: float(value) for name, value in said} == {name: pytest.approx(row[name]) for name, _ in said}


def test_every_field_of_a_row_is_explained() -> None:
    text = PAGE.read_text(encoding="utf-8")
    (row,) = results([answer("p1", 0, 5, "4")], manifest={})["rows"]
    settings = {"run", "model", "task", "method", "kind", "scope", "wording", "budget", "seen", "seed", "temperature"}
    plain = {"generation_cap", "problems", "samples", "length_source", "inert_samples", "inert_by_size"}
    others = re.compile(r"tokens_(p5|p95|median|stderr|ci95)|within_\d+")
    assert [n for n in row if n not in settings | plain and not others.fullmatch(n) and f"`{n}`" not in text] == []


def test_thresholds_and_lists_are_those_of_the_code() -> None:
    text = PAGE.read_text(encoding="utf-8")
    limits = Thresholds()
    for said in (
        f"more than {limits.answer_share:.0%}".replace("%", " %"),
        f"more than {limits.answer_tokens:.0f} tokens",
        f"more than {limits.repetition:.0%}".replace("%", " %"),
        f"more than {limits.filler:.0%} of tokens".replace("%", " %"),
        f"the {limits.growth}th power",
        f"more than {limits.no_thought:.0%} of samples".replace("%", " %"),
    ):
        assert said in text, said
    assert ", ".join([*WORDS][:-1]) + " and " + [*WORDS][-1] in text
