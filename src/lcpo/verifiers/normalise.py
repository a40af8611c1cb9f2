r"""Answers in one way of writing: plain LaTeX for what is mathematics, and every word in double quotes.

`\text{18 m/s}` becomes `18 "m"/"s"`, `2 cups` becomes `2 "cups"`, `xy` stays a product of two letters. What changes no
meaning (delimiters, spacing, fonts, colours) goes; what is not known stays, for the parser to refuse.
"""

import re
import unicodedata
from collections.abc import Callable
from functools import lru_cache

from lcpo.verifiers.brackets import closing
from lcpo.verifiers.words import NOT_A_UNIT, units

_SIGNS = {
    "×": r"\times ", "⋅": r"\cdot ", "·": r"\cdot ", "÷": "/", "∕": "/", "⁄": "/", "∞": r"\infty ", "√": r"√",
    "≤": r"\le ", "⩽": r"\le ", "≥": r"\ge ", "⩾": r"\ge ", "≠": r"\ne ", "≈": r"\approx ", "≅": r"\approx ",
    "≃": r"\approx ", "∪": r"\cup ", "∩": r"\cap ", "∈": r"\in ", "∉": r"\notin ", "±": r"\pm ",
    "∅": r"\emptyset ", "ℝ": r"\mathbb{R}", "ℤ": r"\mathbb{Z}", "ℕ": r"\mathbb{N}", "ℚ": r"\mathbb{Q}",
    "ℂ": r"\mathbb{C}", "°": r"^\circ ", "º": r"^\circ ", "℃": r'^\circ "celsius"',
    "℉": r'^\circ "fahrenheit"', "′": "'", "’": "'", "‘": "'", "…": r"\ldots ", "⋯": r"\ldots ", "“": '"',
    "”": '"', "，": ",", "、": ",", "；": ";", "：": ":", "（": "(", "）": ")", "％": "%", "＝": "=", "⟨": r"\langle ",
    "⟩": r"\rangle ", "∀": r"\forall ", "∃": r"\exists ", "¬": r"\neg ", "∧": r"\land ", "∨": r"\lor ",
    "∠": r"\angle ", "→": r"\to ", "⇒": r"\Rightarrow ", "∖": r"\setminus ", "−": "-", "–": "-", "—": "-",
    "‐": "-", "‑": "-", "﹣": "-", "－": "-", "。": ".", "ℓ": '"l"',
}  # fmt: skip
_LETTERS = (
    "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi omicron pi rho _ sigma tau upsilon phi "
    "chi psi omega"
)
GREEK = _LETTERS.split()
_CURRENCY = {"$": "dollars", "€": "euros", "£": "pounds", "¥": "yen", "₹": "rupees", "¢": "cents", "₩": "won"}
_HIGH = dict(zip("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻ⁿ", "0123456789+-n", strict=True))
_LOW = dict(zip("₀₁₂₃₄₅₆₇₈₉₊₋ₙ", "0123456789+-n", strict=True))
_TABLE = str.maketrans(
    _SIGNS
    | {chr(0x3B1 + i): f"\\{name} " for i, name in enumerate(GREEK) if name != "_"}
    | {chr(0xFF10 + i): str(i) for i in range(10)}
    | dict.fromkeys(map(chr, (*range(32), 127, 0xA0, *range(0x2000, 0x2010), 0x202F, 0x205F, 0x2060, 0x3000)), " ")
    | {"\ufeff": ""}
)

_FUNCTIONS = "arcsin|arccos|arctan|sinh|cosh|tanh|sin|cos|tan|cot|sec|csc|log|ln|exp"
_KEPT = re.compile(
    r"\\(?:frac|sqrt|binom|pi|infty|cup|cap|setminus|emptyset|mathbb|times|cdot|pm|mp|le|leq|ge|geq|lt|gt|in|ne|neq)"
)


Rule = tuple[re.Pattern[str], str | Callable[[re.Match[str]], str]]


def _rules(*rules: tuple[str, str | Callable[[re.Match[str]], str]]) -> tuple[Rule, ...]:
    return tuple((re.compile(pattern), into) for pattern, into in rules)


_LAYOUT = _rules(
    (r"\\(?:checkmark|therefore|blacksquare|square|Box|qed|nonumber)(?![A-Za-z])|\\\s*$", " "),
    (r"\\(?:SI|qty)\s*\{([^{}]*)\}\s*\{([^{}]*)\}", r"\1 \\text{\2}"),
    (r"(?<![\w$])(?:US|CA?|AU?|NZ|HK|SG?)\s*(?=\\?\$\s*\d)", ""),
    (r"\\\(|\\\)|(?<!\\)\\\[|(?<!\\)\\\]|\\(?:begin|end)\{(?:equation|align|gather|math|displaymath)\*?\}", " "),
    (r"\\(?:left|right)\s*\.", ""),
    (r"\\(?:left|right|middle|[bB]igg?[lrm]?|limits|nolimits)(?![A-Za-z])", ""),
    (r"\\(?:displaystyle|textstyle|scriptstyle|(?:tiny|small|normalsize|large|Large|LARGE|huge|Huge)(?![A-Za-z]))", ""),
    (r"\\(?:label|tag|hspace|vspace|[hv]?phantom)\*?\s*\{[^{}]*\}|\\[hv]?phantom(?![A-Za-z])", " "),
    (r"\\color\s*(?:\[\w+\])?\{[^{}]*\}", ""),
    (r",\s*\\!\s*|\{\s*,\s*\}", ","),
    (r"(?<!\\)\\!", ""),
    (r"(?<=\d)\s*\\[,;:]\s*(?=\d{3}(?!\d))", " "),
    (r"(?<!\\)\\[,;:>/ ]|(?<!\\)\\\n|\\q?quad(?![A-Za-z])|\\(?:thin|med|thick)space(?![A-Za-z])", " "),
    (r"(?<=\d)~(?=\d{3}(?!\d))", " "),
    (r"(?<=\d)~(?=\d)", r" \\sim "),
    (r"^\s*\\sim(?=\s*\d)", r"\\approx "),
    (r"^\s*~(?=\s*\d)", r"\\approx "),
    (r"~", " "),
    (r"(?<=\d)\s*\\Omega(?![A-Za-z])", r" \\text{ohm}"),
    (r"\\[dtc]frac(?![A-Za-z])", r"\\frac"),
    (r"\\[dt]binom(?![A-Za-z])", r"\\binom"),
    (r"\\(?:pounds|textsterling|mathsterling)(?![A-Za-z])", "£"),
    (r"\\(?:euro|texteuro|EUR)(?![A-Za-z])", "€"),
    (r"\\(?:lbrace|\{)(?![A-Za-z])", r"\\{"),
    (r"\\rbrace(?![A-Za-z])", r"\\}"),
    (r"\\[lr]vert(?![A-Za-z])|\\vert(?![A-Za-z])", "|"),
    (r"\\colon(?![A-Za-z])", ":"),
    (r"\\(?:degree|textdegree|circ)(?![A-Za-z])", r"\\circ "),
    (r"\s*(?:\^\s*\{\s*\\circ\s*\}|\^?\s*\\circ(?![A-Za-z]))", r"^\\circ "),
    (r"\\(?:lnot|neg)(?![A-Za-z])", r"\\neg "),
    (r"\\not\s*=|!=|<>|=/=|\\neq(?![A-Za-z])", r"\\ne "),
    (r"\\leq(?:slant|q)?(?![A-Za-z])|<=", r"\\le "),
    (r"\\geq(?:slant|q)?(?![A-Za-z])|>=", r"\\ge "),
    (r"\\lt(?![A-Za-z])", "<"),
    (r"\\gt(?![A-Za-z])", ">"),
    (r"\\(?:approxeq|thickapprox|simeq|cong|doteq)(?![A-Za-z])|~=", r"\\approx "),
    (r"\\(?:varnothing|empty)(?![A-Za-z])|\\\{\s*\\\}", r"\\emptyset "),
    (r"\\(?:Reals|reals|R)(?![A-Za-z])|\\mathbf\{R\}|\\mathrm\{R\}", r"\\mathbb{R}"),
    (r"\\mathbb\s*([A-Z])", r"\\mathbb{\1}"),
    (r"\\(?:dots|cdots|dotsc|dotsb)(?![A-Za-z])|(?<!\.)\.{3,}", r"\\ldots "),
    (r"\\lg(?![A-Za-z])", r"\\log"),
    (r"\\log\s*_\s*(?:e(?![A-Za-z])|\{\s*e\s*\})", r"\\ln "),
    (r"\\pmod\s*(\w+)", r"\\pmod{\1}"),
    (r"\\(begin|end)\{(?:Bmatrix|smallmatrix|matrix)\}", r"\\\1{pmatrix}"),
    (r"(\\mathbb\{[A-Z]\})\s*(?:-|\\backslash)\s*\\\{", r"\1\\setminus\\{"),
    (r"o'clock", "oclock"),
    (r"^\s*\]([^\[\]()]+,[^\[\]()]+)(?=[\[\]]\s*$)", r"(\1"),
    (r"^(\s*[(\[][^\[\]()]+,[^\[\]()]+)\[\s*$", r"\1)"),
    (r"\\backslash(?![A-Za-z])", r"\\setminus "),
)
"""What is only layout, or one of several commands for the same thing."""

_FONTS = re.compile(
    r"\\(?:textcolor\s*\{[^{}]*\}|colorbox\s*\{[^{}]*\}|fcolorbox\s*\{[^{}]*\}\s*\{[^{}]*\}|bbox\s*(?:\[[^\]]*\])?"
    r"|(?:mathbf|boldsymbol|bm|mathit|mathsf|mathnormal|mathcal|underline|uline|ensuremath|boxed|fbox|framebox|mathop"
    r"|emph|pmb|underbrace|overbrace)(?![A-Za-z])|[A-Za-z]*box(?![A-Za-z]))\s*(?=\{)"
)
_WORDED = re.compile(
    r"\\(?:text(?:bf|rm|it|sf|tt|normal|md|up)?|mbox|hbox|mathrm|operatorname\*?|unit|si)(?![A-Za-z])\s*+"
)
_WORDLESS = re.compile(_WORDED.pattern + r"(?!\{)")
_POWER = re.compile(r"\^\s*(?=\()")
_ROOT = re.compile(r"(?:√|\\sqrt)\s*")
_BARE_ROOT = re.compile(r"√\s*(\d+(?:\.\d+)?|[A-Za-z]|\\[a-z]+)")
_TRIGONOMETRIC = re.compile(r"\\(?:sin|cos|tan|cot|sec|csc)")
_DEGREES = re.compile(r"(\d+(?:\.\d+)?|[A-Za-z]|\\[a-z]+)\s*\^\\circ")
"""Beside a trigonometric function degrees are written as radians: \\sin 30^\\circ as \\sin(30\\pi/180)."""
_SWITCH = re.compile(r"\\(?:rm|bf|it|sf|bfseries|itshape)(?![A-Za-z])\s*")
_TEXTWORD = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)?", re.UNICODE)
_BARE = re.compile(r"(?<![\\A-Za-z\"_^{])[^\W\d_]{2,}(?:'[a-z]+)?(?![A-Za-z\"])")

_TYPED = _rules(
    (r"(?<=[\w)}])\*\*(?=[\w({\\-])", "^"),
    (r"\*\*|__|^\s*\*+|\*+\s*$", ""),
    (r"\*", r"\\cdot "),
    (r"(?<=\d)\s*[xX]\s*(?=10\s*\^)", r"\\times "),
    (r"\^\s*(-\s*\d+|\d{2,}|-\s*[A-Za-z])", r"^{\1}"),
    (r"\\(frac|binom)\s*(\d)\s*([\dA-Za-z])", r"\\\1{\2}{\3}"),
    (r"\\frac\s*(\\[a-z]+)\s*(\d|\{[^{}]*\})", lambda m: f"\\frac{{{m[1]}}}{{{m[2].strip('{}')}}}"),
    (r"\\(overline|bar|dot)\s*(\d)", r"\\\1{\2}"),
    (r'\\frac\s*\{(\s*"[^"]*"[^{}]*)\}\s*\{(\s*"[^"]*"[^{}]*)\}', r"\1/\2"),
    (r'\s*"(?:percent|pct|percentage)"|\s*"per"\s*"cent"', "%"),
    (r"\\(frac|binom)\s*(\d)\s*(?=\{)", r"\\\1{\2}"),
    (r"\\(frac|binom)\s*(\{[^{}]*\})\s*(\w)", r"\\\1\2{\3}"),
    (r"\\sqrt\s*([\d]|[A-Za-z])", r"\\sqrt{\1}"),
    (r"\\log\s*_\s*(\d)\s*(\d)", r"\\log_{\1}{\2}"),
    (r"\{([^{}]*?)\\over(?![A-Za-z])([^{}]*)\}", r"\\frac{\1}{\2}"),
    (r"^([^{}]*?)\\over(?![A-Za-z])([^{}]*)$", r"\\frac{\1}{\2}"),
    (r"(?<![\w}])\.(?=\d)", "0."),
    (r"\\%", "%"),
)
_SPACES = re.compile(r"\s+")
_TIGHT = re.compile(r"(?<=[{(\[])\s+|\s+(?=[})\]])|(?<=\})\s+(?=\{)|(?<=[a-z])\s+(?=\{)")


@lru_cache(maxsize=65536)
def clean(answer: str) -> str:
    """An answer as this module's first lines say, without full stop, comma or semicolon at its end."""
    if answer.isascii() and answer.isdigit():
        return answer
    text = _raised(_translated(answer))
    for pattern, into in _LAYOUT:
        text = pattern.sub(into, text)
    text = _SWITCH.sub("", _grouped(text, _FONTS, lambda _, inside: f" {inside} "))
    text = _grouped(_WORDLESS.sub("", text), _WORDED, _worded)
    text = _bare_words(_dollars(text))
    for pattern, into in _TYPED:
        text = pattern.sub(into, text)
    text = _grouped(text, _POWER, lambda _, inside: f"^{{{inside}}}")
    text = _grouped(_BARE_ROOT.sub(r"\\sqrt{\1}", text), _ROOT, lambda _, inside: f"\\sqrt{{{inside}}}")
    if "^\\circ" in text and _TRIGONOMETRIC.search(text):
        text = _DEGREES.sub(r"(\1\\cdot\\frac{\\pi}{180})", text)
    text = _TIGHT.sub("", _SPACES.sub(" ", text)).strip()
    while text.endswith((".", ",", ";")) and not text.endswith("\\,"):
        text = text[:-1].rstrip()
    return _unbraced(text)


def _translated(text: str) -> str:
    """Unicode signs as commands; a vulgar fraction as the fraction that it is."""
    text = text.translate(_TABLE)
    if text.isascii():
        return text
    parts = []
    for char in text:
        spelt = unicodedata.normalize("NFKC", char) if unicodedata.numeric(char, None) is not None else char
        top, slash, low = spelt.partition("⁄")
        parts.append(f"\\frac{{{top}}}{{{low}}}" if slash and char not in _HIGH else char)
    return "".join(parts)


def _raised(text: str) -> str:
    """Superscript and subscript signs as powers and indices."""
    for table, sign in ((_HIGH, "^"), (_LOW, "_")):
        if not table.keys().isdisjoint(text):
            run = re.compile("[" + "".join(table) + "]+")
            text = run.sub(lambda m, t=table, s=sign: f"{s}{{{''.join(t[c] for c in m[0])}}}", text)  # type: ignore[misc]
    return text


def _grouped(text: str, command: re.Pattern[str], into: Callable[[str, str], str]) -> str:
    """The text with `into(command, content)` in the place of each command and the bracketed content after it."""
    at = 0
    while match := command.search(text, at):
        start, at = match.end(), match.start() + 1
        if text[start : start + 1] in ("{", "(") and (end := closing(text, start)) > 0:
            text = text[: match.start()] + into(match[0], text[start + 1 : end]) + text[end + 1 :]
    return text


def _worded(command: str, inside: str) -> str:
    r"""The content of \text{...} with its words in quotes; a single letter that is a constant stays one."""
    word = inside.strip()
    if "mathrm" in command and word in ("e", "i", "d", "T"):
        return f" {word} "
    return f"\\{word} " if word in _FUNCTIONS.split("|") else _quoted(inside)


def _quoted(inside: str) -> str:
    """The words of a text in quotes; numbers and signs as they are, formulas in dollars too."""
    parts = re.split(r"\$([^$]*)\$", inside)
    for i in range(0, len(parts), 2):
        parts[i] = _TEXTWORD.sub(lambda m: f'"{m[0]}"', re.sub(r"\\[A-Za-z]+", " ", _dotted(parts[i])))
    return " ".join(parts)


def _dotted(text: str) -> str:
    """Abbreviations without their full stops: a.m. is am, sq. is sq."""
    text = re.sub(r"(?i)\b([ap])\s?\.\s?m\b\.?", r"\1m", text)
    return re.sub(r"(?i)\b(sq|cu|ft|in|hr|min|approx|no|rs)\.(?!\d)", r"\1 ", text)


def _dollars(text: str) -> str:
    """Currency signs as words; other dollar signs are delimiters."""
    text = text.replace("\\$", '"dollars" ')
    if text.count("$") == 1 and re.search(r"\$\s*-?\.?\d|\d\s*\$", text):
        text = text.replace("$", '"dollars" ')
    text = text.replace("$", " ")
    for sign, word in _CURRENCY.items():
        if sign in text:
            text = text.replace(sign, f' "{word}" ')
    return text


def _bare_words(text: str) -> str:
    """Bare words in quotes, functions and Greek letters as commands; short runs of letters that are no word stay."""
    text = _dotted(text)

    def replaced(match: re.Match[str]) -> str:
        word = match[0]
        if re.fullmatch(_FUNCTIONS, word):
            return f"\\{word} "
        if word in GREEK:
            return f"\\{word} "
        if word.lower() in ("inf", "infinity"):
            return r"\infty "
        if word == "sqrt":
            return "√"
        listed = word.lower() in NOT_A_UNIT or word.lower() in units() or word.lower() in _SHORT
        name = len(word) > 2 and word.istitle()
        return f'"{word}"' if len(word) > 3 or listed or name or not word.isascii() else word

    return _BARE.sub(replaced, text)


_BRIEF = (
    "am pm mph kmh kph sq cu the an is are was of in at to on it by per all yes odd won day men way set box "
    "bag hat cat dog pen cup ton pie egg bus car map win usd eur gbp cad aud rmb pct cm mm km kg mg ml ft in "
    "yd mi hr oz lb min sec dne so we get red st nd rd th even edge face unit age"
)
_SHORT = frozenset(_BRIEF.split())
"""Words of two or three letters that are words and no product of variables."""


def _unbraced(text: str) -> str:
    """Without braces that only group: {7} and {-5} where no command or script takes them."""
    i = 0
    while (i := text.find("{", i)) >= 0:
        before = text[:i].rstrip()
        if (before and (before[-1] in "\\}^_])" or before[-1].isalpha())) or (end := closing(text, i)) < 0:
            i += 1
            continue
        inside = text[i + 1 : end].strip()
        plain = re.fullmatch(r"[\w.]*", inside) or (not before and end == len(text) - 1)
        text = text[:i] + (inside if plain else f"({inside})") + text[end + 1 :]
    return text
