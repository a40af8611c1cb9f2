"""Whether a task's verifier can be trusted on the task's own gold answers, in three forms.

own: every gold answer in a box is accepted. prose: so it is when it stands in a sentence without a box. other: another
problem's gold answer is refused. A benchmark that fails here measures its grader, not a model.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from lcpo.tasks.base import Loaded, Task
from lcpo.types import Problem
from lcpo.verifiers import grade_many

Form = Literal["own", "prose", "other"]

KNOWN: Mapping[tuple[str, Form], str] = {
    ("math500-731e4542e8", "other"): "the other gold is x=5 and this one is 5, the same number",
    ("olympiadbench-174442c903", "prose"): "the gold is a sentence; in prose its formula alone is read",
    ("olympiadbench-46d9e7f764", "prose"): "the gold '$221,$8$' holds two answers with unbalanced dollar signs",
}
"""Findings that were looked into: (problem, form) -> what is the matter."""


@dataclass(frozen=True)
class Finding:
    """A gold answer that was graded otherwise than it should be; known: why, where that was looked into."""

    id: str
    form: Form
    gold: str
    given: str
    read: str | None
    reason: str
    known: str | None


@dataclass(frozen=True)
class Checked:
    """A task with its golds graded: how many problems passed in each form, and all that did not."""

    task: str
    verifier: str
    problems: int
    passed: Mapping[Form, int]
    findings: tuple[Finding, ...]
    dropped: Mapping[str, int]
    sha256: Mapping[str, str]
    notes: tuple[str, ...] = ()

    @property
    def sound(self) -> bool:
        """Every gold answer in a box is accepted, or its refusal is explained."""
        return all(one.form != "own" or one.known for one in self.findings)

    def json(self) -> dict[str, Any]:
        """The result as JSON values."""
        return {**vars(self), "sound": self.sound, "findings": [vars(one) for one in self.findings]}


def check(task: Task, loaded: Loaded, deadline: float = 5.0) -> Checked:
    """Grades all gold answers of the problems in the three forms; deadline in seconds for each grade."""
    problems = loaded.problems
    own = [(problem, gold) for problem in problems for gold in problem.answers]
    tried: dict[Form, list[tuple[Problem, str]]] = {"own": own, "prose": own, "other": _others(problems)}
    findings = [
        finding for form, pairs in tried.items() for finding in _grade(form, pairs, task.verifier, deadline) if pairs
    ]
    passed = {form: len(problems) - len({one.id for one in findings if one.form == form}) for form in tried}
    return Checked(
        *(task.name, task.verifier, len(problems), passed, tuple(findings)),
        *(dict(loaded.dropped.counts), dict(loaded.sha256), loaded.notes),
    )


def _grade(form: Form, pairs: Sequence[tuple[Problem, str]], verifier: str, deadline: float) -> list[Finding]:
    texts = [_text(form, gold, verifier) for _, gold in pairs]
    grades = grade_many(texts, [problem.answers for problem, _ in pairs], verifier=verifier, deadline=deadline)
    return [
        Finding(
            *(problem.id, form, " | ".join(problem.answers), given, grade.answer, grade.reason),
            known=KNOWN.get((problem.id, form)),
        )
        for (problem, given), grade in zip(pairs, grades, strict=True)
        if grade.correct == (form == "other")
    ]


def _text(form: Form, gold: str, verifier: str) -> str:
    if form != "prose" or verifier == "exact":
        return f"The answer is \\boxed{{{gold}}}."
    return f"The final answer is {gold}." if verifier == "choice" else f"The final answer is ${gold.strip('$ ')}$."


def _others(problems: Sequence[Problem]) -> list[tuple[Problem, str]]:
    """Each problem with a gold answer of the next problem whose answer is written otherwise."""
    pairs = []
    for place, problem in enumerate(problems):
        later = (one.answers[0] for one in (*problems[place + 1 :], *problems[:place]))
        other = next((gold for gold in later if gold not in problem.answers), None)
        if other is not None:
            pairs.append((problem, other))
    return pairs
