"""How a model thinks at each budget: how often words of self-correction, exploration, context and conclusion occur.

The lists are our own (those behind the paper's Figure 6 were never published) and can be replaced. Matching ignores
case and takes whole words (a digit may touch them: `58Wait`); a phrase counts once where it stands, the longest first.
Rates are occurrences per 1,000 tokens.
"""

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache

from lcpo.errors import ConfigError

Words = Mapping[str, Sequence[str]]

WORDS: Words = {
    "self-correction": (
        "wait", "hold on", "let me check", "let me double-check", "double-check", "let me verify", "verify",
        "re-check", "recheck", "mistake", "i made an error", "that's not right", "that is not right",
        "that's wrong", "actually", "let me re-examine", "let me recompute", "let me recalculate", "correct that",
        "hmm",
    ),
    "exploration": (
        "alternatively", "another way", "another approach", "another method", "maybe", "perhaps", "what if",
        "let me try", "let's try", "suppose", "or we could", "instead of", "on the other hand", "consider the case",
        "different approach",
    ),
    "context": (
        "first", "to begin", "let's start", "we are given", "we're given", "given that", "the problem says",
        "the problem asks", "the question", "recall that", "we know that", "we need to find", "i need to",
        "let me define", "let's denote", "by definition",
    ),
    "conclusion": (
        "therefore", "thus", "hence", "so the answer", "the answer is", "final answer", "in conclusion",
        "in summary", "to summarize", "to sum up", "we conclude", "this means that", "which gives", "so we get",
        "putting it all together",
    ),
}  # fmt: skip
"""The default lists. `Wait` is also what S1 appends and what the tiny reasoner opens a re-check with."""


def check(words: Words) -> Words:
    """The lists, if each is a named, non-empty row of phrases; raises ConfigError otherwise."""
    for name, phrases in words.items():
        if isinstance(phrases, str) or not phrases or not all(isinstance(p, str) and p.strip() for p in phrases):
            raise ConfigError(f"word list {name!r} is {phrases!r}; give a list of words or phrases for each name")
    return words


@lru_cache(maxsize=64)
def _pattern(phrases: tuple[str, ...]) -> re.Pattern[str]:
    ordered = sorted({phrase.lower() for phrase in phrases}, key=lambda phrase: (-len(phrase), phrase))
    body = "|".join(re.escape(phrase).replace(r"\ ", r"\s+") for phrase in ordered)
    return re.compile(rf"(?<![^\W\d_])(?:{body})(?![^\W\d_])", re.IGNORECASE)


def occurrences(text: str, words: Words = WORDS) -> dict[str, int]:
    """How often each list's words occur in the text. `Wait, maybe a mistake.` -> self-correction 2, exploration 1."""
    text = text.replace("’", "'")
    return {name: sum(1 for _ in _pattern(tuple(phrases)).finditer(text)) for name, phrases in words.items()}
