"""Supervised steps on (prompt, response) rows: the stages before RL, and pre-training of the models of ours.

A step is the same for any number of processes: each takes its share of the rows, and gradients are summed.
"""

import json
import math
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from accelerate import PartialState
from torch import distributed

from lcpo.errors import EngineError, TaskError
from lcpo.measure import files
from lcpo.measure.progress import Progress
from lcpo.recipes.recipe import Recipe, SupervisedSteps, SupervisedTable
from lcpo.train.data import encode, order
from lcpo.train.policy import plain, without_cudnn_attention
from lcpo.types import Dropped

WARMUP = 20
"""Steps of the learning rate's linear rise."""


@dataclass(frozen=True)
class Row:
    """Token ids of a prompt and its response, and what each response token weighs in the loss; 0: it is not learned."""

    prompt: list[int]
    response: list[int]
    learned: Sequence[float]

    def __len__(self) -> int:
        return len(self.prompt) + len(self.response)


class Optimizers:
    """One or several optimizers, each with its peak learning rate, as one."""

    def __init__(self, *each: tuple[torch.optim.Optimizer, float]) -> None:
        self.each = each

    def set_rate(self, factor: float) -> None:
        """Scales all learning rates."""
        for optimizer, peak in self.each:
            for group in optimizer.param_groups:
                group["lr"] = peak * factor

    def step(self) -> None:
        """One step of all."""
        for optimizer, _ in self.each:
            optimizer.step()

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Drops the gradients of all."""
        for optimizer, _ in self.each:
            optimizer.zero_grad(set_to_none=set_to_none)

    def state_dict(self) -> list[Any]:
        """The states of all, in order."""
        return [optimizer.state_dict() for optimizer, _ in self.each]

    def load_state_dict(self, states: list[Any]) -> None:
        """Restores what `state_dict` gave."""
        for (optimizer, _), state in zip(self.each, states, strict=True):
            optimizer.load_state_dict(state)


def muon(model: Any, lr: float, lr_embedding: float) -> Optimizers:
    """Muon on the matrices inside the layers, AdamW on embeddings and gains."""
    inner = [p for name, p in model.named_parameters() if p.ndim == 2 and "layers" in name]
    ids = {id(p) for p in inner}
    outer = [p for p in model.parameters() if id(p) not in ids]
    matrices = torch.optim.Muon(inner, lr=lr, weight_decay=0.01, adjust_lr_fn="match_rms_adamw")
    others = torch.optim.AdamW(outer, lr=lr_embedding, betas=(0.9, 0.98), weight_decay=0.0)
    return Optimizers((matrices, lr), (others, lr_embedding))


def optimizer_of(model: Any, table: SupervisedSteps) -> Optimizers:
    """The optimizer that a stage asks for, over the weights that are trained."""
    lr = table.lr or default_rate(model)
    if table.optimizer == "muon":
        return muon(model, lr, lr)
    weights, fused = [p for p in model.parameters() if p.requires_grad], model.device.type == "cuda"
    return Optimizers((torch.optim.AdamW(weights, lr=lr, betas=(0.9, 0.98), weight_decay=0.0, fused=fused), lr))


def default_rate(model: Any) -> float:
    """1e-4 up to 0.5 B parameters, falling with their number to 1e-5 at 5 B; ten times that for an adapter."""
    size = sum(int(p.numel()) for p in model.parameters())
    return min(1e-4, max(1e-5, 1e-4 * 5e8 / size)) * (10 if hasattr(model, "peft_config") else 1)


def default_micro_tokens(model: Any) -> int:
    """Padded tokens of a forward pass: 1,024 on a CPU, on a GPU what its memory has room for, 32,768 at most."""
    if model.device.type == "cpu":
        return 1024
    memory = torch.cuda.get_device_properties(model.device).total_memory
    return int(min(32_768, memory // (50 * model.config.get_text_config().vocab_size)))


def micro_batches(rows: Sequence[Row], tokens: int) -> list[list[Row]]:
    """The rows sorted by length and cut into batches of at most `tokens` padded tokens each."""
    batches: list[list[Row]] = []
    for row in sorted(rows, key=len):
        if not batches or (len(batches[-1]) + 1) * len(row) > tokens:
            batches.append([])
        batches[-1].append(row)
    return batches


def tensors(rows: Sequence[Row], pad: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Right-padded ids, labels and their weights, [B, T] each; label t is the token at t + 1, -100 where none is."""
    length = max(map(len, rows))
    ids = torch.full((len(rows), length), pad)
    labels = torch.full((len(rows), length), -100)
    weights = torch.zeros((len(rows), length))
    for i, row in enumerate(rows):
        ids[i, : len(row)] = torch.tensor(row.prompt + row.response)
        wanted = [token if learned else -100 for token, learned in zip(row.response, row.learned, strict=True)]
        labels[i, len(row.prompt) - 1 : len(row) - 1] = torch.tensor(wanted)
        weights[i, len(row.prompt) - 1 : len(row) - 1] = torch.tensor(row.learned, dtype=torch.float32)
    return ids, labels, weights


def loss_sum(model: Any, rows: Sequence[Row], pad: int) -> tuple[torch.Tensor, float]:
    """Weighted sum of the cross-entropy in nats over the learned tokens, and the weights' sum; logits at those alone.

    Rows are padded on the right of a causal model, so no attention mask is needed.
    """
    ids, labels, weights = (tensor.to(model.device) for tensor in tensors(rows, pad))
    inner = plain(model)
    hidden = inner.base_model(input_ids=ids, use_cache=False).last_hidden_state
    at = labels != -100
    logits = inner.get_output_embeddings()(hidden[at])
    losses = torch.nn.functional.cross_entropy(logits.float(), labels[at], reduction="none")
    return (losses * weights[at]).sum(), float(weights.sum())


def step(
    model: Any,
    optimizer: Any,
    rows: Sequence[Row],
    *,
    pad: int,
    tokens: int = 8192,
    clip: float = 1.0,
    bf16: bool = False,
) -> float:
    """One optimizer step on the weighted mean loss per learned token over all rows; returns that mean, in nats."""
    learned = sum(sum(row.learned) for row in rows)
    total = torch.zeros((), device=model.device)
    mixed = torch.autocast(model.device.type, torch.bfloat16) if bf16 else nullcontext()
    world = distributed.is_initialized() and distributed.get_world_size()
    share = rows[distributed.get_rank() :: world] if world else rows
    for batch in micro_batches(share, tokens):
        with mixed:
            loss, _ = loss_sum(model, batch, pad)
        (loss / learned).backward()  # type: ignore[no-untyped-call]
        total += loss.detach()
    weights = [p for p in model.parameters() if p.requires_grad]
    if world:
        for weight in weights:
            weight.grad = torch.zeros_like(weight) if weight.grad is None else weight.grad
            distributed.all_reduce(weight.grad)
        distributed.all_reduce(total)
    torch.nn.utils.clip_grad_norm_(weights, clip)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return float(total) / learned


def rate(step_: int, steps: int, *, warmup: int, decay: float = 0.3, floor: float = 0.05) -> float:
    """Learning-rate factor: linear warm-up, constant, then a cosine to `floor` over the last `decay` of the steps."""
    if step_ < warmup:
        return (step_ + 1) / warmup
    left = (steps - step_) / max(1.0, steps * decay)
    return 1.0 if left >= 1 else floor + (1 - floor) * 0.5 * (1 - math.cos(math.pi * left))


class Stopped(EngineError):
    """A stage ended because it was asked to; what was `done` is kept."""

    def __init__(self, done: str) -> None:
        super().__init__(f"stopped, {done} kept; go on with --resume")


@dataclass(frozen=True)
class Stage:
    """What a stage before RL works with, and where it keeps what is not finished yet.

    args: TRL's settings, for the device and gradient checkpointing. asked: whether any process was asked to end.
    """

    recipe: Recipe
    args: Any
    model: Any
    tokenizer: Any
    folder: Path
    show: Progress
    asked: Callable[[], bool]

    def end_if_asked(self, done: str) -> None:
        """Raises Stopped where the run was asked to end."""
        if self.asked():
            raise Stopped(done)


def supervised(stage: Stage, table: SupervisedTable) -> dict[str, Any]:
    """The stage [supervised]: learns from given responses. Returns what is written down of it. Raises TaskError."""
    rows, dropped = read_rows(table.data, stage)
    steps = table.steps or math.ceil(table.epochs * len(rows) / table.batch)
    places = order(len(rows), steps * table.batch, stage.recipe.seed)
    stage.show.note(f"supervised: {len(rows):,} rows (left out: {dropped}), {steps:,} steps of {table.batch}")

    def at(number: int) -> list[Row]:
        return [rows[place] for place in places[number * table.batch : (number + 1) * table.batch]]

    loss = learn(stage, table, steps, at, "supervised", "supervised")
    return {"rows": len(rows), "dropped": dropped.counts, "steps": steps, "loss": loss}


def read_rows(sources: Sequence[str], stage: Stage) -> tuple[list[Row], Dropped]:
    """The rows of JSONL files as ids, EOS after each response; those that are empty or do not fit are left out."""
    records = read_records(sources)
    prompts = encode(stage.tokenizer, [prompt for prompt, _ in records])
    responses = stage.tokenizer([text for _, text in records], add_special_tokens=False)["input_ids"]
    room = getattr(stage.model.config, "max_position_embeddings", None) or 2**31
    rows, left = [], {"empty": 0, f"longer than the context of {room:,} tokens": 0}
    for (_, text), prompt, ids in zip(records, prompts, responses, strict=True):
        response = [*ids, stage.tokenizer.eos_token_id]
        if not text or len(prompt) + len(response) > room:
            left["empty" if not text else f"longer than the context of {room:,} tokens"] += 1
        else:
            rows.append(Row(prompt, response, [True] * len(response)))
    if not rows:
        raise TaskError(f"supervised.data has no rows (left out: {Dropped(left)})")
    return rows, Dropped(left)


def read_records(sources: Sequence[str]) -> list[tuple[Any, str]]:
    """(prompt, response) of every line of JSONL files. Raises TaskError naming the line that is something else."""
    records = []
    for source in sources:
        try:
            lines = Path(source).read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            advice = "make it as the recipe says, or give other JSONL files in supervised.data"
            raise TaskError(f"cannot read {source}: {error}; {advice}") from None
        for number, line in enumerate(lines, 1):
            where = f"{source}, line {number}"
            try:
                record = json.loads(line)
                prompt, response = record["prompt"], record["response"]
            except (ValueError, KeyError, TypeError):
                raise TaskError(f'{where}: give {{"prompt": ..., "response": ...}}; this is {line[:60]!r}') from None
            if not isinstance(response, str) or not isinstance(prompt, (str, list)):
                raise TaskError(f"{where}: response must be a text, and prompt a text or messages")
            records.append((prompt, response))
    return records


def learn(
    stage: Stage, table: SupervisedSteps, steps: int, rows: Callable[[int], Sequence[Row]], name: str, phase: str
) -> float | None:
    """Supervised steps on rows(0), rows(1), ...; returns the mean loss of the last hundred, nats per token.

    The state is saved every so often, and where the run is asked to end; from there it goes on. Raises EngineError.
    """
    without_cudnn_attention()
    model, state = stage.model, stage.folder / f"{name}.pt"
    optimizer, start, recent = optimizer_of(model, table), 0, deque[float](maxlen=100)
    if state.exists():
        start, kept = load_state(state, model, optimizer)
        recent.extend(kept)
    stage.show.phase(phase, steps, start)
    gpu = model.device.type == "cuda"
    tokens = table.micro_tokens or default_micro_tokens(model)
    bf16 = gpu if table.bf16 is None else table.bf16
    if stage.args.gradient_checkpointing:
        model.enable_input_require_grads()
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    model.train()
    for at in range(start, steps):
        optimizer.set_rate(rate(at, steps, warmup=WARMUP, decay=0.5))
        loss = step(model, optimizer, rows(at), pad=stage.tokenizer.pad_token_id or 0, tokens=tokens, bf16=bf16)
        if not math.isfinite(loss):
            raise EngineError(f"the loss is {loss} at step {at + 1} of {name}; lower its lr")
        recent.append(loss)
        stage.show.update(at + 1, f"loss {sum(recent) / len(recent):.3f}")
        ending = at + 1 < steps and stage.asked()
        if PartialState().is_main_process and (ending or ((at + 1) % table.save_every == 0 and at + 1 < steps)):
            save_state(state, model, optimizer, at + 1, recent)
        if ending:
            raise Stopped(f"{at + 1} of {steps} steps of {name}")
    if stage.args.gradient_checkpointing:
        model.gradient_checkpointing_disable()
    return sum(recent) / len(recent) if recent else None


def save_state(path: Path, model: Any, optimizer: Optimizers, done: int, recent: Iterable[float]) -> None:
    """The trained weights and the optimizer after `done` steps, written whole."""
    weights = {name: weight.data for name, weight in model.named_parameters() if weight.requires_grad}
    part = path.with_name(f".{path.name}.part")
    record = {"step": done, "recent": list(recent), "weights": weights, "optimizer": optimizer.state_dict()}
    with files.writing(str(path)):
        torch.save(record, part)
        part.replace(path)


def load_state(path: Path, model: Any, optimizer: Optimizers) -> tuple[int, list[float]]:
    """(steps done, last losses) of what `save_state` wrote, put into model and optimizer."""
    kept = torch.load(path, map_location=model.device, weights_only=True)
    model.load_state_dict(kept["weights"], strict=False)
    optimizer.load_state_dict(kept["optimizer"])
    return int(kept["step"]), list(kept["recent"])
