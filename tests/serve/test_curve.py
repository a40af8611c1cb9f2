"""auto: the smallest budget whose measured accuracy reaches the target."""

import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from served import serving_script

from lcpo.engines.base import Request
from lcpo.errors import ConfigError
from lcpo.serve.curve import read_curve


def folder(path: Path, accuracies: dict[int, float]) -> Path:
    row: dict[str, Any] = {"model": "talker", "method": "prompted", "scope": "response", "thinking_tokens_mean": 10.0}
    rows = [{**row, "budget": b, "accuracy": a, "tokens_mean": 15.0} for b, a in accuracies.items()]
    rows.append({**row, "method": "unlimited", "budget": None, "accuracy": 0.9, "tokens_mean": 60.0})
    (path / "results.json").write_text(json.dumps({"rows": rows}))
    return path


def test_the_smallest_that_is_enough(tmp_path: Path) -> None:
    curve = read_curve(folder(tmp_path, {40: 0.8, 12: 0.3, 20: 0.7, 90: 0.8}), "talker")
    assert curve.points == ((12, 0.3), (20, 0.7), (40, 0.8), (90, 0.8))
    assert (curve.unbudgeted, curve.answer, curve.scope) == (60.0, 5.0, "response")
    assert [curve.smallest(target) for target in (0.1, 0.5, 0.75, 0.99)] == [12, 20, 40, 40]


def test_no_curve(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no results\.json"):
        read_curve(tmp_path, "talker")
    with pytest.raises(ConfigError, match="no budgets of talker"):
        read_curve(folder(tmp_path, {}), "talker")


def test_what_auto_chose_is_in_the_report_and_what_it_saves_in_the_metrics(tmp_path: Path) -> None:
    def thinker(request: Request) -> str:
        return "42" if "</think>" in request.prefix.text else "<think>" + "x" * 50 + "</think>42"

    curve = read_curve(folder(tmp_path, {12: 0.3, 20: 0.7}), "talker")
    chat = {"messages": [{"role": "user", "content": "?"}]}
    with serving_script(thinker, curve=curve, target=0.5) as url:
        for asked in ({"thinking_token_budget": "auto"}, {"model": "talker(auto)"}, {"reasoning_effort": "auto"}):
            told = httpx.post(url + "/v1/chat/completions", json=chat | asked).json()["lcpo"]
            assert (told["asked_by"], told["budget"], told["scope"]) == ("auto", 20, "response")
            assert told["tokens"] <= 20
        lines = httpx.get(url + "/metrics").text.splitlines()
    saved = next(float(line.split()[-1]) for line in lines if line.startswith("lcpo_saved_tokens_total"))
    assert saved == 3 * (60 - told["tokens"])
    with serving_script(thinker) as url:
        told = httpx.post(url + "/v1/chat/completions", json=chat | {"thinking_budget": "auto"}).json()["lcpo"]
    assert told["budget"] is None and "auto needs a measured curve" in told["warnings"][0]
