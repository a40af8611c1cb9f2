"""Dials, and comparisons at equal tokens against a bootstrap written out by hand."""

import math
import random
from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import pytest
from by_hand import sample

from lcpo.errors import ConfigError
from lcpo.evaluate.comparisons import paired
from lcpo.evaluate.records import Sample
from lcpo.evaluate.results import results
from lcpo.measure.statistics import bootstrap_weights

BUDGETS = (8, 16, 32)
PROBLEMS = 12


def two_methods(seed: int = 3) -> Iterator[Sample]:
    """A dial, and a cut that is worse; accuracy and tokens vary by problem."""
    rng = random.Random(seed)
    for p in range(PROBLEMS):
        hard = rng.random()
        for method, skill in (("prompted", 0.2), ("truncate", 0.0)):
            for budget in BUDGETS:
                for i in range(3):
                    right = rng.random() < skill + math.log2(budget) / 6 - 0.4 * hard
                    tokens = budget + rng.randrange(-2, 3)
                    yield sample(
                        method=method, budget=budget, problem=f"p{p:02d}", sample=i, tokens=tokens, correct=right
                    )


def brute_force(drawn: np.ndarray, samples: list[Sample], at: float) -> float:
    """The difference at equal tokens for one resample, sample by sample."""

    def accuracy_at(method: str) -> float:
        points = []
        for budget in BUDGETS:
            rows = [
                s for p in drawn for s in samples if (s.method, s.budget, s.problem) == (method, budget, f"p{p:02d}")
            ]
            tokens = sum(s.tokens or 0 for s in rows) / len(rows)
            points.append((math.log(tokens), sum(s.correct for s in rows) / len(rows)))
        points.sort()
        for (x0, y0), (x1, y1) in pairwise(points):
            if x0 <= math.log(at) <= x1:
                return y0 + (y1 - y0) * (math.log(at) - x0) / (x1 - x0)
        return points[0][1] if math.log(at) < points[0][0] else points[-1][1]

    return accuracy_at("prompted") - accuracy_at("truncate")


def test_comparison_equals_a_brute_force_bootstrap() -> None:
    samples = list(two_methods())
    found = results(samples, {}, resamples=60, seed=5)
    (line,) = [c for c in found["comparisons"] if c["at_tokens"] == 16]
    assert line["accuracy_difference"] == pytest.approx(brute_force(np.arange(PROBLEMS), samples, 16))
    weights = np.concatenate(list(bootstrap_weights(PROBLEMS, 60, 5)))
    drawn = [np.repeat(np.arange(PROBLEMS), w.astype(int)) for w in weights]
    expected = np.percentile([brute_force(d, samples, 16) for d in drawn], (2.5, 97.5))
    assert line["ci95"] == pytest.approx(expected.tolist())


def test_interval_agrees_with_an_independent_bootstrap() -> None:
    samples = list(two_methods())
    line = next(c for c in results(samples, {}, resamples=2000)["comparisons"] if c["at_tokens"] == 16)
    rng = np.random.default_rng(99)
    draws = [brute_force(rng.integers(0, PROBLEMS, PROBLEMS), samples, 16) for _ in range(400)]
    assert line["ci95"] == pytest.approx(np.percentile(draws, (2.5, 97.5)).tolist(), abs=0.06)


def test_bootstrap_weights_draw_as_many_problems_as_there_are() -> None:
    blocks = list(bootstrap_weights(7, 150, 0))
    assert [len(block) for block in blocks] == [64, 64, 22]
    assert all((block.sum(axis=1) == 7).all() for block in blocks)
    assert np.array_equal(blocks[0], next(bootstrap_weights(7, 150, 0)))


def test_outside_either_range_nothing_is_compared() -> None:
    short = [sample(budget=b, tokens=b, problem=p) for b in (8, 16) for p in ("p1", "p2")]
    long = [sample(method="s1", budget=b, tokens=b, problem=p) for b in (64, 128) for p in ("p1", "p2")]
    lines = results([*short, *long], {}, resamples=10)["comparisons"]
    assert [line["at_tokens"] for line in lines] == [8, 16, 64, 128]
    assert all(line["accuracy_difference"] is None and line["ci95"] is None for line in lines)


def test_a_single_point_is_met_at_its_own_tokens() -> None:
    dial = [sample(budget=b, tokens=b, problem=p, correct=b > 10) for b in (8, 32) for p in ("p1", "p2", "p3")]
    point = [sample(method="unlimited", budget=None, kind="none", tokens=16, correct=True, problem=p) for p in "abc"]
    lines = results([*dial, *point], {}, resamples=10)["comparisons"]
    (line,) = [one for one in lines if one["accuracy_difference"] is not None]
    assert line["at_tokens"] == 16
    assert line["accuracy_difference"] == pytest.approx(0.5 - 1)  # half way between 8 and 32 in log tokens


def test_a_model_with_one_length_is_met_where_it_is() -> None:
    dial = [sample(run="a", budget=b, tokens=b, problem=p) for b in (8, 32) for p in ("p1", "p2")]
    flat = [sample(run="b", budget=b, tokens=20 + i, problem=p) for i, b in enumerate((8, 32)) for p in ("p1", "p2")]
    lines = [
        c for c in results([*dial, *flat], {}, resamples=10)["comparisons"] if c["accuracy_difference"] is not None
    ]
    assert [round(line["at_tokens"], 3) for line in lines] == [round(math.sqrt(20 * 21), 3)]


def test_a_row_of_a_single_problem_has_no_interval_and_nothing_against_it_has() -> None:
    dial = [sample(budget=b, tokens=b, problem=p, correct=b > 10) for b in (8, 16, 32) for p in ("p1", "p2")]
    other = [sample(method="s1", budget=b, tokens=b, problem=p, correct=b > 20) for b in (8, 32) for p in ("p1", "p2")]
    one = [sample(method="s1", budget=16, tokens=16, problem="p1", sample=i, correct=bool(i)) for i in (0, 1)]
    point = [sample(method="unlimited", budget=None, kind="none", tokens=16, problem="p1")]
    found = results([*dial, *other, *one, *point], {}, resamples=20)
    rows = {(row["method"], row["budget"]): row for row in found["rows"]}
    for row in (rows["s1", 16], rows["unlimited", None]):
        assert (row["problems"], row["accuracy_ci95"], row["tokens_ci95"]) == (1, None, None)
    assert rows["s1", 8]["accuracy_ci95"] == [0, 0] and rows["prompted", 16]["tokens_ci95"] == [16, 16]
    compared = [line for line in found["comparisons"] if line["accuracy_difference"] is not None]
    assert {line["method_b"] for line in compared} == {"s1", "unlimited"}
    assert all(line["ci95"] is None for line in compared)
    rises = {line["method"]: line["accuracy_rise_ci95"] for line in found["dials"]}
    assert rises == {"prompted": [1, 1], "s1": [1, 1]}  # s1 at 8 and 32 has two problems
    assert paired([*dial, *one], {"budget": 32}, {"method": "s1"}, resamples=20) == {
        "accuracy_difference": 0.5,
        "ci95": None,
    }
    (alone,) = results(one, {}, resamples=20)["rows"]
    assert alone["accuracy_ci95"] is None


def test_every_dial_is_compared_with_every_other_method_once() -> None:
    samples = [sample(run=run, problem=p) for run in "xy" for p in "ab"]
    samples += [sample(run="x", method=method, problem=p) for method in ("s1", "direct") for p in "ab"]
    lines = results(samples, {}, resamples=5)["comparisons"]
    pairs = {(c["a"], c["method_a"], c["b"], c["method_b"]) for c in lines}
    assert len(pairs) == 5  # x with y; x and y with s1 and with direct; never s1 with direct
    assert all(pair[1] == "prompted" for pair in pairs)


def test_tasks_are_never_compared() -> None:
    samples = [sample(task=task, method=method) for task in "xy" for method in ("prompted", "s1")]
    assert {c["task"] for c in results(samples, {}, resamples=5)["comparisons"]} == {"x", "y"}


def test_two_rows_as_they_stand() -> None:
    samples = list(two_methods())
    found = paired(
        samples, {"method": "prompted", "budget": 32}, {"method": "truncate", "budget": 8}, resamples=60, seed=5
    )

    def by_problem(method: str, budget: int) -> np.ndarray:
        rows = [s for s in samples if (s.method, s.budget) == (method, budget)]
        return np.array([np.mean([s.correct for s in rows if s.problem == f"p{p:02d}"]) for p in range(PROBLEMS)])

    difference = by_problem("prompted", 32) - by_problem("truncate", 8)
    assert found["accuracy_difference"] == pytest.approx(difference.mean())
    draws = np.concatenate(list(bootstrap_weights(PROBLEMS, 60, 5))) @ difference / PROBLEMS
    assert found["ci95"] == pytest.approx(np.percentile(draws, (2.5, 97.5)).tolist())


@pytest.mark.parametrize(
    ("wanted", "complaint"),
    [
        ({"method": "prompted"}, "picks 3 rows of 6"),
        ({"budgets": 8}, "Did you mean 'budget'"),
        ({"run": "x"}, "picks 0 rows"),
    ],
)
def test_a_row_must_be_picked_exactly(wanted: dict[str, object], complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        paired(two_methods(), wanted, {"method": "truncate", "budget": 8})


def dial_of(samples: list[Sample]) -> dict[str, object]:
    (found,) = results(samples, {}, resamples=5)["dials"]
    assert isinstance(found, dict)
    return found


def test_an_ideal_dial() -> None:
    found = dial_of([sample(budget=2**i, tokens=2**i, problem=p, correct=i > 5) for i in range(1, 9) for p in "ab"])
    assert found["slope"] == pytest.approx(1)
    assert found["rank_correlation"] == pytest.approx(1)
    assert found["dial_ratio"] == pytest.approx(1)
    assert found["budgets"] == [2, 4, 8, 16, 32, 64, 128, 256]
    assert (found["accuracy_rise"], found["accuracy_rise_ci95"]) == (1, [1, 1])
    assert found["accuracy_area"] == pytest.approx(2.5 / 7)  # in log2: half a step up, then two steps at 1


def test_a_flat_dial_has_slope_and_correlation_zero_and_no_accuracy_per_token() -> None:
    found = dial_of([sample(budget=2**i, tokens=30 + k, problem=p) for i in range(1, 9) for k in (0, 1) for p in "ab"])
    assert found["slope"] == pytest.approx(0)
    assert found["rank_correlation"] == pytest.approx(0)
    assert found["dial_ratio"] == pytest.approx(1 / 128)
    assert found["accuracy_per_log10_tokens"] is None


def test_seven_budgets_give_no_rank_correlation() -> None:
    assert dial_of([sample(budget=b, tokens=b) for b in range(10, 17)])["rank_correlation"] is None


def test_one_budget_is_no_dial() -> None:
    found = dial_of([sample(), sample(problem="p2")])
    assert (found["slope"], found["dial_ratio"], found["accuracy_area"], found["accuracy_rise"]) == (None,) * 4


@pytest.mark.parametrize(
    ("points", "printed"),
    [
        (((619, 0.377), (1221, 0.449), (1820, 0.483), (3445, 0.550)), 0.24),
        (((533, 0.141), (1043, 0.226), (2069, 0.357), (3609, 0.432)), 0.37),
    ],
)
def test_accuracy_per_tenfold_tokens_is_what_the_paper_prints(
    points: tuple[tuple[int, float], ...], printed: float
) -> None:
    samples = [
        sample(budget=i + 1, tokens=tokens, problem=f"p{k}", correct=k < 1000 * accuracy)
        for i, (tokens, accuracy) in enumerate(points)
        for k in range(1000)
    ]
    assert dial_of(samples)["accuracy_per_log10_tokens"] == pytest.approx(printed, abs=0.02)
