"""s1_fair: budget forcing without the handicaps: the model's own closing tag, room for the answer, the same sampling.

What differs from s1 is what is inserted where the thought is cut: nothing but the closing tag as the model writes it
(Qwen3 and R1: on lines of its own). What differs from truncate is "Wait". Every method answers with the same
temperature and all the room that is left below the generation cap.
"""

from dataclasses import dataclass

from lcpo.budgets import prompt
from lcpo.decode.base import Ask, Method, ResponseBuilder, Steps
from lcpo.decode.forcing import answer, think
from lcpo.types import NO_BUDGET


@dataclass(frozen=True)
class S1Fair(Method):
    """Cut with the closing tag, go on with "Wait"."""

    name: str = "s1_fair"
    waits: int = 1
    """How often a thought that stops early is made to go on."""
    word: str = "Wait"
    """What is put in the place of the stop."""
    about = "budget forcing without handicaps: the model's own closing tag, room for the answer"
    scope = "thinking"
    needs_prefix = True

    def steps(self, ask: Ask) -> Steps:
        """Decodes one sample."""
        draft = ResponseBuilder(ask, prompt(ask.problem, NO_BUDGET, ask.wording))
        ended = yield from think(draft, ask.tokens, self.waits, self.word)
        return (yield from answer(draft, ended, ask.format.close))
