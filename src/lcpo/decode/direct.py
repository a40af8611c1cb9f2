"""direct: no thought at all. An empty one is put in its place, as Qwen3's template does when thinking is switched
off.
"""

from dataclasses import dataclass

from lcpo.budgets import prompt
from lcpo.decode.base import Ask, Method, ResponseBuilder, Steps
from lcpo.types import NO_BUDGET


@dataclass(frozen=True)
class Direct(Method):
    """One call that goes on after an empty thought: the non-reasoning twin of the model."""

    name: str = "direct"
    about = "no thought: an empty one is inserted, and the model answers"
    budgeted = False
    needs_prefix = True

    def steps(self, ask: Ask) -> Steps:
        """Decodes one sample."""
        draft = ResponseBuilder(ask, prompt(ask.problem, NO_BUDGET, ask.wording))
        draft.insert(ask.format.empty)
        (generation,) = yield [draft.request(draft.room)]
        draft.take(generation)
        return draft.done()
