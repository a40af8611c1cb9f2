"""Hostile and odd answers through the mathematics verifier, from worker threads: none may hang, none may crash.

    python benchmarks/hostile.py [--answers 10000] [--deadline 0.5] [--threads 2] [--out FILE.json]

Prints a table by kind of answer: how many, how many passed the deadline, and the longest call. Exits with 1 if a call
raised, took three seconds longer than its two tries may, or called junk right. A deadline is CPU time: with more work
than cores the clock may show as many times more.
"""

import argparse
import json
import os
import random
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from lcpo.verifiers import grade

MARGIN_SECONDS = 3.0
"""How much longer than two deadlines (a failure is tried once more) a call may take on an idle machine."""
TRIES = 2
GOLDS = ("7919", "\\frac{355}{113}", "x^2+7x+12", "(3, 17]", "\\{2, 3, 5, 7\\}", "\\sqrt{7919}", "y=3x-8")
_SYMBOLS = (
    "1 2 9 0 . , + - * / ^ _ = < > ( ) [ ] { } | ! % $ & # ~ x y n \\frac \\sqrt \\int \\sum \\prod \\lim \\to \\infty "
    "\\pi \\cdot \\times \\left( \\right) \\left. \\right| \\begin{pmatrix} \\end{pmatrix} \\\\ \\text{ \\boxed{ \\cup "
    "\\in \\le \\pm \\log \\sin \\binom \\overline \\circ \\{ \\} \\mathbb{R} \\det \\mod"
)
_TOKENS = tuple(_SYMBOLS.split())


def _tower(r: random.Random) -> str:
    height = r.randint(3, 6)
    digits = [str(r.randint(2, 99)) for _ in range(height)]
    return r.choice(["^".join(digits), "^{".join(digits) + "}" * (height - 1), "**".join(digits)])


def _huge(r: random.Random) -> str:
    n = r.randint(5, 9)
    big = 10**n + r.randint(0, 99)
    sums = f"\\sum_{{i=1}}^{{10^{{{n}}}}} \\frac{{1}}{{i^{r.randint(2, 5)}}}", f"\\prod_{{k=1}}^{{10^{{{n}}}}} k"
    powers = f"2^{{-{big}}}", f"(x+1)^{{{big}}}", f"\\sqrt[{big}]{{{r.randint(2, 999)}}}", f"1e{big}"
    return r.choice(
        [*sums, *powers, f"{big}!", f"\\binom{{{big}}}{{10^{n - 1}}}", "9" * 190, "\\int_0^1 x^{x^x} e^{9x} dx"]
    )


def _megabyte(r: random.Random) -> str:
    unit = r.choice(
        ["a", "9", "{", "}", "\\boxed{", "$", "\\frac{1}", " ", "(", "answer: ", "<think>", "\n", "9^", "é"]
    )
    text = unit * (1_000_000 // len(unit))
    return r.choice([text, "\\boxed{" + text, "\\boxed{" + text + "}", text + "\\boxed{1}", "</think>" + text])


def _unicode(r: random.Random) -> str:
    ranges = ((1, 0x2FFF), (0xD800, 0xDFFF), (0x10000, 0x10FFFF))
    return "".join(chr(r.randint(*r.choice(ranges))) for _ in range(r.randint(1, 60)))


def _nested(r: random.Random) -> str:
    depth = r.randint(5, 60)
    left, right = r.choice([("(", ")"), ("{", "}"), ("\\sqrt{", "}"), ("\\frac{1}{", "}"), ("-(", ")"), ("|", "|")])
    return left * depth + "7" + right * (depth + r.choice([0, 0, -1, 1]))


def _soup(r: random.Random) -> str:
    return r.choice(["", " "]).join(r.choice(_TOKENS) for _ in range(r.randint(1, 40)))


def _unbalanced(r: random.Random) -> str:
    return "".join(r.choice("{}()[]$\\") for _ in range(r.randint(1, 80))) + r.choice(["", "5", "x"])


def _control(r: random.Random) -> str:
    return "".join(chr(r.randint(0, 31)) if r.random() < 0.5 else r.choice("7x+ ") for _ in range(r.randint(1, 40)))


def _prose(r: random.Random) -> str:
    words = ["the", "answer", "is", "final", "$", "not", "or", "and", "12", "=", ":", "\\boxed", "hope", "**", "x", "|"]
    return " ".join(r.choice(words) for _ in range(r.randint(1, 300)))


_CODE = (
    "__import__('os').abort() exit() ().__class__ print(7919) None nan inf -inf 1/0 0/0 \\frac{1}{0} 0^0 \\log(0) True "
    "{{7*7}} ${7*7} ';drop lambda:0 [x:=1] f(f(f)) import\\os %s%n \\input{/etc/passwd} <script>1</script>"
)


def _code(r: random.Random) -> str:
    return r.choice(_CODE.split()) + r.choice(["", " ", "\n", ";"]) * r.randint(0, 3)


def _mutated(r: random.Random) -> str:
    text = list(r.choice(GOLDS))
    for _ in range(r.randint(1, 3)):
        at = r.randrange(len(text))
        text[at : at + r.randint(0, 1)] = r.choice(_TOKENS)
    return "".join(text)


KINDS: dict[str, tuple[Callable[[random.Random], str], float]] = {
    "power towers": (_tower, 0.01),
    "huge numbers and sums": (_huge, 0.03),
    "a megabyte": (_megabyte, 0.03),
    "unicode": (_unicode, 0.10),
    "deep nesting": (_nested, 0.08),
    "LaTeX soup": (_soup, 0.25),
    "unbalanced": (_unbalanced, 0.10),
    "control characters": (_control, 0.08),
    "prose": (_prose, 0.10),
    "code": (_code, 0.04),
    "golds with errors": (_mutated, 0.18),
}
"""kind -> (generator, share of the answers)"""


@dataclass(frozen=True)
class Odd:
    """One hostile answer: its kind, the response that holds it, and the gold it is graded against."""

    kind: str
    text: str
    gold: str


def odd_answers(count: int, seed: int = 0) -> list[Odd]:
    """`count` hostile responses, the same for the same seed; a quarter of them without a box."""
    r = random.Random(seed)
    found = []
    names, weights = list(KINDS), [share for _, share in KINDS.values()]
    for kind in r.choices(names, weights, k=count):
        answer = KINDS[kind][0](r)
        boxed = kind == "power towers" or r.random() < 0.75
        text = answer if kind == "a megabyte" or not boxed else f"so \\boxed{{{answer}}}"
        found.append(Odd(kind, text, r.choice(GOLDS)))
    return found


@dataclass(frozen=True)
class Result:
    """What grading one of them came to: its kind, seconds, the reason given, and what was wrong with it (or "")."""

    kind: str
    seconds: float
    reason: str
    fault: str


def crowding() -> float:
    """How many tasks share a core, at least one: so many times longer than its CPU time a call may take."""
    return max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))


def attempt(odd: Odd, deadline: float, margin: float) -> Result:
    """Grades one answer and times it; a call that takes `margin` seconds longer than its tries may is a fault."""
    start = time.monotonic()
    try:
        found = grade(odd.text, odd.gold, deadline=deadline)
    except Exception as error:  # the point of this file is to see whether any comes
        return Result(odd.kind, time.monotonic() - start, "raised", f"raised {error!r} on {odd.text[:80]!r}")
    seconds = time.monotonic() - start
    fault = ""
    if seconds > (TRIES * deadline + margin) * crowding():
        fault = f"took {seconds:.1f} s: {odd.text[:80]!r}"
    elif found.correct and odd.kind != "golds with errors":
        fault = f"{odd.text[:80]!r} is called right for {odd.gold!r}: {found.reason}"
    return Result(odd.kind, seconds, found.reason, fault)


def run(count: int, deadline: float, threads: int, seed: int = 0, margin: float = MARGIN_SECONDS) -> list[Result]:
    """Grades `count` hostile answers from `threads` threads; the workers are started before the clock runs."""
    odds = odd_answers(count, seed)
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(lambda i: grade(f"\\boxed{{\\sin x+{i}}}", "\\cos x", deadline=60), range(threads * 2)))
        return list(pool.map(lambda odd: attempt(odd, deadline, margin), odds))


def main() -> int:
    """Runs and prints; the exit status says whether all went well."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--answers", type=int, default=10_000)
    parser.add_argument("--deadline", type=float, default=0.5, help="seconds of algebra for each answer")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="where to write the figures as JSON")
    given = parser.parse_args()
    start = time.monotonic()
    results = run(given.answers, given.deadline, given.threads, given.seed)
    wall = time.monotonic() - start
    by_kind: dict[str, list[Result]] = defaultdict(list)
    for result in results:
        by_kind[result.kind].append(result)
    rows = []
    print(f"{'kind':24}{'answers':>8}{'past deadline':>15}{'died':>6}{'raised':>8}{'longest s':>11}")
    for kind in KINDS:
        held = by_kind[kind]
        reasons = Counter(r.reason.split(" of ")[0] for r in held)
        late = sum(n for reason, n in reasons.items() if reason.startswith("past the deadline"))
        died = sum(n for reason, n in reasons.items() if reason.startswith("the algebra died"))
        longest = max((r.seconds for r in held), default=0.0)
        rows.append({"kind": kind, "answers": len(held), "past_deadline": late, "died": died, "longest_s": longest})
        print(f"{kind:24}{len(held):8}{late:15}{died:6}{reasons['raised']:8}{longest:11.2f}")
    faults = [r.fault for r in results if r.fault]
    print(f"{len(results)} answers on {given.threads} threads in {wall:.0f} s: {len(faults)} faults")
    for fault in faults:
        print(f"  {fault}")
    if given.out:
        settings = {
            "answers": given.answers,
            "deadline_s": given.deadline,
            "threads": given.threads,
            "seed": given.seed,
        }
        figures = {**settings, "wall_s": wall, "kinds": rows, "faults": faults}
        given.out.write_text(json.dumps(figures, indent=1) + "\n", "utf-8")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
