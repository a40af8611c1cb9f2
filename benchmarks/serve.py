"""What HTTP costs: tokens per CPU second of `lcpo serve tiny-exact`, plain and streamed, beside the engine alone.

    python benchmarks/serve.py [--clients 1,8,32] [--responses 96] [--out FILE]
    python benchmarks/serve.py --first-token [200]     seconds to it where so many streams begin at once, and the load

Everything runs on this machine in one go: the engine in a process of its own, asked by as many tasks as there are
clients (and, for comparison, in whole batches), then the server in another, asked by clients here. CPU seconds are
those of the measured process alone. Each figure is the best of three. Linux only (/proc).
"""

import argparse
import asyncio
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from typing import Any

import aiohttp

from lcpo.tasks.search import EXAMPLE

QUESTION = f"{EXAMPLE.question} Think for 64 tokens."
REPEATS = 3


def engine_alone(clients: int, responses: int) -> dict[str, int]:
    """Tokens per CPU second of the engine in this process: asked by as many clients, and in whole batches."""
    from lcpo.engines.base import Request, user
    from lcpo.engines.local import LocalEngine
    from lcpo.engines.models import resolve
    from lcpo.serve.run import INTERVAL

    engine = LocalEngine.load(resolve("tiny-exact").path)
    engine.interval = INTERVAL

    def batches() -> int:
        requests = [Request(user(QUESTION), 192, seed) for seed in range(responses)]
        parts = [requests[start : start + clients] for start in range(0, responses, clients)]
        return sum(generation.tokens or 0 for part in parts for generation in engine.generate(part))

    async def streams() -> int:
        seeds = iter(range(responses))

        async def client() -> int:
            deltas = [delta for seed in seeds async for delta in engine.stream(Request(user(QUESTION), 192, seed))]
            return sum(delta.generation.tokens or 0 for delta in deltas if delta.generation)

        return sum(await asyncio.gather(*(client() for _ in range(clients))))

    best = {"batches": 0, "streams": 0}
    batches()
    for _ in range(REPEATS):
        for name, work in (("batches", batches), ("streams", lambda: asyncio.run(streams()))):
            began = time.process_time()
            tokens = work()
            best[name] = max(best[name], round(tokens / (time.process_time() - began)))
    return best


def cpu_seconds(pid: int) -> float:
    """User and system time of a process, all threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def server(*arguments: str, program: Sequence[str] = (sys.executable, "-m", "lcpo")) -> Any:
    """(pid, url) of an `lcpo serve`; what it says later goes to stderr."""
    command = [*program, "serve", *arguments, "--port", "0"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    try:
        for line in process.stderr:
            if match := re.search(r"http://\S+/v1", line):
                Thread(target=shutil.copyfileobj, args=(process.stderr, sys.stderr), daemon=True).start()
                yield process.pid, match[0]
                return
        raise SystemExit("the server did not start")
    finally:
        process.terminate()
        process.wait()


async def ask(session: aiohttp.ClientSession, url: str, seed: int, stream: bool) -> tuple[int, float]:
    """(tokens of a response, seconds to its first)."""
    body = {"messages": [{"role": "user", "content": QUESTION}], "max_tokens": 192, "seed": seed, "stream": stream}
    began = time.perf_counter()
    async with session.post(url + "/chat/completions", json=body) as response:
        first, last = 0.0, b""
        async for data in response.content.iter_any():
            first = first or time.perf_counter() - began
            last = (last + data)[-4000:]
    match = re.search(rb'"tokens":(\d+)', last)
    assert match is not None, last
    return int(match[1]), first


async def through_http(pid: int, url: str, clients: int, responses: int, stream: bool) -> dict[str, float]:
    """Tokens per CPU second, and the median time to the first token."""
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        best, firsts = 0.0, []
        for _ in range(REPEATS):
            seeds = iter(range(responses))

            async def client(seeds: Any = seeds) -> list[tuple[int, float]]:
                return [await ask(session, url, seed, stream) for seed in seeds]

            began = cpu_seconds(pid)
            answers = [answer for some in await asyncio.gather(*(client() for _ in range(clients))) for answer in some]
            best = max(best, sum(tokens for tokens, _ in answers) / (cpu_seconds(pid) - began))
            firsts += [first for _, first in answers]
    return {"tokens_per_cpu_second": round(best), "first_token_p50": round(sorted(firsts)[len(firsts) // 2], 4)}


async def first_tokens(url: str, clients: int) -> dict[str, float]:
    """Seconds to the first token of streams that begin at once; the load is that before them, per core."""
    load = os.getloadavg()[0] / (os.cpu_count() or 1)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        answers = await asyncio.gather(*(ask(session, url, seed, True) for seed in range(clients)))
    firsts = sorted(first for _, first in answers)
    shares = {"p50": 0.5, "p99": 0.99}
    told = {f"first_token_{name}": round(firsts[int(share * (clients - 1))], 3) for name, share in shares.items()}
    return {"clients": clients, **told, "tokens": sum(tokens for tokens, _ in answers), "load_per_core": round(load, 2)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clients", default="1,8,32")
    parser.add_argument("--responses", type=int, default=96)
    parser.add_argument("--first-token", type=int, nargs="?", const=200, metavar="CLIENTS")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--engine", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.engine:
        print(json.dumps(engine_alone(given.engine, given.responses)))
        return
    rows: list[dict[str, Any]] = []
    with server("tiny-exact") as (pid, url):
        if given.first_token:
            asyncio.run(first_tokens(url, 8))
            rows = [asyncio.run(first_tokens(url, given.first_token)) for _ in range(REPEATS)]
            print("\n".join(map(json.dumps, rows)))
        for clients in () if given.first_token else map(int, given.clients.split(",")):
            own = [sys.executable, __file__, "--engine", str(clients), "--responses", str(given.responses)]
            alone = json.loads(subprocess.run(own, check=True, capture_output=True, text=True).stdout)
            row: dict[str, Any] = {"clients": clients, "engine": alone["streams"], "engine_batches": alone["batches"]}
            for stream in (False, True):
                asyncio.run(through_http(pid, url, clients, clients, stream))
                told = asyncio.run(through_http(pid, url, clients, given.responses, stream))
                name = "stream" if stream else "plain"
                row |= {f"{name}_{key}": value for key, value in told.items()}
                row[f"{name}_share"] = round(told["tokens_per_cpu_second"] / alone["streams"], 2)
            rows.append(row)
            print(json.dumps(row))
    if given.out:
        given.out.write_text(json.dumps({"rows": rows}, indent=1))


if __name__ == "__main__":
    main()
