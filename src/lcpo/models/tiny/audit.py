"""The audit of a tiny base, before any reinforcement learning: is every try worth what it can be, and is there no dial?

Validation problems of the search world, temperature 1. docs/search.md says what each table must show.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lcpo.budgets import prompt
from lcpo.engines.base import Request, sub_seed, user
from lcpo.engines.local import LocalEngine
from lcpo.measure.statistics import slope, spearman
from lcpo.models.tiny.demonstrations import MARK
from lcpo.tasks import search
from lcpo.tasks.search import Search, attainable, pairs_of, read_thought
from lcpo.thinking import CLOSE, OPEN
from lcpo.types import Budget

BUDGETS = (12, 15, 18, 21, 26, 31, 37, 45, 54, 66, 79, 96)
TRIES = (1, 2, 4, 8, 16)
SHOWN = (1, 4, 16)
"""Numbers of tries in the table; the audit's JSON has all."""
COUNTS = (5, 10, 20, 40, 80, 120)
CUTS = (0.0, 0.25, 0.5, 0.75, 1.0)
CAP = 192
"""Tokens of a response at most."""
THOUGHT = 224
"""Tokens of thought in which sixteen tries of any form have room."""


@dataclass(frozen=True)
class Thinker:
    """A model and the seed of all its draws; it writes at temperature 1, at most `cap` tokens."""

    engine: LocalEngine
    seed: int
    cap: int = CAP

    def write(
        self, questions: Sequence[str], draw: str, prefixes: Sequence[str] = (), cap: int = 0, *, closing: bool = True
    ) -> list[str]:
        """What follows each question and prefix; where it may not close the thought, exactly `cap` tokens of it."""
        cap = cap or self.cap
        shut = self.engine.encode(CLOSE).ids or ()
        requests = [
            Request(
                user(question),
                cap,
                seed=sub_seed(self.seed, draw, place),
                prefix=self.engine.encode(prefixes[place] if prefixes else ""),
                stop_ids=() if closing else shut,
                min_tokens=0 if closing else cap,
            )
            for place, question in enumerate(questions)
        ]
        return [each.kept.text for each in self.engine.generate(requests)]

    def ids(self, text: str) -> tuple[int, ...]:
        """The ids of a text."""
        return self.engine.encode(text).ids or ()

    def think_on(self, questions: Sequence[str], draw: str, tokens: int) -> list[str]:
        """A thought of exactly so many tokens for each question."""
        return self.write(questions, draw, [OPEN] * len(questions), tokens, closing=False)

    def answers(self, questions: Sequence[str], thoughts: Sequence[str], draw: str) -> list[str]:
        """The answer after each thought, closed."""
        closed = [f"{OPEN}{thought}{CLOSE}" for thought in thoughts]
        return [text.strip() for text in self.write(questions, draw, closed, cap=4)]


def mean(values: Sequence[float] | NDArray[Any]) -> float | None:
    """The mean to four digits, None of nothing."""
    return round(float(np.mean(values)), 4) if len(values) else None


def by_tries(thinker: Thinker, searches: Sequence[Search], own: bool) -> dict[str, Any]:
    """Accuracy with k tries, over what is attainable: own ones, cut after the k-th, or right ones that are given."""
    questions = [each.question for each in searches]
    if own:
        thoughts = thinker.think_on(questions, "tries", THOUGHT)
    else:
        thoughts = [given(each, thinker.seed + place) for place, each in enumerate(searches)]
    read = [read_thought(each, thought).tries for each, thought in zip(searches, thoughts, strict=True)]
    table = {}
    for k in TRIES:
        chosen = [i for i, tries in enumerate(read) if len(tries) >= k]
        cut = [thoughts[i][: read[i][k - 1].end] for i in chosen]
        answers = thinker.answers([questions[i] for i in chosen], cut, f"answer {k}")
        rows = list(zip([searches[i] for i in chosen], cut, answers, strict=True))
        best = [answer == read_thought(each, thought).best for each, thought, answer in rows]
        possible = attainable(k, pairs_of(len(searches[0].numbers)))
        accuracy = mean([answer == each.best for each, _, answer in rows])
        table[str(k)] = {
            "problems": len(chosen),
            "accuracy": accuracy,
            "attainable": round(possible, 4),
            "share": None if accuracy is None else round(accuracy / possible, 3),
            "picks_best": mean(best),
        }
    return table


def given(each: Search, seed: int) -> str:
    """Right tries in random order, as many as the audit needs, marked as they should be."""
    pairs = list(each.sums)
    np.random.default_rng(seed).shuffle(pairs)
    text, best = "", None
    for pair in pairs[: max(TRIES)]:
        better = best is None or each.distance(pair) < each.distance(best)
        best = pair if better else best
        text += f" {pair}{each.sums[pair]:03d}{'!' if better else ''}"
    return text


def free(thinker: Thinker, searches: Sequence[Search]) -> dict[str, Any]:
    """Responses without a budget: how long they are, what their tries are, and whether the best of them is answered."""
    questions = [each.question for each in searches]
    responses = thinker.write(questions, "free")
    parts = [text.partition(CLOSE) for text in responses]
    read = [read_thought(each, part[0]) for each, part in zip(searches, parts, strict=True)]
    answers = [part[2].strip() for part in parts]
    rows = list(zip(searches, read, answers, strict=True))
    tries = [each for thought in read for each in thought.tries]
    return {
        "problems": len(searches),
        "tokens": mean([len(thinker.ids(text)) + 1 for text in responses]),
        "tries": mean([len(thought.tries) for thought in read]),
        "accuracy": mean([answer == each.best for each, _, answer in rows]),
        "accuracy_without_tries": mean([answer == each.best for each, thought, answer in rows if not thought.tries]),
        "sums_right": mean([each.verdict != "wrong" for each in tries if each.verdict != "invented"]),
        "doubled": mean([each.verdict == "doubled" for each in tries]),
        "invented": mean([each.verdict == "invented" for each in tries]),
        "picks_best": mean([answer == thought.best for _, thought, answer in rows if thought.best]),
        "no_answer": mean([not answer for answer in answers]),
    }


def cuts(thinker: Thinker, searches: Sequence[Search]) -> dict[str, Any]:
    """Where a thought of 96 tokens is cut after a share of it, wherever that falls: accuracy, attainable, the pick."""
    questions = [each.question for each in searches]
    thoughts = thinker.think_on(questions, "cut", 96)
    table = {}
    for share in CUTS:
        cut = [thinker.engine.decode(ids[: round(share * len(ids))]) for ids in map(thinker.ids, thoughts)]
        answers = thinker.answers(questions, cut, f"answer {share}")
        rows = [
            (each, read_thought(each, thought), answer)
            for each, thought, answer in zip(searches, cut, answers, strict=True)
        ]
        table[f"{share:.0%}"] = {
            "accuracy": mean([answer == each.best for each, _, answer in rows]),
            "attainable": mean([attainable(read.count("right"), len(each.sums)) for each, read, _ in rows]),
            "picks_best": mean([answer == read.best for _, read, answer in rows if read.best]),
        }
    return table


def waits(thinker: Thinker, searches: Sequence[Search]) -> dict[str, Any]:
    """What follows where a thought that ended is made to go on with "Wait", as S1 does it."""
    questions = [each.question for each in searches]
    thoughts = [text.partition(CLOSE)[0].removeprefix(OPEN) for text in thinker.write(questions, "wait")]
    before_wait = [f"{OPEN}{thought}Wait" for thought in thoughts]
    parts = [text.partition(CLOSE) for text in thinker.write(questions, "go on", before_wait, cap=64)]
    before = [read_thought(each, thought) for each, thought in zip(searches, thoughts, strict=True)]
    whole = [f"{thought}Wait{part[0]}" for thought, part in zip(thoughts, parts, strict=True)]
    after = [read_thought(each, thought) for each, thought in zip(searches, whole, strict=True)]
    answered = [(b, part[2].strip()) for b, part in zip(after, parts, strict=True) if b.best and part[1]]
    more = [each for a, b in zip(before, after, strict=True) for each in b.tries[len(a.tries) :]]
    return {
        "goes_on": mean([len(b.tries) > len(a.tries) for a, b in zip(before, after, strict=True)]),
        "right": mean([each.verdict == "right" for each in more]),
        "picks_best": mean([answer == read.best for read, answer in answered]),
    }


def counting(thinker: Thinker, samples: int) -> dict[str, dict[str, float | None]]:
    """How exactly "Write N marks." is followed: share exact, share within a tenth, mean absolute error in tokens."""
    table = {}
    for number in COUNTS:
        written = thinker.write([f"Write {number} marks."] * samples, f"count {number}")
        off = np.abs(np.array([text.count(MARK) for text in written]) - number)
        table[str(number)] = {
            "exact": mean(off == 0),
            "within_tenth": mean(off <= 0.1 * number),
            "error": mean(off),
        }
    return table


def dial(thinker: Thinker, searches: Sequence[Search]) -> dict[str, float | None]:
    """Slope and Spearman correlation of length on the number asked for, where the number should mean nothing yet."""
    asked = [(budget, each) for budget in BUDGETS for each in searches]
    responses = thinker.write([prompt(search.as_problem(e), Budget("exact", b)) for b, e in asked], "dial")
    lengths = np.array([len(thinker.ids(text)) + 1 for text in responses], dtype=float)
    budgets = np.array([budget for budget, _ in asked], dtype=float)
    right = [text.partition(CLOSE)[2].strip() == each.best for text, (_, each) in zip(responses, asked, strict=True)]
    follows = {"slope": slope(budgets, lengths), "rank_correlation": spearman(budgets, lengths)}
    return {
        **{name: None if value is None else round(value, 3) for name, value in follows.items()},
        "tokens": mean(lengths),
        "accuracy": mean(right),
    }


def audit(
    folder: Path,
    *,
    problems: int = 500,
    seed: int = 0,
    cap: int = CAP,
    sizes: Sequence[int] = search.SIZES,
    unseen_sizes: Sequence[int] = search.UNSEEN_SIZES,
) -> dict[str, Any]:
    """All tables for the model in `folder`, on so many validation problems of every size; unseen sizes apart.

    cap: tokens of a response at most.
    """
    thinker = Thinker(LocalEngine.load(folder), seed, cap)
    result: dict[str, Any] = {"problems": problems, "seed": seed, "sizes": {}, "unseen_sizes": {}}
    for name, chosen in (("sizes", sizes), ("unseen_sizes", unseen_sizes)):
        for size in chosen:
            held = [search.parse(p.question) for p in search.problems("validation", problems, sizes=(size,))]
            result[name][str(size)] = {
                "own_tries": by_tries(thinker, held, own=True),
                "given_tries": by_tries(thinker, held, own=False),
                "free": free(thinker, held),
            }
    mixed = [search.parse(p.question) for p in search.problems("validation", problems)]
    result["cuts"] = cuts(thinker, mixed)
    result["waits"] = waits(thinker, mixed)
    result["counting"] = counting(thinker, min(40, problems))
    result["dial"] = dial(thinker, mixed[:200])
    return result


def table(result: dict[str, Any]) -> str:
    """The audit as Markdown: a line for every size, then what does not depend on it."""
    head = ["numbers", *(f"k = {k}" for k in SHOWN), "sums right", "doubled", "picks best"]
    lines = [_line(head), "|" + "---|" * len(head)]
    for name, mark in (("sizes", ""), ("unseen_sizes", " (unseen)")):
        for size, tables in result[name].items():
            own = [tables["own_tries"][str(k)] for k in SHOWN]
            accuracy = [f"{_two(row['accuracy'])} of {_two(row['attainable'])}" for row in own]
            shares = [_two(tables["free"][key]) for key in ("sums_right", "doubled", "picks_best")]
            lines.append(_line([size + mark, *accuracy, *shares]))
    waits_, dial_ = result["waits"], result["dial"]
    rest = {
        "accuracy where a thought of 96 tokens is cut": ", ".join(
            f"{_two(row['accuracy'])} at {at}" for at, row in result["cuts"].items()
        ),
        '"Wait" at the end': f"goes on {_two(waits_['goes_on'])}, tries after it right {_two(waits_['right'])},"
        f" picks best {_two(waits_['picks_best'])}",
        f'"Write N marks." followed to the mark, N = {min(COUNTS)}-{max(COUNTS)}': ", ".join(
            _two(row["exact"]) for row in result["counting"].values()
        ),
        "asked for 12-96 tokens: slope, rank correlation": f"{dial_['slope']}, {dial_['rank_correlation']}",
    }
    return "\n".join([*lines, "", _line(["what", "value"]), "|---|---|", *map(_line, rest.items())])


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _two(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
