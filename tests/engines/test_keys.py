"""A server's key: given in five ways, and found in nothing that a command writes or says, errors included."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from spoken import Answer, Raw, speaking

from lcpo.cli import cli
from lcpo.errors import ConfigError

KEY, PASSWORD = "correct-horse-battery", "swordfish"
WAYS = {
    "as it stands": (["--api-key", KEY], {}, None),
    "in a file": (["--api-key", "@{folder}/key"], {}, None),
    "in a variable that is named": (["--api-key", "env:MY_KEY"], {"MY_KEY": KEY}, None),
    "in OPENAI_API_KEY": ([], {"OPENAI_API_KEY": KEY}, None),
    "typed in": (["--api-key", "-"], {}, KEY + "\n"),
}


def talkative(body: dict[str, Any], answer: Answer) -> Answer | Raw:
    """A server that repeats the key wherever it complains."""
    said = {"error": {"message": f"you sent Bearer {KEY}"}}
    return (400, {}, said) if "1+1?" in body["messages"][-1]["content"] else answer


def told(ended: Result) -> str:
    return f"{ended.output}{ended.stderr}{ended.exception}"


def holding(folder: Path, text: str) -> list[str]:
    """The files below a folder that hold a text in themselves or in their names."""
    files = [path for path in folder.rglob("*") if path.is_file() and path.name != "key"]
    return [str(path) for path in files if text.encode() in path.read_bytes() or text in str(path)]


@pytest.mark.parametrize("way", WAYS)
def test_a_key_is_sent_and_stands_nowhere(way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given, variables, typed = WAYS[way]
    monkeypatch.chdir(tmp_path)
    (tmp_path / "key").write_text(KEY + "\n")
    rows = [{"problem": f"1+{n}?", "answer": str(1 + n)} for n in (1, 2)]
    (tmp_path / "mine.json").write_text(json.dumps(rows))
    given = [part.format(folder=tmp_path) for part in given]

    def lcpo(*arguments: str) -> Result:
        return CliRunner(env=variables).invoke(cli, [*arguments, *given], input=typed)

    with speaking(lambda request: "\\boxed{3}") as server:
        server.failures = [(503, {"Retry-After": "0.1"}, f"busy, {KEY}")]
        server.quirk = talkative
        options = ["--data", "mine.json", "--methods", "chat", "--cap", "50", "--samples", "1"]
        ended = lcpo("eval", server.url, *options)
        assert ended.exception is None, ended.exception
        assert {headers["Authorization"] for headers in server.headers} == {f"Bearer {KEY}"}
        said = told(ended)
        assert "busy, ***" in said and "left out: problem 1, chat: " in said and "Bearer ***" in said
        assert ended.stderr.count("other users of this machine can see") == (way == "as it stands")
        server.failures = [(401, {}, f"{KEY} is no key")] * 2
        for arguments in (["eval", server.url, *options, "--out", "other"], ["ask", f"{server.url}#m", "1+2?"]):
            refused = lcpo(*arguments)
            assert "HTTP 401: *** is no key" in told(refused)
            said += told(refused)
        server.quirk = None
        guest = server.url.replace("://", f"://me:{PASSWORD}@")
        said += told(lcpo("eval", guest, *options, "--out", "guest"))
    assert server.headers[-1]["Authorization"].startswith("Basic ")
    assert KEY not in said and PASSWORD not in said
    assert holding(tmp_path, KEY) == holding(tmp_path, PASSWORD) == []
    assert (tmp_path / "guest" / "report.html").is_file()


def test_what_is_no_key_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTHING", raising=False)
    (tmp_path / "empty").write_text("\n")
    for given, words in (
        (f"@{tmp_path}/absent", "cannot read the API key"),
        (f"@{tmp_path}/empty", "is empty; give @FILE, env:NAME"),
        ("env:NOTHING", "is empty; give @FILE, env:NAME"),
    ):
        ended = CliRunner().invoke(cli, ["ask", "http://127.0.0.1:9#m", "1+1?", "--api-key", given])
        assert isinstance(ended.exception, ConfigError) and words in str(ended.exception)
    shipped = CliRunner(env={"OPENAI_API_KEY": KEY}).invoke(
        cli, ["ask", "tiny", "1+1?", "--api-key", "env:OPENAI_API_KEY"]
    )
    assert "api_key: these are for servers, and tiny is none" in str(shipped.exception)
    assert "LCPO_API_KEY or env:OPENAI_API_KEY" in " ".join(CliRunner().invoke(cli, ["eval", "--help"]).output.split())
