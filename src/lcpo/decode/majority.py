"""majority: several short samples instead of one long one, and the answer that most of them give (arXiv:2503.04697,
A.8).

Equal total tokens: each of the k samples is asked for B/k. What is counted is what all of them used.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from lcpo.decode.base import Ask, Method, Response, Steps, together, with_budget
from lcpo.decode.prompted import Prompted
from lcpo.decode.truncate import Truncate
from lcpo.engines.base import sub_seed
from lcpo.errors import ConfigError

OF = {"prompted": Prompted(), "truncate": Truncate()}


@dataclass(frozen=True)
class Majority(Method):
    """A vote of `votes` samples at B/votes tokens each; a tie goes to the answer that came first."""

    name: str = "majority"
    votes: int = 4
    of: str = "prompted"
    """How each sample is made: prompted (needs a trained dial) or truncate."""
    about = "several short samples at the same total tokens, and the answer most of them give"
    prompts = True
    needs_prefix = False

    def steps(self, ask: Ask) -> Steps:
        """Decodes one sample."""
        if self.of not in OF or self.votes < 2:
            raise ConfigError(f"method {self.name}: votes is 2 or more, of is one of {', '.join(OF)}")
        share = with_budget(ask, max(1, ask.tokens // self.votes))
        asks = [replace(share, seed=sub_seed(ask.seed, "vote", i)) for i in range(self.votes)]
        voters = yield from together([OF[self.of].steps(one) for one in asks])
        return elect(voters, [ask.extract(voter.response.text) for voter in voters])


def elect(voters: Sequence[Response], answers: Sequence[str | None]) -> Response:
    """The first response that gives the most frequent answer, with the tokens and calls of all."""
    counts = Counter(answer.strip() for answer in answers if answer is not None)
    best = max(counts.values(), default=0)
    winner = next((i for i, answer in enumerate(answers) if answer is not None and counts[answer.strip()] == best), 0)
    tokens = [voter.tokens for voter in voters]
    return replace(
        voters[winner],
        tokens=None if None in tokens else sum(count or 0 for count in tokens),
        calls=sum(voter.calls for voter in voters),
        forced=any(voter.forced for voter in voters),
        reasoning=None,
        others=tuple(voter.response for i, voter in enumerate(voters) if i != winner),
    )
