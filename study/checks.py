"""What an arm has to show, read from its samples and results: the thresholds of the study, fixed before its runs.

Primary thresholds, three: MARE, accuracy over the attainable, inert thought. Hindsight alone is expected to miss the
first: its rows tell each sample a budget up to a fifth beside the length that it has (jitter), so that exactness is
left to reinforcement learning. Everything else is secondary.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from statistics import fmean
from typing import Any

from lcpo.evaluate.comparisons import paired
from lcpo.evaluate.records import Sample, read_samples
from lcpo.tasks.search import attainable, ideal_tries, pairs_of

RESAMPLES = 2000


@dataclass(frozen=True)
class Check:
    """A threshold: what was measured, its 95 % interval where there is one, and whether it holds."""

    name: str
    value: float
    holds: bool
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Evaluation:
    """The evaluation folder of a run: its rows of method `prompted`, budgets ascending, and its samples."""

    folder: Path

    def rows(self) -> list[dict[str, Any]]:
        """Rows with the slope and rank correlation of their dial."""
        results = json.loads((self.folder / "results.json").read_text(encoding="utf-8"))
        return sorted((row for row in table(results) if row["method"] == "prompted"), key=lambda row: row["budget"])

    @cached_property
    def every(self) -> list[Sample]:
        """All samples, read once."""
        return list(read_samples(self.folder))

    def samples(self, *budgets: int | None) -> list[Sample]:
        """Samples of method `prompted` at these budgets; at all where none is named."""
        prompted = (sample for sample in self.every if sample.method == "prompted")
        return [sample for sample in prompted if not budgets or sample.budget in budgets]


def table(results: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The rows of a results.json, each with the slope and rank correlation of its dial."""
    names = ("run", "task", "method", "kind")
    dials = {tuple(dial[name] for name in names): dial for dial in results["dials"]}
    none = {"slope": None, "rank_correlation": None}
    return [{**row, **{k: dials.get(tuple(row[n] for n in names), none)[k] for k in none}} for row in results["rows"]]


def inert(rows: Sequence[Mapping[str, Any]]) -> float | None:
    """The share of thinking tokens that are inert, over all budgets; None where it was not measured."""
    if any(row["inert"] is None for row in rows):
        return None
    tokens = [row["thinking_tokens_mean"] for row in rows]
    return float(sum(row["inert"] * n for row, n in zip(rows, tokens, strict=True)) / sum(tokens))


def possible(samples: Iterable[Sample]) -> float:
    """Mean attainable accuracy: min(1, k / N), k the tries of an ideal thought of so many tokens, N the pairs."""
    return fmean(attainable(ideal_tries(s.thinking_tokens or 0), pairs_of(int(s.size or 0))) for s in samples)


def gap(name: str, samples: Iterable[Sample], a: Mapping[str, Any], b: Mapping[str, Any], least: float = 0.0) -> Check:
    """Accuracy of row a minus that of row b, problems drawn jointly; it holds from `least` on."""
    compared = paired(samples, a, b, resamples=RESAMPLES)
    low, high = compared["ci95"]
    return Check(name, compared["accuracy_difference"], compared["accuracy_difference"] >= least, low, high)


def exact_checks(there: Evaluation) -> Iterator[Check]:
    """What every run of tiny-exact has to show; hindsight alone and the other rewards are held to it too."""
    rows = there.rows()
    mare = fmean(row["mare"] for row in rows)
    yield Check("primary: MARE <= 0.10", mare, mare <= 0.10)
    shares = [row["accuracy"] / possible(there.samples(row["budget"])) for row in rows[2:]]
    yield Check("primary: accuracy >= 0.8 of the attainable", min(shares), min(shares) >= 0.8)
    share = inert(rows)
    assert share is not None, "evaluate with --inert"
    yield Check("primary: inert <= 25 %", share, share <= 0.25)
    rank = rows[0]["rank_correlation"]
    yield Check("rank correlation >= 0.97", rank, rank >= 0.97)
    unseen = fmean(row["mare"] for row in rows if row["budget"] % 3 == 0)
    yield Check("MARE of budgets never drawn <= 0.13", unseen, unseen <= 0.13)
    useless = max(row["useless"] for row in rows)
    yield Check("doubled, wrong or invented <= 10 %", useless, useless <= 0.10)
    filler = max(row["filler"] for row in rows)
    yield Check("filler <= 5 %", filler, filler <= 0.05)
    second, last = rows[1]["budget"], rows[-1]["budget"]
    ends = there.samples(second, last)
    yield gap(f"accuracy at {last} minus {second} >= 0.30", ends, {"budget": last}, {"budget": second}, 0.30)
    steps = [
        gap("", there.samples(low, high), {"budget": high}, {"budget": low})
        for low, high in pairwise(row["budget"] for row in rows[1:])
    ]
    up = sum((step.low or 0.0) > 0 for step in steps)
    yield Check("significant steps >= 4", up, up >= 4)


def max_checks(there: Evaluation, exact: Evaluation) -> Iterator[Check]:
    """What every run of tiny-max has to show, held against the run of tiny-exact that it started from."""
    rows, samples = there.rows(), there.samples()
    over = fmean(row["over_budget"] for row in rows)
    yield Check("over budget <= 3 %", over, over <= 0.03)
    free = fmean(s.tokens or 0 for s in there.every if s.method == "unlimited")
    used = fmean((s.tokens or 0) / s.budget for s in samples if s.budget and s.budget < free)
    yield Check("used where it binds >= 0.75", used, used >= 0.75)
    last = rows[-1]["budget"]
    both = [*there.samples(last), *exact.samples(last)]
    runs = [{"run": rows[0]["run"]}, {"run": exact.rows()[0]["run"]}]
    step = gap(f"accuracy at {last} minus its start's", both, *runs)
    yield Check(step.name + " reaches -0.03", step.value, (step.high or 0.0) >= -0.03, step.low, step.high)


def flat_checks(there: Evaluation, within: float) -> Iterator[Check]:
    """What a base or a control has to show: no dial."""
    row = there.rows()[0]
    for name, value in (("slope", row["slope"]), ("rank correlation", row["rank_correlation"])):
        yield Check(f"{name} within {within:g} of 0", value, abs(value) <= within)
