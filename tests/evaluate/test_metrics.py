"""Rows of results.json: values worked by hand, nulls, and memory."""

import json
import math
import tracemalloc
from collections.abc import Iterator

import numpy as np
import pytest
from by_hand import sample

from lcpo.errors import ConfigError
from lcpo.evaluate.records import Sample
from lcpo.evaluate.results import CURVE, adherence, curve_csv, results
from lcpo.measure.statistics import (
    area,
    average_ranks,
    clustered_mean,
    interval,
    majority,
    pass_at_k,
    slope,
    spearman,
)

CONTRACT = """
run model task method kind scope wording budget seen seed temperature generation_cap problems samples chance accuracy
accuracy_stderr pass_at_k majority_accuracy tokens_mean tokens_median tokens_p95 thinking_tokens_mean
answer_tokens_mean length_source signed_error mae mare rmse within_5 within_10 within_20 within_25 over_budget
over_budget_mean_excess soft_violation no_answer truncated forced filler inert grade_timeouts requests_failed"""


def row(samples: list[Sample], **options: object) -> dict[str, object]:
    found = results(samples, {}, resamples=50, **options)  # type: ignore[arg-type]
    (one,) = found["rows"]
    assert isinstance(one, dict)
    return one


FOUR = [
    sample(problem="p1", sample=0, tokens=5, correct=True, answer="4"),
    sample(problem="p1", sample=1, tokens=15, correct=False, answer="5"),
    sample(problem="p2", sample=0, tokens=5, correct=True, answer="7"),
    sample(problem="p2", sample=1, tokens=15, correct=True, answer="7"),
]


def test_signed_error_is_nothing_where_every_answer_misses_by_half() -> None:
    one = row(FOUR)
    assert one["signed_error"] == 0
    assert one["mare"] == 0.5
    assert one["rmse"] == 0.5
    assert one["mae"] == 5
    assert (one["within_25"], one["over_budget"], one["over_budget_mean_excess"]) == (0, 0.5, 5)


def test_accuracy_and_its_error_are_clustered_by_problem() -> None:
    one = row(FOUR, chances={"t": 0.01})
    assert (one["accuracy"], one["problems"], one["samples"], one["chance"]) == (0.75, 2, 4, 0.01)
    assert one["accuracy_stderr"] == pytest.approx(0.25)  # std of 0.5 and 1 is 0.3536, over sqrt(2)
    assert one["pass_at_k"] == {"1": 0.75, "2": 1.0}
    assert one["majority_accuracy"] == 0.75  # a tie counts half, and the second problem is right


def test_every_field_of_the_contract_is_there() -> None:
    assert set(CONTRACT.split()) <= set(row(FOUR))
    found = results(FOUR, {"x": 1}, resamples=10)
    assert {"schema", "manifest", "rows", "dials", "comparisons"} <= set(found)
    assert (found["schema"], found["manifest"]) == (2, {"x": 1})


def test_token_means_and_shares() -> None:
    samples = [
        sample(sample=i, tokens=n, thinking_tokens=n - 5, answer_tokens=2, filler_tokens=i, no_answer=i == 0,
               truncated=i == 1, forced=i < 2)
        for i, n in enumerate((10, 20, 30, 40))
    ]  # fmt: skip
    one = row(samples)
    assert (one["tokens_mean"], one["tokens_median"]) == (25, 25)
    assert one["tokens_p95"] == pytest.approx(38.5)
    assert (one["thinking_tokens_mean"], one["answer_tokens_mean"]) == (20, 2)
    assert one["filler"] == 6 / 100
    assert (one["no_answer"], one["truncated"], one["forced"]) == (0.25, 0.25, 0.5)


def test_unknown_counts_are_null_and_the_json_holds_no_nan() -> None:
    unknown = {"tokens": None, "thinking_tokens": None, "answer_tokens": None, "filler_tokens": None}
    samples = [sample(problem=p, length_source="usage", **unknown) for p in ("p1", "p2")]
    found = results(samples, {}, resamples=10)
    (one,) = found["rows"]
    for name in ("tokens_mean", "tokens_p95", "signed_error", "mare", "over_budget", "filler", "tokens_ci95"):
        assert one[name] is None, name
    assert one["accuracy"] == 1
    assert found["dials"][0]["slope"] is None
    json.dumps(found, allow_nan=False)


def test_one_problem_has_no_standard_error() -> None:
    assert row([sample()])["accuracy_stderr"] is None


def test_without_a_budget_adherence_is_null() -> None:
    one = row([sample(budget=None, kind="none", method="unlimited", seen=None)])
    assert one["budget"] is None and one["mare"] is None and one["over_budget"] is None


def test_thinking_scope_holds_the_thought_against_the_budget() -> None:
    one = row([sample(scope="thinking", tokens=17, thinking_tokens=10, budget=10)])
    assert (one["mare"], one["tokens_mean"]) == (0, 17)


def test_soft_violation_forgives_500_tokens_and_is_null_below_1000() -> None:
    lengths = np.array([1400.0, 1501.0, 1500.0, 900.0])
    assert adherence(lengths, 1000)["soft_violation"] == 0.25
    assert adherence(lengths, 999)["soft_violation"] is None


def test_within_counts_its_own_edge() -> None:
    found = adherence(np.array([95.0, 105.0, 110.0, 90.0, 126.0]), 100)
    assert [found[f"within_{x}"] for x in (5, 10, 20, 25)] == [0.4, 0.8, 0.8, 0.8]


def test_the_papers_signed_mean_against_its_own_absolute_one() -> None:
    used, asked = (619, 1221, 1820, 3445), (512, 1024, 2048, 3600)
    errors = [adherence(np.array([float(n)]), b)["signed_error"] for n, b in zip(used, asked, strict=True)]
    assert [round(100 * e, 1) for e in errors if e is not None] == [20.9, 19.2, -11.1, -4.3]
    assert sum(e for e in errors if e is not None) / 4 == pytest.approx(0.062, abs=5e-4)
    assert sum(abs(e) for e in errors if e is not None) / 4 == pytest.approx(0.139, abs=5e-4)


def test_rows_stand_apart_by_everything_that_was_set() -> None:
    changes = (
        {"run": "x"},
        {"method": "s1"},
        {"kind": "max"},
        {"wording": "use"},
        {"temperature": 0.6},
        {"budget": 20},
    )
    found = results([sample(), *(sample(**change) for change in changes)], {}, resamples=5)
    assert len(found["rows"]) == 7
    assert [d["kind"] for d in found["dials"]].count("max") == 1


def test_order_of_samples_changes_nothing() -> None:
    forwards, backwards = (results(s, {}, resamples=20) for s in (FOUR, FOUR[::-1]))
    assert forwards == backwards


def test_what_a_world_and_a_grader_say_is_counted_and_null_where_they_say_nothing() -> None:
    names = ("useless", "right_steps_mean", "grade_timeouts", "requests_failed", "inert")
    assert [row([sample()])[name] for name in names] == [None] * 5
    told = [sample(right_steps=n, useless_tokens=1, thinking_tokens=n, grade_failed=n == 4) for n in (4, 6)]
    assert [row(told)[name] for name in names] == [0.2, 5, 1, None, None]


def test_negative_counts_are_refused() -> None:
    with pytest.raises(ConfigError, match="tokens = -1"):
        results([sample(tokens=-1)], {})


def test_curve_csv_has_a_line_per_row() -> None:
    lines = curve_csv(results(FOUR, {}, resamples=5)).splitlines()
    assert lines[0] == ",".join(CURVE)
    assert len(lines) == 2 and ",0.75,0.25," in lines[1]


@pytest.mark.parametrize(("n", "c", "k", "value"), [(4, 1, 1, 0.25), (4, 1, 2, 0.5), (4, 2, 2, 5 / 6), (4, 4, 4, 1.0)])
def test_pass_at_k_is_one_minus_the_chance_to_draw_only_wrong_ones(n: int, c: int, k: int, value: float) -> None:
    expected = 1 - math.comb(n - c, k) / math.comb(n, k)
    assert pass_at_k(np.array([n]), np.array([c]), k) == pytest.approx(value) == pytest.approx(expected)


def test_pass_at_k_needs_k_samples_of_every_problem() -> None:
    assert pass_at_k(np.array([4, 2]), np.array([1, 1]), 3) is None


def test_majority_breaks_ties_evenly_and_counts_silence_as_wrong() -> None:
    assert majority({1: (2, 1.0), 2: (1, 0.0)}) == 1
    assert majority({1: (1, 1.0), 2: (1, 0.0), 3: (1, 0.0)}) == pytest.approx(1 / 3)
    assert majority({}) == 0


def test_average_ranks_and_spearman() -> None:
    assert average_ranks(np.array([1.0, 2.0, 2.0, 3.0])).tolist() == [1, 2.5, 2.5, 4]
    # ranks 1, 2.5, 2.5, 4 against 1, 3, 2, 4: covariance 4.5, variances 4.5 and 5
    assert spearman(np.array([1.0, 2.0, 2.0, 3.0]), np.array([5.0, 9.0, 7.0, 11.0])) == pytest.approx(4.5 / 22.5**0.5)
    assert spearman(np.array([1.0, 2.0]), np.array([3.0, 3.0])) is None


def test_slope_and_area() -> None:
    assert slope(np.array([0.0, 1.0, 2.0]), np.array([1.0, 3.0, 5.0])) == 2
    assert slope(np.array([1.0, 1.0]), np.array([1.0, 2.0])) is None
    assert area(np.array([0.0, 1.0, 3.0]), np.array([0.0, 1.0, 1.0])) == pytest.approx(2.5 / 3)


def test_clustered_mean_with_unequal_counts() -> None:
    # 3 of 4 and 0 of 2 right: mean 0.5; residuals 3 - 2 = 1 and 0 - 1 = -1; sqrt(2 / 1 * 2) / 6
    assert clustered_mean(np.array([3.0, 0.0, 0.0]), np.array([4.0, 2.0, 0.0])) == (0.5, pytest.approx(1 / 3))


def test_interval_is_null_unless_most_draws_could_be_computed() -> None:
    assert interval(np.array([1.0, np.nan, np.nan])) is None
    assert interval(np.array([1.0, 1.0, np.nan])) == [1, 1]


def many(count: int) -> Iterator[Sample]:
    text = "<think>" + " b03 c07" * 20 + "</think>07"
    for i in range(count):
        yield sample(problem=f"p{i % 5000}", sample=i // 5000, budget=8 << (i % 5), tokens=i % 300, text=text + str(i))


@pytest.mark.slow
def test_a_hundred_thousand_samples_in_bounded_memory() -> None:
    tracemalloc.start()
    found = results(many(100_000), {}, resamples=100)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert sum(one["samples"] for one in found["rows"]) == 100_000
    assert peak < 64 * 2**20
