"""One line of samples.jsonl: what one decoding of one problem did. Results and reports read these and nothing else."""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from lcpo.errors import TaskError
from lcpo.types import Kind, Scope

SAMPLES = "samples.jsonl"


@dataclass(frozen=True)
class Sample:
    """One sample of one problem by one method at one budget.

    tokens: every token after the original prompt that the method caused, generated or inserted, over all its calls;
    thinking_tokens + answer_tokens leave out tags and EOS; None where a server reports none. filler_tokens: those that
    carry nothing. length_source: `ids`, or `usage` where only a server's count is known. budget: None for none.

    Where a world can tell (lcpo.tasks.base.Steps), right_steps: different right steps of the thought, useless_tokens:
    those of its other steps. changed: whether the answer changes without the first, second, third, last quarter of the
    thought, and with its second half from another problem (lcpo.evaluate.inert). grade_failed: the grader gave no
    verdict. What an older folder does not say is None.
    """

    run: str
    model: str
    task: str
    method: str
    kind: Kind
    scope: Scope
    wording: str
    budget: int | None
    seen: bool | None
    problem: str
    size: str | None
    sample: int
    seed: int
    temperature: float
    generation_cap: int
    prompt: str
    text: str
    tokens: int | None
    thinking_tokens: int | None
    answer_tokens: int | None
    filler_tokens: int | None
    length_source: str
    finish_reason: str
    truncated: bool
    forced: bool
    no_answer: bool
    correct: bool
    answer: str | None
    gold: str
    calls: int
    right_steps: int | None = None
    useless_tokens: int | None = None
    changed: list[bool | None] | None = None
    grade_failed: bool | None = None

    def json(self) -> dict[str, Any]:
        """The record as JSON values."""
        return asdict(self)


_FIELDS = {field.name for field in fields(Sample)}


def read_samples(folder: Path) -> Iterator[Sample]:
    """The samples of an evaluation folder, one at a time. Raises TaskError naming the line that cannot be read."""
    path = folder / SAMPLES
    with path.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            try:
                yield Sample(**{name: value for name, value in json.loads(line).items() if name in _FIELDS})
            except (ValueError, TypeError, AttributeError) as error:
                text = f"{path}, line {number}, is no sample ({error}); run the evaluation with --resume"
                raise TaskError(text) from None
