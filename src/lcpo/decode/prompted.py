"""prompted: the budget stands in the prompt, and the model keeps to it by itself: what LCPO trains
(arXiv:2503.04697).
"""

from dataclasses import dataclass

from lcpo.budgets import prompt
from lcpo.decode.base import Ask, Method, ResponseBuilder, Steps
from lcpo.types import NO_BUDGET


@dataclass(frozen=True)
class Prompted(Method):
    """One call, with the budget sentence; nothing is cut but by the generation cap, which is the same for all
    budgets.
    """

    name: str = "prompted"
    about = "the budget stands in the prompt and the model keeps to it by itself"
    prompts = True
    budget_in_prompt = True

    def steps(self, ask: Ask) -> Steps:
        """Decodes one sample."""
        draft = ResponseBuilder(ask, prompt(ask.problem, ask.budget or NO_BUDGET, ask.wording))
        (generation,) = yield [draft.request(ask.cap)]
        draft.take(generation)
        return draft.done()
