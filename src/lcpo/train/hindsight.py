"""Hindsight: a model learns a dial from its own samples, each told afterwards that it was asked for the length it has.

A policy that ignores the number in its prompt gives RL nothing to reward. But each of its responses is right for
*some* budget: its own length (cf. hindsight experience replay, arXiv:1707.01495). Sample, relabel, draw evenly over
length, train as supervised; in a second round the samples come from the model that the first one made.
"""

import copy
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from accelerate import PartialState
from accelerate.utils import broadcast_object_list, gather_object

from lcpo.budgets import Fixed, length
from lcpo.engines.base import Engine, Request, Segment, sub_seed
from lcpo.engines.local import LocalEngine
from lcpo.engines.vllm import VllmEngine
from lcpo.errors import EngineError
from lcpo.measure import files
from lcpo.recipes.recipe import HindsightTable, Recipe
from lcpo.thinking import eos_ids
from lcpo.train import policy
from lcpo.train.data import ask, encode, user_message
from lcpo.train.reward import filler_share, marks, opens_thought
from lcpo.train.supervised import Row, Stage, learn
from lcpo.types import NO_BUDGET, Budget, Kind, Problem
from lcpo.verifiers import grade_many

PART_TINY, PART = 512, 64
"""Samples between two writes: of models below 20 M parameters or on a GPU, and of others."""


@dataclass(frozen=True)
class SelfSample:
    """One sample of the model itself: its problem, its ids with EOS, its length as the budget counts it.

    asked: the kind of budget that its prompt named.
    """

    problem: Problem
    ids: list[int]
    length: int
    correct: bool
    asked: Kind = "none"


def phases(table: HindsightTable) -> list[str]:
    """What its progress is called, round by round."""
    later = [f" (round {round_ + 1})" if round_ else "" for round_ in range(table.rounds)]
    return [name + each for each in later for name in ("sampling own answers", "hindsight")]


def hindsight(stage: Stage, table: HindsightTable, problems: Sequence[Problem], verifier: str) -> list[dict[str, Any]]:
    """The stage [hindsight]: own samples, relabelled, learned from. Returns its coverage, round by round.

    Raises EngineError where no sample has a length that the budgets ask for.
    """
    names, told = phases(table), []
    for round_ in range(table.rounds):
        steps = table.steps if round_ == 0 else table.later_steps or table.steps
        samples, counts = draw(stage, table, problems, verifier, round_)
        binned = bins(samples, table, stage.recipe)
        told.append(coverage(binned, counts, table))
        for line in coverage_text(told[-1]):
            stage.show.note(line)
        unasked = [own for own in samples if own.asked == "none"]
        pairs = relabelled(binned, steps, table, stage.recipe, round_, unasked)
        prompts = _prompts(stage, pairs)

        def rows(at: int, pairs: Any = pairs, prompts: Any = prompts) -> list[Row]:
            chosen = pairs[at * table.batch : (at + 1) * table.batch]
            return [Row(prompts[own.problem, budget], own.ids, [True] * len(own.ids)) for own, budget in chosen]

        told[-1]["loss"] = learn(stage, table, steps, rows, f"hindsight-{round_ + 1}", names[2 * round_ + 1])
    return told


def draw(
    stage: Stage, table: HindsightTable, problems: Sequence[Problem], verifier: str, round_: int
) -> tuple[list[SelfSample], dict[str, int]]:
    """Own samples of one round that ended by themselves, graded, and how many there were and why others were left out.

    They are asked without a budget in the first round; each process makes its share of them.
    """
    recipe, tokenizer = stage.recipe, stage.tokenizer
    rng = np.random.default_rng([recipe.seed, 11, round_])
    chosen = [problems[int(i)] for i in rng.integers(len(problems), size=table.samples)]
    sampler = recipe.budget.sampler
    asked = [
        NO_BUDGET
        if round_ == 0 and not table.asked
        else sampler.draw(recipe.seed, 10**6 + round_, i, sampler.per_group)[int(rng.integers(sampler.per_group))]
        for i in range(table.samples)
    ]
    cap = table.cap or default_cap(table, recipe)
    made = _sampled(stage, phases(table)[2 * round_], chosen, asked, cap, round_)
    eos = eos_ids(tokenizer.eos_token_id, policy.plain(stage.model).generation_config.eos_token_id)
    ended = [i for i in sorted(made) if made[i][-1] in eos]
    found: list[Any] = [None]
    if PartialState().is_main_process:
        texts = [tokenizer.decode(made[i][:-1], skip_special_tokens=False) for i in ended]
        thinking = opens_thought(tokenizer)
        grades = grade_many(texts, [chosen[i].golds for i in ended], verifier, thinking=thinking, box=recipe.task.box)
        clean = [filler_share(tokenizer, made[i][:-1], thinking) <= table.filler for i in ended]
        found = [[(i, grade.correct) for i, grade, kept in zip(ended, grades, clean, strict=True) if kept]]
    broadcast_object_list(found)
    ruler, scope = marks(tokenizer, eos), recipe.budget.scope
    samples = [
        SelfSample(chosen[i], made[i], length(made[i], ruler, scope), right, asked[i].kind) for i, right in found[0]
    ]
    counts = {"samples": len(made), "cap": cap, "cut": len(made) - len(ended), "filtered": len(ended) - len(samples)}
    return samples, counts


def default_cap(table: HindsightTable, recipe: Recipe) -> int:
    """The longest response that a budget of the law can be told of; with thoughts measured alone, the cap of RL."""
    largest, cap = recipe.budget.largest or 1, int(recipe.trl.get("max_completion_length") or 512)
    return min(cap, math.ceil(largest * (1 + table.jitter))) if recipe.budget.scope == "response" else cap


def _sampled(
    stage: Stage, phase: str, problems: Sequence[Problem], asked: Sequence[Budget], cap: int, round_: int
) -> dict[int, list[int]]:
    """Ids of every sample, by number: what is on disk already, and the rest, written as it comes."""
    state, template = PartialState(), stage.recipe.budget.template
    made: dict[int, list[int]] = {}
    for path in sorted(stage.folder.glob(f"samples-{round_ + 1}-*.jsonl")):
        made |= {int(record["sample"]): record["ids"] for record in files.read_lines(path)}
    state.wait_for_everyone()
    prompts = encode(
        stage.tokenizer, [ask(user_message(p, template), b, template) for p, b in zip(problems, asked, strict=True)]
    )
    order = sorted(range(len(prompts)), key=lambda i: len(prompts[i]))
    share = [i for i in order[state.process_index :: state.num_processes] if i not in made]
    small = stage.model.device.type == "cuda" or stage.model.num_parameters() < 20_000_000
    part = PART_TINY if small else PART
    stage.show.phase(phase, len(prompts), len(made))
    engine = engine_of(stage) if share else None
    new: dict[int, list[int]] = {}
    with files.appending(stage.folder / f"samples-{round_ + 1}-{state.process_index}.jsonl") as write:
        for at in range(0, len(share), part):
            some = share[at : at + part]
            assert engine is not None
            found = engine.generate([_request(stage.recipe, round_, i, prompts[i], cap) for i in some])
            new |= {i: list(each.written.ids or ()) for i, each in zip(some, found, strict=True)}
            write([{"sample": i, "ids": new[i]} for i in some])
            stage.show.add(len(some) * state.num_processes)
            if state.num_processes == 1:
                stage.end_if_asked(f"{len(made) + len(new)} of {len(prompts)} own samples")
    stage.end_if_asked("own samples")
    for others in gather_object([new]):
        made |= others
    return made


def _request(recipe: Recipe, round_: int, number: int, prompt: Sequence[int], cap: int) -> Request:
    """A sample, drawn as RL draws; its random numbers follow from (seed, round, number)."""
    seed, trl = sub_seed(recipe.seed, "rollout", -1 - round_, number, 0), recipe.trl
    return Request(
        Segment(tuple(prompt), ""), cap, seed, temperature=float(trl.get("temperature", 1.0)),
        top_p=float(trl.get("top_p", 1.0)), top_k=int(trl.get("top_k", 0)), min_p=float(trl.get("min_p") or 0.0),
    )  # fmt: skip


def engine_of(stage: Stage) -> Engine:
    """What samples: vLLM on a copy of the model where the recipe asks for it, else the model itself in our loop."""
    trl, recipe = stage.recipe.trl, stage.recipe
    if not trl.get("use_vllm"):
        return LocalEngine(stage.model, stage.tokenizer)
    folder = stage.folder / "vllm"
    if PartialState().is_main_process:
        policy.save(copy.deepcopy(stage.model), stage.tokenizer, folder, card=recipe.about)
    PartialState().wait_for_everyone()
    share = float(trl.get("vllm_gpu_memory_utilization", 0.3))
    return VllmEngine.load(folder / "model", gpu_memory_utilization=share)


@dataclass(frozen=True)
class Bin:
    """Samples whose lengths lie between `low` and `high`, tokens, that have kept a budget which training may draw."""

    low: int
    high: int
    every: list[SelfSample]
    right: list[SelfSample]


def bins(samples: Sequence[SelfSample], table: HindsightTable, recipe: Recipe) -> list[Bin]:
    """Bins that are even in the logarithm of length, those alone in which some length can be told a budget.

    Raises EngineError where no sample is in any of them.
    """
    law, kinds = recipe.budget.law, asked_kinds(recipe)
    low, high = (min(law.tokens), max(law.tokens)) if isinstance(law, Fixed) else (law.low, law.high)
    edges = np.linspace(math.log(low), math.log(high + 1), table.bins + 1)[1:-1]
    lengths: dict[int, list[int]] = {}
    for n in range(1, math.floor(high * (1 + table.jitter)) + 2):
        if any(kept(n, kind, table, recipe) for kind in kinds):
            lengths.setdefault(int(np.searchsorted(edges, math.log(n), side="right")), []).append(n)
    result = []
    for _, wanted in sorted(lengths.items()):
        inside = set(wanted)
        every = [own for own in samples if own.length in inside]
        result.append(Bin(wanted[0], wanted[-1], every, [own for own in every if own.correct]))
    if not any(each.every for each in result):
        raise EngineError("hindsight: no own sample has a length that the budgets ask for; widen budget.law")
    return result


def asked_kinds(recipe: Recipe) -> list[Kind]:
    """The kinds of budget that samples are told."""
    return [kind for kind in recipe.budget.kinds if kind != "none"]


def kept(length_: int, kind: Kind, table: HindsightTable, recipe: Recipe) -> list[int]:
    """The budgets that training may draw and that a sample of this length has kept, as nearly as the table asks."""
    exact = kind == "exact"
    low, high = (1 / (1 + table.jitter), 1 + table.jitter) if exact else (1 + table.margin, 1 + table.slack)
    near = range(math.ceil(length_ * low), math.floor(length_ * high) + 1)
    return [n for n in near if recipe.budget.sampler.seen(n)]


def relabel(length_: int, table: HindsightTable, recipe: Recipe, rng: np.random.Generator) -> Budget:
    """A budget that a sample of this length has kept: the length itself, or a maximum above; kinds as in training."""
    near = {kind: budgets for kind in asked_kinds(recipe) if (budgets := kept(length_, kind, table, recipe))}
    kinds = list(near)
    weights = np.array([recipe.budget.kinds[kind] for kind in kinds])
    kind = kinds[0] if len(kinds) == 1 else kinds[int(rng.choice(len(kinds), p=weights / weights.sum()))]
    return Budget(kind, near[kind][int(rng.integers(len(near[kind])))], recipe.budget.scope)


def relabelled(
    binned: Sequence[Bin],
    steps: int,
    table: HindsightTable,
    recipe: Recipe,
    round_: int,
    unasked: Sequence[SelfSample] = (),
) -> list[tuple[SelfSample, Budget]]:
    """What is learned from in `steps` steps, in order: samples, drawn evenly over bins, with the budgets told.

    unasked: those drawn without a budget, of any length; a share of the rows are these, as often as they come.
    """
    rng = np.random.default_rng([recipe.seed, 12, round_])
    filled = [each for each in binned if each.every]
    result = []
    for _ in range(steps * table.batch):
        if table.unasked and unasked and rng.random() < table.unasked:
            result.append((unasked[int(rng.integers(len(unasked)))], NO_BUDGET))
            continue
        each = filled[int(rng.integers(len(filled)))]
        pool = each.right if each.right and rng.random() < table.prefer_correct else each.every
        own = pool[int(rng.integers(len(pool)))]
        result.append((own, relabel(own.length, table, recipe, rng)))
    return result


def _prompts(stage: Stage, pairs: Sequence[tuple[SelfSample, Budget]]) -> dict[tuple[Problem, Budget], list[int]]:
    """The ids of every prompt that will be learned from, each rendered and tokenised once."""
    template = stage.recipe.budget.template
    wanted = list(dict.fromkeys((own.problem, budget) for own, budget in pairs))
    asked = [ask(user_message(problem, template), budget, template) for problem, budget in wanted]
    return dict(zip(wanted, encode(stage.tokenizer, asked), strict=True))


def coverage(binned: Sequence[Bin], counts: Mapping[str, int], table: HindsightTable) -> dict[str, Any]:
    """How far the samples of a round reach: used and left out by reason, and samples and right answers by bin."""
    used = sum(len(each.every) for each in binned)
    outside = counts["samples"] - counts["cut"] - counts["filtered"] - used
    rows = [
        {"from": each.low, "to": each.high, "samples": len(each.every), "right": len(each.right)} for each in binned
    ]
    return {**counts, "outside": outside, "used": used, "bins": rows}


def coverage_text(told: Mapping[str, Any]) -> list[str]:
    """The coverage as lines: a table, and what to do where no sample has the length of a budget."""
    lines = [
        f"{told['samples']:,} own samples: {told['cut']:,} cut at {told['cap']:,} tokens, {told['filtered']:,} with "
        f"filler, {told['outside']:,} of no length that a budget asks for; {told['used']:,} are learned from",
        "  tokens       samples   right",
    ]
    for each in told["bins"]:
        lines.append(f"  {_span(each):<12}{each['samples']:>8,}{each['right']:>8,}")
    empty = [_span(each) for each in told["bins"] if not each["samples"]]
    if empty:
        lines.append(
            f"warning: no own sample has {', '.join(empty)} tokens, so such lengths are not learned. Narrow budget.law "
            "to what the model writes, draw more (hindsight.samples), or teach such lengths first ([supervised])"
        )
    return lines


def _span(each: Mapping[str, int]) -> str:
    return f"{each['from']}-{each['to']}" if each["from"] < each["to"] else str(each["from"])
