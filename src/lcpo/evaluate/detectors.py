"""What can go wrong while the numbers look fine: four detectors, each with the value it saw and the line it drew.

- `answer_reasoning`: the reasoning moved out of the thought into the answer, where nobody counted it.
- `padding`: a length was reached by repeating words or by filler.
- `collapse`: one length at every budget.
- `no_thought`: answers without a thought.
"""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lcpo.evaluate.records import Sample
from lcpo.thinking import CLOSE, OPEN, split_text

WORDS_READ = 4000
"""Words of a text that the repetition count looks at, from its start."""
NGRAM = 4
THOUGHTLESS = ("direct", "chat")
"""Methods that ask for no thought: the detectors of missing thoughts do not look at them."""
Line = Mapping[str, Any]
"""A row of results.json."""

_WORD = re.compile(r"\w+|[^\w\s]")


@dataclass(frozen=True)
class Thresholds:
    """Where each detector fires."""

    answer_share: float = 0.5
    """`answer_reasoning` fires if the answers hold more than this share of all thinking and answer tokens ..."""
    answer_tokens: float = 64
    """... and are longer than this many tokens on average: a short answer is no place for reasoning."""
    repetition: float = 0.3
    """`padding` fires if more than this share of the n-grams of a thought stood in it before, on average ..."""
    filler: float = 0.2
    """... or if more than this share of the tokens is filler."""
    growth: float = 0.15
    """`collapse` fires if lengths grow by less than this power of the budget, smallest to largest (1 is ideal)."""
    spread: float = 2.0
    """... but only where the largest budget is at least this many times the smallest."""
    no_thought: float = 0.2
    """`no_thought` fires if more than this share of samples has no token of thought."""


def thought_of(sample: Sample) -> str:
    """The thought of a sample as text; empty where it has none."""
    opened = sample.prompt.rstrip().endswith(OPEN)
    unclosed_thought = sample.no_answer and CLOSE not in sample.text and bool(sample.thinking_tokens)
    return split_text(sample.text, True if opened or unclosed_thought else "auto")[0]


def repetition(text: str, n: int = NGRAM) -> float:
    """Share of the text's word n-grams that stood in it before: 0 for none, near 1 for one word over and over."""
    words = _WORD.findall(text)[:WORDS_READ]
    grams = len(words) - n + 1
    return 1 - len({tuple(words[i : i + n]) for i in range(grams)}) / grams if grams > 0 else 0.0


def detect(rows: Sequence[Line], limit: Thresholds | None = None) -> list[dict[str, Any]]:
    """What the four detectors say about one curve, given as its rows: a dict for each thing looked at, fired or not.

    collapse looks at the whole curve (budget null), the others at each row; what is not known is not looked at.
    """
    limit = limit or Thresholds()
    return [line for row in rows for line in _of_row(row, limit)] + list(_of_curve(rows, limit))


def _of_row(row: Line, limit: Thresholds) -> Iterator[dict[str, Any]]:
    budget, thinking, answer = row["budget"], row["thinking_tokens_mean"], row["answer_tokens_mean"]
    thought = row["method"].split(":")[0] not in THOUGHTLESS
    if thought and answer is not None and thinking is not None and answer + thinking > 0:
        share = answer / (answer + thinking)
        text = f"{100 * share:.0f} % of the tokens stand in the answer ({answer:.0f} on average), not in the thought"
        fired = share > limit.answer_share and answer > limit.answer_tokens
        yield _line("answer_reasoning", budget, share, limit.answer_share, text, fired)
    filler, repeated = row["filler"], row["repetition"]
    if filler is not None and repeated is not None and filler / limit.filler > repeated / limit.repetition:
        text = f"{100 * filler:.0f} % of the tokens carry nothing (marks, repeated lines, text after the answer)"
        yield _line("padding", budget, filler, limit.filler, text)
    elif repeated is not None:
        text = f"{100 * repeated:.0f} % of the {NGRAM}-grams of a thought stood in it before"
        yield _line("padding", budget, repeated, limit.repetition, text)
    if thought and row["no_thought"] is not None:
        text = f"{100 * row['no_thought']:.0f} % of the answers come without a thought"
        yield _line("no_thought", budget, row["no_thought"], limit.no_thought, text)


def _of_curve(rows: Sequence[Line], limit: Thresholds) -> Iterator[dict[str, Any]]:
    used = [
        (row["budget"], row["thinking_tokens_mean" if row["scope"] == "thinking" else "tokens_mean"]) for row in rows
    ]
    known = sorted((budget, tokens) for budget, tokens in used if budget is not None and tokens)
    if len(known) < 2 or known[-1][0] < limit.spread * known[0][0]:
        return
    (least, short), (most, long) = known[0], known[-1]
    growth = math.log(long / short) / math.log(most / least)
    text = f"{short:.0f} tokens when asked for {least}, {long:.0f} when asked for {most}"
    yield _line("collapse", None, growth, limit.growth, text, growth < limit.growth)


def _line(
    name: str, budget: int | None, value: float, limit: float, text: str, fired: bool | None = None
) -> dict[str, Any]:
    fired = value > limit if fired is None else fired
    return {"detector": name, "budget": budget, "value": value, "threshold": limit, "fired": fired, "message": text}
