"""The README's picture from claims."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from made_up import made_up

from lcpo.evaluate.metrics import results

SCRIPT = Path(__file__).parents[2] / "study" / "picture.py"


@pytest.mark.skipif(not SCRIPT.is_file(), reason="the study is not part of an installed package")
def test_picture_from_claims(tmp_path: Path) -> None:
    samples = list(made_up(4, 1, (8, 16, 32)))
    for claim, model, evaluation, seeds in (
        ("tiny-base", "tiny", "exact", 1), ("tiny-exact", "tiny-exact", "exact", 3), ("tiny-max", "tiny-max", "max", 2),
    ):  # fmt: skip
        found = results([s for s in samples if s.model == model], {}, resamples=5)
        runs = [{"run": f"{claim}-{i}", "seed": i, "evaluations": {evaluation: found}} for i in range(seeds)]
        (tmp_path / f"{claim}.json").write_text(json.dumps({"claim": claim, "runs": runs}))
        command = [sys.executable, "-W", "error", str(SCRIPT), "--results", str(tmp_path)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == (1 if claim == "tiny-base" else 0), done.stderr
        assert ("tiny-max.json" in done.stderr) == (claim != "tiny-max")
    assert (tmp_path / "before-after.png").read_bytes().startswith(b"\x89PNG")
