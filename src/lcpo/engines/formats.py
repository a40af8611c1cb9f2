"""What a tokenizer says of its model: how a thought is written, what ends a response, how a prompt is rendered."""

from collections.abc import Callable, Sequence
from typing import Any

from jinja2 import TemplateError

from lcpo.engines.base import ON_LINES, Conversation, Format, Segment
from lcpo.errors import EngineError
from lcpo.thinking import CLOSE, OPEN


def format_of(tokenizer: Any) -> Format:
    """How the model of this tokenizer writes its thought, read from the chat template."""
    template = tokenizer.chat_template or ""
    template = template if isinstance(template, str) else str(template)
    message = [{"role": "user", "content": "x"}]
    text = tokenizer.apply_chat_template(message, tokenize=False, add_generation_prompt=True) if template else ""
    opened = text.rstrip().endswith(OPEN)
    lines = any(mark in template for mark in (OPEN + "\\n", CLOSE + "\\n", OPEN + "\n", CLOSE + "\n"))
    style = ON_LINES if lines else Format()
    return Format(style.open, style.close, opened)


def prompt_ids(tokenizer: Any, prompt: Conversation | Segment) -> list[int]:
    """What the model reads before the response: a conversation in the chat template, or a raw prompt as it is.

    A conversation without a chat template is its contents, a blank line between them.
    """
    if isinstance(prompt, Segment):
        return list(prompt.ids) if prompt.ids is not None else ids_of(tokenizer, prompt.text)
    if not tokenizer.chat_template:
        ids: list[int] = tokenizer("\n\n".join(message.content for message in prompt))["input_ids"]
        return ids
    messages = [{"role": message.role, "content": message.content} for message in prompt]
    try:
        return ids_of(tokenizer, tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True))
    except TemplateError as error:
        raise EngineError(f"the model's chat template refuses the messages: {error}") from None


def ids_of(tokenizer: Any, text: str) -> list[int]:
    """The ids of a text, no special tokens added."""
    ids: list[int] = tokenizer.encode(text, add_special_tokens=False)
    return ids


class TextStream:
    """The text of tokens as they come: characters are whole, and what may be the beginning of a stop is held back.

    sent: all that was given out so far.
    """

    def __init__(self, decode: Callable[[Sequence[int]], str], stops: Sequence[str] = ()) -> None:
        self.decode, self.stops = decode, stops
        self.ids: list[int] = []
        self.start = self.read = 0
        self.held = self.sent = ""

    def feed(self, new: Sequence[int]) -> str:
        """The text that these tokens make certain."""
        self.ids += new
        before, now = self.decode(self.ids[self.start : self.read]), self.decode(self.ids[self.start :])
        if now.endswith("\ufffd") or len(now) <= len(before):
            return ""
        self.start, self.read = self.read, len(self.ids)
        text = self.held + now[len(before) :]
        back = max((n for stop in self.stops for n in range(1, len(stop)) if text.endswith(stop[:n])), default=0)
        text, self.held = text[: len(text) - back], text[len(text) - back :]
        self.sent += text
        return text
