"""Inert thought: the answer is given again without a part of the thought, or with another problem's in its place.

Of chosen samples of method `prompted` the model answers six times more, greedily, so that chance plays no part: after
its whole thought; without the first, second, third and last quarter of it, cut between words; and with its second half
taken from a thought about another problem. What is kept is whether the answer differs from the one after the whole.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from lcpo.decode import Ask, Response
from lcpo.engines.base import Engine, Request, Segment
from lcpo.evaluate.comparisons import DIAL
from lcpo.evaluate.plan import Place, Settings, cells
from lcpo.evaluate.rows import CHANGES, Row
from lcpo.measure.statistics import binomial_interval, binomial_upper
from lcpo.thinking import Thinking, split_ids
from lcpo.types import IntArray, Problem
from lcpo.verifiers import grade_many, group_answers

QUARTERS = CHANGES - 1
CHANGED = 0.03
"""A quarter is inert where its removal changes fewer answers than this, by the upper 95 % bound."""
LEAST = 99
"""Samples of a row from which on that can be shown: none of 99 changed bounds the rate at 2.98 %."""

Ids = tuple[int, ...]


def chosen(settings: Settings, place: Place) -> bool:
    """Whether a sample is one of those that are measured: of each row the first ones, different problems first."""
    number = place.sample * settings.problems + place.problem
    return place.cell.method == DIAL and number < (settings.inert or 0)


def further_requests(settings: Settings) -> str:
    """What the measure will cost, in a sentence."""
    rows = sum(cell.method == DIAL for model in settings.subjects for cell in cells(model))
    of_row = min(settings.inert or 0, settings.problems * settings.samples)
    text = (
        f"--inert {settings.inert}: up to {rows * of_row * (CHANGES + 1):,} further answers ({of_row} samples of each"
        f" of {rows} rows, {CHANGES + 1} times each); each reads a prompt and a thought and writes what follows"
    )
    return text + ("" if of_row >= LEAST else f"; fewer than {LEAST} samples cannot show that anything is inert")


def changes(
    settings: Settings,
    batch: Sequence[Place],
    problems: Sequence[Problem],
    asks: Sequence[Ask],
    responses: Sequence[Response],
    engine: Engine,
) -> dict[int, list[bool | None]]:
    """Of the chosen samples of a batch, by number: which of the five changes of their thought change their answer.

    None where there is no other problem's thought. A thought that is not closed, or too short to be cut in four, is
    left out.
    """
    thoughts = {i: _cut(responses[i], engine) for i, place in enumerate(batch) if chosen(settings, place)}
    cut = {i: pieces for i, pieces in thoughts.items() if pieces is not None}
    variants: list[tuple[int, Ids]] = []
    swapped: set[int] = set()
    for i, (before, *quarters, after) in cut.items():
        others = [cut[j] for j in cut if batch[j].cell == batch[i].cell and batch[j].problem != batch[i].problem]
        without = [quarters[:number] + quarters[number + 1 :] for number in range(QUARTERS)]
        if others:
            swapped.add(i)
            without.append([*quarters[: QUARTERS // 2], *others[i % len(others)][1 + QUARTERS // 2 : -1]])
        variants += [(i, sum((before, *thought, after), ())) for thought in (quarters, *without)]
    written = _answered([(asks[i], ids) for i, ids in variants], engine)
    golds = [problems[batch[i].problem].golds for i, _ in variants]
    thinking: Thinking = True if engine.format.opened else "auto"
    grades = grade_many(written, golds, settings.verifier, thinking=thinking, box=settings.box) if variants else []
    answers: dict[int, list[str | None]] = {i: [] for i in cut}
    for (i, _), grade in zip(variants, grades, strict=True):
        answers[i].append(grade.answer)
    groups = {i: group_answers(given, settings.verifier) for i, given in answers.items()}
    return {
        i: [*(other != whole for other in others), *([] if i in swapped else [None])]
        for i, (whole, *others) in groups.items()
    }


def _cut(response: Response, engine: Engine) -> tuple[Ids, ...] | None:
    """(what stands before the thought, its four quarters, what closes it), cut where words begin if there are enough.

    None where the thought is not closed or has fewer than four tokens.
    """
    ids = response.response.ids
    if ids is None or engine.marks is None:
        return None
    parts = split_ids(ids, engine.marks)
    start, end, answer = parts.start, parts.start + parts.thinking, parts.response - parts.ended - parts.answer
    if not parts.closed or parts.thinking < QUARTERS:
        return None
    exact = [start + parts.thinking * i // QUARTERS for i in range(1, QUARTERS)]
    words = [i for i in range(start + 1, end) if engine.decode(ids[i : i + 1])[:1].isspace()]
    near = [min(words, key=lambda i: abs(i - place), default=place) for place in exact]
    ends = [0, start, *(near if near == sorted(set(near)) else exact), end, answer]
    return tuple(ids[a:b] for a, b in pairwise(ends))


def _answered(asked: Sequence[tuple[Ask, Ids]], engine: Engine) -> list[str]:
    """The whole responses, as text, that greedily follow on what stands there."""
    requests: list[Request] = []
    for ask, ids in asked:
        draft = ask.start(ask.budget)
        draft.insert(Segment(ids, engine.decode(ids)))
        requests.append(draft.request(draft.room, temperature=0.0))
    generations = engine.generate(requests)
    return [
        request.prefix.text + generation.kept.text for request, generation in zip(requests, generations, strict=True)
    ]


def inert(row: Row) -> dict[str, Any]:
    """What of a row's thought is inert, all null where it was not measured.

    inert: share of quarters whose removal changes an answer in fewer than 3 % of samples (upper 95 % bound);
    inert_at_most: of which the contrary is not shown (lower 95 % bound). inert_quarters, inert_swapped: share of
    answers that change, and its 95 % interval. inert_by_size: the same for problems of each size, where there are
    several.
    """
    if not row.changes:
        names = ("inert", "inert_at_most", "inert_samples", "inert_quarters", "inert_swapped", "inert_by_size")
        return dict.fromkeys(names)
    by_size = {size: _measured(counts) for size, counts in sorted(row.changes.items())}
    whole = _measured(np.sum(list(row.changes.values()), axis=0))
    return {**whole, "inert_by_size": by_size if len(by_size) > 1 else None}


def _measured(counts: IntArray) -> dict[str, Any]:
    """From how many answers each change of a thought changed, and of how many. [CHANGES, 2]."""
    *quarters, (swapped, swapped_of) = counts.tolist()
    return {
        "inert": sum(binomial_upper(hits, n, 0.95) < CHANGED for hits, n in quarters) / QUARTERS,
        "inert_at_most": sum(1 - binomial_upper(n - hits, n, 0.95) < CHANGED for hits, n in quarters) / QUARTERS,
        "inert_samples": quarters[0][1],
        "inert_quarters": [_rate(hits, n) for hits, n in quarters],
        "inert_swapped": _rate(swapped, swapped_of) if swapped_of else None,
    }


def _rate(hits: int, trials: int) -> Mapping[str, Any]:
    return {"changed": hits / trials, "ci95": binomial_interval(hits, trials)}
