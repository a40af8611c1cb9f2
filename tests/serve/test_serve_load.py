"""Many clients at once, and clients that hang up."""

import asyncio
import json
import resource
from itertools import pairwise
from typing import Any

import aiohttp
import httpx
import pytest
from served import QUESTION, serving_tiny, tiny

pytestmark = pytest.mark.slow


async def stream(
    session: aiohttp.ClientSession, url: str, seed: int, leave: bool = False, **more: Any
) -> dict[str, Any] | None:
    """The report of a streamed response; None for one that is left after its first event."""
    body = {"messages": QUESTION, "thinking_token_budget": 8 + seed % 16, "seed": seed, "stream": True}
    body |= {"stream_options": {"include_usage": True}, **more}
    async with session.post(url + "/v1/chat/completions", json=body) as response:
        assert response.status == 200
        text = b""
        async for data in response.content.iter_any():
            text += data
            if leave:
                response.close()
                return None
    lines = [line for line in text.decode().splitlines() if line.startswith("data: {")]
    last = json.loads(lines[-1][6:])
    assert last["usage"]["completion_tokens"] == last["lcpo"]["tokens"]
    return dict(last["lcpo"])


async def many(url: str, count: int) -> list[dict[str, Any] | None]:
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(300)) as session:
        return await asyncio.gather(*(stream(session, url, seed) for seed in range(count)))


def metric(url: str, name: str) -> float:
    lines = httpx.get(url + "/metrics").text.splitlines()
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(name))


def test_two_hundred_streams_and_every_token_is_accounted_for() -> None:
    with serving_tiny() as url:
        told, peaks = [], []
        for _ in range(4):  # what leaks grows with every wave; how many rows run at once depends on the machine's load
            told += asyncio.run(many(url, 200))
            peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
        used = metric(url, "lcpo_completion_tokens_total")
        assert metric(url, "lcpo_running") == 0
        assert metric(url, "lcpo_budget_violations_total") == 0
    reports = [report for report in told if report is not None]
    assert len(reports) == 800
    assert used == sum(report["tokens"] for report in reports)
    assert all(report["reasoning_tokens"] <= report["budget"] for report in reports)
    assert min(after - before for before, after in pairwise(peaks)) < 50 * 1024  # KiB


def test_half_of_them_hang_up_and_their_rows_are_free_long_before_the_others_end() -> None:
    batch = tiny().engine.batch  # type: ignore[attr-defined]

    def longest() -> int:
        return max(len(row.generated) for row in list(batch.rows))

    async def half(url: str) -> int:
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(connector=connector) as session:
            staying = [asyncio.ensure_future(stream(session, url, seed, min_tokens=150)) for seed in range(20)]
            leaving = [stream(session, url, 100 + seed, leave=True, min_tokens=150) for seed in range(20)]
            gone, most = asyncio.ensure_future(asyncio.gather(*leaving)), 0
            while not gone.done():
                most = max(most, len(batch.rows))
                await asyncio.sleep(0.005)
            assert most > 20
            before = longest()
            while len(batch.rows) > 20 or batch.waiting:
                await asyncio.sleep(0.005)
            tokens = longest() - before
            assert all(report is not None for report in await asyncio.gather(*staying))
            return tokens

    with serving_tiny() as url:
        assert asyncio.run(half(url)) < 50  # of the 150 that each draws at least; seconds would be the machine's load
        assert metric(url, "lcpo_running") == 0
    assert not batch.busy
