"""Requests that schemathesis makes from the server's own OpenAPI document: no 5xx, no hang, an error in its shape.

    make fuzz [ARGS="--requests 10000 --seed 0"]

Half of them fit the document, half break it. Most of those that fit get the server's model, known roles, and at most
three other fields, so that they are answered and not only refused. Writes how many of each route came back with which
status (--out FILE).
"""

import argparse
import json
import sys
import time
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from schemathesis.generation import GenerationMode

from serve import server

LCPO = Path(__file__).parents[1] / ".venv" / "bin" / "lcpo"
MODEL = "tiny-exact"
KEPT = {"model", "messages", "prompt", "input", "max_tokens", "stream"}


class Failed(Exception):
    """An answer that no request may get."""


def check(response: Any) -> None:
    """Raises Failed."""
    if response.status_code >= 500:
        raise Failed(f"status {response.status_code}: {response.text[:300]}")
    if response.status_code >= 400 and not response.json()["error"]["message"]:
        raise Failed(f"an error without a message: {response.text[:300]}")
    if response.status_code == 200 and "application/json" in str(response.headers.get("content-type")):
        response.json()


def tame(body: dict[str, Any]) -> None:
    """Makes most bodies such that the server goes on to answer: its model, roles, few other fields at once."""
    draw = Random(json.dumps(body, default=str))
    if draw.random() < 0.1:
        return
    body["model"] = MODEL
    more = [name for name in body if name not in KEPT]
    for name in draw.sample(more, max(0, len(more) - draw.randrange(4))):
        del body[name]
    for turn in body.get("messages") or ():
        if isinstance(turn, dict):
            turn |= {"role": draw.choice(["system", "user", "assistant"]), "content": str(turn.get("content", "?"))}


def fuzz(operation: Any, mode: GenerationMode, count: int, start: int, patience: float) -> Counter[int]:
    """Statuses of so many requests. Raises Failed, and requests.Timeout after `patience` seconds."""
    statuses: Counter[int] = Counter()

    @seed(start)
    @settings(
        max_examples=count,
        deadline=None,
        database=None,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def ask(case: Any) -> None:
        if mode is GenerationMode.POSITIVE and isinstance(case.body, dict):
            tame(case.body)
        response = case.call(timeout=patience)
        statuses[response.status_code] += 1
        check(response)

    ask()
    return statuses


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--patience", type=float, default=60.0, metavar="SECONDS", help="After these it hangs.")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    rows: list[dict[str, Any]] = []
    failures = 0
    with server(MODEL, program=[str(LCPO)]) as (_, url):
        schema = schemathesis.openapi.from_url(url.removesuffix("/v1") + "/openapi.json")
        operations = [result.ok() for result in schema.get_all_operations()]
        posts = [operation for operation in operations if operation.method.upper() == "POST"]
        for operation in operations:
            count, modes = options.requests // (2 * len(posts)), list(GenerationMode)
            if operation not in posts:
                count, modes = 10, [GenerationMode.POSITIVE]
            for mode in modes:
                began = time.monotonic()
                row: dict[str, Any] = {"route": operation.path, "mode": mode.value}
                try:
                    statuses = fuzz(operation, mode, count, options.seed, options.patience)
                    row |= {"statuses": {str(status): statuses[status] for status in sorted(statuses)}}
                except (Failed, requests.RequestException) as error:
                    failures += 1
                    row |= {"failure": f"{type(error).__name__}: {error}"[:500]}
                rows.append({**row, "seconds": round(time.monotonic() - began, 1)})
                print(json.dumps(rows[-1]), flush=True)
    sent = sum(sum(row.get("statuses", {}).values()) for row in rows)
    print(f"{sent} requests, {failures} failures")
    if options.out:
        document = {"schemathesis": schemathesis.__version__, "requests": sent, "failures": failures, "rows": rows}
        options.out.write_text(json.dumps(document, indent=1) + "\n")
    return int(failures > 0)


if __name__ == "__main__":
    sys.exit(main())
