"""A recipe: everything that a training run is, read from TOML; the same table whichever engine trains."""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from lcpo.advantages import advantage
from lcpo.budgets import BudgetSampler
from lcpo.budgets.prompting import template_named
from lcpo.config import Config, apply_overrides, read_toml
from lcpo.errors import ConfigError, unknown
from lcpo.objectives import PRESETS, Objective, objective
from lcpo.tasks.reading import beside
from lcpo.types import Kind


def _as_tuple(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


Strings = Annotated[tuple[str, ...], BeforeValidator(_as_tuple)]


class TaskTable(Config):
    """What is trained on: a task by name, or data files (or hub data sets) with their columns."""

    name: str | None = None
    """A task of `lcpo tasks`; leave out when `data` is given."""
    data: Strings = ()
    """Files (JSON, JSONL, CSV, Parquet, members of a zip) or hub data sets."""
    columns: dict[str, str] = Field(default_factory=dict)
    """Which column holds what, for example {problem = "question", answer = "label"}; empty: by the usual names."""
    verifier: Literal["math", "choice", "exact"] | None = None
    """What grades an answer; None takes the task's own, and math for data files."""
    box: Literal["prefer", "require"] = "prefer"
    """Whether an answer outside of a \\boxed{} counts (prefer), or is no answer (require, as in the paper)."""
    filler: float = Field(default=1.0, ge=0, le=1)
    """Largest share of a response that may be filler (lcpo.measure.filler) where an answer counts as right; 1: any."""
    exclude: Strings = ()
    """Test sets (task names or files) whose problems are dropped from training, and counted."""
    problems: int | None = Field(default=None, ge=1)
    """At most so many problems; None: all that there are."""

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.name is None) == (not self.data):
            raise ValueError("give either a task's name or data, one of the two")
        return self


class BudgetTable(BudgetSampler):
    """How prompts get their budgets, and in which words."""

    template: str = "l1"
    """The wording of the budget sentence (lcpo.budgets.TEMPLATES)."""
    shuffled: bool = False
    """A control: the reward's budget is drawn independently of the prompt's, so that no dial can be learned."""

    @model_validator(mode="after")
    def _template_exists(self) -> Self:
        if template_named(self.template).scope != self.scope:
            raise ConfigError(
                f"template '{self.template}' does not speak of scope {self.scope}; choose another of them"
            )
        return self

    @property
    def sampler(self) -> BudgetSampler:
        """The sampler alone."""
        return BudgetSampler.model_validate({name: getattr(self, name) for name in BudgetSampler.model_fields})


class GroupTable(Config):
    """How many rollouts a generation makes and how they are used."""

    size: int = Field(default=16, ge=2)
    """Rollouts per problem (G); 16 as in the paper."""
    problems: int = Field(default=16, ge=1)
    """Problems per generation (P), over all processes."""
    updates: int = Field(default=1, ge=1)
    """Optimizer steps made from one generation, each on its own part of it; the paper makes 2."""
    micro_batch: int | None = Field(default=None, ge=1)
    """Rollouts per forward pass of one process; None: all of an update at once. Changes memory, not results."""

    @property
    def rollouts(self) -> int:
        """Rollouts per generation."""
        return self.size * self.problems


class Ramp(Config):
    """A number of the objective that moves over the steps: a curriculum in sharpness or weight."""

    key: str
    """Field of the objective, dotted inside a mixed one: "sharpness", "exact.sharpness"."""
    first: float
    """Value up to step `start`."""
    last: float
    """Value from step `end` on."""
    start: int = Field(default=0, ge=0)
    end: int = Field(ge=1)
    law: Literal["linear", "log"] = "linear"
    """How it moves in between; log needs positive values."""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.end <= self.start:
            raise ValueError(f"end ({self.end}) must come after start ({self.start})")
        if self.law == "log" and min(self.first, self.last) <= 0:
            raise ValueError("a log ramp needs positive values")
        return self

    def at(self, step: int) -> float:
        """The value at optimizer step `step`."""
        part = min(1.0, max(0.0, (step - self.start) / (self.end - self.start)))
        if self.law == "log":
            return math.exp((1 - part) * math.log(self.first) + part * math.log(self.last))
        return (1 - part) * self.first + part * self.last


class Controller(Config):
    r"""Steers a weight of the objective towards a wanted length error: w <- clip(w * (e / target)^rate, low, high).

    e is the running mean (over about 1/smooth generations) of the mean absolute relative error. Where accuracy falls
    below `accuracy_floor` the weight only ever goes down (arXiv:2512.21540 and arXiv:2602.14468 steer theirs likewise).
    """

    key: str
    """Field of the objective, for example "weight" or "alpha"."""
    target: float = Field(default=0.15, gt=0)
    """Wanted mean absolute relative error of the length."""
    rate: float = Field(default=0.05, gt=0, le=1)
    """How fast the weight moves per generation."""
    low: float = Field(gt=0)
    high: float = Field(gt=0)
    smooth: float = Field(default=0.2, gt=0, le=1)
    accuracy_floor: float = Field(default=0.0, ge=0, le=1)


class EvaluateTable(Config):
    """What `lcpo eval` takes where its command line says nothing, and what the model card says."""

    budgets: tuple[int, ...] = ()
    kind: Kind = "exact"
    problems: int = 500
    samples: int = 4
    temperature: float = 1.0
    generation_cap: int | None = None


class LogTable(Config):
    """What a run writes down beside its metrics."""

    rollouts_every: int = Field(default=10, ge=1)
    """Generations between two samples of rollouts."""
    rollouts: int = Field(default=32, ge=0)
    """Rollouts in a sample."""
    bins: int = Field(default=5, ge=1)
    """Budget bins of the live dial, each equally likely under the law of the budgets."""
    dial_after: int = Field(default=50, ge=1)
    """Steps after which lengths that do not follow the budgets are warned about."""
    dial_correlation: float = 0.3
    """Rank correlation of length and budget, over the last 10 generations, below which there is no dial."""


class Scratch(Config):
    """A random Qwen3-architecture model with a BPE tokenizer trained on the problems (model = "scratch")."""

    layers: int = 2
    width: int = 64
    heads: int = 2
    head: int = 32
    vocabulary: int = Field(default=2048, ge=300)
    """Tokens of the byte-level BPE tokenizer, trained on the spot."""
    context: int = 4096


class Recipe(Config):
    """A training run. Tables that another library owns ([trl], [lora], [verl]) are passed to it unchanged."""

    about: str = ""
    seed: int = Field(default=0, ge=0)
    model: str
    """A shipped name, a run folder, a Hugging Face folder, a hub id, or "scratch" (see [scratch])."""
    advantage: str = "grpo"
    """How rewards become advantages (lcpo.advantages)."""
    sampler: Literal["auto", "trl"] = "auto"
    """auto: lcpo's own sampler where TRL would call generate (drops finished rollouts, caps each one, same rollouts for
    any number of processes); trl: whatever TRL does."""
    threads: int | None = Field(default=None, ge=1)
    """CPU threads; None leaves torch's choice. One is fastest for tiny models."""
    thought: str | None = None
    """A control: the only text that a thought may consist of (a filler mark, "."); needs lcpo's sampler."""
    answer_tokens: int = Field(default=8, ge=1)
    """Under that control: the most tokens after the thought, EOS apart; no more than an answer needs."""
    task: TaskTable
    budget: BudgetTable
    objective: dict[str, Any]
    """name = "..." with its fields, or preset = "..." with fields to change."""
    group: GroupTable = GroupTable()
    schedule: tuple[Ramp, ...] = ()
    controller: Controller | None = None
    hindsight: dict[str, Any] | None = None
    """A warm start on the model's own relabelled samples before RL (lcpo.train.hindsight)."""
    scratch: Scratch | None = None
    evaluate: EvaluateTable = EvaluateTable()
    log: LogTable = LogTable()
    lora: dict[str, Any] | None = None
    """Keywords of peft.LoraConfig; left out: full fine-tuning."""
    trl: dict[str, Any] = Field(default_factory=dict)
    """Keywords of trl.GRPOConfig, unchanged."""
    verl: dict[str, Any] = Field(default_factory=dict)
    """Overrides for verl (lcpo.cluster)."""

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        advantage(self.advantage)
        reward = self.reward
        kinds = set(self.budget.kinds)
        if "max" in kinds and self.objective_name in ("exact", "relative", "gated"):
            raise ConfigError(
                "budget.kinds draws kind max, and the objective has no rule for it; use objective.name='mixed'"
            )
        if "exact" in kinds and self.objective_name in ("max", "ceiling"):
            raise ConfigError(
                "budget.kinds draws kind exact, and the objective only knows a maximum; use objective.name='mixed'"
            )
        if self.group.size % self.budget.per_group:
            raise ConfigError(
                f"group.size {self.group.size} does not hold budget.per_group {self.budget.per_group} budgets evenly; "
                "make it a multiple"
            )
        if self.advantage == "per_budget" and self.group.size // self.budget.per_group < 2:
            raise ConfigError("advantage per_budget needs two rollouts of each budget; raise group.size")
        for ramp in self.schedule:
            changed(reward, ramp.key, ramp.first)
            changed(reward, ramp.key, ramp.last)
        if self.controller is not None:
            changed(reward, self.controller.key, self.controller.low)
        if (self.model == "scratch") != (self.scratch is not None):
            raise ConfigError("model = 'scratch' and a [scratch] table go together; give both or neither")
        return self

    @property
    def reward(self) -> Objective:
        """The objective that the recipe asks for."""
        table = dict(self.objective)
        preset = table.pop("preset", None)
        if preset is None:
            return objective(table)
        if preset not in PRESETS:
            raise unknown("preset", str(preset), PRESETS)
        return objective(PRESETS[preset][0].model_dump() | table)

    @property
    def objective_name(self) -> str:
        """The objective's name, as in `lcpo objectives`."""
        return str(self.reward.model_dump()["name"])

    def toml(self) -> str:
        """The recipe with every default filled in, as TOML."""
        return dumps(self.model_dump(mode="json", exclude_none=True))


def changed(reward: Objective, key: str, value: float) -> Objective:
    """`reward` with one number replaced, checked. Raises ConfigError where the objective has no such field."""
    table = reward.model_dump()
    *path, last = key.split(".")
    here = table
    for part in path:
        if not isinstance(here.get(part), dict):
            raise unknown("objective field", key, here)
        here = here[part]
    if last not in here or not isinstance(here[last], (int, float)):
        raise unknown("objective field", key, [name for name, old in here.items() if isinstance(old, (int, float))])
    here[last] = value
    return objective(table)


def read_recipe(given: str, overrides: Sequence[str] = ()) -> tuple[str, Recipe]:
    """(name, recipe) of a shipped recipe or a TOML file, with `key=value` overrides. Raises ConfigError."""
    from lcpo import recipes

    path = Path(given)
    if path.suffix == ".toml" or path.is_file():
        table, name = read_toml(path), path.stem
    else:
        table, name = recipes.table(given), given
    whole = apply_overrides(recipes.extended(table), list(overrides))
    return name, parse_recipe(_beside(whole, path.parent), f"recipe {name}")


def _beside(table: dict[str, Any], folder: Path) -> dict[str, Any]:
    """The table with data files that are not where the run is started, but beside the recipe, named from here."""
    task = table.get("task")
    if not isinstance(task, dict):
        return table
    sources = {name: _as_tuple(task.get(name)) for name in ("data", "exclude")}
    found = {
        name: [beside(each, folder) if isinstance(each, str) else each for each in several]
        for name, several in sources.items()
        if isinstance(several, (list, tuple))
    }
    return {**table, "task": {**task, **found}}


def parse_recipe(table: Mapping[str, Any], where: str) -> Recipe:
    """The recipe in a table. Raises ConfigError naming the key, what was given and what is allowed."""
    return Recipe.read(table, where)


def dumps(table: Mapping[str, Any]) -> str:
    """A nested table of plain values as TOML text; values first, then tables, then lists of tables."""
    return "\n".join(_lines(table, ())) + "\n"


def _lines(table: Mapping[str, Any], path: tuple[str, ...]) -> list[str]:
    lines = [f"{_key(key)} = {_value(value)}" for key, value in table.items() if not _is_table(value)]
    for key, value in table.items():
        header = ".".join(map(_key, (*path, key)))
        if isinstance(value, Mapping):
            lines += ["", f"[{header}]", *_lines(value, (*path, key))]
        elif _is_table(value):
            for entry in value:
                lines += ["", f"[[{header}]]", *_lines(entry, (*path, key))]
    return lines


def _is_table(value: Any) -> bool:
    return isinstance(value, Mapping) or (
        isinstance(value, (list, tuple)) and bool(value) and all(isinstance(entry, Mapping) for entry in value)
    )


def _key(key: str) -> str:
    return key if key.replace("_", "").replace("-", "").isalnum() and key.isascii() else json.dumps(key)


def _value(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(_value(entry) for entry in value) + "]"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_key(key)} = {_value(entry)}" for key, entry in value.items()) + "}"
    if isinstance(value, (bool, str)):
        return json.dumps(value, ensure_ascii=False)
    return repr(value)
