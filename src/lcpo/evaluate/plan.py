"""What an evaluation will do, fixed before it starts: models, methods, budgets, problems, batches, seeds."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from lcpo.decode import method
from lcpo.engines.base import sub_seed
from lcpo.errors import ConfigError
from lcpo.measure.portable import portable
from lcpo.types import Budget, Kind, Problem
from lcpo.verifiers import Box


@dataclass(frozen=True)
class EvaluatedModel:
    """A model as it is evaluated.

    identity: hash of its weights, or what a server calls it. seen: the budgets that training could draw, None where
    unknown. methods: specs, in order; those without a budget are run once.
    """

    run: str
    model: str
    path: str
    identity: str
    kind: Kind
    wording: str
    budgets: tuple[int, ...]
    seen: tuple[bool, ...] | None
    methods: tuple[str, ...]


@dataclass(frozen=True)
class Settings:
    """All that decides what an evaluation's samples are. Two folders with equal settings hold equal samples.

    cap: limit of tokens of any response, the same for all budgets. batch: requests made side by side, the unit of
    resume. problems_sha256: hash of the problems themselves, so that changed data is noticed. engine: None for
    transformers or a server. tokenizer: what is used with a server, if anything. What a folder made before a setting
    existed does not say is None: settings that are added later have that default.
    """

    subjects: tuple[EvaluatedModel, ...]
    task: str
    verifier: str
    split: str
    problems: int
    problems_sha256: str
    samples: int
    seed: int
    temperature: float
    top_p: float
    cap: int
    box: Box
    batch: int
    engine: str | None = None
    tokenizer: str | None = None

    def json(self) -> dict[str, Any]:
        """The settings as JSON values, without secrets and absolute paths."""
        return portable(json.loads(json.dumps(asdict(self))))  # type: ignore[no-any-return]


@dataclass(frozen=True)
class Cell:
    """One row of the result to come: a model, a method, a budget (None: none)."""

    subject: EvaluatedModel
    method: str
    budget: int | None

    @property
    def asked(self) -> Budget | None:
        """The budget that the method is given; None for methods that take none."""
        found = method(self.method)
        if self.budget is None:
            return None
        return Budget(self.subject.kind, self.budget, found.scope)

    @property
    def seen(self) -> bool | None:
        """Whether training could draw this budget; None where it is unknown or not what the prompt says."""
        if self.budget is None or self.subject.seen is None or not method(self.method).budget_in_prompt:
            return None
        return self.subject.seen[self.subject.budgets.index(self.budget)]


@dataclass(frozen=True)
class Batch:
    """A part of an evaluation: some problems' samples, in every cell of one model."""

    number: int
    subject: EvaluatedModel
    cells: tuple[Cell, ...]
    rows: tuple[tuple[int, int], ...]
    """(problem, sample)"""


def cells(subject: EvaluatedModel) -> tuple[Cell, ...]:
    """The cells of a model, method by method, budgets ascending."""
    found: list[Cell] = []
    for spec in subject.methods:
        budgets: Sequence[int | None] = subject.budgets if method(spec).budgeted else (None,)
        found += [Cell(subject, spec, budget) for budget in budgets]
    return tuple(found)


def batches(settings: Settings) -> Iterator[Batch]:
    """All batches, in order; they depend on the settings alone.

    A batch holds every cell of its rows, so that methods which start from the same response share it.
    """
    number = 0
    rows = [(problem, sample) for problem in range(settings.problems) for sample in range(settings.samples)]
    for subject in settings.subjects:
        each = cells(subject)
        size = max(1, settings.batch // len(each))
        for start in range(0, len(rows), size):
            yield Batch(number, subject, each, tuple(rows[start : start + size]))
            number += 1


def total(settings: Settings) -> int:
    """How many samples there will be."""
    return sum(len(cells(subject)) for subject in settings.subjects) * settings.problems * settings.samples


def row_seed(settings: Settings, problem: Problem, sample: int) -> int:
    """The seed of a sample: it follows from (seed, problem, sample), whatever the model, method and budget are."""
    return sub_seed(settings.seed, problem.id, sample)


def problems_sha256(problems: Sequence[Problem]) -> str:
    """A hash of the problems: ids, texts and answers, in order."""
    text = json.dumps([asdict(problem) for problem in problems], ensure_ascii=False, sort_keys=True)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def check(settings: Settings) -> None:
    """Raises ConfigError where the settings make no sense."""
    if not settings.subjects or settings.samples < 1 or settings.problems < 1:
        raise ConfigError("an evaluation needs at least one model, one problem and one sample")
    for subject in settings.subjects:
        for spec in subject.methods:
            if not method(spec).budgeted:
                continue
            if not subject.budgets:
                raise ConfigError(
                    f"{subject.model} says no budgets of its own; give some, for example --budgets 512,1024,2048"
                )
            if subject.kind == "none":
                raise ConfigError(f"method {spec} needs a budget; give --kind exact or --kind max")
        if subject.budgets and settings.cap < 2 * max(subject.budgets):
            raise ConfigError(
                f"a generation cap of {settings.cap} tokens is less than twice the largest budget,"
                f" {max(subject.budgets)}: lengths would be cut where they are measured; raise --cap"
                " or lower the budgets"
            )
