"""Golds of real benchmarks against themselves: 100 %, as they stand and in a sentence; skips without the files."""

import json
import random
import re
from itertools import pairwise
from pathlib import Path

import pytest

from lcpo.verifiers import grade_many

DATA = next(
    (p for up in Path(__file__).resolve().parents if (p := up / "shared" / "data").is_dir()), Path("shared/data")
)
FILES = [
    "train/math_train.json",
    "train/aime_1983_2023.json",
    "test/math500.json",
    "test/aime2024.json",
    "test/amc.json",
]
FILES += ["test/aime2025.jsonl", "test/gsm8k.jsonl"]
EXCEPTIONS: dict[str, str] = {}
"""file and row -> why its gold does not equal itself; empty: there is none."""


def golds_of(path: Path) -> dict[str, str]:
    """file and row -> gold, rows without an answer left out."""
    text = path.read_text("utf-8")
    rows = json.loads(text) if text.startswith("[") else [json.loads(line) for line in text.splitlines()]
    answers = {f"{path.name} {i}": row["answer"] for i, row in enumerate(rows)}
    return {name: str(answer) for name, answer in answers.items() if answer not in (None, "")}


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("said", ["\\boxed{%s}", "<think>2+2=4, or \\boxed{0}?</think>\nSo it is $\\boxed{%s}$. Done."])
def test_every_gold_equals_itself(name: str, said: str) -> None:
    if not (DATA / name).exists():
        pytest.skip(f"no data at {DATA / name}")
    golds = golds_of(DATA / name)
    answers = [gold.rpartition("####")[2].strip() or gold for gold in golds.values()]
    found = grade_many([said.replace("%s", answer) for answer in answers], list(golds.values()), box="require")
    wrong = {row: golds[row] for row, one in zip(golds, found, strict=True) if not one.correct}
    assert {row: gold for row, gold in wrong.items() if row not in EXCEPTIONS} == {}


@pytest.mark.parametrize("name", FILES)
def test_no_gold_equals_its_neighbour_by_mistake(name: str) -> None:
    """Each gold against the next one in the file: right only where they are the same number or text."""
    if not (DATA / name).exists():
        pytest.skip(f"no data at {DATA / name}")
    golds = [gold for gold in golds_of(DATA / name).values() if gold.lstrip("-").isdigit()]
    found = grade_many([f"\\boxed{{{gold}}}" for gold in golds[1:]], golds[:-1])
    assert [one.correct for one in found] == [int(a) == int(b) for a, b in zip(golds[1:], golds, strict=False)]


def bare(gold: str) -> str:
    """A gold without spaces, units, braces, degree and percent signs: a rough reading that shares no code with ours."""
    text = re.sub(r"\\(?:text|mbox|textnormal)\s*\{[^{}]*\}|\^?\{?\\circ\}?|\\[ ,!%$]|[\s.]+$", "", gold)
    text = re.sub(r"\\[dt]frac", r"\\frac", text)
    text = re.sub(r"[\s{}$,]|\\(?:left|right)", "", text).rstrip(".")
    return re.sub(r"\.0+$|(?<=\.\d)0+$", "", text)


def test_no_gold_equals_another_problem_s_by_mistake() -> None:
    """Golds that are no integers against shuffled ones: whatever is accepted is the same at a rough glance as well."""
    path = DATA / "train/math_train.json"
    if not path.exists():
        pytest.skip(f"no data at {path}")
    golds = sorted({gold for gold in golds_of(path).values() if not re.fullmatch(r"-?\d+", gold)})
    others = random.Random(0).sample(golds, len(golds))
    pairs = [*[*zip(golds, others, strict=True)][:500], *pairwise(golds)]
    pairs = [(gold, other) for gold, other in pairs if gold != other]
    grades = grade_many([f"\\boxed{{{other}}}" for _, other in pairs], [gold for gold, _ in pairs])
    accepted = [pair for pair, grade in zip(pairs, grades, strict=True) if grade.correct]
    assert [pair for pair in accepted if bare(pair[0]) != bare(pair[1])] == []
    assert accepted, "the same number is written in several ways in these golds"
