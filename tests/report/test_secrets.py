"""A key and the folders of this machine stand in nothing that an evaluation, a run or a report writes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from engines.spoken import speaking
from lcpo.engines.base import Request

KEY = "correct-horse-battery"


def script(request: Request) -> str:
    return "<think>one and one</think>\\boxed{2}"


def lcpo(*arguments: object, cwd: Path) -> str:
    """All that one command prints."""
    command = [sys.executable, "-m", "lcpo", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=cwd, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def holding(folder: Path, text: str) -> list[str]:
    """The files below a folder that hold a text."""
    return [str(path) for path in folder.rglob("*") if path.is_file() and text.encode() in path.read_bytes()]


@pytest.mark.slow
@pytest.mark.parametrize("given", ["--api-key={}", "--api-key {}"])
def test_an_evaluation_and_its_report_hold_no_key_and_no_path(tmp_path: Path, given: str) -> None:
    (tmp_path / "mine.json").write_text(json.dumps([{"problem": "1+1?", "answer": "2"}]))
    out, elsewhere = tmp_path / "evals" / "server", tmp_path / "elsewhere"
    elsewhere.mkdir()
    with speaking(script) as server:
        url = server.url.replace("://", "://me:swordfish@") + "#talker"
        options = ["--data", tmp_path / "mine.json", "--budgets", "16,32", "--samples", 1, "--out", out]
        said = lcpo("eval", url, *given.format(KEY).split(), *options, cwd=elsewhere)
        assert server.headers[0]["Authorization"] in (f"Bearer {KEY}", "Basic bWU6c3dvcmRmaXNo")
    said += lcpo("report", out, "--out", tmp_path / "site" / "page.html", cwd=elsewhere)
    assert (
        (out / "results.json").is_file()
        and (out / "report.html").is_file()
        and "***" in (out / "report.html").read_text()
    )
    assert KEY not in said
    for secret in (KEY, "swordfish"):
        assert holding(tmp_path, secret) == []
    assert holding(out, str(tmp_path)) == holding(tmp_path / "site", str(tmp_path)) == []
    assert holding(out, os.getcwd()) == []


@pytest.mark.slow
def test_pages_of_a_shipped_model_and_an_old_folder_hold_no_path(tmp_path: Path) -> None:
    data = tmp_path / "mine.json"
    data.write_text(json.dumps([{"problem": "1+1?", "answer": "2"}]))
    lcpo(
        "eval", "tiny", "--data", data, "--budgets", "8", "--kind", "exact", "--samples", 1, "--out", "ev", cwd=tmp_path
    )
    assert holding(tmp_path / "ev", str(tmp_path)) == holding(tmp_path / "ev", os.path.dirname(sys.executable)) == []
    assert holding(tmp_path / "ev", str(Path(__file__).parents[2])) == []
    results = json.loads((tmp_path / "ev" / "results.json").read_text())
    results["manifest"]["command"] = ["lcpo", "eval", "/home/somebody/model"]  # as it was written before
    (tmp_path / "ev" / "results.json").write_text(json.dumps(results))
    lcpo("report", "ev", cwd=tmp_path)
    assert holding(tmp_path / "ev", "/home/somebody") == [str(tmp_path / "ev" / "results.json")]
