"""What smol is trained and tested on: searches for a pair and chains, in plain English; alone, in turn, and unseen."""

from dataclasses import dataclass

from lcpo.tasks import chains, pairs
from lcpo.tasks.base import Generated, Split
from lcpo.tasks.chains import ChainsTask
from lcpo.tasks.pairs import PairsTask
from lcpo.types import Problem

_PAIRS = PairsTask("pairs", "which two of 7-9 numbers add up closest to 100", "exact", pairs.chance(pairs.SIZES))
_CHAINS = ChainsTask("chains", "stories of 3-9 additions and subtractions", "math", None)
_UNSEEN: tuple[Split, ...] = ("validation", "test")


@dataclass(frozen=True)
class Words(Generated):
    """Searches and chains in turn."""

    def make(self, split: Split, count: int, seed: int) -> list[Problem]:
        """See Generated.make."""
        searches = _PAIRS.make(split, (count + 1) // 2, seed)
        stories = _CHAINS.make(split, count // 2, seed)
        return [(searches if place % 2 == 0 else stories)[place // 2] for place in range(count)]


WORDS: tuple[Generated, ...] = (
    Words("words", "pairs and chains in turn, which smol is trained on", "exact", None),
    _PAIRS,
    PairsTask(
        *("pairs_reworded", "pairs in a wording never trained on", "exact", pairs.chance(pairs.SIZES)),
        splits=_UNSEEN,
        wordings=(pairs.UNSEEN_WORDING,),
    ),
    PairsTask(
        *("pairs_unseen", "pairs of 6, 10 or 11 numbers, never trained on", "exact", pairs.chance(pairs.UNSEEN_SIZES)),
        splits=_UNSEEN,
        sizes=pairs.UNSEEN_SIZES,
    ),
    _CHAINS,
    ChainsTask(
        *("chains_reworded", "chains in a story never trained on", "math", None),
        splits=_UNSEEN,
        stories=(chains.UNSEEN_STORY,),
    ),
    ChainsTask(
        *("chains_long", "chains of 10-12 steps, never trained on", "math", None),
        splits=_UNSEEN,
        sizes=chains.UNSEEN_SIZES,
    ),
)
"""The tasks in words."""
