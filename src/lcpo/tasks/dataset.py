r"""Problems from files, zips and the hub: load(sources) -> problems, what was dropped and why, and hashes.

Two problems are the same when question and options agree once white space, a closing instruction ("... \boxed{}.") and
the order of options are ignored. Duplicates, and what a named test set also holds, are dropped and counted apart;
duplicates whose answers contradict each other are named.
"""

import hashlib
import math
import random
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from typing import Literal

from lcpo.budgets.prompting import LETTERS
from lcpo.errors import TaskError
from lcpo.tasks import cells
from lcpo.tasks import choices as choosing
from lcpo.tasks import columns as roles
from lcpo.tasks.base import Loaded, Split, Task, VerifierName
from lcpo.tasks.cells import answers
from lcpo.tasks.choices import Choices, Rule
from lcpo.tasks.reading import Row, Table, read
from lcpo.types import Dropped, Problem
from lcpo.verifiers import check_gold, grade

Missing = Literal["drop", "raise", "keep"]

_INSTRUCTION = re.compile(r"\s*[^\n.?!]*\\boxed\s*\{\s*\}[^\n.?!]*\.?\s*\Z")
_SENTENCE = 400
"""Characters at the end in which such a sentence is looked for."""


def load(
    sources: str | Sequence[str],
    *,
    columns: Mapping[str, str] | None = None,
    exclude: Mapping[str, Iterable[Problem]] | None = None,
    missing: Missing = "drop",
    duplicates: Literal["drop", "keep"] = "drop",
    name: str | None = None,
    option_seed: int = 0,
    tidy: Callable[[str], str] = str,
    verifier: VerifierName | None = None,
) -> Loaded:
    """The problems of one or several sources, joined in order (lcpo.tasks.reading says what a source is).

    columns: {role: column}, see lcpo.tasks.columns; None recognises the usual names. exclude: {name: problems} that are
    left out and counted. missing: rows without an answer are dropped and counted, or refused; keep reads no answers.
    name: what ids begin with (default: the file's); an id is the same wherever the problem stands. option_seed: the
    order of options where a data set gives right and wrong answers apart. tidy: applied to every question first.
    verifier: what will grade; None takes math where there are no options. Golds that it cannot read are noted.
    Raises TaskError in one line, naming the row.
    """
    listed = [sources] if isinstance(sources, str) else list(sources)
    if not listed:
        raise TaskError(
            "no data given; name a file, a member of a zip (a.zip::folder) or hub:owner/name@REVISION::SPLIT"
        )
    held: dict[str, str] = {}
    for test, problems in (exclude or {}).items():
        held |= {key(problem): test for problem in problems if key(problem) not in held}
    counts: Counter[str] = Counter()
    tables = {source: read(source, roles.header(columns or {})) for source in listed}
    kept: list[Problem] = []
    seen: dict[str, list[tuple[Problem, str]]] = {}
    for source, table in tables.items():
        for problem, reason, where in _problems(table, columns or {}, option_seed, tidy, missing != "keep"):
            own = key(problem)
            if reason and missing == "raise":
                raise TaskError(f"{where}: {reason}; mend or remove that row")
            reason = reason or (f"held by {title(held[own], held.values())}" if own in held else "")
            if not reason:
                seen.setdefault(own, []).append((problem, where))
                if len(seen[own]) > 1 and duplicates == "drop":
                    reason = "duplicate"
            if reason:
                counts[reason] += 1
            else:
                kept.append(_with_id(problem, name or _stem(source), own, len(seen[own])))
    dropped = Dropped(dict(counts))
    if not kept:
        raise TaskError(f"{', '.join(listed)}: no problem is left; dropped were {dropped}")
    notes = [note for table in tables.values() for note in table.notes]
    notes += contradictions(seen.values(), "the first is kept" if duplicates == "drop" else "all are kept")
    notes += unreadable((first for first, *_ in seen.values()), verifier)
    return Loaded(kept, dropped, {source: table.sha256 for source, table in tables.items()}, tuple(notes))


def contradictions(repeated: Iterable[Sequence[tuple[Problem, str]]], kept: str) -> list[str]:
    """A note where equal questions ([(problem, where)]) have answers that differ in value, naming the first of them."""
    found = []
    for (problem, where), *others in repeated:
        other = next((one for one in others if _contradict(problem, one[0])), None)
        if other is not None:
            said, contrary = (" | ".join(_golds(each)) for each in (problem, other[0]))
            found.append(f"{where} says {said}, {other[1]} says {contrary}")
    if not found:
        return []
    return [f"questions whose answers contradict each other ({kept}): {len(found)}; first: {found[0]}"]


def unreadable(found: Iterable[tuple[Problem, str]], verifier: VerifierName | None) -> list[str]:
    """A note where golds of problems [(problem, where)] cannot be graded against, naming the first of them."""
    bad = [
        f"{where}: {why}"
        for problem, where in found
        if not problem.options
        for gold in problem.answers
        if (why := check_gold(gold, verifier or "math"))
    ]
    if not bad:
        return []
    return [f"gold answers that cannot be graded against as they stand: {len(bad)}; first: {bad[0]}"]


def _contradict(a: Problem, b: Problem) -> bool:
    first, second = ({re.sub(r"\s+", "", gold) for gold in _golds(problem)} for problem in (a, b))
    if not first or not second or first & second:
        return False
    if a.options:
        return True
    return not any(grade(f"\\boxed{{{gold}}}", a.answers).correct for gold in b.answers)


def _golds(problem: Problem) -> Sequence[str]:
    """The right answers, an option by its text: two copies may have their options in another order."""
    if not problem.options:
        return problem.answers
    return [problem.options[LETTERS.index(letter)] for letter in problem.answers]


def key(problem: Problem) -> str:
    """What makes two problems the same: question and options without white space, instruction and option order."""
    question = re.sub(r"\s+", "", without_instruction(problem.question))
    return "\x1f".join([question, *sorted(re.sub(r"\s+", "", text) for text in problem.options)])


def without_instruction(question: str) -> str:
    """The question without a last sentence that asks for the answer in an empty box."""
    end = question[-_SENTENCE:]
    return question[:-_SENTENCE] + _INSTRUCTION.sub("", end) if "\\boxed" in end else question


def title(source: str, among: Iterable[str] = ()) -> str:
    """What a source is called in counts: the file's name, a zip's with its member, a hub data set's with its split.

    With as many folders before it, up to two, as tell it apart from the others `among` which it stands.
    """

    def short(given: str, parts: int) -> str:
        path, separator, member = given.partition("::")
        if given.startswith("hub:"):
            return path.removeprefix("hub:").partition("@")[0] + separator + member
        return "/".join(PurePosixPath(path).parts[-parts:]) + separator + member

    others = {other for other in among if other != source}
    apart = (n for n in (1, 2) if short(source, n) not in {short(other, n) for other in others})
    return short(source, next(apart, 3))


def _stem(source: str) -> str:
    last = source.partition("@")[0].rpartition("::")[2] if not source.startswith("hub:") else source.partition("@")[0]
    return PurePosixPath(last.rstrip("/")).stem or "data"


def _with_id(problem: Problem, prefix: str, own: str, nth: int) -> Problem:
    digest = hashlib.sha256(own.encode()).hexdigest()[:10]
    name = f"{prefix}-{digest}" if nth == 1 else f"{prefix}-{digest}-{nth}"
    return replace(problem, id=name)


def _problems(
    table: Table, given: Mapping[str, str], option_seed: int, tidy: Callable[[str], str], graded: bool
) -> Iterator[tuple[Problem, str, str]]:
    """Every row as a problem without id, why it cannot be used ("" if it can), and where it stands."""
    where = roles.resolve(table, given, ("problem", "answer") if graded else ("problem",))
    options = [_options(row, where.get("options", ())) for row in table.rows]
    golds = [roles.value(row, where.get("answer", ())) for row in table.rows]
    if "wrong" in where:
        drawn = [_drawn(row, cell, where["wrong"], option_seed) for row, cell in zip(table.rows, golds, strict=True)]
        right, options = [letter for letter, _ in drawn], [choices for _, choices in drawn]
    else:
        right = _right(golds, options, where.get("answer", ()), roles.rule(given)) if graded else [()] * len(golds)
    for row, cell, choices, found in zip(table.rows, golds, options, right, strict=True):
        asked = roles.value(row, where["problem"])
        question = tidy(cells.text(asked))
        if "passage" in where and (passage := cells.text(roles.value(row, where["passage"]))):
            question = f"{passage}\n\n{question}" if question else ""
        size = next(iter(answers(roles.value(row, where["size"]))), None) if "size" in where else None
        reason = "" if found or not graded else "null answer" if cell.value is None else "empty answer"
        reason = reason if question else "no question"
        yield Problem("", question, found, choices.texts, size=size), reason, (cell if question else asked).where


def _right(
    golds: Sequence[cells.Cell], options: Sequence[Choices], columns: Sequence[str], rule: Rule | None
) -> list[tuple[str, ...]]:
    """The right answers of every row: the letter of an option, or what the cell says; () where it is empty."""
    worked = columns[0].strip().lower() == "solution"
    asked = [pair for pair in zip(golds, options, strict=True) if pair[1].texts]
    letters = iter(choosing.letters(asked, rule, "|".join(columns)))
    return [
        tuple(filter(None, (next(letters),))) if choices.texts else answers(cell, worked)
        for cell, choices in zip(golds, options, strict=True)
    ]


def _drawn(row: Row, cell: cells.Cell, wrong: Sequence[str], seed: int) -> tuple[tuple[str, ...], Choices]:
    """The right letter and the options of a row that gives right and wrong answers apart, in a drawn order."""
    right = answers(cell)
    if not right:
        return (), Choices()
    letter, texts = choosing.mixed(right[0], [roles.value(row, (name,)) for name in wrong], seed)
    return (letter,), Choices(texts)


def _options(row: Row, columns: Sequence[str]) -> Choices:
    """The options of a row: of one column that holds them all, or of a column each."""
    if len(columns) > 1:
        each = [roles.value(row, (name,)).value for name in columns]
        return choosing.choices(cells.Cell(each, f"{row.where}, columns {'|'.join(columns)}"))
    return choosing.choices(roles.value(row, columns)) if columns else Choices()


def subset(problems: Sequence[Problem], limit: int | None, seed: int) -> list[Problem]:
    """`limit` of the problems drawn by seed (None: all), in their order; a larger limit holds the smaller one's.

    Raises TaskError for a limit below 1.
    """
    if limit is not None and limit < 1:
        raise TaskError(f"a limit is at least 1 problem, given {limit}")
    if limit is None or limit >= len(problems):
        return list(problems)
    order = list(range(len(problems)))
    random.Random(f"subset-{seed}").shuffle(order)
    return [problems[place] for place in sorted(order[:limit])]


@dataclass(frozen=True)
class Data(Task):
    """A task made of data that was read: `train` and `validation` of training data, or `test` of an evaluation's."""

    loaded: Loaded
    splits: Mapping[Split, Sequence[Problem]] = field(default_factory=dict)

    def load(self, split: Split = "test", limit: int | None = None, seed: int = 0) -> Loaded:
        """See Task.load. Raises TaskError for a split that this data does not hold."""
        if not self.splits.get(split):
            has = ", ".join(name for name, problems in self.splits.items() if problems)
            todo = "name a test set with --task or --data" if split == "test" else "choose one of those"
            raise TaskError(f"{self.name} has no {split} split, it has {has}; {todo}")
        return replace(self.loaded, problems=subset(self.splits[split], limit, seed))


@dataclass(frozen=True)
class Without(Task):
    """Another task without what test sets hold: held is {key(problem): the test set's name}."""

    inner: Task
    held: Mapping[str, str]

    def load(self, split: Split = "test", limit: int | None = None, seed: int = 0) -> Loaded:
        """See Task.load; what was left out is counted."""
        loaded = self.inner.load(split, None, seed)
        names = self.held.values()
        held = Counter(
            f"held by {title(self.held[own], names)}" for own in map(key, loaded.problems) if own in self.held
        )
        if not held:
            return self.inner.load(split, limit, seed)
        kept = [problem for problem in loaded.problems if key(problem) not in self.held]
        dropped = Dropped({**loaded.dropped.counts, **held})
        return replace(loaded, problems=subset(kept, limit, seed), dropped=dropped)


def without(task: Task, exclude: Mapping[str, Iterable[Problem]]) -> Task:
    """The task without the problems of `exclude` ({name: problems}), which are counted as dropped."""
    held = {key(problem): name for name, problems in exclude.items() for problem in problems}
    return Without(task.name, task.about, task.verifier, task.chance, task, held)


def evaluation(
    data: str | Sequence[str],
    columns: Mapping[str, str] | None = None,
    verifier: VerifierName | None = None,
    name: str | None = None,
) -> Task:
    """Data to evaluate on: every row is a test problem, and a row without an answer is an error.

    verifier: None takes `choice` where every problem has options, else `math`.
    """
    loaded = load(data, columns=columns, missing="raise", duplicates="keep", name=name, verifier=verifier)
    return _task(data, loaded, {"test": loaded.problems}, verifier, name)


def training(
    data: str | Sequence[str],
    columns: Mapping[str, str] | None = None,
    verifier: VerifierName | None = None,
    *,
    exclude: Mapping[str, Iterable[Problem]] | None = None,
    validation: float = 0.05,
    seed: int = 0,
    name: str | None = None,
) -> Task:
    """Data to train on: rows without answer, duplicates and what `exclude` holds are dropped and counted.

    validation: the share of problems kept for validation, chosen by a hash of (seed, problem), so that adding data does
    not reshuffle it. There is no test split: what was trained on tests nothing.
    """
    if not 0 <= validation < 1:
        raise TaskError(f"validation is a share of the problems in [0, 1), given {validation}")
    loaded = load(data, columns=columns, exclude=exclude, name=name, verifier=verifier)
    return _task(data, loaded, split_off(loaded.problems, validation, seed), verifier, name)


def split_off(problems: Sequence[Problem], share: float, seed: int) -> dict[Split, Sequence[Problem]]:
    """{"train", "validation"}: validation is the share, rounded up, with the lowest sha256 of (seed, problem)."""

    def rank(problem: Problem) -> str:
        return hashlib.sha256(f"{seed}-{key(problem)}".encode()).hexdigest()

    held = {problem.id for problem in sorted(problems, key=rank)[: math.ceil(share * len(problems))]}
    train = [problem for problem in problems if problem.id not in held]
    return {"train": train, "validation": [problem for problem in problems if problem.id in held]}


def _task(
    data: str | Sequence[str],
    loaded: Loaded,
    splits: Mapping[Split, Sequence[Problem]],
    verifier: VerifierName | None,
    name: str | None,
) -> Task:
    listed = [data] if isinstance(data, str) else list(data)
    every = all(problem.options for problem in loaded.problems)
    if verifier == "choice" and not every:
        bare = next(problem for problem in loaded.problems if not problem.options)
        raise TaskError(f"verifier choice needs options for every problem; {bare.id} has none")
    chosen: VerifierName = verifier or ("choice" if every else "math")
    guess = sum(1 / len(problem.options) for problem in loaded.problems) / len(loaded.problems) if every else None
    title = name or "+".join(_stem(source) for source in listed)
    return Data(title, f"{len(loaded.problems)} problems of {', '.join(listed)}", chosen, guess, loaded, splits)
