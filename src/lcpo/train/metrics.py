"""The live dial: what the rollouts of a step say about accuracy, length and whether the length follows the budget."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lcpo.budgets import BudgetSampler
from lcpo.measure.adherence import DISTINCT, dial, rank_correlation
from lcpo.types import FloatArray, Outcomes

POOL = 16
"""Most generations whose rollouts are put together for a rank correlation."""


def edges(sampler: BudgetSampler, bins: int) -> list[int]:
    """Lower ends of budget bins that are equally likely under the sampler's law, ascending, without repeats."""
    return sorted({sampler.law.quantile(i / bins) for i in range(bins)})


def outcomes_of(columns: Mapping[str, Sequence[Any]], group: int) -> Outcomes:
    """Measured rollouts, a value of each in every column, as outcomes [P, G]."""

    def grid(name: str, kind: Any) -> Any:
        return np.array(columns[name]).astype(kind).reshape(-1, group)

    return Outcomes(
        correct=grid("correct", np.float64),
        length=grid("length", np.int64),
        budget=grid("budget", np.int64),
        kind=grid("kind", np.str_),
        truncated=grid("truncated", np.bool_),
    )


def describe(
    outcomes: Outcomes,
    columns: Mapping[str, Sequence[Any]],
    rewards: FloatArray,
    bins: Sequence[int],
    pool: list[list[list[int]]],
) -> dict[str, Any]:
    """What a step's rollouts show, [P, G] arrays: reward, accuracy, length, and the dial.

    columns: of each rollout the budget asked for, whether it holds no answer, whether it got no verdict, and its share
    of useless steps. pool:
    budgets and lengths of the last generations, this one added, and no more of them than the rank correlation needs to
    see enough distinct budgets.
    """
    asked = np.array(columns["asked"], dtype=np.int64)
    pool.append([asked.tolist(), outcomes.length.ravel().tolist()])
    while len(pool) > POOL or len({n for budgets, _ in pool[1:] for n in budgets if n}) >= DISTINCT:
        del pool[0]
    pooled = np.concatenate([np.array(each) for each in pool], axis=1)
    return {
        "reward": float(rewards.mean()),
        "reward_std": float(rewards.std()),
        "accuracy": float(outcomes.correct.mean()),
        "length": float(outcomes.length.mean()),
        "length_min": int(outcomes.length.min()),
        "length_max": int(outcomes.length.max()),
        "truncated": float(outcomes.truncated.mean()),
        "no_answer": float(np.mean(columns["no_answer"])),
        "grade_timeouts": int(np.sum(columns["failed"])),
        "useless": float(np.mean(told))
        if (told := [share for share in columns.get("useless", ()) if share is not None])
        else None,
        "equal_groups": float(np.mean(np.ptp(rewards, axis=1) == 0)),
        **dial(asked, outcomes.length.ravel(), outcomes.correct.ravel(), bins),
        "rank_correlation": rank_correlation(pooled[0], pooled[1]),
    }


def finite(value: Any) -> float | None:
    """A number as it may stand in JSON, None for anything else."""
    return float(value) if isinstance(value, (int, float, np.number)) and np.isfinite(value) else None


def scalars(record: Mapping[str, Any]) -> dict[str, float]:
    """The plain numbers of a record and of its bins, flat, for TensorBoard; what is None is left out."""
    flat = {name: float(value) for name, value in record.items() if isinstance(value, (int, float))}
    for number, one in enumerate(record.get("bins", [])):
        names = ("length", "mare", "accuracy")
        flat |= {f"bin_{number}/{name}": one[name] for name in names if one[name] is not None}
    return flat
