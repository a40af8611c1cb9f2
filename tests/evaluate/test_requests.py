"""An evaluation of a server: what was paid for is kept, only what is missing is asked for, and its cost is said."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from engines.spoken import Answer, Raw, Server, speaking
from lcpo.cli import cli
from lcpo.engines.base import Request
from lcpo.errors import ConfigError, EngineError
from lcpo.evaluate.records import SAMPLES, read_samples
from lcpo.thinking import CLOSE

PROBLEMS = 25
BUDGETS = "20,40"


def script(request: Request) -> str:
    if CLOSE in request.prefix.text:
        return "\\boxed{2}"
    return ("" if request.prefix.text else "<think>") + "one and one</think>\\boxed{2}"


def arguments(url: str, folder: Path, problems: int = PROBLEMS) -> list[str]:
    """200 requests: 25 problems, 2 budgets, 4 samples."""
    rows = [{"question": f"What is {n}+1?", "answer": str(n + 1)} for n in range(1, 1 + problems)]
    (folder / "data.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    given = ["--data", folder / "data.jsonl", "--budgets", BUDGETS, "--samples", 4, "--out", folder / "e"]
    return ["eval", f"{url}#talker", *map(str, given)]


def lcpo(*given: str, **more: Any) -> Result:
    return CliRunner().invoke(cli, list(given), **more)


def asked(server: Server) -> list[str]:
    """What tells requests apart: the whole seed and the prompt."""
    return [
        f"{headers['x-lcpo-seed']} {body['messages'][0]['content']}"
        for body, headers in zip(server.bodies, server.headers, strict=True)
    ]


def places(folder: Path) -> list[tuple[Any, ...]]:
    return [(s.problem, s.budget, s.sample) for s in read_samples(folder / "e")]


def test_killed_in_the_middle_only_what_is_missing_is_asked_for(tmp_path: Path) -> None:
    def slowly(body: dict[str, Any], answer: Answer) -> Answer:
        time.sleep(0.02)
        return answer

    with speaking(script) as server:
        server.quirk = slowly
        command = [sys.executable, "-m", "lcpo", *arguments(server.url, tmp_path), "--parallel", "4"]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        until = time.monotonic() + 120
        while len(server.bodies) < 80 and time.monotonic() < until:
            time.sleep(0.01)
        process.kill()
        assert process.wait() == -signal.SIGKILL and process.stderr is not None
        assert b"at most 200 requests" in process.stderr.read()
        process.stderr.close()
        time.sleep(0.5)  # what was under way has come to the server
        with (tmp_path / "e" / SAMPLES).open("ab") as file:
            file.write(b'{"run": "talk')  # as a crash of the machine may leave it
        kept = (tmp_path / "e" / SAMPLES).read_bytes().count(b"\n")
        first, server.quirk = len(server.bodies), None
        assert first - 4 <= kept <= first < 200
        refused = lcpo(*arguments(server.url, tmp_path))
        assert isinstance(refused.exception, ConfigError) and "--resume" in str(refused.exception)
        resumed = lcpo(*arguments(server.url, tmp_path), "--resume")
    assert resumed.exception is None, resumed.exception
    assert f"at most {200 - kept} requests" in resumed.stderr
    assert len(server.bodies) - first == 200 - kept
    assert len(set(places(tmp_path))) == len(places(tmp_path)) == 200
    assert len(set(asked(server))) == 200
    rows = json.loads((tmp_path / "e" / "results.json").read_text())["rows"]
    assert [(row["samples"], row["requests_failed"]) for row in rows] == [(100, 0), (100, 0)]


def test_a_server_that_goes_away_in_the_middle_costs_nothing_twice(tmp_path: Path) -> None:
    with speaking(script) as server:
        server.quirk = lambda body, answer: answer if len(server.bodies) <= 80 else (401, {}, "the key has expired")
        ended = lcpo(*arguments(server.url, tmp_path))
        assert isinstance(ended.exception, EngineError) and "the key has expired" in str(ended.exception)
        kept = len(places(tmp_path))
        assert 80 - 16 <= kept <= 80
        server.quirk, first = None, len(server.bodies)
        assert first <= 80 + 16  # nobody asks on
        resumed = lcpo(*arguments(server.url, tmp_path), "--resume")
        assert resumed.exception is None and len(server.bodies) - first == 200 - kept
        again = lcpo(*arguments(server.url, tmp_path), "--resume", "--json")
        assert json.loads(again.stdout)["rows"] and len(server.bodies) - first == 200 - kept
    assert len(set(places(tmp_path))) == 200


def test_hanging_up_in_the_middle_is_tried_again(tmp_path: Path) -> None:
    with speaking(script) as server:
        server.quirk = lambda body, answer: None if len(server.bodies) in (70, 71, 72) else answer
        ended = lcpo(*arguments(server.url, tmp_path))
    assert ended.exception is None and len(server.bodies) == 203
    assert len(set(places(tmp_path))) == 200 and "trying again" in ended.stderr


def too_long(body: dict[str, Any], answer: Answer) -> Answer | Raw:
    words = {"error": {"message": "maximum context length is 64 tokens"}}
    return (400, {}, words) if "What is 1+1?" in body["messages"][0]["content"] else answer


def test_a_problem_that_is_too_long_is_named_and_counted_and_ends_nothing(tmp_path: Path) -> None:
    with speaking(script) as server:
        server.quirk = too_long
        ended = lcpo(*arguments(server.url, tmp_path, problems=2), "--json")
        assert ended.exception is None, ended.exception
        rows = json.loads(ended.stdout)["rows"]
        assert [(row["samples"], row["requests_failed"]) for row in rows] == [(4, 4), (4, 4)]
        assert ended.stderr.count("left out: problem 1, prompted at budget 20: ") in (4, 5)
        assert "left out: 8 requests in all" in ended.stderr and "maximum context length" in ended.stderr
        first = len(server.bodies)
        again = lcpo(*arguments(server.url, tmp_path, problems=2), "--resume")
        assert again.exception is None and len(server.bodies) - first == 8
        server.quirk = None
        mended = lcpo(*arguments(server.url, tmp_path, problems=2), "--resume", "--json")
    assert [row["requests_failed"] for row in json.loads(mended.stdout)["rows"]] == [0, 0]


def test_an_overload_that_passes_costs_no_paid_answer(tmp_path: Path) -> None:
    with speaking(script) as server:
        server.quirk = lambda body, answer: (
            (529, {"Retry-After": "0.1"}, "busy") if len(server.bodies) == 31 else answer
        )
        ended = lcpo(*arguments(server.url, tmp_path, problems=5))
    assert ended.exception is None and len(server.bodies) == 41 and len(places(tmp_path)) == 40


def test_what_it_will_cost_is_said_before(tmp_path: Path) -> None:
    with speaking(script) as server:
        given = [
            *arguments(server.url, tmp_path, problems=1),
            "--methods",
            "prompted,truncate,s1:waits=3,majority:votes=2",
        ]
        ended = lcpo(*given, "--price", "0.5,2", "--limit", "3000")
        assert isinstance(ended.exception, ConfigError) and ended.exception.exit_code == 2
        assert not server.bodies and "above --limit 3000" in str(ended.exception)
        # 4 samples x 2 budgets x (1 + 2 + 5 + 2) requests; responses of at most 80 tokens, of a majority twice that
        assert "at most 80 requests, 3,200 tokens of responses" in ended.stderr
        read = int(ended.stderr.split("about ")[1].split(" of prompts")[0].replace(",", ""))
        assert f"at most {(read * 0.5 + 3200 * 2) / 1e6:,.2f} at the given price" in ended.stderr
        assert lcpo(*given, "--limit", str(3200 + read)).exception is None
        assert lcpo(*given, "--price", "cheap").exit_code == 2


def test_what_a_server_did_not_heed_stands_in_the_results(tmp_path: Path) -> None:
    with speaking(script) as server:
        server.quirk = lambda body, answer: (
            (400, {}, "temperature is not supported") if "temperature" in body else answer
        )
        ended = lcpo(*arguments(server.url, tmp_path, problems=1), "--json")
    assert json.loads(ended.stdout)["manifest"]["left_out"] == {"talker": ["temperature"]}
