"""Sizes that follow from the budgets, where a recipe does not say them: the cap of a response, what is evaluated."""

import math

from lcpo.budgets.sampling import BudgetSampler, Fixed

CAP, POINTS = 1.5, 8
"""A response is cut at so many times the largest budget. So many budgets are evaluated: a rank correlation needs 8."""

MICRO_TOKENS = 2**15
"""Response tokens, at most, of a forward pass on a GPU, where group.micro_batch says nothing."""


def cap(budgets: BudgetSampler) -> int | None:
    """Tokens after which a response is cut in training; None where no budget is drawn."""
    return None if budgets.largest is None else math.ceil(CAP * budgets.largest)


def evaluated(budgets: BudgetSampler) -> tuple[int, ...]:
    """Budgets to evaluate, tokens: a fixed list itself, else even on a log scale, the edges of the law left out."""
    law = budgets.law
    if budgets.largest is None:
        return ()
    if isinstance(law, Fixed):
        return tuple(sorted(law.tokens))
    low, high = 4 / 3 * law.low, 3 / 4 * law.high
    if low >= high:
        return (law.low, law.high)
    return tuple(dict.fromkeys(round(low * (high / low) ** (i / (POINTS - 1))) for i in range(POINTS)))
