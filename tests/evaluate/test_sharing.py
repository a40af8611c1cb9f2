"""Methods on a real (random) model: a sweep shares its traces, and what it says equals single runs."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from random_model import write

from lcpo.engines.local import LocalEngine
from lcpo.evaluate.batch import run_batch
from lcpo.evaluate.caching import CachingEngine
from lcpo.evaluate.plan import Options, Place, Plan, batches, cells, make_plan

METHODS = ("unlimited", "truncate", "s1", "s1_fair", "s1_fair:waits=0", "direct", "prompted", "majority:votes=2")


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Plan, list[Place], LocalEngine]]:
    threads = torch.get_num_threads()
    folder = write(tmp_path_factory.mktemp("model") / "random", seed=2)
    options = Options(models=(str(folder),), methods=METHODS, budgets=(8, 20, 40), problems=15, samples=2, cap=90)
    setup = make_plan(options)
    (batch,) = batches(setup.settings)
    yield setup, batch, LocalEngine.load(folder)
    torch.set_num_threads(threads)


def test_a_sweep_equals_single_runs_and_costs_less(swept: tuple[Plan, list[Place], LocalEngine]) -> None:
    setup, batch, engine = swept
    traces = CachingEngine(engine)
    together = run_batch(setup.settings, batch, setup.loaded.problems, traces)
    alone = [
        sample
        for cell in cells(setup.settings.subjects[0])
        for sample in run_batch(
            setup.settings, [place for place in batch if place.cell == cell], setup.loaded.problems, engine
        )
    ]
    assert together == alone
    assert traces.generated < 0.8 * traces.asked


def test_a_budget_that_is_never_reached_is_unlimited(swept: tuple[Plan, list[Place], LocalEngine]) -> None:
    setup, batch, engine = swept
    samples = run_batch(setup.settings, batch, setup.loaded.problems, CachingEngine(engine))
    free = {(s.problem, s.sample): s for s in samples if s.method == "unlimited"}
    same = 0
    for sample in samples:
        whole = free[sample.problem, sample.sample]
        closed = "</think>" in whole.text and (whole.thinking_tokens or 0) < (sample.budget or 0)
        if sample.method in ("truncate", "s1_fair:waits=0") and closed:
            assert sample.text == whole.text
            assert (sample.tokens, sample.forced) == (whole.tokens, False)
            same += 1
    assert same > 5
    by_name = {(s.method, s.budget, s.problem, s.sample): s for s in samples}
    for (method, *rest), sample in by_name.items():
        if method == "s1_fair:waits=0":
            assert replace(sample, method="truncate") == by_name["truncate", *rest]


def test_where_a_model_lives_does_not_matter(swept: tuple[Plan, list[Place], LocalEngine], tmp_path: Path) -> None:
    """Seeds follow from problems and samples alone, so the same weights elsewhere give the same samples."""
    setup, _, engine = swept
    other = write(tmp_path / "elsewhere", seed=2)
    again = make_plan(
        Options(models=(str(other),), methods=("prompted",), budgets=(8,), problems=15, samples=2, cap=90)
    )
    assert again.settings.subjects[0].identity == setup.settings.subjects[0].identity
    (batch,) = batches(again.settings)
    found = run_batch(again.settings, batch, again.loaded.problems, LocalEngine.load(other))
    (first,) = batches(
        replace(setup.settings, subjects=(replace(setup.settings.subjects[0], methods=("prompted",), budgets=(8,)),))
    )
    assert [s.text for s in found] == [s.text for s in run_batch(setup.settings, first, setup.loaded.problems, engine)]
