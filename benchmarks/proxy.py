"""What a proxy costs: CPU milliseconds per request and added latency of `lcpo serve --upstream`, beside LiteLLM.

    python benchmarks/proxy.py [--requests 600] [--litellm .venv-clients/bin/litellm] [--out FILE]

One trivial upstream, 16 events a stream; every process on this machine, in one run. LiteLLM lives in an environment of
its own (`make test-clients` makes one); without --litellm it is left out. CPU time is that of the proxy alone.
Linux only (/proc).
"""

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncGenerator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import aiohttp

from serve import cpu_seconds, server

EVENTS = 16
KEY = "sk-benchmark"
USAGE = {"prompt_tokens": 9, "completion_tokens": EVENTS, "total_tokens": 9 + EVENTS}
USAGE |= {"completion_tokens_details": {"reasoning_tokens": EVENTS // 2}}  # type: ignore[dict-item]
PORT_UPSTREAM, PORT_LITELLM = 18100, 18103


def upstream() -> None:
    """Answers at once, whatever is asked."""
    import uvicorn
    from fastapi import FastAPI, Request
    from fastapi.responses import Response, StreamingResponse

    app = FastAPI()
    message = {"role": "assistant", "content": "4", "reasoning_content": "two and two"}
    whole = {"id": "1", "choices": [{"index": 0, "finish_reason": "stop", "message": message}], "usage": USAGE}
    deltas = [{"reasoning_content": f"t{i} "} if i < EVENTS // 2 else {"content": f"a{i} "} for i in range(EVENTS)]
    head = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "up"}
    chunks = [{**head, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in deltas]
    chunks.append({**head, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    chunks.append({**head, "choices": [], "usage": USAGE})
    events = [b"data: " + json.dumps(chunk).encode() + b"\n\n" for chunk in chunks] + [b"data: [DONE]\n\n"]

    @app.get("/v1/models")
    async def models() -> Any:
        return {"data": [{"id": "up", "object": "model"}]}

    @app.post("/v1/chat/completions")
    async def chat(request: Request) -> Response:
        async def stream() -> AsyncGenerator[bytes, None]:
            for event in events:
                yield event

        if json.loads(await request.body()).get("stream"):
            return StreamingResponse(stream(), media_type="text/event-stream")
        return Response(json.dumps(whole), media_type="application/json")

    uvicorn.run(app, port=PORT_UPSTREAM, log_level="warning")


async def load(url: str, requests: int, clients: int, stream: bool) -> dict[str, Any]:
    """Requests by so many clients, each one after the other."""
    body = {"model": "up", "messages": [{"role": "user", "content": "2+2?"}], "stream": stream}
    body |= {"thinking_token_budget": 64} | ({"stream_options": {"include_usage": True}} if stream else {})
    headers, left, seconds, errors = {"Authorization": f"Bearer {KEY}"}, iter(range(requests)), [], 0
    async with aiohttp.ClientSession(headers=headers, connector=aiohttp.TCPConnector(limit=clients)) as session:

        async def client() -> None:
            nonlocal errors
            for _ in left:
                began = time.perf_counter()
                async with session.post(url + "/chat/completions", json=body) as response:
                    data = await response.read()
                seconds.append(time.perf_counter() - began)
                errors += response.status != 200 or (stream and b"[DONE]" not in data)

        began = time.perf_counter()
        await asyncio.gather(*(client() for _ in range(clients)))
        wall = time.perf_counter() - began
    seconds.sort()
    p50, p99 = (round(1000 * seconds[int(share * (len(seconds) - 1))], 2) for share in (0.5, 0.99))
    return {"requests_per_second": round(requests / wall), "p50_ms": p50, "p99_ms": p99, "errors": errors}


def wait_for(url: str, seconds: float = 180.0) -> None:
    """Until something answers there."""

    async def ask() -> bool:
        async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {KEY}"}) as session:
            try:
                async with session.get(url + "/models") as response:
                    return response.status == 200
            except aiohttp.ClientError:
                return False

    end = time.monotonic() + seconds
    while not asyncio.run(ask()):
        if time.monotonic() > end:
            raise SystemExit(f"{url} did not come up")
        time.sleep(0.2)


@contextmanager
def process(*command: str, url: str, **environment: str) -> Any:
    """(pid, url) of a process that listens there."""
    started = subprocess.Popen(command, env=os.environ | environment, stdout=subprocess.DEVNULL)
    try:
        wait_for(url)
        yield started.pid, url
    finally:
        started.terminate()
        started.wait()


def litellm(program: str, folder: Path) -> Any:
    """LiteLLM's proxy with one worker in front of the upstream."""
    config = folder / "litellm.yaml"
    params = f"{{model: hosted_vllm/up, api_base: 'http://127.0.0.1:{PORT_UPSTREAM}/v1', api_key: none}}"
    settings = f"general_settings: {{master_key: {KEY}}}\nlitellm_settings: {{telemetry: false, num_retries: 0}}\n"
    config.write_text(f"model_list:\n  - model_name: up\n    litellm_params: {params}\n{settings}")
    port = str(PORT_LITELLM)
    command = (program, "--config", str(config), "--host", "127.0.0.1", "--port", port, "--num_workers", "1")
    quiet = {"LITELLM_LOG": "ERROR", "LITELLM_MODE": "PRODUCTION", "LITELLM_LOCAL_MODEL_COST_MAP": "True"}
    return process(*command, url=f"http://127.0.0.1:{port}/v1", **quiet)


def version_of(program: str) -> str:
    """The version of LiteLLM in the environment of its program."""
    code = "from importlib.metadata import version; print(version('litellm'))"
    python = str(Path(program).parent / "python")
    return subprocess.run([python, "-c", code], check=True, capture_output=True, text=True).stdout.strip()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--requests", type=int, default=600)
    parser.add_argument("--litellm", metavar="PATH")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--upstream", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.upstream:
        upstream()
        return
    rows: list[dict[str, Any]] = []
    told: dict[str, Any] = {"events": EVENTS, "load_per_core": round(os.getloadavg()[0] / (os.cpu_count() or 1), 2)}
    if given.litellm:
        told["litellm"] = version_of(given.litellm)
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        url = f"http://127.0.0.1:{PORT_UPSTREAM}/v1"
        places = {"direct": stack.enter_context(process(sys.executable, __file__, "--upstream", url=url))}
        places["lcpo"] = stack.enter_context(server("--upstream", url, "--upstream-kind", "vllm"))
        if given.litellm:
            places["litellm"] = stack.enter_context(litellm(given.litellm, Path(folder)))
        for name, (pid, place) in places.items():
            for stream in (False, True):
                asyncio.run(load(place, 50, 4, stream))
                for clients in (1, 32):
                    before = cpu_seconds(pid)
                    times = asyncio.run(load(place, given.requests, clients, stream))
                    cost = round(1000 * (cpu_seconds(pid) - before) / given.requests, 2)
                    rows.append({"proxy": name, "stream": stream, "clients": clients, "cpu_ms": cost, **times})
                    print(json.dumps(rows[-1]), flush=True)
    if given.out:
        given.out.write_text(json.dumps({**told, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
