"""`lcpo eval` and `lcpo ask` of a model behind an OpenAI-compatible server."""

import json
from pathlib import Path

from click.testing import CliRunner
from spoken import speaking

from lcpo.budgets import parse
from lcpo.cli import cli
from lcpo.engines.base import Request
from lcpo.evaluate.records import read_samples


def obeys(request: Request) -> str:
    """Thinks exactly as long as it is asked to, the tags and the answer included."""
    if request.prefix.text:
        return "\\boxed{2}"
    budget = parse(request.prompt_text)[1].tokens or 40
    return "<think>" + "x" * (budget - 12) + "</think>\\boxed{2}"


def test_a_server_is_evaluated_by_what_it_reports(tmp_path: Path) -> None:
    (tmp_path / "mine.jsonl").write_text('{"question": "1+1?", "answer": "2"}\n{"question": "1+2?", "answer": "3"}\n')
    with speaking(obeys) as server:
        arguments = ["--data", tmp_path / "mine.jsonl", "--budgets", "20,40", "--methods", "prompted,truncate,chat"]
        more = ["--samples", 2, "--out", tmp_path / "e", "--json"]
        found = CliRunner().invoke(cli, ["eval", f"{server.url}#talker", *map(str, [*arguments, *more])])
    assert found.exit_code == 0, found.exception
    rows = {(row["method"], row["budget"]): row for row in json.loads(found.stdout)["rows"]}
    for budget in (20, 40):
        row = rows["prompted", budget]
        assert (row["tokens_mean"], row["mare"], row["accuracy"]) == (budget, 0, 0.5)
        assert (row["length_source"], row["thinking_tokens_mean"], row["filler"]) == ("usage", None, None)
    assert rows["chat", None]["tokens_mean"] == 40
    cut = [s for s in read_samples(tmp_path / "e") if s.method == "truncate" and s.budget == 20]
    assert all(s.text == "<think>" + "x" * 19 + "\n</think>\n\n\\boxed{2}" and s.forced for s in cut)
    assert all(s.tokens == 20 + len("\n</think>\n\n".replace("</think>", "/")) + 10 for s in cut)


def test_a_server_is_asked(tmp_path: Path) -> None:
    with speaking(obeys) as server:
        found = CliRunner().invoke(cli, ["ask", server.url, "1+1?", "--budget", "30", "--json"])
    answer = json.loads(found.stdout)
    assert (answer["model"], answer["tokens"], answer["answer"]) == (
        server.url.split("//")[1].split("/")[0],
        30,
        "\\boxed{2}",
    )
    assert (answer["length_source"], answer["finish_reason"]) == ("usage", "stop")
