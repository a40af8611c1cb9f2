"""Who may ask: keys, Host, Origin, sizes, times; and what a key may use in a day."""

import asyncio
import socket
import threading
import time
from collections.abc import AsyncGenerator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import CliRunner
from served import serving

from lcpo.cli import cli
from lcpo.engines.base import Delta, Request
from lcpo.engines.scripted import ScriptedEngine
from lcpo.errors import ConfigError
from lcpo.serve.app import Server, make_app
from lcpo.serve.guard import LOOPBACK, Key, Rules, sha256
from lcpo.serve.ledger import Ledger, read_keys
from lcpo.serve.local import LocalBackend
from lcpo.serve.plan import Served
from lcpo.serve.run import Options, serve
from sums_model import EXACT

CHAT = {"messages": [{"role": "user", "content": "?"}]}


def thinker(request: Request) -> str:
    return "42" if "</think>" in request.prefix.text else "<think>" + "x" * 30 + "</think>42"


class Slow(ScriptedEngine):
    """Takes its time before every token."""

    async def stream(self, request: Request) -> AsyncGenerator[Delta, None]:
        async for delta in super().stream(request):
            await asyncio.sleep(0.02)
            yield delta


@contextmanager
def guarded(engine: ScriptedEngine | None = None, **options: Any) -> Any:
    model = Served("talker")
    server = Server(LocalBackend(engine or ScriptedEngine(thinker), model), **options)
    with serving(make_app(server)) as url:
        yield url


def post(url: str, headers: dict[str, str] | None = None, **body: Any) -> httpx.Response:
    return httpx.post(url + "/v1/chat/completions", json=CHAT | body, headers=headers)


def test_a_key_is_asked_for_and_says_nothing_of_itself() -> None:
    rules = Rules(keys={"admin": Key(sha256(b"secret-1"))}, hosts=LOOPBACK)
    with guarded(rules=rules) as url:
        refused = [post(url), post(url, {"Authorization": "Bearer secret-2"}), httpx.get(url + "/metrics")]
        allowed = [post(url, {"Authorization": "Bearer secret-1"}), post(url, {"x-api-key": "secret-1"})]
        assert httpx.get(url + "/health").status_code == 200
    assert [answer.status_code for answer in refused] == [401] * 3
    assert "secret" not in "".join(answer.text for answer in refused)
    assert [answer.status_code for answer in allowed] == [200] * 2


def test_a_page_of_the_web_reaches_nothing() -> None:
    with guarded() as url:
        port = url.rpartition(":")[2]
        for headers in (
            {"Host": "evil.example"},
            {"Host": f"evil.example:{port}"},
            {"Origin": "https://evil.example"},
            {"Origin": "null"},
            {"Origin": f"http://localhost:{port}", "Host": f"127.0.0.1:{port}"},
        ):
            answer = post(url, headers)
            assert answer.status_code == 403, headers
            assert not any(name.startswith("access-control") for name in answer.headers)
        assert post(url, {"Origin": url}).status_code == 200
        assert (
            httpx.options(url + "/v1/chat/completions", headers={"Origin": "https://evil.example"}).status_code == 403
        )


def test_bodies_have_a_size_and_a_time() -> None:
    with guarded(rules=Rules(hosts=LOOPBACK, body=2000, headers=3000, patience=0.3)) as url:
        assert post(url, pad="x" * 3000).status_code == 413

        def chunks() -> Any:
            yield from [b"x" * 1000] * 3

        streamed = httpx.post(
            url + "/v1/chat/completions", content=chunks(), headers={"Content-Type": "application/json"}
        )
        assert (streamed.status_code, streamed.json()["error"]["type"]) == (413, "invalid_request_error")
        assert post(url, {"x-long": "x" * 4000}).status_code == 431
        host, port = url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port))) as slow:
            head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n"
            slow.sendall((head + "Content-Length: 50\r\n\r\n{").encode())
            slow.settimeout(5)
            assert b"408" in slow.recv(1000).split(b"\r\n")[0]
        assert post(url).status_code == 200


def test_a_full_queue_and_a_deadline() -> None:
    with guarded(Slow(thinker), queue=1, deadline=0.4) as url, ThreadPoolExecutor(2) as threads:
        first = threads.submit(post, url)
        time.sleep(0.2)
        busy = post(url)
        late = first.result()
        with httpx.stream("POST", url + "/v1/chat/completions", json=CHAT | {"stream": True}) as stream:
            text = "".join(stream.iter_text())
    assert (busy.status_code, busy.headers["retry-after"]) == (503, "1")
    assert late.status_code == 504
    assert "took longer" in text and text.endswith("data: [DONE]\n\n")


def test_other_addresses_need_a_key_and_keys_do_not_stand_in_command_lines(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="can be reached by others"):
        serve(str(EXACT), Options(host="0.0.0.0"))
    for given, words in (("plain", "takes @FILE"), ("env:NONE", "is empty"), (f"@{tmp_path / 'no'}", "cannot read")):
        for option in ("--api-key", "--upstream-key"):
            ended = CliRunner().invoke(cli, ["serve", str(EXACT), option, given])
            assert isinstance(ended.exception, ConfigError) and words in str(ended.exception)
            assert "plain" not in str(ended.exception) + ended.output


def keyed(ledger: Ledger, limit: int | None = 100) -> Any:
    keys = {"alice": Key(sha256(b"a"), limit), "admin": Key(sha256(b"b"))}
    return guarded(rules=Rules(keys, LOOPBACK), ledger=ledger)


def test_a_key_cannot_use_more_than_its_day(tmp_path: Path) -> None:
    day = time.strftime("%Y-%m-%d", time.gmtime())
    with keyed(Ledger(str(tmp_path / "keys.sqlite"))) as url:

        def ask(_: int) -> httpx.Response:
            return post(url, {"x-api-key": "a"}, max_tokens=40)

        with ThreadPoolExecutor(16) as threads:
            answers = list(threads.map(ask, range(16)))
        used = sum(answer.json()["usage"]["completion_tokens"] for answer in answers if answer.status_code == 200)
        refused = [answer for answer in answers if answer.status_code == 429]
        assert 35 <= used <= 100 and refused
        assert "left today" in refused[-1].json()["error"]["message"] and int(refused[-1].headers["retry-after"]) > 0
        assert post(url, {"x-api-key": "b"}).status_code == 200
    again = Ledger(str(tmp_path / "keys.sqlite"))
    assert again.used("key:alice", day) == used
    assert again.used("key:admin", day) == 35
    again.close()


def test_what_a_killed_server_had_reserved_stays_counted(tmp_path: Path) -> None:
    first = Ledger(str(tmp_path / "keys.sqlite"))
    assert first.reserve("key:a", "today", 60, 100)
    second = Ledger(str(tmp_path / "keys.sqlite"))
    assert second.reserve("key:a", "today", 60, 100) is None
    assert second.reserve("key:a", "tomorrow", 120, 100) is None
    assert second.used("key:a", "tomorrow") == 0
    for ledger in (first, second):
        ledger.close()


def test_parallel_reservations_never_pass_the_limit(tmp_path: Path) -> None:
    ledgers = [Ledger(str(tmp_path / "keys.sqlite")) for _ in range(4)]
    taken: list[object] = []

    def take(ledger: Ledger) -> None:
        taken.extend(filter(None, (ledger.reserve("key:a", "today", 7, 100) for _ in range(20))))

    threads = [threading.Thread(target=take, args=(ledger,)) for ledger in ledgers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(taken), ledgers[0].used("key:a", "today")) == (14, 98)
    for ledger in ledgers:
        ledger.close()


def test_a_conversation_shares_a_budget() -> None:
    with guarded() as url:
        task = {"output_config": {"task_budget": {"type": "tokens", "total": 60}}}
        answers = [post(url, {"x-lcpo-conversation": "c1"}, **task) for _ in range(3)]
        other = post(url, {"x-lcpo-conversation": "c2"}, **task)
    told = [answer.json()["lcpo"] for answer in answers[:2]]
    assert [one["limit"] for one in told] == [60, 60 - told[0]["tokens"]]
    assert told[0]["tokens"] + told[1]["tokens"] <= 60
    assert answers[2].status_code == 400 and "has used its 60 tokens" in answers[2].text
    assert other.json()["lcpo"]["limit"] == 60


def test_a_file_of_keys(tmp_path: Path) -> None:
    file = tmp_path / "keys.toml"
    file.write_text(f'[a]\nkey = "k1"\ntokens_per_day = 5\n[b]\nsha256 = "{sha256(b"k2").hex()}"\n')
    assert read_keys(file) == {"a": Key(sha256(b"k1"), 5), "b": Key(sha256(b"k2"), None)}
    for text in ('[a]\nkey = "k1"\n[b]\nkey = "k1"', "[a]\n", '[admin]\nkey = "x"', "a = {", "[a]\nsha256 = 'zz'", ""):
        file.write_text(text)
        with pytest.raises(ConfigError) as error:
            read_keys(file)
        assert "k1" not in str(error.value)
