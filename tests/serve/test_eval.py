"""An evaluation through the server is the evaluation of the model, sample by sample."""

from pathlib import Path

import pytest
from click.testing import CliRunner
from served import serving_tiny

from lcpo.cli import cli
from lcpo.evaluate.records import Sample, read_samples
from sums_model import EXACT


@pytest.mark.slow
def test_an_evaluation_through_the_server_is_the_same(tmp_path: Path) -> None:
    more = ["--problems", "6", "--samples", "2", "--budgets", "12,31,66", "--seed", "7", "--cap", "192"]

    def evaluate(model: str, *flags: str) -> list[Sample]:
        out = tmp_path / str(len(list(tmp_path.iterdir())))
        given = ["eval", model, "--methods", "prompted", "--out", str(out), "--temperature", "1", *flags, *more]
        result = CliRunner().invoke(cli, given)
        assert result.exit_code == 0, result.output
        return sorted(read_samples(out), key=lambda sample: (sample.budget, sample.problem, sample.sample))

    with serving_tiny() as url:
        served = evaluate(f"{url}/v1#{EXACT.name}", "--task", "sums")
    direct = evaluate(str(EXACT))
    assert len(served) == len(direct) == 36
    for a, b in zip(served, direct, strict=True):
        for field in ("problem", "sample", "budget", "text", "tokens", "thinking_tokens", "correct", "finish_reason"):
            assert getattr(a, field) == getattr(b, field), field
