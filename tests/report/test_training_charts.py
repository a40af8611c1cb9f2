"""Training runs in a report."""

import json
from pathlib import Path

import pytest
from folders import folder
from made_up import made_up

from lcpo.errors import TaskError
from lcpo.report.load import load
from lcpo.report.page import html
from lcpo.report.training import POINTS, Run, charts, curve, sentence


def run(path: Path, steps: int = 300) -> Path:
    """A run folder in which two bins of budgets part."""
    path.mkdir(parents=True)
    records = [
        {
            "step": step, "accuracy": 0.2 + step / 1000, "rank_correlation": None if step < 3 else step / steps,
            "mare": 1 / step, "bins": [
                {"from": low, "rollouts": 4, "budget": 1.5 * low, "length": 30 + (low - 16) * step / steps}
                for low in (8, 32)
            ] + [{"from": 64, "rollouts": 0, "budget": None, "length": None}],
        }
        for step in range(1, steps + 1)
    ]  # fmt: skip
    (path / "metrics.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    (path / "manifest.json").write_text('{"seed": 3}')
    return path


def test_a_run_is_shown_by_its_steps(tmp_path: Path) -> None:
    found = load([run(tmp_path / "tiny-exact-0")])
    drawn = {chart.name: chart for chart in charts(found.runs)}
    assert set(drawn) == {"training_accuracy", "training_rank_correlation", "training_mare", "lengths_0"}
    assert [one.name for one in drawn["lengths_0"].series] == ["asked for about 12", "asked for about 48"]
    assert all(len(one.marks) <= POINTS for chart in drawn.values() for one in chart.series)
    page = html(found)
    assert "How it learned" in page and "tiny-exact-0: tokens used" in page and "&#34;seed&#34;: 3" in page
    assert "All numbers" not in page
    said = "tiny-exact-0, 300 training steps: accuracy from 22 % to 49 %, rank correlation from 0.06 to 0.95."
    assert f'<p class="headline">{said}</p>' in page and f'<meta name="description" content="{said}">' in page


def test_runs_and_evaluations_share_a_page(tmp_path: Path) -> None:
    parts = [run(tmp_path / "a", 5), folder(tmp_path / "ev", made_up(3, 1, (8, 16))), run(tmp_path / "b", 5)]
    found = load(parts)
    assert found.names == ["ev", "a", "b"]
    page = html(found)
    assert "How it learned" in page and "All numbers" in page


def test_windows_are_means_and_leave_out_what_is_not_known() -> None:
    marks = curve([(step, float(step % 2)) for step in range(1, 2 * POINTS + 1)], "x")
    assert len(marks) == POINTS and {mark.y for mark in marks} == {0.5} and marks[-1].x == 2 * POINTS
    assert [mark.x for mark in curve([(1, None), (2, 0.5)], "x")] == [2]
    assert curve([(1, None)], "x") == ()


def test_a_run_without_rollouts_says_so() -> None:
    assert sentence(Run("a", ({"step": 1},), {})) == "a, 1 training steps; no rollout was recorded."


def test_a_broken_line_is_named(tmp_path: Path) -> None:
    broken = run(tmp_path / "a", 2)
    with (broken / "metrics.jsonl").open("a") as lines:
        lines.write('{"step"')
    assert len(load([broken]).runs[0].records) == 2  # a run that still writes has half a last line
    with (broken / "metrics.jsonl").open("a") as lines:
        lines.write("\n")
    with pytest.raises(TaskError, match="line 3"):
        load([broken])
