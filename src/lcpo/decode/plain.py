"""Methods of one call: the budget in the prompt, or none at all; with the model's own thought, none, or marks.

`prompted` is what LCPO trains (arXiv:2503.04697). `direct` puts an empty thought in its place, as Qwen3's template does
when thinking is switched off. `filler` is the control of every claim that thinking helps: what the length of a thought
alone is worth (cf. arXiv:2404.15758, where trained models do gain from dots). `chat` is a chat model without thoughts
(GPT-4o and the like), compared at the length that it happens to use: L1's authors asked their model for as many tokens,
comparisons at equal tokens read the measured curve there.
"""

from dataclasses import dataclass, replace

from lcpo.budgets.prompting import template_named
from lcpo.decode.base import Ask, Method, Steps
from lcpo.engines.base import Segment
from lcpo.types import NO_BUDGET


@dataclass(frozen=True)
class Prompted(Method):
    """The budget sentence in the prompt; nothing is cut but by the generation cap, the same for all budgets."""

    name: str = "prompted"
    about = "the budget stands in the prompt and the model keeps to it by itself"
    prompts = True
    budget_in_prompt = True

    def steps(self, ask: Ask) -> Steps:
        """Decodes one response."""
        return ask.start(ask.budget).rest()


@dataclass(frozen=True)
class Unlimited(Method):
    """No budget, up to the generation cap."""

    name: str = "unlimited"
    about = "no budget and no cut: the model left alone"
    budgeted = False

    def steps(self, ask: Ask) -> Steps:
        """Decodes one response."""
        return ask.start().rest()


@dataclass(frozen=True)
class Chat(Unlimited):
    """No budget, no thought asked for; what the model writes is the answer."""

    name: str = "chat"
    about = "one plain call to a chat model without thoughts, at its own length"


@dataclass(frozen=True)
class Direct(Method):
    """Goes on after an empty thought: the non-reasoning twin of the model."""

    name: str = "direct"
    about = "no thought: an empty one is inserted, and the model answers"
    budgeted = False
    needs_prefix = True

    def steps(self, ask: Ask) -> Steps:
        """Decodes one response."""
        draft = ask.start()
        draft.insert(ask.format.empty)
        return draft.rest()


@dataclass(frozen=True)
class FillerMarks(Method):
    """Goes on after a closed thought of B marks; the budget stands in the prompt too, as in training.

    mark: the text that is repeated; its tokens are never merged, so B is exact where it is one token.
    """

    name: str = "filler"
    mark: str = "."
    about = "B filler marks in the place of the thought, and the model answers: a control"
    scope = "thinking"
    budget_in_prompt = True
    needs_prefix = True

    def steps(self, ask: Ask) -> Steps:
        """Decodes one response."""
        draft = ask.start(replace(ask.budget or NO_BUDGET, scope=template_named(ask.wording).scope))
        if not ask.format.opened:
            draft.insert(ask.format.open)
        mark = ask.engine.encode(self.mark)
        ids = None if mark.ids is None else mark.ids * ask.tokens
        draft.insert(Segment(ids, mark.text * ask.tokens))
        draft.insert(ask.format.close)
        return draft.rest()
