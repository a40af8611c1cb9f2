"""Every table in README and docs is what study/results says, and the study's scripts read and write it."""

import dataclasses
import importlib
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md")])

pytestmark = pytest.mark.skipif(not (ROOT / "study").is_dir(), reason="the study is not part of an installed package")


@pytest.fixture(scope="module")
def study() -> Iterator[tuple[Any, Any]]:
    """The modules run and tables of study/."""
    sys.path.insert(0, str(ROOT / "study"))
    yield importlib.import_module("run"), importlib.import_module("tables")
    sys.path.remove(str(ROOT / "study"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_tables_are_made_from_results(page: Path, study: tuple[Any, Any]) -> None:
    text = page.read_text(encoding="utf-8")
    assert study[1].filled(text) == text, "run  python study/tables.py --write"


def test_every_table_stands_in_a_page(study: tuple[Any, Any]) -> None:
    marked = {name for page in PAGES for name in re.findall(r"<!-- table ([a-z-]+) -->", page.read_text("utf-8"))}
    assert marked == set(study[1].TABLES)


@pytest.mark.parametrize("page", [*PAGES, ROOT / "CONTRIBUTING.md"], ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text(encoding="utf-8"))
    assert [target for target in targets if not (page.parent / target).exists()] == []


def test_results_are_of_arms_and_without_nan(study: tuple[Any, Any]) -> None:
    run, _ = study
    others = {"checks", "dial", "methods", "smol-methods", *run.SCRIPTS}
    files = {path.stem for path in run.RESULTS.glob("*.csv")} - others
    assert {"base", "exact", "hindsight"} <= files <= set(run.ARMS)
    for name in files:
        rows = run.read(run.RESULTS / f"{name}.csv")
        assert rows and set(rows[0]) == set(run.COLUMNS)
        assert all(0 <= row["accuracy"] <= 1 and "nan" not in map(str, row.values()) for row in rows)
        assert {row["run"] for row in rows} <= {name, *(f"{name}-{seed}" for seed in run.ARMS[name].seeds)}


def test_what_is_written_is_read_again(study: tuple[Any, Any], tmp_path: Path) -> None:
    run, _ = study
    row = {"run": "a-1", "seed": 1, "accuracy": 0.1234567, "seen": False, "budget": None, "tokens_mean": 1e-9}
    path = run.write(tmp_path / "deep" / "a.csv", ("run", "seed", "accuracy", "seen", "budget", "tokens_mean"), [row])
    assert run.read(path) == [{**row, "accuracy": 0.123457}]


@pytest.mark.slow
def test_an_arm_is_evaluated_checked_and_resumed(
    study: tuple[Any, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, _ = study
    results = tmp_path / "results"
    results.mkdir()
    monkeypatch.setattr(run, "ROOT", tmp_path)
    monkeypatch.setattr(run, "RUNS", tmp_path / "runs" / "study")
    monkeypatch.setattr(run, "RESULTS", results)
    budgets = "12,15,18,21,26,31,45,96"
    protocol = ("--task", "search", "--seed", "1", "--problems", "3", "--samples", "2", "--budgets", budgets)
    monkeypatch.setattr(run, "PROTOCOL", protocol)
    monkeypatch.setattr(run, "TEST", ())
    base = dataclasses.replace(run.ARMS["base"], evaluations={"test": ("--methods", "prompted", "--inert", "6")})
    monkeypatch.setattr(run, "ARMS", {"base": base})
    path = run.study("base")
    rows = run.read(path)
    assert [row["budget"] for row in rows] == [12, 15, 18, 21, 26, 31, 45, 96]
    assert all(0 < row["attainable"] < 1 for row in rows)
    assert {line["check"] for line in run.read(results / "checks.csv")} == {
        "slope within 0.1 of 0", "rank correlation within 0.1 of 0"
    }  # fmt: skip
    there = tmp_path / "runs" / "study" / "base-eval-test"
    stored = json.loads((there / "results.json").read_text(encoding="utf-8"))
    assert rows[0]["accuracy"] == pytest.approx(stored["rows"][0]["accuracy"], abs=1e-5)
    monkeypatch.setattr(run, "python", lambda *_: pytest.fail("what is done is not done again"))
    assert run.read(run.study("base")) == rows
    assert len(list(run.exact_checks(run.Evaluation(there)))) == 9
