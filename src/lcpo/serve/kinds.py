"""What an upstream enforces: known by its kind, or measured by asking for one token of thought."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from lcpo.engines.replies import counts
from lcpo.errors import ConfigError, EngineError, unknown


@dataclass(frozen=True)
class Kind:
    """A sort of server. cap: where the hard cap on a thought stands in a body, None where it has none.

    least: the smallest cap that it takes. levels: it takes reasoning_effort, and words go there as they are.
    limit: its name for the limit of the whole response. two_calls: it goes on with an assistant's last message, so that
    a second call can close the thought.
    """

    cap: str | None = None
    least: int = 0
    levels: bool = False
    limit: str = "max_tokens"
    two_calls: bool = False


KINDS: Mapping[str, Kind] = {
    "vllm": Kind("thinking_token_budget"),
    "sglang": Kind("custom_params.thinking_budget"),
    "llama.cpp": Kind("thinking_budget_tokens"),
    "tensorrt-llm": Kind("thinking_token_budget"),
    "dynamo": Kind("nvext.max_thinking_tokens"),
    "lcpo": Kind("thinking_token_budget"),
    "alibaba": Kind("thinking_budget"),
    "siliconflow": Kind("thinking_budget"),
    "mlx": Kind("thinking_budget"),
    "openrouter": Kind("reasoning.max_tokens", least=1024),
    "ollama": Kind(levels=True),
    "openai": Kind(levels=True, limit="max_completion_tokens"),
    "two-calls": Kind(two_calls=True),
    "other": Kind(),
}
SIGNS = (
    ("/version", "version", "vllm"),
    ("/server_info", "model_path", "sglang"),
    ("/get_server_info", "model_path", "sglang"),
    ("/props", "default_generation_settings", "llama.cpp"),
    ("/api/version", "version", "ollama"),
)
"""(path, key of its JSON, kind): what only one kind of server answers."""
TRIED = ("thinking_token_budget", "thinking_budget", "thinking_budget_tokens")
"""Caps that are tried where the kind is not known."""
QUESTION = "Think first: how much is 17 * 23 + 5?"


@dataclass(frozen=True)
class Upstream:
    """A server as it was found. url: with /v1. measured: its cap was tried, and worked. context: tokens that prompt and
    response may have together, by model, where the server says so."""

    url: str
    kind: str
    models: tuple[str, ...]
    facts: Kind
    measured: bool = False
    context: Mapping[str, int] = field(default_factory=dict)


async def detect(url: str, key: str | None, kind: str | None = None) -> Upstream:
    """Finds out what stands at `url`. Raises ConfigError and EngineError in one line."""
    if kind is not None and kind not in KINDS:
        raise unknown("kind of upstream", kind, KINDS)
    url = url.rstrip("/")
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    async with aiohttp.ClientSession(headers=headers, timeout=aiohttp.ClientTimeout(120, sock_connect=10)) as session:
        try:
            listed = await _json(session, url + "/models")
        except (aiohttp.ClientError, TimeoutError) as error:
            raise EngineError(
                f"cannot reach {url}: {type(error).__name__}; is the server up, and the URL with /v1?"
            ) from None
        data = listed.get("data") if listed else None
        known = {str(model.get("id")): model.get("max_model_len") for model in data or () if isinstance(model, dict)}
        models = tuple(known)
        context = {name: tokens for name, tokens in known.items() if isinstance(tokens, int)}
        if not models:
            raise ConfigError(f"{url}/models lists no model; give the URL with /v1, and --upstream-key if it needs one")
        if kind is None and any(model.get("owned_by") == "lcpo" for model in data or ()):
            kind = "lcpo"
        if kind is None:
            kind = await _sign(session, url)
        if kind is not None:
            return Upstream(url, kind, models, KINDS[kind], context=context)
        cap = await _measure(session, url, models[0])
    return Upstream(url, "other", models, Kind(cap), measured=cap is not None, context=context)


async def _json(session: aiohttp.ClientSession, url: str, body: Any = None) -> dict[str, Any] | None:
    async with session.request("POST" if body else "GET", url, json=body) as response:
        try:
            value = await response.json(content_type=None) if response.status == 200 else None
        except ValueError:
            value = None
        return value if isinstance(value, dict) else None


async def _tried(session: aiohttp.ClientSession, url: str, body: Any = None) -> dict[str, Any]:
    """What stands there; nothing where nobody answers."""
    try:
        return await _json(session, url, body) or {}
    except (aiohttp.ClientError, TimeoutError):
        return {}


async def _sign(session: aiohttp.ClientSession, url: str) -> str | None:
    root = url.removesuffix("/v1")
    for path, key, kind in SIGNS:
        if key in await _tried(session, root + path):
            return kind
    return None


async def _measure(session: aiohttp.ClientSession, url: str, model: str) -> str | None:
    """The first cap with which the model thinks one token, where it thinks more without."""
    body = {"model": model, "messages": [{"role": "user", "content": QUESTION}], "max_tokens": 64, "temperature": 0}

    async def thought(extra: dict[str, int]) -> int | None:
        usage = (await _tried(session, url + "/chat/completions", body | extra)).get("usage")
        return counts(usage)[2] if isinstance(usage, dict) else None

    free = await thought({})
    if free is None or free <= 4:
        return None
    for cap in TRIED:
        used = await thought({cap: 1})
        if used is not None and used <= 2:
            return cap
    return None
