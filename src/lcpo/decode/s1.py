"""s1: budget forcing as its authors do it (arXiv:2501.19393; simplescaling/s1, vllm_causallms.py `_model_generate`).

A thought that reaches the budget is cut: a line break, the end of thinking, "\\nFinal Answer:". One that stops before
goes on after "Wait", up to `waits` times (their NUM_IGNORE, 1 in their example). Their end of thinking is a marker of
their own chat format; here it is the model's closing tag. "Final Answer:" is words that other models were not trained
on: s1_fair.
"""

from dataclasses import dataclass

from lcpo.budgets import prompt
from lcpo.decode.base import Ask, Method, ResponseBuilder, Steps
from lcpo.decode.forcing import answer, think
from lcpo.thinking import CLOSE
from lcpo.types import NO_BUDGET


@dataclass(frozen=True)
class S1(Method):
    """The original: "Final Answer:" where the thought is cut, "Wait" where it stops early."""

    name: str = "s1"
    waits: int = 1
    """How often a thought that stops early is made to go on."""
    word: str = "Wait"
    """What is put in the place of the stop; their others are "Hmm" and "Alternatively"."""
    about = 'budget forcing, the original: cut with "Final Answer:", go on with "Wait"'
    scope = "thinking"
    needs_prefix = True

    def steps(self, ask: Ask) -> Steps:
        """Decodes one sample."""
        draft = ResponseBuilder(ask, prompt(ask.problem, NO_BUDGET, ask.wording))
        ended = yield from think(draft, ask.tokens, self.waits, self.word)
        closing = CLOSE
        if ended == "cut":
            newline = "" if draft.written.text.endswith("\n") else "\n"
            closing = f"{newline}{CLOSE}\nFinal Answer:"
        return (yield from answer(draft, ended, closing))
