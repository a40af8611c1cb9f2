"""truncate: think without being told of a budget, be cut at it, close the thought, answer. Nothing is ever prolonged.

This is what servers call a thinking budget (a forced `</think>`), so it is the baseline that costs nothing to have.
"""

from dataclasses import dataclass

from lcpo.budgets import prompt
from lcpo.decode.base import Ask, Method, ResponseBuilder, Steps
from lcpo.decode.forcing import answer, think
from lcpo.types import NO_BUDGET


@dataclass(frozen=True)
class Truncate(Method):
    """At most B tokens of thought; a thought that ends by itself is left as it is."""

    name: str = "truncate"
    about = "cut the thought at the budget, close it, and let the model answer"
    scope = "thinking"
    needs_prefix = True

    def steps(self, ask: Ask) -> Steps:
        """Decodes one sample."""
        draft = ResponseBuilder(ask, prompt(ask.problem, NO_BUDGET, ask.wording))
        ended = yield from think(draft, ask.tokens, waits=0)
        return (yield from answer(draft, ended, ask.format.close))
