"""README's two make commands and its Python run; its commands of lcpo run in test_pages.py."""

import re
import subprocess
from pathlib import Path

import pytest

from test_demo import OVERRIDES

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()
COMMANDS = [
    line.split(" #")[0].strip()
    for block in re.findall(r"```bash\n(.*?)```", README, re.DOTALL)
    for line in block.splitlines()
    if line.split("#")[0].strip()
]
PYTHON = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


def test_there_is_no_other_program() -> None:
    assert [command for command in COMMANDS if not command.startswith("lcpo ")] == ["make demo", "make test"]


def test_it_is_short() -> None:
    assert len(README.splitlines()) < 90


def test_the_pages_are_short() -> None:
    words = re.findall(r"\S*\w\S*", "\n".join(page.read_text() for page in (ROOT / "docs").glob("*.md")))
    assert 5_000 < len(words) <= 8_000


@pytest.mark.slow
def test_make_demo(tmp_path: Path) -> None:
    if not (ROOT / ".venv" / "ready").exists():
        pytest.skip("make demo would set up .venv from nothing; under `make test` it is there")
    arguments = " ".join([*OVERRIDES, f"--out {tmp_path / 'demo'}"])
    done = subprocess.run(["make", "demo", f"ARGS={arguments}"], capture_output=True, text=True, cwd=ROOT, timeout=400)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "demo" / "report.html").exists()


def test_make_test_runs_every_check() -> None:
    said = subprocess.run(["make", "-n", "-B", "test"], capture_output=True, text=True, cwd=ROOT).stdout
    assert all(tool in said for tool in ("ruff check", "ruff format --check", "mypy", "lint-imports", "pytest"))
    assert "make test" in (ROOT / ".ci" / "run").read_text()


def test_ten_lines_of_python(capsys: pytest.CaptureFixture[str]) -> None:
    exec(compile(PYTHON[0], "README.md", "exec"), {})
    out = capsys.readouterr().out
    assert "tokens=512" in out and "correct=True" in out and "0.8836" in out
