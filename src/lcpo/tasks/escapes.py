r"""LaTeX that was written into JSON with single backslashes, and mended.

JSON reads "\frac" as a form feed and "rac", "\text" as a tab and "ext", and "\sqrt" not at all. What was meant is a
backslash. Each text of a file is judged by itself: one that holds an escape that JSON does not know, or a control
character that begins a LaTeX command, was written with single backslashes, and they are doubled in it. A text that
holds none of those is left as it is.
"""

import json
import re
from collections.abc import Mapping
from typing import Any

_SURE = """
    backslash bar because begin beta between bf big bigcap bigcup bigl bigr bigg biggl biggr binom bmod boldsymbol bot
    boxed bullet fbox flat forall frac frown nabla nexists ngeq nleq notin nsubseteq rceil rfloor rho right rightarrow
    tbinom text textbf textit textrm textsf textstyle texttt tfrac therefore theta times triangle
"""
"""Commands whose first letter JSON takes for an escape, and whose rest is no word that follows a control character."""
_DOUBTFUL = "ne neg ni nmid not nparallel nu rangle rbrace rbrack rm rvert tan tanh tag tau tilde to top"
"""The same, but their rest is a word or a name: commands only in a text that was written with single backslashes."""


def _any_of(words: str) -> str:
    return f"(?:{'|'.join(words.split())})(?![A-Za-z])"


_SIGN = rf'[^"\\/bfnrtu]|u(?![0-9a-fA-F]{{4}})|{_any_of(_SURE)}|neq(?![A-Za-z.])'
"""What follows the single backslash of a command; "neq." at the beginning of a line is an equation."""
_SINGLE = re.compile(rf"(?<!\\)(?:\\\\)*\\(?:{_SIGN})")
_LITERAL = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)
_ESCAPE = re.compile(
    rf'(?P<break>(?<!\\)\\\\(?=[\s\d&-]))|\\(?:["\\/]|u[0-9a-fA-F]{{4}}|(?P<command>{_SIGN}|{_any_of(_DOUBTFUL)})|.)',
    re.DOTALL,
)
_CONTROL = re.compile(r"[\b\f\t\r\n][a-z]")


def mend_json(text: str) -> tuple[str, list[int]]:
    """JSON text with the single backslashes of LaTeX doubled, and the places of the texts that were mended."""
    places: list[int] = []

    def literal(match: re.Match[str]) -> str:
        if not _SINGLE.search(match[0]):
            return match[0]
        places.append(match.start())
        return _ESCAPE.sub(_doubled, match[0])

    return (_LITERAL.sub(literal, text), places) if _SINGLE.search(text) else (text, places)


def _doubled(escape: re.Match[str]) -> str:
    """An escape in a text that was written with single backslashes, as JSON writes it; "\\" before a space too."""
    if escape["break"]:
        return escape[0] * 2
    return "\\" + escape[0] if escape["command"] else escape[0]


def mended(value: Any) -> Any:
    """A value whose texts have control characters for the beginnings of LaTeX commands, with those commands."""
    if isinstance(value, str):
        if not _CONTROL.search(value):
            return value
        written, places = mend_json(json.dumps(value, ensure_ascii=False))
        return json.loads(written) if places else value
    if isinstance(value, list):
        return [mended(item) for item in value]
    return {key: mended(item) for key, item in value.items()} if isinstance(value, Mapping) else value
