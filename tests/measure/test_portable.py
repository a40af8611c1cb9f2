"""What is written down: no secret, no absolute path, and everything else as it was."""

from pathlib import Path

import pytest

from lcpo.measure.portable import command_line, portable


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        (["eval", "m", "--api-key", "hunter2", "--seed", "1"], ["eval", "m", "--api-key", "***", "--seed", "1"]),
        (["--api-key=hunter2"], ["--api-key=***"]),
        (["--api-key", "@keys.txt"], ["--api-key", "***"]),
        (["--keys", "all.json", "--json"], ["--keys", "***", "--json"]),
        (["train", "r", "trl.hub_token=hunter2"], ["train", "r", "trl.hub_token=***"]),
        (["http://me:hunter2@host:8000/v1#m"], ["http://host:8000/v1#m"]),
        (["https://host/v1?api_key=hunter2&x=1#m"], ["https://host/v1?api_key=***&x=1#m"]),
        (["ask", "sk-abcdef123456789", "hf_abcdefghijk"], ["ask", "***", "***"]),
        (["--tokenizer", "a/b", "--budgets", "8,16", "--json"], ["--tokenizer", "a/b", "--budgets", "8,16", "--json"]),
        (["trl.eos_token=<end>", "answer_tokens=4"], ["trl.eos_token=<end>", "answer_tokens=4"]),
        (["--api-key", "--json"], ["--api-key", "--json"]),
    ],
)  # fmt: skip
def test_command_lines(given: list[str], shown: list[str]) -> None:
    assert command_line(given) == shown


def test_paths_are_relative_or_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    given = [
        f"{tmp_path}/runs/a",
        f"task.data=['{tmp_path}/x.json', '/data/y z/w.json']",
        f"--out={tmp_path}/b",
        "/data/z.json",
    ]
    assert command_line(given) == ["runs/a", "task.data=['x.json', 'y z/w.json']", "--out=b", "z.json"]
    assert portable({f"{tmp_path}/x.json": {"path": "/usr/share/y", "n": 3}, "list": [None, True, 0.5, "/a/b"]}) == {
        "x.json": {"path": "y", "n": 3}, "list": [None, True, 0.5, "b"]
    }  # fmt: skip


@pytest.mark.parametrize(
    "text", ["http://host/v1#m", "and/or", "3/4", "owner/name", "runs/a", "a / b", "sha256:0e9d/x", "1e-3"]
)
def test_what_is_no_path_stays(text: str) -> None:
    assert portable(text) == text
