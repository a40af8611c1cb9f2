"""Made-up thoughts for the supervised stage: several levels of detail, all lengths, stopped anywhere.

How long a thought is depends on nothing that the prompt says, and no prompt has a budget sentence: that is hindsight's
job. A thought aims at a length that is drawn log-uniformly; then its level of detail, its order and its end are drawn.

    pairs     48+17=65!                                      9 tokens with its line break; "!" marks the best so far
              48+17=65, 35 off!                              14
              48 and 17 make 65, 35 off!                     17
              48 plus 17: tens 50, ones 15, so 65, 35 off!   29
    chains    51                                             3
              34+17=51                                       9
              34 and 17 make 51.                             12
              34 plus 17: tens 40, ones 11, so 51.           24
"""

import itertools
import json
import math
import random
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from lcpo.measure.files import write_text
from lcpo.tasks import chains, pairs
from lcpo.tasks.chains import Chain
from lcpo.tasks.pairs import Pairs
from lcpo.thinking import CLOSE, OPEN

SHORTEST, LONGEST = 6, 240
"""Tokens of a thought aimed at."""
WITHOUT = 0.06
"""Share of answers without a thought."""
_PIECE = re.compile(r"\d| ?[A-Za-z]+| ?[^\w\s]+|\s")
PAIR_COSTS = (9.3, 14.3, 17.3, 29.5)
PAIR_SHARES = (0.55, 0.15, 0.15, 0.15)
"""How often a thought of pairs is written at each level."""
STEP_COSTS = (3.0, 8.6, 11.6, 23.5)
PASS = 25
"""Tokens a step above which one pass does not fill a thought."""


def tokens(text: str) -> int:
    """Tokens of a thought as SmolLM2 counts them: digits one each, words with their blank, marks, blanks and breaks."""
    return len(_PIECE.findall(text))


def try_pair(level: int, a: int, b: int, marked: bool) -> str:
    """A try of two numbers at a level of detail, its mark included."""
    total, off = a + b, pairs.distance((a, b))
    if level == 0:
        return f"{a}+{b}={total}" + "!" * marked
    if level == 1:
        return f"{a}+{b}={total}, {off} off" + "!" * marked
    if level == 2:
        return f"{a} and {b} make {total}, {off} off" + ("!" if marked else ".")
    tens, ones = 10 * (a // 10 + b // 10), a % 10 + b % 10
    return f"{a} plus {b}: tens {tens}, ones {ones}, so {total}, {off} off" + ("!" if marked else ".")


def take_step(level: int, total: int, step: int) -> str:
    """A step of a chain from a total, at a level of detail."""
    size, after = abs(step), total + step
    if level == 0:
        return f"{after}"
    if level == 1:
        return f"{total}{step:+d}={after}"
    if level == 2:
        return f"{total} and {size} make {after}." if step > 0 else f"{total} less {size} is {after}."
    sign, word = (1, "plus") if step > 0 else (-1, "minus")
    tens, ones = 10 * (total // 10 + sign * (size // 10)), total % 10 + sign * (size % 10)
    return f"{total} {word} {size}: tens {tens}, ones {ones}, so {after}."


def aim(rng: random.Random) -> int:
    """The length that a thought aims at, log-uniform, tokens."""
    return round(math.exp(rng.uniform(math.log(SHORTEST), math.log(LONGEST))))


def stop(rng: random.Random, lines: Sequence[str], room: int) -> tuple[list[str], str]:
    """The lines up to the first that reaches `room` tokens, or to the one before; now and then a part of one more."""
    kept = list(itertools.takewhile(lambda text: tokens(text) < room, itertools.accumulate(lines)))
    whole = list(lines[: max(1, len(kept))])
    part = lines[len(whole)] if len(whole) < len(lines) else ""
    if part and rng.random() < 0.5:
        return [*whole, part], ""
    if part and rng.random() < 0.15:
        return whole, part[: rng.randrange(len(part))].rstrip()
    return whole, ""


def joined(rng: random.Random, lines: Sequence[str], end: str) -> str:
    """A thought of lines; in one of seven, "Wait" stands before some of them, as S1 puts it there."""
    waits = rng.random() < 0.15
    text = ""
    for line in [*lines, *([end] if end else [])]:
        if waits and text and rng.random() < 0.2:
            text += rng.choice(("Wait", "\nWait"))
        text += "\n" * bool(text) + line
    return text


def search(rng: random.Random, problem: Pairs) -> tuple[str, str]:
    """(thought, answer) of a search: tries in random order or one number after the other, none twice; best so far."""
    if rng.random() < WITHOUT:
        return "", pairs.spoken(problem.best)
    room = aim(rng)
    every = list(problem.all)
    if rng.random() < 0.5:
        rng.shuffle(every)
    level = rng.choices(range(4), PAIR_SHARES)[0] if room > PAIR_COSTS[0] else 0
    while level and PAIR_COSTS[level] > 1.5 * room:
        level -= 1
    while PAIR_COSTS[level] * len(every) < room:
        level += 1
    mixed, best = rng.random() < 0.3, LONGEST
    lines = list[str]()
    for a, b in every:
        own = rng.choices(range(4), PAIR_SHARES)[0] if mixed and rng.random() < 0.3 else level
        off = pairs.distance((a, b))
        lines.append(try_pair(own, a, b, off < best) + "\n")
        best = min(best, off)
    kept, end = stop(rng, lines, room)
    thought = joined(rng, [line.rstrip("\n") for line in kept], end)
    return thought, pairs.read_thought(problem, thought).best or pairs.spoken(problem.best)


def walk(rng: random.Random, chain: Chain) -> tuple[str, str]:
    """(thought, answer) of a chain: its steps in as much detail as the length aimed at allows, now and then a check
    after them, from the answer back to the start.

    Where the room ends before the chain does the answer is still the right one: what is left is done in the head.
    """
    if rng.random() < WITHOUT:
        return "", chain.answer
    room, size = aim(rng), len(chain.steps)
    passes = 1 + (room > PASS * size or (room > 2 * STEP_COSTS[1] * size and rng.random() < 0.2))
    cost = room / (passes * size) * math.exp(rng.gauss(0, 0.2))
    lines = one_pass(rng, chain.start, chain.steps, cost)
    if passes == 2:
        back = [-step for step in reversed(chain.steps)]
        lines += ["Check:", *one_pass(rng, chain.totals[-1], back, cost)]
    if rng.random() < 0.4:
        return joined(rng, *stop(rng, lines, room)), chain.answer
    return joined(rng, lines, ""), chain.answer


def one_pass(rng: random.Random, start: int, steps: Sequence[int], cost: float) -> list[str]:
    """A line for each step, at levels that cost about `cost` tokens a step; below a total's, several steps in one."""
    total, at, lines = start, 0, list[str]()
    spread = rng.choice((0.5, 2.0, 6.0))
    while at < len(steps):
        several = max(1, round(STEP_COSTS[0] / cost * math.exp(rng.gauss(0, 0.3)))) if cost < 2.5 else 1
        part = steps[at : at + several]
        weights = [math.exp(-abs(each - max(3.0, cost)) / spread) for each in STEP_COSTS]
        level = 0 if len(part) > 1 else rng.choices(range(4), weights)[0]
        lines.append(take_step(level, total, sum(part)))
        total, at = total + sum(part), at + len(part)
    return lines


def row(rng: random.Random, direct: bool = False) -> dict[str, str]:
    """A row {"prompt", "response"}: a training problem in a known wording, a thought, the answer; direct: the right
    answer behind an empty thought, for the twin that does not reason."""
    if rng.random() < 0.5:
        problem = pairs.draw(rng, "train", rng.choice(pairs.SIZES))
        prompt = pairs.as_problem(problem, rng.choice(pairs.WORDINGS)).question
        thought, answer = ("", pairs.spoken(problem.best)) if direct else search(rng, problem)
    else:
        chain = chains.draw(rng, "train", rng.choice(chains.SIZES))
        prompt = chains.tell(chain, rng.choice(chains.STORIES), rng)
        thought, answer = ("", chain.answer) if direct else walk(rng, chain)
    return {"prompt": prompt, "response": f"{OPEN}{thought}{CLOSE}{answer}"}


def rows(count: int, seed: int = 0, *, direct: bool = False) -> Iterator[dict[str, str]]:
    """`count` rows; each is a function of (seed, its place)."""
    return (row(random.Random(f"smol-{seed}-{place}"), direct) for place in range(count))


def write(path: Path, count: int, seed: int = 0, *, direct: bool = False) -> None:
    """A JSONL file of rows, written whole."""
    written = (json.dumps(each, ensure_ascii=False) + "\n" for each in rows(count, seed, direct=direct))
    write_text(path, "".join(written))
