"""majority: several short responses instead of a long one, and the answer that most of them give (arXiv:2503.04697,
A.8).

Equal total tokens: each of the k responses is asked for B/k. What is counted is what all of them used.
"""

from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace

from lcpo.decode.base import Ask, Method, Response, Steps, together
from lcpo.decode.forcing import Truncate
from lcpo.decode.plain import Prompted
from lcpo.engines.base import sub_seed
from lcpo.errors import ConfigError

OF = {"prompted": Prompted(), "truncate": Truncate()}


@dataclass(frozen=True)
class Majority(Method):
    """A vote of `votes` responses at B/votes tokens each; a tie goes to the answer that came first."""

    name: str = "majority"
    votes: int = 4
    of: str = "prompted"
    """How each response is made: prompted (needs a trained dial) or truncate."""
    about = "several short responses at the same total tokens, and the answer most of them give"
    prompts = True

    @property
    def at_most(self) -> tuple[int, int]:
        """See Method."""
        return self.votes * (OF[self.of].at_most[0] if self.of in OF else 1), self.votes

    def steps(self, ask: Ask) -> Steps:
        """Decodes one response."""
        if self.of not in OF or self.votes < 2:
            raise ConfigError(f"method {self.name}: votes is 2 or more, of is one of {', '.join(OF)}")
        assert ask.budget is not None
        share = replace(ask.budget, tokens=max(1, ask.tokens // self.votes))
        asks = [replace(ask, budget=share, seed=sub_seed(ask.seed, "vote", i)) for i in range(self.votes)]
        voters = yield from together([OF[self.of].steps(each) for each in asks])
        return _elected(voters, ask.votes(voters))


def _elected(voters: Sequence[Response], votes: Sequence[Hashable | None]) -> Response:
    """The first response with the most votes, with the tokens and calls of all; without any vote the first of all."""
    counts = Counter(vote for vote in votes if vote is not None)
    best = max(counts.values(), default=0)
    winner = next((i for i, vote in enumerate(votes) if vote is not None and counts[vote] == best), 0)
    tokens = [voter.tokens for voter in voters]
    return replace(
        voters[winner],
        tokens=None if None in tokens else sum(count or 0 for count in tokens),
        calls=sum(voter.calls for voter in voters),
        forced=any(voter.forced for voter in voters),
        reasoning=None,
        others=tuple(voter.response for i, voter in enumerate(voters) if i != winner),
    )
