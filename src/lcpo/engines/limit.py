"""A hard limit on a whole response as a change of logits: the thought is closed in time, and the answer has room.

Engines that call it with the ids so far (ours, vLLM) then give at most so many tokens, closing tag, answer and EOS
included. It knows neither torch nor an engine.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from lcpo.engines.formats import format_of, ids_of
from lcpo.errors import EngineError
from lcpo.thinking import Marks, eos_ids

SHARE, LEAST = 8, 4
"""The answer is kept an eighth of the budget, and at least so many tokens."""


@dataclass(frozen=True)
class Tags:
    """What a limit writes, and looks for: ids of the tags, of the text that closes a thought, and of EOS."""

    open: int
    close: int
    closing: tuple[int, ...]
    eos: int

    @classmethod
    def of(cls, tokenizer: Any) -> "Tags":
        """Those of a tokenizer. Raises EngineError where a tag is not a token of its own."""
        marks = Marks.of(lambda text: ids_of(tokenizer, text), eos_ids(tokenizer.eos_token_id), tokenizer.decode)
        if not (marks.open and marks.close and marks.eos):
            raise EngineError(
                "a response can be limited where <think>, </think> and EOS are tokens, and here they are not"
            )
        closing = tuple(ids_of(tokenizer, format_of(tokenizer).close))
        return cls(marks.open[0], marks.close[0], closing, min(marks.eos))


@dataclass(frozen=True)
class ResponseLimit:
    """Logits of one response, kept to `budget` tokens in all.

    A thought that is still open where closing tag and answer just have room is closed there; after a thought no tag
    comes again; the last token is EOS. A response without a thought is only ended.
    """

    budget: int
    tags: Tags

    def __call__(self, prompt: Sequence[int], ids: Sequence[int], logits: Any) -> Any:
        """ids of the prompt and of the response so far, logits [V] (changed in place) -> logits [V]."""
        wanted = self.forced(prompt, ids)
        if wanted is not None:
            logits[:] = float("-inf")
            logits[wanted] = 0.0
        elif self.tags.close in ids:
            logits[[self.tags.open, self.tags.close]] = float("-inf")
        return logits

    def forced(self, prompt: Sequence[int], ids: Sequence[int]) -> int | None:
        """The token that must come next, None where the model is free."""
        if len(ids) >= self.budget - 1:
            return self.tags.eos
        reserve, closing = max(LEAST, self.budget // SHARE), self.tags.closing
        start = max(0, self.budget - reserve - len(closing))
        if not self._opened(prompt):
            if self.tags.open not in ids:
                return None
            start = max(start, ids.index(self.tags.open) + 1)
        if not start <= len(ids) < start + len(closing) or self.tags.close in ids[:start]:
            return None
        return closing[len(ids) - start]

    def _opened(self, prompt: Sequence[int]) -> bool:
        """Whether the prompt opens the thought."""
        last = next((token for token in reversed(prompt) if token in (self.tags.open, self.tags.close)), None)
        return last == self.tags.open
