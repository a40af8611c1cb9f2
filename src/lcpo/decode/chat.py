"""chat: one plain call to a chat model (GPT-4o and the like), compared at the length that it happens to use.

L1's authors matched lengths by asking their model for as many tokens as the chat model had used; comparisons at equal
tokens (lcpo.evaluate.comparisons) do the same on the measured curve.
"""

from dataclasses import dataclass

from lcpo.decode.unlimited import Unlimited


@dataclass(frozen=True)
class Chat(Unlimited):
    """One call, no budget, no thought asked for; what it writes is the answer."""

    name: str = "chat"
    about = "one plain call to a chat model without thoughts, at its own length"
