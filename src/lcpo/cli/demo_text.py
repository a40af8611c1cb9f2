"""What `lcpo demo` says: its words, one question's answers side by side, and the table before and after."""

import textwrap
from collections.abc import Mapping, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any

from lcpo.cli.ask_command import printable
from lcpo.evaluate.records import Sample
from lcpo.report.page import common
from lcpo.tasks.search import EXAMPLE

OPENING = f"""\
lcpo demo: a model that ignores budgets, a few minutes of training, and after.
Everything goes into {{out}}. Ctrl-C stops; the same command goes on.

The model is tiny and knows one small world. It is asked, for example,

{textwrap.fill(EXAMPLE.question, 76, initial_indent="    ", subsequent_indent="    ")}

It adds up pairs, one after another, and answers with the best that it tried.
The more tries, the more often it is right; no budget here is enough for all.
It shows how a budget is learned, and is no evidence about large models.
"""

WORDS = {
    "token": "a piece of text; what a model writes is counted in tokens",
    "thought": "what a model writes before its answer, up to </think>",
    "try": "a pair and its sum, as in bc265; a ! says: the best so far",
    "budget": 'the tokens that the question asks for: "Think for 24 tokens."',
    "base": "the model before training; that sentence means nothing to it",
    "hindsight": "learning from own answers, each told the length that it has",
    "loss": "how much the model is surprised by what it learns from",
    "LCPO": "learning by trial: what earns more than others becomes likelier",
    "rollout": "an answer of such a trial",
    "reward": "what it earns: more near the budget; half of that if it is wrong",
    "off by": "mean distance from the budget, in per cent of the budget",
    "dial": "do lengths rise with budgets? rank correlation: 0 no, 1 always",
    "wasted": "share of the thought in tries that are wrong, repeated or made up",
}
"""Every word that the demo uses, in the order in which they appear."""

COLUMNS = {
    "tokens_mean": ("used", ".1f"), "mare": ("off by", ".0%"),
    "accuracy": ("right", ".0%"), "useless": ("wasted", ".0%"),
}  # fmt: skip
"""Of the table: field of a row of results.json, title, form."""
COLUMN, BAR = 39, 50
"""Characters of a column of answers side by side, and of the longest bar."""


def opening(out: object) -> str:
    """What is said before anything is computed."""
    words = (f"  {word:<10} {meaning}" for word, meaning in WORDS.items())
    return "\n".join([OPENING.format(out=out), "The words", *words, ""])


def side_by_side(columns: Mapping[str, Mapping[str, Mapping[int, Sample]]]) -> str:
    """One question's answers (name -> problem -> budget -> answer), a column for each name, at three budgets.

    It is the first question at which the first column has a thought at every budget.
    """
    first = next(iter(columns.values()))
    problem = next((name for name, answers in first.items() if all(a.thinking_tokens for a in answers.values())), None)
    problem = problem or next(iter(first))
    budgets = sorted(first[problem])
    chosen = list(dict.fromkeys((budgets[0], budgets[len(budgets) // 2], budgets[-1])))
    question = printable(common([first[problem][budget].prompt for budget in chosen]))
    lines = ["One question, the first at which the base thinks:"]
    lines += textwrap.wrap(question, 76, initial_indent="  ", subsequent_indent="  ")
    for budget in chosen:
        samples = {name: answers[problem][budget] for name, answers in columns.items()}
        lines += ["", _row([f"N = {budget}, {name}: {_verdict(sample)}" for name, sample in samples.items()])]
        wrapped = [textwrap.wrap(printable(sample.text), COLUMN - 2) for sample in samples.values()]
        lines += [_row(row) for row in zip_longest(*wrapped, fillvalue="")]
    return "\n".join(lines)


def _row(cells: Sequence[str]) -> str:
    return f"  {''.join(cell.ljust(COLUMN) for cell in cells).rstrip()}"


def _verdict(sample: Sample) -> str:
    return f"used {sample.tokens}, {'right' if sample.correct else 'wrong'}"


def table(before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    """Two results (results.json) of one dial each, budget by budget: lengths as bars, then the numbers."""
    pairs = list(zip(before["rows"], after["rows"], strict=True))
    longest = max(row["tokens_mean"] for pair in pairs for row in pair)
    lines, numbers = ["How long the answers are:"], []
    for pair in pairs:
        for name, row in zip((f"asked {pair[0]['budget']:>3}  before", "after"), pair, strict=True):
            lines.append(f"  {name:>17} {'#' * round(BAR * row['tokens_mean'] / longest)} {row['tokens_mean']:.0f}")
        cells = (_cell(row[name], form) for name, (_, form) in COLUMNS.items() for row in pair)
        numbers.append(f"  {pair[0]['budget']:>5}" + "".join(cells))
    lines += ["", "  asked" + "".join(f"{title:>16}" for title, _ in COLUMNS.values())]
    lines += [" " * 7 + f"{'before':>8}{'after':>8}" * len(COLUMNS), *numbers]
    dials = (_cell(each["dials"][0]["rank_correlation"], ".2f").strip() for each in (before, after))
    return "\n".join([*lines, "", "  dial: {} before, {} after".format(*dials)])


def _cell(value: float | None, form: str) -> str:
    return f"{'-' if value is None else format(value, form):>8}"


def closing(page: Path, run: Path) -> str:
    """Where the page is, and three commands to go on with."""
    return f"""\
The picture: {page} (one file, no network)

To go on:
  lcpo ask {run} "{EXAMPLE.question}" --budget 45
  lcpo serve {run}    # OpenAI's and Anthropic's routes, and a playground in the browser
  lcpo init --model MODEL --data FILE    # a recipe of your own"""
