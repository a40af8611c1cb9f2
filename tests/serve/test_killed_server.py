"""kill -9 of a server in the middle of requests: what was used stays counted, and what ran is all that is lost."""

import asyncio
import time
from pathlib import Path
from typing import Any

import aiohttp
import httpx
import pytest
from served import QUESTION

from lcpo.serve.ledger import Ledger
from server_process import lcpo_serve
from sums_model import EXACT

KEY = {"x-api-key": "a"}
LIMIT, RUNNING, LONG = 1300, 3, 300


async def begin_and_kill(url: str, kill: Any) -> int:
    """Kills the server when all streams have begun; how many of them broke off."""
    body = {"messages": QUESTION, "stream": True, "max_tokens": LONG, "min_tokens": LONG - 1}
    begun = [asyncio.Event() for _ in range(RUNNING)]

    async def stream(session: aiohttp.ClientSession, i: int) -> bool:
        try:
            async with session.post(url + "/v1/chat/completions", json=body, headers=KEY) as response:
                async for _ in response.content.iter_any():
                    begun[i].set()
        except aiohttp.ClientError:
            return True
        return False

    async with aiohttp.ClientSession() as session:
        streams = [asyncio.ensure_future(stream(session, i)) for i in range(RUNNING)]
        await asyncio.gather(*(event.wait() for event in begun))
        kill()
        return sum(await asyncio.gather(*streams))


@pytest.mark.slow
def test_budgets_of_keys_hold_over_kill_9(tmp_path: Path) -> None:
    keys = tmp_path / "keys.toml"
    keys.write_text(f'[alice]\nkey = "a"\ntokens_per_day = {LIMIT}\n')
    day = time.strftime("%Y-%m-%d", time.gmtime())
    body = {"messages": QUESTION, "thinking_token_budget": 8, "max_tokens": 60}

    def ask(url: str, **more: Any) -> httpx.Response:
        return httpx.post(url + "/v1/chat/completions", json=body | more, headers=KEY, timeout=60)

    def used() -> int:
        ledger = Ledger(str(keys.with_suffix(".sqlite")))
        try:
            return ledger.used("key:alice", day)
        finally:
            ledger.close()

    with lcpo_serve(str(EXACT), "--keys", str(keys)) as (process, url):
        finished = sum(ask(url).json()["usage"]["completion_tokens"] for _ in range(3))
        assert used() == finished
        assert asyncio.run(begin_and_kill(url, process.kill)) == RUNNING
        assert process.wait(10) == -9
    assert used() == finished + RUNNING * LONG
    with lcpo_serve(str(EXACT), "--keys", str(keys)) as (_, url):
        left = LIMIT - finished - RUNNING * LONG
        refused = ask(url, max_tokens=left + 1)
        assert (refused.status_code, refused.headers["x-lcpo-key-remaining"]) == (429, str(left))
        again = ask(url, max_tokens=left)
        assert used() == finished + RUNNING * LONG + again.json()["usage"]["completion_tokens"] <= LIMIT
