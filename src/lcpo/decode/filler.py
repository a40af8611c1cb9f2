"""filler: B marks stand where the thought was, then the model answers: what the length of a thought alone is worth.

The control of every claim that thinking helps (cf. arXiv:2404.15758, where trained models do gain from dots).
"""

from dataclasses import dataclass, replace

from lcpo.budgets import prompt
from lcpo.budgets.prompting import template_named
from lcpo.decode.base import Ask, Method, ResponseBuilder, Steps
from lcpo.engines.base import Segment
from lcpo.types import NO_BUDGET


@dataclass(frozen=True)
class FillerMarks(Method):
    """One call that goes on after a closed thought of B marks; the budget stands in the prompt too, as in training.

    mark: the text that is repeated; its tokens are never merged, so B is exact where it is one token.
    """

    name: str = "filler"
    mark: str = "."
    about = "B filler marks in the place of the thought, and the model answers: a control"
    scope = "thinking"
    budget_in_prompt = True
    needs_prefix = True

    def steps(self, ask: Ask) -> Steps:
        """Decodes one sample."""
        asked = replace(ask.budget or NO_BUDGET, scope=template_named(ask.wording).scope)
        draft = ResponseBuilder(ask, prompt(ask.problem, asked, ask.wording))
        if not ask.format.opened:
            draft.insert(ask.format.open)
        mark = ask.encode(self.mark)
        ids = None if mark.ids is None else mark.ids * ask.tokens
        draft.insert(Segment(ids, mark.text * ask.tokens))
        draft.insert(ask.format.close)
        (generation,) = yield [draft.request(draft.room)]
        draft.take(generation)
        return draft.done()
