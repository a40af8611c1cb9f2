"""Any server that speaks OpenAI's API: vLLM, SGLang, llama.cpp, Ollama, OpenAI itself, or `lcpo serve`.

Text only: lengths are what the server reports (`usage`), and seeds are passed on for what they are worth there. Methods
that make the model go on with a given beginning need one of two things from the server:
- with a tokenizer (a folder or hub id) the chat template is rendered here and /completions continues the text;
- without, the chat is sent with the beginning as the assistant's message and `continue_final_message` (vLLM, SGLang;
  llama.cpp continues such a message by itself). A reasoning parser of the server must be off for that.
"""

import asyncio
import os
import re
import sys
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

import httpx

from lcpo.engines.base import ON_LINES, Delta, Engine, Format, Generation, Request, Segment, run_async, sub_seed
from lcpo.engines.replies import SHORT, Failure, Reply, document, refused
from lcpo.errors import ConfigError, EngineError, MissingExtra, RequestError, unknown
from lcpo.measure.portable import portable
from lcpo.thinking import CLOSE, OPEN, Marks

KEYS = ("LCPO_API_KEY", "OPENAI_API_KEY")
"""Environment variables that may hold a server's key; the first one that is set counts."""
OPTIONAL = ("top_p", "top_k", "min_p", "seed", "min_tokens", "stream_options", "temperature")
"""Parameters that can be left out, those that matter least first."""
REFUSED = re.compile(
    r"not support|unsupport|unrecogni|unknown|unexpected|not permitted|not allowed|extra input|only the default"
    r"|deprecated|cannot both|invalid param|instead",
    re.IGNORECASE,
)
"""What a server says of a parameter that it does not take, beside its name."""
SEED = "x-lcpo-seed"
"""The header that holds a whole seed; the field `seed` of the body holds what other servers take, 31 bits."""
PAID_TRIES = 4
"""How often an answer is asked for where the server works on it and then fails."""
QUIET = 5.0
"""Seconds in which the same trouble is told once."""


@dataclass(frozen=True)
class Connection:
    """How a server is spoken to, beside its address.

    api_key: sent as a bearer token; None: what the environment holds (KEYS). tokenizer: a folder or hub id (or the
    tokenizer itself). opened: whether the chat template opens `<think>` in the prompt; None: what the tokenizer says,
    else unknown. without: parameters that are left out (OPTIONAL). parallel: requests open at once. deadline: seconds
    for which the failures of one request are tried again. timeout: seconds until an answer begins, or a stream goes on.
    pause: seconds before the second try.
    """

    api_key: str | None = field(default=None, repr=False)
    tokenizer: Any = None
    opened: bool | None = None
    without: tuple[str, ...] = ()
    parallel: int = 16
    deadline: float = 300.0
    timeout: float = 1800.0
    pause: float = 0.5


class OpenAIEngine(Engine):
    """A client of one model on one server; it has one pool of connections, in the event loop that uses it.

    left_out: parameters that are not sent, because the user or the server says so.
    """

    def __init__(self, url: str, model: str, connection: Connection = Connection()) -> None:
        for name in connection.without:
            if name not in OPTIONAL:
                raise unknown("parameter to leave out", name, OPTIONAL)
        self.name, self.connection = model, connection
        self.parallel: int = connection.parallel
        try:
            self.url = httpx.URL(url)
        except httpx.InvalidURL as error:
            raise ConfigError(
                f"{portable(url)} is no URL: {error}; give one like http://127.0.0.1:8000/v1#MODEL"
            ) from None
        self.where = str(self.url.copy_with(userinfo=b"", query=None)).rstrip("/")
        self.key = connection.api_key or next(filter(None, map(os.environ.get, KEYS)), None)
        if self.key and not (self.key.isascii() and self.key.isprintable()):
            raise ConfigError("the API key holds characters that no key has; give the key alone")
        self.tokenizer = _tokenizer(connection.tokenizer)
        self.marks: Marks | None = None
        self.format = _format(self.tokenizer, connection.opened)
        self.left_out: set[str] = set(connection.without)
        self._limit_name = "max_tokens"
        self._session: tuple[asyncio.AbstractEventLoop, httpx.AsyncClient, asyncio.Semaphore] | None = None
        self._answered: float | None = None
        self._goes_on = False
        self._told: dict[str, float] = {}

    @classmethod
    def connect(cls, path: str, connection: Connection = Connection()) -> "OpenAIEngine":
        """From `URL#model`; without a model the server's only one is taken. Raises ConfigError, EngineError."""
        url, _, model = path.partition("#")
        engine = cls(url, model, connection)
        if not model:
            names = engine.models()
            if len(names) != 1:
                raise ConfigError(f"{engine.where} serves {', '.join(names) or 'nothing'}; name one as URL#MODEL")
            engine.name = names[0]
        return engine

    def models(self) -> list[str]:
        """What the server serves. Raises EngineError."""

        async def listed() -> list[str]:
            patience = _Patience(self)
            while True:
                try:
                    async with aclosing(self._pieces("GET", "/models")) as pieces:
                        return [str(model.get("id")) async for piece in pieces for model in piece.get("data") or []]
                except Failure as failure:
                    await patience.wait(failure)
                finally:
                    await self.aclose()

        return run_async(listed())

    def encode(self, text: str) -> Segment:
        """`text`, with ids where a tokenizer was given (they are counted, never sent)."""
        if self.tokenizer is None:
            return Segment(None, text)
        return Segment(tuple(self.tokenizer.encode(text, add_special_tokens=False)), text)

    def decode(self, ids: Sequence[int]) -> str:
        """Not known here. Raises EngineError."""
        raise EngineError(f"{self.name} gives text, not token ids")

    def stream(self, request: Request) -> AsyncGenerator[Delta, None]:
        """The continuation as it comes. Raises EngineError, of which RequestError is about this request alone."""
        return self._deltas(request, True)

    async def complete(self, request: Request) -> Generation:
        """The continuation in one answer, as `stream`."""
        async for delta in self._deltas(request, False):
            if delta.generation is not None:
                return delta.generation
        raise AssertionError("an answer ends with a generation")

    async def aclose(self) -> None:
        """Closes the connections of this event loop."""
        if self._session is not None and self._session[0] is asyncio.get_running_loop():
            await self._session[1].aclose()
            self._session = None

    # ---- one request ------------------------------------------------------------------------------------------------

    async def _deltas(self, request: Request, streamed: bool) -> AsyncGenerator[Delta, None]:
        async with self._open()[1]:
            patience = _Patience(self)
            while True:
                path, body = self._call(request, streamed)
                seed = {SEED: str(request.seed)}
                reply, sent = Reply(request), 0
                try:
                    async with aclosing(self._pieces("POST", path, body, seed)) as pieces:
                        async for piece in pieces:
                            reply.add(piece)
                            if streamed and (new := reply.certain[sent:]):
                                sent += len(new)
                                yield Delta(None, new)
                    generation = reply.generation()
                except Failure as failure:
                    if sent:
                        raise RequestError(self._line(f"the answer broke off: {failure}")) from None
                    if not self._leaves_out(failure, body):
                        await patience.wait(failure)
                    continue
                self._answered = time.monotonic()
                self._check_it_goes_on(request, path, reply)
                yield Delta(None, generation.kept.text[sent:], generation)
                return

    def _call(self, request: Request, streamed: bool) -> tuple[str, dict[str, Any]]:
        """(path, body) of a request."""
        body: dict[str, Any] = {
            "model": self.name,
            self._limit_name: request.max_tokens,
            "temperature": request.temperature,
            "top_p": request.top_p,
            "seed": sub_seed(request.seed, request.prefix.text) % 2**31,
        }
        further = {"top_k": request.top_k, "min_p": request.min_p, "min_tokens": request.min_tokens}
        body |= {name: value for name, value in {**further, "stop": list(request.stop)}.items() if value}
        if streamed:
            body |= {"stream": True, "stream_options": {"include_usage": True}}
        body = {name: value for name, value in body.items() if name not in self.left_out}
        before = request.prefix.text.rstrip("\ufffd")  # a character that was cut at its end cannot be sent
        if isinstance(request.prompt, Segment):
            return "/completions", {**body, "prompt": request.prompt.text + before}
        messages = [{"role": message.role, "content": message.content} for message in request.prompt]
        if before and self.tokenizer is not None:
            return "/completions", {**body, "prompt": _rendered(self.tokenizer, messages) + before}
        if before:
            messages.append({"role": "assistant", "content": before})
            body |= {"add_generation_prompt": False, "continue_final_message": True}
        return "/chat/completions", {**body, "messages": messages}

    def _open(self) -> tuple[httpx.AsyncClient, asyncio.Semaphore]:
        """The client and the turns of the running event loop."""
        loop = asyncio.get_running_loop()
        if self._session is None or self._session[0] is not loop:
            client = httpx.AsyncClient(
                headers={"Authorization": f"Bearer {self.key}"} if self.key else {},
                timeout=httpx.Timeout(self.connection.timeout, connect=10.0),
                limits=httpx.Limits(max_connections=self.parallel, max_keepalive_connections=self.parallel),
                verify=_tls(),
            )
            self._session = (loop, client, asyncio.Semaphore(self.parallel))
        return self._session[1:]

    async def _pieces(
        self, verb: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None
    ) -> AsyncGenerator[dict[str, Any], None]:
        """An answer: whole, or piece by piece where the server streams it. Raises Failure."""
        url = self.url.copy_with(path=self.url.path.rstrip("/") + path)
        try:
            async with self._open()[0].stream(verb, url, json=body, headers=headers) as answer:
                if answer.status_code != 200:
                    await answer.aread()
                    raise refused(answer.status_code, answer.headers, answer.text)
                if "event-stream" not in answer.headers.get("content-type", ""):
                    await answer.aread()
                    yield document(answer.text)
                    return
                async for line in answer.aiter_lines():
                    data = line.removeprefix("data:").strip()
                    if line.startswith("data:") and data != "[DONE]":
                        yield document(data)
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            down = f"nothing answers there ({error}); is the server running?"
            raise Failure(down, "server" if self._answered is None else "again") from None
        except httpx.ReadTimeout:
            raise Failure(f"no answer within {self.connection.timeout:.0f} s", "request") from None
        except httpx.RequestError as error:
            raise Failure(f"{type(error).__name__}: {error}", "again") from None

    # ---- what goes wrong --------------------------------------------------------------------------------------------

    def _line(self, text: str) -> str:
        """A message about this server on one line that steers no terminal, the key taken out."""
        text = "".join(sign if sign.isprintable() else " " for sign in f"{self.where}: {text}")
        return text.replace(self.key, "***") if self.key else text

    def tell(self, text: str) -> None:
        """Says something on stderr, the same thing not again and again."""
        now = time.monotonic()
        if now - self._told.get(text, -QUIET) >= QUIET:
            self._told[text] = now
            print(f"lcpo: {self._line(text)}", file=sys.stderr, flush=True)

    def _leaves_out(self, failure: Failure, body: Mapping[str, Any]) -> bool:
        """Whether a refusal is about a parameter that can be left out or renamed; from then on it is."""
        said = str(failure)
        if failure.sort != "request" or not REFUSED.search(said):
            return False
        if "max_completion_tokens" in said and "max_tokens" in body:
            self._limit_name = "max_completion_tokens"
            return True
        name = next((name for name in OPTIONAL if name in body and re.search(rf"\b{name}\b", said)), None)
        if name is None:
            return False
        if name not in self.left_out:
            self.left_out.add(name)
            self.tell(f"does not take {name}, which is left out from here on ({said})")
        return True

    def _check_it_goes_on(self, request: Request, path: str, reply: Reply) -> None:
        """Raises EngineError where the first beginning that is given is not gone on with."""
        beginning = request.prefix.text
        if self._goes_on or not beginning or path == "/completions":
            return
        anew = reply.text.lstrip().startswith(OPEN) or (CLOSE in beginning and CLOSE in reply.text)
        if anew or reply.reasoned:
            raise EngineError(
                self._line(
                    "the model thinks anew instead of going on with the beginning that it was given: the server"
                    " ignores continue_final_message, or a reasoning parser is on; leave out methods that need it,"
                    " or give --tokenizer"
                )
            )
        self._goes_on = True


class _Patience:
    """How long one request is tried again: with growing pauses, or after what the server says."""

    def __init__(self, engine: OpenAIEngine) -> None:
        self.engine, self.pause, self.tries = engine, engine.connection.pause, 0
        self.since: float | None = None

    async def wait(self, failure: Failure) -> None:
        """Waits until the next try. Raises EngineError where there is none."""
        engine, now = self.engine, time.monotonic()
        self.since, self.tries = self.since or now, self.tries + 1
        wait = max(self.pause, failure.wait)
        late = now + wait - self.since > engine.connection.deadline or (failure.paid and self.tries >= PAID_TRIES)
        if failure.sort == "again" and not late:
            engine.tell(f"{failure}; trying again in {wait:.1f} s")
            await asyncio.sleep(wait)
            self.pause = min(2 * self.pause, 30.0)
            return
        told = f" (tried {self.tries} times)" if self.tries > 1 else ""
        told += f"; it asks to wait {failure.wait:.0f} s" if failure.wait > engine.connection.deadline else ""
        line = engine._line(f"{failure}{told}{self._hint(failure)}")
        alone = engine._answered is not None and (failure.paid or engine._answered > self.since)
        raise (RequestError if failure.sort == "request" or (failure.sort == "again" and alone) else EngineError)(line)

    def _hint(self, failure: Failure) -> str:
        """What to do, where that is known."""
        if failure.sort == "server" and failure.status in (401, 403) and not self.engine.key:
            return f"; give the key with --api-key @FILE or in {KEYS[1]}"
        unversioned = not re.search(r"/v\d", self.engine.where)
        if failure.sort == "server" and failure.status in (200, 404, 405) and unversioned:
            return f"; OpenAI's routes mostly stand below /v1: try {self.engine.where}/v1"
        return ""


@cache
def _tls() -> Any:
    """The certificates that are trusted; reading them takes a tenth of a second."""
    return httpx.create_ssl_context()


def _tokenizer(given: Any) -> Any:
    if not isinstance(given, str):
        return given
    try:
        from transformers import AutoTokenizer
    except ImportError:
        raise MissingExtra("transformers", "train") from None
    try:
        return AutoTokenizer.from_pretrained(given)
    except (OSError, ValueError) as error:
        raise EngineError(f"cannot load a tokenizer from {given}: {str(error)[:SHORT].splitlines()[0]}") from None


def _format(tokenizer: Any, opened: bool | None) -> Format:
    if tokenizer is None:
        return replace(ON_LINES, opened=opened)
    from lcpo.engines.formats import format_of

    own = format_of(tokenizer)
    return own if opened is None else replace(own, opened=opened)


def _rendered(tokenizer: Any, messages: Sequence[Mapping[str, str]]) -> str:
    """The prompt as text, without a BOS that the server's tokenizer puts before it."""
    text: str = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    adds = tokenizer.bos_token_id is not None and tokenizer.encode("x")[:1] == [tokenizer.bos_token_id]
    return text.removeprefix(tokenizer.bos_token) if adds else text
