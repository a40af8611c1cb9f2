"""Any server that speaks OpenAI's API: vLLM, SGLang, llama.cpp, Ollama, OpenAI itself, or `lcpo serve`.

Text only: lengths are what the server reports (`usage`), and seeds are passed on for what they are worth there. Methods
that make the model go on with a given beginning need one of two things from the server:
- with a tokenizer (a folder or hub id) the chat template is rendered here and /completions continues the text;
- without, the chat is sent with the beginning as the assistant's message and `continue_final_message` (vLLM, SGLang;
  llama.cpp continues such a message by itself). A reasoning parser of the server must be off for that.
"""

import asyncio
import time
import weakref
from collections.abc import AsyncGenerator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx

from lcpo.engines.base import ON_LINES, Delta, Engine, Finish, Format, Generation, Request, Segment, sub_seed
from lcpo.errors import ConfigError, EngineError, MissingExtra
from lcpo.thinking import CLOSE, OPEN, Marks

TRY_AGAIN = {408, 409, 425, 429, 500, 502, 503, 504}
"""HTTP answers that may be different next time."""
SEED = "x-lcpo-seed"
"""The header that holds a whole seed; the field `seed` of the body holds what other servers take, 31 bits."""
SHORT = 400
"""Characters of a server's message that an error repeats."""


class OpenAIEngine(Engine):
    """A client of one model on one server.

    parallel: requests open at once. deadline: seconds until a request is given up, retries included. Failed connections
    and busy servers are tried again with growing pauses, or after what Retry-After says.
    """

    def __init__(
        self,
        url: str,
        model: str,
        *,
        api_key: str | None = None,
        tokenizer: Any = None,
        parallel: int = 16,
        deadline: float = 600.0,
        pause: float = 0.5,
    ) -> None:
        self.name, self.url, self.tokenizer = model, url.rstrip("/"), tokenizer
        self.parallel, self.deadline, self.pause = parallel, deadline, pause
        headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        self.client = httpx.Client(headers=headers, timeout=httpx.Timeout(deadline, connect=10.0))
        weakref.finalize(self, self.client.close)
        self.marks: Marks | None = None
        self.format = _format(tokenizer)
        self._limit_name = "max_tokens"

    @classmethod
    def connect(cls, path: str, *, api_key: str | None = None, tokenizer: str | None = None) -> "OpenAIEngine":
        """From `URL#model`; without a model the server's only one is taken. api_key: the key, or @FILE that holds it.

        Raises ConfigError and EngineError in one line.
        """
        url, _, model = path.partition("#")
        if api_key and api_key.startswith("@"):
            try:
                api_key = Path(api_key[1:]).read_text(encoding="utf-8").strip()
            except OSError as error:
                raise ConfigError(f"cannot read the API key from {api_key[1:]}: {error.strerror}") from None
        engine = cls(url, model, api_key=api_key, tokenizer=_tokenizer(tokenizer) if tokenizer else None)
        if not model:
            names = engine.models()
            if len(names) != 1:
                raise ConfigError(f"{url} serves {', '.join(names) or 'nothing'}; name one as {url}#MODEL")
            engine.name = names[0]
        return engine

    def models(self) -> list[str]:
        """What the server serves. Raises EngineError."""
        found = self._call("GET", "/models", None).get("data", [])
        return [str(one.get("id")) for one in found]

    def encode(self, text: str) -> Segment:
        """`text`, with ids where a tokenizer was given (they are counted, never sent)."""
        if self.tokenizer is None:
            return Segment(None, text)
        return Segment(tuple(self.tokenizer.encode(text, add_special_tokens=False)), text)

    def decode(self, ids: Sequence[int]) -> str:
        """Not known here. Raises EngineError."""
        raise EngineError(f"{self.name} gives text, not token ids")

    async def stream(self, request: Request) -> AsyncGenerator[Delta, None]:
        """The whole continuation at once."""
        (generation,) = await asyncio.to_thread(self.generate, [request])
        yield Delta(None, generation.kept.text, generation)

    def generate(self, requests: Sequence[Request]) -> list[Generation]:
        """The continuations, in the order of the requests. Raises EngineError once one of them fails for good."""
        if not requests:
            return []
        with ThreadPoolExecutor(min(self.parallel, len(requests))) as threads:
            return list(threads.map(self._one, requests))

    def _one(self, request: Request) -> Generation:
        if isinstance(request.prompt, Segment) or (self.tokenizer is not None and request.prefix.text):
            return self._completion(request)
        return self._chat(request)

    def _common(self, request: Request) -> dict[str, Any]:
        body: dict[str, Any] = {
            "model": self.name,
            self._limit_name: request.max_tokens,
            "temperature": request.temperature,
            "top_p": request.top_p,
            "seed": sub_seed(request.seed, request.prefix.text) % 2**31,
        }
        if request.stop:
            body["stop"] = list(request.stop)
        if request.min_tokens:
            body["min_tokens"] = request.min_tokens
        return body

    def _chat(self, request: Request) -> Generation:
        assert not isinstance(request.prompt, Segment)
        messages = [{"role": message.role, "content": message.content} for message in request.prompt]
        body = self._common(request)
        if request.prefix.text:
            messages.append({"role": "assistant", "content": _whole(request.prefix.text)})
            body |= {"add_generation_prompt": False, "continue_final_message": True}
        answer = self._post("/chat/completions", {**body, "messages": messages}, request.seed)
        choice = _choice(answer)
        message = choice.get("message") or {}
        text = message.get("content") or ""
        thought = message.get("reasoning_content") or message.get("reasoning")
        if isinstance(thought, str) and thought:
            text = (
                f"{OPEN}{thought}{CLOSE}{text}" if text or choice.get("finish_reason") != "length" else OPEN + thought
            )
        return _generation(text, choice, answer, request)

    def _completion(self, request: Request) -> Generation:
        prompt = request.prompt
        if isinstance(prompt, Segment):
            before = prompt.text
        else:
            messages = [{"role": message.role, "content": message.content} for message in prompt]
            before = self.tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
        body = {**self._common(request), "prompt": before + _whole(request.prefix.text)}
        answer = self._post("/completions", body, request.seed)
        choice = _choice(answer)
        return _generation(choice.get("text") or "", choice, answer, request)

    def _post(self, path: str, body: dict[str, Any], seed: int) -> dict[str, Any]:
        """The answer to a request. The whole seed goes along in a header, which `lcpo serve` reads and others skip."""
        whole = {SEED: str(seed)}
        try:
            return self._call("POST", path, body, whole)
        except EngineError as error:
            # Newer OpenAI models know the limit by its other name only.
            if "max_completion_tokens" not in str(error) or "max_tokens" not in body:
                raise
            self._limit_name = "max_completion_tokens"
            renamed = {("max_completion_tokens" if key == "max_tokens" else key): value for key, value in body.items()}
            return self._call("POST", path, renamed, whole)

    def _call(
        self, verb: str, path: str, body: dict[str, Any] | None, headers: dict[str, str] | None = None
    ) -> dict[str, Any]:
        """A request until it works, fails for good, or its time is up."""
        end, pause = time.monotonic() + self.deadline, self.pause
        while True:
            try:
                answer = self.client.request(verb, self.url + path, json=body, headers=headers)
            except httpx.TransportError as error:
                problem = f"{type(error).__name__}: {error}"
            else:
                if answer.status_code == 200:
                    return _json(answer, self.url)
                problem = f"HTTP {answer.status_code}: {_message(answer)}"
                if answer.status_code not in TRY_AGAIN:
                    raise EngineError(f"{self.url}{path} refused the request: {problem}")
                pause = max(pause, _retry_after(answer.headers))
            if time.monotonic() + pause > end:
                raise EngineError(f"{self.url}{path} did not answer within {self.deadline:.0f} s: {problem}")
            time.sleep(pause)
            pause = min(2 * pause, 30.0)


def _tokenizer(name: str) -> Any:
    try:
        from transformers import AutoTokenizer
    except ImportError:
        raise MissingExtra("transformers", "train") from None
    try:
        return AutoTokenizer.from_pretrained(name)
    except (OSError, ValueError) as error:
        raise EngineError(f"cannot load a tokenizer from {name}: {str(error).splitlines()[0]}") from None


def _format(tokenizer: Any) -> Format:
    if tokenizer is None:
        return ON_LINES
    from lcpo.engines.formats import format_of

    return format_of(tokenizer)


def _whole(text: str) -> str:
    """Text without a character that was cut at its end: it cannot be sent."""
    return text.rstrip("\ufffd")


def _choice(answer: Mapping[str, Any]) -> dict[str, Any]:
    choices = answer.get("choices") or []
    if not choices or not isinstance(choices[0], dict):
        raise EngineError(f"the server's answer holds no choices: {str(answer)[:SHORT]}")
    return dict(choices[0])


def _generation(text: str, choice: Mapping[str, Any], answer: Mapping[str, Any], request: Request) -> Generation:
    """A server's answer as a generation; a stop sequence, which servers leave out, is put back.

    vLLM says which stop it was (`stop_reason`, null for EOS). Where nobody says, a stop that was asked for is taken to
    be the reason.
    """
    usage = answer.get("usage") or {}
    details = usage.get("completion_tokens_details") or {}
    finish: Finish = "length" if choice.get("finish_reason") == "length" else "end"
    stop = ""
    if finish == "end" and request.stop:
        reason = choice.get("stop_reason", request.stop[0])
        stop = reason if isinstance(reason, str) and reason in request.stop else ""
        finish = "stop" if stop else "end"
    text = text.removesuffix(stop) if stop else text
    return Generation(
        written=Segment(None, text + stop),
        kept=Segment(None, text),
        finish=finish,
        tokens=_number(usage, "completion_tokens"),
        prompt_tokens=_number(usage, "prompt_tokens"),
        reasoning_tokens=_number(details, "reasoning_tokens"),
    )


def _number(table: Mapping[str, Any], name: str) -> int | None:
    value = table.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _json(answer: httpx.Response, url: str) -> dict[str, Any]:
    try:
        found = answer.json()
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise EngineError(f"{url} does not speak OpenAI's API: {answer.text[:SHORT]!r}")
    return found


def _message(answer: httpx.Response) -> str:
    try:
        error = answer.json().get("error", answer.text)
    except (ValueError, AttributeError):
        error = answer.text
    return str(error.get("message", error) if isinstance(error, dict) else error)[:SHORT]


def _retry_after(headers: Mapping[str, str]) -> float:
    try:
        return min(max(float(headers.get("retry-after", "0")), 0.0), 60.0)
    except ValueError:
        return 0.0
