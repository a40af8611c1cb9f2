"""Exact: the answer is the gold, letter by letter, but for spaces around and runs of spaces within."""

from lcpo.types import Grade
from lcpo.verifiers.box import Box, NoAnswer, boxes


def check(text: str, golds: tuple[str, ...], box: Box, deadline: float) -> Grade:
    """The grade of what follows the thought: its last box, else (with `prefer`) all of it; case counts.

    The answer is shown up to 200 characters. Raises NoAnswer.
    """
    boxed = box == "require" or bool(boxes(text, "prefer"))
    answer = " ".join((boxes(text, "require")[0] if boxed else text).split())
    if not answer:
        raise NoAnswer("empty")
    right = any(answer == " ".join(gold.split()) for gold in golds)
    return Grade(right, answer[:200], "the same text" if right else "another text")
