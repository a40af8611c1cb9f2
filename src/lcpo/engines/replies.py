"""What OpenAI-compatible servers answer: text and thought, how it ended, what it used, and what went wrong."""

import email.utils
import json
import re
import time
from collections.abc import Iterator, Mapping
from typing import Any, Literal

from lcpo.engines.base import Finish, Generation, Request, Segment
from lcpo.thinking import CLOSE, OPEN

Sort = Literal["again", "request", "server"]
"""again: it may work next time; request: this request cannot be answered, others can; server: nor can any other."""
ENDED = {"stop", "eos", "eos_token", "end_turn", "stop_sequence", "complete", "tool_calls", "function_call", "tool_use"}
"""Finish reasons of a response that is over; a tool was called where the model took one for offered."""
CUT = {"length", "max_tokens", "max_output_tokens", "model_length", "model_context_window_exceeded"}
BLOCKED = {"content_filter", "safety", "recitation", "sensitive", "prohibited_content", "blocklist", "refusal"}
"""Finish reasons of a response that the server keeps back. All that stand in none of the three sets are failures."""
SHORT = 400
"""Characters of a server's message that an error repeats."""


class Failure(Exception):
    """An answer that is none.

    status: of HTTP, or what stands in its place within the answer. wait: seconds that the server asks for.
    paid: the server has worked on it, so that it is not tried as often.
    """

    def __init__(
        self, message: str, sort: Sort, *, status: int | None = None, wait: float = 0.0, paid: bool = False
    ) -> None:
        super().__init__(message)
        self.sort, self.status, self.wait, self.paid = sort, status, wait, paid


def refused(status: int, headers: Mapping[str, str], body: str) -> Failure:
    """The failure of an answer whose HTTP status is not 200."""
    try:
        error = json.loads(body)
    except ValueError:
        error = body
    if isinstance(error, dict):
        error = error.get("error") or error.get("detail") or error.get("message") or error
    if 300 <= status < 400:
        error = f"moved to {headers.get('location', 'another address')}"
    return Failure(f"HTTP {status}: {words(error)}", _sort(status, error), status=status, wait=_retry_after(headers))


def _within(error: Any) -> Failure:
    """The failure that an answer of HTTP status 200 tells of."""
    code = error.get("code") if isinstance(error, Mapping) else None
    status = int(str(code)) if re.fullmatch("[45][0-9][0-9]", str(code)) else None
    sort = _sort(status or 500, error)
    told = f"error {status}" if status else "an error"
    return Failure(f"{told} in an answer with HTTP 200: {words(error)}", sort, status=status, paid=status != 429)


def _sort(status: int, error: Any) -> Sort:
    codes = (error.get("code"), error.get("type")) if isinstance(error, Mapping) else ()
    if "insufficient_quota" in codes:
        return "server"
    if status in (408, 409, 425, 429) or (status >= 500 and status not in (501, 505)):
        return "again"
    return "request" if status in (400, 413, 422) else "server"


def words(error: Any) -> str:
    """The message of an error in whatever shape, on one line."""
    if isinstance(error, list):  # as FastAPI says what is wrong with a body
        error = "; ".join(
            f"{'.'.join(map(str, part.get('loc', [])))}: {part.get('msg')}" if isinstance(part, Mapping) else str(part)
            for part in error
        )
    if isinstance(error, Mapping):
        raw = (error.get("metadata") or {}).get("raw") if isinstance(error.get("metadata"), Mapping) else None
        error = f"{error.get('message', error)}{f': {raw}' if raw else ''}"
    return " ".join(str(error).split())[:SHORT]


def _retry_after(headers: Mapping[str, str]) -> float:
    """Seconds until Retry-After, which is a number of them or a date."""
    value = headers.get("retry-after", "")
    try:
        return max(float(value), 0.0)
    except ValueError:
        pass
    try:
        return max(email.utils.parsedate_to_datetime(value).timestamp() - time.time(), 0.0)
    except ValueError:
        return 0.0


def document(text: str) -> dict[str, Any]:
    """An answer, or a piece of a stream, as JSON. Raises Failure."""
    try:
        value = json.loads(text)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise Failure(f"does not speak OpenAI's API: {text[:SHORT]!r}", "server", status=200)
    return value


class Reply:
    """An answer, whole or in the pieces of a stream: `add` each, then take `generation`.

    A thought that comes apart from the content is put before it, in tags. text: what there is so far. reasoned: some of
    it came as thought.
    """

    def __init__(self, request: Request) -> None:
        self.request = request
        self.text, self.reasoned = "", False
        self._open = self._streamed = self._begun = False
        self._reason: str | None = None
        self._stop: Any = request.stop[0] if request.stop else None
        self._usage: Mapping[str, Any] = {}

    def add(self, piece: Mapping[str, Any]) -> None:
        """Raises Failure where the piece tells of one."""
        if piece.get("error"):
            raise _within(piece["error"])
        choices = piece.get("choices")
        if isinstance(piece.get("usage"), Mapping):
            self._usage = piece["usage"]
        for choice in choices[:1] if isinstance(choices, list) else ():
            if not isinstance(choice, Mapping):
                raise Failure(f"a choice that is no object: {str(choice)[:SHORT]}", "server")
            if choice.get("error"):
                raise _within(choice["error"])
            self._begun, self._streamed = True, self._streamed or "delta" in choice
            self._reason = choice.get("finish_reason") or self._reason
            said = [choice[name] for name in ("stop_reason", "matched_stop") if name in choice]
            if said and choice.get("finish_reason"):
                self._stop = next((stop for stop in said if stop is not None), None)
            part = choice.get("delta") or choice.get("message") or choice
            for thought, text in texts(part) if isinstance(part, Mapping) else ():
                self._write(thought, text)

    def _write(self, thought: bool, text: str) -> None:
        if text and thought != self._open:
            self.text += OPEN if thought else CLOSE
            self._open = thought
        self.reasoned = self.reasoned or (thought and bool(text))
        self.text += text

    @property
    def certain(self) -> str:
        """The text so far without what may be the beginning of a stop."""
        ends = (n for stop in self.request.stop for n in range(1, len(stop) + 1) if self.text.endswith(stop[:n]))
        return self.text[: len(self.text) - max(ends, default=0)]

    def generation(self) -> Generation:
        """The answer; a stop sequence, which servers leave out, is put back. Raises Failure where there is none.

        vLLM says which stop it was (`stop_reason`, null for EOS), SGLang too (`matched_stop`, an id for EOS). Where
        nobody says, a stop that was asked for is taken to be the reason.
        """
        if not self._begun:
            raise Failure("the answer holds no choices", "request")
        if self._streamed and self._reason is None:
            raise Failure("the answer broke off", "again", paid=True)
        reason = (self._reason or "stop").lower()
        if reason in BLOCKED:
            raise Failure(f"the server keeps the answer back (finish reason {reason!r})", "request")
        if reason not in ENDED | CUT:
            raise Failure(f"the answer failed (finish reason {reason!r})", "again", paid=True)
        finish: Finish = "length" if reason in CUT else "end"
        if finish == "end" and self._open:
            self.text += CLOSE
        stop = self._stop if finish == "end" and self._stop in self.request.stop else ""
        text = self.text.removesuffix(stop)
        prompt, tokens, reasoning = counts(self._usage)
        return Generation(
            written=Segment(None, text + stop),
            kept=Segment(None, text),
            finish="stop" if stop else finish,
            tokens=tokens,
            prompt_tokens=prompt,
            reasoning_tokens=reasoning,
        )


def texts(part: Mapping[str, Any]) -> Iterator[tuple[bool, str]]:
    """(whether it is thought, text) of a message or delta, in order."""
    thought = part.get("reasoning_content") or part.get("reasoning")
    yield True, thought if isinstance(thought, str) else ""
    content = part.get("content") or part.get("text") or ""
    for piece in content if isinstance(content, list) else [{"type": "text", "text": content}]:
        if isinstance(piece, Mapping):
            sort = piece.get("type")
            inner = piece.get("thinking") or piece.get("reasoning") or piece.get("text") or ""
            text = inner if isinstance(inner, str) else "".join(str(part.get("text", "")) for part in inner)
            yield sort in ("thinking", "reasoning"), text


def counts(usage: Mapping[str, Any]) -> tuple[int | None, int | None, int | None]:
    """(tokens of the prompt, all that were generated, those of them that are thought), None where not said.

    xAI counts reasoning outside completion_tokens, and in total_tokens; SGLang has reasoning_tokens beside them.
    """
    details = usage.get("completion_tokens_details")
    details = details if isinstance(details, Mapping) else {}
    prompt, tokens, total = (_number(usage, f"{name}_tokens") for name in ("prompt", "completion", "total"))
    reasoning = _number(details, "reasoning_tokens")
    reasoning = _number(usage, "reasoning_tokens") if reasoning is None else reasoning
    if tokens is not None and reasoning and (reasoning > tokens or total == (prompt or 0) + tokens + reasoning):
        tokens += reasoning
    return prompt, tokens, reasoning


def _number(table: Mapping[str, Any], name: str) -> int | None:
    value = table.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or value < 0 or not float(value).is_integer():
        return None
    return int(value)
