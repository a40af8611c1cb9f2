"""Every table in README and docs is what docs/results says."""

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]


def tables() -> Any:
    spec = importlib.util.spec_from_file_location("tables", ROOT / "study" / "tables.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md")])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_tables_are_made_from_results(page: Path) -> None:
    text = page.read_text()
    assert tables().filled(text) == text, "run  python study/tables.py --write"


@pytest.mark.parametrize("path", sorted((ROOT / "docs" / "results").glob("*.json")), ids=lambda path: path.name)
def test_results_are_json_without_nan(path: Path) -> None:
    def refuse(constant: str) -> float:
        raise AssertionError(f"{path.name} holds {constant}")

    assert json.loads(path.read_text(), parse_constant=refuse)
