"""A full disk ends a command in one line, and with room again --resume goes on: on a real, small file system."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sums_model import BASE, EXACT, RECIPE

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="mounting a tmpfs needs root"),
]

EVAL = ["eval", str(EXACT), "--budgets", "15,26,45,79", "--problems", "40"]
TRAIN = [
    *("train", RECIPE, f"model={BASE}", "trl.max_steps=2", "trl.save_steps=1", "group.problems=2", "schedule=[]"),
    *("hindsight.rounds=1", "hindsight.samples=300", "hindsight.steps=3"),
]


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[tuple[Path, Callable[[str], None]]]:
    """(a file system of its own, what gives it another size)."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)], capture_output=True)
    if mounted.returncode:
        pytest.skip("a tmpfs cannot be mounted here")

    def size(text: str) -> None:
        subprocess.run(["mount", "-o", f"remount,size={text}", str(folder)], check=True)

    yield folder, size
    subprocess.run(["umount", str(folder)], check=True)


def lcpo(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([sys.executable, "-m", "lcpo", *arguments], capture_output=True, text=True, timeout=500)


@pytest.mark.parametrize(("command", "sizes"), [(EVAL, ["64k"]), (TRAIN, ["64k", "1m", "5m"])], ids=["eval", "train"])
def test_a_full_disk_is_one_line_and_the_run_goes_on(
    disk: tuple[Path, Callable[[str], None]], command: list[str], sizes: list[str]
) -> None:
    folder, size = disk
    out = str(folder / "out")
    for text in sizes:
        size(text)
        resume = ["--resume"] if (folder / "out").exists() else []
        done = lcpo(*command, "--out", out, *resume)
        assert done.returncode == 1, (text, done.stdout, done.stderr)
        assert "Traceback" not in done.stderr
        assert done.stderr.rstrip().splitlines()[-1].startswith("lcpo: cannot write"), done.stderr
    size("200m")
    done = lcpo(*command, "--out", out, "--resume")
    assert done.returncode == 0, done.stderr
    assert (folder / "out" / ("results.json" if command is EVAL else "model/model.safetensors")).is_file()
