"""Grading against a plain serial math-verify loop, one core against one core, and where the two disagree.

    python benchmarks/grading.py [--golds FILE ...] [--rollouts FILE ...] [--count N] [--out FILE.json]
    python benchmarks/grading.py --kinds [--out FILE.json]      right and wrong answers of every kind in
                                                                tests/cases/kinds.json

Four sorts of responses: right and written like the gold, right and rewritten, wrong, and a mix. --rollouts takes JSON
lines with `text` and `gold`, as `lcpo train` writes to RUN/rollouts, and makes them the mix; without it the mix is made
up: groups of 8 responses a problem, half of them right, an answer that was given once often given again, one in ten
without an answer. --golds takes JSON (a list or lines with `answer`) whose answers join the identical ones and the mix.

The loop is what one writes by hand: what follows the thought, parse, parse, verify. Both run in turns on one core (the
worker process of lcpo too), so that a busy machine slows both; starting lcpo's worker is printed apart.
"""

import argparse
import json
import logging
import os
import random
import re
import sys
import time
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from lcpo.verifiers import grade_many
from lcpo.verifiers import pool as workers

KINDS = Path(__file__).parents[1] / "tests" / "cases" / "kinds.json"
ANSWERS = Path(__file__).parents[1] / "tests" / "cases" / "answers.json"
TURN = 64
"""Responses that one side grades before it is the other's turn."""
GROUP = 8


ENDING = re.compile(r"(<\|[^|<>]*\|>|</s>)+\Z")
"""The end-of-response token, which rollouts keep in their text and training leaves out before it grades."""


@dataclass(frozen=True)
class Response:
    """A response, its gold, and whether it is right (None where nobody knows)."""

    text: str
    gold: str
    right: bool | None = None


@dataclass
class Comparison:
    """One sort of responses: seconds and errors of both sides, and every disagreement with our reason."""

    sort: str
    responses: int = 0
    loop_seconds: float = 0.0
    lcpo_seconds: float = 0.0
    loop_errors: int = 0
    lcpo_errors: int = 0
    disagreements: list[dict[str, Any]] = field(default_factory=list)

    @property
    def times(self) -> float:
        """How many times faster lcpo was."""
        return self.loop_seconds / self.lcpo_seconds


def spoken(answer: str, r: random.Random) -> str:
    """A response that ends in an answer."""
    thought = (
        "Let me see. " * r.randint(3, 40) + f"So it could be {r.randint(1, 99)}, but then $x^2 = {r.randint(2, 9)}$."
    )
    ends = (
        "Thus the answer is \\boxed{%s}.",
        "**Final answer**\n\\[\n\\boxed{%s}\n\\]",
        "Hence $\\boxed{%s}$.",
        "\\boxed{%s}",
    )
    return f"{thought}</think>\nWe add the terms and simplify. {r.choice(ends) % answer}"


def made_up(golds: list[dict[str, Any]], count: int, seed: int) -> dict[str, list[Response]]:
    """The four sorts from a list of golds with rewritten and wrong answers."""
    r = random.Random(seed)
    rewritten = [entry for entry in golds if entry["same"]]
    mistaken = [entry for entry in golds if entry["wrong"]]
    sorts: dict[str, list[Response]] = {"identical": [], "rewritten": [], "wrong": [], "mix": []}
    for _ in range(count):
        entry = r.choice(golds)
        sorts["identical"].append(Response(spoken(entry["gold"], r), entry["gold"], True))
        entry = r.choice(rewritten)
        sorts["rewritten"].append(Response(spoken(r.choice(entry["same"]), r), entry["gold"], True))
        entry = r.choice(mistaken)
        sorts["wrong"].append(Response(spoken(r.choice(entry["wrong"]), r), entry["gold"], False))
    while len(sorts["mix"]) < count:
        sorts["mix"] += group(r.choice(golds), r)
    return sorts


def group(entry: dict[str, Any], r: random.Random) -> list[Response]:
    """GROUP responses to one problem: right as the gold, right rewritten, wrong, or cut off in the thought."""
    gold, found = entry["gold"], []
    for _ in range(GROUP):
        draw = r.random()
        if draw < 0.1:
            found.append(Response("<think>Let me see. " * r.randint(3, 60), gold, False))
        elif draw < 0.5 or (draw < 0.6 and not entry["same"]) or (draw >= 0.6 and not entry["wrong"]):
            found.append(Response(spoken(gold, r), gold, True))
        elif draw < 0.6:
            found.append(Response(spoken(r.choice(entry["same"]), r), gold, True))
        else:
            found.append(Response(spoken(r.choice(entry["wrong"]), r), gold, False))
    return found


def by_loop(responses: list[Response], seconds: int = 5) -> list[bool]:
    """The plain loop: what follows the thought, parse, parse, verify, each with so many seconds on the clock."""
    from math_verify import parse, verify

    found = []
    for response in responses:
        answer = response.text.rpartition("</think>")[2]
        gold, said = (parse(text, parsing_timeout=seconds) for text in (f"\\boxed{{{response.gold}}}", answer))
        found.append(bool(verify(gold, said, timeout_seconds=seconds)))
    return found


def forget() -> None:
    """Empties every memory of lcpo's graders, so that each sort starts from nothing."""
    for name, module in list(sys.modules.items()):
        if name.startswith("lcpo.verifiers"):
            for value in vars(module).values():
                if isinstance(value, lru_cache(int).__class__):
                    value.cache_clear()


def compare(sort: str, responses: list[Response]) -> Comparison:
    """Both sides in turns over the same responses."""
    forget()
    made = Comparison(sort, len(responses))
    seen: set[tuple[str, str]] = set()
    for at in range(0, len(responses), TURN):
        turn = responses[at : at + TURN]
        start = time.perf_counter()
        loop = by_loop(turn)
        middle = time.perf_counter()
        ours = grade_many([response.text for response in turn], [response.gold for response in turn])
        made.loop_seconds += middle - start
        made.lcpo_seconds += time.perf_counter() - middle
        for response, theirs, our in zip(turn, loop, ours, strict=True):
            known = response.right is not None
            made.loop_errors += known and theirs != response.right
            made.lcpo_errors += known and our.correct != response.right
            key = (response.gold, our.answer or response.text[-60:])
            if theirs != our.correct and key not in seen:
                seen.add(key)
                told = {"loop": theirs, "lcpo": our.correct, "made as": response.right, "why": our.reason}
                made.disagreements.append({"gold": response.gold, "answer": our.answer, **told})
    return made


def rows_of(path: Path) -> list[dict[str, Any]]:
    """The rows of a JSON list or of JSON lines."""
    text = path.read_text("utf-8")
    return list(json.loads(text)) if text.lstrip().startswith("[") else [json.loads(line) for line in text.splitlines()]


def sorts_of(given: argparse.Namespace) -> dict[str, list[Response]]:
    """The responses of each sort, from the files that were given."""
    golds = rows_of(ANSWERS)
    for path in given.golds:
        answers = dict.fromkeys(str(row["answer"]) for row in rows_of(path) if str(row["answer"] or "").strip())
        golds += [{"gold": answer, "same": [], "wrong": []} for answer in answers]
    if given.golds:  # a wrong answer to one problem is the right one to another
        r = random.Random(given.seed)
        for entry in golds:
            others = {r.choice(golds)["gold"] for _ in range(3)} - {entry["gold"]}
            entry["wrong"] = entry["wrong"] or sorted(others)
    sorts = made_up(golds, given.count, given.seed)
    if given.rollouts:
        rows = [row for path in given.rollouts for row in rows_of(path)]
        sorts["mix"] = [Response(ENDING.sub("", row["text"]), str(row["gold"])) for row in rows]
    return sorts


def show(made: list[Comparison], recorded: bool, start_seconds: float) -> None:
    """The table and every disagreement."""
    heads = ("number", "loop /s", "lcpo /s", "times", "differ", "loop errs", "lcpo errs")
    print(f"{'responses':22}" + "".join(f"{head:>10}" for head in heads))
    for one in made:
        name = f"{one.sort} ({'recorded' if recorded else 'made up'})" if one.sort == "mix" else one.sort
        rates = f"{one.responses / one.loop_seconds:10.0f}{one.responses / one.lcpo_seconds:10.0f}{one.times:10.1f}"
        print(f"{name:22}{one.responses:10}{rates}{len(one.disagreements):10}{one.loop_errors:10}{one.lcpo_errors:10}")
    print(f"one core; lcpo's worker took {start_seconds:.1f} s to start, once")
    for one in made:
        for told in one.disagreements:
            verdicts = f"loop {'right' if told['loop'] else 'wrong'}, lcpo {'right' if told['lcpo'] else 'wrong'}"
            print(f"  {one.sort}: gold {told['gold']!r}, answer {told['answer']!r}: {verdicts} ({told['why']})")


def show_kinds() -> dict[str, dict[str, int]]:
    """Prints how many right answers of each kind either side accepts, and how many wrong ones; returns the counts."""
    rows = [(kind, *row) for kind, table in json.loads(KINDS.read_text("utf-8")).items() for row in table]
    cases = [
        (kind, gold, said, right)
        for kind, gold, *both in rows
        for right, part in zip((True, False), both, strict=True)
        for said in part
    ]
    responses = [Response(f"\\boxed{{{said}}}", gold, right) for _, gold, said, right in cases]
    graded = grade_many([response.text for response in responses], [response.gold for response in responses])
    counts: dict[str, list[int]] = {}
    for (kind, _, _, right), loop, ours in zip(cases, by_loop(responses, 60), graded, strict=True):
        for name in (kind, "all"):
            held = counts.setdefault(name, [0] * 6)
            for place, count in enumerate((1, loop, ours.correct)):
                held[place + (0 if right else 3)] += count
    print(f"{'kind':22}" + "".join(f"{head:>12}" for head in ("right", "loop", "lcpo", "wrong", "loop", "lcpo")))
    for name, held in sorted(counts.items(), key=lambda item: item[0] == "all"):
        print(f"{name:22}" + "".join(f"{count:12}" for count in held))
    names = ("right", "right_loop", "right_lcpo", "wrong", "wrong_loop", "wrong_lcpo")
    return {name: dict(zip(names, held, strict=True)) for name, held in counts.items()}


def main() -> None:
    """Runs the comparison on one core and prints it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--golds", type=Path, nargs="*", default=[])
    parser.add_argument("--rollouts", type=Path, nargs="*", default=[])
    parser.add_argument("--count", type=int, default=1000, help="responses of each sort")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="where to write the figures as JSON")
    parser.add_argument("--kinds", action="store_true", help="count acceptances by kind of answer instead")
    given = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    logging.getLogger("math_verify").setLevel(logging.CRITICAL)
    if given.kinds:
        counts = show_kinds()
        if given.out:
            given.out.write_text(json.dumps(counts, indent=1) + "\n", "utf-8")
        return
    sorts = sorts_of(given)
    by_loop([Response("\\boxed{x+1}", "1+x")])
    start = time.perf_counter()
    workers.shared().run(workers.Job(((("x+1", "", ()), ("1+x", "", ())),), "1+x", 60.0))
    start_seconds = time.perf_counter() - start
    made = [compare(sort, responses) for sort, responses in sorts.items()]
    show(made, bool(given.rollouts), start_seconds)
    if given.out:
        rows = [{**vars(one), "times": one.times} for one in made]
        figures = {"seed": given.seed, "recorded": bool(given.rollouts), "worker_start_s": start_seconds, "sorts": rows}
        given.out.write_text(json.dumps(figures, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
