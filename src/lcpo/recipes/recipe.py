"""A recipe: everything that a training run is, read from TOML; the same table whichever engine trains."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import tomli_w
from pydantic import BeforeValidator, Field, ValidationError, model_validator

from lcpo.advantages import advantage
from lcpo.budgets import BudgetSampler
from lcpo.budgets.prompting import template_named
from lcpo.config import Config, apply_overrides
from lcpo.errors import ConfigError, unknown
from lcpo.objectives import OBJECTIVES, PRESETS, AnyObjective, Objective, objective
from lcpo.recipes import sizes
from lcpo.tasks.reading import beside
from lcpo.types import Kind


def _as_tuple(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


def _preset(value: Any) -> Any:
    """A table with a preset's fields filled in; other values as they are."""
    if not isinstance(value, Mapping) or "preset" not in value:
        return value
    table = dict(value)
    preset = str(table.pop("preset"))
    if preset not in PRESETS:
        raise unknown("preset", preset, PRESETS)
    return PRESETS[preset][0].model_dump() | table


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
    useless: float = Field(default=1.0, ge=0, le=1)
    """Largest share of a response that may be steps which are wrong, said before or invented where an answer counts as
    right, for tasks that read thoughts (search, sums, pairs, chains); 1: any."""
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
    """Rollouts per forward pass of one process; None: all of an update, on a GPU as many as may hold 32,768 tokens.
    Changes memory, not results."""

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


class SupervisedSteps(Config):
    """How the stages before RL learn: supervised steps on prompt and response."""

    batch: int = Field(default=64, ge=1)
    """Rows of a step."""
    optimizer: Literal["adamw", "muon"] = "adamw"
    """muon: Muon for the matrices inside the layers, which a model trained from scratch learns faster with."""
    lr: float | None = Field(default=None, gt=0)
    """Peak learning rate; None: 1e-4 up to 0.5 B parameters, falling to 1e-5 at 5 B; ten times that with [lora]."""
    micro_tokens: int | None = Field(default=None, ge=1)
    """Padded tokens of a forward pass; None: by the device and the vocabulary. Memory and speed, not results."""
    bf16: bool | None = None
    """Whether forward passes run in bfloat16 over fp32 weights; None: on a GPU."""
    save_every: int = Field(default=100, ge=1)
    """Steps between two states from which --resume goes on."""


class SupervisedTable(SupervisedSteps):
    """The first stage: learn from given responses."""

    data: Strings = Field(min_length=1)
    """JSONL files of `prompt` (a text or messages) and `response` (the text after the prompt, its end left out)."""
    epochs: float = Field(default=1.0, gt=0)
    """Times that every row is seen, where `steps` is not given."""
    steps: int | None = Field(default=None, ge=1)
    """Optimizer steps; None: as many as `epochs` takes."""


class HindsightTable(SupervisedSteps):
    """The second stage: learn from the model's own samples, each told a budget that it has kept."""

    rounds: int = Field(default=1, ge=1)
    """Times that samples are drawn and learned from; from the second on they are drawn with budgets asked."""
    asked: bool = False
    """Whether the first round asks for budgets too: for a model that has a dial already, in other words."""
    unasked: float = Field(default=0.0, ge=0, lt=1)
    """Share of rows that name no budget, samples that were drawn so: or the model forgets how to do without."""
    slack: float = Field(default=0.2, ge=0)
    """A sample of kind max is told a budget up to so much above its length: any such budget it has kept."""
    margin: float = Field(default=0.0, ge=0)
    """A sample of kind max is told a budget at least so much above its length, for lengths scatter."""
    jitter: float = Field(default=0.0, ge=0)
    """A sample of kind exact is told a budget up to so much above or below its length: exactness is left to RL, and a
    number that is never drawn is read like its neighbours."""
    samples: int = Field(default=8000, ge=1)
    """Own samples of a round."""
    steps: int = Field(default=500, ge=1)
    """Supervised steps of a round."""
    later_steps: int | None = Field(default=None, ge=1)
    """Supervised steps of the rounds after the first; None: as many as the first."""
    bins: int = Field(default=16, ge=1)
    """Bins of the logarithm of length; every bin is drawn equally often."""
    prefer_correct: float = Field(default=0.8, ge=0, le=1)
    """Chance that a row is drawn from the right answers of its bin, where there are any."""
    filler: float = Field(default=0.05, ge=0, le=1)
    """Samples with a larger share of filler are left out."""
    cap: int | None = Field(default=None, ge=1)
    """Tokens after which a sample is given up; None: where no budget of the law is met any more."""


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


class Recipe(Config):
    """A training run: [supervised], then [hindsight], then RL; stages that are left out are skipped.

    Tables that another library owns ([trl], [lora], [verl]) are passed to it unchanged.
    """

    about: str = ""
    seed: int = Field(default=0, ge=0)
    model: str
    """A shipped name, a run folder, a Hugging Face folder, or a hub id."""
    adapter: str | None = None
    """An adapter of `model` that training goes on with, instead of a new one: a folder, a run, or a shipped name."""
    advantage: str = "grpo"
    """How rewards become advantages (lcpo.advantages)."""
    sampler: Literal["auto", "trl"] = "auto"
    """auto: lcpo's own engine where TRL would call generate (drops finished rollouts, caps each one, same rollouts for
    any number of processes); trl: whatever TRL does."""
    threads: int | None = Field(default=None, ge=1)
    """CPU threads; None leaves torch's choice. One is fastest for tiny models."""
    task: TaskTable
    budget: BudgetTable
    objective: Annotated[AnyObjective, BeforeValidator(_preset)]
    """name = "..." with its fields, or preset = "..." with fields to change."""
    group: GroupTable = GroupTable()
    schedule: tuple[Ramp, ...] = ()
    supervised: SupervisedTable | None = None
    hindsight: HindsightTable | None = None
    evaluate: EvaluateTable = EvaluateTable()
    log: LogTable = LogTable()
    lora: dict[str, Any] | None = None
    """Keywords of peft.LoraConfig; left out: full fine-tuning."""
    trl: dict[str, Any] = Field(default_factory=dict)
    """Keywords of trl.GRPOConfig, unchanged; max_steps = 0: no RL after the other stages. max_completion_length follows
    from the budgets where it is left out, as do evaluate.budgets and evaluate.generation_cap (lcpo.recipes.sizes)."""
    verl: dict[str, Any] = Field(default_factory=dict)
    """Overrides for verl (lcpo.cluster)."""

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        advantage(self.advantage)
        check_kinds(self.objective, self.budget)
        if self.group.size % self.budget.per_group:
            raise ConfigError(
                f"group.size {self.group.size} does not hold budget.per_group {self.budget.per_group} budgets evenly; "
                "make it a multiple"
            )
        if self.advantage == "per_budget" and self.group.size // self.budget.per_group < 2:
            raise ConfigError("advantage per_budget needs two rollouts of each budget; raise group.size")
        for ramp in self.schedule:
            changed(self.objective, ramp.key, ramp.first)
            changed(self.objective, ramp.key, ramp.last)
        if self.hindsight is not None and self.budget.largest is None:
            raise ConfigError("[hindsight] teaches budgets, and budget.kinds draws none; leave it out, or add a kind")
        if self.adapter is not None and self.lora is None:
            raise ConfigError("adapter goes on with a LoRA adapter; add [lora], with the r that it has")
        if self.hindsight is not None and self.hindsight.margin > self.hindsight.slack:
            raise ConfigError(
                f"hindsight.margin {self.hindsight.margin} is above hindsight.slack {self.hindsight.slack}; a maximum "
                "is told between the two: raise slack"
            )
        for stage in (self.supervised, self.hindsight):
            if self.lora is not None and stage is not None and stage.optimizer == "muon":
                raise ConfigError("optimizer 'muon' is for whole weights; with [lora] take 'adamw'")
        return self

    @model_validator(mode="after")
    def _sizes(self) -> Self:
        cap = sizes.cap(self.budget)
        if cap is None:
            return self
        given = self.evaluate
        table = {
            "budgets": given.budgets or sizes.evaluated(self.budget),
            "generation_cap": given.generation_cap or max(2 * (self.budget.largest or 0), cap),
        }
        trl = {"max_completion_length": cap, **self.trl}
        return self.model_copy(update={"trl": trl, "evaluate": given.model_copy(update=table)})

    @property
    def updates_per_generation(self) -> int:
        """Optimizer steps that one generation serves."""
        return self.group.updates * int(self.trl.get("num_iterations", 1))

    def generations(self, problems: int) -> int:
        """Generations of RL over so many problems, the same whichever engine trains. Raises ConfigError."""
        steps, epochs = int(self.trl.get("max_steps", -1)), self.trl.get("num_train_epochs")
        if steps > 0:
            return math.ceil(steps / self.updates_per_generation)
        if steps == 0 and (self.supervised is not None or self.hindsight is not None):
            return 0
        if epochs is None:
            raise ConfigError("[trl] says neither max_steps nor num_train_epochs; give one of them")
        return math.ceil(float(epochs) * problems / self.group.problems)

    def toml(self) -> str:
        """The recipe with every default filled in, as TOML."""
        return tomli_w.dumps(self.model_dump(mode="json", exclude_none=True))


def check_kinds(reward: Objective, budgets: BudgetSampler) -> None:
    """Raises ConfigError where budgets are drawn of a kind that the objective has no rule for."""
    for kind in budgets.kinds:
        if kind not in reward.kinds:
            able = [name for name, other in OBJECTIVES.items() if kind in other.kinds]
            raise ConfigError(
                f"budget.kinds draws kind {kind}, and objective '{reward.name}' has a rule for {reward.kinds[0]} only; "
                f"draw kinds = {{ {reward.kinds[0]} = 1.0 }}, or take another objective: {', '.join(able)}"
            )


def check_budgets(budgets: BudgetSampler, cap: int | None) -> None:
    """Raises ConfigError where responses are cut off below the largest budget that is drawn."""
    if budgets.largest is not None and cap is not None and cap < budgets.largest:
        raise ConfigError(
            f"max_completion_length {cap} is below the largest budget {budgets.largest}; make it at least "
            f"{2 * budgets.largest}, or draw smaller budgets"
        )


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

    name, table = recipes.tables(given)
    table = apply_overrides(table, list(overrides))
    return name, parse_recipe(_beside(table, Path(given).parent), f"recipe {name}")


def _beside(table: dict[str, Any], folder: Path) -> dict[str, Any]:
    """The table with data files that are not where the run is started, but beside the recipe, named from here."""
    result = dict(table)
    for where, names in (("task", ("data", "exclude")), ("supervised", ("data",))):
        part = table.get(where)
        if not isinstance(part, dict):
            continue
        sources = {name: _as_tuple(part[name]) for name in names if name in part}
        found = {
            name: [beside(each, folder) if isinstance(each, str) else each for each in several]
            for name, several in sources.items()
            if isinstance(several, (list, tuple))
        }
        result[where] = {**part, **found}
    return result


def unknown_keys(table: Mapping[str, Any]) -> list[str]:
    """Keys of a run's recipe that this version does not know: an earlier one wrote it, and it can be evaluated."""
    try:
        Recipe.model_validate(table)
    except ValidationError as error:
        return [".".join(map(str, each["loc"])) for each in error.errors() if each["type"] == "extra_forbidden"]
    except ConfigError:  # it no longer makes sense, and nobody is going to train it
        pass
    return []


def parse_recipe(table: Mapping[str, Any], where: str) -> Recipe:
    """The recipe in a table. Raises ConfigError naming the key, what was given and what is allowed."""
    return Recipe.read(table, where)
