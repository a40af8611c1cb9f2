"""unlimited: no budget sentence, no cut: what the model does when left alone."""

from dataclasses import dataclass

from lcpo.budgets import prompt
from lcpo.decode.base import Ask, Method, ResponseBuilder, Steps
from lcpo.types import NO_BUDGET


@dataclass(frozen=True)
class Unlimited(Method):
    """One call without a budget, up to the generation cap."""

    name: str = "unlimited"
    about = "no budget and no cut: the model left alone"
    budgeted = False

    def steps(self, ask: Ask) -> Steps:
        """Decodes one sample."""
        draft = ResponseBuilder(ask, prompt(ask.problem, NO_BUDGET, ask.wording))
        (generation,) = yield [draft.request(ask.cap)]
        draft.take(generation)
        return draft.done()
