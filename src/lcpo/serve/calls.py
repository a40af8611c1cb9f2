"""What a request asks for and what comes of it, whatever route it came by and whoever answers it."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from lcpo.errors import LcpoError
from lcpo.thinking import CLOSE, OPEN
from lcpo.types import Kind, Scope

Mode = Literal["sentence", "wall", "both"]
"""sentence: the budget stands in the prompt; wall: the thought is closed at it; both: first the one, then the other."""
Enforced = Literal["engine", "upstream", "two calls", "trained only", "no"]
"""What keeps a budget: the engine's wall, the upstream's, a second call, the trained sentence alone, nothing."""
ThinkingFinish = Literal["natural", "budget", "length"]
"""How a thought ended: the model ended it; the budget did; the limit of the whole response did."""


class ApiError(LcpoError):
    """What a client is told instead of an answer. param: the parameter that is wrong."""

    def __init__(
        self, message: str, param: str | None = None, *, status: int = 400, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status, self.param, self.headers = status, param, dict(headers or {})

    @property
    def kind(self) -> str:
        """OpenAI's and Anthropic's word for this sort of error."""
        known = {401: "authentication_error", 403: "permission_error", 404: "not_found_error", 429: "rate_limit_error"}
        return known.get(self.status, "invalid_request_error" if self.status < 500 else "api_error")

    def json(self) -> dict[str, Any]:
        """The body of the answer, in OpenAI's shape; `type` at the top is Anthropic's."""
        error = {"message": str(self), "type": self.kind, "param": self.param, "code": self.status}
        return {"type": "error", "error": error}


@dataclass(frozen=True)
class Asked:
    """The budget that a request asks for, in whichever spelling.

    tokens: None asks for none, 0 for no thought. by: the parameter that said it. hide: the thought stays out of the
    answer. warnings: what was understood differently from how it may have been meant. task: tokens of a budget that
    several calls share. conversation: which calls. level: the word that was translated into tokens.
    """

    tokens: int | None = None
    by: str | None = None
    scope: Scope = "thinking"
    mode: Mode | None = None
    kind: Kind | None = None
    reserve: int | None = None
    auto: bool = False
    hide: bool = False
    task: int | None = None
    conversation: str | None = None
    level: str | None = None
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Call:
    """One response that is wanted.

    messages: a conversation as the client wrote it; prompt: raw text instead of one. continues: the last message is the
    beginning of the response. seed: what the engine is given. include_usage: an OpenAI stream ends with its usage. For
    an upstream: sampling as the client wrote it, extra fields that mean nothing to us, and whether somebody counts its
    tokens, so that it needs a limit (metered).
    """

    model: str
    asked: Asked
    seed: int
    messages: tuple[Mapping[str, Any], ...] = ()
    prompt: str | None = None
    continues: bool = False
    max_tokens: int | None = None
    min_tokens: int = 0
    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    min_p: float = 0.0
    stop: tuple[str, ...] = ()
    stream: bool = False
    include_usage: bool = False
    metered: bool = False
    sampling: Mapping[str, Any] = field(default_factory=dict)
    extra: Mapping[str, Any] = field(default_factory=dict)

    @property
    def begun(self) -> str:
        """The beginning of the response: an assistant's last message, or a thought that a raw prompt leaves open."""
        if self.prompt is None:
            return text_of(self.messages[-1], strict=False) if self.continues else ""
        start = self.prompt.rfind(OPEN)
        return self.prompt[start:] if start > self.prompt.rfind(CLOSE) else ""

    @property
    def question(self) -> str:
        """The text of the user's last message."""
        at = _last_of_user(self.messages)
        return "" if at is None else text_of(self.messages[at], strict=False)

    def asking(self, sentence: str) -> list[Mapping[str, Any]]:
        """The messages, the sentence at the end of the user's last one, also where that is made of parts."""
        turns, at = list(self.messages), _last_of_user(self.messages)
        if sentence and at is not None:
            content = turns[at].get("content") or ""
            if isinstance(content, str):
                content += sentence
            elif isinstance(content, list):
                content = [*content, {"type": "text", "text": sentence}]
            turns[at] = {**turns[at], "content": content}
        return turns


def _last_of_user(messages: Sequence[Mapping[str, Any]]) -> int | None:
    return max((i for i, turn in enumerate(messages) if turn["role"] == "user"), default=None)


def text_of(turn: Mapping[str, Any], *, strict: bool = True) -> str:
    """The text of a message: a string, or parts. Raises ApiError for images and the like, which else are skipped."""
    content = turn.get("content")
    if content is None:
        return ""
    parts = [{"type": "text", "text": content}] if isinstance(content, str) else content
    texts = []
    for part in parts if isinstance(parts, list) else [parts]:
        text = part.get("text") if isinstance(part, Mapping) else None
        if isinstance(text, str):
            texts.append(text)
        elif strict:
            kind = part.get("type") if isinstance(part, Mapping) else type(part).__name__
            raise ApiError(f"a message holds text; {kind!r} is passed on to an upstream's chat alone", "messages")
    return "".join(texts).encode("utf-8", "replace").decode("utf-8")


@dataclass(frozen=True)
class Plan:
    """A budget as it is applied to one call.

    budget: tokens in `scope`, None for none. sentence: what is added to the prompt. wall: the thought is closed after
    so many tokens, None: never. limit: tokens of the whole response.
    """

    budget: int | None
    scope: Scope
    mode: Mode
    limit: int
    sentence: str = ""
    wall: int | None = None
    enforced: Enforced = "engine"
    by: str | None = None
    asked: int | None = None
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Piece:
    """Some more of a response: thought and answer. ids: the tokens, where known. extra: other fields of a delta."""

    thought: str = ""
    answer: str = ""
    ids: tuple[int, ...] = ()
    extra: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Outcome:
    """How a response ended and what it cost, in tokens; None where an upstream does not say.

    stop: the stop sequence that ended it. finish: as OpenAI says it. forced: tokens that the model did not choose.
    """

    finish: str
    thinking_finish: ThinkingFinish | None
    prompt_tokens: int | None
    tokens: int | None
    reasoning_tokens: int | None
    forced: int = 0
    stop: str | None = None
    logprobs: Any = None


Stream = AsyncGenerator[Piece | Outcome, None]
"""Pieces, then one outcome."""
