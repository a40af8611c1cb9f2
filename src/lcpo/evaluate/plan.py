"""What an evaluation will do, fixed before it starts: models, methods, budgets, problems, batches, seeds.

What is asked for counts first, then the protocol, then what the models say of themselves, then the defaults.
"""

import hashlib
import json
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple, cast

from lcpo import tasks
from lcpo.budgets import BudgetSampler
from lcpo.budgets.prompting import template_named
from lcpo.decode import METHODS, method
from lcpo.engines.models import ModelSource, resolve
from lcpo.errors import ConfigError, TaskError, unknown
from lcpo.measure.files import differences, model_sha256
from lcpo.measure.portable import portable
from lcpo.tasks.base import Loaded, Split, Task
from lcpo.tasks.columns import parse as parse_columns
from lcpo.types import Budget, Kind, Problem
from lcpo.verifiers import Box

PROBLEMS, SAMPLES, TEMPERATURE, TOP_P = 500, 4, 1.0, 1.0
"""What is taken where nobody says anything; temperature 1 and top_p 1 are the distribution that was trained."""
ALL = ("prompted", "unlimited", "truncate", "s1", "s1_fair", "direct", "majority")
"""What `--methods all` means: those that make sense for any model with thoughts."""
ALL_OF_A_SERVER = tuple(name for name, each in METHODS.items() if not each.needs_prefix)
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
    inert: int | None = None


@dataclass(frozen=True)
class EvaluatedModel:
    """A model as it is evaluated.

    path: as it was given, without secrets and relative. identity: hash of its weights, or what a server calls it. seen:
    the budgets that training could draw, None where unknown. methods: specs, in order; those without a budget are run
    once.
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

    subjects: the models. cap: limit of tokens of any response, the same for all budgets. batch: requests made side by
    side, the unit of resume. problems_sha256: hash of the problems themselves, so that changed data is noticed.
    engine: None for transformers or a server. tokenizer, opened, without: how a server is spoken to. inert: samples of
    a row whose thoughts are tested for being inert (lcpo.evaluate.inert). What a folder made before a setting existed
    does not say is None: settings that are added later have that default.
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
    opened: bool | None = None
    without: tuple[str, ...] | None = None
    inert: int | None = None

    def json(self) -> dict[str, Any]:
        """The settings as JSON values, without what must not be written down."""
        return portable(json.loads(json.dumps(asdict(self))))  # type: ignore[no-any-return]

    def changes(self, before: Mapping[str, Any]) -> list[str]:
        """What differs from settings that were written down, `key: old -> new`; where a model lies does not count."""
        old, new = portable(before), self.json()
        for table in (old, new):
            table["subjects"] = [{**subject, "path": None} for subject in table["subjects"]]
        return differences(old, new)


class Plan(NamedTuple):
    """Settings with what they were made from: the models' sources by run name, the task and its problems."""

    settings: Settings
    sources: Mapping[str, ModelSource]
    task: Task
    loaded: Loaded


class Cell(NamedTuple):
    """One row of the result to come: a model, a method, a budget (None: none)."""

    model: EvaluatedModel
    method: str
    budget: int | None

    @property
    def asked(self) -> Budget | None:
        """The budget that the method is given; None for methods that take none."""
        if self.budget is None:
            return None
        return Budget(self.model.kind, self.budget, method(self.method).scope)

    @property
    def seen(self) -> bool | None:
        """Whether training could draw this budget; None where it is unknown or not what the prompt says."""
        if self.budget is None or self.model.seen is None or not method(self.method).budget_in_prompt:
            return None
        return self.model.seen[self.model.budgets.index(self.budget)]


class Place(NamedTuple):
    """One sample to come: where it stands in the result, which problem, and the how many-th sample of it."""

    cell: Cell
    problem: int
    sample: int


def cells(model: EvaluatedModel) -> list[Cell]:
    """The cells of a model, method by method, budgets ascending."""
    return [
        Cell(model, spec, budget)
        for spec in model.methods
        for budget in (model.budgets if method(spec).budgeted else (None,))
    ]


def batches(settings: Settings) -> Iterator[list[Place]]:
    """All samples to come, in order, in batches that depend on the settings alone; a batch is of one model.

    A batch holds every cell of its problems' samples, so that methods which start from the same response share it.
    """
    rows = [(problem, sample) for problem in range(settings.problems) for sample in range(settings.samples)]
    for model in settings.subjects:
        each = cells(model)
        size = max(1, settings.batch // len(each))
        for start in range(0, len(rows), size):
            yield [Place(cell, *row) for cell in each for row in rows[start : start + size]]


def problems_sha256(problems: Sequence[Problem]) -> str:
    """A hash of the problems: ids, texts and answers, in order."""
    text = json.dumps([asdict(problem) for problem in problems], ensure_ascii=False, sort_keys=True)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def check(settings: Settings) -> None:
    """Raises ConfigError where the settings make no sense."""
    if not settings.subjects or settings.samples < 1 or settings.problems < 1:
        raise ConfigError("an evaluation needs at least one model, one problem and one sample")
    for model in settings.subjects:
        if settings.inert and "prompted" not in model.methods:
            raise ConfigError("--inert tests thoughts of method prompted; add it to --methods, or leave --inert out")
        for spec in model.methods:
            if method(spec).budgeted and not model.budgets:
                raise ConfigError(
                    f"{model.model} says no budgets of its own; give some, for example --budgets 512,1024,2048"
                )
            if method(spec).budgeted and model.kind == "none":
                raise ConfigError(f"method {spec} needs a budget; give --kind exact or --kind max")
        if model.budgets and settings.cap < 2 * max(model.budgets):
            raise ConfigError(
                f"a generation cap of {settings.cap} tokens is less than twice the largest budget,"
                f" {max(model.budgets)}: lengths would be cut where they are measured; raise --cap"
                " or lower the budgets"
            )


# ---- from options to settings ---------------------------------------------------------------------------------------


def read_protocol(name: str) -> dict[str, Any]:
    """The `evaluate` table of a shipped protocol. Raises ConfigError naming those that exist."""
    folder = resources.files("lcpo.evaluate") / "protocols"
    files = {file.name.removesuffix(".toml"): file for file in folder.iterdir() if file.name.endswith(".toml")}
    if name not in files:
        raise unknown("protocol", name, files)
    return cast(dict[str, Any], tomllib.loads(files[name].read_text(encoding="utf-8"))["evaluate"])


def make_plan(options: Options) -> Plan:
    """Settles everything. Raises ConfigError or TaskError in one line, naming what has to be told."""
    sources = [resolve(model) for model in options.models]
    names = run_names(sources, options.models)
    protocol = read_protocol(options.protocol) if options.protocol else {}
    given = {**protocol, **{name: value for name, value in vars(options).items() if value not in (None, ())}}
    task = _task(options, sources)
    tables: list[Mapping[str, Any]] = [source.tables.get("task", {}) for source in sources]
    trained = [table for table in tables if table.get("name") == task.name]  # of models that were trained on this task
    limit = int(_shared("problems", PROBLEMS, given, sources)) if "problems" in given or trained else None
    loaded = task.load(cast(Split, options.split), limit, options.seed)
    if not loaded.problems:
        raise TaskError(f"{task.name} has no {options.split} problems")
    named = zip(names, options.models, sources, strict=True)
    models = tuple(_evaluated(name, path, source, given) for name, path, source in named)
    settings = Settings(
        subjects=models,
        task=task.name,
        verifier=task.verifier,
        split=options.split,
        problems=len(loaded.problems),
        problems_sha256=problems_sha256(loaded.problems),
        samples=int(_shared("samples", SAMPLES, given, sources)),
        seed=options.seed,
        temperature=_shared("temperature", TEMPERATURE, given, sources),
        top_p=_shared("top_p", TOP_P, given, sources),
        cap=options.cap or _cap(given, sources, [budget for model in models for budget in model.budgets]),
        box=given.get("box") or ("require" if {each.get("box") for each in trained} == {"require"} else "prefer"),
        batch=options.batch,
        inert=options.inert,
    )
    check(settings)
    return Plan(settings, dict(zip(names, sources, strict=True)), task, loaded)


def _own(source: ModelSource) -> Mapping[str, Any]:
    """How a model says that it is evaluated."""
    return cast(Mapping[str, Any], source.tables.get("evaluate", {}))


def _shared(name: str, default: float, given: Mapping[str, Any], sources: Sequence[ModelSource]) -> float:
    """A value that all models must share. Raises ConfigError where their own differ."""
    values = {given.get(name, _own(source).get(name)) for source in sources} - {None}
    if len(values) > 1:
        raise ConfigError(f"the models' own {name} differ ({sorted(values)}); give --{name.replace('_', '-')}")
    return float(values.pop()) if values else default


def _cap(given: Mapping[str, Any], sources: Sequence[ModelSource], budgets: Sequence[int]) -> int:
    """The generation cap where none is told: the models' own if it is large enough, else twice the largest budget."""
    caps = [int(given.get("generation_cap", _own(source).get("generation_cap", 0))) for source in sources]
    cap = max(*caps, 2 * max(budgets, default=0))
    if not cap:
        raise ConfigError("without budgets there is nothing to tell how long a response may get; give --cap TOKENS")
    return cap


def _evaluated(run: str, path: str, source: ModelSource, given: Mapping[str, Any]) -> EvaluatedModel:
    """One model as it is evaluated."""
    law = dict(source.tables.get("budget", {}))
    wording = given.get("wording") or law.get("template", "l1")
    scope = template_named(wording).scope
    methods = tuple(given.get("methods", ("prompted",)))
    if methods == ("all",):
        methods = ALL_OF_A_SERVER if source.kind == "server" else ALL
    for spec in methods:
        if method(spec).prompts and method(spec).scope != scope:
            raise ConfigError(f"wording '{wording}' limits the {scope}, which method {spec} cannot ask for yet")
    budgets = tuple(sorted(set(given.get("budgets", _own(source).get("budgets", ())))))
    kind = cast(Kind, given.get("kind", _own(source).get("kind", "exact")))
    return EvaluatedModel(
        run=run,
        model=source.name,
        path=portable(path),
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
    """A name for each model that no other has: its own, or what was given where two would be alike."""
    names = [source.name for source in sources]
    unique = [name if names.count(name) == 1 else text for name, text in zip(names, given, strict=True)]
    again = next((name for name in unique if unique.count(name) > 1), None)
    if again is not None:
        raise ConfigError(f"the model {again} is given twice; leave one out")
    return unique


def _task(options: Options, sources: Sequence[ModelSource]) -> Task:
    """The task: by --task and --data, else what the models were trained on."""
    if options.task or options.data:
        return _told_task(options)
    tables = [source.tables["task"] for source in sources if source.tables.get("task")]
    if not tables:
        raise ConfigError(f"{sources[0].name} does not say what it was trained on; give --task NAME or --data FILE")
    # of a table, the name decides what is measured, else the data; the rest is about training
    if len({str(table.get("name") or [table.get(x) for x in ("data", "columns", "verifier")]) for table in tables}) > 1:
        raise ConfigError("the models were trained on different tasks; give --task NAME or --data FILE")
    if not tables[0].get("name"):
        raise ConfigError("the model was trained on files, which are no test; give --task NAME or --data FILE")
    return tasks.task(tables[0]["name"])


def _told_task(options: Options) -> Task:
    columns = parse_columns(options.columns) if options.columns else None
    if options.task is None:
        return tasks.evaluation(list(options.data), columns, cast(Any, options.verifier))
    task = tasks.task(options.task)
    if options.verifier and options.verifier != task.verifier:
        raise ConfigError(f"task {task.name} is graded by {task.verifier}; leave --verifier out, or --task")
    return task.with_data(list(options.data), columns) if options.data else task


def identity(source: ModelSource) -> str:
    """What tells this model's weights from others: a hash of its files; of a hub id or a server it is the name."""
    if source.kind in ("hub", "server"):
        return str(portable(source.path))
    return "sha256:" + model_sha256(Path(source.path))
