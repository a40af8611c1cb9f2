"""What smol is trained and tested on: searches for a pair and chains, in plain English; alone, in turn, and unseen."""

from functools import partial

from lcpo.errors import TaskError
from lcpo.tasks import chains, pairs
from lcpo.tasks.base import Generated, Split, Steps
from lcpo.types import Problem

_UNSEEN: tuple[Split, ...] = ("validation", "test")
_CHANCE, _UNSEEN_CHANCE = pairs.chance(pairs.SIZES), pairs.chance(pairs.UNSEEN_SIZES)


def in_turn(split: Split, count: int, *, seed: int = 0) -> list[Problem]:
    """Searches and chains in turn."""
    searches = pairs.problems(split, (count + 1) // 2, seed=seed)
    stories = chains.problems(split, count // 2, seed=seed)
    return [(searches if place % 2 == 0 else stories)[place // 2] for place in range(count)]


def steps(question: str, thought: str) -> Steps | None:
    """The tries of a thought about a search; None for chains, whose steps are not read."""
    try:
        return pairs.steps(question, thought)
    except TaskError:
        return None


WORDS: tuple[Generated, ...] = (
    Generated("words", "pairs and chains in turn, which smol is trained on", "exact", None, in_turn, read=steps),
    Generated(
        *("pairs", "which two of 7-9 numbers add up closest to 100", "exact", _CHANCE, pairs.problems), read=pairs.steps
    ),
    Generated(
        *("pairs_reworded", "pairs in a wording never trained on", "exact", _CHANCE),
        *(partial(pairs.problems, wordings=(pairs.UNSEEN_WORDING,)), _UNSEEN, pairs.steps),
    ),
    Generated(
        *("pairs_unseen", "pairs of 6, 10 or 11 numbers, never trained on", "exact", _UNSEEN_CHANCE),
        *(partial(pairs.problems, sizes=pairs.UNSEEN_SIZES), _UNSEEN, pairs.steps),
    ),
    Generated("chains", "stories of 3-9 additions and subtractions", "math", None, chains.problems),
    Generated(
        *("chains_reworded", "chains in a story never trained on", "math", None),
        *(partial(chains.problems, stories=(chains.UNSEEN_STORY,)), _UNSEEN),
    ),
    Generated(
        *("chains_long", "chains of 10-12 steps, never trained on", "math", None),
        *(partial(chains.problems, sizes=chains.UNSEEN_SIZES), _UNSEEN),
    ),
)
"""The tasks in words."""
