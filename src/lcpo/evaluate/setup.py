"""From what a person asks for to settled settings: command line first, then protocol, then the model's own, then
defaults.
"""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any, cast

from lcpo import tasks
from lcpo.budgets import BudgetSampler
from lcpo.budgets.prompting import template_named
from lcpo.decode import method
from lcpo.engines.models import ModelSource, resolve
from lcpo.errors import ConfigError, TaskError, unknown
from lcpo.evaluate.plan import EvaluatedModel, Settings, check, problems_sha256
from lcpo.measure.files import model_sha256
from lcpo.measure.portable import portable
from lcpo.tasks.base import Loaded, Split, Task
from lcpo.tasks.columns import parse as parse_columns
from lcpo.types import Kind
from lcpo.verifiers import Box

PROBLEMS, SAMPLES, TEMPERATURE, TOP_P = 500, 4, 1.0, 1.0
"""What is taken where nobody says anything; temperature 1 and top_p 1 are the distribution that was trained."""
ALL = ("prompted", "unlimited", "truncate", "s1", "s1_fair", "direct", "majority")
"""What `--methods all` means: those that make sense for any model with thoughts."""
ALL_OF_A_SERVER = ("prompted", "unlimited", "majority", "chat")
"""The same for a server, of which nobody knows whether it goes on with a given beginning."""


@dataclass(frozen=True)
class Options:
    """What the command line says; None or empty where it says nothing."""

    models: tuple[str, ...]
    task: str | None = None
    data: tuple[str, ...] = ()
    columns: str | None = None
    verifier: str | None = None
    split: str = "test"
    budgets: tuple[int, ...] = ()
    kind: str | None = None
    methods: tuple[str, ...] = ()
    problems: int | None = None
    samples: int | None = None
    seed: int = 0
    temperature: float | None = None
    top_p: float | None = None
    wording: str | None = None
    cap: int | None = None
    protocol: str | None = None
    batch: int = 1536


@dataclass(frozen=True)
class Setup:
    """Settings with what they were made from: sources by run name, the task with its problems, and counts of what was
    dropped.
    """

    settings: Settings
    sources: Mapping[str, ModelSource]
    task: Task
    loaded: Loaded
    extra: dict[str, Any] = field(default_factory=dict)


def protocols() -> list[str]:
    """Names of the shipped evaluation protocols."""
    folder = resources.files("lcpo.evaluate") / "protocols"
    return sorted(file.name.removesuffix(".toml") for file in folder.iterdir() if file.name.endswith(".toml"))


def read_protocol(name: str) -> dict[str, Any]:
    """The `evaluate` table of a shipped protocol. Raises ConfigError naming those that exist."""
    if name not in protocols():
        raise unknown("protocol", name, protocols())
    text = (resources.files("lcpo.evaluate") / "protocols" / f"{name}.toml").read_text(encoding="utf-8")
    return cast(dict[str, Any], tomllib.loads(text)["evaluate"])


def set_up(options: Options) -> Setup:
    """Settles everything. Raises ConfigError or TaskError in one line, naming what has to be told."""
    sources = [resolve(model) for model in options.models]
    names = run_names(sources, options.models)
    given = read_protocol(options.protocol) if options.protocol else {}
    task = _task(options, sources)
    tables = [source.tables.get("evaluate", {}) for source in sources]
    settled = _Defaults(options, given, tables)
    loaded = task.load(cast(Split, options.split), settled.problems(_own_task(task, sources)), options.seed)
    if not loaded.problems:
        raise TaskError(f"{task.name} has no {options.split} problems")
    subjects = tuple(
        settled.subject(i, name, source) for i, (name, source) in enumerate(zip(names, sources, strict=True))
    )
    settings = Settings(
        subjects=subjects,
        task=task.name,
        verifier=task.verifier,
        split=options.split,
        problems=len(loaded.problems),
        problems_sha256=problems_sha256(loaded.problems),
        samples=int(settled.number("samples", SAMPLES)),
        seed=options.seed,
        temperature=float(settled.number("temperature", TEMPERATURE)),
        top_p=float(settled.number("top_p", TOP_P)),
        cap=settled.cap([budget for subject in subjects for budget in subject.budgets]),
        box=given.get("box") or _box(task, sources),
        batch=options.batch,
    )
    check(settings)
    extra = {"data": {"sha256": dict(loaded.sha256), "dropped": loaded.dropped.counts, "split": options.split}}
    return Setup(settings, dict(zip(names, sources, strict=True)), task, loaded, extra)


class _Defaults:
    """Looks a value up in the command line, the protocol, and the models' own tables, in this order."""

    def __init__(self, options: Options, protocol: Mapping[str, Any], tables: Sequence[Mapping[str, Any]]) -> None:
        self.options, self.protocol, self.tables = options, protocol, tables

    def value(self, name: str, table: Mapping[str, Any]) -> Any:
        """The value for one model, None where nobody says one."""
        told = getattr(self.options, name, None)
        if told not in (None, ()):
            return told
        return self.protocol.get(name, table.get(name))

    def number(self, name: str, default: float) -> float:
        """A value that all models must share. Raises ConfigError where their tables differ."""
        values = {self.value(name, table) for table in self.tables} - {None}
        if len(values) > 1:
            raise ConfigError(f"the models' own {name} differ ({sorted(values)}); give --{name}")
        return float(values.pop()) if values else default

    def problems(self, own: bool) -> int | None:
        """How many problems: a model's own number counts only on its own task; all rows of another data set."""
        if self.options.problems or "problems" in self.protocol or own:
            return int(self.number("problems", PROBLEMS))
        return None

    def cap(self, budgets: Sequence[int]) -> int:
        """The generation cap: told, the models' own if it is large enough, else twice the largest budget."""
        least = 2 * max(budgets, default=0)
        if self.options.cap:
            return self.options.cap
        own = [int(cap) for table in self.tables if (cap := self.value("generation_cap", table))]
        found = max([*own, least])
        if not found:
            raise ConfigError("without budgets there is nothing to tell how long a response may get; give --cap TOKENS")
        return found

    def subject(self, index: int, run: str, source: ModelSource) -> EvaluatedModel:
        """One model as it is evaluated."""
        table = self.tables[index]
        law = dict(source.tables.get("budget", {}))
        wording = self.options.wording or self.protocol.get("wording") or law.get("template", "l1")
        scope = template_named(wording).scope
        methods = self.options.methods or tuple(self.protocol.get("methods", ())) or ("prompted",)
        if methods == ("all",):
            methods = ALL_OF_A_SERVER if source.kind == "server" else ALL
        for spec in methods:
            if method(spec).prompts and method(spec).scope != scope:
                raise ConfigError(f"wording '{wording}' limits the {scope}, which method {spec} cannot ask for yet")
        budgets = tuple(sorted(set(self.value("budgets", table) or ())))
        kind = cast(Kind, self.value("kind", table) or "exact")
        return EvaluatedModel(
            run=run,
            model=source.name,
            path=source.path,
            identity=identity(source),
            kind=kind,
            wording=wording,
            budgets=budgets,
            seen=_seen(law, kind, budgets, run),
            methods=tuple(dict.fromkeys(method(spec).name for spec in methods)),
        )


def _seen(law: Mapping[str, Any], kind: Kind, budgets: Sequence[int], run: str) -> tuple[bool, ...] | None:
    fields = {name: law[name] for name in BudgetSampler.model_fields if name in law}
    if "law" not in fields:
        return None
    sampler = BudgetSampler.read(fields, f"the budgets that {run} was trained on")
    return tuple(kind in sampler.kinds and sampler.seen(budget) for budget in budgets)


def run_names(sources: Sequence[ModelSource], given: Sequence[str]) -> list[str]:
    """A name for each model that no other has: its own, or what was given where two would be alike, paths relative."""
    names = [source.name for source in sources]
    unique = [name if names.count(name) == 1 else portable(text) for name, text in zip(names, given, strict=True)]
    if len(set(unique)) < len(unique) and len(set(given)) == len(given):
        unique = [name if unique.count(name) == 1 else f"{name}-{i}" for i, name in enumerate(unique, 1)]
    if len(set(unique)) < len(unique):
        raise ConfigError("the same model is given twice; leave one out")
    return unique


def _measured(table: Mapping[str, Any]) -> Any:
    """What of a [task] table decides what is measured: the task's name, else its data; the rest is about training."""
    return table.get("name") or (table.get("data"), table.get("columns"), table.get("verifier"))


def _task(options: Options, sources: Sequence[ModelSource]) -> Task:
    """The task: by --task and --data, else what the models were trained on."""
    if options.task or options.data:
        return _told_task(options)
    found = [source.tables["task"] for source in sources if source.tables.get("task")]
    if not found:
        raise ConfigError(f"{sources[0].name} does not say what it was trained on; give --task NAME or --data FILE")
    if any(_measured(table) != _measured(found[0]) for table in found):
        raise ConfigError("the models were trained on different tasks; give --task NAME or --data FILE")
    if not found[0].get("name"):
        raise ConfigError("the model was trained on files, which are no test; give --task NAME or --data FILE")
    return tasks.task(found[0]["name"])


def _told_task(options: Options) -> Task:
    columns = parse_columns(options.columns) if options.columns else None
    if options.task is None:
        return tasks.evaluation(list(options.data), columns, cast(Any, options.verifier))
    task = tasks.task(options.task)
    if options.verifier and options.verifier != task.verifier:
        raise ConfigError(f"task {task.name} is graded by {task.verifier}; leave --verifier out, or --task")
    return task.with_data(list(options.data), columns) if options.data else task


def _box(task: Task, sources: Sequence[ModelSource]) -> Box:
    """How boxes are read: as the models were trained on this task, else preferred."""
    own = [source.tables["task"].get("box") for source in sources if _own_task(task, [source])]
    return "require" if own and all(box == "require" for box in own) else "prefer"


def _own_task(task: Task, sources: Sequence[ModelSource]) -> bool:
    return any(source.tables.get("task", {}).get("name") == task.name for source in sources)


def identity(source: ModelSource) -> str:
    """What tells this model's weights from others: a hash of its files; of a hub id or a server it is the name."""
    if source.kind in ("hub", "server"):
        return source.path
    return "sha256:" + model_sha256(Path(source.path))
