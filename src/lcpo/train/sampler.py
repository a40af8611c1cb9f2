"""A control of the study: a thought that may hold nothing but marks."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import torch


@dataclass(frozen=True)
class FillerThought:
    """Logits that allow marks alone in the thought, an answer without them, and after a full answer its end.

    open, close, mark: the ids of `<think>`, `</think>` and of the mark. answer: tokens that may stand after the
    thought, tags and marks not among them, so that the thought cannot move there.
    """

    open: int
    close: int
    mark: int
    eos: Collection[int]
    answer: int = 8

    def __call__(self, generated: Sequence[int], logits: Any) -> Any:
        """(ids so far, logits [V]) -> logits [V]."""
        allowed = torch.zeros(logits.shape[-1], dtype=torch.bool, device=logits.device)
        if self.close not in generated:
            allowed[[self.mark, self.close] if generated else [self.open]] = True
        elif len(generated) - list(generated).index(self.close) <= self.answer:
            allowed[:] = True
            allowed[[self.open, self.mark, self.close]] = False
        else:
            allowed[sorted(self.eos)] = True
        return torch.where(allowed, logits, -torch.inf)
